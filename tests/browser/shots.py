"""Pictures of every screen, to look at: `make shots` writes them to screenshots/, which is in no commit.

States come from the gallery (`web/tests/gallery`), each on a desk and on a phone, by day and by night; the pictures of
the README come from a relay and two browsers. Nothing is compared here: somebody looks.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.browser.acts import goto, invite, message, new_sphere, password_of, signed_up, write
from tests.browser.conftest import FLAGS
from tests.browser.test_walk import admit, join_by
from tests.browser.window import DESKTOP, PHONE, SMALL, Window
from tests.cli.stage import Stage

ROOT = Path(__file__).parents[2]
OUT = ROOT / "screenshots"
GALLERY = "http://localhost:5299"
SIZES = {"desk": DESKTOP, "phone": PHONE}
THEMES = ("light", "dark")
# Pages worth a picture in the ordinary state; every other state is taken at its own first page.
PAGES = ("inbox", "spheres", "you", "new", "settings/display", "settings/pin", "settings/devices", "settings/sessions",
         "settings/password", "settings/browser", "settings/keys", "admin", "admin/people", "admin/signup", "s/harbour",
         "s/harbour/people", "s/harbour/invite", "s/harbour/security", "s/canteen", "s/board", "join")  # fmt: skip


@contextmanager
def gallery() -> Iterator[None]:
    """The gallery's server, up while the block runs."""
    words = [
        "npx",
        "--no-install",
        "vite",
        "--config",
        "tests/gallery/vite.config.ts",
        "--port",
        GALLERY.rpartition(":")[2],
    ]
    server = subprocess.Popen(words, cwd=ROOT / "web", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(GALLERY, timeout=1).close()
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        yield
    finally:
        server.terminate()
        server.wait()


def states() -> list[str]:
    """Names of the gallery's states."""
    text = (ROOT / "web/tests/gallery/states.ts").read_text("utf-8")
    return re.findall(r"^  (\w+): \(\) =>", text, re.MULTILINE)


def of_gallery(browser: Browser) -> int:
    """A picture of every state and page; how many."""
    wanted = [("open", page) for page in PAGES] + [(state, "") for state in states() if state != "open"]
    count = 0
    for size, viewport in SIZES.items():
        for theme in THEMES:
            context = browser.new_context(viewport=viewport, color_scheme=theme, reduced_motion="reduce")
            page = context.new_page()
            for state, place in wanted:
                page.goto("about:blank")
                page.goto(f"{GALLERY}/?state={state}#/{place}")
                page.wait_for_load_state("networkidle")
                name = f"{size}-{theme}-{state}{'-' + place.replace('/', '-') if place else ''}.png"
                page.screenshot(path=OUT / name)
                count += 1
            context.close()
    return count


def of_readme(browser: Browser) -> None:
    """Two small pictures of the real thing, for the README."""
    with Stage(Path(tempfile.mkdtemp())) as stage:
        stage.start_relay("")
        ada_window = Window(browser, stage.variables["SERVER"], "ada")
        ada = signed_up(ada_window, "ada", stage.variables["CODE"])
        new_sphere(ada, "Harbour plan")
        bo_window = Window(browser, stage.variables["SERVER"], "bo", viewport=SMALL, color_scheme="dark")
        bo = join_by(bo_window, invite(ada), "bo")
        admit(ada)
        for page, text in ((ada, "Which port do we use on Friday?"), (bo, "The north one. It has the deep quay."),
                           (ada, "Then I bring the charts."), (bo, "@ada Tide is at 09:40.")):  # fmt: skip
            write(page, text)
        message(ada, "Tide is at 09:40").wait_for()
        for one in (ada, bo):
            for _reminder in ("password", "store"):
                one.get_by_role("button", name="Done").click()
            one.get_by_role("button", name="Done").wait_for(state="detached")
        ada.screenshot(path=ROOT / "docs/app-desk.png")
        bo.screenshot(path=ROOT / "docs/app-phone.png")
        goto(ada, "security")
        ada.get_by_role("table").wait_for()
        ada.screenshot(path=ROOT / "docs/app-security.png")
        assert password_of("ada") not in ada.content()
        ada_window.close()
        bo_window.close()


def main() -> int:
    """Take them all."""
    OUT.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        of_readme(browser)
        with gallery():
            count = of_gallery(browser)
        browser.close()
    print(json.dumps({"pictures": count, "folder": str(OUT.relative_to(ROOT))}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
