"""``send``, ``read``, ``watch`` and ``outbox …``."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from cloister.cli import shown
from cloister.cli.faults import NOT_FOUND, OK, QUEUED, STOPPED, UNREADABLE, Refused
from cloister.cli.output import OCHRE, say
from cloister.cli.shell import Shell, opened
from cloister.cli.traffic import catch_up
from cloister.errors import all_subclasses

if TYPE_CHECKING:
    from cloister.client import Client
    from cloister.client.events import Event
    from cloister.client.records import Message, OutboxItem, SphereInfo

MAX_TEXT = 65536


async def send(shell: Shell, name: str, text: str, re: str) -> None:
    """Say something in a sphere."""
    from cloister.client.records import Message

    if text == "-":
        text = sys.stdin.read(MAX_TEXT + 1).removesuffix("\n")
    async with opened(shell) as client:
        sphere = client.sphere(name)
        info = sphere.info
        _require_active(info)
        if not text:
            prompt = "ask.message" if info.mode == "e2ee" else "ask.open-message"
            text = shell.secrets.ask(prompt, source="text", people=shown.people(info.members))
        if not text.strip():
            raise Refused("empty-text")
        if len(text) > MAX_TEXT:
            raise Refused("long-text", 10, code="E_TOO_LARGE", limit=MAX_TEXT)
        if shell.would("would.send", title=info.title, people=shown.people(info.members)):
            return
        shell.kept = "kept.send"
        sent = await sphere.send(text, reply_to=re or None)
        if isinstance(sent, Message):
            value = {"state": "sent", **shown.record(sent)}
            shell.out.result(value, say("result.sent", at=shown.clock(sent.at)))
            return
        _not_sent(shell, client, sent)


def _require_active(info: SphereInfo) -> None:
    if info.status in ("removed", "left", "closed"):
        raise Refused(f"gone-{info.status}", NOT_FOUND, title=info.title)
    if info.status == "asked":
        raise Refused("still-asking", NOT_FOUND, title=info.title)


def _not_sent(shell: Shell, client: Client, item: OutboxItem) -> None:
    """Words and exit code for something that stays in the outbox."""
    stop = client.sphere(item.sph).info.stop
    if stop is not None:
        shell.out.result(shown.record(item))
        raise all_subclasses()[stop.code](stop.detail)
    if item.state == "failed":
        shell.out.result(shown.record(item))
        raise all_subclasses().get(item.code, Refused)(f"{item.id[:8]}")
    shell.exit_code = QUEUED
    shell.out.result(shown.record(item))
    if item.state == "held":
        shell.out.note(say(f"held.{item.question}", id=item.id[:8]))
    else:
        shell.out.note(say(_reason(item), id=item.id[:8]))


def _reason(item: OutboxItem) -> str:
    if item.code in ("C_KEY_UNKNOWN", "E_STALE_EPOCH", "L_UNREACHABLE", ""):
        return {"C_KEY_UNKNOWN": "queued.key", "E_STALE_EPOCH": "queued.new-key"}.get(item.code, "queued.offline")
    return "queued.later"


async def read(shell: Shell, name: str, unread: bool, since: str, limit: int) -> None:
    """Messages of a sphere, oldest first."""
    start = shown.since(since, int(time.time())) if since else None
    async with opened(shell) as client:
        await catch_up(shell, client)
        sphere = client.sphere(name)
        found = sphere.messages(limit=limit or None, since=start, unread=unread)
        info = sphere.info
        for one in found:
            if shell.out.json:
                shell.out.result(shown.record(one))
            else:
                shell.out.result({}, _line(shell, one))
        if unread and found:
            await sphere.mark_read(next((one for one in reversed(found) if one.pos), None))
            await catch_up(shell, client)
    shell.exit_code = UNREADABLE if any(one.state == "unreadable" for one in found) else OK
    if not found:
        shell.out.note(say("empty.unread" if unread else "empty.messages", title=info.title))
    if info.stop is not None:
        shell.exit_code = STOPPED
        shell.out.note(stop_words(info))
    if info.status in ("removed", "left", "closed"):
        shell.out.fault(Refused(f"gone-{info.status}", NOT_FOUND, title=info.title))
        shell.exit_code = NOT_FOUND


def stop_words(info: SphereInfo) -> str:
    """The text of a sphere's stop, with how to go on where that is possible."""
    assert info.stop is not None
    code = info.stop.code
    if code == "C_DOWNGRADE":
        return say("stop.switched", title=info.title)
    error = all_subclasses()[code]()
    tail = " " + say("stop.carry-on", title=info.title) if info.stop.acknowledgeable else ""
    return say("stop.line", title=info.title, why=error.why, next=error.next, you=error.you) + tail


def _line(shell: Shell, one: Message) -> str:
    line = shown.line(one, shell.out.name(one.name), ids=shell.flags.verbose)
    return shell.out.paint(line, OCHRE) if one.open else line


async def carry_on(shell: Shell, name: str) -> None:
    """Lift a stop that may be lifted."""
    async with opened(shell) as client:
        await catch_up(shell, client)
        sphere = client.sphere(name)
        info = sphere.info
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


async def watch(shell: Shell, names: list[str]) -> None:
    """Events as they come, until interrupted."""
    shell.kept = "kept.watch"
    async with opened(shell) as client:
        wanted = {client.sphere(name).sph for name in names}
        await catch_up(shell, client)
        shell.out.note(say("note.watching", count=len(wanted) or len(client.spheres())))
        async for event in client.events():
            if wanted and event.sph and event.sph not in wanted:
                continue
            if shell.out.json:
                kind = {"v": 1, "event": type(event).__name__, **shown.record(event)}
                sys.stdout.write(json.dumps(kind) + "\n")
                sys.stdout.flush()
                continue
            text = event_words(shell, client, event)
            if text:
                shell.out.result({}, text)


def event_words(shell: Shell, client: Client, event: Event) -> str:
    """One event as a line; "" for those that need no telling."""
    from cloister.client import events

    where = shell.out.name(client.sphere(event.sph).info.title) if event.sph else ""
    kind = type(event).__name__
    if isinstance(event, events.MessageReceived | events.MessageChanged):
        changed = "" if isinstance(event, events.MessageReceived) else f"{say('watch.changed')} "
        return f"{where}: {changed}{_line(shell, event.message)}"
    if isinstance(event, events.MessageSent):
        return f"{where}: {_line(shell, event.message)}" if event.message else ""
    if isinstance(event, events.Connected):
        return ""
    if isinstance(event, events.Disconnected):
        shell.out.note(say("watch.Disconnected", server=client.account.server, seconds=round(event.retry_in)))
        return ""
    fields = shown.record(event)
    if isinstance(event, events.MemberRemoved) and event.left:
        kind = "MemberLeft"
    if isinstance(event, events.JoinRequested):
        fields["name"] = event.request.name
        kind = "JoinRequested" if event.request.by_link else "StrangerRequested"
    if isinstance(event, events.ItemHeld):
        return f"{where}: " + say(f"held.{event.item.question}", id=event.item.id[:8])
    if isinstance(event, events.Stopped):
        return f"{where}: " + stop_words(client.sphere(event.sph).info)
    if isinstance(event, events.NewKey):
        fields["here"] = "" if event.here else " " + say("watch.not-here")
    if isinstance(event, events.KeysArrived):
        fields["ns"] = ", ".join(map(str, event.ns))
    text = say(f"watch.{kind}", **{key: value for key, value in fields.items() if not isinstance(value, dict)})
    return f"{where}: {shell.out.name(text)}" if where else shell.out.name(text)


# --- outbox -------------------------------------------------------------------------------------------------------


async def outbox_ls(shell: Shell) -> None:
    """What waits."""
    async with opened(shell) as client:
        found = client.outbox()
        titles = {one.sph: one.title for one in client.spheres(past=True)}
    table = [
        [
            one.id[:8],
            shell.out.name(titles.get(one.sph, shown.short(one.sph))),
            say(f"outbox.{one.state}"),
            shown.clock(one.at),
            shell.out.name(one.text.replace("\n", " ")[:60]),
        ]
        for one in found
    ]
    shell.out.rows("items", [shown.record(one) for one in found], table, say("empty.outbox"))
    for one in found:
        if one.state == "held":
            shell.out.note(say(f"held.{one.question}", id=one.id[:8]))


async def outbox_retry(shell: Shell, item: str) -> None:
    """Send what waits; a held item asks its question first."""
    async with opened(shell) as client:
        before = [one for one in client.outbox() if one.id.startswith(item)]
        if item and not before:
            raise Refused("no-item", NOT_FOUND, id=item)
        for one in before:
            anyway = False
            if one.state == "held":
                shell.out.note(say(f"held.{one.question}", id=one.id[:8]))
                anyway = shell.secrets.agree("ask.send-anyway", default=False)
                if not anyway:
                    continue
            await client.retry(one.id, anyway=anyway)
        await catch_up(shell, client)
        left = {one.id for one in client.outbox()}
    sent = [one for one in before if one.id not in left]
    stay = [one for one in before if one.id in left]
    shell.out.result(
        {"sent": len(sent), "waiting": len(stay)}, say("result.retried", sent=len(sent), waiting=len(stay))
    )
    if stay:
        shell.exit_code = QUEUED


async def outbox_drop(shell: Shell, item: str) -> None:
    """Delete something not yet sent."""
    async with opened(shell) as client:
        if shell.would("would.drop", id=item):
            return
        await client.drop(item)
    shell.out.result({"dropped": item}, say("result.dropped"))
