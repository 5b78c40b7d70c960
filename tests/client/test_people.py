"""Names and pins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloister.client import people
from cloister.client.records import Person
from cloister.client.store import Store
from cloister.errors import NotFound, UsageError
from cloister.protocol.ids import jwk_public
from cloister.protocol.state import Member


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store.db", bytes(32))
    yield made
    made.close()


def member(id: str, name: str, scalar: int = 7) -> Member:  # noqa: A002
    return Member(id, name, "member", jwk_public(scalar.to_bytes(48, "big")), (), 1)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Bo", "Bo"),
        ("  Bo\t\nPeep  ", "Bo Peep"),
        ("Bo\u202egnp.exe", "Bognp.exe"),
        ("a\u200bd\u2066a", "ada"),
        ("\x1b[31mred", "[31mred"),
        ("é".encode().decode(), "é"),
        ("x" * 200, "x" * 64),
        ("\u0000", ""),
    ],
)
def test_names_are_fit_to_be_shown(given: str, shown: str) -> None:
    """CLT-023."""
    assert people.clean(given) == shown


def test_pins_notice_what_changed(store: Store) -> None:
    """CLT-022."""
    assert people.meet(store, member("id-1", "bo"), by_link=False) is None
    assert people.meet(store, member("id-1", "bo"), by_link=True) is None
    assert people.known(people.pin(store, "id-1")) == "came by a link"
    people.put_pin(store, "id-1", confirmed=True)
    assert people.meet(store, member("id-1", "bo", 8), by_link=False) == "identity"
    found = people.pin(store, "id-1")
    assert (found["confirmed"], found["changed"], found["was"]) == (False, True, True)
    # Another person of a login nobody cared about is nothing to report; of a confirmed or named one it is.
    assert people.meet(store, member("id-2", "bo"), by_link=False) is None
    people.put_pin(store, "id-2", petname="Boris")
    assert people.meet(store, member("id-3", "bo"), by_link=False) == "name"
    assert not people.pin(store, "id-3")["was"]


def test_order_of_names(store: Store) -> None:
    """CLT-023."""
    assert people.name_of(store, None, "id-" + "A" * 43) == "id-AAAAAA"
    people.meet(store, member("id-1", "bo"), by_link=False)
    assert people.name_of(store, None, "id-1") == "bo"
    people.put_pin(store, "id-1", petname="Boris")
    assert people.name_of(store, None, "id-1") == "Boris"


def test_finding_people() -> None:
    """CLT-001: by shown name, login, petname or the beginning of an id; an ambiguous name is refused."""
    rows = [
        Person(f"id-{n}{n}{n}{n}", name, login, "", "", "member", (), "not confirmed", me=False)
        for n, name, login in ((1, "Bo", "bo"), (2, "Bob", "bob"), (3, "Ann", "ann"), (4, "Ann", "ann2"))
    ]
    assert people.find(rows, "bo").login == "bo"
    assert people.find(rows, "id-222").login == "bob"
    assert people.find(rows, "ann2").login == "ann2"
    with pytest.raises(UsageError):
        people.find(rows, "Ann")
    with pytest.raises(NotFound):
        people.find(rows, "zoe")
