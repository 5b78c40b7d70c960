"""The client: one profile, one account, one device, one relay.

Opens the profile folder, unlocks it, keeps it in step with the relay and hands out spheres. All methods that talk to
the relay are coroutines; reading is local and works offline. Knows files, clock, randomness and the transport because
they are given to it; the cryptography and the rules live below, in ``sphere``, ``account`` and ``protocol``.

    async with Client.open("~/.local/share/cloister/ada", server="https://cloister.example") as client:
        await client.unlock(password)
        await client.sphere("harbour").send("Hello")

Spec: CLT-001 to CLT-030.

Long because it is the surface: one short method per act, the work is in the modules it calls.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec

from cloister import crypto
from cloister.account import keys as account_keys
from cloister.account import vault as vaults
from cloister.account.password import V0, V1
from cloister.account.vault import Vault
from cloister.client import (
    acts,
    commits,
    doctor,
    enrol,
    export,
    invited,
    joining,
    memory,
    organisation,
    outbox,
    queue,
    removal,
    signing,
    syncing,
)
from cloister.client import live as live_module
from cloister.client import pin as pins
from cloister.client.context import Context
from cloister.client.events import Event
from cloister.client.opening import Opening
from cloister.client.profile import PROFILE, Profile, expanded, read_key_file, write_private
from cloister.client.records import (
    AccountInfo,
    DeviceInfo,
    Finding,
    Imported,
    Invitation,
    OutboxItem,
    Pending,
    Request,
    SavedInfo,
    ServerInfo,
    SphereInfo,
    SyncReport,
)
from cloister.client.relay import Relay
from cloister.client.sphere import Sphere, sphere_info
from cloister.client.store import Store
from cloister.client.transports.base import Transport
from cloister.client.transports.http import HttpTransport
from cloister.errors import (
    AuthFailed,
    CloisterError,
    Locked,
    NotFound,
    RelayError,
    Unreachable,
    UsageError,
    VaultError,
)
from cloister.protocol.state import Policy
from cloister.sphere import compose, meta

Kem = Literal["xwing", "p384", "rsa4096"]
Clock = Callable[[], float]
Rng = Callable[[int], bytes]


class Client:
    """See the module. Create with ``Client.open``."""

    def __init__(
        self, profile: Profile, transport: Transport, clock: Clock, rng: Rng, *, settings: dict[str, Any], legacy: bool
    ) -> None:
        self.profile = profile
        self.relay = Relay(transport)
        self._clock, self._rng, self._legacy = clock, rng, legacy
        self._settings = settings
        self._vault = enrol.read_vault(profile)
        self._vk: bytes | None = None
        self._ctx: Context | None = None
        self._listeners: list[asyncio.Queue[Event]] = []

    @classmethod
    def open(
        cls,
        profile_dir: str | Path,
        server: str | None = None,
        *,
        transport: Transport | None = None,
        clock: Clock = time.time,
        rng: Rng = crypto.random_bytes,
        ca_file: str | Path | None = None,
        allow_http: bool = False,
        legacy_kdf: bool = False,
    ) -> Opening:
        """Open (or begin) a profile folder, mode 0700.

        ``server``: relay URL, needed once; http only for loopback hosts unless ``allow_http``. ``transport`` replaces
        the network (tests, pouch). ``ca_file``: PEM of a local authority. Raises UsageError, DiskTrouble.
        """

        def make() -> Client:
            profile = Profile(profile_dir)
            settings = profile.read(PROFILE) or {"v": 1}
            wanted = dict(settings)
            if ca_file is not None:
                wanted["ca_file"] = str(Path(ca_file).expanduser().resolve())
            if allow_http:
                wanted["allow_http"] = True
            way: Transport
            if transport is not None:
                way = transport
            elif server or wanted.get("server"):
                way = HttpTransport(
                    server or wanted["server"], ca_file=wanted.get("ca_file"), allow_http=bool(wanted.get("allow_http"))
                )
            else:
                raise UsageError("this profile has no server yet: name one")
            wanted["server"] = way.origin
            if wanted != settings:
                profile.write(PROFILE, wanted)
            return cls(profile, way, clock, rng, settings=wanted, legacy=legacy_kdf)

        return Opening(make)

    async def close(self) -> None:
        """Close connection, store and locks; forget keys."""
        self.lock()
        await self.relay.close()

    # inner parts -------------------------------------------------------------------------------------------------
    @property
    def context(self) -> Context:
        """The open profile. Raises Locked."""
        if self._ctx is None:
            raise Locked("this profile is locked" if self._vault else "nobody has signed in here yet")
        return self._ctx

    def _need_vault(self) -> Vault:
        if self._vault is None:
            raise Locked("nobody has signed in here yet")
        return self._vault

    def _now(self) -> int:
        return int(self._clock()) if self._ctx is None else self._ctx.now()

    def _publish(self, events: Iterable[Event]) -> None:
        for event in events:
            for queue_ in self._listeners:
                queue_.put_nowait(event)

    def _enter(self, vault: Vault, vk: bytes) -> Context:
        store = Store(
            self.profile.store_path,
            vaults.store_key(vk, vault),
            publish=self._publish,
            heard=lambda: bool(self._listeners),
        )
        try:
            packed, mk = store.secret("device"), store.secret("mk")
            if packed is None or mk is None:
                raise VaultError("the store does not hold this device")
            device = account_keys.unpack_device(packed, vault.dv)
        except BaseException:
            store.close()
            raise
        ctx = Context(
            self.profile, store, self.relay, self._clock, self._rng, vault.account, vault.login, device, mk,
            int(store.get("mkv", 1)),
        )  # fmt: skip
        token = store.secret("token")
        self.relay.token = token.decode("ascii") if token else None
        self.relay.renew = lambda: removal.session(ctx)
        self._vault, self._vk, self._ctx = vault, vk, ctx
        return ctx

    # account -----------------------------------------------------------------------------------------------------
    @property
    def account(self) -> AccountInfo:
        """Who this profile is; works locked."""
        vault = self._vault
        if vault is None:
            return AccountInfo("new", self.relay.origin)
        status: Literal["pending", "locked", "open"] = "locked"
        if vault.pending:
            status = "pending"
        elif self._ctx is not None:
            status = "open"
        admin = bool(self._ctx and self._ctx.store.get("admin", False))
        name = self._settings.get("device_name", "")
        return AccountInfo(status, self.relay.origin, vault.login, vault.account, vault.dv, name, admin)

    async def server_info(self) -> ServerInfo:
        """Ask the relay about itself; checks pinned realm and own origin (Downgrade if they changed)."""
        info = await signing.server(self.relay, self._vault.realm if self._vault else None)
        if self._ctx is not None:
            self._ctx.set_clock(info.now)
        skew = int(info.now - self._clock())
        version = info.versions[-1] if info.versions else ""
        return ServerInfo(self.relay.origin, info.realm, version, info.signup, tuple(info.origins), skew, info.setup)

    def _name_device(self, device_name: str) -> str:
        name = device_name or self._settings.get("device_name", "")
        if name != self._settings.get("device_name", ""):
            self._settings["device_name"] = name
            self.profile.write(PROFILE, self._settings)
        return str(name)

    @property
    def _version(self) -> int:
        return V0 if self._legacy else V1

    async def create_account(
        self,
        login: str,
        password: str,
        ticket: str | None = None,
        *,
        invite_link: str | None = None,
        device_name: str = "",
        kem: Kem = "xwing",
    ) -> Pending | None:
        """Sign up with a set-up code or sign-up ticket, or with an invitation link (then returns the join request).

        ``kem``: what kind of receiving key this device has; spheres let weaker ones than xwing in only where their
        policy says so (CLT-061).

        The vault is on disk before the request (CLT-003): after a crash call again with the same password, or unlock.
        Raises UsageError, WeakPassword, AuthFailed (ticket), Conflict (name taken), Unreachable.
        """
        if self._vault is not None and self._vault.pending:
            await self.unlock(password)
            return next(iter(self.pending()), None)
        if self._vault is not None:
            raise UsageError("this profile has an account already")
        link = joining.parse_link(self.relay.origin, invite_link) if invite_link else None
        name = self._name_device(device_name)
        try:
            await enrol.sign_up(
                self.profile, self.relay, self._rng, self._now, login, password, version=self._version, kem=kem,
                ticket=ticket, link=link, content=lambda device: memory.first_content(device.dv, name),
            )  # fmt: skip
        finally:
            self._vault = enrol.read_vault(self.profile)
        await self.unlock(password)
        with self.context.store.step():
            self.context.store.put("device_names", {self.context.dv: name})
            self.context.store.put("state_dirty", True)
        await self._look_at_account()
        return next(iter(self.pending()), None)

    async def _look_at_account(self) -> None:
        try:
            row = await self.relay.account()
        except (RelayError, Unreachable):
            return
        self.context.store.put("admin", row.admin)

    async def sign_in(self, login: str, password: str, device_name: str = "", *, kem: Kem = "xwing") -> None:
        """Make this profile a new device of an existing account (CLT-005).

        A locked profile of the same account is merely unlocked. A device that is of no more use (copied, removed, never
        finished, or its password forgotten here) is replaced: what only it held (waiting texts, keys kept only here) is
        carried over if the password opens it, and the old device is revoked. Raises AuthFailed, Downgrade, UsageError.
        """
        old, kept = self._vault, None
        if old is not None and not old.pending:
            if self._ctx is not None and not self._must_renew():
                raise UsageError("this profile is signed in already")
            kept = await self._carry(old, password)
            if kept is not None and not self._must_renew():
                if login.strip().lower() == old.login:
                    return  # the device is as good as before: it is open now
                self.lock()
                raise UsageError("this profile belongs to another account")
        self.lock()
        name = self._name_device(device_name)
        realm = old.realm if old is not None else None
        made = await enrol.add_device(
            self.profile, self.relay, self._rng, self._now, login, password, version=self._version, kem=kem,
            realm=realm, old=old if old is not None and not old.pending else None,
        )  # fmt: skip
        ctx = self._enter(made.vault, made.vk)
        with ctx.store.step():
            ctx.store.put("device_names", {ctx.dv: name})
            ctx.store.put("state_dirty", True)
            if kept is not None:
                enrol.restore(ctx.store, kept)
        await self._look_at_account()
        await self.sync()
        await made.finish()
        if old is not None:
            await self.sync()

    def _must_renew(self) -> bool:
        """Whether the open device is of no more use: copied, revoked, or its enrolment was never finished."""
        store = self.context.store
        unfinished = store.get("klog") is None
        return unfinished or bool(store.get("retired")) or self.context.dv in store.get("revoked", [])

    async def _carry(self, old: Vault, password: str) -> enrol.Kept | None:
        try:
            ctx = self._ctx or self._enter(old, await signing.vault_key(old, password))
        except (CloisterError, OSError):
            return None
        return enrol.take_along(ctx.store)

    async def sign_out(self, *, wipe: bool = False) -> None:
        """End the session; with ``wipe`` delete the profile's content from this machine."""
        if self._ctx is not None:
            try:
                row = await self.relay.account()
                this = next((one.n for one in row.sessions if one.this), None)
                if this is not None:
                    await self.relay.end_session(this)
            except (RelayError, Unreachable):
                pass
            self._ctx.store.put_secret("token", None)
        self.lock()
        if wipe:
            enrol.forget(self.profile)
            self._vault = None

    async def unlock(self, password: str) -> None:
        """Open the vault with the password; works offline. Raises AuthFailed for a wrong password (CLT-004).

        Settles a sign-up or password change whose answer was never seen, when the relay can be reached.
        """
        vault, following = self._need_vault(), acts.read_next(self.profile)
        by_next = False
        try:
            vk = await signing.vault_key(vault, password)
        except VaultError:
            if following is None:
                raise AuthFailed("the vault does not open") from None
            try:
                vk = await signing.vault_key(following, password)
            except VaultError:
                raise AuthFailed("the vault does not open") from None
            by_next = True
        ctx = self._enter(vault, vk)
        if vault.pending:
            await self._resume(vault, password)
        elif following is not None:
            try:
                self._vault = await acts.settle_password(ctx, vault, password, opened_by_next=by_next)
            except (Unreachable, RelayError):
                pass
        if ctx.store.get("mk_due"):
            try:
                await acts.refresh_master(ctx, self._need_vault(), password)
            except (Unreachable, RelayError):
                pass

    async def _resume(self, vault: Vault, password: str) -> None:
        ctx = self.context
        try:
            await enrol.resume_sign_up(self.profile, self.relay, self._rng, vault, ctx.store, password)
        except BaseException:
            self.lock()
            self._vault = enrol.read_vault(self.profile)
            raise
        self._vault = enrol.read_vault(self.profile)

    async def unlock_with_pin(self, pin: str) -> None:
        """Open the vault with this device's PIN and the relay's pepper (CLT-040). Raises AuthFailed (``data["left"]``
        tries when the PIN was wrong), WeakPin for what is no PIN, Unreachable, UsageError without a PIN."""
        self._vault, vk = await pins.open_with(self.profile, self.relay, self._need_vault(), pin, self._rng)
        self._enter(self._vault, vk)

    async def set_pin(self, pin: str) -> None:
        """Set or change this device's PIN; from then on the password opens it no more. Raises WeakPin."""
        self._vault = await pins.put(self.context, self._need_vault(), self.agent_key(), pin)

    async def remove_pin(self, password: str) -> None:
        """Open this device with the password again. Raises AuthFailed, UsageError without a PIN."""
        self._vault = await pins.drop(self.context, self._need_vault(), self.agent_key(), password)

    @property
    def has_pin(self) -> bool:
        """Whether this device opens with a PIN, also one whose enrolment was not answered."""
        return self._vault is not None and (pins.is_set(self._vault) or pins.pending(self.profile, self._vault))

    async def unlock_with_key(self, key: bytes) -> None:
        """Open the vault with the key an agent holds (``agent_key``). Raises VaultError."""
        self._enter(self._need_vault(), key)

    async def unlock_with_file(self, path: str | Path) -> None:
        """Open the vault by a key file, which must be yours and mode 0600 (bots)."""
        await self.unlock_with_key(vaults.open_with_key(self._need_vault(), "file", read_key_file(path)))

    async def make_key_file(self, path: str | Path) -> None:
        """Write a key file (mode 0600) that opens this vault; an earlier one stops working."""
        vault, key = self._need_vault(), self._rng(vaults.VK_LENGTH)
        opener = vaults.key_opener(vault, "file", key, self.agent_key(), self._rng)
        write_private(expanded(path), vaults.key_file(key))
        self._vault = vaults.with_opener(vault, opener)
        enrol.write_vault(self.profile, self._vault)

    def agent_key(self) -> bytes:
        """The open vault's key, 32 bytes, for an agent process with a time-out. Never write it anywhere."""
        if self._vk is None:
            raise Locked("this profile is locked")
        return self._vk

    def lock(self) -> None:
        """Forget every key in memory and close the store."""
        if self._ctx is not None:
            self._ctx.store.close()
        self._ctx, self._vk = None, None
        self.relay.token, self.relay.renew = None, None

    async def change_password(self, old: str, new: str) -> None:
        """Change the password (CLT-006). Raises AuthFailed, WeakPassword, Conflict (changed elsewhere)."""
        ctx = self.context
        async with self.profile.writer("account"):
            self._vault = await acts.change_password(ctx, self._need_vault(), self.agent_key(), old, new)

    async def devices(self) -> list[DeviceInfo]:
        """Own devices from the verified key log, fetched if the relay can be reached."""
        try:
            await memory.refresh_klog(self.context)
        except (Unreachable, RelayError):
            pass
        return memory.devices(self.context)

    async def revoke_device(self, dv: str, password: str, new_password: str | None = None) -> None:
        """Revoke a device everywhere and make a new master key, in one resumable flow (CLT-007).

        With ``new_password`` the password changes in the same step. ``dv`` may be a unique prefix or a device name.
        Raises NotFound, UsageError, WeakPassword, AuthFailed, Conflict, Unreachable.
        """
        ctx = self.context
        chosen = [d.dv for d in memory.devices(ctx) if d.dv.startswith(dv) or (d.name == dv and d.active)]
        pending = ctx.store.get("revoking")
        if pending and dv in (pending["dv"], ctx.store.get("device_names", {}).get(pending["dv"])):
            chosen = [pending["dv"]]
        if len(set(chosen)) != 1:
            raise NotFound("no such device") if not chosen else UsageError("more than one device fits")
        async with self.profile.writer("account"):
            self._vault = await acts.revoke_device(
                ctx, self._need_vault(), self.agent_key(), chosen[0], password, new_password
            )
        await self.sync()

    async def sessions(self) -> list[dict[str, Any]]:
        """Sessions the relay keeps for this account."""
        self.context.now()
        row = await self.relay.account()
        return [msgspec.to_builtins(one) for one in row.sessions]

    async def end_session(self, n: str) -> None:
        """End one session."""
        self.context.now()
        await self.relay.end_session(n)

    # spheres -----------------------------------------------------------------------------------------------------
    def spheres(self, *, past: bool = False) -> list[SphereInfo]:
        """Spheres of this device, by title."""
        ctx = self.context
        rows = [sphere_info(ctx, ctx.replica(sph)) for sph, _ in ctx.store.rows("sphere")]
        shown = [one for one in rows if past or one.status in ("active", "asked")]
        return sorted(shown, key=lambda one: (one.title.lower(), one.sph))

    def sphere(self, name_or_prefix: str) -> Sphere:
        """Handle by title, unique beginning of a title, or id prefix. Raises NotFound, UsageError (ambiguous)."""
        rows, text = self.spheres(past=True), name_or_prefix.strip().lower()
        found = [one for one in rows if text in (one.title.lower(), one.sph.lower())]
        found = found or [one for one in rows if text and one.title.lower().startswith(text)]
        found = found or [one for one in rows if len(text) >= 5 and one.sph.startswith(name_or_prefix.strip())]
        present = [one for one in found if one.status in ("active", "asked")]
        found = present or found
        if not found:
            raise NotFound("no sphere of this name")
        if len(found) > 1:
            raise UsageError("more than one sphere fits: use the beginning of the id")
        return Sphere(self, found[0].sph)

    async def create_sphere(
        self,
        title: str,
        *,
        mode: Literal["e2ee", "open", "public"] = "e2ee",
        delivery: Literal["pairwise", "live"] = "pairwise",
        custody: Literal["synced", "device"] = "synced",
        topic: str = "",
        policy: dict[str, Any] | None = None,
        kind: Literal["sphere", "org"] = "sphere",
        org: str = "",
    ) -> Sphere:
        """Create a sphere with yourself as owner. Raises UsageError, Unreachable (finished at the next sync).

        ``kind`` org makes an organisation; ``org`` (the sph of one) makes a sphere whose keys come from that
        organisation's, so that whoever is or was in it can derive them (CLT-062).

        ``custody`` device keeps keys on devices only, so it asks for a second one: the loss of one must not be the end
        of the sphere. ``delivery`` live hands keys over between connected devices only, and goes with that custody.
        """
        ctx = self.context
        if delivery == "live":
            custody = "device"  # nothing of the key stays at the relay
        if custody == "device":
            memory.require_second_copy(ctx)
        root = organisation.require_key(ctx, org) if org else None
        ik, certs = memory.identity(ctx)
        settings = Policy.from_body({**Policy().as_body(), **(policy or {})})
        intents: list[compose.Intent] = [
            compose.Create(
                name=ctx.login, ik=ik, cert=certs[0], mode=mode, delivery=delivery, custody=custody, policy=settings,
                renew=memory.renewed(ctx), rotations=tuple(memory.rotations(ctx)), kind=kind, org=org,
            ),
            compose.SetMeta(meta.Text(title, topic)),
        ]  # fmt: skip
        draft = commits.composed(
            None, None, commits.author(ctx), intents, now=ctx.now(), rng=ctx.rng, org_key=root
        )  # fmt: skip
        rep = await commits.create(ctx, draft)
        await self._after_key(rep.sph)
        return Sphere(self, rep.sph)

    async def _after_key(self, sph: str) -> None:
        """Slots and state after a new key; what cannot be done now is done at the next sync."""
        try:
            async with self.profile.writer(sph):
                await syncing.store_slots(self.context, sph)
            await syncing.account(self.context, syncing.Tally())
        except (RelayError, Unreachable):
            pass

    async def join(self, link: str) -> Pending:
        """Ask to join by an invitation link (the fragment alone is enough). Raises Forbidden when it is closed."""
        ctx = self.context
        h = await joining.ask(ctx, joining.parse_link(self.relay.origin, link))
        return next(one for one in joining.pending(ctx) if one.hash == h)

    def read_saved(self, text: str) -> SavedInfo:
        """What a text of saved keys says of itself, unopened. Raises FormatError, Downgrade."""
        return export.look(self.context, text)

    async def import_keys(self, text: str, code: str) -> Imported:
        """Take the keys of a saved text back, as far as the verified log knows them (CLT-060). ``code``: its code or
        passphrase. Raises FormatError, Downgrade, VaultError (another code), DecryptFailed, NotFound,
        CommitmentMismatch."""
        return await export.take(self.context, text, code)

    def pending(self) -> list[Pending]:
        """Own join requests."""
        return joining.pending(self.context)

    async def cancel_join(self, pending: Pending) -> None:
        """Take a join request back."""
        await self.relay.withdraw_join(pending.hash)
        with self.context.store.step():
            self.context.store.run("DELETE FROM request WHERE h = ? AND mine = 1", pending.hash)

    def invitations(self) -> list[Invitation]:
        """Invitations that people of common spheres sent to this account (CLT-053)."""
        return invited.waiting(self.context)

    async def accept_invitation(self, wanted: str) -> Pending:
        """Ask to join by an invitation that came (id or unique beginning). Raises NotFound, Forbidden when closed."""
        h = await invited.accept(self.context, wanted)
        return next(one for one in joining.pending(self.context) if one.hash == h)

    async def decline_invitation(self, wanted: str) -> None:
        """Forget an invitation; nobody is told. Raises NotFound."""
        invited.decline(self.context, wanted)

    async def requests(self, sphere: Sphere | str) -> list[Request]:
        """Join requests of one sphere."""
        one = self.sphere(sphere) if isinstance(sphere, str) else sphere
        return await one.requests()

    # traffic -----------------------------------------------------------------------------------------------------
    async def sync(self) -> SyncReport:
        """One round: inbox, logs, messages, healing, outbox. Offline is a report, not an error."""
        return await syncing.once(self.context)

    async def events(self, *, live: bool = True) -> AsyncIterator[Event]:
        """Events as they become durable; with ``live`` keeps the connection up with back-off until closed."""
        heard: asyncio.Queue[Event] = asyncio.Queue()
        self._listeners.append(heard)
        task = asyncio.create_task(live_module.run(self.context)) if live else None
        try:
            while True:
                getter = asyncio.create_task(heard.get())
                waits: set[asyncio.Task[Any]] = {getter} | ({task} if task is not None else set())
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                if getter.done():
                    yield getter.result()
                    continue
                getter.cancel()
                while not heard.empty():
                    yield heard.get_nowait()
                assert task is not None
                task.result()
                return
        finally:
            self._listeners.remove(heard)
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def outbox(self) -> list[OutboxItem]:
        """Items not yet accepted by the relay, in order."""
        return queue.items(self.context)

    async def retry(self, item_id: str, *, anyway: bool = False) -> None:
        """Try again; ``anyway`` answers a held item's question with yes."""
        ctx = self.context
        item = queue.find(ctx, item_id)
        async with self.profile.writer(item.sph):
            outbox.retry(ctx, item.id, anyway=anyway)
        await syncing.deliver(ctx, item.sph)

    async def drop(self, item_id: str) -> None:
        """Delete an item that has not been sent. Raises UsageError if it may be on its way already."""
        ctx = self.context
        item = queue.find(ctx, item_id)
        async with self.profile.writer(item.sph):
            outbox.drop(ctx, item.id)

    async def doctor(self, sphere: Sphere | str | None = None) -> list[Finding]:
        """Check profile, relay, logs, keys, chains and outbox; never changes anything."""
        one = self.sphere(sphere) if isinstance(sphere, str) else sphere
        return await doctor.examine(self.context, self._need_vault(), one.sph if one else None)

    # administration ----------------------------------------------------------------------------------------------
    async def admin(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call an /admin endpoint (path without prefix, e.g. ``health``) with an administrator's session."""
        self.context.now()
        return await self.relay.call(dict[str, Any], method, f"/admin/{path}", body)
