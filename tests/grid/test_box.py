"""The box and the pouch: two people, every carrier, both profiles (GRID-005, GRID-063 to GRID-066)."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from cloister.errors import CheckFailed, Expired, FormatError, KeyUnknown, NotFound, Replay
from cloister.grid import box as boxes
from cloister.grid import pouch, public, v1, v1_backup, v2
from cloister.grid.box import Box
from cloister.grid.keys import new_identity
from cloister.grid.pouch import Have, Pouch
from cloister.protocol.encoding import json_emit, json_parse
from vectors.generate import rng

NOW = 1_800_000_000


class Person:
    """A box, and what a program would store beside it: tokens written, texts read."""

    def __init__(self, name: str) -> None:
        self.draw = rng("box/" + name)
        self.name = name
        self.box = Box(new_identity(self.draw))
        self.written: dict[tuple[str, int], str] = {}
        self.texts: list[str] = []

    def _keep(self, made: tuple[Box, boxes.Written]) -> boxes.Written:
        self.box = Box.load(json_parse(json_emit(made[0].dump())))
        if made[1].th:
            self.written[made[1].th, made[1].place] = made[1].compact
        return made[1]

    def invite(self, profile: str = "grid-v2", **more: Any) -> str:
        return self._keep(boxes.invite(self.box, self.name, now=NOW, rng=self.draw, profile=profile, **more)).compact

    def answer(self, invite: str, text: str) -> boxes.Written:
        return self._keep(boxes.answer(self.box, invite, self.name, text, now=NOW, rng=self.draw))

    def write(self, th: str, text: str) -> str:
        return self._keep(boxes.write(self.box, th, text, now=NOW, rng=self.draw)).compact

    def paste(self, text: str) -> boxes.Pasted:
        self.box, pasted = boxes.take_text(self.box, text, now=NOW)
        for _, what in pasted.outcomes:
            content = what.content if isinstance(what, boxes.Taken) else None
            if isinstance(content, v1.Message | v2.Message) and content.status in ("new", "late"):
                self.texts.append(content.text)
        return pasted

    def pouch(self, theirs: Pouch | None = None) -> str:
        tokens = []
        for th in {name for name, _ in self.written}:
            of = self.box.identity.id1 if len(th) == 64 else self.box.identity.id
            places = sorted(place for name, place in self.written if name == th)
            chosen = pouch.wanted(theirs, th, of, places) if theirs else tuple(places)
            tokens += [self.written[th, place] for place in chosen]
        return pouch.pack(Pouch(NOW, boxes.have(self.box), tuple(tokens)))


@pytest.mark.parametrize("profile", ["grid-v1", "grid-v2"])
def test_two_people_by_pasting_any_order_doubled_one_lost(profile: str) -> None:
    """GRID-063, GRID-066 (T-N4)."""
    ada, bo = Person("ada"), Person("bo")
    invite = ada.invite(profile, note="come in")
    shown = bo.paste(f"look:\n> {invite}").outcomes[0][1]
    assert isinstance(shown, boxes.Taken)
    assert (shown.own, shown.th) == (False, "")
    opened = bo.answer(invite, "opening")
    th = opened.th
    tokens = [opened.compact, *(bo.write(th, str(n)) for n in range(6))]
    lost = tokens.pop(3)
    Random(7).shuffle(tokens)
    pasted = ada.paste("\n\n".join([*tokens, *tokens]))
    assert all(isinstance(what, boxes.Taken) for _, what in pasted.outcomes)
    assert sorted(ada.texts) == ["0", "1", "3", "4", "5", "opening"]
    assert boxes.conversation(ada.box, th).missing == ((3, 3),)
    ada.paste(lost)
    assert boxes.conversation(ada.box, th).missing == ()
    assert ada.texts[-1] == "2"
    assert bo.paste(ada.write(th, "thank you")).outcomes[0][1].content.after == 6  # type: ignore[union-attr]
    again = bo.paste(invite).outcomes[0][1]
    assert isinstance(again, boxes.Taken)
    assert again.th == th
    assert ada.paste(invite).outcomes[0][1].own  # type: ignore[union-attr]


@pytest.mark.parametrize("profile", ["grid-v1", "grid-v2"])
def test_a_pouch_there_a_pouch_back_each_taken_twice(profile: str) -> None:
    """GRID-064 to GRID-066."""
    ada, bo = Person("ada"), Person("bo")
    th = bo.answer(ada.invite(profile), "opening").th
    for n in range(4):
        bo.write(th, f"bo {n}")
    first = ada.paste(bo.pouch())
    assert first.pouch is not None
    assert ada.texts == ["opening", "bo 0", "bo 1", "bo 2", "bo 3"]
    before = ada.box
    ada.paste(bo.pouch())
    assert (ada.box, len(ada.texts)) == (before, 5)
    for n in range(3):
        ada.write(th, f"ada {n}")
    bo.write(th, "bo 4")
    back = bo.paste(ada.pouch(first.pouch))
    assert bo.texts == ["ada 0", "ada 1", "ada 2"]
    second = pouch.unpack(bo.pouch(back.pouch))
    assert len(second.tokens) == 1
    ada.paste(pouch.pack(second))
    assert ada.texts[-1] == "bo 4"
    assert pouch.unpack(ada.pouch(second)).tokens == ()


def test_a_wrong_paste_never_changes_a_box() -> None:
    """GRID-005, GRID-063."""
    ada, bo, eve = Person("ada"), Person("bo"), Person("eve")
    th = bo.answer(ada.invite(), "hello").th
    opening = bo.written[th, 0]
    other = eve.answer(bo.invite(), "to bo").compact
    auth = public.make_auth(bo.box.identity, aud="https://r.example", nonce=bytes(32), iat=NOW)
    proof = v1.login_proof(bo.box.identity, f"{NOW}:00", now=NOW)
    before = ada.box
    for text in (opening[:-1] + ("A" if opening[-1] != "A" else "B"), other, auth, proof, "words", opening[:200], ""):
        pasted = ada.paste(f"> {text}")
        assert ada.box == before
        assert not any(isinstance(what, boxes.Taken) for _, what in pasted.outcomes)
    assert [ada.paste(opening[:length]).cut[0].kind for length in (200, 1000)] == ["", "sph-reply2inv+1"]
    for token, error in ((other, KeyUnknown), (auth, FormatError), ("hello", FormatError)):
        with pytest.raises(error):
            boxes.take(ada.box, token, now=NOW)
    with pytest.raises(NotFound):
        boxes.write(ada.box, "nothing", "x", now=NOW, rng=ada.draw)


def test_an_invitation_is_answered_once_and_its_uses_are_not_eaten_by_copies() -> None:
    """GRID-042, GRID-063."""
    ada, bo, cy = Person("ada"), Person("bo"), Person("cy")
    invite = ada.invite(uses=1)
    opened = bo.answer(invite, "first")
    with pytest.raises(Replay):
        bo.answer(invite, "again")
    late = cy.answer(invite, "too late")
    for _ in range(3):
        ada.paste(opened.compact)
    assert ada.texts == ["first"]
    assert ada.box.held2[0].scalar == b""
    with pytest.raises(Expired):
        boxes.take(ada.box, late.compact, now=NOW)
    spare = ada.invite(life=60)
    assert ada.box.held2[1].scalar
    ada.box = boxes.tidy(ada.box, now=NOW + 61)
    assert (ada.box.held2[1].scalar, ada.box.held2[1].compact) == (b"", spare)
    assert boxes.tidy(ada.box, now=NOW + 61) is ada.box


def test_what_waits_is_named_and_can_be_given_again() -> None:
    """GRID-066."""
    ada, bo = Person("ada"), Person("bo")
    opened = bo.answer(ada.invite(), "opening")
    message = bo.write(opened.th, "before its opening")
    box, outcomes = boxes.take_all(ada.box, [message, "rubbish"], now=NOW)
    assert box == ada.box
    assert boxes.waiting_for(outcomes) == [message]
    assert [what.code for _, what in outcomes if isinstance(what, CheckFailed)] == ["C_KEY_UNKNOWN", "C_FORMAT"]
    box, outcomes = boxes.take_all(ada.box, [message, opened.compact], now=NOW)
    assert all(isinstance(what, boxes.Taken) for _, what in outcomes)
    assert [compact for compact, _ in outcomes] == [message, opened.compact]


def test_a_whispergrid_backup_joins_the_box_of_its_identity() -> None:
    """GRID-039."""
    ada, bo = Person("ada"), Person("bo")
    invite = ada.invite("grid-v1")
    opened = bo.answer(invite, "opening")
    ada.paste(opened.compact)
    thread = boxes.conversation(ada.box, opened.th)
    assert isinstance(thread, boxes.v1_thread.Thread)
    text = v1_backup.write(
        ada.box.identity, "secret", ada.box.held1, [(thread, [invite, opened.compact])], now=NOW, rng=ada.draw
    )
    restored = v1_backup.read(text, "secret")
    fresh = boxes.restore(Box(restored.identity), restored)
    assert fresh.threads == ada.box.threads
    assert fresh.held1 == ada.box.held1
    ada.write(opened.th, "newer than the backup")
    assert boxes.restore(ada.box, restored) == ada.box
    with pytest.raises(FormatError):
        boxes.restore(bo.box, restored)


def test_receipts_go_to_their_conversation() -> None:
    """GRID-053, GRID-063."""
    ada, bo = Person("ada"), Person("bo")
    th = bo.answer(ada.invite(), "opening").th
    bo.write(th, "one")
    ada.paste(bo.pouch())
    receipt = boxes.receipt(ada.box, th, now=NOW, rng=ada.draw).compact
    shown = bo.paste(receipt).outcomes[0][1]
    assert isinstance(shown, boxes.Taken)
    assert isinstance(shown.content, v2.Receipt)
    assert v2.outstanding(bo.box.threads[th]) == ()  # type: ignore[arg-type]
    th1 = bo.answer(ada.invite("grid-v1"), "old").th
    with pytest.raises(FormatError):
        boxes.receipt(bo.box, th1, now=NOW, rng=bo.draw)


def test_pouches_keep_what_they_do_not_know_and_refuse_what_is_broken() -> None:
    """GRID-064, GRID-065."""
    sphere = {"k": "sphere", "sph": "sp-x", "commits": [{"entry": "x"}]}
    have = Have("th", "id-" + "A" * 43, 3, ((5, 7), (9, 9)))
    made = Pouch(NOW, (have,), ("a.b.c",), (sphere,))
    text = pouch.pack(made)
    assert pouch.unpack(f"\ufeff {text}\r\n") == made
    assert pouch.is_pouch(f"\n{text}")
    assert [have.has(place) for place in range(10)] == [True] * 4 + [False, True, True, True, False, True]
    assert pouch.wanted(made, "th", have.of, range(12)) == (4, 8, 10, 11)
    assert pouch.wanted(made, "other", have.of, range(3)) == (0, 1, 2)
    for wrong in (
        text.replace('"pouch":1', '"pouch":2'),
        text[:-1],
        text.replace('"a":5', '"a":2'),
        text.replace('"k":"grid"', '"k":"grid","x":1'),
        text.replace(f'"iat":{NOW}', '"iat":-1'),
        "[]",
        '{"pouch":1,"iat":1,"have":[]}',
        "\ud800",
    ):
        with pytest.raises(FormatError):
            pouch.unpack(wrong)
    with pytest.raises(FormatError):
        boxes.take_text(Person("ada").box, '{"pouch":1,"broken', now=NOW)


def test_a_box_of_another_version_is_not_read() -> None:
    """GRID-005."""
    row = Person("ada").box.dump()
    for wrong in (row | {"v": 2}, row | {"x": 1}, {**row, "threads1": [{}]}):
        with pytest.raises(FormatError):
            Box.load(wrong)
