"""What a verified entry means to this device: notes, pins, marks and the events that tell of it.

Runs inside the step that stores the entry. Reads the state before and after; verifies nothing again.

Spec: CLT-009, CLT-022, CLT-037, CLT-042.
"""

from __future__ import annotations

from typing import Final

from cloister.client import heads, people, stops
from cloister.client.context import Context
from cloister.client.events import (
    DeviceChanged,
    Event,
    IdentityChanged,
    MemberAdded,
    MemberRemoved,
    ModeChanged,
    NewKey,
    Removed,
    RoleChanged,
    SphereChanged,
)
from cloister.client.replica import Replica
from cloister.protocol.encoding import b64e
from cloister.protocol.entry import Entry
from cloister.protocol.state import SphereState


def entry(ctx: Context, rep: Replica, before: SphereState | None, one: Entry, events: list[Event]) -> None:
    """Take note of ``one``; ``rep`` already holds the state after it."""
    state = rep.known[0]
    change = state.change
    who = ctx_name(ctx, state, state.devices[change.by].owner)
    if change.op in ("create", "add", "identity"):
        _meet(ctx, rep, state, change.target or state.devices[change.by].owner, bool(change.jti), events)
    if change.hard and change.op not in ("create", "mode"):
        rep.note["why"] = {"op": change.op, "who": ctx_name(ctx, state, change.target) if change.target else who}
    if change.op == "add":
        name = ctx_name(ctx, state, change.target)
        events.append(MemberAdded(rep.sph, change.target, name, who, bool(change.jti)))
        if change.target == ctx.id and before is not None and ctx.id not in before.members:
            accept(rep, state.mode)  # who comes in for the first time has seen no stronger mode
        if change.target == ctx.id and rep.note["status"] in ("asked", "removed", "left"):
            rep.note["status"] = "active"
        ctx.store.run("DELETE FROM request WHERE h = ? AND mine = 0", b64e(change.join))
    elif change.op in ("remove", "leave"):
        _gone(ctx, rep, state, who, events)
    elif change.op == "role":
        name, role = ctx_name(ctx, state, change.target), state.members[change.target].role
        events.append(RoleChanged(rep.sph, change.target, name, role, who))
    elif change.op.startswith("device "):
        _device(ctx, rep, state, events)
    elif change.op == "epoch" and state.epoch is not None:
        why = rep.note.pop("why", {})
        rep.note.setdefault("began", {})[str(state.ep)] = min(state.epoch.iat, ctx.now())
        rep.note["began_here"] = {"n": state.ep, "at": int(ctx.clock())}
        rep.note["count"] = 0
        events.append(NewKey(rep.sph, state.ep, who, _why(why), state.ep in rep.keys))
    elif change.op == "checkpoint":
        heads.take(rep, one)
    elif change.op == "mode" and before is not None:
        events.append(_mode(rep, before.mode, state.mode, who, one.iat))
    elif change.op in ("delivery", "custody", "policy", "meta", "invite", "revoke-invite"):
        events.append(SphereChanged(rep.sph, change.op, who))


# How much a mode keeps from the relay: texts written under a stronger one are not sent under a weaker one unasked.
MODES: Final = {"e2ee": 2, "open": 1, "public": 0}


def _mode(rep: Replica, before: str, now: str, who: str, at: int) -> ModeChanged:
    """Until a weaker mode was answered for, a person counts as knowing the stronger one (CLT-016, CLT-042)."""
    known, note = rep.note.get("mode_seen", before), rep.note
    if MODES[now] < MODES[known]:
        note["mode_seen"], note["switched"] = known, {"mode": now, "by": who, "at": at}
    else:
        accept(rep, now)
    if before == "e2ee":
        note["clear_since"] = at
    return ModeChanged(rep.sph, now, who, at, note.pop("clear_since", 0) if now == "e2ee" else 0)


def seen(rep: Replica) -> str:
    """The mode this person knows of: a stronger one than the sphere's while a switch waits for an answer."""
    return str(rep.note.get("mode_seen", rep.known[0].mode))


def accept(rep: Replica, mode: str) -> bool:
    """The person knows of ``mode``; a switch to a weaker one than that still waits for an answer (CLT-042).

    The caller saves the notes; False when there was nothing to know.
    """
    if "mode_seen" not in rep.note:
        return False
    if MODES[mode] <= MODES[rep.known[0].mode]:
        del rep.note["mode_seen"], rep.note["switched"]
    elif MODES[mode] < MODES[rep.note["mode_seen"]]:
        rep.note["mode_seen"] = mode
    return True


def ctx_name(ctx: Context, state: SphereState, id: str) -> str:  # noqa: A002 - the spec's word
    """The name to show for a member."""
    return people.name_of(ctx.store, state, id)


def _why(why: dict[str, str]) -> str:
    said = {"remove": "{} was removed", "leave": "{} left", "device revoke": "a device of {} was removed",
            "identity": "{} has a new identity", "mark": "{} asked for it"}  # fmt: skip
    return said[why["op"]].format(why["who"]) if why.get("op") in said else ""


def _meet(ctx: Context, rep: Replica, state: SphereState, member: str, by_link: bool, events: list[Event]) -> None:
    if member == ctx.id:
        return
    changed = people.meet(ctx.store, state.members[member], by_link=by_link)
    if changed is None:
        return
    name, confirmed = ctx_name(ctx, state, member), bool(people.pin(ctx.store, member).get("was"))
    events.append(IdentityChanged(rep.sph, member, name, confirmed))
    if confirmed:
        evidence = {"id": member, "what": changed}
        stops.raise_now(ctx, rep, "C_KEY_CHANGED", f"{name}: {changed}", evidence, events)


def _gone(ctx: Context, rep: Replica, state: SphereState, who: str, events: list[Event]) -> None:
    target, left = state.change.target, state.change.op == "leave"
    name, banned = ctx_name(ctx, state, target), state.members[target].role == "banned"
    if target == ctx.id:
        rep.note["status"] = "closed" if state.closed else ("left" if left else "removed")
        events.append(Removed(rep.sph, who))
        ctx.store.put("state_dirty", True)
    else:
        events.append(MemberRemoved(rep.sph, target, name, who, left, banned))
        ctx.store.put("state_dirty", True)  # a device made later must not be shown the log from before (CLT-029)


def _device(ctx: Context, rep: Replica, state: SphereState, events: list[Event]) -> None:
    change, what = state.change, state.change.op.partition(" ")[2]
    dv = (change.on or change.off or (change.by,))[0]
    name = ctx_name(ctx, state, change.target)
    events.append(DeviceChanged(rep.sph, change.target, name, dv, what))
    if what == "revoke":
        # Revoked anywhere is revoked everywhere (CLT-007): the owner's other devices carry it on at the next sync.
        gone = ctx.store.get("revoked", [])
        if dv not in gone:
            ctx.store.put("revoked", [*gone, dv])
    if what == "add" and change.target == ctx.id and dv != ctx.dv:
        rep.note["welcome"] = sorted({*rep.note.get("welcome", []), dv})
