"""T-M1, T-M2, T-M3, T-M5, T-M8: members who lie, alone and with the relay's help."""

from __future__ import annotations

import os
from typing import Any

import pytest

from cloister import crypto
from cloister.client import Client
from cloister.errors import BadFormat, Forbidden, IncompleteWraps, RelayError, TooLarge
from cloister.protocol import commit as commits
from cloister.protocol import entry, jws, machine, permission
from cloister.protocol.encoding import b64d, b64e
from cloister.sphere import compose, epoch, message, run, share
from cloister.sphere.payload import Payload
from tests.hostile.insider import Insider, item
from tests.hostile.world import HostileWorld
from tests.scenarios.world import harbour, sent, texts

# --- T-M1: another key for one of the members --------------------------------------------------------------------


async def _rotate_with_a_wrong_share(
    hw: HostileWorld, bo: Insider, victim: str, monkeypatch: pytest.MonkeyPatch
) -> bytes:
    """Bo makes a new key and seals another one to ``victim``."""
    wrong = os.urandom(32)
    real = share.seal_to

    def evil(to: Any, bound: bytes, secret: bytes, rng: Any) -> bytes:
        return real(to, bound, wrong if to.dv == victim else secret, rng)

    with monkeypatch.context() as patch:
        patch.setattr(share, "seal_to", evil)
        await harbour(bo.client).rotate("for you only")
    return wrong


async def test_another_key_is_noticed_and_healed(hw: HostileWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """EPO-003, CLT-017: the victim notices, asks, and is healed by another holder's share."""
    people = await hw.sphere_of("ada", "bo", "cy")
    bo = Insider(people["bo"])
    await _rotate_with_a_wrong_share(hw, bo, people["cy"].account.dv, monkeypatch)
    sent(await harbour(people["bo"]).send("Under key 2"))
    await people["cy"].sync()
    assert dict(harbour(people["cy"]).keys()) == {1: True, 2: False}
    assert "Under key 2" not in texts(people["cy"])
    await people["ada"].sync()
    await people["cy"].sync()
    await people["ada"].sync()
    await people["cy"].sync()
    assert dict(harbour(people["cy"]).keys()) == {1: True, 2: True}
    assert texts(people["cy"])[-1] == "Under key 2"
    assert Insider(people["cy"]).key(2).secret == Insider(people["ada"]).key(2).secret


async def test_control_without_the_commitment_the_wrong_key_stays(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same share against a build that does not compare kc: the victim keeps a key nobody else has."""
    people = await hw.sphere_of("ada", "bo", "cy")
    wrong = await _rotate_with_a_wrong_share(hw, Insider(people["bo"]), people["cy"].account.dv, monkeypatch)
    monkeypatch.setattr(epoch.crypto, "require_equal", lambda *_: None)
    await people["cy"].sync()
    assert Insider(people["cy"]).key(2).secret == wrong


# --- T-M2: somebody else's voice -----------------------------------------------------------------------------------


def _inject(hw: HostileWorld, sph: str, compact: str, address: str) -> None:
    """The relay appends a message to what one member is shown."""

    def lie(body: Any) -> Any:
        pos = body["head"] + 1
        return {"items": [*body["items"], item(pos, compact)], "head": pos}

    hw.liar.lie(rf"GET /v1/spheres/{sph}/items", lie, address=address)


async def test_nobody_speaks_for_another(hw: HostileWorld) -> None:
    """RUN-003, MSG-003: a message under Ada's name with Bo's signature is refused by relay and reader."""
    people = await hw.sphere_of("ada", "bo", "cy")
    bo = Insider(people["bo"])
    fake = bo.say(Payload("msg", os.urandom(16), "I resign"), kid=people["ada"].account.dv)
    with pytest.raises(RelayError):
        await bo.ctx.relay.send(bo.sph, fake)
    _inject(hw, bo.sph, fake, "127.0.1.3")
    await people["cy"].sync()
    assert "I resign" not in texts(people["cy"])
    assert hw.liar.lies > 0


async def test_control_without_signatures_anybody_speaks_for_anybody(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same message against a reader that checks no signature is shown as Ada's."""
    people = await hw.sphere_of("ada", "bo", "cy")
    bo = Insider(people["bo"])
    fake = bo.say(Payload("msg", os.urandom(16), "I resign"), kid=people["ada"].account.dv)
    monkeypatch.setattr(crypto, "ed25519_verify", lambda *_: None)
    _inject(hw, bo.sph, fake, "127.0.1.3")
    await people["cy"].sync()
    (shown,) = [m for m in harbour(people["cy"]).messages() if m.text == "I resign"]
    assert shown.name == "ada"


async def test_a_stolen_ciphertext_cannot_be_signed_again(hw: HostileWorld) -> None:
    """MSG-004: the key belongs to the header's device, so Ada's ciphertext under Bo's name does not open."""
    people = await hw.sphere_of("ada", "bo", "cy")
    bo = Insider(people["bo"])
    said = sent(await harbour(people["ada"]).send("Mine"))
    await people["bo"].sync()
    row = await harbour(people["bo"]).seen(said.mid)
    header, sealed, _ = row.stored.split(".")
    changed = _rename(header, people["ada"].account.dv, bo.dv)
    signing_input = f"{changed}.{sealed}"
    stolen = f"{signing_input}.{b64e(bo.ctx.sign(signing_input.encode()))}"
    await bo.ctx.relay.send(bo.sph, stolen)
    await people["cy"].sync()
    assert texts(people["cy"]) == ["Mine"]
    assert [m.state for m in harbour(people["cy"]).messages()] == ["sent", "damaged"]


async def test_control_without_commitment_and_binding_it_would_open(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a key that does not depend on the device and a header that is not authenticated, the theft shows as Bo's."""
    material, opened = message._material, crypto.aead_open
    monkeypatch.setattr(message, "_material", lambda key, dv, mid: material(key, "dv-anybody", mid))
    seal = crypto.aead_seal
    monkeypatch.setattr(crypto, "aead_seal", lambda k, n, p, aad: seal(k, n, p, b"" if aad[:2] == b"ey" else aad))
    monkeypatch.setattr(crypto, "aead_open", lambda k, n, c, aad: opened(k, n, c, b"" if aad[:2] == b"ey" else aad))
    people = await hw.sphere_of("ada", "bo", "cy")
    bo = Insider(people["bo"])
    said = sent(await harbour(people["ada"]).send("Mine"))
    await people["bo"].sync()
    row = await harbour(people["bo"]).seen(said.mid)
    header, sealed, _ = row.stored.split(".")
    signing_input = f"{_rename(header, people['ada'].account.dv, bo.dv)}.{sealed}"
    await bo.ctx.relay.send(bo.sph, f"{signing_input}.{b64e(bo.ctx.sign(signing_input.encode()))}")
    await people["cy"].sync()
    assert texts(people["cy"]) == ["Mine", "Mine"]


def _rename(header: str, old: str, new: str) -> str:
    return b64e(b64d(header).replace(old.encode(), new.encode()))


async def test_nobody_changes_anothers_words(hw: HostileWorld) -> None:
    """MSG-012, RUN-010: an edit or deletion by somebody else changes nothing."""
    people = await hw.sphere_of("ada", "bo", "cy")
    bo = Insider(people["bo"])
    said = sent(await harbour(people["ada"]).send("Friday"))
    await people["bo"].sync()
    re = b64d(said.mid)
    first = bo.say(Payload("edit", os.urandom(16), "Monday", re=re))
    await bo.ctx.relay.send(bo.sph, first)
    digest = message.decode(first).digest
    state, _ = bo.view
    second = bo.say(
        Payload("delete", os.urandom(16), re=re),
        place=message.Place(2, digest, state.seq, state.digest, state.ep),
    )
    await bo.ctx.relay.send(bo.sph, second)
    await people["cy"].sync()
    shown = harbour(people["cy"]).message(said.mid)
    assert (shown.text, shown.deleted, shown.edited) == ("Friday", False, False)


async def test_control_without_that_rule_anybody_deletes(hw: HostileWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same deletion against a reader that takes everybody for a moderator removes Ada's message."""
    people = await hw.sphere_of("ada", "bo", "cy")
    bo = Insider(people["bo"])
    said = sent(await harbour(people["ada"]).send("Friday"))
    await people["bo"].sync()
    await bo.ctx.relay.send(bo.sph, bo.say(Payload("delete", os.urandom(16), re=b64d(said.mid))))
    monkeypatch.setattr(run._Facts, "circumstances", lambda *_: ("e2ee", "owner"))
    await people["cy"].sync()
    assert harbour(people["cy"]).message(said.mid).deleted


# --- T-M3: owner's acts by a plain member --------------------------------------------------------------------------


def _owner_acts(bo: Insider, ada: str) -> dict[str, dict[str, Any]]:
    state, _ = bo.view
    policy = {**state.policy.as_body(), "plaintext": True}
    ada_dv = next(iter(state.members[ada].devices))
    return {
        "mode": {"mode": "open"},
        "role": {"id": bo.client.account.id, "role": "owner"},
        "remove": {"id": ada, "tails": [[ada_dv, 0, ""]]},
        "policy": {"policy": policy},
        "delivery": {"delivery": "live"},
        "custody": {"custody": "device"},
    }


OWNER_OPS = ["mode", "role", "remove", "policy", "delivery", "custody"]


@pytest.mark.parametrize("op", OWNER_OPS)
async def test_a_member_cannot_act_as_owner(hw: HostileWorld, op: str) -> None:
    """ROLE-003: refused by the relay, and by every client when the relay shows it as done."""
    people = await hw.sphere_of("ada", "bo")
    bo, ada = Insider(people["bo"]), harbour(people["ada"])
    fake = bo.entry(op, _owner_acts(bo, people["ada"].account.id)[op])
    state, _ = bo.view
    body = {
        "idem": b64e(os.urandom(16)),
        "sph": bo.sph,
        "base": {"seq": state.seq, "h": b64e(state.digest)},
        "entries": [fake],
        "attach": {},
        "wraps": [],
    }
    with pytest.raises((Forbidden, BadFormat)):
        await bo.post(body)
    before = ada.info
    _show_entry(hw, bo.sph, fake)
    report = await people["ada"].sync()
    assert "C_LOG_INVALID" in report.faults
    after = ada.info
    assert (after.mode, after.epoch) == (before.mode, before.epoch)
    assert after.stop is not None and after.stop.code == "C_LOG_INVALID"
    assert {p.name: p.role for p in ada.people()} == {"ada": "owner", "bo": "member"}


def _show_entry(hw: HostileWorld, sph: str, fake: str) -> None:
    one = entry.decode(fake)

    def lie(page: Any) -> Any:
        if page["entries"] and entry.decode(page["entries"][-1]).seq == one.seq - 1:
            return {"entries": [*page["entries"], fake], "head": {"seq": one.seq, "h": b64e(one.digest)}}
        return page

    hw.liar.lie(rf"GET /v1/spheres/{sph}/log", lie, address="127.0.1.1")


async def test_control_without_the_role_table_a_member_opens_the_sphere(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same entry against a build whose table lets everybody do everything ends the encryption."""
    people = await hw.sphere_of("ada", "bo")
    bo, ada = Insider(people["bo"]), harbour(people["ada"])
    fake = bo.entry("mode", {"mode": "open"})
    monkeypatch.setattr(machine, "WORDS", {word: (lambda step: True) for word in permission.WORDS})
    _show_entry(hw, bo.sph, fake)
    await people["ada"].sync()
    assert ada.info.mode == "open"


# --- T-M5: commits that do not add up ------------------------------------------------------------------------------


async def _bent(bo: Insider, **changes: Any) -> Any:
    body = bo.draft(compose.Rotate()).commit.as_json()
    for name, change in changes.items():
        body[name] = change(body[name])
    return await bo.post(body)


async def test_shares_for_too_few_too_many_or_twice(hw: HostileWorld) -> None:
    """COM-007: the set of shares is exactly the set of devices, or nothing happens."""
    people = await hw.sphere_of("ada", "bo", "cy")
    bo = Insider(people["bo"])
    before = (bo.view[0].seq, harbour(people["ada"]).info.epoch)
    ghost = {"dv": "dv-" + b64e(os.urandom(32)), "jws": "a.b.c"}
    for change in (
        lambda wraps: wraps[:1],
        lambda wraps: [],
        lambda wraps: [*wraps, wraps[0]],
        lambda wraps: [*wraps, ghost],
    ):
        with pytest.raises(IncompleteWraps):
            await _bent(bo, wraps=change)
    with pytest.raises((BadFormat, TooLarge)):
        await _bent(bo, wraps=lambda wraps: [ghost] * 5000)
    with pytest.raises((BadFormat, TooLarge)):
        await _bent(bo, wraps=lambda wraps: [{"dv": wraps[0]["dv"], "jws": "x" * 20_000_000}])
    with pytest.raises((BadFormat, IncompleteWraps)):
        await _bent(bo, entries=lambda entries: entries * 40)
    log = await bo.ctx.relay.log(bo.sph, 0)
    assert (log.head.seq, harbour(people["ada"]).info.epoch) == before


def _hollow(bo: Insider, compact: str) -> str:
    """The same share, well signed, with noise for its content."""
    body = jws.decode(compact, "sph-p2p+1").body
    return jws.sign("sph-p2p+1", {"kid": bo.dv}, {**body, "ct": b64e(os.urandom(1168))}, bo.ctx.sign)


async def test_shares_that_are_no_shares_are_refused(hw: HostileWorld) -> None:
    """COM-007: what is no letter for that device in that sphere does not enter an inbox."""
    people = await hw.sphere_of("ada", "bo", "cy")
    bo = Insider(people["bo"])
    with pytest.raises(BadFormat):
        await _bent(bo, wraps=lambda wraps: [{**wrap, "jws": "bm90aGluZw.aGVyZQ.YXQgYWxs"} for wrap in wraps])


async def test_garbage_shares_are_healed(hw: HostileWorld) -> None:
    """CLT-017: shares with nothing in them cost the others one question to a holder, or one rotation."""
    people = await hw.sphere_of("ada", "bo", "cy")
    bo = Insider(people["bo"])
    await _bent(bo, wraps=lambda wraps: [{"dv": wrap["dv"], "jws": _hollow(bo, wrap["jws"])} for wrap in wraps])
    for name in ("ada", "cy", "ada", "cy"):
        await people[name].sync()
    sphere = harbour(people["ada"])
    await sphere.send("Still here")
    hw.clock.forward(601)
    for name in ("ada", "cy", "bo"):
        await people[name].sync()
    assert sphere.info.epoch == 3
    for name in ("ada", "cy", "bo"):
        assert texts(people[name])[-1] == "Still here"


async def test_control_a_relay_that_does_not_count_shares_leaves_a_member_out(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without COM-007 at the relay a partial commit stands."""
    people = await hw.sphere_of("ada", "bo", "cy")
    bo = Insider(people["bo"])
    monkeypatch.setattr(commits, "_wraps", lambda *_: None)
    await _bent(bo, wraps=lambda wraps: [w for w in wraps if w["dv"] == people["ada"].account.dv])
    log = await bo.ctx.relay.log(bo.sph, 0)
    assert log.head.seq > bo.view[0].seq


# --- T-M8: one ciphertext, two keys --------------------------------------------------------------------------------


async def _two_faces(hw: HostileWorld) -> Client:
    """Bo says words whose commitment is of another key, all else as it should be: sealed with that header, signed."""
    people = await hw.sphere_of("ada", "bo", "cy")
    bo = Insider(people["bo"])
    honest = message._material
    with pytest.MonkeyPatch.context() as lying:
        lying.setattr(message, "_material", lambda *given: honest(*given)[:32] + os.urandom(32))
        compact = bo.say(Payload("msg", os.urandom(16), "Two faces"))
    await bo.ctx.relay.send(bo.sph, compact)
    await people["cy"].sync()
    return people["cy"]


async def test_a_message_has_one_key(hw: HostileWorld) -> None:
    """MSG-004: a message whose commitment is of another key is not opened, although its tag is good."""
    cy = await _two_faces(hw)
    assert texts(cy) == []
    assert [(one.state, one.code) for one in harbour(cy).messages()] == [("damaged", "C_DECRYPT")]


async def test_control_without_the_commitment_of_messages_it_is_read(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MSG-004 taken away: the tag alone says yes, and it can be made to say so under two keys."""
    monkeypatch.setattr(message.crypto, "require_equal", lambda *_: None)
    assert texts(await _two_faces(hw)) == ["Two faces"]
