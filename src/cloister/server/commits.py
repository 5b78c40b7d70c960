"""Writing to a sphere: commits and messages, each one operation of the writer.

The rules are those of ``protocol``: the same code judges here and at every member. What is added here is order,
position, delivery and idempotency.

Spec: STR-001 to STR-009, COM-002, CHN-001 to CHN-008.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from cloister import crypto
from cloister.errors import BadFormat, Busy, CheckFailed, Conflict, Forbidden, RelayError, StaleHead
from cloister.protocol import api, chain, jws
from cloister.protocol import commit as commits
from cloister.protocol import entry as entries
from cloister.protocol.chain import ChainHead
from cloister.protocol.commit import Commit
from cloister.protocol.encoding import b64e
from cloister.protocol.state import SphereState
from cloister.server import inbox, schema
from cloister.server.core import View
from cloister.server.hub import Hint, Membership, Stored
from cloister.server.spheres import ChainHeads, Digests, Sphere
from cloister.server.writer import Batch

# An entry's clock may differ this much from the relay's (F22: iat proves nothing, but must not run away).
CLOCK_SKEW: Final = 600
# After stale tails the affected members' sends wait this long, so that the retry wins.
HOLD: Final = 2.0
_COMPACT: Final = {"separators": (",", ":"), "ensure_ascii": False}


def item_record(sph: str, pos: int, kind: int, compact: str) -> str:
    """The text of a stream row on a socket (STR-013). Envelopes need no escaping."""
    name = "entry" if kind == schema.ENTRY else "msg"
    return f'{{"t":"item","s":"{sph}","pos":{pos},"k":"{name}","jws":"{compact}"}}'


def hint_record(kind: str, sph: str) -> str:
    return json.dumps({"t": "hint", "k": kind, "s": sph}, **_COMPACT)  # type: ignore[arg-type]


def send(batch: Batch, account: str, envelope: jws.Envelope, clock: float) -> int:
    """Store one message; returns its position. Checks everything before the first write (STR-005).

    The caller has run ``check_message``: the signature is not looked at again. Raises Forbidden, StaleHead,
    StaleEpoch, Conflict, BadFormat as ``chain.place``, Busy while tails are settled.
    """
    header = envelope.header
    sphere = batch.spheres.get(batch.conn, header["sph"])
    if sphere is None:
        raise Forbidden("sphere")
    author = sphere.state.author(header["kid"])
    if author is None or author.id != account:
        raise Forbidden("sphere")
    held = sphere.hold.get(account)
    if held is not None:
        if clock < held:
            raise Busy("tails are being settled", retry_after=1)
        del sphere.hold[account]
    head = batch.spheres.head(batch.conn, sphere, header["kid"])
    if head is not None and header["seq"] <= head.seq:
        again = _stored(batch, sphere, header["kid"], header["seq"], envelope.digest)
        if again is not None:
            return again
    new = chain.place(sphere.state, sphere.digests, envelope, head)
    return _append_message(batch, sphere, header["kid"], envelope, new)


def check_message(state: SphereState, account: str, envelope: jws.Envelope) -> None:
    """What needs no writer: the author is a device of the caller, and signed this (CHN-001, CHN-008).

    Raises Forbidden, BadFormat.
    """
    author = state.author(envelope.header["kid"])
    if author is None or author.id != account:
        raise Forbidden("sphere")
    chain.check_signature(state, envelope)


def rows_after(conn: Connection, n: int, after: int, limit: int) -> list[Any]:
    """Stream rows with pos > after, ascending."""
    item = schema.item.c
    query = select(schema.item).where(item.sphere == n, item.pos > after).order_by(item.pos).limit(limit)
    return list(conn.execute(query))


def record_of(sph: str, row: Any) -> str:
    """The text of a stored stream row on a socket (STR-013)."""
    if row.deleted:
        h = b64e(bytes(row.h))
        return f'{{"t":"item","s":"{sph}","pos":{row.pos},"k":"gone","dv":"{row.dv}","seq":{row.seq},"h":"{h}"}}'
    return item_record(sph, row.pos, row.kind, row.jws)


def _stored(batch: Batch, sphere: Sphere, dv: str, seq: int, digest: bytes) -> int | None:
    batch.flush()
    item = schema.item.c
    query = select(item.pos, item.h).where(
        item.sphere == sphere.n, item.kind == schema.MESSAGE, item.dv == dv, item.seq == seq
    )
    row = batch.conn.execute(query).one_or_none()
    return row.pos if row is not None and bytes(row.h) == digest else None


def _append_message(batch: Batch, sphere: Sphere, dv: str, envelope: jws.Envelope, head: ChainHead) -> int:
    pos = sphere.next_pos
    batch.rows.append(_row(sphere.n, pos, schema.MESSAGE, dv, head.seq, head.digest, head.ls, batch.now, envelope))
    batch.effects.append(Stored(sphere.sph, pos, item_record(sphere.sph, pos, schema.MESSAGE, envelope.compact)))
    sphere.next_pos = pos + 1
    sphere.heads[dv] = head
    sphere.dirty = True
    return pos


def _row(
    n: int, pos: int, kind: int, dv: str, seq: int, h: bytes, ls: int, at: int, envelope: jws.Envelope
) -> dict[str, Any]:
    return {
        "sphere": n,
        "pos": pos,
        "kind": kind,
        "dv": dv,
        "seq": seq,
        "h": h,
        "ls": ls,
        "at": at,
        "deleted": False,
        "jws": envelope.compact,
    }


def take(batch: Batch, account: str, commit: Commit, clock: float, *, create: bool) -> api.Committed:
    """Apply one commit, whole or not at all (STR-006). A known ``idem`` gets its first answer (COM-002)."""
    conn, digest = batch.conn, commit.digest()
    key = f"{account}/{b64e(commit.idem)}"
    known = conn.execute(select(schema.idem).where(schema.idem.c.key == key)).one_or_none()
    if known is not None:
        if bytes(known.h) != digest:
            raise Conflict("idem")
        return msgspec.json.decode(known.answer, type=api.Committed)
    sphere = batch.spheres.get(conn, commit.sph)
    if create != (sphere is None):
        raise Forbidden("sphere") if sphere is None else Conflict("the sphere exists")
    before = sphere.state if sphere else None
    states = _judge(batch, account, commit, sphere, clock)
    last = states[-1]
    _allowed(before, last, account)
    decoded = [entries.decode(compact) for compact in commit.entries]
    for one in decoded:
        if abs(one.iat - batch.now) > CLOCK_SKEW:
            raise BadFormat("iat", now=batch.now)
    if sphere is None:
        sphere = _create(batch, last)
    _deliver(batch, sphere, commit, states)
    effects: list[Stored] = []
    for one, state in zip(decoded, states, strict=True):
        pos = sphere.next_pos
        batch.rows.append(
            _row(sphere.n, pos, schema.ENTRY, "", state.seq, state.digest, state.seq, batch.now, one.envelope)
        )
        effects.append(Stored(sphere.sph, pos, item_record(sphere.sph, pos, schema.ENTRY, one.compact)))
        sphere.digests.append(state.digest)
        sphere.next_pos = pos + 1
    sphere.state = last
    sphere.dirty = True
    _keep(batch, sphere, commit, before, states)
    lost = _lost(before, last)
    batch.effects.append(Membership(sphere.sph, View(sphere.n, last), *lost))
    batch.effects += effects
    entry_pos, msg_pos = sphere.next_pos - 1, None
    if commit.msg is not None:
        envelope = jws.decode(commit.msg, "sph-msg+1")
        header = envelope.header
        head = ChainHead(header["seq"], envelope.digest, header["ls"])
        msg_pos = _append_message(batch, sphere, header["kid"], envelope, head)
    answer = api.Committed(
        sphere.sph, last.seq, b64e(last.digest), entry_pos, msgspec.UNSET if msg_pos is None else msg_pos
    )
    text = msgspec.json.encode(answer).decode()
    conn.execute(delete(schema.idem).where(schema.idem.c.at < batch.now - 86400))
    conn.execute(insert(schema.idem), {"key": key, "h": digest, "answer": text, "at": batch.now})
    batch.flush()
    return answer


def _judge(batch: Batch, account: str, commit: Commit, sphere: Sphere | None, clock: float) -> list[SphereState]:
    heads = ChainHeads(batch.spheres, batch.conn, sphere) if sphere else {}
    try:
        return commits.steps(sphere.state if sphere else None, commit, heads)
    except StaleHead as stale:
        if sphere is not None and "heads" in stale.data:
            for dv, _, _ in stale.data["heads"]:
                owner = sphere.state.devices[dv].owner
                if owner != account:
                    sphere.hold[owner] = clock + HOLD
        raise
    except (CheckFailed, RelayError) as fault:
        raise commits.as_relay_error(fault) from None


def _allowed(before: SphereState | None, last: SphereState, account: str) -> None:
    """The author is the caller, and was a member before or made the sphere."""
    if last.devices[last.change.by].owner != account:
        raise Forbidden("another author")
    if before is not None:
        member = before.members.get(account)
        if member is None or not member.active:
            raise Forbidden("sphere")


def _create(batch: Batch, last: SphereState) -> Sphere:
    row = {"sph": last.sph, "head_seq": last.seq, "next_pos": 1, "mode": last.mode, "snap_seq": -1, "snap": None}
    key = batch.conn.execute(insert(schema.sphere), row).inserted_primary_key
    assert key is not None
    sphere = Sphere(key[0], last.sph, last, 1, -1, Digests())
    batch.spheres.put(sphere)
    return sphere


def _deliver(batch: Batch, sphere: Sphere, commit: Commit, states: list[SphereState]) -> None:
    """Inbox first: a device finds its share before the entries it belongs to (STR-007)."""
    touched = {dv for state in states for dv in (*state.change.on, *state.change.off)}
    touched -= {states[-1].change.by}
    body = json.dumps(list(commit.entries), **_COMPACT)  # type: ignore[arg-type]
    for dv in sorted(touched):
        inbox.put(batch, dv, inbox.COMMIT, states[-1].digest, sphere.sph, body)
    for wrap in commit.wraps:
        inbox.put(batch, wrap.dv, inbox.P2P, crypto.sha256(wrap.jws.encode("ascii")), sphere.sph, wrap.jws)


def _keep(batch: Batch, sphere: Sphere, commit: Commit, before: SphereState | None, states: list[SphereState]) -> None:
    """Attachments, link blob, the list of members, the fate of join requests."""
    conn = batch.conn
    for h, compact in commit.attach.items():
        held = schema.attach.c
        if conn.execute(select(held.h).where(held.sphere == sphere.n, held.h == h)).first() is None:
            conn.execute(insert(schema.attach), {"sphere": sphere.n, "h": h, "jws": compact})
    if commit.link is not None:
        conn.execute(insert(schema.link), {"sphere": sphere.n, "n": states[-1].ep, "blob": commit.link})
    roles = dict(pair for state in states for pair in state.change.roles)
    for member in roles:
        was = before is not None and member in before.members and before.members[member].active
        active = states[-1].members[member].active
        mine = schema.member.c
        if active and not was:
            conn.execute(insert(schema.member), {"id": member, "sphere": sphere.n})
        elif was and not active:
            conn.execute(delete(schema.member).where(mine.id == member, mine.sphere == sphere.n))
    for state in states:
        if state.change.join:
            conn.execute(update(schema.join).where(schema.join.c.h == state.change.join).values(state="admitted"))
            batch.effects.append(Hint(hint_record("joined", sphere.sph), accounts=(state.change.target,)))


def _lost(before: SphereState | None, last: SphereState) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if before is None:
        return (), ()
    members = tuple(m.id for m in before.members.values() if m.active and not last.members[m.id].active)
    devices = tuple(d.dv for d in before.devices.values() if d.active and not last.devices[d.dv].active)
    return members, devices
