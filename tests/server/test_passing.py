"""Live messages are handed on, to whom they may go, and kept nowhere (LIVE-013)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from cloister.protocol import jws
from cloister.protocol.encoding import b64e
from cloister.server.hub import Hint, Hub
from tests.crowd import Bot, Room
from tests.server.kit import Kit


def message(room: Room, sender: Bot, k: str = "ask", signer: Bot | None = None, **members: Any) -> str:
    ask = {"ns": [1], "epk": b64e(os.urandom(512)), "hs": b64e(os.urandom(32)), "exp": 2}
    payload = {"k": k, "sph": room.sph, "iat": 1, "jti": b64e(os.urandom(16)), **(members or ask)}
    return jws.sign("sph-live+1", {"kid": sender.dv}, payload, (signer or sender).author.signer)


def end(room: Room, sender: Bot, to: Bot) -> str:
    return message(room, sender, "end", idR=to.id, dvR=to.dv, ask=b64e(bytes(32)), why="failed")


async def test_it_reaches_who_is_there_and_nobody_else(kit: Kit) -> None:
    room = await kit.populate(3)
    ada, bo, cy = room.owner, kit.bots[1], kit.bots[2]
    outsider = await kit.enlist("outsider")
    lines = {one.login: await kit.socket(one) for one in (ada, bo, outsider)}
    asked = message(room, bo)
    answer = await kit.ask("POST", "/v1/live", {"to": [], "jws": asked}, as_=bo)
    assert json.loads(answer.body) == {"reached": 1}  # cy is away, bo is the sender
    record = {"t": "pass", "s": room.sph, "jws": asked}
    assert await lines[ada.login].until("pass") == record
    told = end(room, ada, bo)
    assert json.loads((await kit.ask("POST", "/v1/live", {"to": [bo.dv], "jws": told}, as_=ada)).body)["reached"] == 1
    assert (await lines[bo.login].until("pass"))["jws"] == told
    nobody = await kit.ask("POST", "/v1/live", {"to": [cy.dv], "jws": end(room, ada, cy)}, as_=ada)
    assert json.loads(nobody.body) == {"reached": 0}
    line = lines[outsider.login]
    await line.say({"t": "sub", "i": 9, "streams": {"inbox": 0}})
    heard = [await line.next()]
    while heard[-1]["t"] != "live":
        heard.append(await line.next())
    assert not [one for one in heard if one["t"] == "pass"]


async def test_what_is_refused(kit: Kit) -> None:
    room = await kit.populate(3)
    ada, bo, cy = room.owner, kit.bots[1], kit.bots[2]
    outsider = await kit.enlist("outsider")
    fine = {"to": [], "jws": message(room, bo)}
    refused: dict[str, tuple[Bot, dict[str, Any], int]] = {
        "another's device": (ada, fine, 403),
        "no member": (outsider, fine, 403),
        "forged": (bo, {"to": [], "jws": message(room, bo, signer=ada)}, 400),
        "named for one, sent to another": (bo, {"to": [cy.dv], "jws": end(room, bo, ada)}, 400),
        "named for one, sent to all": (bo, {"to": [], "jws": end(room, bo, ada)}, 400),
        "to a stranger": (bo, {"to": [outsider.dv], "jws": message(room, bo)}, 403),
        "no such kind of envelope": (bo, {"to": [], "jws": room.say(bo, "hello")}, 400),
    }
    for name, (who, body, status) in refused.items():
        assert (await kit.ask("POST", "/v1/live", body, as_=who)).status == status, name
    assert (await kit.ask("POST", "/v1/live", fine, as_=bo)).status == 200


async def test_nothing_of_it_is_kept(kit: Kit, tmp_path: Path) -> None:
    room = await kit.populate(2)
    line = await kit.socket(room.owner)
    asked = message(room, kit.bots[1])
    await kit.ask("POST", "/v1/live", {"to": [], "jws": asked}, as_=kit.bots[1])
    await line.until("pass")
    said = room.say(kit.bots[1], "this is kept")
    await kit.ask("POST", f"/v1/spheres/{room.sph}/messages", {"jws": said}, as_=kit.bots[1])
    kept = [path.read_bytes() for path in Path(kit.relay.settings.data).rglob("*") if path.is_file()]
    assert any(said.encode() in one for one in kept)
    assert not any(asked.split(".")[1].encode() in one or asked.encode() in one for one in kept)


class _Listed(tuple[str, ...]):
    """Names that may be read through once, but not searched for every listener."""

    __slots__ = ()

    def __contains__(self, name: object) -> bool:
        raise AssertionError(f"searched for {name!r}")


class _Listener:
    def __init__(self, account: str, dv: str) -> None:
        self.account, self.dv, self.session, self.heard = account, dv, b"", 0

    def record(self, record: bytes) -> None:
        self.heard += 1


def test_an_ask_to_everybody_costs_the_loop_one_look_per_device() -> None:
    """LIVE-013: in a sphere of 4,096 devices a search in the list of them for each one held the loop for 0.1 s."""
    hub = Hub()
    there = [_Listener(f"id-{n % 4}", f"dv-{n}") for n in range(16)]
    for one in there:
        hub.attach(one)  # type: ignore[arg-type]
    named = _Listed(f"dv-{n}" for n in range(12))
    assert hub.hint(Hint("x", tuple(f"id-{n}" for n in range(4)), named)) == 12
    assert [one.heard for one in there] == [1] * 12 + [0] * 4
