"""The keys of a sphere one by one: made by whom, here or not, and who could supply one that is missing.

Says what the log and this device's own notes show; that somebody still has a key is likely, not known.

Spec: CLT-017, CLT-043.
"""

from __future__ import annotations

from cloister.client import keys, people
from cloister.client.context import Context
from cloister.client.records import KeyRow
from cloister.client.replica import Replica
from cloister.errors import CheckFailed
from cloister.protocol import p2p


def rows(ctx: Context, rep: Replica) -> list[KeyRow]:
    """One row for each epoch of the log, oldest first."""
    history, state = rep.known[1], rep.known[0]
    given, asked = keys.granted(rep, ctx.dv), rep.note.get("asked", {})
    found = []
    for one in history.epochs():
        here = one.n in rep.keys
        by = people.name_of(ctx.store, state, history.owner_of(one.by))
        at = int(asked.get(str(one.n), {}).get("at", 0))
        found.append(
            KeyRow(one.n, one.iat, by, here, one.n in given, () if here else names(ctx, rep, one.n), 0 if here else at)
        )
    return found


def names(ctx: Context, rep: Replica, n: int) -> tuple[str, ...]:
    """Members who were in when epoch ``n`` began and are still, its author first: they can supply its key."""
    state, history = rep.known
    began = history.epoch(n)
    author = history.owner_of(began.by)
    members = {d.owner for d in state.active_devices() if d.dv != ctx.dv}
    held = [m for m in members if history.role_at(m, began.seq) not in ("none", "banned")]
    order = sorted(held, key=lambda m: (m != ctx.id, m != author, people.name_of(ctx.store, state, m)))
    return tuple(people.name_of(ctx.store, state, m) for m in order)


def wrong(ctx: Context, rep: Replica) -> list[tuple[str, int]]:
    """(name, n) of signed shares that held another secret than epoch n's: kept here as proof (CLT-017)."""
    found = set()
    for compact in wrong_shares(ctx, rep):
        letter = p2p.decode(compact)
        owner = rep.known[1].owner_of(letter.kid)
        found.add((people.name_of(ctx.store, rep.state, owner), int(letter.body["n"])))
    return sorted(found, key=lambda one: (one[1], one[0]))


def wrong_shares(ctx: Context, rep: Replica) -> list[str]:
    """Those shares as they came, of devices that the log knows (CLT-017)."""
    found = []
    for _, row in ctx.store.rows("todo", "k LIKE 'evidence/%'"):
        if row.get("sph") != rep.sph or "jws" not in row:  # other evidence is about messages (CLT-037)
            continue
        try:
            rep.known[1].owner_of(p2p.decode(row["jws"]).kid)
        except CheckFailed:
            continue
        found.append(row["jws"])
    return sorted(found)
