"""Sphere states in memory: loaded from the stored log, replaced only by what was committed.

The writer's thread owns the mutable rows (next position, chain heads); the loop's thread reads ``published``
states, which are immutable and set after the commit. A state is a shortcut for replaying the stored entries:
dropping it loses nothing.

Spec: STR-004, API-052.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

import msgspec
from sqlalchemy import Connection, select, update

from cloister.protocol import entry as entries
from cloister.protocol import machine
from cloister.protocol.encoding import b64e
from cloister.protocol.state import SphereState
from cloister.server import schema

# Spheres kept in memory; the least recently used one is read again when needed.
MAX_CACHED: Final = 2048
# Entries after which the stored shortcut is renewed.
SNAPSHOT_EVERY: Final = 64


@dataclass(slots=True)
class Sphere:
    """One sphere as the writer sees it. ``heads`` maps a device to (seq, H) of its last message."""

    n: int
    sph: str
    state: SphereState
    next_pos: int
    snap_seq: int
    heads: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    dirty: bool = False


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
        query = select(schema.sphere).where(schema.sphere.c.sph == sph)
        row = conn.execute(query.with_for_update() if self._locking else query).one_or_none()
        if row is None:
            return None
        cached = self._spheres.get(sph)
        if cached is None or cached.next_pos != row.next_pos or cached.state.seq != row.head_seq:
            cached = Sphere(row.n, sph, load_state(conn, row), row.next_pos, row.snap_seq)
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

    def head(self, conn: Connection, sphere: Sphere, dv: str) -> tuple[int, bytes] | None:
        """(seq, H) of a device's last message, None before its first."""
        known = sphere.heads.get(dv)
        if known is None:
            item = schema.item.c
            row = conn.execute(
                select(item.seq, item.h)
                .where(item.sphere == sphere.n, item.kind == schema.MESSAGE, item.dv == dv)
                .order_by(item.seq.desc())
                .limit(1)
            ).one_or_none()
            if row is None:
                return None
            known = sphere.heads[dv] = (row.seq, row.h)
        return known

    def store_heads(self, conn: Connection) -> None:
        """Before the commit: write position and head of every sphere that changed."""
        for sphere in self._touched.values():
            if sphere.dirty:
                values = {
                    "next_pos": sphere.next_pos,
                    "head_seq": sphere.state.seq,
                    "mode": sphere.state.mode,
                }
                if sphere.state.seq - sphere.snap_seq >= SNAPSHOT_EVERY:
                    values["snap"] = encode_state(sphere.state)
                    values["snap_seq"] = sphere.snap_seq = sphere.state.seq
                conn.execute(update(schema.sphere).where(schema.sphere.c.n == sphere.n).values(**values))
                sphere.dirty = False

    def drop_all(self) -> None:
        """After a failed commit nothing in memory is believed."""
        self._spheres.clear()
        self._touched = {}


def encode_state(state: SphereState) -> bytes:
    return msgspec.msgpack.encode(state)


def decode_state(data: bytes) -> SphereState | None:
    """A stored shortcut, or None when it was written by another version of the code."""
    try:
        return msgspec.msgpack.decode(data, type=SphereState)
    except (msgspec.MsgspecError, TypeError, ValueError):
        return None
