"""A pouch: one file with many tokens, and what its maker already has, so that the answer brings what is missing.

What a pouch says about itself is not signed and changes nothing: ``have`` only chooses what the next pouch carries, and
each token is taken or refused by itself, so a pouch can be taken twice, in part, or after another. Spec: GRID-064 to
GRID-066.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cloister.errors import FormatError
from cloister.grid.places import Gap, Runs
from cloister.grid.v1_jws import BLANK
from cloister.protocol.encoding import json_emit, json_parse
from cloister.protocol.shape import shape

MARK: Final = '{"pouch":1,'
MAX_TEXT: Final = 64 << 20
_POUCH: Final = shape({"pouch": "int", "iat": "int", "have": "list:10000:object", "items": "list:100000:object"})
_HAVE: Final = shape({"th": "text:64", "of": "id", "up": "int", "more?": "list:1000:object"})
_STRETCH: Final = shape({"a": "int", "b": "int"})
_ITEM: Final = shape({"k": "text:32", "*": "by k"})
_GRID: Final = shape({"k": "enum:grid", "jws": "text:67108864"})


@dataclass(frozen=True)
class Have:
    """Of the chain of ``of`` in conversation ``th``: all up to place ``up``, and the stretches ``more`` above it."""

    th: str
    of: str
    up: int
    more: tuple[Gap, ...] = ()

    def has(self, place: int) -> bool:
        """Whether ``place`` is among them."""
        return place <= self.up or any(first <= place <= last for first, last in self.more)


@dataclass(frozen=True)
class Pouch:
    """``tokens`` in the order to be taken; ``others`` are items of other kinds, kept as they came."""

    iat: int
    have: tuple[Have, ...]
    tokens: tuple[str, ...]
    others: tuple[dict[str, Any], ...] = ()


def have(th: str, of: str, runs: Runs) -> Have:
    """What is held of one chain (GRID-065)."""
    return Have(th, of, runs[0].last, tuple((run.first, run.last) for run in runs[1:]))


def pack(pouch: Pouch) -> str:
    """The file's text (GRID-064). Raises FormatError when it is too large."""
    rows = []
    for one in pouch.have:
        row: dict[str, Any] = {"th": one.th, "of": one.of, "up": one.up}
        rows.append(row | ({"more": [{"a": first, "b": last} for first, last in one.more]} if one.more else {}))
    items = [*({"k": "grid", "jws": token} for token in pouch.tokens), *pouch.others]
    text = json_emit({"pouch": 1, "iat": pouch.iat, "have": rows, "items": items}).decode()
    unpack(text)
    return text


def unpack(text: str) -> Pouch:
    """Read a pouch; white space around it is taken off (GRID-064). Raises FormatError. No token is looked at."""
    if len(text) > MAX_TEXT:
        raise FormatError("pouch too large")
    value = json_parse(text.strip(BLANK).encode("utf-8", "surrogatepass"))
    _POUCH(value)
    if value["pouch"] != 1:
        raise FormatError("a pouch of a later version")
    tokens, others = [], []
    for item in value["items"]:
        _ITEM(item)
        if item["k"] == "grid":
            _GRID(item)
            tokens.append(item["jws"])
        else:
            others.append(item)
    return Pouch(value["iat"], tuple(_have(row) for row in value["have"]), tuple(tokens), tuple(others))


def _have(row: Mapping[str, Any]) -> Have:
    _HAVE(row)
    least, more = row["up"] + 1, []
    for one in row.get("more", ()):
        _STRETCH(one)
        if not least <= one["a"] <= one["b"]:
            raise FormatError("stretches ascend")
        least = one["b"] + 1
        more.append((one["a"], one["b"]))
    return Have(row["th"], row["of"], row["up"], tuple(more))


def is_pouch(text: str) -> bool:
    """Whether a text is to be read as a pouch and not searched for tokens (GRID-064)."""
    return text.lstrip(BLANK).startswith(MARK)


def wanted(pouch: Pouch, th: str, of: str, written: Iterable[int]) -> tuple[int, ...]:
    """Which of the places ``written`` by ``of`` in ``th`` the pouch's maker does not have (GRID-065)."""
    known = [one for one in pouch.have if one.th == th and one.of == of]
    return tuple(place for place in written if not any(one.has(place) for one in known))
