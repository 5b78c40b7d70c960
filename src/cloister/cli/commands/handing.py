"""live ask, live give: a sphere's keys from one connected device to another, digits compared by voice.

Nothing is kept at the server. Whoever stops one side ends it on both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from cloister.cli.faults import STOPPED, Refused
from cloister.cli.output import say
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


def numbers(ns: Sequence[int]) -> str:
    """Ascending numbers in short: 1 to 3, 5."""
    parts: list[list[int]] = []
    for n in ns:
        if parts and parts[-1][-1] == n - 1:
            parts[-1].append(n)
        else:
            parts.append([n])
    return ", ".join(str(one[0]) if len(one) == 1 else f"{one[0]}–{one[-1]}" for one in parts)


def _digits(code: str) -> str:
    return f"{code[:3]} {code[3:]}"


async def _asked(sphere: Sphere) -> str:
    """The ask's name. Raises Refused when nobody who could answer is connected."""
    name, reached = await sphere.handover().ask()
    if not reached:
        raise Refused("live-nobody", BUSY, code="L_NOT_FOUND")
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
        shell.kept = "kept.live"
        under_way = ""
        try:
            async for event in client.events(live=True):
                if isinstance(event, Connected):
                    with shell.out.step(say("step.asking-live")):
                        under_way = await _asked(sphere)
                    shell.out.close_line()
                elif event.sph != sphere.sph or getattr(event, "name", "") != under_way:
                    continue
                elif isinstance(event, KeyOffered):
                    shell.out.note(say("note.live-offered", name=event.who, digits_raw=_digits(event.digits)))
                elif isinstance(event, KeyReceived):
                    row = {"sphere": sphere.sph, "keys": list(event.ns), "from": event.who}
                    shell.out.result(row, say("done.live-received", keys=numbers(event.ns), name=event.who))
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


async def give(shell: Shell, name: str, always: str, digits: str) -> None:
    """Wait for somebody who asks, compare, and give; or say that this device may do so unasked."""
    async with opened(shell) as client:
        await synced(shell, client)
        sphere = client.sphere(name)
        if always:
            on = always == "on"
            if shell.would("would.live-always" if on else "would.live-never", title=sphere.info.title):
                return
            sphere.handover().set_provides(on)
            shell.out.result(
                {"sphere": sphere.sph, "always": on},
                say("done.live-always" if on else "done.live-never", title=sphere.info.title),
            )
            return
        await _serve(shell, client, sphere, digits)


async def _serve(shell: Shell, client: Client, sphere: Sphere, digits: str) -> None:
    from cloister.client.events import Connected, KeyAsked, KeyGiven, TransferEnded

    shell.kept = "kept.live"
    under_way = ""
    try:
        async for event in client.events(live=True):
            if isinstance(event, Connected):
                shell.out.note(say("note.live-waiting", title=sphere.info.title))
            elif event.sph != sphere.sph:
                continue
            elif isinstance(event, KeyAsked) and not under_way:
                under_way = event.name
                await _decide(shell, sphere, event, digits)
            elif isinstance(event, KeyGiven):
                row = {"sphere": sphere.sph, "keys": list(event.ns), "to": event.who}
                shell.out.result(row, say("done.live-given", keys=numbers(event.ns), name=event.who))
                return
            elif isinstance(event, TransferEnded) and event.name == under_way:
                raise _over(event.why)
    except asyncio.CancelledError:
        await _break_off(sphere, under_way)
        raise KeyboardInterrupt from None


async def _decide(shell: Shell, sphere: Sphere, asked: KeyAsked, digits: str) -> None:
    """The person's word; the connection goes on meanwhile. Raises Refused when the digits differ."""
    shown: dict[str, Any] = {"name": asked.who, "keys": numbers(asked.ns), "digits_raw": _digits(asked.digits)}
    if digits:
        same = "".join(digits.split()) == asked.digits
    else:
        same = await asyncio.to_thread(shell.secrets.agree, "ask.live-same", default=False, **shown)
    if same:
        await sphere.handover().give(asked.name)
        return
    await sphere.handover().end(asked.name, "different")
    raise _over("different")
