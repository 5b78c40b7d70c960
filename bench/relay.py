"""How many messages a second does one room carry, beside Prosody's MUC and beside a relay that checks nothing?

n members in one room, 1,024 bytes of content a message, every member receives every message, losses counted. The
server is pinned to core 0 and this driver to core 1. All targets run interleaved in one run; goals are ratios.

    python -m bench.relay [--n 20 100] [--runs 3] [--seconds 4] [--targets cloister bare bare-coalesced prosody]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop

from bench import cloister_room, prosody, wire
from bench.load import BODY, Load, run
from bench.results import machine, save

HOST = "127.0.0.1"
SERVER_CORE, DRIVER_CORE = 0, 1
RATE = 20.0
MOST = 9000  # messages signed beforehand, per second of a closed-loop run


def free_port() -> int:
    with socket.socket() as one:
        one.bind((HOST, 0))
        return int(one.getsockname()[1])


FILLER = secrets.token_urlsafe(BODY)


def text(i: int, k: int) -> str:
    """The k-th message of member i: BODY characters, the first 12 say which one it is."""
    return f"{i:03d}.{k:07d}.{FILLER}"[:BODY]


class BareMember:
    """Member of the bare relay: a message is acknowledged when its own copy is back."""

    def __init__(self, load: Load, i: int) -> None:
        self.load, self.i = load, i
        self.mine = f"{i:03d}.".encode()
        self.look = i < load.sample

    async def enter(self, port: int) -> None:
        self.socket = await wire.connect(HOST, port, "/", self.got)

    def say(self, k: int) -> None:
        self.socket.write(text(self.i, k).encode())

    def got(self, data: bytes) -> None:
        # coalesced: messages of exactly BODY bytes, joined by one newline
        load, count = self.load, (len(data) + 1) // (BODY + 1)
        if self.look:
            for at in range(0, len(data), BODY + 1):
                load.arrived(self.i, int(data[at : at + 3]), int(data[at + 4 : at + 11]))
        else:
            load.counted(self.i, count)
        if data.startswith(self.mine) or (count > 1 and b"\n" + self.mine in data):
            load.acked(self.i)


class XmppMember:
    """Occupant of Prosody's room: acknowledged when its own copy is back."""

    def __init__(self, load: Load, i: int) -> None:
        self.load, self.i = load, i
        self.mine = f"<body>{i:03d}.".encode()

    async def enter(self, port: int) -> None:
        self.occupant = await prosody.enter(HOST, port, f"m{self.i}", self.got)

    def say(self, k: int) -> None:
        self.occupant.say(text(self.i, k).encode())

    def got(self, stanza: bytes) -> None:
        at = stanza.find(b"<body>")
        if at < 0:
            return
        self.load.arrived(self.i, int(stanza[at + 6 : at + 9]), int(stanza[at + 10 : at + 17]))
        if stanza.startswith(self.mine, at):
            self.load.acked(self.i)


async def bare_room(load: Load, port: int, folder: Path) -> None:
    for i in range(load.n):
        member = BareMember(load, i)
        await member.enter(port)
        load.members.append(member)


async def xmpp_room(load: Load, port: int, folder: Path) -> None:
    for i in range(load.n):
        member = XmppMember(load, i)
        await member.enter(port)
        load.members.append(member)


def bare_command(*more: str) -> Callable[[Path, int], list[str]]:
    return lambda folder, port: [sys.executable, "-m", "bench.bare_relay", str(folder), str(port), *more]


Room = Callable[[Load, int, Path], Awaitable[None]]
TARGETS: dict[str, tuple[Callable[[Path, int], list[str]], Room]] = {
    "prosody": (prosody.command, xmpp_room),
    "bare": (bare_command(), bare_room),
    "bare-coalesced": (bare_command("--coalesce"), bare_room),
    "cloister": (cloister_room.command, cloister_room.enter),
}


async def until_open(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with {server.returncode}")
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise RuntimeError("the server does not listen")


def spying(pid: int, seconds: float, profile: Path) -> list[str]:
    """py-spy beside the server, as collapsed stacks."""
    spy = str(Path(sys.executable).with_name("py-spy"))
    return [spy, "record", "-p", str(pid), "-d", str(int(seconds)), "-r", "500", "-t", "-f", "raw", "-o", str(profile)]


async def measure(target: str, n: int, rate: float | None, seconds: float, profile: Path | None) -> dict[str, Any]:
    command, enter = TARGETS[target]
    sample = n if rate is not None or n <= 20 else 4
    folder = Path(tempfile.mkdtemp(prefix=f"bench-{target}-"))
    port = free_port()
    try:
        limit = 1 << 30
        if target == "cloister":
            sends = int(seconds * RATE) + n if rate else int((seconds + 1) * MOST)
            limit = await cloister_room.prepare(folder, n, messages=sends // n + 1)
        server = subprocess.Popen(
            command(folder, port),
            stdout=subprocess.DEVNULL,
            preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}),
        )
        try:
            await until_open(port, server)
            load = Load(n, limit, sample)
            await enter(load, port, folder)
            await asyncio.sleep(0.5)
            spy = None
            if profile:
                spy = subprocess.Popen(
                    spying(server.pid, seconds, profile),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            figures = await run(load, server.pid, seconds=seconds, warm=0.0 if rate else 1.0, rate=rate)
            if spy:
                spy.wait()
        finally:
            server.terminate()
            server.wait(20)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"target": target, "n": n, "load": f"{rate:g}/s" if rate else "closed", **figures}


def middle(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def summary(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for key in dict.fromkeys((one["load"], one["n"], one["target"]) for one in runs):
        mine = [one for one in runs if (one["load"], one["n"], one["target"]) == key]
        row: dict[str, Any] = {"load": key[0], "n": key[1], "target": key[2], "runs": len(mine)}
        for name in (
            "sends_per_s",
            "p50_ms",
            "p99_ms",
            "cpu_ms_per_send",
            "server_cores",
            "driver_cores",
            "memory_mib",
        ):
            row[name] = middle([one[name] for one in mine])
        row["sends_min"] = min(one["sends_per_s"] for one in mine)
        row["sends_max"] = max(one["sends_per_s"] for one in mine)
        row["lost"] = sum(one["lost"] + one["doubled"] for one in mine)
        rows.append(row)
    return rows


def ratio(rows: list[dict[str, Any]], load: str, n: int, what: str, other: str) -> float | None:
    found = {row["target"]: row[what] for row in rows if row["load"] == load and row["n"] == n}
    if "cloister" not in found or other not in found:
        return None
    return round(float(found["cloister"]) / float(found[other]), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="*", default=[20, 100])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--targets", nargs="*", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--rate-seconds", type=float, default=20, help="length of the 20/s run; 0 leaves it out")
    parser.add_argument("--profile", type=Path, help="write a py-spy profile of each run here")
    parser.add_argument("--no-save", action="store_true")
    args = parser.parse_args()
    targets = [one for one in args.targets if one != "prosody" or prosody.available()]
    os.sched_setaffinity(0, {DRIVER_CORE})
    runs: list[dict[str, Any]] = []
    plan: list[tuple[int, float | None, float]] = [(n, None, args.seconds) for n in args.n]
    if args.rate_seconds:
        plan.append((20, RATE, args.rate_seconds))
    for turn in range(args.runs):
        for n, rate, seconds in plan:
            for target in targets[turn % len(targets) :] + targets[: turn % len(targets)]:
                one = uvloop.run(measure(target, n, rate, seconds, args.profile))
                runs.append(one)
                print({k: v for k, v in one.items() if v != ""}, file=sys.stderr, flush=True)
                time.sleep(0.5)
    rows = summary(runs)
    goals = {
        "sends per second, n = 20, beside Prosody": {
            "ratio": ratio(rows, "closed", 20, "sends_per_s", "prosody"),
            "goal": "at least 10",
        },
        "sends per second, n = 20, beside the bare relay": {
            "ratio": ratio(rows, "closed", 20, "sends_per_s", "bare"),
            "goal": "at least 0.5",
        },
        "p99 of delivery at 20 messages/s, n = 20, beside Prosody": {
            "ratio": ratio(rows, "20/s", 20, "p99_ms", "prosody"),
            "goal": "at most 1",
        },
        "messages lost or doubled by our relay": {
            "ratio": sum(row["lost"] for row in rows if row["target"] == "cloister"),
            "goal": "0",
        },
    }
    for name, goal in goals.items():
        print(f"{name}: {goal['ratio']} (goal: {goal['goal']})")
    if not args.no_save:
        save(
            "relay",
            {"machine": machine(), "python": platform.python_version(), "goals": goals, "rows": rows, "runs": runs},
        )


if __name__ == "__main__":
    main()
