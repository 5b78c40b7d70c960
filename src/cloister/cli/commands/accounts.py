"""account: sign up, sign in, sign out, change the password, devices."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from cloister.cli import agent
from cloister.cli.faults import FAILED, LOCKED, USAGE, Refused
from cloister.cli.output import say
from cloister.cli.secrets import made_password
from cloister.cli.shell import Shell, keep, opened, profile, synced, unlock
from cloister.errors import AuthFailed, Conflict, Forbidden, Locked, WeakPassword

if TYPE_CHECKING:
    from cloister.client import Client


def device_name(given: str) -> str:
    """What to call this device: as given, else the machine's name."""
    return given or platform.node().partition(".")[0] or "desk"


def choose_password(shell: Shell, name: str = "password", prompt: str = "ask.new-password") -> tuple[str, bool]:
    """A new password, and whether it was made here (then it is shown once)."""
    text = shell.secrets.given(name)
    if text is not None:
        return text, False
    text = shell.secrets.ask(prompt, hidden=True, source=name)
    return (text, False) if text else (made_password(), True)


def show_password(shell: Shell, password: str) -> None:
    """Show a made password once, on the terminal only."""
    terminal = shell.secrets.terminal
    if terminal is not None:
        terminal.write(say("note.made-password", password=password) + "\n")


async def sign_up(
    shell: Shell,
    client: Client,
    login: str,
    device: str,
    *,
    ticket: str | None = None,
    link: str | None = None,
    rsa: bool = False,
) -> bool:
    """Make the account; asks again for a password that is too weak. True when something was asked of a sphere."""
    while True:
        password, made = choose_password(shell)
        if made:
            show_password(shell, password)
        try:
            with shell.out.step(say("step.making-keys")):
                asked = await client.create_account(
                    login, password, ticket, invite_link=link, device_name=device_name(device),
                    kem="rsa4096" if rsa else "xwing",
                )  # fmt: skip
        except WeakPassword as error:
            if shell.secrets.given("password") is not None:
                raise
            shell.out.note(say(f"weak.{error.data.get('reason', 'common')}"))
            continue
        except AuthFailed:
            raise Refused("ticket", LOCKED, code="E_AUTH") from None
        except Conflict:
            raise Refused("name-taken", FAILED, code="E_CONFLICT", name=login) from None
        keep(shell, client)
        return asked is not None


async def new(shell: Shell, login: str, device: str, *, legacy: bool, rsa: bool) -> None:
    """Make an account here."""
    from cloister.account.login import login_name

    login = login_name(login)
    if shell.would("would.account", name=login):
        return
    async with profile(shell, legacy=legacy) as client:
        if client.account.status not in ("new", "pending"):
            raise Refused("have-account", USAGE, login=client.account.login, profile=shell.flags.profile)
        info = await client.server_info()
        ticket = None
        if info.setup:
            ticket = shell.secrets.get("setup", "ask.setup")
        elif info.signup == "closed":
            raise Refused("signup-closed", LOCKED, code="E_FORBIDDEN")
        elif info.signup == "invite":
            ticket = shell.secrets.get("setup", "ask.signup-code")
        await sign_up(shell, client, login, device, ticket=ticket, rsa=rsa)
        me = client.account
        shell.out.result(
            {"login": me.login, "id": me.id, "device": me.dv, "device_name": me.device_name, "server": me.server},
            say("done.signed-up", login=me.login, device=me.device_name),
        )
        shell.out.note(say("note.no-reset"))


async def signin(shell: Shell, login: str, device: str, *, rsa: bool) -> None:
    """Make this profile a device of an account."""
    if shell.would("would.signin", name=login):
        return
    async with profile(shell) as client:
        password = shell.secrets.get("password", "ask.password")
        try:
            with shell.out.step(say("step.proving")):
                await client.sign_in(login, password, device_name(device), kem="rsa4096" if rsa else "xwing")
        except AuthFailed:
            raise Refused("signin", LOCKED, code="E_AUTH") from None
        keep(shell, client)
        me = client.account
        count = len(client.spheres())
        shell.out.result(
            {"login": me.login, "id": me.id, "device": me.dv, "device_name": me.device_name, "spheres": count},
            say("done.signed-in", login=me.login, device=me.device_name, count=count),
        )


async def signout(shell: Shell, *, wipe: bool) -> None:
    """End the session; with ``wipe`` everything here goes."""
    if not (shell.flags.profile_path / "vault.json").exists():
        raise Refused("no-account", LOCKED)
    if shell.would("would.wipe" if wipe else "would.signout", name=shell.flags.profile):
        return
    async with profile(shell) as client:
        login = client.account.login
        if wipe:
            shell.secrets.agree_by_name(login, "ask.wipe")
        key = agent.get_key(shell.agent_path)
        if key is not None:
            try:
                await client.unlock_with_key(key)
            except Locked:
                pass
        await client.sign_out(wipe=wipe)
        shell.lock()
    if wipe:
        shutil.rmtree(shell.flags.profile_path)
    shell.out.result({"wiped": wipe}, say("done.wiped" if wipe else "done.signed-out", login=login))


async def password(shell: Shell) -> None:
    """Change the password."""
    if shell.would("would.password"):
        return
    async with opened(shell) as client:
        old = shell.secrets.get("password", "ask.old-password")
        while True:
            new_one, made = choose_password(shell, "new-password", "ask.next-password")
            if made:
                show_password(shell, new_one)
            try:
                with shell.out.step(say("step.changing-password")):
                    await client.change_password(old, new_one)
            except WeakPassword as error:
                if shell.secrets.given("new-password") is not None:
                    raise
                shell.out.note(say(f"weak.{error.data.get('reason', 'common')}"))
                continue
            except AuthFailed:
                raise Refused("wrong-password", LOCKED, code="E_AUTH") from None
            break
        keep(shell, client)
        shell.out.result({"changed": True}, say("done.password"))


async def key_file(shell: Shell, file: str) -> None:
    """A key file for a bot. The password is asked even when the profile is open: the file stands for it here."""
    path = new_file(file)
    if shell.would("would.key-file", file=file):
        return
    if not (shell.flags.profile_path / "vault.json").exists():
        raise Refused("no-account", LOCKED)
    async with profile(shell) as client:
        await unlock(shell, client, ask=True)
        await client.make_key_file(path)
        shell.out.result({"file": str(path)}, say("done.key-file", file=str(path)))
        shell.out.note(say("note.key-file"))


def new_file(file: str) -> Path:
    """A path where nothing is yet, in a folder that exists. Raises Refused."""
    path = Path(file).expanduser().absolute()
    if path.exists() or path.is_symlink():
        raise Refused("file-exists", file=file)
    if not path.parent.is_dir():
        raise Refused("file", FAILED, code="L_DISK", file=file, reason="no such folder")
    return path


async def devices_ls(shell: Shell) -> None:
    """List devices. Their names come with the account's state, so that is fetched first."""
    async with opened(shell) as client:
        await synced(shell, client)
        found = await client.devices()
        table = []
        for one in found:
            marks = [say("word.this-device")] if one.here else []
            marks += [] if one.active else [say("word.removed")]
            table.append((shell.out.name(one.name) or "–", one.dv[:11], ", ".join(marks)))
        rows = [{"dv": d.dv, "name": d.name, "active": d.active, "here": d.here, "since": d.since} for d in found]
        shell.out.rows("devices", rows, table, say("empty.devices"))


async def devices_rm(shell: Shell, device: str) -> None:
    """Remove a device and make new keys everywhere."""
    async with opened(shell) as client:
        found = [d for d in await client.devices() if d.active and (d.name == device or d.dv.startswith(device))]
        if not found:
            raise Refused("no-device", 3, name=device)
        if len(found) > 1:
            raise Refused("many-devices", USAGE, name=device)
        one = found[0]
        label = one.name or one.dv[:11]
        if shell.would("would.remove-device", name=label):
            return
        shell.secrets.agree_by_name(label, "ask.remove-device")
        secret = shell.secrets.get("password", "ask.password")
        try:
            await _revoke(shell, client, one.dv, secret)
        except AuthFailed:
            raise Refused("wrong-password", LOCKED, code="E_AUTH") from None
        except Forbidden:
            raise Refused("no-device", 3, name=device) from None
        shell.out.result({"removed": one.dv}, say("done.device-removed", name=label))


async def _revoke(shell: Shell, client: Client, dv: str, secret: str) -> None:
    """Remove it, with a new password if one is given or chosen; asks again for one that is too weak (CLT-007)."""
    given = shell.secrets.given("new-password")
    asks = given is None and shell.secrets.given("password") is None and shell.secrets.terminal is not None
    while True:
        fresh = shell.secrets.ask("ask.keep-password", hidden=True) if asks else given
        try:
            with shell.out.step(say("step.new-keys")):
                await client.revoke_device(dv, secret, fresh or None)
        except WeakPassword as error:
            if not asks:
                raise
            shell.out.note(say(f"weak.{error.data.get('reason', 'common')}"))
            continue
        if not fresh:
            shell.out.note(say("note.password-kept"))
        return
