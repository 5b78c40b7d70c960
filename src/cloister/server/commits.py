"""Writing to a sphere: commits and messages, each one operation of the writer.

The rules are those of ``protocol``: the same code judges here and at every member. What is added here is order,
position, delivery and idempotency.

Spec: STR-001, STR-002, STR-005, STR-006, STR-008, STR-009, COM-002, CHN-001 to CHN-008.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    bindparam,
    case,
    delete,
    insert,
    literal_column,
    select,
    update,
)

from cloister import crypto
from cloister.errors import BadFormat, Busy, CheckFailed, Conflict, Forbidden, RelayError, StaleHead
from cloister.protocol import api, chain, jws, p2p
from cloister.protocol import commit as commits
from cloister.protocol import entry as entries
from cloister.protocol.chain import ChainHead
from cloister.protocol.commit import Commit
from cloister.protocol.encoding import b64e
from cloister.protocol.roles import RANK
from cloister.protocol.state import SphereState
from cloister.server import inbox, schema
from cloister.server.core import View
from cloister.server.hub import Hint, Membership, Stored
from cloister.server.prepared import Prepared
from cloister.server.spheres import ChainHeads, Digests, Last, Sphere
from cloister.server.writer import Batch

# An entry's clock may differ this much from the relay's: iat proves nothing, but must not run away.
CLOCK_SKEW: Final = 600
# After stale tails the affected members' sends wait this long, so that the retry wins.
HOLD: Final = 2.0
# Whose lost race gives way to nobody below them.
MODERATORS: Final = ("owner", "admin")
# How long a repeated commit gets its first answer.
IDEM_LIFE: Final = 86400
_ITEM = schema.item.c
_AFTER: Final = Prepared(
    select(schema.item)
    .where(_ITEM.sphere == bindparam("sphere"), _ITEM.pos > bindparam("after"))
    .order_by(_ITEM.pos)
    .limit(bindparam("limit"))
    .offset(literal_column("0")),
    *("sphere", "after", "limit"),
)
_COMPACT: Final = {"separators": (",", ":"), "ensure_ascii": False}


def item_record(sph: str, pos: int, kind: int, compact: str) -> str:
    """The text of a stream row on a socket (STR-013). Envelopes need no escaping."""
    name = "entry" if kind == schema.ENTRY else "msg"
    return f'{{"t":"item","s":"{sph}","pos":{pos},"k":"{name}","jws":"{compact}"}}'


def hint_record(kind: str, sph: str) -> str:
    return json.dumps({"t": "hint", "k": kind, "s": sph}, **_COMPACT)  # type: ignore[arg-type]


def send(batch: Batch, account: str, envelope: jws.Envelope, clock: float) -> int:
    """Store one message; returns its position. Checks everything before the first write (STR-005).

    The signature is checked here too, in the writer's thread: the library lets other threads run meanwhile, and a
    group's checks overlap with reading the next one from the sockets. Raises Forbidden, StaleHead, StaleEpoch,
    Conflict, BadFormat as ``chain.place`` and ``chain.check_signature``, Busy while tails are settled.
    """
    header = envelope.header
    sphere = batch.spheres.get(batch.conn, header["sph"])
    if sphere is None:
        raise Forbidden("sphere")
    author = sphere.state.author(header["kid"])
    if author is None or author.id != account:
        raise Forbidden("sphere")
    chain.check_signature(sphere.state, envelope)
    held = sphere.hold.get(account)
    if held is not None:
        if clock < held:
            raise Busy("tails are being settled", retry_after=1)
        del sphere.hold[account]
    last = batch.spheres.last(batch.conn, sphere, header["kid"])
    if last is not None and header["seq"] <= last.head.seq:
        again = _stored(batch, sphere, last, header["seq"], envelope.digest)
        if again is not None:
            return again
    new = chain.place(sphere.state, sphere.digests, envelope, last.head if last else None)
    return _append_message(batch, sphere, header["kid"], envelope, new)


def rows_after(conn: Connection, n: int, after: int, limit: int) -> list[Any]:
    """Stream rows with pos > after, ascending."""
    return _AFTER.all(conn, (n, after, limit))


def record_of(sph: str, row: Any) -> str:
    """The text of a stored stream row on a socket (STR-013)."""
    if row.deleted:
        h = b64e(bytes(row.h))
        return f'{{"t":"item","s":"{sph}","pos":{row.pos},"k":"gone","dv":"{row.dv}","seq":{row.seq},"h":"{h}"}}'
    return item_record(sph, row.pos, row.kind, row.jws)


def _stored(batch: Batch, sphere: Sphere, last: Last, seq: int, digest: bytes) -> int | None:
    """The position of message ``seq`` of a chain, if it is this one: at its end, or back from there (STR-008)."""
    if seq == last.head.seq:
        return last.pos if last.head.digest == digest else None
    batch.flush()
    row = batch.conn.execute(_BACK, {"sphere": sphere.n, "end": last.pos, "wanted": seq}).one_or_none()
    return row.pos if row is not None and bytes(row.h) == digest else None


def _back() -> Any:
    """From the row at ``end`` along its chain to ``wanted``: by marks while one lies at or behind it, then by rows."""
    item = schema.item.c
    sphere, wanted = bindparam("sphere", type_=Integer()), bindparam("wanted", type_=BigInteger())
    begin = select(item.pos, item.seq, item.prev, item.mark)
    at = begin.where(item.sphere == sphere, item.pos == bindparam("end")).cte("at", recursive=True)
    mark = (at.c.seq - 1) // schema.STRIDE * schema.STRIDE
    following = case((mark >= wanted, at.c.mark), else_=at.c.prev)
    step = begin.where(item.sphere == sphere, item.pos == following, at.c.seq > wanted)
    at = at.union_all(step)
    return select(item.pos, item.h).join(at, (item.pos == at.c.pos) & (at.c.seq == wanted)).where(item.sphere == sphere)


_BACK: Final = _back()


def _append_message(batch: Batch, sphere: Sphere, dv: str, envelope: jws.Envelope, head: ChainHead) -> int:
    n, pos, last = sphere.n, sphere.next_pos, batch.spheres.last(batch.conn, sphere, dv)
    prev, mark = (last.pos, last.mark) if last else (0, 0)
    if (head.seq - 1) % schema.STRIDE == 0:
        mark = prev
    row = (n, pos, schema.MESSAGE, dv, head.seq, head.digest, head.ls, batch.now, False, prev, mark, envelope.compact)
    batch.rows.append(row)
    batch.chains[n, dv] = (n, dv, head.seq, head.digest, head.ls, pos, mark)
    batch.effects.append(Stored(sphere.sph, pos, item_record(sphere.sph, pos, schema.MESSAGE, envelope.compact)))
    sphere.next_pos = pos + 1
    sphere.chains[dv] = Last(head, pos, mark)
    sphere.dirty = True
    return pos


def judge(before: SphereState | None, account: str, commit: Commit, now: int) -> list[SphereState]:
    """Everything about a commit that needs no writer: the states after each of its entries (STR-006).

    Form, order, signatures, rights, shares, clock. Costly, so it runs beside the writer. Raises RelayError.
    """
    try:
        states = commits.steps(before, commit, None)
        for wrap in commit.wraps:
            letter = p2p.decode(wrap.jws)
            if (letter.k, letter.sph, letter.to) != ("share", commit.sph, wrap.dv):
                raise BadFormat("a share for another device or sphere")
    except (CheckFailed, RelayError) as fault:
        raise commits.as_relay_error(fault) from None
    author = states[-1].devices[states[-1].change.by]
    if author.owner != account:
        raise Forbidden("another author")
    for compact in commit.entries:
        if abs(entries.decode(compact).iat - now) > CLOCK_SKEW:
            raise BadFormat("iat", now=now)
    return states


def take(
    batch: Batch, account: str, commit: Commit, judged: list[SphereState] | RelayError, clock: float, *, create: bool
) -> api.Committed:
    """Apply one judged commit, whole or not at all (STR-006). A known ``idem`` gets its first answer (COM-002)."""
    conn, digest = batch.conn, commit.digest()
    key = f"{account}/{b64e(commit.idem)}"
    known = conn.execute(select(schema.idem).where(schema.idem.c.key == key)).one_or_none()
    if known is not None:
        if bytes(known.h) != digest:
            raise Conflict("idem")
        return msgspec.json.decode(known.answer, type=api.Committed)
    if isinstance(judged, RelayError):
        if isinstance(judged, StaleHead):
            _first_turn(batch.spheres.get(conn, commit.sph), account, clock)
        raise judged
    states, last = judged, judged[-1]
    sphere = batch.spheres.get(conn, commit.sph)
    if create and sphere is not None:
        raise Conflict("the sphere exists")
    before = sphere.state if sphere else None
    if not create:
        if sphere is None or before is None:
            raise Forbidden("sphere")
        _still_stands(batch, account, sphere, commit, states, clock)
    else:
        commits.settle(states, commit, {})
    _enrolled(batch, states)
    if sphere is None:
        sphere = _create(batch, last)
    _deliver(batch, sphere, commit, states)
    _keep(batch, sphere, commit, before, states)
    return _append(batch, sphere, commit, before, states, key, digest)


def _still_stands(
    batch: Batch, account: str, sphere: Sphere, commit: Commit, states: list[SphereState], clock: float
) -> None:
    """What may have changed since the commit was judged: membership, the head, message chains. Raises RelayError."""
    member = sphere.state.members.get(account)
    if member is None or not member.active:
        raise Forbidden("sphere")
    turn = sphere.turn
    if turn is not None and clock < turn[1] and RANK[member.role] < turn[0]:
        raise Busy("somebody who lost a race goes first", retry_after=1)
    if commit.base != (sphere.state.seq, sphere.state.digest):
        _first_turn(sphere, account, clock)
        raise StaleHead("base", seq=sphere.state.seq, h=b64e(sphere.state.digest))
    try:
        commits.settle(states, commit, ChainHeads(batch.spheres, batch.conn, sphere))
    except StaleHead as stale:
        for dv, _, _ in stale.data.get("heads", ()):
            owner = sphere.state.devices[dv].owner
            if owner != account:
                sphere.hold[owner] = clock + HOLD  # STR-009
        raise


def _enrolled(batch: Batch, states: list[SphereState]) -> None:
    """Who comes in brings devices enrolled here as his own (JOIN-009).

    A request proves only the device that signed it: without this anybody could name another person's device as his and
    so keep it out of the sphere.
    """
    owners = {dv: state.devices[dv].owner for state in states if state.change.op == "add" for dv in state.change.on}
    d = schema.device.c
    query = select(d.dv, d.account).where(d.dv.in_(owners), d.active.is_(True))
    if owners and {row.dv: row.account for row in batch.conn.execute(query)} != owners:
        raise BadFormat("a device in the request is not enrolled by its author")


def _first_turn(sphere: Sphere | None, account: str, clock: float) -> None:
    """An owner or admin who lost a race goes before lower roles for a moment (COM-013).

    Else a member who keeps committing could not be removed: every removal would be too late.
    """
    member = sphere.state.members.get(account) if sphere is not None else None
    if sphere is not None and member is not None and member.role in MODERATORS:
        sphere.turn = (RANK[member.role], clock + HOLD)


def _append(
    batch: Batch,
    sphere: Sphere,
    commit: Commit,
    before: SphereState | None,
    states: list[SphereState],
    key: str,
    digest: bytes,
) -> api.Committed:
    """Rows, answer, effects; the cached state last, when nothing can fail any more but the commit itself."""
    last, first, sph = states[-1], sphere.next_pos, sphere.sph
    decoded = [entries.decode(compact) for compact in commit.entries]
    last_pos = first + len(states) - 1
    message = jws.decode(commit.msg, "sph-msg+1") if commit.msg is not None else None
    msg_pos = msgspec.UNSET if message is None else last_pos + 1
    answer = api.Committed(sph, last.seq, b64e(last.digest), last_pos, msg_pos)
    text = msgspec.json.encode(answer).decode()
    batch.conn.execute(delete(schema.idem).where(schema.idem.c.at < batch.now - IDEM_LIFE))
    batch.conn.execute(insert(schema.idem), {"key": key, "h": digest, "answer": text, "at": batch.now})
    batch.effects.append(_membership(sphere.n, before, last))
    for pos, (one, state) in enumerate(zip(decoded, states, strict=True), first):
        place = (sphere.n, pos, schema.ENTRY, "", state.seq, state.digest, state.seq)
        batch.rows.append((*place, batch.now, False, 0, 0, one.compact))
        batch.effects.append(Stored(sph, pos, item_record(sph, pos, schema.ENTRY, one.compact)))
        sphere.digests.append(state.digest)
    sphere.next_pos, sphere.state, sphere.dirty = last_pos + 1, last, True
    if message is not None:
        header = message.header
        _append_message(batch, sphere, header["kid"], message, ChainHead(header["seq"], message.digest, header["ls"]))
    batch.effects += _hints(before, states)
    batch.flush()
    return answer


def _membership(n: int, before: SphereState | None, last: SphereState) -> Membership:
    """Who gained and who lost by a commit."""
    was = {m.id for m in before.active_members()} if before else set()
    now = {m.id for m in last.active_members()}
    devices = before.devices.values() if before else ()
    off = tuple(d.dv for d in devices if d.active and not last.devices[d.dv].active)
    return Membership(last.sph, View(n, last), tuple(now - was), tuple(was - now), off)


def _hints(before: SphereState | None, states: list[SphereState]) -> list[Hint]:
    """Where to look after a commit (STR-015)."""
    last = states[-1]
    hints = [
        Hint(hint_record("joined", last.sph), accounts=(state.change.target,)) for state in states if state.change.join
    ]
    changed = _membership(0, before, last)
    if changed.gained_accounts or changed.lost_accounts:
        hints.append(Hint(hint_record("spheres", last.sph), (*changed.gained_accounts, *changed.lost_accounts)))
    if last.mode == "e2ee" and last.hard and not (before and before.hard):
        hints.append(rotate_hint(last))
    return hints


def rotate_hint(state: SphereState) -> Hint:
    """A marked sphere waits for a new key: whoever may make one is asked to look."""
    may = tuple(m.id for m in state.active_members() if m.role != "guest")
    return Hint(hint_record("rotate", state.sph), accounts=may)


def _create(batch: Batch, last: SphereState) -> Sphere:
    row = {
        "sph": last.sph,
        "head_seq": last.seq,
        "next_pos": 1,
        "mode": last.mode,
        "retention": 0,
    }
    key = batch.conn.execute(insert(schema.sphere), row).inserted_primary_key
    assert key is not None
    sphere = Sphere(key[0], last.sph, last, 1, -1, Digests(), dirty=True)
    batch.spheres.put(sphere)
    return sphere


def _deliver(batch: Batch, sphere: Sphere, commit: Commit, states: list[SphereState]) -> None:
    """Inbox first: a device finds its share before the entries it belongs to (STR-007)."""
    touched = {dv for state in states for dv in (*state.change.on, *state.change.off)}
    touched -= {states[-1].change.by}
    body = json.dumps(list(commit.entries), **_COMPACT)  # type: ignore[arg-type]
    digest = states[-1].digest
    letters = [inbox.Letter(dv, inbox.COMMIT, digest, body) for dv in sorted(touched)]
    letters += [
        inbox.Letter(one.dv, inbox.P2P, crypto.sha256(digest + one.jws.encode("ascii")), one.jws)
        for one in commit.wraps
    ]
    inbox.put(batch, sphere.sph, letters)


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
