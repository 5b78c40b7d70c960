"""What both off-grid areas draw from: a seeded source that remembers what it gave, and one that gives it again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from cloister.grid.v2 import Message, Receipt
from vectors.generate import rng


class Source:
    """Seeded bytes; ``taken()`` gives what was drawn since it was last asked, in hex."""

    def __init__(self, seed: str) -> None:
        self._draw = rng(seed)
        self._taken = b""

    def __call__(self, length: int) -> bytes:
        data = self._draw(length)
        self._taken += data
        return data

    def taken(self) -> str:
        taken, self._taken = self._taken, b""
        return taken.hex()


class Replay:
    """The bytes of a case, in order; ``end()`` says that all of them were needed."""

    def __init__(self, drawn: str) -> None:
        self._left = bytes.fromhex(drawn)

    def __call__(self, length: int) -> bytes:
        data, self._left = self._left[:length], self._left[length:]
        assert len(data) == length, "more is drawn than the case has"
        return data

    def end(self) -> None:
        assert not self._left, "less is drawn than the case has"


def flip(compact: str, part: int) -> str:
    """Another character in the middle of a part of a token."""
    parts = compact.split(".")
    middle = len(parts[part]) // 2
    parts[part] = parts[part][:middle] + ("A" if parts[part][middle] != "A" else "B") + parts[part][middle + 1 :]
    return ".".join(parts)


def message_value(shown: Message | Receipt) -> dict[str, Any]:
    """A message or receipt as vectors show it."""
    value = asdict(shown)
    if isinstance(shown, Receipt):
        value["report"] = shown.report.content() if shown.report else {}
    return value
