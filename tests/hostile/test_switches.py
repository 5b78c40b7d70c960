"""T-S10: the relay turns switches that only the owner may turn.

Encryption off, public, retention, clear text allowed: as entries in the owner's name, or as an entry that was signed
and then changed. Every one stops the client with its evidence, and no word leaves in clear.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from cloister import crypto
from cloister.client import Client
from cloister.client.events import Stopped
from cloister.errors import UsageError
from cloister.protocol import entry
from cloister.protocol.encoding import b64d, b64e
from tests.hostile.colluding import in_clear, spoken
from tests.hostile.insider import Insider
from tests.hostile.world import ADDRESSES, HostileWorld, mallory
from tests.scenarios.world import harbour, hear, waits

SWITCHES = ["open", "public", "retention", "plaintext", "custody", "delivery"]


def _body(state: Any, what: str) -> tuple[str, dict[str, Any]]:
    policy = state.policy.as_body()
    return {
        "open": ("mode", {"mode": "open"}),
        "public": ("mode", {"mode": "public"}),
        "retention": ("policy", {"policy": {**policy, "retention": 1}}),
        "plaintext": ("policy", {"policy": {**policy, "plaintext": True}}),
        "custody": ("custody", {"custody": "device"}),
        "delivery": ("delivery", {"delivery": "live"}),
    }[what]


async def _switched(hw: HostileWorld, what: str) -> Client:
    """Bo is shown an entry in Ada's name that she never signed."""
    people = await hw.sphere_of("ada", "bo")
    bo = Insider(people["bo"])
    state, _ = bo.view
    op, body = _body(state, what)
    fake = entry.make(
        mallory(bo.ctx.now()).signer, people["ada"].account.dv, op, body, state.iat, sph=state.sph, seq=state.seq + 1,
        prev=state.digest, ep=state.ep,
    )  # fmt: skip
    one = entry.decode(fake)

    def lie(page: Any) -> Any:
        if page["entries"] and entry.decode(page["entries"][-1]).seq != state.seq:
            return page
        return {"entries": [*page["entries"], fake], "head": {"seq": one.seq, "h": b64e(one.digest)}}

    hw.liar.lie(rf"GET /v1/spheres/{state.sph}/log", lie, address=ADDRESSES["bo"])
    return people["bo"]


@pytest.mark.parametrize("what", SWITCHES)
async def test_a_switch_that_its_owner_did_not_turn(hw: HostileWorld, what: str) -> None:
    """LOG-007, CLT-021: ignored and told, and nothing is sent in clear."""
    bo = await _switched(hw, what)
    before, heard, since = harbour(bo).info, hear(bo), len(hw.liar.calls)
    await bo.sync()
    assert [e.stop.code for e in heard if isinstance(e, Stopped)] == ["C_LOG_INVALID"]
    after = harbour(bo).info
    assert (after.mode, after.custody, after.delivery, after.seq) == (
        before.mode, before.custody, before.delivery, before.seq,
    )  # fmt: skip
    assert harbour(bo).evidence()["code"] == "C_LOG_INVALID"
    item = waits(await harbour(bo).send("For us only"))
    await bo.retry(item.id, anyway="open")
    with pytest.raises(UsageError):
        await harbour(bo).send("In clear, then", openly=True)
    assert spoken(hw.liar.calls[since:]) == []


async def test_control_without_signatures_words_leave_in_clear(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same entry for a client that verifies no entry: after one yes its words are readable by the relay."""
    bo = await _switched(hw, "open")
    monkeypatch.setattr(crypto, "ed25519_verify", lambda *_: None)
    await bo.sync()
    assert harbour(bo).info.mode == "open"
    item = waits(await harbour(bo).send("For us only"))  # even then the person is asked
    since = len(hw.liar.calls)
    await bo.retry(item.id, anyway="open")
    (compact,) = spoken(hw.liar.calls[since:])[:1]
    assert in_clear(compact)
    assert json.loads(b64d(compact.split(".")[1]))["t"] == "For us only"


async def test_an_entry_changed_after_it_was_signed(hw: HostileWorld) -> None:
    """LOG-007: the owner lowers retention to a year; the relay makes a day of it."""
    people = await hw.sphere_of("ada", "bo")
    await harbour(people["ada"]).set_policy(retention=365)

    def lie(page: Any) -> Any:
        *rest, last = page["entries"]
        head, payload, signature = last.split(".")
        body = json.loads(b64d(payload))
        if body["op"] != "policy":
            return page
        body["body"]["policy"]["retention"] = 1
        changed = f"{head}.{b64e(json.dumps(body, separators=(',', ':')).encode())}.{signature}"
        digest = b64e(entry.decode(changed).digest)
        return {"entries": [*rest, changed], "head": {**page["head"], "h": digest}}

    hw.liar.lie(r"GET /v1/spheres/.*/log", lie, address=ADDRESSES["bo"])
    await people["bo"].sync()
    stop = harbour(people["bo"]).info.stop
    assert stop is not None and stop.code == "C_LOG_INVALID"
    assert Insider(people["bo"]).view[0].policy.retention != 1
