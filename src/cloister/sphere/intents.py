"""What a member can want of a sphere's log: one class per operation, named by the words of roles.json.

Plain values. ``compose`` turns them into entries; whether somebody may do it is the log's own decision.

Spec: EPO-007.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cloister.protocol.ids import Jwk
from cloister.protocol.state import Policy
from cloister.sphere import meta


@dataclass(frozen=True, slots=True)
class Create:
    """A new sphere. ``name`` is the owner's login, ``cert`` the signing device's certificate under ``ik``.

    ``renew`` is the device's present (kem, DE) when newer than its certificate; ``rotations`` are the account's
    rotate entries from its first identity key to ``ik``.
    """

    name: str
    ik: Jwk
    cert: str
    mode: str = "e2ee"
    delivery: str = "pairwise"
    custody: str = "synced"
    policy: Policy = field(default_factory=Policy)
    kind: str = "sphere"
    org: str = ""
    renew: tuple[str, bytes] | None = None
    rotations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Invite:
    """Open an invitation whose public key is ``ipk`` (``invitation.key_pair``)."""

    jti: bytes
    ipk: bytes
    exp: int
    role: str = "member"
    uses: int = 1
    admit: str = "ask"


@dataclass(frozen=True, slots=True)
class RevokeInvite:
    jti: bytes


@dataclass(frozen=True, slots=True)
class Add:
    """Admit the author of the join request ``join`` (compact). ``by_link``: it proves an invitation."""

    id: str
    join: str
    role: str = "member"
    jti: bytes | None = None


@dataclass(frozen=True, slots=True)
class Remove:
    id: str
    ban: bool = False


@dataclass(frozen=True, slots=True)
class Leave:
    """The author leaves; nothing else fits into the commit."""


@dataclass(frozen=True, slots=True)
class SetRole:
    id: str
    role: str


@dataclass(frozen=True, slots=True)
class DeviceAdd:
    """The author's device introduces itself; ``cert`` under the member's present identity key."""

    cert: str
    renew: tuple[str, bytes] | None = None


@dataclass(frozen=True, slots=True)
class DeviceRenew:
    kem: str
    de: bytes


@dataclass(frozen=True, slots=True)
class DeviceRevoke:
    dv: str


@dataclass(frozen=True, slots=True)
class Mark:
    pass


@dataclass(frozen=True, slots=True)
class Rotate:
    """A new epoch, also when none is due."""


@dataclass(frozen=True, slots=True)
class SetMeta:
    text: meta.Text


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Sign the state before this entry; ``heads`` are message chains as (dv, seq, H)."""

    heads: tuple[tuple[str, int, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class SetMode:
    mode: str


@dataclass(frozen=True, slots=True)
class SetDelivery:
    delivery: str


@dataclass(frozen=True, slots=True)
class SetCustody:
    custody: str


@dataclass(frozen=True, slots=True)
class SetPolicy:
    policy: Policy


Intent = (
    Create
    | Invite
    | RevokeInvite
    | Add
    | Remove
    | Leave
    | SetRole
    | DeviceAdd
    | DeviceRenew
    | DeviceRevoke
    | Mark
    | Rotate
    | SetMeta
    | Checkpoint
    | SetMode
    | SetDelivery
    | SetCustody
    | SetPolicy
)


def place(intent: Intent) -> Literal["before", "epoch", "meta", "after", "alone"]:
    """Where the intent's entry stands in a commit (EPO-008)."""
    if isinstance(intent, Rotate):
        return "epoch"
    if isinstance(intent, SetMeta):
        return "meta"
    if isinstance(intent, Checkpoint):
        return "after"
    return "alone" if isinstance(intent, Leave | Mark) else "before"
