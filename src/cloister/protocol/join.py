"""A request to join a sphere: the joiner's own words, kept as an attachment of the entry that admits it.

Knows one structure, ``sph-join+1``: identity key, certificates of all own devices, and, when a link was used, a
signature under the invitation's key pair that ties this very device to that link. Everybody can verify it; only the
holder of the link could make it.

Spec: JOIN-001 to JOIN-009.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cloister import crypto
from cloister.errors import Expired, FormatError, KeyUnknown, LogInvalid
from cloister.protocol import certificate, jws, keylog
from cloister.protocol.certificate import Certificate
from cloister.protocol.encoding import b64d, b64e, lp
from cloister.protocol.ids import Jwk
from cloister.protocol.roles import LIMITS
from cloister.protocol.state import Invite

TYP: Final = "sph-join+1"
MAX_LIFE: Final = LIMITS["join_days"] * 86400


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """A verified request (JOIN-001, JOIN-003, JOIN-004).

    ``id`` is the joiner's handle, ``iks`` the identity keys from the first to ``ik``. ``kems`` maps each dv to the
    (kem, DE) to use: the certificate's, or the renewed one of the signing device ``kid``.
    ``jti`` is the link's invitation or None; ``by_link`` says whether ``ivs`` was verified.
    """

    compact: str
    digest: bytes
    sph: str
    id: str
    name: str
    ik: Jwk
    iks: tuple[Jwk, ...]
    kid: str
    certs: tuple[Certificate, ...]
    kems: Mapping[str, tuple[str, bytes]]
    jti: bytes | None
    by_link: bool
    iat: int
    exp: int


def link_message(sph: str, jti: bytes, joiner: str, cert_digest: bytes, nonce: bytes) -> bytes:
    """What ``ivs`` signs: LP("sph/1 join", sph, jti, id of the joiner, H(certificate SI), nonce) (JOIN-005)."""
    return lp("sph/1 join", sph, jti, joiner, cert_digest, nonce)


def make(
    signer: Callable[[bytes], bytes],
    kid: str,
    *,
    sph: str,
    name: str,
    ik: Jwk,
    certs: list[str],
    nonce: bytes,
    iat: int,
    exp: int,
    jti: bytes | None = None,
    link_signer: Callable[[bytes], bytes] | None = None,
    renew: tuple[str, bytes] | None = None,
    rotations: list[str] | None = None,
) -> str:
    """Make a request signed by the device ``kid``, whose certificate must be among ``certs``.

    ``nonce`` 16 bytes. ``link_signer`` signs with the invitation's seed-derived key; it goes with ``jti``.
    ``renew`` is the signing device's present (kem, DE) when newer than its certificate; ``rotations`` are
    entry 0 and the rotate entries of the account's key log when the key was ever rotated. Raises FormatError.
    """
    payload: dict[str, Any] = {"sph": sph, "name": name, "ik": ik, "certs": certs, "nonce": b64e(nonce)}
    if jti is not None:
        payload["jti"] = b64e(jti)
        if link_signer is not None:
            mine = _own(certs, kid, ik)
            payload["ivs"] = b64e(link_signer(link_message(sph, jti, mine.id, mine.digest, nonce)))
    if renew is not None:
        payload["renew"] = {"kem": renew[0], "de": b64e(renew[1])}
    if rotations:
        payload["rot"] = rotations
    return jws.sign(TYP, {"kid": kid}, payload | {"iat": iat, "exp": exp}, signer)


def _own(certs: list[str], kid: str, ik: Jwk) -> Certificate:
    for compact in certs:
        one = certificate.verify(compact, ik)
        if one.dv == kid:
            return one
    raise FormatError("no certificate for the signing device")


def verify(compact: str, sph: str, invite: Invite | None, iat: int) -> JoinRequest:
    """Verify a request for ``sph`` at time ``iat``: an entry's iat, or now for one who only looks (JOIN-002 to 008).

    With ``invite`` the request must name it and carry a valid ``ivs``; role, expiry and uses of the invitation are
    the machine's matter. Raises FormatError, KeyUnknown, SignatureInvalid, LogInvalid (other sphere, other
    invitation, unproved handle), Expired.
    """
    envelope = jws.decode(compact, TYP)
    kid = envelope.header["kid"]
    body = envelope.body
    ik: Jwk = body["ik"]
    certs = tuple(certificate.verify(one, ik) for one in body["certs"])
    mine = next((cert for cert in certs if cert.dv == kid), None)
    if mine is None:
        raise KeyUnknown("no certificate for the signing device")  # JOIN-002
    jws.verify_ed25519(envelope, mine.dk)
    if body["sph"] != sph:
        raise LogInvalid("the request is for another sphere")
    if len({cert.dv for cert in certs}) != len(certs) or {cert.id for cert in certs} != {mine.id}:
        raise FormatError("certificates repeat a device or name two people")
    if not body["iat"] <= body["exp"] <= body["iat"] + MAX_LIFE:
        raise FormatError("the request lives longer than allowed")
    jti = b64d(body["jti"]) if "jti" in body else None
    if "ivs" in body and jti is None:
        raise FormatError("ivs without jti")
    kems = {cert.dv: (cert.kem, cert.de) for cert in certs}
    if "renew" in body:
        kems[kid] = certificate.renewal(body["renew"])  # JOIN-007
    if iat > body["exp"] or any(iat > cert.exp for cert in certs):
        raise Expired("join request or certificate")
    iks = keylog.prove(mine.id, ik, body.get("rot", []))
    if invite is not None:
        if jti != invite.jti or "ivs" not in body:
            raise LogInvalid("the request does not come from this invitation")
        message = link_message(sph, invite.jti, mine.id, mine.digest, b64d(body["nonce"]))
        crypto.ed25519_verify(invite.ipk, b64d(body["ivs"]), message)
    return JoinRequest(
        *(compact, envelope.digest, sph, mine.id, body["name"], ik, iks, kid, certs, kems),
        *(jti, invite is not None, body["iat"], body["exp"]),
    )


def check_ivs(compact: str, sph: str, invite: Invite, now: int) -> JoinRequest:
    """What a relay checks before it lets a link holder sign up or ask (JOIN-009): ``verify`` and an open invitation."""
    if invite.left == 0 or now > invite.exp:
        raise Expired("invitation")
    return verify(compact, sph, invite, now)
