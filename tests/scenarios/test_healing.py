"""What cannot be read says what is missing and who can supply it, asks, and repairs itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cloister.cli.commands import verifying
from cloister.client import Client, keys
from cloister.client.records import Finding
from cloister.errors import NotFound, UsageError
from cloister.sphere import share
from tests.scenarios.world import World, harbour, sent, texts


async def _lose(client: Client, n: int) -> None:
    """The record of a key is gone from the store, and no slot or link brings it back."""
    ctx, sph = client.context, harbour(client).sph
    await harbour(client).keep_only_here(False)
    with ctx.store.step():
        ctx.store.run("DELETE FROM epoch_key WHERE sph = ? AND n = ?", sph, n)
        ctx.store.run(
            "UPDATE message SET state = 'unreadable', code = 'C_KEY_UNKNOWN' WHERE sph = ? AND ep = ?", sph, n
        )
    ctx.replicas.clear()


async def _nothing(*_: Any) -> None:
    return None


def _about_keys(found: list[Finding]) -> list[tuple[bool, str, str]]:
    return [(one.ok, one.text, one.code) for one in found if "key" in one.text]


async def test_a_lost_key_is_named_asked_for_and_comes_back(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """CLT-017, CLT-043: the doctor names the key and the holders; asked again, until somebody answers."""
    people = await w.sphere_of("ada", "bo", "cy", policy={"history": "since-join"})
    ada, cy = harbour(people["ada"]), harbour(people["cy"])
    sent(await ada.send("Where we meet"))
    await people["cy"].sync()
    n = cy.info.epoch
    monkeypatch.setattr(keys, "own_slots", _nothing)
    await _lose(people["cy"], n)
    w.clock.forward(120)
    assert _about_keys(await people["cy"].doctor(cy)) == [
        (False, f"key {n} is missing; ada, bo can supply it", "C_KEY_UNKNOWN")
    ]
    row = cy.key_rows()[-1]
    assert (row.n, row.here, row.granted, row.by, row.holders, row.asked) == (n, False, True, "ada", ("ada", "bo"), 0)
    await people["cy"].sync()
    assert cy.key_rows()[-1].asked > 0
    # Nobody was there to answer: ten minutes later it is asked again, then Bo comes.
    asked = [call for call in w.network("cy").log if call == ("POST", "/v1/inbox")]
    await people["cy"].sync()
    assert [call for call in w.network("cy").log if call == ("POST", "/v1/inbox")] == asked
    w.clock.forward(601)
    await people["cy"].sync()
    assert len([call for call in w.network("cy").log if call == ("POST", "/v1/inbox")]) == len(asked) + 1
    await people["bo"].sync()
    await people["cy"].sync()
    assert texts(people["cy"]) == ["Where we meet"]
    assert _about_keys(await people["cy"].doctor(cy))[0][0]


async def test_a_wrong_key_is_kept_as_proof_and_told(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """CLT-017, CLT-043: who signed it is told, before and after the right key has come."""
    people = await w.sphere_of("ada", "bo", "cy")
    bo, cy = harbour(people["bo"]), harbour(people["cy"])
    victim, real = people["cy"].account.dv, share.seal_to

    def evil(to: Any, bound: bytes, secret: bytes, rng: Any) -> bytes:
        return real(to, bound, bytes(32) if to.dv == victim else secret, rng)

    with monkeypatch.context() as patch:
        patch.setattr(share, "seal_to", evil)
        await bo.rotate()
    await people["cy"].sync()
    said = _about_keys(await people["cy"].doctor(cy))
    assert (False, "bo signed another key 2 than this sphere's; the proof is kept", "C_KC_MISMATCH") in said
    assert cy.key_rows()[-1].holders == ("bo", "ada")
    assert verifying.judge(json.loads(json.dumps(cy.evidence()))) == "share"
    with pytest.raises(NotFound):
        bo.evidence()
    await people["ada"].sync()
    await people["cy"].sync()
    said = _about_keys(await people["cy"].doctor(cy))
    assert (True, "bo signed another key 2 than this sphere's; the proof is kept; the right one is here", "") in said
    assert cy.key_rows()[-1].here


async def test_whom_nobody_answers_makes_one_new_key(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """CLT-017: with nobody there to share again, one rotation heals the running key, and only one."""
    people = await w.sphere_of("ada", "bo", "cy")
    cy, victim, real = harbour(people["cy"]), people["cy"].account.dv, share.seal_to

    def evil(to: Any, bound: bytes, secret: bytes, rng: Any) -> bytes:
        return real(to, bound, bytes(32) if to.dv == victim else secret, rng)

    with monkeypatch.context() as patch:
        patch.setattr(share, "seal_to", evil)
        await harbour(people["ada"]).rotate()
    await people["cy"].sync()
    await cy.send("Can you read me?")
    assert cy.info.epoch == 2
    w.clock.forward(601)
    await people["cy"].sync()
    assert cy.info.epoch == 3
    sent(await cy.send("And this?"))
    assert cy.info.epoch == 3
    for name in ("ada", "bo"):
        await people[name].sync()
        assert texts(people[name]) == ["Can you read me?", "And this?"]


async def test_a_link_for_reading_is_made_for_public_spheres_only(w: World) -> None:
    """INV-004: pinned to the entry that made it public."""
    ada = (await w.sphere_of("ada"))["ada"]
    for mode in ("e2ee", "open"):
        await harbour(ada).set_mode(mode)  # type: ignore[arg-type]
        with pytest.raises(UsageError):
            harbour(ada).public_link()
    await harbour(ada).set_mode("public")
    link = harbour(ada).public_link()
    assert f"/p#{harbour(ada).sph}~{harbour(ada).info.seq}~" in link


async def test_a_wider_policy_opens_and_a_narrower_one_ends_the_links(w: World) -> None:
    """SHR-006, EPO-006, LOG-013: an owner widens the history and closed rows open by themselves; under a narrower one
    an admission makes a new key in its commit, and no link leads from it to what was before."""
    people = await w.sphere_of("ada", "bo")
    ada = harbour(people["ada"])
    sent(await ada.send("one"))
    await ada.rotate()
    assert [link.n for link in await people["ada"].relay.links(ada.sph, 2)] == [2]
    await ada.set_policy(history="since-join")
    sent(await ada.send("two"))
    cy = await w.join("cy", await ada.invite())
    (request,) = await ada.requests()
    await ada.admit(request)
    assert [one.op for one in ada.log()[-3:]] == ["add", "epoch", "meta"]
    assert [link.n for link in await people["ada"].relay.links(ada.sph, 3)] == [2]
    sent(await ada.send("three"))
    await cy.sync()
    assert texts(cy) == ["three"]
    assert [(row.n, row.here, row.granted) for row in harbour(cy).key_rows()] == [
        (1, False, False), (2, False, False), (3, True, True),
    ]  # fmt: skip
    await ada.set_policy(history="all")
    await cy.sync()
    await people["bo"].sync()
    await cy.sync()
    assert texts(cy) == ["one", "two", "three"]


@pytest.mark.parametrize("slot", [True, False], ids=["own slot", "a member"])
async def test_a_stored_key_that_is_not_the_epochs_is_as_good_as_missing(
    w: World, monkeypatch: pytest.MonkeyPatch, slot: bool
) -> None:
    """CLT-017: the sphere opens without it, and the true one takes its place."""
    people = await w.sphere_of("ada", "bo")
    sent(await harbour(people["ada"]).send("Where we meet"))
    await people["bo"].sync()
    bo, sph = people["bo"].context, harbour(people["bo"]).sph
    secret = bo.store.one("SELECT secret FROM epoch_key WHERE sph = ?", sph)[0]  # type: ignore[index]
    with bo.store.step():
        bo.store.run("UPDATE epoch_key SET secret = ? WHERE sph = ?", bytes(32), sph)
    client = await w.reopen("bo")
    assert (harbour(client).info.have_key, harbour(client).info.title) == (False, "Harbour plan")
    if not slot:
        monkeypatch.setattr(keys, "own_slots", _nothing)
    for one in (client, people["ada"], client):
        await one.sync()
    assert harbour(client).info.have_key
    held = client.context.store.one("SELECT secret, slot FROM epoch_key WHERE sph = ?", sph)
    assert held is not None and (held[0], held[1]) == (secret, 1)
    sent(await harbour(client).send("Here again"))
