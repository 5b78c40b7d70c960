"""The client: one profile, one account, one device, one relay.

Opens the profile folder, unlocks it, keeps it in step with the relay and hands out spheres. All methods that talk to
the relay are coroutines; reading is local and works offline. Knows files, clock, randomness and the transport because
they are given to it; the cryptography and the rules live below, in ``sphere``, ``account`` and ``protocol``.

    async with Client.open("~/.local/share/cloister/ada", server="https://cloister.example") as client:
        await client.unlock(password)
        await client.sphere("harbour").send("Hello")
The account's own life (signing in, locking, devices) is ``household``.

Spec: CLT-001 to CLT-030.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any, Literal

from cloister import crypto
from cloister.client import (
    commits,
    doctor,
    export,
    invited,
    joining,
    memory,
    organisation,
    outbox,
    queue,
    syncing,
)
from cloister.client import live as live_module
from cloister.client.events import Event
from cloister.client.household import Clock, Household, Rng
from cloister.client.opening import Opening
from cloister.client.profile import PROFILE, Profile
from cloister.client.records import (
    Finding,
    Imported,
    Invitation,
    OutboxItem,
    Pending,
    Request,
    SavedInfo,
    SphereInfo,
)
from cloister.client.sphere import Sphere, sphere_info
from cloister.client.transports.base import Transport
from cloister.client.transports.http import HttpTransport
from cloister.errors import (
    NotFound,
    RelayError,
    Unreachable,
    UsageError,
)
from cloister.protocol.state import Policy
from cloister.sphere import compose, meta


class Client(Household):
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
            await self.sync()  # a second device may be new
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
    async def events(self, *, live: bool = True, attended: Iterable[str] | None = None) -> AsyncIterator[Event]:
        """Events as they become durable; with ``live`` keeps the connection up with back-off until closed.

        ``attended``: the spheres (sph) in which a person here answers ``KeyAsked``; None: all. In others an ask gets
        an offer only where this device gives unasked (LIVE-012).
        """
        self.context.transfers.attended = None if attended is None else frozenset(attended)
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

    async def retry(self, item_id: str, *, anyway: str = "") -> None:
        """Try again; ``anyway`` names the question of a held item that is answered with yes, as it was shown: good for
        that one only, so an item that asks another one by now stays held (CLT-016)."""
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
