"""Two newcomers share an encrypted sphere: invite, join, wait, be let in, write; beside the terminal (steps 4 to 8).

Rules: WEB-022, JOIN-005, CLT-010, CLT-016.
"""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.acts import (
    back_to_sphere,
    button,
    composer,
    fill_account,
    goto,
    invite,
    like,
    message,
    new_sphere,
    open_sphere,
    say,
    see,
    signed_up,
    write,
)
from tests.browser.window import PHONE, Window, Windows
from tests.cli.stage import Stage

TERMINAL = """
%let CY = seven-cy-grey-seals-on-a-rock
cy$ cloister join
Paste the link:
< $LINK
No account here yet.
Name:
< cy
Password (12 or more, Enter makes one):
< $CY
Making your keys … … s.
Request sent. It carries proof that you hold the link. Waiting to be let into Harbour plan (Ctrl-C is safe) …
You are in Harbour plan, 3 people. You hold key 1.
cy| cloister read harbour
…Which port do we use?
…The north one.
cy$ echo 'From a terminal' | cloister send harbour -
sent …
"""


def join_by(window: Window, link: str, name: str) -> Page:
    """Come by a link without an account; ends waiting to be let in."""
    page = window.page
    page.goto(link)
    fill_account(page, name)
    expect(page.get_by_role("heading", name=say("join.sent"), level=1)).to_be_visible()
    return page


def admit(page: Page) -> None:
    """Let in whoever asks, from the people of the sphere that is open."""
    goto(page, "people")
    button(page, "act.admit").click()
    expect(button(page, "act.admit")).to_have_count(0)
    back_to_sphere(page)


def two(window: Windows, stage: Stage, title: str = "Harbour plan", **options: object) -> tuple[Page, Page]:
    """Ada and Bo in one sphere, each in a browser, both looking at it."""
    ada = signed_up(window("ada"), "ada", stage.variables["CODE"])
    new_sphere(ada, title)
    bo = join_by(window("bo", **options), invite(ada), "bo")
    admit(ada)
    expect(bo.get_by_role("heading", name=title, level=1)).to_be_visible()
    return ada, bo


def test_a_link_leaves_the_address_and_a_closed_tab_is_let_in(window: Windows, stage: Stage) -> None:
    ada = signed_up(window("ada"), "ada", stage.variables["CODE"])
    new_sphere(ada, "Harbour plan")
    link = invite(ada)
    secret = link.split("~")[2]
    theirs = window("bo", viewport=PHONE)
    bo = theirs.page
    bo.goto(link)
    expect(bo.get_by_role("heading", name=say("join.title"), level=1)).to_be_visible()
    assert secret not in bo.url  # WEB-022
    assert not [url for url in theirs.asked if secret in url]
    fill_account(bo, "bo")
    expect(bo.get_by_role("heading", name=say("join.sent"), level=1)).to_be_visible()
    bo.close()
    admit(ada)
    bo = theirs.tab()
    theirs.open()
    expect(
        bo.get_by_role("link", name="Harbour plan").or_(bo.get_by_role("heading", name="Harbour plan")).first
    ).to_be_visible()
    open_sphere(bo, "Harbour plan")
    write(bo, "Hello from the pier")
    expect(message(ada, "Hello from the pier")).to_be_visible()
    bo.go_back()
    assert secret not in bo.url


def test_a_new_sphere_is_encrypted_and_ready_to_write_in_and_an_invitation_says_for_how_long(
    window: Windows, stage: Stage
) -> None:
    """Steps 4 and 5."""
    ada = signed_up(window("ada"), "ada", stage.variables["CODE"])
    ada.evaluate("() => { location.hash = '#/new' }")
    dialog = ada.get_by_role("dialog")
    closed, public = (dialog.get_by_role("radio", name=re.compile(say(f"new.{one}"))) for one in ("encrypted", "open"))
    expect(closed).to_be_checked()
    expect(public).not_to_be_checked()
    expect(dialog.get_by_text(say("new.open-hint"))).to_be_visible()
    dialog.get_by_label(say("new.name"), exact=True).fill("Harbour plan")
    button(dialog, "new.make").click()
    expect(composer(ada)).to_be_editable()
    expect(composer(ada)).to_have_attribute("placeholder", say("composer.message", n=1))
    write(ada, "First words")
    row = message(ada, "First words")
    expect(row.get_by_role("img")).to_have_count(0)  # nothing is said where all is as usual
    goto(ada, "invite")
    button(dialog, "invite.make").click()
    expect(dialog.get_by_role("img", name=say("invite.square"))).to_be_visible()
    expect(dialog.get_by_text(like("invite.made"))).to_be_visible()
    expect(dialog.get_by_text(say("invite.secret"))).to_be_visible()
    expect(dialog.get_by_label(say("invite.link"))).to_have_value(re.compile(r"/j#sp-[\w-]+~"))


def test_both_write_and_a_terminal_sees_the_same_words(window: Windows, stage: Stage) -> None:
    ada, bo = two(window, stage)
    write(ada, "Which port do we use?")
    expect(message(bo, "Which port do we use?")).to_be_visible()
    write(bo, "The north one.")
    see(bo, "Which port do we use?", "The north one.")
    see(ada, "Which port do we use?", "The north one.")
    stage.variables["LINK"] = invite(ada, auto=True)
    stage.play(TERMINAL)
    expect(message(bo, "From a terminal")).to_be_visible()
    see(ada, "Which port do we use?", "The north one.", "From a terminal")


def test_what_is_written_without_a_server_arrives_once_and_in_order(window: Windows, stage: Stage) -> None:
    ada, bo = two(window, stage)
    stage.stop_relay()
    for text in ("first of three", "second of three", "third of three"):
        write(ada, text)
    told = ada.get_by_role("status")
    expect(told.get_by_text(like("offline.server")).first).to_be_visible()
    expect(told.get_by_text(say("offline.waiting", n=3)).first).to_be_visible()
    ada.reload()
    see(ada, "first of three", "second of three", "third of three")
    stage.start_relay("")
    for page in (ada, bo):
        expect(message(page, "third of three")).to_be_visible()
        see(page, "first of three", "second of three", "third of three")
