"""Accounts: signing up in one transaction, roots, devices, key logs, slots.

What is stored here is wrapped under keys the relay never sees; it checks forms, counters and who asks.

Spec: API-014, API-015, API-016, API-017, API-018, API-019, API-020, SLOT-006, SLOT-007, SLOT-021.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import UNSET
from sqlalchemy import Connection, bindparam, func, insert, select, update

from cloister import crypto
from cloister.account import signup_check, slot_names, verifier
from cloister.account.signup_check import Checked
from cloister.errors import (
    AuthFailed,
    BadFormat,
    CheckFailed,
    Conflict,
    Forbidden,
)
from cloister.protocol import api, entry, jws, keylog
from cloister.protocol.encoding import b64d, b64e, lp
from cloister.protocol.keylog import KeyLog
from cloister.server import join_requests, schema, sessions
from cloister.server.core import Relay, code_hash, ticket_of_invite
from cloister.server.hub import Hint
from cloister.server.prepared import Prepared
from cloister.server.sessions import Session, caller
from cloister.server.writer import Batch

SLOT_LIMIT = 262_144
PAGE = 200
NEW_STATE: Final = '{"t":"hint","k":"state","s":""}'
# Entries of one key log: a device every day for years; bounds what one account can make the relay verify.
KLOG_LIMIT = 2048

_K, _S = schema.klog.c, schema.slot.c
_ENTRIES: Final = Prepared(select(_K.jws).where(_K.id == bindparam("id")).order_by(_K.seq), "id")
_SLOT: Final = Prepared(
    select(schema.slot).where(_S.account == bindparam("account"), _S.name == bindparam("name")), "account", "name"
)


def _relay(request: Request[Any, Any, Any]) -> Relay:
    relay: Relay = request.app.state.relay
    return relay


# --- signing up ----------------------------------------------------------------------------------------------------


@post("/accounts", status_code=201)
async def sign_up(request: Request[Any, Any, Any], data: JSONBody[api.NewAccount]) -> api.Token:
    """One transaction: ticket, account, key log, device, slots, perhaps a join request (SLOT-021)."""
    relay = _relay(request)
    # The one code that stands for the whole relay has one bucket for everybody; later codes are longer.
    if relay.setup_code or relay.settings.rate_address:
        relay.by_code.take("setup" if relay.setup_code else request.scope["state"].get("address", "local"))
    await relay.store.read(lambda conn: _knock(relay, conn, data))
    body = {name: value for name, value in msgspec.to_builtins(data).items() if name not in ("idem", "ticket", "join")}
    checked = signup_check.check(body, relay.now)
    request_seen = await _link_request(relay, data, checked)
    salt = verifier.salt_of(relay.keys, checked.login)
    record = verifier.seal_verifier(relay.keys, checked.login, salt, checked.version, checked.verifier, relay.rng)
    digest = crypto.sha256(lp("sign-up", api.encode(data)))

    def run(batch: Batch) -> api.Token:
        conn, key = batch.conn, f"sign-up/{data.idem}"
        known = conn.execute(select(schema.idem).where(schema.idem.c.key == key)).one_or_none()
        if known is not None:
            if bytes(known.h) != digest:
                raise Conflict("idem")
            return sessions.issue(relay, batch, checked.klog.id, sessions.DEVICE, checked.cert.dv)
        first = conn.execute(select(schema.account.c.id).limit(1)).first() is None
        _spend_ticket(relay, batch, data, request_seen, first=first)
        a = schema.account.c
        if conn.execute(select(a.id).where((a.login == checked.login) | (a.id == checked.klog.id))).first():
            raise Conflict("the name is taken")
        _insert_account(batch, checked, record, admin=first)
        if request_seen is not None:
            join_requests.store(batch, request_seen.request, checked.klog.id, request_seen.state)
        conn.execute(insert(schema.idem), {"key": key, "h": digest, "answer": "", "at": batch.now})
        return sessions.issue(relay, batch, checked.klog.id, sessions.DEVICE, checked.cert.dv)

    token = await relay.writer.submit(run)
    relay.setup_code = None
    return token


def _knock(relay: Relay, conn: Connection, data: api.NewAccount) -> None:
    """Before anything costly: is there a reason to look at this sign-up at all? Raises AuthFailed."""
    if data.ticket:
        t = schema.ticket.c
        if conn.execute(select(t.kind).where(t.h == code_hash(data.ticket))).first() is None:
            raise AuthFailed("ticket")
    elif relay.setup_code or (relay.signup != "open" and not (data.join and relay.signup_by_sphere)):
        raise AuthFailed("ticket")


async def _link_request(relay: Relay, data: api.NewAccount, checked: Checked) -> join_requests.Seen | None:
    """The join request that serves as a ticket (JOIN-009), verified before the writer. Raises AuthFailed."""
    if not data.join:
        return None
    seen = await join_requests.look(relay, data.join)
    if seen is None or seen.request.id != checked.klog.id or seen.request.kid != checked.cert.dv:
        raise AuthFailed("ticket")
    return seen


def _spend_ticket(
    relay: Relay, batch: Batch, data: api.NewAccount, seen: join_requests.Seen | None, *, first: bool
) -> None:
    """Set-up code for the first account, then a code, an invitation, or an open door. Raises AuthFailed."""
    t = schema.ticket
    if data.ticket:
        row = batch.conn.execute(select(t).where(t.c.h == code_hash(data.ticket))).one_or_none()
        if row is None or row.uses < 1 or batch.now > row.exp or (row.kind == "setup") != first:
            raise AuthFailed("ticket")
        if relay.signup == "closed" and not first:
            raise AuthFailed("ticket")
        batch.conn.execute(update(t).where(t.c.h == row.h).values(uses=row.uses - 1))
        return
    if first or (relay.signup == "closed"):
        raise AuthFailed("ticket")
    if seen is not None and relay.signup_by_sphere and seen.invite is not None:
        _count_sphere_ticket(batch, seen)
        return
    if relay.signup != "open":
        raise AuthFailed("ticket")


def _count_sphere_ticket(batch: Batch, seen: join_requests.Seen) -> None:
    assert seen.invite is not None
    t, h = schema.ticket, ticket_of_invite(seen.request.sph, seen.invite.jti)
    row = batch.conn.execute(select(t.c.uses).where(t.c.h == h)).one_or_none()
    used = -row.uses if row else 0
    if used >= _uses(batch.conn, seen.request.sph, seen.invite.seq):
        raise AuthFailed("ticket")
    if row is None:
        batch.conn.execute(insert(t), {"h": h, "kind": "sphere", "uses": -1, "exp": seen.invite.exp})
    else:
        batch.conn.execute(update(t).where(t.c.h == h).values(uses=row.uses - 1))


def _uses(conn: Connection, sph: str, seq: int) -> int:
    """The uses an invitation began with: what is left of them also counts down when known people come in."""
    item, sphere = schema.item.c, schema.sphere.c
    query = select(item.jws).join(schema.sphere, sphere.n == item.sphere)
    row = conn.execute(query.where(sphere.sph == sph, schema.IS_ENTRY, item.seq == seq)).one()
    return int(entry.decode(row.jws).body["uses"])


def _insert_account(batch: Batch, c: Checked, record: verifier.Record, *, admin: bool) -> None:
    conn, account = batch.conn, c.klog.id
    conn.execute(
        insert(schema.account),
        {
            "id": account,
            "login": c.login,
            "salt16": record.salt16,
            "v": record.sealed,
            "ver": record.version,
            "cred_ver": 1,
            "mkv": 1,
            "wmk": c.wmk,
            "wrk": c.wrk,
            "admin": admin,
            "suspended": False,
            "created": batch.now,
        },
    )
    for seq, compact in enumerate(c.klog_entries):
        conn.execute(insert(schema.klog), {"id": account, "seq": seq, "jws": compact})
    _insert_device(batch, account, c.cert.dv, c.cert.dk, c.cert.compact)
    slot = {"account": account, "mkv": 1, "name": slot_names.IK, "ctr": None, "bytes": c.ik_slot}
    conn.execute(insert(schema.slot), [slot, {**slot, "name": slot_names.STATE, "ctr": 1, "bytes": c.state}])


def _insert_device(batch: Batch, account: str, dv: str, dk: bytes, cert: str) -> None:
    row = {"dv": dv, "account": account, "dk": dk, "cert": cert, "active": True, "added": batch.now}
    batch.conn.execute(insert(schema.device), row)


# --- the account ---------------------------------------------------------------------------------------------------


@get("/account")
async def account(request: Request[Any, Any, Any]) -> api.Account:
    """Who is calling, with devices and sessions."""
    relay, me = _relay(request), await caller(request)
    return await relay.store.read(lambda conn: _account(conn, me))


def _account(conn: Connection, me: Session) -> api.Account:
    row = conn.execute(select(schema.account).where(schema.account.c.id == me.account)).one()
    d, s = schema.device, schema.session
    devices = conn.execute(select(d).where(d.c.account == me.account).order_by(d.c.added, d.c.dv)).all()
    held = conn.execute(select(s).where(s.c.account == me.account).order_by(s.c.made)).all()
    return api.Account(
        row.id,
        row.login,
        row.cred_ver,
        row.mkv,
        row.admin,
        [api.Device(one.dv, one.cert, one.active, one.added) for one in devices],
        [
            api.Session(
                sessions.name_of(bytes(one.h)), one.level, one.made, one.used, bytes(one.h) == me.h, one.dv or UNSET
            )
            for one in held
        ],
    )


@get("/account/roots")
async def roots(request: Request[Any, Any, Any]) -> api.Roots:
    """The wrapped roots and the slot ``ik``; level password."""
    relay, me = _relay(request), await caller(request)
    me.require_password()

    def read(conn: Connection) -> api.Roots:
        row = conn.execute(select(schema.account).where(schema.account.c.id == me.account)).one()
        ik = _slot(conn, me.account, slot_names.IK)
        return api.Roots(b64e(row.wmk), b64e(row.wrk), b64e(bytes(ik.bytes)), row.ver, row.cred_ver, row.mkv)

    return await relay.store.read(read)


@put("/account/roots")
async def put_roots(request: Request[Any, Any, Any], data: JSONBody[api.NewRoots]) -> api.CredVer:
    """New password or new master key, with everything that depends on it, at once; other sessions end."""
    relay, me = _relay(request), await caller(request)
    me.require_password()
    fixed = {"wmk": _exact(data.wMK, signup_check.WRAP_LENGTH), "wrk": _exact(data.wRK, signup_check.WRAP_LENGTH)}

    def run(batch: Batch) -> api.CredVer:
        a = schema.account
        row = batch.conn.execute(select(a).where(a.c.id == me.account).with_for_update()).one()
        if row.cred_ver != data.cred_ver or data.mkv not in (row.mkv, row.mkv + 1):
            raise Conflict("credentials changed", cred_ver=row.cred_ver)
        values: dict[str, Any] = {**fixed, "mkv": data.mkv, "cred_ver": row.cred_ver + 1}
        if data.v:
            if data.ver is UNSET or data.ver not in signup_check.VERSIONS or data.ver < row.ver:
                raise BadFormat("ver")
            try:
                record = verifier.seal_verifier(
                    relay.keys, row.login, bytes(row.salt16), data.ver, b64d(data.v), relay.rng
                )
            except CheckFailed:
                raise BadFormat("v") from None
            values |= {"v": record.sealed, "ver": record.version}
        batch.conn.execute(update(a).where(a.c.id == me.account).values(**values))
        for one in data.slots:
            _put(batch, me.account, one.name, data.mkv, _limited(one.bytes), one.ctr, None)
        sessions.end(batch, me.account, keep=me.h)
        return api.CredVer(row.cred_ver + 1)

    return await relay.writer.submit(run)


@post("/devices", status_code=201)
async def add_device(request: Request[Any, Any, Any], data: JSONBody[api.NewDevice]) -> api.Token:
    """Enrol a device: its certificate and the key-log entry that adds it; level password."""
    relay, me = _relay(request), await caller(request)
    me.require_password()

    log, after = await relay.store.read(lambda conn: _extended(conn, me.account, data.klog))
    new = set(after.devices) - set(log.devices)
    if len(new) != 1 or after.devices[next(iter(new))].compact != data.cert:
        raise BadFormat("the entry does not add this certificate")
    dv = new.pop()

    def run(batch: Batch) -> api.Token:
        _append_klog(batch, me.account, after.seq, data.klog)
        _insert_device(batch, me.account, dv, after.devices[dv].dk, data.cert)
        return sessions.issue(relay, batch, me.account, sessions.DEVICE, dv)

    return await relay.writer.submit(run)


@post("/devices/{dv:str}/revoke", status_code=200)
async def revoke_device(
    request: Request[Any, Any, Any], dv: FromPath[str], data: JSONBody[api.RevokeDevice]
) -> api.Done:
    """Take a device out of the key log; its sessions end; level password."""
    relay, me = _relay(request), await caller(request)
    me.require_password()
    log, after = await relay.store.read(lambda conn: _extended(conn, me.account, data.klog))
    if set(log.devices) - set(after.devices) != {dv}:
        raise BadFormat("the entry does not revoke this device")

    def run(batch: Batch) -> api.Done:
        _append_klog(batch, me.account, after.seq, data.klog)
        batch.conn.execute(update(schema.device).where(schema.device.c.dv == dv).values(active=False))
        batch.conn.execute(schema.inbox.delete().where(schema.inbox.c.dv == dv))
        sessions.end(batch, me.account, dv=dv)
        return api.Done()

    done = await relay.writer.submit(run)
    relay.peppers.forget(dv)
    return done


def _extended(conn: Connection, account: str, compact: str) -> tuple[KeyLog, KeyLog]:
    """The stored key log, and the same with one more entry: verified beside the writer."""
    k = schema.klog.c
    rows = conn.execute(select(k.jws).where(k.id == account).order_by(k.seq)).all()
    if len(rows) >= KLOG_LIMIT:
        raise Conflict("the key log is full")
    log = keylog.verify_chain([row.jws for row in rows])
    return log, _extend(log, compact)


def _append_klog(batch: Batch, account: str, seq: int, compact: str) -> None:
    """Raises Conflict when the log has gone on since it was read."""
    k = schema.klog.c
    last = batch.conn.execute(select(func.max(k.seq)).where(k.id == account)).scalar_one()
    if last != seq - 1:
        raise Conflict("the key log has gone on", seq=last)
    batch.conn.execute(insert(schema.klog), {"id": account, "seq": seq, "jws": compact})


def _extend(log: KeyLog, compact: str) -> KeyLog:
    try:
        return keylog.apply(log, compact)
    except CheckFailed as fault:
        if jws.decode(compact, keylog.TYP).body["seq"] <= log.seq:
            raise Conflict("the key log has gone on", seq=log.seq) from None
        raise BadFormat(f"key log: {fault.detail}") from None


@get("/klog/{id:str}")
async def key_log(request: Request[Any, Any, Any], id: FromPath[str]) -> api.KeyLogEntries:  # noqa: A002 - the spec's word
    """The key log of oneself or of somebody one shares a sphere with."""
    relay, me = _relay(request), await caller(request)

    def read(conn: Connection) -> api.KeyLogEntries:
        if id != me.account:
            # As many look-ups as the caller has spheres, whether there is such an account or not (API-019).
            m = schema.member.c
            mine = conn.execute(select(m.sphere).where(m.id == me.account)).scalars().all()
            if not conn.execute(select(func.count()).where(m.id == id, m.sphere.in_(mine))).scalar():
                raise Forbidden("klog")
        return api.KeyLogEntries([row.jws for row in _ENTRIES.all(conn, (id,))])

    return await relay.store.read(read)


# --- slots ---------------------------------------------------------------------------------------------------------


@get("/slots")
async def slots(request: Request[Any, Any, Any], after: FromQuery[str] = "") -> api.Slots:
    """Own slots by name, all but ``ik`` without a password session."""
    relay, me = _relay(request), await caller(request)

    def read(conn: Connection) -> api.Slots:
        s = schema.slot.c
        query = select(schema.slot).where(s.account == me.account, s.name > after).order_by(s.name).limit(PAGE + 1)
        rows = conn.execute(query).all()
        shown = [_shown(row) for row in rows[:PAGE] if row.name != slot_names.IK or me.level == sessions.PASSWORD]
        return api.Slots(shown, len(rows) > PAGE)

    return await relay.store.read(read)


@get("/slots/{name:str}")
async def slot(request: Request[Any, Any, Any], name: FromPath[str]) -> api.Slot:
    """One slot. Raises Forbidden when there is none."""
    relay, me = _relay(request), await caller(request)
    if name == slot_names.IK:
        me.require_password()
    return await relay.store.read(lambda conn: _shown(_slot(conn, me.account, name)))


def _slot(conn: Connection, owner: str, name: str) -> Any:
    row = _SLOT.first(conn, (owner, name))
    if row is None:
        raise Forbidden("slot")
    return row


def _shown(row: Any) -> api.Slot:
    return api.Slot(row.name, row.mkv, b64e(bytes(row.bytes)), UNSET if row.ctr is None else row.ctr)


@put("/slots/{name:str}")
async def put_slot(request: Request[Any, Any, Any], name: FromPath[str], data: JSONBody[api.PutSlot]) -> api.Done:
    """Write a slot: keys once, ``state`` one counter further, ``ik`` with a password session."""
    relay, me = _relay(request), await caller(request)
    try:
        if slot_names.parse(name).password_only:
            me.require_password()
    except CheckFailed:
        raise BadFormat("slot name") from None
    seen = request.headers.get("if-match")
    blob = _limited(data.bytes)

    def run(batch: Batch) -> api.Done:
        _put(batch, me.account, name, data.mkv, blob, data.ctr, seen)
        if name == slot_names.STATE:
            batch.effects.append(Hint(NEW_STATE, accounts=(me.account,), but=me.dv))
        return api.Done()

    return await relay.writer.submit(run)


def _put(batch: Batch, owner: str, name: str, mkv: int, blob: bytes, ctr: Any, seen: str | None) -> None:
    """One slot in this batch (SLOT-007). Raises Conflict when the generation, counter or content is another."""
    conn, s = batch.conn, schema.slot
    kind = slot_names.parse(name)
    if kind.length and len(blob) != kind.length:
        raise BadFormat("length of the slot")
    row = conn.execute(select(s).where(s.c.account == owner, s.c.name == name)).one_or_none()
    current = conn.execute(select(schema.account.c.mkv).where(schema.account.c.id == owner)).scalar_one()
    if mkv != current:
        raise Conflict("mkv", mkv=current)
    if kind.kind == slot_names.STATE:
        before = row.ctr if row else 0
        if ctr is UNSET or ctr != before + 1 or (seen is not None and seen.strip('"') != str(before)):
            raise Conflict("ctr", ctr=before)
    elif row is not None and kind.create_only:
        if bytes(row.bytes) == blob:
            return
        if kind.kind != "e" or row.mkv >= mkv:
            raise Conflict("the slot is written")
    values = {"account": owner, "name": name, "mkv": mkv, "ctr": None if ctr is UNSET else ctr, "bytes": blob}
    if row is None:
        conn.execute(insert(s), values)
    else:
        conn.execute(update(s).where(s.c.account == owner, s.c.name == name).values(**values))


def _limited(text: str) -> bytes:
    try:
        blob = b64d(text)
    except CheckFailed:
        raise BadFormat("base64url") from None
    if len(blob) > SLOT_LIMIT:
        raise BadFormat("slot too large")
    return blob


def _exact(text: str, length: int) -> bytes:
    blob = _limited(text)
    if len(blob) != length:
        raise BadFormat("length")
    return blob


HANDLERS = [
    sign_up,
    account,
    roots,
    put_roots,
    add_device,
    revoke_device,
    key_log,
    slots,
    slot,
    put_slot,
]
