"""A switch of mode is answered once by a person, not once by each of his devices (CLT-042).

The answer is a setting of the account, bound to the entry that made the switch: it is no answer to a later one.
"""

from __future__ import annotations

from typing import Any

from cloister.client import announce, memory
from cloister.client.context import Context
from cloister.client.replica import Replica
from cloister.protocol.encoding import b64e


def exchange(ctx: Context, rep: Replica) -> None:
    """Take an answer that another device of the account gave, or give the own one on; as the sphere's writer."""
    state, name = rep.known[0], f"mode.{rep.sph}"
    if state.mode == "e2ee" or not state.mode_at:
        return
    given = memory.setting(ctx, name) or {"seq": 0}
    if announce.seen(rep) == state.mode:
        if given["seq"] < state.mode_at:
            memory.set_setting(ctx, name, _answer(rep))
    elif given == _answer(rep):
        with ctx.store.step():
            announce.accept(rep, state.mode)
            rep.save_note(ctx.store)


def _answer(rep: Replica) -> dict[str, Any]:
    state, history = rep.known
    return {"h": b64e(history.digest(state.mode_at)), "mode": state.mode, "seq": state.mode_at}
