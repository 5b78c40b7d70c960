"""A relay as a process: start, stop, kill, a second one, https by its own authority (API-053, API-070 to API-072)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from cloister import crypto_x509
from cloister.client.relay import Relay as Calls
from cloister.client.transports.http import HttpTransport
from cloister.errors import AlreadyRunning, UsageError
from cloister.server import run as running
from cloister.server import tls
from cloister.server.settings import Settings
from tests.crowd import gather
from tests.server.kit import WATCHDOG, Live

PROGRAM = """
import json, sys
from pathlib import Path
from cloister.server.run import run
from cloister.server.settings import load
run(load(json.loads(sys.argv[1]), {}), lambda *a: print(json.dumps([str(x) if x else None for x in a]), flush=True))
print("stopped", flush=True)
"""


class Process:
    def __init__(self, folder: Path, **settings: str) -> None:
        flags = {"data": str(folder), "listen": "127.0.0.1:0", "signup": "open", "rate_address": "0", **settings}
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, json.dumps(flags)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
        )
        timer = threading.Timer(60, self.process.kill)
        timer.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        timer.cancel()
        if not line:
            raise RuntimeError(self.process.communicate()[1])
        self.origin, self.code, self.ca = json.loads(line)

    def stop(self, how: signal.Signals) -> tuple[int, str, str]:
        self.process.send_signal(how)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[Process]:
    process = Process(folder, **settings)
    try:
        yield process
    finally:
        if process.process.poll() is None:
            process.process.kill()
            process.process.communicate()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_is_clean_and_closes_sockets(tmp_path: Path, how: signal.Signals) -> None:
    with serving(tmp_path) as process:
        transport = HttpTransport(process.origin)
        _, bots = await gather(Calls(transport), 1, process.code)
        async with connect(process.origin.replace("http", "ws") + "/v1/socket") as live:
            await live.send(json.dumps([{"t": "auth", "token": bots[0].token}]))
            assert "ready" in str(await live.recv())
            code, out, err = await asyncio.to_thread(process.stop, how)
            assert (code, out, err) == (0, "stopped\n", "")
            with pytest.raises(ConnectionClosed) as ended:
                await live.recv()
            assert ended.value.rcvd is not None
            assert ended.value.rcvd.code == 1001  # STR-018
        await transport.close()


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    sent = 0
    with serving(tmp_path, rate_account="0") as process:
        transport = HttpTransport(process.origin)
        room, bots = await gather(Calls(transport), 2, process.code)
        calls = Calls(transport)
        calls.token = bots[1].token
        killer = threading.Timer(0.3, process.process.kill)
        killer.start()
        try:
            while True:
                compact = room.say(bots[1], f"message {sent}")
                await calls.send(room.sph, compact)
                room.said(bots[1], compact)
                sent += 1
        except Exception:
            killer.join()
        await transport.close()
    with serving(tmp_path) as process:
        transport = HttpTransport(process.origin)
        calls = Calls(transport)
        calls.token = bots[1].token
        found = await calls.items(room.sph, 0)
        messages = [one for one in found.items if one.k == "msg"]
        assert sent <= len(messages) <= sent + 1  # STR-004: nothing acknowledged is lost
        assert [one.pos for one in found.items] == list(range(1, found.head + 1))
        assert process.code is None  # there is an account
        await transport.close()


def test_the_code_is_new_at_each_start_until_there_is_an_account(tmp_path: Path) -> None:
    codes = set()
    for _ in range(2):
        with serving(tmp_path) as process:
            codes.add(process.code)
            process.stop(signal.SIGTERM)
    assert len(codes) == 2
    assert all(code and len(code) == 9 for code in codes)


def test_one_relay_per_folder(tmp_path: Path) -> None:
    with serving(tmp_path), pytest.raises(AlreadyRunning):
        running.run(Settings(tmp_path, listen="127.0.0.1:0"))


def test_a_taken_address_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UsageError, match="listen cannot be"):  # API-072
            running.listen(Settings(tmp_path, listen=listen))


async def test_https_by_an_own_authority(tmp_path: Path) -> None:
    with serving(tmp_path, tls="own", tls_names="relay.test") as process:
        assert process.origin.startswith("https://")
        assert process.ca == str(tmp_path / "tls" / "ca.pem")
        trusting = HttpTransport(process.origin, ca_file=process.ca)
        info = await Calls(trusting).server()
        assert any("relay.test" in origin for origin in info.origins)
        _, bots = await gather(Calls(trusting), 1, process.code)
        live = Live(await trusting.connect("/v1/socket"))  # type: ignore[arg-type]
        await live.say({"t": "auth", "token": bots[0].token})
        assert (await live.next())["t"] == "ready"
        await live.close()
        await trusting.close()
        doubting = HttpTransport(process.origin)
        with pytest.raises(Exception, match=r"(?i)ssl|certificate|connect"):
            await Calls(doubting).server()
        await doubting.close()
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "tls").iterdir()}
    assert modes["ca.key"] == modes["server.key"] == 0o600  # API-071
    assert (tmp_path / "server.key").stat().st_mode & 0o777 == 0o600


def test_certificates_are_renewed_when_they_must_be(tmp_path: Path) -> None:
    now = int(time.time())
    settings = Settings(tmp_path, tls="own", listen="127.0.0.1:1")
    first = tls.certificates(settings, now)
    assert first is not None
    made = first.cert.read_bytes()
    names, end = crypto_x509.names_and_end(made)
    assert {"localhost", "127.0.0.1", "::1"} <= set(names)  # API-070
    assert end - now == 397 * 86400
    assert tls.certificates(settings, now + 86400) and first.cert.read_bytes() == made
    tls.certificates(settings, now + 380 * 86400)
    renewed = first.cert.read_bytes()
    assert renewed != made
    tls.certificates(Settings(tmp_path, tls="own", listen="127.0.0.1:1", tls_names=("other.test",)), now)
    assert "other.test" in crypto_x509.names_and_end(first.cert.read_bytes())[0]
    context = ssl.create_default_context(cafile=str(first.ca))
    assert context.cert_store_stats()["x509_ca"] == 1
    with pytest.raises(UsageError, match="tls_cert"):
        tls.certificates(Settings(tmp_path, tls="files", tls_cert="/nowhere", tls_key="/nowhere"), now)


async def test_endless_headers_are_cut_off(tmp_path: Path) -> None:
    with serving(tmp_path) as process:
        host, _, port = process.origin.rpartition("/")[2].partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: ")
        for _ in range(64):
            writer.write(b"a" * 4096)
        async with asyncio.timeout(WATCHDOG):
            try:
                assert await reader.read() == b""  # LIM-006
            except ConnectionError:
                pass
        writer.close()
        answer = await asyncio.to_thread(_get, host, int(port))
        assert answer.startswith(b"HTTP/1.1 200")


def _get(host: str, port: int) -> bytes:
    with socket.create_connection((host, port), timeout=WATCHDOG) as one:
        one.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return one.makefile("rb").read()


def test_nothing_of_people_reaches_the_log(tmp_path: Path) -> None:
    async def talk(process: Process) -> list[Any]:
        transport = HttpTransport(process.origin)
        room, bots = await gather(Calls(transport), 2, process.code)
        calls = Calls(transport)
        calls.token = bots[1].token
        compact = room.say(bots[1], "plain words")
        await calls.send(room.sph, compact)
        await transport.close()
        return [bots[0].token, bots[1].token, compact[-60:], room.sph, bots[0].id, bots[1].dv, "plain words"]

    with serving(tmp_path, log_level="debug", log_format="json") as process:
        secrets = asyncio.run(talk(process))
        code, _, err = process.stop(signal.SIGTERM)
    assert code == 0
    assert '"path": "/v1/spheres/sp-' in err
    for secret in [*secrets, process.code]:
        assert secret not in err  # API-064
    for line in err.splitlines():
        json.loads(line)
