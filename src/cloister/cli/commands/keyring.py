"""keys: which are here, who can supply the others, asking for them, and saying yes to somebody who asks."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from cloister.cli import times
from cloister.cli.faults import NOT_FOUND, Refused
from cloister.cli.output import say
from cloister.cli.shell import Shell, opened, synced

if TYPE_CHECKING:
    from cloister.client import Sphere
    from cloister.client.records import KeyRow


async def ls(shell: Shell, name: str) -> None:
    """Every key of a sphere."""
    async with opened(shell) as client:
        await synced(shell, client)
        sphere = client.sphere(name)
        found, out = sphere.key_rows(), shell.out
        table = [(str(one.n), times.short(one.at), out.name(one.by), _state(shell, one)) for one in found]
        rows = [dataclasses.asdict(one) for one in found]
        out.rows("keys", rows, table, say("empty.keys", title=sphere.info.title))


def _state(shell: Shell, one: KeyRow) -> str:
    if one.here:
        return say("keys.here")
    if not one.granted:
        return say("keys.older")
    if not one.holders:
        return say("keys.missing-nobody")
    names = ", ".join(shell.out.name(name) for name in one.holders[:4])
    if one.asked:
        return say("keys.missing-asked", names_raw=names, time=times.short(one.asked))
    return say("keys.missing", names_raw=names)


async def ask(shell: Shell, name: str, *, older: bool) -> None:
    """Ask for missing keys now; with ``older`` for those the policy does not give."""
    async with opened(shell) as client:
        await synced(shell, client)
        sphere = client.sphere(name)
        title = sphere.info.title
        wanted = sphere.older_keys() if older else [one.n for one in sphere.key_rows() if one.granted and not one.here]
        if not wanted:
            shell.out.result(
                {"asked": [], "keys": []}, say("note.nothing-older" if older else "note.nothing-missing", title=title)
            )
            return
        if shell.would("would.ask-keys", title=title):
            return
        asked = await (sphere.ask_older() if older else sphere.ask_keys(wanted))
        if not asked:
            raise Refused("nobody-asked", NOT_FOUND, title=title)
        names = ", ".join(shell.out.name(one) for one in asked)
        said = say("done.asked-older" if older else "done.asked-keys", names_raw=names, n=len(wanted))
        shell.out.result({"asked": asked, "keys": wanted}, said)


async def share(shell: Shell, name: str, who: str, *, decline: bool) -> None:
    """Answer those who ask for older keys than the policy gives."""
    async with opened(shell) as client:
        await synced(shell, client)
        sphere = client.sphere(name)
        title, found = sphere.info.title, sphere.wishes()
        if who:
            person = sphere.person(who)
            found = [one for one in found if one.id == person.id]
            if not found:
                raise Refused("no-wish", NOT_FOUND, name=person.name, title=title)
        if not found:
            shell.out.rows("wishes", [], [], say("empty.wishes", title=title))
        for one in found:
            await _answer(shell, sphere, one.id, one.name, one.ns, decline=decline)


async def _answer(shell: Shell, sphere: Sphere, member: str, name: str, ns: tuple[int, ...], *, decline: bool) -> None:
    if shell.would("would.share-older", name=name):
        return
    person = next(one for one in sphere.people(past=True) if one.id == member)
    listed = ", ".join(map(str, ns[:12])) + (" …" if len(ns) > 12 else "")
    if decline or not shell.secrets.agree("ask.share-older", default=False, name=name, keys=listed):
        await sphere.decline_older(person)
        shell.out.result({"id": member, "sent": 0}, say("done.declined-older", name=name))
        return
    sent = await sphere.share_older(person, ns)
    shell.out.result({"id": member, "sent": sent}, say("done.shared-older", name=name, n=sent))
