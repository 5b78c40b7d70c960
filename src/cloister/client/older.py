"""Keys from before the history policy's reach: asked for by a person, handed on by a person.

Programs ask and answer by themselves only within the policy (``keys``). What lies beyond it is a wish: its letter looks
the same, but it goes to people who may say yes, waits there, and nothing is sent before one of them has said so.

Spec: CLT-041.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from cloister.client import keys, people
from cloister.client.context import Context
from cloister.client.events import Event, KeysWished
from cloister.client.records import KeyWish
from cloister.client.replica import Replica
from cloister.protocol.p2p import Letter
from cloister.protocol.state import Device, SphereState
from cloister.sphere.payload import MODERATORS

# Wishes kept at once, the last one of each device.
MAX_WISHES: Final = 64


def wanted(ctx: Context, rep: Replica) -> list[int]:
    """Epochs of rows that cannot be read here and that the policy does not give. Newest first."""
    if rep.state is None or rep.status != "active":
        return []
    given = keys.granted(rep, ctx.dv)
    return sorted((n for n in keys.unreadable(ctx, rep) if n not in rep.keys and n not in given), reverse=True)


def _answerers(ctx: Context, state: SphereState) -> list[Device]:
    """Who may say yes, own devices first: owners and admins, and for an own device its owner."""
    found = [d for d in state.active_devices() if d.dv != ctx.dv and _may(state, d.owner, ctx.id)]
    return sorted(found, key=lambda d: (d.owner != ctx.id, state.members[d.owner].role != "owner", d.since))


def _may(state: SphereState, member: str, asker: str) -> bool:
    """Whether a member may hand on what the policy does not give to devices of ``asker``."""
    return member == asker or (member in state.members and state.members[member].role in MODERATORS)


async def ask(ctx: Context, rep: Replica) -> list[str]:
    """Wish for every older key that is missing; returns the devices asked. Call on a person's word only."""
    ns, state = wanted(ctx, rep)[: keys.MAX_NS], rep.known[0]
    chosen = [one.dv for one in _answerers(ctx, state)][: keys.ASKED]
    if ns and chosen:
        await ctx.relay.post(chosen, keys.letter(ctx, rep.sph, "ask", ns=ns))
    return chosen if ns else []


def note(ctx: Context, rep: Replica, device: Device, asked: Letter, events: list[Event]) -> None:
    """Keep a wish for epochs beyond the policy that are here, and tell of it; inside a step. A letter that is shown
    again after it was answered, or an earlier one, is none."""
    state, iat = rep.known[0], asked.iat
    given = keys.granted(rep, device.dv)
    beyond = sorted({n for n in asked.body["ns"] if n not in given and n in rep.keys})
    if not beyond or state.delivery == "live" or not _may(state, ctx.id, device.owner):
        return
    kept: dict[str, Any] = rep.note.setdefault("wishes", {})
    if iat <= rep.note.get("answered", {}).get(device.dv, -1) or iat < kept.get(device.dv, {"iat": 0})["iat"]:
        return
    known = kept.pop(device.dv, None)
    kept[device.dv] = {"ns": beyond, "at": ctx.now(), "iat": iat}
    while len(kept) > MAX_WISHES:
        del kept[next(iter(kept))]
    rep.save_note(ctx.store)
    if known is None or known["ns"] != beyond:
        name = people.name_of(ctx.store, state, device.owner)
        events.append(KeysWished(rep.sph, device.owner, name, tuple(beyond)))


def wishes(ctx: Context, rep: Replica) -> list[KeyWish]:
    """Wishes that wait for this person's yes, oldest first; one for each member."""
    found: dict[str, KeyWish] = {}
    for dv, row in rep.note.get("wishes", {}).items():
        device = rep.known[0].devices.get(dv)
        if device is None or not device.active or not _may(rep.known[0], ctx.id, device.owner):
            continue
        before = found.get(device.owner)
        ns = tuple(sorted({*row["ns"], *(before.ns if before else ())}))
        name = people.name_of(ctx.store, rep.known[0], device.owner)
        found[device.owner] = KeyWish(rep.sph, device.owner, name, ns, row["at"])
    return sorted(found.values(), key=lambda one: one.at)


async def give(ctx: Context, rep: Replica, member: str, ns: Sequence[int]) -> int:
    """A person's yes to the keys ``ns``, as they were shown: hand those to that member's devices that asked for them;
    what was asked besides waits on. Returns how many keys went. Raises the sphere's stop, and StaleHead while an entry
    may be missing here: the wish stays then."""
    keys.require_shown(ctx, rep, member)
    sent = 0
    for dv, row in dict(rep.note.get("wishes", {})).items():
        device = rep.known[0].devices.get(dv)
        if device is None or device.owner != member or not _may(rep.known[0], ctx.id, member):
            continue
        if device.active:
            sent += await keys.hand_on(ctx, rep, device, [n for n in row["ns"] if n in ns], agreed=True)
        _answered(ctx, rep, dv, [n for n in row["ns"] if n not in ns])
    return sent


def decline(ctx: Context, rep: Replica, member: str) -> None:
    """Forget what a member wished for; nothing is sent."""
    for dv in list(rep.note.get("wishes", {})):
        device = rep.known[0].devices.get(dv)
        if device is None or device.owner == member:
            _answered(ctx, rep, dv, [])


def _answered(ctx: Context, rep: Replica, dv: str, rest: Sequence[int]) -> None:
    """The wish of one device is answered but for ``rest``. Once all of it is, that letter and earlier ones are nothing
    to be asked about any more."""
    with ctx.store.step():
        wish = rep.note["wishes"].pop(dv)
        if rest:
            rep.note["wishes"][dv] = {**wish, "ns": list(rest)}
        else:
            active = {one.dv for one in rep.known[0].active_devices()}
            known = {**rep.note.get("answered", {}), dv: wish["iat"]}
            rep.note["answered"] = {one: iat for one, iat in known.items() if one in active}
        rep.save_note(ctx.store)
