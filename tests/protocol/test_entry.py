"""Entries: one form for the first, another for the rest (LOG-001, LOG-002)."""

from __future__ import annotations

import pytest

from cloister.errors import FormatError
from cloister.protocol import entry, jws
from cloister.protocol.ids import sphere_id
from vectors.generate._world import NOW, Log, Person


def test_the_first_entry_names_its_sphere_by_its_hash() -> None:
    log = Log(Person("ada"))
    first, second = (entry.decode(compact) for compact in log.entries)
    assert first.sph == second.sph == sphere_id(first.digest)
    assert (first.seq, first.prev, first.ep, first.op) == (0, b"", 0, "create")
    assert (second.seq, second.prev, second.ep, second.op) == (1, first.digest, 1, "epoch")
    assert set(first.envelope.header) == {"alg", "typ", "kid", "seq"}


@pytest.mark.parametrize("missing", ["sph", "prev", "ep"])
def test_later_entries_carry_all_links(missing: str) -> None:
    ada = Person("ada")
    log = Log(ada)
    full = entry.decode(log.make(ada, "mark", {})).envelope.header
    header = {k: v for k, v in full.items() if k not in (missing, "alg", "typ")}
    with pytest.raises(FormatError):
        entry.decode(jws.sign("sph-log+1", header, {"op": "mark", "body": {}, "iat": NOW}, ada.dev.signer))
