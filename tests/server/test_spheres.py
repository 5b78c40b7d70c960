"""Commits, messages, reading, inboxes: on both databases (STR-001 to STR-009, COM-002, API-004)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

from cloister.protocol.encoding import b64e
from cloister.server import schema, upkeep
from cloister.sphere import compose
from tests.crowd import Bot, Room, body_of, opaque_messages
from tests.server.kit import Kit

FORBIDDEN = b'{"code":"E_FORBIDDEN"}'


def tail(bot: Bot) -> list[object]:
    return [bot.dv, bot.seq, b64e(bot.digest) if bot.seq else ""]


def removal(room: Room, who: Bot) -> object:
    return room.draft(room.owner, compose.Remove(who.id), heads={who.dv: who.head} if who.head else {})


async def test_a_message_gets_the_next_position_and_comes_back_verbatim(both: Kit) -> None:
    room = await both.populate(3)
    sent = [await both.say(bot) for bot in both.bots]
    answer = await both.ask("GET", f"/v1/spheres/{room.sph}/items?after=0&limit=500", as_=both.bots[1])
    items = json.loads(answer.body)
    assert [row["pos"] for row in items["items"]] == list(range(1, items["head"] + 1))  # STR-001: gapless from 1
    assert [row["jws"] for row in items["items"] if row["k"] == "msg"] == sent  # STR-002, API-026: bytes in, bytes out
    before = json.loads(
        (await both.ask("GET", f"/v1/spheres/{room.sph}/items?before=4&limit=2", as_=both.bots[1])).body
    )
    assert [row["pos"] for row in before["items"]] == [2, 3]


async def test_the_same_message_again_gets_the_same_position(both: Kit) -> None:
    room = await both.populate(2)
    bot, path = both.bots[1], f"/v1/spheres/{room.sph}/messages"
    compact = room.say(bot, "once")
    first = await both.ask("POST", path, {"jws": compact}, as_=bot)
    again = await asyncio.gather(*(both.ask("POST", path, {"jws": compact}, as_=bot) for _ in range(5)))
    assert {one.body for one in again} == {first.body}  # API-025, STR-008
    other = room.say(bot, "another with the same number")
    refused = await both.ask("POST", path, {"jws": other}, as_=bot)
    assert refused.status == 409
    assert json.loads(refused.body)["code"] == "E_CONFLICT"
    assert json.loads(refused.body)["seq"] == 1


async def test_every_earlier_message_again_gets_its_position(both: Kit) -> None:
    room = await both.populate(2)
    bot, stride = both.bots[1], schema.STRIDE
    count = 2 * stride + 40
    sent = opaque_messages(room, bot, count, 100)
    live = await both.socket(bot)
    for start in range(0, count, 128):
        await live.say(
            *({"t": "send", "i": i, "jws": sent[i]} for i in range(start, min(start + 128, count))),
        )
    places = [(await live.until("ok", i=i))["pos"] for i in range(count)]
    assert places == list(range(places[0], places[0] + count))
    tried = [0, 1, stride - 2, stride - 1, stride, 2 * stride - 1, 2 * stride, count - 2, count - 1]
    await live.say(*({"t": "send", "i": i, "jws": sent[i]} for i in tried))
    assert [(await live.until("ok", i=i))["pos"] for i in tried] == [places[i] for i in tried]  # STR-008
    bot.seq, bot.digest = stride - 1, bytes(32)
    other = room.say(bot, "another with a number of long ago")
    await live.say({"t": "send", "i": count, "jws": other})
    refused = await live.until("err", i=count)
    assert (refused["code"], refused["seq"]) == ("E_CONFLICT", count)


async def test_a_commit_is_taken_once(both: Kit) -> None:
    room = await both.populate(2)
    bot = await both.enlist("late")
    draft = room.add(bot)
    path = f"/v1/spheres/{room.sph}/commits"
    answers = await asyncio.gather(*(both.ask("POST", path, body_of(draft), as_=room.owner) for _ in range(4)))
    assert {one.status for one in answers} == {200}
    assert len({one.body for one in answers}) == 1  # API-024, COM-002
    changed = json.loads(body_of(draft))
    changed["link"] = b64e(bytes(40))
    refused = await both.ask("POST", path, changed, as_=room.owner)
    assert (refused.status, json.loads(refused.body)["code"]) == (409, "E_CONFLICT")


async def test_of_two_commits_on_one_head_one_wins(both: Kit) -> None:
    room = await both.populate(2)
    drafts = [room.draft(bot, compose.Rotate()) for bot in both.bots]
    answers = await asyncio.gather(
        *(both.commit(bot, draft, take=False) for bot, draft in zip(both.bots, drafts, strict=True))
    )
    assert sorted(one.status for one in answers) == [200, 409]
    loser = next(one for one in answers if one.status == 409)
    assert json.loads(loser.body)["code"] == "E_STALE_HEAD"
    log = json.loads((await both.ask("GET", f"/v1/spheres/{room.sph}/log?from=0", as_=both.bots[0])).body)
    assert log["head"]["seq"] == json.loads(loser.body)["seq"]


async def test_shares_reach_inboxes_and_wait_until_acknowledged(both: Kit) -> None:
    room = await both.populate(3)
    bot = both.bots[2]
    held = json.loads((await both.ask("GET", "/v1/inbox", as_=bot)).body)
    assert [row["k"] for row in held["items"]] == ["commit", "p2p"]  # its own admission, then its share (STR-007)
    assert [row["pos"] for row in held["items"]] == [1, 2]
    await both.commit(room.owner, room.draft(room.owner, compose.Rotate()))
    assert (await both.ask("DELETE", "/v1/inbox?upto=2", as_=bot)).status == 200
    rest = json.loads((await both.ask("GET", "/v1/inbox?after=0", as_=bot)).body)
    assert [row["pos"] for row in rest["items"]] == [3]  # API-028: positions go on after a deletion
    assert rest["head"] == 3


async def test_a_removed_member_gets_the_proof_and_nothing_else(both: Kit) -> None:
    room = await both.populate(3)
    gone = both.bots[2]
    assert (await both.commit(room.owner, removal(room, gone))).status == 200
    inbox = json.loads((await both.ask("GET", "/v1/inbox?after=2", as_=gone)).body)
    assert [row["k"] for row in inbox["items"]] == ["commit"]
    path = f"/v1/spheres/{room.sph}"
    absent = f"/v1/spheres/sp-{b64e(bytes(32))}"
    for rest in ("/log?from=0", "/items", "/heads", "/links?to=1", "/seen/1", "/joins"):
        refused, nowhere = await both.ask("GET", path + rest, as_=gone), await both.ask("GET", absent + rest, as_=gone)
        assert (refused.status, refused.body, refused.headers) == (403, FORBIDDEN, nowhere.headers)  # API-004
        assert (nowhere.status, nowhere.body) == (403, FORBIDDEN)


async def test_stale_tails_name_the_heads_and_hold_the_talker(both: Kit) -> None:
    room = await both.populate(3)
    talker = both.bots[2]
    before = removal(room, talker)
    await both.say(talker, "one more")
    refused = await both.commit(room.owner, before, take=False)
    assert json.loads(refused.body) == {"code": "E_STALE_HEAD", "heads": [tail(talker)]}  # COM-009
    path = f"/v1/spheres/{room.sph}/messages"
    held = await both.ask("POST", path, {"jws": room.say(talker, "faster")}, as_=talker)
    assert (held.status, json.loads(held.body)["code"]) == (503, "E_BUSY")  # STR-009
    assert (await both.commit(room.owner, removal(room, talker))).status == 200


async def test_the_hold_ends_after_two_seconds(both: Kit) -> None:
    room = await both.populate(3)
    talker = both.bots[2]
    before = removal(room, talker)
    await both.say(talker)
    await both.commit(room.owner, before, take=False)
    both.clock.forward(2.1)
    await both.say(talker, "nobody went on with it")


async def test_a_restart_finds_everything(both: Kit) -> None:
    room = await both.populate(3)
    await both.say(both.bots[1])
    await both.commit(room.owner, room.draft(room.owner, compose.Rotate()))
    both.relay.spheres.drop_all()  # what a restart leaves of the caches
    both.relay.views.clear()  # API-052
    await both.say(both.bots[1])
    heads = json.loads((await both.ask("GET", f"/v1/spheres/{room.sph}/heads", as_=both.bots[0])).body)["heads"]
    assert [one["seq"] for one in heads] == [2]


async def test_expired_messages_lose_their_bytes_and_keep_their_place(both: Kit) -> None:
    room = await both.populate(2)
    assert room.state is not None
    policy = replace(room.state.policy, retention=1)
    await both.commit(room.owner, room.draft(room.owner, compose.SetPolicy(policy)))
    compact = await both.say(both.bots[1], "for a day")
    for _ in range(4):  # a session in use stays
        both.clock.forward(36_000)
        assert (await both.ask("GET", "/v1/account", as_=both.bots[1])).status == 200
    await upkeep.once(both.relay)
    found = json.loads((await both.ask("GET", f"/v1/spheres/{room.sph}/items", as_=both.bots[1])).body)
    gone = found["items"][-1]
    assert gone["k"] == "gone"  # STR-019
    assert (gone["seq"], gone["h"], gone["dv"]) == (1, b64e(both.bots[1].digest), both.bots[1].dv)
    seen = await both.ask("GET", f"/v1/spheres/{room.sph}/seen/{gone['pos']}", as_=both.bots[1])
    assert compact.encode() not in seen.body


HUGE = (2**31, 2**53 - 1, 2**53, 2**63 - 1, 2**63, 2**64, 10**30)


async def test_no_number_is_too_large_to_be_refused(both: Kit) -> None:
    """API-004, API-026: positions no database holds are refused in words, by every way they can come."""
    room = await both.populate(2)
    bot, base = both.bots[1], f"/v1/spheres/{room.sph}"
    for n in HUGE:
        paths = [f"{base}/{name}={n}" for name in ("log?from", "items?after", "items?before", "links?to", "log?limit")]
        paths += [f"{base}/seen/{n}", f"{base}/seen/-{n}", f"{base}/log?from=-{n}", f"/v1/inbox?after={n}"]
        for path in paths:
            answer = await both.ask("GET", path, as_=bot)
            code = json.loads(answer.body).get("code")
            assert answer.status == 200 or code in ("E_BAD_FORMAT", "E_FORBIDDEN"), (path, answer.status, code)
            if n >= 2**53 or "seen" in path:
                assert answer.status != 200
        cleared = await both.ask("DELETE", f"/v1/inbox?upto={n}", as_=bot)
        assert cleared.status == (200 if n < 2**53 else 400)
        slot = {"mkv": n, "bytes": b64e(bytes(60)), "ctr": n}
        answer = await both.ask("PUT", "/v1/slots/state", slot, as_=bot)
        assert json.loads(answer.body)["code"] in ("E_CONFLICT", "E_BAD_FORMAT")


async def test_the_longest_retention_is_kept(both: Kit) -> None:
    """STR-001: a policy may name any number of days; the relay stores what its column holds."""
    room = await both.populate(1)
    assert room.state is not None
    draft = room.draft(room.owner, compose.SetPolicy(replace(room.state.policy, retention=2**32 - 1)))
    assert (await both.ask("POST", f"/v1/spheres/{room.sph}/commits", body_of(draft), as_=room.owner)).status == 200
