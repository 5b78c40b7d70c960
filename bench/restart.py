"""How long until `cloister serve` answers again: cold process, from exec to the first 200 of /readyz.

Measured on an empty folder, on a database of some thousand messages left by a clean stop, and on the same left by
kill -9 in the middle of a load. A bare `python -c pass` and the import of the packages are shown beside it.

    python -m bench.restart [--runs 7]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

from bench import cloister_room
from bench.load import Load, run
from bench.relay import HOST, free_port, until_open
from bench.results import machine, save


def until_ready(port: int, server: subprocess.Popen[bytes]) -> None:
    while True:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError):
            if server.poll() is not None:
                raise RuntimeError("the server ended") from None
            time.sleep(0.002)


def start(folder: Path, how: int = signal.SIGTERM) -> float:
    """Seconds from exec to ready; then the server is ended."""
    port = free_port()
    began = time.perf_counter()
    server = subprocess.Popen(cloister_room.command(folder, port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until_ready(port, server)
        return time.perf_counter() - began
    finally:
        server.send_signal(how)
        server.wait(30)


async def fill(folder: Path, how: int) -> None:
    """Some seconds of load, then a signal in the middle of it."""
    limit = await cloister_room.prepare(folder, 20, 600)
    port = free_port()
    server = subprocess.Popen(cloister_room.command(folder, port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    await until_open(port, server)
    load = Load(20, limit, 1)
    await cloister_room.enter(load, port, folder)
    busy = asyncio.ensure_future(run(load, server.pid, seconds=30, warm=0, rate=None))
    while load.sent < 8000 and not busy.done():
        await asyncio.sleep(0.01)
    server.send_signal(how)
    busy.cancel()
    await asyncio.gather(busy, return_exceptions=True)
    server.wait(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--no-save", action="store_true")
    args = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="bench-restart-"))
    rows: list[dict[str, Any]] = []

    def row(what: str, act: Callable[[], float]) -> None:
        took = sorted(act() * 1000 for _ in range(args.runs))
        rows.append(
            {
                "what": what,
                "ms": round(took[len(took) // 2]),
                "min": round(took[0]),
                "max": round(took[-1]),
                "runs": args.runs,
            }
        )
        print(rows[-1], file=sys.stderr)

    def spent(code: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": "src"})
        return time.perf_counter() - began

    def fresh() -> float:
        shutil.rmtree(base / "new", ignore_errors=True)
        return start(base / "new")

    def again(name: str) -> Callable[[], float]:
        def act() -> float:
            shutil.rmtree(base / "copy", ignore_errors=True)
            shutil.copytree(base / name, base / "copy")
            return start(base / "copy")

        return act

    try:
        row("python, nothing else", lambda: spent("pass"))
        row("python with everything imported", lambda: spent("import cloister.server.run"))
        row("first start, empty folder", fresh)
        for name, how, what in (
            ("clean", signal.SIGTERM, "after a clean stop, about 8,000 messages"),
            ("killed", signal.SIGKILL, "after kill -9 under load, about 8,000 messages"),
        ):
            uvloop.run(fill(base / name, how))
            row(what, again(name))
    finally:
        shutil.rmtree(base, ignore_errors=True)
    if not args.no_save:
        save("restart", {"machine": machine(), "rows": rows})


if __name__ == "__main__":
    main()
