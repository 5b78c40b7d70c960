"""A device the relay takes no more: the signed reason where one can be read, and no made-up one.

A relay that wants somebody to give a device up could say that it was removed. Only an entry of an own device counts.
"""

from __future__ import annotations

from typing import Any

import pytest

from cloister import crypto
from cloister.client import Client
from cloister.client.records import Finding
from cloister.client.transports.base import Answer
from cloister.errors import DeviceRevoked
from cloister.protocol import entry
from cloister.protocol.encoding import b64e
from tests.hostile.world import ADDRESSES, HostileWorld, mallory
from tests.scenarios.world import PASSWORD


async def _two(hw: HostileWorld, mode: Any) -> tuple[Client, Client, str]:
    """Ada's desk and phone in one sphere of this mode."""
    desk = await hw.first("ada")
    sphere = await desk.create_sphere("Square", mode=mode)
    phone = await hw.second_device("ada", "ada-phone")
    for one in (desk, phone, desk):
        await one.sync()
    return desk, phone, sphere.sph


async def _device(client: Client) -> list[Finding]:
    return [one for one in await client.doctor() if one.topic == "device"]


async def test_the_reason_is_found_where_it_can_still_be_read(hw: HostileWorld) -> None:
    """CLT-038: the log of a public sphere needs no signing in."""
    desk, phone, _ = await _two(hw, "public")
    await desk.revoke_device("ada-phone", PASSWORD.format("ada"))
    with pytest.raises(DeviceRevoked):
        await phone.sync()
    assert [(one.code, one.text) for one in await _device(phone)] == [
        ("L_REVOKED", "this device was removed: a signed entry says so")
    ]
    phone = await hw.reopen("ada-phone")
    with pytest.raises(DeviceRevoked):  # known from now on, whatever the relay shows
        await phone.sync()


async def test_without_a_signed_reason_the_relay_merely_refuses(hw: HostileWorld) -> None:
    """CLT-038, CLT-031: the doctor says what is known, and no more."""
    desk, phone, _ = await _two(hw, "e2ee")
    assert await _device(phone) == []
    await desk.revoke_device("ada-phone", PASSWORD.format("ada"))
    assert (await phone.sync()).faults == ("E_AUTH",)
    (found,) = await _device(phone)
    assert found.code == "E_AUTH" and "no signed entry" in found.text


async def _lied_to(hw: HostileWorld) -> Client:
    """The phone's session is refused, and a made-up entry says that the desk removed it."""
    desk, phone, sph = await _two(hw, "public")
    state, _ = phone.context.replica(sph).known
    body = {"act": "revoke", "dv": phone.account.dv, "tails": [[phone.account.dv, 0, ""]]}
    ghost = mallory(phone.context.now())
    made = entry.make(
        ghost.signer, desk.account.dv, "device", body, state.iat, sph=sph, seq=state.seq + 1, prev=state.digest,
        ep=state.ep,
    )  # fmt: skip
    head = {"seq": state.seq + 1, "h": b64e(entry.decode(made).digest)}
    hw.liar.lie(rf"GET /v1/public/{sph}/log", lambda _: {"entries": [made], "head": head}, address=ADDRESSES["ada"])
    hw.liar.lie(r"GET /v1/auth/nonce", lambda body: {**body, "nonce": b64e(bytes(32))}, address=ADDRESSES["ada"])
    phone.relay.token = None
    return phone


async def test_a_made_up_removal_is_none(hw: HostileWorld) -> None:
    """CLT-038: signed by nobody of the account."""
    phone = await _lied_to(hw)
    assert (await phone.sync()).faults == ("E_AUTH",)
    assert [one.code for one in await _device(phone)] == ["E_AUTH"]
    hw.liar.honest()
    assert (await phone.sync()).faults == ()
    assert await _device(phone) == []


async def test_a_relay_that_refuses_the_public_log_too_is_merely_refusing(hw: HostileWorld) -> None:
    """CLT-038: what needs no session asks for none."""
    phone = await _lied_to(hw)
    hw.liar.honest()
    hw.liar.lie(r"GET /v1/auth/nonce", lambda body: {**body, "nonce": b64e(bytes(32))}, address=ADDRESSES["ada"])
    asked: list[str] = []
    real = phone.relay.transport.request

    async def refusing(method: str, path: str, *rest: Any, **more: Any) -> Answer:
        asked.append(path)
        return Answer(401, b'{"code":"E_AUTH"}', {}) if "/public/" in path else await real(method, path, *rest, **more)

    phone.relay.transport.request = refusing  # type: ignore[method-assign]
    assert (await phone.sync()).faults == ("E_AUTH",)
    assert len([path for path in asked if "/public/" in path]) <= 4


async def test_control_without_signatures_the_device_gives_up(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = await _lied_to(hw)
    monkeypatch.setattr(crypto, "ed25519_verify", lambda *_: None)
    with pytest.raises(DeviceRevoked):
        await phone.sync()
