"""What crosses the agent's socket: the vault key, the seconds left, and nothing else (CLT-051).

Commands of their own processes ask a real agent process through a tap. Everything captured is held against the closed
list of what may be said, and searched for every secret of the profile. Control: an agent that says more, and a command
that tells it more, are found.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import mkdtemp

import pytest

from cloister.account import password
from cloister.cli import agent
from cloister.client.client import Client
from tests.canary.proxy import AgentTap
from tests.canary.search import search
from tests.canary.test_canary import Day, free_port, keys_of, relay

PASSWORD, TITLE, WORDS = "seven gulls on a chimney pot", "Lighthouse ledger", "the tide turns at four"
REQUESTS = [b'{"op": "%s"}\n' % op for op in (b"get", b"status", b"lock")]


def strays(captured: Mapping[str, bytes], key: bytes) -> list[str]:
    """Captured streams that hold anything but what CLT-051 lists."""
    given = json.dumps({"key": base64.b64encode(key).decode()}).encode() + b"\n"
    found = []
    for name, said in captured.items():
        if " to " in name:
            fine = bytes(said) in REQUESTS
        elif said.startswith(b'{"left": '):
            fine = said.endswith(b"}\n") and said[9:-2].isdigit()
        else:
            fine = bytes(said) in (given, b"{}\n")
        found += [] if fine else [name]
    return found


async def cloister(*words: str, home: Path, runtime: Path, said: str = "") -> str:
    """One command in a process of its own; its standard output. It must succeed."""
    env = {
        "HOME": str(home), "XDG_RUNTIME_DIR": str(runtime), "PATH": os.environ["PATH"], "LANG": "C.UTF-8",
        "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
    }  # fmt: skip
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cloister.cli", "--home", str(home), "--no-input", *words,
        env=env, stdin=pipe, stdout=pipe, stderr=pipe,
    )  # fmt: skip
    out, err = await process.communicate(said.encode())
    assert process.returncode == 0, err.decode()
    return out.decode()


@asynccontextmanager
async def tapped(home: Path, key: bytes) -> AsyncIterator[AgentTap]:
    """A real agent behind a tap. Its socket stands where no command looks; theirs leads to it."""
    name = agent.socket_path(home / "profiles" / "default", home, {"XDG_RUNTIME_DIR": "/"}).name
    tap = AgentTap(front=home / "front" / "cloister" / name, behind=home / "behind" / name)
    assert agent.start(tap.behind, key)
    try:
        async with tap:
            yield tap
    finally:
        agent.lock(tap.behind)


async def test_only_the_key_and_the_time_cross(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(password, "MEMORY_KIB", 64)
    # The path of a socket is at most 107 bytes long.
    short, day, port = Path(mkdtemp(prefix="agent-")), Day(), free_port()
    home, origin = short / "home", f"http://127.0.0.1:{port}"
    async with relay(tmp_path, port, origin) as (_, code):
        async with Client.open(home / "profiles" / "default", server=origin) as ada:
            await ada.create_account("ada", PASSWORD, code)
            await ada.create_sphere(TITLE)
            await keys_of(day, "ada", ada, PASSWORD)
            key = ada.agent_key()
        async with tapped(home, key) as tap:
            runtime = tap.front.parents[1]
            await cloister("send", TITLE, "-", home=home, runtime=runtime, said=WORDS)
            assert WORDS in await cloister("read", TITLE, home=home, runtime=runtime)
            assert await asyncio.to_thread(agent.seconds_left, tap.front)
            await cloister("lock", home=home, runtime=runtime)
            assert not tap.behind.exists()
            captured = {name: bytes(data) for name, data in tap.captured.items()}
    assert [data for name, data in captured.items() if " to " in name] == [REQUESTS[i] for i in (0, 0, 1, 2)]
    assert strays(captured, key) == []
    secrets = {name: secret for name, secret in (day.secrets | day.tokens).items() if name != "vault key of ada"}
    texts = {"password": PASSWORD, "title": TITLE, "words": WORDS, "path": str(home), "origin": origin}
    assert search(secrets | {name: text.encode() for name, text in texts.items()}, captured) == []
    # The tap does hold what crossed: the vault key is found, in the answers only.
    shutil.rmtree(short)
    hits = search({"vault key": key}, captured)
    assert {hit.where for hit in hits} == {name for name in captured if " from " in name and b"key" in captured[name]}
    assert hits


WEAKER = {
    "an agent that tells the path": ('{"left": left}', '{"left": left, "at": sys.argv[1]}'),
    "an agent that tells the key with the time": ('{"left": left}', '{"left": left, "key": key.hex()}'),
}


@pytest.mark.parametrize("weaker", WEAKER)
async def test_without_the_closed_answers_more_is_found(
    weaker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control run: a talkative agent process is found by the same look at the same tap."""
    before, after = WEAKER[weaker]
    source = Path(agent.__file__).read_text("utf-8")
    assert source.count(before) == 1
    (tmp_path / "talkative.py").write_text(source.replace(before, after), "utf-8")
    monkeypatch.setattr(agent, "__file__", str(tmp_path / "talkative.py"))
    (tmp_path / "profiles" / "default").mkdir(parents=True)
    key = os.urandom(agent.KEY_LENGTH)
    async with tapped(tmp_path, key) as tap:
        await asyncio.to_thread(agent.seconds_left, tap.front)
        assert await asyncio.to_thread(agent.get_key, tap.front) == key
    assert strays({name: bytes(data) for name, data in tap.captured.items()}, key) == ["connection 0 from the agent"]


async def test_without_the_closed_questions_more_is_found(tmp_path: Path) -> None:
    """Control run: a command that tells the agent a password with its question is found."""
    (tmp_path / "profiles" / "default").mkdir(parents=True)
    key = os.urandom(agent.KEY_LENGTH)
    async with tapped(tmp_path, key) as tap:
        await asyncio.to_thread(agent._ask, tap.front, {"op": "get", "password": PASSWORD})
    captured = {name: bytes(data) for name, data in tap.captured.items()}
    assert strays(captured, key) == ["connection 0 to the agent"]
    assert search({"password": PASSWORD.encode()}, captured)
