"""What both off-grid areas draw from: a seeded source that remembers what it gave, and one that gives it again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from cloister.errors import CheckFailed
from cloister.grid.box import Box, Pasted
from cloister.grid.inspector import Inspection
from cloister.grid.pouch import Have, Pouch
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


def inspection_value(seen: Inspection) -> dict[str, Any]:
    """What the inspector shows; -1 stands for a time that is not there."""
    value = asdict(seen)
    return value | {
        "made": -1 if seen.made is None else seen.made,
        "until": -1 if seen.until is None else seen.until,
        "hidden": list(seen.hidden),
    }


def have_of(row: dict[str, Any]) -> Have:
    return Have(row["th"], row["of"], row["up"], tuple((a, b) for a, b in row["more"]))


def pouch_value(read: Pouch) -> dict[str, Any]:
    """A pouch as vectors show it."""
    have = [{"th": one.th, "of": one.of, "up": one.up, "more": [list(gap) for gap in one.more]} for one in read.have]
    return {"iat": read.iat, "have": have, "tokens": list(read.tokens), "others": list(read.others)}


def taken_value(box: Box, pasted: Pasted) -> dict[str, Any]:
    """The box after a paste, and of each outcome what it was: [profile, class, th, status or own], or [code]."""
    outcomes: list[list[Any]] = []
    for _, what in pasted.outcomes:
        if isinstance(what, CheckFailed):
            outcomes.append([what.code])
        else:
            status = getattr(what.content, "status", "own" if what.own else "other")
            outcomes.append([what.profile, type(what.content).__name__, what.th, status])
    return {"box": box.dump(), "outcomes": outcomes, "cut": [[one.kind, one.line] for one in pasted.cut]}
