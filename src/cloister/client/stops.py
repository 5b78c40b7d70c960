"""Persistent stops: reasons for which nothing is sent in a sphere until they are resolved.

Five faults stop sending: fork, rollback, invalid log, downgrade, key of a confirmed person changed. An operation of
a newer version makes the sphere read-only in the same way until the program is updated. A stop outlives restarts,
carries its evidence, and is never lifted by the relay: rollback and invalid log may be acknowledged once the log
shown contains what was seen, a changed key and a mode switched by its owner may be acknowledged at once, a fork never
(CLT-021).
"""

from __future__ import annotations

from typing import Any, Final

from cloister.client.context import Context
from cloister.client.events import Event, Stopped
from cloister.client.records import Stop
from cloister.client.replica import Replica
from cloister.errors import CloisterError, UsageError, all_subclasses

AT_ONCE: Final = frozenset({"C_KEY_CHANGED", "C_DOWNGRADE"})
ONCE_HEALED: Final = frozenset({"C_LOG_ROLLBACK", "C_LOG_INVALID", "E_VERSION"})


def note(ctx: Context, sph: str, error: CloisterError, evidence: dict[str, Any]) -> None:
    """Record a stop; a fork is never replaced by a lesser one. Safe outside and inside a failing step."""
    ctx.store.later(lambda: _write(ctx, sph, error, evidence))


def _write(ctx: Context, sph: str, error: CloisterError, evidence: dict[str, Any]) -> None:
    rep = ctx.replica(sph)
    old = rep.note.get("stop")
    if old is not None and old["code"] == "C_LOG_FORK":
        return
    with ctx.store.step() as events:
        raise_now(ctx, rep, error.code, error.detail, evidence, events)


def raise_now(
    ctx: Context, rep: Replica, code: str, detail: str, evidence: dict[str, Any], events: list[Event]
) -> None:
    """Record a stop inside the caller's step."""
    old = rep.note.get("stop")
    rep.note["stop"] = {
        "code": code,
        "detail": detail,
        "at": ctx.now(),
        "acknowledgeable": code in AT_ONCE,
        "data": {"evidence": evidence},
    }
    rep.save_note(ctx.store)
    if old is None or old["code"] != code:
        stop = rep.stop
        assert stop is not None
        events.append(Stopped(rep.sph, stop))


def settle(ctx: Context, rep: Replica) -> None:
    """The log shown contains everything seen: a rollback or an invalid log may now be acknowledged."""
    stop = rep.note.get("stop")
    if stop is not None and stop["code"] in ONCE_HEALED and not stop["acknowledgeable"]:
        stop["acknowledgeable"] = True
        rep.save_note(ctx.store)


def acknowledge(ctx: Context, rep: Replica, code: str) -> None:
    """Lift a stop. Raises UsageError when there is none of that code or it cannot be lifted."""
    stop = rep.stop
    if stop is None or stop.code != code or not stop.acknowledgeable:
        raise UsageError("this stop cannot be lifted")
    with ctx.store.step():
        rep.note.pop("stop")
        rep.save_note(ctx.store)


def require_none(rep: Replica) -> None:
    """Raise the stop's own error when there is one (CLT-021)."""
    stop: Stop | None = rep.stop
    if stop is not None:
        raise all_subclasses()[stop.code](stop.detail)
