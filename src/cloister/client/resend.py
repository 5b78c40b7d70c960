"""Messages that stay missing: ask members for the very envelopes, and hand on those that others miss.

What the relay does not show, or shows damaged, its author and everybody who has read it still holds as it was signed.
A question names the device and the numbers; an answer carries the stored envelopes, and they are judged like any
that the relay shows, so whoever answers need not be trusted. Both are bounded: a question about one chain is put once
in ten minutes and eight times unasked, an asker gets sixteen letters in that time. Spec: CLT-052.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from cloister.client import intake, keys, memory, places
from cloister.client.context import Context
from cloister.client.replica import Replica
from cloister.errors import Forbidden, FormatError, RelayError
from cloister.protocol.p2p import Letter
from cloister.protocol.state import Device
from cloister.sphere import chains
from cloister.sphere import message as messages
from cloister.sphere.chains import ChainState

# Numbers in one question, which is the most a letter holds.
MAX_SEQS: Final = 256
# Chains asked about in one round.
MAX_CHAINS: Final = 16
# Questions about one chain without a person's word.
TRIES: Final = 8
# Characters of envelopes in one answer: encoded once more they fit into a letter.
ROOM: Final = 180_000
MAX_IN_LETTER: Final = 64
# Letters one device is answered with in ``keys.ASK_AGAIN`` seconds.
LETTERS: Final = 16
_DAY: Final = 86400


def wanted(ctx: Context, rep: Replica) -> dict[str, list[int]]:
    """What is missing of each device's chain and may be asked for: the newest numbers, at most 256 of each.

    Gaps that retention does not explain, ends that a checkpoint names, and frames whose signature failed.
    """
    state = rep.known[0]
    ends = {dv: head["seq"] for dv, head in rep.note.get("heads", {}).items() if head["said"] == "short"}
    held = intake.chains(ctx, rep.sph)
    found: dict[str, set[int]] = {}
    for dv in {*held, *ends} - {ctx.dv}:
        chain = held.get(dv) or ChainState(rep.sph, dv)
        ranges = [g for g in chains.gaps(chain, state.policy, ctx.now(), upto=ends.get(dv, 0)) if not g.silent]
        numbers = {n for g in ranges[::-1][:MAX_SEQS] for n in range(max(g.first, g.last - MAX_SEQS + 1), g.last + 1)}
        if numbers:
            found[dv] = numbers
    broken = ctx.store.all(
        "SELECT dv, seq FROM message WHERE sph = ? AND state = 'quarantined' AND code = 'C_SIG' ORDER BY id DESC"
        " LIMIT ?", rep.sph, MAX_SEQS,
    )  # fmt: skip
    for dv, seq in broken:
        if dv != ctx.dv and dv in state.devices:
            found.setdefault(dv, set()).add(int(seq))
    return {dv: sorted(numbers, reverse=True)[:MAX_SEQS] for dv, numbers in sorted(found.items())}


async def heal(ctx: Context, rep: Replica) -> None:
    """Ask about what stays missing after everything the relay has was read; a refusal waits for the next round."""
    if rep.state is None or rep.status != "active":
        return
    try:
        await ask(ctx, rep)
    except (Forbidden, RelayError):
        return


def due(ctx: Context, rep: Replica) -> bool:
    """Whether something was missing when last looked at, and may be asked for again now."""
    return bool(rep.note.get("lacks")) and ctx.now() >= int(rep.note.get("lacks_next", 0))


async def ask(ctx: Context, rep: Replica, *, again: bool = False) -> list[str]:
    """Ask for what is missing; returns the devices asked. ``again``: a person says so, whatever was asked before."""
    lacking, now = wanted(ctx, rep), ctx.now()
    rows: dict[str, Any] = {dv: row for dv, row in rep.note.get("resend", {}).items() if dv in lacking}
    everybody: list[str] = []
    for dv, seqs in lacking.items():
        was = rows.get(dv, {"at": 0, "n": 0, "top": 0, "of": []})
        tries = was["n"] if seqs[0] <= was["top"] else 0
        if len(everybody) >= MAX_CHAINS * keys.ASKED or not (
            again or (tries < TRIES and now - was["at"] >= keys.ASK_AGAIN)
        ):
            continue
        chosen = _holders(ctx, rep, dv, set(was["of"]))
        if chosen:
            await ctx.relay.post(chosen, keys.letter(ctx, rep.sph, "resend-ask", dv=dv, seqs=seqs))
            rows[dv] = {"at": now, "n": tries + 1, "top": seqs[0], "of": [*was["of"], *chosen][-64:]}
            everybody += chosen
    if lacking or rep.note.get("resend") or rep.note.get("lacks"):
        with ctx.store.step():
            rep.note["resend"], rep.note["lacks"] = rows, bool(lacking)
            rep.note["lacks_next"] = now + keys.ASK_AGAIN
            rep.save_note(ctx.store)
    return list(dict.fromkeys(everybody))


def _holders(ctx: Context, rep: Replica, dv: str, before: set[str]) -> list[str]:
    """Whom to ask: the author's device, the author's others, own ones, then who has been here longest; those who were
    asked before come last."""
    state, history = rep.known
    author, revoked = history.owner_of(dv), memory.revoked(ctx)

    def order(device: Device) -> tuple[bool, bool, bool, bool, int]:
        own = device.owner != ctx.id
        return (device.dv in before, device.dv != dv, device.owner != author, own, device.since)

    others = [d for d in state.active_devices() if d.dv != ctx.dv and d.dv not in revoked]
    return [d.dv for d in sorted(others, key=order)[: keys.ASKED]]


async def answer(ctx: Context, rep: Replica, asked: Letter) -> int:
    """Send the envelopes that are here to the member's device that misses them; returns how many.

    Nothing that retention lets go, nothing that was not taken here, and no more than the bound.
    """
    if asked.kid in memory.revoked(ctx):
        return 0
    now, sent = ctx.now(), 0
    rows = {dv: row for dv, row in rep.note.get("resent", {}).items() if now - row["at"] < keys.ASK_AGAIN}
    row = rows.get(asked.kid, {"at": now, "n": 0})
    for bundle in _bundles(ctx, rep, asked.body["dv"], asked.body["seqs"]):
        if row["n"] >= LETTERS:
            break
        members = {"dv": asked.body["dv"], "msgs": bundle}
        await ctx.relay.post([asked.kid], keys.letter(ctx, rep.sph, "resend", **members))
        row, sent = {**row, "n": row["n"] + 1}, sent + len(bundle)
    with ctx.store.step():
        rep.note["resent"] = {**rows, asked.kid: row}
        rep.save_note(ctx.store)
    return sent


def _bundles(ctx: Context, rep: Replica, dv: str, seqs: list[int]) -> Iterator[list[str]]:
    """Held envelopes of a chain, as many in each bundle as one letter takes. What no letter can hold stays out."""
    days = rep.known[0].policy.retention
    oldest = ctx.now() - days * _DAY if days else 0
    bundle: list[str] = []
    for seq in sorted(set(seqs))[:MAX_SEQS]:
        rows = ctx.store.all(
            "SELECT jws FROM message WHERE sph = ? AND dv = ? AND seq = ? AND at >= ? AND jws <> ''"
            " AND (chained OR state = 'damaged') ORDER BY id", rep.sph, dv, seq, oldest,
        )  # fmt: skip
        for compact in (row[0] for row in rows if len(row[0]) <= ROOM):
            if len(bundle) >= MAX_IN_LETTER or sum(map(len, bundle)) + len(compact) > ROOM:
                yield bundle
                bundle = []
            bundle.append(compact)
    if bundle:
        yield bundle


def take(ctx: Context, rep: Replica, letter: Letter) -> int:
    """Judge the envelopes of an answer like any the relay shows; returns how many were new. What this device did not
    ask that one for is not looked at."""
    dv, asked = letter.body["dv"], rep.note.get("resend", {}).get(letter.body["dv"])
    if asked is None or letter.kid not in asked["of"]:
        return 0
    lacking = set(wanted(ctx, rep).get(dv, []))
    frames = []
    for compact in letter.body["msgs"]:
        try:
            head = messages.decode(compact).head
        except FormatError:
            continue
        if head.sph == rep.sph and head.kid == dv and head.seq in lacking:
            frames.append((0, compact))
    if not frames:
        return 0
    with ctx.store.step() as events:
        count = intake.take_now(ctx, rep, frames, events)
        # Nothing above tells where they belong: they are read where this device has come to.
        ctx.store.run(
            "UPDATE message SET place = ? WHERE sph = ? AND dv = ? AND pos = 0 AND chained AND place = ?",
            ctx.store.cursor(rep.sph), rep.sph, dv, places.LAST,
        )  # fmt: skip
        if lacking - set(wanted(ctx, rep).get(dv, [])):
            rep.note["resend"][dv] = {**asked, "at": 0, "n": 0}
            rep.note["lacks_next"] = 0
        rep.save_note(ctx.store)
    return count
