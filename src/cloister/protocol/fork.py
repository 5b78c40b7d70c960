"""Proof that one log has two continuations.

A message that names an unknown head is only a claim; two valid chains from one past are a proof. Nothing here decides
what to stop: it says whether the proof holds.

Spec: LOG-024.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cloister.errors import LogFork
from cloister.protocol import entry, machine
from cloister.protocol.encoding import b64e
from cloister.protocol.history import History
from cloister.protocol.state import SphereState


def replay(entries: Sequence[str], attachments: Mapping[bytes, str]) -> SphereState:
    """Verify a log from entry 0 and return its last state. Raises as ``machine`` does, ValueError when empty."""
    state: SphereState | None = None
    for compact in entries:
        one = entry.decode(compact)
        state = machine.genesis(one) if state is None else machine.apply(state, one, attachments)
    if state is None:
        raise ValueError("a log has at least one entry")
    return state


def prove(mine: History, common: SphereState, rival: Sequence[str], attachments: Mapping[bytes, str]) -> SphereState:
    """Follow ``rival``, entries that claim to come after ``common``, and compare them with my log.

    Returns the rival's last state when it agrees with mine as far as mine goes. Raises LogFork (seq, mine, theirs as
    base64url) at the first valid entry that stands where another one of mine does; raises what ``machine.apply``
    raises when the rival chain is not valid, which proves nothing.
    """
    if mine.digest(common.seq) != common.digest:
        raise ValueError("common is no position of my log")
    state = common
    for compact in rival:
        state = machine.apply(state, entry.decode(compact), attachments)
        if state.seq <= mine.seq and mine.digest(state.seq) != state.digest:
            raise LogFork(
                "LOG-024: two valid entries at one position",
                seq=state.seq,
                mine=b64e(mine.digest(state.seq)),
                theirs=b64e(state.digest),
            )
    return state
