"""The outermost layer: limits before anything else, headers on everything, one door for the live connection.

Every request passes here first, also those that nothing answers: the address's rate, the number of connections, the
size of headers and body are judged before any handler runs, and every response carries the security headers. The
files of the browser application are answered here; without them ``/``, ``/j`` and ``/p`` show a page without scripts.

Knows ASGI. Refuses to know accounts, spheres and envelopes.

Spec: API-002, API-003, API-005, API-006, LIM-001, LIM-003, LIM-004, WEB-001.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import msgspec
import structlog

from cloister.errors import Busy, CloisterError, RelayError, TooLarge
from cloister.server import bundle, records, socket, upkeep
from cloister.server.core import Relay
from cloister.server.headers import security_headers
from cloister.server.metrics import Metrics
from cloister.server.pages import PAGES

log = structlog.get_logger("cloister.http")

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

MAX_HEADERS: Final = 16 * 1024
# A body that stops arriving for this long is given up.
BODY_SECONDS: Final = 30
_JSON: Final = (b"content-type", b"application/json")
_NO_STORE: Final = (b"cache-control", b"no-store")
_HTML: Final = (b"content-type", b"text/html; charset=utf-8")
_TEXT: Final = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")


class Shell:
    """The relay's ASGI application. ``relay`` is opened and closed by the lifespan."""

    def __init__(self, relay: Relay, app: App, files: bundle.Bundle) -> None:
        self.relay = relay
        self._app = app
        self._headers = security_headers(https=relay.settings.tls != "off")
        self._trusted = [ipaddress.ip_network(one, strict=False) for one in relay.settings.trusted_proxies]
        self._stopping = False
        self._bundle = files
        self.metrics = Metrics(relay)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await self._lifespan(receive, send)
        elif kind == "http":
            await self._http(scope, receive, send)
        elif kind == "websocket":
            await self._websocket(scope, receive, send)

    async def farewell(self) -> None:
        """Refuse new work and close every live connection with 1001; returns when they are gone (STR-018)."""
        self._stopping = True
        for listener in self.relay.hub.everyone():
            if isinstance(listener, socket.Socket):
                listener.stop(records.STOPPING)
        for _ in range(200):
            if not self.relay.hub.sockets:
                return
            await asyncio.sleep(0.01)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            if not self.relay.ready:
                self.relay.open()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
            raise
        self._stopping = False
        chores = [asyncio.create_task(one(self.relay)) for one in (upkeep.forever, upkeep.checkpoints)]
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.farewell()
        for one in chores:
            one.cancel()
        await asyncio.gather(*chores, return_exceptions=True)
        await self.relay.close()
        await send({"type": "lifespan.shutdown.complete"})

    # --- requests ---

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        status = 500

        async def out(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *self._headers]
                if scope["path"].startswith("/v1"):
                    message["headers"].append(_NO_STORE)
            await send(message)

        entered = False
        try:
            self._admit(scope)
            self.relay.connections.enter()
            entered = True
            page = self._page(scope)
            if page is not None:
                await _answer(out, page[0], page[1], *page[2])
            else:
                await self._app(scope, _bounded(receive, self.relay.settings.max_body), out)
        except RelayError as fault:
            await _refuse(out, fault)
        finally:
            if entered:
                self.relay.connections.leave()
            self.metrics.request(scope["method"], status, time.perf_counter() - began)
            log.info("request", method=scope["method"], path=_shown(scope["path"]), status=status)

    def _admit(self, scope: Scope) -> None:
        """Limits by what is known before the body (LIM-001, LIM-003). Raises RelayError."""
        if self._stopping:
            raise Busy("stopping", retry_after=5)
        address = self.address(scope)
        scope.setdefault("state", {})["address"] = address
        self.relay.by_address.take(address)
        size = 0
        for name, value in scope["headers"]:
            size += len(name) + len(value)
            if name == b"content-length" and _number(value) > self.relay.settings.max_body:
                raise TooLarge("body")
        if size + len(scope.get("query_string", b"")) > MAX_HEADERS:
            raise TooLarge("header")

    def address(self, scope: Scope) -> str:
        """Whose request it is: the peer, or what a trusted proxy says (LIM-001)."""
        client = scope.get("client")
        peer = str(client[0]) if client else "local"
        if self.relay.settings.tls != "proxy" or not self._believed(peer):
            return peer
        said = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        for one in reversed(b",".join(said).decode("latin-1").split(",")):
            if one.strip() and not self._believed(one.strip()):
                return one.strip()[:64]
        return peer

    def _believed(self, address: str) -> bool:
        try:
            return any(ipaddress.ip_address(address) in network for network in self._trusted)
        except ValueError:
            return False

    def _page(self, scope: Scope) -> tuple[int, bytes, tuple[bundle.Pair, ...]] | None:
        if scope["method"] not in ("GET", "HEAD"):
            return None
        path = scope["path"]
        file = self._bundle.get(path)
        if file is not None:
            return file.answer(_said(scope, b"accept-encoding"), _said(scope, b"if-none-match"))
        if path in PAGES:
            return 200, PAGES[path], (_HTML,)
        if path == "/metrics" and self.relay.settings.metrics:
            return 200, self.metrics.text(), (_TEXT,)
        return None

    # --- the live connection ---

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._admit(scope)
            if scope["path"] != socket.PATH or not self._origin_fits(scope):
                raise Busy("no such socket")
            self.relay.connections.enter()
        except RelayError:
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            await socket.serve(self.relay, scope, receive, send)
        except CloisterError as fault:
            log.warning("socket failed", code=fault.code)
            await send({"type": "websocket.close", "code": 1011})
        finally:
            self.relay.connections.leave()

    def _origin_fits(self, scope: Scope) -> bool:
        """A browser names the page's origin; a foreign page may not connect (API-006)."""
        for name, value in scope["headers"]:
            if name == b"origin" and value.decode("latin-1") not in self.relay.origins:
                return False
        return True


def _bounded(receive: Receive, limit: int) -> Receive:
    """``receive`` that refuses a body larger than ``limit`` bytes while it arrives, or one that stalls (LIM-003)."""
    size, whole = 0, False

    async def bounded() -> Message:
        nonlocal size, whole
        if whole:
            return await receive()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                message = await receive()
        except TimeoutError:
            return {"type": "http.disconnect"}
        size += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if size > limit:
            raise TooLarge("body")
        return message

    return bounded


def _said(scope: Scope, name: bytes) -> bytes:
    return b",".join(value for one, value in scope["headers"] if one == name)


def _number(value: bytes) -> int:
    return int(value) if value.isdigit() else 0


def _shown(path: str) -> str:
    """A path for the log: names shortened, so that a log tells no membership."""
    return "/".join(part if len(part) < 24 else part[:8] + "…" for part in path.split("/"))


async def _answer(send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


async def _refuse(send: Send, fault: RelayError) -> None:
    again = () if fault.retry_after is None else ((b"retry-after", str(max(1, round(fault.retry_after))).encode()),)
    await _answer(send, fault.status, msgspec.json.encode(fault.as_wire()), _JSON, *again)
