"""Faults of the terminal itself, and every fault in words: code, three sentences, exit code.

``Refused`` takes its words from the catalogue by id, under the stable code of its class of fault. Knows exit codes;
refuses to print (``output`` does).
"""

from __future__ import annotations

from typing import Any, Final

from cloister.errors import CloisterError, LocalError, words

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
LOCKED: Final = 4
QUEUED: Final = 6
UNREADABLE: Final = 7
STOPPED: Final = 8
INTERRUPTED: Final = 130
_CODES: Final = {
    FAILED: "L_INTERNAL",
    USAGE: "L_USAGE",
    NOT_FOUND: "L_NOT_FOUND",
    LOCKED: "L_LOCKED",
    QUEUED: "L_QUEUED",
    UNREADABLE: "C_KEY_UNKNOWN",
    STOPPED: "C_FORMAT",
}


class Refused(LocalError):
    """A fault with words of its own: ``message_id`` names a catalogue entry ``fault.<id>``, ``fields`` fill it."""

    def __init__(self, message_id: str, exit_code: int = USAGE, code: str = "", **fields: Any) -> None:
        super().__init__(message_id)
        self.message_id = message_id
        self.fields = fields
        self.code = code or _CODES[exit_code]  # type: ignore[misc]
        self.exit_code = exit_code  # type: ignore[misc]

    def _part(self, name: str) -> str:
        return str(words(f"fault.{self.message_id}")[name]).format(**self.fields)

    @property
    def why(self) -> str:
        return self._part("why")

    @property
    def next(self) -> str:
        return self._part("next")

    @property
    def you(self) -> str:
        return self._part("you")


def why_of(error: CloisterError) -> str:
    """The cause in words, with the particulars when they were written for this person (L_ codes)."""
    if isinstance(error, Refused):
        return error.why
    if isinstance(error, LocalError) and error.detail and error.detail != error.code:
        return error.why.removesuffix(".") + f": {error.detail.removesuffix('.')}."
    return error.why
