"""Transports: the in-memory relay, and what the network transport refuses."""

from __future__ import annotations

from typing import Any

import pytest

from cloister.client.transports.http import HttpTransport, is_loopback
from cloister.client.transports.memory import MemoryRelay
from cloister.errors import Unreachable, UsageError


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """A small ASGI application."""
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
    elif scope["type"] == "http":
        body = (await receive())["body"]
        auth = dict(scope["headers"]).get(b"authorization", b"")
        text = b" ".join([scope["method"].encode(), scope["path"].encode(), scope["query_string"], auth, body])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"X-One", b"1")]})
        await send({"type": "http.response.body", "body": text[:5], "more_body": True})
        await send({"type": "http.response.body", "body": text[5:]})
    else:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"].upper()})


async def test_memory_requests_and_live_connection() -> None:
    """CLT-025."""
    async with MemoryRelay(echo) as relay:
        transport = relay.transport()
        answer = await transport.request("POST", "/v1/x?limit=2", b"hi", token="t0k")
        assert (answer.status, answer.headers["x-one"]) == (200, "1")
        assert answer.body == b"POST /v1/x limit=2 Bearer t0k hi"
        socket = await transport.connect("/v1/socket")
        await socket.send("a")
        assert await socket.receive() == "A"
        await relay.sever()
        with pytest.raises(Unreachable):
            await socket.receive()
        transport.up = False
        with pytest.raises(Unreachable):
            await transport.request("GET", "/")


@pytest.mark.parametrize("bad", ["", "host", "ftp://host", "https://u:p@host", "https://h:x", "https://h?q"])
def test_what_is_no_address(bad: str) -> None:
    """CLT-026."""
    with pytest.raises(UsageError):
        HttpTransport(bad)


@pytest.mark.parametrize("url", ["http://host.example", "http://192.168.1.9", "http://127.0.0.1.example"])
def test_plain_http_is_for_this_machine_only(url: str) -> None:
    """CLT-026."""
    assert not is_loopback(url)
    with pytest.raises(UsageError):
        HttpTransport(url)
    HttpTransport(url, allow_http=True)


def test_loopback_addresses() -> None:
    """CLT-026."""
    assert all(is_loopback(o) for o in ("http://localhost:1", "http://127.0.0.1", "http://[::1]:8", "http://127.9.9.9"))
