"""T-S12: a removed member with the whole database and a relay that works for him.

He gets every row the relay has and its ``server.key`` with all that is derived from it, opens what his own keys open,
follows every way from key to key, and asks the members with the relay passing his letters on. Nothing
said since is among it, the first words included.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from cloister.account import slots, verifier
from cloister.client import Client, outbox
from cloister.client import keys as client_keys
from cloister.errors import CheckFailed
from cloister.protocol import chain
from cloister.protocol import commit as commits
from cloister.protocol.state import SphereState
from cloister.sphere import compose, epoch, message, share
from cloister.sphere.epoch import EpochKey
from cloister.sphere.share import Party
from tests.hostile.colluding import plant
from tests.hostile.insider import Insider
from tests.hostile.world import HostileWorld
from tests.scenarios.world import harbour, sent

SAID = ["Cy is gone", "Second", "Third", "Fourth"]


def _rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    """The relay's database as a thief reads it."""
    base = sqlite3.connect(_database(folder))
    try:
        return base.execute(query).fetchall()
    finally:
        base.close()


def _database(folder: Path) -> Path:
    found = [one for one in (folder / "relay").glob("*.db") if one.name != "pepper.db"]
    assert len(found) == 1
    return found[0]


def _server_secrets(folder: Path) -> list[bytes]:
    """What the relay knows that could be a key: server.key, what is derived from it, every stored value of 32 bytes."""
    master = (folder / "relay" / "server.key").read_bytes()
    made = verifier.server_keys(master)
    found = [master, made.seal, made.salt, made.fake, made.decoy]
    tables = [row[0] for row in _rows(folder, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        for row in _rows(folder, f'SELECT * FROM "{table}"'):
            found += [bytes(value) for value in row if isinstance(value, bytes) and len(value) == 32]
    return list(dict.fromkeys(found))


def _loot(folder: Path, cy: Insider, before: dict[int, EpochKey], view: tuple[SphereState, Any]) -> dict[int, EpochKey]:
    """Every key that Cy's own keys lead to, with the log of ``view`` and everything in the database."""
    _, history = view
    keys = dict(before)
    me = Party(cy.client.account.id, cy.dv)
    known = _server_secrets(folder)
    for secret in known:
        for one in history.epochs():
            with contextlib.suppress(CheckFailed):
                keys[one.n] = epoch.check(secret, one, cy.sph)
    for (body,) in _rows(folder, "SELECT body FROM inbox WHERE kind = 'p2p'"):
        try:
            key = share.open(body, history, me, cy.ctx.keys.kem, [cy.ctx.keys.de_seed, *known], cy.sph)
        except CheckFailed:
            continue
        keys[key.n] = key
    accounts = {cy.ctx.id, *(row[0] for row in _rows(folder, "SELECT DISTINCT account FROM slot"))}
    for name, sealed in _rows(folder, "SELECT name, bytes FROM slot WHERE name LIKE 'e.%'"):
        n = int(name.rpartition(".")[2])
        for mk, account in itertools.product([cy.ctx.mk, *known], sorted(accounts)):
            with contextlib.suppress(CheckFailed):
                keys[n] = epoch.check(slots.open_epoch(mk, account, cy.sph, n, sealed), history.epoch(n), cy.sph)
    for _ in range(8):
        for n, blob in _rows(folder, "SELECT n, blob FROM link"):
            for have in list(keys.values()):
                for older in (n - 1, n, n + 1):
                    try:
                        keys[older] = epoch.link_open(blob, have, history.epoch(older))
                    except CheckFailed:
                        continue
    return keys


def _read(folder: Path, keys: dict[int, EpochKey]) -> list[str]:
    """What these keys open of every message stored."""
    found = []
    for (jws,) in _rows(folder, "SELECT jws FROM item WHERE kind = 1 ORDER BY pos"):
        one = message.decode(jws)
        for key in keys.values():
            try:
                found.append(message.open(one, EpochKey(key.sph, one.head.ep, key.secret, key.kc, key.prev)).text)
                break
            except CheckFailed:
                continue
    return found


async def _asks(hw: HostileWorld, people: dict[str, Client], cy: Insider, n: int) -> None:
    """Cy asks for the key of epoch ``n``; the relay carries the question although he is out."""
    letter = client_keys.letter(cy.ctx, cy.sph, "ask", ns=[n])
    for name in ("ada", "bo"):
        await plant(hw, people[name].account.dv, cy.sph, letter)
        await people[name].sync()


async def test_nothing_said_after_a_removal_is_read(hw: HostileWorld) -> None:
    """EPO-009, CLT-017, LOG-013: 0 of the messages, the one in the removing commit among them."""
    people = await hw.sphere_of("ada", "bo", "cy")
    sent(await harbour(people["ada"]).send("Before"))
    await people["cy"].sync()
    cy = Insider(people["cy"])
    before = dict(cy.rep.keys)
    await harbour(people["ada"]).remove("cy", text=SAID[0])
    for text in SAID[1:]:
        sent(await harbour(people["ada"]).send(text))
    await people["bo"].sync()
    await _asks(hw, people, cy, 2)
    view = Insider(people["ada"]).view
    assert _read(hw.folder, _loot(hw.folder, cy, before, view)) == ["Before"]
    assert _read(hw.folder, Insider(people["ada"]).rep.keys) == ["Before", *SAID]  # the method reads, given the keys


async def test_control_a_share_for_the_removed_reads_everything(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With recipients that are not those of the log (EPO-009 taken away; the relay looks away) he reads all of it."""
    people = await hw.sphere_of("ada", "bo", "cy")
    cy = Insider(people["cy"])
    before, gone = dict(cy.rep.keys), cy.view[0].devices[cy.dv]
    real = compose._Work._shares
    monkeypatch.setattr(compose._Work, "_shares", lambda self, to: real(self, [*to, gone]))
    monkeypatch.setattr(commits, "_wraps", lambda *_: None)
    await harbour(people["ada"]).remove("cy", text=SAID[0])
    for text in SAID[1:]:
        sent(await harbour(people["ada"]).send(text))
    assert _read(hw.folder, _loot(hw.folder, cy, before, Insider(people["ada"]).view)) == SAID


async def test_control_slots_under_a_key_of_the_relay_give_everything_away(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build that seals the slots of epochs under something the relay knows: server.key and the database open all."""
    people = await hw.sphere_of("ada", "bo", "cy")
    cy = Insider(people["cy"])
    before = dict(cy.rep.keys)
    real, master = slots.seal_epoch, (hw.folder / "relay" / "server.key").read_bytes()
    monkeypatch.setattr(slots, "seal_epoch", lambda _mk, *rest: real(master, *rest))
    await harbour(people["ada"]).remove("cy", text=SAID[0])
    sent(await harbour(people["ada"]).send(SAID[1]))
    assert _read(hw.folder, _loot(hw.folder, cy, before, Insider(people["ada"]).view)) == SAID[:2]


async def _leaves(hw: HostileWorld) -> tuple[dict[str, Client], Insider, dict[int, EpochKey]]:
    people = await hw.sphere_of("ada", "bo", "cy")
    cy = Insider(people["cy"])
    before = dict(cy.rep.keys)
    await harbour(people["cy"]).leave()
    await people["ada"].sync()
    return people, cy, before


async def test_the_first_words_after_somebody_left(hw: HostileWorld) -> None:
    """COM-011, CLT-016: who speaks next makes the key first, also when the relay would take the old one."""
    people, cy, before = await _leaves(hw)
    for text in SAID:
        sent(await harbour(people["ada"]).send(text))
    assert _read(hw.folder, _loot(hw.folder, cy, before, Insider(people["ada"]).view)) == []


async def test_control_who_speaks_without_a_new_key_is_heard(hw: HostileWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rotate-then-speak taken away (and a relay that takes stale messages): the one who left reads on."""
    people, cy, before = await _leaves(hw)
    monkeypatch.setattr(outbox, "wants_key", lambda *_: False)
    monkeypatch.setattr(chain, "_fresh", lambda *_: None)
    with contextlib.suppress(AssertionError):  # the sender's own reader refuses it (RUN-007); the words have left
        await harbour(people["ada"]).send(SAID[0])
    assert _read(hw.folder, _loot(hw.folder, cy, before, Insider(people["ada"]).view)) == SAID[:1]
