"""T-S9: genuine shares, link blobs, slots and vault openers in a place that is not theirs, and what of them is bent.

A relay or a disk need not forge anything to try this: it has stored, well sealed pieces of other epochs, other spheres,
other devices, and hands them out under the wrong name. A member may help and sign what fits. Every piece is bound to
its place, and the commitment in the signed log decides in the end; the controls take away the one, then both.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

import pytest

from cloister import crypto
from cloister.client import inbox, keys, signing
from cloister.client.enrol import read_vault
from cloister.errors import CloisterError, VaultError
from cloister.protocol import jws
from cloister.protocol.encoding import b64d, b64e
from cloister.sphere import share
from tests.hostile.colluding import flipped, plant
from tests.hostile.insider import Insider
from tests.hostile.test_flips import _without_tag
from tests.hostile.world import ADDRESSES, HostileWorld
from tests.scenarios.world import PASSWORD, harbour


@dataclass
class Scene:
    """Ada, Bo and Cy in two spheres, each in its second epoch. Bo has lost the harbour's second key, and the relay
    gives him nothing else that leads to it."""

    hw: HostileWorld
    ada: Insider
    bo: Insider
    cy: Insider
    board: str

    def share(self, n: int, to: Insider, sph: str = "", by: Insider | None = None) -> str:
        """A genuine share."""
        by, rep = by or self.ada, (by or self.ada).ctx.replica(sph or self.ada.sph)
        state, history = rep.known
        me = share.Party(by.ctx.id, by.dv)
        device = state.devices[to.dv]
        return share.seal(rep.keys[n], history.epoch(n), me, by.ctx.sign, device, iat=by.ctx.now(), rng=by.ctx.rng)

    async def give(self, compact: str) -> None:
        """Hand Bo a letter."""
        await plant(self.hw, self.bo.dv, self.bo.sph, compact)
        await inbox.pull(self.bo.ctx)


async def _scene(hw: HostileWorld) -> Scene:
    people = await hw.sphere_of("ada", "bo", "cy")
    sphere = await people["ada"].create_sphere("Board")
    for name in ("bo", "cy"):
        await sphere.invite(to=name)
        await people[name].sync()
        await people[name].accept_invitation(people[name].invitations()[0].id)
        await people["ada"].sync()
        await people[name].sync()
    for one in (harbour(people["ada"]), sphere):
        await one.rotate()
    for name in ("bo", "cy"):
        await people[name].sync()
    ada, bo, cy = (Insider(people[name]) for name in ("ada", "bo", "cy"))
    hw.liar.lie(r"GET /v1/slots/", lambda body: {**body, "bytes": b64e(os.urandom(60))}, address=ADDRESSES["bo"])
    hw.liar.lie(r"GET /v1/spheres/.*/links", lambda _: {"links": []}, address=ADDRESSES["bo"])
    _lose(bo, 2)
    return Scene(hw, ada, bo, cy, sphere.sph)


def _lose(who: Insider, n: int) -> None:
    store = who.ctx.store
    with store.step():
        store.run("DELETE FROM epoch_key WHERE sph = ? AND n = ?", who.sph, n)
        who.rep.note.pop("links_tried", None)
        who.rep.save_note(store)
    who.ctx.replicas.clear()


def _as(compact: str, by: Insider | None = None, **members: Any) -> str:
    """A share under other members of its letter: signed by ``by``, else with the signature it had."""
    head, _, signature = compact.split(".")
    body = {**jws.decode(compact, share.TYP).body, **members, "jti": b64e(os.urandom(16))}
    if by is not None:
        return jws.sign(share.TYP, {"kid": by.dv}, body, by.ctx.sign)
    return f"{head}.{b64e(json.dumps(body).encode())}.{signature}"


async def test_shares_of_another_place_open_nothing(hw: HostileWorld) -> None:
    """SHR-001, SHR-004: another epoch's, sphere's, device's or sender's, as it is, under another name, or signed so."""
    s = await _scene(hw)
    sph, me = s.bo.sph, {"idR": s.bo.ctx.id, "dvR": s.bo.dv}
    first, other, hers = s.share(1, s.bo), s.share(2, s.bo, s.board), s.share(2, s.cy)
    for compact in (
        first, other, hers,
        _as(first, n=2), _as(other, sph=sph), _as(hers, **me),
        _as(first, s.ada, n=2), _as(other, s.ada, sph=sph), _as(hers, s.ada, **me), _as(s.share(2, s.bo), s.cy),
    ):  # fmt: skip
        await s.give(compact)
        assert 2 not in s.bo.rep.keys
    assert sorted(s.bo.rep.keys) == [1]
    await s.give(s.share(2, s.bo))
    assert s.bo.key(2).secret == s.ada.key(2).secret


def _unbound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build whose shares say nothing of where they belong."""
    seal, opened = crypto.hpke_seal, crypto.hpke_open
    monkeypatch.setattr(crypto, "hpke_seal", lambda kem, public, _, secret: seal(kem, public, b"", secret))
    monkeypatch.setattr(crypto, "hpke_open", lambda kem, secret, _, sealed: opened(kem, secret, b"", sealed))


async def test_control_without_binding_and_commitment_another_epochs_key_is_taken(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SHR-001 taken away, the commitment still refuses another epoch's and keeps the evidence, but Cy signs what Ada
    sealed and counts as who sent the key; EPO-003 taken away too, epoch 1's key is 2's."""
    _unbound(monkeypatch)
    s = await _scene(hw)
    await s.give(_as(s.share(1, s.bo), s.ada, n=2))
    assert 2 not in s.bo.rep.keys
    assert [row["code"] for _, row in s.bo.ctx.store.rows("todo", "k LIKE 'evidence/%'")] == ["C_KC_MISMATCH"]
    await s.give(_as(s.share(2, s.bo), s.cy))
    assert s.bo.key(2).secret == s.ada.key(2).secret
    _lose(s.bo, 2)
    monkeypatch.setattr(crypto, "require_equal", lambda *_: None)
    await s.give(_as(s.share(1, s.bo), s.ada, n=2))
    assert s.bo.key(2).secret == s.ada.key(1).secret


# --- link blobs and slots -----------------------------------------------------------------------------------------


async def _by_link(s: Scene, blob: str) -> bytes | None:
    """Bo, with key 2 and without key 1, is shown ``blob`` as that of epoch 2; what he then has as key 1."""
    if 2 not in s.bo.rep.keys:
        await s.give(s.share(2, s.bo))
    _lose(s.bo, 1)
    s.hw.liar.honest()
    s.hw.liar.lie(r"GET /v1/spheres/.*/links", lambda _: {"links": [{"n": 2, "blob": blob}]}, address=ADDRESSES["bo"])
    await keys.follow_links(s.bo.ctx, s.bo.rep)
    key = s.bo.rep.keys.get(1)
    return key.secret if key is not None else None


async def _blob(s: Scene, sph: str) -> str:
    (link,) = [one for one in await s.ada.ctx.relay.links(sph, 2) if one.n == 2]
    return link.blob


async def _by_slots(s: Scene, turn: dict[str, str]) -> dict[int, bytes]:
    """Bo, with no key of the harbour, fetches the account's slots; ``turn`` says whose bytes stand under which name."""
    _lose(s.bo, 1)
    s.hw.liar.honest()

    def lie(body: Any) -> Any:
        held = {one["name"]: one for one in body["slots"]}
        return {**body, "slots": [{**held[turn.get(name, name)], "name": name} for name in held]}

    s.hw.liar.lie(r"GET /v1/slots($|\?)", lie, address=ADDRESSES["bo"])
    with s.bo.ctx.store.step():
        s.bo.ctx.store.run("DELETE FROM todo WHERE k LIKE 'slot/%'")
    await keys.fetch_slots(s.bo.ctx)
    with s.bo.ctx.store.step() as events:
        keys.use_slots(s.bo.ctx, s.bo.rep, events)
    return {n: key.secret for n, key in s.bo.rep.keys.items()}


async def test_blobs_and_slots_of_another_place_open_nothing(hw: HostileWorld) -> None:
    """EPO-005, SLOT-010: the blob of the same epoch of another sphere with the same members; an account's own slots
    under each other's names, of epochs and of spheres. Then everything as it was."""
    s = await _scene(hw)
    assert await _by_link(s, await _blob(s, s.board)) is None
    assert await _by_link(s, await _blob(s, s.bo.sph)) == s.ada.key(1).secret
    _lose(s.bo, 2)
    one, two, other = f"e.{s.bo.sph}.1", f"e.{s.bo.sph}.2", f"e.{s.board}.1"
    assert await _by_slots(s, {one: two, two: one}) == {}
    assert await _by_slots(s, {one: other, two: other}) == {}
    assert await _by_slots(s, {}) == {1: s.ada.key(1).secret, 2: s.ada.key(2).secret}


async def test_control_without_tag_and_commitment_what_is_bent_or_exchanged_is_a_key(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EPO-005 and SLOT-010 taken away, the commitment still refuses it; EPO-003 too: what the relay made counts."""
    s = await _scene(hw)
    bent, true = flipped(await _blob(s, s.bo.sph), 20), s.ada.key(1).secret
    turn = {f"e.{s.bo.sph}.{n}": f"e.{s.bo.sph}.{3 - n}" for n in (1, 2)}
    assert await _by_link(s, bent) is None
    monkeypatch.setattr(crypto, "aead_open", _without_tag)
    assert await _by_link(s, bent) is None
    _lose(s.bo, 2)
    assert await _by_slots(s, turn) == {}
    monkeypatch.setattr(crypto, "require_equal", lambda *_: None)
    got = await _by_slots(s, turn)
    assert sorted(got) == [1, 2]
    assert got[1] != true
    _lose(s.bo, 2)
    assert await _by_link(s, bent) not in (None, true)


# --- the vault file -----------------------------------------------------------------------------------------------


async def _fails(hw: HostileWorld, name: str, password: str) -> str:
    """The code with which the profile does not open by password. Its vault file stays as it is."""
    path = hw.folder / name / "vault.json"
    before = path.read_bytes()
    client = await hw.open(name)
    with pytest.raises(CloisterError) as caught:
        await client.unlock(password)
    await client.close()
    assert path.read_bytes() == before
    return caught.value.code


async def test_vaults_and_openers_exchanged_open_nothing(hw: HostileWorld) -> None:
    """VLT-002, VLT-003, VLT-007: another profile's vault beside this store, and one opener's box in another's place."""
    people = await hw.sphere_of("ada", "bo")
    key_file = hw.folder / "key"
    await people["ada"].make_key_file(key_file)
    for client in people.values():
        await client.close()
    mine, theirs = (hw.folder / name / "vault.json" for name in ("ada", "bo"))
    whole = mine.read_bytes()
    mine.write_bytes(theirs.read_bytes())
    assert await _fails(hw, "ada", PASSWORD.format("bo")) == "C_VAULT"  # well opened, and of no use to this store
    value = json.loads(whole)
    pw, file = value["openers"]["pw"], value["openers"]["file"]
    pw["box"], file["box"] = file["box"], pw["box"]
    mine.write_bytes(json.dumps(value, separators=(",", ":")).encode())
    assert await _fails(hw, "ada", PASSWORD.format("ada")) == "E_AUTH"
    client = await hw.open("ada")
    with pytest.raises(VaultError):
        await client.unlock_with_file(key_file)
    await client.close()
    mine.write_bytes(whole)
    client = await hw.open("ada")
    await client.unlock_with_file(key_file)


async def test_control_without_tags_a_bent_opener_gives_another_key(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """VLT-002 taken away: the vault opens with a bent byte, to a key that is not this profile's."""
    client = await hw.first("ada")
    path, true = hw.folder / "ada" / "vault.json", client.agent_key()
    value = json.loads(path.read_bytes())
    value["openers"]["pw"]["box"] = flipped(value["openers"]["pw"]["box"], 20)
    path.write_bytes(json.dumps(value, separators=(",", ":")).encode())
    bent = read_vault(client.profile)
    assert bent is not None
    with pytest.raises(VaultError):
        await signing.vault_key(bent, PASSWORD.format("ada"))
    monkeypatch.setattr(crypto, "aead_open", _without_tag)
    assert await signing.vault_key(bent, PASSWORD.format("ada")) != true
    assert len(b64d(value["openers"]["pw"]["box"])) > 44
