"""The administrator's view: health, people, sign-up. Never content.

Spec: API-029.
"""

from __future__ import annotations

import shutil
from typing import Any, Final

from litestar import Request, delete, get, post, put
from litestar.params import FromPath, JSONBody
from sqlalchemy import Connection, func, insert, select, update

from cloister import __version__
from cloister.errors import BadFormat, CheckFailed, Forbidden
from cloister.protocol import api
from cloister.protocol.encoding import b64d, b64e
from cloister.server import schema, sessions
from cloister.server.core import Relay, code_hash, new_code
from cloister.server.sessions import Session, caller
from cloister.server.writer import Batch

LOW_DISK: Final = 0.05


async def _admin(request: Request[Any, Any, Any]) -> tuple[Relay, Session]:
    me = await caller(request)
    if not me.admin:
        raise Forbidden("admin")
    return request.app.state.relay, me


@get("/admin/health")
async def health(request: Request[Any, Any, Any]) -> api.AdminHealth:
    """Checks and counts."""
    relay, _ = await _admin(request)

    def read(conn: Connection) -> tuple[list[api.Check], dict[str, int]]:
        tables = {"accounts": schema.account, "devices": schema.device, "spheres": schema.sphere, "rows": schema.item}
        counts = {name: conn.execute(select(func.count()).select_from(t)).scalar_one() for name, t in tables.items()}
        modes = conn.execute(select(schema.sphere.c.mode, func.count()).group_by(schema.sphere.c.mode)).all()
        counts |= {f"spheres {mode}": count for mode, count in modes}
        return [_database(conn, relay), _disk(relay)], counts

    checks, counts = await relay.store.read(read)
    counts["sockets"] = relay.hub.sockets
    return api.AdminHealth(relay.now, __version__, checks, counts)


def _database(conn: Connection, relay: Relay) -> api.Check:
    says = "answers"
    if relay.store.sqlite:
        says = str(conn.exec_driver_sql("PRAGMA quick_check(1)").scalar_one())
        return api.Check("database", says == "ok", f"SQLite: {says}")
    conn.exec_driver_sql("SELECT 1")
    return api.Check("database", True, says)


def _disk(relay: Relay) -> api.Check:
    usage = shutil.disk_usage(relay.settings.data)
    free = usage.free / usage.total
    return api.Check("disk", free > LOW_DISK, f"{round(100 * (1 - free))} % used")


@get("/admin/users")
async def users(request: Request[Any, Any, Any]) -> api.Users:
    """Every account."""
    relay, _ = await _admin(request)

    def read(conn: Connection) -> api.Users:
        a, d = schema.account, schema.device
        owned = select(d.c.account, func.count().label("n")).where(d.c.active.is_(True)).group_by(d.c.account)
        held = owned.subquery()
        query = select(a, func.coalesce(held.c.n, 0).label("n")).outerjoin(held, held.c.account == a.c.id)
        return api.Users(
            [
                api.User(r.id, r.login, r.admin, r.suspended, r.created, r.n)
                for r in conn.execute(query.order_by(a.c.login))
            ]
        )

    return await relay.store.read(read)


@put("/admin/users/{id:str}")
async def suspend(request: Request[Any, Any, Any], id: FromPath[str], data: JSONBody[api.Suspend]) -> api.Done:  # noqa: A002
    """Suspend or restore an account; its sessions end."""
    relay, me = await _admin(request)
    if id == me.account:
        raise BadFormat("nobody suspends himself")

    def run(batch: Batch) -> api.Done:
        a = schema.account
        changed = batch.conn.execute(update(a).where(a.c.id == id).values(suspended=data.suspended))
        if changed.rowcount != 1:
            raise Forbidden("account")
        if data.suspended:
            sessions.end(batch, id)
        return api.Done()

    return await relay.writer.submit(run)


@get("/admin/signup")
async def signup(request: Request[Any, Any, Any]) -> api.Signup:
    """Who may make an account."""
    relay, _ = await _admin(request)
    return api.Signup(relay.signup, relay.signup_by_sphere)


@put("/admin/signup")
async def set_signup(request: Request[Any, Any, Any], data: JSONBody[api.Signup]) -> api.Signup:
    """Change who may make an account; it stays so over restarts."""
    relay, _ = await _admin(request)
    if data.signup not in ("open", "invite", "closed"):
        raise BadFormat("signup")
    values = {"signup": data.signup, "signup_by_sphere": "yes" if data.by_sphere else "no"}

    def run(batch: Batch) -> None:
        m = schema.meta
        for key, value in values.items():
            batch.conn.execute(m.delete().where(m.c.key == key))
            batch.conn.execute(insert(m), {"key": key, "value": value.encode()})

    await relay.writer.submit(run)
    relay.signup_override, relay.by_sphere_override = values["signup"], values["signup_by_sphere"]
    return api.Signup(relay.signup, relay.signup_by_sphere)


@post("/admin/tickets", status_code=201)
async def new_ticket(request: Request[Any, Any, Any], data: JSONBody[api.NewTicket]) -> api.Ticket:
    """A sign-up code, shown this once."""
    relay, _ = await _admin(request)
    code = f"{new_code()}-{new_code()}"
    h, exp = code_hash(code), relay.now + data.seconds
    row = {"h": h, "kind": "link", "uses": data.uses, "exp": exp}
    await relay.writer.submit(lambda batch: batch.conn.execute(insert(schema.ticket), row).rowcount)
    return api.Ticket(b64e(h[:16]), data.uses, exp, code)


@get("/admin/tickets")
async def tickets(request: Request[Any, Any, Any]) -> api.Tickets:
    """Sign-up codes that are still good, without the codes."""
    relay, _ = await _admin(request)

    def read(conn: Connection) -> api.Tickets:
        t = schema.ticket.c
        query = select(schema.ticket).where(t.kind == "link", t.uses > 0, t.exp > relay.now).order_by(t.exp)
        return api.Tickets([api.Ticket(b64e(bytes(r.h)[:16]), r.uses, r.exp) for r in conn.execute(query)])

    return await relay.store.read(read)


@delete("/admin/tickets/{n:str}", status_code=200)
async def end_ticket(request: Request[Any, Any, Any], n: FromPath[str]) -> api.Done:
    """Withdraw a sign-up code."""
    relay, _ = await _admin(request)

    def run(batch: Batch) -> api.Done:
        t = schema.ticket
        rows = batch.conn.execute(select(t.c.h).where(t.c.kind == "link")).all()
        try:
            found = [bytes(r.h) for r in rows if bytes(r.h)[:16] == b64d(n)]
        except CheckFailed:
            found = []
        if not found:
            raise Forbidden("ticket")
        batch.conn.execute(t.delete().where(t.c.h == found[0]))
        return api.Done()

    return await relay.writer.submit(run)


HANDLERS = [health, users, suspend, signup, set_signup, new_ticket, tickets, end_ticket]
