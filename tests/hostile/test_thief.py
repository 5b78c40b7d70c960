"""A stolen, unlocked device before it is shut out, and the master key it knew or sent."""

from __future__ import annotations

import pytest

from cloister.account import credentials, slot_names, slots
from cloister.account.keys import Roots
from cloister.client import Client, acts, keys, memory
from cloister.client.context import Context
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.keylog import KeyLog
from tests.hostile.world import HostileWorld
from tests.scenarios.world import PASSWORD, harbour

THEIRS = bytes(range(32))


async def _three(hw: HostileWorld) -> tuple[Client, Client, Client]:
    """Ada's desk, her phone (to be stolen) and her tablet."""
    people = await hw.sphere_of("ada", "bo")
    phone = await hw.second_device("ada", "ada-phone")
    tablet = await hw.second_device("ada", "ada-tablet")
    for one in (people["ada"], phone, tablet):
        await one.sync()
    return people["ada"], phone, tablet


async def _plant(phone: Client, tablet: Client, mkv: int) -> None:
    """The thief hands the tablet a master key of his own."""
    ctx, sph = phone.context, harbour(phone).sph
    to = ctx.replica(sph).known[0].devices[tablet.context.dv]
    ct = credentials.seal_mk_share(ctx.id, ctx.dv, to.dv, to.kem, to.de, Roots(THEIRS, b"", mkv))
    made = keys.letter(ctx, sph, "mk", idR=ctx.id, dvR=to.dv, kem=to.kem, mkv=mkv, ct=b64e(ct))
    await ctx.relay.post([to.dv], made)
    await tablet.sync()
    assert tablet.context.mk == THEIRS


@pytest.mark.parametrize("mkv", [2, 9])
async def test_a_planted_master_key_is_replaced_by_the_next_true_one(hw: HostileWorld, mkv: int) -> None:
    """SLOT-025: once its sender is revoked the key counts as unknown, whatever generation it claimed."""
    desk, phone, tablet = await _three(hw)
    await _plant(phone, tablet, mkv)
    await desk.revoke_device("ada-phone", PASSWORD.format("ada"))
    await tablet.sync()
    await tablet.sync()
    assert tablet.context.mk == desk.context.mk != THEIRS
    assert tablet.context.mkv == desk.context.mkv == 2


async def test_the_device_with_the_planted_key_can_shut_the_thief_out(hw: HostileWorld) -> None:
    """SLOT-025, CLT-007: a generation only a letter claimed is no measure for what the password opens."""
    desk, phone, tablet = await _three(hw)
    await _plant(phone, tablet, 9)
    await tablet.revoke_device("ada-phone", PASSWORD.format("ada"))
    await desk.sync()
    await desk.sync()
    assert tablet.context.mk == desk.context.mk != THEIRS
    assert desk.context.mk != phone.context.mk


async def _nobody_told(ctx: Context, log: KeyLog) -> None:
    """The relay keeps the new master key from the other devices."""


def _slots_sent(hw: HostileWorld, name: str) -> list[str]:
    return [path for method, path in hw.network(name).log if method == "PUT" and "/slots/e." in path]


@pytest.mark.parametrize("guarded", [True, False])
async def test_no_key_is_stored_under_what_a_lost_device_knew(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """SLOT-024: a device that sees the revocation and gets no new master key stores no epoch key. Control: without
    that check it offers the relay the new epoch's key under the master key the thief has."""
    desk, _, tablet = await _three(hw)
    monkeypatch.setattr(acts, "share_master", _nobody_told)
    if not guarded:
        monkeypatch.setattr(memory, "unanswered", lambda ctx: set())
    await desk.revoke_device("ada-phone", PASSWORD.format("ada"))
    hw.network("ada-tablet").log.clear()
    ctx = tablet.context
    await tablet.sync()
    ctx.store.put("mk_due", None)  # what the relay says of generations is its own word: here it says nothing
    await keys.put_slots(ctx, ctx.replica(harbour(tablet).sph))
    assert harbour(tablet).info.epoch == 2
    assert bool(_slots_sent(hw, "ada-tablet")) is not guarded


async def test_slots_spoiled_in_advance_are_written_again_under_the_next_master_key(hw: HostileWorld) -> None:
    """SLOT-007, SLOT-010: the thief fills the slots of epochs to come; once he is shut out they hold the true keys."""
    desk, phone, _ = await _three(hw)
    sph, thief = harbour(desk).sph, phone.context
    for n in (2, 3):
        await thief.relay.put_slot(slot_names.epoch(sph, n), 1, bytes(60))
    await harbour(desk).rotate()
    await desk.sync()
    ctx = desk.context
    assert (
        ctx.store.one("SELECT slot FROM epoch_key WHERE sph = ? AND n = 2", sph)[0] == -1
    )  # taken, and no key of ours
    await desk.revoke_device("ada-phone", PASSWORD.format("ada"))
    await desk.sync()
    assert (ctx.mkv, harbour(desk).info.epoch) == (2, 3)
    for n in (2, 3):
        found = await ctx.relay.slot(slot_names.epoch(sph, n))
        assert found.mkv == 2
        assert slots.open_epoch(ctx.mk, ctx.id, sph, n, b64d(found.bytes)) == ctx.replica(sph).keys[n].secret
