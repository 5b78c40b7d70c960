"""Readers without an account, and a relay that shows them something else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from cloister import crypto
from cloister.client import Client
from cloister.client.public import PublicReader
from cloister.errors import Forbidden, LogFork, LogInvalid
from cloister.protocol import entry
from cloister.protocol.encoding import b64d, b64e
from cloister.sphere import invitation
from tests.hostile.insider import Insider
from tests.hostile.world import HostileWorld, mallory
from tests.scenarios.world import harbour, sent


async def _said(hw: HostileWorld, link: str) -> list[tuple[str, str]]:
    async with PublicReader(link, transport=hw.network("nobody"), clock=hw.clock) as reader:
        await reader.fetch()
        return [(m.name, m.text) for m in reader.messages()]


async def _public(hw: HostileWorld) -> tuple[Client, str]:
    people = await hw.sphere_of("ada", "bo")
    await harbour(people["ada"]).set_mode("public")
    sent(await harbour(people["ada"]).send("True words"))
    return people["ada"], harbour(people["ada"]).public_link()


async def test_a_log_that_is_not_the_links_is_refused(hw: HostileWorld) -> None:
    """INV-005, CLT-044."""
    _, link = await _public(hw)
    parsed = invitation.parse(link)
    for other in (replace(parsed, pin=bytes(16)), replace(parsed, seq=parsed.seq + 5)):
        with pytest.raises(LogFork):
            await _said(hw, invitation.emit(other))


async def test_a_sphere_the_log_does_not_call_public_is_not_shown(hw: HostileWorld) -> None:
    """CLT-044: the relay serves it, the owner has not said so."""
    people = await hw.sphere_of("ada")
    ada = harbour(people["ada"])
    await ada.set_mode("open")
    sent(await ada.send("For members only"))
    state, history = Insider(people["ada"]).view
    pin = history.digest(state.seq)[: invitation.PIN_LENGTH]
    link = invitation.emit(invitation.Link("public", hw.network("nobody").origin, ada.sph, seq=state.seq, pin=pin))
    for what in ("log", "items"):
        body = (await people["ada"].relay.transport.request(
            "GET", f"/v1/spheres/{ada.sph}/{what}?limit=500", token=people["ada"].relay.token
        )).body  # fmt: skip
        hw.liar.forge(rf"GET /v1/public/.*/{what}", lambda _, found=body: json.loads(found))
    with pytest.raises(Forbidden):
        await _said(hw, link)


async def test_what_nobody_signed_is_not_read(hw: HostileWorld) -> None:
    """LOG-007, MSG-003: entries and words of the relay's own."""
    ada, link = await _public(hw)
    state, _ = Insider(ada).view
    policy = {"policy": {**state.policy.as_body(), "retention": 1}}
    head = {"sph": state.sph, "seq": state.seq + 1, "prev": state.digest, "ep": state.ep}
    fake = entry.make(mallory(int(hw.clock.at)).signer, ada.account.dv, "policy", policy, state.iat, **head)

    hw.liar.lie(r"GET /v1/public/.*/items", _bent)
    assert await _said(hw, link) == []
    hw.liar.honest()
    hw.liar.lie(r"GET /v1/public/.*/log", lambda body: {**body, "entries": [*body["entries"], fake]})
    with pytest.raises(LogInvalid):
        await _said(hw, link)


async def test_control_without_signatures_a_readers_words_are_the_relays(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bent words for a reader that checks none."""
    _, link = await _public(hw)
    monkeypatch.setattr(crypto, "ed25519_verify", lambda *_: None)

    hw.liar.lie(r"GET /v1/public/.*/items", _bent)
    assert await _said(hw, link) == [("ada", "Other words")]


def _bent(body: Any) -> Any:
    rows = [{**row, "jws": _other(row["jws"])} if row["k"] == "msg" else row for row in body["items"]]
    return {**body, "items": rows}


def _other(compact: str) -> str:
    head, payload, signature = compact.split(".")
    return f"{head}.{b64e(b64d(payload).replace(b'True words', b'Other words'))}.{signature}"
