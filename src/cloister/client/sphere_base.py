"""What every act on a sphere begins with: the open profile, the verified view, the people, and making a commit.

Spec: CLT-011 to CLT-013.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloister.client import (
    commits,
    export,
    memory,
    people,
    syncing,
    timeline,
)
from cloister.client.context import Context
from cloister.client.records import (
    Person,
    SphereInfo,
    Switch,
)
from cloister.client.replica import Replica
from cloister.errors import NotFound, NotMember
from cloister.protocol.state import SphereState
from cloister.sphere import compose

if TYPE_CHECKING:
    from cloister.client.client import Client


def sphere_info(ctx: Context, rep: Replica) -> SphereInfo:
    """The record of a sphere, from the local store."""
    state, note = rep.state, rep.note
    row = ctx.store.one("SELECT count(*) FROM outbox WHERE sph = ?", rep.sph)
    asks = ctx.store.one("SELECT count(*) FROM request WHERE sph = ? AND mine = 0", rep.sph)
    status = "asked" if note["status"] == "entering" else note["status"]
    me = state.members.get(ctx.id) if state is not None else None
    return SphereInfo(
        sph=rep.sph,
        title=note.get("title", "") or note.get("label", "") or rep.sph[:9],
        topic=note.get("topic", ""),
        icon=note.get("icon", ""),
        status=status,  # type: ignore[arg-type]
        mode=state.mode if state is not None else "e2ee",  # type: ignore[arg-type]
        delivery=state.delivery if state is not None else "pairwise",
        custody=state.custody if state is not None else "synced",
        epoch=state.ep if state is not None else 0,
        have_key=state is not None and (state.mode != "e2ee" or rep.sending_key is not None),
        members=state.member_count if state is not None else 0,
        role=me.role if me is not None else "none",
        unread=timeline.unread(ctx.store, rep.sph, ctx.id),
        waiting=int(row[0]) if row else 0,
        requests=int(asks[0]) if asks else 0,
        seq=state.seq if state is not None else 0,
        marked=state is not None and state.hard,
        confirmed_by_inviter=bool(note.get("confirmed", True)),
        stop=rep.stop,
        label=note.get("label", ""),
        provisional=bool(note.get("provisional")),
        switched=Switch(**note["switched"]) if "switched" in note else None,
        saved=export.saved(ctx, rep.sph),
        kem_min=state.policy.kem_min if state is not None else "xwing",
        kind=state.kind if state is not None else "sphere",
        org=state.org if state is not None else "",
        only_here=memory.only_here(ctx, rep),
        too_weak=status == "asked" and state is not None and syncing.too_weak(ctx, state),
    )


class SphereBase:
    """See the module; ``Sphere`` is what callers hold."""

    def __init__(self, client: Client, sph: str) -> None:
        self.client = client
        self.sph = sph

    @property
    def _ctx(self) -> Context:
        return self.client.context

    @property
    def _rep(self) -> Replica:
        return self._ctx.replica(self.sph)

    @property
    def _state(self) -> SphereState:
        state = self._rep.state
        if state is None:
            raise NotMember("you are not in this sphere yet")
        return state

    @property
    def info(self) -> SphereInfo:
        """Current record, from the local store."""
        return sphere_info(self._ctx, self._rep)

    async def _commit(self, make: commits.Make) -> bool:
        """Commit intents as the only writer, then store new keys in slots."""
        ctx = self._ctx
        async with ctx.profile.writer(self.sph):
            done = await commits.commit(ctx, ctx.replica(self.sph), make)
            await syncing.store_slots(ctx, self.sph)
        return done

    async def _new_key(self) -> int:
        """Make a new key now; returns its number."""
        await self._commit(lambda _: [compose.Rotate()])
        return self._state.ep

    def people(self, *, past: bool = False) -> list[Person]:
        """Members (with ``past`` also former ones), owners first, then by name."""
        return people.people(self._ctx.store, self._state, self._ctx.id, past=past)

    def person(self, name_or_prefix: str) -> Person:
        """Find one member by shown name, login, petname or unique id prefix. Raises NotFound, UsageError."""
        try:
            return people.find(self.people(), name_or_prefix)
        except NotFound:
            return people.find(self.people(past=True), name_or_prefix)

    def _handle(self, person: Person | str) -> str:
        return person.id if isinstance(person, Person) else self.person(person).id
