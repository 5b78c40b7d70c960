"""The outbox: what was written is on disk first, sealed when it can go, and asked about when it would go weaker.

An item keeps what its author saw when composing: the mode, who could read, whether everybody was confirmed. Sealing
happens at send time under the key that runs then. If the sphere has become readable to more than the author knew (a
weaker mode, a confirmed person changed), the item is held for an answer (CLT-016). Per chain one message is in flight;
a refused one is sealed again with the same seq and cid and a higher ``try`` (MSG-006). Order per sphere is kept.

A member in a marked sphere makes the new key and speaks in one commit (rotate, then speak).
"""

from __future__ import annotations

import json
from typing import Any, Final

from cloister.client import claims, commits, inbox, intake, keys, organisation, patience, questions, queue, stops
from cloister.client.context import Context
from cloister.client.events import ItemHeld
from cloister.client.replica import Replica
from cloister.errors import (
    BadFormat,
    Busy,
    CloisterError,
    Conflict,
    DeviceRetired,
    Forbidden,
    FormatError,
    KeyUnknown,
    LogRollback,
    NotFound,
    NotMember,
    StaleEpoch,
    StaleHead,
    TooLarge,
    UsageError,
)
from cloister.protocol import jws
from cloister.protocol.chain import ChainHead
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.state import SphereState
from cloister.sphere import epoch, padding
from cloister.sphere import message as messages
from cloister.sphere import payload as payloads
from cloister.sphere.compose import Rotate, Words
from cloister.sphere.message import Place
from cloister.sphere.payload import Payload

MAX_TRIES: Final = 8
# Padded bytes that always fit into an envelope: base64url, the longest header, tag and signature taken off (MSG-002).
MAX_BODY: Final = (messages.MAX_COMPACT - jws.MAX_HEADER - 100) * 3 // 4 - 16
_FINAL: Final = (BadFormat, TooLarge)


def put(ctx: Context, rep: Replica, payload: Payload) -> str:
    """Queue a payload durably; returns the item's id. Raises TooLarge for one that no message can hold."""
    try:
        size = padding.padded_length(len(payloads.encode(payload)))
    except FormatError:
        raise TooLarge("no message can say this") from None
    if size > MAX_BODY:
        raise TooLarge("one message cannot hold this")
    item = b64e(payload.cid)
    row = {
        "kind": payload.kind, "text": payload.text, "re": b64e(payload.re), "on": payload.on, "about": payload.about,
        "openly": payload.pt, "at": ctx.now(), "seen": questions.surroundings(ctx, rep), "question": "",
        "asked": [], "code": "", "claims": [], "jws": "", "tries": 0,
    }  # fmt: skip
    with ctx.store.step():
        ctx.store.run(
            "INSERT INTO outbox (id, sph, state, data) VALUES (?, ?, 'waiting', ?)", item, rep.sph, json.dumps(row)
        )
    return item


def retry(ctx: Context, item: str, *, anyway: str) -> None:
    """Put an item back in the queue; ``anyway`` names the question that a held one's author has answered with yes.

    A yes is good for what it names and for nothing that came up since: that is judged, and asked, anew (CLT-016).
    Raises UsageError for a held item and no yes, and for a question that does not exist.
    """
    stored = ctx.store.row("outbox", item)
    if stored is None:
        raise NotFound("nothing waits under this id")
    found = queue.find(ctx, item)
    if found.state == "held" and not anyway:
        raise UsageError("this item asks a question first")
    with ctx.store.step():
        stored["code"] = ""
        if found.state == "held":
            questions.answer(ctx, ctx.replica(found.sph), stored, anyway)
        queue.update(ctx, item, "sealed" if stored["jws"] else "waiting", stored)


def drop(ctx: Context, item: str) -> None:
    """Delete an item. Raises UsageError when it was sealed: it may be on its way."""
    found = queue.find(ctx, item)
    pledged = any(made.out == found.id for made in commits.pledges(ctx, found.sph))
    if found.state == "sealed" or pledged:
        raise UsageError("this message may be on its way already")
    with ctx.store.step():
        ctx.store.run("DELETE FROM outbox WHERE id = ?", found.id)


# --- sending ------------------------------------------------------------------------------------------------------


def soft_mark(ctx: Context, rep: Replica) -> bool:
    """Whether the running key is old enough for a new one: time since it began, or messages read under it."""
    state = rep.known[0]
    if state.mode != "e2ee" or state.epoch is None:
        return False
    began = int(rep.note.get("began", {}).get(str(state.ep), state.epoch.iat))
    now = max(ctx.now(), began + held_for(ctx, rep))
    return epoch.is_old(began, now, state.policy.T, int(rep.note.get("count", 0)))


def held_for(ctx: Context, rep: Replica) -> int:
    """Seconds since this device first saw the running epoch, by its own clock: no relay's time can put that off."""
    seen = rep.note.get("began_here", {})
    return max(0, int(ctx.clock()) - int(seen["at"])) if seen.get("n") == rep.known[0].ep else 0


def key_given_up(ctx: Context, rep: Replica) -> bool:
    """The running key is not here, was asked for, and nobody answered: this device makes a new one (CLT-017)."""
    state = rep.known[0]
    asked = rep.note.get("asked", {}).get(str(state.ep))
    return rep.sending_key is None and asked is not None and ctx.now() - asked["first"] >= keys.ASK_AGAIN


def wants_key(ctx: Context, rep: Replica) -> bool:
    """Whether whoever speaks next makes a new key first."""
    state = rep.known[0]
    if state.mode != "e2ee":
        return False
    return state.hard or soft_mark(ctx, rep) or key_given_up(ctx, rep) or organisation.behind(ctx, rep)


async def flush(ctx: Context, sph: str) -> int:
    """Send what waits in a sphere, in order, as its writer; returns how many items were accepted.

    Trouble with an item is written on the item and ends the round; it is not raised, except DeviceRetired and
    DiskTrouble.
    """
    sent = 0
    while not patience.left(ctx, sph):
        row = ctx.store.one(
            "SELECT id, state, data FROM outbox WHERE sph = ? AND state IN ('waiting', 'sealed', 'held')"
            " ORDER BY n LIMIT 1", sph,
        )  # fmt: skip
        if row is None:
            return sent
        item, data = row[0], json.loads(row[2])
        rep = ctx.replica(sph)
        if row[1] == "held":
            _ask_anew(ctx, rep, item, data)
            return sent
        try:
            if not await _send_one(ctx, rep, item, data):
                return sent
        except DeviceRetired:
            raise
        except CloisterError as error:
            if error.code == "L_DISK":
                raise
            _trouble(ctx, item, error)
            patience.note(ctx, sph, error)
            return sent
        sent += 1
    return sent


def _trouble(ctx: Context, item: str, error: CloisterError) -> None:
    """Write on an item why it did not go. Final refusals keep the text as ``failed``."""
    data = ctx.store.row("outbox", item)
    if data is None:
        return
    final = isinstance(error, _FINAL) or (isinstance(error, Forbidden | NotMember) and not data["jws"])
    with ctx.store.step():
        data["code"] = error.code
        state = "failed" if final else ("sealed" if data["jws"] else "waiting")
        queue.update(ctx, item, state, data)


async def _send_one(ctx: Context, rep: Replica, item: str, row: dict[str, Any], depth: int = 0) -> bool:
    """One item to the relay. False when it stays (held, or nothing can be done now)."""
    if depth > MAX_TRIES:
        raise Busy("the relay keeps refusing", retry_after=2.0)
    _require_alone(ctx)
    stops.require_none(rep)
    if rep.status != "active":
        raise NotMember("you are not in this sphere")
    if any(made.out == item for made in commits.pledges(ctx, rep.sph)):
        await commits.settle_all(ctx, rep)
        if ctx.store.row("outbox", item) is None:
            return True
    if row["jws"] and await _was_taken(ctx, rep, item, row):
        return True
    if not ctx.relay.reached:
        await commits.fetch(ctx, ctx.replica(rep.sph))  # nothing is sealed for a state that is not known to hold
    await _catch_up(ctx, ctx.replica(rep.sph), row)
    rep = ctx.replica(rep.sph)
    _require_alone(ctx)
    stops.require_none(rep)
    asks = questions.question(ctx, rep, row)
    if asks:
        _hold(ctx, rep, item, row, asks)
        return False
    if not questions.allowed(rep, row):
        raise Forbidden("no message in clear is allowed here any more")
    await organisation_first(ctx, rep)
    state = rep.known[0]
    if wants_key(ctx, rep):
        if state.members[ctx.id].role != "guest":
            return await _rotate_and_speak(ctx, rep, item, row, depth)
        if state.hard or organisation.behind(ctx, rep):
            raise StaleEpoch("waiting for a new key")
    if state.mode == "e2ee" and rep.sending_key is None:
        await keys.heal(ctx, rep)
        raise KeyUnknown(f"epoch {state.ep}")
    _seal(ctx, rep, item, row)
    return await _in_flight(ctx, rep, item, row, depth)


async def organisation_first(ctx: Context, rep: Replica) -> None:
    """The organisation's log is read before one of its spheres is spoken in, and a key that it owes is made: else a
    word would go under one that somebody who has left can derive, or wait for one that never comes (CLT-062)."""
    org = organisation.of(ctx, rep)

    def due(now: Replica) -> bool:
        state = now.known[0]
        return state.mode == "e2ee" and (state.hard or key_given_up(ctx, now) or organisation.doubted(now, rep))

    if org is None or org.status != "active":
        return
    async with ctx.profile.writer(org.sph):
        try:
            await commits.settle_all(ctx, org)
        except Forbidden:
            raise KeyUnknown("the organisation's log is refused") from None
    org = ctx.replica(org.sph)
    if not due(org):
        return
    if org.known[0].members[ctx.id].role == "guest":
        raise StaleEpoch("waiting for a new key of the organisation")
    async with ctx.profile.writer(org.sph):
        made = await commits.commit(ctx, org, lambda now: [Rotate()] if due(now) else [])
    if made and organisation.doubted(ctx.replica(org.sph), rep):
        organisation.answered(ctx, rep)


def _require_alone(ctx: Context) -> None:
    """Raise DeviceRetired once a copy of this device has spoken (CLT-014)."""
    if ctx.store.get("retired"):
        raise DeviceRetired("a copy of this device has spoken")


async def _catch_up(ctx: Context, rep: Replica, row: dict[str, Any]) -> None:
    """Before sealing: a position named beyond the own log is fetched, then whoever names it is asked (CLT-015)."""
    if claims.gap(ctx, rep, row["claims"]):
        await commits.fetch(ctx, rep)
        rep = ctx.replica(rep.sph)
        await inbox.ask_heads(ctx, rep)
        if claims.gap(ctx, rep, row["claims"]):
            raise StaleHead("a member has seen an entry that the relay does not show here")


def _ask_anew(ctx: Context, rep: Replica, item: str, row: dict[str, Any]) -> None:
    """A held item gets the question that is to be answered now, when it is another one (CLT-016)."""
    asks = questions.question(ctx, rep, row)
    if asks not in ("", row["question"]):
        _hold(ctx, rep, item, row, asks)


def _hold(ctx: Context, rep: Replica, item: str, row: dict[str, Any], asks: str) -> None:
    with ctx.store.step() as events:
        questions.put(rep, row, asks)
        row["jws"] = ""
        queue.update(ctx, item, "held", row)
        events.append(ItemHeld(rep.sph, queue.record(item, rep.sph, "held", row)))


def payload_of(item: str, row: dict[str, Any], state: SphereState) -> Payload:
    """The payload an item was composed as; its cid is the item's id for ever."""
    openly = row["openly"] and state.mode == "e2ee"
    return Payload(row["kind"], b64d(item), row["text"], b64d(row["re"]), row["on"], row["about"], openly)


def _place(ctx: Context, rep: Replica, tries: int) -> Place:
    state, chain = rep.known[0], intake.own_chain(ctx, rep.sph)
    return Place(chain.last + 1, chain.digest, state.seq, state.digest, state.ep, tries)


def _seal(ctx: Context, rep: Replica, item: str, row: dict[str, Any]) -> None:
    """Seal an item for the present head and write that down before anybody sees it (CLT-014)."""
    state = rep.known[0]
    payload = payload_of(item, row, state)
    compact = messages.seal(
        payload, _place(ctx, rep, row["tries"]), sph=rep.sph, dv=ctx.dv, signer=ctx.sign,
        iat=max(ctx.now(), state.iat), rng=ctx.rng,
        key=rep.sending_key if state.mode == "e2ee" and not payload.pt else None,
    )  # fmt: skip
    row["jws"], row["tries"] = compact, row["tries"] + 1
    with ctx.store.step():
        commits.sealed(ctx, rep.sph, compact)
        queue.update(ctx, item, "sealed", row)


async def _in_flight(ctx: Context, rep: Replica, item: str, row: dict[str, Any], depth: int) -> bool:
    """Send a sealed item; when the relay says stale, catch up and seal it again at the same place (MSG-006)."""
    compact: str = row["jws"]
    try:
        pos = await ctx.relay.send(rep.sph, compact)
    except (StaleEpoch, StaleHead):
        await commits.fetch(ctx, rep)
    except Conflict as error:
        await _conflict(ctx, rep, item, error)
    else:
        with ctx.store.step() as events:
            rep = ctx.replica(rep.sph)
            intake.take_now(ctx, rep, [(pos, compact)], events)
            queue.done(ctx, rep, item, compact, events)
        return True
    if _settle(ctx, ctx.replica(rep.sph), item, row):
        return True
    return await _send_one(ctx, ctx.replica(rep.sph), item, row, depth + 1)


async def _was_taken(ctx: Context, rep: Replica, item: str, row: dict[str, Any]) -> bool:
    """An item sealed earlier, outcome unknown: look whether the relay has it; if not, it is judged and sealed anew."""
    await commits.fetch(ctx, rep)
    return _settle(ctx, ctx.replica(rep.sph), item, row)


def _settle(ctx: Context, rep: Replica, item: str, row: dict[str, Any]) -> bool:
    """Whether these words stand in the verified own chain (the answer was lost); else the seal is broken."""
    found = _arrived(ctx, rep.sph, item)
    with ctx.store.step() as events:
        if found is not None:
            queue.done(ctx, rep, item, found, events)
        else:
            row["jws"] = ""
            queue.update(ctx, item, "waiting", row)
    return found is not None


def _arrived(ctx: Context, sph: str, item: str) -> str | None:
    """The envelope by which these words (cid) stand in the own chain."""
    row = ctx.store.one(
        "SELECT jws FROM message INDEXED BY message_cid WHERE sph = ? AND dv = ? AND cid = ? AND state = 'sent'",
        sph,
        ctx.dv,
        item,
    )
    return row[0] if row else None


async def _conflict(ctx: Context, rep: Replica, item: str, error: Conflict) -> None:
    """The relay's end of the own chain is not the one the message builds on (CLT-014)."""
    await commits.fetch(ctx, rep)
    rep = ctx.replica(rep.sph)
    _require_alone(ctx)
    if _arrived(ctx, rep.sph, item) is not None:
        return
    chain = intake.own_chain(ctx, rep.sph)
    seq = int(error.data.get("seq", 0))
    if seq < chain.last:
        raise LogRollback("the relay has lost messages of this device that it had accepted")
    if seq > chain.last:
        with ctx.store.step():
            ctx.store.put("retired", {"sph": rep.sph, "seq": seq})
        raise DeviceRetired("a copy of this device has spoken")


def words_of(ctx: Context, rep: Replica, item: str, row: dict[str, Any]) -> Words:
    """An item as the message of a commit."""
    chain = intake.own_chain(ctx, rep.sph)
    head = ChainHead(chain.last, chain.digest, chain.runs[-1].ls) if chain.runs else None
    return Words(payload_of(item, row, rep.known[0]), head, row["tries"])


async def _rotate_and_speak(ctx: Context, rep: Replica, item: str, row: dict[str, Any], depth: int) -> bool:
    """New key and message in one commit (COM-011). If somebody else made the key meanwhile, speak under it."""

    def words(now: Replica) -> Words | None:
        if questions.question(ctx, now, row) or not questions.allowed(now, row) or not wants_key(ctx, now):
            return None
        return words_of(ctx, now, item, row)

    def make(now: Replica) -> list[Rotate]:
        return [Rotate()] if words(now) is not None else []

    await commits.commit(ctx, rep, make, words=words, out=item)
    if ctx.store.row("outbox", item) is None:
        return True
    row["tries"] += 1
    with ctx.store.step():
        queue.update(ctx, item, "waiting", row)
    return await _send_one(ctx, ctx.replica(rep.sph), item, row, depth + 1)
