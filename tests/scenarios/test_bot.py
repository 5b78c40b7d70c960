"""A bot, its key file, and the doctor."""

from __future__ import annotations

import stat

import pytest

from cloister.client import Client, Message, Sphere, bot
from cloister.errors import UsageError
from tests.scenarios.world import World, harbour, sent, texts


async def test_a_bot_answers_once_each_and_after_a_crash(w: World) -> None:
    """CLT-032, CLT-004: opened by its key file; what came while it was down is answered; nothing twice."""
    people = await w.sphere_of("ada", "bo")
    key = w.folder / "bot.key"
    await people["bo"].make_key_file(key)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    await people["bo"].close()
    ada = harbour(people["ada"])
    sent(await ada.send("One"))
    sent(await ada.send("Two"))
    fail = True

    async def echo(sphere: Sphere, message: Message) -> str | None:
        nonlocal fail
        if message.text == "Two" and fail:
            fail = False
            raise RuntimeError("crash")
        return f"{message.name} said: {message.text}"

    client = await w.open("bo")
    await client.unlock_with_file(key)
    await client.sync()
    with pytest.raises(RuntimeError):
        await bot.answer(client, echo)
    await client.close()
    client = await w.open("bo")
    await client.unlock_with_file(key)
    await client.sync()
    assert await bot.answer(client, echo) == 1
    assert await bot.answer(client, echo) == 0
    await people["ada"].sync()
    assert texts(people["ada"]) == ["One", "Two", "ada said: One", "ada said: Two"]
    key.chmod(0o644)
    other = await w.open("bo")
    with pytest.raises(UsageError):
        await other.unlock_with_file(key)


async def test_the_doctor_finds_nothing_wrong_and_changes_nothing(w: World) -> None:
    """CLT-031."""
    people = await w.sphere_of("ada", "bo")
    sent(await harbour(people["ada"]).send("One"))
    before = people["ada"].context.store.all("SELECT * FROM meta ORDER BY k")
    findings = await people["ada"].doctor()
    assert [f for f in findings if not f.ok] == []
    assert {"profile", "store", "server", "clock", "account", "Harbour plan"} <= {f.topic for f in findings}
    assert people["ada"].context.store.all("SELECT * FROM meta ORDER BY k") == before
    w.network("ada").up = False
    findings = await people["ada"].doctor()
    assert [(f.topic, f.code) for f in findings if not f.ok] == [("server", "L_UNREACHABLE")]


async def test_an_agents_key_opens_the_vault(w: World) -> None:
    """CLT-004: and nothing opens while locked."""
    ada = await w.first("ada")
    await ada.create_sphere("Harbour plan")
    key = ada.agent_key()
    ada.lock()
    assert ada.account.status == "locked"
    with pytest.raises(Exception, match="locked"):
        ada.spheres()
    again: Client = await w.open("ada")
    await again.unlock_with_key(key)
    assert [s.title for s in again.spheres()] == ["Harbour plan"]
