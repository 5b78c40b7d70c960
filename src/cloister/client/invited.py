"""Invitations between people who share a sphere already: sent as letters, kept until answered.

What arrives is a link like any other, sealed to this device; accepting it asks to join exactly as if it had been typed
in, with the same proof and the same check of the log. A letter invites, it admits nobody and shows nothing of the
sphere but what its sender calls it. Spec: INV-007, CLT-053.
"""

from __future__ import annotations

import json
from typing import Any, Final

from cloister import crypto
from cloister.client import joining, keys, memory, people, renewing
from cloister.client.context import Context
from cloister.client.events import Invited
from cloister.client.records import Invitation, Person
from cloister.client.replica import Replica
from cloister.errors import Forbidden, NotFound, UsageError
from cloister.protocol.encoding import b64e
from cloister.protocol.p2p import Letter
from cloister.protocol.state import Device, SphereState
from cloister.sphere import invitation
from cloister.sphere.invitation import Link
from cloister.sphere.share import Party

# Invitations kept at once, and of one sender; the oldest go.
KEPT: Final = 32
PER_SENDER: Final = 8
# Seconds after which a letter is not taken any more, and what was answered is forgotten.
LIFE: Final = 30 * 86400


def find(ctx: Context, name: str) -> Person:
    """Somebody of any of this account's spheres, by what ``people.find`` takes. Raises NotFound, UsageError."""
    rows: list[Person] = []
    for rep in _spheres(ctx):
        rows += [one for one in people.people(ctx.store, rep.known[0], ctx.id, past=False) if not one.me]
    return people.find(rows, name)


def whom(ctx: Context, state: SphereState, name: str) -> Person:
    """The person to send an invitation into the sphere ``state`` to. Raises NotFound, UsageError."""
    found = find(ctx, name)
    member = state.members.get(found.id)
    if member is not None and member.active:
        raise UsageError("this person is in the sphere already")
    if found.changed:
        raise UsageError("this person has a new identity: compare the digits first")
    ways(ctx, found.id)
    return found


def _spheres(ctx: Context) -> list[Replica]:
    reps = [ctx.replica(sph) for sph, note in ctx.store.rows("sphere") if note["status"] == "active"]
    return [rep for rep in reps if rep.state is not None]


def ways(ctx: Context, member: str) -> tuple[str, list[Device]]:
    """The common sphere in which this person has the most devices, and these; none that was seen as revoked anywhere
    (CLT-007). Raises NotFound without one."""
    gone = memory.revoked(ctx)

    def theirs(state: SphereState) -> list[Device]:
        return [d for d in state.active_devices() if d.owner == member and d.dv not in gone]

    found = [(rep.sph, theirs(rep.known[0])) for rep in _spheres(ctx)]
    found = sorted(((sph, devices) for sph, devices in found if devices), key=lambda one: (-len(one[1]), one[0]))
    if not found:
        raise NotFound("no sphere in common")
    return found[0]


async def send(ctx: Context, link: Link, member: str) -> int:
    """Send a link to every device of somebody known; returns how many. Raises NotFound, Unreachable, RelayError."""
    via, devices = ways(ctx, member)
    for device in devices:
        jti, me = ctx.rng(16), Party(ctx.id, ctx.dv)
        ct = b64e(invitation.seal(link, via, me, device, jti, ctx.rng))
        members = {"idR": member, "dvR": device.dv, "kem": device.kem, "ct": ct, "jti": b64e(jti)}
        await ctx.relay.post([device.dv], keys.letter(ctx, via, "invite", **members))
    return len(devices)


def take(ctx: Context, letter: Letter, sender: Device) -> None:
    """Keep the invitation in a letter whose signature was checked. Raises CheckFailed for one that is none for here."""
    now = ctx.now()
    if sender.owner == ctx.id or now - letter.iat > LIFE:
        return
    me, secrets = Party(ctx.id, ctx.dv), [own.de_seed for own in renewing.receiving(ctx)]
    author = Party(sender.owner, sender.dv)
    link = invitation.open(letter.body, letter.sph, letter.jti, author, me, ctx.keys.kem, secrets)
    name = "invited/" + b64e(crypto.sha256(f"{author.id}.{link.sph}.{b64e(link.jti)}".encode()))[:22]
    if link.origin != ctx.relay.origin or ctx.store.row("todo", name) is not None:
        return
    row = {"link": invitation.emit(link), "by": author.id, "via": letter.sph, "at": now}
    with ctx.store.step() as events:
        ctx.store.run("INSERT INTO todo VALUES (?, ?)", name, json.dumps(row))
        _prune(ctx, now)
        shown = next((one for one in waiting(ctx) if one.id == name.removeprefix("invited/")), None)
        if shown is not None:
            events.append(Invited("", shown))


def _prune(ctx: Context, now: int) -> None:
    rows: list[tuple[str, dict[str, Any]]] = ctx.store.rows("todo", "k LIKE 'invited/%'")
    open_ones = sorted((row["at"], name, row["by"]) for name, row in rows if row["link"])[::-1]
    of: dict[str, int] = {}
    gone = [name for name, row in rows if now - row["at"] > LIFE]
    for at, (_, name, by) in enumerate(open_ones):
        of[by] = of.get(by, 0) + 1
        if at >= KEPT or of[by] > PER_SENDER:
            gone.append(name)
    for name in gone:
        ctx.store.run("DELETE FROM todo WHERE k = ?", name)


def waiting(ctx: Context) -> list[Invitation]:
    """Invitations not answered yet, oldest first; none into a sphere this account is in or asks to join."""
    asked = {sph for sph, row in ctx.store.all("SELECT sph, data FROM request WHERE mine = 1")
             if json.loads(row)["state"] == "asked"}  # fmt: skip
    found = []
    for name, row in ctx.store.rows("todo", "k LIKE 'invited/%'"):
        if not row["link"] or ctx.now() - row["at"] > LIFE:
            continue
        link, note = invitation.parse(row["link"]), ctx.store.row("sphere", row["via"])
        target = ctx.store.row("sphere", link.sph)
        if link.sph in asked or (target is not None and target["status"] == "active"):
            continue
        state = ctx.replica(row["via"]).state if note is not None else None
        by = people.name_of(ctx.store, state, row["by"])
        label = people.clean(link.label)
        found.append(Invitation(name.removeprefix("invited/"), link.sph, label, row["by"], by, row["via"], row["at"]))
    return sorted(found, key=lambda one: (one.at, one.id))


def _row(ctx: Context, wanted: str) -> tuple[str, dict[str, Any]]:
    found = [one for one in waiting(ctx) if one.id.startswith(wanted)]
    if len(found) != 1:
        raise NotFound("no such invitation") if not found else UsageError("more than one invitation fits")
    row = ctx.store.row("todo", f"invited/{found[0].id}")
    assert row is not None
    return f"invited/{found[0].id}", row


def _answered(ctx: Context, name: str, row: dict[str, Any]) -> None:
    """The secret goes; that it was answered stays, so that the same letter again changes nothing."""
    ctx.store.run("UPDATE todo SET data = ? WHERE k = ?", json.dumps({**row, "link": ""}), name)


async def accept(ctx: Context, wanted: str) -> str:
    """Ask to join by an invitation that came; returns the request's hash. Raises NotFound, Forbidden when closed."""
    name, row = _row(ctx, wanted)
    try:
        h = await joining.ask(ctx, joining.parse_link(ctx.relay.origin, row["link"]))
    except Forbidden:
        _answered(ctx, name, row)
        raise
    _answered(ctx, name, row)
    return h


def decline(ctx: Context, wanted: str) -> None:
    """Forget an invitation; nobody is told. Raises NotFound."""
    _answered(ctx, *_row(ctx, wanted))
