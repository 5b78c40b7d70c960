"""The inspector tells and takes nothing (GRID-062)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloister.errors import FormatError
from cloister.grid import envelope, inspector, public, v1, v1_backup, v1_jws, v2
from cloister.grid.keys import new_identity
from cloister.protocol.encoding import b64e
from vectors.generate import rng

NOW = 1_800_000_000
DRAW = rng("inspector")
ADA, BO, EVE = (new_identity(DRAW) for _ in range(3))
HELD = v2.invite(ADA, "Ada", now=NOW, rng=DRAW, note="hi")
BOS, OPENING = v2.answer(BO, HELD.compact, "Bo", "secret words", now=NOW, rng=DRAW)
_, ADAS, _ = v2.accept(ADA, [HELD], OPENING, now=NOW)
REPLY = v2.write(ADAS, ADA, "secret words", now=NOW, rng=DRAW)[1]
RECEIPT = v2.receipt(ADAS, ADA, now=NOW, rng=DRAW)
HELD1 = v1.invite(ADA, "Ada", now=NOW, rng=DRAW, note="hi")
BOS1, OPENING1 = v1.answer(BO, HELD1.compact, "Bo", "secret words", now=NOW, rng=DRAW)
REPLY1 = v1.write(BOS1, BO, "secret words", now=NOW, rng=DRAW)[1]
BACKUP = v1_backup.write(ADA, "password", [HELD1], [], now=NOW, rng=DRAW)
ALL = [HELD.compact, OPENING, REPLY, RECEIPT, HELD1.compact, OPENING1, REPLY1, BACKUP]
KEYS = {ADA.id: ADA.jwk, BO.id1: BO.jwk}


@pytest.mark.parametrize("token", ALL)
def test_it_says_who_signed_and_keeps_what_is_hidden(token: str) -> None:
    """GRID-062."""
    seen = inspector.inspect(token, now=NOW, keys=KEYS)
    who = BO if token in (OPENING, OPENING1, REPLY1) else ADA
    assert (seen.signer, seen.signer1, seen.signature, seen.code) == (who.id, who.id1, "holds", "")
    assert seen.made == NOW
    assert seen.size == len(token)
    assert "secret words" not in repr(seen)
    assert ("message" in seen.hidden) == (token in (OPENING, REPLY, OPENING1, REPLY1))


def test_an_invitation_shows_everything_but_is_over_one_day() -> None:
    """GRID-062."""
    seen = inspector.inspect(HELD.compact, now=NOW + 30 * 86400)
    assert (seen.shown["nickname"], seen.shown["note"], seen.validity, seen.hidden) == ("Ada", "hi", "valid", ())
    assert inspector.inspect(HELD.compact, now=NOW + 30 * 86400 + 1).validity == "over"
    assert inspector.inspect(HELD1.compact, now=NOW * 2).validity == "no-end"
    assert inspector.inspect(f'"{HELD1.compact}"\n', now=NOW).shown["note"] == "hi"


def test_a_backup_shows_how_much_is_in_it() -> None:
    """GRID-062."""
    seen = inspector.inspect(BACKUP, now=NOW)
    assert seen.shown == {"thumbprint": ADA.id1, "invites": 1, "threads": 0}
    assert seen.hidden == ("private-keys",)


def test_without_the_key_it_says_so_and_with_another_it_does_not_hold() -> None:
    """GRID-062."""
    for token, name in ((REPLY, ADA.id), (RECEIPT, ADA.id), (REPLY1, BO.id1)):
        assert inspector.inspect(token, now=NOW).signature == "unknown-key"
        seen = inspector.inspect(token, now=NOW, keys={name: EVE.jwk})
        assert (seen.signature, seen.code) == ("wrong", "C_SIG")


def test_a_forged_sender_is_told() -> None:
    """GRID-032, GRID-040, GRID-062."""
    token = v1_jws.decode(OPENING1)
    forged = v1_jws.sign(token.header | {"from": EVE.id1}, token.payload, BO.signer)
    assert inspector.inspect(forged, now=NOW).code == "C_NOT_MEMBER"
    read = envelope.decode(OPENING, envelope.OPENING)
    forged = envelope.sign(read.header | {"kid": EVE.id}, read.payload, BO).compact
    assert (inspector.inspect(forged, now=NOW).signature, inspector.inspect(forged, now=NOW).code) == (
        "wrong",
        "C_NOT_MEMBER",
    )


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ALL), st.data())
def test_what_is_wrong_with_a_token_is_told_not_raised(token: str, data: st.DataObject) -> None:
    """GRID-062."""
    at = data.draw(st.integers(token.index(".") + 1, len(token) - 1))
    changed = token[:at] + data.draw(st.sampled_from("AZ09-_.=")) + token[at + 1 :]
    seen = inspector.inspect(changed, now=NOW, keys=KEYS)
    assert changed == token or seen.code != ""


def test_a_stolen_header_with_a_bad_point_is_told() -> None:
    """GRID-062."""
    read = envelope.decode(HELD.compact, envelope.INVITE)
    header = b64e(b'{"alg":"ES384","typ":"sph-invite+1","kid":"x"}')
    seen = inspector.inspect(f"{header}.{b64e(read.payload)}.AA", now=NOW)
    assert (seen.kind, seen.code, seen.signature) == ("sph-invite+1", "C_FORMAT", "unknown-key")


@pytest.mark.parametrize("text", ["", "hello", "eyJ", "a.b.c", public.tp.__name__])
def test_what_is_no_token_is_refused(text: str) -> None:
    """GRID-062."""
    with pytest.raises(FormatError):
        inspector.inspect(text, now=NOW)
