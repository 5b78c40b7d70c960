"""T-S9: every byte of what the relay keeps for an account, flipped on its way to the client.

One class of error, one message, and afterwards the client asks the relay for exactly the same things, so that nothing
is learnt from which byte it was.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from cloister import crypto
from cloister.client import keys, memory, signing
from cloister.errors import VaultError
from cloister.protocol.encoding import b64d
from tests.hostile.colluding import flipped
from tests.hostile.insider import Insider
from tests.hostile.world import HostileWorld
from tests.scenarios.world import PASSWORD, harbour

Act = Callable[[], Awaitable[Any]]


async def _each_byte(hw: HostileWorld, pattern: str, member: str, length: int, act: Act) -> set[tuple[Any, ...]]:
    """What ``act`` ends in and asks for, over all positions of one member of one answer."""
    ends = set()
    for at in range(length):
        hw.liar.honest()
        hw.liar.lie(pattern, lambda body, at=at: {**body, member: flipped(body[member], at)})
        since = len(hw.liar.calls)
        with pytest.raises(VaultError) as caught:
            await act()
        asked = tuple((c.method, c.path, len(c.body)) for c in hw.liar.calls[since:])
        ends.add((type(caught.value), caught.value.code, str(caught.value), asked))
    hw.liar.honest()
    return ends


async def test_roots_identity_and_state(hw: HostileWorld) -> None:
    """SLOT-001, SLOT-002, SLOT-009, SLOT-015: both wrapped roots, the slot of the identity key, the state."""
    people = await hw.sphere_of("ada")
    client, ctx = people["ada"], people["ada"].context
    vault = client._need_vault()
    proven = await signing.prove(client.relay, ctx.rng, "ada", PASSWORD.format("ada"), vault.realm, vault=vault)
    row = await client.relay.roots(proven.token)

    async def roots() -> None:
        await signing.open_roots(client.relay, proven, mkv=ctx.mkv)

    ends = set()
    for member in ("wMK", "wRK", "ik"):
        ends |= await _each_byte(hw, r"GET /v1/account/roots", member, len(b64d(getattr(row, member))), roots)
    assert len(ends) == 1
    slot = await client.relay.slot("state")
    log = memory.klog(ctx)

    async def state() -> None:
        await memory.read(ctx, {dv: cert.dk for dv, cert in log.devices.items()})

    assert len(await _each_byte(hw, r"GET /v1/slots/state", "bytes", len(b64d(slot.bytes)), state)) == 1


async def test_slots_of_epochs(hw: HostileWorld) -> None:
    """SLOT-010: a damaged slot is as good as none, byte for byte, and looks the same to the relay."""
    people = await hw.sphere_of("ada")
    ada = Insider(people["ada"])
    store = ada.ctx.store
    asked = set()
    for at in range(60):
        with store.step():
            store.run("DELETE FROM todo")

        def lie(body: Any, at: int = at) -> Any:
            return {**body, "slots": [{**s, "bytes": flipped(s["bytes"], at)} if s["name"][:2] == "e." else s
                              for s in body["slots"]]}  # fmt: skip

        hw.liar.honest()
        hw.liar.lie(r"GET /v1/slots", lie)
        since = len(hw.liar.calls)
        await keys.fetch_slots(ada.ctx)
        assert store.rows("todo", "k LIKE 'slot/%'") == []
        asked.add(tuple((c.method, c.path, len(c.body)) for c in hw.liar.calls[since:]))
    assert len(asked) == 1
    hw.liar.honest()
    await keys.fetch_slots(ada.ctx)
    assert len(store.rows("todo", "k LIKE 'slot/%'")) == 1
    assert harbour(people["ada"]).info.have_key


def _without_tag(key: bytes, nonce: bytes, ciphertext: bytes, aad: bytes) -> bytes:
    """AES-GCM as a build without authentication would open it."""
    opener = Cipher(algorithms.AES(key), modes.CTR(nonce + b"\x00\x00\x00\x02")).decryptor()
    return opener.update(ciphertext[:-16]) + opener.finalize()


async def test_control_without_tags_a_flipped_root_is_used(hw: HostileWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """SLOT-001 taken away: a flipped byte makes another master key, and nobody notices."""
    people = await hw.sphere_of("ada")
    client, ctx = people["ada"], people["ada"].context
    vault = client._need_vault()
    proven = await signing.prove(client.relay, ctx.rng, "ada", PASSWORD.format("ada"), vault.realm, vault=vault)
    hw.liar.lie(r"GET /v1/account/roots", lambda body: {**body, "wMK": flipped(body["wMK"], 20)})
    monkeypatch.setattr(crypto, "aead_open", _without_tag)
    opened = await signing.open_roots(client.relay, proven, mkv=ctx.mkv)
    assert opened.roots.mk != ctx.mk
