"""``account …``, ``lock`` and ``unlock``."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from cloister.cli import agent, shown
from cloister.cli.faults import LOCKED, NOT_FOUND, Refused
from cloister.cli.output import say
from cloister.cli.secrets import made_password
from cloister.cli.shell import Shell, keep, opened, profile
from cloister.cli.shell import unlock as unlock_client
from cloister.errors import AuthFailed, Conflict, WeakPassword

if TYPE_CHECKING:
    from cloister.client import Client

TRIES = 3


def host() -> str:
    """What this machine calls itself, without its domain."""
    return socket.gethostname().partition(".")[0] or "computer"


def new_password(shell: Shell, login: str, prompt: str, source: str = "password") -> str:
    """A new password: given, typed (again if it is a weak one), or made here on Enter and shown once."""
    from cloister.account.password import check_new

    given = shell.secrets.given(source)
    if given is not None:
        _check(given, login, check_new)
        return given
    for left in reversed(range(TRIES)):
        typed = shell.secrets.ask(prompt, hidden=True, source=source)
        if not typed:
            typed = made_password()
            assert shell.secrets.terminal is not None
            shell.secrets.terminal.write(say("note.made-password", password=typed) + "\n")
            return typed
        try:
            _check(typed, login, check_new)
        except Refused as error:
            if not left:
                raise
            shell.out.note(f"{error.why} {error.you}")
            continue
        return typed
    raise AssertionError


def _check(password: str, login: str, check_new: object) -> None:
    from cloister.account.password import check_new as check

    try:
        check(password, login)
    except WeakPassword as error:
        raise Refused(f"password-{error.data.get('reason', 'form')}", code="L_PASSWORD") from None


async def new(shell: Shell, name: str, device: str) -> None:
    """Sign up with a code."""
    from cloister.account.login import login_name

    async with profile(shell) as client:
        if client.account.status not in ("new", "pending"):
            raise Refused("profile-taken", login=client.account.login, profile=shell.flags.profile)
        login = login_name(name)
        info = await client.server_info()
        ticket = None
        if info.setup:
            ticket = shell.secrets.get("setup", "ask.setup-code")
        elif info.signup == "closed":
            raise Refused("signup-closed", NOT_FOUND, code="E_FORBIDDEN")
        elif info.signup == "invite":
            ticket = shell.secrets.get("setup", "ask.signup-code")
        password = new_password(shell, login, "ask.new-password")
        shell.kept = "kept.signup"
        try:
            with shell.out.step(say("step.making-keys")):
                await client.create_account(login, password, ticket, device_name=device or host())
        except AuthFailed:
            raise Refused("code-refused", LOCKED, code="E_AUTH") from None
        except Conflict:
            raise Refused("name-taken", 9, code="E_CONFLICT", login=login) from None
        signed_in(shell, client)


def signed_in(shell: Shell, client: Client) -> None:
    """Leave the key with the agent and say who is here."""
    keep(shell, client)
    info = client.account
    value = {"login": info.login, "id": info.id, "device": info.dv, "device_name": info.device_name}
    shell.out.result(
        {**value, "server": info.server}, say("result.signed-in", login=info.login, device=info.device_name)
    )


async def signin(shell: Shell, name: str, device: str) -> None:
    """Make this profile a device of an account."""
    from cloister.account.login import login_name

    async with profile(shell) as client:
        agent.lock(shell.agent_path)
        if client.account.login and client.account.login != login_name(name):
            raise Refused("profile-taken", login=client.account.login, profile=shell.flags.profile)
        password = shell.secrets.get("password", "ask.password")
        shell.kept = "kept.signin"
        try:
            with shell.out.step(say("step.opening-account")):
                await client.sign_in(name, password, device or host())
        except AuthFailed:
            raise Refused("signin-refused", LOCKED, code="E_AUTH") from None
        signed_in(shell, client)


async def signout(shell: Shell, wipe: bool) -> None:
    """End the session; with ``wipe`` after the person typed the profile's name."""
    login = ""
    async with profile(shell) as client:
        login = client.account.login
        if not login:
            raise Refused("no-account", LOCKED)
        if shell.would("would.wipe" if wipe else "would.signout", login=login):
            return
        if wipe:
            shell.secrets.agree_by_name(login, "ask.wipe")
        key = agent.get_key(shell.agent_path)
        if key is not None:
            await client.unlock_with_key(key)
        agent.lock(shell.agent_path)
        await client.sign_out(wipe=wipe)
    shell.out.result({"login": login, "wiped": wipe}, say("result.wiped" if wipe else "result.signed-out", login=login))


async def password(shell: Shell) -> None:
    """Change the password."""
    async with opened(shell) as client:
        login = client.account.login
        old = shell.secrets.get("password", "ask.old-password")
        new = new_password(shell, login, "ask.new-password", "new-password")
        shell.kept = "kept.password"
        try:
            with shell.out.step(say("step.changing-password")):
                await client.change_password(old, new)
        except AuthFailed:
            raise Refused("wrong-password", LOCKED, code="E_AUTH") from None
        keep(shell, client)
    shell.out.result({"login": login}, say("result.password-changed"))


async def show(shell: Shell) -> None:
    """Who this profile is."""
    async with profile(shell) as client:
        info = client.account
        left = agent.seconds_left(shell.agent_path)
        status = "open" if left is not None else info.status
    if not info.login:
        raise Refused("no-account", LOCKED)
    rows = [("account", info.login), ("id", info.id), ("device", f"{info.device_name}  {info.dv}")]
    rows += [("server", info.server), ("profile", shell.flags.profile)]
    state = say("status.open", left=shown.ago(left)) if left is not None else say(f"status.{info.status}")
    from cloister.cli.output import columns

    table = columns([[shell.out.name(a), shell.out.name(b)] for a, b in [*rows, ("state", state)]])
    shell.out.result({**shown.record(info), "status": status, "profile": shell.flags.profile, "left": left}, *table)


async def key_file(shell: Shell, path: str) -> None:
    """Write a bot's key file."""
    async with opened(shell) as client:
        await client.make_key_file(path)
    shell.out.result({"path": path}, say("result.key-file", path=path))


async def devices_ls(shell: Shell) -> None:
    """Own devices."""
    async with opened(shell) as client:
        found = await client.devices()
    name = shell.out.name
    table = [
        [
            name(one.name or say("device.unnamed")),
            shown.short(one.dv),
            say("device.here") if one.here else say("device.active") if one.active else say("device.removed"),
            shown.clock(one.since) if one.since else "",
        ]
        for one in found
    ]
    shell.out.rows("devices", [shown.record(one) for one in found], table, "")


async def devices_rm(shell: Shell, device: str) -> None:
    """Remove a device everywhere."""
    async with opened(shell) as client:
        found = [one for one in await client.devices() if one.dv.startswith(device) or one.name == device]
        active = [one for one in found if one.active]
        if len(active) > 1:
            raise Refused("device-ambiguous", device=device)
        if not found:
            raise Refused("no-device", NOT_FOUND, device=device)
        chosen = (active or found)[0]
        title = chosen.name or chosen.dv
        if chosen.here:
            raise Refused("device-here")
        if shell.would("would.remove-device", device=title):
            return
        shell.secrets.agree_by_name(title, "ask.remove-device")
        password = shell.secrets.get("password", "ask.password")
        shell.kept = "kept.device"
        try:
            with shell.out.step(say("step.removing-device")):
                await client.revoke_device(chosen.dv, password)
        except AuthFailed:
            raise Refused("wrong-password", LOCKED, code="E_AUTH") from None
    shell.out.result({"device": chosen.dv, "name": chosen.name}, say("result.device-removed", device=title))


def lock(shell: Shell) -> None:
    """End the agent."""
    was = agent.lock(shell.agent_path)
    shell.out.result({"locked": True, "was_open": was}, say("result.locked" if was else "result.was-locked"))


async def unlock(shell: Shell, life: str) -> None:
    """Open the profile by the password and leave the key with an agent."""
    idle = shown.span(life) if life else None
    if not (shell.flags.profile_path / "vault.json").exists():
        raise Refused("no-account", LOCKED)
    async with profile(shell) as client:
        await unlock_client(shell, client, idle=idle, ask=True)
    left = agent.seconds_left(shell.agent_path)
    if left is None:
        raise Refused("no-agent", 1)
    shell.out.result(
        {"locked": False, "left": left}, say("result.unlocked", login=client.account.login, idle=shown.ago(left))
    )
