"""Step 26 without a screen: send, receive, read a thread, approve, unlock by keyboard, and everything has a name.

Names are those of the browser's own accessibility tree, which is what a screen reader is told.
Rules: WEB-060, WEB-064, WEB-024.
"""

from __future__ import annotations

from typing import Any

from playwright.sync_api import CDPSession, Page, expect

from tests.browser.acts import (
    field,
    goto,
    invite,
    like,
    message,
    new_sphere,
    password_of,
    rows,
    say,
    signed_up,
    written,
)
from tests.browser.test_walk import join_by, two
from tests.browser.window import Windows
from tests.cli.stage import Stage

CONTROLS = {
    "button", "link", "textbox", "searchbox", "checkbox", "radio", "switch", "combobox", "listbox", "option", "tab",
    "menuitem", "dialog", "alertdialog", "slider", "spinbutton",
}  # fmt: skip
LANDMARKS = {"navigation", "main", "complementary", "region", "form"}
# How many stops of Tab there may be before something is reached.
FAR = 60


def _tree(page: Page) -> list[dict[str, Any]]:
    """The accessibility tree as the browser tells it: role, name and whether it has the focus."""
    session: CDPSession = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    found = []
    for node in nodes:
        if node.get("ignored"):
            continue
        properties = {one["name"]: one["value"].get("value") for one in node.get("properties", [])}
        found.append(
            {
                "role": node["role"]["value"],
                "name": node.get("name", {}).get("value", "").strip(),
                "focused": properties.get("focused") is True,
            }
        )
    return found


def _nameless(page: Page) -> list[str]:
    """Controls and landmarks that a screen reader has no word for; rows of the list too."""
    tree = _tree(page)
    wanted = CONTROLS | (LANDMARKS - {"main", "form"})
    return [one["role"] for one in tree if one["role"] in wanted and one["name"] == ""]


def _focused(page: Page) -> dict[str, Any]:
    """What has the focus, by the browser's word."""
    found = [one for one in _tree(page) if one["focused"] and one["role"] != "RootWebArea"]
    return found[-1] if found else {"role": "", "name": "", "focused": False}


def _tab_to(page: Page, role: str, name: str) -> None:
    """Tab until what has this role and (the beginning of) this name is reached."""
    seen = []
    for _ in range(FAR):
        page.keyboard.press("Tab")
        here = _focused(page)
        if here["role"] == role and here["name"].startswith(name):
            return
        seen.append(f"{here['role']} {here['name'][:40]}")
    raise AssertionError(f"Tab never reaches {role} {name}: {seen}")


def _write(page: Page, text: str, *, label: str = "composer.message") -> None:
    _tab_to(page, "textbox", say(label, n=2).partition(" for ")[0])
    page.keyboard.insert_text(text)
    page.keyboard.press("Control+Enter")


def test_writing_hearing_and_answering_in_a_thread(window: Windows, stage: Stage) -> None:
    ada, bo = two(window, stage)
    for page in (ada, bo):
        roles = {one["role"] for one in _tree(page)}
        assert {"navigation", "main", "heading"} <= roles
        assert _nameless(page) == []
    log = ada.get_by_role("log")
    _write(ada, "Which port do we use?")
    written(ada, "Which port do we use?")
    assert log.inner_text() == ""  # what one writes oneself is not read out
    expect(message(bo, "Which port do we use?")).to_be_visible()
    # Heard as it comes: who, when, what.
    _write(bo, "The north one.")
    expect(log.get_by_text("bo")).to_contain_text("The north one.")
    # To the message by arrows, into its comments by Enter, an answer, and back by Esc.
    _tab_to(ada, "listitem", "")
    for key in ("End", "k", "k"):
        if "Which port do we use?" not in _focused(ada)["name"]:
            ada.keyboard.press(key)
    assert "Which port do we use?" in _focused(ada)["name"]
    assert _focused(ada)["name"].startswith("ada")
    ada.keyboard.press("Enter")
    side = ada.get_by_role("complementary", name=say("shell.thread"))
    expect(side.get_by_role("list")).to_be_visible()
    assert _focused(ada) == {"role": "heading", "name": say("thread.title"), "focused": True}
    _write(ada, "With the crane.", label="composer.comment")
    expect(side.get_by_role("listitem").filter(has_text="With the crane.")).to_be_visible()
    assert _nameless(ada) == []
    ada.keyboard.press("Escape")
    expect(side).to_have_count(0)
    expect(message(bo, "Which port do we use?")).to_contain_text(say("row.comments", n=1))
    # A row says what is special about it.
    expect(rows(bo).get_by_role("listitem", name="Which port do we use?")).to_have_count(1)
    names = [one["name"] for one in _tree(bo) if one["role"] == "listitem" and "Which port" in one["name"]]
    assert any(say("row.comments", n=1) in name for name in names)


def test_approving_locking_and_unlocking(window: Windows, stage: Stage) -> None:
    ada = signed_up(window("ada"), "ada", stage.variables["CODE"])
    new_sphere(ada, "Harbour plan")
    bo = join_by(window("bo"), invite(ada), "bo")
    assert _nameless(bo) == []
    goto(ada, "people")
    region = ada.get_by_role("region", name=say("request.title", name="bo", title="Harbour plan"))
    expect(region).to_be_visible()
    _tab_to(ada, "button", say("act.admit"))
    ada.keyboard.press("Enter")
    expect(region).to_have_count(0)
    expect(bo.get_by_role("heading", name="Harbour plan", level=1)).to_be_visible()
    assert _focused(bo)["role"] == "heading"  # whoever waits for it is where it begins
    ada.keyboard.press("Control+Shift+L")
    expect(ada.get_by_role("heading", name=say("lock.title"), level=1)).to_be_visible()
    assert _nameless(ada) == []
    assert not [one for one in _tree(ada) if "Harbour plan" in one["name"]]
    if _focused(ada)["name"] != say("field.password"):
        _tab_to(ada, "textbox", say("field.password"))
    ada.keyboard.insert_text(password_of("ada"))
    ada.keyboard.press("Enter")
    expect(ada.get_by_role("link", name=like("place.inbox")).first).to_be_visible()
    expect(field(ada, "field.password")).to_have_count(0)
    assert _nameless(ada) == []


def test_control_a_control_without_a_name_is_found(window: Windows, stage: Stage) -> None:
    page = window("ada").open()
    page.get_by_role("main").wait_for()
    assert _nameless(page) == []
    page.evaluate("() => document.querySelector('main').append(document.createElement('button'))")
    assert _nameless(page) == ["button"]
