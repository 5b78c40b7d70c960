"""T-S3: keys that no member made for this sphere, and shares from those who may not send any.

What a key is worth is decided by its commitment in the signed log, who may send one by the log's list of devices. The
relay tries everything it can write: entries of its own, shares of its own, shares by somebody who was removed.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from cloister import crypto
from cloister.account import slot_names, slots
from cloister.client import Client
from cloister.protocol import entry, jws
from cloister.protocol.encoding import b64e
from cloister.protocol.state import Device, Epoch, SphereState, recipients_hash
from cloister.sphere import epoch as epochs
from cloister.sphere import message, share
from cloister.sphere.epoch import EpochKey
from cloister.sphere.share import Party
from tests.hostile.colluding import plant, spoken
from tests.hostile.insider import Insider
from tests.hostile.world import ADDRESSES, HostileWorld
from tests.scenarios.world import harbour, sent, texts, waits


class Forger:
    """The relay with keys of its own; what it signs, it signs with a device key that belongs to nobody."""

    def __init__(self, victim: Client) -> None:
        self.victim = Insider(victim)
        self.sph = self.victim.sph
        self.seed = os.urandom(32)

    @property
    def sign(self) -> Any:
        return jws.device_signer(self.seed)

    @property
    def to(self) -> Device:
        return self.victim.view[0].devices[self.victim.dv]

    def share(self, of: EpochKey, at: Epoch, sender: Party, signer: Any = None) -> str:
        """A share for the victim, bound as the rules want it, in anybody's name."""
        made = share.seal_to(self.to, share.info(at, self.sph, sender, Party(self.to.owner, self.to.dv), self.to.kem),
                           of.secret, os.urandom)  # fmt: skip
        payload = {"k": "share", "sph": self.sph, "n": at.n, "idR": self.to.owner, "dvR": self.to.dv,
                   "kem": self.to.kem, "ct": b64e(made), "iat": self.victim.ctx.now(),
                   "jti": b64e(os.urandom(16))}  # fmt: skip
        return jws.sign("sph-p2p+1", {"kid": sender.dv}, payload, signer or self.sign)

    def epoch_entry(self, state: SphereState, kid: str, secret: bytes) -> tuple[str, EpochKey]:
        """An epoch entry in a member's name that commits to a key the relay knows."""
        key = epochs.derive(secret, state.digest, state.sph, state.ep + 1)
        body = {"n": key.n, "kem_min": state.policy.kem_min, "kc": b64e(key.kc),
                "rh": b64e(recipients_hash(state.active_devices()))}  # fmt: skip
        made = entry.make(self.sign, kid, "epoch", body, state.iat, sph=state.sph, seq=state.seq + 1,
                          prev=state.digest, ep=key.n)  # fmt: skip
        return made, key


def _show(hw: HostileWorld, sph: str, fake: str, address: str) -> None:
    """One member is shown a log that ends with ``fake``."""
    one = entry.decode(fake)

    def lie(page: Any) -> Any:
        shown = [entry.decode(each).seq for each in page["entries"]]
        if shown and one.seq - 1 not in shown:
            return page
        return {"entries": [*page["entries"], fake], "head": {"seq": one.seq, "h": b64e(one.digest)}}

    hw.liar.lie(rf"GET /v1/spheres/{sph}/log", lie, address=address)


async def _forged_epoch(hw: HostileWorld) -> tuple[Client, Forger, EpochKey]:
    """Bo is shown a new epoch in Ada's name, and gets a share of its key."""
    people = await hw.sphere_of("ada", "bo")
    bo, forger = people["bo"], Forger(people["bo"])
    state, _ = forger.victim.view
    kid = people["ada"].account.dv
    fake, key = forger.epoch_entry(state, kid, os.urandom(32))
    _show(hw, forger.sph, fake, ADDRESSES["bo"])
    one = entry.decode(fake)
    at = Epoch(key.n, one.seq, one.digest, one.prev, key.kc, b"", "xwing", one.iat, kid)
    await plant(hw, bo.account.dv, forger.sph, forger.share(key, at, Party(people["ada"].account.id, kid)))
    return bo, forger, key


async def test_an_epoch_that_nobody_signed_is_no_epoch(hw: HostileWorld) -> None:
    """LOG-007, CLT-021: the log stops the client, its sending key stays, and nothing leaves under the relay's key."""
    bo, forger, _ = await _forged_epoch(hw)
    since = len(hw.liar.calls)
    report = await bo.sync()
    assert "C_LOG_INVALID" in report.faults
    waits(await harbour(bo).send("Do you read me?"))
    assert spoken(hw.liar.calls[since:]) == []
    assert harbour(bo).info.epoch == 1
    assert sorted(forger.victim.rep.keys) == [1]
    assert harbour(bo).evidence()["code"] == "C_LOG_INVALID"


async def test_control_without_signatures_the_relay_reads_along(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same entry and share against a client that verifies no device signature: the next words are the relay's."""
    bo, _, key = await _forged_epoch(hw)
    monkeypatch.setattr(crypto, "ed25519_verify", lambda *_: None)
    await bo.sync()
    await bo.sync()
    since = len(hw.liar.calls)
    await harbour(bo).send("Do you read me?")
    (compact,) = spoken(hw.liar.calls[since:])[:1]
    assert message.open(message.decode(compact), key).text == "Do you read me?"


async def _planted(hw: HostileWorld, bo: Client, sph: str, compact: str) -> None:
    await plant(hw, bo.account.dv, sph, compact)
    await bo.sync()
    await bo.sync()


async def test_shares_of_another_key_change_nothing(hw: HostileWorld) -> None:
    """SHR-004, EPO-003: by a stranger, in a member's name, by a member; for the running epoch, one that is gone, one
    that will be: the keys held stay those of the log."""
    people = await hw.sphere_of("ada", "bo")
    await harbour(people["ada"]).rotate()
    await people["bo"].sync()
    bo, forger, ada = people["bo"], Forger(people["bo"]), Insider(people["ada"])
    held = dict(forger.victim.rep.keys)
    member = Party(people["ada"].account.id, ada.dv)
    nobody = Party(people["ada"].account.id, "dv-" + b64e(os.urandom(32)))
    _, history = forger.victim.view
    with bo.context.store.step():
        bo.context.store.run("DELETE FROM epoch_key WHERE n = 1")  # a place that a wrong key could take
    bo.context.replicas.clear()
    tries = 0
    for sender, signer in ((nobody, None), (member, None), (member, ada.ctx.sign)):
        for n in (1, 2):
            at = history.epoch(n)
            wrong = EpochKey(forger.sph, n, os.urandom(32), at.kc, at.prev)
            await _planted(hw, bo, forger.sph, forger.share(wrong, at, sender, signer))
            assert wrong.secret not in {key.secret for key in forger.victim.rep.keys.values()}
            tries += 1
        last = history.epoch(2)
        future = Epoch(3, 99, os.urandom(32), os.urandom(32), os.urandom(32), b"", "xwing", last.iat, sender.dv)
        ahead = EpochKey(forger.sph, 3, os.urandom(32), b"", b"")
        await _planted(hw, bo, forger.sph, forger.share(ahead, future, sender, signer))
        assert harbour(bo).info.epoch == 2
    assert tries == 6
    assert forger.victim.rep.keys == held  # the lost one was healed by the true one
    sent(await harbour(bo).send("As before"))
    await people["ada"].sync()
    assert texts(people["ada"]) == ["As before"]


async def test_control_without_the_commitment_a_wrong_key_is_taken(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member's share of a key of the relay's, for an epoch whose key is not here: kept by a build without kc."""
    people = await hw.sphere_of("ada", "bo")
    bo, forger, ada = people["bo"], Forger(people["bo"]), Insider(people["ada"])
    at = forger.victim.view[1].epoch(1)
    wrong = EpochKey(forger.sph, 1, os.urandom(32), at.kc, at.prev)
    with bo.context.store.step():
        bo.context.store.run("DELETE FROM epoch_key")
    bo.context.replicas.clear()
    compact = forger.share(wrong, at, Party(people["ada"].account.id, ada.dv), ada.ctx.sign)
    await plant(hw, bo.account.dv, forger.sph, compact)
    monkeypatch.setattr(epochs.crypto, "require_equal", lambda *_: None)
    await bo.sync()
    assert forger.victim.key(1).secret == wrong.secret


async def _removed_sender(hw: HostileWorld) -> tuple[Client, Forger, str, bytes]:
    """Cy, who is out, hands Bo the true key of epoch 1, which Ada made; Bo's own is lost."""
    people = await hw.sphere_of("ada", "bo", "cy")
    cy = Insider(people["cy"])
    old = cy.key(1)
    await harbour(people["ada"]).remove("cy")
    await people["bo"].sync()
    bo, forger = people["bo"], Forger(people["bo"])
    at = forger.victim.view[1].epoch(1)
    with bo.context.store.step():
        bo.context.store.run("DELETE FROM epoch_key WHERE n = 1")
    bo.context.replicas.clear()
    # Nothing else heals it: no slot, no link blob, nobody answers.
    hw.liar.lie(r"GET /v1/spheres/.*/links", lambda _: {"links": []})
    compact = forger.share(old, at, Party(people["cy"].account.id, cy.dv), cy.ctx.sign)
    await plant(hw, bo.account.dv, forger.sph, compact)
    return bo, forger, cy.dv, old.secret


async def test_a_removed_member_sends_no_keys(hw: HostileWorld) -> None:
    """SHR-005: even a true key is not taken from who is out and did not make it."""
    bo, forger, _, _ = await _removed_sender(hw)
    await bo.sync()
    assert sorted(forger.victim.rep.keys) == [2]
    assert harbour(bo).info.epoch == 2


async def test_control_without_the_list_of_senders_it_is_taken(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SHR-005 taken away: the removed member's share counts."""
    bo, forger, _, secret = await _removed_sender(hw)
    monkeypatch.setattr(share, "_check_author", lambda *_: None)
    await bo.sync()
    assert forger.victim.key(1).secret == secret


async def test_slots_and_links_of_the_relay_open_nothing(hw: HostileWorld) -> None:
    """EPO-003, EPO-005, SLOT-010: the other ways a key can come are of equal rank, and judged the same."""
    people = await hw.sphere_of("ada", "bo")
    await harbour(people["ada"]).rotate()
    await people["bo"].sync()
    bo = Insider(people["bo"])
    genuine = {n: key.secret for n, key in bo.rep.keys.items()}
    other = slots.seal_epoch(bo.ctx.mk, bo.ctx.id, bo.sph, 2, genuine[1], os.urandom)  # well sealed, another key
    name = slot_names.epoch(bo.sph, 1)
    moved = {"slots": [{"name": name, "mkv": 1, "bytes": b64e(other)}]}
    wrong = {"slots": [{"name": name, "mkv": 1, "bytes": b64e(os.urandom(60))}]}
    sealed = slots.seal_epoch(bo.ctx.mk, bo.ctx.id, bo.sph, 1, os.urandom(32), os.urandom)
    planted = {"slots": [{"name": name, "mkv": 1, "bytes": b64e(sealed)}]}
    link = epochs.link_seal(bo.key(2), EpochKey(bo.sph, 1, os.urandom(32), b"", b""), os.urandom)
    for told in (moved, wrong, planted):
        store = bo.ctx.store
        with store.step():
            store.run("DELETE FROM epoch_key WHERE n = 1")
            store.put("slots_due", True)
        bo.ctx.replicas.clear()
        hw.liar.honest()
        hw.liar.lie(r"GET /v1/slots($|\?)", lambda _, told=told: told)  # type: ignore[misc]
        hw.liar.lie(r"GET /v1/spheres/.*/links", lambda _: {"links": [{"n": 2, "blob": b64e(link)}]})
        await people["bo"].sync()
        assert sorted(bo.rep.keys) == [2]
        assert bo.rep.keys[2].secret == genuine[2]
