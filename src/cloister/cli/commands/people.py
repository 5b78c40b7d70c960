"""invite, join, approve, people: who is in and how they came."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from typing import TYPE_CHECKING, Any

from cloister.cli import times
from cloister.cli.commands.accounts import device_name, sign_up
from cloister.cli.escape import escape
from cloister.cli.faults import LOCKED, NOT_FOUND, USAGE, Refused
from cloister.cli.output import say
from cloister.cli.shell import DEFAULT_SERVER, Shell, opened, profile, synced, unlock
from cloister.errors import CheckFailed, Forbidden

if TYPE_CHECKING:
    from cloister.client import Client, Sphere
    from cloister.client.records import Pending, Request

# How often a waiting joiner looks, in seconds: soon at first, then at leisure.
_FIRST_LOOK, _LAST_LOOK = 0.5, 5.0


async def invite(
    shell: Shell, name: str, uses: int, for_: str, role: str, auto: bool, qr: bool, ls: bool, withdraw: str
) -> None:
    """Make, list or withdraw invitations."""
    seconds = times.span(for_, least=60)
    if role not in ("member", "guest", "admin"):
        raise Refused("one-of", USAGE, flag="--role", allowed="member, guest, admin")
    async with opened(shell) as client:
        await synced(shell, client)
        sphere = client.sphere(name)
        title = sphere.info.title
        if ls:
            _list(shell, sphere)
            return
        if withdraw:
            if shell.would("would.withdraw", id=withdraw):
                return
            await sphere.withdraw(withdraw)
            shell.out.result({"withdrawn": withdraw}, say("done.withdrawn"))
            return
        if shell.would("would.invite", title=title, uses=uses, until=for_):
            return
        made = await sphere.invite(uses, seconds, role, "auto" if auto else "ask")
        told = say("note.invite-once" if uses == 1 else "note.invite-many", uses=uses, until=times.until(made.exp))
        out = shell.out
        if out.json:
            out.result(dataclasses.asdict(made))
        elif sys.stdout.isatty() and sys.stderr.isatty() and not shell.flags.quiet:
            sys.stdout.write(f"{made.url}   ")
            sys.stdout.flush()
            out.note(told)
        else:
            out.result({}, made.url)
            out.note(told)
        if qr:
            out.picture(made.url)
            out.note(say("note.qr"))


def _list(shell: Shell, sphere: Sphere) -> None:
    found = sphere.invites()
    table = [
        (one.jti[:6], say("count.uses", n=one.uses_left), one.role, times.until(one.exp), say(f"admit.{one.admit}"))
        for one in found
    ]
    shell.out.rows("invites", [dataclasses.asdict(one) for one in found], table, say("empty.invites"))


# --- joining ------------------------------------------------------------------------------------------------------


def _origin(link: str) -> str:
    """The server a link belongs to; empty for a bare fragment."""
    place, mark, _ = link.strip().partition("#")
    return place[:-2] if mark and place.endswith(("/j", "/p")) else ""


async def join(shell: Shell, source: str, login: str, *, wait: bool, device: str, rsa: bool) -> None:
    """Ask to be let in and wait for the answer."""
    if source not in ("", "-"):
        raise Refused("link-in-argv", USAGE)
    have = (shell.flags.profile_path / "vault.json").exists()
    if have:
        async with opened(shell) as client:
            await _join_with(shell, client, source, wait=wait)
        return
    link = _link(shell, source)
    origin = _origin(link)
    if shell.would("would.join"):
        return
    async with profile(shell, server=origin) as client:
        if client.account.status == "pending":
            await unlock(shell, client)
        else:
            shell.out.note(say("note.no-account"))
            login = login or shell.secrets.ask("ask.name", source="name")
            try:
                await sign_up(shell, client, login, device_name(device), link=link, rsa=rsa)
            except Forbidden:
                raise Refused("invite-closed", NOT_FOUND, code="E_FORBIDDEN") from None
        shell.out.close_line()
        await wait_for(shell, client, client.pending()[-1], wait=wait, proof="~" in link)


def _link(shell: Shell, source: str) -> str:
    if source == "-":
        text = sys.stdin.readline().strip()
        if not text:
            raise Refused("no-source", LOCKED, what=say("secret.link"), flag="--link-fd")
        return _whole(text)
    return _whole(shell.secrets.get("link", "ask.link").strip())


def _whole(link: str) -> str:
    """The link, if it is one in full: a slip shows before anything else is asked. Raises Refused."""
    from cloister.sphere import invitation

    try:
        found = invitation.parse(link if "#" in link else f"{DEFAULT_SERVER}/j#{link}")
    except CheckFailed:
        raise Refused("link-form", USAGE) from None
    if found.kind == "public":
        raise Refused("link-public", USAGE)
    return link


async def _join_with(shell: Shell, client: Client, source: str, *, wait: bool) -> None:
    before = {one.hash for one in client.pending() if one.state == "asked"}
    await synced(shell, client)
    if source != "-" and any(one.hash in before and one.state == "declined" for one in client.pending()):
        raise Refused("declined", NOT_FOUND, code="E_FORBIDDEN")
    asked = [one for one in client.pending() if one.state == "asked"]
    if source != "-" and shell.secrets.given("link") is None and shell.secrets.terminal is not None:
        from cloister.cli.commands import invited

        if await invited.offer(shell, client, wait=wait):
            return
    if asked and source != "-" and shell.secrets.given("link") is None:
        title = asked[-1].label or asked[-1].sph[:9]
        link = shell.secrets.ask("ask.link-or-wait", hidden=True, source="link", title=title).strip()
        if not link:
            await wait_for(shell, client, asked[-1], wait=wait, proof=False)
            return
    else:
        link = _link(shell, source)
    if shell.would("would.join"):
        return
    try:
        pending = await client.join(link)
    except Forbidden:
        raise Refused("invite-closed", NOT_FOUND, code="E_FORBIDDEN") from None
    await wait_for(shell, client, pending, wait=wait, proof="~" in link)


async def wait_for(shell: Shell, client: Client, pending: Pending, *, wait: bool, proof: bool) -> None:
    """Until somebody answers. Ctrl-C keeps the request; the same command goes on waiting."""
    out, shell.kept = shell.out, "kept.request"
    label = out.name(pending.label) if pending.label else pending.sph[:9]
    if not wait:
        out.result(
            {"request": pending.hash, "state": pending.state, "label": pending.label},
            say("done.asked", title_raw=label),
        )
        return
    out.note(say("note.asked-proof" if proof else "note.asked", title_raw=label))
    pause, safety = _FIRST_LOOK, ""
    while True:
        report = await client.sync()
        now = next((one for one in client.pending() if one.hash == pending.hash), None)
        if now is None or now.state == "declined":
            raise Refused("declined", NOT_FOUND, code="E_FORBIDDEN")
        if now.state == "expired":
            raise Refused("request-expired", NOT_FOUND, code="C_EXPIRED")
        if now.safety and now.safety != safety:
            safety = now.safety
            out.note(say("note.compare"))
            for line in digit_rows(safety):
                out.note("  " + line)
        info = next((one for one in client.spheres() if one.sph == pending.sph and one.status == "active"), None)
        if info is not None and (info.have_key or info.mode != "e2ee"):
            said = say("done.in", title=info.title, n=info.members, key=info.epoch)
            out.result({"sphere": info.sph, "title": info.title, "members": info.members, "key": info.epoch}, said)
            if not info.confirmed_by_inviter:
                out.note(say("show.unconfirmed"))
            return
        if report.offline:
            out.detail(say("note.offline", server=client.account.server))
        await asyncio.sleep(pause)
        pause = min(pause * 1.3, _LAST_LOOK)


def digit_rows(digits: str) -> list[str]:
    """60 digits as four rows of three groups."""
    plain = "".join(char for char in digits if char.isdigit())
    groups = [plain[i : i + 5] for i in range(0, len(plain), 5)]
    return [" ".join(groups[i : i + 3]) for i in range(0, len(groups), 3)]


# --- letting in ---------------------------------------------------------------------------------------------------


async def approve(shell: Shell, name: str, who: str, confirmed: bool, decline: bool, role: str) -> None:
    """Answer requests, each in turn."""
    async with opened(shell) as client:
        await synced(shell, client)
        sphere = client.sphere(name)
        asking = await sphere.requests()
        if who:
            asking = [one for one in asking if one.name == who or one.id.startswith(who) or one.hash.startswith(who)]
            if not asking:
                raise Refused("no-request", NOT_FOUND, name=who)
        if not asking:
            shell.out.result({"answered": []})
            shell.out.note(say("empty.requests", title=sphere.info.title))
            return
        done = []
        for one in asking:
            admitted = await _answer(shell, sphere, one, confirmed, decline, role)
            done += [{"name": one.name, "id": one.id, "admitted": admitted}]
        if shell.out.json:
            shell.out.result({"answered": done})


async def _answer(shell: Shell, sphere: Sphere, one: Request, confirmed: bool, decline: bool, role: str) -> bool | None:
    """True admitted, False declined, None left for later."""
    out, name = shell.out, escape(one.name)
    if decline:
        if not shell.would("would.decline", name=name):
            await sphere.decline(one)
            out.note(say("done.declined", name=name))
            return False
        return None
    if shell.would("would.admit", name=name):
        return None
    if one.by_link:
        if not shell.secrets.agree("ask.admit", name=name, role=one.role):
            return await _refuse(shell, sphere, one)
        await sphere.admit(one)
    else:
        if not confirmed and not await _compared(shell, sphere, one):
            return await _refuse(shell, sphere, one)
        await sphere.admit(one, confirmed=True, role=role)
    info = sphere.info
    if not out.json:
        out.result({}, say("done.admitted" if info.mode == "e2ee" else "done.admitted-open", name=name, n=info.epoch))
    return True


async def _refuse(shell: Shell, sphere: Sphere, one: Request) -> bool | None:
    if shell.secrets.agree("ask.decline", default=False, name=escape(one.name)):
        await sphere.decline(one)
        shell.out.note(say("done.declined", name=escape(one.name)))
        return False
    shell.out.note(say("note.later", name=escape(one.name)))
    return None


async def _compared(shell: Shell, sphere: Sphere, one: Request) -> bool:
    """Show the digits on both sides and ask. ``--yes`` does not answer this: nobody compared."""
    name = escape(one.name)
    shell.out.note(say("note.expired-link" if one.code == "C_EXPIRED" else "note.no-proof", name=name))
    digits = await sphere.show_card(one)
    for line in digit_rows(digits):
        shell.out.note("  " + line)
    if shell.flags.yes or shell.secrets.terminal is None:
        raise Refused("must-compare", LOCKED, name=name)
    return shell.secrets.ask("ask.match", name=name).lower() in ("y", "yes")


# --- members ------------------------------------------------------------------------------------------------------


async def ls(shell: Shell, name: str, *, past: bool) -> None:
    """List members."""
    async with opened(shell) as client:
        await synced(shell, client)
        sphere = client.sphere(name)
        found = sphere.people(past=past)
        twice = _look_alike([one.name for one in found])
        table = []
        for one in found:
            shown = shell.out.name(one.name) + (f" ({one.id[:11]})" if one.name in twice else "")
            known = say("word.you") if one.me else say("known." + one.known.replace(" ", "-"))
            if one.changed:
                known += " · " + say("word.new-identity")
            table.append((shown, one.role, known))
        rows: list[dict[str, Any]] = [dataclasses.asdict(one) for one in found]
        shell.out.rows("people", rows, table, say("empty.people"))
        waiting = sphere.info.requests
        if waiting:
            shell.out.note(say("note.asking", n=waiting, title=sphere.info.title))


def _look_alike(names: list[str]) -> set[str]:
    """Names that differ only in what the eye may miss."""
    import unicodedata

    folded: dict[str, list[str]] = {}
    for one in names:
        key = unicodedata.normalize("NFKD", one).casefold().translate(str.maketrans("01l5", "oiis"))
        folded.setdefault("".join(c for c in key if c.isalnum()), []).append(one)
    return {one for group in folded.values() if len(group) > 1 for one in group}


async def role(shell: Shell, name: str, who: str, new: str) -> None:
    """Change a role."""
    if new not in ("owner", "admin", "member", "guest"):
        raise Refused("one-of", USAGE, flag="ROLE", allowed="owner, admin, member, guest")
    async with opened(shell) as client:
        await synced(shell, client)
        sphere = client.sphere(name)
        person = sphere.person(who)
        if shell.would("would.role", name=person.name, role=new):
            return
        await sphere.set_role(person, new)
        shell.out.result({"id": person.id, "role": new}, say("done.role", name=person.name, role=new))


async def remove(shell: Shell, name: str, who: str, *, ban: bool) -> None:
    """Remove a member and make a new key."""
    async with opened(shell) as client:
        await synced(shell, client)
        sphere = client.sphere(name)
        person = sphere.person(who)
        title = sphere.info.title
        if person.me:
            raise Refused("remove-self", USAGE, title=title)
        if shell.would("would.remove", name=person.name, title=title):
            return
        shell.secrets.agree_by_name(title, "ask.remove", who=person.name)
        await sphere.remove(person, ban=ban)
        key = sphere.info.epoch
        said = say("done.removed" if sphere.info.mode == "e2ee" else "done.removed-open", name=person.name, n=key)
        shell.out.result({"removed": person.id, "key": key, "ban": ban}, said)
