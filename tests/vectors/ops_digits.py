"""Operations of vectors/digits.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloister.protocol import digits

Given = dict[str, Any]

OPS: dict[str, Callable[[Given], Any]] = {
    "digits": lambda given: digits.digits(bytes.fromhex(given["bytes"])),
    "safety-number": lambda given: digits.safety_number(given["one"], given["other"]),
    "head-code": lambda given: digits.head_code(bytes.fromhex(given["digest"])),
}
