"""The short way for plain frames says the same as the long one, and the unusual still goes the long way (STR-010)."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from cloister.client.relay import Relay as Calls
from cloister.client.transports.http import HttpTransport
from cloister.server import line as lines
from cloister.server import run as running
from cloister.server.app import create_app
from cloister.server.line import Line
from cloister.server.settings import Settings
from tests.crowd import Bot, Room, gather
from tests.server.kit import WATCHDOG

TEXT, CONTINUED, CLOSE, PING, PONG = 0x81, 0x80, 0x88, 0x89, 0x8A


def framed(payload: bytes, first: int = TEXT, *, masked: bool = True) -> bytes:
    """One client frame."""
    size, bit = len(payload), 0x80 if masked else 0
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 65536:
        head = bytes((first, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, bit | 127)) + size.to_bytes(8, "big")
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


def said(*records: dict[str, Any]) -> bytes:
    return json.dumps(list(records)).encode()


class Wire:
    """A client that decides about every byte it sends."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.records: list[dict[str, Any]] = []

    async def frame(self) -> tuple[int, bytes]:
        async with asyncio.timeout(WATCHDOG):
            first, size = await self.reader.readexactly(2)
            if size >= 126:
                size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
            return first, await self.reader.readexactly(size)

    async def until(self, kind: str, **match: Any) -> dict[str, Any]:
        while True:
            while self.records:
                record = self.records.pop(0)
                if record["t"] == kind and all(record.get(name) == value for name, value in match.items()):
                    return record
            first, payload = await self.frame()
            assert first == TEXT
            self.records = json.loads(payload)

    async def closed(self) -> int:
        """The close code, whatever comes before it."""
        while True:
            first, payload = await self.frame()
            if first == CLOSE:
                return int.from_bytes(payload[:2], "big")


class House:
    def __init__(self, port: int, app: Any, room: Room, bots: list[Bot]) -> None:
        self.port, self.app, self.room, self.bots = port, app, room, bots

    async def connect(self, bot: Bot, *first: bytes) -> Wire:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(
            b"GET /v1/socket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        wire = Wire(reader, writer)
        writer.write(framed(said({"t": "auth", "token": bot.token})) + b"".join(first))
        await wire.until("ready")
        return wire


@asynccontextmanager
async def serving(folder: Path, **over: Any) -> AsyncIterator[House]:
    """A relay in this process behind a real socket and its own protocol classes."""
    settings = Settings(data=folder, **{"rate_address": 0, "rate_account": 0, "signup": "open", **over})
    app = create_app(settings)
    config = uvicorn.Config(
        app, http=running.GuardedProtocol, ws=Line, ws_max_size=running.MAX_FRAME, ws_per_message_deflate=False,
        lifespan="on", log_config=None, port=0, timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    sockets = running.listen(Settings(data=folder, listen="127.0.0.1:0"))
    task = asyncio.create_task(server._serve(sockets))
    port = sockets[0].getsockname()[1]
    transport = HttpTransport(f"http://127.0.0.1:{port}")
    try:
        async with asyncio.timeout(WATCHDOG):
            while not server.started:
                await asyncio.sleep(0)
        room, bots = await gather(Calls(transport), 2, app.relay.setup_code)
        yield House(port, app, room, bots)
    finally:
        await transport.close()
        server.should_exit = True
        await task


async def talk(wire: Wire, house: House, words: str, cut: Any) -> int:
    """Send the second bot's next message by ``cut(payload)`` and return its position."""
    bot = house.bots[1]
    compact = house.room.say(bot, words)
    for part in cut(said({"t": "send", "i": 9, "jws": compact})):
        wire.writer.write(part)
        await wire.writer.drain()
        await asyncio.sleep(0)
    house.room.said(bot, compact)
    return int((await wire.until("ok", i=9))["pos"])


def whole(payload: bytes) -> list[bytes]:
    return [framed(payload)]


def byte_by_byte(payload: bytes) -> list[bytes]:
    frame = framed(payload)
    return [frame[at : at + 1] for at in range(len(frame))]


def with_a_ping_before(payload: bytes) -> list[bytes]:
    return [framed(b"", PONG) + framed(payload)]


def fragments(payload: bytes) -> list[bytes]:
    return [framed(payload[:70], 0x01), framed(b"", PONG), framed(payload[70:], CONTINUED)]


@pytest.mark.parametrize("cut", [whole, byte_by_byte, with_a_ping_before, fragments])
async def test_however_a_message_is_cut_it_is_taken_once(tmp_path: Path, cut: Any) -> None:
    async with serving(tmp_path) as house:
        wire = await house.connect(house.bots[1])
        head = house.room.state.seq + 1 if house.room.state else 0
        for n, words in enumerate(("short", "long " * 15_000, "short again"), 1):
            assert await talk(wire, house, words, cut if n != 2 or cut is not byte_by_byte else whole) == head + n
        wire.writer.close()


async def test_what_follows_the_first_frame_at_once_is_heard_in_order(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        sph, bot = house.room.sph, house.bots[1]
        compacts = []
        for n in range(5):
            compacts.append(house.room.say(bot, f"{n}"))
            house.room.said(bot, compacts[-1])
        sends = [framed(said({"t": "send", "i": n, "jws": one})) for n, one in enumerate(compacts, 1)]
        subscribe = framed(said({"t": "sub", "i": 100, "streams": {sph: 0}}))
        wire = await house.connect(bot, sends[0], subscribe, *sends[1:])
        head = house.room.state.seq + 1 if house.room.state else 0
        found: list[int] = []
        while not found or found[-1] < head + 5:
            found.append((await wire.until("item", s=sph))["pos"])
        assert found == list(range(1, head + 6))  # STR-013
        wire.writer.close()


async def test_long_records_arrive_as_they_were_sent_beside_short_ones(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        sph, bot = house.room.sph, house.bots[1]
        wire = await house.connect(bot, framed(said({"t": "sub", "i": 1, "streams": {sph: 0}})))
        await wire.until("live", s=sph)
        compacts = []
        for size in (10, lines.LARGE, 10, 20 * lines.LARGE):
            compacts.append(house.room.say(bot, "x" * size))
            house.room.said(bot, compacts[-1])
        wire.writer.write(b"".join(framed(said({"t": "send", "i": n, "jws": one})) for n, one in enumerate(compacts)))
        found = [await wire.until("item", s=sph, jws=one) for one in compacts]
        assert [one["pos"] - found[0]["pos"] for one in found] == [0, 1, 2, 3]  # STR-010, STR-013
        await wire.until("ok", i=3)
        wire.writer.close()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (framed(b"[1"), 4002),  # STR-018
        (framed(b'[{"t":"unsub","i":1,"streams":["\xff"]}]'), 4002),
        (framed(b"[]", masked=False), 1002),  # RFC 6455 5.1
        (framed(b"[]", 0xC1), 1002),  # a bit nobody agreed on
        (framed(b"", CONTINUED), 1002),
        (framed(bytes(126), PING), 1002),
        (bytes((TEXT, 0xFF)) + (2**21).to_bytes(8, "big") + bytes(4), 1009),  # refused by its announced length
    ],
    ids=["no array", "no text", "bare", "reserved bit", "nothing to continue", "long ping", "too long"],
)
async def test_what_is_no_plain_frame_ends_as_before(tmp_path: Path, data: bytes, code: int) -> None:
    async with serving(tmp_path) as house:
        wire = await house.connect(house.bots[0])
        wire.writer.write(data)
        assert await wire.closed() == code
        assert house.app.relay.ready


async def test_pings_are_answered_between_messages(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        wire = await house.connect(house.bots[0])
        unsub = framed(said({"t": "unsub", "i": 1, "streams": []}))
        wire.writer.write(unsub + framed(b"are you there", PING) + unsub)
        seen = dict([await wire.frame() for _ in range(2)])
        assert seen[PONG] == b"are you there"
        assert json.loads(seen[TEXT])[0] == {"t": "ok", "i": 1}


async def test_a_reader_that_stops_is_cut_off_and_others_are_not(tmp_path: Path) -> None:
    async with serving(tmp_path, socket_queue=262_144) as house:
        sph = house.room.sph
        slow = await house.connect(house.bots[0], framed(said({"t": "sub", "i": 1, "streams": {sph: 0}})))
        await slow.until("live")
        slow.reader._transport.pause_reading()  # type: ignore[attr-defined]
        wire = await house.connect(house.bots[1])
        for n in range(200):
            if house.app.relay.hub.sockets == 1:
                break
            await talk(wire, house, f"{n} " + "x" * 60_000, whole)
        assert house.app.relay.hub.sockets == 1  # STR-016
        assert await talk(wire, house, "goes on", whole) > 0
        slow.writer.transport.abort()
        wire.writer.close()


def test_a_frame_is_as_long_as_it_says() -> None:
    for size in (1, 124, 125, 126, 65535, 65536, 300_000):
        head = lines._head(size)
        assert head[:1] == bytes((TEXT,))
        assert head[-1:] == b"["
        told = head[1] if head[1] < 126 else int.from_bytes(head[2:-1], "big")
        assert told == size
