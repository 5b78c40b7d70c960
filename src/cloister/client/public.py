"""Reading a public sphere by its link: without an account, without a session, keeping nothing.

The log is verified from its first entry, must hold the entry that the link names, and must itself say that the sphere
is public; messages are judged exactly like a member's. Everything lies in a store of its own that ends with the reader.

Spec: CLT-044, INV-004, INV-005.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cloister import crypto
from cloister.account import keys as account_keys
from cloister.client import commits, keys, logbook, people, timeline
from cloister.client.context import Context
from cloister.client.profile import Profile
from cloister.client.records import Message, PublicInfo
from cloister.client.relay import PAGE, Relay
from cloister.client.replica import Replica, new_note
from cloister.client.store import Store
from cloister.client.transports.base import Transport
from cloister.client.transports.http import HttpTransport
from cloister.errors import CheckFailed, Forbidden, UsageError
from cloister.protocol import api
from cloister.protocol.encoding import b64e
from cloister.sphere import invitation
from cloister.sphere.invitation import Link

_KEY: Final = 32


class PublicRelay(Relay):
    """The relay as nobody in particular sees it: log, attachments and items of public spheres."""

    async def log(self, sph: str, start: int, limit: int = PAGE) -> api.Log:
        return await self.public_log(sph, start, limit)

    async def attachment(self, sph: str, digest: bytes) -> str:
        return (await self.call(api.Attachment, "GET", f"/public/{sph}/attach/{b64e(digest)}")).jws

    async def items(self, sph: str, after: int, limit: int = PAGE) -> api.Items:
        return await self.call(api.Items, "GET", f"/public/{sph}/items?after={after}&limit={limit}")


def parse(text: str) -> Link:
    """A link for reading. Raises UsageError for anything else; its words hold no part of the link."""
    try:
        link = invitation.parse(text.strip())
    except CheckFailed:
        raise UsageError("this is not a link for reading a public sphere") from None
    if link.kind != "public":
        raise UsageError("this link is for joining, not for reading")
    return link


class PublicReader:
    """One public sphere, read by its link. Use ``async with``; ``fetch`` first.

    ``transport`` replaces the network; ``ca_file``: PEM of a local authority. Raises UsageError for another link.
    """

    def __init__(
        self,
        link: str,
        *,
        transport: Transport | None = None,
        ca_file: str | None = None,
        clock: Callable[[], float] = time.time,
        rng: Callable[[int], bytes] = crypto.random_bytes,
    ) -> None:
        self.link = parse(link)
        self._relay = PublicRelay(transport or HttpTransport(self.link.origin, ca_file=ca_file))
        self._clock, self._rng = clock, rng

    async def __aenter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="cloister-")
        folder = Path(self._folder.name)
        nobody = account_keys.new_device(self._rng, "p384")
        self._store = Store(folder / "read.db", self._rng(_KEY))
        self._ctx = Context(
            Profile(folder / "nobody"), self._store, self._relay, self._clock, self._rng, "", "", nobody, b"", 0
        )
        rep = Replica(self.link.sph, new_note("asked"))
        with self._store.step():
            rep.save_note(self._store)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store.close()
        self._folder.cleanup()
        await self._relay.close()

    @property
    def _rep(self) -> Replica:
        return self._ctx.replica(self.link.sph)

    async def fetch(self) -> PublicInfo:
        """Log and messages up to the relay's end. Raises Forbidden when the sphere is not public (any more), LogFork
        when the log is not the one of the link, LogInvalid, Unreachable."""
        await logbook.pull(self._ctx, self._rep)
        state, history = self._rep.known
        invitation.check_pin(self.link, history)
        if state.mode != "public":
            raise Forbidden("the signed log does not say that this sphere is public")
        keys.read_meta(self._ctx, self._rep)
        await commits.fetch_items(self._ctx, self._rep)
        state, note = self._rep.known[0], self._rep.note
        title, topic = note.get("title", ""), note.get("topic", "")
        return PublicInfo(self.link.sph, title, topic, state.member_count, state.seq)

    def messages(self, *, limit: int | None = None, since: int | None = None) -> list[Message]:
        """What was said since it is public, oldest first."""
        rep, store = self._rep, self._store
        found = timeline.read(
            store, rep.sph, "", lambda i: people.name_of(store, rep.state, i), limit=limit, since=since
        )
        return [one for one in found if one.state == "sent"]
