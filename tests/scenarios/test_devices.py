"""Devices: a second one, a stolen one, a copied one, two processes on one."""

from __future__ import annotations

import os
import shutil

import pytest

from cloister.account import slot_names
from cloister.client import Client, signing
from cloister.errors import (
    AlreadyRunning,
    AuthFailed,
    CloisterError,
    DeviceRetired,
    Forbidden,
    Unreachable,
    UsageError,
    VaultError,
    WeakPassword,
)
from tests.scenarios.world import PASSWORD, World, harbour, sent, texts, waits


async def test_a_second_device_reads_everything_and_speaks(w: World) -> None:
    """CLT-005, CLT-017: keys come from the account's slots; the device introduces itself to the sphere."""
    people = await w.sphere_of("ada", "bo")
    sent(await harbour(people["bo"]).send("Before"))
    await people["ada"].sync()
    await harbour(people["ada"]).set_petname("bo", "Boris")
    await people["ada"].sync()
    phone = await w.second_device("ada", "ada-phone")
    assert phone.account.dv != people["ada"].account.dv
    assert texts(phone) == ["Before"]
    assert harbour(phone).person("bo").name == "Boris"
    sent(await harbour(phone).send("From the phone"))
    for name in ("ada", "bo"):
        await people[name].sync()
        assert texts(people[name]) == ["Before", "From the phone"]
    assert len(harbour(people["bo"]).person("ada").devices) == 2
    assert sorted(d.name for d in await people["ada"].devices()) == ["ada-desk", "ada-phone"]


async def test_keys_kept_on_devices_come_from_the_other_device(w: World) -> None:
    """CLT-017, CLT-035: in a sphere of device custody nothing lies in slots; an own device hands the key on."""
    ada = await w.first("ada")
    with pytest.raises(UsageError):
        await ada.create_sphere("Harbour plan", custody="device")
    await w.second_device("ada", "ada-tablet")
    await ada.sync()
    sphere = await ada.create_sphere("Harbour plan", custody="device")
    sent(await sphere.send("Only here"))
    assert [s.name for s in await ada.relay.slots() if slot_names.parse(s.name).kind == "e"] == []
    phone = await w.second_device("ada", "ada-phone")
    assert phone.sphere(sphere.sph).messages()[0].state == "unreadable"
    await ada.sync()
    await phone.sync()
    assert texts(phone) == ["Only here"]


async def test_a_key_that_was_lost_here_comes_from_the_own_slot(w: World) -> None:
    """CLT-017: the account's own copy first, with nobody else online."""
    people = await w.sphere_of("ada", "bo")
    sent(await harbour(people["ada"]).send("Before"))
    store = people["ada"].context.store
    with store.step():
        store.run("DELETE FROM epoch_key")
        store.run("UPDATE message SET state = 'unreadable', code = 'C_KEY_UNKNOWN', body = '{}'")
    people["ada"].context.replicas.clear()
    assert harbour(people["ada"]).messages()[0].state == "unreadable"
    await people["ada"].sync()
    assert texts(people["ada"]) == ["Before"]


async def test_a_key_that_nobody_hands_on_is_replaced(w: World) -> None:
    """CLT-017: the running key is lost, the question goes unanswered for ten minutes; the next text makes a new one."""
    people = await w.sphere_of("ada", "bo")
    bo = people["bo"]
    with bo.context.store.step():
        bo.context.store.run("DELETE FROM epoch_key")
    bo.context.replicas.clear()
    real = bo.relay.slot

    async def none(name: str, token: str | None = None) -> object:
        if name.startswith("e."):
            raise Forbidden(name)
        return await real(name, token)

    bo.relay.slot = none  # type: ignore[method-assign, assignment]
    waits(await harbour(bo).send("Hello?"))
    assert bo.outbox()[0].code == "C_KEY_UNKNOWN"
    w.clock.forward(601)
    report = await bo.sync()
    assert (report.sent, report.waiting) == (1, 0)
    assert harbour(bo).info.epoch == 2
    await people["ada"].sync()
    assert texts(people["ada"]) == ["Hello?"]


async def test_a_revoked_device_is_out_everywhere(w: World) -> None:
    """CLT-007: key log, new master key, every sphere, new key, all by one act; the thief's copy opens nothing new."""
    people = await w.sphere_of("ada", "bo")
    board = await people["ada"].create_sphere("Board")
    phone = await w.second_device("ada", "ada-phone")
    old_mk = phone.context.mk
    await people["ada"].sync()
    await people["ada"].revoke_device("ada-phone", PASSWORD.format("ada"))
    for sphere in (harbour(people["ada"]), board):
        assert sphere.info.epoch == 2
        assert len(sphere.person("ada").devices) == 1
    assert people["ada"].context.mk != old_mk
    assert people["ada"].context.mkv == 2
    sent(await harbour(people["ada"]).send("Safe again"))
    await people["bo"].sync()
    assert texts(people["bo"]) == ["Safe again"]
    assert "E_AUTH" in (await phone.sync()).faults
    assert texts(phone) == []
    # The slot of the new key does not open under the master key the phone knew.
    slots = {s.name: s for s in await people["ada"].relay.slots()}
    assert slots[slot_names.epoch(board.sph, 2)].mkv == 2
    assert slots[slot_names.epoch(board.sph, 1)].mkv == 1


async def test_another_device_gets_the_new_master_key(w: World) -> None:
    """CLT-007: the remaining device receives it as a letter through a common sphere."""
    people = await w.sphere_of("ada", "bo")
    await w.second_device("ada", "ada-phone")
    tablet = await w.second_device("ada", "ada-tablet")
    await people["ada"].sync()
    await people["ada"].revoke_device("ada-phone", PASSWORD.format("ada"))
    await tablet.sync()
    report = await tablet.sync()
    assert report.faults == ()
    assert tablet.context.mk == people["ada"].context.mk
    await harbour(tablet).set_petname("bo", "Boris")
    await tablet.sync()
    await people["ada"].sync()
    assert harbour(people["ada"]).person("bo").name == "Boris"


async def test_revocation_goes_on_where_it_was_interrupted(w: World) -> None:
    """CLT-007: the answer to the new master key is lost; the second call finishes."""
    people = await w.sphere_of("ada", "bo")
    await w.second_device("ada", "ada-phone")
    await people["ada"].sync()
    w.network("ada").lose("answer", "PUT", "/account/roots")
    with pytest.raises(CloisterError):
        await people["ada"].revoke_device("ada-phone", PASSWORD.format("ada"))
    ada = await w.reopen("ada")
    await ada.revoke_device("ada-phone", PASSWORD.format("ada"))
    assert ada.context.mkv == 2
    assert harbour(ada).info.epoch == 2
    sent(await harbour(ada).send("Done"))
    await people["bo"].sync()
    assert texts(people["bo"]) == ["Done"]


@pytest.mark.parametrize("synced", [True, False])
async def test_a_copied_profile_retires(w: World, synced: bool) -> None:
    """CLT-014: two copies of one device; the one that finds the chain ahead signs nothing more, and comes back anew."""
    people = await w.sphere_of("ada", "bo")
    await people["ada"].close()
    shutil.copytree(w.folder / "ada", w.folder / "copy")
    ada, copy = await w.reopen("ada"), await w.open("copy")
    await copy.unlock(PASSWORD.format("ada"))
    if synced:
        await copy.sync()
    sent(await harbour(ada).send("From the original"))
    with pytest.raises(DeviceRetired):
        await harbour(copy).send("From the copy")
    assert [i.text for i in copy.outbox()] == ["From the copy"]
    await copy.sign_in("ada", PASSWORD.format("ada"), device_name="copy")
    assert copy.account.dv != ada.account.dv
    assert copy.outbox() == []
    assert "E_AUTH" in (await ada.sync()).faults  # the original's keys were in two places as well
    await people["bo"].sync()
    assert texts(people["bo"]) == ["From the original", "From the copy"]


async def test_two_processes_on_one_profile(w: World) -> None:
    """CLT-012: they take turns; each sees what the other wrote, and the chain stays one."""
    people = await w.sphere_of("ada", "bo")
    one = people["ada"]
    two = await w.open("ada")
    await two.unlock(PASSWORD.format("ada"))
    for n in range(3):
        sent(await harbour(one).send(f"one {n}"))
        sent(await harbour(two).send(f"two {n}"))
    await people["bo"].sync()
    assert texts(people["bo"]) == ["one 0", "two 0", "one 1", "two 1", "one 2", "two 2"]
    assert texts(one) == texts(two) == texts(people["bo"])
    two.profile.lock_wait = 0.0
    async with one.profile.writer(harbour(one).sph):
        with pytest.raises(AlreadyRunning):
            await harbour(two).send("now")
    await one.close()


async def test_a_used_profile_is_not_overwritten(w: World) -> None:
    """CLT-003, CLT-005."""
    ada = await w.first("ada")
    with pytest.raises(UsageError):
        await ada.sign_in("ada", PASSWORD.format("ada"))
    with pytest.raises(UsageError):
        await ada.create_account("eve", PASSWORD.format("eve"), w.setup_code)
    again = await Client.open(w.folder / "ada", transport=w.network("ada"), clock=w.clock)
    assert again.account.status == "locked"
    with pytest.raises(AuthFailed):
        await again.unlock("not the password at all")
    await again.close()


FRESH = "an entirely new passphrase 42"


@pytest.mark.parametrize("changed", [True, False])
async def test_a_relay_shows_a_further_device_the_roots_of_before(w: World, changed: bool) -> None:
    """CLT-007, SLOT-027: with a new password the earlier roots open nothing. Control, and the honest sentence: whoever
    keeps the password lets a device that has seen nothing take the master key the lost one knew."""
    people = await w.sphere_of("ada", "bo")
    ada = people["ada"]
    phone = await w.second_device("ada", "ada-phone")
    await ada.sync()
    password = PASSWORD.format("ada")
    tablet, realm = await w.open("ada-tablet"), ada._need_vault().realm
    proven = await signing.prove(tablet.relay, os.urandom, "ada", password, realm)
    before = await tablet.relay.roots(proven.token)
    await ada.revoke_device("ada-phone", password, FRESH if changed else None)
    assert ada.context.mkv == 2

    async def stale(token: str) -> object:
        return before

    proven = await signing.prove(tablet.relay, os.urandom, "ada", FRESH if changed else password, realm)
    tablet.relay.roots = stale  # type: ignore[method-assign, assignment]
    if changed:
        with pytest.raises(VaultError):
            await signing.open_roots(tablet.relay, proven)
    else:
        assert (await signing.open_roots(tablet.relay, proven)).roots.mk == phone.context.mk


@pytest.mark.parametrize("what", ["request", "answer"])
async def test_a_new_password_with_a_lost_device_survives_interruption(w: World, what: str) -> None:
    """CLT-007, CLT-006: whichever side the crash is on, the same call again finishes, and one password works."""
    people = await w.sphere_of("ada", "bo")
    await w.second_device("ada", "ada-phone")
    ada, password = people["ada"], PASSWORD.format("ada")
    await ada.sync()
    with pytest.raises(UsageError):
        await ada.revoke_device("ada-phone", password, password)
    with pytest.raises(WeakPassword):
        await ada.revoke_device("ada-phone", password, "short")
    w.network("ada").lose(what, "PUT", "/account/roots")
    with pytest.raises(Unreachable):
        await ada.revoke_device("ada-phone", password, FRESH)
    await ada.close()
    ada = await w.open("ada")
    await ada.unlock(password if what == "request" else FRESH)
    await ada.revoke_device("ada-phone", password, FRESH)
    assert ada.context.mkv == 2
    await ada.close()
    ada = await w.open("ada")
    with pytest.raises(AuthFailed):
        await ada.unlock(password)
    await ada.unlock(FRESH)
    sent(await harbour(ada).send("Done"))
    await people["bo"].sync()
    assert texts(people["bo"]) == ["Done"]
    tablet = await w.open("ada-tablet")
    await tablet.sign_in("ada", FRESH)
    assert tablet.context.mk == ada.context.mk


async def test_keys_kept_only_here_are_kept_so_by_every_device(w: World) -> None:
    """CLT-035: the choice is the person's: no device of the account writes a slot of that sphere any more."""
    ada = await w.first("ada")
    sphere = await ada.create_sphere("Harbour plan")
    phone = await w.second_device("ada", "ada-phone")
    await phone.sync()
    await ada.sync()
    await sphere.keep_only_here()
    await ada.sync()
    await phone.sync()
    await harbour(phone).rotate()
    await ada.sync()
    await sphere.rotate()
    await phone.sync()
    written = [slot.name for slot in await ada.relay.slots() if sphere.sph in slot.name]
    assert written == [slot_names.epoch(sphere.sph, 1)]
    assert dict(harbour(phone).keys()) == {1: True, 2: True, 3: True, 4: True}
    await harbour(phone).keep_only_here(False)
    await phone.sync()
    await ada.sync()
    assert len([slot.name for slot in await ada.relay.slots() if sphere.sph in slot.name]) == 4
