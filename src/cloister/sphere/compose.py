"""Whole commits from intents: entries in the right order, the new epoch, its shares, and the first message.

The caller says what shall happen; this module makes the one request that does it, or raises what the log's own rules
say against it. Nothing is sent and nothing forgotten here: a ``Draft`` holds everything that must be on disk before
the relay hears of it, and after a lost race the same intents are composed again on the new base, with fresh secrets.

Spec: EPO-007 to EPO-012, META-004.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cloister.errors import FormatError, KeyUnknown
from cloister.protocol import chain as chains
from cloister.protocol import commit as commits
from cloister.protocol import entry as entries
from cloister.protocol import jws, machine
from cloister.protocol.chain import ChainHead
from cloister.protocol.commit import Commit, Wrap
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.history import History
from cloister.protocol.roles import RANK, row_of
from cloister.protocol.state import Device, SphereState, recipients_hash, state_hash
from cloister.sphere import epoch as epochs
from cloister.sphere import message, meta, share
from cloister.sphere.epoch import EpochKey, Rng
from cloister.sphere.intents import (
    Add,
    Checkpoint,
    Create,
    DeviceAdd,
    DeviceRenew,
    DeviceRevoke,
    Intent,
    Invite,
    Leave,
    Mark,
    Remove,
    RevokeInvite,
    Rotate,
    SetCustody,
    SetDelivery,
    SetMeta,
    SetMode,
    SetPolicy,
    SetRole,
)
from cloister.sphere.intents import place as intent_place
from cloister.sphere.message import Place
from cloister.sphere.payload import MODERATORS, Payload

__all__ = [
    "Add",
    "Author",
    "Checkpoint",
    "Create",
    "DeviceAdd",
    "DeviceRenew",
    "DeviceRevoke",
    "Draft",
    "Intent",
    "Invite",
    "Leave",
    "Mark",
    "Remove",
    "RevokeInvite",
    "Rotate",
    "SetCustody",
    "SetDelivery",
    "SetMeta",
    "SetMode",
    "SetPolicy",
    "SetRole",
    "Words",
    "compose",
    "outcome",
]


@dataclass(frozen=True, slots=True)
class Author:
    """Who signs: member handle, device, and a signer for that device's key (``jws.device_signer``)."""

    id: str
    dv: str
    signer: Callable[[bytes], bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Words:
    """A message to speak in the same commit: payload, the author's chain before it, re-sealings so far."""

    payload: Payload
    chain: ChainHead | None
    tries: int = 0
    thr: bytes = b""


@dataclass(frozen=True, slots=True)
class Draft:
    """A commit with all that must be stored durably before it is sent (EPO-011).

    ``states`` are the sphere's states after each entry (for ``History.append``), ``state`` the last. ``key`` is the
    new epoch's secret if there is one: losing it while the commit stands would lose the epoch. ``meta`` is the text
    that a new title entry holds, ``chain`` the author's message chain after ``msg``.
    """

    commit: Commit
    states: tuple[SphereState, ...]
    key: EpochKey | None = field(repr=False)
    meta: meta.Opened | None = field(repr=False)
    chain: ChainHead | None

    @property
    def state(self) -> SphereState:
        return self.states[-1]

    def dump(self) -> dict[str, Any]:
        """Everything needed to send it again and to use its outcome, as JSON values; holds the epoch secret."""
        key, text, chain = self.key, self.meta, self.chain
        return {
            "commit": self.commit.as_json(),
            "key": [key.n, b64e(key.secret), b64e(key.kc), b64e(key.prev)] if key else None,
            "meta": [b64e(text.content), b64e(text.blind)] if text else None,
            "chain": [chain.seq, b64e(chain.digest), chain.ls] if chain else None,
        }

    @classmethod
    def load(cls, row: Mapping[str, Any], base: SphereState | None) -> Draft:
        """Inverse of ``dump``; ``base`` is the state the commit was made on (None: a new sphere)."""
        commit = Commit.from_json(row["commit"])
        key, text, chain = row["key"], row["meta"], row["chain"]
        return cls(
            commit,
            tuple(commits.steps(base, commit)),
            EpochKey(commit.sph, key[0], b64d(key[1]), b64d(key[2]), b64d(key[3])) if key else None,
            meta.reopen(b64d(text[0]), b64d(text[1])) if text else None,
            ChainHead(chain[0], b64d(chain[1]), chain[2]) if chain else None,
        )


def compose(
    state: SphereState | None,
    history: History | None,
    author: Author,
    intents: Sequence[Intent],
    *,
    now: int,
    rng: Rng,
    keys: Mapping[int, EpochKey] | None = None,
    meta_text: meta.Opened | None = None,
    heads: Mapping[str, ChainHead] | None = None,
    words: Words | None = None,
    own_wrap: bool = False,
    org_key: EpochKey | None = None,
) -> Draft:
    """Make the commit for ``intents`` on ``state`` (None: a new sphere), in the order of EPO-008.

    ``history`` is the log up to ``state``; ``now`` unix seconds, raised to the parent's iat if behind. ``keys``: epoch
    keys held, by number; ``meta_text`` the text in force, re-wrapped under a new epoch; ``heads`` the relay's chain
    heads of the devices that an intent cuts (absent: has not spoken); ``own_wrap`` adds a share for the author's own
    device; ``org_key`` is the organisation's key in a sphere of one. An epoch is made when a rule asks for it, when
    ``Rotate`` is among the intents, and when ``words`` shall be spoken in a marked sphere.

    Raises whatever ``machine.apply`` says against an entry (LogInvalid, ...), KeyUnknown when a share or the words
    cannot be sealed because the running epoch's key is not here, FormatError for parts over their limits.
    """
    if not intents and words is None:
        raise FormatError("nothing to do")
    work = _Work(state, history, author, now, rng, dict(keys or {}), heads or {}, org_key)
    placed = [(intent_place(intent), intent) for intent in intents]
    for place, intent in placed:
        if place == "before":
            work.put(intent)
    here = work.state
    marked = words is not None and here.mode == "e2ee" and here.hard
    if here.due or marked or any(place == "epoch" for place, _ in placed):
        work.rotate()
    text = next((intent.text for _, intent in placed if isinstance(intent, SetMeta)), None)
    work.title(text, meta_text)
    for place, intent in placed:
        if place == "after":
            work.put(intent)
    for place, intent in placed:
        if place == "alone":
            work.put(intent)
    wraps, link = work.wraps(own=own_wrap), work.link()
    msg = work.speak(words) if words is not None else None
    if not work.entries:
        raise FormatError("a commit has at least one entry")
    commit = Commit(
        rng(16),
        work.state.sph,
        None if state is None else (state.seq, state.digest),
        tuple(work.entries),
        work.attach,
        wraps,
        link,
        msg[0] if msg else None,
    )
    return Draft(commit, tuple(work.states), work.key, work.meta, msg[1] if msg else None)


def outcome(draft: Draft, history: History) -> Literal["won", "lost", "open"]:
    """What became of a draft after an error (EPO-012): ``won`` when its own entries stand in the log, ``lost`` when
    another entry stands at its first position (compose again), ``open`` when the log does not reach that far."""
    first = draft.states[0]
    if history.seq < first.seq:
        return "open"
    return "won" if history.digest(first.seq) == first.digest else "lost"


class _Work:
    """A commit in the making: the running state and what has been made so far."""

    def __init__(
        self,
        base: SphereState | None,
        history: History | None,
        author: Author,
        now: int,
        rng: Rng,
        keys: dict[int, EpochKey],
        heads: Mapping[str, ChainHead],
        org_key: EpochKey | None,
    ) -> None:
        self.base, self.history, self.author, self.rng = base, history, author, rng
        self.now = now if base is None else max(now, base.iat)
        self.keys, self.heads, self.org_key = keys, heads, org_key
        self.entries: list[str] = []
        self.states: list[SphereState] = []
        self.attach: dict[bytes, str] = {}
        self.key: EpochKey | None = None
        self.meta: meta.Opened | None = None

    @property
    def state(self) -> SphereState:
        if self.states:
            return self.states[-1]
        if self.base is None:
            raise FormatError("a new sphere begins with its create entry")
        return self.base

    def put(self, intent: Intent) -> None:
        op, body = self._body(intent)
        self._entry(op, body)

    def _entry(self, op: str, body: dict[str, Any], ep: int | None = None) -> None:
        row_of(op, body)
        signer, dv = self.author.signer, self.author.dv
        if op == "create":
            if self.base is not None or self.states:
                raise FormatError("only entry 0 creates")
            compact = entries.make(signer, dv, op, body, self.now)
            self.states.append(machine.genesis(entries.decode(compact)))
        else:
            state = self.state
            head: dict[str, Any] = {"sph": state.sph, "seq": state.seq + 1, "prev": state.digest}
            compact = entries.make(signer, dv, op, body, self.now, ep=state.ep if ep is None else ep, **head)
            self.states.append(machine.apply(state, entries.decode(compact), self.attach))
        self.entries.append(compact)

    def _body(self, intent: Intent) -> tuple[str, dict[str, Any]]:  # noqa: C901 - one case per operation
        match intent:
            case Create():
                return "create", self._create(intent)
            case Invite(jti, ipk, exp, role, uses, admit):
                body = {"jti": b64e(jti), "ipk": b64e(ipk), "role": role, "uses": uses, "exp": exp, "admit": admit}
                return "invite", body
            case RevokeInvite(jti):
                return "revoke-invite", {"jti": b64e(jti)}
            case Add(member, request, role, jti):
                digest = jws.decode(request, "sph-join+1").digest
                self.attach[digest] = request
                body = {"id": member, "role": role, "join": b64e(digest)}
                return "add", body if jti is None else {**body, "jti": b64e(jti)}
            case Remove(member, ban):
                body = {"id": member, "tails": self._tails(member)}
                return "remove", {**body, "ban": True} if ban else body
            case Leave():
                return "leave", {"tails": self._tails(self.author.id)}
            case SetRole(member, role):
                return "role", self._role(member, role)
            case DeviceAdd(cert, renew):
                return "device", {"act": "add", "cert": cert, **_renew(renew)}
            case DeviceRenew(kem, de):
                return "device", {"act": "renew", "kem": kem, "de": b64e(de)}
            case DeviceRevoke(dv):
                return "device", {"act": "revoke", "dv": dv, "tails": [chains.tail_of(dv, self.heads.get(dv))]}
            case Mark():
                return "mark", {}
            case Checkpoint(heads):
                body = {"seq": self.state.seq, "sh": b64e(state_hash(self.state))}
                rows = [[dv, seq, b64e(digest)] for dv, seq, digest in heads]
                return "checkpoint", {**body, "heads": rows} if rows else body
            case SetMode(mode):
                return "mode", {"mode": mode}
            case SetDelivery(delivery):
                return "delivery", {"delivery": delivery}
            case SetCustody(custody):
                return "custody", {"custody": custody}
            case SetPolicy(policy):
                return "policy", {"policy": policy.as_body()}
            case _:
                raise FormatError("not an intent of its own")

    def _create(self, intent: Create) -> dict[str, Any]:
        body: dict[str, Any] = {
            "v": 1,
            "nonce": b64e(self.rng(32)),
            "name": intent.name,
            "ik": intent.ik,
            "cert": intent.cert,
            "kind": intent.kind,
            "mode": intent.mode,
            "delivery": intent.delivery,
            "custody": intent.custody,
            "policy": intent.policy.as_body(),
            **_renew(intent.renew),
        }
        if intent.org:
            body["org"] = intent.org
        if intent.rotations:
            body["rot"] = list(intent.rotations)
        return body

    def _role(self, member: str, role: str) -> dict[str, Any]:
        target = self.state.members.get(member)
        body: dict[str, Any] = {"id": member, "role": role}
        if target is not None and RANK.get(role, 0) < RANK.get(target.role, 0):
            body["tails"] = self._tails(member)
        return body

    def _tails(self, member: str) -> list[list[Any]]:
        return [chains.tail_of(d.dv, self.heads.get(d.dv)) for d in self.state.devices_of(member)]

    def rotate(self) -> None:
        """The epoch entry with a fresh secret (EPO-001, EPO-004)."""
        state = self.state
        n = state.ep + 1
        body: dict[str, Any] = {"n": n, "kem_min": state.policy.kem_min}
        if state.org:
            if self.org_key is None or self.org_key.sph != state.org:
                raise KeyUnknown("the organisation's key is not here")
            self.key = epochs.derive_org(self.org_key, state.digest, state.sph, n)
            body["m"] = self.org_key.n
        else:
            self.key = epochs.derive(self.rng(epochs.SECRET_LENGTH), state.digest, state.sph, n)
        body |= {"kc": b64e(self.key.kc), "rh": b64e(recipients_hash(state.active_devices()))}
        self.keys[n] = self.key
        self._entry("epoch", body, ep=n)

    def title(self, text: meta.Text | None, in_force: meta.Opened | None) -> None:
        """A new text, or under a new epoch the one in force, sealed again (META-004)."""
        state = self.state
        if state.mode != "e2ee":
            if text is not None:
                self._entry("meta", meta.clear(text))
                self.meta = meta.unsealed(text)
            return
        if text is not None:
            opened = meta.prepare(text, self.rng)
        elif self.key is not None and in_force is not None and state.meta is not None and in_force.mh == state.meta.mh:
            if not in_force.mh and state.members[self.author.id].role not in MODERATORS:
                return
            opened = in_force if in_force.mh else meta.prepare(in_force.text, self.rng)
        else:
            return
        slot = meta.Slot(self.author.dv, state.sph, state.seq + 1, state.digest, state.ep)
        self._entry("meta", meta.seal(opened, slot, self._running(), self.rng))
        self.meta = opened

    def wraps(self, *, own: bool) -> tuple[Wrap, ...]:
        """Shares for exactly the devices that need one (EPO-009)."""
        state = self.state
        if state.mode != "e2ee" or not state.wraps_expected or state.epoch is None:
            return ()
        if self.key is not None:
            to = [d for d in state.active_devices() if own or d.dv != self.author.dv]
        else:
            to = [state.devices[dv] for after in self.states if after.change.op == "add" for dv in after.change.on]
        return tuple(Wrap(dv, compact) for dv, compact in self._shares(to))

    def _shares(self, to: list[Device]) -> list[tuple[str, str]]:
        epoch = self.state.epoch
        if not to or epoch is None:
            return []
        sender = share.Party(self.author.id, self.author.dv)
        signer, key = self.author.signer, self._running()
        return share.seal_many(key, epoch, sender, signer, to, iat=self.now, rng=self.rng)

    def link(self) -> bytes | None:
        """The blob back to the epoch before, while history has been open to newcomers all along (EPO-006)."""
        key, base, log = self.key, self.base, self.history
        if key is None or base is None or base.epoch is None or log is None or not self.state.wraps_expected:
            return None
        policies = (log.policy_at(base.epoch.seq), base.policy, self.state.policy)
        older = self.keys.get(key.n - 1)
        if older is None or any(policy.history != "all" for policy in policies):
            return None
        return epochs.link_seal(key, older, self.rng)

    def speak(self, words: Words) -> tuple[str, ChainHead]:
        """The message of the commit, sealed at its last entry (EPO-008)."""
        state, before = self.state, words.chain
        clear = state.mode != "e2ee" or words.payload.pt
        place = Place(
            before.seq + 1 if before else 1,
            before.digest if before else b"",
            state.seq,
            state.digest,
            state.ep,
            words.tries,
        )
        compact = message.seal(
            words.payload,
            place,
            sph=state.sph,
            dv=self.author.dv,
            signer=self.author.signer,
            iat=self.now,
            rng=self.rng,
            key=None if clear else self._running(),
            thr=words.thr,
        )
        return compact, ChainHead(place.seq, message.decode(compact).digest, place.ls)

    def _running(self) -> EpochKey:
        key = self.keys.get(self.state.ep)
        if key is None:
            raise KeyUnknown(f"epoch {self.state.ep}")
        return key


def _renew(renew: tuple[str, bytes] | None) -> dict[str, Any]:
    return {"renew": {"kem": renew[0], "de": b64e(renew[1])}} if renew else {}
