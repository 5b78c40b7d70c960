"""account pin set, account pin remove: how this device is opened."""

from __future__ import annotations

from cloister.cli.faults import LOCKED, USAGE, Refused
from cloister.cli.output import say
from cloister.cli.shell import Shell, opened
from cloister.errors import AuthFailed, WeakPin


async def put(shell: Shell) -> None:
    """Set or change the PIN. What it costs is said before."""
    if shell.would("would.pin"):
        return
    async with opened(shell) as client:
        shell.out.note(say("note.pin"))
        while True:
            pin = shell.secrets.get("pin", "ask.new-pin")
            if shell.secrets.given("pin") is None and shell.secrets.ask("ask.pin-again", hidden=True) != pin:
                shell.out.note(say("note.other-pin"))
                continue
            try:
                with shell.out.step(say("step.setting-pin")):
                    await client.set_pin(pin)
            except WeakPin:
                if shell.secrets.given("pin") is not None:
                    raise
                shell.out.note(say("note.weak-pin"))
                continue
            break
        shell.out.result({"pin": True}, say("done.pin"))


async def remove(shell: Shell) -> None:
    """Back to the password."""
    if shell.would("would.pin-remove"):
        return
    async with opened(shell) as client:
        if not client.has_pin:
            raise Refused("no-pin", USAGE)
        password = shell.secrets.get("password", "ask.password-of-account")
        try:
            with shell.out.step(say("step.proving")):
                await client.remove_pin(password)
        except AuthFailed:
            raise Refused("wrong-password", LOCKED, code="E_AUTH") from None
        shell.out.result({"pin": False}, say("done.pin-removed"))
