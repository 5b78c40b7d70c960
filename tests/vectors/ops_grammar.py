"""Operations of vectors/grammar.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloister.errors import FormatError
from cloister.protocol.encoding import b64d, json_parse


def _each(read: Callable[[str], Any], inputs: list[str]) -> list[Any]:
    def one(text: str) -> Any:
        try:
            return read(text)
        except FormatError:
            return False

    return [one(text) for text in inputs]


OPS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "json-verdicts": lambda given: _each(lambda text: json_parse(bytes.fromhex(text)), given["inputs"]),
    "b64-verdicts": lambda given: _each(lambda text: b64d(text).hex(), given["inputs"]),
}
