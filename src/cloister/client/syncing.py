"""One round with the relay: the account, the inbox, every sphere, the outbox.

Each part stands for itself: a sphere that is refused, stopped or damaged is reported and does not keep the others from
being read. Being offline is a result, not an error. What a crash left open (sign-up, commits, sealed messages,
revocations) is settled here first.

Spec: CLT-007, CLT-008, CLT-010, CLT-013.
"""

from __future__ import annotations

import asyncio

from cloister.client import (
    commits,
    expiry,
    inbox,
    joining,
    keys,
    logbook,
    memory,
    modes,
    outbox,
    patience,
    queue,
    renewing,
    resend,
    stops,
    stream,
)
from cloister.client.context import Context
from cloister.client.records import SyncReport
from cloister.client.replica import Replica
from cloister.errors import (
    AuthFailed,
    Busy,
    CheckFailed,
    CloisterError,
    DeviceRetired,
    DeviceRevoked,
    DiskTrouble,
    Forbidden,
    Internal,
    LogFork,
    LogRollback,
    RateLimited,
    RelayError,
    Unreachable,
)
from cloister.protocol.encoding import b64d
from cloister.protocol.roles import KEM_RANK
from cloister.protocol.state import SphereState
from cloister.sphere import compose


class Tally:
    """What a round did so far."""

    def __init__(self) -> None:
        self.messages = self.entries = self.sent = 0
        self.faults: list[str] = []

    def report(self, ctx: Context, *, offline: bool) -> SyncReport:
        row = ctx.store.one("SELECT count(*) FROM outbox")
        waiting = int(row[0]) if row else 0
        faults = tuple(dict.fromkeys(self.faults))
        return SyncReport(offline, self.messages, self.entries, self.sent, waiting, faults)


async def once(ctx: Context) -> SyncReport:
    """One round. Raises DeviceRevoked and DiskTrouble only."""
    tally = Tally()
    try:
        await account(ctx, tally)
        tally.faults += await joining.poll(ctx)
        await inbox.pull(ctx)
        renewing.forget_old(ctx)
        renewing.begin(ctx)
        for sph in active(ctx):
            await sphere(ctx, sph, tally)
            tally.sent += await deliver(ctx, sph, tally)
        if ctx.store.get("state_dirty"):
            await account(ctx, tally)
    except Unreachable:
        return tally.report(ctx, offline=True)
    except (DeviceRevoked, DiskTrouble):
        raise
    except CloisterError as error:
        tally.faults.append(error.code)
    return tally.report(ctx, offline=False)


def active(ctx: Context) -> list[str]:
    """Spheres to keep in step."""
    return [sph for sph, note in ctx.store.rows("sphere") if note["status"] in ("active", "entering")]


async def account(ctx: Context, tally: Tally) -> None:
    """Key log, state slot, slots (CLT-029). A state older than seen is a fault, and nothing is taken from it."""
    async with ctx.profile.writer("account"):
        try:
            log = await memory.refresh_klog(ctx)
            await memory.exchange(ctx, log)
            if ctx.store.get("mk_due"):
                tally.faults.append("L_MASTER_KEY")
            elif ctx.store.get("slots_due"):
                await keys.fetch_slots(ctx)
        except AuthFailed:
            raise
        except (CheckFailed, RelayError) as error:
            tally.faults.append(error.code)


async def sphere(ctx: Context, sph: str, tally: Tally) -> None:
    """Everything about one sphere, as its writer."""
    async with ctx.profile.writer(sph):
        try:
            await _sphere(ctx, sph, tally)
        except Forbidden:
            rep = ctx.replica(sph)
            if rep.status == "entering" and rep.history is None and "floor" not in rep.note:
                # Heard of in a letter only, and the relay knows nothing of us there: a stray letter.
                ctx.store.run("DELETE FROM sphere WHERE sph = ?", sph)
                ctx.replicas.pop(sph, None)
            if rep.status == "active":
                # No signed entry shows a removal: the relay merely refuses (CLT-030).
                tally.faults.append("E_FORBIDDEN")
                rep.note["refused"] = True
                rep.save_note(ctx.store)
        except (Unreachable, DiskTrouble, DeviceRevoked):
            raise
        except CloisterError as error:
            tally.faults.append(error.code)


async def _sphere(ctx: Context, sph: str, tally: Tally) -> None:
    rep = ctx.replica(sph)
    if rep.status == "entering":
        await enter_device(ctx, rep)
        rep = ctx.replica(sph)
        if rep.status != "active":
            return
    before = rep.history.seq if rep.history is not None else -1
    try:
        await commits.settle_all(ctx, rep)
    except (LogFork, LogRollback, Busy, Internal, RateLimited) as error:
        # A commit that has to wait (its pledge stays) keeps nobody from reading.
        tally.faults.append(error.code)
    rep = ctx.replica(sph)
    if rep.history is None:
        return
    await inbox.tell_fork(ctx, rep)
    known = stream.left_out(rep)
    tally.messages += await commits.fetch_items(ctx, rep)
    rep = ctx.replica(sph)
    if stream.left_out(rep) != known or stream.hidden(rep):
        tally.faults.append("C_GAP")
    tally.entries += rep.known[1].seq - before
    if rep.note.pop("refused", None):
        rep.save_note(ctx.store)
    if rep.status != "active":
        return
    expiry.sweep(ctx, rep)
    modes.exchange(ctx, rep)
    with ctx.store.step() as events:
        keys.use_slots(ctx, rep, events)
    await inbox.ask_heads(ctx, rep)
    await revoke_everywhere(ctx, rep)
    await _renew(ctx, ctx.replica(sph))
    await keys.heal(ctx, ctx.replica(sph))
    await resend.heal(ctx, ctx.replica(sph))
    rep = ctx.replica(sph)
    if await joining.fetch_requests(ctx, rep):
        await joining.auto_admit(ctx, rep)


async def _renew(ctx: Context, rep: Replica) -> None:
    """Tell the sphere this device's new receiving key (CLT-034)."""

    def make(now: Replica) -> list[compose.Intent]:
        device = now.known[0].devices[ctx.dv]
        return [] if device.de == ctx.keys.de else [compose.DeviceRenew(ctx.keys.kem, ctx.keys.de)]

    if ctx.store.get("old_de") and make(rep):
        await commits.commit(ctx, rep, make)


async def deliver(ctx: Context, sph: str, tally: Tally | None = None) -> int:
    """Send what waits in a sphere and store its new keys in slots; returns how many items were accepted.

    A key that somebody else has just made is in the inbox: fetched once, then tried again. With ``tally`` a retired
    device is a fault of the round, else it is raised, and what the relay asks to wait for is waited for if it is short
    (CLT-064).
    """
    sent = await _deliver(ctx, sph, tally)
    for _ in range(patience.TRIES if tally is None else 0):
        wait = patience.left(ctx, sph)
        if not 0 < wait <= patience.SHORT:
            break
        await asyncio.sleep(wait)
        sent += await _deliver(ctx, sph, tally)
    return sent


async def _deliver(ctx: Context, sph: str, tally: Tally | None) -> int:
    sent = 0
    try:
        for attempt in range(2):
            async with ctx.profile.writer(sph):
                sent += await outbox.flush(ctx, sph)
                if ctx.replica(sph).status == "active":
                    await store_slots(ctx, sph)
            if attempt or not any(one.code == "C_KEY_UNKNOWN" for one in queue.items(ctx, sph)):
                break
            await inbox.pull(ctx)
    except DeviceRetired as error:
        if tally is None:
            raise
        tally.faults.append(error.code)
    except (Unreachable, RelayError) as error:
        if tally is not None:
            tally.faults.append(error.code)
    return sent


async def store_slots(ctx: Context, sph: str) -> None:
    """New keys into the account's slots, as the sphere's writer; what fails now is done at the next round."""
    try:
        await keys.put_slots(ctx, ctx.replica(sph))
    except (Unreachable, RelayError):
        pass


async def enter_device(ctx: Context, rep: Replica) -> None:
    """A new device of a member introduces itself to a sphere (CLT-005): read the log, compare with what the account's
    state has seen, add this device under the member's identity key."""
    await logbook.pull(ctx, rep)
    rep = ctx.replica(rep.sph)
    state, history = rep.known
    floor = rep.note.get("floor")
    if floor and floor["h"]:
        error: CheckFailed | None = None
        if floor["seq"] > history.seq:
            error = LogRollback("the log is shorter than the account has seen")
        elif history.digest(floor["seq"]) != b64d(floor["h"]):
            error = LogFork("the log is not the one the account has seen", seq=floor["seq"])
        if error is not None:
            stops.note(ctx, rep.sph, error, {"floor": floor})
            raise error
    member = state.members.get(ctx.id)
    if member is None or not member.active:
        with ctx.store.step():
            rep.note["status"] = "removed"
            rep.save_note(ctx.store)
        return
    if state.author(ctx.dv) is None and too_weak(ctx, state):
        return
    if state.author(ctx.dv) is None:
        cert = ctx.store.get("cert")

        def make(now: Replica) -> list[compose.Intent]:
            return [] if now.known[0].author(ctx.dv) else [compose.DeviceAdd(cert, memory.renewed(ctx))]

        await commits.commit(ctx, rep, make)
        rep = ctx.replica(rep.sph)
    with ctx.store.step() as events:
        rep.note["status"] = "active"
        rep.save_note(ctx.store)
        keys.use_slots(ctx, rep, events)
        keys.read_meta(ctx, rep)
        ctx.store.put("state_dirty", True)


def too_weak(ctx: Context, state: SphereState) -> bool:
    """Whether the policy keeps this device out for the kind of its receiving key; it waits for another (CLT-061)."""
    return KEM_RANK[ctx.keys.kem] < KEM_RANK[state.policy.kem_min]


async def revoke_everywhere(ctx: Context, rep: Replica) -> None:
    """An own device that was revoked anywhere is revoked here too, with a new key (CLT-007)."""

    def gone(now: Replica) -> list[str]:
        state, revoked = now.known[0], memory.revoked(ctx)
        return [d.dv for d in state.devices_of(ctx.id) if d.dv in revoked and d.dv != ctx.dv]

    def make(now: Replica) -> list[compose.Intent]:
        intents: list[compose.Intent] = [compose.DeviceRevoke(dv) for dv in gone(now)]
        if intents and now.known[0].mode == "e2ee" and now.known[0].members[ctx.id].role != "guest":
            intents.append(compose.Rotate())
        return intents

    if not gone(rep):
        return
    try:
        await commits.commit(ctx, rep, make)
    except RelayError as error:
        if isinstance(error, Forbidden):
            return
        raise
