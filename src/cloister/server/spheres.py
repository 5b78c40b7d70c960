"""Sphere states in memory: loaded from the stored log, replaced only by what was committed.

The writer's thread owns the mutable rows (next position, chain heads); the loop's thread reads ``published``
states, which are immutable and set after the commit. A state is a shortcut for replaying the stored entries:
dropping it loses nothing.

Spec: STR-004, API-052.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from cloister.errors import Gap, Internal
from cloister.protocol import entry as entries
from cloister.protocol import machine
from cloister.protocol import state as states
from cloister.protocol.chain import ChainHead
from cloister.protocol.state import SphereState
from cloister.server import schema
from cloister.server.prepared import Prepared

# Spheres kept in memory; the least recently used one is read again when needed.
MAX_CACHED: Final = 2048
# Entries after which the stored shortcut is renewed.
SNAPSHOT_EVERY: Final = 64


class Last(msgspec.Struct, frozen=True):
    """The last message of a device: what its next one must follow, its position, and that of the mark before it."""

    head: ChainHead
    pos: int
    mark: int


@dataclass(slots=True)
class Sphere:
    """One sphere as the writer sees it. ``chains``: last message by device; ``hold``: whose sends wait until when.

    ``turn``: until when commits of roles below a rank wait (COM-013).
    """

    n: int
    sph: str
    state: SphereState
    next_pos: int
    snap_seq: int
    digests: Digests
    chains: dict[str, Last | None] = field(default_factory=dict)
    hold: dict[str, float] = field(default_factory=dict)
    turn: tuple[int, float] | None = None
    dirty: bool = False


_WHERE: Final = select(schema.sphere.c.n, schema.sphere.c.head_seq, schema.sphere.c.next_pos).where(
    schema.sphere.c.sph == bindparam("sph")
)
_SPHERE: Final = Prepared(_WHERE, "sph")
_SPHERE_LOCKED: Final = Prepared(_WHERE.with_for_update(), "sph")
_CHAIN: Final = schema.chain.c
_LAST: Final = Prepared(
    select(_CHAIN.seq, _CHAIN.h, _CHAIN.ls, _CHAIN.pos, _CHAIN.mark).where(
        _CHAIN.sphere == bindparam("sphere"), _CHAIN.dv == bindparam("dv")
    ),
    "sphere",
    "dv",
)
_HEAD: Final = ("head_seq", "next_pos", "mode", "retention")
_MOVED: Final = Prepared(
    update(schema.sphere)
    .where(schema.sphere.c.n == bindparam("key"))
    .values({name: bindparam(name) for name in _HEAD}),
    *_HEAD,
    "key",
)


class SphereCache:
    """The writer's cache. Every method runs in the writer's thread."""

    def __init__(self, *, locking: bool) -> None:
        self._spheres: OrderedDict[str, Sphere] = OrderedDict()
        self._touched: dict[str, Sphere] = {}
        self._locking = locking

    def begin_batch(self) -> None:
        self._touched = {}

    def get(self, conn: Connection, sph: str) -> Sphere | None:
        """The sphere, its row locked until the commit, or None when there is none (STR-004)."""
        known = self._touched.get(sph)
        if known is not None:
            return known
        row = (_SPHERE_LOCKED if self._locking else _SPHERE).first(conn, (sph,))
        if row is None:
            return None
        n, head_seq, next_pos = row
        cached = self._spheres.get(sph)
        if cached is None or cached.next_pos != next_pos or cached.state.seq != head_seq:
            snap_seq, state = load_state(conn, n)
            cached = Sphere(n, sph, state, next_pos, snap_seq, load_digests(conn, n))
            self._spheres[sph] = cached
            if len(self._spheres) > MAX_CACHED:
                self._spheres.popitem(last=False)
        else:
            self._spheres.move_to_end(sph)
        self._touched[sph] = cached
        return cached

    def put(self, sphere: Sphere) -> None:
        """Add a sphere created in this batch."""
        self._spheres[sphere.sph] = sphere
        self._touched[sphere.sph] = sphere

    def last(self, conn: Connection, sphere: Sphere, dv: str) -> Last | None:
        """The last message of a device, None before its first (CHN-007)."""
        if dv in sphere.chains:
            return sphere.chains[dv]
        row = _LAST.first(conn, (sphere.n, dv))
        found = None
        if row is not None:
            seq, h, ls, pos, mark = row
            found = Last(ChainHead(seq, bytes(h), ls), pos, mark)
        sphere.chains[dv] = found
        return found

    def store_heads(self, conn: Connection) -> None:
        """Before the commit: write position and head of every sphere that changed."""
        for sphere in self._touched.values():
            if sphere.dirty:
                state = sphere.state
                retention = min(state.policy.retention, 2**31 - 1)  # the column's largest number of days
                _MOVED.run(conn, (state.seq, sphere.next_pos, state.mode, retention, sphere.n))
                if sphere.state.seq - sphere.snap_seq >= SNAPSHOT_EVERY:
                    sphere.snap_seq = sphere.state.seq
                    conn.execute(delete(schema.snapshot).where(schema.snapshot.c.sphere == sphere.n))
                    shortcut = {"sphere": sphere.n, "seq": sphere.snap_seq, "state": encode_state(sphere.state)}
                    conn.execute(insert(schema.snapshot), shortcut)
                sphere.dirty = False

    def forget_touched(self) -> None:
        """After an operation that failed half-way: read again what this batch has used, as its savepoint left it."""
        for sph in self._touched:
            self._spheres.pop(sph, None)
        self._touched = {}

    def drop_all(self) -> None:
        """After a failed commit nothing in memory is believed."""
        self._spheres.clear()
        self._touched = {}


class ChainHeads(Mapping[str, ChainHead]):
    """The stored chain heads of a sphere as the commit rules ask for them, read when needed."""

    def __init__(self, cache: SphereCache, conn: Connection, sphere: Sphere) -> None:
        self._cache, self._conn, self._sphere = cache, conn, sphere

    def __getitem__(self, dv: str) -> ChainHead:
        last = self._cache.last(self._conn, self._sphere, dv)
        if last is None:
            raise KeyError(dv)
        return last.head

    def __iter__(self) -> Iterator[str]:
        return iter(self._sphere.state.devices)

    def __len__(self) -> int:
        return len(self._sphere.state.devices)


def encode_state(state: SphereState) -> bytes:
    return msgspec.json.encode(states.dump(state))


def decode_state(data: bytes) -> SphereState | None:
    """A stored shortcut, or None when it was written by another version of the code."""
    try:
        return states.load(msgspec.json.decode(data))
    except (msgspec.MsgspecError, TypeError, ValueError, KeyError, IndexError):
        return None


def load_state(conn: Connection, n: int) -> tuple[int, SphereState]:
    """The state at the stored head: the shortcut, if it can be read, and the entries after it (API-052).

    With the position of the stored shortcut, -1 when there is none.
    """
    item, snap = schema.item.c, schema.snapshot.c
    row = conn.execute(select(snap.seq, snap.state).where(snap.sphere == n)).one_or_none()
    state = decode_state(bytes(row.state)) if row else None
    after = -1 if state is None else state.seq
    query = select(item.jws).where(item.sphere == n, schema.IS_ENTRY, item.seq > after)
    attached: dict[bytes, str] | None = None
    for (compact,) in conn.execute(query.order_by(item.seq)):
        one = entries.decode(compact)
        if state is None:
            state = machine.genesis(one)
            continue
        if attached is None:
            held = conn.execute(select(schema.attach.c.h, schema.attach.c.jws).where(schema.attach.c.sphere == n))
            attached = {bytes(h): jws for h, jws in held}
        state = machine.apply(state, one, attached)
    if state is None:
        raise Internal("a sphere without entries")
    return row.seq if row else -1, state


class Digests:
    """H(SI) of every entry of one sphere, 32 bytes each; follows the log."""

    def __init__(self, held: bytes = b"") -> None:
        self._held = bytearray(held)

    def digest(self, seq: int) -> bytes:
        """Raises Gap for a position that is not there."""
        found = bytes(self._held[32 * seq : 32 * seq + 32])
        if seq < 0 or len(found) != 32:
            raise Gap("log position not held")
        return found

    def append(self, digest: bytes) -> None:
        self._held += digest


def load_digests(conn: Connection, n: int) -> Digests:
    item = schema.item.c
    query = select(item.h).where(item.sphere == n, schema.IS_ENTRY).order_by(item.seq)
    return Digests(b"".join(bytes(h) for (h,) in conn.execute(query)))
