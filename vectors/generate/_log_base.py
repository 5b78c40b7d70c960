"""What all cases about logs begin with: a crew of every role, the form of a case, bodies of entries."""

from __future__ import annotations

from typing import Any

from cloister.protocol.encoding import b64e
from cloister.protocol.state import Policy, state_hash
from vectors.generate import Case, bad, good
from vectors.generate._world import Log, Person, de_public, rng

FORMAT, SIG, UNKNOWN, STRANGER, WRONG = "C_FORMAT", "C_SIG", "C_KEY_UNKNOWN", "C_NOT_MEMBER", "C_LOG_INVALID"


def given(log: Log, **more: Any) -> Case:
    attach = {b64e(digest): compact for digest, compact in log.attach.items()}
    return {"entries": list(log.entries), **({"attach": attach} if attach else {}), **more}


def no(name: str, rule: str, log: Log, compact: str, code: str = WRONG) -> Case:
    return bad(f"log-{name}", rule, "log-apply", given(log, next=compact), code)


def yes(name: str, rule: str, log: Log, compact: str) -> Case:
    state = log.try_(compact)
    value = {
        "sh": state_hash(state).hex(),
        "ep": state.ep,
        "hard": state.hard,
        "due": state.due,
        "mode": state.mode,
        "members": {member.id: member.role for member in state.members.values()},
        "devices": sorted(device.dv for device in state.devices.values() if device.active),
    }
    return good(f"log-{name}", rule, "log-apply", given(log, next=compact), value)


class Crew:
    """Owner ada, admin ben, member cy, guest dee in one encrypted sphere with one open invitation each may see."""

    def __init__(self, **policy: Any) -> None:
        self.ada, self.ben, self.cy, self.dee = (Person(name) for name in ("ada", "ben", "cy", "dee"))
        self.log = Log(self.ada, policy=policy)
        self.log.add(self.ada, self.ben, "admin")
        self.log.add(self.ada, self.cy, "member")
        self.log.add(self.ada, self.dee, "guest")

    @property
    def all(self) -> list[Person]:
        return [self.ada, self.ben, self.cy, self.dee]


SEALED: dict[str, Any] = {
    "n16": b64e(rng("n16", 16)),
    "n": b64e(rng("n", 12)),
    "cm": b64e(rng("cm", 32)),
    "mh": b64e(rng("mh", 32)),
    "ct": b64e(rng("ct", 48)),
}
CLEAR = {"title": "Boats", "topic": "", "icon": ""}


def create_body(who: Person, **over: Any) -> dict[str, Any]:
    return {
        "v": 1,
        "nonce": b64e(rng("nonce", 32)),
        "name": who.name,
        "ik": who.ik,
        "cert": who.dev.cert,
        "kind": "sphere",
        "mode": "e2ee",
        "delivery": "pairwise",
        "custody": "synced",
        "policy": Policy(kem_min="p384").as_body(),
        **over,
    }


def renewal(label: str, kem: str = "p384") -> dict[str, str]:
    return {"kem": kem, "de": b64e(de_public(kem, rng(label + "/renewed", 32)))}


def policy_body(log: Log, **over: Any) -> dict[str, Any]:
    return {"policy": {**log.state.policy.as_body(), **over}}
