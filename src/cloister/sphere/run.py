"""Which messages are authentic: runs under one signature, versions, and the log's say in it.

A device's messages in a sphere form a chain: each names the hash of the one before. One good signature at the top of
a linked run therefore vouches for all of it. The rule is the same for one live message and for a hundred thousand old
ones; only the number of signatures differs. Works on envelopes and the verified log; opens nothing but in
``open_page``, stores nothing: ``chains`` and ``known`` come from the caller and go back to it.

Spec: RUN-001 to RUN-016.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple
from weakref import WeakKeyDictionary

from cloister.errors import CheckFailed, FormatError, KeyUnknown, SignatureInvalid, VersionTooOld
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.history import History
from cloister.protocol.roles import RANK
from cloister.protocol.state import Tail
from cloister.sphere import chains as chain_states
from cloister.sphere import message as messages
from cloister.sphere.chains import ChainState, Run, run_of
from cloister.sphere.epoch import EpochKey
from cloister.sphere.message import Head, Message
from cloister.sphere.payload import Payload

MAX_FACTS: Final = 65536

Status = Literal["authentic", "duplicate", "version", "waiting", "refused"]


class Verdict(NamedTuple):
    """What became of frame ``at`` of the page.

    ``authentic``: shown once opened; ``replaces`` is H of the version it takes the place of (b"" normally).
    ``duplicate``: held already, silent. ``version``: authentic, but another version of the same seq stands; open it
    and compare (``payload.check_version``). ``waiting``: keep the frame and feed it again: C_SIG until a successor
    vouches for it, C_GAP until the log or a cut chain reaches it, C_KEY_UNKNOWN until the log knows its device.
    C_LOG_FORK among them is a claim: its author names another log; kept as it is until a proof settles the claim.
    ``refused``: never.
    """

    at: int
    status: Status
    code: str = ""
    detail: str = ""
    message: Message | None = None
    replaces: bytes = b""


class Page(NamedTuple):
    """Verdicts in the order of the frames, the chains after them, and what else became known.

    ``named``: (dv, seq, H) of messages that an authenticated successor names and that are not held; a caller that
    kept frames of that device as ``waiting`` or ``version`` feeds them again. ``ahead``: the highest log position a
    well-signed frame names beyond the log's end, else 0: nothing may be sent before the log is there (RUN-014).
    """

    verdicts: list[Verdict]
    chains: dict[str, ChainState]
    named: list[tuple[str, int, bytes]]
    ahead: int


class Opened(NamedTuple):
    """An opened message: verdict, payload or the code of why there is none, author's handle, role that counts."""

    verdict: Verdict
    payload: Payload | None
    code: str
    author: str
    role: str


def verify_page(
    frames: Sequence[str],
    history: History,
    chains: Mapping[str, ChainState],
    sph: str,
    known: Mapping[tuple[str, int], bytes] | None = None,
) -> Page:
    """Judge compact messages of one sphere, of any senders, in any order, one or many (RUN-001 to RUN-014).

    ``history`` is the verified log, ``chains`` the states by dv (absent: nothing held), ``known`` maps (dv, seq) to
    H(SI) of held messages and tells repetitions from other versions below the top of a run; the caller's store
    answers it. Raises nothing for a bad frame: that is a verdict.
    """
    facts = _facts(history)
    verdicts: list[Verdict] = [_NONE] * len(frames)
    groups: dict[str, list[tuple[int, Message]]] = {}
    for at, frame in enumerate(frames):
        try:
            message = messages.decode(frame)
        except FormatError as error:
            verdicts[at] = Verdict(at, "refused", error.code, error.detail)
            continue
        if message.head.sph != sph:
            verdicts[at] = Verdict(at, "refused", "C_REPLAY", "belongs to another sphere", message)
            continue
        group = groups.get(message.head.kid)
        if group is None:
            groups[message.head.kid] = [(at, message)]
        else:
            group.append((at, message))
    after, named, ahead = dict(chains), [], 0
    for dv, group in groups.items():
        chain = chains.get(dv) or ChainState(sph, dv)
        if len(group) == 1 and (longer := _next(history, facts, chain, group[0], verdicts)) is not None:
            after[dv] = longer
            named += _named(longer)
            continue
        try:
            judge = _Judge(history, facts, chain, known or {}, verdicts)
        except KeyUnknown as error:
            for at, message in group:
                status: Status = "waiting" if message.head.ls > history.seq else "refused"
                verdicts[at] = Verdict(at, status, error.code, "the log does not know this device", message)
            continue
        after[dv] = chain = judge.judge(group)
        named += _named(chain)
        ahead = max(ahead, judge.ahead)
    return Page(verdicts, after, named, ahead)


def open_page(verdicts: Iterable[Verdict], keys: Mapping[int, EpochKey], history: History) -> list[Opened]:
    """Open every ``authentic`` and ``version`` verdict, in order (RUN-015); others are left out.

    A message that does not open keeps its place with its code: C_KEY_UNKNOWN heals when the key comes.
    """
    opened: list[Opened] = []
    facts = _facts(history)
    for verdict in verdicts:
        _, status, _, _, message, _ = verdict
        if message is None or (status != "authentic" and status != "version"):
            continue
        head = message.head
        device = facts.device(history, head.kid)
        author = device.owner
        mode, role = facts.circumstances(history, author, head.ls)
        if device.lowered:
            role = role_for(history, head.kid, head.seq, head.ls)
        try:
            payload = messages.open(message, keys.get(head.ep), mode=mode)
        except (CheckFailed, VersionTooOld) as error:
            opened.append(Opened(verdict, None, error.code, author, role))
        else:
            opened.append(Opened(verdict, payload, "", author, role))
    return opened


def role_for(history: History, dv: str, seq: int, ls: int) -> str:
    """The role that counts for what a message changes (RUN-010): the one at its ls, or the lower one when its device
    spoke it after the tail that a lowering entry recorded."""
    device = _facts(history).device(history, dv)
    role = history.role_at(device.owner, ls)
    for tail in device.lowered:
        if seq > tail.seq and ls < tail.at:
            lowered = history.role_at(device.owner, tail.at)
            if RANK.get(lowered, 0) < RANK.get(role, 0):
                role = lowered
    return role


_NONE = Verdict(-1, "refused")
_FINE: tuple[Status, str, str] = ("authentic", "", "")
_BACK: tuple[Status, str, str] = ("refused", "C_LOG_INVALID", "goes back in the log")


class _Device(NamedTuple):
    """A device in the log as it stands at ``seq``: where its chain was cut, and where its owner's role fell."""

    seq: int
    dk: bytes
    owner: str
    cuts: tuple[Tail, ...]
    lowered: tuple[Tail, ...]


class _Facts:
    """What a history has answered before. A log only grows, so what it said of a position stays true."""

    __slots__ = ("devices", "rules", "then")

    def __init__(self) -> None:
        self.devices: dict[str, _Device] = {}
        self.rules: dict[tuple[str, int, str, int, str], tuple[Status, str, str]] = {}
        self.then: dict[tuple[str, int], tuple[str, str]] = {}

    def device(self, history: History, dv: str) -> _Device:
        """Raises KeyUnknown."""
        known = self.devices.get(dv)
        if known is None or known.seq != history.seq:
            tails = history.tails(dv)
            cuts = tuple(sorted((t for t in tails if t.end), key=lambda t: t.seq))
            lowered = tuple(t for t in tails if not t.end)
            known = _Device(history.seq, history.key_of(dv), history.owner_of(dv), cuts, lowered)
            self.devices[dv] = known
        return known

    def rule(self, history: History, head: Head) -> tuple[Status, str, str]:
        """What the log says about a message whose ls it holds (RUN-007)."""
        key = (head.kid, head.ls, head.lh, head.ep, head.enc)
        found = self.rules.get(key)
        if found is None:
            if len(self.rules) >= MAX_FACTS:
                self.rules.clear()
            found = self.rules[key] = _log_rule(history, self.device(history, head.kid).owner, head)
        return found

    def circumstances(self, history: History, author: str, ls: int) -> tuple[str, str]:
        """The sphere's mode and the author's role after entry ``ls``."""
        found = self.then.get((author, ls))
        if found is None:
            if len(self.then) >= MAX_FACTS:
                self.then.clear()
            found = history.mode_at(ls), history.role_at(author, ls)
            if ls <= history.seq:
                self.then[author, ls] = found
        return found


_FACTS: Final[WeakKeyDictionary[History, _Facts]] = WeakKeyDictionary()


def _facts(history: History) -> _Facts:
    facts = _FACTS.get(history)
    if facts is None:
        facts = _FACTS[history] = _Facts()
    return facts


def _named(chain: ChainState) -> list[tuple[str, int, bytes]]:
    """What runs name and the run below does not hold."""
    return [(chain.dv, run.first - 1, b64d(run.ph)) for run in chain.runs if run.ph and run.first - 1 > chain.floor]


def _next(
    history: History, facts: _Facts, chain: ChainState, one: tuple[int, Message], verdicts: list[Verdict]
) -> ChainState | None:
    """The commonest of all pages: one message right behind what is held of its device. The same conditions and the
    same verdict as ``_Judge`` would give, without its preparations; None sends it there."""
    at, message = one
    head = message.head
    device = facts.devices.get(head.kid)
    if not chain.runs or device is None or device.seq != history.seq or device.cuts:
        return None
    top = chain.runs[-1]
    if head.seq != top.last + 1 or head.ph != top.link or not history.base <= head.ls <= history.seq:
        return None
    rule = facts.rule(history, head)
    if rule[1] == "C_NOT_MEMBER":
        return None
    try:
        messages.verify(message, device.dk)
    except SignatureInvalid:
        return None
    status, code, detail = rule if head.ls >= top.ls or rule[1] else _BACK
    verdicts[at] = Verdict(at, status, code, detail, message)
    first, ph, first_ls, _, _, _, _, under_ls, _, _ = top
    run = Run(first, ph, first_ls, head.seq, message.link, head.ph, under_ls, head.ls, head.tries, head.iat)
    return ChainState(chain.sph, chain.dv, (*chain.runs[:-1], run), chain.floor)


class _Judge:
    """One chain and one page; lives for a single call of verify_page."""

    def __init__(
        self,
        history: History,
        facts: _Facts,
        chain: ChainState,
        known: Mapping[tuple[str, int], bytes],
        verdicts: list[Verdict],
    ) -> None:
        self.history, self.chain, self.known, self.verdicts = history, chain, known, verdicts
        self.dv = chain.dv
        self.facts = facts
        device = facts.device(history, chain.dv)
        self.dk, self.cuts = device.dk, device.cuts
        self.runs = list(chain.runs)
        self.ahead = 0

    def rule(self, head: Head) -> tuple[Status, str, str]:
        return self.facts.rule(self.history, head)

    def judge(self, group: list[tuple[int, Message]]) -> ChainState:
        """Fill in the verdicts of the group; returns the chain after it."""
        if not self._take_run(group):
            self._take_any(group)
        if tuple(self.runs) == self.chain.runs:
            return self.chain
        floor = chain_states.trim(self.runs, self.chain.floor)
        return ChainState(self.chain.sph, self.dv, tuple(self.runs), floor)

    # --- the usual page: one linked run behind what is held ------------------------------------------------------

    def _take_run(self, group: list[tuple[int, Message]]) -> bool:
        """One signature for the whole run (RUN-004); False when the group is none, or its top does not hold."""
        link, low, high = "", self.history.base, self.history.seq
        first, top = group[0][1].head, group[-1][1]
        if self.cuts or first.seq <= max(self.chain.last, self.chain.floor):
            return False
        seq, rules = first.seq, []
        for _, message in group:
            head = message.head
            if head.seq != seq or (link and head.ph != link) or not low <= head.ls <= high:
                return False
            rule = self.rule(head)
            if rule[1] == "C_NOT_MEMBER":
                return False
            rules.append(rule)
            link, seq = message.link, seq + 1
        try:
            messages.verify(top, self.dk)
        except SignatureInvalid:
            return False
        ls = under = self.runs[-1].ls if self.runs else 0
        for (at, message), rule in zip(group, rules, strict=True):
            here = message.head.ls
            self.verdicts[at] = Verdict(at, *(rule if here >= ls or rule[1] else _BACK), message)
            under, ls = ls, here
        head = top.head
        under = under if len(group) > 1 else 0
        new = Run(first.seq, first.ph, first.ls, head.seq, top.link, head.ph, under, head.ls, head.tries, head.iat)
        chain_states.insert(self.runs, new)
        return True

    # --- any page: gaps, versions, bad signatures, cut chains ----------------------------------------------------

    def _take_any(self, group: list[tuple[int, Message]]) -> None:
        fresh: dict[int, list[tuple[int, Message]]] = {}
        for at, message in group:
            if not self._sort_out(at, message):
                fresh.setdefault(message.head.seq, []).append((at, message))
        for seq, (at, message, replaces) in sorted(self._authenticate(fresh).items()):
            index = chain_states.below(self.runs, seq)
            under = self.runs[index] if index >= 0 else None
            if under is not None and under.last == seq:
                inside = under.first < under.last
                ls = under.under_ls if inside else self.runs[index - 1].ls if index else 0
            else:
                ls = under.ls if under is not None else 0
            above = self.runs[index + 1].first_ls if index + 1 < len(self.runs) else None
            self._verdict(at, message, ls, above, replaces)
            chain_states.insert(self.runs, run_of(message.head, message.link))

    def _sort_out(self, at: int, message: Message) -> bool:
        """Verdicts that need no look at the neighbours (RUN-002, RUN-005, RUN-014); True when there is one."""
        head = message.head
        if self.known.get((self.dv, head.seq)) == message.digest:
            self.verdicts[at] = Verdict(at, "duplicate", "", "", message)
            return True
        if self._barred(head):
            self.verdicts[at] = Verdict(at, "refused", "C_NOT_MEMBER", "not an active member there", message)
            return True
        if not self.history.base <= head.ls <= self.history.seq:
            if self._signed(message):
                self.ahead = max(self.ahead, head.ls)
                self.verdicts[at] = Verdict(at, "waiting", "C_GAP", "names a log entry not held yet", message)
            else:
                self.verdicts[at] = Verdict(at, "waiting", "C_SIG", "", message)
            return True
        index = chain_states.below(self.runs, head.seq)
        run = self.runs[index] if index >= 0 else None
        if head.seq <= self.chain.floor or (run is not None and head.seq < run.last):
            self.verdicts[at] = Verdict(at, "refused", "C_REPLAY", "another message stands there", message)
            return True
        if run is not None and head.seq == run.last and run.link == message.link:
            self.verdicts[at] = Verdict(at, "duplicate", "", "", message)
            return True
        return False

    def _authenticate(self, fresh: dict[int, list[tuple[int, Message]]]) -> dict[int, tuple[int, Message, bytes]]:
        """From the highest seq down: what is authentic (RUN-003), and which version of each seq stands."""
        named: dict[int, str] = {}
        ends: dict[int, Run] = {}
        for run in self.runs:
            ends[run.last] = run
            if self._reaches_cut(run):
                named[run.first - 1] = run.ph
        taken: dict[int, tuple[int, Message, bytes]] = {}
        for seq in sorted(fresh, reverse=True):
            chosen = self._choose(fresh[seq], named.get(seq), self._cut_over(seq), ends.get(seq))
            if chosen is None:
                continue
            taken[seq] = chosen
            head = chosen[1].head
            named[seq - 1] = head.ph
            run_below = ends.get(seq - 1)
            if run_below is not None and run_below.link == head.ph:
                named[run_below.first - 1] = run_below.ph
        return taken

    def _choose(
        self, rivals: list[tuple[int, Message]], name: str | None, cut: Tail | None, held: Run | None
    ) -> tuple[int, Message, bytes] | None:
        """Of the versions at one seq, the one that stands; the others get their verdicts here."""
        standing: tuple[int, Message] | None = None
        authentic: list[tuple[int, Message]] = []
        links: set[str] = set()
        tail_here = cut is not None and cut.seq == rivals[0][1].head.seq
        only = b64e(cut.digest) if cut is not None and tail_here else name
        for at, message in rivals:
            if cut is not None and only is None:
                self.verdicts[at] = Verdict(at, "waiting", "C_GAP", "not joined to where its chain was cut", message)
                continue
            if cut is not None and message.link != only:
                self.verdicts[at] = Verdict(at, "refused", "C_NOT_MEMBER", "not on the chain that was cut", message)
                continue
            if message.link != name and message.link not in links and not self._signed(message):
                self.verdicts[at] = Verdict(at, "waiting", "C_SIG", "", message)
                continue
            links.add(message.link)
            authentic.append((at, message))
            rival = standing[1] if standing is not None else None
            if (rival is None or rival.link != message.link) and self._stands(message, name, rival, held):
                standing = (at, message)
        for at, message in authentic:
            same = standing is not None and message.link == standing[1].link
            status: tuple[Status, str] = ("duplicate", "") if same else ("version", "C_REPLAY")
            self.verdicts[at] = Verdict(at, *status, "another version of it stands", message)
        if standing is None:
            return None
        return (*standing, b64d(held.link) if held is not None else b"")

    def _stands(self, message: Message, name: str | None, rival: Message | None, held: Run | None) -> bool:
        """The version a successor names, else the highest try, else the one seen first (RUN-006)."""
        head = message.head
        is_named = message.link == name
        if held is not None and head.ph != held.under and not (is_named and held.first == held.last):
            return False
        if is_named:
            return True
        if rival is not None and (rival.link == name or rival.head.ph != head.ph or rival.head.tries >= head.tries):
            return False
        return held is None or (held.link != name and head.tries > held.tries)

    # --- the log's say -------------------------------------------------------------------------------------------

    def _barred(self, head: Head) -> bool:
        """Spoken where its device had no right to speak at all: not active, or after the tail it was cut at."""
        if any(head.seq > cut.seq and head.ls < cut.at for cut in self.cuts):
            return True
        if not self.history.base <= head.ls <= self.history.seq:
            return False
        return self.rule(head)[1] == "C_NOT_MEMBER"

    def _cut_over(self, seq: int) -> Tail | None:
        """The tail a message at ``seq`` must be joined to, if any (RUN-009)."""
        return next((cut for cut in self.cuts if cut.seq >= seq), None)

    def _reaches_cut(self, run: Run) -> bool:
        cut = self._cut_over(run.first - 1)
        return cut is None or run.last > cut.seq or (run.last == cut.seq and run.link == b64e(cut.digest))

    def _signed(self, message: Message) -> bool:
        try:
            messages.verify(message, self.dk)
        except CheckFailed:
            return False
        return True

    def _verdict(self, at: int, message: Message, ls: int, above: int | None = None, replaces: bytes = b"") -> None:
        """The verdict of an authenticated message (RUN-007, RUN-008)."""
        head = message.head
        status, code, detail = self.rule(head)
        if status == "authentic" and (head.ls < ls or (above is not None and head.ls > above)):
            status, code, detail = _BACK
        self.verdicts[at] = Verdict(at, status, code, detail, message, replaces)


def _log_rule(history: History, owner: str, head: Head) -> tuple[Status, str, str]:
    """What the verified log says about a message at its ls (RUN-007)."""
    ls = head.ls
    policy = history.policy_at(ls)
    if not history.active(head.kid, ls) or (policy.guests == "read" and history.role_at(owner, ls) == "guest"):
        return "refused", "C_NOT_MEMBER", "not an active member there"
    if b64e(history.digest(ls)) != head.lh:
        return "waiting", "C_LOG_FORK", "claims another log"  # RUN-016
    epoch = history.epoch_at(ls)
    if history.mode_at(ls) == "e2ee":
        if head.enc != messages.SEALED and not policy.plaintext:
            return "refused", "C_DOWNGRADE", "clear text in an encrypted sphere"
        if epoch is None or history.hard_between(epoch.seq, ls):
            return "refused", "C_LOG_INVALID", "spoken while a new key was due"
    elif head.enc != messages.CLEAR:
        return "refused", "C_DOWNGRADE", "encrypted in an open sphere"
    if head.ep != (epoch.n if epoch else 0):
        return "refused", "C_LOG_INVALID", "another epoch was running"
    return _FINE
