"""What a lying relay looks like in the screens: stopped, said once, kept as evidence (steps 16, 17).

Rules: JOIN-005, CLT-018, CLT-020, CLT-021, WEB-063.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect
from sqlalchemy import update

from cloister.errors import CheckFailed, LogFork, LogRollback
from cloister.protocol import digits, entry, jws
from cloister.protocol.encoding import b64d, b64e
from cloister.server import schema
from cloister.sphere import invitation
from cloister.sphere.compose import Invite, Rotate
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
    rows,
    say,
    see,
    signed_up,
    write,
    written,
)
from tests.browser.liar import Liar
from tests.browser.window import ROOT, Windows
from tests.hostile.insider import Insider
from tests.hostile.world import ADDRESSES, digest_of, mallory
from tests.scenarios.world import harbour

BO = ADDRESSES["bo"]
LOG = r"GET /v1/spheres/.*/log"


def let_in(liar: Liar, page: Page) -> Page:
    """Ada makes a sphere in her terminal; Bo comes by her link in a browser and is let in."""
    hw = liar.hw
    ada = liar.do(hw.first("ada"))
    sphere = liar.do(ada.create_sphere("Harbour plan"))
    page.goto(liar.here(liar.do(sphere.invite()).url))
    fill_account(page, "bo")
    expect(page.get_by_role("heading", name=say("join.sent"), level=1)).to_be_visible()
    (request,) = liar.do(sphere.requests())
    liar.do(sphere.admit(request))
    expect(page.get_by_role("heading", name="Harbour plan", level=1)).to_be_visible()
    return page


def _save_and_verify(page: Page, folder: Path, error: type[CheckFailed]) -> None:
    """The evidence is a file; a terminal without any account comes to the same verdict in the same words."""
    with page.expect_download() as download:
        page.get_by_role("alert").get_by_role("button", name="Save evidence").click()
    path = folder / f"{error.code}.json"
    download.value.save_as(path)
    assert json.loads(path.read_text("utf-8"))["code"] == error.code
    shown = page.get_by_role("alert").inner_text()
    env = {"HOME": str(folder), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "LANG": "C.UTF-8"}
    words = [sys.executable, "-m", "cloister.cli", "verify", "evidence", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, env=env, cwd=folder, check=False)
    assert done.returncode == 8, done.stderr
    said = error()
    for text in (said.why, said.next, said.you):
        assert text in done.stderr
        assert text in shown


def _stopped(page: Page, error: type[CheckFailed]) -> None:
    """The card is where the composer was, and it is the only thing that is announced."""
    card = page.get_by_role("alert")
    expect(card).to_have_count(1)
    expect(card).to_contain_text(error().why)
    expect(composer(page)).to_have_count(0)


async def _rival(liar: Liar) -> tuple[int, dict[int, str]]:
    """Where the histories part, and entries of Ada's own making that never reached the relay."""
    ada = Insider(liar.hw.clients["ada"])
    jti = os.urandom(16)
    ipk = invitation.key_pair(os.urandom(invitation.SEED_LENGTH), ada.sph, jti)[1]
    made = ada.draft(Invite(jti, ipk, int(liar.hw.clock()) + 900, "member", 1, "ask"), Rotate()).commit.entries
    return harbour(ada.client).info.seq, {entry.decode(one).seq: one for one in made}


async def _rotate(liar: Liar) -> None:
    await harbour(liar.hw.clients["ada"]).rotate("again")


def test_an_older_history_then_another_one(open_window: Windows, liar: Liar, tmp_path: Path) -> None:
    page = let_in(liar, open_window("bo").page)
    before, others = liar.do(_rival(liar))
    write(page, "Before any of it")
    written(page, "Before any of it")
    liar.do(_rotate(liar))
    expect(rows(page).get_by_text(like("notice.epoch-asked", by="ada", n="2"))).to_be_visible()

    def older(answer: Any) -> Any:
        kept = [one for one in answer["entries"] if entry.decode(one).seq <= before]
        h = b64e(entry.decode(kept[-1]).digest) if kept else answer["head"]["h"]
        return {"entries": kept, "head": {"seq": before, "h": h}}

    liar.hw.liar.lie(LOG, older, address=BO)
    page.reload()
    _stopped(page, LogRollback)
    _save_and_verify(page, tmp_path, LogRollback)
    # What was said stays readable, and nothing can be written.
    expect(message(page, "Before any of it")).to_be_visible()
    liar.hw.liar.honest()
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text(re.compile("holds again all that this device has seen"))
    page.get_by_role("alert").get_by_role("button", name="Go on").click()
    expect(composer(page)).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)

    def other(answer: Any) -> Any:
        shown = [others.get(entry.decode(one).seq, one) for one in answer["entries"]]
        return {"entries": shown, "head": {"seq": max(others), "h": b64e(entry.decode(others[max(others)]).digest)}}

    liar.hw.liar.lie(LOG, other, address=BO)
    page.reload()
    _stopped(page, LogFork)
    # What is announced once is not announced again while more is heard from the server.
    card = page.get_by_role("alert")
    card.evaluate("(element) => { element.wasHere = true }")
    _save_and_verify(page, tmp_path, LogFork)
    assert card.evaluate("(element) => element.wasHere")
    # For ever: also when the relay is honest again.
    liar.hw.liar.honest()
    page.reload()
    _stopped(page, LogFork)


def test_a_joiner_whose_key_was_swapped(open_window: Windows, liar: Liar) -> None:
    ada = signed_up(open_window("ada"), "ada", liar.hw.setup_code)
    new_sphere(ada, "Harbour plan")
    link = invite(ada)
    bo_window = open_window("bo")
    bo = bo_window.page
    ghost = mallory(int(liar.hw.clock()))
    sph, jti = ada.url.split("/s/")[1].split("/")[0], b64d(link.split("#")[1].split("~")[1])
    shown: list[bool] = []

    def swapped(by_link: bool) -> None:
        compact = ghost.request(sph, int(liar.hw.clock()), jti=jti if by_link else None)
        row = {"h": digest_of(compact), "jws": compact, "exp": int(liar.hw.clock()) + 86400}
        liar.hw.liar.honest()
        liar.hw.liar.lie(rf"GET /v1/spheres/{sph}/joins$", lambda _: shown.append(by_link) or {"joins": [row]})

    swapped(by_link=True)
    bo.goto(link)
    fill_account(bo, "bo")
    expect(bo.get_by_role("heading", name=say("join.sent"), level=1)).to_be_visible()
    # With the link: refused unasked.
    goto(ada, "people")
    ask = ada.get_by_role("region", name=say("request.title", name="bo", title="Harbour plan"))
    expect(ask).to_contain_text(say("request.faulty"))
    expect(ask.get_by_role("button")).to_have_count(1)
    expect(button(ask, "act.decline")).to_be_visible()

    # Without one: the digits of the two screens differ.
    swapped(by_link=False)
    cards: list[Any] = []
    liar.hw.liar.forge(r"POST .*/card$", lambda body: cards.append(json.loads(body)) or {})
    ada.reload()
    expect(ask).to_contain_text(say("request.swapped", name="bo"))
    button(ask, "act.compare").click()
    expect(ask.get_by_role("checkbox")).to_have_count(4)
    expect(button(ask, "act.match-admit")).to_be_disabled()
    of_ada = re.sub(r"\D", "", "".join(ask.locator("li .mono").all_inner_texts()))
    liar.hw.liar.lie(r"GET /v1/joins/", lambda answer: {**answer, "card": cards[-1]})
    bo.reload()
    expect(bo.get_by_text(say("join.compare"))).to_be_visible()
    of_bo = re.sub(r"\D", "", bo.locator(".digits").inner_text())
    me = jws.decode(cards[-1]["cert"], "sph-dev+1").body["id"]
    assert of_ada == re.sub(r"\D", "", digits.safety_number(me, ghost.id))
    assert len(of_bo) == 60 and of_bo != of_ada
    since = len(liar.hw.liar.calls)
    button(ask, "act.differ").click()
    expect(ask.get_by_role("alert")).to_contain_text(say("request.differs", name="bo"))
    expect(ask.get_by_role("button")).to_have_count(1)
    assert not [call for call in liar.hw.liar.calls[since:] if call.path.endswith("/commits")]

    # The true request, by the link: one button, and he is in.
    liar.hw.liar.honest()
    ada.reload()
    expect(ask).to_contain_text(say("request.by-link", name="bo", title="Harbour plan"))
    button(ask, "act.admit").click()
    expect(bo.get_by_role("heading", name="Harbour plan", level=1)).to_be_visible()
    back_to_sphere(ada)
    write(ada, "Only the true one reads this")
    expect(message(bo, "Only the true one reads this")).to_be_visible()


def test_frames_turned_repeated_moved_and_hints_that_are_false(open_window: Windows, liar: Liar) -> None:
    """CLT-011, CLT-033: what comes over the line is no more than a reason to look; each word once, in its order."""
    page = let_in(liar, open_window("bo").page)
    sph = page.url.split("/s/")[1].split("/")[0]
    kept_back: list[Any] = []

    def is_item(one: Any) -> bool:
        return one.get("t") == "item" and one.get("s") == sph

    def hold_the_first(frame: Any) -> Any:
        if not kept_back and any(map(is_item, frame)):
            kept_back.append(frame)
            return None
        return frame

    false = [{"t": "hint", "k": kind, "s": sph} for kind in ("rotate", "log", "joined", "nonsense")]
    lies: dict[str, Callable[[Any], Any]] = {
        "turned and repeated": lambda frame: [one for one in reversed(frame) for _ in range(2)],
        "moved": lambda frame: [{**one, "pos": one["pos"] + 7} if is_item(one) else one for one in frame],
        "of another": lambda frame: [{**one, "s": "sp-" + "A" * 43} if is_item(one) else one for one in frame] + false,
        "held": hold_the_first,
        "true": lambda frame: frame,
    }

    async def speak(texts: list[str]) -> None:
        for text in texts:
            await harbour(liar.hw.clients["ada"]).send(text)

    since, told, said = len(liar.hw.liar.calls), liar.hw.liar.lies, list[str]()
    for name, lie in lies.items():
        liar.hw.liar.honest()
        liar.hw.liar.lie_live(lie, address=BO)
        said += [f"{name} {n}" for n in (1, 2, 3)]
        liar.do(speak(said[-3:]))
        if name in ("turned and repeated", "moved"):  # these are noticed by what comes, so the page is listening
            expect(message(page, said[-1])).to_have_count(1)
    for text in said:
        expect(message(page, text)).to_have_count(1)
    see(page, *said)
    assert liar.hw.liar.lies > told
    assert [one.path for one in liar.hw.liar.calls[since:] if one.address == BO and one.path.endswith("/commits")] == []
    assert page.get_by_role("alert").count() == 0


async def _named_alike(liar: Liar) -> None:
    """Cy is gone, and somebody else comes by that name: reinstalled, says the relay."""
    hw = liar.hw
    sphere = harbour(hw.clients["ada"])
    await sphere.remove("cy")
    relay = hw.app.relay

    def rename(batch: Any) -> None:
        table = schema.account
        batch.conn.execute(update(table).where(table.c.login == "cy").values(login="cy-before"))

    await relay.writer.submit(rename)
    other = await hw.open("another-cy")
    await other.create_account("cy", "other words for another cy 4711", invite_link=(await sphere.invite()).url)
    (request,) = await sphere.requests()
    await sphere.admit(request)


class Gate:
    """Lets Bo's commits through when it is opened; tells when one waits."""

    def __init__(self, liar: Liar) -> None:
        self.waiting, self._open, self._app = asyncio.Event(), asyncio.Event(), liar.hw.relay.app
        liar.hw.relay.app = self

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].endswith("/commits") and scope["client"][0] == BO:
            self.waiting.set()
            await self._open.wait()
        await self._app(scope, receive, send)

    async def open(self) -> None:
        self._open.set()


async def add_cy(liar: Liar) -> None:
    """Cy is let in by Ada, in a terminal."""
    sphere = harbour(liar.hw.clients["ada"])
    await liar.hw.join("cy", await sphere.invite())
    (request,) = await sphere.requests()
    await sphere.admit(request)
    await liar.hw.clients["cy"].sync()


def test_a_confirmed_person_who_is_somebody_else_stops_the_sphere(open_window: Windows, liar: Liar) -> None:
    """Step 18, text 6, CLT-022: sending stops until they are compared again, or carried on with as not confirmed."""
    page = let_in(liar, open_window("bo").page)
    liar.do(add_cy(liar))
    goto(page, "people")
    row = page.get_by_role("main").get_by_role("listitem").filter(has_text="cy")
    button(row, "act.confirm").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("checkbox")).to_have_count(4)
    for box in dialog.get_by_role("checkbox").all():
        box.check()
    button(dialog, "act.match").click()
    expect(row).to_contain_text(say("known.confirmed-in-person"))
    back_to_sphere(page)
    expect(composer(page)).to_be_visible()
    liar.do(_named_alike(liar))
    card = page.get_by_role("alert")
    expect(card).to_contain_text("cy's identity is not the one you confirmed.")
    expect(composer(page)).to_have_count(0)
    card.get_by_role("button", name="Compare").click()
    expect(row.last).to_contain_text(say("people.changed"))
    back_to_sphere(page)
    card.get_by_role("button", name="Carry on").click()
    expect(composer(page)).to_be_visible()
    write(page, "Carried on")
    written(page, "Carried on")
    goto(page, "people")
    expect(row).not_to_contain_text(say("known.confirmed-in-person"))


def test_who_loses_the_race_for_a_new_key_is_told_whose_it_is(open_window: Windows, liar: Liar) -> None:
    """Step 11, text 22: one new key; the message that wanted to make one goes out under the other's."""
    page = let_in(liar, open_window("bo").page)
    liar.do(add_cy(liar))
    expect(page.get_by_role("main").get_by_role("link", name=say("people.count", n=3))).to_be_visible()
    gate = Gate(liar)
    liar.do(_leave(liar))
    expect(page.get_by_text(say("composer.marked"))).to_be_visible()
    write(page, "Under whose key?")
    liar.do(gate.waiting.wait())
    liar.do(_rotate(liar))
    liar.do(gate.open())
    expect(page.get_by_text(say("sphere.beaten", name="ada"))).to_be_visible()
    written(page, "Under whose key?")
    assert liar.do(_heard(liar)) == ("Under whose key?", 2)


async def _leave(liar: Liar) -> None:
    await harbour(liar.hw.clients["cy"]).leave()


async def _heard(liar: Liar) -> tuple[str, int]:
    """The last message as Ada has it, and the key it came under."""
    ada = liar.hw.clients["ada"]
    await ada.sync()
    last = harbour(ada).messages()[-1]
    return last.text, last.epoch
