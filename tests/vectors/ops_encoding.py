"""Operations of vectors/encoding.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloister.protocol import encoding
from cloister.protocol.shape import shape


def _part(given: dict[str, str]) -> encoding.Part:
    (mark, value), *_ = given.items()
    return bytes.fromhex(value) if mark == "b" else int(value) if mark == "i" else value


def _lp(given: dict[str, Any]) -> str:
    return encoding.lp(*map(_part, given["parts"])).hex()


def _kdf(given: dict[str, Any]) -> str:
    ikm, salt, ctx = (bytes.fromhex(given[name]) for name in ("ikm", "salt", "ctx"))
    return encoding.kdf(ikm, salt, given["label"], ctx, given["length"]).hex()


def _shape(given: dict[str, Any]) -> bool:
    shape(given["shape"])(encoding.json_parse(bytes.fromhex(given["bytes"])))
    return True


OPS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "lp": _lp,
    "kdf": _kdf,
    "b64e": lambda given: encoding.b64e(bytes.fromhex(given["bytes"])),
    "b64d": lambda given: encoding.b64d(given["text"]).hex(),
    "json-parse": lambda given: encoding.json_parse(bytes.fromhex(given["bytes"])),
    "shape": _shape,
}
