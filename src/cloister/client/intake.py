"""Receiving messages: judge a page, open what can be opened, store everything, say what changed.

The verdict comes from ``sphere.run``; this module keeps the frames that have to wait, feeds them again when the log or
a successor speaks for them, and re-reads rows when a key arrives late. One call, one step, cursor included.

An own chain that has gone further than this device ever sealed means a copy of this device exists: it retires
(CLT-014). A position beyond the own log may mean that an entry is withheld: ``claims`` keeps who says so (CLT-015).

Spec: CLT-008, CLT-011, CLT-014, CLT-015, CLT-020.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from cloister.client import claims, people, places, timeline
from cloister.client.context import Context
from cloister.client.events import Event, KeysArrived, MessageChanged, MessageReceived
from cloister.client.replica import Replica
from cloister.errors import CloisterError
from cloister.protocol.encoding import b64d, b64e
from cloister.sphere import message as messages
from cloister.sphere import run
from cloister.sphere.chains import ChainState
from cloister.sphere.message import Message
from cloister.sphere.payload import MODERATORS, Payload
from cloister.sphere.run import Opened, Page, Verdict

# Waiting frames fed again at once: more is a flood.
MAX_AGAIN: Final = 500
Frame = tuple[int, str]


class _Held(Mapping[tuple[str, int], bytes]):
    """What the store holds, as ``run`` asks for it: (dv, seq) -> H(SI)."""

    def __init__(self, ctx: Context, sph: str) -> None:
        self._ctx, self._sph = ctx, sph

    def __getitem__(self, key: tuple[str, int]) -> bytes:
        row = self._ctx.store.one(
            "SELECT h FROM message WHERE sph = ? AND dv = ? AND seq = ?"
            " AND (state IN ('sent', 'unreadable', 'damaged') OR code = 'C_EXPIRED')"
            " ORDER BY state <> 'damaged' DESC, id DESC LIMIT 1",
            self._sph, *key,
        )  # fmt: skip
        if row is None:
            raise KeyError(key)
        return bytes(row[0])

    def __iter__(self) -> Iterator[tuple[str, int]]:
        rows = self._ctx.store.all(
            "SELECT DISTINCT dv, seq FROM message WHERE sph = ?"
            " AND (state IN ('sent', 'unreadable', 'damaged') OR code = 'C_EXPIRED')",
            self._sph,
        )
        return iter([(dv, seq) for dv, seq in rows])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return True  # asked for single rows; whether there is any is not worth a count


def chains(ctx: Context, sph: str) -> dict[str, ChainState]:
    """Held chain states by dv."""
    rows = ctx.store.all("SELECT dv, data FROM chain WHERE sph = ?", sph)
    return {dv: ChainState.load(json.loads(data)) for dv, data in rows}


def own_chain(ctx: Context, sph: str) -> ChainState:
    """This device's chain as verified so far."""
    return chains(ctx, sph).get(ctx.dv) or ChainState(sph, ctx.dv)


def take_now(ctx: Context, rep: Replica, frames: Sequence[Frame], events: list[Event]) -> int:
    """Judge and store frames (pos, compact) inside the caller's step; returns how many messages are new."""
    count = _judge(ctx, rep, list(frames), events)
    again = _again(ctx, rep, events)
    return count + again


def _judge(ctx: Context, rep: Replica, frames: list[Frame], events: list[Event]) -> int:
    if not frames:
        return 0
    history = rep.known[1]
    held = chains(ctx, rep.sph)
    page: Page = run.verify_page([jws for _, jws in frames], history, held, rep.sph, _Held(ctx, rep.sph))
    opened = {one.verdict.at: one for one in run.open_page(page.verdicts, rep.keys, history)}
    count = 0
    ends: places.Ends = {}
    for verdict in page.verdicts:
        count += _store(ctx, rep, frames[verdict.at], verdict, opened.get(verdict.at), ends, events)
    for dv, chain in page.chains.items():
        if chain != held.get(dv):
            row = (rep.sph, dv, json.dumps(chain.dump()))
            ctx.store.run("INSERT OR REPLACE INTO chain VALUES (?, ?, ?)", *row)
            if chain.runs and (len(chain.runs) > 1 or chain.runs[0].first > chain.floor + 1):
                rep.note["lacks"] = True
    rep.note.setdefault("named", []).extend([dv, seq, b64e(h)] for dv, seq, h in page.named)
    rep.save_note(ctx.store)
    return count


def _again(ctx: Context, rep: Replica, events: list[Event]) -> int:
    """Feed waiting frames again that a successor names or that the grown log may decide (RUN-012)."""
    count = 0
    while named := rep.note.pop("named", None):
        frames: list[Frame] = []
        for dv, seq, h in named:
            frames += ctx.store.all(
                "SELECT pos, jws FROM message WHERE sph = ? AND dv = ? AND seq = ? AND h = ?"
                " AND state IN ('quarantined', 'hidden')",
                rep.sph, dv, seq, b64d(h),
            )  # fmt: skip
        count += _judge(ctx, rep, frames[:MAX_AGAIN], events)
    seen = rep.known[1].seq
    if rep.note.get("judged_at", -1) != seen:
        rep.note["judged_at"] = seen
        rep.save_note(ctx.store)
        waiting = ctx.store.all(
            "SELECT pos, jws FROM message WHERE sph = ? AND state = 'quarantined'"
            " AND code IN ('C_GAP', 'C_KEY_UNKNOWN', 'C_LOG_FORK') ORDER BY id LIMIT ?", rep.sph, MAX_AGAIN,
        )  # fmt: skip
        count += _judge(ctx, rep, [(pos, jws) for pos, jws in waiting], events)
    return count


def _store(
    ctx: Context,
    rep: Replica,
    frame: Frame,
    verdict: Verdict,
    opened: Opened | None,
    ends: places.Ends,
    events: list[Event],
) -> int:
    message = verdict.message
    if message is None:
        return 0
    pos, compact = frame
    store, head = ctx.store, message.head
    old = store.one(
        "SELECT id, pos, state, code, chained FROM message WHERE sph = ? AND dv = ? AND seq = ? AND h = ?",
        rep.sph, head.kid, head.seq, message.digest,
    )  # fmt: skip
    if verdict.status == "duplicate":
        if old is not None and old[1] == 0 and pos:
            where = places.place(store, rep.sph, ends, head.kid, head.seq, pos) if old[4] else pos
            store.run("UPDATE message SET pos = ?, place = ? WHERE id = ?", pos, where, old[0])
        return 0
    if old is not None and old[2] != "quarantined" and verdict.status in ("refused", "waiting"):
        return 0  # what was taken once is not unmade by a frame that was not (RUN-005)
    if head.kid == ctx.dv and verdict.status == "authentic":
        _watch_own(ctx, rep, message)
    if verdict.replaces:
        store.run("UPDATE message SET state = 'hidden' WHERE sph = ? AND dv = ? AND seq = ? AND h = ?",
                  rep.sph, head.kid, head.seq, verdict.replaces)  # fmt: skip
    row = _row(ctx, rep, compact, pos, verdict, opened)
    if row is None:
        return 0
    if verdict.code == "C_GAP" and head.ls > rep.known[1].seq:
        # Told once, when first seen: a word set aside does not return with every later entry (CLT-036).
        told = old[3] if old is not None else ""
        if not told and not claims.beyond(ctx, rep, head.kid, head.ls, head.lh):
            told = "C_LOG_FORK"
        row["code"] = told or row["code"]
    if verdict.status == "version" or verdict.replaces:
        _compare_versions(ctx, rep, row)
    if old is not None:
        store.run("DELETE FROM message WHERE id = ?", old[0])
        row["pos"] = max(pos, old[1])
    row["place"], row["chained"] = row["pos"] or places.LAST, verdict.status == "authentic"
    if row["chained"]:
        row["place"] = places.place(store, rep.sph, ends, head.kid, head.seq, row["pos"])
    _insert(ctx, rep.sph, row)
    if verdict.status == "waiting" and verdict.code == "C_LOG_FORK":
        claims.rival(ctx, rep, head.kid, head.ls, head.lh)
    if verdict.status == "authentic":
        _confirm_inviter(ctx, rep, message)
        rep.note["count"] = int(rep.note.get("count", 0)) + (head.ep == rep.known[0].ep)
    _tell(ctx, rep, row, opened, events, new=old is None or old[2] in ("quarantined", "hidden"))
    return int(verdict.status in ("authentic", "waiting") and old is None)


def _compare_versions(ctx: Context, rep: Replica, row: dict[str, Any]) -> None:
    """Two authentic messages at one place of a chain must be the same words sealed twice (RUN-006); if not, two
    programs write with one device's key, and the words that do not stand are shown once, as what they are."""
    others = ctx.store.all(
        "SELECT id, cid, state FROM message WHERE sph = ? AND dv = ? AND seq = ? AND h <> ? AND cid <> '' ORDER BY id",
        rep.sph, row["dv"], row["seq"], row["h"],
    )  # fmt: skip
    said = {row["cid"], ""}
    standing = next((cid for _, cid, state in others if state == "sent"), None)
    if row["state"] == "hidden" and standing is not None and row["cid"] not in ("", standing):
        if not any(cid == row["cid"] and state == "damaged" for _, cid, state in others):
            row["state"], row["code"] = "damaged", "C_REPLAY"
        return
    for other, cid, state in others:
        if cid not in said and state == "hidden":
            ctx.store.run("UPDATE message SET state = 'damaged', code = 'C_REPLAY' WHERE id = ?", other)
        said.add(cid)


def _watch_own(ctx: Context, rep: Replica, message: Message) -> None:
    """Own messages this device did not seal: a copy of it speaks, so it retires (CLT-014)."""
    sealed = ctx.store.get(f"own/{rep.sph}", {"seq": 0, "hs": []})
    ahead = message.head.seq > sealed["seq"]
    rival = message.head.seq == sealed["seq"] and message.link not in sealed["hs"]
    if ahead or rival:
        ctx.store.put("retired", {"sph": rep.sph, "seq": message.head.seq})


def _confirm_inviter(ctx: Context, rep: Replica, message: Message) -> None:
    """A message judged against this very log confirms it: the inviter's for a joiner (INV-006), anybody's for a new
    device of a member (CLT-005)."""
    inviter = rep.note.get("inviter")
    if message.head.kid != ctx.dv and message.head.ls >= int(rep.note.get("floor", {}).get("seq", 0)):
        rep.note.pop("provisional", None)
    if not rep.note.get("confirmed", True) and rep.known[1].owner_of(message.head.kid) == inviter:
        rep.note["confirmed"] = True


def _row(
    ctx: Context, rep: Replica, compact: str, pos: int, verdict: Verdict, opened: Opened | None
) -> dict[str, Any] | None:
    message = verdict.message
    assert message is not None
    head = message.head
    row: dict[str, Any] = {
        "pos": pos, "dv": head.kid, "seq": head.seq, "h": message.digest, "mid": head.mid, "cid": "", "author": "",
        "at": head.iat, "ep": head.ep, "ls": head.ls, "kind": "", "re": "", "body": "{}", "jws": compact,
        "state": "damaged", "code": verdict.code,
    }  # fmt: skip
    try:
        row["author"] = rep.known[1].owner_of(head.kid)
    except CloisterError:
        pass
    if verdict.status == "waiting":
        row["state"] = "quarantined"
    elif verdict.status == "version":
        row["state"] = "hidden"
        if opened is not None and opened.payload is not None:
            fill(row, opened.payload, role=opened.role, clear=head.enc == messages.CLEAR)
    elif verdict.status == "authentic" and opened is not None:
        row["author"] = opened.author
        if opened.payload is not None:
            fill(row, opened.payload, role=opened.role, clear=head.enc == messages.CLEAR)
            row["state"] = "hidden" if _said_before(ctx, rep.sph, row) else "sent"
            if opened.payload.kind == "sys" and opened.payload.about == "nick":
                ctx.store.put(f"nick/{rep.sph}/{opened.author}", people.clean(opened.payload.text))
        else:
            row["state"], row["code"] = ("unreadable" if opened.code == "C_KEY_UNKNOWN" else "damaged"), opened.code
    return row


def _said_before(ctx: Context, sph: str, row: dict[str, Any]) -> bool:
    """The same words (author and cid) are shown once, however often they were sealed (MSG-006)."""
    found = ctx.store.one(
        "SELECT id FROM message INDEXED BY message_cid WHERE sph = ? AND author = ? AND cid = ? AND state = 'sent'"
        " AND NOT (dv = ? AND seq = ? AND h = ?)",
        sph, row["author"], row["cid"], row["dv"], row["seq"], row["h"],
    )  # fmt: skip
    return found is not None


def fill(row: dict[str, Any], payload: Payload, *, role: str, clear: bool) -> None:
    """The members of a row that an opened payload decides; the right to change others' rows is kept with it."""
    body: dict[str, Any] = {"text": payload.text}
    if payload.kind == "delete" and role in MODERATORS:
        body["moderator"] = True
    if payload.kind == "react":
        body["on"] = payload.on
    if clear:
        body["open"] = True
    row["cid"], row["kind"], row["code"] = b64e(payload.cid), payload.kind, ""
    row["re"] = b64e(payload.re) if payload.re else ""
    row["body"] = json.dumps(body)


def _insert(ctx: Context, sph: str, row: dict[str, Any]) -> None:
    names = ("pos", "dv", "seq", "h", "mid", "cid", "author", "at", "ep", "ls", "kind", "re", "body", "jws", "state",
             "code", "place", "chained")  # fmt: skip
    marks = ", ".join("?" * (len(names) + 1))
    sql = f"INSERT INTO message (sph, {', '.join(names)}) VALUES ({marks})"  # noqa: S608 - own column names
    ctx.store.run(sql, sph, *(row[name] for name in names))


def _tell(
    ctx: Context, rep: Replica, row: dict[str, Any], opened: Opened | None, events: list[Event], *, new: bool
) -> None:
    """The event of a stored row."""
    shown = row["state"] in ("unreadable", "quarantined", "damaged") or row["kind"] in timeline.SPOKEN
    mid = row["mid"] if shown else row["re"]
    if row["state"] == "hidden" or not mid or not ctx.store.heard():
        return
    record = timeline.one(ctx.store, rep.sph, mid, ctx.id, lambda i: people.name_of(ctx.store, rep.state, i))
    if record is not None:
        events.append((MessageReceived if shown and new else MessageChanged)(rep.sph, record))


def reopen(ctx: Context, rep: Replica, ns: Sequence[int], events: list[Event]) -> int:
    """Keys of these epochs arrived: open the rows that waited for them (CLT-017)."""
    history, count = rep.known[1], 0
    for n in ns:
        waiting = ctx.store.all(
            "SELECT id, dv, seq, jws FROM message WHERE sph = ? AND state = 'unreadable' AND ep = ?", rep.sph, n
        )
        for row_id, dv, seq, jws in waiting:
            message = messages.decode(jws)
            role = run.role_for(history, dv, seq, message.head.ls)
            row: dict[str, Any] = {"author": history.owner_of(dv), "dv": dv, "seq": seq, "h": message.digest}
            try:
                payload = messages.open(message, rep.keys.get(n), mode=history.mode_at(message.head.ls))
            except CloisterError as error:
                state = "unreadable" if error.code == "C_KEY_UNKNOWN" else "damaged"
                ctx.store.run("UPDATE message SET state = ?, code = ? WHERE id = ?", state, error.code, row_id)
                continue
            fill(row, payload, role=role, clear=False)
            if payload.kind == "sys" and payload.about == "nick":
                ctx.store.put(f"nick/{rep.sph}/{row['author']}", people.clean(payload.text))
            row["state"] = "hidden" if _said_before(ctx, rep.sph, row) else "sent"
            ctx.store.run(
                "UPDATE message SET cid = ?, kind = ?, re = ?, body = ?, state = ?, code = '' WHERE id = ?",
                row["cid"], row["kind"], row["re"], row["body"], row["state"], row_id,
            )  # fmt: skip
            row["mid"] = message.head.mid
            _tell(ctx, rep, row, None, events, new=False)
            count += 1
    if count:
        events.append(KeysArrived(rep.sph, tuple(ns), count))
    return count
