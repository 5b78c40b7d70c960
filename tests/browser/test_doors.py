"""First minutes: an account, signing in, locking, a PIN; what a wrong word says and does not (steps 2, 3, 19, 20).

Rules: WEB-003, WEB-022, VLT-006, VLT-009.
"""

from __future__ import annotations

import json
import re

from playwright.sync_api import Page, expect

from tests.browser.acts import button, field, new_sphere, password_of, say, sign_in, sign_up, signed_up, unlock, write
from tests.browser.window import PHONE, SMALL, Window, Windows
from tests.cli.stage import Stage


def test_three_choices_are_readable_on_the_smallest_screen(window: Windows) -> None:
    one = window("ada", viewport=SMALL)
    page = one.open()
    for message_id in ("welcome.first", "welcome.signin", "welcome.join"):
        expect(page.get_by_role("link", name=re.compile(say(message_id)))).to_be_visible()
    page.evaluate("() => { document.documentElement.style.setProperty('font-size', '200%') }")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert one.axe() == []


def test_an_account_by_keyboard_alone(window: Windows, stage: Stage) -> None:
    one = window("ada")
    page = one.open()
    page.get_by_role("link", name=re.compile(say("welcome.first"))).focus()
    page.keyboard.press("Enter")
    page.get_by_label(say("setup.code-first")).wait_for()

    def to(label: str) -> None:
        for _ in range(20):
            page.keyboard.press("Tab")
            here = page.evaluate(
                "() => document.activeElement.labels?.[0]?.innerText ?? document.activeElement.innerText ?? ''"
            )
            if here.strip() == label:
                return
        raise AssertionError(f"Tab never reaches {label}")

    to(say("setup.code-first"))
    page.keyboard.insert_text(stage.variables["CODE"])
    to(say("field.name"))
    page.keyboard.insert_text("ada")
    to(say("field.password"))
    page.keyboard.insert_text(password_of("ada"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=say("place.inbox"), level=1)).to_be_visible()


def test_a_sign_up_can_be_cancelled_and_begun_again(window: Windows, stage: Stage) -> None:
    one = window("ada")
    page = sign_up(one, "ada", stage.variables["CODE"])
    cancel = button(page, "act.cancel")
    inbox = page.get_by_role("heading", name=say("place.inbox"), level=1)
    expect(cancel.or_(inbox).first).to_be_visible()
    if cancel.is_visible():
        cancel.click()
        create, locked = button(page, "setup.create"), field(page, "field.password")
        expect(create.or_(inbox).first).to_be_visible()
        if create.is_visible():
            create.click()
        elif locked.is_visible():
            unlock(page, "ada")
    expect(inbox).to_be_visible()


def test_wrong_name_and_wrong_password_read_the_same(window: Windows, stage: Stage) -> None:
    signed_up(window("ada"), "ada", stage.variables["CODE"])
    told = []
    for name, password in (("ada", "not-the-right-words-at-all"), ("nobody", "not-the-right-words-at-all")):
        page = sign_in(window(name), name, password)
        alert = page.get_by_role("alert")
        expect(alert).to_be_visible()
        told.append(alert.inner_text())
    assert told[0] == told[1]
    assert "ada" not in told[0]


def test_a_second_browser_signs_in_and_sees_the_spheres(window: Windows, stage: Stage) -> None:
    page = signed_up(window("ada"), "ada", stage.variables["CODE"])
    new_sphere(page, "Harbour plan")
    other = sign_in(window("ada's phone", viewport=PHONE), "ada")
    expect(other.get_by_role("heading", name=say("place.inbox"), level=1)).to_be_visible()
    expect(other.get_by_role("link", name=re.compile("Harbour plan")).first).to_be_visible()


def test_a_reload_does_not_lock_and_locking_leaves_nothing(window: Windows, stage: Stage) -> None:
    one = window("ada")
    page = signed_up(one, "ada", stage.variables["CODE"])
    new_sphere(page, "Harbour plan")
    page.reload()
    expect(page.get_by_role("link", name=re.compile("Harbour plan")).first).to_be_visible()
    page.keyboard.press("Control+Shift+L")
    expect(page.get_by_role("heading", name=say("lock.title"), level=1)).to_be_visible()
    assert "Harbour plan" not in page.content()
    assert "Harbour plan" not in page.title()
    page.reload()
    expect(page.get_by_role("heading", name=say("lock.title"), level=1)).to_be_visible()
    field(page, "field.password").fill("not-the-right-words")
    button(page, "lock.unlock").click()
    expect(page.get_by_text(say("lock.wrong-password"))).to_be_visible()
    unlock(page, "ada")
    expect(page.get_by_role("link", name=re.compile("Harbour plan")).first).to_be_visible()


AT_FIRST_SIGHT = """
(title) => addEventListener("DOMContentLoaded", () => new MutationObserver(() => {
  const inside = [...document.querySelectorAll("h1")].some((one) => one.textContent.trim() === title);
  if (!inside || sessionStorage.getItem("again") !== null) return;
  sessionStorage.setItem("again", String(performance.now()));
  location.reload();
}).observe(document.body, { childList: true, subtree: true, characterData: true }))
"""


def test_a_reload_at_the_first_sight_of_the_inbox_does_not_lock(window: Windows, stage: Stage) -> None:
    def reloads(name: str) -> Window:
        made = window(name)
        made.context.add_init_script(f"({AT_FIRST_SIGHT})({json.dumps(say('place.inbox'))})")
        return made

    def inside(page: Page) -> None:
        page.wait_for_function("() => sessionStorage.getItem('again') !== null")
        heading = page.get_by_role("heading", name=say("place.inbox"), level=1)
        expect(heading.or_(field(page, "field.password")).first).to_be_visible()
        expect(heading).to_be_visible()

    page = sign_up(reloads("ada"), "ada", stage.variables["CODE"])
    inside(page)
    new_sphere(page, "Harbour plan")
    write(page, "The tide turns at six.")
    for number in range(5):
        one = reloads(f"ada's device {number}")
        inside(sign_in(one, "ada"))
        one.close()


def test_a_pin_opens_this_device_ten_tries_close_it_and_the_account_still_opens(window: Windows, stage: Stage) -> None:
    one = window("ada")
    page = signed_up(one, "ada", stage.variables["CODE"])
    new_sphere(page, "Harbour plan")
    page.evaluate("() => { location.hash = '#/settings/pin' }")
    field(page, "field.password").fill(password_of("ada"))
    page.get_by_label(say("pin.new")).fill("739152")
    button(page, "pin.set").click()
    expect(page.get_by_text(say("pin.done"))).to_be_visible()
    page.keyboard.press("Control+Shift+L")
    field(page, "field.pin").fill("739152")
    button(page, "lock.unlock").click()
    expect(page.get_by_role("link", name=re.compile("Harbour plan")).first).to_be_visible()
    page.keyboard.press("Control+Shift+L")
    for left in range(9, 0, -1):
        field(page, "field.pin").fill("402857")
        button(page, "lock.unlock").click()
        expect(page.get_by_text(say("lock.wrong-pin", n=left))).to_be_visible()
    field(page, "field.pin").fill("402857")
    button(page, "lock.unlock").click()
    expect(page.get_by_text(say("lock.closed"))).to_be_visible()
    button(page, "signin.do").click()
    field(page, "field.password").fill(password_of("ada"))
    button(page, "signin.do").click()
    expect(page.get_by_role("link", name=re.compile("Harbour plan")).first).to_be_visible()
