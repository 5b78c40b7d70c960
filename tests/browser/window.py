"""A window: one profile of the browser, watched for everything a page of this application must never do."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

ROOT = Path(__file__).parents[2]
PATIENCE = 20_000  # milliseconds until a state that never comes is a failure
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
SMALL = {"width": 320, "height": 640}
# What a lost server makes the browser itself write.
_NETWORK = ("net::ERR_", "WebSocket connection to", "Failed to load resource")
_WATCH = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


@cache
def _axe() -> str:
    return (ROOT / "web/node_modules/axe-core/axe.min.js").read_text("utf-8")


class Window:
    """See the module. ``page`` is the tab in front; ``tab`` opens another one in the same profile."""

    def __init__(self, browser: Browser, server: str, name: str = "", **options: Any) -> None:
        self.name, self.server = name, server
        self.complaints: list[str] = []
        self.asked: list[str] = []
        settings = {"viewport": DESKTOP, "locale": "en-GB", "timezone_id": "UTC", "reduced_motion": "reduce", **options}
        self._watch(browser.new_context(**settings))

    @classmethod
    def over(cls, context: BrowserContext, server: str, name: str = "") -> Self:
        """A window over a profile that is there already."""
        made = cls.__new__(cls)
        made.name, made.server, made.complaints, made.asked = name, server, [], []
        made._watch(context)
        return made

    def _watch(self, context: BrowserContext) -> None:
        self.context = context
        self._checks = False
        self.context.set_default_timeout(PATIENCE)
        self.context.add_init_script(_WATCH)
        self.page = self.tab()

    def tab(self) -> Page:
        """Another tab of this profile, blank."""
        page = self.context.new_page()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"{self.name}: {error}"))
        page.on("request", self._request)
        self.page = page
        return page

    def open(self, path: str = "/") -> Page:
        """The application at ``path`` (which may hold a fragment)."""
        self.page.goto(self.server + path)
        return self.page

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(word in message.text for word in _NETWORK):
            self.complaints.append(f"{self.name}: {message.text}")

    def _request(self, request: Request) -> None:
        self.asked.append(request.url)
        where = urlsplit(request.url)
        if where.scheme not in ("blob", "data") and f"{where.scheme}://{where.netloc}" != self.server:
            self.complaints.append(f"{self.name}: asked {request.url}")

    def axe(self, *, colours: bool = False) -> list[str]:
        """What an accessibility checker finds wrong with the page as it is now, one line each; ``colours``: asked only
        about these, for a page of which nothing else changed."""
        if not self._checks:
            # From the next page on it is there from the start, which costs a third of bringing it along.
            self._checks = True
            self.context.add_init_script(f"if (window === top) {{ {_axe()} }}")
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(_axe())
        asked: dict[str, Any] = {"resultTypes": ["violations"]}
        if colours:
            asked["runOnly"] = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
        found = self.page.evaluate("(asked) => axe.run(document, asked)", asked)
        return [
            f"{one['id']}: {json.dumps(node['target'])} {node['failureSummary']}"
            for one in found["violations"]
            for node in one["nodes"]
        ]

    def close(self) -> None:
        self.context.close()


Windows = Callable[..., Window]
"""Opens windows: a name, and options of the browser."""
