"""A stolen, unlocked device before it is shut out, and the master key it knew or sent."""

from __future__ import annotations

import json
from contextlib import nullcontext, suppress
from typing import Any

import pytest

from cloister.account import credentials, slot_names, slots
from cloister.account.keys import Roots
from cloister.client import Client, acts, enrol, keys, memory
from cloister.client.context import Context
from cloister.errors import Forbidden, UsageError
from cloister.protocol import entry, jws, p2p
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.keylog import KeyLog
from cloister.sphere import invitation
from cloister.sphere.share import Party
from tests.hostile.world import ADDRESSES, HostileWorld, digest_of
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


async def _stolen_phone(hw: HostileWorld) -> tuple[Client, Client, Client]:
    """Ada, Bo, and Bo's phone in a thief's hands; Ada's client has read that Bo revoked it."""
    people = await hw.sphere_of("ada", "bo")
    ada, bo = people["ada"], people["bo"]
    phone = await hw.second_device("bo", "bo-phone")
    for one in (bo, ada, phone):
        await one.sync()
    return ada, bo, phone


async def _revoke(ada: Client, bo: Client, dv: str) -> None:
    await bo.revoke_device(dv, PASSWORD.format("bo"))
    for _ in range(2):
        await bo.sync()
        await ada.sync()
    assert dv in memory.revoked(ada.context)


def _posted(hw: HostileWorld, since: int, path: str) -> list[dict[str, Any]]:
    calls = hw.liar.calls[since:]
    return [json.loads(one.body) for one in calls if one.method == "POST" and one.path.endswith(path)]


@pytest.mark.parametrize("guarded", [True, False])
async def test_a_link_lets_no_device_in_that_is_known_as_revoked(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """CLT-007, CLT-018: the relay shows the thief's request by a link made for Bo himself; neither the link lets it in
    nor a person. Control: without a look at what is revoked the phone gets a share of the running key."""
    ada, bo, phone = await _stolen_phone(hw)
    thief, dv = phone.context, phone.account.dv
    ik, certs, renew = *memory.identity(thief), memory.renewed(thief)
    await _revoke(ada, bo, dv)
    board = await ada.create_sphere("Board")
    link = invitation.parse((await board.invite(to="bo")).url)
    own = [one for one in certs if jws.decode(one, "sph-dev+1").body["dv"] == dv]
    asked = enrol.join_request(
        thief.keys, name="bo", ik=ik, certs=own, link=link, now=thief.now(), rng=thief.rng, renew=renew
    )
    shown = {"joins": [{"h": digest_of(asked), "jws": asked, "exp": thief.now() + 86400}]}
    hw.liar.lie(rf"GET /v1/spheres/{board.sph}/joins", lambda body: shown, address=ADDRESSES["ada"])
    if not guarded:
        monkeypatch.setattr(memory, "revoked", lambda ctx: set())
    since = len(hw.liar.calls)
    await ada.sync()
    if guarded:
        (request,) = await board.requests()
        assert request.code == "C_NOT_MEMBER"
        with pytest.raises(UsageError):
            await board.admit(request, confirmed=True)
    shares = [one["dv"] for commit in _posted(hw, since, f"{board.sph}/commits") for one in commit["wraps"]]
    assert (dv in shares) is not guarded


@pytest.mark.parametrize("guarded", [True, False])
async def test_no_invitation_goes_to_a_device_that_is_known_as_revoked(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """CLT-007, CLT-053: the relay keeps the revocation back in one sphere, which so has most of his devices; no letter
    goes to the phone. Control: without a look at what is revoked the thief holds the link's secret."""
    ada, bo, phone = await _stolen_phone(hw)
    canteen = await ada.create_sphere("Canteen")
    await bo.join((await canteen.invite()).url)
    (request,) = await canteen.requests()
    await canteen.admit(request)
    for one in (bo, phone, ada, bo, phone, ada):
        await one.sync()
    assert len(canteen._state.devices_of(bo.account.id)) == 2
    held = canteen.info.seq

    def before(body: dict[str, Any]) -> dict[str, Any]:
        kept = [one for one in body["entries"] if entry.decode(one).seq <= held]
        return {"entries": kept, "head": {"seq": held, "h": b64e(entry.decode(kept[-1]).digest)}} if kept else body

    hw.liar.lie(rf"GET /v1/spheres/{canteen.sph}/log", before, address=ADDRESSES["ada"])
    hw.liar.lie(rf"GET /v1/spheres/{canteen.sph}/items", lambda body: {**body, "items": []}, address=ADDRESSES["ada"])
    await _revoke(ada, bo, phone.account.dv)
    board = await ada.create_sphere("Board")
    if not guarded:
        monkeypatch.setattr(memory, "revoked", lambda ctx: set())
    since = len(hw.liar.calls)
    with nullcontext() if guarded else suppress(Forbidden):  # refused by this relay; one that colludes passes it on
        await board.invite(to="bo")
    letters = {one["to"][0]: p2p.decode(one["jws"]) for one in _posted(hw, since, "/inbox")}
    assert bo.account.dv in letters or not guarded
    assert (phone.account.dv in letters) is not guarded
    if not guarded:
        one, thief = letters[phone.account.dv], phone.context
        author, here = Party(ada.account.id, ada.account.dv), Party(thief.id, thief.dv)
        found = invitation.open(one.body, one.sph, one.jti, author, here, thief.keys.kem, [thief.keys.de_seed])
        assert (found.sph, bool(found.seed)) == (board.sph, True)
