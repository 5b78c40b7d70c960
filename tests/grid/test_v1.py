"""Profile grid-v1 among ourselves: any order, any damage; and that the checks are what stops the attacks.

What their own client says stands in tests/interop, single cases in vectors/grid_v1.json.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloister import crypto
from cloister.errors import CheckFailed, KeyUnknown, SignatureInvalid
from cloister.grid import places, v1, v1_backup, v1_jws
from cloister.grid.keys import Identity, new_identity
from cloister.grid.v1_thread import Held, Thread
from cloister.protocol import jws
from cloister.protocol.encoding import b64d, b64e, json_emit, json_parse
from vectors.generate import rng

NOW = 1_800_000_000
ADA, BO, EVE = (new_identity(rng(f"grid-v1-test/{name}")) for name in ("ada", "bo", "eve"))


def _begun() -> tuple[Held, Thread, Thread, str]:
    draw = rng("begun")
    held = v1.invite(ADA, "Ada", now=NOW, rng=draw)
    theirs, opening = v1.answer(BO, held.compact, "Bo", "hello", now=NOW, rng=draw)
    mine, _ = v1.accept(ADA, [held], opening)
    return held, mine, theirs, opening


HELD, MINE, THEIRS, OPENING = _begun()


def _several(thread: Thread, who: Identity, count: int) -> list[str]:
    draw, out = rng("several"), []
    for index in range(count):
        thread, token = v1.write(thread, who, str(index), now=NOW, rng=draw)
        out.append(token)
    return out


TOKENS = _several(THEIRS, BO, 12)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 11), max_size=20))
def test_any_order_and_any_number_of_copies_heal(order: list[int]) -> None:
    """GRID-005, GRID-010, GRID-030."""
    thread, seen = MINE, set()
    for index in order:
        before = thread
        thread, shown = v1.read(thread, TOKENS[index])
        assert shown.text == str(index)
        assert (shown.status == "repeated") == (index in seen)
        assert (thread == before) == (index in seen)
        seen.add(index)
    missing = {place for first, last in thread.missing for place in range(first, last + 1)}
    assert missing == {index + 1 for index in range(max(seen, default=0))} - {index + 1 for index in seen}


def test_states_come_back_from_a_store() -> None:
    """GRID-005."""
    thread, _ = v1.read(MINE, TOKENS[3])
    for one in (MINE, THEIRS, thread):
        assert Thread.load(json_parse(json_emit(one.dump()))) == one
        assert b64e(one.scalar) not in repr(one)
    assert Held.load(json_parse(json_emit(HELD.dump()))) == HELD


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(TOKENS[0]) - 1), st.sampled_from("AZaz09-_.="))
def test_one_changed_character_is_refused_and_changes_nothing(at: int, sign: str) -> None:
    """GRID-005, GRID-022, GRID-025."""
    token = TOKENS[0]
    if token[at] == sign:
        return
    before = MINE.dump()
    with pytest.raises(CheckFailed):
        v1.read(MINE, token[:at] + sign + token[at + 1 :])
    assert MINE.dump() == before


def test_nothing_of_a_token_counts_before_its_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """GRID-022, GRID-025: the seal is not even tried, and with the check switched off the forgery would be shown."""
    tried = []
    really = v1_jws.open
    monkeypatch.setattr(v1_jws, "open", lambda key, token: tried.append(token) or really(key, token))
    head, body, _ = TOKENS[0].split(".")
    forged = f"{head}.{body}.{b64e(EVE.signer(f'{head}.{body}'.encode()))}"
    with pytest.raises(SignatureInvalid):
        v1.read(MINE, forged)
    assert tried == []
    monkeypatch.setattr(v1_jws, "verify", lambda token, jwk: None)
    assert v1.read(MINE, forged)[1].text == "0"


def test_a_corrupted_opening_begins_nothing() -> None:
    """GRID-029: their client begins the conversation first and looks at the signature later."""
    head, body, signature = OPENING.split(".")
    raw = bytearray(b64d(signature))
    raw[10] ^= 1
    with pytest.raises(SignatureInvalid):
        v1.accept(ADA, [HELD], f"{head}.{body}.{b64e(bytes(raw))}")


def test_a_login_proof_is_nothing_else_and_nothing_else_is_a_login_proof() -> None:
    """GRID-004, GRID-035: every token of every kind, tried as every other kind and as every typ of ours."""
    proof = v1.login_proof(ADA, f"{NOW}:00ff", now=NOW)
    backup = v1_backup.write(ADA, "secret", [HELD], [(MINE, [HELD.compact, OPENING])], now=NOW, rng=rng("backup"))
    kept = v1_backup.keep(ADA, HELD.scalar, now=NOW, rng=rng("kept"))
    tokens = {v1_jws.decode(one).kind: one for one in (HELD.compact, OPENING, TOKENS[0], proof, backup, kept)}
    assert len(tokens) == 6
    readers: dict[str, Any] = {
        v1_jws.INVITE: v1.read_invite,
        v1_jws.OPENING: lambda token: v1.accept(ADA, [HELD], token),
        v1_jws.LOGIN: lambda token: v1.read_login_proof(token, f"{NOW}:00ff", now=NOW),
        v1_jws.BACKUP: lambda token: v1_backup.read(token, "secret"),
        v1_jws.SELF: lambda token: v1_backup.kept(ADA, token),
    }
    for kind, token in tokens.items():
        for other, reader in readers.items():
            if other == kind:
                reader(token)
                continue
            with pytest.raises(CheckFailed):
                reader(token)
        for typ in jws.TYPS:
            with pytest.raises(CheckFailed):
                jws.decode(token, typ)


def test_a_backup_goes_on_where_it_stopped_and_gives_no_number_twice() -> None:
    """GRID-038, GRID-039: with its last own token lost from the list of messages, too."""
    draw = rng("backup-goes-on")
    thread, first = v1.write(MINE, ADA, "one", now=NOW, rng=draw)
    thread, second = v1.write(thread, ADA, "two", now=NOW, rng=draw)
    thread, _ = v1.read(thread, TOKENS[2])
    tokens = [HELD.compact, OPENING, first, TOKENS[2]]
    found = v1_backup.read(v1_backup.write(ADA, "secret", [HELD], [(thread, tokens)], now=NOW, rng=draw), "secret")
    (back,) = found.threads
    assert found.identity == ADA
    assert found.invitations == (HELD,)
    assert found.tokens == {thread.th: tuple(tokens)}
    assert back.missing == thread.missing == ((1, 2),)
    after, third = v1.write(back, ADA, "three", now=NOW, rng=draw)
    assert after.mine is not None
    assert places.last(after.mine.runs) == 3
    theirs = THEIRS
    for token in (first, second, third):
        theirs, shown = v1.read(theirs, token)
    assert (shown.text, theirs.missing) == ("three", ())


def test_a_backup_that_lost_its_own_tokens_still_gives_no_number_twice() -> None:
    """GRID-039: of bo's conversation only the invitation is left."""
    draw = rng("backup-lost")
    thread, _ = v1.write(THEIRS, BO, "one", now=NOW, rng=draw)
    found = v1_backup.read(v1_backup.write(BO, "secret", [], [(thread, [HELD.compact])], now=NOW, rng=draw), "secret")
    _, token = v1.write(found.threads[0], BO, "two", now=NOW, rng=draw)
    mine, shown = v1.read(MINE, token)
    assert (shown.text, shown.place, mine.missing) == ("two", 2, ((1, 1),))


def test_the_key_of_a_conversation_opens_all_of_it() -> None:
    """GRID-034: what the badge says; whoever gets one conversation key reads what was before and what comes after."""
    assert MINE.badge == THEIRS.badge == "no-forward-secrecy"
    for token in (OPENING, *TOKENS):
        assert "message" in v1_jws.open(MINE.key, v1_jws.decode(token))
    assert MINE.key == THEIRS.key == crypto.p384_ecdh(
        HELD.scalar, b64d(THEIRS_POINT["x"]), b64d(THEIRS_POINT["y"])
    )[:32]  # fmt: skip


THEIRS_POINT = v1_jws.read_jwk(v1_jws.decode(OPENING).header["epk"])


def test_a_message_before_the_opening_waits() -> None:
    """GRID-033."""
    fresh = v1.begin(ADA.jwk, BO.jwk, HELD.scalar, MINE.epk, v1.read_invite(HELD.compact))
    with pytest.raises(KeyUnknown):
        v1.read(fresh, TOKENS[0])
    fresh, _ = v1.read(fresh, OPENING)
    assert v1.read(fresh, TOKENS[0])[1].status == "new"
