"""Pictures of every screen, to look at: `make shots` writes them to screenshots/, which is in no commit.

States come from the gallery (`web/tests/gallery`), each on a desk and on a phone, by day and by night; the pictures of
the README come from a relay and two browsers. Nothing is compared here: somebody looks.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.browser.acts import goto, invite, message, new_sphere, password_of, signed_up, write
from tests.browser.conftest import FLAGS, chromium_path
from tests.browser.gallery import gallery, screens, show
from tests.browser.layers import LAYERS, show_layer
from tests.browser.test_walk import admit, join_by
from tests.browser.window import DESKTOP, PHONE, SMALL, Window
from tests.cli.stage import Stage

ROOT = Path(__file__).parents[2]
OUT = ROOT / "screenshots"
SIZES = {"desk": DESKTOP, "phone": PHONE}
THEMES = ("light", "dark")


def of_gallery(browser: Browser, address: str) -> int:
    """A picture of every screen and layer; how many."""
    count = 0
    for size, viewport in SIZES.items():
        for theme in THEMES:
            context = browser.new_context(viewport=viewport, color_scheme=theme, reduced_motion="reduce")
            page = context.new_page()
            for state, place in screens():
                show(page, address, state, place)
                name = f"{size}-{theme}-{state}{'-' + place.replace('/', '-') if place else ''}.png"
                page.screenshot(path=OUT / name)
                count += 1
            for name in LAYERS:
                show_layer(page, address, name)
                page.screenshot(path=OUT / f"{size}-{theme}-over-{re.sub('[^a-z]+', '-', name)}.png")
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
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        of_readme(browser)
        with gallery(Path(tempfile.mkdtemp())) as address:
            count = of_gallery(browser, address)
        browser.close()
    print(json.dumps({"pictures": count, "folder": str(OUT.relative_to(ROOT))}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
