"""Devices that have only an RSA receiving key: in where the policy says so, nowhere else."""

from __future__ import annotations

import pytest

from cloister.client import renewing
from cloister.errors import UsageError
from tests.scenarios.world import PASSWORD, World, harbour, sent, texts

WEAK = {"kem_min": "rsa4096"}


async def test_a_member_with_an_rsa_key_reads_and_speaks(w: World) -> None:
    """SHR-007, CLT-061: shares reach such a device as newcomer, by rotation, by asking and from an own device."""
    ada = await w.first("ada")
    sphere = await ada.create_sphere("Harbour plan", policy=WEAK)
    sent(await sphere.send("Before"))
    link = await sphere.invite()
    rosa = await w.open("rosa")
    await rosa.create_account("rosa", PASSWORD.format("rosa"), invite_link=link.url, kem="rsa4096")
    assert rosa.context.keys.kem == "rsa4096"
    (request,) = await sphere.requests()
    assert not request.weak
    await sphere.admit(request)
    await rosa.sync()
    assert texts(rosa) == ["Before"]
    await sphere.rotate()
    sent(await sphere.send("After"))
    await rosa.sync()
    sent(await harbour(rosa).send("Read both"))
    await ada.sync()
    assert texts(ada) == ["Before", "After", "Read both"]
    await harbour(rosa).rotate()
    await ada.sync()
    assert harbour(ada).info.have_key
    rosa = await w.reopen("rosa")  # the device record survives the vault
    await rosa.sync()
    assert texts(rosa) == ["Before", "After", "Read both"]
    second = await w.open("rosa-2")
    await second.sign_in("rosa", PASSWORD.format("rosa"), device_name="second", kem="rsa4096")
    assert texts(second) == ["Before", "After", "Read both"]
    assert [d.kem for d in harbour(ada)._state.devices.values()].count("rsa4096") == 1
    await ada.sync()
    assert [d.kem for d in harbour(ada)._state.devices.values()].count("rsa4096") == 2


async def test_where_the_policy_wants_more_it_stays_outside(w: World) -> None:
    """ROLE-007, CLT-061: not by a link that lets in at once, not by an owner's yes; the sphere goes on undisturbed. The
    policy decides, so the control is the policy: with it, the same request is let in."""
    ada = await w.first("ada")
    sphere = await ada.create_sphere("Harbour plan")
    link = await sphere.invite(admit="auto")
    rosa = await w.open("rosa")
    await rosa.create_account("rosa", PASSWORD.format("rosa"), invite_link=link.url, kem="rsa4096")
    assert (await ada.sync()).faults == ()
    (request,) = await sphere.requests()
    assert request.weak
    with pytest.raises(UsageError):
        await sphere.admit(request)
    assert sphere.info.members == 1
    with pytest.raises(UsageError):
        await rosa.create_sphere("Board")
    await sphere.set_policy(kem_min="rsa4096")
    assert (await ada.sync()).faults == ()
    await rosa.sync()
    assert harbour(rosa).info.have_key
    assert sphere.info.members == 2
    with pytest.raises(UsageError):
        await sphere.set_policy(kem_min="xwing")


async def test_a_weaker_device_of_a_member_waits_outside(w: World) -> None:
    """CLT-061: the person's stronger device is in, the weaker one says why it is not; when the policy allows it, it
    comes in by itself."""
    ada = await w.first("ada")
    old = await w.open("old")
    await old.sign_in("ada", PASSWORD.format("ada"), device_name="old", kem="rsa4096")
    await ada.sync()
    sphere = await ada.create_sphere("Harbour plan", topic="x")
    sent(await sphere.send("For strong keys"))
    await ada.sync()
    assert (await old.sync()).faults == ()
    info = old.sphere(sphere.sph).info
    assert (info.status, info.too_weak, info.have_key) == ("asked", True, False)
    assert [d.kem for d in sphere._state.devices.values()] == ["xwing"]
    await sphere.set_policy(kem_min="rsa4096")
    await old.sync()
    await old.sync()
    assert not old.sphere(sphere.sph).info.too_weak
    assert texts(old) == ["For strong keys"]


async def test_it_keeps_its_kind_when_it_renews(w: World) -> None:
    """CLT-034, CLT-061: another RSA key, the old one destroyed once every sphere lists the new one."""
    rosa = await w.open("rosa")
    await rosa.create_account("rosa", PASSWORD.format("rosa"), w.setup_code, kem="rsa4096")
    sphere = await rosa.create_sphere("Harbour plan", policy=WEAK)
    before = rosa.context.keys.de
    await rosa.sync()
    w.clock.forward(renewing.LIFE + 1)
    for _ in range(3):
        await rosa.sync()
    ctx = rosa.context
    assert ctx.keys.kem == "rsa4096"
    assert ctx.keys.de != before
    assert sphere._state.devices[ctx.dv].de == ctx.keys.de
    assert ctx.store.secret("old_de") is None
    sent(await sphere.send("Still here"))
