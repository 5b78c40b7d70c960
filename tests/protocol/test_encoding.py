"""LP, KDF, base64url and JSON: every value has one spelling, every other spelling is refused (ENC-001 to ENC-008)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloister.errors import FormatError
from cloister.protocol.encoding import MAX_INT, b64d, b64e, json_emit, json_parse, kdf, lp

PARTS = st.lists(st.one_of(st.binary(max_size=20), st.text(max_size=10), st.integers(0, 2**64 - 1)), max_size=5)
NAMES = st.text(max_size=8).filter(lambda name: name not in ("__proto__", "constructor"))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.booleans(), st.integers(0, MAX_INT), st.text(max_size=12)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)


def _flat(parts: list[Any]) -> list[bytes]:
    def one(part: Any) -> bytes:
        return part.encode() if isinstance(part, str) else part.to_bytes(8, "big") if isinstance(part, int) else part

    return [one(part) for part in parts]


@given(PARTS, PARTS)
def test_lp_never_confuses_two_lists(one: list[Any], two: list[Any]) -> None:
    """ENC-001."""
    assert (lp(*one) == lp(*two)) == (_flat(one) == _flat(two))


@pytest.mark.parametrize("number", [-1, 2**64])
def test_lp_refuses_integers_outside_u64(number: int) -> None:
    """ENC-001."""
    with pytest.raises(FormatError):
        lp(number)


def test_kdf_separates_labels_contexts_and_lengths() -> None:
    """ENC-002."""
    outputs = {
        kdf(b"k", b"", "a", b"", 32),
        kdf(b"k", b"", "b", b"", 32),
        kdf(b"k", b"", "a", b"c", 32),
        kdf(b"k", b"s", "a", b"", 32),
    }
    assert len(outputs) == 4
    assert kdf(b"k", b"", "a", b"", 33)[:32] in outputs


@given(st.binary(max_size=60))
def test_b64_returns(data: bytes) -> None:
    """ENC-003."""
    assert b64d(b64e(data)) == data
    assert b64d(b64e(data).encode()) == data


@given(st.text(max_size=12))
def test_b64_has_one_spelling(text: str) -> None:
    """ENC-003: whatever is read, written again, is the same text."""
    try:
        data = b64d(text)
    except FormatError:
        return
    assert b64e(data) == text


SPOILS = st.one_of(st.sampled_from([*'+/=-_\\"\n \u20ac\ud800A', "\\u0041", "\\/", "==", '""', ""]), st.characters())


@given(st.binary(min_size=40, max_size=90), st.integers(0, 130), st.integers(0, 2), SPOILS)
def test_both_decoders_of_base64_give_one_verdict(data: bytes, at: int, cut: int, spoil: str) -> None:
    """ENC-003: long texts take a faster way than short ones and than bytes, to the same end."""
    text = b64e(data)
    text = text[:at] + spoil + text[at + cut :]

    def verdict(value: str | bytes) -> bytes | None:
        try:
            return b64d(value)
        except FormatError:
            return None

    for long in (text, text + "A" * 128):
        found = verdict(long)
        assert found == verdict(long.encode("utf-8", "surrogatepass"))
        assert found is None or (found, b64e(found)) == (base64.urlsafe_b64decode(long + "=" * (-len(long) % 4)), long)


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_json_returns(value: dict[str, Any]) -> None:
    """ENC-004: what json_emit writes within the grammar, json_parse reads."""
    try:
        parsed = json_parse(json_emit(value))
    except FormatError:
        assert _depth(value) > 8
        return
    assert parsed == value
    assert _depth(value) <= 8


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


@given(st.binary(max_size=40))
def test_json_refuses_any_bytes_in_one_way(data: bytes) -> None:
    """ENC-004: FormatError or a value, nothing else; and what it takes, the standard library reads alike."""
    try:
        value = json_parse(data)
    except FormatError:
        return
    assert json.loads(data) == value


@given(st.text(alphabet='{}[],:"\\au0129d8ef.-+ntrl', max_size=24))
def test_json_near_the_grammar(text: str) -> None:
    """ENC-004 to ENC-007: dense in almost-JSON."""
    try:
        value = json_parse(text.encode())
    except FormatError:
        return
    assert json.loads(text) == value
    json_emit(value)


@pytest.mark.parametrize("value", [{"a": "\ud800"}, {"a": float("nan")}, {"a": object()}, {"\ud800": 1}])
def test_json_emit_refuses_what_json_cannot_carry(value: dict[str, Any]) -> None:
    """ENC-004, ENC-006."""
    with pytest.raises(FormatError):
        json_emit(value)


def test_control_a_lenient_reader_takes_duplicate_names() -> None:
    """ENC-005: the standard parser keeps the last of two; ours refuses both."""
    text = b'{"role":"guest","role":"owner"}'
    assert json.loads(text) == {"role": "owner"}
    with pytest.raises(FormatError):
        json_parse(text)


def test_deep_input_is_cheap() -> None:
    """ENC-008: a megabyte of brackets is refused without recursion."""
    with pytest.raises(FormatError):
        json_parse(b'{"a":' + b"[" * 500_000 + b"]" * 500_000 + b"}")
