"""What was true at any past position of a log: digests, epochs, marks, devices, roles, modes, tails.

Append-only and small: it keeps changes, not states. Messages name a log position and are judged by it, also long
after their author has gone.

Spec: LOG-020 to LOG-023.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from cloister.errors import Gap, KeyUnknown
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.state import (
    Epoch,
    Policy,
    SphereState,
    Tail,
    dump_epoch,
    dump_tail,
    load_epoch,
    load_tail,
)


@dataclass(slots=True)
class Known:
    """A device the log has known: owner (handle), signing key, and the spans [from, to) in which it was active.

    ``to`` -1 is an open span.
    """

    owner: str
    dk: bytes
    spans: list[list[int]]


class History:
    """Answers for positions ``base`` .. ``seq``; changes only by ``append``."""

    def __init__(self, state: SphereState) -> None:
        """Begin at ``state``: of entry 0, or of a checked snapshot (then nothing before ``base`` is known)."""
        self.sph = state.sph
        self.base = self.seq = state.seq
        self._digests = bytearray(state.digest)
        self._epochs: list[Epoch] = [state.epoch] if state.epoch else []
        self._epoch_seqs: list[int] = [epoch.seq for epoch in self._epochs]
        self._hard: list[int] = [state.seq] if state.hard else []
        self._modes: list[tuple[int, str]] = [(state.mode_at, state.mode)]
        self._policies: list[tuple[int, Policy]] = [(state.policy_at, state.policy)]
        self._roles: dict[str, list[tuple[int, str]]] = {m.id: [(m.since, m.role)] for m in state.members.values()}
        self._devices: dict[str, Known] = {
            d.dv: Known(d.owner, d.dk, [[d.since, -1]] if d.active else []) for d in state.devices.values()
        }
        self._tails: dict[str, list[Tail]] = {t.dv: [t] for t in state.tails.values()}

    def append(self, state: SphereState) -> None:
        """Follow one entry: ``state`` is the state right after it. Raises ValueError unless it is the next one."""
        if state.seq != self.seq + 1 or state.sph != self.sph:
            raise ValueError("not the next state of this log")
        seq, change = state.seq, state.change
        self.seq = seq
        self._digests += state.digest
        if change.hard:
            self._hard.append(seq)
        if change.epoch and state.epoch:
            self._epochs.append(state.epoch)
            self._epoch_seqs.append(seq)
        if change.mode:
            self._modes.append((seq, state.mode))
        if change.policy:
            self._policies.append((seq, state.policy))
        for member, role in change.roles:
            self._roles.setdefault(member, []).append((seq, role))
        for dv in change.off:
            self._devices[dv].spans[-1][1] = seq
        for dv in change.on:
            device = state.devices[dv]
            self._devices.setdefault(dv, Known(device.owner, device.dk, [])).spans.append([seq, -1])
        for tail in change.tails:
            self._tails.setdefault(tail.dv, []).append(tail)

    def digest(self, seq: int) -> bytes:
        """H(SI) of entry ``seq`` (LOG-020). Raises Gap when it lies before ``base`` or after the head."""
        at = (seq - self.base) * 32
        if not 0 <= at < len(self._digests):
            raise Gap("log position not held")
        return bytes(self._digests[at : at + 32])

    def epoch(self, n: int) -> Epoch:
        """The epoch entry number ``n``. Raises KeyUnknown."""
        if self._epochs:
            at = n - self._epochs[0].n  # numbers have no holes
            if 0 <= at < len(self._epochs):
                return self._epochs[at]
        raise KeyUnknown(f"no epoch {n} in the log")

    def epoch_at(self, seq: int) -> Epoch | None:
        """The epoch running after entry ``seq``, None before the first."""
        at = bisect_right(self._epoch_seqs, seq)
        return self._epochs[at - 1] if at else None

    def epochs(self) -> list[Epoch]:
        """Every epoch entry, oldest first."""
        return list(self._epochs)

    def hard_between(self, after: int, upto: int) -> bool:
        """Whether an entry s with after < s <= upto marks hard (LOG-022)."""
        at = bisect_right(self._hard, after)
        return at < len(self._hard) and self._hard[at] <= upto

    def active(self, dv: str, seq: int) -> bool:
        """Whether ``dv`` was an active device after entry ``seq`` (LOG-021). False for a stranger."""
        known = self._devices.get(dv)
        return known is not None and any(start <= seq and (end < 0 or seq < end) for start, end in known.spans)

    def active_since(self, dv: str) -> int | None:
        """The entry from which ``dv`` is active now, None when it is not."""
        known = self._devices.get(dv)
        return known.spans[-1][0] if known and known.spans and known.spans[-1][1] < 0 else None

    def owner_of(self, dv: str) -> str:
        """Handle of the device's owner, past devices included. Raises KeyUnknown."""
        return self._known(dv).owner

    def key_of(self, dv: str) -> bytes:
        """Signing key (32 bytes) of a device, past devices included. Raises KeyUnknown."""
        return self._known(dv).dk

    def _known(self, dv: str) -> Known:
        known = self._devices.get(dv)
        if known is None:
            raise KeyUnknown("no such device in the log")
        return known

    def role_at(self, member: str, seq: int) -> str:
        """Role after entry ``seq``: a role, "none" or "banned"; "none" for a stranger."""
        return _at(self._roles.get(member, []), seq, "none")

    def mode_at(self, seq: int) -> str:
        """Mode after entry ``seq``."""
        return _at(self._modes, seq, self._modes[0][1])

    def policy_at(self, seq: int) -> Policy:
        """Policy after entry ``seq``."""
        return _at(self._policies, seq, self._policies[0][1])

    def tail(self, dv: str) -> Tail | None:
        """The ending tail of a device that is not active now, else None (LOG-023)."""
        for tail in reversed(self._tails.get(dv, [])):
            if tail.end:
                return tail if self.active_since(dv) is None else None
        return None

    def tails(self, dv: str) -> list[Tail]:
        """Every tail recorded for a device, oldest first, lowered roles (``end`` false) included."""
        return list(self._tails.get(dv, []))

    @property
    def digests(self) -> bytes:
        """32 bytes for each position from ``base`` on. Store it beside ``dump``, appended in pieces."""
        return bytes(self._digests)

    def dump(self) -> dict[str, Any]:
        """Everything but the digests as plain JSON values."""
        return {
            "sph": self.sph,
            "base": self.base,
            "seq": self.seq,
            "epochs": [dump_epoch(epoch) for epoch in self._epochs],
            "hard": list(self._hard),
            "modes": [list(pair) for pair in self._modes],
            "policies": [[seq, policy.as_body()] for seq, policy in self._policies],
            "roles": {member: [list(pair) for pair in pairs] for member, pairs in self._roles.items()},
            "devices": {dv: [k.owner, b64e(k.dk), [list(s) for s in k.spans]] for dv, k in self._devices.items()},
            "tails": [dump_tail(tail) for tails in self._tails.values() for tail in tails],
        }

    @classmethod
    def load(cls, row: Mapping[str, Any], digests: bytes) -> History:
        """Inverse of ``dump``. Raises ValueError when the digests do not cover base .. seq."""
        if len(digests) != 32 * (row["seq"] - row["base"] + 1):
            raise ValueError("digests do not cover the log")
        self = cls.__new__(cls)
        self.sph, self.base, self.seq = row["sph"], row["base"], row["seq"]
        self._digests = bytearray(digests)
        self._epochs = [load_epoch(one) for one in row["epochs"]]
        self._epoch_seqs = [epoch.seq for epoch in self._epochs]
        self._hard = list(row["hard"])
        self._modes = [(seq, mode) for seq, mode in row["modes"]]
        self._policies = [(seq, Policy(**policy)) for seq, policy in row["policies"]]
        self._roles = {member: [(seq, role) for seq, role in pairs] for member, pairs in row["roles"].items()}
        self._devices = {
            dv: Known(owner, b64d(dk), [list(span) for span in spans])
            for dv, (owner, dk, spans) in row["devices"].items()
        }
        self._tails = {}
        for one in row["tails"]:
            tail = load_tail(one)
            self._tails.setdefault(tail.dv, []).append(tail)
        return self


T = TypeVar("T")


def _at(pairs: list[tuple[int, T]], seq: int, default: T) -> T:
    at = bisect_right(pairs, seq, key=_position)
    return pairs[at - 1][1] if at else default


def _position(pair: tuple[int, Any]) -> int:
    return pair[0]
