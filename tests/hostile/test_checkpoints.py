"""What a signed checkpoint says of message chains: a relay that keeps the end of one back, and an owner who lies.

Without a checkpoint nobody misses the last words of a device: nothing that is shown names them.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from cloister.client import heads
from cloister.client.events import GapFound
from cloister.client.records import Finding
from cloister.protocol import jws
from cloister.sphere import compose
from tests.hostile.insider import Insider
from tests.hostile.world import ADDRESSES, HostileWorld
from tests.scenarios.world import harbour, hear, sent


def _without(mid: str) -> Any:
    """An answer of the stream that lacks one message."""

    def lie(body: Any) -> Any:
        kept = [one for one in body["items"] if one["k"] != "msg" or _mid(one["jws"]) != mid]
        return {**body, "items": kept}

    return lie


def _mid(compact: str) -> str:
    return str(jws.decode(compact, "sph-msg+1").header["mid"])


async def _wrong(hw: HostileWorld, name: str) -> list[Finding]:
    """What the doctor says of messages; that the positions have a hole too (CLT-033) is another test's matter."""
    found = [one for one in await hw.clients[name].doctor() if not one.ok and one.code in ("C_GAP", "C_REPLAY")]
    return [one for one in found if "of its list" not in one.text]


async def _tail_dropped(hw: HostileWorld) -> None:
    """Cy says two things; Bo is shown one of them, then Ada's checkpoint."""
    people = await hw.sphere_of("ada", "bo", "cy")
    sent(await harbour(people["cy"]).send("one"))
    last = sent(await harbour(people["cy"]).send("two"))
    await people["ada"].sync()
    hw.liar.lie(r"GET /v1/spheres/.*/items", _without(last.mid), address=ADDRESSES["bo"])
    await people["bo"].sync()
    assert await _wrong(hw, "bo") == []  # so far nothing is missed
    await harbour(people["ada"]).checkpoint()


async def test_a_tail_that_is_kept_back_shows_at_the_next_checkpoint(hw: HostileWorld) -> None:
    """CLT-037, RUN-012: told once, with the name of who signed; nothing stops; a later word settles it."""
    await _tail_dropped(hw)
    bo = hw.clients["bo"]
    heard = hear(bo)
    for _ in range(2):
        await bo.sync()
    gaps = [(e.name, e.missing) for e in heard if isinstance(e, GapFound)]
    assert gaps == [("cy", 1)]
    (finding,) = await _wrong(hw, "bo")
    assert finding.code == "C_GAP" and "ada signed that cy has sent 1 more" in finding.text
    sent(await harbour(bo).send("I go on"))
    hw.liar.honest()
    sent(await harbour(hw.clients["cy"]).send("three"))
    await bo.sync()
    assert (await _wrong(hw, "bo"))[0].text.startswith("1 messages missing")  # an ordinary gap by now


async def test_control_without_reading_heads_a_dropped_tail_is_never_missed(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "take", lambda *_: None)
    await _tail_dropped(hw)
    heard = hear(hw.clients["bo"])
    await hw.clients["bo"].sync()
    assert await _wrong(hw, "bo") == []
    assert not [e for e in heard if isinstance(e, GapFound)]


async def test_what_the_relay_shows_whole_is_no_news(hw: HostileWorld) -> None:
    """CLT-037: a checkpoint that agrees leaves nothing behind, for members of the day and for those who come later."""
    people = await hw.sphere_of("ada", "bo")
    for name in ("ada", "bo", "ada"):
        sent(await harbour(people[name]).send(f"from {name}"))
    await people["ada"].sync()
    await harbour(people["ada"]).checkpoint()
    await hw.join("cy", await harbour(people["ada"]).invite())
    (request,) = await harbour(people["ada"]).requests()
    await harbour(people["ada"]).admit(request)
    for name in ("ada", "bo", "cy"):
        await hw.clients[name].sync()
        assert await _wrong(hw, name) == []
        assert not Insider(hw.clients[name]).rep.note.get("heads")


async def test_an_owner_who_lies_in_a_checkpoint_stops_nobody(hw: HostileWorld) -> None:
    """CLT-037: another hash for a message that is held is kept as evidence; words that do not exist are a gap with his
    name; a reader named beyond his own end does not retire."""
    people = await hw.sphere_of("ada", "bo", "cy")
    said = sent(await harbour(people["cy"]).send("one"))
    sent(await harbour(people["bo"]).send("two"))
    for name in ("ada", "bo"):
        await people[name].sync()
    ada = Insider(people["ada"])
    cy, bo = people["cy"].account.dv, people["bo"].account.dv
    draft = ada.draft(compose.Checkpoint(((cy, 1, os.urandom(32)), (bo, 9, os.urandom(32)))))
    await ada.ctx.relay.commit(ada.sph, json.dumps(draft.commit.as_json()).encode())
    await people["bo"].sync()
    found = {one.code: one.text for one in await _wrong(hw, "bo")}
    assert set(found) == {"C_GAP", "C_REPLAY"}
    assert "ada signed that bo has sent 8 more" in found["C_GAP"]
    assert "ada signed that cy has sent another last message" in found["C_REPLAY"]
    (row,) = [row for name, row in people["bo"].context.store.rows("todo", "k LIKE 'evidence/%'") if cy in name]
    assert row["entry"] == draft.commit.entries[0]
    assert [_mid(one) for one in row["frames"]] == [said.mid]
    sent(await harbour(people["bo"]).send("I go on"))
    assert harbour(people["bo"]).info.stop is None
