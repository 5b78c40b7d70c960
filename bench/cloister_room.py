"""Our relay as a target: `cloister serve` itself, n accounts in one encrypted sphere, messages signed beforehand.

Each member subscribes to the sphere on the live connection and sends on it. A message is an envelope whose encrypted
payload has the 1,024 bytes of the other targets plus its 16-byte tag; with its header, signature and base64 it is about
2 kB on the wire, twice what the others carry. Every envelope is signed, chained and checked as in production; only the
limits per address and account are off, because all members come from one address.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench import wire
from bench.load import BODY, Load
from cloister.client.relay import Relay
from cloister.client.transports.memory import MemoryRelay
from cloister.server.app import create_app
from cloister.server.settings import Settings
from tests.crowd import Bot, Room, gather, opaque_messages

TAG = 16
FRESH = 300  # seconds for which signed messages are used again: the relay bounds how far iat may be off
FOUND = re.compile(rb'"jws":"([^"]*)"')


@dataclass
class Prepared:
    folder: Path
    room: Room
    bots: list[Bot]
    signed: list[list[bytes]]
    at: float


_cache: dict[int, Prepared] = {}


async def _populate(n: int) -> Prepared:
    folder = Path(tempfile.mkdtemp(prefix=f"bench-room-{n}-"))
    app = create_app(Settings(data=folder, signup="open", rate_address=0, rate_account=0))
    async with MemoryRelay(app) as memory:
        room, bots = await gather(Relay(memory.transport()), n, app.relay.setup_code)
    return Prepared(folder, room, bots, [], 0.0)


async def prepare(folder: Path, n: int, messages: int) -> int:
    """Fill the folder with a populated database and sign ``messages`` for each member; returns how many there are."""
    if n not in _cache:
        _cache[n] = await _populate(n)
    mine = _cache[n]
    shutil.copytree(mine.folder, folder, dirs_exist_ok=True)
    if not mine.signed or len(mine.signed[0]) < messages or time.time() - mine.at > FRESH:
        mine.signed = [
            [b'"jws":"' + one.encode() + b'"}]' for one in opaque_messages(mine.room, bot, messages, BODY + TAG)]
            for bot in mine.bots
        ]
        mine.at = time.time()
    return len(mine.signed[0])


def command(folder: Path, port: int) -> list[str]:
    """`cloister serve` with the limits per address and account off."""
    serve = [sys.executable, "-m", "cloister.cli", "serve", "--data", str(folder), "--listen", f"127.0.0.1:{port}"]
    return [*serve, "--rate-address", "0", "--rate-account", "0"]


class CloisterMember:
    """A message is acknowledged when the relay says ok, which it does after the commit."""

    def __init__(self, load: Load, i: int, mine: Prepared) -> None:
        self.load, self.i = load, i
        self.bot, self.signed = mine.bots[i], mine.signed[i]
        self.look = i < load.sample
        self.subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.which: dict[bytes, tuple[int, int]] = {}

    async def enter(self, port: int, sph: str, pos: int) -> None:
        self.socket = await wire.connect("127.0.0.1", port, "/v1/socket", self.got)
        self.socket.write(f'[{{"t":"auth","token":"{self.bot.token}"}}]'.encode())
        self.socket.write(f'[{{"t":"sub","i":0,"streams":{{"{sph}":{pos}}}}}]'.encode())
        await asyncio.wait_for(self.subscribed, 30)

    def say(self, k: int) -> None:
        self.socket.write(b'[{"t":"send","i":%d,' % k + self.signed[k])

    def got(self, data: bytes) -> None:
        load = self.load
        if not self.subscribed.done():
            if b'"t":"live"' in data:
                self.subscribed.set_result(None)
            return
        if b'"t":"err"' in data:
            load.faults.append(data[data.find(b'"t":"err"') :][:200].decode())
            load.stopping = True
        if self.look:
            which = self.which
            for jws in FOUND.findall(data):
                load.arrived(self.i, *which[jws[-24:]])
        else:
            load.counted(self.i, data.count(b'"jws":"'))
        if b'"t":"ok"' in data:
            load.acked(self.i)


async def enter(load: Load, port: int, folder: Path) -> None:
    """All members connect and subscribe from the head of the stream on."""
    mine = _cache[load.n]
    which = {one[-27:-3]: (i, k) for i, signed in enumerate(mine.signed) for k, one in enumerate(signed)}
    head = mine.room.state.seq + 1 if mine.room.state else 0
    for i in range(load.n):
        member = CloisterMember(load, i, mine)
        member.which = which
        await member.enter(port, mine.room.sph, head)
        load.members.append(member)
    os.sched_yield()
