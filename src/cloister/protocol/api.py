"""Requests and responses of the relay's API, the same types at both ends.

Bytes travel as base64url text without padding (``b64``), envelopes as the opaque compact strings that were signed.
Members are closed lists: an unknown one is refused. The relay generates its OpenAPI description from these types.

Knows forms. Refuses to know who may call and what anything means.

Spec: API-001, API-010 to API-030 (paths and callers are in the table of spec/08-relay.md).
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

Text = Annotated[str, Meta(max_length=256)]
Login = Annotated[str, Meta(max_length=64)]
Bytes16 = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{21}[AQgw]$")]
Bytes32 = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$")]
B64 = Annotated[str, Meta(max_length=700_000, pattern=r"^[A-Za-z0-9_-]*$")]
Jws = Annotated[str, Meta(max_length=262_144, pattern=r"^[A-Za-z0-9_.-]*$")]
Id = Annotated[str, Meta(pattern=r"^id-[A-Za-z0-9_-]{43}$")]
Dv = Annotated[str, Meta(pattern=r"^dv-[A-Za-z0-9_-]{43}$")]
Sph = Annotated[str, Meta(pattern=r"^sp-[A-Za-z0-9_-]{43}$")]
Count = Annotated[int, Meta(ge=0, lt=2**53)]
SlotName = Annotated[str, Meta(pattern=r"^[a-z0-9][A-Za-z0-9._-]{0,95}$")]


class Closed(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base: unknown members are refused, absent optional ones are not sent."""


class Done(Closed, frozen=True):
    """An empty answer."""


class Refusal(Struct, frozen=True):
    """Every answer that is not 2xx: a code, and public data by code (API-003)."""

    code: str
    retry_after: float | UnsetType = UNSET


# --- the server ----------------------------------------------------------------------------------------------------


class Limits(Closed, frozen=True):
    body: int
    header: int
    message: int
    entry: int
    state_slot: int
    page: int
    socket_frame: int


class ServerInfo(Closed, frozen=True):
    """GET /v1/server. ``now`` in unix seconds; ``setup`` true until the first account exists."""

    realm: Bytes16
    now: Count
    versions: list[str]
    signup: str
    origins: list[str]
    setup: bool
    limits: Limits


class Health(Closed, frozen=True):
    """GET /healthz and /readyz."""

    ok: bool
    why: str | UnsetType = UNSET


# --- signing in ----------------------------------------------------------------------------------------------------


class AuthStart(Closed, frozen=True):
    """POST /v1/auth/start. ``A`` is PAD(A), 512 bytes; without it only the salt is answered."""

    login: Login
    A: B64 | UnsetType = UNSET


class AuthSalt(Closed, frozen=True):
    """``sid`` and ``B`` only when ``A`` was given; one finish per sid, within 60 s."""

    salt: Bytes16
    sid: Bytes16 | UnsetType = UNSET
    B: B64 | UnsetType = UNSET


class AuthFinish(Closed, frozen=True):
    """POST /v1/auth/finish."""

    sid: Bytes16
    M1: Bytes32


class AuthProof(Closed, frozen=True):
    """``M2`` proves the server's knowledge; ``token`` is of level password until ``until``."""

    M2: Bytes32
    token: Bytes32
    id: Id
    until: Count


class Nonce(Closed, frozen=True):
    """GET /v1/auth/nonce and POST /v1/vault/nonce: single use, 60 s."""

    nonce: Bytes32
    now: Count
    exp: Count


class AuthDevice(Closed, frozen=True):
    """POST /v1/auth/device: a ``sph-dauth+1`` envelope."""

    jws: Jws


class Token(Closed, frozen=True):
    """A session. ``level`` is password or device."""

    token: Bytes32
    id: Id
    level: str
    until: Count
    dv: Dv | UnsetType = UNSET


# --- account -------------------------------------------------------------------------------------------------------


class NewAccount(Closed, frozen=True):
    """POST /v1/accounts, one transaction. ``ticket`` is a set-up code or sign-up code; else ``join`` admits."""

    idem: Bytes16
    login: Login
    ver: int
    v: B64
    wMK: B64
    wRK: B64
    ik: B64
    klog: Annotated[list[Jws], Meta(min_length=1, max_length=2)]
    cert: Jws
    state: B64
    ticket: Text | UnsetType = UNSET
    join: Jws | UnsetType = UNSET


class Device(Closed, frozen=True):
    dv: Dv
    cert: Jws
    active: bool
    added: Count


class Session(Closed, frozen=True):
    n: Bytes16
    level: str
    made: Count
    used: Count
    this: bool
    dv: Dv | UnsetType = UNSET


class Account(Closed, frozen=True):
    """GET /v1/account."""

    id: Id
    login: Login
    cred_ver: Count
    mkv: Count
    admin: bool
    devices: list[Device]
    sessions: list[Session]


class Roots(Closed, frozen=True):
    """GET /v1/account/roots: the wrapped roots and the slot ``ik``."""

    wMK: B64
    wRK: B64
    ik: B64
    ver: int
    cred_ver: Count
    mkv: Count


class SlotIn(Closed, frozen=True):
    """A slot written with new roots: ``mk.<old>`` and ``state``, which carries its ``ctr`` (one above the stored)."""

    name: SlotName
    mkv: Count
    bytes: B64
    ctr: Count | UnsetType = UNSET


class NewRoots(Closed, frozen=True):
    """PUT /v1/account/roots. ``cred_ver`` is the one read before; ``v`` and ``ver`` only with a new password."""

    cred_ver: Count
    wMK: B64
    wRK: B64
    mkv: Count
    slots: Annotated[list[SlotIn], Meta(max_length=64)]
    ver: int | UnsetType = UNSET
    v: B64 | UnsetType = UNSET


class CredVer(Closed, frozen=True):
    cred_ver: Count


class NewDevice(Closed, frozen=True):
    """POST /v1/devices: the certificate and the key-log entry that adds it."""

    cert: Jws
    klog: Jws


class RevokeDevice(Closed, frozen=True):
    """POST /v1/devices/{dv}/revoke."""

    klog: Jws


class KeyLogEntries(Closed, frozen=True):
    entries: list[Jws]


class Slot(Closed, frozen=True):
    name: SlotName
    mkv: Count
    bytes: B64
    ctr: Count | UnsetType = UNSET


class Slots(Closed, frozen=True):
    """GET /v1/slots: ascending by name after ``after``; ``more`` when another page follows."""

    slots: list[Slot]
    more: bool


class PutSlot(Closed, frozen=True):
    """PUT /v1/slots/{name}. The slot ``state`` carries its ``ctr`` and the header If-Match with the ctr before."""

    mkv: Count
    bytes: B64
    ctr: Count | UnsetType = UNSET


class VaultEnrol(Closed, frozen=True):
    """POST /v1/vault/enrol: UK public key, tag and pepper of one device handle."""

    dev: Text
    uk: Bytes32
    tag: Bytes32
    pep: Bytes32


class VaultNonce(Closed, frozen=True):
    dev: Text


class VaultOpen(Closed, frozen=True):
    """POST /v1/vault/open. Refusal: E_AUTH with ``left`` tries."""

    dev: Text
    nonce: Bytes32
    tag: Bytes32
    sig: B64


class Pepper(Closed, frozen=True):
    pep: Bytes32


# --- spheres -------------------------------------------------------------------------------------------------------


class Base(Closed, frozen=True):
    seq: Count
    h: Bytes32


class Wrap(Closed, frozen=True):
    dv: Dv
    jws: Jws


class CommitBody(Closed, frozen=True):
    """POST /v1/spheres and POST /v1/spheres/{sph}/commits (COM rules)."""

    idem: Bytes16
    entries: Annotated[list[Jws], Meta(min_length=1, max_length=64)]
    sph: Sph | UnsetType = UNSET
    base: Base | UnsetType = UNSET
    attach: dict[str, Jws] = {}
    wraps: Annotated[list[Wrap], Meta(max_length=4096)] = []
    link: B64 | UnsetType = UNSET
    msg: Jws | UnsetType = UNSET


class Committed(Closed, frozen=True):
    """Position in the log; ``pos`` of the last entry in the stream; ``msg_pos`` of the message, if any."""

    sph: Sph
    seq: Count
    h: Bytes32
    pos: Count
    msg_pos: Count | UnsetType = UNSET


class Spheres(Closed, frozen=True):
    """GET /v1/spheres: a hint, the client's own state decides."""

    spheres: list[Sph]


class Send(Closed, frozen=True):
    """POST /v1/spheres/{sph}/messages: a ``sph-msg+1`` envelope."""

    jws: Jws


class Position(Closed, frozen=True):
    pos: Count


class Log(Closed, frozen=True):
    """GET …/log?from&limit: entries from ``from`` on, and the head at that moment."""

    entries: list[Jws]
    head: Base


class Attachment(Closed, frozen=True):
    jws: Jws


class Item(Closed, frozen=True):
    """One row of a sphere's stream. ``k``: entry, msg, or gone (its bytes were deleted, ``h`` remains)."""

    pos: Count
    k: str
    jws: Jws | UnsetType = UNSET
    dv: Dv | UnsetType = UNSET
    seq: Count | UnsetType = UNSET
    h: Bytes32 | UnsetType = UNSET


class Items(Closed, frozen=True):
    """GET …/items?after or before&limit, ascending. ``head`` is the stream's last position."""

    items: list[Item]
    head: Count


class Tail(Closed, frozen=True):
    dv: Dv
    seq: Count
    h: Bytes32


class Heads(Closed, frozen=True):
    """GET …/heads?id: last message of each device (of one member); devices without messages are absent."""

    heads: list[Tail]


class Link(Closed, frozen=True):
    n: Count
    blob: B64


class Links(Closed, frozen=True):
    """GET …/links?to&limit: link blobs of epochs descending from ``to``."""

    links: list[Link]


class Seen(Closed, frozen=True):
    """GET …/seen/{pos}: the stored row as it is."""

    pos: Count
    kind: str
    dv: str
    seq: Count
    h: Bytes32
    at: Count
    deleted: bool
    size: Count
    jws: Jws


class JoinRow(Closed, frozen=True):
    h: Bytes32
    jws: Jws
    exp: Count


class Joins(Closed, frozen=True):
    joins: list[JoinRow]


class Card(Closed, frozen=True):
    """The approver's identity key (JWK) and device certificate, for comparing digits."""

    ik: dict[str, str]
    cert: Jws


class NewJoin(Closed, frozen=True):
    """POST /v1/joins: a ``sph-join+1`` envelope."""

    jws: Jws


class JoinTaken(Closed, frozen=True):
    """202 whether or not the sphere exists."""

    h: Bytes32


class JoinState(Closed, frozen=True):
    """``state``: waiting, admitted, refused or withdrawn."""

    state: str
    card: Card | UnsetType = UNSET


class InviteOpen(Closed, frozen=True):
    open: bool


# --- inbox ---------------------------------------------------------------------------------------------------------


class InboxItem(Closed, frozen=True):
    """``k`` p2p: ``jws`` is a ``sph-p2p+1`` envelope. ``k`` commit: the ``entries`` of a commit that touches you."""

    pos: Count
    k: str
    sph: Sph
    jws: Jws | UnsetType = UNSET
    entries: list[Jws] | UnsetType = UNSET


class Inbox(Closed, frozen=True):
    items: list[InboxItem]
    head: Count


class PostInbox(Closed, frozen=True):
    """POST /v1/inbox: one envelope for devices active in its sphere. Idempotent by sender and jti."""

    to: Annotated[list[Dv], Meta(min_length=1, max_length=4096)]
    jws: Jws


class PassOn(Closed, frozen=True):
    """POST /v1/live: a ``sph-live+1`` envelope for connected devices of its sphere; all if ``to`` is empty."""

    to: Annotated[list[Dv], Meta(max_length=64)]
    jws: Jws


class Reached(Closed, frozen=True):
    """How many devices it was handed to (LIVE-013)."""

    reached: int


# --- administration ------------------------------------------------------------------------------------------------


class Check(Closed, frozen=True):
    name: str
    ok: bool
    says: str


class AdminHealth(Closed, frozen=True):
    """GET /v1/admin/health."""

    now: Count
    version: str
    checks: list[Check]
    counts: dict[str, int]


class User(Closed, frozen=True):
    id: Id
    login: Login
    admin: bool
    suspended: bool
    created: Count
    devices: Count


class Users(Closed, frozen=True):
    users: list[User]


class Suspend(Closed, frozen=True):
    suspended: bool


class Signup(Closed, frozen=True):
    """GET and PUT /v1/admin/signup."""

    signup: str
    by_sphere: bool


class NewTicket(Closed, frozen=True):
    """POST /v1/admin/tickets: ``uses`` 1 to 1000, ``seconds`` until it ends."""

    uses: Annotated[int, Meta(ge=1, le=1000)]
    seconds: Annotated[int, Meta(ge=60, le=31_536_000)]


class Ticket(Closed, frozen=True):
    """``code`` is shown once; afterwards only ``n`` names it."""

    n: Bytes16
    uses: Count
    exp: Count
    code: Text | UnsetType = UNSET


class Tickets(Closed, frozen=True):
    tickets: list[Ticket]


def encode(value: Any) -> bytes:
    """JSON bytes of a request or response."""
    return msgspec.json.encode(value)
