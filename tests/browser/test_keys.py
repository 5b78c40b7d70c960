"""The life of a sphere's key in the screens: steps 12, 14, 15, 22, 23.

Rules: CLT-041, CLT-042, CLT-060, LIVE-005, LIVE-009, LIVE-012.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.acts import (
    back_to_sphere,
    button,
    composer,
    field,
    goto,
    invite,
    message,
    password_of,
    say,
    sign_in,
    signed_up,
    write,
)
from tests.browser.test_walk import admit, join_by, two
from tests.browser.window import Windows
from tests.cli.stage import Stage


def opened(page: Page, message_id: str) -> None:
    """A dialog of the security panel."""
    goto(page, "security")
    button(page, message_id).click()
    expect(page.get_by_role("dialog")).to_be_visible()


def test_encryption_off_and_on_again(window: Windows, stage: Stage) -> None:
    """The name is typed, everybody is told once and says so, nothing old is published; on again means a new key."""
    ada, bo = two(window, stage)
    write(ada, "Sealed words.")
    expect(message(bo, "Sealed words.")).to_be_visible()
    opened(ada, "mode.turn-off-ask")
    off = button(ada, "mode.turn-off")
    expect(off).to_be_disabled()
    field_of(ada, say("mode.type-name", title="Harbour plan")).fill("Harbour plan")
    off.click()
    expect(ada.get_by_role("dialog")).to_have_count(0)
    told = bo.get_by_role("region", name=say("switched.title"))
    expect(told).to_contain_text("ada turned encryption off")
    button(told, "switched.understand").click()
    expect(told).to_have_count(0)
    composer(bo).fill("Open words.")
    composer(bo).press("Control+Enter")
    back_to_sphere(ada)
    expect(message(ada, "Open words.")).to_be_visible()
    opened(ada, "mode.turn-on-ask")
    button(ada, "mode.turn-on").click()
    expect(ada.get_by_role("dialog")).to_have_count(0)
    expect(ada.get_by_role("heading", name=say("security.key", n=2))).to_be_visible()
    write(bo, "Sealed again.")
    back_to_sphere(ada)
    expect(message(ada, "Sealed again.")).to_be_visible()
    kept = b"".join(path.read_bytes() for path in stage.folder.rglob("relay.db*"))
    assert [text for text in ("Sealed words.", "Open words.", "Sealed again.") if stored(text, kept)] == ["Open words."]


def stored(text: str, data: bytes) -> bool:
    """Whether a text stands in a database, as it is or within base64url at any of three places."""
    inner = [base64.urlsafe_b64encode(b"." * shift + text.encode())[4:-4] for shift in range(3)]
    return text.encode() in data or any(one in data for one in inner)


def the_sphere(page: Page) -> None:
    """The one sphere there is, whatever it is called here."""
    page.locator('a[href^="#/s/sp-"]').first.click()
    page.wait_for_url(re.compile("#/s/sp-"))


def field_of(page: Page, label: str):  # type: ignore[no-untyped-def]
    return page.get_by_label(label, exact=True)


def test_keys_saved_checked_and_taken_back(window: Windows, stage: Stage, tmp_path: Path) -> None:
    """The check refuses another file; a browser that was wiped gets all keys back with the code."""
    first = window("ada")
    ada = signed_up(first, "ada", stage.variables["CODE"])
    ada.evaluate("() => { location.hash = '#/new' }")
    dialog = ada.get_by_role("dialog")
    field(dialog, "new.name").fill("Harbour plan")
    button(dialog, "new.make").click()
    write(ada, "Words to keep.")
    opened(ada, "save.open")
    field(ada, "field.password").fill(password_of("ada"))
    button(ada, "save.make").click()
    with ada.expect_download() as loading:
        button(ada, "save.file").click()
    saved, wrong = tmp_path / "keys.txt", tmp_path / "wrong.txt"
    loading.value.save_as(saved)
    wrong.write_text("sphsec1.e30.AAAA")
    button(ada.get_by_role("dialog"), "act.show").click()
    code = ada.get_by_role("dialog").locator(".code").inner_text()
    check = ada.get_by_role("dialog").locator("input[type=file]")
    check.set_input_files(wrong)
    expect(ada.get_by_role("dialog").get_by_role("alert")).to_be_visible()
    check.set_input_files(saved)
    expect(ada.get_by_text(say("save.good"))).to_be_visible()
    button(ada.get_by_role("dialog"), "act.done").click()
    expect(ada.get_by_text(say("save.done", n=1))).to_be_visible()
    button(ada, "security.only-here").click()
    expect(ada.get_by_text(say("security.custody-chosen"))).to_be_visible()
    back_to_sphere(ada)
    write(ada, "Under the key that stays here.")
    opened(ada, "save.open")
    field(ada, "field.password").fill(password_of("ada"))
    button(ada, "save.make").click()
    with ada.expect_download() as loading:
        button(ada, "save.file").click()
    loading.value.save_as(saved)
    button(ada.get_by_role("dialog"), "act.show").click()
    code = ada.get_by_role("dialog").locator(".code").inner_text()
    button(ada, "save.later").click()
    first.close()
    again = sign_in(window("again"), "ada")
    the_sphere(again)
    goto(again, "security")
    button(again, "take.open").click()
    again.get_by_role("dialog").locator("input[type=file]").set_input_files(saved)
    field(again, "take.code").fill(code)
    button(again, "take.take").click()
    expect(again.get_by_role("dialog").get_by_role("status")).to_be_visible()
    button(again.get_by_role("dialog"), "act.done").click()
    back_to_sphere(again)
    expect(message(again, "Words to keep.")).to_be_visible()
    expect(message(again, "Under the key that stays here.")).to_be_visible()


def test_keys_handed_over_between_two_machines(window: Windows, stage: Stage) -> None:
    """Both show the same six digits; Different ends both sides; asked again and sent, the messages open."""
    desk = signed_up(window("desk"), "ada", stage.variables["CODE"])
    laptop = sign_in(window("laptop"), "ada")
    expect(laptop.get_by_role("heading", name=say("place.inbox"), level=1)).to_be_visible()
    desk.evaluate("() => { location.hash = '#/new' }")
    dialog = desk.get_by_role("dialog")
    field(dialog, "new.name").fill("Harbour plan")
    dialog.get_by_text(say("new.more")).click()
    dialog.get_by_role("switch", name=say("new.live")).check()
    button(dialog, "new.make").click()
    giving = desk.get_by_role("dialog", name=say("handover.giving", title="Harbour plan"))
    receiving = laptop.get_by_role("dialog")
    expect(giving).to_be_visible()
    expect(receiving).to_be_visible()
    assert giving.locator(".digits").inner_text() == receiving.locator(".digits").inner_text()
    button(receiving, "handover.different").click()
    expect(giving.get_by_role("status")).to_have_text(say("handover.ended-different"))
    expect(receiving.get_by_role("status")).to_have_text(say("handover.ended-different"))
    button(giving, "act.done").click()
    button(receiving, "act.done").click()
    write(desk, "From the desk.")
    the_sphere(laptop)
    goto(laptop, "security")
    button(laptop, "handover.ask").click()
    expect(giving).to_be_visible()
    assert giving.locator(".digits").inner_text() == receiving.locator(".digits").inner_text()
    button(giving, "handover.same").click()
    expect(receiving.get_by_role("status")).to_have_text(say("handover.received", n=1, name="ada"))
    button(receiving, "act.done").click()
    expect(giving.get_by_role("status")).to_have_text(say("handover.given", name="ada"))
    button(giving, "act.done").click()
    back_to_sphere(laptop)
    expect(message(laptop, "From the desk.")).to_be_visible()


def test_who_joins_late_asks_a_person_for_what_was_before(window: Windows, stage: Stage) -> None:
    """From the day they join: older rows are one folded line; an owner shares, and they fill by themselves."""
    ada = signed_up(window("ada"), "ada", stage.variables["CODE"])
    ada.evaluate("() => { location.hash = '#/new' }")
    dialog = ada.get_by_role("dialog")
    field(dialog, "new.name").fill("Harbour plan")
    button(dialog, "new.make").click()
    expect(ada.get_by_role("heading", name="Harbour plan", level=1)).to_be_visible()
    opened(ada, "rules.change")
    ada.get_by_role("radio", name=re.compile(re.escape(say("history.since-join")))).check()
    button(ada, "act.save").click()
    expect(ada.get_by_role("dialog")).to_have_count(0)
    back_to_sphere(ada)
    write(ada, "First of old.")
    write(ada, "Second of old.")
    bo = join_by(window("bo"), invite(ada), "bo")
    admit(ada)
    expect(bo.get_by_role("heading", name="Harbour plan", level=1)).to_be_visible()
    expect(bo.get_by_text(say("row.closed-before", n=2))).to_be_visible()
    button(bo, "row.ask-admin").click()
    wish = ada.get_by_role("region", name=say("wish.title"))
    expect(wish).to_contain_text("bo asks to read")
    button(wish, "wish.share").click()
    expect(message(bo, "First of old.")).to_be_visible()
    expect(message(bo, "Second of old.")).to_be_visible()
    expect(wish).to_have_count(0)
