"""The rows of the outbox: what was written and is not yet accepted. Sending them is ``outbox``'s work.

Spec: CLT-016.
"""

from __future__ import annotations

import json
from typing import Any

from cloister.client import people, timeline
from cloister.client.context import Context
from cloister.client.events import Event, MessageSent
from cloister.client.records import Message, OutboxItem
from cloister.client.replica import Replica
from cloister.errors import NotFound, UsageError
from cloister.sphere import message as messages


def items(ctx: Context, sph: str | None = None) -> list[OutboxItem]:
    """Everything not yet accepted, in order."""
    where, values = ("sph = ?", (sph,)) if sph else ("1", ())
    rows = ctx.store.all(f"SELECT id, sph, state, data FROM outbox WHERE {where} ORDER BY n", *values)  # noqa: S608
    return [record(item, sphere, state, json.loads(data)) for item, sphere, state, data in rows]


def find(ctx: Context, wanted: str) -> OutboxItem:
    """One item by id or unique prefix. Raises NotFound, UsageError."""
    found = [one for one in items(ctx) if one.id.startswith(wanted)]
    if not found:
        raise NotFound("nothing waits under this id")
    if len(found) > 1:
        raise UsageError("more than one item fits")
    return found[0]


def record(item: str, sph: str, state: str, row: dict[str, Any]) -> OutboxItem:
    return OutboxItem(item, sph, row["kind"], row["text"], row["at"], state, row["question"], row["code"])  # type: ignore[arg-type]


def update(ctx: Context, item: str, state: str, row: dict[str, Any]) -> None:
    ctx.store.run("UPDATE outbox SET state = ?, data = ? WHERE id = ?", state, json.dumps(row), item)


def done(ctx: Context, rep: Replica, item: str, compact: str, events: list[Event]) -> None:
    """The relay has it: remove the item; inside a step."""
    row = ctx.store.one("SELECT state, data FROM outbox WHERE id = ?", item)
    if row is None:
        return
    shown_item = record(item, rep.sph, row[0], json.loads(row[1]))
    ctx.store.run("DELETE FROM outbox WHERE id = ?", item)
    mid = messages.decode(compact).head.mid
    shown = timeline.one(ctx.store, rep.sph, mid, ctx.id, lambda i: people.name_of(ctx.store, rep.state, i))
    events.append(MessageSent(rep.sph, shown_item, shown))


def waiting(ctx: Context, rep: Replica) -> list[Message]:
    """Items of a sphere as message rows, to be shown after the last one."""
    name = people.name_of(ctx.store, rep.state, ctx.id)
    return [
        Message(
            rep.sph, "", one.id, 0, ctx.id, name, ctx.dv, 0, 0, one.at, one.kind, one.text, state="waiting",
            code=one.code, mine=True,
        )
        for one in items(ctx, rep.sph)
        if one.kind in timeline.SPOKEN
    ]  # fmt: skip
