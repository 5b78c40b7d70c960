"""Retention on this device: what a sphere's policy lets go is emptied here as well, and the keys of dead epochs die.

Of an expired message only its place and hash stay, so that its chain has no hole. An epoch whose every message has
expired needs no key: a copy of its ciphertext that somebody kept opens with nothing of this device any more.

Spec: CLT-039.
"""

from __future__ import annotations

from typing import Final

from cloister.client.context import Context
from cloister.client.replica import Replica

DAY: Final = 86400
# Seconds between two looks through the messages of a sphere.
EVERY: Final = 3600
CODE: Final = "C_EXPIRED"


def sweep(ctx: Context, rep: Replica) -> int:
    """Empty what has expired; returns how many messages. One step, at most once an hour."""
    days, now = rep.known[0].policy.retention, ctx.now()
    if not days or abs(now - int(rep.note.get("swept", 0))) < EVERY:
        return 0
    oldest = now - days * DAY
    dead = _dead(ctx, rep, oldest)
    with ctx.store.step():
        count = ctx.store.run(
            "UPDATE message SET state = 'hidden', code = ?, cid = '', kind = '', re = '', body = '{}', jws = ''"
            " WHERE sph = ? AND (at < ? OR (ep > 0 AND ep <= ?)) AND code <> ?", CODE, rep.sph, oldest, dead, CODE,
        )  # fmt: skip
        if dead > shredded(rep):
            ctx.store.run("DELETE FROM epoch_key WHERE sph = ? AND n <= ?", rep.sph, dead)
            for kind in ("slot", "kept"):
                before = f"{kind}/e.{rep.sph}."
                ctx.store.run("DELETE FROM todo WHERE k LIKE ? AND CAST(substr(k, ?) AS INTEGER) <= ?",
                              f"{before}%", len(before) + 1, dead)  # fmt: skip
            rep.keys = {n: key for n, key in rep.keys.items() if n > dead}
            rep.note["shredded"] = dead
        rep.note["swept"] = now
        rep.save_note(ctx.store)
    return count


def shredded(rep: Replica) -> int:
    """The last epoch whose key was given up here; neither it nor one before it is taken again."""
    return int(rep.note.get("shredded", 0))


def _dead(ctx: Context, rep: Replica, oldest: int) -> int:
    """The last epoch all of whose messages have expired: the next one began, and was seen here, before ``oldest``.

    Never one that the title in force needs."""
    state, history = rep.known
    last = shredded(rep)
    for one in history.epochs():
        seen = ctx.store.one("SELECT seen FROM entry WHERE sph = ? AND seq = ?", rep.sph, one.seq)
        if one.n - 1 <= last or seen is None:
            continue
        if max(one.iat, int(seen[0])) >= oldest:
            break
        last = one.n - 1
    return min(last, state.meta.ep - 1) if state.meta is not None and state.meta.ep else last
