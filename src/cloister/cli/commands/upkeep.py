"""doctor, rotate, lock, unlock."""

from __future__ import annotations

import dataclasses

from cloister.cli import agent, times
from cloister.cli.escape import escape
from cloister.cli.faults import FAILED, LOCKED, STOPPED, Refused
from cloister.cli.output import RED, say
from cloister.cli.shell import Shell, opened, profile, synced
from cloister.cli.shell import unlock as open_vault
from cloister.errors import all_subclasses, words


async def doctor(shell: Shell, name: str, *, mend: bool) -> None:
    """Findings, good ones included; exit 8 for a failed check, 1 for another trouble. With ``mend`` members are asked
    for keys and messages that are missing."""
    async with opened(shell) as client:
        await synced(shell, client)
        found = await client.doctor(client.sphere(name) if name else None)
        classes = all_subclasses()
        bad = [one for one in found if not one.ok]
        if shell.out.json:
            shell.out.result({"findings": [dataclasses.asdict(one) for one in found]})
        for one in [] if shell.out.json else found:
            mark = say("doctor.ok") if one.ok else shell.out.paint(say("doctor.bad"), RED)
            shell.out.result({}, f"{mark}  {shell.out.name(one.topic)}: {escape(one.text)}")
            if not one.ok and one.code:
                entry = words(one.code)
                shell.out.result(
                    {}, "    " + " ".join(part for part in (entry["why"], entry["next"], entry["you"]) if part)
                )
        if mend and not shell.flags.dry_run:
            for sph in dict.fromkeys(one.sph for one in bad if one.code in ("C_KEY_UNKNOWN", "C_KC_MISMATCH", "C_GAP")):
                sphere = client.sphere(sph)
                asked = dict.fromkeys([*await sphere.ask_keys(), *await sphere.ask_messages()])
                names = ", ".join(shell.out.name(who) for who in asked)
                said = say("doctor.asked", names_raw=names, title=sphere.info.title) if asked else ""
                shell.out.note(said or say("doctor.nobody", title=sphere.info.title))
        if bad:
            codes = {one.code for one in bad}
            hard = any(c in classes and classes[c].exit_code == STOPPED for c in codes)
            shell.exit_code = STOPPED if hard else shell.exit_code or FAILED
            shell.out.note(say("doctor.found", n=len(bad)))
        elif not shell.exit_code:
            shell.out.note(say("doctor.fine", n=len(found)))


async def ask(shell: Shell, name: str) -> None:
    """Ask for missing messages."""
    async with opened(shell) as client:
        await synced(shell, client)
        sphere = client.sphere(name)
        missing, title = sphere.missing(), sphere.info.title
        if not missing:
            shell.out.result({"missing": {}, "asked": []}, say("done.none-missing", title=title))
            return
        if shell.would("would.ask-messages", title=title):
            return
        asked = await sphere.ask_messages()
        for who, count in missing.items():
            shell.out.result({}, say("done.missing", n=count, name=who))
        said = say("done.asked-messages", names_raw=", ".join(map(shell.out.name, asked))) if asked else ""
        shell.out.result({"missing": missing, "asked": asked}, said or say("done.nobody-asked", title=title))


async def rotate(shell: Shell, name: str, why: str) -> None:
    """Make a new key."""
    async with opened(shell) as client:
        await synced(shell, client)
        sphere = client.sphere(name)
        info = sphere.info
        if info.mode != "e2ee":
            raise Refused("open-has-no-key", title=info.title)
        if shell.would("would.rotate", title=info.title, n=info.epoch + 1):
            return
        made = await sphere.rotate(why)
        shell.out.result(
            {"sphere": sphere.sph, "key": made}, say("done.rotated", title=info.title, n=made, people=info.members)
        )


def lock(shell: Shell) -> None:
    """End every agent of this profile: what opens it afterwards is its PIN, if it has one, else the password."""
    from cloister.client import enrol, pin
    from cloister.client.profile import Profile

    was = shell.lock()
    folder = shell.flags.profile_path
    vault = enrol.read_vault(Profile(folder)) if (folder / "vault.json").exists() else None
    by_pin = vault is not None and pin.is_set(vault)
    said = ("done.locked-pin" if by_pin else "done.locked") if was else "done.was-locked"
    shell.out.result({"locked": True, "was_open": was, "pin": by_pin}, say(said))


async def unlock(shell: Shell, idle: str) -> None:
    """Open the vault and leave the key with an agent."""
    seconds = times.span(idle, least=1, most=7 * 86400) if idle else None
    if not (shell.flags.profile_path / "vault.json").exists():
        raise Refused("no-account", LOCKED)
    async with profile(shell) as client:
        if seconds is not None:
            shell.keep_idle(seconds)
        await open_vault(shell, client, ask=True)
        left = agent.seconds_left(shell.agent_path) or 0
        minutes = max(1, round(left / 60))
        shell.out.result({"locks_after": left}, say("done.unlocked", login=client.account.login, n=minutes))
