"""The network transport against a relay in its own process: plain on loopback, https by an own authority."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cloister.account import password
from cloister.client import Client
from cloister.client.events import Connected, MessageReceived
from cloister.client.transports.http import HttpTransport
from cloister.errors import Unreachable

PASSWORD = "a long enough {} passphrase 4711"
RELAY = """
import sys
from pathlib import Path
from cloister.server.run import run
from cloister.server.settings import Settings
run(Settings(data=Path(sys.argv[1]), listen="127.0.0.1:0", tls=sys.argv[2]),
    ready=lambda origin, code, ca: print(origin, code, ca, flush=True))
"""


@asynccontextmanager
async def relay(folder: Path, tls: str) -> AsyncIterator[tuple[str, str, str]]:
    """A relay process: (origin, set-up code, file of its authority)."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RELAY, str(folder), tls, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            origin, code, ca = (await process.stdout.readline()).decode().split()
        yield origin, code, ca
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            await process.wait()


@pytest.fixture(autouse=True)
def _quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(password, "MEMORY_KIB", 64)


@pytest.mark.parametrize("tls", ["off", "own"])
async def test_two_people_over_the_network(tmp_path: Path, tls: str) -> None:
    """CLT-025, CLT-026, CLT-033: requests and live connection over sockets, certificates checked by the named file."""
    async with relay(tmp_path / "relay", tls) as (origin, code, ca):
        ca_file = ca if tls == "own" else None
        async with (
            Client.open(tmp_path / "ada", origin, ca_file=ca_file) as ada,
            Client.open(tmp_path / "bo", origin, ca_file=ca_file) as bo,
        ):
            await ada.create_account("ada", PASSWORD.format("ada"), code)
            sphere = await ada.create_sphere("Harbour plan")
            link = await sphere.invite(admit="auto")
            await bo.create_account("bo", PASSWORD.format("bo"), invite_link=link.url)
            await ada.sync()
            await bo.sync()
            async with asyncio.timeout(60):
                async for event in bo.events():
                    if isinstance(event, Connected):
                        await sphere.send("Over the wire")
                    elif isinstance(event, MessageReceived):
                        assert event.message.text == "Over the wire"
                        break
            await bo.sphere("harbour").send("And back")
            await ada.sync()
            assert [m.text for m in sphere.messages()] == ["Over the wire", "And back"]


async def test_a_certificate_of_nobody_known_is_refused(tmp_path: Path) -> None:
    """CLT-026: without the authority's file the relay is not spoken to."""
    async with relay(tmp_path / "relay", "own") as (origin, _, _ca):
        transport = HttpTransport(origin)
        with pytest.raises(Unreachable):
            await transport.request("GET", "/v1/server")
        with pytest.raises(Unreachable):
            await transport.connect("/v1/socket")
        await transport.close()


async def test_nobody_there(tmp_path: Path) -> None:
    """CLT-010: a relay that is not there is offline, not an error."""
    async with Client.open(tmp_path / "p", "http://127.0.0.1:9") as client:
        with pytest.raises(Unreachable):
            await client.server_info()
        with pytest.raises(Unreachable):
            await client.relay.transport.connect("/v1/socket")
