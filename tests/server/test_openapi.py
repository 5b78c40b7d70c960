"""The description the relay serves, and a machine that tries what it says (API-001, API-003)."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from cloister.client.relay import Relay as Calls
from cloister.client.transports.http import HttpTransport
from cloister.server.app import create_app
from cloister.server.settings import Settings
from tests.crowd import gather
from tests.server.kit import Kit

CODES = {
    *("E_AUTH", "E_RATE", "E_FORBIDDEN", "E_STALE_HEAD", "E_STALE_EPOCH", "E_INCOMPLETE_WRAPS", "E_BAD_FORMAT"),
    *("E_VERSION", "E_TOO_LARGE", "E_CONFLICT", "E_BUSY"),
}


async def test_the_description_is_complete(kit: Kit) -> None:
    document = json.loads((await kit.ask("GET", "/v1/openapi.json")).body)
    assert document["openapi"].startswith("3.1")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation.get("description") or operation.get("summary"), (method, path)
            good = [code for code in operation["responses"] if code.startswith("2")]
            assert len(good) == 1, (method, path)
            assert operation["responses"][good[0]]["content"]["application/json"]["schema"], (method, path)


async def test_unknown_and_missing_members_are_refused(kit: Kit) -> None:
    for body in (b"{}", b"[]", b"null", b"", b'{"login":"ada","more":1}', b'{"login":7}', b"\xff", b'{"login":"A b"}'):
        answer = await kit.ask("POST", "/v1/auth/start", body)
        assert (answer.status, json.loads(answer.body)["code"]) == (400, "E_BAD_FORMAT"), body


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A relay over a real socket in a thread, and an administrator's token."""
    folder: Path = tmp_path_factory.mktemp("served")
    app = create_app(Settings(folder, rate_address=0, rate_account=0, signup="open"))
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="on", ws="websockets-sansio")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    waited = threading.Event()
    while not server.started and thread.is_alive():
        waited.wait(0.02)
    origin = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"

    async def populate() -> str:
        transport = HttpTransport(origin)
        _, bots = await gather(Calls(transport), 2, app.relay.setup_code)
        await transport.close()
        return bots[0].token

    yield origin, asyncio.run(populate())
    server.should_exit = True
    thread.join(20)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_a_machine_finds_nothing_the_description_does_not_say(served: tuple[str, str], mode: GenerationMode) -> None:
    """Schemathesis over every operation, with and without a session: no fault, and answers of the declared form."""
    origin, token = served
    schema = schemathesis.openapi.from_url(f"{origin}/v1/openapi.json")
    tried: list[int] = []
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if operation.path.endswith("/auth/session/{n}"):
            continue  # it would end the session the others use

        @settings(
            max_examples=6,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def attempt(case: Any) -> None:
            for headers in ({}, {"Authorization": f"Bearer {token}"}):
                response = case.call(base_url=origin, headers=headers, timeout=20)
                tried.append(response.status_code)
                assert response.status_code < 500, (case.method, case.path, response.text)
                if response.status_code < 300:
                    case.validate_response(response, checks=[response_schema_conformance, content_type_conformance])
                elif response.status_code >= 400:
                    assert response.json()["code"] in CODES

        try:
            attempt()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE  # an operation without a wrong form
    assert len(tried) > 200
