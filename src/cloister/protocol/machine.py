"""The state machine of a sphere's log: one verified entry in, the next state out.

Pure: no clock, no randomness, no input changed. The same code judges at the relay and at every member. Permissions,
body forms and effects come from ``roles.json``; this file holds the preconditions a table cannot say.

Spec: LOG-006 to LOG-019, ROLE-001 to ROLE-019.
"""

from __future__ import annotations

from collections.abc import Mapping

from cloister.protocol.entry import Entry
from cloister.protocol.state import SphereState

NO_ATTACHMENTS: Mapping[bytes, str] = {}


def genesis(entry: Entry) -> SphereState:
    """The state after entry 0. Raises FormatError, KeyUnknown, SignatureInvalid, LogInvalid, Expired."""
    raise NotImplementedError


def apply(state: SphereState, entry: Entry, attachments: Mapping[bytes, str] = NO_ATTACHMENTS) -> SphereState:
    """The state after one more entry; ``attachments`` maps H(SI) to join requests.

    Checks in this order, the first failure wins (LOG-006): position (LogInvalid), signer known (KeyUnknown) and
    active (NotMember), signature (SignatureInvalid), payload form (FormatError), operation known (VersionTooOld),
    time, role, the operation's own rules (LogInvalid).
    """
    raise NotImplementedError
