"""Profile grid-v2: the conversation survives its carriers, and each check is what stops its attack.

Single cases stand in vectors/grid_v2.json. T-N4: out of order, doubled, one lost, a thousand skipped.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloister import crypto
from cloister.errors import CheckFailed, DecryptFailed, Expired, Gap, LogRollback, Replay, SignatureInvalid
from cloister.grid import envelope, places, public, v1, v2
from cloister.grid.keys import Identity, new_identity
from cloister.grid.v2_thread import Held, Thread
from cloister.protocol import jws
from cloister.protocol.encoding import b64e, json_emit, json_parse
from vectors.generate import rng

NOW = 1_800_000_000
ADA, BO, EVE = (new_identity(rng(f"grid-v2-test/{name}")) for name in ("ada", "bo", "eve"))


class End:
    """A person with the state of one conversation."""

    def __init__(self, me: Identity, thread: Thread) -> None:
        self.me, self.thread, self.draw = me, thread, rng("end/" + me.id)

    def write(self, text: str) -> str:
        self.thread, token = v2.write(self.thread, self.me, text, now=NOW, rng=self.draw)
        return token

    def read(self, token: str) -> Any:
        self.thread, shown = v2.read(self.thread, token, now=NOW)
        return shown

    def receipt(self, now: int = NOW) -> str:
        return v2.receipt(self.thread, self.me, now=now, rng=self.draw)


def begun(label: str = "begun") -> tuple[End, End]:
    draw = rng(label)
    held = v2.invite(ADA, "Ada", now=NOW, rng=draw)
    theirs, opening = v2.answer(BO, held.compact, "Bo", "hello", now=NOW, rng=draw)
    _, mine, _ = v2.accept(ADA, [held], opening, now=NOW)
    return End(ADA, mine), End(BO, theirs)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
def test_any_carrier_that_shuffles_doubles_and_loses(seed: int) -> None:
    """GRID-005, GRID-010, GRID-052, GRID-053: everything is read once, in the end nothing is missing or outstanding."""
    dice, ends = Random(seed), begun()
    written: tuple[list[str], list[str]] = ([], [])
    texts: tuple[dict[int, str], dict[int, str]] = ({}, {})
    for _ in range(12):
        side = dice.randrange(2)
        for _ in range(dice.randrange(1, 4)):
            written[side].append(ends[side].write(f"{side} {len(written[side])}"))
        for token in dice.choices(written[side], k=dice.randrange(6)):
            before = ends[1 - side].thread
            shown = ends[1 - side].read(token)
            if shown.status == "repeated":
                assert ends[1 - side].thread == before
                assert shown.text == ""
            else:
                assert texts[side].setdefault(shown.place, shown.text) is shown.text
    for side in (0, 1):
        for index in v2.outstanding(ends[side].thread):
            ends[1 - side].read(written[side][index - 1])
        for token in written[side]:
            shown = ends[1 - side].read(token)
            texts[side].setdefault(shown.place, shown.text)
    for side in (0, 1):
        ends[side].read(ends[1 - side].receipt(NOW + 1))
        assert v2.outstanding(ends[side].thread) == ends[side].thread.missing == ends[side].thread.breaks == ()
        assert not ends[side].thread.behind
        assert Thread.load(json_parse(json_emit(ends[side].thread.dump()))) == ends[side].thread


def test_one_is_lost_is_shown_missing_and_heals_when_handed_over_again() -> None:
    """GRID-011, GRID-052, GRID-053."""
    ada, bo = begun()
    tokens = [bo.write(str(n)) for n in range(5)]
    for index in (0, 1, 3, 4):
        ada.read(tokens[index])
    assert ada.thread.missing == ((3, 3),)
    bo.read(ada.receipt())
    assert v2.outstanding(bo.thread) == (3,)
    assert ada.read(tokens[2]).status == "late"
    bo.read(ada.receipt(NOW + 1))
    assert v2.outstanding(bo.thread) == ()


def test_a_thousand_may_be_skipped() -> None:
    """GRID-049 (T-N4)."""
    ada, bo = begun()
    tokens = [bo.write(str(n)) for n in range(1001)]
    shown = ada.read(tokens[1000])
    assert (shown.text, shown.status, ada.thread.missing) == ("1000", "new", ((1, 1000),))
    assert len(json_emit(ada.thread.dump())) < 200_000
    for token in tokens[:1000:97]:
        assert ada.read(token).status == "late"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_one_changed_character_is_refused_and_changes_nothing(data: st.DataObject) -> None:
    """GRID-005, GRID-051."""
    at = data.draw(st.integers(0, len(TOKEN) - 1))
    sign = data.draw(st.sampled_from("AZaz09-_.=").filter(lambda one: one != TOKEN[at]))
    with pytest.raises(CheckFailed):
        v2.read(READER, TOKEN[:at] + sign + TOKEN[at + 1 :], now=NOW)
    assert READER == READER_BEFORE


_ADA, _BO = begun("flips")
TOKEN = _BO.write("a message")
READER, READER_BEFORE = _ADA.thread, Thread.load(_ADA.thread.dump())


def test_a_chain_in_too_many_pieces_is_not_taken_further() -> None:
    """GRID-011."""
    pieces = tuple(places.Run(at, "", at, "") for at in range(3, 2001, 2))
    crumbs = replace(READER, runs=(*READER.runs, *pieces))
    with pytest.raises(Gap):
        v2.read(crumbs, TOKEN, now=NOW)
    assert v2.read(replace(crumbs, runs=crumbs.runs[:-1]), TOKEN, now=NOW)[1].status == "late"


def test_nothing_is_opened_before_the_signature_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """GRID-051. The control: without the check the forgery's ciphertext would open, and be shown as bo's."""
    head, body, _ = TOKEN.split(".")
    forged = f"{head}.{body}.{b64e(EVE.signer(f'{head}.{body}'.encode()))}"
    opened: list[bytes] = []
    really = crypto.aead_open
    monkeypatch.setattr(crypto, "aead_open", lambda *given: opened.append(given[0]) or really(*given))
    with pytest.raises(SignatureInvalid):
        v2.read(READER, forged, now=NOW)
    assert opened == []
    monkeypatch.setattr(envelope, "verify", lambda token, jwk: None)
    assert v2.read(READER, forged, now=NOW)[1].text == "a message"  # type: ignore[union-attr]


def test_a_stolen_answer_opens_for_nobody_because_the_names_are_in_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """GRID-044. The control: with the replier's name left out of the root, eve's copy begins a conversation as hers."""
    draw = rng("misbinding")
    held = v2.invite(ADA, "Ada", now=NOW, rng=draw)

    def stolen(opening: str) -> str:
        token = envelope.decode(opening, envelope.OPENING)
        return envelope.sign({**token.header, "kid": EVE.id, "jwk": EVE.jwk}, token.payload, EVE).compact

    _, opening = v2.answer(BO, held.compact, "Bo", "hello", now=NOW, rng=draw)
    with pytest.raises(DecryptFailed):
        v2.accept(ADA, [held], stolen(opening), now=NOW)
    monkeypatch.setattr(v2, "root_key", lambda shared, found, replier, epk: shared[:32])
    monkeypatch.setattr(v2, "opening_key", lambda root, th, kid, jti: root + root)
    really = crypto.aead_open
    monkeypatch.setattr(crypto, "aead_open", lambda key, nonce, sealed, aad: really(key, nonce, sealed, AAD[0]))
    _, opening = v2.answer(BO, held.compact, "Bo", "hello", now=NOW, rng=draw)
    AAD[:] = [opening.split(".")[0].encode()]
    *_, shown = v2.accept(ADA, [held], stolen(opening), now=NOW)
    assert (shown.sender, shown.text) == (EVE.id, "hello")


AAD: list[bytes] = []


def test_an_invitation_is_used_as_often_as_it_says_and_its_key_goes_with_the_last() -> None:
    """GRID-042."""
    draw = rng("uses")
    held = v2.invite(ADA, "Ada", now=NOW, rng=draw, uses=2)
    openings = [v2.answer(new_identity(draw), held.compact, "X", str(n), now=NOW, rng=draw)[1] for n in range(3)]
    damaged = openings[0][:-4] + ("AAAA" if openings[0][-4:] != "AAAA" else "BBBB")
    with pytest.raises(SignatureInvalid):
        v2.accept(ADA, [held], damaged, now=NOW)
    held, _, _ = v2.accept(ADA, [held], openings[0], now=NOW)
    assert (held.left, bool(held.scalar)) == (1, True)
    held, _, _ = v2.accept(ADA, [held], openings[1], now=NOW)
    assert (held.left, held.scalar) == (0, b"")
    with pytest.raises(Expired):
        v2.accept(ADA, [held], openings[2], now=NOW)
    assert Held.load(json_parse(json_emit(held.dump()))) == held
    endless = v2.invite(ADA, "Ada", now=NOW, rng=draw, uses=0)
    for n in range(3):
        _, opening = v2.answer(new_identity(draw), endless.compact, "X", str(n), now=NOW, rng=draw)
        endless, _, _ = v2.accept(ADA, [endless], opening, now=NOW)


def test_a_program_set_back_notices_and_falls_silent() -> None:
    """GRID-052, GRID-054: a copy restored from an old file would write a second message at the same place."""
    ada, bo = begun("set-back")
    ada.read(bo.write("one"))
    old = bo.thread
    ada.read(bo.write("two"))
    copy = End(BO, old)
    copy.draw = rng("another")
    with pytest.raises(Replay):
        ada.read(copy.write("not two"))
    copy = End(BO, old)
    copy.read(ada.receipt())
    assert copy.thread.behind
    with pytest.raises(LogRollback):
        copy.write("three")
    assert copy.read(ada.write("still readable")).text == "still readable"


def test_nothing_signed_here_is_anything_else() -> None:
    """GRID-004 (T-S7): each token under each other typ, of this chapter and all others, and as a token of grid-v1."""
    ada, bo = begun("oracle")
    auth = public.make_auth(BO, aud="https://r.example", nonce=bytes(32), iat=NOW)
    tokens = {envelope.peek(one): one for one in (ada.thread.invite, bo.write("x"), bo.receipt(), auth)}
    for own, token in tokens.items():
        envelope.decode(token, own)
        for typ in {*envelope.TYPS, *jws.TYPS} - {own}:
            with pytest.raises(CheckFailed):
                envelope.decode(token, typ) if typ in envelope.TYPS else jws.decode(token, typ)
        for reader in (v1.read_invite, lambda text: v1.accept(ADA, [], text), lambda text: v1.read(V1, text)):
            with pytest.raises(CheckFailed):
                reader(token)


V1_HELD = v1.invite(ADA, "Ada", now=NOW, rng=rng("v1"))
V1, _ = v1.answer(BO, V1_HELD.compact, "Bo", "x", now=NOW, rng=rng("v1-answer"))


def test_a_signing_oracle_gets_nothing_that_verifies_elsewhere() -> None:
    """GRID-035, GRID-056 (T-S7): what a hostile relay may have signed is a sign-in, never an invitation or message."""
    for asked in (V1_HELD.compact.rsplit(".", 1)[0], "eyJhbGciOiJFUzM4NCJ9.e30", '{"a":1}'):
        with pytest.raises(CheckFailed):
            v1.login_proof(BO, asked, now=NOW)
    signed: list[bytes] = []
    watched = Watched(BO.sign, BO.store)
    Watched.seen = signed
    public.make_auth(watched, aud=V1_HELD.compact[:200], nonce=bytes(32), iat=NOW)
    (one,) = signed
    assert envelope.peek(one.decode() + ".AA") == envelope.AUTH


class Watched(Identity):
    """An identity that shows what it is asked to sign."""

    seen: list[bytes] = []  # noqa: RUF012

    def signer(self, message: bytes) -> bytes:
        self.seen.append(message)
        return super().signer(message)


def test_secrets_are_not_shown_by_accident() -> None:
    """GRID-005."""
    ada, bo = begun("repr")
    ada.read(bo.write("x"))
    bo.read(ada.write("y"))
    for end in (ada, bo):
        shown = repr(end.thread)
        for secret in (
            end.thread.receipts,
            end.thread.ratchet.root,
            end.thread.ratchet.mine,
            end.thread.ratchet.sending,
        ):
            assert not secret or (repr(secret) not in shown and b64e(secret) not in shown)
