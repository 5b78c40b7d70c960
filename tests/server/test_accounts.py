"""Signing up and in, sessions, devices, roots, slots, peppers (API-011 to API-020, SLOT-007, VLT-013 to VLT-015)."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloister import crypto
from cloister.account import devices, signup, srp
from cloister.account.password import V1, Stretched
from cloister.client.transports.base import Answer
from cloister.protocol import dauth, jws
from cloister.protocol.encoding import b64d, b64e, json_emit, lp
from tests.crowd import Bot
from tests.server.kit import Kit, running

ORIGIN = "http://localhost:8420"
E_AUTH = b'{"code":"E_AUTH"}'


@dataclass
class Person:
    """An account whose password processing stands for a real one."""

    bot: Bot
    stretched: Stretched


async def salt(kit: Kit, login: str) -> bytes:
    return b64d(json.loads((await kit.ask("POST", "/v1/auth/start", {"login": login})).body)["salt"])


async def person(kit: Kit, login: str, **over: Any) -> tuple[Person, Answer]:
    new = signup.new_keys(os.urandom)
    first = signup.first_device(new, kit.relay.now)
    stretched = Stretched(os.urandom(32), os.urandom(32), V1)
    made = signup.build(
        new,
        first,
        stretched,
        login=login,
        origin=ORIGIN,
        realm=kit.relay.realm,
        salt16=await salt(kit, login),
        content={"spheres": {}},
        rng=os.urandom,
        **over,
    )
    bot = Bot(login, new, first, made.body)
    answer = await kit.ask("POST", "/v1/accounts", json_emit(made.body))
    if answer.status == 201:
        bot.token = json.loads(answer.body)["token"]
    return Person(bot, stretched), answer


async def sign_in(kit: Kit, who: Person, *, origin: str = ORIGIN, auth: bytes | None = None) -> Answer:
    begun = srp.start(os.urandom)
    login = who.bot.login
    reply = await kit.ask("POST", "/v1/auth/start", {"login": login, "A": b64e(begun.public)})
    if reply.status != 200:
        return reply
    challenge = srp.read_challenge(json.loads(reply.body))
    used = Stretched(auth or who.stretched.auth, who.stretched.kek, V1)
    proof = srp.prove(begun, challenge, used, login=login, realm=kit.relay.realm, origin=origin)
    answer = await kit.ask("POST", "/v1/auth/finish", {"sid": challenge.sid, "M1": b64e(proof.m1)})
    if answer.status == 200:
        srp.check_reply(proof, b64d(json.loads(answer.body)["M2"]))
    return answer


async def password_token(kit: Kit, who: Person) -> str:
    return str(json.loads((await sign_in(kit, who)).body)["token"])


async def device_token(kit: Kit, who: Person, *, device: Any = None, aud: str = ORIGIN) -> Answer:
    device = device or who.bot.new.device
    nonce = b64d(json.loads((await kit.ask("GET", "/v1/auth/nonce")).body)["nonce"])
    signed = dauth.make(jws.device_signer(device.dk_seed), device.dv, aud=aud, nonce=nonce, iat=kit.relay.now)
    return await kit.ask("POST", "/v1/auth/device", {"jws": signed})


# --- signing up ----------------------------------------------------------------------------------------------------


async def test_the_set_up_code_makes_the_first_account_an_administrator(tmp_path: Path) -> None:
    async with running(tmp_path, signup="invite") as kit:
        assert kit.code
        _, none = await person(kit, "nobody")
        _, wrong = await person(kit, "nobody", ticket="AAAA-AAAA")
        assert (none.status, none.body) == (wrong.status, wrong.body) == (401, E_AUTH)  # API-014
        ada, made = await person(kit, "ada", ticket=kit.code.lower().replace("-", " "))
        assert made.status == 201
        about = json.loads((await kit.ask("GET", "/v1/account", as_=ada.bot)).body)
        assert (about["login"], about["admin"], len(about["devices"])) == ("ada", True, 1)
        _, again = await person(kit, "bo", ticket=kit.code)
        assert (again.status, again.body) == (401, E_AUTH)  # API-015: one use
        ticket = json.loads(
            (await kit.ask("POST", "/v1/admin/tickets", {"uses": 1, "seconds": 3600}, as_=ada.bot)).body
        )
        bo, made = await person(kit, "bo", ticket=ticket["code"])
        assert made.status == 201
        _, spent = await person(kit, "cy", ticket=ticket["code"])
        assert spent.status == 401
        assert (await kit.ask("GET", "/v1/admin/health", as_=bo.bot)).status == 403


async def test_codes_are_not_stored_and_tries_are_few(tmp_path: Path) -> None:
    async with running(tmp_path, signup="invite", rate_address=200) as kit:
        codes = [(await person(kit, "guesser", ticket=f"AAAA-AA{n:02d}"))[1].status for n in range(12)]
        assert codes[:10] == [401] * 10  # LIM-002
        assert codes[10:] == [429] * 2
        kit.clock.forward(60)
        assert (await person(kit, "ada", ticket=kit.code))[1].status == 201
    assert kit.code is not None
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert kit.code.encode() not in stored
    assert kit.code.replace("-", "").encode() not in stored


async def test_a_repeated_sign_up_is_harmless_and_a_taken_name_is_told(both: Kit) -> None:
    ada, first = await person(both, "ada", ticket=both.code)
    again = await both.ask("POST", "/v1/accounts", json_emit(ada.bot.body))
    assert (first.status, again.status) == (201, 201)  # SLOT-020
    assert json.loads(first.body)["id"] == json.loads(again.body)["id"]
    _, taken = await person(both, "ada")
    assert (taken.status, json.loads(taken.body)["code"]) == (409, "E_CONFLICT")
    other = {**ada.bot.body, "ver": 0}
    assert (await both.ask("POST", "/v1/accounts", json_emit(other))).status == 409


async def test_closed_means_closed(tmp_path: Path) -> None:
    async with running(tmp_path, signup="closed") as kit:
        ada, _ = await person(kit, "ada", ticket=kit.code)
        ticket = json.loads((await kit.ask("POST", "/v1/admin/tickets", {"uses": 5, "seconds": 99}, as_=ada.bot)).body)
        assert (await person(kit, "bo", ticket=ticket["code"]))[1].status == 401
        await kit.ask("PUT", "/v1/admin/signup", {"signup": "invite", "by_sphere": True}, as_=ada.bot)
        assert (await person(kit, "bo", ticket=ticket["code"]))[1].status == 201


# --- signing in ----------------------------------------------------------------------------------------------------


async def test_every_failed_sign_in_looks_the_same(kit: Kit) -> None:
    ada, _ = await person(kit, "ada", ticket=kit.code)
    assert (await sign_in(kit, ada)).status == 200
    ghost = Person(Bot("ghost", ada.bot.new, ada.bot.first, {}), ada.stretched)
    wrong = await sign_in(kit, ada, auth=os.urandom(32))
    nobody = await sign_in(kit, ghost)
    elsewhere = await sign_in(kit, ada, origin="https://elsewhere.example")
    answers = {(one.status, one.body, tuple(sorted(one.headers.items()))) for one in (wrong, nobody, elsewhere)}
    assert len(answers) == 1  # API-011, SRP-009, SRP-010
    assert wrong.body == E_AUTH
    start = [
        await kit.ask("POST", "/v1/auth/start", {"login": login, "A": b64e(srp.start(os.urandom).public)})
        for login in ("ada", "ghost")
    ]
    assert len({tuple((name, len(value)) for name, value in json.loads(one.body).items()) for one in start}) == 1
    assert await salt(kit, "ghost") == await salt(kit, "ghost")  # SRP-013


async def test_an_attempt_is_good_once_and_for_a_minute(kit: Kit) -> None:
    ada, _ = await person(kit, "ada", ticket=kit.code)
    begun = srp.start(os.urandom)
    reply = json.loads((await kit.ask("POST", "/v1/auth/start", {"login": "ada", "A": b64e(begun.public)})).body)
    finish = {"sid": reply["sid"], "M1": b64e(bytes(32))}
    assert (await kit.ask("POST", "/v1/auth/finish", finish)).body == E_AUTH
    challenge = srp.read_challenge(reply)
    proof = srp.prove(begun, challenge, ada.stretched, login="ada", realm=kit.relay.realm, origin=ORIGIN)
    right = {"sid": reply["sid"], "M1": b64e(proof.m1)}
    assert (await kit.ask("POST", "/v1/auth/finish", right)).body == E_AUTH  # one attempt per B


async def test_tries_are_limited_before_any_exponentiation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path, auth_tries=3) as kit:
        ada, _ = await person(kit, "ada", ticket=kit.code)
        for _ in range(3):
            assert (await sign_in(kit, ada, auth=os.urandom(32))).status == 401
        from cloister.account import srp_group

        counted: list[int] = []
        monkeypatch.setattr(srp_group, "server_public", lambda *_: counted.append(1))
        refused = await sign_in(kit, ada)
        assert (refused.status, json.loads(refused.body)["code"]) == (429, "E_RATE")  # LIM-002
        assert not counted
        assert int(refused.headers["retry-after"]) > 0
        monkeypatch.undo()
        kit.clock.forward(301)
        assert (await sign_in(kit, ada)).status == 200


async def test_a_device_signs_in_by_its_key_and_only_for_this_relay(kit: Kit) -> None:
    ada, _ = await person(kit, "ada", ticket=kit.code)
    assert (await device_token(kit, ada)).status == 200
    assert (await device_token(kit, ada, aud="https://elsewhere.example")).body == E_AUTH  # CERT-009
    nonce = json.loads((await kit.ask("GET", "/v1/auth/nonce")).body)["nonce"]
    device = ada.bot.new.device
    signed = dauth.make(jws.device_signer(device.dk_seed), device.dv, aud=ORIGIN, nonce=b64d(nonce), iat=kit.relay.now)
    assert (await kit.ask("POST", "/v1/auth/device", {"jws": signed})).status == 200
    assert (await kit.ask("POST", "/v1/auth/device", {"jws": signed})).body == E_AUTH  # API-012: single use


async def test_levels_and_ends_of_sessions(kit: Kit) -> None:
    ada, _ = await person(kit, "ada", ticket=kit.code)
    device = json.loads((await device_token(kit, ada)).body)["token"]
    assert (await kit.ask("GET", "/v1/account/roots", as_=device)).status == 401
    assert (await kit.ask("GET", "/v1/slots/ik", as_=device)).status == 401
    fresh = await password_token(kit, ada)
    assert (await kit.ask("GET", "/v1/account/roots", as_=fresh)).status == 200
    assert (await kit.ask("GET", "/v1/inbox", as_=fresh)).status == 403  # API-008: no device
    kit.clock.forward(601)
    assert (await kit.ask("GET", "/v1/account/roots", as_=fresh)).body == E_AUTH  # SRP-015
    assert (await kit.ask("GET", "/v1/account", as_=device)).status == 200
    kit.clock.forward(12 * 3600 + 1)
    assert (await kit.ask("GET", "/v1/account", as_=device)).body == E_AUTH  # API-009
    tokens = [b64d(token) for token in (device, fresh)]
    stored = (kit.relay.settings.data / "relay.db").read_bytes() + (
        kit.relay.settings.data / "relay.db-wal"
    ).read_bytes()
    # API-007: only hashes are stored
    assert not any(token in stored or b64e(token).encode() in stored for token in tokens)


async def test_tokens_that_are_none(kit: Kit) -> None:
    for token in ("", "x", "A" * 43, "A" * 400):
        assert (await kit.ask("GET", "/v1/account", as_=token)).body == E_AUTH
    assert (await kit.ask("GET", "/v1/account", headers={"authorization": "Basic eDp5"})).body == E_AUTH


# --- devices, roots, slots -----------------------------------------------------------------------------------------


async def test_a_revoked_device_is_out_at_once(both: Kit) -> None:
    ada, _ = await person(both, "ada", ticket=both.code)
    token = await password_token(both, ada)
    second = signup.new_keys(os.urandom).device
    change = devices.enrol(ada.bot.new.ik, ada.bot.first.log, second, both.relay.now)
    added = await both.ask("POST", "/v1/devices", {"cert": change.cert, "klog": change.entry}, as_=token)
    assert added.status == 201
    again = await both.ask("POST", "/v1/devices", {"cert": change.cert, "klog": change.entry}, as_=token)
    assert json.loads(again.body)["code"] == "E_CONFLICT"
    theirs = json.loads(added.body)["token"]
    assert (await both.ask("GET", "/v1/account", as_=theirs)).status == 200
    gone = devices.revoke(ada.bot.new.ik, change.log, second.dv, both.relay.now)
    path = f"/v1/devices/{second.dv}/revoke"
    assert (await both.ask("POST", path, {"klog": gone.entry}, as_=ada.bot)).status == 401  # needs the password
    assert (await both.ask("POST", path, {"klog": gone.entry}, as_=token)).status == 200  # API-018, SLOT-026
    assert (await both.ask("GET", "/v1/account", as_=theirs)).body == E_AUTH
    assert (await device_token(both, ada, device=second)).body == E_AUTH
    chain = json.loads((await both.ask("GET", f"/v1/klog/{ada.bot.id}", as_=ada.bot)).body)["entries"]
    # API-019
    assert chain == [ada.bot.first.start, ada.bot.first.entry, change.entry, gone.entry]


async def test_new_roots_are_one_step_and_end_other_sessions(both: Kit) -> None:
    ada, _ = await person(both, "ada", ticket=both.code)
    token = await password_token(both, ada)
    roots = json.loads((await both.ask("GET", "/v1/account/roots", as_=token)).body)
    fresh = Stretched(os.urandom(32), os.urandom(32), V1)
    body = {
        "cred_ver": roots["cred_ver"],
        "wMK": roots["wMK"],
        "wRK": roots["wRK"],
        "mkv": 1,
        "ver": 1,
        "v": b64e(srp.verifier("ada", await salt(both, "ada"), fresh.auth)),
        "slots": [],
    }
    assert (await both.ask("PUT", "/v1/account/roots", body, as_=token)).status == 200  # API-017, SLOT-023
    refused = await both.ask("PUT", "/v1/account/roots", body, as_=token)
    assert json.loads(refused.body)["code"] == "E_CONFLICT"
    assert (await both.ask("GET", "/v1/account", as_=ada.bot)).body == E_AUTH
    assert (await sign_in(both, ada)).body == E_AUTH
    assert (await sign_in(both, Person(ada.bot, fresh))).status == 200


async def test_slots_are_written_once_and_state_counts_on(both: Kit) -> None:
    ada, _ = await person(both, "ada", ticket=both.code)
    name = f"e.sp-{b64e(bytes(32))}.1"
    first = {"mkv": 1, "bytes": b64e(bytes(60))}
    assert (await both.ask("PUT", f"/v1/slots/{name}", first, as_=ada.bot)).status == 200
    assert (await both.ask("PUT", f"/v1/slots/{name}", first, as_=ada.bot)).status == 200  # the same again
    other = {"mkv": 1, "bytes": b64e(bytes(59) + b"x")}
    assert (await both.ask("PUT", f"/v1/slots/{name}", other, as_=ada.bot)).status == 409  # API-020, SLOT-007
    late = {"mkv": 2, "bytes": b64e(bytes(60))}
    assert (await both.ask("PUT", f"/v1/slots/{name[:-1]}2", late, as_=ada.bot)).status == 409
    assert (await both.ask("PUT", "/v1/slots/mk.1", first, as_=ada.bot)).status == 401
    assert (await both.ask("PUT", "/v1/slots/other", first, as_=ada.bot)).status == 400
    state = {"mkv": 1, "bytes": b64e(b"state two"), "ctr": 2}
    skip = {**state, "ctr": 3}
    assert (await both.ask("PUT", "/v1/slots/state", skip, as_=ada.bot)).status == 409
    stale = {"if-match": "0"}
    assert (await both.ask("PUT", "/v1/slots/state", state, as_=ada.bot, headers=stale)).status == 409
    good = {"if-match": "1"}
    assert (await both.ask("PUT", "/v1/slots/state", state, as_=ada.bot, headers=good)).status == 200
    listed = json.loads((await both.ask("GET", "/v1/slots", as_=ada.bot)).body)
    assert [one["name"] for one in listed["slots"]] == [name, "state"]  # ik is not among them
    assert listed["more"] is False
    huge = {"mkv": 1, "bytes": b64e(bytes(262_145)), "ctr": 3}
    assert (await both.ask("PUT", "/v1/slots/state", huge, as_=ada.bot)).status == 400


async def test_what_a_lost_device_left_in_slots_ends_with_its_master_key(both: Kit) -> None:
    """SLOT-007: an epoch's slot has one length, and gives way to one written under a later master key, never back."""
    ada, _ = await person(both, "ada", ticket=both.code)
    name = f"/v1/slots/e.sp-{b64e(bytes(32))}.7"
    for length in (0, 59, 61, 262_144):
        wrong = {"mkv": 1, "bytes": b64e(bytes(length))}
        assert (await both.ask("PUT", name, wrong, as_=ada.bot)).status == 400
    garbage = {"mkv": 1, "bytes": b64e(os.urandom(60))}
    assert (await both.ask("PUT", name, garbage, as_=ada.bot)).status == 200
    true = b64e(os.urandom(60))
    assert (await both.ask("PUT", name, {"mkv": 1, "bytes": true}, as_=ada.bot)).status == 409
    token = await password_token(both, ada)
    held = json.loads((await both.ask("GET", "/v1/account/roots", as_=token)).body)
    short = {"name": "mk.1", "mkv": 2, "bytes": b64e(bytes(61))}
    body = {key: held[key] for key in ("cred_ver", "wMK", "wRK")} | {"mkv": 2, "slots": [short]}
    assert (await both.ask("PUT", "/v1/account/roots", body, as_=token)).status == 400
    body["slots"] = [{**short, "bytes": b64e(bytes(60))}]
    assert (await both.ask("PUT", "/v1/account/roots", body, as_=token)).status == 200
    answer = await device_token(both, ada)
    ada.bot.token = json.loads(answer.body)["token"]
    assert (await both.ask("PUT", name, {"mkv": 2, "bytes": true}, as_=ada.bot)).status == 200
    assert json.loads((await both.ask("GET", name, as_=ada.bot)).body)["bytes"] == true
    assert (await both.ask("PUT", name, garbage, as_=ada.bot)).status == 409
    assert (await both.ask("PUT", name, {**garbage, "mkv": 2}, as_=ada.bot)).status == 409


async def test_a_pepper_survives_ten_wrong_tries_and_no_restart_gives_more(tmp_path: Path) -> None:
    uk, tag, pep = os.urandom(32), os.urandom(32), os.urandom(32)

    async def attempt(kit: Kit, dev: str, guess: bytes) -> Answer:
        nonce = json.loads((await kit.ask("POST", "/v1/vault/nonce", {"dev": dev})).body)["nonce"]
        signed = crypto.ed25519_sign(uk, lp("sph/1 unlock", kit.relay.realm, dev, b64d(nonce), guess))
        body = {"dev": dev, "nonce": nonce, "tag": b64e(guess), "sig": b64e(signed)}
        return await kit.ask("POST", "/v1/vault/open", body)

    async with running(tmp_path) as kit:
        ada, _ = await person(kit, "ada", ticket=kit.code)
        dev = ada.bot.dv
        body = {"dev": dev, "uk": b64e(crypto.ed25519_public(uk)), "tag": b64e(tag), "pep": b64e(pep)}
        assert (await kit.ask("POST", "/v1/vault/enrol", body, as_=ada.bot)).status == 200
        assert json.loads((await attempt(kit, dev, tag)).body) == {"pep": b64e(pep)}
        for left in range(9, 4, -1):
            assert json.loads((await attempt(kit, dev, bytes(32))).body) == {"code": "E_AUTH", "left": left}
        forged = {"dev": dev, "nonce": b64e(bytes(32)), "tag": b64e(tag), "sig": b64e(bytes(64))}
        assert (await kit.ask("POST", "/v1/vault/open", forged)).body == E_AUTH  # API-013: costs no try
    async with running(tmp_path) as kit:
        for left in range(4, -1, -1):
            assert json.loads((await attempt(kit, dev, bytes(32))).body) == {"code": "E_AUTH", "left": left}
        assert json.loads((await attempt(kit, dev, tag)).body) == {"code": "E_AUTH", "left": 0}  # VLT-015
    assert pep not in b"".join(path.read_bytes() for path in tmp_path.glob("pepper.db*"))


async def test_a_crash_while_revoking_leaves_no_pepper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """VLT-016: the relay dies after the device is revoked and before its pepper is deleted; the next start does it."""
    async with running(tmp_path) as kit:
        ada, _ = await person(kit, "ada", ticket=kit.code)
        token = await password_token(kit, ada)
        second = signup.new_keys(os.urandom).device
        change = devices.enrol(ada.bot.new.ik, ada.bot.first.log, second, kit.relay.now)
        added = await kit.ask("POST", "/v1/devices", {"cert": change.cert, "klog": change.entry}, as_=token)
        for dev, session in ((second.dv, json.loads(added.body)["token"]), (ada.bot.dv, ada.bot.token)):
            row = {"dev": dev, "uk": b64e(crypto.ed25519_public(os.urandom(32))), "tag": b64e(bytes(32))}
            assert (await kit.ask("POST", "/v1/vault/enrol", {**row, "pep": row["tag"]}, as_=session)).status == 200
        gone = devices.revoke(ada.bot.new.ik, change.log, second.dv, kit.relay.now)
        monkeypatch.setattr(kit.relay.peppers, "forget", lambda dev: None)
        await kit.ask("POST", f"/v1/devices/{second.dv}/revoke", {"klog": gone.entry}, as_=token)
        assert set(kit.relay.peppers.devices()) == {second.dv, ada.bot.dv}
    async with running(tmp_path) as kit:
        assert kit.relay.peppers.devices() == [ada.bot.dv]


async def test_the_administrator_sees_people_and_no_content(kit: Kit) -> None:
    room = await kit.populate(2)
    owner, other = kit.bots
    text = "what the administrator never sees"
    await kit.say(other, text)
    seen = b""
    for path in ("health", "users", "signup", "tickets"):
        answer = await kit.ask("GET", f"/v1/admin/{path}", as_=owner)
        assert answer.status == 200
        assert (await kit.ask("GET", f"/v1/admin/{path}", as_=other)).status == 403
        seen += answer.body
    assert text.encode() not in seen
    assert room.sph.encode() not in seen  # API-029
    assert (await kit.ask("PUT", f"/v1/admin/users/{other.id}", {"suspended": True}, as_=owner)).status == 200
    assert (await kit.ask("GET", "/v1/account", as_=other)).body == E_AUTH
    assert (await kit.ask("PUT", f"/v1/admin/users/{owner.id}", {"suspended": True}, as_=owner)).status == 400
