"""What is held of one device's messages: runs of linked messages with gaps between them.

Knows only positions and hashes; whether a message may enter is ``run``'s decision.

Spec: RUN-001, RUN-011 to RUN-013.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from cloister.protocol.encoding import b64d
from cloister.protocol.state import Policy
from cloister.sphere.message import Head

MAX_GAPS: Final = 1000
_DAY: Final = 86400


class Run(NamedTuple):
    """A linked stretch of a chain that is held: ``first`` .. ``last`` without holes.

    ``ph`` is what the first message names, ``link`` H of the last, ``under`` what the last names (base64url text).
    ``first_ls``, ``under_ls`` and ``ls`` are the log positions of the first, the last but one (0: not in this run) and
    the last; ``tries`` and ``iat`` are the last one's.
    """

    first: int
    ph: str
    first_ls: int
    last: int
    link: str
    under: str
    under_ls: int
    ls: int
    tries: int
    iat: int


class GapRange(NamedTuple):
    """Missing ``first`` .. ``last``; ``silent`` when a retention policy in force explains it (RUN-013)."""

    first: int
    last: int
    silent: bool


class ChainState(NamedTuple):
    """What is held of the chain of ``dv`` in ``sph``: ascending runs; up to ``floor`` nothing more is taken."""

    sph: str
    dv: str
    runs: tuple[Run, ...] = ()
    floor: int = 0

    @property
    def last(self) -> int:
        """The highest authenticated seq, 0 before the first."""
        return self.runs[-1].last if self.runs else 0

    @property
    def digest(self) -> bytes:
        """H(SI) of the highest, b"" before the first: the next own message's ph."""
        return b64d(self.runs[-1].link) if self.runs else b""

    def dump(self) -> list[Any]:
        """Plain JSON values for a store."""
        return [self.sph, self.dv, self.floor, [list(run) for run in self.runs]]

    @classmethod
    def load(cls, row: Sequence[Any]) -> ChainState:
        """Inverse of ``dump``."""
        return cls(row[0], row[1], tuple(Run(*run) for run in row[3]), row[2])


def run_of(head: Head, link: str) -> Run:
    """The run that is one message."""
    return Run(head.seq, head.ph, head.ls, head.seq, link, head.ph, 0, head.ls, head.tries, head.iat)


def below(runs: Sequence[Run], seq: int) -> int:
    """Index of the last run that begins at or before ``seq``, -1 when there is none."""
    index = len(runs) - 1
    while index >= 0 and runs[index].first > seq:
        index -= 1
    return index


def insert(runs: list[Run], new: Run) -> None:
    """Put an authenticated stretch into its place, joining its neighbours where the hashes meet (RUN-011).

    ``new`` lies in a gap, behind the last run, or is one message that takes the place of a run's last one.
    """
    index = below(runs, new.first)
    under = runs[index] if index >= 0 else None
    if under is not None and under.last == new.first == new.last:
        runs[index : index + 1] = _without_top(under)
        insert(runs, new)
        return
    if under is not None and under.last == new.first - 1 and under.link == new.ph:
        runs[index] = _joined(under, new, under.ls)
    else:
        index += 1
        runs.insert(index, new)
    if index + 1 < len(runs):
        here, above = runs[index], runs[index + 1]
        if above.first == here.last + 1 and above.ph == here.link:
            runs[index : index + 2] = [_joined(here, above, here.ls)]


def _without_top(run: Run) -> list[Run]:
    """The run without its last message, which another version replaces; its hash need not meet what stays."""
    if run.first == run.last:
        return []
    return [Run(run.first, run.ph, run.first_ls, run.last - 1, run.under, "", 0, run.under_ls, 0, run.iat)]


def _joined(lower: Run, upper: Run, under_ls: int) -> Run:
    _, _, _, last, link, under, upper_under_ls, ls, tries, iat = upper
    return Run(
        lower.first, lower.ph, lower.first_ls, last, link, under, upper_under_ls or under_ls, ls, tries, iat
    )  # fmt: skip


def trim(runs: list[Run], floor: int) -> int:
    """Give up the lowest gaps beyond MAX_GAPS; returns the new floor (RUN-012)."""
    while len(runs) > MAX_GAPS + 1:
        floor = runs.pop(0).last
    return floor


def gaps(chain: ChainState, policy: Policy, now: int, *, upto: int = 0) -> list[GapRange]:
    """What is missing before and between the held runs, ascending (RUN-012, RUN-013), and behind them when somebody
    signed that the chain goes on to ``upto`` (CLT-037).

    ``policy`` is the one in force now, ``now`` unix seconds. A gap is silent when retention may have taken it: the
    message before it (none: the chain's beginning) is itself older than the policy keeps.
    """
    found = []
    end, iat = chain.floor, 0
    oldest = now - policy.retention * _DAY
    for run in chain.runs:
        if run.first > end + 1:
            found.append(GapRange(end + 1, run.first - 1, policy.retention > 0 and iat <= oldest))
        end, iat = run.last, run.iat
    if upto > end:
        found.append(GapRange(end + 1, upto, policy.retention > 0 and iat <= oldest))
    return found
