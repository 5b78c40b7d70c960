"""Where keys are kept: in the account's slots, or on devices only; by the sphere's rule or a person's own choice."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from cloister.account import slot_names, slots
from cloister.client import Client, Sphere
from cloister.errors import CloisterError, Forbidden, Unreachable, UsageError
from cloister.protocol.encoding import b64d, b64e
from tests.scenarios.world import World, harbour, sent, texts


async def two_devices(w: World) -> Client:
    """An account with two devices; the second is elsewhere."""
    ada = await w.first("ada")
    await w.second_device("ada", "tablet")
    await ada.sync()
    return ada


async def in_slots(client: Client, sphere: Sphere) -> list[int]:
    """Numbers of the sphere's keys that the relay keeps for this account and the account's master key opens."""
    ctx, found = client.context, []
    for one in await client.relay.slots():
        name = slot_names.parse(one.name)
        if name.kind == "e" and name.sph == sphere.sph:
            secret = slots.open_epoch(ctx.mk, ctx.id, name.sph, name.n, b64d(one.bytes))
            assert secret == sphere._rep.keys[name.n].secret
            found.append(name.n)
    return sorted(found)


def rows(folder: Path, sph: str) -> tuple[int, bytes]:
    """How many slots of a sphere all databases of the relay hold, and every byte the relay has on its disk."""
    count, raw = 0, b""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        raw += path.read_bytes()
        if path.suffix == ".db":
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as base:
                tables = [row[0] for row in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
                if "slot" in tables:
                    named = base.execute("SELECT count(*) FROM slot WHERE name LIKE ?", (f"e.{sph}.%",))
                    count += named.fetchone()[0]
    return count, raw


async def test_keys_of_device_custody_never_reach_the_server(w: World) -> None:
    """CLT-035, CLT-017: not under the account's master key either; the relay's whole store is looked through, after
    members, rotations and a new device. The control is a synced sphere beside it, whose slots the same search finds and
    the master key opens."""
    ada = await two_devices(w)
    kept = await ada.create_sphere("Harbour plan", custody="device")
    synced = await ada.create_sphere("Board")
    for sphere in (kept, synced):
        sent(await sphere.send("Before"))
        await sphere.rotate()
    bo = await w.join("bo", await kept.invite())
    (request,) = await kept.requests()
    await kept.admit(request)
    for client in (bo, ada, w.clients["tablet"]):
        await client.sync()
    phone = await w.second_device("ada", "phone")
    await ada.sync()
    await phone.sync()
    assert texts(phone) == ["Before"]
    sent(await harbour(bo).send("From bo"))
    await bo.sync()
    assert await in_slots(ada, kept) == []
    assert await in_slots(bo, harbour(bo)) == []
    held, raw = rows(w.folder / "relay", kept.sph)
    assert held == 0
    secrets = [key.secret for sphere in (kept, synced) for key in sphere._rep.keys.values()]
    for secret in secrets:
        assert not any(form in raw for form in (secret, secret.hex().encode(), b64e(secret).encode()))
    assert len(raw) > 10_000
    # the control
    assert await in_slots(ada, synced) == [1, 2]
    assert rows(w.folder / "relay", synced.sph)[0] >= 2


async def test_a_sphere_changes_where_its_keys_are(w: World) -> None:
    """CLT-035: with device custody a new key comes in the same commit, which no slot ever holds; back again, the keys
    made in between are stored like all others. Only an owner may."""
    ada = await two_devices(w)
    sphere = await ada.create_sphere("Harbour plan")
    bo = await w.join("bo", await sphere.invite())
    (request,) = await sphere.requests()
    await sphere.admit(request)
    await bo.sync()
    with pytest.raises(UsageError):
        await harbour(bo).set_custody("device")  # one device, nothing saved
    kept = await harbour(bo).save_keys()
    await harbour(bo).check_saved(kept.text, kept.code)
    with pytest.raises(Forbidden):
        await harbour(bo).set_custody("device")
    assert (await in_slots(ada, sphere), sphere.info.epoch) == ([1], 1)
    before = sphere.info.seq
    await sphere.set_custody("device")
    ops = [line.op for line in sphere.log(start=before + 1)]
    assert ops[:2] == ["custody", "epoch"]
    await sphere.rotate()
    await ada.sync()
    await bo.sync()
    assert (await in_slots(ada, sphere), await in_slots(bo, harbour(bo))) == ([1], [1])
    assert harbour(bo).info.custody == "device"
    await sphere.set_custody("synced")
    await ada.sync()
    assert await in_slots(ada, sphere) == [1, 2, 3]
    assert sphere.info.epoch == 3


async def test_only_here_is_one_persons_choice(w: World) -> None:
    """CLT-035: the others keep theirs as before; a new key is made at once, and no device of that person stores it; a
    new device of the person gets it from an own one, and nothing when that is away."""
    ada = await two_devices(w)
    sphere = await ada.create_sphere("Harbour plan")
    bo = await w.join("bo", await sphere.invite())
    (request,) = await sphere.requests()
    await sphere.admit(request)
    await bo.sync()
    await sphere.keep_only_here()
    sent(await sphere.send("Only on my devices"))
    assert (sphere.info.only_here, sphere.info.epoch) == (True, 2)
    for client in (ada, bo, w.clients["tablet"], bo, ada):
        await client.sync()
    assert await in_slots(ada, sphere) == [1]
    assert await in_slots(bo, harbour(bo)) == [1, 2]
    with pytest.raises(UsageError):
        await harbour(bo).keep_only_here()
    held = bo.context
    for client in (bo, w.clients["tablet"], ada):
        await client.close()
    phone = await w.second_device("ada", "phone")
    there = phone.sphere(sphere.sph)
    assert there.info.only_here
    assert [m.state for m in there.messages()] == ["unreadable"]
    assert held.dv != phone.account.dv
    ada = await w.reopen("ada")
    await ada.sync()
    await phone.sync()
    assert texts(phone) == ["Only on my devices"]


async def test_the_choice_is_there_before_the_new_key(w: World) -> None:
    """CLT-035: a device that comes upon the new key has been able to read that it is to lie in no slot."""
    ada = await two_devices(w)
    tablet = w.clients["tablet"]
    sphere = await ada.create_sphere("Harbour plan")
    for client in (ada, tablet):
        await client.sync()
    await sphere.keep_only_here()
    for client in (tablet, ada, tablet):
        await client.sync()
    assert tablet.sphere(sphere.sph).keys() == [(1, True), (2, True)]
    assert await in_slots(ada, sphere) == [1]


async def test_no_key_is_made_while_the_choice_cannot_be_told(w: World) -> None:
    """CLT-035: the choice holds here; said again, once the state can be written, it brings the key."""
    ada = await two_devices(w)
    sphere = await ada.create_sphere("Harbour plan")
    await ada.sync()
    w.network("ada").lose("request", "PUT", "/v1/slots/state")
    with pytest.raises(Unreachable):
        await sphere.keep_only_here()
    assert (sphere.info.only_here, sphere.info.epoch) == (True, 1)
    await sphere.keep_only_here()
    assert (sphere.info.only_here, sphere.info.epoch) == (True, 2)
    await sphere.keep_only_here()
    assert sphere.info.epoch == 2


async def test_a_choice_made_elsewhere_holds_here(w: World) -> None:
    """CLT-035, CLT-029: no device that has read the choice writes a slot; taken back, the slots fill again."""
    ada = await two_devices(w)
    tablet = w.clients["tablet"]
    sphere = await ada.create_sphere("Harbour plan")
    await tablet.sync()
    await sphere.keep_only_here()
    await ada.sync()
    await tablet.sync()
    there = tablet.sphere(sphere.sph)
    await there.rotate()
    await tablet.sync()
    await ada.sync()
    assert await in_slots(ada, sphere) == [1]
    await there.keep_only_here(False)
    await tablet.sync()
    assert await in_slots(tablet, there) == [1, 2, 3]
    with pytest.raises(CloisterError):
        await there.set_custody("nowhere")  # type: ignore[arg-type]
