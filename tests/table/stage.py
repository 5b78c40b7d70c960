"""One sphere with everybody in it, and commits made by people who may not make them.

The commits are made by a build in which every role may do everything, so that nothing but the right itself is wrong
with them; they are then shown to the true relay and to a true client.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cloister import crypto
from cloister.client import Client, keys, logbook
from cloister.errors import CheckFailed, CloisterError, RelayError, VersionTooOld
from cloister.protocol import entry as entries
from cloister.protocol import machine
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.entry import Entry
from cloister.protocol.state import SphereState
from cloister.sphere import compose
from cloister.sphere.compose import Author
from tests.hostile.world import ADDRESSES, HostileWorld
from tests.scenarios.world import harbour

# name -> role. ``none``, ``banned`` were members once, ``stranger`` never.
CAST = {
    "ada": "owner",
    "jo": "owner",
    "bo": "admin",
    "kim": "admin",
    "cy": "member",
    "hal": "member",
    "di": "guest",
    "lee": "guest",
    "ed": "none",
    "fay": "banned",
    "gus": "stranger",
}
AUTHORS = ("ada", "bo", "cy", "di", "ed", "fay", "gus")
READER = "hal"


class _Yes(dict[str, Callable[[Any], bool]]):
    """Permission words of a build that forbids nothing."""

    def __missing__(self, word: str) -> Callable[[Any], bool]:
        return lambda step: True


@dataclass
class Stage:
    """The world, its people, and the relay's database as it stands between two tries."""

    hw: HostileWorld
    people: dict[str, Client]
    invites: dict[str, bytes] = field(default_factory=dict)
    asked: str = ""

    @property
    def sph(self) -> str:
        return harbour(self.people["ada"]).sph

    def id(self, name: str) -> str:
        return self.people[name].account.id

    def dv(self, name: str) -> str:
        return self.people[name].account.dv

    def author(self, name: str) -> Author:
        ctx = self.people[name].context
        return Author(ctx.id, ctx.dv, ctx.sign)

    @property
    def state(self) -> SphereState:
        return self.people["ada"].context.replica(self.sph).known[0]

    # commits nobody may make -------------------------------------------------------------------------------------
    def commit(self, name: str, *intents: Any) -> dict[str, Any]:
        """The body of a commit in which everything but the author's right is as it should be."""
        ctx = self.people["ada"].context
        rep = ctx.replica(self.sph)
        state, history = rep.known
        inside = name in state_names(state)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(machine, "WORDS", _Yes())
            made = compose.compose(
                state, history, self.author(name if inside else "ada"), list(intents), now=ctx.now(), rng=ctx.rng,
                keys=rep.keys, meta_text=keys.read_meta(ctx, rep),
            )  # fmt: skip
        body: dict[str, Any] = made.commit.as_json()
        return body if inside else self.signed_by(name, body)

    def raw(self, name: str, op: str, content: dict[str, Any]) -> dict[str, Any]:
        """A commit of one entry, of any content."""
        state, ctx = self.state, self.people[name].context
        one = entries.make(
            ctx.sign, ctx.dv, op, content, max(ctx.now(), state.iat), sph=state.sph, seq=state.seq + 1,
            prev=state.digest, ep=state.ep,
        )  # fmt: skip
        base = {"seq": state.seq, "h": b64e(state.digest)}
        return {"idem": b64e(crypto.random_bytes(16)), "sph": state.sph, "base": base, "entries": [one], "wraps": []}

    def signed_by(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """The same entries under another device's name and signature."""
        ctx, prev, made = self.people[name].context, self.state.digest, []
        for compact in body["entries"]:
            one = entries.decode(compact)
            again = entries.make(
                ctx.sign, ctx.dv, one.op, dict(one.body), one.iat, sph=self.sph, seq=one.seq, prev=prev, ep=one.ep
            )
            made.append(again)
            prev = entries.decode(again).digest
        return {**body, "entries": made, "idem": b64e(crypto.random_bytes(16))}

    # what they answer --------------------------------------------------------------------------------------------
    async def relay_says(self, name: str, body: dict[str, Any]) -> str:
        """ "" when the relay takes the commit, else its code."""
        try:
            await self.people[name].context.relay.commit(self.sph, json.dumps(body).encode())
        except RelayError as refusal:
            return refusal.code
        return ""

    async def reader_says(self, body: dict[str, Any]) -> str:
        """What a true client answers to a relay that shows these entries as if it had taken them: "" or a code."""
        fresh = [entries.decode(one) for one in body["entries"]]
        attached: dict[str, str] = body.get("attach", {})
        liar, who = self.hw.liar, ADDRESSES[READER]
        liar.lie(rf"GET /v1/spheres/{self.sph}/log", lambda page: _longer(page, fresh), address=who)
        for h, one in attached.items():
            liar.forge(rf"GET /v1/spheres/{self.sph}/attach/{h}", lambda _, one=one: {"jws": one}, address=who)
        ctx = self.people[READER].context
        held = ctx.store.all("SELECT seq, h FROM entry WHERE sph = ?", self.sph)
        try:
            async with ctx.profile.writer(self.sph):
                await logbook.pull(ctx, ctx.replica(self.sph))
            return ""
        except CloisterError as refusal:
            code = refusal.code
        finally:
            liar.honest()
        stop = ctx.replica(self.sph).note.pop("stop", None)
        ctx.replica(self.sph).save_note(ctx.store)
        assert stop is not None
        assert stop["code"] == code
        assert ctx.store.all("SELECT seq, h FROM entry WHERE sph = ?", self.sph) == held
        return code

    def judged(self, body: dict[str, Any]) -> str:
        """What the rules alone say, for entries that may stand: nothing is stored anywhere."""
        state = self.people[READER].context.replica(self.sph).known[0]
        attached = {b64d(h): one for h, one in body.get("attach", {}).items()}
        try:
            for compact in body["entries"]:
                state = machine.apply(state, entries.decode(compact), attached)
        except (CheckFailed, VersionTooOld) as refusal:
            return refusal.code
        return ""

    # the relay's database ----------------------------------------------------------------------------------------
    @property
    def _database(self) -> Path:
        return self.hw.folder / "relay" / "relay.db"

    def keep(self) -> None:
        """Remember the relay's database."""
        with sqlite3.connect(self._database) as live, sqlite3.connect(self.hw.folder / "kept.db") as kept:
            live.backup(kept)

    def restore(self) -> None:
        """Put it back: what was taken in between has never been."""
        with sqlite3.connect(self.hw.folder / "kept.db") as kept, sqlite3.connect(self._database) as live:
            kept.backup(live)
        relay = self.hw.app.relay
        relay.views.clear()
        relay._spheres_of.clear()
        relay.spheres.drop_all()


def state_names(state: SphereState) -> set[str]:
    """Logins of the active members."""
    return {member.name for member in state.active_members()}


def _longer(page: Any, fresh: Sequence[Entry]) -> Any:
    last = fresh[-1]
    head = {"seq": last.seq, "h": b64e(last.digest)}
    return {**page, "entries": [*page["entries"], *(one.compact for one in fresh)], "head": head}


async def stage(hw: HostileWorld) -> Stage:
    """Everybody in the part CAST gives them, a request waiting, an invitation by each who may make one."""
    people = await hw.sphere_of(*[name for name in CAST if name != "gus"])
    sphere = harbour(people["ada"])
    people["gus"] = await hw.join("gus", await sphere.invite())
    (request,) = await sphere.requests()
    await sphere.set_policy(join="any")
    made = Stage(hw, people, asked=people["ada"].context.store.row("request", request.hash)["jws"])  # type: ignore[index]
    for name in ("kim", "hal"):
        await people[name].sync()
    await sphere.set_role("kim", "admin")
    await people["kim"].sync()
    for name, maker in (("ada", "ada"), ("kim", "kim"), ("cy", "cy")):
        await people[maker].sync()
        made.invites[name] = b64d((await harbour(people[maker]).invite()).jti)
    await people["ada"].sync()
    for name, role in CAST.items():
        if role in ("owner", "admin", "guest") and name not in ("ada", "kim"):
            await sphere.set_role(name, role)
    await sphere.remove("ed")
    await sphere.remove("fay", ban=True)
    for name in CAST:
        await people[name].sync()
    return made
