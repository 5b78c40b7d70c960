"""Clients that die: a warmed process forks a child for every act, and the child kills itself at its k-th step.

A *step* is a moment after which the world may look different to a survivor: before a COMMIT of the local store, before
a file is flushed, renamed or removed, before a request leaves, after its answer came. The child counts them through a
statement trace of SQLite, wrappers around ``os`` and a wrapper around the transport: nothing in the product knows.
SIGKILL leaves the page cache, so a state between two steps is the state at one of them.

    python -m tests.faults.actors     (one JSON object a line: {"act": …, "at": K, …} -> {"killed": …, "steps": […]})
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

KIB = 64  # memory of the password processing in these tests: the cost is not in question here


class Steps:
    """Counts steps, dies at number ``at`` (1 is the first), writes the labels of all to ``report``."""

    def __init__(self, at: int, report: Path) -> None:
        self.at, self.report = at, report
        self.labels: list[str] = []

    def step(self, label: str) -> None:
        self.labels.append(label)
        if len(self.labels) == self.at:
            self.report.write_text(json.dumps(self.labels))
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        """Put the counters in place."""
        from cloister.client.store import sqlite

        connect = sqlite.connect

        def traced(*args: Any, **more: Any) -> Any:
            connection = connect(*args, **more)
            connection.set_trace_callback(self._statement)
            return connection

        sqlite.connect = traced
        for name in ("fsync", "replace", "unlink"):
            setattr(os, name, self._before(name, getattr(os, name)))

    def _statement(self, text: str) -> None:
        if text.strip().upper().startswith(("COMMIT", "END")):
            self.step("COMMIT")

    def _before(self, name: str, true: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            shown = str(args[-1])
            self.step(f"{name} {Path(shown).name if not shown.isdigit() else ''}".strip())
            return true(*args, **more)

        return call


class Watched:
    """A transport that counts a step before each request and after each answer."""

    def __init__(self, inner: Any, steps: Steps) -> None:
        self.inner, self.steps = inner, steps

    @property
    def origin(self) -> str:
        origin: str = self.inner.origin
        return origin

    async def request(self, method: str, path: str, body: bytes | None = None, **more: Any) -> Any:
        self.steps.step(f"before {method} {shape(path)}")
        answer = await self.inner.request(method, path, body, **more)
        self.steps.step(f"after {method} {shape(path)}")
        return answer

    async def connect(self, path: str) -> Any:
        return await self.inner.connect(path)

    async def close(self) -> None:
        await self.inner.close()


def shape(path: str) -> str:
    """A path without the names in it."""
    parts = path.partition("?")[0].split("/")
    return "/".join(part if len(part) < 20 else "…" for part in parts)


# --- acts ----------------------------------------------------------------------------------------------------------

Act = Callable[[Any, dict[str, Any]], Awaitable[Any]]


async def sign_up(client: Any, what: dict[str, Any]) -> None:
    await client.create_account(what["login"], what["password"], what.get("ticket"))


async def change_password(client: Any, what: dict[str, Any]) -> None:
    await client.unlock_with_key(bytes.fromhex(what["key"]))
    await client.change_password(what["password"], what["new"])


async def sign_up_forgetful(client: Any, what: dict[str, Any]) -> None:
    """A build with one promise broken, for a control run: the vault is written only once the relay has answered."""
    from cloister.client import enrol

    whole, calls = enrol.write_vault, []

    def write_vault(profile: Any, vault: Any) -> None:
        calls.append(vault)
        if len(calls) > 1:
            whole(profile, vault)

    enrol.write_vault = write_vault
    await sign_up(client, what)


async def change_password_forgetful(client: Any, what: dict[str, Any]) -> None:
    """The same for a new password: its vault is written only once the relay has taken it."""
    from cloister.client import acts

    kept: list[Any] = []
    write_next, promote = acts._write_next, acts.promote

    def later(profile: Any) -> Any:
        for given in kept:
            write_next(*given)
        return promote(profile)

    acts._write_next = lambda *given: kept.append(given)
    acts.promote = later
    await change_password(client, what)


async def rotate(client: Any, what: dict[str, Any]) -> None:
    await client.unlock_with_key(bytes.fromhex(what["key"]))
    sphere = client.sphere(what["sphere"])
    await sphere.rotate()
    await sphere.send(what["text"])


async def rotate_forgetful(client: Any, what: dict[str, Any]) -> None:
    """A build with one promise broken, for a control run: the new key is in memory only until the answer came."""
    from cloister.client import commits

    whole = commits.pledge

    def pledge(ctx: Any, draft: Any, **more: Any) -> Any:
        kept = whole(ctx, draft, **more)
        with ctx.store.step():
            row = json.loads(ctx.store.one("SELECT data FROM pledge WHERE idem = ?", kept.idem)[0])
            ctx.store.run("UPDATE pledge SET data = ? WHERE idem = ?", json.dumps({**row, "secret": None}), kept.idem)
        return kept

    commits.pledge = pledge
    await rotate(client, what)


ACTS: dict[str, Act] = {
    "sign_up": sign_up,
    "sign_up_forgetful": sign_up_forgetful,
    "change_password": change_password,
    "change_password_forgetful": change_password_forgetful,
    "rotate": rotate,
    "rotate_forgetful": rotate_forgetful,
}


# --- the warmed process --------------------------------------------------------------------------------------------


class Actors:
    """The warmed process, seen from a test."""

    def __init__(self, folder: Path) -> None:
        self.report = folder / "steps.json"

    def __enter__(self) -> Self:
        root = Path(__file__).parents[2]
        path = os.pathsep.join(filter(None, ["src", ".", os.environ.get("PYTHONPATH", "")]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.actors"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            cwd=root,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(30)

    def act(self, name: str, profile: Path, server: str, at: int, **what: Any) -> list[str] | None:
        """Run an act that dies at step ``at``. Its steps when it ended before, None when it was killed."""
        assert self._process.stdin
        assert self._process.stdout
        row = {"act": name, "profile": str(profile), "server": server, "at": at, "report": str(self.report), **what}
        self._process.stdin.write(json.dumps(row).encode() + b"\n")
        self._process.stdin.flush()
        status = json.loads(self._process.stdout.readline())["status"]
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL
            return None
        assert status == 0, f"{name} failed by itself"
        labels: list[str] = json.loads(self.report.read_text())
        return labels


async def run(what: dict[str, Any]) -> None:
    from cloister.account import password
    from cloister.client.client import Client
    from cloister.client.transports.http import HttpTransport

    password.MEMORY_KIB = KIB  # type: ignore[misc]
    steps = Steps(what["at"], Path(what["report"]))
    steps.watch()
    transport = Watched(HttpTransport(what["server"]), steps)
    async with Client.open(what["profile"], transport=transport) as client:
        await ACTS[what["act"]](client, what)
    steps.report.write_text(json.dumps(steps.labels))


def main() -> None:
    import cloister.client.client  # noqa: F401 - warms this process

    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os.close(0)
            try:
                asyncio.run(run(json.loads(line)))
            except BaseException:
                import traceback

                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(json.dumps({"status": os.waitpid(pid, 0)[1]}), flush=True)


if __name__ == "__main__":
    main()
