"""The Double Ratchet over P-384: every message has a key of its own, and healing begins with the next turn of speech.

A chain belongs to one ratchet key and begins at a place (``cs``), so a message needs only its ratchet key, the place
where its chain begins, and its own place. Keys of places that were passed over are kept, a thousand of them for thirty
days, and each is given out once. Spec: GRID-046 to GRID-049.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from cloister.errors import FormatError, Gap, KeyUnknown
from cloister.grid.keys import Rng, agree, new_scalar, public_point
from cloister.protocol.encoding import b64d, b64e, kdf, lp
from cloister.protocol.shape import shape

MAX_SKIP: Final = 1000  # places one message may pass over, and keys kept for them
KEEP: Final = 30 * 86400  # seconds a passed-over key is kept
_SPARE: Final = shape({"place": "int", "at": "int", "secret": "bytes:32"})
_SHAPE: Final = shape(
    {
        "th": "bytes:16",
        "root": "bytes:32",
        "mine": "bytes:0-48",
        "theirs": "bytes:97",
        "sending": "bytes:0-32",
        "start": "int",
        "receiving": "bytes:0-32",
        "begun": "int",
        "next": "int",
        "spare": f"list:{MAX_SKIP}:object",
    }
)


@dataclass(frozen=True)
class Spare:
    """The secret (32 bytes) of a place that was passed over at ``at`` (unix seconds)."""

    place: int
    at: int
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class Ratchet:
    """``root``, ``sending``, ``receiving``: keys of 32 bytes, a chain's empty where there is none. ``mine``: the own
    ratchet scalar, empty until the next message is written; ``theirs``: the other's ratchet key, a point. The sending
    chain began at place ``start``, the receiving one at ``begun``; ``next`` is the place its key stands at."""

    th: bytes
    root: bytes = field(repr=False)
    mine: bytes = field(repr=False)
    theirs: bytes
    sending: bytes = field(repr=False, default=b"")
    start: int = 1
    receiving: bytes = field(repr=False, default=b"")
    begun: int = 1
    next: int = 1
    spare: tuple[Spare, ...] = ()

    def dump(self) -> dict[str, Any]:
        """Plain JSON values for an encrypted store."""
        row: dict[str, Any] = {name: b64e(getattr(self, name)) for name in _BYTES}
        row |= {"start": self.start, "begun": self.begun, "next": self.next}
        row["spare"] = [{"place": one.place, "at": one.at, "secret": b64e(one.secret)} for one in self.spare]
        return row

    @classmethod
    def load(cls, row: Mapping[str, Any]) -> Ratchet:
        """Inverse of ``dump``. Raises FormatError."""
        _SHAPE(row)
        for one in row["spare"]:
            _SPARE(one)
        spare = tuple(Spare(one["place"], one["at"], b64d(one["secret"])) for one in row["spare"])
        raw = {name: b64d(row[name]) for name in _BYTES}
        return cls(
            raw["th"], raw["root"], raw["mine"], raw["theirs"], raw["sending"], row["start"], raw["receiving"],
            row["begun"], row["next"], spare,
        )  # fmt: skip


_BYTES: Final = ("th", "root", "mine", "theirs", "sending", "receiving")


def begin_replier(root: bytes, th: bytes, mine: bytes, theirs: bytes) -> Ratchet:
    """The side that answered: ``mine`` its conversation scalar, ``theirs`` the invitation's key (GRID-046)."""
    root, chain = _turn(root, agree(mine, theirs), th)
    return Ratchet(th, root, mine, theirs, sending=chain)


def begin_inviter(root: bytes, th: bytes, mine: bytes, theirs: bytes) -> Ratchet:
    """The side that invited: ``mine`` is the invitation's scalar, which is not kept (GRID-046)."""
    root, chain = _turn(root, agree(mine, theirs), th)
    return Ratchet(th, root, b"", theirs, receiving=chain)


def _turn(root: bytes, shared: bytes, th: bytes) -> tuple[bytes, bytes]:
    """KDF(dh, root, "dr-root", LP(th), 64): the next root and a chain (GRID-047)."""
    made = kdf(shared, root, "dr-root", lp(th), 64)
    return made[:32], made[32:]


def _step(chain: bytes, th: bytes) -> tuple[bytes, bytes]:
    """KDF(ck, "", "dr-chain", LP(th), 64): the chain's next key and the secret of this place (GRID-048)."""
    made = kdf(chain, b"", "dr-chain", lp(th), 64)
    return made[:32], made[32:]


def message_key(secret: bytes, th: bytes, kid: str, place: int) -> tuple[bytes, bytes]:
    """(key, commitment) of one place: KDF(s, "", "dr-msg", LP(th, kid, seq), 64) (GRID-048)."""
    made = kdf(secret, b"", "dr-msg", lp(th, kid, place), 64)
    return made[:32], made[32:]


def send(ratchet: Ratchet, place: int, rng: Rng) -> tuple[Ratchet, bytes]:
    """The secret of the own message at ``place``; turns the ratchet first where the other has spoken (GRID-047)."""
    if not ratchet.sending:
        mine = new_scalar(rng)
        root, chain = _turn(ratchet.root, agree(mine, ratchet.theirs), ratchet.th)
        ratchet = replace(ratchet, root=root, mine=mine, sending=chain, start=place)
    chain, secret = _step(ratchet.sending, ratchet.th)
    return replace(ratchet, sending=chain), secret


def own_key(ratchet: Ratchet) -> bytes:
    """The point that goes with the sending chain."""
    return public_point(ratchet.mine)


def receive(ratchet: Ratchet, rk: bytes, cs: int, place: int, now: int) -> tuple[Ratchet, bytes]:
    """The secret of the other's message at ``place`` (GRID-047 to GRID-049).

    Raises KeyUnknown for a place whose key was given out or given up, Gap for one too far ahead, FormatError for a
    ratchet key or beginning of a chain that cannot be.
    """
    kept = next((one for one in ratchet.spare if one.place == place), None)
    if kept is not None:
        return replace(ratchet, spare=tuple(one for one in ratchet.spare if one is not kept)), kept.secret
    if place < ratchet.next:
        raise KeyUnknown("the key of this place is gone", reason="key-gone")
    if place - ratchet.next > MAX_SKIP:
        raise Gap("too much is missing before this", missing=place - ratchet.next)
    if rk != ratchet.theirs:
        ratchet = _turned(ratchet, rk, cs, now)
    elif not ratchet.receiving or cs != ratchet.begun:
        raise FormatError("a chain with another beginning")
    if place < cs:
        raise FormatError("a message before its chain")
    ratchet = _pass(ratchet, place, now)
    chain, secret = _step(ratchet.receiving, ratchet.th)
    return replace(ratchet, receiving=chain, next=place + 1), secret


def _turned(ratchet: Ratchet, rk: bytes, cs: int, now: int) -> Ratchet:
    """The chain of a new ratchet key of the other, the rest of the old chain kept (GRID-047)."""
    if not ratchet.mine or cs < ratchet.next or (not ratchet.receiving and cs != 1):
        raise FormatError("a ratchet key that answers none of ours")
    if ratchet.receiving:
        ratchet = _pass(ratchet, cs, now)
    root, chain = _turn(ratchet.root, agree(ratchet.mine, rk), ratchet.th)
    return replace(
        ratchet, root=root, mine=b"", theirs=rk, sending=b"", receiving=chain, begun=cs, next=cs
    )  # fmt: skip


def _pass(ratchet: Ratchet, place: int, now: int) -> Ratchet:
    """Keep the secrets up to ``place``, the oldest given up beyond a thousand (GRID-049)."""
    chain, spare = ratchet.receiving, list(ratchet.spare)
    for passed in range(ratchet.next, place):
        chain, secret = _step(chain, ratchet.th)
        spare.append(Spare(passed, now, secret))
    return replace(ratchet, receiving=chain, next=max(ratchet.next, place), spare=tuple(spare[-MAX_SKIP:]))


def expire(ratchet: Ratchet, now: int) -> Ratchet:
    """Without the keys that were kept for thirty days (GRID-049)."""
    fresh = tuple(one for one in ratchet.spare if now - one.at <= KEEP)
    return ratchet if len(fresh) == len(ratchet.spare) else replace(ratchet, spare=fresh)
