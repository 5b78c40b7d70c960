"""Key shares: one epoch secret sealed to one device and signed by another.

The share is a transport. What makes its content the key of an epoch is the commitment in the signed log; the rules
here only say from whom a share is taken at all. Spec: SHR-001 to SHR-007.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from cloister import crypto
from cloister.errors import CheckFailed, DecryptFailed, FormatError, NotMember
from cloister.protocol import jws
from cloister.protocol.encoding import b64d, b64e, json_emit, kdf, lp
from cloister.protocol.history import History
from cloister.protocol.roles import RANK
from cloister.protocol.state import Device, Epoch
from cloister.sphere import epoch as epochs
from cloister.sphere.epoch import EpochKey, Rng

TYP: Final = "sph-p2p+1"
RSA_LENGTH: Final = 512
_ZERO: Final = bytes(crypto.NONCE_LENGTH)


@dataclass(frozen=True, slots=True)
class Party:
    """A device and the member handle it belongs to."""

    id: str
    dv: str


def info(epoch: Epoch, sph: str, sender: Party, recipient: Party, kem: str) -> bytes:
    """What a share is bound to (SHR-001): sphere, epoch, both ends, the KEM and the very epoch entry."""
    return lp(
        *("sph/1 keyshare", sph, epoch.n, sender.id, sender.dv, recipient.id, recipient.dv, kem, epoch.digest),
    )


def seal(
    key: EpochKey,
    epoch: Epoch,
    sender: Party,
    signer: Callable[[bytes], bytes],
    recipient: Device,
    *,
    iat: int,
    rng: Rng,
) -> str:
    """One share (SHR-001, SHR-002); see ``seal_many``."""
    return seal_many(key, epoch, sender, signer, [recipient], iat=iat, rng=rng)[0][1]


def seal_many(
    key: EpochKey,
    epoch: Epoch,
    sender: Party,
    signer: Callable[[bytes], bytes],
    recipients: Iterable[Device],
    *,
    iat: int,
    rng: Rng,
) -> list[tuple[str, str]]:
    """(dv, share) for each recipient, in the order given (SHR-001, SHR-002, SHR-003).

    Encapsulation draws from the operating system; ``rng`` gives each jti. Raises CommitmentMismatch when ``key`` is
    not the epoch's, FormatError for a receiving key that cannot be sealed to.
    """
    epochs.check(key.secret, epoch, key.sph)
    # A thousand of these are made at once, so the parts that do not differ are written once. A second thread gains
    # nothing here: the library's encapsulation holds the interpreter's lock.
    header = b64e(json_emit({"alg": jws.TYPS[TYP].alg, "typ": TYP, "kid": sender.dv}))
    bound = lp("sph/1 keyshare", key.sph, epoch.n, sender.id, sender.dv)
    ends = {kem: lp(kem, epoch.digest) for kem in ("xwing", "p384", "rsa4096")}
    begin = f'{{"k":"share","sph":"{key.sph}","n":{epoch.n}'
    made = []
    for to in recipients:
        sealed = seal_to(to, bound + lp(to.owner, to.dv) + ends[to.kem], key.secret, rng)
        payload = (
            f'{begin},"idR":"{to.owner}","dvR":"{to.dv}","kem":"{to.kem}","ct":"{b64e(sealed)}"'
            f',"iat":{iat},"jti":"{b64e(rng(16))}"}}'
        )
        signing_input = f"{header}.{b64e(payload.encode())}"
        made.append((to.dv, f"{signing_input}.{b64e(signer(signing_input.encode()))}"))
    if made:
        _ = jws.decode(made[0][1], TYP).body
    return made


def open(compact: str, log: History, me: Party, kem: str, secrets: Iterable[bytes], sph: str) -> EpochKey:  # noqa: A001
    """Take the epoch secret out of a share sent to this device (SHR-004, SHR-005).

    ``log`` is this member's own verified log of ``sph``; ``secrets`` are this device's receiving secrets, the newest
    first (an old one stays until its renewal is safe). Any epoch of the log is taken, the running one and older ones
    alike; which one is used for sending is not this module's business. Raises in this order: FormatError; KeyUnknown
    when the log does not know the sender (yet); NotMember for a sender that is neither active at the log's head nor
    the author of that epoch's entry; SignatureInvalid; FormatError; DecryptFailed when it was not sealed for this
    device, sphere, epoch and sender; KeyUnknown when the epoch is not in the log (yet); CommitmentMismatch when it
    holds another secret.
    """
    envelope = jws.decode(compact, TYP)
    sender = Party(log.owner_of(envelope.header["kid"]), envelope.header["kid"])
    dk = log.key_of(sender.dv)
    if not log.active(sender.dv, log.seq):
        _check_author(envelope, log, sender.dv)
    jws.verify_ed25519(envelope, dk)
    body = envelope.body
    if body["k"] != "share":
        raise FormatError("not a share")
    if body["sph"] != sph or body["idR"] != me.id or body["dvR"] != me.dv or body["kem"] != kem:
        raise DecryptFailed("the share is not for this device in this sphere")
    epoch = log.epoch(body["n"])
    bound = info(epoch, sph, sender, me, kem)
    return epochs.check(open_any(kem, secrets, bound, b64d(body["ct"])), epoch, sph)


def seal_to(to: Device, bound: bytes, secret: bytes, rng: Rng) -> bytes:
    """A secret of 32 bytes for one receiving key, bound to ``bound`` (SHR-001, SHR-007). Raises FormatError."""
    if to.kem != "rsa4096":
        return crypto.hpke_seal(to.kem, to.de, bound, secret)
    z = rng(32)
    return crypto.rsa_seal(to.de, z) + crypto.aead_seal(_rsa_key(z, bound), _ZERO, secret, b"")


def _rsa_key(z: bytes, bound: bytes) -> bytes:
    """The key of one share to an RSA device (SHR-007); it is used once, hence the fixed nonce."""
    return kdf(z, b"", "rsa-kem", bound, crypto.KEY_LENGTH)


def granted(log: History, member: str, dv: str) -> list[int]:
    """The epochs whose secrets this member's device may be sent without asking a person (SHR-006).

    Ascending. By the history policy at the log's head: ``all`` every epoch; ``since-join`` those begun while the
    member was in; ``days:N`` besides them those whose successor began at most N days before the member's first;
    ``none`` those begun while this very device was active. Nothing for a device that is not active at the head.
    """
    if not log.active(dv, log.seq) or log.owner_of(dv) != member:
        return []
    policy, all_epochs = log.policy_at(log.seq).history, log.epochs()
    if policy == "all":
        return [epoch.n for epoch in all_epochs]
    if policy == "none":
        return [epoch.n for epoch in all_epochs if log.active(dv, epoch.seq)]
    mine = [epoch for epoch in all_epochs if log.role_at(member, epoch.seq) in RANK]
    allowed = {epoch.n for epoch in mine}
    if policy.startswith("days:") and mine:
        oldest = mine[0].iat - int(policy[5:]) * 86400
        for epoch, successor in pairwise(all_epochs):
            if epoch.n < mine[0].n and successor.iat >= oldest:
                allowed.add(epoch.n)
    return sorted(allowed)


def _check_author(envelope: jws.Envelope, log: History, dv: str) -> None:
    """A sender that has gone may only deliver an epoch it made itself (SHR-005)."""
    try:
        if envelope.body["k"] == "share" and log.epoch(envelope.body["n"]).by == dv:
            return
    except CheckFailed:
        pass
    raise NotMember("the sender is neither active nor the author of that epoch")


def open_any(kem: str, secrets: Iterable[bytes], bound: bytes, ct: bytes) -> bytes:
    """Open with the first of my receiving ``secrets`` that fits (SHR-004, SHR-007). Raises DecryptFailed."""
    for secret in secrets:
        try:
            if kem == "rsa4096":
                z = crypto.rsa_open(secret, ct[:RSA_LENGTH])
                return crypto.aead_open(_rsa_key(z, bound), _ZERO, ct[RSA_LENGTH:], b"")
            return crypto.hpke_open(kem, secret, bound, ct)
        except DecryptFailed:
            continue
    raise DecryptFailed("hpke")
