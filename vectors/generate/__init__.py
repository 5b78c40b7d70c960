"""Generators of ``vectors/*.json``: one module per area with ``ORIGIN: str`` and ``def cases() -> list[dict]``.

Deterministic: randomness comes from ``rng(seed)``; what only the operating system can draw (an HPKE encapsulation,
for instance) is drawn once and kept in ``vectors/recorded/<area>.json`` through ``Recorded``. The test suite runs
every generator and compares bytes with the committed file, so a change of a vector is always a change of a rule.

    PYTHONPATH=src:. python -m vectors.generate            every area
    PYTHONPATH=src:. python -m vectors.generate keys ids   those only
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
Case = dict[str, Any]


def areas() -> list[str]:
    """Names of all areas that have a generator."""
    return sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))


def document(area: str) -> bytes:
    """The exact bytes of ``vectors/<area>.json``: one case per line, so that a diff shows the case that changed."""
    module = import_module(f"vectors.generate.{area}")
    lines = ",\n".join(json.dumps(case, ensure_ascii=True, separators=(",", ":")) for case in module.cases())
    head = json.dumps({"v": 1, "area": area, "origin": module.ORIGIN}, ensure_ascii=True, separators=(",", ":"))
    return f'{head[:-1]},"cases":[\n{lines}\n]}}\n'.encode("ascii")


def good(name: str, rule: str, op: str, inputs: Case, value: Any) -> Case:
    """A case that must give ``value``. ``rule`` holds one or more rule ids, separated by blanks."""
    return {"id": name, "rule": rule.split(), "op": op, "in": inputs, "expect": {"value": value}}


def bad(name: str, rule: str, op: str, inputs: Case, error: str) -> Case:
    """A case that must be refused with the code ``error``."""
    return {"id": name, "rule": rule.split(), "op": op, "in": inputs, "expect": {"error": error}}


def rng(seed: str) -> Callable[[int], bytes]:
    """A reproducible source of bytes: SHAKE-256 of the seed, read on and on."""
    position = 0

    def draw(length: int) -> bytes:
        nonlocal position
        data = hashlib.shake_256(seed.encode()).digest(position + length)[position:]
        position += length
        return data

    return draw


class Recorded:
    """Bytes drawn by the operating system once and kept: ``once(name, make)`` returns the kept value, else makes it."""

    def __init__(self, area: str) -> None:
        self._path = ROOT / "recorded" / f"{area}.json"
        self._kept: dict[str, Any] = json.loads(self._path.read_text("utf-8")) if self._path.exists() else {}

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._kept:
            self._kept[name] = make()
            self._path.parent.mkdir(exist_ok=True)
            self._path.write_text(json.dumps(self._kept, indent=1, sort_keys=True) + "\n", "utf-8")
        return self._kept[name]
