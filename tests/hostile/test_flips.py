"""T-S9: every byte of what the relay keeps for an account, flipped on its way to the client.

One class of error, one message, and afterwards the client asks the relay for exactly the same things, so that nothing
is learnt from which byte it was.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from cloister import crypto
from cloister.client import inbox, keys, logbook, memory, signing
from cloister.errors import CloisterError, VaultError
from cloister.protocol import jws
from cloister.protocol.encoding import b64d, b64e
from cloister.sphere import share
from tests.hostile.colluding import flipped
from tests.hostile.insider import Insider
from tests.hostile.world import ADDRESSES, HostileWorld
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


def _inbox_is(hw: HostileWorld, sph: str, compact: str) -> None:
    """Bo's inbox holds this one letter, whatever the relay really keeps."""
    row = {"pos": 0, "k": "p2p", "sph": sph, "jws": compact}
    hw.liar.honest()
    hw.liar.lie(r"GET /v1/inbox", lambda body: {"items": [{**row, "pos": body["head"] + 1}], "head": body["head"] + 1},
                address=ADDRESSES["bo"])  # fmt: skip


async def _shares(hw: HostileWorld) -> tuple[Insider, str, int]:
    """Bo, who lacks the running key, and the share of it that Ada made for him."""
    people = await hw.sphere_of("ada", "bo")
    ada, bo = Insider(people["ada"]), Insider(people["bo"])
    await harbour(people["ada"]).rotate()
    _, history = ada.view
    n = ada.view[0].ep
    to = ada.view[0].devices[bo.dv]
    me = share.Party(ada.client.account.id, ada.dv)
    made = share.seal(ada.key(n), history.epoch(n), me, ada.ctx.sign, to, iat=ada.ctx.now(), rng=ada.ctx.rng)
    await logbook.pull(bo.ctx, bo.rep)
    return bo, made, n


async def _no_key_by(hw: HostileWorld, bo: Insider, n: int, bent: list[str]) -> set[tuple[Any, ...]]:
    """None of these letters gives Bo the key of epoch ``n``; what he asks the relay for each time."""
    asked = set()
    for compact in bent:
        with bo.ctx.store.step():
            bo.ctx.store.move("inbox", 0)
        _inbox_is(hw, bo.sph, compact)
        since = len(hw.liar.calls)
        await inbox.pull(bo.ctx)
        assert n not in bo.rep.keys
        asked.add(tuple((c.method, c.path, len(c.body)) for c in hw.liar.calls[since:] if c.method != "GET"))
    return asked


def _bent(compact: str, ct: bytes, step: int) -> list[str]:
    """A share with one byte of what is sealed changed, signed by nobody; cut short; with its halves swapped."""
    head, payload, signature = compact.split(".")
    body = b64d(payload).decode()

    def with_ct(new: bytes) -> str:
        return f"{head}.{b64e(body.replace(b64e(ct), b64e(new)).encode())}.{signature}"

    flips = [with_ct(ct[:at] + bytes([ct[at] ^ 1]) + ct[at + 1 :]) for at in range(0, len(ct), step)]
    return [*flips, with_ct(ct[:-1]), with_ct(ct[600:] + ct[:600]), f"{head}.{payload}.{flipped(signature, 5)}"]


async def test_shares(hw: HostileWorld) -> None:
    """SHR-004, CLT-017: a share bent on its way opens nothing, and the relay hears no difference; the true one does."""
    bo, made, n = await _shares(hw)
    ct = b64d(jws.decode(made, "sph-p2p+1").body["ct"])
    assert len(await _no_key_by(hw, bo, n, _bent(made, ct, 97))) == 1
    # What a sender signs can be bent too: resealed for this very device, then bent, then signed.
    ada = Insider(hw.clients["ada"])
    body = jws.decode(made, "sph-p2p+1").body
    signed = []
    for at in (0, 700, 1119, 1121, len(ct) - 1):
        new = {**body, "jti": b64e(os.urandom(16)), "ct": flipped(body["ct"], at)}
        signed.append(jws.sign("sph-p2p+1", {"kid": ada.dv}, new, ada.ctx.sign))
    assert len(await _no_key_by(hw, bo, n, signed)) == 1
    _inbox_is(hw, bo.sph, made)
    with bo.ctx.store.step():
        bo.ctx.store.move("inbox", 0)
    await inbox.pull(bo.ctx)
    assert n in bo.rep.keys


async def test_control_without_signature_and_tag_a_bent_share_is_opened(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SHR-004, EPO-003 taken away: what anybody made of it counts as the key."""
    bo, made, n = await _shares(hw)
    ct = b64d(jws.decode(made, "sph-p2p+1").body["ct"])
    monkeypatch.setattr(crypto, "ed25519_verify", lambda *_: None)
    monkeypatch.setattr(crypto, "hpke_open", lambda _kem, _secret, _info, sealed: sealed[-48:-16])
    monkeypatch.setattr(crypto, "require_equal", lambda *_: None)
    _inbox_is(hw, bo.sph, _bent(made, ct, 5000)[0])
    with bo.ctx.store.step():
        bo.ctx.store.move("inbox", 0)
    await inbox.pull(bo.ctx)
    assert bo.key(n).secret == ct[-48:-16]


async def test_link_blobs(hw: HostileWorld) -> None:
    """EPO-005: a blob with any byte bent, cut, or of another epoch leads to no key, and to the same questions."""
    people = await hw.sphere_of("ada", "bo")
    await harbour(people["ada"]).rotate()
    await harbour(people["ada"]).rotate()
    await people["bo"].sync()
    bo = Insider(people["bo"])
    blobs = {link.n: link.blob for link in await bo.ctx.relay.links(bo.sph, 3)}
    store, asked = bo.ctx.store, set()

    async def without(blob: str) -> set[int]:
        with store.step():
            store.run("DELETE FROM epoch_key WHERE n = 2")
            bo.rep.note.pop("links_tried", None)
            bo.rep.save_note(store)
        bo.ctx.replicas.clear()
        hw.liar.honest()
        hw.liar.lie(r"GET /v1/spheres/.*/links", lambda _: {"links": [{"n": 3, "blob": blob}]}, address=ADDRESSES["bo"])
        since = len(hw.liar.calls)
        await keys.follow_links(bo.ctx, bo.rep)
        asked.add(tuple((c.method, c.path) for c in hw.liar.calls[since:]))
        return set(bo.rep.keys)

    for at in range(60):
        assert await without(flipped(blobs[3], at)) == {1, 3}
    assert await without(b64e(b64d(blobs[3])[:-1])) == {1, 3}
    assert await without(blobs[2]) == {1, 3}
    assert len(asked) == 1
    assert await without(blobs[3]) == {1, 2, 3}


async def test_the_vault_file(hw: HostileWorld) -> None:
    """VLT-002, CLT-002: bytes all over the file on disk bent: the profile does not open, or what was bent is no secret
    and holds nothing up; the file is left as it is."""
    client = await hw.first("ada")
    await client.close()
    path = hw.folder / "ada" / "vault.json"
    whole = path.read_bytes()
    ends = set()
    for at in range(0, len(whole), 7):
        bent = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        path.write_bytes(bent)
        opened = None
        try:
            opened = await hw.open("ada")
            await opened.unlock(PASSWORD.format("ada"))
        except CloisterError as error:
            ends.add(error.code)
        else:
            assert opened.account.login == "ada"  # only what names nothing secret: the label of the device
            ends.add("")
        finally:
            if opened is not None:
                await opened.close()
        assert path.read_bytes() == bent
    path.write_bytes(whole)
    assert ends <= {"C_VAULT", "E_AUTH", "C_FORMAT", ""}
    again = await hw.open("ada")
    await again.unlock(PASSWORD.format("ada"))


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
