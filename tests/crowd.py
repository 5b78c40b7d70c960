"""Many members without a person: accounts made straight through the API, and one sphere they all sit in.

Passwords are not stretched (random keys stand for what Argon2id would give), so that a hundred accounts cost a
second. Everything that travels is real: certificates, key logs, commits, shares, messages.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import Any

import msgspec

from cloister import crypto
from cloister.account import signup
from cloister.account.password import V1, Stretched
from cloister.account.signup import First, NewKeys
from cloister.client.relay import Relay
from cloister.protocol import join, jws
from cloister.protocol.chain import ChainHead
from cloister.protocol.encoding import b64d, b64e, json_emit
from cloister.protocol.history import History
from cloister.protocol.ids import jwk_public
from cloister.protocol.state import SphereState
from cloister.sphere import compose, message, meta
from cloister.sphere.compose import Author, Draft
from cloister.sphere.epoch import EpochKey
from cloister.sphere.message import Place
from cloister.sphere.payload import Payload

YEAR = 365 * 86400


@dataclass
class Bot:
    """One account with one device. ``seq``, ``digest``, ``ls`` are the head of its message chain."""

    login: str
    new: NewKeys
    first: First
    body: dict[str, Any]
    token: str = ""
    seq: int = 0
    digest: bytes = b""
    ls: int = 0

    @property
    def id(self) -> str:
        return self.new.account

    @property
    def dv(self) -> str:
        return self.new.device.dv

    @property
    def author(self) -> Author:
        return Author(self.id, self.dv, jws.device_signer(self.new.device.dk_seed))

    @property
    def head(self) -> ChainHead | None:
        return ChainHead(self.seq, self.digest, self.ls) if self.seq else None

    def wants_in(self, sph: str, now: int) -> str:
        """A join request without a link."""
        return join.make(
            self.author.signer,
            self.dv,
            sph=sph,
            name=self.login,
            ik=jwk_public(self.new.ik),
            certs=[self.first.cert],
            nonce=os.urandom(16),
            iat=now,
            exp=now + 86400,
        )


def new_bot(login: str, origin: str, realm: bytes, ticket: str | None = None, now: int | None = None) -> Bot:
    """Keys and the body of POST /accounts."""
    new = signup.new_keys(os.urandom)
    first = signup.first_device(new, now or int(time.time()))
    made = signup.build(
        new,
        first,
        Stretched(os.urandom(32), os.urandom(32), V1),
        login=login,
        origin=origin,
        realm=realm,
        salt16=os.urandom(16),
        content={"spheres": {}},
        rng=os.urandom,
        ticket=ticket,
    )
    return Bot(login, new, first, made.body)


async def enlist(relay: Relay, login: str, realm: bytes, ticket: str | None = None) -> Bot:
    """Sign up and keep the session."""
    bot = new_bot(login, relay.origin, realm, ticket)
    bot.token = (await relay.sign_up(json_emit(bot.body))).token
    return bot


@dataclass
class Room:
    """A sphere as its owner sees it, grown by real commits."""

    owner: Bot
    keys: dict[int, EpochKey] = field(default_factory=dict)
    meta: meta.Opened | None = None
    state: SphereState | None = None
    history: History | None = None

    def draft(self, who: Bot, *intents: compose.Intent, **over: Any) -> Draft:
        return compose.compose(
            self.state,
            self.history,
            who.author,
            intents,
            now=int(time.time()),
            rng=os.urandom,
            keys=self.keys,
            meta_text=self.meta,
            **over,
        )

    def take(self, draft: Draft) -> None:
        """The commit stands."""
        states = list(draft.states)
        if self.history is None:
            self.history = History(states.pop(0))
        for state in states:
            self.history.append(state)
        self.state = draft.state
        if draft.key:
            self.keys[draft.key.n] = draft.key
        self.meta = draft.meta or self.meta

    @property
    def sph(self) -> str:
        assert self.state is not None
        return self.state.sph

    def create(self, title: str = "Crowd") -> Draft:
        first = compose.Create(self.owner.login, jwk_public(self.owner.new.ik), self.owner.first.cert)
        return self.draft(self.owner, first, compose.SetMeta(meta.Text(title)))

    def add(self, *bots: Bot, role: str = "member") -> Draft:
        now = int(time.time())
        return self.draft(self.owner, *[compose.Add(bot.id, bot.wants_in(self.sph, now), role) for bot in bots])

    def place(self, bot: Bot) -> Place:
        assert self.state is not None
        return Place(bot.seq + 1, bot.digest, self.state.seq, self.state.digest, self.state.ep)

    def say(self, bot: Bot, text: str) -> str:
        """The bot's next message, sealed at the head; does not move its chain."""
        assert self.state is not None
        return message.seal(
            Payload("msg", os.urandom(16), text),
            self.place(bot),
            sph=self.sph,
            dv=bot.dv,
            signer=bot.author.signer,
            iat=int(time.time()),
            rng=os.urandom,
            key=self.keys[self.state.ep],
        )

    def said(self, bot: Bot, compact: str) -> None:
        """The message stands: the bot's chain goes on from it."""
        one = message.decode(compact)
        bot.seq, bot.digest, bot.ls = one.head.seq, one.digest, one.head.ls


def body_of(draft: Draft) -> bytes:
    """The request body of a commit."""
    body = draft.commit.as_json()
    if not draft.commit.sph:
        body.pop("sph", None)
    return msgspec.json.encode(body)


async def gather(relay: Relay, n: int, ticket: str | None, *, first: str = "m0") -> tuple[Room, list[Bot]]:
    """n accounts in one sphere; the first one needs the set-up code and owns it. Sign-up must be open."""
    realm = b64d((await relay.server()).realm)
    bots = [await enlist(relay, first, realm, ticket)]
    bots += [await enlist(relay, f"m{i}", realm) for i in range(1, n)]
    room = Room(bots[0])
    relay.token = bots[0].token
    draft = room.create()
    await relay.commit(None, body_of(draft))
    room.take(draft)
    for start in range(1, n, 12):
        draft = room.add(*bots[start : start + 12])
        await relay.commit(room.sph, body_of(draft))
        room.take(draft)
    return room, bots


def opaque_messages(room: Room, bot: Bot, count: int, size: int) -> list[str]:
    """``count`` messages of a chain with ``size`` random bytes as payload: nobody opens them, so nothing is sealed."""
    assert room.state is not None
    state, seq, ph, found = room.state, bot.seq, bot.digest, []
    now, noise = int(time.time()), b64e(os.urandom(size))
    fixed = f'"sph":"{state.sph}","ep":{state.ep},"mid":"'
    rest = f'"lh":"{b64e(state.digest)}","ls":{state.seq},"iat":{now},"enc":"A256GCM",'
    rest += f'"n":"{b64e(os.urandom(12))}","cm":"{b64e(os.urandom(32))}"' + "}"
    sign = bot.author.signer
    for _ in range(count):
        seq += 1
        head = f'{{"alg":"Ed25519","typ":"sph-msg+1","kid":"{bot.dv}",{fixed}{b64e(os.urandom(16))}",'
        head += f'"seq":{seq},"ph":"{b64e(ph)}",{rest}'
        signing_input = f"{b64e(head.encode())}.{noise}".encode()
        found.append(f"{signing_input.decode()}.{b64e(sign(signing_input))}")
        ph = crypto.sha256(signing_input)
    return found
