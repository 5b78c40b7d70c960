"""Permission words: whether a role's word in ``roles.json`` holds for one step.

A step is an entry about to be applied, with its author. Nothing here changes a state.

Spec: ROLE-003, ROLE-007.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from cloister.errors import LogInvalid
from cloister.protocol.encoding import b64d
from cloister.protocol.entry import Entry
from cloister.protocol.roles import KEM_RANK, Row
from cloister.protocol.state import Device, Member, Policy, SphereState


@dataclass(frozen=True, slots=True)
class Step:
    """One entry about to be applied: ``me`` and ``device`` are its author, ``body`` has the form of ``row``."""

    state: SphereState
    entry: Entry
    body: Mapping[str, Any]
    row: Row
    me: Member
    device: Device
    attachments: Mapping[bytes, str]


def refuse(rule: str, why: str) -> NoReturn:
    """Raise LogInvalid; ``data["rule"]`` names the rule that was broken."""
    raise LogInvalid(f"{rule}: {why}", rule=rule)


def check_kem(policy: Policy, kem: str) -> None:
    """No device weaker than the policy's ``kem_min`` (ROLE-007). Raises LogInvalid."""
    if KEM_RANK[kem] < KEM_RANK[policy.kem_min]:
        refuse("ROLE-007", "the receiving key is weaker than kem_min")


# --- words (ROLE-003)


def _own(s: Step) -> bool:
    if s.row.op == "revoke-invite":
        invite = s.state.invites.get(b64d(s.body["jti"]))
        return invite is not None and invite.by == s.me.id
    if s.row.op == "device revoke":
        target = s.state.devices.get(s.body["dv"])
        return target is not None and target.owner == s.me.id
    return True  # device add, device renew, identity: the author is the subject by their form


def _target_role(s: Step) -> str:
    target = s.state.members.get(s.body["id"])
    return target.role if target else "none"


_LOW: Final = ("member", "guest")


def _tighten(s: Step) -> bool:
    old, new = s.state.policy, Policy.from_body(s.body["policy"])
    return (
        _lower_or_same(new.retention, old.retention)
        and _lower_or_same(new.T, old.T)
        and (new.join == old.join or new.join == "approve")
        and KEM_RANK[new.kem_min] >= KEM_RANK[old.kem_min]
        and (new.history, new.plaintext, new.guests) == (old.history, old.plaintext, old.guests)
    )


def _lower_or_same(new: int, old: int) -> bool:
    return new == old or (new > 0 and (old == 0 or new < old))


def _rewrap(s: Step) -> bool:
    epoch, meta = s.state.epoch, s.state.meta
    if epoch is None or meta is None or s.state.mode != "e2ee":
        return False
    beside = epoch.seq == s.state.seq and epoch.by == s.entry.kid
    return beside and meta.mh != b"" and "mh" in s.body and b64d(s.body["mh"]) == meta.mh


WORDS: Final[dict[str, Callable[[Step], bool]]] = {
    "no": lambda s: False,
    "yes": lambda s: True,
    "own": _own,
    "any": lambda s: s.state.policy.join == "any",
    "below": lambda s: _target_role(s) in _LOW,
    "swap": lambda s: _target_role(s) in _LOW and s.body["role"] in _LOW,
    "tighten": _tighten,
    "rewrap": _rewrap,
}
