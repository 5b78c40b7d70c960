"""Members who write letters without end: shares of epochs that never come, the same question again and again."""

from __future__ import annotations

import pytest

from cloister.client import Client, kept, keys
from cloister.protocol.encoding import b64e
from tests.hostile.world import HostileWorld
from tests.scenarios.world import harbour


async def _write(author: Client, to: Client, n: int) -> None:
    """A share of an epoch that does not exist."""
    dv = to.account.dv
    body = {"n": n, "idR": to.account.id, "dvR": dv, "kem": "xwing", "ct": b64e(bytes(1168))}
    ctx = author.context
    await ctx.relay.post([dv], keys.letter(ctx, harbour(author).sph, "share", **body))


def _waiting(client: Client) -> int:
    return len(client.context.store.rows("todo", "k LIKE 'letter/%'"))


@pytest.mark.parametrize("weak", [False, True], ids=["", "control"])
async def test_shares_of_epochs_that_never_come_have_bounds_and_an_end(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch, weak: bool
) -> None:
    """CLT-017: 64 of one device wait, for 30 days, and cost one look at the log in a round. Control: without the bound
    all of them wait."""
    people = await hw.sphere_of("ada", "bo")
    ada, bo = people["ada"], people["bo"]
    if weak:
        monkeypatch.setattr(kept, "PER_SENDER", 1000)
    for n in range(kept.PER_SENDER + 6 if not weak else 70):
        await _write(bo, ada, 4_000_000_000 + n)
    await ada.sync()
    assert _waiting(ada) == (70 if weak else 64)
    log = hw.network("ada").log
    since = len(log)
    await ada.sync()
    assert len([path for method, path in log[since:] if "/log" in path]) < 6
    await harbour(ada).rotate()
    await bo.sync()
    assert harbour(bo).info.have_key
    hw.clock.forward(kept.LIFE + 1)
    await ada.sync()
    assert _waiting(ada) == 0


async def test_a_share_that_came_early_is_taken_when_its_entry_comes(hw: HostileWorld) -> None:
    """CLT-017: the relay shows the log late; nothing is lost, and the same letter again is kept once."""
    people = await hw.sphere_of("ada", "bo")
    ada, bo = people["ada"], people["bo"]
    sph, held = harbour(bo).sph, harbour(bo).info.seq
    whole = await bo.context.relay.log(sph, held, 10)
    stale = {"entries": whole.entries, "head": {"seq": whole.head.seq, "h": whole.head.h}}
    hw.liar.lie(rf"GET /v1/spheres/{sph}/log", lambda _: stale, address="127.0.1.2")
    hw.liar.lie(rf"GET /v1/spheres/{sph}/items", lambda body: {**body, "items": []}, address="127.0.1.2")
    await harbour(ada).rotate()
    for _ in range(3):
        await bo.sync()
    assert (_waiting(bo), harbour(bo).info.epoch) == (1, 1)
    hw.liar.honest()
    await bo.sync()
    assert (_waiting(bo), harbour(bo).info.epoch, harbour(bo).info.have_key) == (0, 2, True)


@pytest.mark.parametrize("weak", [False, True], ids=["", "control"])
async def test_one_device_is_not_answered_without_end(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch, weak: bool
) -> None:
    """CLT-017: the same question costs as many shares as fit into the bound, then nothing for ten minutes."""
    people = await hw.sphere_of("ada", "bo")
    ada, bo = people["ada"], people["bo"]
    for _ in range(3):
        await harbour(ada).rotate()
    await bo.sync()
    monkeypatch.setattr(keys, "ANSWERED", 1000 if weak else 6)
    log = hw.network("ada").log

    async def answers() -> int:
        since = len(log)
        for _ in range(5):
            ask = keys.letter(bo.context, harbour(bo).sph, "ask", ns=[1, 2, 3, 4])
            await bo.context.relay.post([ada.account.dv], ask)
        await ada.sync()
        return len([one for one in log[since:] if one == ("POST", "/v1/inbox")])

    assert await answers() == (20 if weak else 6)
    assert await answers() == (20 if weak else 0)
    hw.clock.forward(keys.ASK_AGAIN + 1)
    assert await answers() == (20 if weak else 6)
