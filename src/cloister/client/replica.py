"""One sphere as this device has verified it: log state, history, keys and the device's own notes.

``view`` is the log's state and history after the last verified entry, None before the first. ``note`` is the small
document of things the log does not say: own status, read label, stop, pins of the link. Both are written in the same
step as what changed them. Knows how to load and save; decides nothing.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from cloister.client.records import Stop
from cloister.client.store import Store
from cloister.errors import CheckFailed, NotMember
from cloister.protocol import state as states
from cloister.protocol.history import History
from cloister.protocol.state import SphereState
from cloister.sphere import epoch
from cloister.sphere.epoch import EpochKey


@dataclass
class Replica:
    """See the module. ``keys`` are the epoch keys on this device, each matching the log's commitment."""

    sph: str
    note: dict[str, Any]
    state: SphereState | None = None
    history: History | None = None
    keys: dict[int, EpochKey] = field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, store: Store, sph: str) -> Replica | None:
        """Read from the store, which this program wrote after verifying; None when the sphere is unknown."""
        note = store.row("sphere", sph)
        if note is None:
            return None
        made = cls(sph, note)
        view = store.one("SELECT state, history FROM view WHERE sph = ?", sph)
        if view is not None:
            digests = b"".join(row[0] for row in store.all("SELECT h FROM entry WHERE sph = ? ORDER BY seq", sph))
            made.state = states.load(json.loads(view[0]))
            made.history = History.load(json.loads(view[1]), digests)
            for n, secret in store.all("SELECT n, secret FROM epoch_key WHERE sph = ?", sph):
                with suppress(CheckFailed):  # what is no epoch's key is as good as missing, and comes again (CLT-017)
                    made.keys[n] = epoch.check(bytes(secret), made.history.epoch(n), sph)
        return made

    def save_note(self, store: Store) -> None:
        """Write the notes; inside a step."""
        store.run("INSERT OR REPLACE INTO sphere VALUES (?, ?)", self.sph, json.dumps(self.note))

    def save_view(self, store: Store, state: SphereState, history: History) -> None:
        """Write state and history; inside the step that stored the entries."""
        row = (json.dumps(states.dump(state)), json.dumps(history.dump()))
        store.run("INSERT OR REPLACE INTO view VALUES (?, ?, ?)", self.sph, *row)

    @property
    def stop(self) -> Stop | None:
        """The persistent stop, if any."""
        found = self.note.get("stop")
        return Stop(sph=self.sph, **found) if found else None

    @property
    def status(self) -> str:
        return str(self.note["status"])

    @property
    def known(self) -> tuple[SphereState, History]:
        """State and history. Raises NotMember while the log was not read: this device still waits to be let in."""
        if self.state is None or self.history is None:
            raise NotMember("you are not in this sphere yet")
        return self.state, self.history

    @property
    def sending_key(self) -> EpochKey | None:
        """The key of the running epoch, if it is here."""
        return self.keys.get(self.state.ep) if self.state is not None else None


def new_note(status: str, **more: Any) -> dict[str, Any]:
    """The notes of a sphere first heard of."""
    return {"status": status, "label": "", "confirmed": True, **more}
