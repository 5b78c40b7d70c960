"""What must hold when the storm is over.

Looked at from outside: the relay's database and every device's store are read as they are, and compared with what the
relay acknowledged and what the SDK took.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cloister.client.context import Context
from cloister.client.keys import granted
from cloister.client.replica import Replica
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.history import History
from tests.simulation.cast import TITLE

# The end of what somebody says in a story, different for every text: one search finds them all.
SAID = re.compile(rb" says \d+")

if TYPE_CHECKING:
    from tests.simulation.person import Person
    from tests.simulation.story import Story


def judge(story: Story) -> None:
    """Note the first promise that was not kept."""
    for check in (
        _positions,
        _one_log,
        _together,
        _acknowledged,
        _rows,
        _nothing_said_is_lost,
        _keys,
        _relay_knows_nothing,
    ):
        for fault in check(story):
            story.fail(f"{check.__name__.strip('_')}: {fault}")
            return


def _relay(story: Story) -> sqlite3.Connection:
    return sqlite3.connect(story.folder / "relay" / "relay.db")


def _items(story: Story) -> list[tuple[Any, ...]]:
    """(sphere, pos, kind, dv, seq, h, jws) of every stored row."""
    with _relay(story) as db:
        return db.execute(
            "SELECT s.sph, i.pos, i.kind, i.dv, i.seq, i.h, i.jws FROM item i JOIN sphere s ON s.n = i.sphere"
            " ORDER BY s.sph, i.pos"
        ).fetchall()


def _here(story: Story) -> Iterator[tuple[Person, Context, Replica]]:
    """Every device in use that is active in the sphere by the log."""
    for person in story.people.values():
        if person.gone or person.client is None:
            continue
        ctx = person.client.context
        for sph, _ in ctx.store.rows("sphere"):
            rep = ctx.replica(sph)
            if rep.state is None:
                continue
            device = _truth(story).devices_active(ctx.dv)
            if device:
                yield person, ctx, rep


class Truth:
    """The log as the relay stores it, followed by one machine from the first entry."""

    def __init__(self, story: Story) -> None:
        from cloister.protocol import entry, machine

        rows = [row for row in _items(story) if row[2] == 0]
        with _relay(story) as db:
            attach = {bytes(h): jws for h, jws in db.execute("SELECT h, jws FROM attach").fetchall()}
        self.digests = [bytes(row[5]) for row in rows]
        state = machine.genesis(entry.decode(rows[0][6]))
        self.history = History(state)
        for row in rows[1:]:
            state = machine.apply(state, entry.decode(row[6]), attach)
            self.history.append(state)
        self.state = state

    def devices_active(self, dv: str) -> bool:
        device = self.state.devices.get(dv)
        return device is not None and device.active

    def ever_active_since(self, dv: str, seq: int) -> bool:
        """Whether the device was active at some entry from ``seq`` on."""
        if dv not in self.state.devices:
            return False
        return any(self.history.active(dv, at) for at in range(seq, self.history.seq + 1))


@lru_cache(maxsize=1)
def _truth(story: Story) -> Truth:
    return Truth(story)


# --- the promises ---------------------------------------------------------------------------------------------------


def _positions(story: Story) -> Iterator[str]:
    """STR-001, CHN-004: no hole in the stream, none in a chain, every message names the one before it."""
    places: dict[str, int] = {}
    chains: dict[tuple[str, str], tuple[int, bytes]] = {}
    entries: dict[str, int] = {}
    for sph, pos, kind, dv, seq, h, compact in _items(story):
        if pos != places.get(sph, 0) + 1:
            yield f"position {pos} after {places.get(sph, 0)}"
        places[sph] = pos
        if kind == 0:
            if seq != entries.get(sph, -1) + 1:
                yield f"entry {seq} after {entries.get(sph, -1)}"
            entries[sph] = seq
            continue
        last, digest = chains.get((sph, dv), (0, b""))
        head = json.loads(b64d(compact.split(".")[0]))
        if seq != last + 1 or head["seq"] != seq or b64d(head["ph"]) != digest:
            yield f"message {seq} of {dv} after {last}"
        chains[sph, dv] = (seq, bytes(h))


def _one_log(story: Story) -> Iterator[str]:
    """LOG-004, CLT-019: every device holds a beginning of the one log, and nobody has stopped."""
    truth = _truth(story)
    for person in story.people.values():
        if person.client is None or person.gone:
            continue
        ctx = person.client.context
        for sph, note in ctx.store.rows("sphere"):
            if note.get("stop"):
                yield f"{person.name} has stopped: {note['stop']['code']} {note['stop']['detail']}"
            held = ctx.store.all("SELECT seq, h FROM entry WHERE sph = ? ORDER BY seq", sph)
            for seq, h in held:
                if truth.digests[seq] != bytes(h):
                    yield f"{person.name} holds another entry {seq}"


def _together(story: Story) -> Iterator[str]:
    """After healing every active device has the same head, and none has retired; each has the running key but those
    that came after it while the policy gives nothing from before (SHR-006)."""
    truth = _truth(story)
    for person in story.people.values():
        if person.client is None or person.gone:
            continue
        ctx = person.client.context
        if ctx.store.get("retired"):
            yield f"{person.name} has retired"
        if person.faults:
            yield f"{person.name} still reports {person.faults}"
    for person, _, rep in _here(story):
        state = rep.known[0]
        if rep.status != "active":
            yield f"{person.name} is {rep.status} and a member"
        elif state.seq != truth.state.seq:
            yield f"{person.name} is at entry {state.seq} of {truth.state.seq}"
        elif state.mode == "e2ee" and rep.sending_key is None and state.ep in granted(rep, ctx.dv):
            yield f"{person.name} lacks key {state.ep}"
    for person in story.people.values():
        if person.client is None or person.gone:
            continue
        member = truth.state.members.get(person.client.account.id)
        status = {s.status for s in person.client.spheres(past=True) if s.title == TITLE or s.sph}
        if member is not None and not member.active and "active" in status:
            yield f"{person.name} thinks it is a member"


def _acknowledged(story: Story) -> Iterator[str]:
    """What the relay said it has, it has, at that place (STR-004)."""
    stored = {(row[0], row[1]): bytes(row[5]) for row in _items(story)}
    for ack in story.acks:
        if stored.get((ack.sph, ack.pos)) != ack.digest:
            yield f"message {ack.seq} of {ack.dv}, acknowledged at {ack.pos}, is not there"


def _rows(story: Story) -> Iterator[str]:
    """Every message stands once at every active device: readable where the history policy gives its key (CLT-017)."""
    items = [row for row in _items(story) if row[2] == 1]
    for person, ctx, rep in _here(story):
        rows = {
            (dv, seq): (bytes(h), state, code)
            for dv, seq, h, state, code in ctx.store.all(
                "SELECT dv, seq, h, state, code FROM message WHERE sph = ? AND chained = 1", rep.sph
            )
        }
        given = granted(rep, ctx.dv)
        for sph, pos, _, dv, seq, h, compact in items:
            if sph != rep.sph:
                continue
            row = rows.get((dv, seq))
            if row is None or row[0] != bytes(h):
                other = ctx.store.all("SELECT state, code FROM message WHERE sph = ? AND h = ?", sph, bytes(h))
                yield f"{person.name} lacks message {seq} of {dv} at {pos}: {other}"
                continue
            head = json.loads(b64d(compact.split(".")[0]))
            opened = head["enc"] == "none" or head["ep"] in rep.keys
            if opened and row[1] not in ("sent", "hidden"):
                yield f"{person.name} shows message {seq} of {dv} at {pos} as {row[1]} {row[2]}"
            if not opened and head["ep"] in given:
                yield f"{person.name} never got key {head['ep']}, which the policy gives"


def _nothing_said_is_lost(story: Story) -> Iterator[str]:
    """CLT-010, CLT-014: what the SDK took is shown once or still waits, with its author."""
    for person in story.people.values():
        if person.client is None or person.gone:
            continue
        store = person.client.context.store
        rows = store.all(
            "SELECT body FROM message WHERE dv = ? AND state = 'sent' AND kind = 'msg'", person.client.account.dv
        )
        shown = [json.loads(body).get("text") for (body,) in rows]
        waiting = [row["text"] for _, row in store.rows("outbox")]
        for text in person.said:
            if shown.count(text) + waiting.count(text) != 1:
                yield f"{text!r} of {person.name} is shown {shown.count(text)} times, waits {waiting.count(text)} times"


def _keys(story: Story) -> Iterator[str]:
    """EPO-001: one key, one epoch, everywhere the same; nobody holds one that was made when he was out."""
    truth, known = _truth(story), dict[bytes, tuple[str, int]]()
    for person in story.people.values():
        if person.client is None:
            continue
        ctx = person.client.context
        for sph, n, secret in ctx.store.all("SELECT sph, n, secret FROM epoch_key"):
            if known.setdefault(bytes(secret), (sph, n)) != (sph, n):
                yield f"one secret for two epochs: {n}"
            if not truth.ever_active_since(ctx.dv, truth.history.epoch(n).seq):
                yield f"{person.name} holds key {n}, made when it was outside"
    if len(set(known.values())) != len(known):
        yield "two secrets for one epoch"


def _relay_knows_nothing(story: Story) -> Iterator[str]:
    """No secret of an epoch and no sealed text is anywhere in the relay's files."""
    data = b"".join(path.read_bytes() for path in sorted((story.folder / "relay").iterdir()) if path.is_file())
    clear, secrets = b"", set[bytes]()
    for _, _, kind, _, _, _, compact in _items(story):
        if kind == 1 and json.loads(b64d(compact.split(".")[0]))["enc"] == "none":
            clear += b64d(compact.split(".")[1])
    for person in story.people.values():
        if person.client is not None:
            secrets |= {bytes(row[0]) for row in person.client.context.store.all("SELECT secret FROM epoch_key")}
    if _found(data, [form for one in secrets for form in (one, b64e(one).encode())]):
        yield "a secret of an epoch is in the relay's files"
    written, told = set(SAID.findall(data)), set(SAID.findall(clear))
    for person in story.people.values():
        for text in person.said:
            if text.encode()[len(person.name) :] in written - told:
                yield f"{text!r} is in the relay's files"


def _found(data: bytes, needles: list[bytes]) -> list[bytes]:
    """Those of ``needles``, of 32 bytes or more, that are somewhere in ``data``.

    Whatever is 32 bytes long covers 8 bytes that begin at a multiple of 25: only what has such 8 bytes in common with
    the data is looked for.
    """
    pieces = {data[at : at + 8] for at in range(0, len(data), 25)}
    likely = [one for one in needles if any(one[at : at + 8] in pieces for at in range(len(one) - 7))]
    return [one for one in likely if one in data]
