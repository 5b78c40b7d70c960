"""Live delivery: who listens to which stream, and what a commit of the writer sends to whom.

Records are encoded once and shared by all listeners; each socket coalesces what is ready into one frame. A position
is delivered once and in order: a listener that is behind reads from the database until it has caught up, then goes
live. Hints carry no position and may be lost.

Knows streams, cursors and text records. Refuses to know accounts, keys and rights: who may listen is decided before.

Spec: STR-010, STR-013, STR-015, STR-016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

INBOX: Final = "inbox"
# Rows joined once for everybody: less than a frame, so that a frame can still take what is one reader's own.
PIECE: Final = 128 * 1024


class Stored(msgspec.Struct, frozen=True):
    """A row was committed to ``stream`` (a sphere, or an inbox as ``inbox:dv-…``) at ``pos``."""

    stream: str
    pos: int
    record: str


@dataclass(frozen=True, slots=True)
class Hint:
    """Look here: ``record`` for every socket of these devices or accounts, ``but`` one device's."""

    record: str
    accounts: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    but: str | None = None


@dataclass(frozen=True, slots=True)
class Membership:
    """A sphere's state changed: publish it; ``lost`` devices and accounts stop listening."""

    sph: str
    state: object
    gained_accounts: tuple[str, ...] = ()
    lost_accounts: tuple[str, ...] = ()
    lost_devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """Sessions ended: sockets of this account are closed; of one device or session only, or all but one, if named."""

    account: str
    dv: str | None = None
    keep: bytes | None = None
    only: bytes | None = None


Effect = Stored | Hint | Membership | Ended


class Listener(Protocol):
    """What the hub needs of a socket."""

    account: str
    dv: str | None
    session: bytes

    def rows(self, stream: str, first: int, last: int, records: bytes) -> None: ...

    def record(self, record: bytes) -> None: ...

    def lose(self, stream: str) -> None: ...

    def end(self) -> None: ...


class Hub:
    """All listeners of this process. Every method runs in the loop's thread."""

    def __init__(self) -> None:
        self.heads: dict[str, int] = {}
        self._streams: dict[str, set[Listener]] = {}
        self._accounts: dict[str, set[Listener]] = {}

    def attach(self, listener: Listener) -> None:
        """A socket has shown whose it is."""
        self._accounts.setdefault(listener.account, set()).add(listener)

    def detach(self, listener: Listener, streams: Sequence[str]) -> None:
        """A socket is gone."""
        for stream in streams:
            self.leave(listener, stream)
        mine = self._accounts.get(listener.account)
        if mine is not None:
            mine.discard(listener)
            if not mine:
                del self._accounts[listener.account]

    def sockets_of(self, account: str) -> int:
        return len(self._accounts.get(account, ()))

    @property
    def sockets(self) -> int:
        return sum(len(one) for one in self._accounts.values())

    def join(self, listener: Listener, stream: str) -> None:
        """From now on the listener hears this stream."""
        self._streams.setdefault(stream, set()).add(listener)

    def leave(self, listener: Listener, stream: str) -> None:
        listeners = self._streams.get(stream)
        if listeners is not None:
            listeners.discard(listener)
            if not listeners:
                del self._streams[stream]
                self.heads.pop(stream, None)

    def stored(self, *rows: Stored) -> None:
        """Deliver committed rows of one stream, in the order of their positions and without a hole.

        They are joined once for all listeners, into pieces that fit a frame.
        """
        stream = rows[0].stream
        listeners = self._streams.get(stream)
        if not listeners:
            return
        self.heads[stream] = rows[-1].pos
        for first, last, records in _pieces(rows):
            for listener in listeners:
                listener.rows(stream, first, last, records)

    def hint(self, effect: Hint) -> int:
        """Deliver a hint to whoever is there; returns to how many devices."""
        record, reached, devices = effect.record.encode(), set(), frozenset(effect.devices)
        for account in effect.accounts:
            for listener in self._accounts.get(account, ()):
                if listener.dv != effect.but and (not devices or listener.dv in devices):
                    listener.record(record)
                    reached.add(listener.dv)
        return len(reached)

    def lose(self, effect: Membership) -> None:
        """Removed devices stop hearing the sphere, at once and before anything later is delivered."""
        for listener in tuple(self._streams.get(effect.sph, ())):
            if listener.account in effect.lost_accounts or listener.dv in effect.lost_devices:
                self.leave(listener, effect.sph)
                listener.lose(effect.sph)

    def end(self, effect: Ended) -> None:
        """Close the sockets of an ended session."""
        for listener in tuple(self._accounts.get(effect.account, ())):
            named = effect.dv in (None, listener.dv) and effect.only in (None, listener.session)
            if named and listener.session != effect.keep:
                listener.end()

    def everyone(self) -> list[Listener]:
        """All listeners, for shutting down."""
        return [listener for mine in self._accounts.values() for listener in mine]


def _pieces(rows: Sequence[Stored]) -> list[tuple[int, int, bytes]]:
    """(first position, last position, records joined by commas), each of at most PIECE characters or one row."""
    pieces, begin, size = [], 0, 0
    for at, row in enumerate(rows):
        if size and size + len(row.record) > PIECE:
            pieces.append(_piece(rows[begin:at]))
            begin, size = at, 0
        size += len(row.record)
    return [*pieces, _piece(rows[begin:])]


def _piece(rows: Sequence[Stored]) -> tuple[int, int, bytes]:
    return rows[0].pos, rows[-1].pos, ",".join([row.record for row in rows]).encode()
