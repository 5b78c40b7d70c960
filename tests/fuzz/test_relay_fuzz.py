"""Every body, path, query and frame a client can send, damaged: the relay refuses in its own words and stays up.

Allowed are 2xx and the refusals of the taxonomy; never E_INTERNAL, never an answer that is no JSON, never an exception
in the log. Afterwards the database is sound and an honest member can still speak. Rules: ERR-002, API-002, STR-010.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import secrets
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from structlog.testing import capture_logs

from cloister.account import srp
from cloister.client.relay import Relay
from cloister.client.transports.memory import MemoryRelay, MemorySocket
from cloister.errors import RelayError, Unreachable, all_subclasses
from cloister.protocol import api, jws
from cloister.protocol.encoding import b64e, json_emit
from cloister.server.app import create_app
from cloister.server.settings import Settings
from cloister.sphere import compose, meta
from tests.crowd import Bot, Room, body_of, gather, new_bot
from tests.fuzz.mutate import TOKENS, Mutator
from tests.fuzz.test_fuzz import DEEP

REQUESTS, FRAMES = 3500, 2500
WATCHDOG = 30.0
CODES = set(all_subclasses(RelayError))


@dataclass
class Stage:
    """A relay in this process with three members of one sphere, and requests that would be accepted."""

    memory: MemoryRelay
    room: Room
    bots: list[Bot]
    requests: list[tuple[str, str, bytes | None, str]]

    @property
    def transport(self) -> Any:
        return self.memory.transport()

    def sign(self, typ: str, header: dict[str, Any], signing_input: bytes) -> bytes:
        """Sign again as whoever is named, as the first bot else."""
        bot = next((bot for bot in self.bots if bot.dv == header.get("kid")), self.bots[0])
        return bot.author.signer(signing_input)


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    settings = Settings(data=folder, signup="open", rate_address=0, rate_account=0, auth_tries=1_000_000)
    app = create_app(settings)
    async with MemoryRelay(app) as memory:
        relay = Relay(memory.transport())
        room, bots = await gather(relay, 3, app.relay.setup_code)
        yield Stage(memory, room, bots, list(good_requests(room, bots)))


def good_requests(room: Room, bots: list[Bot]) -> Iterator[tuple[str, str, bytes | None, str]]:
    """(method, path, body, token) for every endpoint, most of them acceptable."""
    ada, bo, cy = bots
    sph, token, h = room.sph, ada.token, b64e(bytes(32))
    letter = {"k": "ask", "sph": sph, "iat": int(time.time()), "jti": b64e(os.urandom(16)), "ns": [1]}
    say = api.Send(room.say(bo, "words"))
    outsider = new_bot("outsider", "http://localhost:8420", bytes(16))
    rows: list[tuple[str, str, Any, str]] = [
        ("POST", f"/spheres/{sph}/messages", say, bo.token),
        ("POST", f"/spheres/{sph}/commits", body_of(room.draft(ada, compose.Rotate())), token),
        ("POST", f"/spheres/{sph}/commits", body_of(room.draft(ada, compose.SetMeta(meta.Text("Other")))), token),
        ("POST", "/spheres", body_of(Room(cy).create()), cy.token),
        ("POST", "/accounts", json_emit(outsider.body), ""),
        ("POST", "/joins", api.NewJoin(outsider.wants_in(sph, int(time.time()))), cy.token),
        ("POST", f"/spheres/{sph}/joins/{h}/card", {"ik": {}, "cert": ada.first.cert}, token),
        (
            "POST",
            "/inbox",
            api.PostInbox([bo.dv, cy.dv], jws.sign("sph-p2p+1", {"kid": ada.dv}, letter, ada.author.signer)),
            token,
        ),
        ("PUT", f"/slots/e.{sph}.1", api.PutSlot(1, b64e(os.urandom(60))), token),
        ("PUT", "/slots/state", api.PutSlot(1, b64e(os.urandom(600)), 2), token),
        ("PUT", "/account/roots", api.NewRoots(1, b64e(bytes(60)), b64e(bytes(60)), 1, []), token),
        ("POST", "/auth/start", api.AuthStart("m1", b64e(srp.start(os.urandom).public)), ""),
        ("POST", "/auth/finish", api.AuthFinish(b64e(bytes(16)), h), ""),
        ("POST", "/auth/device", api.AuthDevice(room.say(bo, "no answer to a challenge")), ""),
        ("POST", "/devices", api.NewDevice(ada.first.cert, ada.first.entry), token),
        ("POST", f"/devices/{bo.dv}/revoke", api.RevokeDevice(ada.first.entry), token),
        ("POST", "/vault/enrol", api.VaultEnrol(ada.dv, b64e(ada.new.device.dk), h, h), token),
        ("POST", "/vault/nonce", api.VaultNonce(ada.dv), ""),
        ("POST", "/vault/open", api.VaultOpen(ada.dv, h, h, b64e(bytes(64))), ""),
        ("PUT", f"/admin/users/{bo.id}", api.Suspend(False), token),
        ("PUT", "/admin/signup", api.Signup("open", True), token),
        ("POST", "/admin/tickets", api.NewTicket(1, 3600), token),
    ]
    for method, path, body, who in rows:
        yield method, path, body if isinstance(body, bytes) else msgspec.json.encode(body), who
    for path in (
        *("/server", "/auth/nonce", "/account", "/account/roots", "/slots?after=e", "/slots/state", f"/klog/{bo.id}"),
        *(f"/joins/{h}", f"/invites/{sph}/{b64e(bytes(16))}", f"/spheres/{sph}/joins", "/spheres", "/inbox?after=0"),
        *(f"/spheres/{sph}/log?from=1&limit=3", f"/spheres/{sph}/items?after=1&limit=2", f"/spheres/{sph}/seen/2"),
        *(f"/spheres/{sph}/items?before=3&limit=2", f"/spheres/{sph}/heads?id={bo.id}", f"/spheres/{sph}/links?to=1"),
        *(
            f"/spheres/{sph}/attach/{h}",
            f"/public/{sph}/items?after=0",
            "/admin/health",
            "/admin/users",
            "/admin/tickets",
        ),
    ):
        yield "GET", path, None, token
    for path in (f"/joins/{h}", "/inbox?upto=1", f"/spheres/{sph}/joins/{h}", f"/auth/session/{b64e(bytes(16))}"):
        yield "DELETE", path, None, token


def rounds(least: int) -> Iterator[int]:
    end = time.monotonic() + DEEP
    for at in itertools.count():
        if at >= least and time.monotonic() >= end:
            return
        yield at


def damaged_path(rng: random.Random, path: str, mutator: Mutator) -> str:
    parts = path.split("/")
    at = rng.randrange(1, len(parts))
    parts[at] = quote(mutator.raw(parts[at].encode())[:300], safe="?=&~-_." if rng.random() < 0.7 else "")
    return "/".join(parts)


def seed_of(name: str) -> int:
    seed = secrets.randbits(64) if DEEP else zlib.crc32(name.encode())
    print(f"seed {seed}")
    return seed


async def test_requests(tmp_path: Path) -> None:
    rng = random.Random(seed_of("requests"))
    async with stage(tmp_path) as here:
        mutator = Mutator(rng, here.sign, [body for _, _, body, _ in here.requests if body])
        others = sorted({method for method, *_ in here.requests} | {"PATCH", "HEAD", "OPTIONS"})
        with capture_logs() as logs:
            for _ in rounds(REQUESTS):
                method, path, body, token = rng.choice(here.requests)
                kind = rng.random()
                if kind < 0.75 and body is not None:
                    body = mutator.mutate(body)
                elif kind < 0.9:
                    path = damaged_path(rng, path, mutator)
                elif kind < 0.95:
                    token = rng.choice(("", "x", token[:-1], token + "A", "é", "\t", "A" * 5000))
                else:
                    method = rng.choice(others)
                headers = {"if-match": mutator.raw(b"1").decode("latin-1")} if rng.random() < 0.2 else None
                await expect_refusal(here, method, path, body, token, headers)
            assert not [one for one in logs if one["log_level"] in ("error", "critical")], logs[-3:]
        await still_up(here, tmp_path)


async def expect_refusal(
    here: Stage, method: str, path: str, body: bytes | None, token: str, headers: dict[str, str] | None
) -> None:
    shown = f"{method} {path[:200]} {(body or b'')[:300]!r} {headers}"
    try:
        call = here.transport.request(
            method, f"/v1{path}", body, token=token.encode("ascii", "replace").decode(), headers=headers
        )
        answer = await asyncio.wait_for(call, WATCHDOG)
    except (UnicodeEncodeError, Unreachable):
        return  # this client cannot even say it
    if answer.status < 300 or method in ("HEAD", "OPTIONS"):
        return
    try:
        refusal = json.loads(answer.body)
    except ValueError:
        raise AssertionError(f"{shown}: {answer.status} {answer.body[:200]!r}") from None
    assert refusal["code"] in CODES - {"E_INTERNAL"}, f"{shown}: {answer.status} {answer.body[:200]!r}"
    assert answer.status in range(400, 504), shown


async def still_up(here: Stage, folder: Path) -> None:
    """An honest member is served as before."""
    late = Relay(here.transport)
    assert (await late.server()).versions == ["sph/1"]
    bot = new_bot(f"late{secrets.token_hex(4)}", late.origin, bytes(16))
    late.token = (await late.sign_up(json_emit(bot.body))).token
    assert (await late.account()).login == bot.login


async def test_frames(tmp_path: Path) -> None:
    rng = random.Random(seed_of("frames"))
    async with stage(tmp_path) as here:
        sph, bots = here.room.sph, here.bots
        good = [
            [{"t": "sub", "i": 1, "streams": {sph: 0, "inbox": 0}}],
            [{"t": "unsub", "i": 2, "streams": [sph]}],
            [{"t": "send", "i": 3, "jws": here.room.say(bots[1], "words")}],
            [{"t": "ack", "i": 4, "pos": 1}],
            [{"t": "sub", "i": 1, "streams": {sph: 3}}, {"t": "ack", "i": 4, "pos": 0}],
        ]
        seeds = [json.dumps(one).encode() for one in good]
        mutator = Mutator(rng, here.sign, [*seeds, *TOKENS])
        with capture_logs() as logs:
            socket: MemorySocket | None = None
            for _ in rounds(FRAMES):
                if socket is None:
                    socket = await here.transport.connect("/v1/socket")
                    first = json.dumps([{"t": "auth", "token": rng.choice(bots).token}]).encode()
                    await put(socket, mutator.mutate(first) if rng.random() < 0.3 else first, rng)
                await put(socket, mutator.mutate(rng.choice(seeds)), rng)
                if rng.random() < 0.2:
                    socket = await drain(socket, close=rng.random() < 0.3)
            if socket is not None:
                await drain(socket, close=True)
            assert not [one for one in logs if one["log_level"] in ("error", "critical", "warning")], logs[-3:]
        await still_up(here, tmp_path)


async def put(socket: MemorySocket, data: bytes, rng: random.Random) -> None:
    """One frame, text when it can be, else binary."""
    try:
        message = {"type": "websocket.receive", "text": data.decode()}
    except UnicodeDecodeError:
        message = {"type": "websocket.receive", "bytes": data}
    if rng.random() < 0.05:
        message = {"type": "websocket.receive", "bytes": data}
    await socket._to_app.put(message)


async def drain(socket: MemorySocket, *, close: bool) -> MemorySocket | None:
    """Read what came; None when the connection ended. A good question is asked last, so there is an answer."""
    await socket._to_app.put({"type": "websocket.receive", "text": '[{"t":"unsub","i":999,"streams":[]}]'})
    try:
        async with asyncio.timeout(WATCHDOG):
            while True:
                for record in json.loads(await socket.receive()):
                    if record["t"] == "err":
                        assert record["code"] in CODES - {"E_INTERNAL"}, record
                    if record.get("i") == 999:
                        if close:
                            await socket.close()
                            return None
                        return socket
    except Unreachable:
        await socket.close()
        return None
