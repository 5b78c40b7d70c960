"""What a waiting text asks its author before it goes weaker than it was written, and what a yes says.

An item keeps what its author could know when composing: the mode, and whether everybody was confirmed. A yes adds to
that what its question named, as it was shown, and nothing that came up since (CLT-016).
"""

from __future__ import annotations

from typing import Any

from cloister.client import announce, claims, people
from cloister.client.context import Context
from cloister.client.replica import Replica
from cloister.errors import UsageError


def surroundings(ctx: Context, rep: Replica) -> dict[str, Any]:
    """What the author of a text can know now: the mode, and whether all who read are confirmed (CLT-016)."""
    state = rep.known[0]
    others = [m.id for m in state.active_members() if m.id != ctx.id]
    return {
        "mode": announce.seen(rep),
        "verified": all(people.pin(ctx.store, one).get("confirmed") for one in others),
    }


def open_claims(rep: Replica) -> list[str]:
    """Devices that claim another history, or a longer one, and have not been heard yet (CLT-020, CLT-036)."""
    return list(claims.unsettled(rep))


def question(ctx: Context, rep: Replica, row: dict[str, Any]) -> str:
    """Why an item has to be asked about before it is sealed now; "" when it goes as it was meant (CLT-016).

    The weaker mode in force (``open``, ``public``), ``confirmed`` or ``claim``.
    """
    seen, now, mode = row["seen"], surroundings(ctx, rep), rep.known[0].mode
    if announce.MODES[mode] < announce.MODES[seen["mode"]]:
        return mode
    if seen["verified"] and not now["verified"]:
        return "confirmed"
    if set(open_claims(rep)) - set(row["claims"]):
        return "claim"
    return ""


def allowed(rep: Replica, row: dict[str, Any]) -> bool:
    """Whether an item may go as it is meant: one in clear only where the policy says so now (MSG-008)."""
    state = rep.known[0]
    return not row["openly"] or state.mode != "e2ee" or state.policy.plaintext


def put(rep: Replica, row: dict[str, Any], asks: str) -> None:
    """Write a question on an item, with what it shows."""
    row["question"] = asks
    if asks == "claim":
        row["asked"] = open_claims(rep)


def answer(ctx: Context, rep: Replica, row: dict[str, Any], yes: str) -> None:
    """What the question ``yes`` was about is what the author of an item meant; inside a step. Raises UsageError for one
    that does not exist."""
    seen = row["seen"]
    if yes in ("open", "public"):
        row["seen"] = {**seen, "mode": min(yes, seen["mode"], key=lambda one: announce.MODES[one])}
        if announce.accept(rep, yes):
            rep.save_note(ctx.store)
    elif yes == "confirmed":
        row["seen"] = {**seen, "verified": False}
    elif yes == "claim":
        row["claims"] = sorted({*row["claims"], *row["asked"]})
    else:
        raise UsageError("there is no such question")
    row["question"] = ""
