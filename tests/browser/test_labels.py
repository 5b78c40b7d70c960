"""Names from where one does not look for them: of links, invitations, devices, and of who was removed or removes.

The corpus of ``test_texts`` through each, and the same search for anything that is more than text.
Rules: WEB-004, WEB-021, INV-003, CLT-053.
"""

from __future__ import annotations

import dataclasses

from playwright.sync_api import Page, expect

from cloister.client import invited
from cloister.errors import FormatError
from cloister.protocol.encoding import b64e
from cloister.sphere import invitation
from cloister.sphere.payload import Payload
from tests.browser.acts import button, goto, like, password_of, rows, say, write
from tests.browser.liar import Liar
from tests.browser.test_lies import let_in
from tests.browser.test_texts import LITERAL, OTHER, SCAN
from tests.browser.window import Windows
from tests.scenarios.world import harbour

CORPUS = [*LITERAL, *OTHER]


def _quiet(page: Page, where: str) -> list[str]:
    return [f"{where}: {one}" for one in page.evaluate(SCAN)]


def _short(text: str, size: int) -> str:
    return text.encode()[:size].decode("utf-8", "ignore")


def test_what_a_link_calls_a_sphere_is_text_or_no_link(open_window: Windows, liar: Liar) -> None:
    async def link() -> str:
        ada = await liar.hw.first("ada")
        return (await (await ada.create_sphere("Harbour plan")).invite()).url

    url = liar.here(liar.do(link())).rsplit("~", 1)[0]
    one, found, shown = open_window("stranger"), [], 0
    for n, text in enumerate(CORPUS):
        label = _short(text, 64)
        one.page.goto("about:blank")
        one.page.goto(f"{url}~{b64e(label.encode())}")
        says = one.page.get_by_text(like("join.says"))
        expect(says.or_(one.page.get_by_role("alert")).first).to_be_visible()
        if says.count() > 0:
            shown += 1
            assert label in says.inner_text().replace("\u2068", "").replace("\u2069", "")
        found += _quiet(one.page, f"link {n}")
    assert found == []
    assert shown >= 8
    assert shown < len(CORPUS)  # control: those with signs that a label may not hold are no links


def test_what_an_invitation_calls_a_sphere_is_text(open_window: Windows, liar: Liar) -> None:
    page = let_in(liar, open_window("bo").page)
    page.evaluate("() => { location.hash = '#/inbox' }")

    async def invite(label: str) -> bool:
        ada = liar.hw.clients["ada"]
        board = await ada.create_sphere("Board")
        link = invitation.parse(liar.here((await board.invite()).url))
        bo = next(person for person in harbour(ada).people() if not person.me)
        try:
            await invited.send(ada.context, dataclasses.replace(link, label=label), bo.id)
        except FormatError:
            return False
        return True

    found, sent = [], 0
    for n, text in enumerate([*LITERAL[:6], OTHER[10]]):
        label = _short(text, 64)
        if not liar.do(invite(label)):
            continue
        sent += 1
        cards = page.get_by_role("region", name=say("invited.title", name="ada"))
        expect(cards).to_have_count(sent)
        assert label in " ".join(cards.all_inner_texts())
        found += _quiet(page, f"invitation {n}")
    assert found == []
    assert sent >= 5


def test_what_a_device_is_called_is_text(open_window: Windows, liar: Liar) -> None:
    page = let_in(liar, open_window("bo").page)
    names = [LITERAL[1], LITERAL[3], LITERAL[5], OTHER[3], OTHER[7]]

    async def devices() -> None:
        for n, name in enumerate(names):
            client = await liar.hw.open(f"bo-{n}")
            await client.sign_in("bo", password_of("bo"), name)
            await client.sync()

    liar.do(devices())
    found = []
    for place in ("devices", "sessions"):
        page.evaluate("(place) => { location.hash = `#/settings/${place}` }", place)
        expect(page.get_by_role("main").get_by_text(_short(LITERAL[1], 20)).first).to_be_visible()
        found += _quiet(page, place)
    page.evaluate("() => { location.hash = '#/settings/devices' }")
    page.get_by_role("main").get_by_role("button", name=say("act.remove")).first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    found += _quiet(page, "removing one")
    assert found == []


def test_who_is_removed_and_who_removes_are_text(open_window: Windows, liar: Liar) -> None:
    page = let_in(liar, open_window("bo").page)
    write(page, "Before any of it")
    found = []

    async def call_yourself(name: str, who: str) -> None:
        sphere = harbour(liar.hw.clients[who])
        await sphere._say(Payload("sys", sphere._cid(), _short(name, 200), about="nick"))

    async def enter_and_go(n: int, text: str) -> None:
        sphere = harbour(liar.hw.clients["ada"])
        who = f"cy{n}"
        await liar.hw.join(who, await sphere.invite())
        (request,) = await sphere.requests()
        await sphere.admit(request)
        await liar.hw.clients[who].sync()
        await call_yourself(f"n{n} {text}", who)
        await liar.hw.clients["ada"].sync()
        await sphere.remove(who)

    async def end(title: str) -> None:
        sphere = harbour(liar.hw.clients["ada"])
        await sphere.set_meta(title=_short(title, 200))
        await sphere.remove("bo")

    for n, text in enumerate([LITERAL[1], LITERAL[2], OTHER[3], OTHER[4]]):
        liar.do(enter_and_go(n, text))
        removal = rows(page).get_by_text(like("notice.remove", by="ada")).filter(has_text=f"n{n} ")
        expect(removal).to_be_visible()
        found += _quiet(page, f"removed {n}")
    liar.do(call_yourself(OTHER[3], "ada"))
    liar.do(end(LITERAL[1] + OTHER[4]))
    expect(button(page, "gone.delete")).to_be_visible()
    found += _quiet(page, "gone")
    goto(page, "people")
    found += _quiet(page, "people")
    assert found == []
