"""A person's key log: which devices are theirs, and which identity key follows which.

An append-only chain of ``sph-klog+1`` entries signed by the identity key. It serves own devices, device sessions and
first contact; inside a sphere only the sphere's own log counts.

Spec: KLOG-001 to KLOG-008.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from cloister import crypto
from cloister.errors import Expired, KeyUnknown, LogFork, LogInvalid, LogRollback
from cloister.protocol import certificate, jws
from cloister.protocol.certificate import Certificate
from cloister.protocol.encoding import b64d, b64e, lp
from cloister.protocol.ids import Jwk, identity_id, jwk_public, thumbprint
from cloister.protocol.jws import Envelope

TYP: Final = "sph-klog+1"
MAX_DEVICES: Final = 16


@dataclass(frozen=True, slots=True)
class KeyLog:
    """The state after entry ``seq`` (KLOG-001).

    ``devices``: active certificates by dv; ``revoked``: dvs that never return. ``id`` is the handle (id- of the first
    key), ``ik`` the present key, ``digest`` H(SI) of the last entry.
    """

    id: str
    seq: int
    digest: bytes
    iat: int
    ik: Jwk
    devices: Mapping[str, Certificate]
    revoked: frozenset[str]


def start(ik_scalar: bytes, iat: int) -> str:
    """Entry 0: names the first identity key, signed by it (KLOG-002)."""
    ik = jwk_public(ik_scalar)
    return _make(ik_scalar, identity_id(ik), 0, None, "start", {"ik": ik}, iat)


def add_device(ik_scalar: bytes, log: KeyLog, cert: str, iat: int) -> str:
    """Entry that adds the device of ``cert`` (KLOG-004)."""
    return _make(ik_scalar, log.id, log.seq + 1, log.digest, "add-dev", {"cert": cert}, iat)


def revoke_device(ik_scalar: bytes, log: KeyLog, dv: str, iat: int) -> str:
    """Entry that revokes the device ``dv`` for ever (KLOG-005)."""
    return _make(ik_scalar, log.id, log.seq + 1, log.digest, "rev-dev", {"dv": dv}, iat)


def rotate(ik_scalar: bytes, log: KeyLog, new_scalar: bytes, iat: int) -> str:
    """Entry that replaces the identity key, signed by the old one and countersigned by the new one (KLOG-006)."""
    new = jwk_public(new_scalar)
    sig = crypto.es384_sign(new_scalar, rotation_message(log.id, log.ik, new))
    return _make(ik_scalar, log.id, log.seq + 1, log.digest, "rotate", {"ik": new, "sig": b64e(sig)}, iat)


def rotation_message(handle: str, old: Jwk, new: Jwk) -> bytes:
    """What the new key signs: LP("sph/1 rotate", id, thumb(old), thumb(new)) (KLOG-006)."""
    return lp("sph/1 rotate", handle, thumbprint(old), thumbprint(new))


def _make(scalar: bytes, handle: str, seq: int, prev: bytes | None, op: str, body: dict[str, Any], iat: int) -> str:
    payload: dict[str, Any] = {"id": handle, "seq": seq, "op": op, "body": body, "iat": iat}
    if prev is not None:
        payload["prev"] = b64e(prev)
    return jws.sign(TYP, {"kid": identity_id(jwk_public(scalar))}, payload, jws.identity_signer(scalar))


def apply(log: KeyLog | None, compact: str) -> KeyLog:
    """The log after one more entry; the input is untouched (KLOG-001 to KLOG-006).

    Raises FormatError, KeyUnknown (signed by another key), SignatureInvalid, LogInvalid, Expired (certificate).
    """
    envelope = jws.decode(compact, TYP)
    if log is None:
        return _first(envelope)
    if envelope.header["kid"] != identity_id(log.ik):
        raise KeyUnknown("the entry is not signed by the present identity key")  # KLOG-003
    jws.verify_es384(envelope, log.ik)
    body = envelope.body
    inner = body["body"]
    if body["id"] != log.id or body["seq"] != log.seq + 1 or body.get("prev") != b64e(log.digest):
        raise LogInvalid("the entry does not follow the head of the key log")
    if body["iat"] < log.iat:
        raise LogInvalid("time runs backwards in the key log")
    if body["op"] == "start":
        raise LogInvalid("start stands only at entry 0")
    jws.KLOG[body["op"]](inner)
    after = replace(log, seq=body["seq"], digest=envelope.digest, iat=body["iat"])
    if body["op"] == "add-dev":
        return _add(after, certificate.verify(inner["cert"], log.ik))
    if body["op"] == "rev-dev":
        dv = inner["dv"]
        if dv not in log.devices:
            raise LogInvalid("the device is not active")
        return replace(after, devices={k: v for k, v in log.devices.items() if k != dv}, revoked=log.revoked | {dv})
    _countersigned(log.id, log.ik, inner)
    return replace(after, ik=inner["ik"], devices={}, revoked=log.revoked | log.devices.keys())


def _first(envelope: Envelope) -> KeyLog:
    body = envelope.body
    jws.KLOG["start"](body["body"])
    ik: Jwk = body["body"]["ik"]
    handle = identity_id(ik)
    if envelope.header["kid"] != handle:
        raise KeyUnknown("entry 0 is not signed by the key it names")
    jws.verify_es384(envelope, ik)
    if body["op"] != "start" or body["seq"] != 0 or "prev" in body or body["id"] != handle:
        raise LogInvalid("entry 0 of a key log is a start entry without prev")
    return KeyLog(handle, 0, envelope.digest, body["iat"], ik, {}, frozenset())


def _add(log: KeyLog, cert: Certificate) -> KeyLog:
    if cert.id != log.id or cert.dv in log.devices or cert.dv in log.revoked or len(log.devices) >= MAX_DEVICES:
        raise LogInvalid("the device belongs to somebody else, is not new, or is one too many")
    if log.iat > cert.exp:
        raise Expired("device certificate")
    return replace(log, devices={**log.devices, cert.dv: cert})


def _countersigned(handle: str, old: Jwk, inner: dict[str, Any]) -> None:
    new: Jwk = inner["ik"]
    if new == old:
        raise LogInvalid("the new identity key is the old one")
    crypto.es384_verify(b64d(new["x"]), b64d(new["y"]), b64d(inner["sig"]), rotation_message(handle, old, new))


def verify_chain(chain: Sequence[str]) -> KeyLog:
    """Verify a whole key log from entry 0. Raises as ``apply``, LogInvalid when empty."""
    log: KeyLog | None = None
    for compact in chain:
        log = apply(log, compact)
    if log is None:
        raise LogInvalid("empty key log")
    return log


def verify_against(chain: Sequence[str], seq: int, digest: bytes) -> KeyLog:
    """Verify a chain that must contain the pinned entry (KLOG-008).

    Raises LogRollback when the chain is shorter than the pin, LogFork when another entry stands there.
    """
    log = verify_chain(chain)
    if log.seq < seq:
        raise LogRollback("the key log is shorter than the one seen before")
    if jws.decode(chain[seq], TYP).digest != digest:
        raise LogFork("another entry stands where the pinned one stood", seq=seq)
    return log


def prove(handle: str, ik: Jwk, rotations: Sequence[str]) -> tuple[Jwk, ...]:
    """Identity keys from the one ``handle`` names to ``ik`` (KLOG-007).

    Without rotations ``ik`` must be that first key. Otherwise ``rotations`` are entry 0 and every rotate entry of the
    key log; each is signed by the key before it, so the entries between are not needed. Raises as ``apply``.
    """
    if not rotations:
        if identity_id(ik) != handle:
            raise LogInvalid("the handle is not proved by the identity key")
        return (ik,)
    first = _first(jws.decode(rotations[0], TYP))
    if first.id != handle:
        raise LogInvalid("the proof begins with another identity")
    keys = [first.ik]
    for compact in rotations[1:]:
        envelope = jws.decode(compact, TYP)
        if envelope.header["kid"] != identity_id(keys[-1]):
            raise KeyUnknown("the rotation is not signed by the key before it")
        jws.verify_es384(envelope, keys[-1])
        body = envelope.body
        if body["op"] != "rotate" or body["id"] != handle:
            raise LogInvalid("the proof holds something that is no rotation of this identity")
        jws.KLOG["rotate"](body["body"])
        _countersigned(handle, keys[-1], body["body"])
        keys.append(body["body"]["ik"])
    if keys[-1] != ik:
        raise LogInvalid("the rotations do not end at the identity key")
    return tuple(keys)
