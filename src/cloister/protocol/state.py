"""What a sphere is at one position of its log: members, devices, invitations, mode, policy, epoch, marks, tails.

Plain frozen data and its hash. Knows no secret and makes no decision; ``machine`` does. Mappings are never changed in
place: a new state shares what did not change.

Spec: LOG-016, LOG-018, ROLE-004.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from cloister import crypto
from cloister.protocol.encoding import b64d, b64e, lp
from cloister.protocol.ids import Jwk, thumbprint
from cloister.protocol.roles import RANK, TABLE
from cloister.protocol.shape import shape

DeviceStatus = str  # "active", "left" (may return with its member), "revoked" (never returns)
_POLICY_SHAPE: Final = shape(TABLE["policy"])


@dataclass(frozen=True, slots=True)
class Policy:
    """The signed settings of a sphere. ``retention`` days, ``T`` seconds until an epoch is old; 0 is no limit."""

    join: str = "approve"
    history: str = "all"
    retention: int = 0
    plaintext: bool = False
    guests: str = "talk"
    T: int = 7 * 86400
    kem_min: str = "xwing"

    @classmethod
    def from_body(cls, body: Any) -> Policy:
        """Raises FormatError."""
        _POLICY_SHAPE(body)
        return cls(**body)

    def as_body(self) -> dict[str, Any]:
        """The member ``policy`` of create and policy entries."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Device:
    """A device as the log knows it. ``de`` is its latest receiving key, ``de_hash`` H(DE); ``since``: active from."""

    dv: str
    owner: str
    dk: bytes
    kem: str
    de: bytes
    de_hash: bytes
    status: DeviceStatus
    since: int

    @property
    def active(self) -> bool:
        return self.status == "active"


@dataclass(frozen=True, slots=True)
class Member:
    """A member, present or former. ``role``: a role of roles.json, "none" (gone) or "banned" (ROLE-004).

    ``id`` is the handle (id- of the first identity key), ``ik`` the present key, ``devices`` every dv ever seen here,
    ``since`` the entry that gave the present role.
    """

    id: str
    name: str
    role: str
    ik: Jwk
    devices: tuple[str, ...]
    since: int

    @property
    def active(self) -> bool:
        return self.role in RANK


@dataclass(frozen=True, slots=True)
class Invite:
    """An invitation; ``left`` uses remain, 0 is closed. ``by`` is a member, ``seq`` its entry."""

    jti: bytes
    ipk: bytes
    role: str
    left: int
    exp: int
    admit: str
    by: str
    seq: int


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch entry: number, position, H(SI), H(SI) of the entry before it, commitment, recipients hash, author."""

    n: int
    seq: int
    digest: bytes
    prev: bytes
    kc: bytes
    rh: bytes
    kem_min: str
    iat: int
    by: str
    m: int | None = None


@dataclass(frozen=True, slots=True)
class Tail:
    """Where a device's chain ended (``end``) or stood when its owner's role fell, by the entry at ``at`` (LOG-017).

    ``seq`` 0 and ``digest`` b"" : the device had not spoken.
    """

    dv: str
    seq: int
    digest: bytes
    at: int
    end: bool


@dataclass(frozen=True, slots=True)
class Meta:
    """The latest title entry: position, epoch, commitment to the text (b"" when in clear) and its body."""

    seq: int
    ep: int
    mh: bytes
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """What the last entry changed; ``history`` follows it. ``on``/``off``: devices, ``roles``: (id, role) pairs."""

    op: str = ""
    by: str = ""
    on: tuple[str, ...] = ()
    off: tuple[str, ...] = ()
    roles: tuple[tuple[str, str], ...] = ()
    tails: tuple[Tail, ...] = ()
    hard: bool = False
    epoch: bool = False
    mode: bool = False
    policy: bool = False
    jti: bytes = b""
    join: bytes = b""
    target: str = ""


@dataclass(frozen=True, slots=True)
class SphereState:
    """The state after the entry ``seq`` whose H(SI) is ``digest``. ``due``: the dv that owes an epoch, or ""."""

    sph: str
    seq: int
    digest: bytes
    iat: int
    kind: str
    org: str
    mode: str
    mode_at: int
    delivery: str
    custody: str
    policy: Policy
    policy_at: int
    epoch: Epoch | None
    hard: bool
    due: str
    closed: bool
    members: Mapping[str, Member]
    devices: Mapping[str, Device]
    invites: Mapping[bytes, Invite]
    tails: Mapping[str, Tail]
    meta: Meta | None
    member_count: int
    device_count: int
    change: Change = field(compare=False)

    @property
    def ep(self) -> int:
        """The running epoch's number, 0 before the first."""
        return self.epoch.n if self.epoch else 0

    @property
    def wraps_expected(self) -> bool:
        """Whether key shares travel in commits: not in live delivery, not under an organisation's secret (COM-007)."""
        return self.delivery == "pairwise" and not self.org

    def active_members(self) -> Iterator[Member]:
        return (member for member in self.members.values() if member.active)

    def active_devices(self) -> list[Device]:
        """Active devices, dv ascending bytewise."""
        return sorted((d for d in self.devices.values() if d.active), key=lambda d: d.dv)

    def devices_of(self, member_id: str) -> list[Device]:
        """Active devices of one member, dv ascending. Empty for a stranger."""
        member = self.members.get(member_id)
        if member is None:
            return []
        return [self.devices[dv] for dv in sorted(member.devices) if self.devices[dv].active]

    def author(self, dv: str) -> Member | None:
        """The active member whose active device ``dv`` is, else None."""
        device = self.devices.get(dv)
        if device is None or not device.active:
            return None
        member = self.members[device.owner]
        return member if member.active else None


def recipients_hash(devices: list[Device]) -> bytes:
    """rh of an epoch entry: H(LP("sph/1 rcpt", dv_1, H(DE_1), ...)) over ascending devices (LOG-016)."""
    parts: list[bytes | str | int] = ["sph/1 rcpt"]
    for device in devices:
        parts += (device.dv, device.de_hash)
    return crypto.sha256(lp(*parts))


def state_hash(state: SphereState) -> bytes:
    """sh of a checkpoint (LOG-018): binds everything the machine reads, so that a snapshot can be checked."""
    members: list[bytes] = []
    for member in sorted(state.members.values(), key=lambda m: m.id):
        parts: list[bytes | str | int] = [member.id, member.role, thumbprint(member.ik), member.name, member.since]
        for dv in sorted(member.devices):
            device = state.devices[dv]
            parts += (dv, device.status, device.kem, device.de_hash, device.since)
        members.append(lp(*parts))
    invites = [
        lp(i.jti, i.ipk, i.left, i.exp, i.by, i.role, i.admit, i.seq)
        for i in sorted(state.invites.values(), key=lambda i: i.jti)
    ]
    tails = [lp(t.dv, t.seq, t.digest, t.at, int(t.end)) for t in sorted(state.tails.values(), key=lambda t: t.dv)]
    p, e, m = state.policy, state.epoch, state.meta
    return crypto.sha256(
        lp(
            *("sph/1 state", state.sph, state.seq, state.digest, state.iat, state.kind, state.org),
            *(state.mode, state.mode_at, state.delivery, state.custody),
            lp(p.join, p.history, p.retention, int(p.plaintext), p.guests, p.T, p.kem_min, state.policy_at),
            lp(e.n, e.seq, e.digest, e.prev, e.kc, e.rh, e.kem_min, e.iat, e.by, e.m or 0) if e else b"",
            *(int(state.hard), state.due, int(state.closed)),
            *(lp(*members), lp(*invites), lp(*tails)),
            lp(m.seq, m.ep, m.mh) if m else b"",
        )
    )


def dump(state: SphereState) -> dict[str, Any]:
    """The state as plain JSON values (bytes in base64url), for a store. ``load`` reads it back."""
    row = {name: getattr(state, name) for name in _PLAIN}
    row |= {
        "digest": b64e(state.digest),
        "policy": state.policy.as_body(),
        "epoch": dump_epoch(state.epoch) if state.epoch else None,
        "members": [[m.id, m.name, m.role, m.ik, list(m.devices), m.since] for m in state.members.values()],
        "devices": [[d.dv, d.owner, b64e(d.dk), d.kem, b64e(d.de), d.status, d.since] for d in state.devices.values()],
        "invites": [
            [b64e(i.jti), b64e(i.ipk), i.role, i.left, i.exp, i.admit, i.by, i.seq] for i in state.invites.values()
        ],
        "tails": [dump_tail(t) for t in state.tails.values()],
        "meta": [state.meta.seq, state.meta.ep, b64e(state.meta.mh), dict(state.meta.body)] if state.meta else None,
    }
    return row


_PLAIN: Final = (
    *("sph", "seq", "iat", "kind", "org", "mode", "mode_at", "delivery", "custody", "policy_at"),
    *("hard", "due", "closed", "member_count", "device_count"),
)


def load(row: Mapping[str, Any]) -> SphereState:
    """Inverse of ``dump``. The input is this program's own store, trusted as such."""
    devices: dict[str, Device] = {}
    for dv, owner, dk, kem, de, status, since in row["devices"]:
        raw = b64d(de)
        devices[dv] = Device(dv, owner, b64d(dk), kem, raw, crypto.sha256(raw), status, since)
    return SphereState(
        **{name: row[name] for name in _PLAIN},
        digest=b64d(row["digest"]),
        policy=Policy(**row["policy"]),
        epoch=load_epoch(row["epoch"]) if row["epoch"] else None,
        members={m[0]: Member(m[0], m[1], m[2], m[3], tuple(m[4]), m[5]) for m in row["members"]},
        devices=devices,
        invites={b64d(i[0]): Invite(b64d(i[0]), b64d(i[1]), *i[2:]) for i in row["invites"]},
        tails={t[0]: load_tail(t) for t in row["tails"]},
        meta=Meta(row["meta"][0], row["meta"][1], b64d(row["meta"][2]), row["meta"][3]) if row["meta"] else None,
        change=Change(),
    )


def dump_epoch(e: Epoch) -> list[Any]:
    return [e.n, e.seq, b64e(e.digest), b64e(e.prev), b64e(e.kc), b64e(e.rh), e.kem_min, e.iat, e.by, e.m]


def load_epoch(row: list[Any]) -> Epoch:
    digest, prev, kc, rh = (b64d(text) for text in row[2:6])
    return Epoch(row[0], row[1], digest, prev, kc, rh, *row[6:])


def dump_tail(t: Tail) -> list[Any]:
    return [t.dv, t.seq, b64e(t.digest), t.at, t.end]


def load_tail(row: list[Any]) -> Tail:
    return Tail(row[0], row[1], b64d(row[2]), row[3], row[4])
