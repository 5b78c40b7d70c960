"""Life in a sphere: changed words, comments, removal, races, who somebody is, the panel, tabs (steps 7, 10, 11, 18).

Rules: WEB-003, CLT-013, CLT-016, CLT-022.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.acts import (
    back_to_sphere,
    button,
    composer,
    do,
    field,
    goto,
    like,
    message,
    open_sphere,
    rows,
    say,
    see,
    write,
    written,
)
from tests.browser.test_walk import two
from tests.browser.window import Windows
from tests.cli.stage import Stage


def test_edit_delete_react_and_comment_show_on_the_other_side(window: Windows, stage: Stage) -> None:
    ada, bo = two(window, stage)
    write(ada, "Which prot?")
    do(ada, "Which prot?", "row.edit")
    composer(ada).fill("Which port?")
    composer(ada).press("Control+Enter")
    expect(message(bo, "Which port?")).to_contain_text(say("row.edited"))
    write(ada, "Not this.")
    expect(message(bo, "Not this.")).to_be_visible()
    do(ada, "Not this.", "row.delete")
    button(ada, "act.undo").click()
    do(ada, "Not this.", "row.delete")
    expect(message(bo, "Not this.")).to_have_count(0)
    do(bo, "Which port?", "row.comment")
    side = bo.get_by_role("complementary", name=say("shell.thread"))
    side.get_by_label(like("composer.comment")).fill("The north one.")
    side.get_by_label(like("composer.comment")).press("Control+Enter")
    expect(message(ada, "Which port?")).to_contain_text(say("row.comments", n=1))
    expect(message(ada, "The north one.")).to_have_count(0)


def test_a_removed_member_is_told_and_reads_nothing_more(window: Windows, stage: Stage) -> None:
    ada, bo = two(window, stage)
    write(ada, "Before.")
    expect(message(bo, "Before.")).to_be_visible()
    goto(ada, "people")
    ada.get_by_role("button", name=say("people.more", name="bo")).click()
    ada.get_by_role("menuitem", name=say("people.remove")).click()
    ada.get_by_role("dialog").get_by_role("button", name=say("act.remove"), exact=True).click()
    expect(ada.get_by_role("dialog")).to_have_count(0)
    back_to_sphere(ada)
    expect(rows(ada).get_by_text(like("notice.remove", by=say("notice.you"), who="bo"))).to_be_visible()
    write(ada, "After.")
    expect(bo.get_by_text(say("gone.removed", title="Harbour plan"))).to_be_visible()
    see(bo, "Before.")
    expect(message(bo, "After.")).to_have_count(0)
    assert "After." not in bo.content()


def test_two_who_write_at_once_when_a_new_key_is_due_agree_on_one(window: Windows, stage: Stage) -> None:
    ada, bo = two(window, stage)
    for page, text in ((ada, "from ada"), (bo, "from bo")):
        goto(page, "security")
        button(page, "act.new-key").click()
        page.get_by_role("dialog").get_by_label(say("rotate.reason")).fill(text)
    for page in (ada, bo):
        page.get_by_role("dialog").get_by_role("button", name=say("act.new-key")).click(no_wait_after=True)
    for page in (ada, bo):
        expect(page.get_by_role("dialog")).to_have_count(0)
        back_to_sphere(page)
    write(ada, "ada after it")
    write(bo, "bo after it")
    for page in (ada, bo):
        expect(message(page, "ada after it")).to_be_visible()
        expect(message(page, "bo after it")).to_be_visible()


def test_confirming_somebody_by_rows_and_a_difference(window: Windows, stage: Stage) -> None:
    ada, bo = two(window, stage)
    shown = []
    for page, other in ((ada, "bo"), (bo, "ada")):
        goto(page, "people")
        row = page.get_by_role("listitem").filter(has_text=other)
        row.get_by_role("button", name=say("act.confirm")).click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("checkbox")).to_have_count(4)
        shown.append(re.sub(r"\D", "", "".join(dialog.get_by_role("listitem").all_inner_texts())))
    assert shown[0] == shown[1]
    dialog = ada.get_by_role("dialog")
    expect(button(dialog, "act.match")).to_be_disabled()
    for box in dialog.get_by_role("checkbox").all():
        box.check()
    button(dialog, "act.match").click()
    expect(ada.get_by_role("listitem").filter(has_text="confirmed in person")).to_contain_text("bo")
    button(bo.get_by_role("dialog"), "act.differ").click()
    expect(bo.get_by_role("alert")).to_contain_text("ada")


def test_the_panel_shows_the_row_as_the_database_has_it(window: Windows, stage: Stage) -> None:
    ada, _ = two(window, stage)
    write(ada, "Which port do we use?")
    written(ada, "Which port do we use?")
    goto(ada, "security")
    expect(ada.get_by_role("cell", name=re.compile("Which port do we use"))).to_be_visible()
    stored = ada.locator("pre").last.text_content() or ""
    found = []
    with sqlite3.connect(Path(stage.variables["DATA"]) / "relay.db") as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in database.execute(f'SELECT * FROM "{table}"'):
                found += [value for value in row if isinstance(value, str | bytes)]
    as_bytes = [value.encode() if isinstance(value, str) else value for value in found]
    assert any(stored.strip().encode() in value for value in as_bytes)
    assert not any(b"Which port" in value for value in as_bytes)


def test_two_tabs_of_one_browser_show_the_same(window: Windows, stage: Stage) -> None:
    ada, bo = two(window, stage)
    first = ada
    second = ada.context.new_page()
    second.goto(ada.url)
    expect(composer(second)).to_be_visible()
    write(second, "from the second tab")
    expect(message(first, "from the second tab")).to_be_visible()
    expect(message(bo, "from the second tab")).to_be_visible()
    first.close()
    write(second, "after the first was closed")
    expect(message(bo, "after the first was closed")).to_be_visible()
    see(second, "from the second tab", "after the first was closed")


def test_an_administrator_reads_health_in_words_and_no_content(window: Windows, stage: Stage) -> None:
    ada, _ = two(window, stage)
    write(ada, "Only for us")
    ada.evaluate("() => { location.hash = '#/admin' }")
    expect(ada.get_by_role("heading", level=1)).to_have_text(say("place.admin"))
    expect(ada.get_by_role("main")).to_contain_text("database")
    assert "Only for us" not in ada.content()
    assert "Harbour plan" not in ada.get_by_role("main").inner_text()
    open_sphere(ada, "Harbour plan")
    see(ada, "Only for us")


def test_a_nickname_is_shown_as_text_whatever_it_holds(window: Windows, stage: Stage) -> None:
    ada, bo = two(window, stage)
    goto(bo, "people")
    bo.get_by_role("button", name=say("people.more", name="bo")).click()
    bo.get_by_role("menuitem", name=say("people.nickname")).click()
    field(bo.get_by_role("dialog"), "field.name").fill("<img src=x onerror=alert(1)>")
    button(bo.get_by_role("dialog"), "act.save").click()
    expect(bo.get_by_role("dialog")).to_have_count(0)
    back_to_sphere(bo)
    write(bo, "<b>not bold</b> <script>alert(1)</script>")
    expect(message(ada, "<b>not bold</b>")).to_be_visible()
    assert ada.locator("img").count() == 0
    assert ada.locator("b").filter(has_text="not bold").count() == 0
