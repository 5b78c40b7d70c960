"""What a relay can do besides rewriting answers: put letters into inboxes, skip its own checks, keep two histories.

Everything here is the relay's part of an attack; no client is changed. ``plant`` writes where an honest relay would
have asked first, ``ForkedRelay`` keeps two copies of the world and moves between them only what the test wants moved.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from cloister import crypto
from cloister.protocol.encoding import b64d, b64e
from cloister.server import inbox
from cloister.server.writer import Batch
from tests.hostile.lying import App, Call, LyingRelay, Message, Receive, Send
from tests.hostile.world import HostileWorld


async def plant(hw: HostileWorld, dv: str, sph: str, compact: str) -> None:
    """Put a letter into a device's inbox without asking whether its sender may write there."""
    letter = inbox.Letter(dv, inbox.P2P, crypto.random_bytes(32), compact)

    def run(batch: Batch) -> None:
        inbox.put(batch, sph, [letter])

    await hw.app.relay.writer.submit(run)


def sent_by(liar: LyingRelay, address: str, since: int = 0) -> list[Call]:
    """What one machine has asked of the relay."""
    return [call for call in liar.calls[since:] if call.address == address]


def spoken(calls: list[Call]) -> list[str]:
    """Every message in these requests, alone or in a commit."""
    found = []
    for call in calls:
        if call.method == "POST" and call.path.endswith("/messages"):
            found.append(json.loads(call.body)["jws"])
        elif call.method == "POST" and call.path.endswith("/commits"):
            found += [json.loads(call.body)["msg"]] if json.loads(call.body).get("msg") else []
    return found


def in_clear(compact: str) -> bool:
    """Whether anybody can read this message."""
    return bool(json.loads(b64d(compact.split(".")[0]))["enc"] == "none")


def flipped(text: str, at: int) -> str:
    """base64url text with one byte of what it stands for changed."""
    data = bytearray(b64d(text))
    data[at] ^= 1
    return b64e(bytes(data))


@dataclass
class ForkedRelay:
    """Two relays behind one address: ``second`` for the machines in ``half``, ``first`` for all others.

    Letters are carried across (``carry``), because a relay that keeps them apart keeps them apart for ever, which no
    client can notice; everything else stays in its half.
    """

    first: App
    second: App
    half: set[str] = field(default_factory=set)
    carry: bool = True

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        here, there = self.first, self.second
        if client is not None and client[0] in self.half:
            here, there = there, here
        if self.carry and scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == "/v1/inbox":
            body = await receive()
            await there({**scope, "state": {}}, _once(body), _nowhere)
            receive = _once(body)
        await here(scope, receive, send)


def _once(body: Message) -> Receive:
    async def receive() -> Message:
        return body

    return receive


async def _nowhere(_: Message) -> None:
    return None
