"""T-S13: a relay that carries live messages as it likes: swaps keys and contents, replays old words, waits too long.

Controls: without the signature a swapped key is answered; without the commitment a false key is taken; without a memory
of asks, or with the time not looked at, old words are taken again; a client that opens one offer only gets nothing from
a liar and nothing from anybody else; one that opens late offers shows digits that somebody chose.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from cloister import crypto
from cloister.client import Client, keys, live_transfer
from cloister.client.events import Event
from cloister.client.transports.base import Answer
from cloister.protocol import jws
from cloister.protocol.encoding import b64d, b64e, json_emit
from cloister.sphere import epoch
from cloister.sphere import live as transfer
from cloister.sphere.share import Party
from tests.hostile.world import HostileWorld
from tests.scenarios.test_live_transfer import live_sphere
from tests.scenarios.world import Network, harbour


class Middle(Network):
    """Keeps what should be handed on and says that it was, or, ``deaf``, that nobody is there."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.kept: list[str] = []
        self.away: set[str] = set()
        self.deaf = False

    async def request(self, method: str, path: str, body: bytes | None = None, **given: Any) -> Answer:
        if path != "/v1/live":
            return await super().request(method, path, body, **given)
        asked = json.loads(body or b"")
        if self.away & set(asked["to"]):
            return Answer(200, b'{"reached":0}', {})
        self.kept.append(asked["jws"])
        return Answer(200, b'{"reached":0}' if self.deaf else b'{"reached":1}', {})


class Stage:
    """Ada with the keys, bo without, and the lying relay between them."""

    def __init__(self, ada: Client, bo: Client, hers: Middle, his: Middle) -> None:
        self.ada, self.bo, self.hers, self.his = ada, bo, hers, his
        self.sph = harbour(bo).sph
        self.told: dict[str, list[Event]] = {"ada": [], "bo": []}

    async def to(self, who: Client, message: str) -> str:
        """Let it arrive; returns what the client says to it, "" when nothing."""
        middle = self.hers if who is self.ada else self.his
        before = len(middle.kept)
        await live_transfer.take(who.context, self.sph, message)
        await asyncio.gather(*who.context.transfers.tasks)
        return middle.kept[before] if len(middle.kept) > before else ""

    async def asked(self) -> str:
        await harbour(self.bo).handover().ask()
        return self.his.kept[-1]

    async def offered(self, ask: str) -> str:
        return await self.to(self.ada, ask)

    async def given(self, ask: str) -> str:
        """Up to the give, honestly carried."""
        await self.to(self.ada, await self.to(self.bo, await self.offered(ask)))
        (waiting,) = harbour(self.ada).handover().waiting()
        await harbour(self.ada).handover().give(waiting.name)
        return self.hers.kept[-1]

    @property
    def has_key(self) -> bool:
        return harbour(self.bo).keys() == [(1, True)]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_transfer, "CHOICE", 0.0)


async def stage(hw: HostileWorld) -> Stage:
    hers, his = Middle(hw.relay, "127.0.1.1"), Middle(hw.relay, "127.0.1.2")
    hw.networks |= {"ada": hers, "bo": his, "ada-phone": Middle(hw.relay, "127.0.1.3")}
    ada, bo = await live_sphere(hw)
    return Stage(ada, bo, hers, his)


def body(compact: str) -> dict[str, Any]:
    return jws.decode(compact, transfer.TYP).body


def altered(compact: str, **members: str) -> str:
    """The message with other members and the signature it had."""
    head, _, signature = compact.split(".")
    return f"{head}.{b64e(json_emit({**body(compact), **members}))}.{signature}"


def renamed(compact: str, member: str, by: str) -> str:
    """The message as the answer to another one."""
    return altered(compact, **{member: b64e(jws.decode(by, transfer.TYP).digest)})


def unsigned(patch: pytest.MonkeyPatch) -> None:
    """The weakened build: live messages are taken whoever signed them."""
    real = jws.verify_ed25519
    patch.setattr(jws, "verify_ed25519", lambda one, key: None if one.typ == transfer.TYP else real(one, key))


async def test_honestly_carried_it_arrives_once(hw: HostileWorld) -> None:
    """The stage itself: five messages, one key. The same give again, and the ask of then, change nothing."""
    on = await stage(hw)
    ask = await on.asked()
    give = await on.given(ask)
    done = await on.to(on.bo, give)
    assert on.has_key and [body(one)["k"] for one in (ask, give, done)] == ["ask", "give", "done"]
    assert await on.to(on.ada, done) == "" and on.ada.context.transfers.answered == {}
    assert await on.to(on.bo, give) == ""
    assert await on.to(on.ada, ask) == ""


async def test_a_terminal_is_met_nowhere(hw: HostileWorld) -> None:
    """LIVE-015: a way is dropped unanswered, before the open and after it, and spoils nothing."""
    on = await stage(hw)
    offer = await on.offered(await on.asked())
    bo, ada = on.bo.context, on.ada.context
    where = transfer.Way("abcd", "p" * 24, bytes(32), (bytes(range(18)),))
    ends = (on.sph, Party(bo.id, bo.dv), bo.sign, Party(ada.id, ada.dv))
    way = transfer.way(*ends, jws.decode(offer, transfer.TYP).digest, where, now=bo.now(), rng=bo.rng)
    assert await on.to(on.ada, way) == ""
    opened = await on.to(on.bo, offer)
    assert await on.to(on.bo, way) == "" and await on.to(on.ada, opened) == "" and await on.to(on.ada, way) == ""
    (waiting,) = harbour(on.ada).handover().waiting()
    await harbour(on.ada).handover().give(waiting.name)
    assert body(await on.to(on.bo, on.hers.kept[-1]))["k"] == "done" and on.has_key


async def test_another_ephemeral_key_is_not_answered(hw: HostileWorld) -> None:
    """LIVE-010: the signature of the ask covers its key."""
    on = await stage(hw)
    ask = await on.asked()
    private = crypto.rsa_generate()
    assert await on.offered(altered(ask, epk=b64e(crypto.rsa_public(private)))) == ""
    assert await on.offered(ask) != ""


async def test_control_without_signatures_it_gets_its_half(hw: HostileWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The middle stands in both talks and opens the RSA half; only bo's receiving key keeps the secret from it."""
    on = await stage(hw)
    unsigned(monkeypatch)
    ask, private = await on.asked(), crypto.rsa_generate()
    swapped = altered(ask, epk=b64e(crypto.rsa_public(private)))
    offer = await on.offered(swapped)
    opened = await on.to(on.bo, renamed(offer, "ask", ask))
    assert await on.to(on.ada, renamed(opened, "offer", offer)) == ""
    (waiting,) = harbour(on.ada).handover().waiting()
    (offers,) = on.bo.context.transfers.asked.values()
    assert offers.pair is not None and offers.pair.digits != waiting.digits  # but the two people would have seen it
    await harbour(on.ada).handover().give(waiting.name)
    assert len(crypto.rsa_open(private, b64d(body(on.hers.kept[-1])["enc"]))) == 32


@pytest.mark.parametrize("member", ["enc", "cx", "ct"])
@pytest.mark.parametrize("signed", [True, False])
async def test_other_contents_are_not_taken(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch, member: str, signed: bool
) -> None:
    """LIVE-006, LIVE-007: refused by the signature, and without it by what is sealed; then that is its end."""
    on = await stage(hw)
    give = await on.given(await on.asked())
    if not signed:
        unsigned(monkeypatch)
    data = bytearray(b64d(body(give)[member]))
    data[-1] ^= 1
    said = await on.to(on.bo, altered(give, **{member: b64e(bytes(data))}))
    assert (said == "") if signed else (body(said)["why"] == "failed")
    assert not on.has_key
    await on.to(on.bo, give)
    assert on.has_key is signed


@pytest.mark.parametrize("weak", [False, True], ids=["", "control"])
async def test_a_false_key_is_not_taken(hw: HostileWorld, monkeypatch: pytest.MonkeyPatch, weak: bool) -> None:
    """LIVE-007: a provider that gives something else; the control takes it and reads nothing."""
    on = await stage(hw)
    rep = on.ada.context.replica(on.sph)
    real, false = epoch.check, bytes(32)
    key = rep.keys[1]
    rep.keys[1] = type(key)(key.sph, key.n, false, key.kc, key.prev)
    with monkeypatch.context() as patch:
        patch.setattr(epoch, "check", lambda secret, entry, sph: key)
        give = await on.given(await on.asked())
    if weak:
        monkeypatch.setattr(
            epoch, "check", lambda secret, entry, sph: type(key)(sph, entry.n, secret, entry.kc, entry.prev)
        )
    assert body(await on.to(on.bo, give))["k"] == ("done" if weak else "end")
    assert (1 in on.bo.context.replica(on.sph).keys) is weak
    assert real(key.secret, on.bo.context.replica(on.sph).known[1].epoch(1), on.sph).n == 1


@pytest.mark.parametrize("weak", [False, True], ids=["", "control"])
async def test_an_old_ask_is_not_answered_again(hw: HostileWorld, weak: bool) -> None:
    """LIVE-010: asks are remembered; the control forgets them."""
    on = await stage(hw)
    ask = await on.asked()
    assert await on.offered(ask) != ""
    on.ada.context.transfers.answered.clear()
    if weak:
        on.ada.context.transfers.seen.clear()
    assert (await on.offered(ask) == "") is not weak


async def test_an_old_give_does_not_answer_a_new_ask(hw: HostileWorld) -> None:
    """LIVE-001: each message names the one before it."""
    on = await stage(hw)
    old = await on.given(await on.asked())
    hw.clock.forward(transfer.SECONDS + 1)
    assert await on.to(on.bo, old) == ""
    await on.given(await on.asked())
    assert await on.to(on.bo, old) == ""
    assert not on.has_key


@pytest.mark.parametrize("weak", [False, True], ids=["", "control"])
async def test_what_is_held_back_too_long_is_over(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch, weak: bool
) -> None:
    """LIVE-011: 120 seconds; the control waits longer."""
    on = await stage(hw)
    if weak:
        monkeypatch.setattr(transfer, "SECONDS", 1000)
    ask = await on.asked()
    hw.clock.forward(121)
    assert (await on.offered(ask) == "") is not weak


async def test_a_member_between_two_shows_other_digits(hw: HostileWorld) -> None:
    """LIVE-005: the digits name both devices, so a member in the middle shows each side something else."""
    on = await stage(hw)
    ask = await on.asked()
    offer = await on.offered(ask)
    await on.to(on.ada, await on.to(on.bo, offer))
    (waiting,) = harbour(on.ada).handover().waiting()
    (asked,) = on.bo.context.transfers.asked.values()
    assert asked.pair is not None and asked.pair.digits == waiting.digits
    middle = transfer.Party(on.ada.context.id, on.bo.context.dv)
    offered = jws.decode(offer, transfer.TYP)
    ends = (on.sph, asked.pair.asker.id, asked.pair.asker.dv, middle.id, middle.dv)
    assert transfer.digits(asked.asking.sas, b64d(offered.body["sas"]), offered.digest, ends) != waiting.digits


# --- several who could give (LIVE-004) ----------------------------------------------------------------------------


class Two(Stage):
    """As above, and ada's phone holds the keys too. Every message is carried by hand."""

    phone: Client
    its: Middle

    async def offers(self, ask: str) -> tuple[str, str]:
        """What ada's device and her phone offer; bo hears of neither."""
        return await self.offered(ask), await self.said(self.phone, ask)

    async def said(self, who: Client, message: str) -> str:
        """What a device of ada says to a message."""
        middle = self.hers if who is self.ada else self.its
        before = len(middle.kept)
        await live_transfer.take(who.context, self.sph, message)
        return middle.kept[before] if len(middle.kept) > before else ""

    async def hears(self, *messages: str) -> list[dict[str, Any]]:
        """What bo says to messages that come together."""
        before = len(self.his.kept)
        for one in messages:
            await live_transfer.take(self.bo.context, self.sph, one)
        await asyncio.gather(*self.bo.context.transfers.tasks)
        return [body(one) for one in self.his.kept[before:]]

    async def gives(self, who: Client) -> str:
        """A device of ada takes bo's last open and gives."""
        await self.said(who, self.his.kept[-1])
        (waiting,) = harbour(who).handover().waiting()
        await harbour(who).handover().give(waiting.name)
        return (self.hers if who is self.ada else self.its).kept[-1]

    async def rubbish(self, who: Client, monkeypatch: pytest.MonkeyPatch) -> str:
        """The same with another secret than the epoch's."""
        real = transfer.give

        def false(pair: Any, epk: bytes, keys: Any, *rest: Any, **more: Any) -> Any:
            return real(pair, epk, [replace(one, secret=bytes(32)) for one in keys], *rest, **more)

        with monkeypatch.context() as patch:
            patch.setattr(epoch, "check", lambda *_: None)
            patch.setattr(transfer, "give", false)
            return await self.gives(who)


async def two(hw: HostileWorld) -> Two:
    one = await stage(hw)
    on = Two(one.ada, one.bo, one.hers, one.his)
    on.phone, middle = hw.clients["ada-phone"], hw.networks["ada-phone"]
    assert isinstance(middle, Middle)
    on.its = middle
    await on.phone.sync()
    await on.bo.sync()
    key = on.ada.context.replica(on.sph).keys[1]
    with on.phone.context.store.step() as events:
        keys.keep(on.phone.context, on.phone.context.replica(on.sph), [key], events)
    return on


@pytest.mark.parametrize("weak", [False, True], ids=["", "control"])
@pytest.mark.parametrize("how", ["rubbish", "refused", "gone"])
async def test_one_who_does_not_give_spoils_nothing(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch, weak: bool, how: str
) -> None:
    """LIVE-004: the next offer that had come is opened, with digits of its own."""
    on = await two(hw)
    if weak:
        monkeypatch.setattr(live_transfer, "MAX_OPENED", 1)
    ask = await on.asked()
    hers, its = await on.offers(ask)
    if how == "gone":
        on.his.away = {on.ada.context.dv}
    await on.hears(hers, its)
    if how == "rubbish":
        await on.hears(await on.rubbish(on.ada, monkeypatch))
    elif how == "refused":
        await on.said(on.ada, on.his.kept[-1])
        (waiting,) = harbour(on.ada).handover().waiting()
        await harbour(on.ada).handover().end(waiting.name, "refused")
        await on.hears(on.hers.kept[-1])
    if weak:
        assert not [one for one in map(body, on.his.kept) if one["k"] == "open" and one["dvR"] == on.phone.context.dv]
        return
    assert body(on.his.kept[-1])["dvR"] == on.phone.context.dv
    (asked,) = on.bo.context.transfers.asked.values()
    give = await on.gives(on.phone)
    assert asked.pair is not None and asked.pair.provider.dv == on.phone.context.dv
    assert (await on.hears(give))[-1]["k"] == "done"
    assert on.has_key


async def test_different_digits_end_the_whole_ask(hw: HostileWorld) -> None:
    """LIVE-009: somebody may stand in between, so no other offer is opened."""
    on = await two(hw)
    hers, its = await on.offers(await on.asked())
    await on.hears(hers, its)
    await on.said(on.ada, on.his.kept[-1])
    (waiting,) = harbour(on.ada).handover().waiting()
    await harbour(on.ada).handover().end(waiting.name, "different")
    assert await on.hears(on.hers.kept[-1]) == []
    assert on.bo.context.transfers.asked == {}


@pytest.mark.parametrize("weak", [False, True], ids=["", "control"])
async def test_an_offer_made_after_the_first_open_is_dropped(hw: HostileWorld, weak: bool) -> None:
    """LIVE-004: who makes it may know sJ, and makes offers until the digits are those of another talk."""
    on = await two(hw)
    ask = await on.asked()
    hers = await on.offered(ask)
    (opened,) = await on.hears(hers)
    (asked,) = on.bo.context.transfers.asked.values()
    assert asked.pair is not None
    ends = (on.sph, on.bo.context.id, on.bo.context.dv, on.ada.context.id, on.phone.context.dv)
    its = code = ""
    while code[:2] != asked.pair.digits[:2]:  # two of the six stand for all
        on.phone.context.transfers.seen.clear()
        its = await on.said(on.phone, ask)
        offer = jws.decode(its, transfer.TYP)
        code = transfer.digits(b64d(opened["sas"]), b64d(offer.body["sas"]), offer.digest, ends)
    if weak:
        asked.closed, asked.pair = False, None
    assert bool(await on.hears(its)) is weak
    if weak:
        assert asked.pair is not None and asked.pair.digits[:2] == code[:2]


async def test_who_was_silent_comes_last_the_next_time(hw: HostileWorld) -> None:
    """LIVE-004: a device that offers first and gives nothing costs one ask, not all of them."""
    on = await two(hw)
    hers, its = await on.offers(await on.asked())
    (opened,) = await on.hears(hers, its)
    assert opened["dvR"] == on.ada.context.dv
    hw.clock.forward(transfer.SECONDS + 1)
    hers, its = await on.offers(await on.asked())
    (opened,) = await on.hears(hers, its)
    assert opened["dvR"] == on.phone.context.dv


async def test_one_offer_of_each_device_is_kept(hw: HostileWorld) -> None:
    """LIVE-004: many offers of one device do not push out another's."""
    on = await two(hw)
    ask = await on.asked()
    flood = []
    for _ in range(10):
        on.ada.context.transfers.seen.clear()
        flood.append(await on.offered(ask))
    its = await on.said(on.phone, ask)
    await on.hears(*flood, its)
    (asked,) = on.bo.context.transfers.asked.values()
    assert [one.sender.dv for one in asked.offers] == [on.phone.context.dv]
