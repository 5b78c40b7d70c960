"""Coming back after a month: how long until everything is here, and can all of it be read?

Two accounts in one encrypted sphere. One of them is away for 30 days in which the other makes 200 new keys and says
50 messages under each, 10,000 in all. Then `cloister serve` runs on that folder and the one who was away opens the
profile and synchronises over HTTP. What happened meanwhile is made by the same rules, without storing it at the
sender. Unlocking (which stretches the password on purpose) is shown beside it.

    python -m bench.catchup [--epochs 200] [--each 50] [--runs 3] [--save]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from bench.relay import free_port, until_open
from bench.results import machine, save
from cloister.client import Client, commits, intake, keys
from cloister.client.transports.memory import MemoryRelay
from cloister.protocol import jws
from cloister.server import commits as stored
from cloister.server.app import create_app
from cloister.server.core import Relay
from cloister.server.settings import Settings
from cloister.sphere import compose, message
from cloister.sphere.message import Place
from cloister.sphere.payload import Payload
from tests.crowd import body_of

DAYS = 30
PASSWORD = "a long enough {} passphrase 4711"
LIMITS = ("rate_address", "rate_account", "auth_tries")
WORDS = "The tide turns at six and the boats go out. " * 5


class Clock:
    """The real time, so many seconds ago."""

    def __init__(self, ago: float) -> None:
        self.ago = ago

    def __call__(self) -> float:
        return time.time() - self.ago


async def month(relay: Relay, client: Client, sph: str, clock: Clock, epochs: int, each: int) -> None:
    """New keys and messages of one member, evenly over the days."""
    ctx = client.context
    rep, chain = ctx.replica(sph), intake.own_chain(ctx, sph)
    (state, history), held, title = rep.known, dict(rep.keys), keys.read_meta(ctx, rep)
    seq, digest = chain.last, chain.digest
    for number in range(epochs):
        draft = compose.compose(
            state, history, commits.author(ctx), [compose.Rotate()], now=int(clock()), rng=os.urandom, keys=held,
            meta_text=title,
        )  # fmt: skip
        await ctx.relay.commit(sph, body_of(draft))
        for after in draft.states:
            history.append(after)
        assert draft.key is not None
        state, title = draft.state, draft.meta or title
        held[draft.key.n] = draft.key
        sealed = []
        for i in range(each):
            seq += 1
            place = Place(seq, digest, state.seq, state.digest, state.ep)
            said = message.seal(
                Payload("msg", os.urandom(16), f"{number}.{i} {WORDS}"), place, sph=sph, dv=ctx.dv, signer=ctx.sign,
                iat=int(clock()), rng=os.urandom, key=draft.key,
            )  # fmt: skip
            sealed.append(said)
            digest = message.decode(said).digest
        ways = [
            partial(stored.send, account=ctx.id, envelope=jws.decode(one, "sph-msg+1"), clock=clock()) for one in sealed
        ]
        await asyncio.gather(*(relay.writer.submit(way, savepoint=False) for way in ways))
        clock.ago -= DAYS * 86400 / epochs


async def fill(folder: Path, port: int, epochs: int, each: int) -> str:
    """Both accounts, the sphere, and the month in which one of them was away; the sphere's name."""
    clock = Clock(DAYS * 86400.0)
    free = dict.fromkeys(LIMITS, 0)
    app = create_app(Settings(data=folder / "data", signup="open", listen=f"localhost:{port}", **free), clock=clock)
    async with MemoryRelay(app, f"http://localhost:{port}") as memory:
        clients = []
        for name in ("ada", "bo"):
            client = await Client.open(folder / name, transport=memory.transport(), clock=clock)
            clients.append(client)
        ada, bo = clients
        await ada.create_account("ada", PASSWORD.format("ada"), app.relay.setup_code, device_name="desk")
        sphere = await ada.create_sphere("Harbour plan")
        link = await sphere.invite()
        await bo.create_account("bo", PASSWORD.format("bo"), invite_link=link.url, device_name="desk")
        (request,) = await sphere.requests()
        await sphere.admit(request)
        for client in (bo, ada):
            await client.sync()
        await bo.close()
        sph = sphere.sph
        await month(app.relay, ada, sph, clock, epochs, each)
        await ada.close()
    return sph


async def come_back(folder: Path, port: int, sph: str, count: int) -> dict[str, float]:
    """Seconds to unlock and to synchronise; every message must be readable afterwards."""
    client = await Client.open(folder / "bo", f"http://localhost:{port}")
    began = time.perf_counter()
    await client.unlock(PASSWORD.format("bo"))
    unlocked = time.perf_counter()
    await client.sync()
    synced = time.perf_counter()
    shown = [one.text for one in client.sphere(sph).messages() if one.state == "sent"]
    assert len(shown) == count, f"{len(shown)} of {count} can be read"
    await client.close()
    return {"unlock_s": round(unlocked - began, 2), "sync_s": round(synced - unlocked, 2)}


async def measure(folder: Path, port: int, sph: str, count: int) -> dict[str, float]:
    """Once, from the profile and the database as they were left."""
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    for name in ("data", "bo"):
        shutil.copytree(folder / name, copy / name)
    command = [sys.executable, "-m", "cloister.cli", "serve", "--data", str(copy / "data")]
    command += ["--listen", f"localhost:{port}"]
    for name in LIMITS:
        command += ["--" + name.replace("_", "-"), "0"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        await until_open(port, server)
        return await come_back(copy, port, sph, count)
    finally:
        server.terminate()
        server.wait(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--each", type=int, default=50)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--save", action="store_true", help="write bench/results/catchup.json")
    args = parser.parse_args()
    folder, port, count = Path(tempfile.mkdtemp(prefix="bench-catchup-")), free_port(), args.epochs * args.each
    runs: list[dict[str, Any]] = []
    try:
        sph = uvloop.run(fill(folder, port, args.epochs, args.each))
        for _ in range(args.runs):
            runs.append(uvloop.run(measure(folder, port, sph, count)))
            print(runs[-1], file=sys.stderr)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if args.save:
        row = {"days": DAYS, "epochs": args.epochs, "messages": count, "runs": runs}
        save("catchup", {"machine": machine(), **row})


if __name__ == "__main__":
    main()
