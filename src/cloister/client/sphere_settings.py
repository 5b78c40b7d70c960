"""Acts on what a sphere's log says of the sphere itself: title, mode, rules, custody, checkpoints.

Spec: CLT-035, CLT-037, CLT-042.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from cloister.client import (
    announce,
    inbox,
    keys,
    memory,
    organisation,
    outbox,
)
from cloister.client.replica import Replica
from cloister.client.sphere_base import SphereBase
from cloister.errors import Conflict, MasterKeyDue, UsageError
from cloister.protocol.encoding import b64d
from cloister.protocol.state import Policy
from cloister.sphere import compose, invitation, meta

Mode = Literal["e2ee", "open", "public"]


def _staying(rep: Replica) -> meta.Text:
    """Title, topic and icon as they stand, for the parts that a new text leaves out: never a sealed part in clear."""
    state, note = rep.known[0], rep.note
    if state.mode != "e2ee" and (state.meta is None or "ct" in state.meta.body):
        return meta.Text("")
    return meta.Text(note.get("title", ""), note.get("topic", ""), note.get("icon", ""))


class SettingActs(SphereBase):
    """The part of ``Sphere`` that is about its signed settings."""

    async def set_meta(self, *, title: str | None = None, topic: str | None = None, icon: str | None = None) -> None:
        """Change title, topic or icon; what is None stays, of what is sealed nothing where this one is in clear.

        Raises Conflict when the sphere became weaker than this person has seen: nothing is published then (CLT-042).
        """
        seen = announce.seen(self._rep)

        def make(rep: Replica) -> Sequence[compose.Intent]:
            if announce.MODES[rep.known[0].mode] < announce.MODES[seen]:
                raise Conflict("encryption was turned off meanwhile")
            stays = _staying(rep)
            text = meta.Text(
                stays.title if title is None else title,
                stays.topic if topic is None else topic,
                stays.icon if icon is None else icon,
            )
            late = rep.known[0].mode == "e2ee" and organisation.behind(self._ctx, rep)
            return [compose.SetMeta(text), *([compose.Rotate()] if late else [])]

        async with self._ctx.profile.writer(self.sph):
            await outbox.organisation_first(self._ctx, self._rep)
        if self._state.org and organisation.key(self._ctx, self._rep) is None:
            await inbox.pull(self._ctx)  # its new key lies there
        await self._commit(make)

    async def set_mode(self, mode: Mode, *, title: str | None = None, seen: Mode | None = None) -> None:
        """Owner only: turn encryption on or off (CLT-042).

        What was sealed stays sealed, the title too: ``title`` is one for everybody to read, the server as well.
        ``seen``: the mode this person was shown, without it the one this device shows now. Raises Conflict when the
        sphere has a stronger one meanwhile, which this would weaken.
        """
        shown: str = seen or announce.seen(self._rep)

        def make(rep: Replica) -> Sequence[compose.Intent]:
            now = announce.MODES[rep.known[0].mode]
            if rep.known[0].mode == mode:
                return []
            if announce.MODES[mode] < now and announce.MODES[shown] < now:
                raise Conflict("encryption was turned on meanwhile")
            clear = [] if title is None or mode == "e2ee" else [compose.SetMeta(meta.Text(title, ""))]
            return [compose.SetMode(mode), *clear]

        await self._commit(make)
        await self.accept_mode(mode)  # whoever switches knows

    async def accept_mode(self, mode: str) -> None:
        """The person has seen that the sphere is in ``mode``: new texts go unasked, unless it is in a weaker one by
        now. Texts that wait from before keep their question (CLT-016)."""
        async with self._ctx.profile.writer(self.sph):
            with self._ctx.store.step():
                if announce.accept(self._rep, mode):
                    self._rep.save_note(self._ctx.store)

    @property
    def policy(self) -> Policy:
        """The signed policy in force."""
        return self._state.policy

    def public_link(self) -> str:
        """The link by which anybody reads a public sphere (INV-004), pinned to the entry that made it public. No
        secret. Raises UsageError for a sphere that is not public."""
        state, history = self._rep.known
        if state.mode != "public":
            raise UsageError("only public spheres are read by a link")
        pin = history.digest(state.mode_at)[: invitation.PIN_LENGTH]
        return invitation.emit(invitation.Link("public", self._ctx.relay.origin, self.sph, seq=state.mode_at, pin=pin))

    async def set_policy(self, **changes: Any) -> None:
        """Change policy members: join, history, retention, plaintext, guests, T, kem_min."""

        def make(rep: Replica) -> Sequence[compose.Intent]:
            old = rep.known[0].policy
            new = Policy.from_body({**old.as_body(), **changes})
            return [] if new == old else [compose.SetPolicy(new)]

        await self._commit(make)

    async def set_custody(self, custody: Literal["synced", "device"]) -> None:
        """Owner only: whether members may keep keys in their accounts' slots (synced) or on devices only.

        With device a new key is made in the same commit, since those of before may lie in slots (CLT-035). Raises
        UsageError without a second device or a saved copy.
        """
        if custody == "device":
            memory.require_second_copy(self._ctx, self._rep)

        def make(rep: Replica) -> Sequence[compose.Intent]:
            state = rep.known[0]
            if state.custody == custody:
                return []
            fresh = custody == "device" and state.mode == "e2ee"
            return [compose.SetCustody(custody), *([compose.Rotate()] if fresh else [])]

        await self._commit(make)

    async def keep_only_here(self, only: bool = True) -> None:
        """Keep this sphere's keys on this account's devices only, never in slots at the relay (own choice).

        A new key is made where this person may, since those of before may lie in slots, and not before the other
        devices can read the choice (CLT-035). Raises UsageError without a second device or a saved copy; MasterKeyDue
        while nothing can be told to the other devices: the choice holds here then, and the key is made by saying it
        again.
        """
        ctx = self._ctx
        stored = only and keys.in_slots(ctx, self._rep)
        if only == memory.only_here(ctx, self._rep) and not stored:
            return
        if only:
            memory.require_second_copy(ctx, self._rep)
        memory.set_setting(ctx, f"only.{self.sph}", only)
        if not stored or self._state.members[ctx.id].role == "guest":
            return
        async with ctx.profile.writer("account"):
            await memory.exchange(ctx, await memory.refresh_klog(ctx))
        if ctx.store.get("state_dirty"):
            raise MasterKeyDue("the other devices cannot be told yet")
        await self._new_key()

    async def checkpoint(self) -> int:
        """Sign a checkpoint of the current state; returns its seq."""
        ctx = self._ctx
        heads = tuple(
            (tail.dv, tail.seq, b64d(tail.h)) for tail in await ctx.relay.heads(self.sph)
        )  # of all devices, so that a dropped end shows at the next reader
        await self._commit(lambda _: [compose.Checkpoint(heads[:256])])
        return self._state.seq
