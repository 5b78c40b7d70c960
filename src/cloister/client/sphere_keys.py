"""Acts on a sphere's keys: see them, ask for those that are missing, hand on older ones, save them.

Spec: CLT-017, CLT-041, CLT-043, CLT-052, CLT-060.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cloister.client import (
    export,
    holders,
    keys,
    older,
    people,
    resend,
)
from cloister.client.handover import Handover
from cloister.client.records import (
    KeyRow,
    KeyWish,
    Person,
    SavedKeys,
)
from cloister.client.sphere_base import SphereBase


class KeyActs(SphereBase):
    """The part of ``Sphere`` that is about keys and what they open."""

    def keys(self) -> list[tuple[int, bool]]:
        """(n, here) for every epoch of the log."""
        rep = self._rep
        return [(one.n, one.n in rep.keys) for one in rep.known[1].epochs()]

    def key_rows(self) -> list[KeyRow]:
        """Every key of the sphere: made by whom, here or not, and who could supply one that is missing (CLT-043)."""
        return holders.rows(self._ctx, self._rep)

    async def ask_keys(self, ns: Sequence[int] | None = None) -> list[str]:
        """Ask holders for missing keys; returns the names of those asked."""
        ctx = self._ctx
        async with ctx.profile.writer(self.sph):
            return self._owners(await keys.ask(ctx, self._rep, ns, again=True))

    def _owners(self, dvs: Iterable[str]) -> list[str]:
        """The names of those whose devices these are, each once."""
        state = self._state
        owners = dict.fromkeys(state.devices[dv].owner for dv in dvs)
        return [people.name_of(self._ctx.store, state, owner) for owner in owners]

    def older_keys(self) -> list[int]:
        """Epochs of rows from before this member's time: the history policy does not give their keys. Newest first."""
        return older.wanted(self._ctx, self._rep)

    async def ask_older(self) -> list[str]:
        """Ask people who may say yes for keys the policy does not give (CLT-041); returns the names of those asked."""
        ctx = self._ctx
        async with ctx.profile.writer(self.sph):
            return self._owners(await older.ask(ctx, self._rep))

    def wishes(self) -> list[KeyWish]:
        """Members who ask for older keys than the policy gives, and wait for this person's yes (CLT-041)."""
        return older.wishes(self._ctx, self._rep)

    async def share_older(self, person: Person | str, ns: Sequence[int]) -> int:
        """Say yes to a member's wish for the keys ``ns``, as ``wishes`` showed it; returns how many keys went."""
        member = self._handle(person)
        async with self._ctx.profile.writer(self.sph):
            return await older.give(self._ctx, self._rep, member, ns)

    async def decline_older(self, person: Person | str) -> None:
        """Say no to a member's wish; nothing is sent."""
        older.decline(self._ctx, self._rep, self._handle(person))

    async def save_keys(self, passphrase: str = "") -> SavedKeys:
        """All keys of this sphere that are here, as a text to keep and the code that opens it (CLT-060).

        With ``passphrase`` (five words and more) that opens it instead. It counts as saved once ``check_saved`` has
        read it back. Raises UsageError, WeakPassword.
        """
        return await export.save(self._ctx, self._rep, passphrase)

    async def check_saved(self, text: str, code: str) -> int:
        """Read a saved text back; returns the newest key in it. Raises FormatError, Downgrade, VaultError (another
        code), DecryptFailed (changed), CommitmentMismatch (another sphere's, or not these keys)."""
        return await export.check(self._ctx, self._rep, text, code)

    def missing(self) -> dict[str, int]:
        """How many messages are missing here, by the name of who wrote them (RUN-012, CLT-052)."""
        ctx, (state, history), found = self._ctx, self._rep.known, dict[str, int]()
        for dv, numbers in resend.wanted(ctx, self._rep).items():
            name = people.name_of(ctx.store, state, history.owner_of(dv))
            found[name] = found.get(name, 0) + len(numbers)
        return found

    async def ask_messages(self) -> list[str]:
        """Ask members for missing messages now, whenever they were last asked; returns the names of those asked."""
        ctx = self._ctx
        async with ctx.profile.writer(self.sph):
            return self._owners(await resend.ask(ctx, self._rep, again=True))

    def handover(self) -> Handover:
        """Keys handed over between connected devices (LIVE-001)."""
        return Handover(self.client, self.sph)
