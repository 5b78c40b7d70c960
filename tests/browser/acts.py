"""What people do in the application, by the names that a person sees or hears: roles and words of the catalogue."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.window import Window

SOURCE = Path(__file__).parents[2] / "src/cloister"
PASSWORD = "seven-{}-grey-seals-on-a-rock"


@cache
def _catalogue() -> dict[str, Any]:
    return {
        **json.loads((SOURCE / "words.json").read_text("utf-8")),
        **json.loads((SOURCE / "words_app.json").read_text("utf-8")),
    }


def say(message_id: str, **values: Any) -> str:
    """A text of the application."""
    entry = _catalogue()[message_id]
    if isinstance(entry, dict):
        entry = entry["one" if values[entry["of"]] == 1 else "other"]
    return str(entry).format(**values)


def like(message_id: str, **values: str) -> re.Pattern[str]:
    """A text of the application whose unnamed arguments may be anything."""
    entry = _catalogue()[message_id]
    forms = [entry] if isinstance(entry, str) else [entry["one"], entry["other"]]
    parts = [
        "".join(
            re.escape(values[part[1:-1]])
            if part[1:-1] in values
            else ".*?"
            if part.startswith("{")
            else re.escape(part)
            for part in re.split(r"(\{\w+\})", form)
        )
        for form in forms
    ]
    return re.compile("|".join(parts))


def button(page: Page | Locator, message_id: str, **values: Any) -> Locator:
    return page.get_by_role("button", name=say(message_id, **values), exact=True)


def field(page: Page | Locator, message_id: str) -> Locator:
    return page.get_by_label(say(message_id), exact=True)


def password_of(name: str) -> str:
    """The password a person uses in every test."""
    return PASSWORD.format(name)


# --- doors --------------------------------------------------------------------------------------------------------


def sign_up(window: Window, name: str, code: str = "") -> Page:
    """A new account, from the first page on; ends in the inbox."""
    page = window.open()
    page.get_by_role("link", name=re.compile(say("welcome.first") + "|" + say("welcome.create"))).click()
    return fill_account(page, name, code)


def fill_account(page: Page, name: str, code: str = "") -> Page:
    """Name and password of a new account, and the button."""
    if code:
        page.get_by_label(re.compile(say("setup.code-first") + "|" + say("setup.code"))).fill(code)
    field(page, "field.name").fill(name)
    field(page, "field.password").fill(password_of(name))
    button(page, "setup.create").click()
    return page


def signed_up(window: Window, name: str, code: str = "") -> Page:
    """``sign_up`` and the inbox seen."""
    page = sign_up(window, name, code)
    expect(page.get_by_role("heading", name=say("place.inbox"), level=1)).to_be_visible()
    return page


def sign_in(window: Window, name: str, password: str = "") -> Page:
    page = window.open("/#/signin")
    field(page, "field.name").fill(name)
    field(page, "field.password").fill(password or password_of(name))
    button(page, "signin.do").click()
    return page


def unlock(page: Page, name: str) -> None:
    field(page, "field.password").fill(password_of(name))
    button(page, "lock.unlock").click()


# --- spheres ------------------------------------------------------------------------------------------------------


def new_sphere(page: Page, title: str, *, encrypted: bool = True) -> None:
    """A sphere, made in the dialog; ends in it, ready to write."""
    page.evaluate("() => { location.hash = '#/new' }")
    dialog = page.get_by_role("dialog")
    field(dialog, "new.name").fill(title)
    if not encrypted:
        dialog.get_by_role("radio", name=say("new.open")).check()
    button(dialog, "new.make").click()
    expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()


def open_sphere(page: Page, title: str) -> None:
    """By the list of spheres, on any width."""
    page.evaluate("() => { location.hash = '#/spheres' }")
    page.get_by_role("main").or_(page.get_by_role("navigation")).get_by_role(
        "link", name=re.compile("^" + re.escape(title))
    ).first.click()
    expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()


def goto(page: Page, place: str) -> None:
    """A page of the sphere that is open: people, security, invite."""
    page.evaluate("(place) => { location.hash = location.hash.split('/').slice(0, 3).join('/') + '/' + place }", place)


def back_to_sphere(page: Page) -> None:
    page.evaluate("() => { location.hash = location.hash.split('/').slice(0, 3).join('/') }")


def invite(page: Page, *, auto: bool = False) -> str:
    """A link made in the dialog of the sphere that is open."""
    goto(page, "invite")
    dialog = page.get_by_role("dialog")
    if auto:
        dialog.get_by_role("radio", name=say("invite.auto")).check()
    button(dialog, "invite.make").click()
    link = dialog.get_by_label(say("invite.link")).input_value()
    button(dialog, "act.close").click()
    back_to_sphere(page)
    return link


def composer(page: Page) -> Locator:
    """The field to write in."""
    kinds = ("composer.message", "composer.message-open", "composer.message-public", "composer.message-org")
    return page.get_by_label(re.compile("|".join(like(one).pattern for one in kinds)))


def rows(page: Page) -> Locator:
    """The list of messages."""
    return page.get_by_role("list", name=like("sphere.messages"))


def written(page: Page, text: str) -> None:
    """The row with this text is there and its way to the server is behind it."""
    expect(message(page, text).get_by_text(say("row.waiting"))).to_have_count(0)
    expect(message(page, text).get_by_role("button", name=say("row.actions"))).to_have_count(1)


def write(page: Page, text: str) -> None:
    """Type and send; the row is there afterwards."""
    composer(page).fill(text)
    composer(page).press("Control+Enter")
    expect(message(page, text)).to_be_visible()


def message(page: Page, text: str) -> Locator:
    """The row with this text in the list of messages."""
    return rows(page).get_by_role("listitem").filter(has_text=text)


def see(page: Page, *texts: str) -> None:
    """All these texts are in the list, each once and in this order."""
    for text in texts:
        expect(message(page, text)).to_have_count(1)
    shown = rows(page).inner_text()
    places = [shown.index(text) for text in texts]
    assert places == sorted(places), shown


def do(page: Page, text: str, message_id: str) -> None:
    """An action of the menu of the message with ``text``."""
    row = message(page, text)
    row.hover()
    row.get_by_role("button", name=say("row.actions")).click()
    page.get_by_role("menuitem", name=say(message_id), exact=True).click()
