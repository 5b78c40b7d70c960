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
from cloister.account import devices
from cloister.account import keys as account_keys
from cloister.account.keys import DeviceKeys
from cloister.client import Client, keys, logbook, signing
from cloister.errors import CheckFailed, CloisterError, RelayError, VersionTooOld
from cloister.protocol import entry as entries
from cloister.protocol import jws, machine
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.entry import Entry
from cloister.protocol.roles import RANK
from cloister.protocol.state import SphereState
from cloister.sphere import compose
from cloister.sphere.compose import Author
from tests.hostile.world import ADDRESSES, HostileWorld
from tests.scenarios.world import PASSWORD, harbour

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
    "max": "member",
    "ed": "none",
    "fay": "banned",
    "gus": "stranger",
}
AUTHORS = ("ada", "bo", "cy", "di", "ed", "fay", "gus")
READER = "hal"
# Who goes when somebody has to: no operation of the table is about this one.
GOES = "max"


class _Yes(dict[str, Callable[[Any], bool]]):
    """Permission words of a build that forbids nothing."""

    def __missing__(self, word: str) -> Callable[[Any], bool]:
        return lambda step: True


@dataclass
class Stage:
    """The world, its people, and the relay's database as it stands between two tries."""

    hw: HostileWorld
    people: dict[str, Client]
    sph: str
    invites: dict[str, bytes] = field(default_factory=dict)
    asked: str = ""
    iks: dict[str, bytes] = field(default_factory=dict)
    second: dict[str, DeviceKeys] = field(default_factory=dict)  # active in the log, and used by nobody

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

    def new_device(self, name: str) -> tuple[DeviceKeys, str]:
        """A device nobody knows yet, certified by the person's own identity key."""
        device = account_keys.new_device(crypto.random_bytes)
        return device, devices.certify(self.iks[name], self.id(name), device, self.state.iat)

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

    def raw(self, name: str, op: str, content: dict[str, Any], device: DeviceKeys | None = None) -> dict[str, Any]:
        """A commit of one entry, of any content; signed by ``device`` or the person's own."""
        return self._body([self._entry(name, op, content, self.state.ep, self.state, device)])

    def signed_by(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """The same entries at the head, under another device's name and signature."""
        on: SphereState | Entry = self.state
        made = []
        for one in map(entries.decode, body["entries"]):
            made.append(self._entry(name, one.op, dict(one.body), one.ep, on))
            on = entries.decode(made[-1])
        return {**body, **self._body(made), "wraps": body["wraps"]}

    def behind(
        self, first: dict[str, Any], name: str, op: str, content: dict[str, Any], ep: int, device: DeviceKeys | None
    ) -> dict[str, Any]:
        """The first entry of a commit, and directly after it one by somebody."""
        before = entries.decode(first["entries"][0])
        return self._body([before.compact, self._entry(name, op, content, ep, before, device)])

    def _entry(
        self, name: str, op: str, content: dict[str, Any], ep: int, on: SphereState | Entry,
        device: DeviceKeys | None = None,
    ) -> str:  # fmt: skip
        ctx = self.people[name].context
        kid, sign = (device.dv, jws.device_signer(device.dk_seed)) if device else (ctx.dv, ctx.sign)
        now = max(ctx.now(), on.iat)
        return entries.make(sign, kid, op, content, now, sph=self.sph, seq=on.seq + 1, prev=on.digest, ep=ep)

    def _body(self, made: list[str]) -> dict[str, Any]:
        base = {"seq": self.state.seq, "h": b64e(self.state.digest)}
        return {"idem": b64e(crypto.random_bytes(16)), "sph": self.sph, "base": base, "entries": made, "wraps": []}

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
        state = self.state
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
    row = people["ada"].context.store.row("request", request.hash)
    assert row is not None
    made = Stage(hw, people, sphere.sph, asked=row["jws"])
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
    for name in AUTHORS:
        made.iks[name] = await _identity_key(people[name], PASSWORD.format(name))
        if CAST[name] in RANK:
            await people[name].sync()
            made.second[name], cert = made.new_device(name)
            body = made.raw(name, "device", {"act": "add", "cert": cert}, made.second[name])
            assert await made.relay_says(name, body) == ""
            await people["ada"].sync()
    for name in CAST:
        await people[name].sync()
    return made


async def _identity_key(client: Client, password: str) -> bytes:
    """The scalar that an account keeps under its password."""
    ctx = client.context
    realm = b64d((await ctx.relay.server()).realm)
    proven = await signing.prove(ctx.relay, ctx.rng, ctx.login, password, realm)
    return (await signing.open_roots(ctx.relay, proven)).ik
