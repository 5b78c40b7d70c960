"""A sphere's endpoints: commits and messages in, log, items, attachments, links and rows out; inboxes beside them.

Envelopes leave as they came. Whoever is no active member gets what absence gets.

Spec: API-024, API-025, API-026, API-027, API-028.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from sqlalchemy import Connection, bindparam, func, literal_column, select

from cloister import crypto
from cloister.errors import BadFormat, CheckFailed, Forbidden, RelayError, StaleEpoch
from cloister.protocol import api, jws, p2p
from cloister.protocol.commit import Commit
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.state import SphereState
from cloister.server import commits, inbox, schema
from cloister.server.core import Relay, View
from cloister.server.prepared import Prepared
from cloister.server.sessions import caller
from cloister.server.writer import Batch

PAGE: Final = 500
MAX_LINKS: Final = 512
_KINDS: Final = {schema.ENTRY: "entry", schema.MESSAGE: "msg"}
_ITEM = schema.item.c
_ENTRIES: Final = Prepared(
    select(_ITEM.jws)
    .where(_ITEM.sphere == bindparam("sphere"), schema.IS_ENTRY, _ITEM.seq >= bindparam("start"))
    .order_by(_ITEM.seq)
    .limit(bindparam("limit"))
    .offset(literal_column("0")),
    *("sphere", "start", "limit"),
)
_HEAD: Final = Prepared(
    select(_ITEM.seq, _ITEM.h)
    .where(_ITEM.sphere == bindparam("sphere"), schema.IS_ENTRY)
    .order_by(_ITEM.seq.desc())
    .limit(literal_column("1"))
    .offset(literal_column("0")),
    "sphere",
)
_LAST: Final = Prepared(select(func.max(_ITEM.pos).label("pos")).where(_ITEM.sphere == bindparam("sphere")), "sphere")
From = Annotated[int, QueryParameter(name="from", ge=0, lt=2**53)]
Pos = Annotated[int, QueryParameter(ge=0, lt=2**53)]
MaybePos = Annotated[int | None, QueryParameter(ge=0, lt=2**53)]
Limit = Annotated[int, QueryParameter(ge=1, le=PAGE)]


def _relay(request: Request[Any, Any, Any]) -> Relay:
    relay: Relay = request.app.state.relay
    return relay


# --- writing -------------------------------------------------------------------------------------------------------


async def _commit(request: Request[Any, Any, Any], data: api.CommitBody, sph: str | None) -> api.Committed:
    relay, me = _relay(request), await caller(request)
    me.require_device()
    try:
        commit = Commit.from_json({"attach": {}, "wraps": [], **msgspec.to_builtins(data)})
    except CheckFailed as fault:
        raise BadFormat(fault.detail) from None
    if sph is not None and commit.sph != sph:
        raise BadFormat("the commit is for another sphere")
    judged: list[SphereState] | RelayError
    try:
        before = (await relay.view_for(sph, me.account, me.dv)).state if sph is not None else None
        judged = await asyncio.to_thread(commits.judge, before, me.account, commit, relay.now)
    except RelayError as fault:
        judged = fault  # a repetition gets its first answer, whatever has changed since
    clock, verdict = relay.clock(), judged
    return await relay.writer.submit(
        lambda batch: commits.take(batch, me.account, commit, verdict, clock, create=sph is None)
    )


@post("/spheres", status_code=201)
async def create(request: Request[Any, Any, Any], data: JSONBody[api.CommitBody]) -> api.Committed:
    """Make a sphere by its first commit."""
    return await _commit(request, data, None)


@post("/spheres/{sph:str}/commits", status_code=200)
async def commit(request: Request[Any, Any, Any], sph: FromPath[str], data: JSONBody[api.CommitBody]) -> api.Committed:
    """Add a commit to the log, whole or not at all."""
    return await _commit(request, data, sph)


@post("/spheres/{sph:str}/messages", status_code=200)
async def send(request: Request[Any, Any, Any], sph: FromPath[str], data: JSONBody[api.Send]) -> api.Position:
    """Send one message; the same bytes again get the same answer."""
    relay, me = _relay(request), await caller(request)
    envelope = decode_message(data.jws)
    if envelope.header["sph"] != sph:
        raise BadFormat("the message is for another sphere")
    await relay.view_for(sph, me.account, me.dv)
    clock = relay.clock()
    try:
        pos = await relay.writer.submit(lambda batch: commits.send(batch, me.account, envelope, clock), savepoint=False)
    except StaleEpoch:
        relay.wants_rotation(sph)
        raise
    return api.Position(pos)


def decode_message(compact: str) -> jws.Envelope:
    """Raises BadFormat."""
    try:
        return jws.decode(compact, "sph-msg+1")
    except CheckFailed as fault:
        raise BadFormat(fault.detail) from None


# --- reading -------------------------------------------------------------------------------------------------------


@get("/spheres")
async def mine(request: Request[Any, Any, Any]) -> api.Spheres:
    """Spheres the caller is in: a hint."""
    relay, me = _relay(request), await caller(request)

    def read(conn: Connection) -> api.Spheres:
        m, s = schema.member, schema.sphere
        query = select(s.c.sph).join(m, m.c.sphere == s.c.n).where(m.c.id == me.account).order_by(s.c.n)
        return api.Spheres([row.sph for row in conn.execute(query)])

    return await relay.store.read(read)


async def _member(request: Request[Any, Any, Any], sph: str) -> View:
    me = await caller(request)
    return await _relay(request).view_for(sph, me.account, me.dv)


async def _public(request: Request[Any, Any, Any], sph: str) -> View:
    view = await _relay(request).view(sph)
    if view.state.mode != "public":
        raise Forbidden("sphere")
    return view


async def _log(request: Request[Any, Any, Any], view: View, start: int, limit: int) -> api.Log:
    def read(conn: Connection) -> api.Log:
        conn.begin()  # entries and head of one moment
        entries = [row.jws for row in _ENTRIES.all(conn, (view.n, start, limit))]
        head = _HEAD.first(conn, (view.n,))
        assert head is not None
        return api.Log(entries, api.Base(head.seq, b64e(bytes(head.h))))

    return await _relay(request).store.read(read)


async def _attachment(request: Request[Any, Any, Any], view: View, h: str) -> api.Attachment:
    def read(conn: Connection) -> api.Attachment:
        a = schema.attach.c
        try:
            digest = b64d(h)
        except CheckFailed:
            raise Forbidden("attachment") from None
        row = conn.execute(select(a.jws).where(a.sphere == view.n, a.h == digest)).one_or_none()
        if row is None:
            raise Forbidden("attachment")
        return api.Attachment(row.jws)

    return await _relay(request).store.read(read)


def item_of(row: Any) -> api.Item:
    """A row as an item; a deleted one keeps its place and hash."""
    if row.deleted:
        return api.Item(row.pos, "gone", dv=row.dv, seq=row.seq, h=b64e(bytes(row.h)))
    return api.Item(row.pos, _KINDS[row.kind], jws=row.jws)


async def _items(
    request: Request[Any, Any, Any],
    view: View,
    after: int | None,
    before: int | None,
    limit: int,
    floor: int = 0,
) -> api.Items:
    """Items after position ``floor``."""

    def read(conn: Connection) -> api.Items:
        item = schema.item.c
        conn.begin()  # rows and head of one moment
        if before is not None:
            query = select(schema.item).where(item.sphere == view.n, item.pos < before, item.pos > floor)
            rows = list(conn.execute(query.order_by(item.pos.desc()).limit(limit)))[::-1]
        else:
            rows = commits.rows_after(conn, view.n, max(after or 0, floor), limit)
        head = _LAST.first(conn, (view.n,))
        return api.Items([item_of(row) for row in rows], (head and head.pos) or 0)

    return await _relay(request).store.read(read)


@get("/spheres/{sph:str}/log")
async def log(request: Request[Any, Any, Any], sph: FromPath[str], start: From = 0, limit: Limit = PAGE) -> api.Log:
    """Entries from a position on, and the head."""
    return await _log(request, await _member(request, sph), start, limit)


@get("/spheres/{sph:str}/attach/{h:str}")
async def attachment(request: Request[Any, Any, Any], sph: FromPath[str], h: FromPath[str]) -> api.Attachment:
    """An attachment by its hash."""
    return await _attachment(request, await _member(request, sph), h)


@get("/spheres/{sph:str}/items")
async def items(
    request: Request[Any, Any, Any],
    sph: FromPath[str],
    after: MaybePos = None,
    before: MaybePos = None,
    limit: Limit = PAGE,
) -> api.Items:
    """Entries and messages by position."""
    return await _items(request, await _member(request, sph), after, before, limit)


@get("/public/{sph:str}/log")
async def public_log(
    request: Request[Any, Any, Any], sph: FromPath[str], start: From = 0, limit: Limit = PAGE
) -> api.Log:
    """The log of a public sphere, for anybody."""
    return await _log(request, await _public(request, sph), start, limit)


@get("/public/{sph:str}/attach/{h:str}")
async def public_attachment(request: Request[Any, Any, Any], sph: FromPath[str], h: FromPath[str]) -> api.Attachment:
    """An attachment of a public sphere."""
    return await _attachment(request, await _public(request, sph), h)


@get("/public/{sph:str}/items")
async def public_items(
    request: Request[Any, Any, Any],
    sph: FromPath[str],
    after: MaybePos = None,
    before: MaybePos = None,
    limit: Limit = PAGE,
) -> api.Items:
    """Items of a public sphere, from the entry on that made it public (API-027)."""
    view = await _public(request, sph)

    def read(conn: Connection) -> int:
        item = schema.item.c
        at = (item.sphere == view.n, item.kind == schema.ENTRY, item.seq == view.state.mode_at)
        return int(conn.execute(select(item.pos).where(*at)).scalar_one()) - 1

    return await _items(request, view, after, before, limit, await _relay(request).store.read(read))


@get("/spheres/{sph:str}/heads")
async def heads(request: Request[Any, Any, Any], sph: FromPath[str], id: FromQuery[str] = "") -> api.Heads:  # noqa: A002
    """Last message of each device, of one member or of all."""
    view = await _member(request, sph)

    def read(conn: Connection) -> api.Heads:
        c = schema.chain.c
        rows = conn.execute(select(c.dv, c.seq, c.h).where(c.sphere == view.n).order_by(c.dv))
        return api.Heads(
            [api.Tail(r.dv, r.seq, b64e(bytes(r.h))) for r in rows if not id or _owner(view.state, r.dv) == id]
        )

    return await _relay(request).store.read(read)


def _owner(state: SphereState, dv: str) -> str:
    device = state.devices.get(dv)
    return device.owner if device else ""


@get("/spheres/{sph:str}/links")
async def links(request: Request[Any, Any, Any], sph: FromPath[str], to: Pos, limit: Limit = PAGE) -> api.Links:
    """Link blobs, from epoch ``to`` downwards."""
    view = await _member(request, sph)

    def read(conn: Connection) -> api.Links:
        link = schema.link.c
        query = select(link.n, link.blob).where(link.sphere == view.n, link.n <= to)
        rows = conn.execute(query.order_by(link.n.desc()).limit(limit))
        return api.Links([api.Link(row.n, b64e(bytes(row.blob))) for row in rows])

    return await _relay(request).store.read(read)


@get("/spheres/{sph:str}/seen/{pos:int}")
async def seen(request: Request[Any, Any, Any], sph: FromPath[str], pos: FromPath[int]) -> api.Seen:
    """The stored row as it is: what the server sees."""
    view = await _member(request, sph)
    if not 0 <= pos < 2**53:
        raise Forbidden("row")

    def read(conn: Connection) -> api.Seen:
        item = schema.item.c
        row = conn.execute(select(schema.item).where(item.sphere == view.n, item.pos == pos)).one_or_none()
        if row is None:
            raise Forbidden("row")
        h = b64e(bytes(row.h))
        size = len(row.jws)
        return api.Seen(row.pos, _KINDS[row.kind], row.dv, row.seq, h, row.at, row.deleted, size, row.jws)

    return await _relay(request).store.read(read)


# --- inbox ---------------------------------------------------------------------------------------------------------


@get("/inbox")
async def read_inbox(request: Request[Any, Any, Any], after: Pos = 0, limit: Limit = PAGE) -> api.Inbox:
    """What waits for the calling device."""
    relay, me = _relay(request), await caller(request)
    dv = me.require_device()
    return await relay.store.read(lambda conn: inbox.page(conn, dv, after, limit))


@delete("/inbox", status_code=200)
async def clear_inbox(request: Request[Any, Any, Any], upto: Pos) -> api.Done:
    """Delete what has been taken over."""
    relay, me = _relay(request), await caller(request)
    dv = me.require_device()
    await relay.writer.submit(lambda batch: inbox.clear(batch, dv, upto))
    return api.Done()


@post("/inbox", status_code=200)
async def post_inbox(request: Request[Any, Any, Any], data: JSONBody[api.PostInbox]) -> api.Done:
    """One letter to devices that are active in its sphere, from a device that is."""
    relay, me = _relay(request), await caller(request)
    try:
        letter = p2p.decode(data.jws)
    except CheckFailed as fault:
        raise BadFormat(fault.detail) from None
    me.require_device()
    view = await relay.view_for(letter.sph, me.account, me.dv)
    sender = view.state.devices.get(letter.kid)
    if sender is None or sender.owner != me.account:
        raise Forbidden("sphere")
    try:
        p2p.verify(letter, sender)
        for dv in data.to:
            p2p.check_pair(view.state, letter.kid, dv)
    except CheckFailed as fault:
        if fault.code == "C_NOT_MEMBER":
            raise Forbidden("sphere") from None
        raise BadFormat(fault.detail) from None
    if letter.to is not None and set(data.to) != {letter.to}:
        raise BadFormat("the letter is for another device")
    ref = crypto.sha256(letter.kid.encode("ascii") + letter.jti)

    def run(batch: Batch) -> api.Done:
        letters = [inbox.Letter(dv, inbox.P2P, ref, data.jws) for dv in dict.fromkeys(data.to)]
        inbox.put_once(batch, letter.sph, letters)
        return api.Done()

    return await relay.writer.submit(run)


HANDLERS: Final = [
    create,
    commit,
    send,
    mine,
    log,
    attachment,
    items,
    public_log,
    public_attachment,
    public_items,
    heads,
    links,
    seen,
    read_inbox,
    clear_inbox,
    post_inbox,
]
