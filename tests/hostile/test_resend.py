"""A message the relay keeps back or shows damaged: its author and other readers hand on the very envelope.

Whoever answers is believed nothing: what comes is judged like what the relay shows.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from cloister.client import Client, keys, resend
from cloister.client.events import MessageReceived
from cloister.protocol import jws
from cloister.sphere import message as messages
from cloister.sphere.message import Place
from cloister.sphere.payload import Payload
from tests.hostile.insider import Insider
from tests.hostile.world import ADDRESSES, HostileWorld
from tests.scenarios.world import harbour, hear, sent, texts

ITEMS = r"GET /v1/spheres/.*/items"
BENT = {
    "kept back": lambda rows, mid: [one for one in rows if not _is(one, mid)],
    "damaged": lambda rows, mid: [{**one, "jws": _bent(one["jws"])} if _is(one, mid) else one for one in rows],
    "unreadable": lambda rows, mid: [{**one, "jws": "x.y.z"} if _is(one, mid) else one for one in rows],
}


def _is(row: dict[str, Any], mid: str) -> bool:
    return row["k"] == "msg" and jws.decode(row["jws"], messages.TYP).header["mid"] == mid


def _bent(compact: str) -> str:
    """The same words under a signature with one bit turned."""
    begin, _, signature = compact.rpartition(".")
    return f"{begin}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


async def _three_words(hw: HostileWorld, how: str, said: int = 1) -> dict[str, Client]:
    """Cy says three things; Ada reads all of them, Bo gets number ``said`` bent."""
    people = await hw.sphere_of("ada", "bo", "cy")
    mids = [sent(await harbour(people["cy"]).send(text)).mid for text in ("one", "two", "three")]
    await people["ada"].sync()
    bend: Callable[[Any, str], Any] = BENT[how]
    hw.liar.lie(ITEMS, lambda body: {**body, "items": bend(body["items"], mids[said])}, address=ADDRESSES["bo"])
    await people["bo"].sync()
    return people


def _questions(hw: HostileWorld) -> list[Any]:
    """Bodies of letters of kind resend-ask that Bo's device posted."""
    posted = [c.body for c in hw.liar.calls if c.method == "POST" and c.path.endswith("/inbox")]
    letters = [jws.decode(api["jws"], "sph-p2p+1").body for api in map(_json, posted)]
    return [one for one in letters if one["k"] == "resend-ask"]


def _json(body: bytes) -> Any:
    return json.loads(body)


def _posted(hw: HostileWorld, name: str) -> int:
    """Letters somebody posted since the calls were last cleared."""
    return sum(c.method == "POST" and c.path.endswith("/inbox") for c in hw.liar.calls if c.address == ADDRESSES[name])


@pytest.mark.parametrize(("how", "who"), [("kept back", "cy"), ("unreadable", "ada")])
async def test_what_stays_missing_is_handed_on(hw: HostileWorld, how: str, who: str) -> None:
    """CLT-052: by the author or another reader, into its own place; the relay's row, when it comes, is the same."""
    people = await _three_words(hw, how)
    bo = people["bo"]
    assert texts(bo) == ["one", "three"]
    assert harbour(bo).missing() == {"cy": 1}
    assert [(one["dv"], one["seqs"]) for one in _questions(hw)] == [(people["cy"].account.dv, [2])]
    heard = hear(bo)
    await people[who].sync()
    await bo.sync()
    assert texts(bo) == ["one", "two", "three"]
    assert [e.message.text for e in heard if isinstance(e, MessageReceived)] == ["two"]
    assert harbour(bo).missing() == {}
    others = [one for one in await bo.doctor() if not one.ok]
    assert [one.text.endswith("of its list") for one in others] == [True] * (how == "kept back")  # stays its fault
    hw.liar.honest()
    bo.context.store.run("UPDATE cursor SET pos = 0 WHERE stream = ?", harbour(bo).sph)
    await bo.sync()
    assert texts(bo) == ["one", "two", "three"]
    assert all(one.pos for one in harbour(bo).messages())


async def test_a_damaged_last_word_is_asked_for(hw: HostileWorld) -> None:
    """CLT-052: nothing vouches for a last message with a bad signature, so its bytes are asked for."""
    people = await _three_words(hw, "damaged", said=2)
    bo = people["bo"]
    assert texts(bo) == ["one", "two"]
    await people["cy"].sync()
    await bo.sync()
    assert texts(bo) == ["one", "two", "three"]


async def test_an_end_that_a_checkpoint_names_is_asked_for(hw: HostileWorld) -> None:
    """CLT-037, CLT-052: the last words of a device, which nothing above names, are read where a reader has come to."""
    people = await _three_words(hw, "kept back", said=2)
    bo = people["bo"]
    assert harbour(bo).missing() == {}
    await harbour(people["ada"]).checkpoint()
    await bo.sync()
    assert harbour(bo).missing() == {"cy": 1}
    await people["ada"].sync()
    await people["cy"].sync()
    await bo.sync()
    assert texts(bo) == ["one", "two", "three"]
    sent(await harbour(people["ada"]).send("after"))
    await bo.sync()
    assert texts(bo) == ["one", "two", "three", "after"]


async def test_questions_are_few(hw: HostileWorld) -> None:
    """CLT-052: once in ten minutes, eight times; then only on a person's word."""
    people = await _three_words(hw, "kept back")
    bo = people["bo"]
    hw.liar.lie(r"GET /v1/inbox", lambda body: {**body, "items": []}, address=ADDRESSES["bo"])
    for _ in range(3):
        await bo.sync()
    assert len(_questions(hw)) == 1
    for _ in range(resend.TRIES + 3):
        hw.clock.forward(keys.ASK_AGAIN)
        await bo.sync()
    assert len(_questions(hw)) == resend.TRIES
    assert set(await harbour(bo).ask_messages()) == {"ada", "cy"}
    assert len(_questions(hw)) == resend.TRIES + 1


async def test_answers_are_few(hw: HostileWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """CLT-052: whoever asks without a pause gets so many letters in ten minutes and no more."""
    monkeypatch.setattr(resend, "LETTERS", 2)
    people = await _three_words(hw, "kept back")
    bo, cy = Insider(people["bo"]), people["cy"]
    hw.liar.calls.clear()
    for _ in range(5):
        ask = keys.letter(bo.ctx, bo.sph, "resend-ask", dv=cy.account.dv, seqs=[1, 2, 3])
        await bo.ctx.relay.post([cy.account.dv], ask)
    await cy.sync()
    assert _posted(hw, "cy") == 2


async def test_only_members_and_nothing_that_retention_let_go(hw: HostileWorld) -> None:
    """CLT-052, CLT-039: a removed member's question goes unanswered, and so does one for what is too old."""
    people = await _three_words(hw, "kept back")
    ada, bo, cy = people["ada"], Insider(people["bo"]), people["cy"]
    ask = keys.letter(bo.ctx, bo.sph, "resend-ask", dv=cy.account.dv, seqs=[1, 2, 3])
    await harbour(ada).set_policy(retention=1)
    await cy.sync()
    hw.clock.forward(2 * 86400)
    hw.liar.calls.clear()
    await bo.ctx.relay.post([cy.account.dv], ask)
    await cy.sync()
    assert _posted(hw, "cy") == 0
    await harbour(ada).set_policy(retention=0)
    sent(await harbour(cy).send("four"))
    await harbour(ada).remove("bo")
    hw.liar.calls.clear()
    ask = keys.letter(bo.ctx, bo.sph, "resend-ask", dv=cy.account.dv, seqs=[4])
    lying = {"items": [{"pos": 9000, "k": "p2p", "sph": bo.sph, "jws": ask}], "head": 9000}
    hw.liar.lie(r"GET /v1/inbox", lambda body: lying if not body["items"] else body, address=ADDRESSES["cy"])
    await cy.sync()
    assert _posted(hw, "cy") == 0


async def _forged_answer(hw: HostileWorld) -> Client:
    """Ada answers Bo's question with words she puts into Cy's mouth, in the place that Bo misses."""
    people = await _three_words(hw, "kept back")
    ada, bo, cy = Insider(people["ada"]), people["bo"], people["cy"]
    (first,) = [m for m in harbour(bo).messages() if m.text == "one"]
    row = bo.context.store.one("SELECT h FROM message WHERE mid = ?", first.mid)
    state, _ = ada.view
    place = Place(2, bytes(row[0]), state.seq, state.digest, state.ep)
    forged = ada.say(Payload("msg", ada.ctx.rng(16), "I resign"), kid=cy.account.dv, place=place)
    answer = keys.letter(ada.ctx, ada.sph, "resend", dv=cy.account.dv, msgs=[forged])
    await ada.ctx.relay.post([bo.account.dv], answer)
    await bo.sync()
    return bo


async def test_an_answer_is_believed_nothing(hw: HostileWorld) -> None:
    """T-M2 by the way of CLT-052: no member speaks for another, whoever asked."""
    assert texts(await _forged_answer(hw)) == ["one", "three"]


async def test_control_without_signatures_an_answer_puts_words_into_a_mouth(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "verify", lambda *_: None)
    assert "I resign" in texts(await _forged_answer(hw))


async def test_what_was_not_asked_for_is_not_looked_at(hw: HostileWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """CLT-052: neither from a device that was not asked, nor another's words under the name asked for."""
    people = await _three_words(hw, "kept back")
    ada, bo, cy = Insider(people["ada"]), people["bo"], people["cy"]
    rows = cy.context.store.all("SELECT jws FROM message WHERE dv = ? AND seq = 2", cy.account.dv)
    envelopes = [row[0] for row in rows]
    own = keys.letter(ada.ctx, ada.sph, "resend", dv=ada.dv, msgs=envelopes)
    await ada.ctx.relay.post([bo.account.dv], own)
    bo.context.replica(ada.sph).note["resend"][cy.account.dv]["of"] = [cy.account.dv]
    good = keys.letter(ada.ctx, ada.sph, "resend", dv=cy.account.dv, msgs=envelopes)
    await ada.ctx.relay.post([bo.account.dv], good)
    hw.liar.lie(r"POST /v1/inbox", lambda body: body)
    monkeypatch.setattr(resend, "ask", _nobody)
    await bo.sync()
    assert texts(bo) == ["one", "three"]
    bo.context.replica(ada.sph).note["resend"][cy.account.dv]["of"] = [ada.dv]
    good = keys.letter(ada.ctx, ada.sph, "resend", dv=cy.account.dv, msgs=["not.an.envelope", *envelopes])
    await ada.ctx.relay.post([bo.account.dv], good)
    await bo.sync()
    assert texts(bo) == ["one", "two", "three"]


async def _nobody(*_: object) -> list[str]:
    return []
