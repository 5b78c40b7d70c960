"""Digits for comparison (DIG-001 to DIG-003)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloister.errors import FormatError
from cloister.protocol.digits import digits, head_code, safety_number
from vectors.generate._world import Person


@given(st.binary(min_size=0, max_size=60).filter(lambda data: len(data) % 5 == 0))
def test_five_bytes_make_five_digits(data: bytes) -> None:
    groups = digits(data).split()
    assert len(groups) == len(data) // 5
    assert all(len(group) == 5 and group.isdigit() for group in groups)


def test_a_safety_number_is_the_same_on_both_sides() -> None:
    ada, bo, cy = (Person(name).handle for name in ("ada", "bo", "cy"))
    assert safety_number(ada, bo) == safety_number(bo, ada)
    assert safety_number(ada, bo) != safety_number(ada, cy)
    assert len(safety_number(ada, bo).split()) == 12
    assert len(head_code(bytes(32)).split()) == 6
    with pytest.raises(FormatError):
        safety_number(ada, "dv-" + bo[3:])
