"""What members claim about the log that it does not show: another entry at a position held, or entries beyond its end.

A claim is one device's word. It is asked about once (``head-ask``); until then nothing is sent unasked. A position
beyond the log may be an entry the relay keeps back, so sending waits for it. But a word alone must not silence anybody
for good: a device that was asked and shows no such entry is set aside, its message counts as a claim of another
history, and at this head no further word of it makes anybody wait.

Spec: CLT-015, CLT-020, CLT-036.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from cloister.client.context import Context
from cloister.client.replica import Replica
from cloister.errors import CheckFailed, FormatError, VersionTooOld
from cloister.protocol import entry as entries
from cloister.protocol import jws, machine

# Seconds after which a device that did not answer is no longer waited for; the person is asked instead.
WAIT: Final = 600
Claim = dict[str, Any]


def rival(ctx: Context, rep: Replica, dv: str, ls: int, lh: str) -> None:
    """A message names another entry at a position held (CLT-020). The caller saves the notes."""
    known: dict[str, Claim] = rep.note.setdefault("claims", {})
    if dv not in known or "beyond" in known[dv]:
        known[dv] = {"ls": ls, "lh": lh, "at": ctx.now()}


def beyond(ctx: Context, rep: Replica, dv: str, ls: int, lh: str) -> bool:
    """A message names a position beyond the log (CLT-015). False when this device's word no longer counts at this
    head (CLT-036). The caller saves the notes."""
    known: dict[str, Claim] = rep.note.setdefault("claims", {})
    claim, seq = known.get(dv), rep.known[1].seq
    if claim is not None and claim.get("aside") == seq:
        return False
    if claim is None or claim.get("answered") or claim.get("beyond", 0) <= seq:
        if claim is None or "beyond" in claim:
            known[dv] = {"ls": ls, "lh": lh, "at": ctx.now(), "beyond": ls}
    else:
        claim["beyond"] = max(ls, claim["beyond"])
    return True


def unsettled(rep: Replica) -> dict[str, Claim]:
    """Claims that have not been answered and that the log has not answered by growing."""
    seq = rep.history.seq if rep.history is not None else -1
    known: dict[str, Claim] = rep.note.get("claims", {})
    return {
        dv: claim
        for dv, claim in known.items()
        if not claim.get("answered") and ("beyond" not in claim or claim["beyond"] > seq)
    }


def gap(ctx: Context, rep: Replica, allowed: Sequence[str] = ()) -> bool:
    """Whether an entry may be missing here, so that nothing is sent (CLT-015).

    So says the relay, which names a later head than it shows; a device that has shown such an entry; or one that was
    not heard yet and was asked less than ``WAIT`` ago. ``allowed``: devices whose claim the author knew and overrode.
    """
    state, history = rep.known
    if int(rep.note.get("wanted", 0)) > history.seq:
        return True
    for dv, claim in rep.note.get("claims", {}).items():
        if claim.get("beyond", 0) <= history.seq:
            continue
        device = state.devices.get(dv)
        if claim.get("shown"):
            return True
        heard = claim.get("answered") or dv in allowed or device is None or not device.active
        if not heard and ctx.now() - int(claim.get("asked") or ctx.now()) < WAIT:
            return True
    return False


def answered(ctx: Context, rep: Replica, dv: str, compacts: Sequence[str], attached: Sequence[str]) -> Claim:
    """The claim of ``dv`` after its answer, inside a step: it showed an entry that follows the head, or is set aside
    (CLT-036)."""
    claim = {**rep.note["claims"][dv], "answered": True}
    seq = rep.known[1].seq
    if claim.get("beyond", 0) <= seq:
        return claim
    last = _following(rep, compacts, attached)
    if last > seq:
        return {**claim, "shown": True, "beyond": last}
    ctx.store.run(
        "UPDATE message SET code = 'C_LOG_FORK' WHERE sph = ? AND dv = ? AND state = 'quarantined' AND ls > ?",
        rep.sph, dv, seq,
    )  # fmt: skip
    return {**claim, "aside": seq}


def _following(rep: Replica, compacts: Sequence[str], attached: Sequence[str]) -> int:
    """Position of the last of ``compacts`` that validly follows the head; the head's own when none does."""
    state, history = rep.known
    try:
        given = {jws.decode(one, "sph-join+1").digest: one for one in attached}
        for one in map(entries.decode, compacts):
            if one.seq == state.seq + 1:
                state = machine.apply(state, one, given)
    except (CheckFailed, FormatError, KeyError):
        pass
    except VersionTooOld:
        return state.seq + 1
    return max(state.seq, history.seq)
