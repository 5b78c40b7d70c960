"""Asking to join, being shown to those who may admit, and invitations as tickets (API-016, API-021 to API-023)."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cloister.account import signup
from cloister.account.password import V1, Stretched
from cloister.client.transports.base import Answer
from cloister.protocol import join, jws
from cloister.protocol.encoding import b64e, json_emit
from cloister.protocol.ids import jwk_public
from cloister.sphere import compose, invitation
from tests.crowd import Bot
from tests.server.kit import Kit, running
from tests.server.test_accounts import ORIGIN, salt
from tests.server.test_spheres import FORBIDDEN


@pytest.fixture
async def invite(tmp_path: Path) -> AsyncIterator[Kit]:
    async with running(tmp_path, signup="open") as kit:
        await kit.populate(2)
        yield kit


async def open_link(kit: Kit, uses: int = 1, life: int = 3600) -> tuple[bytes, bytes]:
    """(jti, ivk) of a fresh invitation."""
    room = kit.room
    assert room is not None
    jti = os.urandom(16)
    ivk, ipk = invitation.key_pair(os.urandom(32), room.sph, jti)
    made = compose.Invite(jti, ipk, kit.relay.now + life, uses=uses)
    assert (await kit.commit(room.owner, room.draft(room.owner, made))).status == 200
    return jti, ivk


def request(kit: Kit, sph: str, new: Any, first: Any, name: str, link: tuple[bytes, bytes] | None) -> str:
    device, now = new.device, kit.relay.now
    return join.make(
        jws.device_signer(device.dk_seed),
        device.dv,
        sph=sph,
        name=name,
        ik=jwk_public(new.ik),
        certs=[first.cert],
        nonce=os.urandom(16),
        iat=now,
        exp=now + 86400,
        jti=link[0] if link else None,
        link_signer=jws.device_signer(link[1]) if link else None,
    )


async def arrive(kit: Kit, name: str, link: tuple[bytes, bytes] | None, sph: str = "") -> tuple[Answer, Bot, str]:
    """Sign up with a link and nothing else."""
    assert kit.room is not None
    new = signup.new_keys(os.urandom)
    first = signup.first_device(new, kit.relay.now)
    asked = request(kit, sph or kit.room.sph, new, first, name, link)
    made = signup.build(
        new,
        first,
        Stretched(os.urandom(32), os.urandom(32), V1),
        login=name,
        origin=ORIGIN,
        realm=kit.relay.realm,
        salt16=await salt(kit, name),
        content={"spheres": {}},
        rng=os.urandom,
        join=asked,
    )
    answer = await kit.ask("POST", "/v1/accounts", json_emit(made.body))
    bot = Bot(name, new, first, made.body)
    if answer.status == 201:
        bot.token = json.loads(answer.body)["token"]
    return answer, bot, asked


async def close_the_door(kit: Kit, **over: Any) -> None:
    body = {"signup": "invite", "by_sphere": True, **over}
    assert (await kit.ask("PUT", "/v1/admin/signup", body, as_=kit.bots[0])).status == 200


async def waiting(kit: Kit) -> list[str]:
    assert kit.room is not None
    rows = await kit.ask("GET", f"/v1/spheres/{kit.room.sph}/joins", as_=kit.room.owner)
    return [row["jws"] for row in json.loads(rows.body)["joins"]]


async def test_an_invitation_admits_to_as_many_accounts_as_it_has_uses(invite: Kit) -> None:
    await close_the_door(invite)
    link = await open_link(invite, uses=2)
    first, _, asked = await arrive(invite, "one", link)
    assert first.status == 201
    assert await waiting(invite) == [asked]  # stored in the same transaction
    assert (await arrive(invite, "two", link))[0].status == 201
    third = (await arrive(invite, "three", link))[0]
    assert (third.status, third.body) == (401, b'{"code":"E_AUTH"}')  # API-016


async def test_what_is_no_ticket(invite: Kit) -> None:
    await close_the_door(invite)
    jti, ivk = await open_link(invite)
    refused = [
        (await arrive(invite, "a", None))[0],
        (await arrive(invite, "b", (jti, os.urandom(32))))[0],  # not the link's key
        (await arrive(invite, "c", (os.urandom(16), ivk)))[0],
        (await arrive(invite, "d", (jti, ivk), sph="sp-" + b64e(bytes(32))))[0],
    ]
    assert {(one.status, one.body) for one in refused} == {(401, b'{"code":"E_AUTH"}')}
    again = await open_link(invite)
    await close_the_door(invite, by_sphere=False)
    assert (await arrive(invite, "off", again))[0].status == 401
    await close_the_door(invite)
    assert (await arrive(invite, "on", again))[0].status == 201
    invite.clock.forward(3601)
    assert (await arrive(invite, "late", (jti, ivk)))[0].status == 401


async def test_asking_tells_nothing_about_the_sphere(invite: Kit) -> None:
    room, asker = invite.room, await invite.enlist("asker")
    assert room is not None
    absent = "sp-" + b64e(os.urandom(32))
    states = []
    for sph in (room.sph, absent):
        asked = request(invite, sph, asker.new, asker.first, "asker", None)
        taken = await invite.ask("POST", "/v1/joins", {"jws": asked}, as_=asker)
        assert taken.status == 202  # API-021
        state = await invite.ask("GET", f"/v1/joins/{json.loads(taken.body)['h']}", as_=asker)
        states.append((state.status, state.body, sorted(state.headers.items())))
    assert states[0] == states[1]
    other = await invite.enlist("other")
    h = json.loads(taken.body)["h"]
    assert (await invite.ask("GET", f"/v1/joins/{h}", as_=other)).body == FORBIDDEN


async def test_only_sound_requests_are_shown(invite: Kit) -> None:
    room, asker = invite.room, await invite.enlist("asker")
    assert room is not None
    jti, ivk = await open_link(invite)
    good = request(invite, room.sph, asker.new, asker.first, "asker", (jti, ivk))
    forged = request(invite, room.sph, asker.new, asker.first, "asker", (jti, os.urandom(32)))
    thief = await invite.enlist("thief")
    for who, asked in ((asker, forged), (thief, good), (asker, good)):
        assert (await invite.ask("POST", "/v1/joins", {"jws": asked}, as_=who)).status == 202
        if who is thief:
            assert await waiting(invite) == []  # another's request is nobody's
    assert await waiting(invite) == [good]


async def test_the_way_of_a_request(invite: Kit) -> None:
    room, asker = invite.room, await invite.enlist("asker")
    assert room is not None
    asked = request(invite, room.sph, asker.new, asker.first, "asker", None)
    h = json.loads((await invite.ask("POST", "/v1/joins", {"jws": asked}, as_=asker)).body)["h"]
    path = f"/v1/spheres/{room.sph}/joins/{h}"
    owner = room.owner
    card = {"ik": jwk_public(owner.new.ik), "cert": owner.first.cert}
    assert (await invite.ask("POST", path + "/card", card, as_=invite.bots[1])).body == FORBIDDEN  # API-022
    assert (await invite.ask("POST", path + "/card", card, as_=owner)).status == 200
    state = json.loads((await invite.ask("GET", f"/v1/joins/{h}", as_=asker)).body)
    assert state == {"state": "waiting", "card": card}
    assert (await invite.ask("DELETE", path, as_=owner)).status == 200
    assert json.loads((await invite.ask("GET", f"/v1/joins/{h}", as_=asker)).body)["state"] == "refused"
    again = request(invite, room.sph, asker.new, asker.first, "asker", None)
    h = json.loads((await invite.ask("POST", "/v1/joins", {"jws": again}, as_=asker)).body)["h"]
    await invite.commit(owner, room.draft(owner, compose.Add(asker.id, again)))
    assert json.loads((await invite.ask("GET", f"/v1/joins/{h}", as_=asker)).body)["state"] == "admitted"


async def test_an_account_may_have_few_requests_waiting(invite: Kit) -> None:
    asker = await invite.enlist("asker")
    codes = []
    for _ in range(33):
        asked = request(invite, "sp-" + b64e(os.urandom(32)), asker.new, asker.first, "asker", None)
        codes.append((await invite.ask("POST", "/v1/joins", {"jws": asked}, as_=asker)).status)
    assert codes == [202] * 32 + [429]


async def test_an_invitation_is_open_or_nothing(invite: Kit) -> None:
    room = invite.room
    assert room is not None
    jti, _ = await open_link(invite, life=60)
    path = f"/v1/invites/{room.sph}/{b64e(jti)}"
    assert json.loads((await invite.ask("GET", path)).body) == {"open": True}  # API-023
    invite.clock.forward(61)
    gone = [
        await invite.ask("GET", path),
        await invite.ask("GET", f"/v1/invites/{room.sph}/{b64e(os.urandom(16))}"),
        await invite.ask("GET", f"/v1/invites/sp-{b64e(os.urandom(32))}/{b64e(jti)}"),
        await invite.ask("GET", f"/v1/invites/{room.sph}/!!"),
    ]
    assert {(one.status, one.body) for one in gone} == {(403, FORBIDDEN)}
