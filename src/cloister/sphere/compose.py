"""Whole commits from intents: entries in the right order, the new epoch, its shares, and the first message.

The caller says what shall happen; this module makes the one request that does it, or raises what the log's own rules
say against it. Nothing is sent and nothing forgotten here: a ``Draft`` holds everything that must be on disk before
the relay hears of it, and after a lost race the same intents are composed again on the new base, with fresh secrets.

Spec: EPO-007 to EPO-012, META-004.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cloister.protocol.chain import ChainHead
from cloister.protocol.commit import Commit
from cloister.protocol.history import History
from cloister.protocol.ids import Jwk
from cloister.protocol.state import Policy, SphereState
from cloister.sphere import meta
from cloister.sphere.epoch import EpochKey, Rng
from cloister.sphere.payload import Payload


@dataclass(frozen=True, slots=True)
class Author:
    """Who signs: member handle, device, and a signer for that device's key (``jws.device_signer``)."""

    id: str
    dv: str
    signer: Callable[[bytes], bytes] = field(repr=False)


# --- intents: one class per operation of the log; the words are those of roles.json ------------------------------


@dataclass(frozen=True, slots=True)
class Create:
    """A new sphere. ``name`` is the owner's login, ``cert`` the signing device's certificate under ``ik``.

    ``renew`` is the device's present (kem, DE) when newer than its certificate."""

    name: str
    ik: Jwk
    cert: str
    mode: str = "e2ee"
    delivery: str = "pairwise"
    custody: str = "synced"
    policy: Policy = Policy()
    kind: str = "sphere"
    org: str = ""
    renew: tuple[str, bytes] | None = None


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


@dataclass(frozen=True, slots=True)
class Words:
    """A message to speak in the same commit: payload, the author's chain before it, re-sealings so far."""

    payload: Payload
    chain: ChainHead | None
    tries: int = 0
    thr: bytes = b""


@dataclass(frozen=True, slots=True)
class Draft:
    """A commit with all that must be stored durably before it is sent (EPO-011).

    ``state`` is what the sphere will be; ``states`` after each entry (for ``History.append``). ``key`` is the new
    epoch's secret if there is one: losing it while the commit stands would lose the epoch. ``meta`` is the text in
    force after it, ``chain`` the author's message chain after ``msg``.
    """

    commit: Commit
    states: tuple[SphereState, ...]
    key: EpochKey | None = field(repr=False)
    meta: meta.Opened | None = field(repr=False)
    chain: ChainHead | None

    @property
    def state(self) -> SphereState:
        return self.states[-1]

    def dump(self) -> dict[str, Any]:
        """Everything needed to send again and to use the outcome, as JSON values; holds the epoch secret."""
        raise NotImplementedError


def compose(
    state: SphereState | None,
    history: History | None,
    author: Author,
    intents: Sequence[Intent],
    *,
    now: int,
    rng: Rng,
    keys: Mapping[int, EpochKey] | None = None,
    meta_text: meta.Opened | None = None,
    heads: Mapping[str, ChainHead] | None = None,
    words: Words | None = None,
    own_wrap: bool = False,
    org_key: EpochKey | None = None,
) -> Draft:
    """Make the commit for ``intents`` on ``state`` (None: a new sphere), in the order of EPO-008.

    ``now`` is unix seconds, raised to the parent's iat if behind. ``keys``: epoch keys held, by number; ``meta_text``
    the text in force, re-wrapped under a new epoch; ``heads`` the relay's chain heads of devices that an intent cuts
    (absent: has not spoken); ``own_wrap`` adds a share for the author's own device. An epoch is made when a rule asks
    for it, when ``Rotate`` is among the intents, and when ``words`` shall be spoken in a marked sphere.

    Raises whatever ``machine.apply`` says against an entry (LogInvalid, ...), KeyUnknown when words cannot be sealed
    because the running epoch's key is not here, FormatError for a commit over its limits.
    """
    raise NotImplementedError


def outcome(draft: Draft, history: History) -> Literal["won", "lost", "open"]:
    """What became of a draft after an error (EPO-012): ``won`` when its own entries stand in the log, ``lost`` when
    another entry stands at its first position (compose again), ``open`` when the log does not reach that far."""
    raise NotImplementedError
