"""live ask, live give: a sphere's keys from one connected device to another, digits compared by voice.

Nothing is kept at the server. Whoever stops one side ends it on both.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from cloister.cli.faults import LOCKED, STOPPED, Refused
from cloister.cli.output import ranges, say
from cloister.cli.shell import Shell, opened, synced

if TYPE_CHECKING:
    from cloister.client import Client, Sphere
    from cloister.client.events import KeyAsked


BUSY: Final = 9
# Why a transfer ended -> what is said of it.
ENDS: Final = {
    "different": "live-different",
    "refused": "live-refused",
    "failed": "live-failed",
    "expired": "live-expired",
}


def _digits(code: str) -> str:
    return f"{code[:3]} {code[3:]}"


async def _asked(shell: Shell, sphere: Sphere) -> str:
    """Ask; the ask's name. Raises Refused when nobody is connected."""
    with shell.out.step(say("step.asking-live")):
        name, reached = await sphere.handover().ask()
        if not reached:
            raise Refused("live-nobody", BUSY, code="L_NOT_FOUND")
    shell.out.close_line()
    shell.out.note(say("note.live-asked", n=reached))
    return name


async def ask(shell: Shell, name: str) -> None:
    """Ask whoever is connected for missing keys."""
    from cloister.client.events import Connected, KeyOffered, KeyReceived, TransferEnded

    async with opened(shell) as client:
        await synced(shell, client)
        sphere = client.sphere(name)
        if not sphere.handover().lacking():
            shell.out.result({"sphere": sphere.sph, "keys": []}, say("note.no-key-missing", title=sphere.info.title))
            return
        sphere.handover().only_by_hand()
        under_way = ""
        try:
            async for event in client.events(attended=()):
                if isinstance(event, Connected) and not under_way:
                    shell.kept = "kept.live"
                    under_way = await _asked(shell, sphere)
                elif event.sph != sphere.sph or getattr(event, "name", "") != under_way:
                    continue
                elif isinstance(event, KeyOffered):
                    offered = {"sphere": sphere.sph, "from": event.who, "digits": event.digits}
                    shell.out.result(offered, say("live.offered", name=event.who, digits_raw=_digits(event.digits)))
                    shell.out.note(say("note.live-offered", name=event.who))
                elif isinstance(event, KeyReceived):
                    row = {"sphere": sphere.sph, "keys": list(event.ns), "from": event.who}
                    shell.out.result(
                        row, say("done.live-received", keys=ranges(event.ns), n=len(event.ns), name=event.who)
                    )
                    return
                elif isinstance(event, TransferEnded):
                    raise _over(event.why)
        except asyncio.CancelledError:
            await _break_off(sphere, under_way)
            raise KeyboardInterrupt from None


def _over(why: str) -> Refused:
    different = why == "different"
    return Refused(ENDS[why], STOPPED if different else BUSY, code="C_KEY_CHANGED" if different else "C_EXPIRED")


async def _break_off(sphere: Sphere, name: str) -> None:
    """Tell the other side, as far as that is still possible."""
    from cloister.errors import CloisterError

    if name:
        try:
            await sphere.handover().end(name, "different")
        except CloisterError:
            return


async def give(shell: Shell, name: str, always: str) -> None:
    """Wait for somebody who asks, compare, and give; or say that this device may do so unasked."""
    async with opened(shell) as client:
        await synced(shell, client)
        sphere = client.sphere(name)
        if always:
            _set_always(shell, sphere, on=always == "on")
            return
        if shell.secrets.terminal is None:
            raise Refused("live-no-terminal", LOCKED)
        if shell.would("would.live-give", title=sphere.info.title):
            return
        await _serve(shell, client, sphere)


def _set_always(shell: Shell, sphere: Sphere, *, on: bool) -> None:
    title = sphere.info.title
    if shell.would("would.live-always" if on else "would.live-never", title=title):
        return
    sphere.handover().set_provides(on)
    text = say("done.live-always" if on else "done.live-never", title=title)
    shell.out.result({"sphere": sphere.sph, "always": on}, text)
    if on:
        shell.out.note(say("note.live-always"))


async def _serve(shell: Shell, client: Client, sphere: Sphere) -> None:
    """Listen and decide side by side: whatever happens meanwhile, the other side ends a question that is open here."""
    asked: asyncio.Future[KeyAsked] = asyncio.get_running_loop().create_future()
    listening = asyncio.create_task(_listen(shell, client, sphere, asked))
    deciding = asyncio.create_task(_decide(shell, sphere, asked))
    try:
        await asyncio.wait({listening, deciding}, return_when=asyncio.FIRST_COMPLETED)
        if deciding.done():
            deciding.result()
        await listening
    except asyncio.CancelledError:
        await _break_off(sphere, asked.result().name if asked.done() else "")
        raise KeyboardInterrupt from None
    finally:
        for task in (listening, deciding):
            task.cancel()
        await asyncio.gather(listening, deciding, return_exceptions=True)


async def _listen(shell: Shell, client: Client, sphere: Sphere, asked: asyncio.Future[KeyAsked]) -> None:
    """Hand the first ask to ``asked``, and tell how it went. Raises Refused when it came to nothing."""
    from cloister.client.events import Connected, KeyAsked, KeyGiven, TransferEnded

    async for event in client.events(attended=[sphere.sph]):
        if isinstance(event, Connected) and not asked.done():
            shell.out.note(say("note.live-waiting", title=sphere.info.title))
        elif event.sph != sphere.sph:
            continue
        elif isinstance(event, KeyAsked) and not asked.done():
            shell.kept = "kept.live"
            asked.set_result(event)
        elif isinstance(event, KeyGiven):
            row = {"sphere": sphere.sph, "keys": list(event.ns), "to": event.who}
            shell.out.result(row, say("done.live-given", keys=ranges(event.ns), n=len(event.ns), name=event.who))
            return
        elif isinstance(event, TransferEnded) and asked.done() and event.name == asked.result().name:
            raise _over(event.why)


async def _decide(shell: Shell, sphere: Sphere, asked: asyncio.Future[KeyAsked]) -> None:
    """The person's word about the first ask. ``--yes`` is no answer to it: somebody has to see the digits."""
    one = await asked
    if await shell.secrets.agree_meanwhile(
        "ask.live-same", name=one.who, keys=ranges(one.ns), n=len(one.ns), digits_raw=_digits(one.digits)
    ):
        await sphere.handover().give(one.name)
    else:
        await sphere.handover().end(one.name, "different")
