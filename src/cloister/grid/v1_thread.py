"""What a grid-v1 conversation is made of, as plain data with a form for an encrypted store.

Spec: GRID-010, GRID-030, GRID-034.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from cloister.errors import FormatError
from cloister.grid import places, v1_jws
from cloister.grid.keys import thumbprint1
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.ids import Jwk, jwk_public
from cloister.protocol.shape import shape

WRAP: Final = 2**52
BADGE: Final = "no-forward-secrecy"  # what every conversation of this profile is marked with (GRID-034)
MAX_NAME, MAX_RELAY = 1024, 2048
_HELD: Final = shape({"compact": f"text:{v1_jws.MAX_TOKEN}", "scalar": "bytes:48"})
_SIDE: Final = shape({"first": "int", "runs": f"list:{places.MAX_RUNS}:object"})
_THREAD: Final = shape(
    {
        "th": "text:64",
        "me": "jwk",
        "them": "jwk",
        "scalar": "bytes:48",
        "epk": "jwk",
        "invite": f"text:{v1_jws.MAX_TOKEN}",
        "mine?": "object",
        "theirs?": "object",
        "nickname": f"text:{MAX_NAME}",
        "relay": f"text:{MAX_RELAY}",
    }
)


@dataclass(frozen=True)
class Held:
    """An own invitation and the scalar (48 bytes) of its key."""

    compact: str
    scalar: bytes = field(repr=False)

    @cached_property
    def name(self) -> str:
        """The name of its key, by which replies call it."""
        return thumbprint1(jwk_public(self.scalar))

    def dump(self) -> dict[str, Any]:
        """Plain JSON values for an encrypted store."""
        return {"compact": self.compact, "scalar": b64e(self.scalar)}

    @classmethod
    def load(cls, row: Mapping[str, Any]) -> Held:
        """Inverse of ``dump``. Raises FormatError."""
        _HELD(row)
        return cls(row["compact"], b64d(row["scalar"]))


@dataclass(frozen=True)
class Side:
    """One side's chain: the number of its opening, and which places from there on are held (GRID-030)."""

    first: int
    runs: places.Runs = places.OPENING

    def place(self, number: int) -> int:
        """How far ``number`` is from the opening's. Raises FormatError for 0, to which no number leads."""
        if number >= self.first:
            return number - self.first
        if number == 0:
            raise FormatError("no message has number 0 after another")
        return WRAP - self.first + number - 1

    def number(self, place: int) -> int:
        """Inverse of ``place``."""
        number = self.first + place
        return number if number < WRAP else number - WRAP + 1

    def dump(self) -> dict[str, Any]:
        """Plain JSON values for a store."""
        return {"first": self.first, "runs": places.dump(self.runs)}

    @classmethod
    def load(cls, row: Mapping[str, Any]) -> Side:
        """Inverse of ``dump``. Raises FormatError."""
        _SIDE(row)
        if row["first"] >= WRAP:
            raise FormatError("message number")
        return cls(row["first"], places.load(row["runs"]))


@dataclass(frozen=True)
class Thread:
    """A conversation of two.

    ``th`` is its name (hex); ``me`` and ``them`` the signing keys; ``scalar`` the own conversation key, ``epk`` the
    other's; ``invite`` the invitation it began with; ``mine`` and ``theirs`` the chains, None before their first token;
    ``nickname`` and ``relay`` what the other says of itself.
    """

    th: str
    me: Jwk
    them: Jwk
    scalar: bytes = field(repr=False)
    epk: Jwk
    invite: str
    mine: Side | None = None
    theirs: Side | None = None
    nickname: str = ""
    relay: str = ""

    @cached_property
    def key(self) -> bytes:
        """The one key of the conversation, 32 bytes (GRID-024)."""
        return v1_jws.shared_key(self.scalar, self.epk)

    @property
    def badge(self) -> str:
        """What it is marked with for as long as it exists (GRID-034)."""
        return BADGE

    @property
    def missing(self) -> tuple[places.Gap, ...]:
        """Places of the other's chain that have not come, as (first, last) (GRID-011)."""
        return places.gaps(self.theirs.runs) if self.theirs else ()

    def dump(self) -> dict[str, Any]:
        """Plain JSON values for an encrypted store."""
        row: dict[str, Any] = {"th": self.th, "me": self.me, "them": self.them, "scalar": b64e(self.scalar)}
        row |= {"epk": self.epk, "invite": self.invite, "nickname": self.nickname, "relay": self.relay}
        row |= {"mine": self.mine.dump()} if self.mine else {}
        row |= {"theirs": self.theirs.dump()} if self.theirs else {}
        return row

    @classmethod
    def load(cls, row: Mapping[str, Any]) -> Thread:
        """Inverse of ``dump``. Raises FormatError."""
        _THREAD(row)
        return cls(
            row["th"],
            row["me"],
            row["them"],
            b64d(row["scalar"]),
            row["epk"],
            row["invite"],
            Side.load(row["mine"]) if "mine" in row else None,
            Side.load(row["theirs"]) if "theirs" in row else None,
            row["nickname"],
            row["relay"],
        )
