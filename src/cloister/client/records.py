"""What the SDK hands out: frozen records about accounts, spheres, people, messages and faults.

Plain data, already verified, safe to keep and compare. Nothing here holds a key, a token or a password. Times are
unix seconds; names are what should be shown (petname first). A record never changes: ask again for a newer one.

Spec: CLT-001.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

Status = Literal["new", "pending", "locked", "open", "signed-out"]
Known = Literal["confirmed in person", "came by a link", "not confirmed"]
MessageState = Literal["sent", "waiting", "unreadable", "quarantined", "damaged"]
# What a held item may ask (CLT-016).
QUESTIONS: Final = ("open", "public", "confirmed", "claim")
OutboxState = Literal["waiting", "sealed", "held", "failed"]
SphereStatus = Literal["active", "asked", "left", "removed", "closed"]


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """This profile's account and device. Before sign-up only ``status`` and ``server`` are filled."""

    status: Status
    server: str
    login: str = ""
    id: str = ""
    dv: str = ""
    device_name: str = ""
    admin: bool = False


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """One device of the own account as its key log lists it."""

    dv: str
    name: str
    active: bool
    here: bool
    since: int = 0


@dataclass(frozen=True, slots=True)
class Stop:
    """A persistent stop: sending in ``sph`` is refused until it is resolved. ``code`` is a C_* code (CLT-021).

    ``acknowledgeable`` tells whether ``Sphere.acknowledge`` may lift it (a changed key, a downgrade announced by the
    owner); a fork, a rollback and a broken log cannot be clicked away.
    """

    sph: str
    code: str
    detail: str
    at: int
    acknowledgeable: bool
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def who(self) -> str:
        """The member who signed both histories of a fork, by the name shown when it was found; "" else (LOG-028)."""
        return str(self.data.get("evidence", {}).get("who", ""))


@dataclass(frozen=True, slots=True)
class Switch:
    """``by`` made the sphere readable for the server (``mode`` open or public) at unix seconds ``at``, and this person
    has not said yet that it was seen: the first text is asked about (CLT-016, CLT-042)."""

    mode: str
    by: str
    at: int


@dataclass(frozen=True, slots=True)
class SphereInfo:
    """A sphere as this device knows it. ``epoch`` 0 means no key yet; ``have_key`` whether the current one is here.

    ``provisional``: what this new device was told about people and heads rests on the relay alone until another
    member's message agrees (CLT-005). ``saved``: the newest key that a saved and checked text holds, 0 for never; while
    it is lower than ``epoch`` in an encrypted sphere, the person is reminded (CLT-060). ``kem_min``: the weakest kind
    of receiving key that is let in; ``too_weak``: this device's is weaker (CLT-061).
    """

    sph: str
    title: str
    topic: str
    icon: str
    status: SphereStatus
    mode: Literal["e2ee", "open", "public"]
    delivery: str
    custody: str
    epoch: int
    have_key: bool
    members: int
    role: str
    unread: int
    waiting: int
    requests: int
    seq: int
    marked: bool
    confirmed_by_inviter: bool
    stop: Stop | None = None
    label: str = ""
    provisional: bool = False
    switched: Switch | None = None
    saved: int = 0
    kind: str = "sphere"
    org: str = ""
    kem_min: str = "xwing"
    only_here: bool = False
    too_weak: bool = False


@dataclass(frozen=True, slots=True)
class SavedKeys:
    """Keys ``keys`` of a sphere as a text to keep, and the code that opens it: to be kept apart from it.

    ``code`` is empty when a passphrase opens it. Both are secrets.
    """

    sph: str
    text: str = field(repr=False)
    code: str = field(repr=False)
    keys: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SavedInfo:
    """What a saved text says of itself; nothing of it is proven before it is opened. ``known``: the sphere is here."""

    sph: str
    by: Literal["code", "words"]
    keys: tuple[int, ...]
    at: int
    known: bool


@dataclass(frozen=True, slots=True)
class Imported:
    """Keys of a text: ``new`` here now, ``had`` before, ``waiting`` for the log to reach them, ``refused`` as not the
    sphere's, ``let_go``: of messages that the sphere's retention has emptied (CLT-060)."""

    sph: str
    new: tuple[int, ...]
    had: tuple[int, ...]
    waiting: tuple[int, ...]
    refused: tuple[int, ...]
    let_go: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Person:
    """A member, now or formerly. ``name`` is what to show; ``known`` says who this is, not how strong anything is."""

    id: str
    name: str
    login: str
    petname: str
    nickname: str
    role: str
    devices: tuple[str, ...]
    known: Known
    me: bool
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One message with its edits, deletion and reactions applied.

    ``state``: ``sent`` verified and readable; ``waiting`` in the outbox; ``unreadable`` verified but the key is not
    here (``code`` C_KEY_UNKNOWN); ``quarantined`` its sender claims another history; ``damaged`` a check failed.
    ``pos`` is the relay's position (0 while waiting). ``re`` is the mid answered to. ``open`` marks clear text.
    """

    sph: str
    mid: str
    cid: str
    pos: int
    author: str
    name: str
    dv: str
    seq: int
    epoch: int
    at: int
    kind: str
    text: str
    re: str = ""
    edited: bool = False
    deleted: bool = False
    reactions: tuple[tuple[str, tuple[str, ...]], ...] = ()
    state: MessageState = "sent"
    code: str = ""
    open: bool = False
    mine: bool = False
    unread: bool = False


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """A queued intent. ``held`` items wait for ``Client.retry(id, anyway=question)``; ``question`` says why: the weaker
    mode (open, public) it would go out in, confirmed or claim (CLT-016)."""

    id: str
    sph: str
    kind: str
    text: str
    at: int
    state: OutboxState
    question: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class InviteLink:
    """An invitation just made. ``url`` is a secret: whoever has it can ask to be let in."""

    url: str = field(repr=False)
    sph: str
    jti: str
    uses: int
    exp: int
    role: str
    admit: Literal["ask", "auto"]


@dataclass(frozen=True, slots=True)
class InviteInfo:
    """An open invitation as the log shows it (without its secret)."""

    jti: str
    by: str
    role: str
    uses_left: int
    exp: int
    admit: str
    mine: bool


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody asks to be let in. ``by_link``: the proof under the invite's key holds, so the keys are the asker's.

    ``weak``: a device of theirs has a weaker receiving key than the policy allows, so nobody can let it in (CLT-061).
    ``code``: why it fails its check; with C_NOT_MEMBER it names a revoked device and nobody lets it in (CLT-007).
    """

    hash: str
    sph: str
    name: str
    id: str
    by_link: bool
    role: str
    at: int
    exp: int
    safety: str
    code: str = ""
    weak: bool = False


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One epoch's key: made at unix seconds ``at`` by ``by``; ``here``; ``granted`` by the history policy to this
    device; ``holders`` who can supply it, and when it was last ``asked`` for (0: not), while it is missing."""

    n: int
    at: int
    by: str
    here: bool
    granted: bool
    holders: tuple[str, ...] = ()
    asked: int = 0


@dataclass(frozen=True, slots=True)
class KeyWish:
    """A member asks for keys ``ns`` from before the history policy's reach, and waits for a person's yes (CLT-041)."""

    sph: str
    id: str
    name: str
    ns: tuple[int, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Pending:
    """A join request on its way. ``safety``: digits to compare, once an approver shows up."""

    hash: str
    sph: str
    label: str
    state: Literal["asked", "admitted", "declined", "expired"]
    safety: str = ""


@dataclass(frozen=True, slots=True)
class PublicInfo:
    """A public sphere as its link shows it. ``title`` is "" while none was set in clear."""

    sph: str
    title: str
    topic: str
    members: int
    seq: int


@dataclass(frozen=True, slots=True)
class Invitation:
    """Somebody of a common sphere (``via``) invites this account; ``label`` is what they call the sphere (CLT-053)."""

    id: str
    sph: str
    label: str
    by: str
    name: str
    via: str
    at: int


@dataclass(frozen=True, slots=True)
class SeenRow:
    """The relay's row for one message, decoded, beside what this device reads (the server's-eye view)."""

    pos: int
    stored: str
    header: dict[str, Any]
    size: int
    digest: str
    you_see: Message | None


@dataclass(frozen=True, slots=True)
class LogLine:
    """One signed entry of a sphere's log in words and in bytes."""

    seq: int
    op: str
    by: str
    name: str
    dv: str
    at: int
    digest: str
    body: dict[str, Any]
    what: str


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What one ``Client.sync`` did. ``offline`` means the relay could not be reached; nothing was lost."""

    offline: bool
    messages: int
    entries: int
    sent: int
    waiting: int
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``Client.doctor``: ``ok`` or a code from the catalogue with its object."""

    topic: str
    ok: bool
    text: str
    code: str = ""
    sph: str = ""


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What the relay says about itself (GET /server) and what this profile pinned."""

    url: str
    realm: str
    version: str
    signup: str
    origins: tuple[str, ...]
    skew: int
    setup: bool = False
