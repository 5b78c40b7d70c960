"""Shares that came before the log reached them, kept until it does, and shares that prove who lied.

Anybody whom the relay lets, and the relay itself, can write shares of epochs that never come: what is kept has bounds
and an end, and is looked at again only when the log has grown. What is dropped is asked for like any missing key.
Spec: CLT-017.
"""

from __future__ import annotations

import json
from typing import Any, Final

from cloister.client.context import Context
from cloister.errors import CloisterError
from cloister.protocol.encoding import b64e
from cloister.protocol.p2p import Letter

# Shares of one device, and of one sphere, that wait at once; a further one is dropped.
PER_SENDER: Final = 64
PER_SPHERE: Final = 2048
# Seconds after which one that still waits is dropped.
LIFE: Final = 30 * 86400
# Wrong shares of one device that are kept as evidence.
EVIDENCE: Final = 16

Rows = list[tuple[str, dict[str, Any]]]


def put(ctx: Context, letter: Letter, seq: int) -> None:
    """Keep a share that the log up to ``seq`` (-1: none) cannot judge."""
    here = f"letter/{letter.sph}/"
    name = f"{here}{letter.kid}/{b64e(letter.envelope.digest)}"
    if _count(ctx, here) >= PER_SPHERE or _count(ctx, f"{here}{letter.kid}/") >= PER_SENDER:
        return
    row = {"jws": letter.envelope.compact, "at": ctx.now(), "seq": seq}
    ctx.store.run("INSERT OR IGNORE INTO todo VALUES (?, ?)", name, json.dumps(row))


def _count(ctx: Context, prefix: str) -> int:
    row = ctx.store.one("SELECT COUNT(*) FROM todo WHERE k >= ? AND k < ?", prefix, prefix + "~")
    return int(row[0]) if row is not None else 0


def by_sphere(ctx: Context) -> dict[str, Rows]:
    """What waits, by sphere; what has waited too long is dropped."""
    found: dict[str, Rows] = {}
    for name, row in ctx.store.rows("todo", "k LIKE 'letter/%'"):
        if ctx.now() - row.get("at", 0) > LIFE:
            drop(ctx, name)
        else:
            found.setdefault(name.split("/")[1], []).append((name, row))
    return found


def judged(ctx: Context, name: str, row: dict[str, Any], seq: int) -> None:
    """The log up to ``seq`` does not reach it either."""
    ctx.store.run("UPDATE todo SET data = ? WHERE k = ?", json.dumps({**row, "seq": seq}), name)


def drop(ctx: Context, name: str) -> None:
    """It was taken, or has failed its check."""
    ctx.store.run("DELETE FROM todo WHERE k = ?", name)


def evidence(ctx: Context, letter: Letter, error: CloisterError) -> None:
    """A signed share that holds another secret than its epoch's is kept: its author cannot deny it (SHR-006)."""
    if error.code != "C_KC_MISMATCH" or _count(ctx, f"evidence/{letter.kid}/") >= EVIDENCE:
        return
    row = json.dumps({"jws": letter.envelope.compact, "code": error.code, "sph": letter.sph})
    name = f"evidence/{letter.kid}/{b64e(letter.envelope.digest)}"
    ctx.store.run("INSERT OR IGNORE INTO todo VALUES (?, ?)", name, row)
