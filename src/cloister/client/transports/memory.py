"""A relay inside this process: drives any ASGI application without a socket.

``MemoryRelay`` owns the application's lifespan; each ``transport()`` is one machine talking to it. Requests run in the
caller's task, so a scenario needs no sleep and no port. The application is an argument: nothing of the server is
imported here.

Spec: CLT-025 (ASGI 3.0).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Self

from cloister.client.transports.base import Answer
from cloister.errors import Unreachable

Message = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]


class MemoryRelay:
    """Runs an ASGI application's lifespan; enter with ``async with``."""

    def __init__(self, app: App, origin: str = "http://localhost:8420") -> None:
        self.app = app
        self.origin = origin
        self.up = True
        self._inbound: asyncio.Queue[Message] = asyncio.Queue()
        self._outbound: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._sockets: set[MemorySocket] = set()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._lifespan())
        await self._inbound.put({"type": "lifespan.startup"})
        started = await self._outbound.get()
        if started["type"] == "lifespan.startup.failed":
            raise RuntimeError(started.get("message", "the application did not start"))
        return self

    async def __aexit__(self, *_: object) -> None:
        for socket in list(self._sockets):
            await socket.close()
        await self._inbound.put({"type": "lifespan.shutdown"})
        if self._task is not None:
            await self._outbound.get()
            await self._task

    async def _lifespan(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": {},
        }
        try:
            await self.app(scope, self._inbound.get, self._outbound.put)
        except Exception as error:  # noqa: BLE001 - whatever the application raises ends this connection only
            await self._outbound.put({"type": "lifespan.startup.failed", "message": repr(error)})

    def transport(self, address: str = "127.0.0.1") -> MemoryTransport:
        """A transport as seen from ``address``."""
        return MemoryTransport(self, address)

    async def sever(self) -> None:
        """Cut every live connection (a restart, a cable)."""
        for socket in list(self._sockets):
            await socket.cut()


class MemoryTransport:
    """One machine's way to a MemoryRelay. ``up`` False plays a missing network."""

    def __init__(self, relay: MemoryRelay, address: str) -> None:
        self.relay = relay
        self.address = address
        self.up = True

    @property
    def origin(self) -> str:
        return self.relay.origin

    def _scope(self, kind: str, path: str, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
        if not (self.up and self.relay.up):
            raise Unreachable("no route to the relay")
        where, _, query = path.partition("?")
        host = self.origin.partition("://")[2]
        name, _, port = host.partition(":")
        secure = self.origin.startswith("https")
        scheme = {"http": ("http", "https"), "websocket": ("ws", "wss")}[kind][secure]
        return {
            "type": kind,
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "scheme": scheme,
            "path": where,
            "raw_path": where.encode("ascii"),
            "query_string": query.encode("ascii"),
            "root_path": "",
            "headers": [(b"host", host.encode("ascii")), *headers],
            "client": (self.address, 50000),
            "server": (name, int(port or (443 if secure else 80))),
            "state": {},
        }

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Run one request to its end in this task."""
        sent = [(b"accept", b"application/json")]
        sent += [(k.lower().encode("ascii"), v.encode("ascii")) for k, v in (headers or {}).items()]
        if token is not None:
            sent.append((b"authorization", b"Bearer " + token.encode("ascii")))
        if body is not None:
            sent += [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
            ]
        scope = {**self._scope("http", path, sent), "method": method}
        pending: list[Message] = [{"type": "http.request", "body": body or b"", "more_body": False}]
        gone = asyncio.Event()
        status, head, parts = 0, {}, []

        async def receive() -> Message:
            if pending:
                return pending.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            nonlocal status, head
            if message["type"] == "http.response.start":
                status = message["status"]
                head = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in message.get("headers", [])}
            elif message["type"] == "http.response.body":
                parts.append(bytes(message.get("body", b"")))
                if not message.get("more_body", False):
                    gone.set()

        await self.relay.app(scope, receive, send)
        if not status:
            raise Unreachable("the relay gave no answer")
        return Answer(status, b"".join(parts), head)

    async def connect(self, path: str) -> MemorySocket:
        """Open a WebSocket scope and wait until it is accepted."""
        socket = MemorySocket(self.relay)
        await socket.open(self._scope("websocket", path, []) | {"subprotocols": []})
        return socket

    async def close(self) -> None:
        """Nothing is kept."""


class MemorySocket:
    """One WebSocket scope."""

    def __init__(self, relay: MemoryRelay) -> None:
        self._relay = relay
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def open(self, scope: dict[str, Any]) -> None:
        """Start the application's side. Raises Unreachable when it refuses."""
        self._task = asyncio.create_task(self._run(scope))
        await self._to_app.put({"type": "websocket.connect"})
        first = await self._from_app.get()
        if first["type"] != "websocket.accept":
            raise Unreachable("the relay refused the live connection")
        self._relay._sockets.add(self)

    async def _run(self, scope: dict[str, Any]) -> None:
        try:
            await self._relay.app(scope, self._to_app.get, self._from_app.put)
        except Exception as error:  # noqa: BLE001 - whatever the application raises ends this connection only
            await self._from_app.put(
                {
                    "type": "websocket.close",
                    "code": 1011,
                    "reason": type(error).__name__,
                }
            )
        await self._from_app.put({"type": "websocket.close", "code": 1006})

    async def send(self, text: str) -> None:
        """Send one frame."""
        if self._closed:
            raise Unreachable("live connection closed")
        await self._to_app.put({"type": "websocket.receive", "text": text})

    async def receive(self) -> str:
        """Next frame as text."""
        if self._closed and self._from_app.empty():
            raise Unreachable("live connection closed")
        message = await self._from_app.get()
        if message["type"] != "websocket.send":
            self._closed = True
            raise Unreachable(f"live connection ended ({message.get('code', 1006)})")
        text = message.get("text")
        return text if text is not None else bytes(message["bytes"]).decode()

    async def cut(self) -> None:
        """Break without a goodbye, as a network does."""
        await self._to_app.put({"type": "websocket.disconnect", "code": 1006})
        await self._from_app.put({"type": "websocket.close", "code": 1006})
        self._relay._sockets.discard(self)

    async def close(self) -> None:
        """Close and wait until the application's side ends."""
        if not self._closed:
            self._closed = True
            await self._to_app.put({"type": "websocket.disconnect", "code": 1000})
        self._relay._sockets.discard(self)
        if self._task is not None and self._task is not asyncio.current_task():
            await asyncio.wait({self._task}, timeout=5)
            if not self._task.done():
                self._task.cancel()
