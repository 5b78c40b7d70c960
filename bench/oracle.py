"""Can a refusal be told from another by its time? (T-B4, T-I5: reported here, never asserted in a test.)

Pairs of requests that must look alike are sent in random order to a relay in this process, over the in-memory
transport: no socket, so nothing hides a difference. Welch's t of the two samples, the slowest twentieth cut off
from both. Tests check equal bytes, status and sequence of costly operations; this page shows what the clock says.

    python -m bench.oracle [--samples 2000]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from bench.results import machine, save
from cloister.account import srp
from cloister.client.relay import Relay
from cloister.client.transports.memory import MemoryRelay
from cloister.protocol.encoding import b64e
from cloister.server import logs
from cloister.server.app import create_app
from cloister.server.settings import Settings
from tests.crowd import enlist, gather

KEPT = 0.95

Call = tuple[str, str, Any, str | None]


def welch(a: list[float], b: list[float]) -> tuple[float, float, float]:
    """Means and t."""

    def part(values: list[float]) -> tuple[float, float]:
        kept = sorted(values)[: int(len(values) * KEPT)]
        mean = sum(kept) / len(kept)
        return mean, sum((one - mean) ** 2 for one in kept) / (len(kept) - 1) / len(kept)

    (mean_a, var_a), (mean_b, var_b) = part(a), part(b)
    return mean_a, mean_b, (mean_a - mean_b) / max(1e-12, (var_a + var_b) ** 0.5)


async def compare(
    memory: MemoryRelay, first: list[Call], second: list[Call], samples: int
) -> tuple[list[float], list[float]]:
    """Each kind is a list of calls made one after the other; the time is that of the last one."""
    transport, took = memory.transport(), ([], [])  # type: tuple[Any, tuple[list[float], list[float]]]
    seen: set[int] = set()
    order = [0, 1] * samples
    random.SystemRandom().shuffle(order)
    for which in order:
        sid = None
        for method, path, body, token in (first, second)[which]:
            if body is not None and sid is not None:
                body = {**body, "sid": sid}
            data = None if body is None else msgspec.json.encode(body)
            began = time.perf_counter()
            answer = await transport.request(method, f"/v1{path}", data, token=token)
            spent = time.perf_counter() - began
            with contextlib.suppress(msgspec.DecodeError, AttributeError):
                sid = msgspec.json.decode(answer.body).get("sid")
        took[which].append(spent)
        seen.add(answer.status)
    assert len(seen) == 1, f"these are told apart by their status: {seen}"
    return took


async def measure(samples: int) -> list[dict[str, Any]]:
    logs.configure("error", "text")
    folder = Path(tempfile.mkdtemp(prefix="bench-oracle-"))
    settings = Settings(data=folder, signup="open", rate_address=0, rate_account=0, auth_tries=100_000_000)
    app = create_app(settings)
    rows = []
    async with MemoryRelay(app) as memory:
        room, bots = await gather(Relay(memory.transport()), 3, app.relay.setup_code)
        stranger = await enlist(Relay(memory.transport()), "stranger", app.relay.realm)
        other, _ = await gather_other(memory, stranger)
        a, proof = b64e(srp.start(os.urandom).public), b64e(bytes(32))
        mine, sph = bots[0].token, room.sph
        absent = "sp-" + b64e(os.urandom(32))

        def sign_in(login: str) -> list[Call]:
            start, finish = {"login": login, "A": a}, {"sid": "", "M1": proof}
            return [("POST", "/auth/start", start, None), ("POST", "/auth/finish", finish, None)]

        jti = b64e(os.urandom(16))
        kinds: list[tuple[str, list[Call], list[Call], int]] = [
            ("salt of a known login, of an unknown one", [("POST", "/auth/start", {"login": "m0"}, None)],
             [("POST", "/auth/start", {"login": "nobody"}, None)], samples),
            ("first step of a sign-in, known, unknown", sign_in("m0")[:1], sign_in("nobody")[:1], samples // 4),
            ("wrong proof, known login, unknown login", sign_in("m0"), sign_in("nobody"), samples // 4),
            ("a sphere I am not in, one that does not exist", [("GET", f"/spheres/{other}/log", None, mine)],
             [("GET", f"/spheres/{absent}/log", None, mine)], samples),
            ("an unknown invitation of a sphere, of no sphere", [("GET", f"/invites/{sph}/{jti}", None, None)],
             [("GET", f"/invites/{absent}/{jti}", None, None)], samples),
            ("key log of a stranger, of nobody", [("GET", f"/klog/{stranger.id}", None, mine)],
             [("GET", "/klog/id-" + b64e(os.urandom(32)), None, mine)], samples),
        ]  # fmt: skip
        for what, first, second, count in kinds:
            mean_a, mean_b, t = welch(*await compare(memory, first, second, count))
            rows.append(
                {
                    "what": what,
                    "n": count,
                    "mean_us_a": round(mean_a * 1e6, 1),
                    "mean_us_b": round(mean_b * 1e6, 1),
                    "t": round(t, 1),
                }
            )
            print(rows[-1], file=sys.stderr)
    return rows


async def gather_other(memory: MemoryRelay, owner: Any) -> tuple[str, Any]:
    """A sphere of somebody else's."""
    from tests.crowd import Room, body_of

    relay, room = Relay(memory.transport()), Room(owner)
    relay.token = owner.token
    draft = room.create("Other")
    await relay.commit(None, body_of(draft))
    room.take(draft)
    return room.sph, room


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--no-save", action="store_true")
    args = parser.parse_args()
    rows = asyncio.run(measure(args.samples))
    if not args.no_save:
        save("oracle", {"machine": machine(), "rows": rows})


if __name__ == "__main__":
    main()
