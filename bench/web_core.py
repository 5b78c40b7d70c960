"""The same core in two languages on the same data: reading messages and rotating, in Python and in Chromium.

Data are made once, by Python. Here they are worked on in this process, there in a worker of a page served from a
temporary folder, which runs ``web/bench/core.ts`` built as what ships is built. Times are wall times from frames in
memory to opened payloads; storing and indexing are not in them.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from bench import bench_sdk
from bench.rotation import rotation
from cloister import crypto
from cloister.protocol.encoding import b64e
from cloister.sphere import run
from vectors.generate._sphere import NOW, Person, Sphere, text

WEB = Path(__file__).parents[1] / "web"
PART = 10_000  # frames in memory at a time
LIVE = 2_000  # messages read one at a time
BLANK = "<!doctype html><title>core</title>"
# One worker for the page; what it is asked is fetched by the page and handed over before its clock starts.
ASK = """
async ({ asked, from }) => {
  if (from) {
    const answer = await fetch(from);
    if (asked.act === "begin") asked.given = await answer.json();
    else asked.frames = (await answer.text()).split("\\n");
  }
  self.core ??= new Worker("/core.js", { type: "module" });
  return new Promise((resolve, reject) => {
    self.core.onmessage = ({ data }) => (data.fault ? reject(new Error(data.fault)) : resolve(data.ms));
    self.core.onerror = (event) => reject(new Error(event.message));
    self.core.postMessage(asked);
  });
}
"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def given(sphere: Sphere, members: int) -> dict[str, Any]:
    """All that the other language needs to know of the sphere."""
    owner, key, title = sphere.owner, sphere.keys[1], sphere.meta
    assert title is not None
    public = [crypto.hpke_public("xwing", i.to_bytes(32, "big")) for i in range(members)]
    return {
        "entries": sphere.entries,
        "attach": {b64e(name): compact for name, compact in sphere.attach.items()},
        "key": {"sph": key.sph, "n": key.n, "secret": b64e(key.secret), "prev": b64e(key.prev)},
        "meta": {"content": b64e(title.content), "blind": b64e(title.blind)},
        "me": {"id": owner.handle, "dv": owner.dev.dv, "seed": b64e(owner.dev.seed)},
        "now": NOW,
        "members": [
            {"dv": f"dv-{i:042d}A", "de": b64e(one), "hash": b64e(crypto.sha256(one))} for i, one in enumerate(public)
        ],
    }


def python_reading(sphere: Sphere, frames: list[str], page: int) -> float:
    """Seconds to verify and open ``frames`` in pages."""
    chains: dict[str, run.ChainState] = {}
    begin = time.perf_counter()
    for start in range(0, len(frames), page):
        judged = run.verify_page(frames[start : start + page], sphere.history, chains, sphere.state.sph)
        chains = judged.chains
        opened = run.open_page(judged.verdicts, sphere.keys, sphere.history)
        assert all(one.payload is not None for one in opened)
    return time.perf_counter() - begin


def build(folder: Path) -> None:
    """``web/bench/core.ts`` as one file, and the page it runs in."""
    command = ["npx", "vite", "build", "--config", "bench/vite.config.ts", "--outDir", str(folder), "--emptyOutDir"]
    subprocess.run([*command, "--logLevel", "error"], cwd=WEB, check=True)
    (folder / "index.html").write_text(BLANK)


def chromium_reading(page: Page, parts: list[str], size: int) -> float:
    """Milliseconds to verify and open the frames of all ``parts``, one after another."""
    total = 0.0
    for number, part in enumerate(parts):
        asked = {"act": "sync" if size > 1 else "live", "page": size, "again": number == 0}
        total += page.evaluate(ASK, {"asked": asked, "from": part})
    return total


def measure(browser: Browser, count: int, members: int, rounds: int = 3) -> list[dict[str, Any]]:
    """Rows of both languages: microseconds a message, milliseconds a rotation."""
    sphere = Sphere(Person("ada"))
    talker = sphere.talker(sphere.owner)
    frames = [talker.say(text("x" * bench_sdk.WORDS, str(i))) for i in range(count)]
    few = frames[: min(count, LIVE)]
    best: dict[tuple[str, str], float] = {}

    def note(what: str, language: str, value: float) -> None:
        best[what, language] = min(value, best.get((what, language), value))

    with tempfile.TemporaryDirectory(prefix="bench-core-") as name:
        folder = Path(name)
        build(folder)
        (folder / "given.json").write_text(json.dumps(given(sphere, members)))
        (folder / "few.txt").write_text("\n".join(few))
        parts = [f"frames-{start}.txt" for start in range(0, count, PART)]
        for start, part in zip(range(0, count, PART), parts, strict=True):
            (folder / part).write_text("\n".join(frames[start : start + PART]))
        with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            page = browser.new_page()
            page.set_default_timeout(0)
            page.goto(f"http://localhost:{server.server_port}/")
            page.evaluate(ASK, {"asked": {"act": "begin"}, "from": "given.json"})
            for _ in range(rounds):
                note("live", "python", python_reading(sphere, few, 1) / len(few) * 1e6)
                note("live", "chromium", chromium_reading(page, ["few.txt"], 1) / len(few) * 1e3)
                note("sync", "python", python_reading(sphere, frames, bench_sdk.PAGE) / count * 1e6)
                note("sync", "chromium", chromium_reading(page, parts, bench_sdk.PAGE) / count * 1e3)
                note("rotation", "chromium", page.evaluate(ASK, {"asked": {"act": "rotate"}, "from": ""}))
            page.close()
            server.shutdown()
    note("rotation", "python", rotation(members, rounds)["ms"]["compose"])
    rows = {
        "live": ("verify and open, one message at a time", len(few), "µs a message"),
        "sync": (f"cold sync in pages of {bench_sdk.PAGE}", count, "µs a message"),
        "rotation": ("rotation, the whole commit", members, "ms"),
    }
    return [
        {
            "what": label,
            "n": number,
            "unit": unit,
            "python": round(best[what, "python"], 1),
            "chromium": round(best[what, "chromium"], 1),
            "ratio": round(best[what, "chromium"] / best[what, "python"], 2),
        }
        for what, (label, number, unit) in rows.items()
    ]
