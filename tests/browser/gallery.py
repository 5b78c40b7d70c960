"""The gallery (`web/tests/gallery`): every state of every screen over a stand-in for the worker, as plain files."""

from __future__ import annotations

import functools
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.window import ROOT

# Places worth a look in the ordinary state; every other state is looked at where it begins.
PLACES = ("inbox", "spheres", "you", "new", "settings", "settings/display", "settings/pin", "settings/devices",
          "settings/sessions", "settings/password", "settings/browser", "settings/keys", "admin", "admin/health",
          "admin/people", "admin/signup", "s/harbour", "s/harbour/t/m7", "s/harbour/people", "s/harbour/invite",
          "s/harbour/security", "s/canteen", "s/board", "s/board/people",
          "s/square", "s/square/security", "s/firm/security", "s/works", "s/works/people",
          "s/works/security", "p/sp-4kT~12~x9fQ", "s/stopped", "s/changed", "s/waiting", "s/empty", "s/rtl", "s/long",
          "join", "nowhere")  # fmt: skip
# States that show that something is on its way, for ever.
UNSETTLED = ("slow", "loading")


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # one connection for the many files of a screen

    def end_headers(self) -> None:
        if "/assets/" in self.path:
            self.send_header("Cache-Control", "max-age=86400, immutable")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        return None


@contextmanager
def gallery(folder: Path) -> Iterator[str]:
    """Build it into ``folder`` and serve it while the block runs; its address."""
    words = f"npx --no-install vite build --config tests/gallery/vite.config.ts --outDir {folder} --logLevel error"
    subprocess.run(words.split(), cwd=ROOT / "web", check=True, capture_output=True)
    server = ThreadingHTTPServer(("localhost", 0), functools.partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def states() -> list[str]:
    """Names of the gallery's states."""
    text = (ROOT / "web/tests/gallery/states.ts").read_text("utf-8")
    return re.findall(r"^  (\w+): \(\) =>", text, re.MULTILINE)


def screens() -> list[tuple[str, str]]:
    """Every state with the place it is looked at."""
    ordinary = [("open", place) for place in PLACES]
    own = {
        "deep": "s/deep",
        "live": "s/deep",
        "rare": "s/rare",
        "unpublic": "p/sp-4kT~12~x9fQ",
        "sick": "admin/health",
        "wish": "s/rare",
        "switched": "s/rare",
        "held": "s/rare",
        "unsure": "s/rare",
        "removed": "s/rare",
    }
    return ordinary + [(state, own.get(state, "")) for state in states() if state != "open"]


def show(page: Page, address: str, state: str, place: str, **options: str) -> None:
    """Bring a screen up and wait until it is what it is going to be."""
    asked = "".join(f"&{key}={value}" for key, value in options.items())
    page.goto("about:blank")
    page.goto(f"{address}/?state={state}{asked}#/{place}")
    expect(page.get_by_role("main")).to_be_visible()
    if state not in UNSETTLED:
        expect(page.locator(".skeleton")).to_have_count(0)
