"""What signed checkpoints say of message chains, held against what the relay has shown here.

An owner or admin who signs a checkpoint names the last message of every device. Whoever holds less was shown less;
whoever holds another message there was shown another chain. A checkpoint is its author's word: it is told and kept as
evidence, it stops nobody.

Spec: CLT-037.
"""

from __future__ import annotations

import json
from typing import Any

from cloister.client import intake, people
from cloister.client.context import Context
from cloister.client.events import Event, GapFound
from cloister.client.replica import Replica
from cloister.protocol.encoding import b64e
from cloister.protocol.entry import Entry
from cloister.sphere import chains
from cloister.sphere.chains import ChainState


def take(rep: Replica, one: Entry) -> None:
    """Remember the heads a verified checkpoint names; the caller saves the notes."""
    named: dict[str, dict[str, Any]] = rep.note.setdefault("heads", {})
    for dv, seq, h in one.body.get("heads", []):
        old = named.get(dv)
        if seq and (old is None or seq >= old["seq"]):
            named[dv] = {"seq": seq, "h": h, "at": one.seq, "by": one.kid, "said": ""}


def compare(ctx: Context, rep: Replica, upto: int, events: list[Event]) -> None:
    """Compare what checkpoints up to entry ``upto`` name with the chains held; inside a step.

    Call when every item has been read that the relay had after it showed that entry. What agrees is forgotten.
    """
    named: dict[str, dict[str, Any]] = rep.note.get("heads", {})
    due = {dv: head for dv, head in named.items() if head["at"] <= upto}
    if not due:
        return
    held = intake.chains(ctx, rep.sph)
    for dv, head in due.items():
        chain = held.get(dv) or ChainState(rep.sph, dv)
        verdict = _verdict(ctx, rep, chain, head)
        if not verdict:
            del named[dv]
        elif verdict != head["said"]:
            head["said"] = verdict
            _tell(ctx, rep, chain, head, events)
    rep.save_note(ctx.store)


def _verdict(ctx: Context, rep: Replica, chain: ChainState, head: dict[str, Any]) -> str:
    """ "short": the chain ends before the named message; "other": another message stands there; "" when it agrees, or
    when what is missing is a gap like any other (RUN-012) or may have expired (RUN-013)."""
    if chain.last < head["seq"]:
        missing = chains.gaps(chain, rep.known[0].policy, ctx.now(), upto=head["seq"])
        return "short" if missing and not missing[-1].silent else ""
    rows = ctx.store.all(
        "SELECT h FROM message WHERE sph = ? AND dv = ? AND seq = ? AND chained", rep.sph, chain.dv, head["seq"]
    )
    links = [b64e(bytes(row[0])) for row in rows] + [run.ph for run in chain.runs if run.first == head["seq"] + 1]
    return "other" if links and head["h"] not in links else ""


def _tell(ctx: Context, rep: Replica, chain: ChainState, head: dict[str, Any], events: list[Event]) -> None:
    state, history = rep.known
    if head["said"] == "short":
        name = people.name_of(ctx.store, state, history.owner_of(chain.dv))
        events.append(GapFound(rep.sph, chain.dv, name, head["seq"] - chain.last))
        return
    entry = ctx.store.one("SELECT jws FROM entry WHERE sph = ? AND seq = ?", rep.sph, head["at"])
    frames = ctx.store.all(
        "SELECT jws FROM message WHERE sph = ? AND dv = ? AND seq = ? AND chained", rep.sph, chain.dv, head["seq"]
    )
    row = {"code": "C_REPLAY", "sph": rep.sph, "entry": entry[0] if entry else "", "frames": [f[0] for f in frames]}
    ctx.store.run("INSERT OR REPLACE INTO todo VALUES (?, ?)", f"evidence/{rep.sph}.{chain.dv}", json.dumps(row))


def open_ones(ctx: Context, rep: Replica) -> list[tuple[str, str, str, int]]:
    """What checkpoints say and this device was not shown: (verdict, device, who signed, how many messages or 0)."""
    history = rep.known[1]
    held = intake.chains(ctx, rep.sph)
    found = []
    for dv, head in sorted(rep.note.get("heads", {}).items()):
        if head["said"]:
            last = held[dv].last if dv in held else 0
            short = head["seq"] - last if head["said"] == "short" else 0
            found.append((head["said"], dv, history.owner_of(head["by"]), max(short, 0)))
    return found
