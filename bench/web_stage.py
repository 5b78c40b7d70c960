"""A relay with a sphere of many messages, and a Chromium that is watched and slowed down.

The account and its sphere are made by the Python client on a relay inside this process; the messages are sealed and
signed by the same rules without storing each of them at the sender, which takes seconds where sending takes minutes.
Then `cloister serve` runs on that folder, with the limits per address and account off.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from cloister.client import Client, intake
from cloister.client.transports.memory import MemoryRelay
from cloister.server.app import create_app
from cloister.server.settings import Settings
from cloister.sphere import message
from cloister.sphere.message import Place
from cloister.sphere.payload import Payload
from tests.browser.acts import password_of
from tests.browser.conftest import FLAGS

NAME, TITLE = "ada", "Harbour plan"
PROBE = (Path(__file__).parent / "web_probe.js").read_text("utf-8")
LIMITS = ("rate_address", "rate_account", "auth_tries")
WAIT_S = 300
# A middling phone on a middling line.
CPU, LATENCY_MS, BYTES_PER_S = 4, 150, 1_600_000 / 8


async def fill(folder: Path, count: int) -> str:
    """An account and an encrypted sphere with ``count`` messages of one to six lines; answers the sphere's name."""
    app = create_app(Settings(data=folder / "data", signup="open", **dict.fromkeys(LIMITS, 0)))
    async with MemoryRelay(app) as memory:
        client = await Client.open(folder / "profile", transport=memory.transport())
        await client.create_account(NAME, password_of(NAME), app.relay.setup_code, device_name="desk")
        sph = (await client.create_sphere(TITLE)).info.sph
        ctx = client.context
        rep = ctx.replica(sph)
        state, chain = rep.known[0], intake.own_chain(ctx, sph)
        seq, digest = chain.last, chain.digest
        sealed = []
        for i in range(count):
            seq += 1
            words = f"Message {i}. " + "The tide turns at six and the boats go out. " * (1 + i * i % 7)
            place = Place(seq, digest, state.seq, state.digest, state.ep, 0)
            compact = message.seal(
                Payload("msg", os.urandom(16), words), place, sph=sph, dv=ctx.dv, signer=ctx.sign,
                iat=max(ctx.now(), state.iat), rng=os.urandom, key=rep.sending_key,
            )  # fmt: skip
            digest = message.decode(compact).digest
            sealed.append(compact)
        for one in sealed:
            await client.context.relay.send(sph, one)
        await client.close()
    return sph


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """`cloister serve` on the folder that was filled; yields its address."""
    command = [sys.executable, "-m", "cloister.cli", "serve", "--listen", "localhost:0", "--data", str(folder / "data")]
    for name in LIMITS:
        command += ["--" + name.replace("_", "-"), "0"]
    relay = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert relay.stdout is not None
        found = re.match(r"Ready on (\S+)", line := relay.stdout.readline())
        assert found, line
        yield found[1]
    finally:
        relay.terminate()
        relay.wait(30)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium without a screen, which scrolls by a turn of the wheel at once."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "no Chromium: tools/services.sh installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*FLAGS, "--disable-smooth-scrolling"])
        yield browser
        browser.close()


class View:
    """One profile with one page, probed."""

    def __init__(self, browser: Browser, server: str, **options: Any) -> None:
        self.server = server
        options = {"viewport": {"width": 390, "height": 844}, "locale": "en-GB", **options}
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(120_000)
        self.context.add_init_script(PROBE)
        self.page: Page = self.context.new_page()
        self.seen: set[str] = set()
        self.page.on("console", lambda told: self.seen.add(told.text.removeprefix("probe ")))
        self.cdp: CDPSession = self.context.new_cdp_session(self.page)

    def slow(self, cpu: int = CPU, *, line: bool = True) -> None:
        """From now on the processor is slower; with ``line`` the network is too."""
        self.cdp.send("Emulation.setCPUThrottlingRate", {"rate": cpu})
        if line:
            self.cdp.send("Network.enable")
            speed = {"downloadThroughput": BYTES_PER_S, "uploadThroughput": BYTES_PER_S}
            self.cdp.send("Network.emulateNetworkConditions", {"offline": False, "latency": LATENCY_MS, **speed})

    def heap(self) -> float:
        """Megabytes of the page's heap that are in use after a collection."""
        self.cdp.send("HeapProfiler.collectGarbage")
        return float(self.cdp.send("Runtime.getHeapUsage")["usedSize"]) / 1e6

    def probe(self, expression: str) -> Any:
        return self.page.evaluate(f"() => self.probe.{expression}")

    def when(self, name: str, condition: str) -> None:
        """Have the page note when ``condition`` first holds at a frame."""
        self.page.evaluate(f"(name) => self.probe.when(name, () => {condition})", name)

    def mark(self, name: str) -> float:
        """Wait for the mark ``name`` without asking the page, which would be work of its own; the mark's time."""
        for _ in range(WAIT_S * 20):
            if name in self.seen:
                break
            self.page.wait_for_timeout(50)
        else:
            raise TimeoutError(name)
        self.seen.discard(name)
        return float(self.page.evaluate("(name) => self.probe.marks[name]", name))

    def close(self) -> None:
        self.context.close()
