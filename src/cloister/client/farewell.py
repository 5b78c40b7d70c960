"""Learning of one's own removal without having seen what came before it.

A removed member may read the log no more, so entries it had not fetched stay unseen and the removal cannot be chained
to its own head. The entry alone still proves itself: signed by a device that is active in the last state held, whose
owner may remove this member, or by another own device that left for all. Anything less is the relay's word only, and
changes nothing.

Spec: CLT-030.
"""

from __future__ import annotations

from collections.abc import Sequence

from cloister.client.announce import ctx_name
from cloister.client.context import Context
from cloister.client.events import Event, Removed
from cloister.client.replica import Replica
from cloister.errors import CheckFailed, VersionTooOld
from cloister.protocol import jws
from cloister.protocol.entry import Entry
from cloister.protocol.roles import row_of
from cloister.protocol.state import SphereState

_LOWER = ("member", "guest")


def take(ctx: Context, rep: Replica, shown: Sequence[Entry], events: list[Event]) -> bool:
    """Whether one of these entries proves the removal; then the sphere's status says so, in the caller's step."""
    state = rep.known[0]
    for one in shown:
        how = _ends(state, one, ctx.id) if one.sph == state.sph and one.seq > state.seq + 1 else ""
        if how:
            author = state.devices[one.kid].owner
            rep.note["status"] = how
            rep.save_note(ctx.store)
            ctx.store.put("state_dirty", True)
            events.append(Removed(rep.sph, ctx_name(ctx, state, author)))
            return True
    return False


def _ends(state: SphereState, one: Entry, me: str) -> str:
    """What an entry proves of this member: ``removed``, ``left``, or "" for neither."""
    author = state.author(one.kid)
    if author is None or me not in state.members:
        return ""
    try:
        jws.verify_ed25519(one.envelope, state.devices[one.kid].dk)
        row = row_of(one.op, one.body)
    except (CheckFailed, VersionTooOld):
        return ""
    if author.id == me:
        return "left" if row.op == "leave" else ""
    if row.op != "remove" or one.body["id"] != me:
        return ""
    word = row.may[author.role]
    may = word == "yes" or (word == "below" and state.members[me].role in _LOWER)
    return "removed" if may else ""
