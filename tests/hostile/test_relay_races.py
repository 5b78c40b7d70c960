"""What a caller of the relay could win by timing or by numbers: old passwords, links, queues, endless commits."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloister import crypto
from cloister.account import credentials, keys, signup, srp
from cloister.account.password import Stretched
from cloister.account.signup import First, NewKeys
from cloister.client import joining
from cloister.client.relay import Relay
from cloister.client.transports.memory import MemoryRelay, MemoryTransport
from cloister.errors import AuthFailed, BadFormat, Busy, Conflict, Forbidden, LogInvalid, StaleHead
from cloister.protocol import api, certificate, join
from cloister.protocol.chain import ChainHead
from cloister.protocol.encoding import b64d, json_emit
from cloister.protocol.ids import jwk_public
from cloister.server import commits, join_requests
from cloister.server.app import create_app
from cloister.server.settings import Settings
from cloister.sphere import compose
from cloister.sphere.invitation import key_pair
from cloister.sphere.payload import Payload
from tests.crowd import Bot, Room, body_of, enlist, gather


class Clock:
    """Seconds that only a test moves, beginning now: certificates are made at the present time."""

    def __init__(self) -> None:
        self.at = time.time()

    def __call__(self) -> float:
        return self.at


@asynccontextmanager
async def relay_of(folder: Path, **over: Any) -> AsyncIterator[tuple[Relay, Any, Clock]]:
    clock = Clock()
    settings = Settings(data=folder, rate_address=0, rate_account=0, **over)
    app = create_app(settings, clock=clock)
    async with MemoryRelay(app) as served:
        yield Relay(MemoryTransport(served, "127.0.0.1")), app.relay, clock


async def _prove(relay: Relay, stretched: Stretched) -> tuple[str, bytes, bytes]:
    info, mine = await relay.server(), srp.start(os.urandom)
    told = srp.read_challenge(await relay.auth_start("ada", mine.public))
    proof = srp.prove(mine, told, stretched, login="ada", realm=b64d(info.realm), origin=relay.origin)
    return told.sid, proof.m1, told.salt16


async def test_a_sign_in_begun_before_a_password_change_ends_with_it(tmp_path: Path) -> None:
    """SRP-011: whoever knows the old password and has begun to sign in gets no session after the change."""
    async with relay_of(tmp_path, signup="open") as (relay, core, _):
        info = await relay.server()
        salt = srp.read_challenge(await relay.auth_start("ada", None)).salt16
        new = signup.new_keys(os.urandom)
        old = Stretched(os.urandom(32), os.urandom(32))
        made = signup.build(
            new,
            signup.first_device(new, int(time.time())),
            old,
            login="ada",
            origin=relay.origin,
            realm=b64d(info.realm),
            salt16=salt,
            content={"spheres": {}},
            rng=os.urandom,
            ticket=core.setup_code,
        )
        await relay.sign_up(json_emit(made.body))
        thief, control = await _prove(relay, old), await _prove(relay, old)
        sid, m1, _ = control
        token = (await relay.auth_finish(sid, m1)).token  # control: the same proof signs in while it is the password
        body = credentials.change_password(
            1,
            new.roots,
            Stretched(os.urandom(32), os.urandom(32)),
            account=new.account,
            login="ada",
            salt16=salt,
            rng=os.urandom,
        )
        await relay.put_roots(api.NewRoots(**body), token)
        with pytest.raises(AuthFailed):
            await relay.auth_finish(thief[0], thief[1])


def _by_link(login: str, sph: str, jti: bytes, seed: bytes, realm: bytes, origin: str) -> Bot:
    """An account that signs up by its join request."""
    now = int(time.time())
    new: NewKeys = signup.new_keys(os.urandom)
    first: First = signup.first_device(new, now)
    ivk, _ = key_pair(seed, sph, jti)
    bot = Bot(login, new, first, {})
    request = join.make(
        bot.author.signer,
        bot.dv,
        sph=sph,
        name=login,
        ik=jwk_public(new.ik),
        certs=[first.cert],
        nonce=os.urandom(16),
        iat=now,
        exp=now + 3600,
        jti=jti,
        link_signer=lambda message: crypto.ed25519_sign(ivk, message),
    )
    bot.body = signup.build(
        new,
        first,
        Stretched(os.urandom(32), os.urandom(32)),
        login=login,
        origin=origin,
        realm=realm,
        salt16=os.urandom(16),
        content={"spheres": {}},
        rng=os.urandom,
        join=request,
    ).body
    return bot


async def _invite(relay: Relay, room: Room, uses: int) -> tuple[bytes, bytes]:
    jti, seed = os.urandom(16), os.urandom(32)
    _, ipk = key_pair(seed, room.sph, jti)
    draft = room.draft(room.owner, compose.Invite(jti, ipk, int(time.time()) + 3600, uses=uses))
    relay.token = room.owner.token
    await relay.commit(room.sph, body_of(draft))
    room.take(draft)
    return jti, seed


async def test_a_link_makes_as_many_accounts_as_it_has_uses(tmp_path: Path) -> None:
    """JOIN-009: two uses, two accounts, also when the first was admitted before the second signs up; never three."""
    async with relay_of(tmp_path, signup="invite") as (relay, core, _):
        realm = b64d((await relay.server()).realm)
        room, _ = await gather(relay, 1, core.setup_code)
        jti, seed = await _invite(relay, room, 2)
        bots = [_by_link(f"bot{n}", room.sph, jti, seed, realm, relay.origin) for n in range(3)]
        await relay.sign_up(json_emit(bots[0].body))
        draft = room.draft(room.owner, compose.Add(bots[0].id, bots[0].body["join"], jti=jti))
        relay.token = room.owner.token
        await relay.commit(room.sph, body_of(draft))
        room.take(draft)
        await relay.sign_up(json_emit(bots[1].body))
        with pytest.raises(AuthFailed):
            await relay.sign_up(json_emit(bots[2].body))


async def test_strangers_cannot_crowd_out_whoever_has_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JOIN-009: the queue of a sphere is full of requests without a link; one by link still arrives."""
    monkeypatch.setattr(join_requests, "MAX_PER_SPHERE", 2)
    async with relay_of(tmp_path, signup="open") as (relay, core, _):
        realm = b64d((await relay.server()).realm)
        room, _ = await gather(relay, 1, core.setup_code)
        jti, seed = await _invite(relay, room, 1)
        for n in range(4):
            stranger = await enlist(relay, f"stranger{n}", realm)
            relay.token = stranger.token
            await relay.ask_to_join(stranger.wants_in(room.sph, int(time.time())))
        friend = _by_link("friend", room.sph, jti, seed, realm, relay.origin)
        asked = friend.body.pop("join")
        relay.token = (await relay.sign_up(json_emit(friend.body))).token
        await relay.ask_to_join(asked)
        relay.token = room.owner.token
        waiting = [row.jws for row in await relay.joins(room.sph)]
        assert len(waiting) == 3  # control: the queue was full
        assert asked in waiting


async def _race(relay: Relay, room: Room, restless: Bot) -> tuple[Any, bytes]:
    """The owner's removal is late by one commit of the member it removes; returns both next attempts."""
    removal = room.draft(room.owner, compose.Remove(restless.id))
    renewed = keys.new_device(os.urandom)
    draft = room.draft(restless, compose.DeviceRenew("xwing", renewed.de))
    relay.token = restless.token
    await relay.commit(room.sph, body_of(draft))
    room.take(draft)
    relay.token = room.owner.token
    with pytest.raises(StaleHead):
        await relay.commit(room.sph, body_of(removal))
    again = room.draft(restless, compose.DeviceRenew("xwing", keys.new_device(os.urandom).de))
    return room.draft(room.owner, compose.Remove(restless.id)), body_of(again)


async def test_a_member_who_never_stops_committing_can_be_removed(tmp_path: Path) -> None:
    """COM-013: after the owner lost a race, the member's next commit waits and the removal stands."""
    async with relay_of(tmp_path, signup="open") as (relay, core, clock):
        room, bots = await gather(relay, 2, core.setup_code)
        removal, again = await _race(relay, room, bots[1])
        relay.token = bots[1].token
        with pytest.raises(Busy):
            await relay.commit(room.sph, again)
        relay.token = room.owner.token
        await relay.commit(room.sph, body_of(removal))
        clock.at += commits.HOLD
        relay.token = bots[1].token
        with pytest.raises(Forbidden):
            await relay.commit(room.sph, again)


async def test_without_that_turn_the_member_wins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """COM-013, control: with the turn taken away the second removal is late as well."""
    monkeypatch.setattr(commits, "HOLD", 0.0)
    async with relay_of(tmp_path, signup="open") as (relay, core, _):
        room, bots = await gather(relay, 2, core.setup_code)
        removal, again = await _race(relay, room, bots[1])
        relay.token = bots[1].token
        await relay.commit(room.sph, again)
        relay.token = room.owner.token
        with pytest.raises(StaleHead):
            await relay.commit(room.sph, body_of(removal))


@pytest.mark.parametrize("guarded", [True, False])
async def test_nobody_takes_another_persons_device_for_his_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """JOIN-009: a request that names somebody else's device is not admitted, so its owner still can be. Control: with
    the check taken away the owner of the device is locked out."""
    if not guarded:
        monkeypatch.setattr(commits, "_enrolled", lambda batch, states: None)
    async with relay_of(tmp_path, signup="open") as (relay, core, _):
        realm = b64d((await relay.server()).realm)
        room, _ = await gather(relay, 1, core.setup_code)
        mallory, victim = await enlist(relay, "mallory", realm), await enlist(relay, "victim", realm)
        now, device = int(time.time()), victim.new.device
        signer = victim.author.signer  # a device that lends its name: CERT-010 alone does not stop it
        taken = certificate.issue(
            mallory.new.ik, mallory.id, signer, device.dk, "xwing", mallory.new.device.de, now, now + 3600
        )
        request = join.make(
            mallory.author.signer,
            mallory.dv,
            sph=room.sph,
            name="mallory",
            ik=jwk_public(mallory.new.ik),
            certs=[mallory.first.cert, taken],
            nonce=os.urandom(16),
            iat=now,
            exp=now + 3600,
        )
        draft = room.draft(room.owner, compose.Add(mallory.id, request))
        relay.token = room.owner.token
        if guarded:
            with pytest.raises(BadFormat):
                await relay.commit(room.sph, body_of(draft))
            await relay.commit(room.sph, body_of(room.add(victim)))
        else:
            await relay.commit(room.sph, body_of(draft))
            room.take(draft)
            with pytest.raises(LogInvalid):
                room.add(victim)


async def test_a_new_sphere_begins_its_chains_at_one(tmp_path: Path) -> None:
    """COM-011, CHN-007: the commit that makes a sphere carries no message from the middle of a chain."""
    async with relay_of(tmp_path, signup="open") as (relay, core, _):
        owner = await enlist(relay, "m0", b64d((await relay.server()).realm), core.setup_code)
        relay.token = owner.token
        first = compose.Create(owner.login, jwk_public(owner.new.ik), owner.first.cert)
        words = Payload("msg", os.urandom(16), "First")
        for chain in (ChainHead(5, os.urandom(32)), None):
            draft = Room(owner).draft(owner, first, words=compose.Words(words, chain))
            if chain is not None:
                with pytest.raises(Conflict):
                    await relay.commit(None, body_of(draft))
            else:
                await relay.commit(None, body_of(draft))  # control: the same from the beginning


async def test_a_promise_to_admit_ends_with_the_right_to(tmp_path: Path) -> None:
    """CLT-018: a member's link that admits by itself does so no longer once only owners and admins may admit."""
    async with relay_of(tmp_path, signup="open") as (relay, core, _):
        room, bots = await gather(relay, 2, core.setup_code)
        assert room.state is not None
        jti, (_, ipk) = os.urandom(16), key_pair(os.urandom(32), room.sph, bytes(16))
        for policy, promised in ((replace(room.state.policy, join="any"), True), (room.state.policy, False)):
            room.take(room.draft(room.owner, compose.SetPolicy(policy)))
            if promised:
                link = compose.Invite(jti, ipk, int(time.time()) + 3600, admit="auto")
                room.take(room.draft(bots[1], link))
            assert room.state.invites[jti].left == 1
            assert joining._may_promise(room.state, room.state.invites[jti]) is promised
