"""T-S6: an older log than was seen: now, after a restart, on a new device of somebody who has another one.

The relay shows what it had before a removal. Whoever has seen more notices, stops, and sends nothing under the old key.
"""

from __future__ import annotations

from typing import Any

import pytest

from cloister.client import Client, logbook, memory
from cloister.client.replica import new_note
from cloister.protocol import entry
from cloister.protocol.encoding import b64e
from cloister.sphere import message
from tests.hostile.colluding import sent_by, spoken
from tests.hostile.insider import Insider
from tests.hostile.world import ADDRESSES, HostileWorld
from tests.scenarios.world import harbour, sent, waits


def _older(hw: HostileWorld, address: str, upto: int) -> None:
    """This machine is shown the log up to an entry, and nothing said after it."""

    def log(page: Any) -> Any:
        kept = [one for one in page["entries"] if entry.decode(one).seq <= upto]
        h = b64e(entry.decode(kept[-1]).digest) if kept else page["head"]["h"]
        return {"entries": kept, "head": {"seq": upto, "h": h}}

    hw.liar.lie(r"GET /v1/spheres/.*/log", log, address=address)
    hw.liar.lie(r"GET /v1/spheres/.*/items", lambda _: {"items": [], "head": 0}, address=address)


async def _after_a_removal(hw: HostileWorld) -> tuple[dict[str, Client], int]:
    """Cy was removed, all others know; returns the head before that."""
    people = await hw.sphere_of("ada", "bo", "cy")
    before = harbour(people["ada"]).info.seq
    await harbour(people["ada"]).remove("cy", text="Cy is gone")
    await people["bo"].sync()
    await people["bo"].sync()
    assert harbour(people["bo"]).info.epoch == 2
    return people, before


async def test_an_older_log_stops_also_after_a_restart(hw: HostileWorld) -> None:
    """CLT-020, CLT-021: noticed by the running client and by one that was started again meanwhile."""
    people, before = await _after_a_removal(hw)
    _older(hw, ADDRESSES["bo"], before)
    bo = await hw.reopen("bo")
    since = len(hw.liar.calls)
    report = await bo.sync()
    assert "C_LOG_ROLLBACK" in report.faults
    waits(await harbour(bo).send("Not now"))
    bo = await hw.reopen("bo")
    stop = harbour(bo).info.stop
    assert stop is not None and stop.code == "C_LOG_ROLLBACK"
    assert (await bo.sync()).waiting == 1
    assert spoken(sent_by(hw.liar, ADDRESSES["bo"], since)) == []
    assert harbour(bo).info.epoch == 2
    assert people["ada"].account.status == "open"


async def test_control_without_the_comparison_nothing_is_noticed(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CLT-019 taken away (a log that ends early counts as nothing new): no stop, and the client talks on."""
    _, before = await _after_a_removal(hw)
    _older(hw, ADDRESSES["bo"], before)
    real = logbook._continuing

    async def careless(ctx: Any, rep: Any, page: Any, *more: Any) -> Any:
        return await real(ctx, rep, page, *more) if page or rep.history is None else []

    monkeypatch.setattr(logbook, "_continuing", careless)
    bo = await hw.reopen("bo")
    since = len(hw.liar.calls)
    assert "C_LOG_ROLLBACK" not in (await bo.sync()).faults
    await harbour(bo).send("Business as usual")
    assert harbour(bo).info.stop is None
    assert spoken(sent_by(hw.liar, ADDRESSES["bo"], since))


async def _new_device(hw: HostileWorld) -> Client:
    """Bo's phone signs in at a relay that shows it the sphere before the removal."""
    people, before = await _after_a_removal(hw)
    await people["bo"].sync()  # the account's state names the head it has seen
    ADDRESSES["phone"] = "127.0.1.77"
    _older(hw, ADDRESSES["phone"], before)
    return await hw.second_device("bo", "phone")


async def test_a_new_device_is_shown_an_older_log(hw: HostileWorld) -> None:
    """CLT-005, SLOT-013: the state another own device wrote names a later head."""
    phone = await _new_device(hw)
    (info,) = phone.spheres(past=True)
    assert info.stop is not None and info.stop.code == "C_LOG_ROLLBACK"
    assert not [c for c in sent_by(hw.liar, ADDRESSES["phone"]) if c.path.endswith(("/commits", "/messages"))]


async def test_control_without_the_own_state_the_device_joins_the_past(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The floor of the state taken away: the phone introduces itself to the log that still has Cy in it."""

    def without_floor(status: str, **more: Any) -> dict[str, Any]:
        return new_note(status, **{k: v for k, v in more.items() if k != "floor"})

    monkeypatch.setattr(memory, "new_note", without_floor)
    phone = await _new_device(hw)
    (info,) = phone.spheres(past=True)
    assert info.stop is None
    assert [c for c in sent_by(hw.liar, ADDRESSES["phone"]) if c.path.endswith("/commits")]


async def test_an_older_key_log_and_state(hw: HostileWorld) -> None:
    """KLOG-008, SLOT-016: the account's own two records cannot go back either."""
    people = await hw.sphere_of("ada", "bo")
    ctx = people["bo"].context
    old_state = await ctx.relay.slot("state")
    old_log = await ctx.relay.klog(ctx.id)
    await hw.second_device("bo", "bo-tablet")
    await harbour(people["bo"]).set_petname("ada", "Adele")
    await people["bo"].sync()
    told = {"name": "state", "mkv": old_state.mkv, "ctr": old_state.ctr, "bytes": old_state.bytes}
    hw.liar.lie(r"GET /v1/slots/state", lambda _: told, address=ADDRESSES["bo"])
    assert "C_LOG_ROLLBACK" in (await people["bo"].sync()).faults
    hw.liar.honest()
    hw.liar.lie(r"GET /v1/klog/", lambda _: {"entries": list(old_log)}, address=ADDRESSES["bo"])
    assert "C_LOG_ROLLBACK" in (await people["bo"].sync()).faults
    hw.liar.honest()
    assert (await people["bo"].sync()).faults == ()


async def test_a_peer_tells_a_new_device_that_the_log_is_old(hw: HostileWorld) -> None:
    """CLT-015, RUN-014: log and state are both old; a member's message names the entry that is kept back."""
    people, before = await _after_a_removal(hw)
    said = sent(await harbour(people["ada"]).send("New times"))
    compact = (await harbour(people["ada"]).seen(said.mid)).stored
    assert message.decode(compact).head.ls > before
    bo = Insider(people["bo"])
    # An existing device of Bo's that had seen less: the message is ahead of what the relay shows it.
    hw.liar.lie(
        r"GET /v1/spheres/.*/log",
        lambda page: {"entries": [one for one in page["entries"] if entry.decode(one).seq <= bo.view[0].seq],
                      "head": {"seq": bo.view[0].seq, "h": b64e(bo.view[0].digest)}},
        address=ADDRESSES["bo"],
    )  # fmt: skip
    await harbour(people["ada"]).rotate("again")
    await people["bo"].sync()
    since = len(hw.liar.calls)
    waits(await harbour(people["bo"]).send("Who is here?"))
    assert spoken(sent_by(hw.liar, ADDRESSES["bo"], since)) == []
