"""A sphere's live transfers as a program uses them: ask, compare digits, give or end.

The client has to be listening (``Client.events``) on both sides. Spec: LIVE-001 to LIVE-014.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cloister.client import live_transfer
from cloister.client.events import KeyAsked

if TYPE_CHECKING:
    from cloister.client.client import Client


class Handover:
    """Handed out by ``Sphere.handover``. ``name`` is that of the events ``KeyAsked`` and ``KeyOffered``."""

    def __init__(self, client: Client, sph: str) -> None:
        self._client, self._sph = client, sph

    async def ask(self) -> tuple[str, int]:
        """Ask whoever is connected for the keys this device lacks; returns the ask's name and how many it reached.

        Then come ``KeyOffered`` with digits, and ``KeyReceived`` or ``TransferEnded`` within two minutes. Raises
        UsageError when no key is missing, Unreachable.
        """
        ctx = self._client.context
        return await live_transfer.ask(ctx, ctx.replica(self._sph))

    def only_by_hand(self) -> None:
        """From now on, while this client is open, ask only when told to (LIVE-014)."""
        self._client.context.transfers.by_hand.add(self._sph)

    def lacking(self) -> list[int]:
        """Epochs whose key is not here and that the policy grants to this device."""
        ctx = self._client.context
        return live_transfer.lacking(ctx, ctx.replica(self._sph))

    def waiting(self) -> list[KeyAsked]:
        """Asks of others that wait for this person's word."""
        return live_transfer.waiting(self._client.context, self._sph)

    async def give(self, name: str) -> None:
        """Hand the keys over, having seen who asks and the digits. Raises NotFound when it is over, Unreachable."""
        ctx = self._client.context
        await live_transfer.give(ctx, ctx.replica(self._sph), name)

    async def end(self, name: str, why: Literal["different", "refused"]) -> None:
        """End it on both sides: the digits differ, or no."""
        await live_transfer.end(self._client.context, name, why)

    @property
    def provides(self) -> bool:
        """Whether this device gives keys of the sphere without asking (LIVE-012)."""
        return live_transfer.provides(self._client.context.replica(self._sph))

    def set_provides(self, on: bool) -> None:
        """Let this device give keys of the sphere without asking, to members the log lists, or no more (LIVE-012)."""
        ctx = self._client.context
        live_transfer.set_provides(ctx, ctx.replica(self._sph), on)
