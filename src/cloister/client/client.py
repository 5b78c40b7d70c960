"""The client: one profile, one account, one device, one relay.

Opens the profile folder, unlocks it, keeps it in step with the relay and hands out spheres. All methods that talk to
the relay are coroutines; reading is local and works offline. Knows files, clock, randomness and the transport because
they are given to it; the cryptography and the rules live below, in ``sphere``, ``account`` and ``protocol``.

    async with Client.open("~/.local/share/cloister/ada", server="https://cloister.example") as client:
        await client.unlock(password)
        await client.sphere("harbour").send("Hello")

Spec: CLT-001 to CLT-030.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Generator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from cloister import crypto
from cloister.client.events import Event
from cloister.client.records import (
    AccountInfo,
    DeviceInfo,
    Finding,
    OutboxItem,
    Pending,
    Request,
    ServerInfo,
    SphereInfo,
    SyncReport,
)
from cloister.client.sphere import Sphere
from cloister.client.transports.base import Transport

Clock = Callable[[], float]
Rng = Callable[[int], bytes]


class Opening:
    """Lets ``Client.open(...)`` be awaited or entered with ``async with``."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._client: Client | None = None

    def __await__(self) -> Generator[Any, None, Client]:
        client: Client = yield from self._make().__await__()
        return client

    async def __aenter__(self) -> Client:
        self._client = await self._make()
        return self._client

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._client is not None:
            await self._client.close()


class Client:
    """See the module. Create with ``Client.open``."""

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
        raise NotImplementedError

    async def close(self) -> None:
        """Close connection, store and locks; forget keys."""
        raise NotImplementedError

    # account -----------------------------------------------------------------------------------------------------
    @property
    def account(self) -> AccountInfo:
        """Who this profile is; works locked."""
        raise NotImplementedError

    async def server_info(self) -> ServerInfo:
        """Ask the relay about itself; checks pinned realm and own origin (Downgrade if they changed)."""
        raise NotImplementedError

    async def create_account(
        self,
        login: str,
        password: str,
        ticket: str | None = None,
        *,
        invite_link: str | None = None,
        device_name: str = "",
    ) -> Pending | None:
        """Sign up with a set-up code or sign-up ticket, or with an invitation link (then returns the join request).

        The vault is on disk before the request (CLT-003): after a crash call again with the same password, or unlock.
        Raises UsageError (login, password), AuthFailed (ticket), Conflict (name taken), Unreachable.
        """
        raise NotImplementedError

    async def sign_in(self, login: str, password: str, device_name: str = "") -> None:
        """Make this profile a new device of an existing account (CLT-005). Raises AuthFailed, Downgrade."""
        raise NotImplementedError

    async def sign_out(self, *, wipe: bool = False) -> None:
        """End the session; with ``wipe`` delete the profile's content from this machine."""
        raise NotImplementedError

    async def unlock(self, password: str) -> None:
        """Open the vault with the password; works offline. Raises AuthFailed for a wrong password."""
        raise NotImplementedError

    async def unlock_with_key(self, key: bytes) -> None:
        """Open the vault with the key an agent holds (``agent_key``)."""
        raise NotImplementedError

    async def unlock_with_file(self, path: str | Path) -> None:
        """Open the vault by a key file, which must be yours and mode 0600 (bots)."""
        raise NotImplementedError

    async def make_key_file(self, path: str | Path) -> None:
        """Write a key file (mode 0600) that opens this vault."""
        raise NotImplementedError

    def agent_key(self) -> bytes:
        """The open vault's key, 32 bytes, for an agent process with a time-out. Never write it anywhere."""
        raise NotImplementedError

    def lock(self) -> None:
        """Forget every key in memory and close the store."""
        raise NotImplementedError

    async def change_password(self, old: str, new: str) -> None:
        """Change the password (CLT-006). Raises AuthFailed, UsageError, Conflict (changed elsewhere)."""
        raise NotImplementedError

    async def devices(self) -> list[DeviceInfo]:
        """Own devices from the verified key log."""
        raise NotImplementedError

    async def revoke_device(self, dv: str, password: str) -> None:
        """Revoke a device everywhere and make a new master key, in one resumable flow (CLT-007)."""
        raise NotImplementedError

    async def sessions(self) -> list[dict[str, Any]]:
        """Sessions the relay keeps for this account."""
        raise NotImplementedError

    async def end_session(self, n: int) -> None:
        """End one session."""
        raise NotImplementedError

    # spheres -----------------------------------------------------------------------------------------------------
    def spheres(self, *, past: bool = False) -> list[SphereInfo]:
        """Spheres of this device, by title."""
        raise NotImplementedError

    def sphere(self, name_or_prefix: str) -> Sphere:
        """Handle by title, unique beginning of a title, or id prefix. Raises NotFound, UsageError (ambiguous)."""
        raise NotImplementedError

    async def create_sphere(
        self,
        title: str,
        *,
        mode: Literal["e2ee", "open", "public"] = "e2ee",
        delivery: Literal["pairwise", "live"] = "pairwise",
        custody: Literal["synced", "device"] = "synced",
        topic: str = "",
        policy: dict[str, Any] | None = None,
    ) -> Sphere:
        """Create a sphere with yourself as owner."""
        raise NotImplementedError

    async def join(self, link: str) -> Pending:
        """Ask to join by an invitation link (the fragment alone is enough). Raises Forbidden when it is closed."""
        raise NotImplementedError

    def pending(self) -> list[Pending]:
        """Own join requests."""
        raise NotImplementedError

    async def cancel_join(self, pending: Pending) -> None:
        """Take a join request back."""
        raise NotImplementedError

    async def requests(self, sphere: Sphere | str) -> list[Request]:
        """Join requests of one sphere."""
        raise NotImplementedError

    # traffic -----------------------------------------------------------------------------------------------------
    async def sync(self) -> SyncReport:
        """One round: inbox, logs, messages, healing, outbox. Offline is a report, not an error."""
        raise NotImplementedError

    def events(self, *, live: bool = True) -> AsyncIterator[Event]:
        """Events as they become durable; with ``live`` keeps the connection up with back-off until closed."""
        raise NotImplementedError

    def outbox(self) -> list[OutboxItem]:
        """Items not yet accepted by the relay, in order."""
        raise NotImplementedError

    async def retry(self, item_id: str, *, anyway: bool = False) -> None:
        """Try again; ``anyway`` answers a held item's question with yes."""
        raise NotImplementedError

    async def drop(self, item_id: str) -> None:
        """Delete an item that has not been sent. Raises UsageError if it may be on its way already."""
        raise NotImplementedError

    async def doctor(self, sphere: Sphere | str | None = None) -> list[Finding]:
        """Check profile, relay, logs, keys, chains and outbox; never changes anything."""
        raise NotImplementedError

    # administration ----------------------------------------------------------------------------------------------
    async def admin(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call an /admin endpoint (path without prefix, e.g. ``health``) with an administrator's session."""
        raise NotImplementedError
