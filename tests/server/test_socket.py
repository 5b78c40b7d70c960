"""The live connection: cursors, coalescing, slow readers, lost rights (STR-010 to STR-018)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from cloister.client.transports.memory import MemorySocket
from cloister.errors import Unreachable
from cloister.server import hub as hubs
from cloister.sphere import compose
from tests.server.kit import WATCHDOG, Kit, Live, running
from tests.server.test_spheres import removal


async def closed(live: Live) -> str:
    """The close code, whatever still comes before it."""
    while True:
        try:
            async with asyncio.timeout(WATCHDOG):
                await live.raw.receive()
        except Unreachable as ended:
            return str(ended)


async def collect(live: Live, sph: str, upto: int) -> list[int]:
    """Positions of a stream until ``upto``."""
    found: list[int] = []
    while not found or found[-1] < upto:
        record = await live.next()
        if record["t"] == "item" and record["s"] == sph:
            found.append(record["pos"])
    return found


async def test_the_first_frame_proves_the_session(kit: Kit) -> None:
    await kit.populate(1)
    for first, code in (
        ('[{"t":"auth","token":"' + "A" * 43 + '"}]', "4001"),  # STR-011
        ('[{"t":"sub","i":1,"streams":{}}]', "4002"),
        ("hello", "4002"),
        ("[]", "4001"),
    ):
        live = Live(await kit.memory.transport().connect("/v1/socket"))
        await live.raw.send(first)
        assert code in await closed(live)


async def test_backlog_then_live_without_hole_or_double(both: Kit) -> None:
    room = await both.populate(3)
    for n in range(30):
        await both.say(both.bots[n % 3], f"before {n}")
    live = await both.socket(both.bots[0])
    talking = asyncio.create_task(_talk(both, 40))
    await live.say({"t": "sub", "i": 1, "streams": {room.sph: 0, "inbox": 0}})
    head = both.relay.views[room.sph].state.seq + 1 + 30 + 40
    assert await collect(live, room.sph, head) == list(range(1, head + 1))  # STR-013
    await talking
    await live.close()


async def _talk(kit: Kit, count: int) -> None:
    for n in range(count):
        await kit.say(kit.bots[n % 3], f"while subscribing {n}")


async def test_reconnecting_resumes_at_the_cursor(kit: Kit) -> None:
    room = await kit.populate(2)
    seen: list[int] = []
    cursor = 0
    for round_ in range(4):
        live = await kit.socket(kit.bots[0])
        await live.say({"t": "sub", "i": 1, "streams": {room.sph: cursor}})
        await kit.say(kit.bots[1], f"in round {round_}")
        seen += await collect(live, room.sph, kit.relay.views[room.sph].state.seq + 2 + round_)
        cursor = seen[-1]
        await live.raw.cut()
        await kit.say(kit.bots[0], "nobody listens")
    live = await kit.socket(kit.bots[0])
    await live.say({"t": "sub", "i": 1, "streams": {room.sph: cursor}})
    seen += await collect(live, room.sph, kit.relay.views[room.sph].state.seq + 1 + 8)
    assert seen == list(range(1, len(seen) + 1))


async def test_a_new_subscription_replaces_the_one_before(kit: Kit) -> None:
    room = await kit.populate(2)
    for n in range(10):
        await kit.say(kit.bots[1], str(n))
    head = kit.relay.views[room.sph].state.seq + 11
    live = await kit.socket(kit.bots[0])
    await live.say(
        {"t": "sub", "i": 1, "streams": {room.sph: 0}}, {"t": "sub", "i": 2, "streams": {room.sph: head - 2}}
    )
    await live.until("ok", i=2)
    assert await collect(live, room.sph, head) == [head - 1, head]  # STR-017
    await live.say({"t": "unsub", "i": 3, "streams": [room.sph]})
    await live.until("ok", i=3)
    await kit.say(kit.bots[1], "not heard")
    await live.say({"t": "sub", "i": 4, "streams": {room.sph: head}})
    assert await collect(live, room.sph, head + 1) == [head + 1]


async def test_many_records_share_a_frame(kit: Kit) -> None:
    room = await kit.populate(2)
    for n in range(40):
        await kit.say(kit.bots[1], str(n))
    live = await kit.socket(kit.bots[0])
    await live.say({"t": "sub", "i": 1, "streams": {room.sph: 0}})
    await live.until("live", s=room.sph)
    assert live.frames < 10  # STR-010: more than forty rows


async def test_sends_are_answered_after_their_commit_and_only_once(kit: Kit) -> None:
    room = await kit.populate(2)
    live = await kit.socket(kit.bots[1])
    compact = room.say(kit.bots[1], "hello")
    await live.say({"t": "send", "i": 7, "jws": compact}, {"t": "send", "i": 8, "jws": compact})
    first, second = await live.until("ok", i=7), await live.until("ok", i=8)
    assert first["pos"] == second["pos"]  # STR-008, STR-014
    stored = await kit.ask("GET", f"/v1/spheres/{room.sph}/seen/{first['pos']}", as_=kit.bots[0])
    assert json.loads(stored.body)["jws"] == compact


@pytest.mark.parametrize("weakened", [False, True], ids=["checked", "control"])
async def test_a_message_signed_by_another_is_refused(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, weakened: bool
) -> None:
    room = await kit.populate(3)
    forged = room.say(kit.bots[1], "not mine").rpartition(".")[0] + "." + "A" * 86
    if weakened:
        from cloister.protocol import jws

        monkeypatch.setattr(jws, "verify_ed25519", lambda *_: None)
    live = await kit.socket(kit.bots[1])
    await live.say({"t": "send", "i": 1, "jws": forged})
    answer = await live.next()
    assert answer.get("code") == (None if weakened else "E_BAD_FORMAT")  # CHN-008, STR-005
    if not weakened:
        await live.say({"t": "send", "i": 2, "jws": room.say(kit.bots[2], "another's own")})
        assert (await live.next())["code"] == "E_FORBIDDEN"  # CHN-001: the author is the caller


async def test_refusals_carry_their_public_data(kit: Kit) -> None:
    room = await kit.populate(2)
    await kit.say(kit.bots[1])
    live = await kit.socket(kit.bots[1])
    kit.bots[1].seq += 5
    await live.say({"t": "send", "i": 1, "jws": room.say(kit.bots[1], "a hole")})
    answer = await live.next()
    assert (answer["t"], answer["i"], answer["code"], answer["seq"]) == ("err", 1, "E_CONFLICT", 1)


async def test_subscribing_what_one_may_not_read(kit: Kit) -> None:
    room = await kit.populate(1)
    other = await kit.enlist("other")
    live = await kit.socket(other)
    absent = "sp-" + "A" * 43
    await live.say({"t": "sub", "i": 1, "streams": {room.sph: 0, absent: 0, "inbox": 0}})
    refused = [await live.until("err"), await live.until("err")]
    assert [{**one, "s": ""} for one in refused] == [{"t": "err", "i": 1, "code": "E_FORBIDDEN", "s": ""}] * 2
    await live.until("ok", i=1)  # STR-012
    await live.until("live", s="inbox")


async def test_a_removed_member_loses_the_stream_at_once(kit: Kit) -> None:
    room = await kit.populate(3)
    gone = kit.bots[2]
    live = await kit.socket(gone)
    await live.say({"t": "sub", "i": 1, "streams": {room.sph: 0, "inbox": 2}})
    assert {(await live.until("live"))["s"], (await live.until("live"))["s"]} == {room.sph, "inbox"}
    await kit.commit(room.owner, removal(room, gone))
    await kit.say(kit.bots[1], "without you")
    records: list[dict[str, Any]] = []
    while not records or records[-1]["t"] != "hint":
        records.append(await live.next())
    assert [r["k"] for r in records if r["t"] == "item" and r["s"] == "inbox"] == ["commit"]
    assert any(r == {"t": "lost", "s": room.sph} for r in records)  # STR-016
    assert not [r for r in records if r["t"] == "item" and r["s"] == room.sph]
    await live.say({"t": "sub", "i": 2, "streams": {room.sph: 0}})
    assert (await live.until("err", i=2))["code"] == "E_FORBIDDEN"


async def test_shares_are_delivered_before_the_entries_they_belong_to(kit: Kit) -> None:
    room = await kit.populate(2)
    live = await kit.socket(kit.bots[1])
    for i, stream in enumerate(("inbox", room.sph)):
        await live.say({"t": "sub", "i": i, "streams": {stream: 0}})
        await live.until("live", s=stream)
    await kit.commit(room.owner, room.draft(room.owner, compose.Rotate()))
    after = [await live.next() for _ in range(3)]
    assert [one["s"] for one in after if one["t"] == "item"][:2] == ["inbox", room.sph]  # STR-007


async def test_hints_say_where_to_look(kit: Kit) -> None:
    room = await kit.populate(2)
    owner, asker = await kit.socket(room.owner), await kit.enlist("asker")
    waiting = await kit.socket(asker)
    await kit.ask("POST", "/v1/joins", {"jws": asker.wants_in(room.sph, kit.relay.now)}, as_=asker)
    assert await owner.until("hint") == {"t": "hint", "k": "join", "s": room.sph}  # STR-015
    await kit.commit(room.owner, room.add(asker))
    kinds = {(await waiting.until("hint"))["k"], (await waiting.until("hint"))["k"]}
    assert kinds == {"joined", "spheres"} or kinds == {"spheres"}
    await kit.commit(room.owner, room.draft(room.owner, compose.Mark()))
    assert (await owner.until("hint", k="rotate"))["s"] == room.sph


async def test_a_slow_reader_is_cut_off_and_resumes(tmp_path: Path) -> None:
    async with running(tmp_path, socket_queue=65536) as kit:
        room = await kit.populate(2)
        gate = asyncio.Event()
        transport = kit.memory.transport()
        slow = MemorySocket(kit.memory)
        held = asyncio.Event()

        class Plugged(asyncio.Queue[Any]):
            async def put(self, message: Any) -> None:
                if message["type"] == "websocket.send" and held.is_set():
                    await gate.wait()
                await super().put(message)

        slow._from_app = Plugged()
        await slow.open(transport._scope("websocket", "/v1/socket", []) | {"subprotocols": []})
        live = Live(slow)
        await live.say({"t": "auth", "token": kit.bots[0].token})
        await live.say({"t": "sub", "i": 1, "streams": {room.sph: 0}})
        await live.until("live")
        held.set()
        for n in range(120):
            await kit.say(kit.bots[1], f"{n} " * 100)
        gate.set()
        assert "4008" in await closed(live)  # STR-016
        again = await kit.socket(kit.bots[0])
        await again.say({"t": "sub", "i": 1, "streams": {room.sph: 0}})
        head = kit.relay.views[room.sph].state.seq + 1 + 120
        assert await collect(again, room.sph, head) == list(range(1, head + 1))


async def test_an_ended_session_ends_its_sockets(kit: Kit) -> None:
    await kit.populate(1)
    live = await kit.socket(kit.bots[0])
    assert (await kit.ask("DELETE", "/v1/auth/session/this", as_=kit.bots[0])).status == 200
    assert "4001" in await closed(live)


async def test_stopping_closes_kindly(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.populate(1)
        live = await kit.socket(kit.bots[0])
        await kit.app.farewell()
        assert "1001" in await closed(live)  # STR-018
        assert kit.relay.hub.sockets == 0


async def test_too_many_sockets_and_too_many_records(tmp_path: Path) -> None:
    async with running(tmp_path, sockets_per_account=2, rate_account=5) as kit:
        await kit.populate(1)
        first, _ = await kit.socket(kit.bots[0]), await kit.socket(kit.bots[0])
        third = Live(await kit.memory.transport().connect("/v1/socket"))
        await third.say({"t": "auth", "token": kit.bots[0].token})
        assert "4009" in await closed(third)  # LIM-005
        for i in range(30):
            await first.say({"t": "unsub", "i": i, "streams": []})
        assert "4029" in await closed(first)


async def test_ack_clears_the_inbox(kit: Kit) -> None:
    await kit.populate(2)
    live = await kit.socket(kit.bots[1])
    await live.say({"t": "ack", "i": 3, "pos": 1})
    await live.until("ok", i=3)
    left = json.loads((await kit.ask("GET", "/v1/inbox", as_=kit.bots[1])).body)
    assert [row["pos"] for row in left["items"]] == [2]


async def test_a_hub_never_delivers_a_position_twice_or_out_of_order(kit: Kit) -> None:
    room = await kit.populate(2)
    live = await kit.socket(kit.bots[0])
    await live.say({"t": "sub", "i": 1, "streams": {room.sph: 0}})
    head = (await live.until("live"))["pos"]
    record = '{"t":"item","s":"x","pos":0}'
    kit.relay.hub.stored(hubs.Stored(room.sph, head, record))  # seen already
    await kit.say(kit.bots[1], "the next one")
    assert await collect(live, room.sph, head + 1) == [head + 1]


@pytest.mark.parametrize(
    ("path", "origin", "opens"),
    [
        ("/v1/socket", None, True),
        ("/v1/socket", b"http://localhost:8420", True),
        ("/v1/socket", b"https://elsewhere.example", False),
        ("/v1/other", None, False),
    ],
)
async def test_a_foreign_page_may_not_connect(kit: Kit, path: str, origin: bytes | None, opens: bool) -> None:
    scope = kit.memory.transport()._scope("websocket", path, [(b"origin", origin)] if origin else [])
    raw = MemorySocket(kit.memory)
    if opens:
        await raw.open(scope | {"subprotocols": []})
        await raw.close()
    else:
        with pytest.raises(Unreachable):  # API-006
            await raw.open(scope | {"subprotocols": []})
