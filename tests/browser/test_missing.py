"""What is missing is named, asked for, and comes by itself: a key taken away (step 13), a message that came damaged.

Rules: CLT-017, CLT-043, CLT-052.
"""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

from cloister.protocol.encoding import b64e
from tests.browser.acts import button, goto, like, message, rows, say
from tests.browser.liar import Liar
from tests.browser.test_lies import BO, add_cy, let_in
from tests.browser.window import Windows
from tests.scenarios.world import harbour

# Takes every key of a sphere out of the browser's store.
FORGET = """async () => {
  const answered = (request) => new Promise((done, failed) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });
  let gone = 0;
  for (const { name } of await indexedDB.databases()) {
    const db = await answered(indexedDB.open(name));
    if (db.objectStoreNames.contains("epochKey")) {
      const keys = db.transaction("epochKey", "readwrite").objectStore("epochKey");
      gone += await answered(keys.count());
      await answered(keys.clear());
    }
    db.close();
  }
  return gone;
}"""
HERE = "() => { window.neverReloaded = true }"


def _comes_by_itself(page: Page, text: str) -> None:
    """The row fills while the page stands as it is."""
    expect(message(page, text)).to_be_visible()
    assert page.evaluate("() => window.neverReloaded")


def _without_keys(body: Any) -> Any:
    """Own slots as if none held the key of a sphere."""
    if "slots" in body:
        return {**body, "slots": [one for one in body["slots"] if not one["name"].startswith("e.")]}
    return {**body, "bytes": b64e(bytes(60))} if body["name"].startswith("e.") else body


async def _said(liar: Liar, who: str, text: str) -> None:
    await harbour(liar.hw.clients[who]).send(text)


async def _look(liar: Liar, *names: str) -> None:
    for name in names:
        await liar.hw.clients[name].sync()


def test_a_key_that_is_gone_is_named_asked_for_and_comes(open_window: Windows, liar: Liar) -> None:
    page = let_in(liar, open_window("bo").page)
    liar.do(add_cy(liar))
    expect(page.get_by_role("main").get_by_role("link", name=say("people.count", n=3))).to_be_visible()
    place = page.url
    page.goto(liar.server + "/files.json")  # of the same origin, and no client in it
    assert page.evaluate(FORGET) == 1
    # Nor is it in the relay's hands; those who have it are not there.
    liar.hw.liar.lie(r"GET /v1/slots", _without_keys, address=BO)
    liar.do(_said(liar, "ada", "Under the key"))
    page.goto(place)
    page.evaluate(HERE)
    expect(rows(page).get_by_text(say("row.closed-key", n=1))).to_be_visible()
    button(page, "row.ask-now").click()
    named = rows(page).get_by_text(like("row.closed-key-names"))
    expect(named).to_contain_text("ada")
    expect(named).to_contain_text("cy")
    goto(page, "security")
    expect(page.get_by_text(say("security.key-missing"))).to_be_visible()
    button(page, "act.check").click()
    expect(page.get_by_text(like("security.finding-bad")).filter(has_text="key 1 is missing")).to_contain_text("ada")
    page.go_back()
    liar.do(_look(liar, "cy"))
    _comes_by_itself(page, "Under the key")


def test_a_message_that_came_damaged_is_asked_for_and_comes_as_it_was_signed(open_window: Windows, liar: Liar) -> None:
    page = let_in(liar, open_window("bo").page)

    sph = page.url.split("/s/")[1].split("/")[0]

    def bent(row: dict[str, Any]) -> dict[str, Any]:
        jws = row.get("jws", "")
        return {**row, "jws": jws[:-9] + ("A" if jws[-9] != "A" else "B") + jws[-8:]} if jws else row

    def told(body: Any) -> Any:
        return {**body, "items": [bent(row) for row in body["items"]]}

    liar.hw.liar.lie(r"GET /v1/spheres/.*/items", told, address=BO)
    liar.hw.liar.lie_live(lambda frame: [bent(one) if one.get("s") == sph else one for one in frame], address=BO)
    liar.do(_said(liar, "ada", "As I wrote it"))
    page.evaluate(HERE)
    row = rows(page).get_by_role("listitem").filter(has_text=say("row.damaged"))
    expect(row).to_be_visible()
    since = len(liar.hw.liar.calls)
    button(row, "row.ask-now").click()
    expect(row.get_by_role("status")).to_have_text(say("row.asked", names="ada"))
    asked = liar.hw.liar.calls[since:]
    assert {one.path for one in asked if one.method == "POST" and one.address == BO} == {"/v1/inbox"}
    liar.do(_look(liar, "ada"))
    _comes_by_itself(page, "As I wrote it")
    expect(row).to_have_count(0)
