"""Live transfer on this device: ask for keys, offer and give them, while both sides are connected.

What is going on is kept in memory alone and is dropped when it is done, ended, or over (LIVE-002). A message that does
not fit changes nothing and is not answered. Keys that come are taken only as the epochs of the verified log. A person
is asked before anything is given, unless that person has said otherwise for this sphere (LIVE-012).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from cloister import crypto
from cloister.client import expiry, keys, people, renewing, syncing
from cloister.client.context import Context
from cloister.client.events import KeyAsked, KeyGiven, KeyOffered, KeyReceived, TransferEnded
from cloister.client.replica import Replica
from cloister.client.transfers import Answered, Asked
from cloister.errors import (
    CheckFailed,
    CloisterError,
    Expired,
    KeyUnknown,
    NotFound,
    NotMember,
    RelayError,
    Replay,
    Unreachable,
    UsageError,
)
from cloister.protocol.encoding import b64d, b64e
from cloister.sphere import live
from cloister.sphere.live import Message, Pair, Why
from cloister.sphere.share import Party

# Seconds between two asks that nobody had to call for (LIVE-014).
ASK_AGAIN: Final = 120
# Asks of one device remembered so that none is answered twice, and answered at all meanwhile (LIVE-010).
MAX_SEEN: Final = 4
# Seconds that further offers are waited for after the first, offers kept meanwhile, and opened of one ask (LIVE-004).
CHOICE = 1.0
MAX_OFFERS: Final = 64
MAX_OPENED: Final = 8


def _me(ctx: Context) -> Party:
    return Party(ctx.id, ctx.dv)


def _name(ctx: Context, rep: Replica, party: Party) -> str:
    return people.name_of(ctx.store, rep.state, party.id)


def drop_old(ctx: Context) -> None:
    """Forget what is over (LIVE-002, LIVE-011), and say so where somebody was waiting."""
    now, all_ = ctx.now(), ctx.transfers
    for digest, asked in list(all_.asked.items()):
        if now > asked.asking.exp:
            del all_.asked[digest]
            if asked.pair is not None:
                all_.vain.add(asked.pair.provider.dv)
            ctx.store.tell([TransferEnded(asked.asking.sph, b64e(digest), "expired", own=True)])
    for digest, answered in list(all_.answered.items()):
        if now > answered.offering.exp:
            del all_.answered[digest]
            if answered.pair is not None:
                ctx.store.tell([TransferEnded(answered.offering.sph, b64e(digest), "expired", own=False)])
    for dv, asks in list(all_.seen.items()):
        all_.seen[dv] = {digest: until for digest, until in asks.items() if now <= until}
        if not all_.seen[dv]:
            del all_.seen[dv]


def _later(ctx: Context) -> None:
    """Drop what is over also when nothing else happens."""
    asyncio.get_running_loop().call_later(live.SECONDS + 1, drop_old, ctx)


# --- the side that asks -------------------------------------------------------------------------------------------


def handed_over(rep: Replica) -> bool:
    """Whether keys of a sphere go from device to device: not where they are derived (LIVE-010, CLT-062)."""
    return rep.state is not None and not rep.state.org


def lacking(ctx: Context, rep: Replica) -> list[int]:
    """Epochs this device has no key of and may have, ascending, the newest that one ask takes."""
    if not handed_over(rep):
        return []
    return sorted(keys.granted(rep, ctx.dv) - set(rep.keys) - set(range(expiry.shredded(rep) + 1)))[-live.MAX_NS :]


async def ask(ctx: Context, rep: Replica, ns: Sequence[int] | None = None) -> tuple[str, int]:
    """Ask everybody who is connected for keys (LIVE-002). Returns the ask's name and how many devices it reached.

    Raises UsageError when nothing is lacking, Unreachable.
    """
    drop_old(ctx)
    wanted = sorted(ns if ns is not None else lacking(ctx, rep))
    if not wanted:
        raise UsageError("no key of this sphere is missing here")
    private = await asyncio.to_thread(crypto.rsa_generate)
    asking, compact = live.ask(rep.sph, _me(ctx), ctx.sign, wanted, private, now=ctx.now(), rng=ctx.rng)
    asked = Asked(asking, compact, MAX_OPENED)
    ctx.transfers.asked[asking.digest] = asked
    ctx.transfers.last[rep.sph] = ctx.now()
    _later(ctx)
    await _send(ctx, asked)
    return b64e(asking.digest), asked.reached


async def _send(ctx: Context, asked: Asked) -> None:
    try:
        asked.reached = await ctx.relay.pass_on([], asked.jws)
    except CloisterError:
        ctx.transfers.asked.pop(asked.asking.digest, None)
        raise


async def ask_unasked(ctx: Context, rep: Replica) -> None:
    """Ask by itself in a sphere with live delivery; an ask that reached nobody goes out again as it is (LIVE-014)."""
    if rep.state is None or rep.status != "active" or rep.state.delivery != "live" or rep.stop is not None:
        return
    if rep.sph in ctx.transfers.by_hand:
        return
    if not lacking(ctx, rep):
        return
    drop_old(ctx)
    own = [one for one in ctx.transfers.asked.values() if one.asking.sph == rep.sph]
    unheard = next((one for one in own if not one.reached), None)
    with suppress(RelayError, Unreachable):
        if unheard is not None:
            await _send(ctx, unheard)
        elif ctx.now() - ctx.transfers.last.get(rep.sph, -ASK_AGAIN) >= ASK_AGAIN:
            await ask(ctx, rep)


def _offered(ctx: Context, message: Message) -> None:
    """Keep an offer until one is chosen. One that comes later may be made by somebody who knows sJ (LIVE-004)."""
    asked = ctx.transfers.asked.get(b64d(message.body["ask"]))
    if asked is None or asked.closed:
        return
    live.check_offer(asked.asking, message, ctx.now())
    if len(asked.offers) >= MAX_OFFERS or any(one.sender == message.sender for one in asked.offers):
        return
    asked.offers.append(message)
    if len(asked.offers) == 1:
        task = asyncio.create_task(_choose(ctx, asked))
        ctx.transfers.tasks.add(task)
        task.add_done_callback(ctx.transfers.tasks.discard)


async def _choose(ctx: Context, asked: Asked) -> None:
    """Open the best of the offers that came together: own devices first, last those that came to nothing before."""
    await asyncio.sleep(CHOICE)
    asked.closed = True
    asked.offers.sort(key=lambda one: (one.sender.dv in ctx.transfers.vain, one.sender.id != ctx.id))
    with suppress(CloisterError):
        await _open_next(ctx, asked)


async def _open_next(ctx: Context, asked: Asked) -> bool:
    """Open the next offer of an ask whose device is still there; False when there is none."""
    while asked.offers and asked.left and asked.asking.digest in ctx.transfers.asked:
        offered = asked.offers.pop(0)
        asked.left -= 1
        asked.pair, compact = live.open_offer(asked.asking, offered, ctx.sign, now=ctx.now(), rng=ctx.rng)
        pair, rep = asked.pair, ctx.replica(asked.asking.sph)
        name, who = b64e(pair.ask), _name(ctx, rep, pair.provider)
        ctx.store.tell([KeyOffered(rep.sph, name, pair.provider.id, who, pair.digits)])
        try:
            if await ctx.relay.pass_on([pair.provider.dv], compact):
                return True
        except RelayError:
            continue
    return False


async def _in_vain(ctx: Context, asked: Asked, why: Why) -> None:
    """The open offer came to nothing: go on with the next one, or say that it is over (LIVE-004, LIVE-009)."""
    digest, sph = asked.asking.digest, asked.asking.sph
    if asked.pair is not None:
        ctx.transfers.vain.add(asked.pair.provider.dv)
    asked.pair = None
    if not await _open_next(ctx, asked) and ctx.transfers.asked.pop(digest, None) is not None:
        ctx.store.tell([TransferEnded(sph, b64e(digest), why, own=True)])


async def _given(ctx: Context, rep: Replica, message: Message) -> None:
    found = next((one for one in ctx.transfers.asked.values() if one.pair and one.pair.provider == message.sender
                  and b64e(one.pair.open) == message.body["open"]), None)  # fmt: skip
    if found is None or found.pair is None:
        raise Replay("keys nobody waits for")
    pair = found.pair
    secrets = [own.de_seed for own in renewing.receiving(ctx)]
    try:
        taken, compact = live.take(
            found.asking, pair, message, rep.known[1], ctx.keys.kem, secrets, ctx.sign, now=ctx.now(), rng=ctx.rng
        )
    except (Replay, Expired):
        raise
    except CheckFailed:
        await _say_end(ctx, pair, pair.provider, "failed")
        await _in_vain(ctx, found, "failed")
        return
    async with ctx.profile.writer(rep.sph):
        rep = ctx.replica(rep.sph)
        with ctx.store.step() as events:
            keys.keep(ctx, rep, taken, events)
    ctx.transfers.asked.pop(pair.ask, None)
    ctx.transfers.vain.discard(pair.provider.dv)
    try:
        await ctx.relay.pass_on([pair.provider.dv], compact)
    finally:
        # Told last: whoever was waiting for the keys may close now, and the other side knows already.
        name = _name(ctx, rep, pair.provider)
        ctx.store.tell([KeyReceived(rep.sph, b64e(pair.ask), name, tuple(key.n for key in taken))])


# --- the side that gives ------------------------------------------------------------------------------------------


async def _heard_ask(ctx: Context, rep: Replica, message: Message) -> None:
    if message.sender.dv == ctx.dv or message.sender.dv in ctx.store.get("revoked", []):
        return
    if keys.withheld(ctx, rep, message.sender.id):
        return
    all_ = ctx.transfers
    dv = message.sender.dv
    asks = all_.seen.get(dv, {})
    if message.digest in asks or len(asks) >= MAX_SEEN:
        return
    wanted = live.check_ask(message, rep.known[1], ctx.now())
    all_.seen[dv] = {**asks, message.digest: message.body["exp"] + live.SECONDS}
    for digest, one in list(all_.answered.items()):
        if one.offering.asker.dv == dv and one.pair is None:
            del all_.answered[digest]  # one offer at a time: who asks knows the digits of each (LIVE-005)
    given = keys.granted(rep, message.sender.dv)
    held = [n for n in wanted if n in rep.keys and n in given]
    if not held or not (provides(rep) or all_.attended is None or rep.sph in all_.attended):
        return
    offering, compact = live.offer(message, _me(ctx), ctx.sign, held, now=ctx.now(), rng=ctx.rng)
    all_.answered[message.digest] = Answered(offering)
    _later(ctx)
    await ctx.relay.pass_on([message.sender.dv], compact)


async def _opened(ctx: Context, rep: Replica, message: Message) -> None:
    found = next(
        (one for one in ctx.transfers.answered.values() if b64e(one.offering.digest) == message.body["offer"]), None
    )
    if found is None or found.pair is not None:
        raise Replay("an offer that is not open")
    found.pair = pair = live.take_open(found.offering, message, ctx.now())
    if provides(rep):
        await give(ctx, rep, b64e(pair.ask))
        return
    name = _name(ctx, rep, pair.asker)
    ctx.store.tell([KeyAsked(rep.sph, b64e(pair.ask), pair.asker.id, name, pair.digits, pair.ns, pair.exp)])


def provides(rep: Replica) -> bool:
    """Whether this device gives keys of the sphere without asking its person (LIVE-012)."""
    return bool(rep.note.get("provides"))


def set_provides(ctx: Context, rep: Replica, on: bool) -> None:
    """Say that it may, or may no more (LIVE-012)."""
    with ctx.store.step():
        rep.note["provides"] = on
        rep.save_note(ctx.store)


def waiting(ctx: Context, sph: str) -> list[KeyAsked]:
    """Asks of others that wait for this person's word."""
    drop_old(ctx)
    rep = ctx.replica(sph)
    return [
        KeyAsked(sph, b64e(one.pair.ask), one.pair.asker.id, _name(ctx, rep, one.pair.asker), one.pair.digits,
                 one.pair.ns, one.pair.exp)
        for one in ctx.transfers.answered.values() if one.pair and not one.given and one.offering.sph == sph
    ]  # fmt: skip


async def give(ctx: Context, rep: Replica, name: str) -> None:
    """Give what was offered; the person has seen who asks and the digits (LIVE-006, LIVE-012).

    Raises NotFound when it is over or was ended or for a device that has gone, Unreachable; the sphere's stop, and
    StaleHead while an entry may be missing here.
    """
    drop_old(ctx)
    found = ctx.transfers.answered.get(b64d(name))
    if found is None or found.pair is None or found.given is not None:
        raise NotFound("this transfer is over: they can ask again")
    pair, state = found.pair, rep.known[0]
    device = state.devices.get(pair.asker.dv)
    if device is None or not device.active or device.dv in ctx.store.get("revoked", []):
        raise NotFound("this device has left the sphere")
    keys.require_shown(ctx, rep, device.owner)
    given = keys.granted(rep, device.dv)
    held = [rep.keys[n] for n in pair.ns if n in rep.keys and n in given]
    found.given, compact = live.give(
        pair, found.offering.epk, held, rep.known[1], device, ctx.sign, now=ctx.now(), rng=ctx.rng
    )
    if not await ctx.relay.pass_on([device.dv], compact):
        ctx.transfers.answered.pop(pair.ask, None)
        raise Unreachable("the device that asked is not connected any more")


async def _done(ctx: Context, rep: Replica, message: Message) -> None:
    found = next(
        (
            one
            for one in ctx.transfers.answered.values()
            if one.given and b64e(one.given.digest) == message.body["give"]
        ),
        None,
    )
    if found is None or found.given is None:
        raise Replay("an answer nobody waits for")
    live.check_done(found.given, message, ctx.now())
    pair = found.given.pair
    ctx.transfers.answered.pop(pair.ask, None)
    ctx.store.tell([KeyGiven(rep.sph, b64e(pair.ask), pair.asker.id, _name(ctx, rep, pair.asker), pair.ns)])


# --- both sides ---------------------------------------------------------------------------------------------------


async def _say_end(ctx: Context, pair: Pair, other: Party, why: Why) -> None:
    """Tell the other side, as far as that is possible (LIVE-009)."""
    compact = live.end(pair.sph, _me(ctx), ctx.sign, other, pair.ask, why, now=ctx.now(), rng=ctx.rng)
    with suppress(RelayError, Unreachable):
        await ctx.relay.pass_on([other.dv], compact)


async def end(ctx: Context, name: str, why: Why) -> None:
    """End a transfer from either side (LIVE-009): different digits, or no. Nothing is given any more."""
    digest = b64d(name)
    asked, answered = ctx.transfers.asked.pop(digest, None), ctx.transfers.answered.pop(digest, None)
    pair = (asked and asked.pair) or (answered and answered.pair)
    if not pair:
        return
    try:
        await _say_end(ctx, pair, pair.provider if asked else pair.asker, why)
    finally:
        ctx.store.tell([TransferEnded(pair.sph, name, why, own=asked is not None)])


async def _ended(ctx: Context, message: Message) -> None:
    digest, all_ = b64d(message.body["ask"]), ctx.transfers
    asked, answered = all_.asked.get(digest), all_.answered.get(digest)
    pair = (asked and asked.pair) or (answered and answered.pair)
    if not pair:
        return
    why = live.check_end(message, pair.sph, _me(ctx), pair.provider if asked else pair.asker, digest)
    if asked is not None and why != "different":
        await _in_vain(ctx, asked, why)
        return
    if asked is not None:
        all_.vain.add(pair.provider.dv)
    all_.asked.pop(digest, None)
    all_.answered.pop(digest, None)
    ctx.store.tell([TransferEnded(pair.sph, b64e(digest), why, own=asked is not None)])


async def _read(ctx: Context, sph: str, compact: str) -> Message:
    """A message of a device whose entry may not have come yet: the log is fetched once (LIVE-010)."""
    try:
        return live.read(compact, ctx.replica(sph).known[1])
    except (KeyUnknown, NotMember):
        await syncing.sphere(ctx, sph, syncing.Tally())
        return live.read(compact, ctx.replica(sph).known[1])


async def take(ctx: Context, sph: str, compact: str) -> None:
    """A live message came in over the connection. What does not fit changes nothing (LIVE-001, LIVE-010)."""
    if ctx.store.row("sphere", sph) is None or ctx.replica(sph).status != "active" or not handed_over(ctx.replica(sph)):
        return
    drop_old(ctx)
    try:
        message = await _read(ctx, sph, compact)
        rep = ctx.replica(sph)
        match message.k:
            case "ask":
                await _heard_ask(ctx, rep, message)
            case "offer":
                _offered(ctx, message)
            case "open":
                await _opened(ctx, rep, message)
            case "give":
                await _given(ctx, rep, message)
            case "done":
                await _done(ctx, rep, message)
            case "way":
                return  # a terminal has no browser to be met by (LIVE-015)
            case _:
                await _ended(ctx, message)
    except (CheckFailed, NotFound, RelayError, Unreachable):
        return
