"""Reading logs and states out of vector inputs, for the areas log, commit and chain."""

from __future__ import annotations

from typing import Any

from cloister.protocol import entry, machine
from cloister.protocol.chain import ChainHead
from cloister.protocol.encoding import b64d
from cloister.protocol.history import History
from cloister.protocol.state import SphereState, state_hash

Given = dict[str, Any]


def attachments(given: Given) -> dict[bytes, str]:
    return {b64d(digest): compact for digest, compact in given.get("attach", {}).items()}


def states(given: Given) -> list[SphereState]:
    """Every state of the log ``entries``, the last one being the head."""
    attached, found = attachments(given), []
    for compact in given["entries"]:
        one = entry.decode(compact)
        found.append(machine.apply(found[-1], one, attached) if found else machine.genesis(one))
    return found


def history(found: list[SphereState]) -> History:
    past = History(found[0])
    for state in found[1:]:
        past.append(state)
    return past


def heads(given: Given) -> dict[str, ChainHead]:
    """Chains from ``heads``: lists [dv, seq, H] with an optional fourth member ls."""
    return {row[0]: ChainHead(row[1], b64d(row[2]), *row[3:]) for row in given.get("heads", [])}


def summary(state: SphereState) -> dict[str, Any]:
    """What a case compares: everything bound by the state hash, and the most telling members in clear."""
    return {
        "sh": state_hash(state).hex(),
        "ep": state.ep,
        "hard": state.hard,
        "due": state.due,
        "mode": state.mode,
        "members": {member.id: member.role for member in state.members.values()},
        "devices": sorted(device.dv for device in state.devices.values() if device.active),
    }
