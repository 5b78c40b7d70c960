"""Which messages of a device are authentic: chains, runs, versions, gaps, and the log's say in it.

A device's messages in a sphere form a chain: each names the hash of the one before. One good signature at the top of
a linked run therefore vouches for all of it. The rule is the same for one live message and for a hundred thousand old
ones; only the number of signatures differs. Works on envelopes and the verified log; opens nothing, holds no key.
``chains`` and ``known`` come from the caller's store and go back to it.

Spec: RUN-001 to RUN-016.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, NamedTuple

from cloister.errors import CheckFailed, FormatError, Gap, KeyUnknown, NotMember, SignatureInvalid
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.history import History
from cloister.protocol.roles import RANK
from cloister.protocol.state import Policy, Tail
from cloister.sphere import message as messages
from cloister.sphere.epoch import EpochKey
from cloister.sphere.message import Message
from cloister.sphere.payload import Payload

MAX_GAPS: Final = 1000
Status = Literal["authentic", "duplicate", "version", "waiting", "refused"]


class Run(NamedTuple):
    """A linked stretch of a chain that is held: ``first`` .. ``last`` without holes.

    ``ph`` is what the first message names, ``link`` H of the last, ``under`` what the last names (base64url text).
    ``first_ls``/``ls`` are the log positions of the first and the last, ``tries`` and ``iat`` those of the last.
    """

    first: int
    ph: str
    first_ls: int
    last: int
    link: str
    under: str
    ls: int
    tries: int
    iat: int


@dataclass(frozen=True, slots=True)
class ChainState:
    """What is held of the chain of ``dv`` in ``sph``: runs in ascending order, everything up to ``floor`` given up."""

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


class Verdict(NamedTuple):
    """What became of frame ``index``.

    ``authentic``: shown once opened; ``replaces`` is H of the version it takes the place of (b"" normally).
    ``duplicate``: held already, silent. ``version``: authentic, but another version of the same seq stands; open it
    and compare (``payload.check_version``). ``waiting``: keep the frame and feed it again: C_SIG until a successor
    vouches for it, C_GAP until the log or the cut chain reaches it, C_KEY_UNKNOWN until the log knows its device,
    C_LOG_FORK while its author claims another log. ``refused``: never.
    """

    index: int
    status: Status
    code: str = ""
    detail: str = ""
    message: Message | None = None
    replaces: bytes = b""


@dataclass(frozen=True, slots=True)
class Page:
    """Verdicts in the order of the frames, the chains after them, and what else became known.

    ``named``: (dv, seq, H) of messages that an authenticated successor names and that are not held: when the caller
    keeps such a frame (it was ``waiting`` or ``version``), it feeds it again. ``ahead``: the highest log position any
    well-signed frame names beyond the log's end, else 0: nothing may be sent before the log is there (RUN-014).
    """

    verdicts: list[Verdict]
    chains: dict[str, ChainState]
    named: list[tuple[str, int, bytes]]
    ahead: int


class Opened(NamedTuple):
    """An opened message: verdict, payload or the code of why there is none, author's handle and role at its ls."""

    verdict: Verdict
    payload: Payload | None
    code: str
    author: str
    role: str


class GapRange(NamedTuple):
    """Missing ``first`` .. ``last``; ``silent`` when a retention policy in force explains it (RUN-013)."""

    first: int
    last: int
    silent: bool


def verify_page(
    frames: Sequence[str],
    history: History,
    chains: Mapping[str, ChainState],
    sph: str,
    known: Mapping[tuple[str, int], bytes] | None = None,
) -> Page:
    """Judge compact messages of one sphere, of any senders, in any order, one or many (RUN-001 to RUN-012).

    ``history`` is the verified log, ``chains`` the states by dv (absent: nothing held), ``known`` maps (dv, seq) to
    H(SI) of held messages and tells repetitions from forgeries below the top of a run; the caller's store answers it.
    Raises nothing for a bad frame: that is a verdict.
    """
    verdicts: list[Verdict | None] = [None] * len(frames)
    groups: dict[str, list[tuple[int, Message]]] = {}
    for index, frame in enumerate(frames):
        try:
            message = messages.decode(frame)
        except FormatError as error:
            verdicts[index] = Verdict(index, "refused", error.code, error.detail)
            continue
        if message.head.sph != sph:
            verdicts[index] = Verdict(index, "refused", "C_REPLAY", "belongs to another sphere", message)
            continue
        group = groups.get(message.head.kid)
        if group is None:
            groups[message.head.kid] = [(index, message)]
        else:
            group.append((index, message))
    after = dict(chains)
    named: list[tuple[str, int, bytes]] = []
    ahead = 0
    for dv, group in groups.items():
        judge = _Judge(history, chains.get(dv) or ChainState(sph, dv), known or {})
        after[dv] = judge.judge(group, verdicts)
        named += judge.named
        ahead = max(ahead, judge.ahead)
    return Page([v for v in verdicts if v is not None], after, named, ahead)


def open_page(verdicts: Iterable[Verdict], keys: Mapping[int, EpochKey], history: History) -> list[Opened]:
    """Open every ``authentic`` and ``version`` verdict (RUN-015); others are left out.

    A message that does not open keeps its place with the code: C_KEY_UNKNOWN heals when the key comes.
    """
    opened = []
    for verdict in verdicts:
        message = verdict.message
        if message is None or verdict.status not in ("authentic", "version"):
            continue
        head = message.head
        author = history.owner_of(head.kid)
        role = role_for(history, head.kid, head.seq, head.ls)
        try:
            payload = messages.open(message, keys.get(head.ep), mode=history.mode_at(head.ls))
        except Exception as error:
            code = getattr(error, "code", None)
            if code is None:
                raise
            opened.append(Opened(verdict, None, code, author, role))
        else:
            opened.append(Opened(verdict, payload, "", author, role))
    return opened


def recheck(message: Message, history: History) -> Verdict:
    raise NotImplementedError


def role_for(history: History, dv: str, seq: int, ls: int) -> str:
    """The role that counts for what a message changes (RUN-010): that at its ls, or the lower one when its device
    spoke it after the tail that a lowering entry set."""
    owner = history.owner_of(dv)
    role = history.role_at(owner, ls)
    for tail in history.tails(dv):
        if not tail.end and seq > tail.seq and ls < tail.at:
            lowered = history.role_at(owner, tail.at)
            if RANK.get(lowered, 0) < RANK.get(role, 0):
                role = lowered
    return role


def gaps(chain: ChainState, policy: Policy, now: int) -> list[GapRange]:
    """What is missing between and before the held runs (RUN-012, RUN-013). ``policy`` is the one in force now."""
    raise NotImplementedError


class _Judge:
    """One chain, one page. Lives for a single call of verify_page."""

    named: list[tuple[str, int, bytes]]
    ahead: int

    def __init__(self, history: History, chain: ChainState, known: Mapping[tuple[str, int], bytes]) -> None:
        raise NotImplementedError

    def judge(self, group: list[tuple[int, Message]], verdicts: list[Verdict | None]) -> ChainState:
        raise NotImplementedError


_ = (CheckFailed, Gap, KeyUnknown, NotMember, SignatureInvalid, b64e, field, replace, Tail)
