"""Fixtures of the browser tests: a browser, a relay, and windows that watch what the page does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.liar import Liar
from tests.browser.window import PATIENCE, Window, Windows
from tests.cli.stage import Stage

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

expect.set_options(timeout=PATIENCE)


def chromium_path() -> str:
    """Where Debian's Chromium is."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "no Chromium: tools/services.sh installs it"
    return path


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a screen. Ends with the module: its driver holds this thread's event loop."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A running relay and people in terminals."""
    with Stage(tmp_path) as made:
        made.start_relay("")
        yield made


@contextmanager
def windows(chromium: Browser, server: str) -> Iterator[Windows]:
    """Opens windows; each is a profile of its own. At the end none of them may have a complaint."""
    opened: list[Window] = []

    def open_one(name: str = "", **options: Any) -> Window:
        made = Window(chromium, server, name, **options)
        opened.append(made)
        return made

    yield open_one
    complaints = [line for one in opened for line in one.complaints]
    for one in opened:
        one.close()
    assert not complaints


@pytest.fixture
def window(chromium: Browser, stage: Stage) -> Iterator[Windows]:
    """Opens windows at the relay."""
    with windows(chromium, stage.variables["SERVER"]) as opening:
        yield opening


@pytest.fixture
def liar(tmp_path: Path) -> Iterator[Liar]:
    """A world whose relay is honest until told otherwise, and whose members keep to no rule unless they want to."""
    with Liar(tmp_path / "world") as made:
        yield made


@pytest.fixture
def open_window(chromium: Browser, liar: Liar) -> Iterator[Windows]:
    """Opens windows at the liar's port."""
    with windows(chromium, liar.server) as opening:
        yield opening
