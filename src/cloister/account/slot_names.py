"""Names of slots, and which of them may be written how. Opens nothing; used by both ends.

Spec: 04-account.md, SLOT-006, SLOT-007.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from cloister.errors import FormatError

IK: Final = "ik"
STATE: Final = "state"
_NUMBER: Final = "[1-9][0-9]{0,9}"
_EPOCH: Final = re.compile(rf"e\.(sp-[A-Za-z0-9_-]{{42}}[AEIMQUYcgkosw048])\.({_NUMBER})")
_MASTER: Final = re.compile(rf"mk\.({_NUMBER})")
_MAX: Final = 2**32 - 1


@dataclass(frozen=True)
class SlotName:
    """A parsed name. ``kind``: ik, state, e or mk; ``n`` is the epoch (e) or the generation (mk), else 0."""

    kind: str
    sph: str = ""
    n: int = 0

    @property
    def create_only(self) -> bool:
        """Written once under one master key (SLOT-007): epoch keys and old master keys."""
        return self.kind in ("e", "mk")

    @property
    def length(self) -> int:
        """Exact bytes of what is stored (SLOT-007), 0 for ``state``, which may have any length up to the limit."""
        return {IK: 76, STATE: 0}.get(self.kind, 60)

    @property
    def password_only(self) -> bool:
        """Needs a session of level password: the identity key to read and write, old master keys to write."""
        return self.kind in ("ik", "mk")


def epoch(sph: str, n: int) -> str:
    """Name of the slot of E_n. Raises FormatError."""
    return _checked(f"e.{sph}.{n}")


def master(mkv: int) -> str:
    """Name of the slot of an earlier master key. Raises FormatError."""
    return _checked(f"mk.{mkv}")


def parse(name: str) -> SlotName:
    """Read a slot name. Raises FormatError for anything but ik, state, e.<sph>.<n>, mk.<n> with n in 1 .. 2^32-1."""
    if name in (IK, STATE):
        return SlotName(name)
    if (found := _EPOCH.fullmatch(name)) and int(found[2]) <= _MAX:
        return SlotName("e", found[1], int(found[2]))
    if (found := _MASTER.fullmatch(name)) and int(found[1]) <= _MAX:
        return SlotName("mk", "", int(found[1]))
    raise FormatError("slot name")


def _checked(name: str) -> str:
    parse(name)
    return name
