"""Logs of a sphere: who may do what, what follows, what is refused; past positions; forks; letters."""

from __future__ import annotations

from vectors.generate import Case
from vectors.generate._log_devices import devices
from vectors.generate._log_epochs import epochs
from vectors.generate._log_forms import forms
from vectors.generate._log_past import past
from vectors.generate._log_people import people
from vectors.generate._log_table import table

ORIGIN = "made by vectors/generate/log.py with seeded keys; refusals are stated there by hand, state hashes computed"


def cases() -> list[Case]:
    return table() + forms() + epochs() + people() + devices() + past()
