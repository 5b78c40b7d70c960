"""Without the relay the application starts and shows what it has; several tabs are one client; locking reaches all.

Rules: WEB-012, WEB-013, WEB-014, CLT-010.
"""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.acts import (
    button,
    message,
    new_sphere,
    open_sphere,
    signed_up,
    unlock,
    write,
)
from tests.browser.window import Windows
from tests.cli.stage import Stage

READY = "async () => { await navigator.serviceWorker.ready; return true }"
KEPT = """async () => {
  const found = [];
  for (const name of await caches.keys()) {
    for (const one of await (await caches.open(name)).keys()) found.push(one.url);
  }
  return found;
}"""


def test_starts_without_the_relay_and_keeps_only_its_files(window: Windows, stage: Stage) -> None:
    ada = window("ada")
    page = signed_up(ada, "ada", stage.variables["CODE"])
    new_sphere(page, "Harbour")
    write(page, "Anybody here?")
    expect(message(page, "Anybody here?")).to_be_visible()
    assert page.evaluate(READY)
    kept = page.evaluate(KEPT)
    assert stage.variables["SERVER"] + "/" in kept
    assert all("/v1/" not in url and "#" not in url for url in kept)
    listed = page.evaluate("async () => Object.keys((await (await fetch('/files.json')).json()).files)")
    assert len(kept) == len(listed) - 1  # all but the service worker itself
    page.reload()
    expect(message(page, "Anybody here?")).to_be_visible()
    stage.stop_relay()
    page.reload()
    expect(message(page, "Anybody here?")).to_be_visible()
    write(page, "Written without a server")
    expect(message(page, "Written without a server")).to_be_visible()
    stage.start_relay("")
    # An invitation's secret stands in no kept address, whichever page it was opened on.
    page.goto(stage.variables["SERVER"] + "/j#not-a-real-secret")
    assert not any("not-a-real-secret" in url for url in page.evaluate(KEPT))


def test_two_tabs_are_one_client(window: Windows, stage: Stage) -> None:
    ada = window("ada")
    first = signed_up(ada, "ada", stage.variables["CODE"])
    new_sphere(first, "Harbour")
    second = ada.tab()
    second.goto(stage.variables["SERVER"] + "/")
    open_sphere(second, "Harbour")
    write(first, "From the first tab")
    expect(message(second, "From the first tab")).to_be_visible()
    write(second, "From the second")
    expect(message(first, "From the second")).to_be_visible()
    first.close()
    write(second, "Alone now")
    expect(message(second, "Alone now")).to_be_visible()


def test_locked_in_one_tab_is_locked_in_all(window: Windows, stage: Stage) -> None:
    ada = window("ada")
    first = signed_up(ada, "ada", stage.variables["CODE"])
    new_sphere(first, "Harbour")
    second = ada.tab()
    second.goto(stage.variables["SERVER"] + "/")
    open_sphere(second, "Harbour")
    first.keyboard.press("Control+Shift+L")
    for page in (first, second):
        expect(button(page, "lock.unlock")).to_be_visible()
    second.reload()
    expect(button(second, "lock.unlock")).to_be_visible()
    unlock(second, "ada")
    expect(second.get_by_text("Harbour").first).to_be_visible()
