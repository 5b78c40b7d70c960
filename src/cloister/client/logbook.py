"""Following a sphere's log: fetch, verify every entry, store, and notice when the relay shows something else.

Only entries that pass the state machine enter the store, in the step that also writes state and history. A shorter
log than seen is a rollback; another entry where one stood is a fork when it is validly signed on a common past, and
an invalid log when it is not; all three are persistent stops with evidence (CLT-019, CLT-020). An operation this
version does not know makes the sphere read-only, not stopped (LOG-010).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from cloister.client import announce, keys, stops
from cloister.client.context import Context
from cloister.client.events import Event
from cloister.client.replica import Replica
from cloister.errors import (
    CheckFailed,
    CloisterError,
    FormatError,
    LogFork,
    LogInvalid,
    LogRollback,
    RelayError,
    Unreachable,
    VersionTooOld,
)
from cloister.protocol import entry as entries
from cloister.protocol import fork, jws, machine
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.entry import Entry
from cloister.protocol.history import History
from cloister.protocol.state import SphereState

PAGE: Final = 500
# Entries of either side kept as evidence.
MAX_PROOF: Final = 64
# Characters of entries and join requests in one letter; the largest of both fit.
MAX_LETTER: Final = 180_000
E = TypeVar("E", bound=CloisterError)


async def pull(ctx: Context, rep: Replica) -> int:
    """Bring the local log to the relay's head (CLT-019); returns the number of new entries.

    Call as the sphere's writer. Raises the RelayError or Unreachable of the request, and after recording the stop:
    LogRollback, LogFork, LogInvalid.
    """
    added = 0
    while True:
        start = rep.history.seq if rep.history is not None else 0
        page = await ctx.relay.log(rep.sph, start, PAGE)
        fresh = await _continuing(ctx, rep, page.entries, page.head.seq, page.head.h)
        stops.settle(ctx, rep)
        added += await take(ctx, rep, fresh) if fresh else 0
        if not fresh or (rep.history is not None and rep.history.seq >= page.head.seq):
            _expect(ctx, rep, page.head.seq)
            return added


def _expect(ctx: Context, rep: Replica, seq: int) -> None:
    """The relay names a head it does not show: nothing is sent until it does, or names it no more (CLT-015)."""
    wanted = seq if rep.history is not None and seq > rep.history.seq else 0
    if wanted != int(rep.note.get("wanted", 0)):
        rep.note["wanted"] = wanted
        rep.save_note(ctx.store)


async def _continuing(ctx: Context, rep: Replica, page: Sequence[str], head_seq: int, head_h: str) -> list[Entry]:
    """The entries after the local head, once the relay's log is seen to contain that head (CLT-020)."""
    history = rep.history
    if history is None:
        return _decode(ctx, rep, page)
    named = {"seq": head_seq, "h": head_h}
    if not page:
        raise _stop(ctx, rep, LogRollback("the relay's log is shorter than the one seen"), {"head": named})
    shown = _decode(ctx, rep, page)
    if shown[0].seq != history.seq:
        raise _stop(ctx, rep, LogInvalid("the relay shows other positions than asked for"), {"head": named})
    if shown[0].digest != history.digest(history.seq):
        raise await _judge_rival(ctx, rep, shown[0])
    return shown[1:]


def _decode(ctx: Context, rep: Replica, page: Sequence[str]) -> list[Entry]:
    try:
        return [entries.decode(compact) for compact in page]
    except FormatError as error:
        raise _stop(ctx, rep, LogInvalid(f"entry form: {error.detail}"), {"entries": list(page)}) from None


async def take(
    ctx: Context, rep: Replica, fresh: Sequence[Entry], attachments: Mapping[bytes, str] | None = None
) -> int:
    """Verify and store entries that follow the head, in one step; attachments not given are fetched."""
    given = dict(attachments or {})
    for one in fresh:
        digest = _join_of(one)
        if digest is not None and digest not in given:
            given[digest] = await ctx.relay.attachment(rep.sph, digest)
    with ctx.store.step() as events:
        take_now(ctx, rep, fresh, given, events)
    return len(fresh)


def take_now(
    ctx: Context, rep: Replica, fresh: Sequence[Entry], attachments: Mapping[bytes, str], events: list[Event]
) -> None:
    """As ``take``, inside the caller's step and with every attachment at hand."""
    state, history = rep.state, rep.history
    ctx.replicas.pop(rep.sph, None)  # history is changed in place: a step that fails must not leave it behind
    for one in fresh:
        before = state
        try:
            state = _next(rep.sph, before, one, attachments)
        except VersionTooOld:
            raise _stop(ctx, rep, VersionTooOld("the log holds an operation of a newer version"), {}) from None
        except CheckFailed as error:
            wrapped = LogInvalid(f"entry {one.seq}: {error.detail}", rule=str(error.data.get("rule", error.code)))
            raise _stop(ctx, rep, wrapped, {"at": one.seq, "entry": one.compact}) from None
        if history is None:
            history = History(state)
        else:
            history.append(state)
        row = (rep.sph, one.seq, one.digest, one.compact, ctx.now())
        ctx.store.run("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", *row)
        digest = _join_of(one)
        if digest is not None:
            ctx.store.run("INSERT OR IGNORE INTO attach VALUES (?, ?, ?)", rep.sph, digest, attachments[digest])
        rep.state, rep.history = state, history
        announce.entry(ctx, rep, before, one, events)
    if state is not None and history is not None:
        rep.save_view(ctx.store, state, history)
        rep.save_note(ctx.store)
    ctx.replicas[rep.sph] = rep
    if any(one.op == "meta" for one in fresh):
        keys.read_meta(ctx, rep)


def _next(sph: str, state: SphereState | None, one: Entry, attachments: Mapping[bytes, str]) -> SphereState:
    if state is None:
        made = machine.genesis(one)
        if made.sph != sph:
            raise LogInvalid("the log shown is another sphere's")
        return made
    return machine.apply(state, one, attachments)


def _join_of(one: Entry) -> bytes | None:
    """H of the join request an ``add`` names; None for anything else, malformed ones included."""
    try:
        return b64d(one.body["join"]) if one.op == "add" else None
    except (FormatError, KeyError, TypeError):
        return None


async def _judge_rival(ctx: Context, rep: Replica, rival: Entry) -> CheckFailed:
    """Another entry stands at our head: find where the two logs part and judge the relay's side (CLT-020).

    A relay that will not show that side is judged by what it has shown.
    """
    try:
        return await _parting(ctx, rep)
    except (RelayError, FormatError, Unreachable) as error:
        shown = {"common": rep.known[1].seq - 1, "theirs": [rival.compact]}
        return _stop(ctx, rep, LogInvalid(f"a different log that is not shown: {error.code}"), shown)


async def _parting(ctx: Context, rep: Replica) -> CheckFailed:
    history = rep.known[1]
    low, high = 0, history.seq  # the logs agree below ``low`` and differ at ``high``
    while low < high:
        middle = (low + high) // 2
        page = await ctx.relay.log(rep.sph, middle, 1)
        if page.entries and entries.decode(page.entries[0]).digest == history.digest(middle):
            low = middle + 1
        else:
            high = middle
    theirs = (await ctx.relay.log(rep.sph, low, MAX_PROOF)).entries
    mine = [row[0] for row in ctx.store.all("SELECT jws FROM entry WHERE sph = ? AND seq >= ? ORDER BY seq LIMIT ?",
                                            rep.sph, low, MAX_PROOF)]  # fmt: skip
    evidence: dict[str, Any] = {"common": low - 1, "mine": mine, "theirs": theirs}
    try:
        attached = await _attachments(ctx, rep.sph, theirs)
        evidence["attach"] = {b64e(h): compact for h, compact in attached.items()}
        if low == 0:
            raise LogInvalid("the first entry differs: another sphere")
        state = replay(ctx, rep.sph, low - 1)
        machine.apply(state, entries.decode(theirs[0]), attached)
    except (CheckFailed, VersionTooOld, IndexError) as error:
        return _stop(ctx, rep, LogInvalid(f"a different log that does not verify: {error}"), evidence)
    return _fork(ctx, rep, "two validly signed histories", low, evidence)


async def _attachments(ctx: Context, sph: str, compacts: Sequence[str]) -> dict[bytes, str]:
    found = {}
    for compact in compacts:
        digest = _join_of(entries.decode(compact))
        if digest is not None:
            found[digest] = await ctx.relay.attachment(sph, digest)
    return found


def replay(ctx: Context, sph: str, upto: int) -> SphereState:
    """The state after entry ``upto``, from the own store."""
    rows = ctx.store.all("SELECT jws FROM entry WHERE sph = ? AND seq <= ? ORDER BY seq", sph, upto)
    return fork.replay([row[0] for row in rows], _held(ctx, sph))


def _held(ctx: Context, sph: str) -> dict[bytes, str]:
    """Attachments of the own store."""
    return {bytes(h): jws for h, jws in ctx.store.all("SELECT h, jws FROM attach WHERE sph = ?", sph)}


def judge_proof(
    ctx: Context, rep: Replica, claim: dict[str, Any], compacts: Sequence[str], attached: Sequence[str]
) -> dict[str, Any] | None:
    """An answer to a claim: entries said to stand from ``claim["from"]`` on, with their join requests (CLT-020).

    ``claim["hi"]`` is the lowest position known to differ, ``claim["lo"]`` the highest known to agree. Returns the
    claim with the position to ask from next while the first difference lies elsewhere, None when the matter is
    settled: by a recorded stop, or because nothing is proved.
    """
    history, start = rep.known[1], int(claim["from"])
    try:
        shown = [entries.decode(compact) for compact in compacts]
        given = {jws.decode(one, "sph-join+1").digest: one for one in attached}
    except FormatError:
        return None
    shown = [one for one in shown if one.seq <= history.seq]
    if not shown or [one.seq for one in shown] != list(range(start, start + len(shown))):
        return None
    at = next((n for n, one in enumerate(shown) if one.digest != history.digest(one.seq)), None)
    lo, hi = int(claim.get("lo", -1)), int(claim["hi"])
    if at is not None and shown[at].seq > 0 and (at > 0 or start == lo + 1):
        _prove(ctx, rep, shown[at].seq, compacts[at:], given)
        return None
    if at is None:
        low, high = shown[-1].seq, hi
    else:
        low, high = lo, start
    if (low, high) == (lo, hi) or low >= high or high == 0:
        return None  # nothing new, a contradiction, or another sphere
    back = int(claim.get("back", MAX_PROOF // 2)) * 4
    if low < 0:
        start = max(0, high - back)
    else:
        start = low + 1 if high - low < MAX_PROOF else (low + high) // 2
    return {**claim, "from": start, "lo": low, "hi": high, "back": back}


def judge_unasked(ctx: Context, rep: Replica, start: int, compacts: Sequence[str], attached: Sequence[str]) -> None:
    """Entries nobody asked for: looked at only when the first follows our log right before ``start``, where another
    entry of ours stands, and is signed by a device that was active there (CLT-020)."""
    history = rep.known[1]
    try:
        first = entries.decode(compacts[0]) if compacts else None
        given = {jws.decode(one, "sph-join+1").digest: one for one in attached}
        stopped = rep.stop is not None and rep.stop.code == "C_LOG_FORK"
        if first is None or first.seq != start or not 0 < start <= history.seq or stopped:
            return
        if first.prev != history.digest(start - 1) or first.digest == history.digest(start):
            return
        if not history.active(first.kid, start - 1):
            return
        jws.verify_ed25519(first.envelope, history.key_of(first.kid))
    except CheckFailed:
        return
    _prove(ctx, rep, start, compacts, given)


def _prove(ctx: Context, rep: Replica, low: int, rival: Sequence[str], given: Mapping[bytes, str]) -> None:
    """Record the stop if ``rival``, whose first entry stands at ``low`` instead of ours, is valid there."""
    history, held = rep.known[1], {**given, **_held(ctx, rep.sph)}
    try:
        fork.prove(history, replay(ctx, rep.sph, low - 1), rival, held)
    except LogFork:
        pass
    except (CheckFailed, VersionTooOld):
        return
    mine = [row[0] for row in ctx.store.all("SELECT jws FROM entry WHERE sph = ? AND seq >= ? ORDER BY seq LIMIT ?",
                                            rep.sph, low, MAX_PROOF)]  # fmt: skip
    attach = {b64e(h): compact for h, compact in given.items()}
    evidence = {"common": low - 1, "mine": mine, "theirs": list(rival), "attach": attach}
    _fork(ctx, rep, "a member proved another history", low, evidence)


def _fork(ctx: Context, rep: Replica, detail: str, low: int, evidence: dict[str, Any]) -> LogFork:
    """Record a proven fork. A member whose devices signed both entries where the histories part is named (LOG-028);
    two authors are merely the relay's two answers."""
    state, history = rep.known
    try:
        mine, theirs = (history.owner_of(entries.decode(evidence[side][0]).kid) for side in ("mine", "theirs"))
    except (CheckFailed, IndexError):
        mine, theirs = "", "-"
    if mine == theirs:
        evidence = {**evidence, "by": mine, "who": announce.ctx_name(ctx, state, mine)}
    return _stop(ctx, rep, LogFork(detail, seq=low), evidence)


def shown_from(ctx: Context, sph: str, start: int) -> tuple[list[str], list[str]]:
    """The own entries from ``start`` on and the join requests they admit, as many as one letter holds (CLT-020)."""
    held, room = _held(ctx, sph), MAX_LETTER
    found: list[str] = []
    attached: list[str] = []
    for (compact,) in ctx.store.all(
        "SELECT jws FROM entry WHERE sph = ? AND seq >= ? ORDER BY seq LIMIT ?", sph, start, MAX_PROOF
    ):
        request = held.get(_join_of(entries.decode(compact)) or b"")
        room -= len(compact) + len(request or "")
        if room < 0 and found:
            break
        found.append(compact)
        attached += [request] if request else []
    return found, attached


def _stop(ctx: Context, rep: Replica, error: E, evidence: dict[str, Any]) -> E:
    """Record the stop in a step of its own (the caller's, if any, is rolled back by the raise that follows)."""
    held = rep.history
    if held is not None:
        evidence = {**evidence, "held": {"seq": held.seq, "h": b64e(held.digest(held.seq))}}
    stops.note(ctx, rep.sph, error, evidence)
    return error
