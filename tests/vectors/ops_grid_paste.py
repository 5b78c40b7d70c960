"""Operations of vectors/grid_paste.json."""

from __future__ import annotations

from typing import Any

from cloister.grid import box as boxes
from cloister.grid import inspector, pouch, recognise
from cloister.grid.box import Box
from vectors.generate._grid import have_of, inspection_value, pouch_value, taken_value

Given = dict[str, Any]


def _find(given: Given) -> Any:
    found, cut = recognise.find(given["text"])
    return {
        "found": [[one.compact, one.profile, one.kind, one.line] for one in found],
        "cut": [[one.profile, one.kind, one.line, one.length] for one in cut],
    }


def _inspect(given: Given) -> Any:
    return inspection_value(inspector.inspect(given["token"], now=given["now"], keys=given.get("keys")))


def _pack(given: Given) -> Any:
    have = tuple(have_of(one) for one in given["have"])
    return pouch.pack(pouch.Pouch(given["iat"], have, tuple(given["tokens"]), tuple(given["others"])))


def _wanted(given: Given) -> Any:
    return list(pouch.wanted(pouch.unpack(given["text"]), given["th"], given["of"], given["places"]))


def _take(given: Given) -> Any:
    return taken_value(*boxes.take_text(Box.load(given["box"]), given["text"], now=given["now"]))


def _take_one(given: Given) -> Any:
    box, taken = boxes.take(Box.load(given["box"]), given["token"], now=given["now"])
    return taken_value(box, boxes.Pasted(((given["token"], taken),)))


OPS = {
    "grid-find": _find,
    "grid-inspect": _inspect,
    "grid-pouch-read": lambda given: pouch_value(pouch.unpack(given["text"])),
    "grid-pouch-write": _pack,
    "grid-pouch-wanted": _wanted,
    "grid-take": _take,
    "grid-take-one": _take_one,
}
