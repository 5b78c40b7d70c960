"""A commit: entries, attachments, key shares and perhaps a first message that the relay takes whole or not at all.

Knows the form of the request and the rules between its parts; the rules of each entry are the machine's. Relay and
client check the same things here. What only a member can judge (whether a share opens, whether kc fits, what a title
says, which epochs were shared) is not here.

Spec: COM-001 to COM-012.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cloister.protocol.shape import shape
from cloister.protocol.chain import ChainHead
from cloister.protocol.state import SphereState


@dataclass(frozen=True, slots=True)
class Wrap:
    """One key share of a commit: recipient device and compact ``sph-p2p+1``."""

    dv: str
    jws: str


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit. ``idem`` 16 bytes, ``base`` (seq, H) of the head it builds on or None for a new sphere.

    ``attach`` maps H(SI) to a join request; ``link`` is the blob that leads from this epoch to the one before it.
    """

    idem: bytes
    sph: str
    base: tuple[int, bytes] | None
    entries: tuple[str, ...]
    attach: Mapping[bytes, str] = field(default_factory=dict)
    wraps: tuple[Wrap, ...] = ()
    link: bytes | None = None
    msg: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The request body (COM-001)."""
        raise NotImplementedError

    @classmethod
    def from_json(cls, value: Any) -> Commit:
        """Parse a request body. Raises FormatError (COM-001, COM-002)."""
        raise NotImplementedError

    def digest(self) -> bytes:
        """H over every member: the same ``idem`` with another digest is a conflict (COM-003)."""
        raise NotImplementedError


def steps(
    state: SphereState | None, commit: Commit, chain_heads: Mapping[str, ChainHead] | None = None
) -> list[SphereState]:
    """The states after each entry of ``commit``; the last one is the state after it (COM-004 to COM-011).

    ``chain_heads``: the relay passes its stored message chains by dv (absent: has not spoken) and so compares
    ``tails``; a client passes None. Raises StaleHead (base or tails; data seq, h or heads), IncompleteWraps,
    StaleEpoch, and whatever ``machine.apply`` and ``chain.admit`` raise.
    """
    raise NotImplementedError


def apply_commit(
    state: SphereState | None, commit: Commit, chain_heads: Mapping[str, ChainHead] | None = None
) -> SphereState:
    """The state after the whole commit, or the exception of the first rule it breaks; see ``steps``."""
    return steps(state, commit, chain_heads)[-1]


def as_relay_error(error: Exception) -> Any:
    """The relay's answer to a failed check: the E_* class a CheckFailed becomes on the wire (COM-012)."""
    raise NotImplementedError


_ = (Sequence, Final, shape)
