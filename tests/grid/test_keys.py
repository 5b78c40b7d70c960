"""Identities off the grid: their two names, the forms of their keys (GRID-001 to GRID-003)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloister import crypto
from cloister.errors import FormatError
from cloister.grid import keys
from cloister.grid.keys import Identity
from cloister.protocol.encoding import b64e
from cloister.protocol.ids import identity_id, jwk_public
from vectors.generate import rng

ADA = keys.new_identity(rng("grid/ada"))


def test_one_key_has_two_names_that_differ_by_a_misspelt_member() -> None:
    """GRID-002."""
    assert ADA.id == identity_id(ADA.jwk)
    assert ADA.id != ADA.id1
    text = f'{{"crf":"P-384","kty":"EC","x":"{ADA.jwk["x"]}","y":"{ADA.jwk["y"]}"}}'
    assert ADA.id1 == "id-" + b64e(crypto.sha256(text.encode()))


@given(st.binary(min_size=56, max_size=56))
def test_a_scalar_is_in_range_whatever_is_drawn(drawn: bytes) -> None:
    """GRID-001."""
    value = int.from_bytes(keys.new_scalar(lambda length: drawn), "big")
    assert 0 < value < crypto.P384_ORDER


def test_both_sides_agree_and_points_travel_whole() -> None:
    """GRID-003."""
    one, other = keys.new_scalar(rng("one")), keys.new_scalar(rng("other"))
    assert keys.agree(one, keys.public_point(other)) == keys.agree(other, keys.public_point(one))
    assert keys.jwk_of_point(keys.public_point(one)) == jwk_public(one)
    assert keys.point(jwk_public(one)) == keys.public_point(one)


@pytest.mark.parametrize(
    "change", [lambda p: p[1:], lambda p: b"\x02" + p[1:49], lambda p: p[:49] + p[1:49], lambda p: b"\x06" + p[1:]]
)
def test_what_is_no_point_is_refused(change) -> None:  # type: ignore[no-untyped-def]
    """GRID-003."""
    wrong = change(keys.public_point(ADA.sign))
    with pytest.raises(FormatError):
        keys.agree(ADA.store, wrong)
    with pytest.raises(FormatError):
        keys.jwk_of_point(wrong)


def test_an_identity_comes_back_from_a_store_and_shows_no_secret() -> None:
    """GRID-001."""
    assert Identity.load(ADA.dump()) == ADA
    assert b64e(ADA.sign) not in repr(ADA)
    assert str(ADA.sign) not in repr(ADA)
    for wrong in ({**ADA.dump(), "sign": b64e(bytes(48))}, {"sign": ADA.dump()["sign"]}, {**ADA.dump(), "x": 1}):
        with pytest.raises(FormatError):
            Identity.load(wrong)
