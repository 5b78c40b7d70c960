"""Was there one log? A checker for histories of concurrent commits, messages and looks (T-N2).

What many clients did at once is right when every act can be put at one moment between its beginning and its end, so
that the relay's answers are those of one log served one act at a time (linearizability; Herlihy and Wing 1990). The
search takes acts in the order of such moments: what changes nothing is placed as soon as it may be, since placing it
early forbids nothing; what changes the log is tried, and taken back when nothing fits after it.

Rows have names: the digests of entries and messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

NEVER = 2**62


class Log(NamedTuple):
    """The rows in order, the last entry, and the last message of each device."""

    rows: tuple[str, ...]
    head: str
    ends: tuple[tuple[str, str], ...] = ()

    def end(self, dv: str) -> str:
        return dict(self.ends).get(dv, "")


@dataclass(frozen=True)
class Act:
    """One act of one client. ``began`` and ``ended`` are places in the order in which things were seen to happen.

    ``entries``: adds ``rows`` after the head ``base``. ``message``: adds its one row after the message ``base`` of
    ``dv``. ``look``: read ``rows`` behind position ``pos``, of ``length`` rows in all; with ``base`` it read the head.
    ``said``: ``yes`` at last position ``pos``; ``stale``: the head is ``told``; ``behind``: the chain ends at
    ``told``; ``no``: refused for another reason; ``silence``: no answer came.
    """

    kind: Literal["entries", "message", "look"]
    said: Literal["yes", "stale", "behind", "no", "silence"]
    began: int
    ended: int
    rows: tuple[str, ...] = ()
    base: str = ""
    dv: str = ""
    pos: int = 0
    length: int = 0
    told: str = ""


def after(log: Log, act: Act) -> list[Log]:
    """What the log may be after an act with this answer; empty when no log would have answered so here."""
    if act.kind == "look":
        seen = log.rows[act.pos :] == act.rows and len(log.rows) == act.length
        return [log] if (log.head == act.base if act.base else seen) else []
    stands = act.rows[-1] in log.rows
    if act.said == "no":
        return [] if stands else [log]
    if act.said == "stale":
        return [log] if act.told == log.head != act.base and not stands else []
    if act.said == "behind":
        return [log] if act.told == log.end(act.dv) != act.base else []
    if stands:
        place = log.rows[act.pos - len(act.rows) : act.pos] == act.rows
        return [log] if place or act.said == "silence" else []
    fits = act.base == (log.head if act.kind == "entries" else log.end(act.dv))
    if act.said == "yes" and not (fits and act.pos == len(log.rows) + len(act.rows)):
        return []
    longer = [_longer(log, act)] if fits else []
    return [*longer, log] if act.said == "silence" else longer


def _longer(log: Log, act: Act) -> Log:
    if act.kind == "entries":
        return log._replace(rows=log.rows + act.rows, head=act.rows[-1])
    ends = {**dict(log.ends), act.dv: act.rows[-1]}
    return log._replace(rows=log.rows + act.rows, ends=tuple(sorted(ends.items())))


def unexplained(begin: Log, acts: Sequence[Act]) -> list[Act]:
    """Acts of which none can come next, where the search came furthest; empty when the history is linearizable."""
    order = sorted(acts, key=lambda act: act.began)
    furthest, stuck = len(order) + 1, list[Act]()
    seen = set[tuple[Log, frozenset[Act]]]()
    ways = [(begin, tuple(order))]
    while ways:
        log, left = ways.pop()
        log, left, changing = _settle(log, left)
        if all(act.said == "silence" for act in left):
            return []
        if (log, frozenset(left)) in seen:
            continue
        seen.add((log, frozenset(left)))
        if len(left) < furthest:
            furthest, stuck = len(left), _possible(left)
        for act, longer in changing:
            ways.append((longer, tuple(one for one in left if one is not act)))
    return stuck


def _settle(log: Log, left: tuple[Act, ...]) -> tuple[Log, tuple[Act, ...], list[tuple[Act, Log]]]:
    """Place all that changes nothing; what could change the log next."""
    while True:
        still, changing = list[Act](), list[tuple[Act, Log]]()
        for act in _possible(left):
            logs = after(log, act)
            if act.said != "silence" and logs == [log]:
                still.append(act)
            changing += [(act, one) for one in logs if one != log]
        if not still:
            return log, left, changing
        left = tuple(one for one in left if not any(one is act for act in still))


def _possible(left: Sequence[Act]) -> list[Act]:
    """Acts that may come next: no other one had ended before they began."""
    found, horizon = list[Act](), NEVER
    for act in left:
        if act.began > horizon:
            break
        found.append(act)
        horizon = min(horizon, act.ended)
    return [act for act in found if act.began <= horizon]
