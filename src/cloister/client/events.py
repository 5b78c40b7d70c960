"""Events: what changed, told after it is safely stored.

Each event names its sphere (empty for the account) and carries finished records; nothing has to be looked up to show
it. An event is only emitted when the transaction that made it true is on disk (CLT-009), so a crash can repeat an
event but never show one that did not last.

Spec: CLT-009, CLT-010.
"""

from __future__ import annotations

from dataclasses import dataclass

from cloister.client.records import Invitation, Message, OutboxItem, Request, Stop


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events."""

    sph: str


@dataclass(frozen=True, slots=True)
class MessageReceived(Event):
    """A new message (also own ones from other devices). ``message.state`` may be unreadable or quarantined."""

    message: Message


@dataclass(frozen=True, slots=True)
class MessageChanged(Event):
    """An edit, deletion, reaction, release from quarantine, or a key that made it readable."""

    message: Message


@dataclass(frozen=True, slots=True)
class MessageSent(Event):
    """An outbox item was accepted by the relay."""

    item: OutboxItem
    message: Message | None


@dataclass(frozen=True, slots=True)
class ItemHeld(Event):
    """An outbox item would go out weaker than it was written and waits for an answer (CLT-016)."""

    item: OutboxItem


@dataclass(frozen=True, slots=True)
class MemberAdded(Event):
    id: str
    name: str
    by: str
    by_link: bool


@dataclass(frozen=True, slots=True)
class MemberRemoved(Event):
    """``left`` when the member went on its own, ``ban`` when it may only be added again by an owner."""

    id: str
    name: str
    by: str
    left: bool
    ban: bool


@dataclass(frozen=True, slots=True)
class RoleChanged(Event):
    id: str
    name: str
    role: str
    by: str


@dataclass(frozen=True, slots=True)
class DeviceChanged(Event):
    """A member's device was added, renewed or revoked (``what``)."""

    id: str
    name: str
    dv: str
    what: str


@dataclass(frozen=True, slots=True)
class NewKey(Event):
    """Epoch ``n`` began; ``here`` whether its key is on this device already."""

    n: int
    by: str
    why: str
    here: bool


@dataclass(frozen=True, slots=True)
class KeysArrived(Event):
    """Keys of these epochs arrived late and made ``messages`` rows readable."""

    ns: tuple[int, ...]
    messages: int


@dataclass(frozen=True, slots=True)
class KeysWished(Event):
    """A member asks for keys ``ns`` that the history policy does not give; somebody has to say yes (CLT-041)."""

    id: str
    name: str
    ns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SphereChanged(Event):
    """Title, topic, icon, policy or another setting (``what``: the op)."""

    what: str
    by: str


@dataclass(frozen=True, slots=True)
class ModeChanged(Event):
    """The owner turned encryption off (``mode`` open or public) or on (e2ee), unix seconds ``at``; ``since``: from when
    messages were readable for the server, when that ends now, else 0 (CLT-042)."""

    mode: str
    by: str
    at: int
    since: int


@dataclass(frozen=True, slots=True)
class JoinRequested(Event):
    request: Request


@dataclass(frozen=True, slots=True)
class Invited(Event):
    """Somebody known invites this account to a sphere. ``sph`` is empty: this account is not in it (CLT-053)."""

    invitation: Invitation


@dataclass(frozen=True, slots=True)
class Admitted(Event):
    """This account is a member now and can read."""

    title: str


@dataclass(frozen=True, slots=True)
class Removed(Event):
    """This account is no longer a member; what was received stays."""

    by: str


@dataclass(frozen=True, slots=True)
class KeyOffered(Event):
    """Somebody with the keys answered the ask ``name``: ``digits`` to compare with ``who`` while they decide."""

    name: str
    id: str
    who: str
    digits: str


@dataclass(frozen=True, slots=True)
class KeyReceived(Event):
    """Keys of the epochs ``ns`` came by live transfer and fit the log."""

    name: str
    who: str
    ns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeyAsked(Event):
    """``who`` asks for the keys of the epochs ``ns`` until ``until`` (Unix seconds); a person decides (LIVE-012)."""

    name: str
    id: str
    who: str
    digits: str
    ns: tuple[int, ...]
    until: int


@dataclass(frozen=True, slots=True)
class KeyGiven(Event):
    """The other side has the keys that were given."""

    name: str
    id: str
    who: str
    ns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TransferEnded(Event):
    """Nothing more comes of it: different digits, refused, failed or expired. ``own``: this device had asked."""

    name: str
    why: str
    own: bool


@dataclass(frozen=True, slots=True)
class GapFound(Event):
    """``missing`` messages of one device have not been shown by the relay."""

    dv: str
    name: str
    missing: int


@dataclass(frozen=True, slots=True)
class IdentityChanged(Event):
    """A known person appears with another identity. ``confirmed`` ones also raise a Stop."""

    id: str
    name: str
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Stopped(Event):
    """Sending in this sphere stopped (CLT-021)."""

    stop: Stop


@dataclass(frozen=True, slots=True)
class Revoked(Event):
    """This device was revoked; it locks and its session is over. ``sph`` is empty."""

    by: str


@dataclass(frozen=True, slots=True)
class Connected(Event):
    """The live connection stands and the backlog is in. ``sph`` is empty."""


@dataclass(frozen=True, slots=True)
class Disconnected(Event):
    """The connection broke; the next attempt is in ``retry_in`` seconds. ``sph`` is empty."""

    retry_in: float
    code: str
