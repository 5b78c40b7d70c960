"""Sessions: who is calling, at which level, from which device.

Level ``password`` lasts ten minutes after SRP and alone reaches roots, enrolment and revocation; level ``device`` is
bound to an enrolled device and ends with it. Only the hash of a token is stored.

Spec: API-007, API-008, API-009, SRP-015.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from litestar import Request
from sqlalchemy import bindparam, delete, insert, select, update

from cloister import crypto
from cloister.account.session import new_token, token_hash
from cloister.errors import AuthFailed, Forbidden
from cloister.protocol import api
from cloister.protocol.encoding import b64e
from cloister.server import schema
from cloister.server.core import Relay
from cloister.server.hub import Ended
from cloister.server.prepared import Prepared
from cloister.server.writer import Batch

PASSWORD: Final = "password"
DEVICE: Final = "device"
PASSWORD_LIFE: Final = 600
# How stale the stored time of last use may be: one write per session and minute, not one per request.
TOUCH_EVERY: Final = 60


@dataclass(frozen=True, slots=True)
class Session:
    """A valid session. ``h`` is the token's hash, ``dv`` the device of level device."""

    h: bytes
    account: str
    dv: str | None
    level: str
    admin: bool

    def require_password(self) -> None:
        """Raises AuthFailed: a fresh password is needed."""
        if self.level != PASSWORD:
            raise AuthFailed("password level", level=PASSWORD)

    def require_device(self) -> str:
        """The session's device. Raises Forbidden for a session without one."""
        if self.dv is None:
            raise Forbidden("no device")
        return self.dv


def _finding() -> Prepared:
    s, a, d = schema.session, schema.account, schema.device
    query = (
        select(s.c.account, s.c.dv, s.c.level, s.c.until, s.c.used, a.c.admin, a.c.suspended, d.c.active)
        .join(a, a.c.id == s.c.account)
        .outerjoin(d, d.c.dv == s.c.dv)
        .where(s.c.h == bindparam("h"))
    )
    return Prepared(query, "h")


# Asked before everything else that somebody signed in asks.
_FIND: Final = _finding()


def name_of(h: bytes) -> str:
    """What a session is called in lists: never its token, never its whole hash."""
    return b64e(crypto.sha256(h)[:16])


async def authenticate(relay: Relay, token: str) -> Session:
    """The session of a token. Raises AuthFailed, RateLimited for the account."""
    h = token_hash(token)
    now = relay.now
    row = await relay.store.read(lambda conn: _FIND.first(conn, (h,)))
    idle = relay.settings.session_hours * 3600
    if row is None or now >= row.until or row.suspended or (row.level == DEVICE and now - row.used > idle):
        raise AuthFailed("session")
    if row.level == DEVICE and not row.active:
        raise AuthFailed("device")
    relay.by_account.take(row.account)
    if now - row.used > TOUCH_EVERY:
        used = update(schema.session).where(schema.session.c.h == h).values(used=now)
        await relay.writer.submit(lambda batch: batch.conn.execute(used).rowcount)
    return Session(h, row.account, row.dv, row.level, bool(row.admin))


async def caller(request: Request[Any, Any, Any]) -> Session:
    """The session behind a request's bearer token. Raises AuthFailed."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise AuthFailed("no session")
    return await authenticate(request.app.state.relay, token)


def issue(relay: Relay, batch: Batch, account: str, level: str, dv: str | None = None) -> api.Token:
    """Store a new session in this batch and return its token."""
    token = new_token(relay.rng)
    life = PASSWORD_LIFE if level == PASSWORD else 365 * 86400
    row = {
        "h": token_hash(token),
        "account": account,
        "dv": dv,
        "level": level,
        "made": batch.now,
        "used": batch.now,
        "until": batch.now + life,
    }
    batch.conn.execute(delete(schema.session).where(schema.session.c.until <= batch.now))
    batch.conn.execute(insert(schema.session), row)
    if dv is None:
        return api.Token(token, account, level, batch.now + life)
    return api.Token(token, account, level, batch.now + life, dv)


def end(batch: Batch, account: str, *, keep: bytes | None = None, dv: str | None = None) -> None:
    """End sessions of an account: all but ``keep``, or those of one device."""
    gone = delete(schema.session).where(schema.session.c.account == account)
    if keep is not None:
        gone = gone.where(schema.session.c.h != keep)
    if dv is not None:
        gone = gone.where(schema.session.c.dv == dv)
    batch.conn.execute(gone)
    batch.effects.append(Ended(account, dv, keep))
