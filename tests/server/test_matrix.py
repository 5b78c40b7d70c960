"""Who may call what: every endpoint for every kind of caller, and no answer of 2xx that the table does not grant.

The table is complete: an endpoint of the OpenAPI document that is missing here fails the test (API-001).
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cloister import crypto
from cloister.account import devices, signup
from cloister.protocol import jws
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.ids import jwk_public
from cloister.server import core
from cloister.sphere import compose, invitation
from cloister.sphere.compose import Author
from tests.crowd import Bot, body_of
from tests.server.kit import Kit, running
from tests.server.test_accounts import password_token, person
from tests.server.test_spheres import FORBIDDEN, removal

EVERYBODY = {
    *("owner", "admin", "member", "guest", "removed", "banned", "left", "requested", "stranger"),
    *("suspended", "revoked", "expired", "password", "nobody"),
}
OUT = {"suspended", "expired", "nobody"}  # no session
ACCOUNTS = EVERYBODY - OUT
DEVICES = ACCOUNTS - {"password"}
MEMBERS = {"owner", "admin", "member", "guest"}
ADMITTERS = {"owner", "admin"}

# (method, path) -> who gets 2xx. ``set()``: nobody here, for the caller must hold something else than a session.
TABLE: dict[tuple[str, str], set[str]] = {
    ("get", "/v1/server"): EVERYBODY,
    ("get", "/healthz"): EVERYBODY,
    ("get", "/readyz"): EVERYBODY,
    ("post", "/v1/auth/start"): EVERYBODY,
    ("post", "/v1/auth/finish"): set(),
    ("get", "/v1/auth/nonce"): EVERYBODY,
    ("post", "/v1/auth/device"): set(),
    ("delete", "/v1/auth/session/{n}"): ACCOUNTS,
    ("post", "/v1/vault/enrol"): DEVICES,
    ("post", "/v1/vault/nonce"): EVERYBODY,
    ("post", "/v1/vault/open"): set(),
    ("post", "/v1/accounts"): set(),
    ("get", "/v1/account"): ACCOUNTS,
    ("get", "/v1/account/roots"): {"password"},
    ("put", "/v1/account/roots"): {"password"},
    ("post", "/v1/devices"): set(),
    ("post", "/v1/devices/{dv}/revoke"): set(),
    ("get", "/v1/klog/{id}"): MEMBERS | {"revoked", "password"},
    ("get", "/v1/slots"): ACCOUNTS,
    ("get", "/v1/slots/{name}"): ACCOUNTS,
    ("put", "/v1/slots/{name}"): ACCOUNTS,
    ("post", "/v1/joins"): DEVICES,
    ("get", "/v1/joins/{h}"): {"requested"},
    ("delete", "/v1/joins/{h}"): {"requested"},
    ("get", "/v1/invites/{sph}/{jti}"): EVERYBODY,
    ("get", "/v1/spheres/{sph}/joins"): ADMITTERS,
    ("delete", "/v1/spheres/{sph}/joins/{h}"): ADMITTERS,
    ("post", "/v1/spheres/{sph}/joins/{h}/card"): ADMITTERS,
    ("get", "/v1/spheres"): ACCOUNTS,
    ("post", "/v1/spheres"): {"owner"},
    ("post", "/v1/spheres/{sph}/commits"): {"owner"},
    ("post", "/v1/spheres/{sph}/messages"): MEMBERS,
    ("get", "/v1/spheres/{sph}/log"): MEMBERS,
    ("get", "/v1/spheres/{sph}/attach/{h}"): MEMBERS,
    ("get", "/v1/spheres/{sph}/items"): MEMBERS,
    ("get", "/v1/spheres/{sph}/heads"): MEMBERS,
    ("get", "/v1/spheres/{sph}/links"): MEMBERS,
    ("get", "/v1/spheres/{sph}/seen/{pos}"): MEMBERS,
    ("get", "/v1/public/{sph}/log"): set(),
    ("get", "/v1/public/{sph}/attach/{h}"): set(),
    ("get", "/v1/public/{sph}/items"): set(),
    ("get", "/v1/inbox"): DEVICES,
    ("delete", "/v1/inbox"): DEVICES,
    ("post", "/v1/inbox"): {"owner"},
    ("post", "/v1/live"): MEMBERS,
    ("get", "/v1/admin/health"): {"owner"},
    ("get", "/v1/admin/users"): {"owner"},
    ("put", "/v1/admin/users/{id}"): {"owner"},
    ("get", "/v1/admin/signup"): {"owner"},
    ("put", "/v1/admin/signup"): {"owner"},
    ("get", "/v1/admin/tickets"): {"owner"},
    ("post", "/v1/admin/tickets"): {"owner"},
    ("delete", "/v1/admin/tickets/{n}"): {"owner"},
}


@dataclass
class Stage:
    """A sphere with one person of every kind. ``tokens`` by kind, "" for nobody."""

    kit: Kit
    bots: dict[str, Bot] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    asked: bytes = b""
    jti: bytes = b""


async def _second_device(kit: Kit, stage: Stage, who: Any, token: str) -> None:
    """A further device of a member: in the sphere, then out of it by an entry, its session still good."""
    room = kit.room
    assert room is not None
    device = signup.new_keys(os.urandom).device
    change = devices.enrol(who.bot.new.ik, who.bot.first.log, device, kit.relay.now)
    added = await kit.ask("POST", "/v1/devices", {"cert": change.cert, "klog": change.entry}, as_=token)
    stage.tokens["revoked"] = json.loads(added.body)["token"]
    author = Author(who.bot.id, device.dv, jws.device_signer(device.dk_seed))
    shown = Bot("revoked", who.bot.new, who.bot.first, {}, stage.tokens["revoked"])
    for signer, intent, token_ in (
        (author, compose.DeviceAdd(change.cert), stage.tokens["revoked"]),
        (who.bot.author, compose.DeviceRevoke(device.dv), who.bot.token),
    ):
        draft = compose.compose(
            room.state, room.history, signer, [intent], now=kit.relay.now, rng=os.urandom, keys=room.keys
        )
        shown.token = token_
        assert (await kit.commit(shown, draft)).status == 200
    await kit.commit(room.owner, room.draft(room.owner, compose.Rotate()))


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with running(tmp_path) as kit:
        room = await kit.populate(1)
        made = Stage(kit, {"owner": kit.bots[0]})
        for name in ("admin", "guest", "removed", "banned", "left", "requested", "stranger", "suspended", "expired"):
            made.bots[name] = await kit.enlist(name)
        who, _ = await person(kit, "member")
        made.bots["member"] = who.bot
        for name in ("admin", "member", "guest", "removed", "banned", "left", "suspended", "expired"):
            role = name if name in ("admin", "guest") else "member"
            await kit.commit(room.owner, room.add(made.bots[name], role="guest" if role == "guest" else "member"))
        await kit.commit(room.owner, room.draft(room.owner, compose.SetRole(made.bots["admin"].id, "admin")))
        await kit.commit(room.owner, removal(room, made.bots["removed"]))
        await kit.commit(room.owner, room.draft(room.owner, compose.Remove(made.bots["banned"].id, ban=True)))
        await kit.commit(made.bots["left"], room.draft(made.bots["left"], compose.Leave()))
        await kit.commit(room.owner, room.draft(room.owner, compose.Rotate()))
        made.jti = os.urandom(16)
        _, ipk = invitation.key_pair(os.urandom(32), room.sph, made.jti)
        invite = compose.Invite(made.jti, ipk, kit.relay.now + 3600)
        await kit.commit(room.owner, room.draft(room.owner, invite))
        made.tokens = {name: bot.token for name, bot in made.bots.items()} | {"nobody": ""}
        made.tokens["password"] = await password_token(kit, who)
        await _second_device(kit, made, who, made.tokens["password"])
        request = made.bots["requested"].wants_in(room.sph, kit.relay.now)
        taken = await kit.ask("POST", "/v1/joins", {"jws": request}, as_=made.bots["requested"])
        made.asked = b64d(json.loads(taken.body)["h"])
        for bot in (made.bots["suspended"],):
            await kit.ask("PUT", f"/v1/admin/users/{bot.id}", {"suspended": True}, as_=room.owner)
        await kit.ask("DELETE", "/v1/auth/session/this", as_=made.bots["expired"])
        yield made


async def _request(stage: Stage, method: str, path: str, name: str) -> tuple[str, Any]:
    """A well-formed request for this caller: what is refused is refused for who asks, not for its form."""
    kit, room, now = stage.kit, stage.kit.room, stage.kit.relay.now
    assert room is not None
    assert room.state is not None
    bot = stage.bots.get(name, stage.bots["member"])
    owner = stage.bots["owner"]
    fills = {
        "sph": room.sph,
        "h": b64e(stage.asked),
        "jti": b64e(stage.jti),
        "id": stage.bots["admin"].id,
        "dv": bot.dv,
        "name": "state" if method == "get" else f"e.sp-{b64e(os.urandom(32))}.1",
        "pos": "1",
        "n": b64e(bytes(16)),
    }
    body: Any = None
    if path.endswith("/attach/{h}"):
        log = json.loads((await kit.ask("GET", f"/v1/spheres/{room.sph}/log?from=0", as_=owner)).body)
        joins = [json.loads(b64d(one.split(".")[1])) for one in log["entries"]]
        fills["h"] = next(one["body"]["join"] for one in joins if one["op"] == "add")
    filled = path.format(**fills)
    match (method, path):
        case ("get", "/v1/spheres/{sph}/log"):
            filled += "?from=0"
        case ("get", "/v1/spheres/{sph}/links"):
            filled += "?to=9"
        case ("delete", "/v1/inbox"):
            filled += "?upto=0"
        case ("post", "/v1/auth/start"):
            body = {"login": "ada"}
        case ("post", "/v1/auth/finish"):
            body = {"sid": b64e(bytes(16)), "M1": b64e(bytes(32))}
        case ("post", "/v1/auth/device"):
            body = {"jws": "a.b.c"}
        case ("post", "/v1/vault/enrol"):
            answer = await kit.ask("GET", "/v1/account", as_=stage.tokens[name])
            found = json.loads(answer.body).get("devices", [])
            second = next((one["dv"] for one in found if one["dv"] != bot.dv), bot.dv)
            mine = second if name == "revoked" else bot.dv
            uk = b64e(crypto.ed25519_public(os.urandom(32)))
            body = {"dev": mine, "uk": uk, "tag": b64e(bytes(32)), "pep": b64e(bytes(32))}
        case ("post", "/v1/vault/nonce"):
            body = {"dev": bot.dv}
        case ("post", "/v1/vault/open"):
            body = {"dev": bot.dv, "nonce": b64e(bytes(32)), "tag": b64e(bytes(32)), "sig": b64e(bytes(64))}
        case ("post", "/v1/accounts"):
            body = stage.bots["owner"].body | {"idem": b64e(os.urandom(16))}
        case ("put", "/v1/account/roots"):
            held = json.loads((await kit.ask("GET", "/v1/account/roots", as_=stage.tokens["password"])).body)
            body = {key: held.get(key, "") for key in ("cred_ver", "wMK", "wRK", "mkv")} | {"slots": []}
        case ("post", "/v1/devices"):
            body = {"cert": bot.first.cert, "klog": bot.first.entry}
        case ("post", "/v1/devices/{dv}/revoke"):
            body = {"klog": bot.first.entry}
        case ("put", "/v1/slots/{name}"):
            body = {"mkv": 1, "bytes": b64e(bytes(60))}
        case ("post", "/v1/joins"):
            body = {"jws": bot.wants_in(room.sph, now)}
        case ("post", "/v1/spheres/{sph}/joins/{h}/card"):
            body = {"ik": jwk_public(bot.new.ik), "cert": bot.first.cert}
        case ("post", "/v1/spheres"):
            fresh = core_room(owner)
            body = json.loads(body_of(fresh))
        case ("post", "/v1/spheres/{sph}/commits"):
            body = json.loads(body_of(room.draft(owner, compose.Checkpoint())))
        case ("post", "/v1/spheres/{sph}/messages"):
            body = {"jws": room.say(bot, "hello")}
        case ("post", "/v1/inbox"):
            payload = {"k": "ask", "sph": room.sph, "iat": now, "jti": b64e(os.urandom(16)), "ns": [1]}
            letter = jws.sign("sph-p2p+1", {"kid": owner.dv}, payload, owner.author.signer)
            body = {"to": [stage.bots["admin"].dv], "jws": letter}
        case ("post", "/v1/live"):
            ends = {"idR": owner.id, "dvR": owner.dv, "ask": b64e(os.urandom(32)), "why": "failed"}
            payload = {"k": "end", "sph": room.sph, "iat": now, "jti": b64e(os.urandom(16)), **ends}
            body = {"to": [owner.dv], "jws": jws.sign("sph-live+1", {"kid": bot.dv}, payload, bot.author.signer)}
        case ("put", "/v1/admin/users/{id}"):
            body = {"suspended": False}
        case ("put", "/v1/admin/signup"):
            body = {"signup": "open", "by_sphere": True}
        case ("post", "/v1/admin/tickets"):
            body = {"uses": 1, "seconds": 60}
        case ("delete", "/v1/admin/tickets/{n}"):
            code = json.loads((await kit.ask("POST", "/v1/admin/tickets", {"uses": 1, "seconds": 60}, as_=owner)).body)[
                "code"
            ]
            filled = f"/v1/admin/tickets/{b64e(core.code_hash(code)[:16])}"
    return filled, body


def core_room(owner: Bot) -> Any:
    """The first commit of a further sphere of the owner."""
    from tests.crowd import Room

    return Room(owner).create("another")


async def test_the_table_names_every_endpoint(kit: Kit) -> None:
    found = json.loads((await kit.ask("GET", "/v1/openapi.json")).body)["paths"]
    listed = {(method, path) for path, methods in found.items() for method in methods}
    assert listed == set(TABLE)


@pytest.mark.parametrize("names", [sorted(EVERYBODY)[:5], sorted(EVERYBODY)[5:10], sorted(EVERYBODY)[10:]])
async def test_nobody_gets_more_than_the_table_grants(stage: Stage, names: list[str]) -> None:
    kit = stage.kit
    unexpected: list[tuple[str, str, str, int, bytes]] = []
    # What ends other sessions, or answers the request others are asked about, comes last.
    joins = "/v1/spheres/{sph}/joins/{h}"
    last = [("delete", joins), ("delete", "/v1/joins/{h}"), ("put", "/v1/account/roots")]
    order = [row for row in TABLE if row not in last] + last
    for method, path in order:
        for name in names:
            where, body = await _request(stage, method, path, name)
            token = stage.tokens[name]
            answer = await kit.ask(method.upper(), where, body, as_=token or None)
            granted = name in TABLE[method, path]
            if (200 <= answer.status < 300) != granted and not _spent(stage, method, path, granted):
                unexpected.append((name, method, path, answer.status, answer.body[:80]))
            if not granted and "/spheres/{sph}" in path and name in ACCOUNTS:
                assert (answer.status, answer.body) == (403, FORBIDDEN), (name, method, path)  # API-004
            if name in OUT and TABLE[method, path] <= ACCOUNTS and path not in _OPEN:
                assert answer.body == b'{"code":"E_AUTH"}', (name, method, path)
            if granted and path == "/v1/spheres/{sph}/messages":
                assert kit.room is not None
                kit.room.said(stage.bots[name], body["jws"])
            if granted and path == "/v1/spheres/{sph}/commits":
                assert kit.room is not None
                await _follow(stage, body)
    assert unexpected == []


# Where a caller proves itself by something other than a session: refused for what it shows.
_OPEN = {
    *("/v1/auth/finish", "/v1/auth/device", "/v1/vault/open", "/v1/accounts"),
    *("/v1/public/{sph}/log", "/v1/public/{sph}/attach/{h}", "/v1/public/{sph}/items"),
}


def _spent(stage: Stage, method: str, path: str, granted: bool) -> bool:
    """A request that an earlier caller of this row has already answered."""
    return granted and (method, path) in (("delete", "/v1/spheres/{sph}/joins/{h}"), ("delete", "/v1/joins/{h}"))


async def _follow(stage: Stage, body: dict[str, Any]) -> None:
    """The checkpoint stands: the room goes on from it."""
    from cloister.protocol import entry, machine

    room = stage.kit.room
    assert room is not None
    assert room.state is not None
    assert room.history is not None
    for compact in body["entries"]:
        room.state = machine.apply(room.state, entry.decode(compact))
        room.history.append(room.state)


async def test_public_reading_is_for_everybody_while_public(kit: Kit) -> None:
    room = await kit.populate(2)
    paths = [f"/v1/public/{room.sph}/{rest}" for rest in ("log?from=0", "items")]
    assert {(await kit.ask("GET", path)).body for path in paths} == {FORBIDDEN}
    await kit.commit(room.owner, room.draft(room.owner, compose.SetMode("public")))
    assert {(await kit.ask("GET", path)).status for path in paths} == {200}
    assert (await kit.ask("GET", f"/v1/spheres/{room.sph}/items")).status == 401
    # API-027: reading only
    refused = await kit.ask("POST", f"/v1/spheres/{room.sph}/messages", {"jws": "a.b.c"})
    assert refused.status == 401
