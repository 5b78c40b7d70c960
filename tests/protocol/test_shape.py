"""Kinds and shapes (ENC-009, ENC-010)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloister.errors import FormatError
from cloister.protocol import ids
from cloister.protocol.encoding import b64e
from cloister.protocol.shape import kind, shape

KINDS = ["int", "u32", "bool", "object", "jwk", "id", "dv", "sph", "login", "bytes:12", "bytes:16", "bytes:32"]
KINDS += ["bytes:0|32", "bytes:64", "bytes:97-1216", "text:8", "jws:100", "enum:a|b", "list:3:u32"]
ANYTHING: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(), st.lists(st.integers()), st.dictionaries(st.text(), st.text())
)


@pytest.mark.parametrize("word", KINDS)
@given(value=ANYTHING)
def test_a_kind_accepts_or_raises_format_error(word: str, value: Any) -> None:
    """ENC-009: never another exception."""
    try:
        kind(word)(value)
    except FormatError:
        return


@pytest.mark.parametrize("word", ["no-such-kind", "bytes", "list:3:nothing"])
def test_a_word_that_is_no_kind_is_a_mistake_of_the_table(word: str) -> None:
    with pytest.raises((KeyError, ValueError)):
        kind(word)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_byte_ranges(low: int, more: int, length: int) -> None:
    """ENC-009."""
    check = kind(f"bytes:{low}-{low + more}")
    text = b64e(bytes(length))
    if low <= length <= low + more:
        check(text)
    else:
        with pytest.raises(FormatError):
            check(text)


def test_jwk_is_closed_and_on_the_curve() -> None:
    """ENC-009, CRY-007."""
    jwk = ids.jwk_public(bytes(47) + b"\x05")
    check = kind("jwk")
    check(jwk)
    wrong: list[dict[str, Any]] = [
        {**jwk, "d": "AA"},
        {**jwk, "kty": "RSA"},
        {**jwk, "crv": "P-256"},
        {**jwk, "x": jwk["y"]},
        {**jwk, "x": 1},
        {**jwk, "y": jwk["y"] + "AA"},
        {name: value for name, value in jwk.items() if name != "y"},
    ]
    for one in wrong:
        with pytest.raises(FormatError):
            check(one)


@given(st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), st.integers(0, 5)))
def test_shapes_are_closed(value: dict[str, int]) -> None:
    """ENC-010."""
    check = shape({"a": "int", "b?": "int", "c?": "int"})
    if "a" in value and "d" not in value:
        check(value)
    else:
        with pytest.raises(FormatError):
            check(value)


@pytest.mark.parametrize("value", [[], "a", 1, None, True])
def test_a_shape_wants_an_object(value: Any) -> None:
    with pytest.raises(FormatError):
        shape({})(value)
