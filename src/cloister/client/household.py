"""One person's account on one device: signing up and in, opening and locking, password, PIN, devices, sessions.

The part of the client that holds the vault's key while it is open; what it opens is a ``Context``, which everything
else works with. Knows files, clock, randomness and the transport because they are given to it.

Spec: CLT-003 to CLT-007, CLT-028, CLT-040.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec

from cloister.account import keys as account_keys
from cloister.account import vault as vaults
from cloister.account.password import V0, V1
from cloister.account.vault import Vault
from cloister.client import (
    acts,
    enrol,
    joining,
    memory,
    removal,
    signing,
    syncing,
)
from cloister.client import pin as pins
from cloister.client.context import Context
from cloister.client.events import Event
from cloister.client.profile import PROFILE, Profile, expanded, read_key_file, write_private
from cloister.client.records import (
    AccountInfo,
    DeviceInfo,
    Pending,
    ServerInfo,
    SyncReport,
)
from cloister.client.relay import Relay
from cloister.client.store import Store
from cloister.client.transports.base import Transport
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

Kem = Literal["xwing", "p384", "rsa4096"]
Clock = Callable[[], float]
Rng = Callable[[int], bytes]


class Household:
    """See the module. ``Client`` is the whole."""

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
            return next(iter(joining.pending(self.context)), None)
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
        return next(iter(joining.pending(self.context)), None)

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
        return unfinished or bool(store.get("retired")) or self.context.dv in memory.revoked(self.context)

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
            self._ctx.transfers.stop()
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

    async def sync(self) -> SyncReport:
        """One round: inbox, logs, messages, healing, outbox. Offline is a report, not an error."""
        return await syncing.once(self.context)
