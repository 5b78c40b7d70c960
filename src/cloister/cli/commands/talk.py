"""send, read, watch, outbox."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cloister.cli import times
from cloister.cli.commands import rules
from cloister.cli.escape import escape
from cloister.cli.faults import FAILED, LOCKED, NOT_FOUND, QUEUED, STOPPED, UNREADABLE, USAGE, Refused
from cloister.cli.output import BOLD, DIM, OCHRE, say
from cloister.cli.shell import Shell, opened, synced
from cloister.errors import words

if TYPE_CHECKING:
    from cloister.client import Client, Sphere
    from cloister.client.events import Event
    from cloister.client.records import Message, OutboxItem, SphereInfo

MAX_STDIN = 1 << 20


async def send(shell: Shell, name: str, text: str, re: str, *, openly: bool = False) -> None:
    """Send one message; exit 6 when it waits."""
    from cloister.client.records import OutboxItem

    given = bool(text)
    if text == "-":
        raw = sys.stdin.buffer.read(MAX_STDIN + 1)
        if len(raw) > MAX_STDIN:
            raise Refused("too-long", 10, code="E_TOO_LARGE")
        text = raw.decode("utf-8", "replace").removesuffix("\n")
    if given and not text.strip():
        raise Refused("nothing-to-send", USAGE)
    async with opened(shell) as client:
        sphere = client.sphere(name)
        info = sphere.info
        if info.status != "active":
            raise Refused("not-in-sphere", NOT_FOUND, title=info.title, code="C_NOT_MEMBER")
        if openly:
            await synced(shell, client)  # whether it may go openly is the sphere's present rule
            info = sphere.info
        openly = openly and info.mode == "e2ee"
        if openly and not sphere.policy.plaintext:
            raise Refused("no-openly", NOT_FOUND, title=info.title, code="E_FORBIDDEN")
        text = text or _asked(shell, info, openly=openly)
        if shell.would("would.send", title=info.title):
            return
        if openly and not shell.secrets.agree("ask.openly", default=False):
            raise Refused("not-openly", FAILED, code="L_USAGE")
        await _seen_mode(shell, sphere)
        if info.marked:
            shell.out.note(say("note.new-key-first"))
        shell.kept = "kept.message"
        reply = sphere.message(re) if re else None
        before = info.epoch
        sent = await _put(shell, sphere, text, reply, openly=openly)
        if isinstance(sent, OutboxItem):
            stop = sphere.info.stop
            if stop is not None:
                shell.out.stop(stop)
                shell.out.note(say("kept.message"))
                shell.exit_code = STOPPED
                return
            # An item behind another says nothing itself: the first one knows why.
            first = next((one for one in client.outbox() if one.sph == sphere.sph), sent)
            _waits(sent if sent.code or sent.question else first)
        else:
            if sent.epoch > before and not info.marked:
                shell.out.detail(say("note.other-key"))
            row = {"id": sent.mid, "at": times.iso(sent.at), "key": sent.epoch, "sphere": sphere.sph}
            if shell.out.json:
                shell.out.result(row)
            else:
                shell.out.note(say("done.sent", time=times.short(sent.at)))


def _asked(shell: Shell, info: SphereInfo, *, openly: bool) -> str:
    """The message, asked for on the terminal. Raises Refused."""
    prompt = "ask.text-open" if openly or info.mode != "e2ee" else "ask.text"
    if shell.secrets.terminal is None:
        raise Refused("no-text", LOCKED)
    text = shell.secrets.ask(prompt, n=info.members)
    if not text:
        raise Refused("nothing-to-send", USAGE)
    return text


async def _put(shell: Shell, sphere: Sphere, text: str, reply: Message | None, *, openly: bool) -> Message | OutboxItem:
    """Send it; when only now somebody's switch of the mode is seen, ask about that at once."""
    sent = await sphere.send(text, reply, openly=openly)
    found = await _seen_mode(shell, sphere) if getattr(sent, "question", "") in ("open", "public") else ""
    if found:
        await sphere.client.retry(sent.id, anyway=found)  # type: ignore[union-attr]
        waits = [one for one in sphere.client.outbox() if one.sph == sphere.sph]
        return waits[0] if waits else sphere.messages(limit=1)[-1]
    return sent


async def _seen_mode(shell: Shell, sphere: Sphere) -> str:
    """Before the first text that the server can read: who made it so, and a yes on the terminal; the mode it is for.
    Without one the text waits with its question (CLT-016); ``--yes`` is no answer to it."""
    found = sphere.info.switched
    if found is None or shell.secrets.terminal is None or shell.flags.yes:
        return ""
    shell.out.note(rules.switched(found))
    if not shell.secrets.agree("ask.understand", default=False):
        return ""
    await sphere.accept_mode(found.mode)
    return found.mode


def _waits(item: Any) -> None:
    """The message is safe but not away: says why, and ends with 6."""
    if item.state == "held":
        raise Refused("held", QUEUED, question=say(f"question.{item.question}"), name=item.question, id=item.id[:6])
    if item.state == "failed":
        found = words(item.code) if item.code else words("L_INTERNAL")
        raise Refused("failed", 1, code=item.code or "L_INTERNAL", why=found["why"], id=item.id[:6])
    if item.code in ("E_STALE_EPOCH", "C_KEY_UNKNOWN"):
        raise Refused("waits-for-key", QUEUED)
    if item.code == "E_AUTH":
        raise Refused("device-refused", QUEUED)
    if item.code and item.code != "L_UNREACHABLE":
        raise Refused("waits", QUEUED, why=words(item.code)["why"])
    raise Refused("queued", QUEUED)


# --- reading ------------------------------------------------------------------------------------------------------


def as_json(one: Message) -> dict[str, Any]:
    """One message for ``--json``."""
    row = dataclasses.asdict(one)
    row["reactions"] = {emoji: list(who) for emoji, who in one.reactions}
    row["at"] = times.iso(one.at)
    return row


class Lines:
    """Messages as lines. Every message has its sender and time, so that a line alone makes sense."""

    def __init__(self, shell: Shell, *, ids: bool = False, sphere: str = "") -> None:
        self.out, self.ids, self.sphere = shell.out, ids, sphere
        self.plain = shell.flags.plain

    def show(self, one: Message, *, title: str = "") -> str:
        """One message as text, safe."""
        out = self.out
        head = out.paint(out.name(one.name), BOLD) + "  " + times.short(one.at)
        lead = f"{out.name(title)}: " if title else ""
        if self.ids:
            lead = f"{one.mid[:8] or '-' * 8}  {lead}"
        if one.state == "unreadable":
            body = out.paint(("" if self.plain else "▒ ") + say("row.unreadable"), DIM)
        elif one.state == "damaged":
            body = out.paint(say("row.damaged"), DIM)
        elif one.state == "quarantined":
            body = out.paint(say("row.quarantined"), DIM)
        elif one.deleted:
            body = out.paint(say("row.deleted"), DIM)
        else:
            body = escape(one.text, lines=True).replace("\n", "\n    ")
        marks = []
        if one.re and one.kind == "comment":
            marks.append(say("row.comment", id=one.re[:6]))
        if one.edited and not one.deleted:
            marks.append(say("row.edited"))
        if one.state == "waiting":
            marks.append(say("row.waiting"))
        marks += [f"{escape(emoji)} {len(who)}" for emoji, who in one.reactions]
        if one.open:
            marks.append(out.paint(say("word.open"), OCHRE))
        tail = f"  ({', '.join(marks)})" if marks else ""
        return f"{lead}{head}  {body}{tail}"


async def read(shell: Shell, name: str, unread: bool, since: str, limit: int, ids: bool) -> None:
    """Messages of one sphere. Ends with 3 for somebody removed, 7 when nothing of it can be read yet."""
    moment = times.past(since) if since else None
    async with opened(shell) as client:
        await synced(shell, client)
        sphere = client.sphere(name)
        found = sphere.messages(limit=limit, since=moment, unread=unread)
        _print(shell, sphere, found, ids)
        info = sphere.info
        if info.status in ("removed", "left"):
            raise Refused(f"you-{info.status}", NOT_FOUND, code="C_NOT_MEMBER", title=info.title)
        if not found and info.status == "active":
            shell.out.note(say("empty.unread") if unread or since else say("empty.messages", n=info.members))
        sent = [one for one in found if one.state != "waiting"]
        if sent and not shell.flags.dry_run:
            await sphere.mark_read(sent[-1])
        if info.stop is not None:
            shell.out.stop(info.stop)
            shell.exit_code = 8
        elif sent and all(one.state == "unreadable" for one in sent):
            shell.exit_code = UNREADABLE


def _print(shell: Shell, sphere: Sphere, found: Sequence[Message], ids: bool) -> None:
    out = shell.out
    if out.json:
        for one in found:
            out.result(as_json(one))
        return
    lines, folded = Lines(shell, ids=ids), 0
    for one in found:
        # A wall of rows from before one's time is one line (they cannot become readable one by one).
        if one.state == "unreadable" and not ids:
            folded += 1
            continue
        if folded:
            out.result({}, lines.out.paint(say("row.unreadable-many", n=folded), DIM))
            folded = 0
        out.result({}, lines.show(one))
    if folded:
        out.result({}, lines.out.paint(say("row.unreadable-many", n=folded), DIM))
        missing = [str(n) for n, here in sphere.keys() if not here]  # noqa: SIM118 - not a dict
        out.note(say("note.unreadable", keys=", ".join(missing)))


async def watch(shell: Shell, names: list[str]) -> None:
    """What happens, as it happens."""
    from cloister.client.events import Connected, Disconnected, Revoked

    shell.kept = "kept.watch"
    async with opened(shell) as client:
        wanted = {client.sphere(name).sph for name in names}
        if not await synced(shell, client):
            shell.out.note(say("note.offline", server=client.account.server))
        _backlog(shell, client, wanted)
        shell.out.note(say("note.watching"))
        lost = False
        try:
            async for event in client.events(attended=()):
                if isinstance(event, Disconnected) and lost:
                    continue
                lost = isinstance(event, Disconnected) or (lost and not isinstance(event, Connected))
                if not wanted or not event.sph or event.sph in wanted:
                    await _tell(shell, client, event)
                if isinstance(event, Revoked):
                    raise Refused("revoked", LOCKED, code="L_REVOKED")
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None


def _backlog(shell: Shell, client: Client, wanted: set[str]) -> None:
    lines = Lines(shell)
    for info in client.spheres():
        if info.unread and (not wanted or info.sph in wanted):
            for one in client.sphere(info.sph).messages(unread=True, limit=20):
                if shell.out.json:
                    shell.out.result({"event": "message", **as_json(one)})
                else:
                    shell.out.result({}, lines.show(one, title=info.title))


def _title(client: Client, sph: str) -> str:
    return next((one.title for one in client.spheres(past=True) if one.sph == sph), sph[:9])


async def _tell(shell: Shell, client: Client, event: Event) -> None:
    """One event as a line (stdout: messages; stderr: everything else) or as JSON."""
    from cloister.client import events as kinds

    out = shell.out
    if out.json:
        name = type(event).__name__
        out.result({"event": name, **dataclasses.asdict(event)})
        return
    title = _title(client, event.sph) if event.sph else ""
    if isinstance(event, kinds.MessageReceived) and event.message.kind in ("msg", "comment"):
        out.result({}, Lines(shell).show(event.message, title=title))
        await client.sphere(event.sph).mark_read(event.message)
    elif isinstance(event, kinds.MessageChanged):
        out.result({}, Lines(shell).show(event.message, title=title))
    elif isinstance(event, kinds.Stopped):
        out.stop(event.stop)
    else:
        text = _words_of(event, title)
        if text:
            out.note(text)


def _words_of(event: Event, title: str) -> str:
    from cloister.client import events as kinds

    fields: dict[str, Any] = {
        key: value for key, value in dataclasses.asdict(event).items() if isinstance(value, str | int | float)
    }
    fields.pop("sph", None)
    fields["title"] = title
    if isinstance(event, kinds.JoinRequested):
        return say(
            "event.JoinRequested-link" if event.request.by_link else "event.JoinRequested",
            title=title,
            name=event.request.name,
        )
    if isinstance(event, kinds.Invited):
        one = event.invitation
        return say("note.invited", name=one.name, label=one.label or one.sph[:9])
    if isinstance(event, kinds.MemberRemoved):
        return say("event.left" if event.left else "event.removed", **fields)
    if isinstance(event, kinds.ModeChanged):
        date, since = times.short(event.at), times.short(event.since) if event.since else ""
        name = f"event.mode-{event.mode}" + ("-first" if event.mode == "e2ee" and not since else "")
        return say(name, title=title, by=event.by, date=date, since=since)
    if isinstance(event, kinds.ItemHeld):
        return say("event.ItemHeld", title=title, question=say(f"question.{event.item.question}"), id=event.item.id[:6])
    name = f"event.{type(event).__name__}"
    try:
        return say(name, **fields)
    except KeyError:
        return ""


# --- outbox -------------------------------------------------------------------------------------------------------


async def outbox_ls(shell: Shell) -> None:
    """List what waits."""
    async with opened(shell) as client:
        found = client.outbox()
        table = []
        for one in found:
            why = say(f"question.{one.question}") if one.question else (str(words(one.code)["why"]) if one.code else "")
            table.append((
                one.id[:6], shell.out.name(_title(client, one.sph)), times.short(one.at), say(f"outbox.{one.state}"),
                escape(one.text.replace("\n", " "))[:40], escape(why),
            ))  # fmt: skip
        shell.out.rows("outbox", [dataclasses.asdict(one) for one in found], table, say("empty.outbox"))


async def outbox_retry(shell: Shell, item: str, *, anyway: str) -> None:
    """Try one or all again; what asks a question waits for a yes that names it (CLT-016)."""
    from cloister.client.records import QUESTIONS

    if anyway not in ("", *QUESTIONS):
        raise Refused("one-of", USAGE, flag="--anyway", allowed=", ".join(QUESTIONS))
    async with opened(shell) as client:
        chosen = _items(client, item)
        if anyway and not item:
            raise Refused("anyway-needs-id", USAGE)
        if shell.would("would.retry", n=len(chosen)):
            return
        for one in chosen:
            if anyway or not one.question:
                await client.retry(one.id, anyway=anyway)
        left = client.outbox()
        if item and chosen[0].id in {one.id for one in left if one.question}:
            _waits(next(one for one in left if one.id == chosen[0].id))
        gone = len([one for one in chosen if one.id not in {w.id for w in left}])
        shell.out.result({"sent": gone, "waiting": len(left)}, say("done.retried", sent=gone, left=len(left)))
        if left:
            shell.exit_code = QUEUED


def _items(client: Client, item: str) -> list[Any]:
    found = [one for one in client.outbox() if one.id.startswith(item)]
    if item and not found:
        raise Refused("no-item", NOT_FOUND, id=item)
    if item and len(found) > 1:
        raise Refused("many-items", USAGE, id=item)
    return found


async def outbox_drop(shell: Shell, item: str) -> None:
    """Delete one."""
    async with opened(shell) as client:
        one = _items(client, item)[0]
        if shell.would("would.drop", id=one.id[:6]):
            return
        if not shell.secrets.agree("ask.drop", default=False, text=one.text[:40]):
            shell.out.note(say("note.nothing-done"))
            return
        await client.drop(one.id)
        shell.out.result({"dropped": one.id}, say("done.dropped"))
