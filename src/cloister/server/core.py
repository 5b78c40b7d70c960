"""The relay's parts in one place: what every handler is given.

Knows settings, clock, randomness, storage, writer, hub, limits and the keys derived from ``server.key``. Holds no
rule of its own. ``server.key`` lies beside the database, mode 0600: it is not in the database, and it is backed up.

Spec: API-004, API-010, API-015, API-053.
"""

from __future__ import annotations

import os
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, insert, select

from cloister import crypto
from cloister.account.verifier import SERVER_KEY_LENGTH, ServerKeys, server_keys
from cloister.errors import DiskTrouble, Forbidden
from cloister.protocol.encoding import b64e, lp
from cloister.protocol.state import SphereState
from cloister.server import schema
from cloister.server.hub import Effect, Ended, Hint, Hub, Membership, Stored
from cloister.server.limits import Buckets, Connections
from cloister.server.peppers import Peppers
from cloister.server.settings import Settings
from cloister.server.spheres import SphereCache, load_state
from cloister.server.store import Store
from cloister.server.writer import Writer

MAX_VIEWS: Final = 4096
HINT_GAP: Final = 5.0
# Letters that cannot be mistaken for one another when read aloud or typed.
CODE_ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class View:
    """A committed state as the loop's thread sees it; ``n`` is the sphere's row."""

    n: int
    state: SphereState


@dataclass
class Challenges:
    """Values shown once and good for a minute: nonces and started sign-ins. In memory only."""

    life: int
    limit: int
    held: OrderedDict[object, tuple[int, object]] = field(default_factory=OrderedDict)

    def put(self, key: object, value: object, now: int) -> None:
        while self.held and (len(self.held) >= self.limit or next(iter(self.held.values()))[0] <= now):
            self.held.popitem(last=False)
        self.held[key] = (now + self.life, value)

    def take(self, key: object, now: int) -> object | None:
        """The value, once; None when unknown, used or too old."""
        until, value = self.held.pop(key, (0, None))
        return value if now < until else None


class Relay:
    """See the module. ``open`` in the running loop, ``close`` at the end."""

    def __init__(self, settings: Settings, clock: Callable[[], float], rng: Callable[[int], bytes]) -> None:
        self.settings, self.clock, self.rng = settings, clock, rng
        self.hub = Hub()
        self.views: OrderedDict[str, View] = OrderedDict()
        self._spheres_of: OrderedDict[str, frozenset[str]] = OrderedDict()
        self._changes = 0
        self._hinted: dict[str, float] = {}
        self.by_address = Buckets(settings.rate_address, settings.rate_address * 4, clock)
        self.by_account = Buckets(settings.rate_account, settings.rate_account * 4, clock)
        tries = settings.auth_tries
        self.by_login = Buckets(tries / 900, tries, clock)
        self.by_code = Buckets(10 / 60, 10, clock)
        self.connections = Connections(settings.max_connections)
        self.logins = Challenges(60, 10_000)
        self.nonces = Challenges(60, 100_000)
        self.setup_code: str | None = None
        self.ready = False

    def open(self) -> None:
        """Bring folder, keys and database to life. Raises DiskTrouble."""
        self.settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.keys: ServerKeys = server_keys(_server_key(self.settings.data / "server.key", self.rng))
        self.store = Store(self.settings.database_url)
        self.store.migrate()
        self.peppers = Peppers(self.settings.data / "pepper.db")
        self.spheres = SphereCache(locking=not self.store.sqlite)
        self.writer = Writer(self.store.writing, self.spheres, self.clock, self._publish)
        self._forget_peppers()
        with self.store.writing.begin() as conn:
            self.realm = _realm(conn, self.rng)
            self.signup_override = _meta(conn, "signup")
            self.by_sphere_override = _meta(conn, "signup_by_sphere")
            if conn.execute(select(schema.account.c.id).limit(1)).first() is None:
                self.setup_code = new_code()
                conn.execute(schema.ticket.delete().where(schema.ticket.c.kind == "setup"))
                row = {"h": code_hash(self.setup_code), "kind": "setup", "uses": 1, "exp": 2**52}
                conn.execute(insert(schema.ticket), row)
        self.ready = True

    def _forget_peppers(self) -> None:
        """A crash between revoking a device and deleting its pepper leaves the row: it goes now (VLT-016).

        A device that is not listed at all stays: the database may be an older copy.
        """
        d = schema.device.c
        with self.store.writing.begin() as conn:
            gone = set(conn.execute(select(d.dv).where(d.active.is_(False))).scalars())
        for dev in self.peppers.devices():
            if dev in gone:
                self.peppers.forget(dev)

    async def close(self) -> None:
        self.ready = False
        await self.writer.close()
        self.store.close()
        self.peppers.close()

    @property
    def now(self) -> int:
        return int(self.clock())

    @property
    def signup(self) -> str:
        return self.signup_override or self.settings.signup

    @property
    def signup_by_sphere(self) -> bool:
        if self.by_sphere_override:
            return self.by_sphere_override == "yes"
        return self.settings.signup_by_sphere

    @property
    def origins(self) -> list[str]:
        """Addresses a sign-in may be bound to."""
        own = self.settings
        scheme = "https" if own.tls in ("own", "files") else "http"
        hosts = ["localhost", "127.0.0.1", "[::1]", *own.tls_names]
        local = [f"{scheme}://{host}:{own.port}" for host in hosts]
        return list(dict.fromkeys([own.public_origin, *own.origins, *local]))

    async def view(self, sph: str) -> View:
        """The committed state of a sphere. Raises Forbidden when there is none, in the words used for strangers."""
        known = self.views.get(sph)
        if known is None:
            known = await self.store.read(lambda conn: _load_view(conn, sph))
            newer = self.views.get(sph)
            if newer is not None and newer.state.seq >= known.state.seq:
                return newer
            self._keep(sph, known)
        else:
            self.views.move_to_end(sph)
        return known

    async def there_is(self, sph: str) -> bool:
        """Ask the database whether there is such a sphere, each time: for callers who are no members, so that what is
        in memory does not show in the time of the answer. It answers with one row either way."""
        query = select(func.count()).where(schema.sphere.c.sph == sph)
        return bool(await self.store.read(lambda conn: conn.execute(query).scalar()))

    async def view_for(self, sph: str, account: str, dv: str | None) -> View:
        """The same for the device ``dv`` of an active member, which no entry has revoked (API-004).

        Everybody else is refused after the same look at the caller's own spheres, whether there is such a sphere or
        not: nothing of the sphere itself is touched.
        """
        if sph not in await self.spheres_of(account) or dv is None:
            raise Forbidden("sphere")
        return _visible(await self.view(sph), account, dv)

    def view_at_hand(self, sph: str, account: str, dv: str | None) -> View | None:
        """``view_for`` from memory alone; None when the database must be asked. Raises Forbidden the same."""
        mine = self._spheres_of.get(account)
        if mine is None:
            return None
        if sph not in mine or dv is None:
            raise Forbidden("sphere")
        view = self.views.get(sph)
        if view is None:
            return None
        self.views.move_to_end(sph)
        return _visible(view, account, dv)

    async def spheres_of(self, account: str) -> frozenset[str]:
        """Names of the spheres an account is an active member of."""
        known = self._spheres_of.get(account)
        if known is not None:
            return known
        before = self._changes
        found = await self.store.read(lambda conn: _spheres_of(conn, account))
        if before == self._changes:
            self._spheres_of[account] = found
            if len(self._spheres_of) > MAX_VIEWS:
                self._spheres_of.popitem(last=False)
        return found

    def wants_rotation(self, sph: str) -> None:
        """A message was refused for want of a new key: hint at it, if the sphere is marked, at most once in 5 s."""
        view, now = self.views.get(sph), self.clock()
        if view is None or not view.state.hard or now - self._hinted.get(sph, 0.0) < HINT_GAP:
            return
        self._hinted[sph] = now
        if len(self._hinted) > MAX_VIEWS:
            self._hinted.pop(next(iter(self._hinted)))
        may = tuple(m.id for m in view.state.active_members() if m.role != "guest")
        self.hub.hint(Hint(f'{{"t":"hint","k":"rotate","s":"{sph}"}}', accounts=may))

    def _keep(self, sph: str, view: View) -> None:
        self.views[sph] = view
        self.views.move_to_end(sph)
        if len(self.views) > MAX_VIEWS:
            self.views.popitem(last=False)

    def _publish(self, effects: object) -> None:
        assert isinstance(effects, list)
        one: Effect
        rows: list[Stored] = []
        for one in effects:
            if isinstance(one, Stored):
                if rows and rows[0].stream != one.stream:
                    self.hub.stored(*rows)
                    rows = []
                rows.append(one)
                continue
            if rows:
                self.hub.stored(*rows)
                rows = []
            if isinstance(one, Membership):
                assert isinstance(one.state, View)
                self._keep(one.sph, one.state)
                self._changes += 1
                for account in (*one.gained_accounts, *one.lost_accounts):
                    self._spheres_of.pop(account, None)
                self.hub.lose(one)
            elif isinstance(one, Hint):
                self.hub.hint(one)
            elif isinstance(one, Ended):
                self.hub.end(one)
        if rows:
            self.hub.stored(*rows)


def _visible(view: View, account: str, dv: str) -> View:
    """The view, for an active member's device that no entry has revoked. Raises Forbidden."""
    member = view.state.members.get(account)
    device = view.state.devices.get(dv)
    if member is None or not member.active or (device is not None and device.status == "revoked"):
        raise Forbidden("sphere")
    return view


def _spheres_of(conn: Connection, account: str) -> frozenset[str]:
    m, s = schema.member.c, schema.sphere.c
    rows = conn.execute(select(s.sph).join(schema.member, m.sphere == s.n).where(m.id == account))
    return frozenset(row.sph for row in rows)


def _load_view(conn: Connection, sph: str) -> View:
    n = conn.execute(select(schema.sphere.c.n).where(schema.sphere.c.sph == sph)).scalar()
    if n is None:
        raise Forbidden("sphere")
    return View(n, load_state(conn, n)[1])


def _server_key(path: Path, rng: Callable[[int], bytes]) -> bytes:
    try:
        if path.exists():
            return path.read_bytes()
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            key = rng(SERVER_KEY_LENGTH)
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        return key
    except OSError as error:
        raise DiskTrouble(f"server.key: {error.strerror}") from None


def _meta(conn: Connection, key: str) -> str:
    row = conn.execute(select(schema.meta.c.value).where(schema.meta.c.key == key)).one_or_none()
    return bytes(row.value).decode() if row else ""


def _realm(conn: Connection, rng: Callable[[int], bytes]) -> bytes:
    row = conn.execute(select(schema.meta.c.value).where(schema.meta.c.key == "realm")).one_or_none()
    if row is not None:
        return bytes(row.value)
    realm = rng(16)
    conn.execute(insert(schema.meta), {"key": "realm", "value": realm})
    return realm


def new_code() -> str:
    """A set-up or sign-up code: two groups of four, 39 bits, guarded by a limit of ten tries a minute."""
    text = "".join(secrets.choice(CODE_ALPHABET) for _ in range(8))
    return f"{text[:4]}-{text[4:]}"


def code_hash(code: str) -> bytes:
    """How a code is stored: case and dashes do not matter."""
    return crypto.sha256(lp("ticket", "".join(c for c in code.upper() if c in CODE_ALPHABET)))


def ticket_of_invite(sph: str, jti: bytes) -> bytes:
    """Where the sign-ups of one sphere invitation are counted."""
    return crypto.sha256(lp("ticket sphere", sph, b64e(jti)))
