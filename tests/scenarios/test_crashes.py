"""What a crash or a lost answer leaves behind, and how it is put right."""

from __future__ import annotations

import asyncio
import json

import pytest

from cloister.client import commits
from cloister.client.transports.base import Answer
from cloister.errors import AuthFailed, Busy, Conflict, Internal, RateLimited, Unreachable
from tests.scenarios.world import PASSWORD, Network, World, harbour, sent, texts, waits


async def test_sign_up_whose_answer_was_lost(w: World) -> None:
    """CLT-003: the account exists; unlocking with the password settles it."""
    client = await w.open("ada")
    w.network("ada").lose("answer", "POST", "/accounts")
    with pytest.raises(Unreachable):
        await client.create_account("ada", PASSWORD.format("ada"), w.setup_code)
    assert client.account.status == "pending"
    ada = await w.reopen("ada")
    assert ada.account.status == "open"
    await ada.create_sphere("Harbour plan")


async def test_sign_up_that_never_arrived(w: World) -> None:
    """CLT-003: the same request is sent again, with the same keys."""
    client = await w.open("ada")
    w.network("ada").lose("request", "POST", "/accounts")
    with pytest.raises(Unreachable):
        await client.create_account("ada", PASSWORD.format("ada"), w.setup_code)
    first = client.account.id
    await client.create_account("ada", PASSWORD.format("ada"))
    assert (client.account.status, client.account.id) == ("open", first)


async def test_sign_up_that_was_refused_leaves_nothing(w: World) -> None:
    """CLT-003: a wrong code; a second try with the right one is a fresh start."""
    client = await w.open("ada")
    with pytest.raises(AuthFailed):
        await client.create_account("ada", PASSWORD.format("ada"), "WRONG-CODE")
    assert client.account.status == "new"
    await client.create_account("ada", PASSWORD.format("ada"), w.setup_code)
    assert client.account.status == "open"


@pytest.mark.parametrize("what", ["request", "answer"])
async def test_password_change_interrupted(w: World, what: str) -> None:
    """CLT-006: whichever side of the request the crash is on, one password works, and it is the account's."""
    ada = await w.first("ada")
    old, new = PASSWORD.format("ada"), "an entirely new passphrase 42"
    network = w.network("ada")
    network.lose(what, "PUT", "/account/roots")
    network.lose("request", "POST", "/auth/finish")  # nor can it find out at once
    network.rules.reverse()
    network.rules = [r for r in network.rules if r[1] == "PUT"]
    real, calls = network.request, 0

    async def request(method: str, path: str, *args: object, **more: object) -> object:
        nonlocal calls
        if path.endswith("/auth/start"):
            calls += 1
            if calls == 2:
                raise Unreachable("down")
        return await real(method, path, *args, **more)  # type: ignore[arg-type]

    network.request = request  # type: ignore[method-assign, assignment]
    with pytest.raises(Unreachable):
        await ada.change_password(old, new)
    network.request = real  # type: ignore[method-assign]
    await ada.close()
    holds, fails = (old, new) if what == "request" else (new, old)
    # Both open the device until one has been tried at the relay; then only the account's own does.
    again = await w.open("ada")
    await again.unlock(fails)
    await again.close()
    again = await w.open("ada")
    with pytest.raises(AuthFailed):
        await again.unlock(fails)
    await again.unlock(holds)
    await again.create_sphere("Harbour plan")
    phone = await w.open("phone")
    with pytest.raises(AuthFailed):
        await phone.sign_in("ada", fails)
    await phone.sign_in("ada", holds)


async def test_password_change(w: World) -> None:
    """CLT-006: a change made, then used on another machine; the old one is refused everywhere."""
    ada = await w.first("ada")
    await ada.create_sphere("Harbour plan")
    new = "an entirely new passphrase 42"
    with pytest.raises(AuthFailed):
        await ada.change_password("not the old password", new)
    await ada.change_password(PASSWORD.format("ada"), new)
    await ada.sync()
    await ada.close()
    again = await w.open("ada")
    with pytest.raises(AuthFailed):
        await again.unlock(PASSWORD.format("ada"))
    await again.unlock(new)
    assert harbour(again).info.have_key


async def test_a_commit_whose_answer_was_lost_was_won(w: World) -> None:
    """CLT-013: the log shows the own entry; its key is kept and used, nothing is made twice."""
    people = await w.sphere_of("ada", "bo")
    w.network("ada").lose("answer", "POST", "/commits")
    assert await harbour(people["ada"]).rotate() == 2
    sent(await harbour(people["ada"]).send("Under key 2"))
    await people["bo"].sync()
    assert texts(people["bo"]) == ["Under key 2"]
    assert harbour(people["bo"]).info.epoch == 2


async def test_a_crash_after_the_commit_was_sent(w: World) -> None:
    """CLT-013: answer lost and the relay gone: the pledge keeps the key over a restart."""
    people = await w.sphere_of("ada", "bo")
    network = w.network("ada")
    network.lose("answer", "POST", "/commits")
    network.lose("request", "GET", "/log")
    real = network.request
    down = False

    async def request(method: str, path: str, *args: object, **more: object) -> object:
        nonlocal down
        if down:
            raise Unreachable("down")
        try:
            return await real(method, path, *args, **more)  # type: ignore[arg-type]
        except Unreachable:
            down = method == "POST"
            raise

    network.request = request  # type: ignore[method-assign, assignment]
    network.rules = [r for r in network.rules if r[0] == "answer"]
    with pytest.raises(Unreachable):
        await harbour(people["ada"]).rotate()
    assert len(commits.pledges(people["ada"].context, harbour(people["ada"]).sph)) == 1
    network.request = real  # type: ignore[method-assign]
    ada = await w.reopen("ada")
    assert harbour(ada).info.epoch == 1
    await ada.sync()
    assert commits.pledges(ada.context, harbour(ada).sph) == []
    assert (harbour(ada).info.epoch, harbour(ada).info.have_key) == (2, True)
    sent(await harbour(ada).send("Still here"))
    await people["bo"].sync()
    assert texts(people["bo"]) == ["Still here"]


async def test_a_crash_before_the_commit_was_sent(w: World) -> None:
    """CLT-013: the very same bytes are sent at the next start; a rival's commit in between makes them lose."""
    people = await w.sphere_of("ada", "bo")
    ada = people["ada"]
    w.network("ada").up = False
    with pytest.raises(Unreachable):
        await harbour(ada).rotate()
    w.network("ada").up = True
    await ada.sync()
    assert harbour(ada).info.epoch == 1  # nothing had been composed while offline
    network = w.network("ada")
    real = network.request

    async def request(method: str, path: str, *args: object, **more: object) -> object:
        if method == "POST" and path.endswith("/commits"):
            network.up = False
        return await real(method, path, *args, **more)  # type: ignore[arg-type]

    network.request = request  # type: ignore[method-assign, assignment]
    with pytest.raises(Unreachable):
        await harbour(ada).rotate()
    network.request = real  # type: ignore[method-assign]
    network.up = True
    sph = harbour(ada).sph
    (pledge,) = commits.pledges(ada.context, sph)
    await harbour(people["bo"]).rotate()
    ada = await w.reopen("ada")
    await ada.sync()
    assert commits.pledges(ada.context, sph) == []
    assert (harbour(ada).info.epoch, harbour(ada).info.have_key) == (2, True)
    assert ada.context.replica(sph).keys[2].secret != (pledge.secret or (0, b""))[1]


@pytest.mark.parametrize("code", ["E_BUSY", "E_RATE", "E_INTERNAL"])
async def test_a_commit_that_has_to_wait_keeps_nobody_from_reading(w: World, code: str) -> None:
    """CLT-008, CLT-013: while somebody else goes first the pledge waits, and what the others say is read."""
    people = await w.sphere_of("ada", "bo")
    network, ada = w.network("ada"), people["ada"]
    real = network.request

    async def request(method: str, path: str, *args: object, **more: object) -> object:
        if method == "POST" and path.endswith("/commits"):
            return Answer(503, json.dumps({"code": code}).encode(), {})
        return await real(method, path, *args, **more)  # type: ignore[arg-type]

    network.request = request  # type: ignore[method-assign, assignment]
    with pytest.raises((Busy, RateLimited, Internal)):
        await harbour(ada).rotate()
    sent(await harbour(people["bo"]).send("Meanwhile"))
    assert (await ada.sync()).faults == (code,)
    assert texts(ada) == ["Meanwhile"]
    assert len(commits.pledges(ada.context, harbour(ada).sph)) == 1
    network.request = real  # type: ignore[method-assign]
    assert (await ada.sync()).faults == ()
    assert harbour(ada).info.epoch == 2


async def test_a_leave_whose_answer_was_lost(w: World) -> None:
    """CLT-013, STR-008: the log is refused to who has left; the same bytes again get their first answer."""
    people = await w.sphere_of("ada", "bo", "cy")
    w.network("bo").lose("answer", "POST", "/commits")
    with pytest.raises(Unreachable):
        await harbour(people["bo"]).leave()
    await people["cy"].sync()
    await harbour(people["cy"]).rotate()
    bo = await w.reopen("bo")
    assert (await bo.sync()).faults == ()
    assert [one.status for one in bo.spheres(past=True)] == ["left"]
    assert commits.pledges(bo.context, bo.spheres(past=True)[0].sph) == []


async def test_two_rotate_at_once(w: World) -> None:
    """CLT-013: one wins, the other speaks under the winner's key; both read everything."""
    people = await w.sphere_of("ada", "bo", "cy")
    ada, bo = harbour(people["ada"]), harbour(people["bo"])
    await ada.remove("cy")
    w.clock.forward(8 * 86400)  # both find the key too old
    for name in ("ada", "bo"):
        await people[name].sync()
    first, second = await asyncio.gather(ada.send("A"), bo.send("B"))
    sent(first), sent(second)
    for name in ("ada", "bo"):
        await people[name].sync()
        assert sorted(texts(people[name])) == ["A", "B"]
    assert ada.info.epoch == bo.info.epoch == 3


async def test_a_message_whose_answer_was_lost_is_sent_once(w: World) -> None:
    """CLT-014: the sealed envelope is the idempotency key."""
    people = await w.sphere_of("ada", "bo")
    w.network("ada").lose("answer", "POST", "/messages")
    waits(await harbour(people["ada"]).send("Once"))
    ada = await w.reopen("ada")
    report = await ada.sync()
    assert (report.sent, report.waiting) == (1, 0)
    await people["bo"].sync()
    assert texts(people["bo"]) == texts(ada) == ["Once"]


async def test_a_sphere_created_without_an_answer(w: World) -> None:
    """CLT-013: creation is a commit like any other."""
    ada = await w.first("ada")
    network: Network = w.network("ada")
    real, lost = network.request, []

    async def request(method: str, path: str, *args: object, **more: object) -> object:
        if method == "POST" and path.endswith("/spheres") and not lost:
            lost.append(path)
            raise Unreachable("lost on the way")
        if lost == [path] or (lost and "/log" in path and len(lost) == 1):
            lost.append(path)
            raise Unreachable("still down")
        return await real(method, path, *args, **more)  # type: ignore[arg-type]

    network.request = request  # type: ignore[method-assign, assignment]
    with pytest.raises(Unreachable):
        await ada.create_sphere("Harbour plan")
    network.request = real  # type: ignore[method-assign]
    ada = await w.reopen("ada")
    await ada.sync()
    assert harbour(ada).info.have_key
    sent(await harbour(ada).send("Here"))


async def test_name_taken(w: World) -> None:
    """CLT-003."""
    people = await w.sphere_of("ada", "bo")
    link = await harbour(people["ada"]).invite()
    other = await w.open("other")
    with pytest.raises(Conflict):
        await other.create_account("bo", "another long passphrase 99", invite_link=link.url)
    assert other.account.status == "new"
