"""The same lies told to either client: the same verdicts, and nothing said that the log does not justify."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from cloister import crypto
from cloister.client import Client
from cloister.protocol import entry
from cloister.protocol.encoding import b64d, b64e
from cloister.server import commits
from cloister.sphere import invitation, message
from cloister.sphere.compose import Invite, Rotate
from cloister.sphere.message import Place
from cloister.sphere.payload import Payload
from tests.hostile.colluding import in_clear, sent_by, spoken
from tests.hostile.insider import Insider, item
from tests.hostile.world import ADDRESSES, HostileWorld, Mallory, digest_of, mallory
from tests.hostile_web.conftest import Meet
from tests.hostile_web.victims import Row, Victim
from tests.scenarios.world import harbour, sent

BO = ADDRESSES["bo"]


def _said(hw: HostileWorld, since: int) -> list[str]:
    return spoken(sent_by(hw.liar, BO, since))


async def _stored(client: Client, text: str) -> str:
    """A text said honestly, as the relay has it."""
    said = sent(await harbour(client).send(text))
    return (await harbour(client).seen(said.mid)).stored


def _entry_in_adas_name(hw: HostileWorld, ada: Client, op: str, body: dict[str, Any]) -> None:
    """Bo is shown an entry that follows the head and that Ada never signed."""
    state, _ = Insider(ada).view
    fake = entry.make(
        mallory(int(hw.clock())).signer, ada.account.dv, op, body, state.iat, sph=state.sph, seq=state.seq + 1,
        prev=state.digest, ep=state.ep,
    )  # fmt: skip
    one = entry.decode(fake)

    def lie(page: Any) -> Any:
        if page["entries"] and entry.decode(page["entries"][-1]).seq != state.seq:
            return page
        return {"entries": [*page["entries"], fake], "head": {"seq": one.seq, "h": b64e(one.digest)}}

    hw.liar.lie(rf"GET /v1/spheres/{state.sph}/log", lie, address=BO)


async def _older(hw: HostileWorld, victim: Victim) -> None:
    """Ada makes a new key, Bo sees it, and is then shown the log from before."""
    ada = hw.clients["ada"]
    before = harbour(ada).info.seq
    await harbour(ada).rotate("again")
    await victim.sync()
    assert (await victim.head()).epoch == 2

    def log(page: Any) -> Any:
        kept = [one for one in page["entries"] if entry.decode(one).seq <= before]
        h = b64e(entry.decode(kept[-1]).digest) if kept else page["head"]["h"]
        return {"entries": kept, "head": {"seq": before, "h": h}}

    hw.liar.lie(r"GET /v1/spheres/.*/log", log, address=BO)


async def test_an_older_log(hw: HostileWorld, bo: Meet) -> None:
    """T-S6, CLT-020, CLT-021: noticed, kept over a restart, and nothing is said under what was seen."""
    async with bo() as victim:
        await _older(hw, victim)
        since = len(hw.liar.calls)
        assert "C_LOG_ROLLBACK" in await victim.sync()
        assert not await victim.say("Not now")
        await victim.restart()
        assert (await victim.head())[1:] == (2, "e2ee", "synced", "C_LOG_ROLLBACK")
        assert _said(hw, since) == []


async def test_control_a_browser_that_takes_an_early_end_for_nothing_new_talks_on(
    hw: HostileWorld, browser: Meet
) -> None:
    """CLT-019 taken away from the browser's client: no stop, and its words go out."""
    here = "if (page.length === 0)"
    early = ("src/client/logbook.ts", f"{here} throw", f"{here} return [];\n  if (page.length < 0) throw")
    async with browser(early) as victim:
        await _older(hw, victim)
        since = len(hw.liar.calls)
        assert "C_LOG_ROLLBACK" not in await victim.sync()
        assert await victim.say("Business as usual")
        assert _said(hw, since) != []


async def test_two_histories_signed_by_one_owner(hw: HostileWorld, bo: Meet) -> None:
    """T-S4, CLT-020, LOG-024: another valid entry where one stood is a fork, over a restart and for ever."""
    async with bo() as victim:
        ada = Insider(hw.clients["ada"])
        at = ada.view[0].seq + 1
        jti = os.urandom(16)
        ipk = invitation.key_pair(os.urandom(invitation.SEED_LENGTH), ada.sph, jti)[1]
        rival = ada.draft(Invite(jti, ipk, int(hw.clock()) + 900, "member", 1, "ask"), Rotate()).commit.entries
        others = {entry.decode(one).seq: one for one in rival}
        await harbour(ada.client).rotate()
        await victim.sync()
        assert (await victim.head())[:2] == (at + 1, 2)  # the key, and the title under it

        def log(page: Any) -> Any:
            shown = [others.get(entry.decode(one).seq, one) for one in page["entries"]]
            return {"entries": shown, "head": {"seq": at + 1, "h": b64e(entry.decode(rival[-1]).digest)}}

        hw.liar.lie(r"GET /v1/spheres/.*/log", log, address=BO)
        since = len(hw.liar.calls)
        assert "C_LOG_FORK" in await victim.sync()
        assert not await victim.say("Which one?")
        hw.liar.honest()
        await victim.restart()
        assert (await victim.head()).stop == "C_LOG_FORK"
        assert not await victim.say("And now?")
        assert _said(hw, since) == []


@pytest.mark.parametrize("what", ["mode", "custody", "policy"])
async def test_a_switch_that_its_owner_did_not_turn(hw: HostileWorld, bo: Meet, what: str) -> None:
    """T-S10, LOG-007, CLT-021: refused and told; nothing of the sphere changes, and no word leaves in clear."""
    async with bo() as victim:
        ada = hw.clients["ada"]
        policy = {**Insider(ada).view[0].policy.as_body(), "plaintext": True}
        bodies: dict[str, dict[str, Any]] = {
            "mode": {"mode": "open"}, "custody": {"custody": "device"}, "policy": {"policy": policy},
        }  # fmt: skip
        _entry_in_adas_name(hw, ada, what, bodies[what])
        before, since = await victim.head(), len(hw.liar.calls)
        await victim.sync()
        assert await victim.head() == before._replace(stop="C_LOG_INVALID")
        assert not await victim.say("For us only")
        assert _said(hw, since) == []


async def test_control_a_browser_without_signatures_speaks_in_clear(hw: HostileWorld, browser: Meet) -> None:
    """The same entry for a browser's client that verifies no entry: the sphere is open to it."""
    unsigned = ("src/protocol/machine.ts", "  await verifyEd25519(entry.envelope, device.dk);", "")
    async with browser(unsigned) as victim:
        _entry_in_adas_name(hw, hw.clients["ada"], "mode", {"mode": "open"})
        await victim.sync()
        assert (await victim.head()).mode == "open"
        assert (await victim.head()).stop == ""


async def test_a_ghost_in_the_log(hw: HostileWorld, bo: Meet) -> None:
    """T-S2, LOG-008: a device the owner did not certify is none of hers; no share is sealed to it."""
    async with bo() as victim:
        ada = hw.clients["ada"]
        ghost = mallory(int(hw.clock()), claims=ada.account.id)
        state, _ = Insider(ada).view
        fake = entry.make(
            ghost.signer, ghost.device.dv, "device", {"act": "add", "cert": ghost.cert}, int(hw.clock()), sph=state.sph,
            seq=state.seq + 1, prev=state.digest, ep=state.ep,
        )  # fmt: skip
        head = {"seq": state.seq + 1, "h": b64e(entry.decode(fake).digest)}
        log = r"GET /v1/spheres/.*/log"
        hw.liar.lie(log, lambda page: {"entries": [*page["entries"], fake], "head": head}, address=BO)
        since = len(hw.liar.calls)
        await victim.sync()
        assert (await victim.head()).stop == "C_LOG_INVALID"
        assert not await victim.say("Who is this?")
        assert ghost.device.dv.encode() not in b"".join(call.body for call in sent_by(hw.liar, BO, since))


async def test_messages_turned_repeated_flipped_and_kept_back(hw: HostileWorld, bo: Meet) -> None:
    """RUN-003, RUN-011, CLT-011: read in their author's order, once; a hole is counted; a flipped one is nobody's."""
    async with bo() as victim:
        ada = hw.clients["ada"]
        one, two, three, four = [await _stored(ada, text) for text in ("one", "two", "three", "four")]
        at = four.rindex(".") + 9
        flipped = four[:at] + ("A" if four[at] != "A" else "B") + four[at + 1 :]

        def told(body: Any) -> Any:
            first = next((row["pos"] for row in body["items"] if row.get("jws") == one), None)
            if first is None:
                return body
            others = [row for row in body["items"] if row.get("jws") not in (one, two, three, four)]
            shown = [item(first + n, jws) for n, jws in enumerate((flipped, three, three, one))]
            return {"items": [*others, *shown], "head": body["head"]}

        hw.liar.lie(r"GET /v1/spheres/.*/items", told, address=BO)
        await victim.sync()
        rows = await victim.rows()
        assert [row.text for row in rows if row.state == "sent"] == ["one", "three"]
        assert [(row.state, row.code) for row in rows if row.state != "sent"] == [("quarantined", "C_SIG")]
        assert await victim.missing() == 1
        hw.liar.honest()
        pos = harbour(ada).messages()[-1].pos
        hw.liar.lie(r"GET /v1/spheres/.*/items", lambda body: {"items": [item(pos + 1, two), item(pos + 2, four)],
                                                               "head": pos + 2}, address=BO)  # fmt: skip
        await victim.sync()
        assert [row.text for row in await victim.rows() if row.state == "sent"] == ["one", "two", "three", "four"]
        assert await victim.missing() == 0


async def test_control_a_browser_that_reads_by_position_reads_what_the_relay_wants(
    hw: HostileWorld, browser: Meet
) -> None:
    """CLT-011 taken away from the browser's client: two words of one person are read the other way round."""
    turned = ("src/client/places.ts", "if (row.seq > chain.last.seq) row.place = Math.max(wanted, chain.last.place);",
              "if (row.seq > 0) row.place = wanted;")  # fmt: skip
    async with browser(turned) as victim:
        one, two = [await _stored(hw.clients["ada"], text) for text in ("one", "two")]

        def told(body: Any) -> Any:
            ends = [row for row in body["items"] if row.get("jws") in (one, two)]
            others = [row for row in body["items"] if row not in ends]
            shown = [item(row["pos"], jws) for row, jws in zip(ends, (two, one), strict=bool(ends))]
            return {"items": [*others, *shown], "head": body["head"]}

        hw.liar.lie(r"GET /v1/spheres/.*/items", told, address=BO)
        await victim.sync()
        assert [row.text for row in await victim.rows()] == ["two", "one"]


async def test_a_claim_of_another_history(hw: HostileWorld, bo: Meet) -> None:
    """CLT-020, RUN-016: a member's message under another log is set aside, and nothing is sent unasked meanwhile."""
    async with bo() as victim:
        ada = Insider(hw.clients["ada"])
        state, _ = ada.view
        place = Place(1, b"", state.seq, bytes(32), state.ep)
        elsewhere = ada.say(Payload("msg", os.urandom(16), "elsewhere"), place=place)
        hw.liar.lie(
            r"GET /v1/spheres/.*/items",
            lambda body: {"items": [*body["items"], item(body["head"] + 1, elsewhere)], "head": body["head"] + 1},
            address=BO,
        )
        await victim.sync()
        assert Row("quarantined", "C_LOG_FORK", "") in await victim.rows()
        since = len(hw.liar.calls)
        assert not await victim.say("Is it you?")
        assert _said(hw, since) == []


async def test_a_log_that_ends_before_what_a_member_names(hw: HostileWorld, bo: Meet) -> None:
    """T-S6, CLT-015: a rotation is kept back, a message under it is shown: nothing goes out under the old key."""
    async with bo() as victim:
        ada, before = hw.clients["ada"], (await victim.head()).seq
        await harbour(ada).rotate()
        hw.liar.lie(
            r"GET /v1/spheres/.*/log",
            lambda page: {**page, "entries": [one for one in page["entries"] if entry.decode(one).seq <= before]},
            address=BO,
        )
        compact = await _stored(ada, "under the new key")
        assert message.decode(compact).head.ls > before
        since = len(hw.liar.calls)
        await victim.sync()
        assert not await victim.say("Still the old one?")
        assert _said(hw, since) == []


async def test_clear_words_in_an_encrypted_sphere(hw: HostileWorld, bo: Meet) -> None:
    """RUN-007: what a member says in clear where that is not allowed is not shown as if it were said."""
    async with bo() as victim:
        ada = Insider(hw.clients["ada"])
        state, _ = ada.view
        place = Place(1, b"", state.seq, state.digest, state.ep)
        compact = message.seal(
            Payload("msg", os.urandom(16), "psst", pt=True), place, sph=ada.sph, dv=ada.dv, signer=ada.ctx.sign,
            iat=ada.ctx.now(), rng=ada.ctx.rng, key=None,
        )  # fmt: skip
        assert in_clear(compact) and json.loads(b64d(compact.split(".")[1]))["t"] == "psst"
        hw.liar.lie(
            r"GET /v1/spheres/.*/items",
            lambda body: {"items": [*body["items"], item(body["head"] + 1, compact)], "head": body["head"] + 1},
            address=BO,
        )
        await victim.sync()
        assert await victim.rows() == [Row("damaged", "C_DOWNGRADE", "")]


@pytest.mark.parametrize("named", [{"kdf": "argon2id", "t": 1, "m": 8}, {"v": 0}])
async def test_weaker_password_processing(hw: HostileWorld, bo: Meet, named: dict[str, Any]) -> None:
    """T-S8, SRP-007: whatever the relay names besides salt and element ends it; no proof leaves."""
    async with bo() as victim:
        hw.liar.lie(r"POST /v1/auth/start", lambda body: {**body, **named}, address=BO)
        since = len(hw.liar.calls)
        assert await victim.new_password() == "C_DOWNGRADE"
        assert [call for call in sent_by(hw.liar, BO, since) if call.path == "/v1/auth/finish"] == []


async def test_control_a_browser_that_takes_what_it_is_told_uses_the_password(hw: HostileWorld, browser: Meet) -> None:
    """SRP-007 taken away from the browser's client: a proof made from the password leaves."""
    named = '!["sid", "salt", "B"].includes(name)'
    obliging = ("src/account/srp.ts", named, f"{named} && name.length < 0")
    async with browser(obliging) as victim:
        hw.liar.lie(r"POST /v1/auth/start", lambda body: {**body, "iterations": 1}, address=BO)
        since = len(hw.liar.calls)
        assert await victim.new_password() == ""
        assert [call for call in sent_by(hw.liar, BO, since) if call.path == "/v1/auth/finish"] != []


async def test_another_salt_or_server(hw: HostileWorld, bo: Meet) -> None:
    """T-S8, SRP-007, CLT-028: what this device has pinned does not change."""
    async with bo() as victim:
        since = len(hw.liar.calls)
        hw.liar.lie(r"POST /v1/auth/start", lambda body: {**body, "salt": b64e(os.urandom(16))}, address=BO)
        assert await victim.new_password() == "C_DOWNGRADE"
        hw.liar.honest()
        hw.liar.lie(r"GET /v1/server", lambda body: {**body, "realm": b64e(os.urandom(16))}, address=BO)
        assert await victim.server() == "C_DOWNGRADE"
        assert [call for call in sent_by(hw.liar, BO, since) if call.path == "/v1/auth/finish"] == []


async def _swapped(hw: HostileWorld, victim: Victim, *, by_link: bool) -> Mallory:
    """Bo may let people in; Cy asks by Bo's link, and the relay shows Bo its own keys under Cy's name."""
    ghost = mallory(int(hw.clock()), "cy")
    sph = harbour(hw.clients["ada"]).sph
    compact = ghost.request(sph, int(hw.clock()), jti=b64d(await victim.invitation()) if by_link else None)
    row = {"h": digest_of(compact), "jws": compact, "exp": int(hw.clock()) + 86400}
    hw.liar.lie(rf"GET /v1/spheres/{sph}/joins$", lambda _: {"joins": [row]}, address=BO)
    return ghost


def _commits(hw: HostileWorld, since: int) -> list[str]:
    return [call.path for call in sent_by(hw.liar, BO, since) if call.path.endswith("/commits")]


@pytest.mark.parametrize("by_link", [True, False])
async def test_a_joiner_whose_key_was_swapped(hw: HostileWorld, bo: Meet, by_link: bool) -> None:
    """T-S1, JOIN-005, CLT-018: never shown as come by the link, never let in unconfirmed; no key leaves."""
    async with bo() as victim:
        await harbour(hw.clients["ada"]).set_role("bo", "admin")
        await victim.sync()
        ghost = await _swapped(hw, victim, by_link=by_link)
        since = len(hw.liar.calls)
        (shown,) = await victim.asked()
        assert (shown.id, shown.by_link, shown.faulty) == (ghost.id, False, by_link)
        assert await victim.admit(shown, False) in ("L_USAGE", "C_LOG_INVALID", "C_SIG")
        assert _commits(hw, since) == []
        assert ghost.id not in await victim.people()


async def test_control_a_browser_that_does_not_ask_for_the_links_proof_lets_the_ghost_in(
    hw: HostileWorld, browser: Meet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JOIN-005 taken away from the browser's client; the relay looks away from what it would refuse."""
    real = crypto.ed25519_verify

    def careless(public: bytes, signature: bytes, said: bytes) -> None:
        if b"sph/1 join" not in said[:20]:
            real(public, signature, said)

    monkeypatch.setattr(commits, "_enrolled", lambda *_: None)
    monkeypatch.setattr(crypto, "ed25519_verify", careless)
    unproved = ("src/protocol/join.ts", "    await ed25519Verify(invite.ipk, b64d(body.ivs), message);", "")
    async with browser(unproved) as victim:
        await harbour(hw.clients["ada"]).set_role("bo", "admin")
        await victim.sync()
        ghost = await _swapped(hw, victim, by_link=True)
        (shown,) = await victim.asked()
        assert shown.by_link
        assert await victim.admit(shown, False) == ""
        assert ghost.id in await victim.people()
