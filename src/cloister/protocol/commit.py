"""A commit: entries, attachments, key shares and perhaps a first message that the relay takes whole or not at all.

Knows the form of the request and the rules between its parts; the rules of each entry are the machine's. Relay and
client check the same things here. What only a member can judge (whether a share opens, whether kc fits, what a title
says, which epochs were shared) is not here.

Spec: COM-001 to COM-012.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cloister import crypto, errors
from cloister.errors import FormatError, IncompleteWraps, RelayError, StaleEpoch, StaleHead
from cloister.protocol import chain, entry, jws, machine
from cloister.protocol.chain import ChainHead
from cloister.protocol.encoding import b64d, b64e, lp
from cloister.protocol.entry import Entry
from cloister.protocol.permission import refuse
from cloister.protocol.roles import LIMITS, row_of
from cloister.protocol.shape import shape
from cloister.protocol.state import SphereState

MAX_WRAP: Final = 8192  # a share to the largest receiving key needs about 3,400 characters
_SHAPE: Final = shape(
    {
        "idem": "bytes:16",
        "sph": "sph",
        "base?": "object",
        "entries": f"list:{LIMITS['entries']}:jws:65536",
        "attach": "object",
        "wraps": f"list:{LIMITS['devices']}:object",
        "link?": "bytes:16-256",
        "msg?": "jws:262144",
    }
)
_BASE: Final = shape({"seq": "u32", "h": "bytes:32"})
_WRAP: Final = shape({"dv": "dv", "jws": f"jws:{MAX_WRAP}"})
_ATTACHED: Final = shape({"h": "bytes:32", "jws": "jws:65536"})


@dataclass(frozen=True, slots=True)
class Wrap:
    """One key share of a commit: recipient device and compact ``sph-p2p+1``."""

    dv: str
    jws: str


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit. ``idem`` 16 bytes, ``base`` (seq, H) of the head it builds on or None for a new sphere.

    ``attach`` maps H(SI) to a join request; ``link`` is the blob that leads from this epoch to the one before it.
    """

    idem: bytes
    sph: str
    base: tuple[int, bytes] | None
    entries: tuple[str, ...]
    attach: Mapping[bytes, str] = field(default_factory=dict)
    wraps: tuple[Wrap, ...] = ()
    link: bytes | None = None
    msg: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The request body (COM-001)."""
        value: dict[str, Any] = {
            "idem": b64e(self.idem),
            "sph": self.sph,
            "entries": list(self.entries),
            "attach": {b64e(digest): compact for digest, compact in self.attach.items()},
            "wraps": [{"dv": wrap.dv, "jws": wrap.jws} for wrap in self.wraps],
        }
        if self.base is not None:
            value["base"] = {"seq": self.base[0], "h": b64e(self.base[1])}
        if self.link is not None:
            value["link"] = b64e(self.link)
        if self.msg is not None:
            value["msg"] = self.msg
        return value

    @classmethod
    def from_json(cls, value: Any) -> Commit:
        """Parse a request body. Raises FormatError (COM-001)."""
        _SHAPE(value)
        base = None
        if "base" in value:
            _BASE(value["base"])
            base = (value["base"]["seq"], b64d(value["base"]["h"]))
        for wrap in value["wraps"]:
            _WRAP(wrap)
        attach = {}
        for digest, compact in value["attach"].items():
            _ATTACHED({"h": digest, "jws": compact})
            attach[b64d(digest)] = compact
        if not value["entries"] or len(attach) > len(value["entries"]):
            raise FormatError("a commit has at least one entry and no attachment too many")
        return cls(
            *(b64d(value["idem"]), value["sph"], base, tuple(value["entries"]), attach),
            tuple(Wrap(wrap["dv"], wrap["jws"]) for wrap in value["wraps"]),
            b64d(value["link"]) if "link" in value else None,
            value.get("msg"),
        )

    def digest(self) -> bytes:
        """H over every member but ``idem``: the same idem with another digest is a conflict (COM-002)."""
        base = lp(*self.base) if self.base else b""
        attach = [part for digest in sorted(self.attach) for part in (digest, self.attach[digest])]
        wraps = [part for wrap in self.wraps for part in (wrap.dv, wrap.jws)]
        return crypto.sha256(
            lp(
                "sph/1 commit",
                self.sph,
                base,
                lp(*self.entries),
                lp(*attach),
                lp(*wraps),
                self.link or b"",
                self.msg or "",
            )
        )


def steps(
    state: SphereState | None, commit: Commit, chain_heads: Mapping[str, ChainHead] | None = None
) -> list[SphereState]:
    """The states after each entry of ``commit``; the last one is the state after it (COM-003 to COM-011).

    ``chain_heads``: the relay passes its stored message chains by dv (absent: has not spoken) and so compares
    ``tails``; a client passes None. Raises StaleHead (base: seq, h; tails: heads), IncompleteWraps, StaleEpoch, and
    whatever ``entry.decode``, ``machine.apply`` and ``chain.admit`` raise.
    """
    if not 1 <= len(commit.entries) <= LIMITS["entries"]:
        raise FormatError("a commit has 1 to 64 entries")
    head = None if state is None else (state.seq, state.digest)
    if commit.base != head:
        seen: dict[str, Any] = {"seq": head[0], "h": b64e(head[1])} if head else {}
        raise StaleHead("COM-003: base is not the head", **seen)
    entries = [entry.decode(compact) for compact in commit.entries]
    states: list[SphereState] = []
    for one in entries:
        state = machine.genesis(one) if state is None else machine.apply(state, one, commit.attach)
        states.append(state)
    last = states[-1]
    if last.sph != commit.sph:
        refuse("COM-003", "the commit names another sphere")
    _one_author(entries)
    _order(entries)
    if last.due:
        refuse("COM-006", "the commit lacks the epoch it owes")
    _attachments(commit, states)
    _wraps(commit, states)
    _link(commit, states)
    if commit.msg is not None:
        _message(commit.msg, last)
    if chain_heads is not None:
        settle(states, commit, chain_heads)
    return states


def settle(states: list[SphereState], commit: Commit, chain_heads: Mapping[str, ChainHead]) -> None:
    """What of ``steps`` depends on stored messages and comes last: COM-009, CHN-007. A relay may run it by itself.

    Raises StaleHead (tails: heads) and Conflict (the message's chain has gone on).
    """
    for state in states:
        _compare_tails(state, chain_heads)
    if commit.msg is not None:
        header = jws.decode(commit.msg, "sph-msg+1").header
        chain.linked(header, chain_heads.get(header["kid"]))


def apply_commit(
    state: SphereState | None, commit: Commit, chain_heads: Mapping[str, ChainHead] | None = None
) -> SphereState:
    """The state after the whole commit, or the exception of the first rule it breaks; see ``steps``."""
    return steps(state, commit, chain_heads)[-1]


def _one_author(entries: list[Entry]) -> None:
    if len({one.kid for one in entries}) != 1:
        refuse("COM-004", "one device signs a whole commit")


def _order(entries: list[Entry]) -> None:
    """At most one epoch; before it membership and settings, after it titles and checkpoints (COM-005)."""
    places = [row_of(one.op, one.body).place for one in entries]
    if "epoch" not in places:
        return
    at = places.index("epoch")
    if any(place != "before" for place in places[:at]) or any(place != "after" for place in places[at + 1 :]):
        refuse("COM-005", "the entries are not in the order of a commit")


def _compare_tails(state: SphereState, chain_heads: Mapping[str, ChainHead]) -> None:
    """Tails must be where the relay's stored chains end, or the author has not seen everything (COM-009)."""
    for tail in state.change.tails:
        head = chain_heads.get(tail.dv)
        if (tail.seq, tail.digest) != ((head.seq, head.digest) if head else (0, b"")):
            named = [chain.tail_of(one.dv, chain_heads.get(one.dv)) for one in state.change.tails]
            raise StaleHead("COM-009: a chain has gone on", heads=named)


def _attachments(commit: Commit, states: list[SphereState]) -> None:
    used = {state.change.join for state in states if state.change.join}
    if used != set(commit.attach):
        refuse("COM-008", "an attachment that no entry names")


def _wraps(commit: Commit, states: list[SphereState]) -> None:
    """Every active device but the author's gets its share, nobody else does, nobody twice (COM-007)."""
    last = states[-1]
    given = [wrap.dv for wrap in commit.wraps]
    allowed: set[str] = set()
    needed: set[str] = set()
    if last.mode == "e2ee" and last.wraps_expected:
        if any(state.change.epoch for state in states):
            allowed = {device.dv for device in last.devices.values() if device.active}
            needed = allowed - {last.change.by}
        else:
            for state in states:
                if state.change.op in ("add", "device add"):
                    allowed.update(state.change.on)
                if state.change.op == "add":
                    needed.update(state.change.on)
    if len(set(given)) != len(given) or not needed <= set(given) <= allowed:
        raise IncompleteWraps("COM-007: the shares are not for exactly the right devices")


def _link(commit: Commit, states: list[SphereState]) -> None:
    last = states[-1]
    if commit.link is not None:
        rotated = any(state.change.epoch for state in states)
        if not (rotated and last.ep > 1 and last.wraps_expected):
            refuse("COM-010", "a link blob goes with an epoch that has one before it")


def _message(compact: str, last: SphereState) -> None:
    """The first message under the new state: sealed at its head, by the same device (COM-011); all but CHN-007."""
    envelope = jws.decode(compact, "sph-msg+1")
    header = envelope.header
    if header["kid"] != last.change.by:
        refuse("COM-011", "the message has another author")
    if last.mode == "e2ee" and last.hard:
        raise StaleEpoch("COM-011: the sphere is marked")
    head = ChainHead(header["seq"] - 1, b64d(header["ph"])) if header["seq"] > 1 else None
    chain.admit(last, None, envelope, head)


_AS_RELAY: Final[dict[str, type[RelayError]]] = {
    "C_FORMAT": errors.BadFormat,
    "C_SIG": errors.BadFormat,
    "C_KEY_UNKNOWN": errors.Forbidden,
    "C_NOT_MEMBER": errors.Forbidden,
    "C_LOG_INVALID": errors.BadFormat,
    "C_EXPIRED": errors.Forbidden,
}


def as_relay_error(error: Exception) -> RelayError:
    """The relay's answer to a failed check (COM-012): E_FORBIDDEN for a missing right, E_BAD_FORMAT for a mistake.

    A RelayError stays as it is; anything that is no failed check becomes E_INTERNAL.
    """
    if isinstance(error, RelayError):
        return error
    if isinstance(error, errors.LogInvalid) and error.data.get("rule") == "ROLE-003":
        return errors.Forbidden(error.detail)
    if isinstance(error, errors.CheckFailed):
        return _AS_RELAY.get(error.code, errors.BadFormat)(error.detail)
    return errors.Internal(type(error).__name__)
