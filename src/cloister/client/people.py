"""Who people are to this device: petnames, nicknames, what was confirmed, and what changed.

Names shown to a person never decide anything; ids do. A pin is this account's own memory of a person (synced in the
state slot). A known name that appears with another id, and a known id whose identity key changed, are reported; if
the person had been confirmed, sending in that sphere stops (CLT-022).

Knows the pins of the store. Knows no key.
"""

from __future__ import annotations

import json
import unicodedata
from typing import Any, Final

from cloister.client.records import Known, Person
from cloister.client.store import Store
from cloister.errors import NotFound, UsageError
from cloister.protocol.encoding import b64e
from cloister.protocol.ids import thumbprint
from cloister.protocol.state import Member, SphereState

MAX_NAME: Final = 64
_RANKS: Final = {"owner": 0, "admin": 1, "member": 2, "guest": 3}


def clean(text: str, limit: int = MAX_NAME) -> str:
    """A name fit to be shown on one line: control and format characters removed, white space folded (CLT-023)."""
    kept = "".join(
        c if c.isprintable() or c == " " else " "
        for c in unicodedata.normalize("NFC", text)
        if unicodedata.category(c) not in ("Cf", "Cs", "Co", "Cn")
    )
    return " ".join(kept.split())[:limit]


def pin(store: Store, id: str) -> dict[str, Any]:  # noqa: A002 - the spec's word
    """What is remembered of a person; an empty dict for a stranger."""
    return store.row("pin", id) or {}


def put_pin(store: Store, id: str, **changes: Any) -> dict[str, Any]:  # noqa: A002
    """Change members of a pin."""
    old = pin(store, id)
    value = {**old, **changes, "rev": int(old.get("rev", 0)) + 1}
    store.run("INSERT OR REPLACE INTO pin VALUES (?, ?)", id, json.dumps(value))
    store.put("state_dirty", True)
    return value


def known(found: dict[str, Any]) -> Known:
    """The three words for how somebody is known."""
    if found.get("confirmed"):
        return "confirmed in person"
    return "came by a link" if found.get("link") else "not confirmed"


def meet(store: Store, member: Member, *, by_link: bool) -> str | None:
    """Pin a member seen in a verified log (CLT-022).

    Returns None, or what changed: ``identity`` (another identity key than pinned), ``name`` (a confirmed or petnamed
    person's login now belongs to another id).
    """
    thumb = b64e(thumbprint(member.ik))
    found = pin(store, member.id)
    if found:
        if found["thumb"] != thumb:
            put_pin(store, member.id, thumb=thumb, changed=True, confirmed=False, was=bool(found.get("confirmed")))
            return "identity"
        if by_link and not found.get("link"):
            put_pin(store, member.id, link=True)
        return None
    same = [row for _, row in store.rows("pin") if row["login"] == member.name]
    put_pin(store, member.id, login=member.name, thumb=thumb, link=by_link)
    if any(row.get("confirmed") or row.get("petname") for row in same):
        put_pin(store, member.id, changed=True, was=any(row.get("confirmed") for row in same))
        return "name"
    return None


def name_of(store: Store, state: SphereState | None, id: str) -> str:  # noqa: A002
    """The name to show: petname, nickname of this sphere, login, or the beginning of the id."""
    found = pin(store, id)
    nick = store.get(f"nick/{state.sph}/{id}", "") if state is not None else ""
    member = state.members.get(id) if state is not None else None
    login = member.name if member is not None else found.get("login", "")
    return clean(found.get("petname", "")) or clean(nick) or login or id[:9]


def person(store: Store, state: SphereState, member: Member, me: str) -> Person:
    """The record of one member."""
    found = pin(store, member.id)
    nick = clean(store.get(f"nick/{state.sph}/{member.id}", ""))
    devices = tuple(d.dv for d in state.devices_of(member.id))
    word: Known = "confirmed in person" if member.id == me else known(found)
    return Person(
        id=member.id,
        name=name_of(store, state, member.id),
        login=member.name,
        petname=clean(found.get("petname", "")),
        nickname=nick,
        role=member.role,
        devices=devices,
        known=word,
        me=member.id == me,
        changed=bool(found.get("changed")),
    )


def people(store: Store, state: SphereState, me: str, *, past: bool) -> list[Person]:
    """Members, owners first, then by name; with ``past`` former ones at the end."""
    rows = [person(store, state, m, me) for m in state.members.values() if past or m.active]
    return sorted(rows, key=lambda p: (_RANKS.get(p.role, 9), p.name.lower(), p.id))


def find(rows: list[Person], wanted: str) -> Person:
    """One person by shown name, petname, login, or unique prefix of an id. Raises NotFound, UsageError."""
    text = wanted.strip().lower()
    exact = [p for p in rows if text in (p.name.lower(), p.petname.lower(), p.login, p.id.lower())]
    found = exact or [p for p in rows if text and p.name.lower().startswith(text)]
    found = found or [p for p in rows if len(wanted) >= 6 and p.id.startswith(wanted)]
    found = list({p.id: p for p in found}.values())
    if not found:
        raise NotFound("nobody here has that name")
    if len(found) > 1:
        raise UsageError("more than one person fits: use the beginning of the id")
    return found[0]
