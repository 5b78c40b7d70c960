"""A PIN for one device: online only, ten tries, and a crash leaves one way in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cloister.account import password
from cloister.client import Client
from cloister.errors import AuthFailed, NotFound, Unreachable, UsageError, WeakPin
from tests.scenarios.world import PASSWORD, World, harbour, sent, texts, world

PIN, OTHER = "739154", "285063"


@pytest.fixture
async def w(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(password, "MEMORY_KIB", 64)
    monkeypatch.setattr("cloister.account.unlock.MEMORY_KIB", 64)
    async with world(tmp_path) as made:
        yield made


async def _locked(w: World) -> Client:
    """Ada's profile, started anew."""
    await w.clients["ada"].close()
    return await w.open("ada")


async def _left(client: Client, pin: str) -> object:
    with pytest.raises(AuthFailed) as caught:
        await client.unlock_with_pin(pin)
    return caught.value.data.get("left")


async def test_a_pin_takes_the_place_of_the_password(w: World) -> None:
    """VLT-005, CLT-040: the PIN opens, the password no more, and nothing without the relay; until it is taken away."""
    ada = (await w.sphere_of("ada"))["ada"]
    sent(await harbour(ada).send("kept"))
    with pytest.raises(WeakPin):
        await ada.set_pin("123456")
    with pytest.raises(UsageError):
        await ada.remove_pin(PASSWORD.format("ada"))
    await ada.set_pin(PIN)
    ada = await _locked(w)
    assert ada.has_pin
    with pytest.raises(NotFound):
        await ada.unlock(PASSWORD.format("ada"))
    w.network("ada").lose("request", "POST", "/vault/nonce")
    with pytest.raises(Unreachable):
        await ada.unlock_with_pin(PIN)
    await ada.unlock_with_pin(PIN)
    assert texts(ada) == ["kept"]
    await ada.set_pin(OTHER)
    ada = await _locked(w)
    assert await _left(ada, PIN) == 9
    await ada.unlock_with_pin(OTHER)
    with pytest.raises(AuthFailed):
        await ada.remove_pin("not the password at all")
    await ada.remove_pin(PASSWORD.format("ada"))
    ada = await _locked(w)
    assert not ada.has_pin
    await ada.unlock(PASSWORD.format("ada"))
    assert texts(ada) == ["kept"]


async def test_ten_wrong_ones_close_this_copy_and_the_password_fills_a_new_one(w: World) -> None:
    """VLT-014, VLT-015, CLT-040: a right PIN in between gives ten again; after ten the true one opens nothing."""
    ada = (await w.sphere_of("ada", "bo"))["ada"]
    sent(await harbour(ada).send("kept"))
    old = ada.account.dv
    await ada.set_pin(PIN)
    ada = await _locked(w)
    with pytest.raises(WeakPin):
        await ada.unlock_with_pin("12")  # no PIN at all costs no try
    assert await _left(ada, OTHER) == 9
    await ada.unlock_with_pin(PIN)
    ada.lock()
    assert [await _left(ada, OTHER) for _ in range(10)] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert await _left(ada, PIN) == 0
    await ada.sign_in("ada", PASSWORD.format("ada"))
    assert ada.account.dv != old
    assert not ada.has_pin
    await ada.sync()
    assert texts(ada) == ["kept"]
    assert [one.dv for one in await ada.devices() if one.active] == [ada.account.dv]


@pytest.mark.parametrize("lost", ["request", "answer"])
@pytest.mark.parametrize("change", [False, True])
async def test_a_crash_while_setting_leaves_one_way_in(w: World, lost: str, change: bool) -> None:
    """CLT-040: whether the relay took the new PIN or not, the person gets in with the one it holds."""
    ada = await w.first("ada")
    if change:
        await ada.set_pin(OTHER)
    w.network("ada").lose(lost, "POST", "/vault/enrol")
    with pytest.raises(Unreachable):
        await ada.set_pin(PIN)
    ada = await _locked(w)
    assert ada.has_pin
    if lost == "answer":
        await ada.unlock_with_pin(PIN)
    elif change:
        await ada.unlock_with_pin(OTHER)
    else:
        with pytest.raises(UsageError):
            await ada.unlock_with_pin(PIN)
        assert not ada.has_pin
        await ada.unlock(PASSWORD.format("ada"))


async def test_what_an_earlier_device_left_is_no_pin_of_the_new_one(w: World) -> None:
    """CLT-040: the question that an earlier device of this profile never saw answered is not the new one's."""
    ada = await w.first("ada")
    await ada.set_pin(OTHER)
    w.network("ada").lose("answer", "POST", "/vault/enrol")
    with pytest.raises(Unreachable):
        await ada.set_pin(PIN)
    ada = await _locked(w)
    await ada.sign_in("ada", PASSWORD.format("ada"))
    assert not ada.has_pin
    await ada.set_pin(OTHER)
    ada = await _locked(w)
    await ada.unlock_with_pin(OTHER)
