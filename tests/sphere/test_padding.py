"""Padding. Spec: MSG-007."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloister.errors import FormatError
from cloister.sphere import padding


@pytest.mark.parametrize(
    ("length", "size"),
    [
        (0, 256),
        (255, 256),
        (256, 512),
        (511, 512),
        (512, 1024),
        (1023, 1024),
        (2047, 2048),
        (4095, 4096),
        (4096, 4352),
        (4351, 4352),
        (4352, 4608),
        (8191, 8192),
        (8192, 8704),
        (65535, 65536),
        (65536, 67584),
    ],
)
def test_sizes(length: int, size: int) -> None:
    assert padding.padded_length(length) == size == len(padding.pad(bytes(length)))


@given(st.integers(0, 200_000))
def test_sizes_hide_and_cost_little(length: int) -> None:
    """MSG-007: never smaller than the text, at most 12 % more above 4 KiB, few sizes."""
    size = padding.padded_length(length)
    assert size > length
    if length >= 4096:
        assert size <= (length + 1) * 1.12
        assert len(bin(size).rstrip("0")) - 2 <= 6
    assert padding.padded_length(size - 1) == size


@given(st.binary(max_size=9000))
def test_round_trip(data: bytes) -> None:
    assert padding.unpad(padding.pad(data)) == data


@given(st.binary(max_size=700))
def test_only_what_pad_makes_is_taken(data: bytes) -> None:
    """MSG-007: one spelling."""
    try:
        inner = padding.unpad(data)
    except FormatError:
        return
    assert padding.pad(inner) == data


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        bytes(256),
        b"a\x80" + bytes(255),
        b"a\x80" + bytes(253),
        b"\x80",
        b"a" * 256,
        b"a\x81" + bytes(254),
        b"x" * 100 + b"\x80" + bytes(512 - 101),
    ],
)
def test_wrong_fillings(wrong: bytes) -> None:
    with pytest.raises(FormatError):
        padding.unpad(wrong)
