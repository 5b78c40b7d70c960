"""What people who know each other do: an invitation by letter, a public sphere, an organisation, one open message.

Rules: INV-004, INV-007, CLT-014, CLT-044, CLT-053, CLT-062, WEB-023.
"""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.acts import (
    back_to_sphere,
    button,
    composer,
    field,
    goto,
    like,
    message,
    new_sphere,
    open_sphere,
    rows,
    say,
    see,
    write,
    written,
)
from tests.browser.test_keys import stored
from tests.browser.test_walk import two
from tests.browser.window import Windows
from tests.cli.stage import Stage


def by_letter(page: Page, name: str) -> None:
    """Invite somebody known to the sphere that is open."""
    goto(page, "invite")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("radio", name=re.compile(re.escape(say("invite.by-letter")))).check()
    dialog.get_by_role("combobox", name=say("invite.whom")).select_option(label=name)
    button(dialog, "invite.send").click()
    expect(dialog.get_by_role("status")).to_contain_text(name)
    button(dialog, "act.done").click()
    back_to_sphere(page)


def test_somebody_known_is_invited_by_a_letter_and_comes_in_by_saying_yes(window: Windows, stage: Stage) -> None:
    ada, bo = two(window, stage)
    new_sphere(ada, "Board")
    write(ada, "Only for the board")
    written(ada, "Only for the board")
    by_letter(ada, "bo")
    bo.evaluate("() => { location.hash = '#/inbox' }")
    card = bo.get_by_role("region", name=say("invited.title", name="ada"))
    expect(card).to_contain_text("Board")
    expect(card).to_contain_text("Harbour plan")
    assert "j#sp-" not in bo.content()
    button(card, "act.decline").click()
    expect(card).to_have_count(0)
    # One that was withdrawn before the answer.
    by_letter(ada, "bo")
    expect(card).to_be_visible()
    goto(ada, "people")
    for left in (2, 1):
        expect(button(ada, "act.withdraw")).to_have_count(left)
        button(ada, "act.withdraw").first.click()
    expect(button(ada, "act.withdraw")).to_have_count(0)
    back_to_sphere(ada)
    button(card, "invited.accept").click()
    expect(card.get_by_role("alert")).to_have_text(say("invited.closed", name="ada"))
    button(card, "act.close").click()
    expect(card).to_have_count(0)
    by_letter(ada, "bo")
    button(card, "invited.accept").click()
    expect(bo.get_by_role("heading", name="Board", level=1)).to_be_visible()
    see(bo, "Only for the board")
    # Who is in is no candidate any more.
    goto(ada, "invite")
    expect(button(ada.get_by_role("dialog"), "invite.make")).to_be_visible()
    expect(ada.get_by_role("dialog").get_by_text(say("invite.by-letter"))).to_have_count(0)


def turn(page: Page, ask: str, message_id: str, *, typed: str = "", public: bool = False) -> None:
    """Change who may read the sphere that is open."""
    goto(page, "security")
    button(page, ask).click()
    dialog = page.get_by_role("dialog")
    if public:
        dialog.get_by_role("radio", name=re.compile(re.escape(say("mode.to-public")))).check()
    if typed:
        field(dialog, "mode.open-title").fill("Harbour notices")
        dialog.get_by_label(say("mode.type-name", title=typed), exact=True).fill(typed)
    button(dialog, message_id).click()
    expect(dialog).to_have_count(0)


def test_a_public_sphere_is_read_by_its_link_by_anybody(window: Windows, stage: Stage) -> None:
    ada, bo = two(window, stage)
    write(ada, "Sealed words")
    written(ada, "Sealed words")
    turn(ada, "mode.turn-off-ask", "mode.make-public", typed="Harbour plan", public=True)
    button(ada, "security.show-link").click()
    link = ada.locator("p.link").inner_text()
    back_to_sphere(ada)
    expect(ada.get_by_text(say("sphere.public-line"))).to_be_visible()
    write(ada, "Ferry at nine")
    written(ada, "Ferry at nine")
    button(bo.get_by_role("region", name=say("switched.title")), "switched.understand").click()
    expect(message(bo, "Ferry at nine")).to_be_visible()
    stranger = window("stranger")
    page = stranger.page
    page.goto(link)
    listed = page.get_by_role("list", name=say("sphere.messages", title="Harbour notices"))
    expect(listed.get_by_role("listitem")).to_have_count(1)
    expect(listed).to_contain_text("Ferry at nine")
    expect(page.get_by_text(say("public.line"))).to_be_visible()
    assert "Sealed words" not in page.content()
    assert "Harbour plan" not in page.content()
    assert page.get_by_role("textbox").count() == 0
    assert stranger.axe() == []
    # A place of the page: it can be read again, and nobody is made or asked for.
    page.reload()
    expect(listed).to_contain_text("Ferry at nine")
    assert not [url for url in stranger.asked if "/v1/" in url and "/v1/public/" not in url and "/v1/server" not in url]
    page.get_by_role("link", name=say("public.out")).click()
    expect(page.get_by_role("link", name=re.compile(say("welcome.signin")))).to_be_visible()
    turn(ada, "mode.members-ask", "mode.members")
    page.goto(link)
    expect(page.get_by_role("alert")).to_have_text(say("public.gone"))


def test_an_organisations_sphere_says_whose_key_it_has(window: Windows, stage: Stage) -> None:
    ada, bo = two(window, stage, "Harbour plan")
    ada.evaluate("() => { location.hash = '#/new' }")
    dialog = ada.get_by_role("dialog")
    field(dialog, "new.name").fill("Firm")
    dialog.get_by_text(say("new.more"), exact=True).click()
    dialog.get_by_role("switch", name=say("new.organisation")).check()
    button(dialog, "new.make").click()
    expect(ada.get_by_role("heading", name="Firm", level=1)).to_be_visible()
    ada.evaluate("() => { location.hash = '#/new' }")
    field(dialog, "new.name").fill("Board")
    dialog.get_by_text(say("new.more"), exact=True).click()
    dialog.get_by_role("combobox", name=say("new.key-from")).select_option(label="Firm")
    expect(dialog.get_by_text(say("org.of", org="Firm"))).to_be_visible()
    button(dialog, "new.make").click()
    expect(ada.get_by_role("heading", name="Board", level=1)).to_be_visible()
    expect(composer(ada)).to_have_attribute("placeholder", say("composer.message-org", org="Firm"))
    expect(ada.get_by_text(say("org.key-of", org="Firm"))).to_be_visible()
    # Nobody is let in who could read nothing; why is said.
    by_letter(ada, "bo")
    bo.evaluate("() => { location.hash = '#/inbox' }")
    button(bo.get_by_role("region", name=say("invited.title", name="ada")), "invited.accept").click()
    expect(bo.get_by_role("heading", name=say("join.sent"), level=1)).to_be_visible()
    goto(ada, "people")
    expect(ada.get_by_role("main").get_by_text(say("org.of", org="Firm"))).to_be_visible()
    button(ada, "act.admit").click()
    expect(ada.get_by_text(say("request.not-in-org", name="bo", org="Firm"))).to_be_visible()
    open_sphere(ada, "Firm")
    by_letter(ada, "bo")
    bo.evaluate("() => { location.hash = '#/inbox' }")
    button(bo.get_by_role("region", name=say("invited.title", name="ada")), "invited.accept").click()
    expect(bo.get_by_role("heading", name="Firm", level=1)).to_be_visible()
    open_sphere(ada, "Board")
    goto(ada, "people")
    button(ada, "act.admit").click()
    expect(button(ada, "act.admit")).to_have_count(0)
    back_to_sphere(ada)
    write(ada, "Under the key of the firm")
    open_sphere(bo, "Board")
    expect(message(bo, "Under the key of the firm")).to_be_visible()
    # Removed from it alone: nothing is promised.
    goto(ada, "people")
    ada.get_by_role("button", name=say("people.more", name="bo")).click()
    ada.get_by_role("menuitem", name=say("people.remove")).click()
    expect(ada.get_by_text(say("person.remove-org", name="bo", title="Board", org="Firm"))).to_be_visible()
    ada.get_by_role("dialog").get_by_role("button", name=say("act.remove"), exact=True).click()
    expect(ada.get_by_role("dialog")).to_have_count(0)
    back_to_sphere(ada)
    expect(rows(ada).get_by_text(like("notice.remove-org", by=say("notice.you"), who="bo"))).to_be_visible()


def test_one_message_in_clear_is_asked_about_and_marked(window: Windows, stage: Stage) -> None:
    ada, bo = two(window, stage)
    expect(button(ada, "composer.openly")).to_have_count(0)
    goto(ada, "security")
    button(ada, "rules.change").click()
    ada.get_by_role("dialog").get_by_role("switch", name=say("rules.plaintext")).check()
    button(ada, "act.save").click()
    expect(ada.get_by_role("dialog")).to_have_count(0)
    back_to_sphere(ada)
    for text, how in (("The ferry leaves at nine", "composer.send-open"), ("I am on it", "openly.encrypt")):
        composer(bo).fill(text)
        button(bo, "composer.openly").click()
        dialog = bo.get_by_role("dialog", name=say("openly.title"))
        expect(dialog).to_contain_text(say("openly.means"))
        button(dialog, how).click()
        expect(dialog).to_have_count(0)
        expect(message(ada, text)).to_be_visible()
    expect(message(ada, "The ferry leaves at nine")).to_contain_text(say("word.open"))
    expect(message(ada, "I am on it")).not_to_contain_text(say("word.open"))
    kept = b"".join(path.read_bytes() for path in Path(stage.variables["DATA"]).rglob("relay.db*"))
    assert stored("The ferry leaves at nine", kept)
    assert not stored("I am on it", kept)
