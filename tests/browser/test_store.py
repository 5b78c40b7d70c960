"""The browser's database as a store: the same answers as the one in memory, sealed, lasting, whole or not at all.

Rules: WEB-010, WEB-011, CLT-008, VLT-004.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.window import ROOT
from tests.cli.stage import Stage


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The probe of `web/tests/client/probe.ts` as one script."""
    folder: Path = tmp_path_factory.mktemp("probe")
    words = f"npx vite build --config tests/client/probe.config.ts --outDir {folder} --logLevel warn"
    subprocess.run(words.split(), cwd=ROOT / "web", check=True, capture_output=True)
    return (folder / "probe.js").read_text("utf-8")


@pytest.fixture
def page(chromium: Browser, stage: Stage, script: str) -> Iterator[Page]:
    """A page of the relay's origin that holds the probe and nothing else."""
    context = chromium.new_context(bypass_csp=True)
    page = context.new_page()
    page.goto(stage.variables["SERVER"] + "/healthz")
    page.add_script_tag(content=script)
    yield page
    context.close()


def ask(page: Page, what: str, *values: Any) -> Any:
    """Call the probe."""
    return page.evaluate("([what, values]) => probe[what](...values)", [what, list(values)])


def test_same_answers_sealed_and_gone_when_wiped(page: Page) -> None:
    assert ask(page, "alike", 25) == 75
    kept = ask(page, "lasting")
    assert kept["count"] > 20
    assert kept["size"] > 10_000
    assert (kept["wrong"], kept["clear"]) == ("C_VAULT", False)
    key = ask(page, "heldKey")
    assert key == {"opened": "VK", "exported": False, "extractable": False, "gone": True}
    assert ask(page, "wiped") == {"held": True, "left": [], "again": True}


def test_a_full_disk_leaves_what_was(page: Page, stage: Stage) -> None:
    """CLT-008: L_DISK, nothing of the step is there, and everything before it is."""
    session = page.context.new_cdp_session(page)
    origin = {"origin": stage.variables["SERVER"]}
    session.send("Storage.overrideQuotaForOrigin", {**origin, "quotaSize": 6 << 20})
    found = ask(page, "full", 40)
    assert found["fault"] == "L_DISK"
    assert found["written"] < 40
    assert (found["count"], found["cursor"]) == (found["written"], found["written"] - 1)
    session.send("Storage.overrideQuotaForOrigin", origin)
    assert ask(page, "full", 3)["fault"] == ""


def test_a_page_of_messages_is_stored_quickly(page: Page) -> None:
    times = ask(page, "speed")
    assert times["write"] < 250, times  # sealing, nine indexes and the disk, on whatever machine this is
