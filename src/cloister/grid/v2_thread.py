"""What a grid-v2 conversation is made of, as plain data with a form for an encrypted store.

Spec: GRID-050, GRID-053, GRID-054.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from cloister.errors import FormatError
from cloister.grid import places
from cloister.grid.envelope import CONTENTS, TYPS
from cloister.grid.places import Gap, Runs
from cloister.grid.ratchet import Ratchet
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.ids import Jwk, identity_id
from cloister.protocol.shape import kind, shape

REMEMBERED: Final = 1000  # places whose H(SI) is kept
_LIMIT: Final = TYPS["sph-invite+1"].limit
_HELD: Final = shape({"compact": f"text:{_LIMIT}", "scalar": "bytes:0-48", "left": "int"})
_LINK: Final = shape({"place": "int", "h": "bytes:32"})
_THREAD: Final = shape(
    {
        "th": "bytes:16",
        "me": "jwk",
        "them": "jwk",
        "invite": f"text:{_LIMIT}",
        "opening": "bytes:32",
        "receipts": "bytes:32",
        "ratchet": "object",
        "sent": "int",
        "links": f"list:{REMEMBERED + 1}:object",
        "runs": f"list:{places.MAX_RUNS}:object",
        "seen": f"list:{REMEMBERED}:object",
        "arrived": "object",
        "arrived_at": "int",
        "behind": "bool",
        "nickname": "text:128",
        "relay": "text:512",
    }
)
_INT: Final = kind("int")


@dataclass(frozen=True)
class Held:
    """An own invitation: the scalar of its key, empty once it is used up or over, and how many answers it still takes
    (``left``; 0 with a scalar: any number)."""

    compact: str
    scalar: bytes = field(repr=False)
    left: int

    def dump(self) -> dict[str, Any]:
        """Plain JSON values for an encrypted store."""
        return {"compact": self.compact, "scalar": b64e(self.scalar), "left": self.left}

    @classmethod
    def load(cls, row: Mapping[str, Any]) -> Held:
        """Inverse of ``dump``. Raises FormatError."""
        _HELD(row)
        return cls(row["compact"], b64d(row["scalar"]), row["left"])


@dataclass(frozen=True)
class Report:
    """What one side holds of the other's chain: everything up to place ``up``, whose H(SI) is ``h`` (base64url), and
    the stretches ``more`` above it (GRID-053)."""

    up: int
    h: str
    more: tuple[Gap, ...] = ()

    def content(self) -> dict[str, Any]:
        """As it travels."""
        more = [{"a": first, "b": last} for first, last in self.more]
        return {"up": self.up, "h": self.h} | ({"more": more} if more else {})

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Report:
        """Inverse of ``content``. Raises FormatError, for stretches that do not ascend too."""
        CONTENTS["report"](value)
        least, more = value["up"] + 2, []
        for one in value.get("more", ()):
            CONTENTS["stretch"](one)
            if not least <= one["a"] <= one["b"]:
                raise FormatError("stretches ascend")
            least = one["b"] + 1
            more.append((one["a"], one["b"]))
        return cls(value["up"], value["h"], tuple(more))

    def has(self, place: int) -> bool:
        """Whether it says that ``place`` arrived."""
        return place <= self.up or any(first <= place <= last for first, last in self.more)


Links = tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Thread:
    """A conversation.

    ``th`` is its name; ``me`` and ``them`` the signing keys; ``invite`` the invitation it began with and ``opening``
    H(SI) of its answer (base64url); ``receipts`` the key of receipts. ``sent`` is the place of the last own token and
    ``links`` (place, H(SI)) of those the other has not said to hold, with the last one it has. ``runs`` is what is held
    of the other's chain and ``seen`` (place, H(SI)) of the latest of it. ``arrived`` is the other's newest report, made
    at ``arrived_at``. ``behind``: the other holds own tokens that this state has not written.
    """

    th: str
    me: Jwk
    them: Jwk
    invite: str
    opening: str
    receipts: bytes = field(repr=False)
    ratchet: Ratchet = field(repr=False)
    sent: int
    links: Links
    runs: Runs
    seen: Links
    arrived: Report
    arrived_at: int = 0
    behind: bool = False
    nickname: str = ""
    relay: str = ""

    @cached_property
    def mine(self) -> str:
        """One's own name."""
        return identity_id(self.me)

    @cached_property
    def theirs(self) -> str:
        """The other's name."""
        return identity_id(self.them)

    @property
    def badge(self) -> str:
        """It is marked with nothing."""
        return ""

    @property
    def missing(self) -> tuple[Gap, ...]:
        """Places of the other's chain that have not come, as (first, last) (GRID-011)."""
        return places.gaps(self.runs)

    @property
    def breaks(self) -> tuple[int, ...]:
        """Places of the other's chain that do not follow what is held before them (GRID-011)."""
        return places.breaks(self.runs)

    def report(self) -> Report:
        """What is held of the other's chain (GRID-053)."""
        more = tuple((run.first, run.last) for run in self.runs[1:] if run.first > self.runs[0].last + 1)
        return Report(self.runs[0].last, self.runs[0].h, _joined(more)[:64])

    def dump(self) -> dict[str, Any]:
        """Plain JSON values for an encrypted store."""
        return {
            "th": self.th,
            "me": self.me,
            "them": self.them,
            "invite": self.invite,
            "opening": self.opening,
            "receipts": b64e(self.receipts),
            "ratchet": self.ratchet.dump(),
            "sent": self.sent,
            "links": _dump_links(self.links),
            "runs": places.dump(self.runs),
            "seen": _dump_links(self.seen),
            "arrived": self.arrived.content(),
            "arrived_at": self.arrived_at,
            "behind": self.behind,
            "nickname": self.nickname,
            "relay": self.relay,
        }

    @classmethod
    def load(cls, row: Mapping[str, Any]) -> Thread:
        """Inverse of ``dump``. Raises FormatError."""
        _THREAD(row)
        made = cls(
            row["th"], row["me"], row["them"], row["invite"], row["opening"], b64d(row["receipts"]),
            Ratchet.load(row["ratchet"]), row["sent"], _load_links(row["links"]), places.load(row["runs"]),
            _load_links(row["seen"]), Report.read(row["arrived"]),
        )  # fmt: skip
        return replace(
            made, arrived_at=row["arrived_at"], behind=row["behind"], nickname=row["nickname"], relay=row["relay"]
        )


def _joined(runs: tuple[Gap, ...]) -> tuple[Gap, ...]:
    """Stretches that touch, as one."""
    out: list[Gap] = []
    for first, last in runs:
        if out and out[-1][1] + 1 == first:
            out[-1] = (out[-1][0], last)
        else:
            out.append((first, last))
    return tuple(out)


def _dump_links(links: Links) -> list[dict[str, Any]]:
    return [{"place": place, "h": h} for place, h in links]


def _load_links(rows: list[dict[str, Any]]) -> Links:
    for row in rows:
        _LINK(row)
    return tuple((row["place"], row["h"]) for row in rows)
