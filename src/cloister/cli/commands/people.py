"""``people …``, ``invite``, ``invites`` and ``withdraw``."""

from __future__ import annotations

import sys

from cloister.cli import shown
from cloister.cli.faults import NOT_FOUND, Refused
from cloister.cli.output import say
from cloister.cli.shell import Shell, opened
from cloister.cli.traffic import catch_up

ROLES = ("owner", "admin", "member", "guest")


async def invite(shell: Shell, name: str, uses: int, life: str, role: str, auto: bool, qr: bool) -> None:
    """Make an invitation link."""
    seconds = shown.span(life)
    if role not in ROLES[1:]:
        raise Refused("choice", flag="--role", allowed="member, guest, admin")
    async with opened(shell) as client:
        await catch_up(shell, client, must=True)
        sphere = client.sphere(name)
        if shell.would("would.invite", title=sphere.info.title, uses=uses):
            return
        made = await sphere.invite(uses, seconds, role, "auto" if auto else "ask")
    how = say("invite.once") if uses == 1 else say("invite.times", count=uses)
    works = say("result.invite", how=how, until=shown.until(made.exp))
    if shell.out.json:
        shell.out.result(shown.record(made))
        return
    if sys.stdout.isatty() and not shell.flags.plain:
        shell.out.result({}, f"{made.url}   {works}")
    else:
        # A pipe or a file gets the link and nothing else.
        shell.out.result({}, made.url)
        shell.out.note(works[:1].upper() + works[1:])
    if auto:
        shell.out.note(say("note.invite-auto"))
    if qr:
        _qr(shell, made.url)


def _qr(shell: Shell, url: str) -> None:
    import segno

    if shell.flags.plain:
        shell.out.note(say("note.qr-plain"))
        return
    segno.make(url, error="l", micro=False).terminal(out=sys.stderr, compact=True)


async def invites(shell: Shell, name: str) -> None:
    """Open invitations."""
    async with opened(shell) as client:
        await catch_up(shell, client)
        sphere = client.sphere(name)
        found = sphere.invites()
        names = {one.id: one.name for one in sphere.people(past=True)}
    table = [
        [
            one.jti[:8],
            one.role,
            say("invites.left", count=one.uses_left),
            say("invites.until", until=shown.until(one.exp)),
            shell.out.name(say("invites.by", name=names.get(one.by, "?"))),
            say("invites.auto") if one.admit == "auto" else "",
        ]
        for one in found
    ]
    shell.out.rows("invites", [shown.record(one) for one in found], table, say("empty.invites"))


async def withdraw(shell: Shell, name: str, invitation: str) -> None:
    """Close an invitation."""
    async with opened(shell) as client:
        await catch_up(shell, client)
        sphere = client.sphere(name)
        if shell.would("would.withdraw", title=sphere.info.title):
            return
        await sphere.withdraw(invitation)
    shell.out.result({"invite": invitation}, say("result.withdrawn"))


async def ls(shell: Shell, name: str, past: bool) -> None:
    """Members and how each is known."""
    async with opened(shell) as client:
        await catch_up(shell, client)
        sphere = client.sphere(name)
        found = sphere.people(past=past)
        asks = sphere.info.requests
    same = {one.name for one in found if sum(other.name == one.name for other in found) > 1}
    table = []
    for one in found:
        known = say("known.you") if one.me else say("known." + one.known.replace(" ", "-"))
        if one.changed:
            known = say("known.changed")
        label = one.name if one.name not in same else f"{one.name} ({shown.short(one.id)})"
        table.append([shell.out.name(label), one.role, known])
    shell.out.rows("people", [shown.record(one) for one in found], table, "")
    if asks:
        shell.out.note(say("note.requests", count=asks, sphere=name))


async def role(shell: Shell, name: str, person: str, wanted: str) -> None:
    """Change a role."""
    if wanted not in ROLES:
        raise Refused("choice", flag="ROLE", allowed=", ".join(ROLES))
    async with opened(shell) as client:
        await catch_up(shell, client)
        sphere = client.sphere(name)
        who = sphere.person(person)
        if shell.would("would.role", name=who.name, role=wanted):
            return
        await sphere.set_role(who, wanted)
    shell.out.result({"person": who.id, "role": wanted}, say("result.role", name=who.name, role=wanted))


async def remove(shell: Shell, name: str, person: str, ban: bool) -> None:
    """Remove somebody, with a new key in the same act."""
    async with opened(shell) as client:
        await catch_up(shell, client)
        sphere = client.sphere(name)
        who, info = sphere.person(person), sphere.info
        if who.me:
            raise Refused("remove-yourself", sphere=name)
        if who.role in ("none", "banned") or who.id not in {one.id for one in sphere.people()}:
            raise Refused("not-a-member", NOT_FOUND, name=who.name, title=info.title)
        if shell.would("would.remove", name=who.name, title=info.title):
            return
        shell.secrets.agree_by_name(info.title, "ask.remove", who=who.name)
        await sphere.remove(who, ban=ban)
        n = sphere.info.epoch
    text = (
        say("result.removed", name=who.name, n=n) if info.mode == "e2ee" else say("result.removed-open", name=who.name)
    )
    shell.out.result({"person": who.id, "removed": True, "banned": ban, "key": n}, text)


async def petname(shell: Shell, name: str, person: str, wanted: str) -> None:
    """Name somebody for yourself."""
    async with opened(shell) as client:
        sphere = client.sphere(name)
        who = sphere.person(person)
        await sphere.set_petname(who, wanted)
        await catch_up(shell, client)
        after = sphere.person(who.id)
    shell.out.result(shown.record(after), say("result.petname", login=who.login, name=after.name))
