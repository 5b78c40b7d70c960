"""What was true at any past position of a log: digests, epochs, marks, devices, roles, modes, tails.

Append-only and small: it keeps changes, not states. Messages name a log position and are judged by it, also long
after their author has gone.

Spec: LOG-030 to LOG-034.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloister.protocol.state import Epoch, Policy, SphereState, Tail


@dataclass(slots=True)
class Known:
    """A device the log has known: owner (handle), signing key, and the spans [from, to) in which it was active."""

    owner: str
    dk: bytes
    spans: list[list[int | None]]


class History:
    """Answers for positions ``base`` .. ``seq``. ``digests`` holds 32 bytes per position from ``base`` on."""

    def __init__(self, state: SphereState) -> None:
        """Begin at ``state`` (normally the state of entry 0; later for one who starts from a checked snapshot)."""
        raise NotImplementedError

    seq: int
    base: int

    def append(self, state: SphereState) -> None:
        """Follow one entry: ``state`` is the state after it. Raises ValueError unless it is the next one."""
        raise NotImplementedError

    def digest(self, seq: int) -> bytes:
        """H(SI) of entry ``seq``. Raises Gap when out of range."""
        raise NotImplementedError

    def epoch(self, n: int) -> Epoch:
        """The epoch entry number ``n``. Raises KeyUnknown."""
        raise NotImplementedError

    def epoch_at(self, seq: int) -> Epoch | None:
        """The epoch running after entry ``seq``."""
        raise NotImplementedError

    def hard_between(self, after: int, upto: int) -> bool:
        """Whether an entry s with after < s <= upto marks hard."""
        raise NotImplementedError

    def active(self, dv: str, seq: int) -> bool:
        """Whether ``dv`` was an active device after entry ``seq``."""
        raise NotImplementedError

    def owner_of(self, dv: str) -> str:
        """Handle of the device's owner, past devices included. Raises KeyUnknown."""
        raise NotImplementedError

    def key_of(self, dv: str) -> bytes:
        """Signing key (32 bytes) of a device, past devices included. Raises KeyUnknown."""
        raise NotImplementedError

    def role_at(self, member: str, seq: int) -> str:
        """Role after entry ``seq``: a role, "none" or "banned"; "none" for a stranger."""
        raise NotImplementedError

    def mode_at(self, seq: int) -> str:
        raise NotImplementedError

    def policy_at(self, seq: int) -> Policy:
        raise NotImplementedError

    def tail(self, dv: str) -> Tail | None:
        """The ending tail of a device that is not active now, else None."""
        raise NotImplementedError

    def tails(self, dv: str) -> list[Tail]:
        """Every tail ever recorded for a device, oldest first, lowered roles (``end`` false) included."""
        raise NotImplementedError

    @property
    def digests(self) -> bytes:
        raise NotImplementedError

    def dump(self) -> dict[str, Any]:
        """Everything but the digests as plain JSON values; store ``digests`` beside it, appended in pieces."""
        raise NotImplementedError

    @classmethod
    def load(cls, row: Mapping[str, Any], digests: bytes) -> History:
        """Inverse of ``dump``."""
        raise NotImplementedError
