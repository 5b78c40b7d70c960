"""A key from a saved text lies in no slot of the account because it waited for its log, like one that does."""

from __future__ import annotations

from cloister.account import slot_names
from cloister.client import Client
from tests.hostile.world import ADDRESSES, HostileWorld
from tests.scenarios.world import harbour


async def _stored(client: Client, sph: str) -> list[int]:
    names = [slot_names.parse(one.name) for one in await client.relay.slots()]
    return sorted(one.n for one in names if one.kind == "e" and one.sph == sph)


async def test_a_key_of_a_text_that_waited_for_its_log_is_stored(hw: HostileWorld) -> None:
    """EXP-008, SLOT-010: the relay keeps the share back; the key comes by a text alone, and is in a slot afterwards."""
    people = await hw.sphere_of("ada", "bo", policy={"history": "since-join"})
    ada, bo = harbour(people["ada"]), harbour(people["bo"])
    hw.liar.lie(r"GET /v1/inbox", lambda page: {**page, "items": []}, address=ADDRESSES["bo"])
    await ada.rotate()
    kept = await ada.save_keys()
    taken = await people["bo"].import_keys(kept.text, kept.code)
    (waited,) = taken.waiting
    await people["bo"].sync()
    assert dict(bo.keys())[waited]
    assert waited in await _stored(people["bo"], bo.sph)
