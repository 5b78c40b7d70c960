"""Load for a server that will die: every act is remembered with what was promised about it.

An *act* has bytes that can be sent again as they are. It is *acked* when an answer came, else *unknown*. After each
death the acts of that life are looked up in the database file itself: acked means all of it is there, unknown means
all or nothing; then the unknown ones are sent again to the next life, and a sample of the acked ones too.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import sqlite3
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloister.client.relay import Relay
from cloister.client.transports.http import HttpTransport
from cloister.client.transports.memory import MemoryRelay
from cloister.errors import Busy, Conflict, RelayError, StaleEpoch, StaleHead, Unreachable, relay_error
from cloister.protocol import api, jws
from cloister.protocol.encoding import b64d, b64e, json_emit
from cloister.server.app import create_app
from cloister.sphere import compose, message, meta
from cloister.sphere.compose import Draft
from tests.crowd import Bot, Room, body_of, gather, new_bot
from tests.faults.zygote import settings_for

TALK = 8  # messages between two rotations: a message made before a rotation is refused after it
Present = Callable[[sqlite3.Connection], list[bool]]


@dataclass
class Act:
    """``parts`` looks its parts up in the database, ``again`` sends the same bytes, ``answer`` is the first one."""

    kind: str
    parts: Present
    again: Callable[[], Awaitable[Any]]
    answer: Any = None
    sent: bool = False


@dataclass
class Load:
    """The crowd and everything it did. ``lives`` counts servers, ``acts`` those of the present life."""

    origin: str
    rng: random.Random
    room: Room | None = None
    bots: list[Bot] = field(default_factory=list)
    realm: bytes = b""
    acts: list[Act] = field(default_factory=list)
    unknown: list[Act] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    spoken: int = 0
    sample: list[Act] = field(default_factory=list)

    async def begin(self, folder: Path) -> None:
        """Make the crowd and its sphere, in process."""
        app = create_app(settings_for(folder, int(self.origin.rpartition(":")[2])))
        async with MemoryRelay(app) as memory:
            relay = Relay(memory.transport())
            self.room, self.bots = await gather(relay, 6, app.relay.setup_code)
            self.realm = b64d((await relay.server()).realm)
        self.logins = itertools.count()

    # --- one life ------------------------------------------------------------------------------------------------

    async def live(self, seconds: float) -> None:
        """Everybody works until ``seconds`` are over; the server dies under them."""
        self.relay = Relay(HttpTransport(self.origin))
        self.enough = asyncio.Event()
        workers = [self._talk_live(self.bots[1]), self._talk_live(self.bots[2]), self._talk_post(self.bots[3])]
        workers += [self._rotate(), self._sign_up(), self._write_letters(self.bots[4]), self._keep_slots(self.bots[5])]
        tasks = [asyncio.ensure_future(one) for one in workers]
        done, pending = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        for one in done:
            one.result()
        self.pending = pending

    async def end(self) -> None:
        """After the server's death: the workers notice; what they still waited for stays unknown."""
        for task in self.pending:
            task.cancel()
        results = await asyncio.gather(*self.pending, return_exceptions=True)
        await self.relay.close()
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, Unreachable):
                raise result
        self.unknown = [act for act in self.acts if act.sent and act.answer is None]
        acked = [act for act in self.acts if act.answer is not None]
        self.acts = []
        for act in acked:
            self.done[act.kind] = self.done.get(act.kind, 0) + 1
        self.latest = acked
        self.sample = (self.rng.sample(acked, min(2, len(acked))) + self.sample)[:8]

    def act(self, kind: str, parts: Present, again: Callable[[], Awaitable[Any]]) -> Act:
        one = Act(kind, parts, again)
        self.acts.append(one)
        return one

    async def _do(self, act: Act) -> Any:
        act.sent = True
        act.answer = await act.again()
        return act.answer

    # --- workers -------------------------------------------------------------------------------------------------

    async def _talk_live(self, bot: Bot) -> None:
        socket = await self.relay.transport.connect("/v1/socket")
        await socket.send(json.dumps([{"t": "auth", "token": bot.token}]))
        for i in itertools.count():
            compact, act = self._next_message(bot)
            act.sent = True
            await socket.send(json.dumps([{"t": "send", "i": i, "jws": compact}]))
            answer = None
            while answer is None:
                for record in json.loads(await socket.receive()):
                    if record.get("i") == i:
                        answer = record
            if answer["t"] == "ok":
                act.answer = answer["pos"]
                self._said(bot, compact)
            else:
                answer.pop("t"), answer.pop("i")
                self._refused(act, relay_error(answer))
                await asyncio.sleep(0)

    async def _talk_post(self, bot: Bot) -> None:
        while True:
            compact, act = self._next_message(bot)
            try:
                await self._do(act)
                self._said(bot, compact)
            except RelayError as error:
                self._refused(act, error)

    def _said(self, bot: Bot, compact: str) -> None:
        self._room.said(bot, compact)
        self.spoken += 1
        if self.spoken % TALK == 0:
            self.enough.set()

    def _next_message(self, bot: Bot) -> tuple[str, Act]:
        compact = self._room.say(bot, "x" * self.rng.randrange(900))
        return compact, self.act("message", message_parts(self._room.sph, compact), self._post(bot, compact))

    def _post(self, bot: Bot, compact: str) -> Callable[[], Awaitable[Any]]:
        sph = self._room.sph

        async def again() -> Any:
            body = api.Send(compact)
            return (await self.relay.call(api.Position, "POST", f"/spheres/{sph}/messages", body, token=bot.token)).pos

        return again

    def _refused(self, act: Act, error: RelayError) -> None:
        """Refused is an answer too: it must leave nothing behind."""
        if not isinstance(error, StaleEpoch | StaleHead | Busy):
            raise error
        self.refused += 1
        act.kind = "refused"
        act.sent = False

    async def _rotate(self) -> None:
        """The owner rotates and speaks: one commit with wraps, meta and a message."""
        room, owner = self._room, self.bots[0]
        for n in itertools.count():
            if n:
                await self.enough.wait()
                self.enough.clear()
            draft = room.draft(
                owner,
                compose.Rotate(),
                compose.SetMeta(meta.Text(f"Title {n}")),
                words=compose.Words(compose_payload(n), owner.head),
            )
            act = self.act("commit", commit_parts(draft), self._commit(owner, draft))
            await self._do(act)
            self._stands(draft)

    def _commit(self, who: Bot, draft: Draft) -> Callable[[], Awaitable[Any]]:
        body, sph = body_of(draft), self._room.sph

        async def again() -> Any:
            return await self.relay.call(api.Committed, "POST", f"/spheres/{sph}/commits", body, token=who.token)

        again.draft = draft  # type: ignore[attr-defined]
        return again

    def _stands(self, draft: Draft) -> None:
        room = self._room
        room.take(draft)
        if draft.commit.msg is not None:
            room.said(room.owner, draft.commit.msg)

    async def _sign_up(self) -> None:
        while True:
            bot = new_bot(f"n{next(self.logins)}", self.origin, self.realm)
            body = json_emit(bot.body)

            async def again(body: bytes = body) -> Any:
                return (await self.relay.sign_up(body)).id

            await self._do(self.act("account", account_parts(bot), again))

    async def _write_letters(self, bot: Bot) -> None:
        to = [self.bots[1].dv, self.bots[2].dv]
        while True:
            body = {"k": "ask", "sph": self._room.sph, "iat": int(time.time()), "jti": b64e(os.urandom(16)), "ns": [1]}
            compact = jws.sign("sph-p2p+1", {"kid": bot.dv}, body, bot.author.signer)

            async def again(compact: str = compact) -> Any:
                await self.relay.call(Any, "POST", "/inbox", api.PostInbox(to, compact), token=bot.token)
                return True

            await self._do(self.act("letter", letter_parts(to, compact), again))

    async def _keep_slots(self, bot: Bot) -> None:
        for _ in itertools.count():
            name, box = f"e.{self._room.sph}.{self.rng.randrange(1, 2**31)}", os.urandom(60)

            async def again(name: str = name, box: bytes = box) -> Any:
                await self.relay.call(Any, "PUT", f"/slots/{name}", api.PutSlot(1, b64e(box)), token=bot.token)
                return True

            await self._do(self.act("slot", slot_parts(bot.id, name, box), again))

    @property
    def _room(self) -> Room:
        assert self.room is not None
        return self.room

    # --- the next life -------------------------------------------------------------------------------------------

    async def settle(self, db: sqlite3.Connection) -> None:
        """Send the unknown acts again, and some acked ones: the first answer stands."""
        self.relay = Relay(HttpTransport(self.origin))
        try:
            for act in self.unknown:
                there = all(act.parts(db))
                try:
                    act.answer = await act.again()
                except (StaleEpoch, StaleHead, Conflict):
                    assert not there, f"{act.kind}: stored, yet refused when sent again"
                    continue
                draft = getattr(act.again, "draft", None)
                if draft is not None:
                    self._stands(draft)
                elif act.kind == "message":
                    self._said_again(act)
            for act in self.sample:
                first, again = act.answer, await act.again()
                assert again == first, f"{act.kind}: {first} was promised, {again} is said now"
        finally:
            await self.relay.close()

    def _said_again(self, act: Act) -> None:
        compact = act.parts.compact  # type: ignore[attr-defined]
        head = message.decode(compact).head
        bot = next(bot for bot in self.bots if bot.dv == head.kid)
        if head.seq == bot.seq + 1:
            self._room.said(bot, compact)


def compose_payload(n: int) -> Any:
    from cloister.sphere.payload import Payload

    return Payload("msg", os.urandom(16), f"rotated {n}")


# --- looking things up in the database file ------------------------------------------------------------------------


def message_parts(sph: str, compact: str) -> Present:
    digest = jws.decode(compact, "sph-msg+1").digest

    def parts(db: sqlite3.Connection) -> list[bool]:
        query = "SELECT i.jws FROM item i JOIN sphere s ON s.n = i.sphere WHERE s.sph = ? AND i.h = ?"
        return [db.execute(query, (sph, digest)).fetchone() == (compact,)]

    parts.compact = compact  # type: ignore[attr-defined]
    return parts


def commit_parts(draft: Draft) -> Present:
    """Entries, wraps, link, message and the answer for a retry: all of it or nothing."""
    commit = draft.commit
    sph = draft.state.sph

    def parts(db: sqlite3.Connection) -> list[bool]:
        find = "SELECT count(*) FROM item i JOIN sphere s ON s.n = i.sphere WHERE s.sph = ? AND i.jws = ?"
        found = [db.execute(find, (sph, one)).fetchone()[0] == 1 for one in (*commit.entries, commit.msg) if one]
        found += [
            db.execute("SELECT count(*) FROM inbox WHERE dv = ? AND body = ?", (wrap.dv, wrap.jws)).fetchone()[0] == 1
            for wrap in commit.wraps
        ]
        if commit.link is not None:
            query = "SELECT count(*) FROM link WHERE blob = ?"
            found.append(db.execute(query, (commit.link,)).fetchone()[0] == 1)
        idem = db.execute("SELECT count(*) FROM idem WHERE key LIKE ?", (f"%/{b64e(commit.idem)}",)).fetchone()[0]
        return [*found, idem == 1]

    return parts


def account_parts(bot: Bot) -> Present:
    def parts(db: sqlite3.Connection) -> list[bool]:
        def count(query: str, *values: Any) -> int:
            return int(db.execute(query, values).fetchone()[0])

        return [
            count("SELECT count(*) FROM account WHERE id = ? AND login = ?", bot.id, bot.login) == 1,
            count("SELECT count(*) FROM device WHERE dv = ? AND account = ?", bot.dv, bot.id) == 1,
            count("SELECT count(*) FROM klog WHERE id = ?", bot.id) == 2,
            count("SELECT count(*) FROM slot WHERE account = ? AND name IN ('ik', 'state')", bot.id) == 2,
            count("SELECT count(*) FROM idem WHERE key LIKE ?", f"%{bot.body['idem']}") == 1,
        ]

    return parts


def letter_parts(to: list[str], compact: str) -> Present:
    def parts(db: sqlite3.Connection) -> list[bool]:
        query = "SELECT count(*) FROM inbox WHERE dv = ? AND body = ?"
        return [db.execute(query, (dv, compact)).fetchone()[0] == 1 for dv in to]

    return parts


def slot_parts(account: str, name: str, box: bytes) -> Present:
    def parts(db: sqlite3.Connection) -> list[bool]:
        query = "SELECT bytes FROM slot WHERE account = ? AND name = ?"
        return [db.execute(query, (account, name)).fetchone() == (box,)]

    return parts


def check_database(db: sqlite3.Connection) -> None:
    """Sound, and no position without its row: what must hold after any death."""
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    for n, sph, head, next_pos in db.execute("SELECT n, sph, head_seq, next_pos FROM sphere").fetchall():
        count, last = db.execute("SELECT count(*), max(pos) FROM item WHERE sphere = ?", (n,)).fetchone()
        assert count == last == next_pos - 1, f"{sph}: positions have holes"
        entries, newest = db.execute(
            "SELECT count(*), max(seq) FROM item WHERE sphere = ? AND kind = 0", (n,)
        ).fetchone()
        assert entries - 1 == newest == head, f"{sph}: the log has holes"
        chains = "SELECT dv, count(*), max(seq) FROM item WHERE sphere = ? AND kind = 1 GROUP BY dv"
        for dv, messages, top in db.execute(chains, (n,)).fetchall():
            assert messages == top, f"{dv}: the chain has holes"
    for dv, next_pos in db.execute("SELECT dv, next_pos FROM inbox_head").fetchall():
        count, last = db.execute("SELECT count(*), max(pos) FROM inbox WHERE dv = ?", (dv,)).fetchone()
        assert count == last == next_pos - 1, f"{dv}: the inbox has holes"
