"""From stored rows to messages as they are read: edits, deletions and reactions applied.

Rows were verified and their right to change another row judged when they were opened; here they are only put
together (MSG-012). Order is the place of a row (``places``): the relay's position, which no one is asked to trust for
more than reading order, bent to each chain's own order, which is proven. Waiting texts of the outbox come last.

Knows the store. Spec: CLT-011.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from cloister.client.records import Message
from cloister.client.store import Store

SPOKEN: Final = ("msg", "comment")
_COLUMNS: Final = "id, pos, dv, seq, mid, cid, author, at, ep, kind, re, body, state, code"
Names = Callable[[str], str]


def read(
    store: Store,
    sph: str,
    me: str,
    names: Names,
    *,
    limit: int | None = None,
    before: int | None = None,
    since: int | None = None,
    unread_after: int | None = None,
    thread: str | None = None,
) -> list[Message]:
    """Messages oldest first; with ``limit`` the newest that many (``before``: of those read before the one at this
    position)."""
    where = [
        "sph = ?",
        "(kind IN ('msg', 'comment') OR state IN ('unreadable', 'quarantined', 'damaged'))",
        "state <> 'hidden'",
    ]
    values: list[Any] = [sph]
    if before is not None:
        clause, points = _before(store, sph, before)
        where.append(clause)
        values += points
    bounds: list[tuple[str, Any]] = [("at >= ?", since), ("pos > ?", unread_after)]
    if thread is not None:
        where.append("(mid = ? OR re = ?)")
        values += [thread, thread]
    for clause, value in bounds:
        if value is not None:
            where.append(clause)
            values.append(value)
    query = f"SELECT {_COLUMNS} FROM message WHERE {' AND '.join(where)} ORDER BY place DESC, seq DESC, id DESC"  # noqa: S608
    if limit is not None:
        query += f" LIMIT {int(limit)}"
    rows = store.all(query, *values)[::-1]
    read_pos = read_position(store, sph)
    changes = _changes(store, sph, [row[4] for row in rows])
    return [_message(sph, row, changes.get(row[4], []), me, names, read_pos) for row in rows]


def _before(store: Store, sph: str, pos: int) -> tuple[str, list[int]]:
    """What is read before the row at ``pos``, or before that place when nothing stands there."""
    row = store.one("SELECT place, seq, id FROM message WHERE sph = ? AND pos = ? ORDER BY id LIMIT 1", sph, pos)
    if row is None:
        return "place < ?", [pos]
    return "(place, seq, id) < (?, ?, ?)", list(row)


def one(store: Store, sph: str, mid: str, me: str, names: Names) -> Message | None:
    """One message by mid."""
    row = store.one(
        f"SELECT {_COLUMNS} FROM message WHERE sph = ? AND mid = ? AND state <> 'hidden' ORDER BY id DESC LIMIT 1",  # noqa: S608
        sph,
        mid,
    )
    if row is None:
        return None
    return _message(sph, row, _changes(store, sph, [mid]).get(mid, []), me, names, read_position(store, sph))


def read_position(store: Store, sph: str) -> int:
    """The relay's position up to which this account has read."""
    return int(store.get(f"read/{sph}", 0))


def unread(store: Store, sph: str, me: str) -> int:
    """Messages of others after the read position."""
    row = store.one(
        "SELECT count(*) FROM message WHERE sph = ? AND pos > ? AND author <> ? AND kind IN ('msg', 'comment')"
        " AND state = 'sent'",
        sph,
        read_position(store, sph),
        me,
    )
    return int(row[0]) if row else 0


def _changes(store: Store, sph: str, mids: list[str]) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for start in range(0, len(mids), 500):
        part = mids[start : start + 500]
        marks = ",".join("?" * len(part))
        rows = store.all(
            f"SELECT re, kind, author, body FROM message INDEXED BY message_re WHERE sph = ? AND re IN ({marks})"  # noqa: S608
            " AND kind IN ('edit', 'delete', 'react') AND state = 'sent' ORDER BY place, seq, id",
            sph,
            *part,
        )
        for row in rows:
            found.setdefault(row[0], []).append(row[1:])
    return found


def _message(
    sph: str, row: tuple[Any, ...], changes: list[tuple[Any, ...]], me: str, names: Names, read_pos: int
) -> Message:
    _, pos, dv, seq, mid, cid, author, at, ep, kind, re, raw, state, code = row
    body = json.loads(raw)
    text, edited, deleted = body.get("text", ""), False, False
    reactions: dict[str, dict[str, None]] = {}
    for change, by, change_raw in changes:
        what = json.loads(change_raw)
        if change == "edit" and by == author:
            text, edited = what["text"], True
        elif change == "delete" and (by == author or what.get("moderator")):
            deleted = True
        elif change == "react":
            who = reactions.setdefault(what["text"], {})
            if what.get("on", True):
                who[by] = None
            else:
                who.pop(by, None)
    shown = () if deleted else tuple((e, tuple(names(i) for i in who)) for e, who in reactions.items() if who)
    return Message(
        sph=sph, mid=mid, cid=cid, pos=pos, author=author, name=names(author) if author else "", dv=dv, seq=seq,
        epoch=ep, at=at, kind=kind, text="" if deleted else text, re=re, edited=edited, deleted=deleted,
        reactions=shown, state=state, code=code, open=bool(body.get("open")), mine=author == me,
        unread=pos > read_pos and author != me,
    )  # fmt: skip
