"""A handle on one sphere: everything a member can do in it.

Handles are cheap and hold no state of their own; all state is in the client's store. Spec: CLT-011 to CLT-024.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from cloister.client.records import (
    InviteInfo,
    InviteLink,
    LogLine,
    Message,
    OutboxItem,
    Person,
    Request,
    SeenRow,
    SphereInfo,
)

if TYPE_CHECKING:
    from cloister.client.client import Client


class Sphere:
    """One sphere of one client. Obtain it from ``Client.sphere``, ``create_sphere`` or ``join``."""

    def __init__(self, client: Client, sph: str) -> None:
        self.client = client
        self.sph = sph

    @property
    def info(self) -> SphereInfo:
        """Current record, from the local store."""
        raise NotImplementedError

    # people and requests -----------------------------------------------------------------------------------------
    def people(self, *, past: bool = False) -> list[Person]:
        """Members (with ``past`` also former ones), owners first, then by name."""
        raise NotImplementedError

    def person(self, name_or_prefix: str) -> Person:
        """Find one member by shown name, login, petname or unique id prefix. Raises NotFound, UsageError."""
        raise NotImplementedError

    async def invite(
        self,
        uses: int = 1,
        for_seconds: int = 7 * 86400,
        role: str = "member",
        admit: Literal["ask", "auto"] = "ask",
        label: str | None = None,
    ) -> InviteLink:
        """Commit an invite entry and return its link (label None: the title). Needs the relay: Unreachable."""
        raise NotImplementedError

    def invites(self) -> list[InviteInfo]:
        """Open invitations."""
        raise NotImplementedError

    async def withdraw(self, jti: str) -> None:
        """Close an invitation (jti or unique prefix)."""
        raise NotImplementedError

    async def requests(self) -> list[Request]:
        """Join requests waiting for an answer, each already checked (``by_link`` or ``code``)."""
        raise NotImplementedError

    async def admit(self, request: Request, *, confirmed: bool = False, role: str = "member") -> Person:
        """Admit. Without a link proof ``confirmed`` must be True, else UsageError and no key leaves (CLT-018)."""
        raise NotImplementedError

    async def show_card(self, request: Request) -> str:
        """Post the approver card so that both sides can compare; returns the 60 digits."""
        raise NotImplementedError

    async def decline(self, request: Request) -> None:
        """Refuse a request."""
        raise NotImplementedError

    async def set_role(self, person: Person | str, role: str) -> None:
        """Change a role: owner, admin, member, guest."""
        raise NotImplementedError

    async def remove(self, person: Person | str, *, ban: bool = False, text: str | None = None) -> None:
        """Remove and rotate in one commit; ``text`` speaks in the same commit under the new key."""
        raise NotImplementedError

    async def leave(self) -> None:
        """Leave; the others rotate before they speak again."""
        raise NotImplementedError

    def safety_number(self, person: Person | str) -> str:
        """60 digits, groups of five, equal on both sides."""
        raise NotImplementedError

    async def confirm(self, person: Person | str, confirmed: bool = True) -> None:
        """Record that the safety number was compared (kept in the synced state)."""
        raise NotImplementedError

    async def set_petname(self, person: Person | str, petname: str) -> None:
        """Name a person for yourself; empty removes the petname."""
        raise NotImplementedError

    # speaking ----------------------------------------------------------------------------------------------------
    async def send(self, text: str, reply_to: str | Message | None = None) -> OutboxItem | Message:
        """Queue a text durably, then try to send it. Returns the Message, or the OutboxItem still waiting."""
        raise NotImplementedError

    async def edit(self, message: str | Message, text: str) -> OutboxItem | Message:
        """Replace the text of an own message."""
        raise NotImplementedError

    async def delete(self, message: str | Message) -> OutboxItem | Message:
        """Delete a message: own ones, or any as owner or admin."""
        raise NotImplementedError

    async def react(self, message: str | Message, emoji: str, on: bool = True) -> OutboxItem | Message:
        """Add or take back a reaction."""
        raise NotImplementedError

    async def set_nickname(self, nickname: str) -> OutboxItem | Message:
        """Tell the members what to call you (an encrypted message, not a log entry)."""
        raise NotImplementedError

    def messages(
        self,
        *,
        limit: int | None = None,
        before: int | None = None,
        since: int | None = None,
        unread: bool = False,
        thread: str | None = None,
        waiting: bool = True,
    ) -> list[Message]:
        """Messages from the local store, oldest first. ``before``: a pos; ``since``: unix seconds."""
        raise NotImplementedError

    def message(self, mid_or_prefix: str) -> Message:
        """One message by mid or unique prefix. Raises NotFound."""
        raise NotImplementedError

    async def mark_read(self, up_to: Message | None = None) -> None:
        """Move the read position (synced encrypted; others never see it)."""
        raise NotImplementedError

    # keys, settings, history -------------------------------------------------------------------------------------
    async def rotate(self, why: str = "") -> int:
        """Make a new key now; returns its number."""
        raise NotImplementedError

    async def set_meta(
        self,
        *,
        title: str | None = None,
        topic: str | None = None,
        icon: str | None = None,
    ) -> None:
        """Change encrypted title, topic or icon."""
        raise NotImplementedError

    async def set_mode(self, mode: Literal["e2ee", "open", "public"]) -> None:
        """Owner only: turn encryption on or off."""
        raise NotImplementedError

    async def set_policy(self, **changes: Any) -> None:
        """Change policy members: join, history, retention, plaintext, guests, T, kem_min."""
        raise NotImplementedError

    async def checkpoint(self) -> int:
        """Sign a checkpoint of the current state; returns its seq."""
        raise NotImplementedError

    def keys(self) -> list[tuple[int, bool]]:
        """(n, here) for every epoch of the log."""
        raise NotImplementedError

    async def ask_keys(self, ns: Sequence[int] | None = None) -> list[str]:
        """Ask holders for missing keys; returns the names of those asked."""
        raise NotImplementedError

    async def seen(self, message: str | Message | None = None) -> SeenRow:
        """The relay's row for a message (default: the last), fetched, not guessed."""
        raise NotImplementedError

    def log(self, *, start: int = 0, limit: int = 1000) -> list[LogLine]:
        """Signed entries from the local, verified log."""
        raise NotImplementedError

    def head_code(self) -> str:
        """30 digits of the log's head, to compare with another member."""
        raise NotImplementedError

    def evidence(self) -> dict[str, Any]:
        """Exportable proof for the current stop (entries, heads), checkable without this client. NotFound if none."""
        raise NotImplementedError

    async def acknowledge(self, code: str) -> None:
        """Lift an acknowledgeable stop (C_KEY_CHANGED: carry on as not confirmed; C_DOWNGRADE: seen)."""
        raise NotImplementedError

    async def forget(self) -> None:
        """Delete everything of this sphere from this device (only after leaving or being removed)."""
        raise NotImplementedError
