"""T-S7: a relay that wants a signature it can use elsewhere.

Every envelope a client signs names its type, and none passes as another one; the only bytes of the relay that are
ever signed are 32 of a nonce, inside a typed answer.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from cloister import crypto
from cloister.client.context import Context
from cloister.errors import CheckFailed, CloisterError, FormatError
from cloister.protocol import entry, jws
from cloister.protocol.encoding import b64d, b64e
from tests.hostile.insider import Insider
from tests.hostile.world import HostileWorld
from tests.scenarios.world import harbour, sent


def _recorded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Everything any client signs with a device or invitation key."""
    signed: list[bytes] = []
    real = crypto.ed25519_sign

    def spy(seed: bytes, message: bytes) -> bytes:
        signed.append(message)
        return real(seed, message)

    monkeypatch.setattr(crypto, "ed25519_sign", spy)
    return signed


def _typ(message: bytes) -> str:
    """The type of a signing input, "" for bytes that are none."""
    for typ in jws.TYPS:
        try:
            jws.decode(message.decode("ascii") + "." + b64e(bytes(64)), typ)
        except (CheckFailed, UnicodeDecodeError):
            continue
        return typ
    return ""


async def _a_day(hw: HostileWorld) -> Any:
    people = await hw.sphere_of("ada", "bo", "cy")
    sent(await harbour(people["bo"]).send("Hello"))
    await harbour(people["ada"]).remove("cy", text="Cy is gone")
    await hw.second_device("bo", "bo-phone")
    await people["bo"].context.session()
    await people["bo"].sync()
    return people


async def test_no_signature_passes_under_another_type(hw: HostileWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """JWS-002, JWS-003: a day's worth of signatures, each tried as every other type, as it is and renamed."""
    signed = _recorded(monkeypatch)
    await _a_day(hw)
    seen = {_typ(one) for one in signed}
    assert {"sph-log+1", "sph-join+1", "sph-p2p+1", "sph-msg+1", "sph-dauth+1", "sph-state+1"} <= seen
    pairs = 0
    for message in signed:
        own = _typ(message)
        if not own:  # proofs inside other structures begin with a length: no base64url, so no signing input
            assert message[:1] == b"\x00"
            continue
        compact = message.decode("ascii") + "." + b64e(os.urandom(64))
        for typ in jws.TYPS:
            if typ == own:
                continue
            with pytest.raises(FormatError):
                jws.decode(compact, typ)
            pairs += 1
    assert pairs > 7 * len(seen)


async def test_a_challenge_is_never_signed_as_it_is(hw: HostileWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """CERT-008, CLT-027: challenges that are signing inputs of other types, or their hashes."""
    people = await hw.sphere_of("ada", "bo")
    bo = Insider(people["bo"])
    wanted = [bo.entry("mark", {}), *(await bo.ctx.relay.log(bo.sph, 0)).entries]
    inputs = [one.rpartition(".")[0].encode() for one in wanted]
    nonces = [b64e(one) for one in inputs] + [one.decode() for one in inputs] + [b64e(crypto.sha256(i)) for i in inputs]
    signed = _recorded(monkeypatch)
    for nonce in nonces:
        hw.liar.honest()
        hw.liar.lie(r"GET /v1/auth/nonce", lambda body, n=nonce: {**body, "nonce": n})
        with pytest.raises(CloisterError):
            await bo.ctx.session()
    assert not set(inputs) & set(signed)
    assert {_typ(one) for one in signed} <= {"sph-dauth+1"}


async def test_control_a_client_that_signs_challenges_signs_entries(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The typed answer taken away (the challenge itself is signed): the relay has an entry in Ada's name, and Bo
    follows it."""
    people = await hw.sphere_of("ada", "bo")
    ada, bo = Insider(people["ada"]), people["bo"]
    state, _ = ada.view
    forged: list[str] = []
    made = entry.make(lambda _: bytes(64), ada.dv, "mode", {"mode": "open"}, state.iat, sph=state.sph,
                      seq=state.seq + 1, prev=state.digest, ep=state.ep)  # fmt: skip
    wanted = made.rpartition(".")[0]

    async def naive(ctx: Context) -> str:
        answer = await ctx.relay.transport.request("GET", "/v1/auth/nonce")
        forged.append(f"{wanted}.{b64e(ctx.sign(b64d(json.loads(answer.body)['nonce'])))}")
        return ""

    monkeypatch.setattr(Context, "session", naive)
    hw.liar.lie(r"GET /v1/auth/nonce", lambda body: {**body, "nonce": b64e(wanted.encode())})
    await ada.ctx.session()
    head = {"seq": state.seq + 1, "h": b64e(entry.decode(forged[0]).digest)}
    hw.liar.lie(r"GET /v1/spheres/.*/log", lambda page: {"entries": [*page["entries"], forged[0]], "head": head})
    await bo.sync()
    assert harbour(bo).info.mode == "open"
