"""Spheres of an organisation: their keys come from the organisation's, not from shares.

An organisation is a sphere whose epoch secrets others derive theirs from. Whoever was in it when its key m was made can
derive every key that names m, also somebody who was removed from the sphere alone: that is the price, and it is said
beside the sphere. So the sphere follows the organisation: a new key there brings a new one here before the next word.

Knows both logs; asks nobody. Spec: EPO-004, CLT-062.
"""

from __future__ import annotations

from cloister.client import expiry
from cloister.client.context import Context
from cloister.client.replica import Replica
from cloister.errors import CheckFailed, NotFound, UsageError
from cloister.sphere import epoch
from cloister.sphere.epoch import EpochKey


def of(ctx: Context, rep: Replica) -> Replica | None:
    """The organisation of a sphere, if it has one and this device knows its log."""
    if rep.state is None or not rep.state.org:
        return None
    try:
        found = ctx.replica(rep.state.org)
    except NotFound:
        return None
    return found if found.state is not None and found.state.kind == "org" else None


def key(ctx: Context, rep: Replica) -> EpochKey | None:
    """What the next key of a sphere is derived from: the organisation's running one, if it is here."""
    org = of(ctx, rep)
    return org.sending_key if org is not None else None


def require_key(ctx: Context, sph: str) -> EpochKey:
    """The running key of an organisation one wants to make a sphere of. Raises NotFound, UsageError."""
    org = ctx.replica(sph)
    if org.state is None or org.state.kind != "org" or org.status != "active":
        raise UsageError("that is not an organisation this account is in")
    if org.sending_key is None:
        raise UsageError("the organisation's key is not here yet")
    return org.sending_key


def derived(ctx: Context, rep: Replica) -> list[EpochKey]:
    """Keys of a sphere that are not here and can be derived now. What they need of the organisation's keys is noted
    there, so that they are asked for (CLT-017)."""
    org = of(ctx, rep)
    if org is None:
        return []
    found: list[EpochKey] = []
    lacking: set[int] = set()
    for one in rep.known[1].epochs():
        if one.n in rep.keys or one.n <= expiry.shredded(rep) or one.m is None:
            continue
        root = org.keys.get(one.m)
        if root is None:
            lacking.add(one.m)
            continue
        try:
            made = epoch.derive_org(root, one.prev, rep.sph, one.n)
            found.append(epoch.check(made.secret, one, rep.sph))
        except CheckFailed:
            continue  # its author derived it otherwise, so nobody has it: the next one is made anew
    if lacking != set(org.note.get("lacking", {}).get(rep.sph, [])):
        with ctx.store.step():
            org.note["lacking"] = {**org.note.get("lacking", {}), rep.sph: sorted(lacking)}
            org.save_note(ctx.store)
    return found


def lacking(rep: Replica) -> set[int]:
    """Keys of an organisation that its spheres need on this device."""
    return {n for ns in rep.note.get("lacking", {}).values() for n in ns}


def beyond(org: Replica, rep: Replica) -> bool:
    """Whether a sphere's running epoch names a key that the organisation's log does not have, as far as it was read."""
    running = rep.state.epoch if rep.state is not None else None
    return running is not None and running.m is not None and running.m > org.known[0].ep


def doubted(org: Replica, rep: Replica) -> bool:
    """Whether such an epoch was not answered yet: the relay may hide a part of the organisation's log, or a member may
    have named a key that does not exist. A new key that the relay takes at the end of that log tells (CLT-062)."""
    return beyond(org, rep) and rep.note.get("beyond") != rep.known[0].ep


def answered(ctx: Context, rep: Replica) -> None:
    """The organisation has a new key since a sphere's running epoch named one that it does not have."""
    with ctx.store.step():
        rep.note["beyond"] = rep.known[0].ep
        rep.save_note(ctx.store)


def behind(ctx: Context, rep: Replica) -> bool:
    """Whether the organisation has a newer key than the one a sphere's running key comes from, here or not, or the
    running key is one that nobody can derive: its author made it otherwise, or from a key that does not exist."""
    org, running = of(ctx, rep), rep.state.epoch if rep.state is not None else None
    if org is None or org.state is None or running is None or running.m is None:
        return False
    if beyond(org, rep):
        return not doubted(org, rep)
    return running.m < org.state.ep or (running.m in org.keys and rep.sending_key is None)


def require_member(ctx: Context, rep: Replica, member: str) -> None:
    """Nobody is let into a sphere whose key they cannot derive. Raises UsageError."""
    org = of(ctx, rep)
    if org is None or org.state is None:
        return
    found = org.state.members.get(member)
    if found is None or not found.active:
        raise UsageError("they are not in the organisation whose key this sphere uses: let them in there first")
