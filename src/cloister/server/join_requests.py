"""Requests to join: taken from anybody with an account, shown to those who may admit.

The answer is the same whether or not the sphere exists; a request that fails its checks is kept as its author's own
and shown to nobody.

Spec: API-021, API-022, API-023, JOIN-009.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from litestar import Request, delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET
from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy import delete as sql_delete

from cloister.errors import CheckFailed, Forbidden, RateLimited, RelayError
from cloister.protocol import api, jws
from cloister.protocol import join as joins
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.join import JoinRequest
from cloister.protocol.state import Invite, SphereState
from cloister.server import schema
from cloister.server.core import Relay
from cloister.server.hub import Hint
from cloister.server.prepared import Prepared
from cloister.server.sessions import caller
from cloister.server.writer import Batch

WAITING: Final = "waiting"
MAX_OWN: Final = 32
MAX_PER_SPHERE: Final = 256
ADMITTERS: Final = ("owner", "admin")
_OWN: Final = Prepared(
    select(schema.join).where(schema.join.c.h == bindparam("h"), schema.join.c.account == bindparam("account")),
    *("h", "account"),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """A verified request beside the state it was judged against; ``invite`` when it came by an open link."""

    request: JoinRequest
    state: SphereState
    invite: Invite | None


async def look(relay: Relay, compact: str) -> Seen | None:
    """Verify a request against its sphere; None when it fails or there is no such sphere.

    Its signatures are verified in every case: the time it takes tells nobody whether the sphere is there.
    """
    try:
        body = jws.decode(compact, joins.TYP).body
        try:
            view = await relay.view(body["sph"])
        except Forbidden:
            await asyncio.to_thread(joins.verify, compact, body["sph"], None, relay.now)
            return None
        invite = view.state.invites.get(b64d(body["jti"])) if "jti" in body else None
        if "jti" in body:
            if invite is None:
                await asyncio.to_thread(joins.verify, compact, view.state.sph, None, relay.now)
                return None
            request = await asyncio.to_thread(joins.check_ivs, compact, view.state.sph, invite, relay.now)
        else:
            request = await asyncio.to_thread(joins.verify, compact, view.state.sph, None, relay.now)
    except (CheckFailed, RelayError):
        return None
    return Seen(request, view.state, invite)


def store(batch: Batch, request: JoinRequest, account: str, state: SphereState | None) -> None:
    """Keep a request in this batch and tell those who may admit (a hint, nothing more)."""
    conn, j = batch.conn, schema.join
    if conn.execute(select(j.c.h).where(j.c.h == request.digest)).first() is not None:
        return
    _insert(batch, request.digest, account, request.sph if state else "", request.compact, request.exp)
    if state is not None:
        batch.effects.append(Hint(_hint(state.sph), accounts=_admitters(state)))


def _insert(batch: Batch, h: bytes, account: str, sph: str, compact: str, exp: int) -> None:
    row = {"h": h, "sph": sph, "account": account, "jws": compact, "state": WAITING, "exp": exp, "card": None}
    batch.conn.execute(insert(schema.join), row)


def _hint(sph: str) -> str:
    return json.dumps({"t": "hint", "k": "join", "s": sph}, separators=(",", ":"))


def _admitters(state: SphereState) -> tuple[str, ...]:
    everyone = state.policy.join == "any"
    return tuple(m.id for m in state.active_members() if m.role in ADMITTERS or (everyone and m.role == "member"))


def _relay(request: Request[Any, Any, Any]) -> Relay:
    relay: Relay = request.app.state.relay
    return relay


@post("/joins", status_code=202)
async def ask(request: Request[Any, Any, Any], data: JSONBody[api.NewJoin]) -> api.JoinTaken:
    """Ask to be admitted; 202 whether or not the sphere exists."""
    relay, me = _relay(request), await caller(request)
    me.require_device()
    envelope = jws.decode(data.jws, joins.TYP)
    body = envelope.body
    seen = await look(relay, data.jws)
    own = seen is not None and seen.request.id == me.account

    def run(batch: Batch) -> None:
        j = schema.join.c
        held = batch.conn.execute(select(j.account).where(j.h == envelope.digest)).scalar()
        if held is not None and (held == me.account or not own):
            return
        # Somebody else has brought the caller's words before: they were kept for nobody, and are the caller's now.
        batch.conn.execute(sql_delete(schema.join).where(j.h == envelope.digest))
        batch.conn.execute(sql_delete(schema.join).where(j.exp < batch.now))
        mine = batch.conn.execute(select(j.h).where(j.account == me.account, j.state == WAITING)).all()
        if len(mine) >= MAX_OWN:
            raise RateLimited("requests", retry_after=3600)
        # Whoever holds a link is not kept out by strangers who only know the sphere's name.
        if own and seen is not None and (seen.invite is not None or _room(batch.conn, seen.state.sph)):
            store(batch, seen.request, me.account, seen.state)
        else:
            _insert(batch, envelope.digest, me.account, "", data.jws, min(body["exp"], batch.now + joins.MAX_LIFE))

    await relay.writer.submit(run)
    return api.JoinTaken(b64e(envelope.digest))


def _room(conn: Connection, sph: str) -> bool:
    j = schema.join.c
    waiting = conn.execute(select(j.h).where(j.sph == sph, j.state == WAITING).limit(MAX_PER_SPHERE)).all()
    return len(waiting) < MAX_PER_SPHERE


def _digest(text: str) -> bytes:
    try:
        return b64d(text)
    except CheckFailed:
        raise Forbidden("join") from None


@get("/joins/{h:str}")
async def state_of(request: Request[Any, Any, Any], h: FromPath[str]) -> api.JoinState:
    """What became of an own request."""
    relay, me = _relay(request), await caller(request)
    row = await relay.store.read(lambda conn: _own(conn, _digest(h), me.account))
    card = msgspec.json.decode(row.card, type=api.Card) if row.card else UNSET
    return api.JoinState(row.state, card)


def _own(conn: Connection, h: bytes, account: str) -> Any:
    row = _OWN.first(conn, (h, account))
    if row is None:
        raise Forbidden("join")
    return row


@delete("/joins/{h:str}", status_code=200)
async def withdraw(request: Request[Any, Any, Any], h: FromPath[str]) -> api.Done:
    """Take an own request back."""
    relay, me = _relay(request), await caller(request)

    def run(batch: Batch) -> api.Done:
        row = _own(batch.conn, _digest(h), me.account)
        if row.state == WAITING:
            batch.conn.execute(update(schema.join).where(schema.join.c.h == row.h).values(state="withdrawn"))
        return api.Done()

    return await relay.writer.submit(run)


@get("/invites/{sph:str}/{jti:str}")
async def invite_open(request: Request[Any, Any, Any], sph: FromPath[str], jti: FromPath[str]) -> api.InviteOpen:
    """Whether an invitation is open; every other case is the same refusal."""
    relay, h = _relay(request), _digest(jti)
    there = await relay.there_is(sph)
    invite = ((await relay.view(sph)).state.invites if there else {}).get(h)
    if invite is None or invite.left == 0 or relay.now > invite.exp:
        raise Forbidden("sphere")
    return api.InviteOpen(True)


async def _may_admit(relay: Relay, request: Request[Any, Any, Any], sph: str) -> SphereState:
    me = await caller(request)
    view = await relay.view_for(sph, me.account, me.dv)
    if me.account not in _admitters(view.state):
        raise Forbidden("sphere")
    return view.state


@get("/spheres/{sph:str}/joins")
async def waiting(request: Request[Any, Any, Any], sph: FromPath[str]) -> api.Joins:
    """Requests that wait for an answer, for those who may admit."""
    relay = _relay(request)
    await _may_admit(relay, request, sph)

    def read(conn: Connection) -> api.Joins:
        j = schema.join.c
        query = select(schema.join).where(j.sph == sph, j.state == WAITING, j.exp >= relay.now).order_by(j.exp)
        return api.Joins([api.JoinRow(b64e(bytes(row.h)), row.jws, row.exp) for row in conn.execute(query)])

    return await relay.store.read(read)


async def _change(request: Request[Any, Any, Any], sph: str, h: str, values: dict[str, Any]) -> api.Done:
    relay = _relay(request)
    await _may_admit(relay, request, sph)

    def run(batch: Batch) -> api.Done:
        j = schema.join.c
        row = batch.conn.execute(
            select(schema.join).where(j.h == _digest(h), j.sph == sph, j.state == WAITING)
        ).one_or_none()
        if row is None:
            raise Forbidden("join")
        batch.conn.execute(update(schema.join).where(j.h == row.h).values(**values))
        text = json.dumps({"t": "hint", "k": "joined", "s": sph}, separators=(",", ":"))
        batch.effects.append(Hint(text, accounts=(row.account,)))
        return api.Done()

    return await relay.writer.submit(run)


@delete("/spheres/{sph:str}/joins/{h:str}", status_code=200)
async def refuse(request: Request[Any, Any, Any], sph: FromPath[str], h: FromPath[str]) -> api.Done:
    """Decline a request."""
    return await _change(request, sph, h, {"state": "refused"})


@post("/spheres/{sph:str}/joins/{h:str}/card", status_code=200)
async def card(
    request: Request[Any, Any, Any], sph: FromPath[str], h: FromPath[str], data: JSONBody[api.Card]
) -> api.Done:
    """Show the asker who would admit, so that both can compare digits."""
    return await _change(request, sph, h, {"card": msgspec.json.encode(data).decode()})


HANDLERS = [ask, state_of, withdraw, invite_open, waiting, refuse, card]
