"""A relay that lies: an ASGI application around the true one that rewrites what clients are told.

``LyingRelay`` changes HTTP answers, live frames and requests by rules that a test adds; ``SplitRelay`` shows different
relays to different addresses, for forks. The relay underneath is the real one, so everything that is not lied about is
as in production.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
App = Callable[[Any, Receive, Send], Awaitable[None]]

Body = Any
Lie = Callable[[Body], Body]
"""Maps a parsed JSON answer to what is told instead; returning None drops a frame."""


@dataclass
class Call:
    """One request as the relay saw it, for assertions about what a client sent."""

    address: str
    method: str
    path: str
    body: bytes


@dataclass
class LyingRelay:
    """The application given to ``MemoryRelay``. Rules match ``METHOD /path`` as a regular expression."""

    app: App
    answers: list[tuple[re.Pattern[str], Lie, str | None]] = field(default_factory=list)
    frames: list[tuple[Lie, str | None]] = field(default_factory=list)
    dropped: list[tuple[re.Pattern[str], str | None]] = field(default_factory=list)
    forged: list[tuple[re.Pattern[str], Callable[[bytes], Body], str | None]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    lies: int = 0

    def lie(self, pattern: str, to: Lie, *, address: str | None = None) -> None:
        """Rewrite matching answers (status 2xx only), for one address or for all."""
        self.answers.append((re.compile(pattern), to, address))

    def lie_live(self, to: Lie, *, address: str | None = None) -> None:
        """Rewrite every frame sent to clients."""
        self.frames.append((to, address))

    def drop_answer(self, pattern: str, *, address: str | None = None) -> None:
        """Perform matching requests but never answer them: a lost acknowledgement."""
        self.dropped.append((re.compile(pattern), address))

    def forge(self, pattern: str, answer: Callable[[bytes], Body], *, address: str | None = None) -> None:
        """Answer matching requests without asking the relay: ``answer`` maps the request's body to a 200 body."""
        self.forged.append((re.compile(pattern), answer, address))

    def honest(self) -> None:
        """Forget every rule."""
        self.forged.clear()
        self.answers.clear()
        self.frames.clear()
        self.dropped.clear()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._live(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _http(self, scope: Any, receive: Receive, send: Send) -> None:
        address = scope["client"][0]
        query = scope["query_string"].decode()
        what = f"{scope['method']} {scope['path']}" + (f"?{query}" if query else "")
        sent = bytearray()
        start: Message = {}
        parts = bytearray()

        async def spy() -> Message:
            message = await receive()
            sent.extend(message.get("body", b""))
            return message

        async def hold(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                parts.extend(message.get("body", b""))

        forger = next((f for rule, f, who in self.forged if rule.search(what) and who in (None, address)), None)
        if forger is None:
            await self.app(scope, spy, hold)
        else:
            while (await spy()).get("more_body"):
                pass
            start.update({"type": "http.response.start", "status": 200, "headers": []})
            parts.extend(json.dumps(forger(bytes(sent)), separators=(",", ":")).encode())
            self.lies += 1
        self.calls.append(Call(address, scope["method"], scope["path"], bytes(sent)))
        if any(rule.search(what) and who in (None, address) for rule, who in self.dropped):
            return
        body = bytes(parts)
        if start["status"] < 300:
            for rule, to, who in self.answers:
                if rule.search(what) and who in (None, address):
                    changed = json.dumps(to(json.loads(body)), separators=(",", ":"), ensure_ascii=False).encode()
                    self.lies += changed != body
                    body = changed
        head = [(k, v) for k, v in start["headers"] if k.lower() != b"content-length"]
        await send({**start, "headers": [*head, (b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _live(self, scope: Any, receive: Receive, send: Send) -> None:
        address = scope["client"][0]

        async def tell(message: Message) -> None:
            if message["type"] == "websocket.send":
                raw = message.get("text") or bytes(message["bytes"]).decode()
                frame = json.loads(raw)
                for to, who in self.frames:
                    if who in (None, address) and frame is not None:
                        frame = to(frame)
                if frame is None:
                    self.lies += 1
                    return
                text = json.dumps(frame, separators=(",", ":"), ensure_ascii=False)
                self.lies += bool(self.frames) and text != raw
                message = {"type": "websocket.send", "text": text}
            await send(message)

        await self.app(scope, receive, tell)


@dataclass
class SplitRelay:
    """Shows ``other`` to the addresses in ``to_other`` and ``one`` to everybody else."""

    one: App
    other: App
    to_other: set[str]

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        app = self.other if client is not None and client[0] in self.to_other else self.one
        await app(scope, receive, send)
