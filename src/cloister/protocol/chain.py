"""When the relay lets a device speak: the rules a message must meet at the head of the log.

Works on the cached state and the chain's last message; costs no more than a few look-ups and one signature check.

Spec: CHN-001 to CHN-009.
"""

from __future__ import annotations

from dataclasses import dataclass

from cloister.protocol.history import History
from cloister.protocol.jws import Envelope
from cloister.protocol.state import SphereState


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The last message of a device in a sphere: its ``seq``, H(SI), and the log position ``ls`` it named."""

    seq: int
    digest: bytes
    ls: int = 0


def admit(state: SphereState, history: History | None, envelope: Envelope, head: ChainHead | None) -> ChainHead:
    """Admit one decoded ``sph-msg+1`` at the head of the log; returns the chain's new head.

    ``history`` answers for digests below the head; with None only messages sealed at the head itself pass. ``head``
    None: the device has not spoken. Raises Forbidden, BadFormat, StaleEpoch, StaleHead (seq, h), Conflict (seq, h),
    SignatureInvalid.
    """
    raise NotImplementedError
