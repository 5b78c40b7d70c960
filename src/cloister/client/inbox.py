"""Letters to this device: key shares, questions, head proofs, a new master key, commits that touch us.

Each item is acted on and the cursor moved in one step, then the relay may delete it. A share whose log position is not
here yet is kept and tried again, so no key is lost (CLT-017). A letter that fails its check is dropped: the relay and
strangers can write anything.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from cloister.account import credentials
from cloister.account.keys import Roots
from cloister.client import claims, farewell, invited, joining, kept, keys, logbook, memory, older, renewing, resend
from cloister.client.context import Context
from cloister.client.replica import Replica, new_note
from cloister.errors import CheckFailed, Forbidden, NotFound, RelayError, VaultError
from cloister.protocol import api, p2p
from cloister.protocol import entry as entries
from cloister.protocol.encoding import b64d
from cloister.protocol.keylog import KeyLog
from cloister.protocol.p2p import Letter
from cloister.sphere.epoch import EpochKey

STREAM: Final = "inbox"


async def pull(ctx: Context) -> int:
    """Work through the inbox as far as the relay's answers go on from the cursor; returns the number of items."""
    count = 0
    await _kept(ctx)
    while True:
        after = ctx.store.cursor(STREAM)
        page = await ctx.relay.inbox(after)
        for item in page.items:
            await take(ctx, item)
            count += item.pos > after
        upto = ctx.store.cursor(STREAM)
        if upto == after:
            return count
        await ctx.relay.clear_inbox(upto)
        if upto >= page.head:
            return count


async def take(ctx: Context, item: api.InboxItem) -> None:
    """One item, whatever it is; the cursor moves past it in any case."""
    if item.pos <= ctx.store.cursor(STREAM):
        return
    try:
        if item.k == "commit":
            await _commit(ctx, item)
        elif item.jws:
            await _letter(ctx, item.jws)
    except (CheckFailed, Forbidden, NotFound):
        pass
    ctx.store.move(STREAM, item.pos)


async def _known(ctx: Context, sph: str) -> Replica:
    """The replica a letter is about, its log read far enough; a sphere an own device entered is entered here too."""
    asked = ctx.store.one("SELECT h FROM request WHERE sph = ? AND mine = 1", sph)
    note = ctx.store.row("sphere", sph)
    if asked is not None and (note is None or note["status"] in ("asked", "left", "removed")):
        await joining.enter(ctx, asked[0])
    elif note is None:
        with ctx.store.step():
            Replica(sph, new_note("entering")).save_note(ctx.store)
    return ctx.replica(sph)


async def _commit(ctx: Context, item: api.InboxItem) -> None:
    """Entries of a commit that admitted or removed us: the proof, when the log itself is refused (CLT-030)."""
    rep = await _known(ctx, item.sph)
    async with ctx.profile.writer(item.sph):
        try:
            await logbook.pull(ctx, rep)
        except Forbidden:
            rep = ctx.replica(item.sph)
            if rep.history is None:
                return
            decoded = [entries.decode(one) for one in item.entries or []]
            fresh = [one for one in decoded if one.seq > rep.known[1].seq]
            with ctx.store.step() as events:
                if fresh and fresh[0].seq > rep.known[1].seq + 1:
                    farewell.take(ctx, rep, fresh, events)
                else:
                    logbook.take_now(ctx, rep, fresh, {}, events)


async def _letter(ctx: Context, compact: str) -> None:
    """Act on a letter."""
    letter = p2p.decode(compact)
    rep = await _known(ctx, letter.sph)
    async with ctx.profile.writer(letter.sph):
        if letter.k == "share":
            return await _share(ctx, rep, letter)
        if rep.state is None:
            return None
        device = rep.state.devices.get(letter.kid)
        if device is None or not device.active:
            await logbook.pull(ctx, rep)
            rep = ctx.replica(letter.sph)
            device = rep.known[0].devices.get(letter.kid)
        if device is None or not device.active:
            return None
        p2p.verify(letter, device)
        if letter.k == "ask":
            await keys.answer(ctx, rep, letter)
            with ctx.store.step() as events:
                older.note(ctx, rep, device, letter, events)
        elif letter.k == "head-ask":
            await _head_ask(ctx, rep, letter)
        elif letter.k == "head-proof":
            await head_proof(ctx, rep, letter)
        elif letter.k == "resend-ask":
            await resend.answer(ctx, rep, letter)
        elif letter.k == "resend":
            resend.take(ctx, rep, letter)
        elif letter.k == "invite":
            invited.take(ctx, letter, device)
        elif letter.k == "mk" and device.owner == ctx.id:
            take_mk(ctx, letter, await memory.refresh_klog(ctx))
    return None


async def _share(ctx: Context, rep: Replica, letter: Letter) -> None:
    """Keep the key in a share; one that cannot be judged yet is kept itself (CLT-017)."""
    key = _open(ctx, rep, letter) if rep.history is not None else None
    if key is None:
        with suppress(RelayError, CheckFailed):
            await logbook.pull(ctx, rep)
        rep = ctx.replica(rep.sph)
        key = _open(ctx, rep, letter) if rep.history is not None else None
    if key is None:
        kept.put(ctx, letter, _reach(rep))
    else:
        _take_share(ctx, rep, letter, key)


def _reach(rep: Replica) -> int:
    return rep.history.seq if rep.history is not None else -1


def _take_share(ctx: Context, rep: Replica, letter: Letter, key: EpochKey) -> None:
    with ctx.store.step() as events:
        keys.keep(ctx, rep, [key], events)
        if rep.known[1].owner_of(letter.kid) == rep.note.get("inviter"):
            rep.note["confirmed"] = True
        rep.save_note(ctx.store)


def _open(ctx: Context, rep: Replica, letter: Letter) -> EpochKey | None:
    """The key, None while the log does not reach the share's epoch or sender. Raises CheckFailed for a bad share."""
    try:
        return keys.open_share(ctx, rep, letter.envelope.compact)
    except CheckFailed as error:
        if error.code == "C_KEY_UNKNOWN":
            return None
        kept.evidence(ctx, letter, error)
        raise


async def _kept(ctx: Context) -> None:
    """Shares that came before their entry: once more where the log has grown. Each lies where it is until it was taken
    or has failed its check, and one of a sphere that refuses this device keeps nothing else from being read."""
    for sph, rows in kept.by_sphere(ctx).items():
        try:
            rep = await _known(ctx, sph)
            async with ctx.profile.writer(sph):
                await logbook.pull(ctx, rep)
        except (RelayError, CheckFailed, NotFound):
            continue
        async with ctx.profile.writer(sph):
            for name, row in rows:
                _again(ctx, ctx.replica(sph), name, row)


def _again(ctx: Context, rep: Replica, name: str, row: dict[str, Any]) -> None:
    reach = _reach(rep)
    if row["seq"] >= reach:
        return
    try:
        letter = p2p.decode(row["jws"])
        key = _open(ctx, rep, letter)
        if key is None:
            kept.judged(ctx, name, row, reach)
            return
        _take_share(ctx, rep, letter, key)
    except CheckFailed:
        pass
    kept.drop(ctx, name)


# --- claims of another history ------------------------------------------------------------------------------------


async def _head_ask(ctx: Context, rep: Replica, letter: Letter) -> None:
    """Show our entries from the position asked for (CLT-020): the log is no secret among members."""
    await _head_proof(ctx, rep, letter.kid, int(letter.body["from"]))


async def _head_proof(ctx: Context, rep: Replica, dv: str, start: int) -> None:
    proof, attached = logbook.shown_from(ctx, rep.sph, start)
    members: dict[str, Any] = {"from": start, "entries": proof}
    if attached:
        members["attach"] = attached
    await ctx.relay.post([dv], keys.letter(ctx, rep.sph, "head-proof", **members))


async def head_proof(ctx: Context, rep: Replica, letter: Letter) -> None:
    """An answer to a claim: a second valid history stops the sphere, a difference further back is asked for, anything
    else settles the claim (CLT-020)."""
    claim, body = rep.note.get("claims", {}).get(letter.kid), letter.body
    if claim is None or claim.get("answered") or not claim.get("asked") or body["from"] != claim.get("from"):
        logbook.judge_unasked(ctx, rep, body["from"], body["entries"], body.get("attach", []))
        return
    further = logbook.judge_proof(ctx, rep, claim, body["entries"], body.get("attach", []))
    rep = ctx.replica(rep.sph)
    with ctx.store.step():
        if further is None:
            further = claims.answered(ctx, rep, letter.kid, body["entries"], body.get("attach", []))
        else:
            further = {**further, "asked": 0}
        rep.note["claims"][letter.kid] = further
        rep.save_note(ctx.store)
    await tell_fork(ctx, rep)
    await ask_heads(ctx, rep)


async def tell_fork(ctx: Context, rep: Replica) -> None:
    """Who has proved a fork shows his side, once, to the devices that stand on the other one (CLT-020)."""
    stop = rep.note.get("stop")
    if stop is None or stop["code"] != "C_LOG_FORK":
        return
    evidence = stop["data"]["evidence"]
    others = dict.fromkeys(entries.decode(one).kid for one in evidence.get("theirs", []))
    asked = [dv for dv, claim in rep.note.get("claims", {}).items() if claim.get("answered") and "beyond" not in claim]
    state, told = rep.known[0], stop["data"].setdefault("told", [])
    for dv in dict.fromkeys([*others, *asked]):
        device = state.devices.get(dv)
        if dv in told or dv == ctx.dv or device is None or not device.active:
            continue
        await _head_proof(ctx, rep, dv, evidence["common"] + 1)
        told.append(dv)
        with ctx.store.step():
            rep.save_note(ctx.store)


async def ask_heads(ctx: Context, rep: Replica) -> None:
    """Ask those who claim another history to show it; once each, and further back where an answer says so."""
    state, history = rep.known
    for dv, claim in claims.unsettled(rep).items():
        device = state.devices.get(dv)
        if claim.get("asked") or device is None or not device.active:
            continue
        high = min(int(claim["ls"]), history.seq)
        wanted = {"hi": high, "from": max(0, high - logbook.MAX_PROOF // 2), **claim}
        body = {"from": wanted["from"], "ls": claim["ls"], "lh": claim["lh"]}
        await ctx.relay.post([dv], keys.letter(ctx, rep.sph, "head-ask", **body))
        with ctx.store.step():
            rep.note["claims"][dv] = {**wanted, "asked": ctx.now()}
            rep.save_note(ctx.store)


# --- the own account ----------------------------------------------------------------------------------------------


def take_mk(ctx: Context, letter: Letter, log: KeyLog) -> None:
    """A newer master key from an own device (SLOT-025): taken only from one the key log lists. Raises CheckFailed."""
    if letter.kid not in log.devices or letter.body["dvR"] != ctx.dv:
        return
    old, ct = Roots(ctx.mk, b"", ctx.mkv), b64d(letter.body["ct"])
    for own in renewing.receiving(ctx):
        try:
            new = credentials.open_mk_share(
                ctx.id, letter.kid, own, letter.body["mkv"], ct, old, tainted=memory.planted(ctx)
            )
        except VaultError:
            continue
        break
    else:
        return
    memory.keep_mk(ctx, new.mk, new.mkv, sender=letter.kid)
