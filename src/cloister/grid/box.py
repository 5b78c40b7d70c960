"""Everything one identity has off the grid, as one state: it takes any token and says what it was.

The box holds keys, invitations and the state of conversations. Texts and tokens are the caller's to store: each act
gives them back once, and grid-v2 cannot give a text a second time. A token that came before what it needs can be given
again; ``take_all`` does that within one paste. Spec: GRID-005, GRID-063, GRID-066.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from cloister.errors import CheckFailed, FormatError, KeyUnknown, NotFound, Replay
from cloister.grid import envelope, places, pouch, public, recognise, v1, v1_jws, v1_thread, v2, v2_thread
from cloister.grid.keys import Identity, Rng, thumbprint1
from cloister.grid.pouch import Have, Pouch
from cloister.grid.recognise import V1, V2, Cut
from cloister.grid.v1_backup import Restored
from cloister.protocol.encoding import b64d
from cloister.protocol.shape import shape

VERSION: Final = 1
WAITS: Final = ("C_KEY_UNKNOWN", "C_GAP")  # refusals that end when something else has come
Thread = v1_thread.Thread | v2_thread.Thread
_BOX: Final = shape(
    {
        "v": "int",
        "identity": "object",
        "held1": "list:10000:object",
        "held2": "list:10000:object",
        "threads1": "list:10000:object",
        "threads2": "list:10000:object",
    }
)


@dataclass(frozen=True)
class Box:
    """The state. Conversations stand under their names, which the profiles make of different lengths."""

    identity: Identity
    held1: tuple[v1_thread.Held, ...] = ()
    held2: tuple[v2_thread.Held, ...] = ()
    threads: dict[str, Thread] = field(default_factory=dict)

    def dump(self) -> dict[str, Any]:
        """Plain JSON values for an encrypted store."""
        ones = [one for one in self.threads.values() if isinstance(one, v1_thread.Thread)]
        twos = [one for one in self.threads.values() if isinstance(one, v2_thread.Thread)]
        return {
            "v": VERSION,
            "identity": self.identity.dump(),
            "held1": [one.dump() for one in self.held1],
            "held2": [one.dump() for one in self.held2],
            "threads1": [one.dump() for one in ones],
            "threads2": [one.dump() for one in twos],
        }

    @classmethod
    def load(cls, row: Mapping[str, Any]) -> Box:
        """Inverse of ``dump``. Raises FormatError."""
        _BOX(row)
        if row["v"] != VERSION:
            raise FormatError("a box of another version")
        threads: list[Thread] = [v1_thread.Thread.load(one) for one in row["threads1"]]
        threads += [v2_thread.Thread.load(one) for one in row["threads2"]]
        if len({one.th for one in threads}) != len(threads):
            raise FormatError("two conversations of one name")
        return cls(
            Identity.load(row["identity"]),
            tuple(v1_thread.Held.load(one) for one in row["held1"]),
            tuple(v2_thread.Held.load(one) for one in row["held2"]),
            {one.th: one for one in threads},
        )


@dataclass(frozen=True)
class Written:
    """A token that was made: to be stored, and then handed over. ``after`` as in a message."""

    profile: str
    compact: str
    th: str = ""
    place: int = 0
    after: int = 0


@dataclass(frozen=True)
class Taken:
    """What a token was. ``content`` is an invitation, a message or a receipt; for an invitation ``own`` says whose it
    is, and ``th`` names the conversation that already came of it."""

    profile: str
    compact: str
    content: v1.Invitation | public.Invitation | v1.Message | v2.Message | v2.Receipt
    th: str = ""
    own: bool = False


# --- making -------------------------------------------------------------------------------------------------------


def invite(box: Box, nickname: str, *, now: int, rng: Rng, profile: str = V2, **more: Any) -> tuple[Box, Written]:
    """Make an invitation. ``more``: note, and in grid-v2 relay, life, uses. Raises FormatError."""
    if profile == V1:
        one = v1.invite(box.identity, nickname, now=now, rng=rng, **more)
        return replace(box, held1=(*box.held1, one)), Written(V1, one.compact)
    two = v2.invite(box.identity, nickname, now=now, rng=rng, **more)
    return replace(box, held2=(*box.held2, two)), Written(V2, two.compact)


def answer(
    box: Box, compact: str, nickname: str, text: str, *, now: int, rng: Rng, relay: str = ""
) -> tuple[Box, Written]:
    """Answer an invitation, in its profile, once (GRID-063). Raises Replay when it was answered before, and what
    ``answer`` of the profile raises."""
    profile, kind = _kind(compact)
    if kind not in (envelope.INVITE, v1_jws.INVITE):
        raise FormatError("not an invitation")
    compact = v1_jws.bare(compact)
    if any(_same_invite(one, compact) for one in box.threads.values()):
        raise Replay("this invitation was answered", reason="answered")
    act: Callable[..., tuple[Thread, str]] = v1.answer if profile == V1 else v2.answer
    thread, token = act(box.identity, compact, nickname, text, now=now, rng=rng, relay=relay)
    return _with(box, thread), Written(profile, token, thread.th)


def write(box: Box, th: str, text: str, *, now: int, rng: Rng, relay: str = "") -> tuple[Box, Written]:
    """The next message of a conversation. Raises NotFound, LogRollback, FormatError."""
    thread: Thread = conversation(box, th)
    if isinstance(thread, v1_thread.Thread):
        one, token = v1.write(thread, box.identity, text, now=now, rng=rng, relay=relay)
        after = places.upto(thread.theirs.runs) if thread.theirs else 0
        assert one.mine is not None
        return _with(box, one), Written(V1, token, th, places.last(one.mine.runs), after)
    two, token = v2.write(thread, box.identity, text, now=now, rng=rng, relay=relay)
    return _with(box, two), Written(V2, token, th, two.sent, places.upto(thread.runs))


def receipt(box: Box, th: str, *, now: int, rng: Rng) -> Written:
    """Say what has arrived (GRID-053). Raises NotFound; FormatError in grid-v1, which has no receipts."""
    thread = conversation(box, th)
    if isinstance(thread, v1_thread.Thread):
        raise FormatError("grid-v1 has no receipts")
    return Written(V2, v2.receipt(thread, box.identity, now=now, rng=rng), th)


def conversation(box: Box, th: str) -> Thread:
    """Raises NotFound."""
    if th not in box.threads:
        raise NotFound("no such conversation")
    return box.threads[th]


# --- taking -------------------------------------------------------------------------------------------------------


def take(box: Box, compact: str, *, now: int) -> tuple[Box, Taken]:
    """Take one token, of whichever kind (GRID-063).

    Raises KeyUnknown for a token of no conversation here, FormatError for one that is not handed to people, and what
    reading it raises; the box is then as it was.
    """
    profile, kind = _kind(compact)
    compact = v1_jws.bare(compact)
    if kind in (envelope.INVITE, v1_jws.INVITE):
        return box, _invitation(box, profile, compact)
    if profile == V2 and kind in (envelope.OPENING, envelope.REPLY, envelope.RECEIPT):
        return _take2(box, compact, kind, now)
    if profile == V1 and kind in (v1_jws.OPENING, v1_jws.REPLY):
        return _take1(box, compact, kind)
    raise FormatError("not a token for a conversation", reason="not-for-people", kind=kind)


def _invitation(box: Box, profile: str, compact: str) -> Taken:
    found = v1.read_invite(compact) if profile == V1 else public.read_invite(compact)
    own = found.jwk == box.identity.jwk
    th = "" if own else next((one.th for one in box.threads.values() if _same_invite(one, compact)), "")
    return Taken(profile, compact, found, th, own)


def _same_invite(thread: Thread, compact: str) -> bool:
    """Whether a conversation began with this invitation; its signature is no part of it (JWS-005)."""
    return thread.invite.rpartition(".")[0] == compact.rpartition(".")[0]


def _take1(box: Box, compact: str, kind: str) -> tuple[Box, Taken]:
    th = v1_jws.decode(compact).header["re"]
    thread = box.threads.get(th)
    if isinstance(thread, v1_thread.Thread):
        thread, shown = v1.read(thread, compact)
    elif kind == v1_jws.OPENING:
        thread, shown = v1.accept(box.identity, box.held1, compact)
    else:
        raise KeyUnknown("a message of no conversation here", reason="no-conversation")
    return _with(box, thread), Taken(V1, compact, shown, thread.th, shown.status == "own")


def _take2(box: Box, compact: str, kind: str, now: int) -> tuple[Box, Taken]:
    header = envelope.decode(compact, kind).header
    th = _opened(box, header) if kind == envelope.OPENING else header["th"]
    thread = box.threads.get(th)
    if isinstance(thread, v2_thread.Thread):
        thread, shown = v2.read(thread, compact, now=now)
        return _with(box, thread), Taken(V2, compact, shown, th, shown.status == "own")
    if kind != envelope.OPENING:
        raise KeyUnknown("a message of no conversation here", reason="no-conversation")
    used, thread, first = v2.accept(box.identity, box.held2, compact, now=now)
    held = tuple(used if one.compact == used.compact else one for one in box.held2)
    return _with(replace(box, held2=held), thread), Taken(V2, compact, first, thread.th)


def _opened(box: Box, header: Mapping[str, Any]) -> str:
    """The name of the conversation an answer belongs to, "" when its invitation is not known."""
    invites = [one.compact for one in box.held2]
    invites += [one.invite for one in box.threads.values() if isinstance(one, v2_thread.Thread)]
    for compact in invites:
        if envelope.link_of(compact) == header["invite"]:
            return public.thread_name(public.read_invite(compact).epk, b64d(header["epk"]))
    return ""


def _kind(compact: str) -> tuple[str, str]:
    found = recognise.kind_of(v1_jws.bare(compact).partition(".")[0])
    if found is None:
        raise FormatError("not a token")
    return found


def _with(box: Box, thread: Thread) -> Box:
    return box if box.threads.get(thread.th) == thread else replace(box, threads={**box.threads, thread.th: thread})


Outcome = tuple[str, Taken | CheckFailed]


def _rank(compact: str) -> tuple[int, int]:
    """What is given first: openings, then messages by place, then everything else."""
    try:
        kind = _kind(compact)[1]
        if kind == envelope.REPLY:
            return 1, envelope.decode(compact, kind).header["seq"]
    except FormatError:
        return 2, 0
    return (0, 0) if kind in (envelope.OPENING, v1_jws.OPENING) else (1, 0)


def take_all(box: Box, tokens: Iterable[str], *, now: int) -> tuple[Box, list[Outcome]]:
    """Take many, in whatever order they came: what waits for another of them is given again (GRID-066).

    The outcomes stand in the order of ``tokens``.
    """
    waiting = sorted(enumerate(tokens), key=lambda one: _rank(one[1]))
    outcomes: dict[int, Outcome] = {}
    while waiting:
        again: list[tuple[int, str]] = []
        for index, compact in waiting:
            try:
                box, taken = take(box, compact, now=now)
                outcomes[index] = (compact, taken)
            except CheckFailed as error:
                outcomes[index] = (compact, error)
                if error.code in WAITS:
                    again.append((index, compact))
        if len(again) == len(waiting):
            break
        waiting = again
    return box, [outcomes[index] for index in sorted(outcomes)]


@dataclass(frozen=True)
class Pasted:
    """What a paste held: an outcome per token, what was cut, and the pouch it was, if it was one."""

    outcomes: tuple[Outcome, ...]
    cut: tuple[Cut, ...] = ()
    pouch: Pouch | None = None


def take_text(box: Box, text: str, *, now: int) -> tuple[Box, Pasted]:
    """Take a paste: a pouch, or any text with tokens in it (GRID-060, GRID-066).

    Raises FormatError for a broken pouch.
    """
    if pouch.is_pouch(text):
        read = pouch.unpack(text)
        box, outcomes = take_all(box, read.tokens, now=now)
        return box, Pasted(tuple(outcomes), pouch=read)
    found, cut = recognise.find(text)
    box, outcomes = take_all(box, [one.compact for one in found], now=now)
    return box, Pasted(tuple(outcomes), tuple(cut))


# --- pouches and backups ------------------------------------------------------------------------------------------


def have(box: Box) -> tuple[Have, ...]:
    """What this box holds of everybody else's chains (GRID-065)."""
    out = []
    for thread in box.threads.values():
        if isinstance(thread, v2_thread.Thread):
            out.append(pouch.have(thread.th, thread.theirs, thread.runs))
        elif thread.theirs:
            out.append(pouch.have(thread.th, thumbprint1(thread.them), thread.theirs.runs))
    return tuple(out)


def restore(box: Box, restored: Restored) -> Box:
    """With what a WhisperGrid backup of the same identity held and this box did not (GRID-039).

    Conversations that are here already keep their state; the backup's tokens of them can be taken like any others.
    Raises FormatError for another identity's backup.
    """
    if restored.identity != box.identity:
        raise FormatError("another identity's backup", reason="other-identity")
    known = {one.compact for one in box.held1}
    held = (*box.held1, *(one for one in restored.invitations if one.compact not in known))
    fresh: dict[str, Thread] = {one.th: one for one in restored.threads}
    return replace(box, held1=held, threads={**fresh, **box.threads})


def tidy(box: Box, *, now: int) -> Box:
    """Without the keys of invitations that are over (GRID-042)."""
    held = tuple(v2.over(one, now) for one in box.held2)
    return box if held == box.held2 else replace(box, held2=held)


def waiting_for(outcomes: Sequence[Outcome]) -> list[str]:
    """The tokens that can be given again when more has come."""
    return [compact for compact, what in outcomes if isinstance(what, CheckFailed) and what.code in WAITS]
