"""Making a commit happen exactly once: durable before the request, judged by the log afterwards.

The whole request and the new epoch's secret are on disk (a *pledge*) before the relay hears of it. After any error the
log decides: our first entry stands there: won; another stands there: lost, and the same intents are composed again
with fresh secrets; nothing stands there: the very same bytes are sent again (CLT-013). A crash at any point leaves a
pledge, settled at the next sync. No answer of the relay makes a key used or dropped, only the verified log does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from cloister.client import heads, intake, keys, logbook, organisation, queue, stops, stream
from cloister.client.context import Context
from cloister.client.events import Event
from cloister.client.replica import Replica, new_note
from cloister.errors import (
    Busy,
    CheckFailed,
    Conflict,
    Forbidden,
    Internal,
    LogInvalid,
    LogRollback,
    NotMember,
    RateLimited,
    RelayError,
    StaleEpoch,
    StaleHead,
    Unreachable,
    UsageError,
)
from cloister.protocol import entry as entries
from cloister.protocol.chain import ChainHead
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.state import SphereState
from cloister.sphere import compose, epoch
from cloister.sphere import message as messages
from cloister.sphere.compose import Author, Draft, Intent, Words
from cloister.sphere.epoch import EpochKey

# Races lost in a row before the caller is told that the sphere is busy.
MAX_RACES: Final = 12
Make = Callable[[Replica], Sequence[Intent]]


@dataclass(frozen=True)
class Pledge:
    """A commit on its way. ``first`` is (seq, H) of its first entry, ``out`` the outbox item spoken in it."""

    idem: str
    sph: str
    create: bool
    body: bytes
    first: tuple[int, bytes]
    secret: tuple[int, bytes] | None
    out: str

    @classmethod
    def read(cls, idem: str, sph: str, row: dict[str, Any]) -> Pledge:
        secret = (row["secret"][0], b64d(row["secret"][1])) if row["secret"] else None
        first = (row["first"][0], b64d(row["first"][1]))
        return cls(idem, sph, row["create"], row["body"].encode(), first, secret, row["out"])


def author(ctx: Context) -> Author:
    """This device as the signer of a commit."""
    return Author(ctx.id, ctx.dv, ctx.sign)


def pledges(ctx: Context, sph: str) -> list[Pledge]:
    """Commits of a sphere whose outcome is not known."""
    return [Pledge.read(idem, sph, row) for idem, row in ctx.store.rows("pledge", "sph = ?", sph)]


def pledge(ctx: Context, draft: Draft, *, create: bool = False, out: str = "") -> Pledge:
    """Write a draft durably, before it is sent (CLT-013)."""
    commit = draft.commit
    body = msgspec.json.encode(commit.as_json())
    first = entries.decode(commit.entries[0])
    idem = b64e(commit.idem)
    row = {
        "create": create,
        "body": body.decode(),
        "first": [first.seq, b64e(first.digest)],
        "secret": [draft.key.n, b64e(draft.key.secret)] if draft.key else None,
        "out": out,
    }
    with ctx.store.step():
        ctx.store.run("INSERT OR REPLACE INTO pledge VALUES (?, ?, ?)", idem, commit.sph, json.dumps(row))
        if commit.msg is not None:
            sealed(ctx, commit.sph, commit.msg)
    return Pledge.read(idem, commit.sph, row)


def sealed(ctx: Context, sph: str, compact: str) -> None:
    """Remember what this device sealed last, before anybody sees it (CLT-014); inside a step."""
    message = messages.decode(compact)
    own = ctx.store.get(f"own/{sph}", {"seq": 0, "hs": []})
    hs = [*own["hs"], message.link] if own["seq"] == message.head.seq else [message.link]
    ctx.store.put(f"own/{sph}", {"seq": message.head.seq, "hs": hs[-64:]})


async def create(ctx: Context, draft: Draft) -> Replica:
    """Commit a new sphere. On Unreachable the pledge stays and the next sync finishes it."""
    sph = draft.commit.sph
    rep = Replica(sph, new_note("active"))
    with ctx.store.step():
        rep.save_note(ctx.store)
        made = pledge(ctx, draft, create=True)
    async with ctx.profile.writer(sph):
        await settle(ctx, rep, made)
    return ctx.replica(sph)


def composed(*parts: Any, **more: Any) -> Draft:
    """``compose.compose``, whose refusals are the caller's here: the log itself is verified and at rest.

    Raises Forbidden for a missing right, UsageError for what the rules exclude, KeyUnknown, FormatError.
    """
    try:
        return compose.compose(*parts, **more)
    except LogInvalid as error:
        if error.data.get("rule") == "ROLE-003":
            raise Forbidden(error.detail) from None
        raise UsageError(error.detail) from None


async def commit(
    ctx: Context,
    rep: Replica,
    make: Make,
    *,
    words: Callable[[Replica], Words | None] | None = None,
    out: str = "",
) -> bool:
    """Compose and commit what ``make`` asks for on the present head, again after every lost race (CLT-013).

    ``make`` is asked anew each time and may find nothing left to do (an empty list and no words): returns False then.
    What it gives and what ``words`` gives is committed on the very head they were asked on, or not at all (CLT-042).
    Call as the sphere's writer. Raises the stop of a stopped sphere, Forbidden for what the rules forbid this account,
    NotMember before the log was read, Unreachable (the pledge stays), Busy after too many lost races, and refusals of
    the relay.
    """
    await settle_all(ctx, rep)
    for _ in range(MAX_RACES):
        rep = ctx.replica(rep.sph)
        stops.require_none(rep)
        if rep.state is None:
            raise NotMember("this device has not entered this sphere yet")
        intents, spoken = make(rep), words(rep) if words else None
        if not intents and spoken is None:
            return False
        judged = rep.state.seq
        heads = await chain_heads(ctx, rep, intents)
        rep = ctx.replica(rep.sph)
        state, history = rep.known
        if state.seq != judged:
            continue  # more was read for the heads: what is wanted is judged on that
        try:
            draft = composed(
                state, history, author(ctx), intents, now=ctx.now(), rng=ctx.rng, keys=rep.keys,
                meta_text=keys.read_meta(ctx, rep), heads=heads, words=spoken, org_key=organisation.key(ctx, rep),
            )  # fmt: skip
        except LogInvalid as error:
            # What this account wants is against the rules; nothing is wrong with the log.
            raise Forbidden(error.detail) from None
        if await settle(ctx, rep, pledge(ctx, draft, out=out)):
            return True
    raise Busy("too many commits at once", retry_after=2.0)


async def chain_heads(ctx: Context, rep: Replica, intents: Sequence[Intent]) -> dict[str, ChainHead]:
    """Where the chains end that an intent cuts (LOG-019), never behind what this device has verified.

    Fetches what is newer first, so that whoever cuts a chain has seen it whole.
    """
    cut = _cut(ctx, rep.known[0], intents)
    if not cut:
        return {}
    found = {tail.dv: tail for tail in await ctx.relay.heads(rep.sph)}
    held = intake.chains(ctx, rep.sph)
    if any(dv in found and found[dv].seq > (held[dv].last if dv in held else 0) for dv in cut):
        await fetch(ctx, rep)
        found = {tail.dv: tail for tail in await ctx.relay.heads(rep.sph)}
        held = intake.chains(ctx, rep.sph)
    for dv in cut:
        if dv in held and (dv not in found or found[dv].seq < held[dv].last):
            raise LogRollback("the relay names an earlier end of a chain than this device has verified")
    return {dv: ChainHead(found[dv].seq, b64d(found[dv].h)) for dv in cut if dv in found}


def _cut(ctx: Context, state: SphereState, intents: Sequence[Intent]) -> set[str]:
    devices: set[str] = set()
    for intent in intents:
        match intent:
            case compose.Remove(id=member) | compose.SetRole(id=member):
                devices |= {d.dv for d in state.devices_of(member)}
            case compose.Leave():
                devices |= {d.dv for d in state.devices_of(ctx.id)}
            case compose.DeviceRevoke(dv=dv):
                devices.add(dv)
            case _:
                pass
    return devices


async def fetch(ctx: Context, rep: Replica) -> int:
    """Log and messages up to the relay's end, as the sphere's writer; returns how many messages are new."""
    await logbook.pull(ctx, rep)
    return await fetch_items(ctx, rep)


async def fetch_items(ctx: Context, rep: Replica) -> int:
    """Stream items after the cursor, page by page, each page one step (CLT-008)."""
    count, pages, more = 0, stream.Pages(ctx, rep.sph), True
    while more:
        seq = rep.known[1].seq
        rows, more = await pages.next()
        if rows:
            count += await take_items(ctx, ctx.replica(rep.sph), rows)
        rep = ctx.replica(rep.sph)
    if rep.note.get("heads"):
        with ctx.store.step() as events:
            heads.compare(ctx, rep, seq, events)
    return count


async def take_items(ctx: Context, rep: Replica, items: Sequence[tuple[int, str, str]]) -> int:
    """One page of a sphere's stream: entries checked or followed, messages judged, the cursor moved, in one step."""
    ahead = [entries.decode(jws) for _, k, jws in items if k == "entry"]
    if any(one.seq > rep.known[1].seq for one in ahead):
        await logbook.pull(ctx, rep)
        rep = ctx.replica(rep.sph)
    with ctx.store.step() as events:
        frames = [(pos, jws) for pos, k, jws in items if k == "msg"]
        count = intake.take_now(ctx, rep, frames, events)
        ctx.store.move(rep.sph, max(pos for pos, _, _ in items))
    return count


async def settle_all(ctx: Context, rep: Replica) -> None:
    """Settle every pledge of a sphere and read its log; after this the outcome of all own commits is known."""
    for made in pledges(ctx, rep.sph):
        await settle(ctx, rep, made, again=True)
    rep = ctx.replica(rep.sph)
    if rep.state is not None:
        await logbook.pull(ctx, rep)


async def settle(ctx: Context, rep: Replica, made: Pledge, *, again: bool = False) -> bool:
    """Send a pledged commit and find out what became of it (CLT-013). True: won. False: lost a race.

    ``again``: the outcome of an earlier try is unknown, so the log is read before anything is sent. Raises a final
    refusal after dropping the pledge, and Unreachable, Busy and the like with the pledge kept.
    """
    if again:
        try:
            verdict = await _judge(ctx, rep, made)
        except Forbidden as error:
            return await _repeat(ctx, made, error)
        if verdict is not None:
            return verdict
    try:
        answer = await ctx.relay.commit(None if made.create else made.sph, made.body)
    except (StaleHead, StaleEpoch, Conflict) as error:
        return await _after_error(ctx, rep, made, error, final=made.create)
    except (Unreachable, Busy, Internal, RateLimited) as error:
        return await _after_error(ctx, rep, made, error, final=False)
    except RelayError as error:
        return await _after_error(ctx, rep, made, error, final=True)
    with ctx.store.step() as events:
        _apply(ctx, ctx.replica(made.sph), made, events, pos=answer.msg_pos or 0)
    return True


async def _repeat(ctx: Context, made: Pledge, refused: Forbidden) -> bool:
    """The log is shown to this device no more, perhaps because of this very commit (leaving): a repetition gets its
    first answer. Any other answer tells nothing: ``refused`` is raised and the pledge stays."""
    try:
        answer = await ctx.relay.commit(None if made.create else made.sph, made.body)
    except RelayError:
        raise refused from None
    with ctx.store.step() as events:
        _apply(ctx, ctx.replica(made.sph), made, events, pos=answer.msg_pos or 0)
    return True


async def _after_error(ctx: Context, rep: Replica, made: Pledge, error: Exception, *, final: bool) -> bool:
    """Refetch and decide; when the log says nothing, ``error`` stands."""
    try:
        verdict = await _judge(ctx, rep, made)
    except (Unreachable, RelayError):
        verdict = None
    if verdict is not None:
        return verdict
    if final:
        _drop(ctx, made)
        raise error
    if isinstance(error, StaleHead | StaleEpoch | Conflict):
        # Refused for a reason that is not in the log (a chain went on, a commit of the same name): compose again.
        _drop(ctx, made)
        if isinstance(error, StaleHead):
            await fetch(ctx, ctx.replica(made.sph))
        return False
    raise error


async def _judge(ctx: Context, rep: Replica, made: Pledge) -> bool | None:
    """Read the log: True our entry stands there, False another does, None nothing does yet."""
    rep = ctx.replica(made.sph)
    if made.create and rep.history is None:
        try:
            page = await ctx.relay.log(made.sph, 0)
        except Forbidden:
            return None
        if page.entries and entries.decode(page.entries[0]).digest == made.first[1]:
            with ctx.store.step() as events:
                _apply(ctx, rep, made, events)
            return True
        return False
    await logbook.pull(ctx, rep)
    rep = ctx.replica(made.sph)
    history = rep.known[1]
    if history.seq < made.first[0]:
        return None
    if history.digest(made.first[0]) != made.first[1]:
        _drop(ctx, made)
        return False
    with ctx.store.step() as events:
        _apply(ctx, rep, made, events)
    return True


def _drop(ctx: Context, made: Pledge) -> None:
    """Forget a pledge that lost or was refused; its secret is in no log, so nobody will ever need it."""
    with ctx.store.step():
        ctx.store.run("DELETE FROM pledge WHERE idem = ?", made.idem)
        if made.create:
            ctx.store.run("DELETE FROM sphere WHERE sph = ?", made.sph)
            ctx.replicas.pop(made.sph, None)


def _apply(ctx: Context, rep: Replica, made: Pledge, events: list[Event], pos: int = 0) -> None:
    """A won commit: own entries through the same verification as anybody's, key kept, message and item settled."""
    request = json.loads(made.body)
    fresh = [entries.decode(compact) for compact in request["entries"]]
    held = rep.history.seq if rep.history is not None else -1
    secret: list[EpochKey] = []
    following = [one for one in fresh if one.seq > held]
    if following:
        attached = {b64d(h): jws for h, jws in request.get("attach", {}).items()}
        logbook.take_now(ctx, rep, following, attached, events)
    if made.secret is not None:
        try:
            secret = [epoch.check(made.secret[1], rep.known[1].epoch(made.secret[0]), made.sph)]
        except CheckFailed:
            secret = []
    keys.keep(ctx, rep, secret, events)
    keys.read_meta(ctx, rep)
    if request.get("msg"):
        intake.take_now(ctx, rep, [(pos, request["msg"])], events)
    if made.out and request.get("msg"):
        queue.done(ctx, rep, made.out, request["msg"], events)
    ctx.store.run("DELETE FROM pledge WHERE idem = ?", made.idem)
    ctx.store.put("state_dirty", True)
