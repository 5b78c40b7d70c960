"""sphere carry-on: a stop that may be lifted, lifted by the person who looked into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloister.cli.commands import rules
from cloister.cli.faults import NOT_FOUND, Refused
from cloister.cli.output import say
from cloister.cli.shell import Shell, opened
from cloister.errors import all_subclasses

if TYPE_CHECKING:
    from cloister.client import Sphere
    from cloister.client.records import SphereInfo


def stop_words(info: SphereInfo) -> str:
    """The text of a sphere's stop, with the command that lifts it where it can be lifted."""
    assert info.stop is not None
    if info.stop.code == "C_DOWNGRADE":
        return say("stop.switched", title=info.title)
    error = all_subclasses()[info.stop.code]()
    text = say("stop.line", title=info.title, why=error.why, next=error.next, you=error.you)
    return f"{text} {say('stop.carry-on')}" if info.stop.acknowledgeable else text


async def _carry_on_open(shell: Shell, sphere: Sphere) -> None:
    """Somebody made the sphere readable for the server: seen, and writing goes on (CLT-042)."""
    info = sphere.info
    assert info.switched is not None
    shell.out.note(rules.switched(info.switched))
    if shell.would("would.carry-on", title=info.title):
        return
    shell.secrets.agree_by_name(info.title, "ask.carry-on-open")
    await sphere.accept_mode(info.switched.mode)
    shell.out.result({"sphere": sphere.sph, "mode": info.mode}, say("done.saw-mode", title=info.title))
    if any(one.question in ("open", "public") for one in sphere.client.outbox() if one.sph == sphere.sph):
        shell.out.note(say("note.carry-on-held"))


async def carry_on(shell: Shell, name: str) -> None:
    """Lift a stop. Raises Refused when nothing is stopped, and the stop itself when it cannot be lifted."""
    async with opened(shell) as client:
        await client.sync()
        sphere = client.sphere(name)
        info = sphere.info
        if info.stop is None and info.switched is not None:
            await _carry_on_open(shell, sphere)
            return
        if info.stop is None:
            raise Refused("nothing-stopped", NOT_FOUND, title=info.title)
        if not info.stop.acknowledgeable:
            raise all_subclasses()[info.stop.code](info.stop.detail)
        shell.out.note(stop_words(info))
        if shell.would("would.carry-on", title=info.title):
            return
        shell.secrets.agree_by_name(info.title, "ask.carry-on")
        await sphere.acknowledge(info.stop.code)
    shell.out.result({"sphere": sphere.sph, "lifted": info.stop.code}, say("result.carried-on", title=info.title))
