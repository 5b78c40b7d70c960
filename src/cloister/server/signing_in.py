"""Signing in: SRP in two steps, device challenges, the vault's nonce and pepper.

The limit per name acts before any exponentiation; a name without account costs the same and answers the same.

Spec: API-011, API-012, API-013, SRP-009 to SRP-011, CERT-009, VLT-010, LIM-002.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from litestar import Request, delete, get, post
from litestar.params import FromPath, JSONBody
from sqlalchemy import Connection, select

from cloister.account import login as logins
from cloister.account import srp_server, unlock_server, verifier
from cloister.account.srp_server import Pending
from cloister.account.verifier import Record
from cloister.errors import AuthFailed, BadFormat, CheckFailed, UsageError
from cloister.protocol import api, dauth
from cloister.protocol.encoding import b64d, b64e
from cloister.server import schema, sessions
from cloister.server.core import Relay
from cloister.server.hub import Ended
from cloister.server.sessions import caller
from cloister.server.writer import Batch

NONCE: Final = 32


def _relay(request: Request[Any, Any, Any]) -> Relay:
    relay: Relay = request.app.state.relay
    return relay


@dataclass(frozen=True, slots=True)
class Started:
    """A sign-in under way: whose, and the sealed verifier it was started with."""

    pending: Pending
    account: str
    sealed: bytes = field(repr=False)


def _record(conn: Connection, login: str) -> tuple[Record, str] | None:
    a = schema.account.c
    row = conn.execute(select(a.id, a.salt16, a.ver, a.v).where(a.login == login, a.suspended.is_(False))).one_or_none()
    return (Record(login, bytes(row.salt16), row.ver, bytes(row.v)), row.id) if row else None


@post("/auth/start", status_code=200)
async def start(request: Request[Any, Any, Any], data: JSONBody[api.AuthStart]) -> api.AuthSalt:
    """Salt of a login; with A also a sign-in attempt."""
    relay = _relay(request)
    try:
        login = logins.login_name(data.login)
    except UsageError:
        raise BadFormat("login") from None
    if data.A:
        relay.by_login.take(login)
    found = await relay.store.read(lambda conn: _record(conn, login))
    candidate = verifier.candidate(relay.keys, login, found[0] if found else None, relay.rng)
    if not data.A:
        return api.AuthSalt(b64e(candidate.record.salt16))
    public = _bytes(data.A)
    pending = await asyncio.to_thread(srp_server.start, relay.keys, candidate, public, relay.now, relay.rng)
    sid = b64e(relay.rng(16))
    started = Started(pending, found[1], found[0].sealed) if found else Started(pending, "", b"")
    relay.logins.put(sid, started, relay.now)
    return api.AuthSalt(b64e(pending.salt16), sid, b64e(pending.public))


@post("/auth/finish", status_code=200)
async def finish(request: Request[Any, Any, Any], data: JSONBody[api.AuthFinish]) -> api.AuthProof:
    """Prove the password; one attempt per started sign-in."""
    relay = _relay(request)
    held = relay.logins.take(data.sid, relay.now)
    if held is None:
        raise AuthFailed("sid")
    assert isinstance(held, Started)
    started = held
    proof = await asyncio.to_thread(
        srp_server.finish, started.pending, b64d(data.M1), realm=relay.realm, origins=relay.origins, now=relay.now
    )

    def run(batch: Batch) -> api.Token:
        # A password changed since the start proves nothing any more, nor does an account suspended since (SRP-011).
        a = schema.account.c
        row = batch.conn.execute(select(a.v, a.suspended).where(a.id == started.account)).one_or_none()
        if row is None or row.suspended or bytes(row.v) != started.sealed:
            raise AuthFailed("credentials changed")
        return sessions.issue(relay, batch, started.account, sessions.PASSWORD)

    token = await relay.writer.submit(run)
    relay.by_login.reset(started.pending.login)
    return api.AuthProof(b64e(proof), token.token, token.id, token.until)


@get("/auth/nonce")
async def nonce(request: Request[Any, Any, Any]) -> api.Nonce:
    """A challenge for a device."""
    return _nonce(_relay(request), "auth")


def _nonce(relay: Relay, kind: str) -> api.Nonce:
    value = relay.rng(NONCE)
    relay.nonces.put((kind, value), True, relay.now)
    return api.Nonce(b64e(value), relay.now, relay.now + relay.nonces.life)


@post("/auth/device", status_code=200)
async def device(request: Request[Any, Any, Any], data: JSONBody[api.AuthDevice]) -> api.Token:
    """A session for an enrolled device that answers the challenge."""
    relay = _relay(request)
    try:
        dv, value = dauth.read(data.jws)
    except CheckFailed:
        raise AuthFailed("form") from None
    if relay.nonces.take(("auth", value), relay.now) is None:
        raise AuthFailed("nonce")

    def find(conn: Connection) -> Any:
        d, a = schema.device, schema.account
        query = select(d.c.account, d.c.dk).join(a, a.c.id == d.c.account)
        return conn.execute(query.where(d.c.dv == dv, d.c.active.is_(True), a.c.suspended.is_(False))).one_or_none()

    row = await relay.store.read(find)
    if row is None:
        raise AuthFailed("device")
    try:
        dauth.verify(data.jws, bytes(row.dk), dv=dv, origins=relay.origins, nonce=value, now=relay.now)
    except CheckFailed:
        raise AuthFailed("answer") from None
    return await relay.writer.submit(lambda batch: sessions.issue(relay, batch, row.account, sessions.DEVICE, dv))


@delete("/auth/session/{n:str}", status_code=200)
async def end_session(request: Request[Any, Any, Any], n: FromPath[str]) -> api.Done:
    """End one own session by its name, or this one by ``this``."""
    relay, me = _relay(request), await caller(request)

    def run(batch: Any) -> None:
        s = schema.session.c
        for (h,) in batch.conn.execute(select(s.h).where(s.account == me.account)).all():
            if n == sessions.name_of(bytes(h)) or (n == "this" and bytes(h) == me.h):
                batch.conn.execute(schema.session.delete().where(s.h == h))
                batch.effects.append(Ended(me.account, only=bytes(h)))

    await relay.writer.submit(run)
    return api.Done()


@post("/vault/enrol", status_code=200)
async def vault_enrol(request: Request[Any, Any, Any], data: JSONBody[api.VaultEnrol]) -> api.Done:
    """Keep tag and pepper of the calling device."""
    relay, me = _relay(request), await caller(request)
    if me.require_device() != data.dev:
        raise BadFormat("dev is not this session's device")
    try:
        row = unlock_server.enrolled(data.dev, b64d(data.uk), b64d(data.tag), b64d(data.pep))
    except CheckFailed:
        raise BadFormat("unlock key") from None
    await asyncio.to_thread(relay.peppers.enrol, me.account, row)
    return api.Done()


@post("/vault/nonce", status_code=200)
async def vault_nonce(request: Request[Any, Any, Any], data: JSONBody[api.VaultNonce]) -> api.Nonce:
    """A challenge for unlocking; the answer is the same for a device that does not exist."""
    return _nonce(_relay(request), "vault " + data.dev)


@post("/vault/open", status_code=200)
async def vault_open(request: Request[Any, Any, Any], data: JSONBody[api.VaultOpen]) -> api.Pepper:
    """One try. Refusal: E_AUTH, with ``left`` once the device has proved itself."""
    relay = _relay(request)
    value, sig = b64d(data.nonce), _bytes(data.sig)
    if relay.nonces.take(("vault " + data.dev, value), relay.now) is None:
        raise AuthFailed("nonce")
    pep = await asyncio.to_thread(relay.peppers.open, data.dev, relay.realm, value, b64d(data.tag), sig)
    return api.Pepper(b64e(pep))


def _bytes(text: str) -> bytes:
    try:
        return b64d(text)
    except CheckFailed:
        raise BadFormat("base64url") from None


HANDLERS = [start, finish, nonce, device, end_session, vault_enrol, vault_nonce, vault_open]
