"""T-M7: people who are half in or half out, at every endpoint: invited, asking, asking by a withdrawn link, demoted
between composing and sending, removed with a session that still stands.

What each may do is what the table of whole states grants to whoever he is now, and nothing of what he was.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from inspect import isawaitable
from types import SimpleNamespace
from typing import Any

import pytest

from cloister.client import farewell
from cloister.errors import CloisterError, SignatureInvalid
from cloister.protocol import entry, join, jws, machine
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.ids import jwk_public
from cloister.server.core import Relay
from cloister.sphere import compose, invitation
from tests.crowd import Bot, body_of
from tests.hostile.world import HostileWorld
from tests.scenarios.world import harbour
from tests.server.test_matrix import TABLE, Stage, _request, stage
from tests.server.test_spheres import FORBIDDEN
from tests.table.stage import _Yes

# Half-state -> the whole state whose rights it has.
AS = {
    "invited": "stranger",
    "asking": "requested",
    "uninvited": "requested",
    "demoted": "member",
    "shut out": "removed",
}
OWN = {("get", "/v1/joins/{h}"), ("delete", "/v1/joins/{h}")}

__all__ = ["stage"]


def _by_link(at: Stage, bot: Bot, jti: bytes, seed: bytes) -> str:
    """A request that proves an invitation."""
    room = at.kit.room
    assert room is not None
    return join.make(
        bot.author.signer, bot.dv, sph=room.sph, name=bot.login, ik=jwk_public(bot.new.ik), certs=[bot.first.cert],
        nonce=os.urandom(16), iat=at.kit.relay.now, exp=at.kit.relay.now + 86400, jti=jti,
        link_signer=jws.device_signer(invitation.key_pair(seed, room.sph, jti)[0]),
    )  # fmt: skip


async def _invite(at: Stage) -> tuple[bytes, bytes]:
    room, jti, seed = at.kit.room, os.urandom(16), os.urandom(32)
    assert room is not None
    intent = compose.Invite(jti, invitation.key_pair(seed, room.sph, jti)[1], at.kit.relay.now + 3600)
    assert (await at.kit.commit(room.owner, room.draft(room.owner, intent))).status == 200
    return jti, seed


async def _ask(at: Stage, name: str, jti: bytes, seed: bytes) -> tuple[str, bytes]:
    """Post a request by link; the request and its hash."""
    compact = _by_link(at, at.bots[name], jti, seed)
    answer = await at.kit.ask("POST", "/v1/joins", {"jws": compact}, as_=at.bots[name])
    assert answer.status == 202
    return compact, b64d(json.loads(answer.body)["h"])


async def halves(at: Stage) -> dict[str, bytes]:
    """Bring one person into each half-state; the hashes of their requests."""
    kit, room = at.kit, at.kit.room
    assert room is not None
    for name in AS:
        at.bots[name] = await kit.enlist(name.replace(" ", "-"))
        at.tokens[name] = at.bots[name].token
    asked: dict[str, bytes] = {}
    jti, seed = await _invite(at)
    _, asked["asking"] = await _ask(at, "asking", jti, seed)
    jti, seed = await _invite(at)
    _, asked["uninvited"] = await _ask(at, "uninvited", jti, seed)
    await kit.commit(room.owner, room.draft(room.owner, compose.RevokeInvite(jti)))
    for name in ("demoted", "shut out"):
        await kit.commit(room.owner, room.add(at.bots[name]))
        await kit.commit(room.owner, room.draft(room.owner, compose.SetRole(at.bots[name].id, "admin")))
    for intent in (compose.SetRole(at.bots["demoted"].id, "member"), compose.Remove(at.bots["shut out"].id)):
        assert (await kit.commit(room.owner, room.draft(room.owner, intent))).status == 200
    await kit.commit(room.owner, room.draft(room.owner, compose.Rotate()))
    return asked


async def _unexpected(at: Stage, asked: dict[str, bytes]) -> list[tuple[str, str, str, int]]:
    """Every endpoint for every half-state: answers of 2xx that are not granted, and grants that are refused."""
    found = []
    last = [row for row in TABLE if row[0] == "delete" and row[1] == "/v1/joins/{h}"]
    for method, path in [row for row in TABLE if row not in last] + last:
        for name, whole in AS.items():
            at.asked = asked.get(name, next(iter(asked.values())))
            where, body = await _request(at, method, path, name)
            answer = await at.kit.ask(method.upper(), where, body, as_=at.tokens[name])
            granted = whole in TABLE[method, path] and ((method, path) not in OWN or name in asked)
            if (200 <= answer.status < 300) != granted:
                found.append((name, method, path, answer.status))
            if not granted and "/spheres/{sph}" in path and answer.status >= 400:
                assert (answer.status, answer.body) == (403, FORBIDDEN), (name, method, path)
            if granted and path.endswith("/messages"):
                assert at.kit.room is not None
                at.kit.room.said(at.bots[name], body["jws"])
    return found


async def test_half_states_get_what_they_are_and_not_what_they_were(stage: Stage) -> None:
    """API-004, API-021, API-022: 0 unexpected answers of 2xx."""
    assert await _unexpected(stage, await halves(stage)) == []


async def test_control_a_relay_that_looks_at_sessions_only(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the look at the log who was removed reads on with the session he has."""

    async def anybody(self: Relay, sph: str, account: str, dv: str | None) -> Any:
        return await self.view(sph)

    await halves(stage)
    monkeypatch.setattr(Relay, "view_for", anybody)
    for path in ("log?from=0", "items", "heads"):
        for name in ("shut out", "invited"):
            answer = await stage.kit.ask("GET", f"/v1/spheres/{_sph(stage)}/{path}", as_=stage.tokens[name])
            assert answer.status == 200


def _sph(at: Stage) -> str:
    assert at.kit.room is not None
    return at.kit.room.sph


async def test_an_admin_demoted_between_composing_and_sending(stage: Stage) -> None:
    """ROLE-003, COM-003: the role at the moment of the commit counts, on the old base and on the new one."""
    kit, room, admin = stage.kit, stage.kit.room, stage.bots["admin"]
    assert room is not None
    before = room.draft(admin, compose.Remove(stage.bots["guest"].id))
    await kit.commit(room.owner, room.draft(room.owner, compose.SetRole(admin.id, "member")))
    stale = await kit.ask("POST", f"/v1/spheres/{room.sph}/commits", body_of(before), as_=admin)
    assert json.loads(stale.body)["code"] == "E_STALE_HEAD"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "WORDS", _Yes())
        again = room.draft(admin, compose.Remove(stage.bots["guest"].id))
    refused = await kit.ask("POST", f"/v1/spheres/{room.sph}/commits", body_of(again), as_=admin)
    assert (refused.status, json.loads(refused.body)["code"]) == (403, "E_FORBIDDEN")


async def test_a_request_by_a_withdrawn_link_admits_nobody(stage: Stage) -> None:
    """ROLE-010: the link was open when it was asked by, and is closed when it would be used; control: an open one."""
    room = stage.kit.room
    assert room is not None
    for name, withdrawn in (("uninvited", True), ("asking", False)):
        stage.bots[name] = await stage.kit.enlist(name)
        jti, seed = await _invite(stage)
        request, _ = await _ask(stage, name, jti, seed)
        if withdrawn:
            await stage.kit.commit(room.owner, room.draft(room.owner, compose.RevokeInvite(jti)))
            assert await _admit(stage, name, request, jti) == (400, "E_BAD_FORMAT")
        else:
            draft = room.draft(room.owner, compose.Add(stage.bots[name].id, request, "member", jti))
            assert (await stage.kit.commit(room.owner, draft)).status == 200


async def _admit(at: Stage, name: str, request: str, jti: bytes) -> tuple[int, str]:
    """The owner's entry, whatever the rules say about it."""
    room, owner = at.kit.room, at.bots["owner"]
    assert room is not None
    assert room.state is not None
    state, h = room.state, jws.decode(request, "sph-join+1").digest
    content = {"id": at.bots[name].id, "role": "member", "join": b64e(h), "jti": b64e(jti)}
    one = entry.make(
        owner.author.signer, owner.dv, "add", content, at.kit.relay.now, sph=state.sph, seq=state.seq + 1,
        prev=state.digest, ep=state.ep,
    )  # fmt: skip
    body = {
        "idem": b64e(os.urandom(16)), "base": {"seq": state.seq, "h": b64e(state.digest)}, "entries": [one],
        "attach": {b64e(h): request}, "wraps": [], "sph": state.sph,
    }  # fmt: skip
    answer = await at.kit.ask("POST", f"/v1/spheres/{state.sph}/commits", body, as_=owner)
    return answer.status, str(json.loads(answer.body).get("code", ""))


async def test_a_new_device_that_has_read_no_log_yet_says_so_in_every_act(hw: HostileWorld) -> None:
    """CLT-005: the account's state names a sphere whose log this device could not read yet."""
    people = await hw.sphere_of("ada")
    hw.network("ada-phone").lose("request", "GET", "/log")
    phone = await hw.second_device("ada", "ada-phone")
    waiting = phone.sphere(harbour(people["ada"]).sph)
    assert waiting.info.status == "asked"
    acts: list[Callable[[], Any]] = [
        waiting.requests, waiting.rotate, waiting.checkpoint, waiting.people, waiting.head_code, waiting.key_rows,
        waiting.leave, waiting.invite, waiting.ask_keys, waiting.ask_older, waiting.missing, waiting.ask_messages,
        waiting.older_keys, waiting.log, waiting.handover, lambda: waiting.send("Hello"),
        lambda: waiting.set_meta(title="Mine"), lambda: waiting.set_mode("open"), lambda: waiting.set_policy(T=3600),
        lambda: waiting.save_keys("a long enough passphrase 4711"), lambda: waiting.set_custody("device"),
    ]  # fmt: skip
    said = Counter[str]()
    for act in acts:
        try:
            done = act()
            if isawaitable(done):
                await done
            said[""] += 1
        except CloisterError as refusal:
            said[refusal.code] += 1
    assert said.keys() <= {"", "C_NOT_MEMBER", "L_USAGE"}
    assert said["C_NOT_MEMBER"] > len(acts) / 2


@pytest.mark.parametrize("believed", [True, False])
async def test_a_device_that_missed_what_came_before_knows_that_its_person_has_left(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch, believed: bool
) -> None:
    """CLT-030: another own device made a new key and left; this one is refused the log, and believes the signed entry.
    Control: an entry whose signature fails is the relay's word only."""
    people = await hw.sphere_of("ada", "bo")
    phone = await hw.second_device("bo", "bo-phone")
    for client in (phone, people["bo"], phone):
        await client.sync()
    await harbour(phone).rotate()
    await harbour(phone).leave()

    def refuse(envelope: object, public: bytes) -> None:
        raise SignatureInvalid("as if forged")

    if not believed:
        monkeypatch.setattr(farewell, "jws", SimpleNamespace(verify_ed25519=refuse))
    report = await people["bo"].sync()
    status = people["bo"].spheres(past=True)[0].status
    assert (status, report.faults) == (("left", ()) if believed else ("active", ("E_FORBIDDEN",)))
