"""A sphere in memory, grown by real commits: people, devices, keys, history, messages. Deterministic but for HPKE."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cloister import crypto
from cloister.protocol import certificate, join, jws
from cloister.protocol import commit as commits
from cloister.protocol.chain import ChainHead
from cloister.protocol.history import History
from cloister.protocol.ids import Jwk, device_id, identity_id, jwk_public
from cloister.protocol.state import Policy, SphereState
from cloister.sphere import compose, invitation, message, meta
from cloister.sphere.compose import Author, Draft
from cloister.sphere.epoch import EpochKey
from cloister.sphere.message import Place
from cloister.sphere.payload import Payload

NOW = 1_800_000_000
YEAR = 365 * 86400


def drawn(label: str, length: int) -> bytes:
    """Bytes that depend on the label only."""
    return hashlib.shake_256(label.encode()).digest(length)


@dataclass(frozen=True)
class Dev:
    """A device with its secrets and its certificate."""

    seed: bytes
    de_seed: bytes
    kem: str
    cert: str
    dv: str

    @property
    def signer(self) -> Callable[[bytes], bytes]:
        return jws.device_signer(self.seed)


@dataclass
class Person:
    """An identity with any number of devices."""

    name: str
    kem: str = "xwing"
    devs: list[Dev] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.scalar = b"\x01" + drawn(self.name + "/ik", 47)
        self.handle = identity_id(self.ik)
        self.device()

    @property
    def ik(self) -> Jwk:
        return jwk_public(self.scalar)

    @property
    def dev(self) -> Dev:
        return self.devs[0]

    def device(self, kem: str = "") -> Dev:
        kem = kem or self.kem
        label = f"{self.name}/{len(self.devs)}"
        seed, secret = drawn(label + "/dk", 32), drawn(label + "/de", 32)
        dk = crypto.ed25519_public(seed)
        secret = secret if kem == "xwing" else b"\x01" + secret + bytes(15)
        de = crypto.hpke_public(kem, secret)
        own = jws.device_signer(seed)
        cert = certificate.issue(self.scalar, self.handle, own, dk, kem, de, NOW - 100, NOW + YEAR)
        self.devs.append(Dev(seed, secret, kem, cert, device_id(dk)))
        return self.devs[-1]


def seeded(label: str) -> Callable[[int], bytes]:
    """A source of bytes that depends on the label and on what was drawn before."""
    count = 0

    def draw(length: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_256(f"{label}/{count}".encode()).digest(length)

    return draw


def text(words: str, label: str = "") -> Payload:
    return Payload("msg", hashlib.shake_256((label or words).encode()).digest(16), words)


def author(person: Person, dev: Dev | None = None) -> Author:
    dev = dev or person.dev
    return Author(person.handle, dev.dv, dev.signer)


@dataclass
class Talker:
    """One device's message chain."""

    sphere: Sphere
    dev: Dev
    seq: int = 0
    digest: bytes = b""
    ls: int = 0

    def say(self, payload: Payload | str, **over: Any) -> str:
        """The next message of the chain, sealed at the head unless ``over`` says otherwise."""
        compact = self.make(payload, **over)
        self.seq += 1
        self.digest, self.ls = message.decode(compact).digest, message.decode(compact).head.ls
        return compact

    def make(self, payload: Payload | str, **over: Any) -> str:
        """The same without moving on."""
        state: SphereState = over.pop("state", self.sphere.state)
        if isinstance(payload, str):
            payload = text(payload)
        place = {
            "seq": self.seq + 1,
            "ph": self.digest,
            "ls": state.seq,
            "lh": state.digest,
            "ep": state.ep,
            "tries": 0,
        }
        place |= {name: over.pop(name) for name in list(over) if name in place}
        sealed = over.pop("sealed", state.mode == "e2ee")
        key = over.pop("key", self.sphere.keys.get(place["ep"]) if sealed else None)
        args = {"sph": state.sph, "dv": self.dev.dv, "signer": self.dev.signer, "iat": NOW, **over}
        return message.seal(payload, Place(**place), rng=self.sphere.rng, key=key, **args)

    @property
    def head(self) -> ChainHead | None:
        return ChainHead(self.seq, self.digest, self.ls) if self.seq else None


@dataclass
class Sphere:
    owner: Person
    mode: str = "e2ee"
    policy: Policy = field(default_factory=Policy)
    label: str = "world"
    over: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = seeded(self.label)
        self.keys: dict[int, EpochKey] = {}
        self.meta: meta.Opened | None = None
        self.drafts: list[Draft] = []
        self.talkers: dict[str, Talker] = {}
        self.attach: dict[bytes, str] = {}
        self.entries: list[str] = []
        create = compose.Create(
            self.owner.name, self.owner.ik, self.owner.dev.cert, mode=self.mode, policy=self.policy, **self.over
        )
        draft = compose.compose(
            None, None, author(self.owner), [create, compose.SetMeta(meta.Text("Kitchen"))], now=NOW, rng=self.rng
        )
        self._base: SphereState | None = None
        self.history = History(draft.states[0])
        self._take(draft, draft.states[1:])

    def draft(self, who: Person, *intents: compose.Intent, dev: Dev | None = None, **over: Any) -> Draft:
        """Compose on the head, with everything this world knows; changes nothing."""
        args: dict[str, Any] = {
            **{"now": NOW, "rng": self.rng, "keys": self.keys, "meta_text": self.meta},
            "heads": {dv: talker.head for dv, talker in self.talkers.items() if talker.head},
            **over,
        }
        return compose.compose(self.state, self.history, author(who, dev), intents, **args)

    def do(self, who: Person, *intents: compose.Intent, **over: Any) -> Draft:
        """Compose and let it stand; the relay's and the members' common rules are checked again (COM)."""
        self._base = self.state
        draft = self.draft(who, *intents, **over)
        self._take(draft, draft.states)
        return draft

    def _take(self, draft: Draft, states: tuple[SphereState, ...]) -> None:
        again = commits.steps(self._base, draft.commit)
        assert [s.digest for s in again] == [s.digest for s in draft.states]
        for state in states:
            self.history.append(state)
        self.state = draft.state
        self.entries += draft.commit.entries
        self.attach |= draft.commit.attach
        self.drafts.append(draft)
        if draft.key:
            self.keys[draft.key.n] = draft.key
        self.meta = draft.meta or self.meta

    def talker(self, dev: Dev | Person) -> Talker:
        dev = dev.dev if isinstance(dev, Person) else dev
        return self.talkers.setdefault(dev.dv, Talker(self, dev))

    def request(self, joiner: Person, link: invitation.Link | None = None, **over: Any) -> str:
        args: dict[str, Any] = {
            **{"sph": self.state.sph, "name": joiner.name, "ik": joiner.ik, "certs": [d.cert for d in joiner.devs]},
            **{"nonce": self.rng(16), "iat": NOW, "exp": NOW + 86400},
            **over,
        }
        if link is not None:
            ivk, _ = invitation.key_pair(link.seed, link.sph, link.jti)
            args |= {"jti": link.jti, "link_signer": jws.device_signer(ivk)}
        return join.make(joiner.dev.signer, joiner.dev.dv, **args)

    def add(self, who: Person, joiner: Person, role: str = "member", **over: Any) -> Draft:
        return self.do(who, compose.Add(joiner.handle, self.request(joiner), role), **over)
