"""``join`` and ``approve``: coming in, and letting in."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from cloister.cli import shown
from cloister.cli.commands.account import host, new_password
from cloister.cli.faults import LOCKED, NOT_FOUND, Refused
from cloister.cli.output import say
from cloister.cli.shell import Shell, keep, opened, profile
from cloister.cli.traffic import catch_up
from cloister.errors import AuthFailed, Conflict, FormatError, Forbidden

if TYPE_CHECKING:
    from cloister.client import Client
    from cloister.client.records import Pending, Request
    from cloister.client.sphere import Sphere
    from cloister.sphere.invitation import Link

# Seconds between two looks while nothing is heard.
LOOK = 5.0
MAX_LINK = 4096


def read_link(shell: Shell, source: str, waiting: str) -> str:
    """The link: from a descriptor or file, from stdin, or asked. "" means: wait for the request already made."""
    if source not in ("", "-"):
        raise Refused("link-in-argv")
    given = shell.secrets.given("link")
    if given is not None:
        return given
    piped = sys.stdin is not None and not sys.stdin.isatty()
    if source == "-" or (piped and (shell.secrets.terminal is None or _has_input())):
        text = sys.stdin.read(MAX_LINK).strip()
        if text:
            return text.split()[0]
        if source == "-" or not waiting:
            raise Refused("no-source", LOCKED, what=say("secret.link"), flag="--link-fd")
        return ""
    if waiting:
        return shell.secrets.ask("ask.link-or-wait", hidden=True, source="link", title=waiting)
    return shell.secrets.ask("ask.link", hidden=True, source="link")


def _has_input() -> bool:
    import select

    with contextlib.suppress(OSError, ValueError):
        return bool(select.select([sys.stdin], [], [], 0)[0])
    return False


def parse(text: str) -> Link:
    """Read a link. Raises Refused."""
    from cloister.sphere import invitation

    try:
        link = invitation.parse(text.strip())
    except FormatError:
        raise Refused("link-form") from None
    if link.kind == "public":
        raise Refused("link-public")
    return link


async def join(shell: Shell, source: str, name: str, device: str, *, wait: bool) -> None:
    """Ask to join, making an account first where there is none, and wait for the answer."""
    if not (shell.flags.profile_path / "vault.json").exists():
        await _join_as_newcomer(shell, source, name, device, wait=wait)
        return
    async with opened(shell) as client:
        asked = [one for one in client.pending() if one.state == "asked"]
        text = read_link(shell, source, (asked[-1].label or shown.short(asked[-1].sph)) if asked else "")
        if not text and asked:
            await _wait(shell, client, asked[-1])
            return
        link = parse(text)
        if any(one.sph == link.sph and one.status == "active" for one in client.spheres()):
            raise Refused("already-in", 2, title=client.sphere(link.sph).info.title)
        try:
            made = await client.join(text)
        except Forbidden:
            raise Refused("invite-closed", NOT_FOUND, code="E_FORBIDDEN") from None
        await _asked(shell, client, made, proof=link.kind == "invite", wait=wait)


async def _join_as_newcomer(shell: Shell, source: str, name: str, device: str, *, wait: bool) -> None:
    from cloister.account.login import login_name

    text = read_link(shell, source, "")
    if not text:
        raise Refused("no-source", LOCKED, what=say("secret.link"), flag="--link-fd")
    link = parse(text)
    if link.kind != "invite":
        raise Refused("join-needs-account", LOCKED)
    async with profile(shell, link.origin) as client:
        if client.account.server != link.origin:
            raise Refused("link-elsewhere", server=link.origin)
        login = login_name(name or shell.secrets.ask("ask.new-name", source="name"))
        password = new_password(shell, login, "ask.new-password-short")
        shell.kept = "kept.signup"
        try:
            with shell.out.step(say("step.making-keys")):
                made = await client.create_account(login, password, invite_link=text, device_name=device or host())
        except (AuthFailed, Forbidden):
            raise Refused("invite-closed", NOT_FOUND, code="E_FORBIDDEN") from None
        except Conflict:
            raise Refused("name-taken", 9, code="E_CONFLICT", login=login) from None
        keep(shell, client)
        shell.out.close_line()
        assert made is not None
        await _asked(shell, client, made, proof=True, wait=wait)


async def _asked(shell: Shell, client: Client, made: Pending, *, proof: bool, wait: bool) -> None:
    shell.kept = "kept.join"
    said = say("note.asked-with-proof" if proof else "note.asked")
    if wait:
        shell.out.note(f"{said} {say('note.waiting')}")
        await _wait(shell, client, made)
    else:
        shell.out.result(shown.record(made), said)


async def _wait(shell: Shell, client: Client, made: Pending) -> None:
    """Until the request is answered. Raises Refused when it was declined or has expired."""
    shell.kept = "kept.join"
    compared = ""
    async with _ticks(client) as tick:
        while True:
            now = next((one for one in client.pending() if one.hash == made.hash), None)
            if now is None or now.state == "declined":
                raise Refused("declined", NOT_FOUND, code="E_FORBIDDEN")
            if now.state == "expired":
                raise Refused("request-expired", 8, code="C_EXPIRED")
            if now.state == "admitted":
                break
            if now.safety and now.safety != compared:
                compared = now.safety
                shell.out.note(say("note.compare-as-joiner"))
                for row in digit_rows(compared):
                    shell.out.note(row)
            await tick()
    info = client.sphere(made.sph).info
    text = say("result.joined", title=info.title, people=shown.people(info.members))
    if not info.have_key:
        text += " " + say("note.key-to-come")
    shell.out.result(shown.record(info), shell.out.name(text))


@contextlib.asynccontextmanager
async def _ticks(client: Client) -> AsyncIterator[object]:
    """Gives a coroutine function that returns when something was heard, or after a while with a round made."""
    heard = asyncio.Event()

    async def listen() -> None:
        async for _ in client.events():
            heard.set()

    async def tick() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(heard.wait(), LOOK)
            heard.clear()
            return
        await client.sync()

    task = asyncio.create_task(listen())
    try:
        yield tick
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def digit_rows(digits: str) -> list[str]:
    """Sixty digits as four rows of three groups."""
    groups = digits.split()
    return ["  " + " ".join(groups[i : i + 3]) for i in range(0, len(groups), 3)]


# --- letting in ---------------------------------------------------------------------------------------------------


async def approve(shell: Shell, name: str, who: str, confirmed: bool, decline: bool, role: str) -> None:
    """Answer the requests of a sphere, or only those of ``who``."""
    if role not in ("member", "guest", "admin"):
        raise Refused("choice", flag="--role", allowed="member, guest, admin")
    async with opened(shell) as client:
        await catch_up(shell, client, must=True)
        sphere = client.sphere(name)
        title = sphere.info.title
        found = await sphere.requests()
        if who:
            found = [one for one in found if one.name == who or one.id.startswith(who) or one.hash.startswith(who)]
        if not found:
            if shell.out.json and not who:
                shell.out.result({"admitted": [], "declined": []})
            elif who:
                raise Refused("no-request-of", NOT_FOUND, who=who, title=title)
            else:
                shell.out.note(say("empty.requests", title=title))
            return
        if len({one.id for one in found}) > 1 and confirmed:
            raise Refused("confirm-one")
        for one in found:
            what = "would.decline" if decline else "would.admit"
            if shell.would(what, name=one.name, title=title):
                continue
            if decline:
                await sphere.decline(one)
                shell.out.result({"declined": one.id, "name": one.name}, say("result.declined", name=one.name))
                continue
            await _answer(shell, sphere, one, confirmed, role)


async def _answer(shell: Shell, sphere: Sphere, one: Request, confirmed: bool, role: str) -> None:
    if not one.by_link:
        await _stranger(shell, sphere, one, confirmed, role)
        return
    mine = all(invite.mine for invite in sphere.invites())
    checked = say("approve.by-your-link" if mine else "approve.by-link", name=one.name)
    if shell.flags.yes:
        shell.out.note(checked)
    elif not shell.secrets.agree("ask.admit", checked=checked, role=one.role):
        if shell.secrets.agree("ask.decline", default=False, name=one.name):
            await sphere.decline(one)
            shell.out.result({"declined": one.id, "name": one.name}, say("result.declined", name=one.name))
        return
    await sphere.admit(one)
    _admitted(shell, sphere, one)


async def _stranger(shell: Shell, sphere: Sphere, one: Request, confirmed: bool, role: str) -> None:
    """Somebody whose keys nothing proves: the digits decide (both screens show them)."""
    digits = await sphere.show_card(one)
    if not confirmed:
        shell.out.note(say("approve.stranger", name=one.name) + (f" {say('approve.link-ended')}" if one.code else ""))
        for row in digit_rows(digits):
            shell.out.note(row)
        if shell.secrets.terminal is None:
            raise Refused("needs-confirmed", LOCKED, name=one.name)
        if not shell.secrets.ask("ask.match", name=one.name).lower().startswith("y"):
            shell.out.note(say("approve.not-admitted", name=one.name))
            return
    await sphere.admit(one, confirmed=True, role=role)
    _admitted(shell, sphere, one)


def _admitted(shell: Shell, sphere: Sphere, one: Request) -> None:
    info = sphere.info
    text = say("result.admitted", name=one.name, n=info.epoch)
    if info.mode != "e2ee":
        text = say("result.admitted-open", name=one.name)
    shell.out.result({"admitted": one.id, "name": one.name, "role": one.role, "key": info.epoch}, text)
