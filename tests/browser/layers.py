"""Layers over the gallery's screens: dialogs, menus, lists; each with the place it stands over and what opens it."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.acts import button, composer, say
from tests.browser.gallery import show


def _menu(page: Page, name: str | re.Pattern[str], item: str) -> None:
    page.get_by_role("button", name=name).first.click()
    page.get_by_role("menuitem", name=item, exact=True).click()


def _more(page: Page, name: str, item: str) -> None:
    _menu(page, say("people.more", name=name), say(item))


def _letter(page: Page) -> None:
    page.get_by_role("radio", name=re.compile(re.escape(say("invite.by-letter")))).check()


def _sent(page: Page) -> None:
    _letter(page)
    button(page, "invite.send").click()
    expect(page.get_by_role("dialog").get_by_role("status")).to_be_visible()


def _openly(page: Page) -> None:
    composer(page).fill("Anybody may know that the ferry leaves at nine.")
    button(page, "composer.openly").click()


def _organisation(page: Page) -> None:
    page.get_by_role("dialog").get_by_text(say("new.more"), exact=True).click()
    page.get_by_role("combobox", name=say("new.key-from")).select_option("firm")
    expect(page.get_by_text(say("org.of", org="Firm"))).to_be_visible()


def _presses(message_id: str) -> Callable[[Page], None]:
    return lambda page: button(page, message_id).first.click()


LAYERS: dict[str, tuple[str, Callable[[Page], None]]] = {
    "go to": ("inbox", lambda page: page.keyboard.press("Control+k")),
    "keys": ("inbox", lambda page: page.keyboard.press("?")),
    "menu of a sphere": ("s/harbour", _presses("sphere.more")),
    "menu of a message": (
        "s/harbour",
        lambda page: page.get_by_role("button", name=say("row.actions")).last.evaluate("(one) => one.click()"),
    ),
    "why open": ("s/canteen", _presses("row.why")),
    "why public": ("s/square", _presses("row.why")),
    "openly": ("s/harbour", _openly),
    "advice": ("s/stopped", lambda page: page.get_by_role("button", name="What to do").click()),
    "invite by letter": ("s/harbour/invite", _letter),
    "invited by letter": ("s/harbour/invite", _sent),
    "invited by link": ("s/harbour/invite", _presses("invite.make")),
    "confirm": ("s/harbour/people", _presses("act.confirm")),
    "role": ("s/harbour/people", lambda page: _more(page, "Bo", "people.change-role")),
    "petname": ("s/harbour/people", lambda page: _more(page, "Bo", "people.petname")),
    "remove": ("s/harbour/people", lambda page: _more(page, "Bo", "people.remove")),
    "remove from an organisation's": ("s/works/people", lambda page: _more(page, "Bo", "people.remove")),
    "compare": ("s/board/people", _presses("act.compare")),
    "new key": ("s/harbour/security", _presses("act.new-key")),
    "rules": ("s/harbour/security", _presses("rules.change")),
    "history": ("s/harbour/security", _presses("act.open")),
    "save keys": ("s/harbour/security", _presses("save.open")),
    "take keys": ("s/harbour/security", _presses("take.open")),
    "receiving": ("s/harbour/security", _presses("handover.ask")),
    "turn off": ("s/harbour/security", _presses("mode.turn-off-ask")),
    "members only": ("s/square/security", _presses("mode.members-ask")),
    "organisation": ("new", _organisation),
    "mention": ("s/harbour", lambda page: composer(page).fill("@")),
}


def show_layer(page: Page, address: str, name: str) -> None:
    """Bring a layer up and wait until it stands."""
    place, opens = LAYERS[name]
    show(page, address, "open", place)
    opens(page)
    over = page.get_by_role("dialog").or_(page.get_by_role("menu")).or_(page.get_by_role("listbox"))
    expect(over.or_(page.get_by_role("checkbox")).first).to_be_visible()
