"""Live transfer: epoch secrets handed from one connected device to another, with nothing stored between them.

Signed messages; pure functions over what each side keeps in memory meanwhile. Both halves are needed to open what
is given: a key pair made for this one ask, and the device's receiving key. Who may be given what, and when a person is
asked, is decided elsewhere. Spec: LIVE-001 to LIVE-012.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final, Literal

from cloister import crypto
from cloister.errors import (
    CommitmentMismatch,
    DecryptFailed,
    Expired,
    FormatError,
    NotMember,
    Replay,
    SignatureInvalid,
)
from cloister.protocol import jws
from cloister.protocol.encoding import b64d, b64e, kdf, lp
from cloister.protocol.history import History
from cloister.protocol.state import Device, Epoch
from cloister.sphere import epoch as epochs
from cloister.sphere import share
from cloister.sphere.epoch import EpochKey, Rng
from cloister.sphere.share import Party

TYP: Final = "sph-live+1"
SECONDS: Final = 120
MAX_NS: Final = 64
_ZERO: Final = bytes(crypto.NONCE_LENGTH)
# What a browser draws for a connection (RFC 8839, section 5.4), within bounds.
_UFRAG: Final = re.compile("[A-Za-z0-9+/]{4,32}")
_PWD: Final = re.compile("[A-Za-z0-9+/]{22,64}")

Signer = Callable[[bytes], bytes]
Why = Literal["different", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class Message:
    """A verified message: its kind, sender, H(SI) and members. ``dk`` of the sender has signed it."""

    k: str
    sph: str
    sender: Party
    digest: bytes
    iat: int
    body: dict[str, Any]

    @property
    def to(self) -> Party | None:
        """The recipient; None in an ask, which is for everybody."""
        return None if self.k == "ask" else Party(self.body["idR"], self.body["dvR"])


@dataclass(frozen=True, slots=True)
class Asking:
    """What the asker keeps of an ask, in memory only: the private half (PKCS #8) and sJ with it (LIVE-002)."""

    sph: str
    me: Party
    private: bytes = field(repr=False)
    sas: bytes = field(repr=False)
    digest: bytes
    ns: tuple[int, ...]
    exp: int


@dataclass(frozen=True, slots=True)
class Offering:
    """What the provider keeps of an ask it answered (LIVE-003)."""

    sph: str
    me: Party
    asker: Party
    epk: bytes
    hs: bytes
    sas: bytes = field(repr=False)
    ask: bytes
    digest: bytes
    ns: tuple[int, ...]
    exp: int


@dataclass(frozen=True, slots=True)
class Pair:
    """Both sides after the open: who they are, the digits of LIVE-005, and H(SI of the open), which vouches for all."""

    sph: str
    asker: Party
    provider: Party
    ns: tuple[int, ...]
    ask: bytes
    open: bytes
    digits: str
    exp: int

    @property
    def both(self) -> tuple[str, str, str, str, str]:
        return self.sph, self.asker.id, self.asker.dv, self.provider.id, self.provider.dv


@dataclass(frozen=True, slots=True)
class Way:
    """Where a browser can be met (LIVE-015): the names and the certificate's SHA-256 of one connection, and up to eight
    places, each the 16 bytes of a random name of the local network and a port, big-endian."""

    ufrag: str
    pwd: str = field(repr=False)
    fp: bytes
    at: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """The provider after the give: what the asker's answer must carry (LIVE-008)."""

    pair: Pair
    digest: bytes
    mac: bytes = field(repr=False)


# --- all messages -------------------------------------------------------------------------------------------------


def read(compact: str, log: History) -> Message:
    """Decode a message and verify that an active device of the sphere signed it (LIVE-001, LIVE-010).

    Raises FormatError, KeyUnknown for a device the log does not know, NotMember, SignatureInvalid.
    """
    envelope = jws.decode(compact, TYP)
    dv = envelope.header["kid"]
    sender = Party(log.owner_of(dv), dv)
    if not log.active(dv, log.seq) or log.mode_at(log.seq) != "e2ee":
        raise NotMember("a live transfer needs two active devices of one encrypted sphere")
    jws.verify_ed25519(envelope, log.key_of(dv))
    body = envelope.body
    if body["k"] not in jws.LIVE:
        raise FormatError("unknown kind of live message")
    if body["sph"] != log.sph:
        raise Replay("a live message of another sphere")
    return Message(body["k"], body["sph"], sender, envelope.digest, body["iat"], body)


def _sign(me: Party, signer: Signer, k: str, sph: str, to: Party | None, iat: int, rng: Rng, **members: Any) -> str:
    named = {} if to is None else {"idR": to.id, "dvR": to.dv}
    payload = {"k": k, "sph": sph, "iat": iat, "jti": b64e(rng(16)), **named, **members}
    return jws.sign(TYP, {"kid": me.dv}, payload, signer)


def _digest(compact: str) -> bytes:
    return jws.decode(compact, TYP).digest


def _expect(
    message: Message, k: str, sph: str, me: Party, sender: Party | None, before: tuple[str, bytes], exp: int, now: int
) -> None:
    """That it is the message waited for: kind, sphere, both ends and predecessor (LIVE-001), in time (LIVE-011)."""
    named, digest = before
    if message.k != k or message.sph != sph or message.to != me or (sender is not None and message.sender != sender):
        raise Replay("not the live message that is waited for")
    if b64d(message.body[named]) != digest:
        raise Replay("a live message that follows another one")
    if now > exp:
        raise Expired("the time of this live transfer is over")


def _ns(value: Sequence[int], among: Iterable[int] | None = None) -> tuple[int, ...]:
    """Epoch numbers: some, ascending, all of ``among``. Raises FormatError, Replay."""
    if not value or any(a >= b for a, b in pairwise(value)) or value[0] < 1:
        raise FormatError("epochs are listed once, ascending")
    if among is not None and not set(value) <= set(among):
        raise Replay("an epoch nobody asked for")
    return tuple(value)


# --- ask (J), offer (P) -------------------------------------------------------------------------------------------


def ask(
    sph: str, me: Party, signer: Signer, ns: Sequence[int], private: bytes, *, now: int, rng: Rng
) -> tuple[Asking, str]:
    """Ask for the secrets of ``ns`` with a fresh RSA-4096 key in PKCS #8 (LIVE-002). Raises FormatError."""
    wanted, sas = _ns(ns), rng(16)
    epk, hs = crypto.rsa_public(private), crypto.sha256(lp("live-sas", sas))
    members = {"ns": list(wanted), "epk": b64e(epk), "hs": b64e(hs), "exp": now + SECONDS}
    compact = _sign(me, signer, "ask", sph, None, now, rng, **members)
    return Asking(sph, me, private, sas, _digest(compact), wanted, now + SECONDS), compact


def check_ask(message: Message, log: History, now: int) -> tuple[int, ...]:
    """The epochs asked for, if it is an ask in time (LIVE-010, LIVE-011). Raises FormatError, Expired, KeyUnknown."""
    if message.k != "ask":
        raise Replay("not an ask")
    body = message.body
    if not body["iat"] <= body["exp"] <= body["iat"] + SECONDS or body["iat"] > now + SECONDS or now > body["exp"]:
        raise Expired("the time of this ask is over")
    ns = _ns(body["ns"])
    for n in ns:
        log.epoch(n)
    crypto.rsa_check_public(b64d(body["epk"]))
    return ns


def offer(asked: Message, me: Party, signer: Signer, ns: Sequence[int], *, now: int, rng: Rng) -> tuple[Offering, str]:
    """Offer some of what was asked for (LIVE-003)."""
    body, sas = asked.body, rng(16)
    held = _ns(ns, body["ns"])
    compact = _sign(
        me, signer, "offer", asked.sph, asked.sender, now, rng, ask=b64e(asked.digest), ns=list(held), sas=b64e(sas)
    )
    epk, hs = b64d(body["epk"]), b64d(body["hs"])
    digest = _digest(compact)
    return Offering(asked.sph, me, asked.sender, epk, hs, sas, asked.digest, digest, held, body["exp"]), compact


# --- open: the digits ---------------------------------------------------------------------------------------------


def digits(sas_j: bytes, sas_p: bytes, offered: bytes, both: tuple[str, str, str, str, str]) -> str:
    """Six digits for two people to compare (LIVE-005); ``offered`` is H(SI) of the offer."""
    value = kdf(sas_j + sas_p, offered, "live-sas", lp(*both), 8)
    return f"{int.from_bytes(value, 'big') % 1_000_000:06d}"


def _pair(sph: str, asker: Party, provider: Party, ns: tuple[int, ...], ask: bytes, exp: int) -> Pair:
    return Pair(sph, asker, provider, ns, ask, b"", "", exp)


def check_offer(asking: Asking, offered: Message, now: int) -> tuple[int, ...]:
    """The epochs offered, if it is an offer to this ask (LIVE-003). Raises Replay, Expired, FormatError."""
    _expect(offered, "offer", asking.sph, asking.me, None, ("ask", asking.digest), asking.exp, now)
    return _ns(offered.body["ns"], asking.ns)


def open_offer(asking: Asking, offered: Message, signer: Signer, *, now: int, rng: Rng) -> tuple[Pair, str]:
    """Open an offer; only one that was here before the first open went out (LIVE-004). Raises as ``check_offer``."""
    ns = check_offer(asking, offered, now)
    pair = _pair(asking.sph, asking.me, offered.sender, ns, asking.digest, asking.exp)
    code = digits(asking.sas, b64d(offered.body["sas"]), offered.digest, pair.both)
    members = {"offer": b64e(offered.digest), "sas": b64e(asking.sas)}
    compact = _sign(asking.me, signer, "open", asking.sph, offered.sender, now, rng, **members)
    return replace(pair, open=_digest(compact), digits=code), compact


def take_open(offering: Offering, opened: Message, now: int) -> Pair:
    """The provider's side of it (LIVE-004, LIVE-005). Raises Replay, Expired, CommitmentMismatch."""
    before = ("offer", offering.digest)
    _expect(opened, "open", offering.sph, offering.me, offering.asker, before, offering.exp, now)
    sas = b64d(opened.body["sas"])
    crypto.require_equal(
        crypto.sha256(lp("live-sas", sas)), offering.hs, CommitmentMismatch("not the number the ask had fixed")
    )
    pair = _pair(offering.sph, offering.asker, offering.me, offering.ns, offering.ask, offering.exp)
    code = digits(sas, offering.sas, offering.digest, pair.both)
    return replace(pair, open=opened.digest, digits=code)


# --- give (P), done (J) -------------------------------------------------------------------------------------------


def _info(pair: Pair, kem: str) -> bytes:
    asker, provider = pair.asker, pair.provider
    return lp("sph/1 live", pair.sph, provider.id, provider.dv, asker.id, asker.dv, kem, pair.open)


def _same(pair: Pair, log: History) -> None:
    """A transfer is judged by the log of its own sphere and no other (LIVE-007)."""
    if log.sph != pair.sph:
        raise Replay("a live transfer of another sphere")


def _key(pair: Pair, z: bytes, x: bytes, entries: Sequence[Epoch]) -> bytes:
    bound = [part for one in entries for part in (one.n, one.digest)]
    return kdf(z + x, pair.open, "live", lp(*pair.both, *bound), crypto.KEY_LENGTH)


def mac(pair: Pair, z: bytes, x: bytes, given: bytes) -> bytes:
    """What a `done` proves having opened the give with (LIVE-008); ``given`` is H(SI of the give)."""
    return crypto.hmac_sha256(kdf(z + x, pair.open, "live-ack", lp(*pair.both), crypto.KEY_LENGTH), given)


def give(
    pair: Pair, epk: bytes, keys: Sequence[EpochKey], log: History, asker: Device, signer: Signer, *, now: int, rng: Rng
) -> tuple[Given, str]:
    """Give ``keys`` (ascending) to the asker's device as the log knows it (LIVE-006).

    Raises Expired, Replay for an epoch that was not offered, CommitmentMismatch for a key that is not the epoch's.
    """
    _same(pair, log)
    if now > pair.exp:
        raise Expired("the time of this live transfer is over")
    ns = _ns([key.n for key in keys], pair.ns)
    entries = [log.epoch(n) for n in ns]
    for key, entry in zip(keys, entries, strict=True):
        epochs.check(key.secret, entry, pair.sph)
    z, x = rng(32), rng(32)
    secrets = b"".join(key.secret for key in keys)
    members = {
        "open": b64e(pair.open),
        "ns": list(ns),
        "kem": asker.kem,
        "enc": b64e(crypto.rsa_seal(epk, z)),
        "cx": b64e(share.seal_to(asker, _info(pair, asker.kem), x, rng)),
        "ct": b64e(crypto.aead_seal(_key(pair, z, x, entries), _ZERO, secrets, b"")),
    }
    compact = _sign(pair.provider, signer, "give", pair.sph, pair.asker, now, rng, **members)
    digest = _digest(compact)
    return Given(pair, digest, mac(pair, z, x, digest)), compact


def take(
    asking: Asking, pair: Pair, given: Message, log: History, kem: str, secrets: Iterable[bytes],
    signer: Signer, *, now: int, rng: Rng,
) -> tuple[list[EpochKey], str]:  # fmt: skip
    """The keys that were given, and the ``done`` that says so (LIVE-007, LIVE-008).

    ``secrets`` are this device's receiving secrets for ``kem``. Raises Replay, Expired, FormatError, DecryptFailed,
    KeyUnknown, CommitmentMismatch; then nothing of it is taken.
    """
    _same(pair, log)
    _expect(given, "give", pair.sph, pair.asker, pair.provider, ("open", pair.open), pair.exp, now)
    body = given.body
    ns = _ns(body["ns"], pair.ns)
    entries = [log.epoch(n) for n in ns]
    if body["kem"] != kem:
        raise DecryptFailed("sealed to another receiving key")
    z = crypto.rsa_open(asking.private, b64d(body["enc"]))
    x = share.open_any(kem, secrets, _info(pair, kem), b64d(body["cx"]))
    plain = crypto.aead_open(_key(pair, z, x, entries), _ZERO, b64d(body["ct"]), b"")
    if len(plain) != 32 * len(ns):
        raise DecryptFailed("live")
    keys = [epochs.check(plain[32 * i : 32 * i + 32], entry, pair.sph) for i, entry in enumerate(entries)]
    members = {"give": b64e(given.digest), "mac": b64e(mac(pair, z, x, given.digest))}
    return keys, _sign(pair.asker, signer, "done", pair.sph, pair.provider, now, rng, **members)


def check_done(given: Given, done: Message, now: int) -> None:
    """The asker has it (LIVE-008). Raises Replay, Expired, SignatureInvalid for a wrong mac."""
    pair = given.pair
    _expect(done, "done", pair.sph, pair.provider, pair.asker, ("give", given.digest), pair.exp, now)
    crypto.require_equal(b64d(done.body["mac"]), given.mac, SignatureInvalid("live-ack"))


# --- end ----------------------------------------------------------------------------------------------------------


def end(sph: str, me: Party, signer: Signer, to: Party, asked: bytes, why: Why, *, now: int, rng: Rng) -> str:
    """Say that nothing more comes of this ask (LIVE-009)."""
    return _sign(me, signer, "end", sph, to, now, rng, ask=b64e(asked), why=why)


def check_end(ended: Message, sph: str, me: Party, other: Party, asked: bytes) -> Why:
    """Why the other side ended it (LIVE-009). Raises Replay."""
    _expect(ended, "end", sph, me, other, ("ask", asked), 0, 0)
    why: Why = ended.body["why"]
    return why


# --- way: another carrier -----------------------------------------------------------------------------------------


def way(sph: str, me: Party, signer: Signer, to: Party, after: bytes, where: Way, *, now: int, rng: Rng) -> str:
    """Say where this side can be met; ``after`` is H(SI) of the offer, or of the other side's way (LIVE-015)."""
    members = {"ufrag": where.ufrag, "pwd": where.pwd, "fp": b64e(where.fp), "at": [b64e(one) for one in where.at]}
    return _sign(me, signer, "way", sph, to, now, rng, after=b64e(after), **members)


def check_way(message: Message, sph: str, me: Party, other: Party, after: bytes, exp: int, now: int) -> Way:
    """Where the other side can be met (LIVE-015). Raises Replay, Expired, FormatError."""
    _expect(message, "way", sph, me, other, ("after", after), exp, now)
    body = message.body
    at = tuple(b64d(one) for one in body["at"])
    if not _UFRAG.fullmatch(body["ufrag"]) or not _PWD.fullmatch(body["pwd"]):
        raise FormatError("no names of a connection")
    if not at or any(one[16:] == b"\0\0" for one in at):
        raise FormatError("no place to meet")
    return Way(body["ufrag"], body["pwd"], b64d(body["fp"]), at)
