"""Many clients at one relay process, all wanting to be next: what each did and was told, for ``linear`` to judge.

Nobody waits for anybody. A client commits on what it knows, which is often out of date; sends a request twice at
once; lets two of its own messages fight for one place; gives up before the answer; and looks.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloister import crypto
from cloister.client.relay import Relay
from cloister.client.transports.http import HttpTransport
from cloister.errors import CheckFailed, CloisterError, Conflict, RelayError, StaleHead
from cloister.protocol import entry, machine
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.history import History
from cloister.protocol.state import SphereState
from cloister.sphere import compose, message
from cloister.sphere.invitation import key_pair
from cloister.sphere.message import Place
from cloister.sphere.payload import Payload
from tests.crowd import Bot, Room, body_of, gather
from tests.simulation.linear import NEVER, Act, Log

ROOT = Path(__file__).parents[2]
PEOPLE = 5


@asynccontextmanager
async def process(folder: Path, weakness: str = "") -> AsyncIterator[tuple[str, str | None]]:
    """A relay of its own on ``folder``: its address and set-up code."""
    path = os.pathsep.join(filter(None, ["src", ".", os.environ.get("PYTHONPATH", "")]))
    program = (sys.executable, "-m", "tests.simulation.crowded", str(folder), weakness)
    env = {**os.environ, "PYTHONPATH": path}
    served = await asyncio.create_subprocess_exec(*program, cwd=ROOT, env=env, stdout=asyncio.subprocess.PIPE)
    try:
        assert served.stdout is not None
        said = json.loads(await served.stdout.readline())
        yield said["origin"], said["code"]
    finally:
        served.kill()
        await served.wait()


@dataclass
class Told:
    """What happened, in the order in which it was seen; ``broken``: logs that somebody could not follow."""

    acts: list[Act] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    _moments: Any = field(default_factory=itertools.count)

    def now(self) -> int:
        moment: int = next(self._moments)
        return moment


@dataclass
class Client:
    """One member: its device, what it knows of the log, and its own way to the relay."""

    bot: Bot
    room: Room
    relay: Relay
    rng: random.Random
    told: Told
    state: SphereState
    history: History

    # what is done ------------------------------------------------------------------------------------------------
    async def live(self, acts: int) -> None:
        """Do so many things."""
        try:
            for _ in range(acts):
                ways = (self.commit, self.commit, self.say, self.say, self.fight, self.twice, self.look)
                await self.rng.choice(ways)()
        except CheckFailed as fault:
            self.told.broken.append(f"{self.bot.login}: {fault.code} {fault.detail}")

    async def look(self) -> None:
        start = self.rng.randint(0, 20)
        began = self.told.now()
        found = await self.relay.items(self.room.sph, start)
        names = tuple(_name(one.jws) for one in found.items)
        self._note("look", "yes", began, rows=names, pos=start, length=found.head)

    async def commit(self) -> None:
        """An entry on what is known; half the time after asking what is new."""
        if self.rng.random() < 0.5:
            await self._learn()
        draft = self._draft()
        await self._post(draft)

    async def twice(self) -> None:
        """The same commit on two ways at once, or one whose answer nobody waits for."""
        await self._learn()
        draft = self._draft()
        if self.rng.random() < 0.5:
            await asyncio.gather(self._post(draft), self._post(draft, take=False))
            return
        began, rows = self.told.now(), tuple(_name(one) for one in draft.commit.entries)
        task = asyncio.ensure_future(self.relay.commit(self.room.sph, body_of(draft)))
        for _ in range(self.rng.randint(1, 40)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        base = b64e(draft.commit.base[1])
        self.told.acts.append(Act("entries", "silence", began, NEVER, rows=rows, base=base))

    async def say(self) -> None:
        await self._send(self._message())

    async def fight(self) -> None:
        """Two messages for one place of the own chain."""
        one, other = self._message(), self._message()
        await asyncio.gather(self._send(one), self._send(other))

    # how it is done ----------------------------------------------------------------------------------------------
    def _draft(self) -> Any:
        """A commit that no other one is like: a row's name says which act made it."""
        jti = self.rng.randbytes(16)
        link = compose.Invite(jti, key_pair(self.rng.randbytes(32), self.room.sph, jti)[1], int(time.time()) + 3600)
        intents = [link, compose.Checkpoint()] if self.rng.random() < 0.3 else [link]
        return compose.compose(
            self.state, self.history, self.bot.author, intents, now=int(time.time()), rng=os.urandom,
            keys=self.room.keys,
        )  # fmt: skip

    def _message(self) -> str:
        """The next message of the own chain, sealed at the head that is known."""
        bot = self.bot
        place = Place(bot.seq + 1, bot.digest, self.state.seq, self.state.digest, self.state.ep)
        return message.seal(
            Payload("msg", os.urandom(16), "words"), place, sph=self.room.sph, dv=bot.dv, signer=bot.author.signer,
            iat=int(time.time()), rng=os.urandom, key=self.room.keys[self.state.ep],
        )  # fmt: skip

    async def _learn(self) -> None:
        began = self.told.now()
        found = await self.relay.log(self.room.sph, self.state.seq + 1)
        self._note("look", "yes", began, base=found.head.h)
        for compact in found.entries:
            self._take(machine.apply(self.state, entry.decode(compact), {}))

    def _take(self, state: SphereState) -> None:
        self.state = state
        self.history.append(state)

    async def _post(self, draft: Any, *, take: bool = True) -> None:
        rows = tuple(_name(one) for one in draft.commit.entries)
        known: dict[str, Any] = {"rows": rows, "base": b64e(draft.commit.base[1])}
        began = self.told.now()
        answer = await _answer(self.relay.commit(self.room.sph, body_of(draft)))
        if isinstance(answer, StaleHead):
            self._note("entries", "stale", began, told=answer.data["h"], **known)
        elif isinstance(answer, CloisterError):
            self._note("entries", "no", began, **known)
        else:
            self._note("entries", "yes", began, pos=answer.pos, **known)
            if take and self.state.digest == draft.commit.base[1]:
                for state in draft.states:
                    self._take(state)

    async def _send(self, compact: str) -> None:
        one, bot = message.decode(compact), self.bot
        known: dict[str, Any] = {"rows": (_name(compact),), "dv": bot.dv, "base": one.head.ph}
        began = self.told.now()
        answer = await _answer(self.relay.send(self.room.sph, compact))
        if isinstance(answer, Conflict):
            self._note("message", "behind", began, told=answer.data["h"], **known)
        elif isinstance(answer, CloisterError):
            self._note("message", "no", began, **known)
        else:
            self._note("message", "yes", began, pos=answer, **known)
            bot.seq, bot.digest, bot.ls = one.head.seq, one.digest, one.head.ls

    def _note(self, kind: Any, said: Any, began: int, **more: Any) -> None:
        self.told.acts.append(Act(kind, said, began, self.told.now(), **more))


async def _answer(asked: Awaitable[Any]) -> Any:
    """What the relay answered, a refusal too."""
    try:
        return await asked
    except RelayError as refusal:
        return refusal


def _name(compact: str) -> str:
    """A row's name: the digest of what is signed (JWS-005)."""
    return b64e(crypto.sha256(compact.rpartition(".")[0].encode("ascii")))


async def crowd(origin: str, code: str | None, seed: int, acts: int) -> tuple[Log, Told]:
    """Let everybody do ``acts`` things at once; the log before, and what was told."""
    ways = [HttpTransport(origin) for _ in range(PEOPLE)]
    relay = Relay(ways[0])
    room, bots = await gather(relay, PEOPLE, code)
    relay.token = room.owner.token
    draft = room.draft(room.owner, *[compose.SetRole(bot.id, "admin") for bot in bots[1:]])
    await relay.commit(room.sph, body_of(draft))
    room.take(draft)
    assert room.state is not None
    found = await relay.items(room.sph, 0)
    begin, told = Log(tuple(_name(one.jws) for one in found.items), b64e(room.state.digest)), Told()
    log = [entry.decode(one) for one in (await relay.log(room.sph, 0)).entries]
    attach = {b64d(h): (await relay.attachment(room.sph, b64d(h))) for h in _joins(log)}
    clients = []
    for n, (bot, way) in enumerate(zip(bots, ways, strict=True)):
        own = Relay(way)
        own.token = bot.token
        clients.append(Client(bot, room, own, random.Random(f"{seed}/{n}"), told, *_followed(log, attach)))
    await asyncio.gather(*(client.live(acts) for client in clients))
    await clients[0].look()
    for way in ways:
        await way.close()
    return begin, told


def _joins(log: list[entry.Entry]) -> list[str]:
    return [one.body["join"] for one in log if one.op == "add"]


def _followed(log: list[entry.Entry], attach: dict[bytes, str]) -> tuple[SphereState, History]:
    state = machine.genesis(log[0])
    history = History(state)
    for one in log[1:]:
        state = machine.apply(state, one, attach)
        history.append(state)
    return state, history


def main() -> None:
    """Serve a folder, in a weakened build if one is named."""
    from cloister.server.run import run
    from cloister.server.settings import load
    from tests.simulation import weak

    flags = {"data": sys.argv[1], "listen": "127.0.0.1:0", "signup": "open", "rate_address": "0", "rate_account": "0"}

    def ready(origin: str, code: str | None, *_: Any) -> None:
        print(json.dumps({"origin": origin, "code": code}), flush=True)

    with weak.weakened(sys.argv[2]):
        run(load({**flags, "log_level": "error"}, {}), ready)


if __name__ == "__main__":
    main()
