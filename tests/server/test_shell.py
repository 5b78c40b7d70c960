"""Headers, pages, limits and refusals of the outermost layer (API-002 to API-006, LIM-001 to LIM-004)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from cloister.client.transports.base import Answer
from cloister.server.headers import CSP
from cloister.server.limits import Buckets
from cloister.server.settings import Settings
from tests.server.kit import Kit, running

ALWAYS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
}

POLICIES = {"svelte-trusted-html", "cloister"}  # names of WEB-004, no sources


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/j", 200),
        ("GET", "/p", 200),
        ("GET", "/v1/server", 200),
        ("GET", "/v1/account", 401),
        ("GET", "/nothing/here", 403),
        ("PATCH", "/v1/server", 403),
        ("POST", "/v1/auth/start", 400),
        ("GET", "/metrics", 403),
        ("OPTIONS", "/v1/server", 204),
    ],
)
async def test_every_response_carries_the_headers(kit: Kit, method: str, path: str, status: int) -> None:
    answer = await kit.ask(method, path, headers={"origin": "https://elsewhere.example"})
    assert answer.status == status  # API-003
    assert ALWAYS.items() <= answer.headers.items()  # API-005
    assert not [name for name in answer.headers if name.startswith("access-control")]  # API-006
    if path.startswith("/v1"):
        assert answer.headers["cache-control"] == "no-store"


def test_the_policy_names_no_foreign_origin() -> None:
    sources = {source for part in CSP.split("; ") for source in part.split(" ")[1:]}
    assert sources == {"'none'", "'self'", "'wasm-unsafe-eval'", "'script'", "blob:", *POLICIES}


async def test_without_the_application_pages_hold_no_script(tmp_path: Path) -> None:
    async with running(tmp_path / "data", application=tmp_path) as kit:
        for path in ("/", "/j", "/p"):
            body = (await kit.ask("GET", path)).body.lower()
            assert b"<script" not in body
            assert b"style=" not in body
            assert b"http" not in body  # API-002
        assert b"cloister join" in (await kit.ask("GET", "/j")).body


async def test_https_asks_to_stay(tmp_path: Path) -> None:
    async with running(tmp_path, tls="proxy") as kit:
        assert "strict-transport-security" in (await kit.ask("GET", "/")).headers


async def test_a_large_body_is_refused_before_and_while_it_arrives(tmp_path: Path) -> None:
    async with running(tmp_path, max_body=65536) as kit:
        told = await kit.ask("POST", "/v1/auth/start", b"x" * 65537)
        assert (told.status, json.loads(told.body)) == (413, {"code": "E_TOO_LARGE"})  # LIM-003
        parts = [b'{"login":"' + b"a" * 40_000, b"b" * 40_000, b'"}']
        streamed = await _stream(kit, parts)
        assert (streamed.status, json.loads(streamed.body)) == (413, {"code": "E_TOO_LARGE"})


async def _stream(kit: Kit, parts: list[bytes]) -> Answer:
    """A body without a length, in pieces."""
    scope = kit.memory.transport()._scope("http", "/v1/auth/start", [(b"content-type", b"application/json")])
    waiting = [{"type": "http.request", "body": part, "more_body": n + 1 < len(parts)} for n, part in enumerate(parts)]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await kit.app(scope | {"method": "POST"}, receive, send)
    body = b"".join(one.get("body", b"") for one in sent if one["type"] == "http.response.body")
    return Answer(sent[0]["status"], body, {})


async def test_large_headers_are_refused(kit: Kit) -> None:
    answer = await kit.ask("GET", "/v1/server", headers={"x-filler": "y" * 17_000})
    assert (answer.status, json.loads(answer.body)) == (413, {"code": "E_TOO_LARGE"})


async def test_an_address_has_a_rate_and_another_is_not_touched(tmp_path: Path) -> None:
    async with running(tmp_path, rate_address=2) as kit:
        codes = [(await kit.ask("GET", "/", address="10.0.0.1")).status for _ in range(9)]
        assert codes == [200] * 8 + [429]  # LIM-001
        refused = await kit.ask("GET", "/v1/server", address="10.0.0.1")
        assert json.loads(refused.body)["code"] == "E_RATE"
        assert int(refused.headers["retry-after"]) >= 1
        assert (await kit.ask("GET", "/", address="10.0.0.2")).status == 200
        kit.clock.forward(1)
        assert (await kit.ask("GET", "/", address="10.0.0.1")).status == 200


async def test_an_account_has_a_rate_whatever_its_address(tmp_path: Path) -> None:
    async with running(tmp_path, rate_account=2) as kit:
        await kit.populate(1)
        codes = [
            (await kit.ask("GET", "/v1/account", as_=kit.bots[0], address=f"10.0.0.{n}")).status for n in range(12)
        ]
        assert codes[-1] == 429


async def test_only_a_trusted_proxy_says_whose_request_it_is(tmp_path: Path) -> None:
    async with running(tmp_path, tls="proxy", rate_address=1, trusted_proxies=("10.1.0.0/16",)) as kit:
        for n in range(8):  # each visitor has its own bucket
            visitor = {"x-forwarded-for": f"203.0.113.{n}, 10.1.2.3"}
            assert (await kit.ask("GET", "/", address="10.1.0.1", headers=visitor)).status == 200
        codes = [
            (await kit.ask("GET", "/", address="192.0.2.7", headers={"x-forwarded-for": f"203.0.113.{n}"})).status
            for n in range(8)
        ]
        assert codes == [200] * 4 + [429] * 4  # the peer's own word counts for nothing


async def test_too_many_at_once(tmp_path: Path) -> None:
    async with running(tmp_path, max_connections=16) as kit:
        await kit.populate(1)
        held = [await kit.socket(kit.bots[0]) for _ in range(16)]
        refused = await kit.ask("GET", "/v1/server")
        assert (refused.status, json.loads(refused.body)["code"]) == (503, "E_BUSY")  # LIM-004
        await held[0].close()
        assert (await kit.ask("GET", "/v1/server")).status == 200


def test_buckets_forget_nobody_who_still_owes() -> None:
    now = [0.0]
    buckets = Buckets(1, 2, lambda: now[0])
    buckets.take("a")
    buckets.take("a")
    with pytest.raises(Exception, match="rate") as refused:
        buckets.take("a")
    assert refused.value.retry_after == 1  # type: ignore[attr-defined]
    now[0] = -5.0  # a clock that goes back gives nothing
    with pytest.raises(Exception, match="rate"):
        buckets.take("a")
    buckets.reset("a")
    buckets.take("a")


async def test_health_and_metrics_name_nobody(tmp_path: Path) -> None:
    async with running(tmp_path, metrics=True) as kit:
        room = await kit.populate(2)
        await kit.say(kit.bots[1])
        assert json.loads((await kit.ask("GET", "/healthz")).body) == {"ok": True}  # API-030
        assert json.loads((await kit.ask("GET", "/readyz")).body) == {"ok": True}
        text = (await kit.ask("GET", "/metrics")).body.decode()
        assert 'cloister_requests_total{method="POST",status="2xx"}' in text  # API-063
        for name in (room.sph, kit.bots[0].id, kit.bots[1].dv, "m1"):
            assert name not in text
        kit.relay.ready = False
        assert (await kit.ask("GET", "/readyz")).status == 503
        kit.relay.ready = True


async def test_a_stopping_relay_says_so(kit: Kit) -> None:
    await kit.app.farewell()
    refused = await kit.ask("GET", "/v1/server")
    assert (refused.status, json.loads(refused.body)["code"]) == (503, "E_BUSY")


async def test_a_fault_inside_is_told_by_a_reference_only(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    await kit.populate(1)

    async def broken(*_: object) -> None:
        raise ValueError("secret detail")

    monkeypatch.setattr(kit.relay.store, "read", broken)
    answer = await kit.ask("GET", "/v1/account", as_=kit.bots[0])
    assert answer.status == 500
    assert json.loads(answer.body)["code"] == "E_INTERNAL"
    assert b"secret" not in answer.body


async def test_a_stalling_body_ends(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    from cloister.server import shell

    monkeypatch.setattr(shell, "BODY_SECONDS", 0.01)
    scope = kit.memory.transport()._scope("http", "/v1/auth/start", [])
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    async with asyncio.timeout(10):
        await kit.app(scope | {"method": "POST"}, receive, send)


def test_settings_are_checked_when_the_relay_is_made() -> None:
    assert Settings(Path("x"), listen="[::]:1").public_origin == "http://localhost:1"
