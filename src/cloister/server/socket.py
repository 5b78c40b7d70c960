"""The live connection: one WebSocket, frames of records, cursors instead of memory.

A socket proves its session first, then subscribes streams from its own positions; what was stored before comes from
the database, what comes after from the hub, and no position is skipped or sent twice. Sends are checked here (form,
signature, rate) and queued for the writer; their answers leave in the same frames as everything else. A reader that
is too slow is cut off and resumes by its cursors.

Spec: STR-010 to STR-018, STR-011, STR-012, STR-017, LIM-005.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any, Final

import msgspec
import structlog
from sqlalchemy import Connection

from cloister.errors import (
    BadFormat,
    CheckFailed,
    CloisterError,
    Forbidden,
    Internal,
    RateLimited,
    RelayError,
    StaleEpoch,
)
from cloister.protocol import api, jws
from cloister.server import commits, inbox
from cloister.server.core import Relay
from cloister.server.hub import INBOX
from cloister.server.sessions import Session, authenticate

log = structlog.get_logger("cloister.socket")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PATH: Final = "/v1/socket"
AUTH_SECONDS: Final = 10
# Rows read at once while catching up.
PAGE: Final = 200
# A frame ends when it has this many characters: small enough for a phone, large enough to coalesce.
FRAME: Final = 256 * 1024
# Sends of one socket that may wait for their commit; more are not read until some are answered.
MAX_IN_FLIGHT: Final = 256
MAX_STREAMS: Final = 4096

STOPPING: Final = 1001
NOT_SIGNED_IN: Final = 4001
NO_RECORDS: Final = 4002
TOO_SLOW: Final = 4008
TOO_MANY: Final = 4009
TOO_FAST: Final = 4029


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="t"):
    """Base of what a client may say."""


class Auth(Record, frozen=True, tag="auth"):
    token: str


class Sub(Record, frozen=True, tag="sub"):
    i: api.Count
    streams: dict[str, api.Count]


class Unsub(Record, frozen=True, tag="unsub"):
    i: api.Count
    streams: list[str]


class SendRecord(Record, frozen=True, tag="send"):
    i: api.Count
    jws: str


class Ack(Record, frozen=True, tag="ack"):
    i: api.Count
    pos: api.Count


_FIRST: Final = msgspec.json.Decoder(list[Auth])
_FRAMES: Final = msgspec.json.Decoder(list[Sub | Unsub | SendRecord | Ack])


def refusal(i: int, fault: Exception, stream: str | None = None) -> str:
    """The record for a refused request; only the public part of the fault."""
    wire = fault.as_wire() if isinstance(fault, RelayError) else Internal().as_wire()
    body = {"t": "err", "i": i, **wire}
    if stream is not None:
        body["s"] = stream
    return msgspec.json.encode(body).decode()


class Socket:
    """One signed-in connection; a listener of the hub. All methods run in the loop's thread."""

    __slots__ = (
        "_in_flight",
        "_me",
        "_queue",
        "_relay",
        "_room",
        "_send",
        "_size",
        "_stopped",
        "_tasks",
        "_wake",
        "account",
        "cursors",
        "dv",
        "session",
    )  # fmt: skip

    def __init__(self, relay: Relay, session: Session, send: Send) -> None:
        self.account = session.account
        self.dv = session.dv
        self.session = session.h
        self._me = session
        # Position delivered last of every live stream; None while the stream is still read from the database.
        self.cursors: dict[str, int | None] = {}
        self._relay = relay
        self._send = send
        self._queue: list[str] = []
        self._size = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._in_flight = 0
        self._stopped: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    # --- what the hub calls ---

    def rows(self, stream: str, first: int, last: int, records: str) -> None:
        """Rows were committed: deliver them if they come next, else read what is missing."""
        cursor = self.cursors.get(stream)
        if cursor is None or last <= cursor:
            return
        if first != cursor + 1:
            self.cursors[stream] = None
            self._catch_up(stream, cursor)
            return
        self.cursors[stream] = last
        self.record(records)

    def record(self, record: str) -> None:
        """Queue one record, or several joined by commas; a reader with too much waiting is cut off (STR-016)."""
        self._queue.append(record)
        self._size += len(record)
        if self._size > self._relay.settings.socket_queue:
            self.stop(TOO_SLOW)
        self._wake.set()

    def lose(self, stream: str) -> None:
        """The right to read ended."""
        if self.cursors.pop(stream, 0) != 0:
            self.record(f'{{"t":"lost","s":"{stream}"}}')

    def end(self) -> None:
        """The session ended."""
        self.stop(NOT_SIGNED_IN)

    def stop(self, code: int) -> None:
        """Close with ``code`` once."""
        if not self._stopped.done():
            self._stopped.set_result(code)

    # --- writing ---

    async def _pump(self) -> None:
        """Put what is ready into frames, as many records as fit."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                frame, size = self._queue, self._size
                if size > FRAME:
                    size, count = 0, 0
                    for record in frame:
                        if count and size + len(record) > FRAME:
                            break
                        size += len(record)
                        count += 1
                    frame, self._queue = frame[:count], frame[count:]
                else:
                    self._queue = []
                await self._send({"type": "websocket.send", "text": f"[{','.join(frame)}]"})
                self._size -= size
                if self._size <= FRAME:
                    self._room.set()

    # --- reading ---

    async def _listen(self, receive: Receive) -> None:
        while True:
            message = await receive()
            if message["type"] != "websocket.receive":
                return
            try:
                records = _FRAMES.decode(message.get("text") or message.get("bytes") or b"")
            except (msgspec.DecodeError, UnicodeDecodeError):
                self.stop(NO_RECORDS)
                return
            for one in records:
                if isinstance(one, SendRecord):
                    await self._take(one)
                else:
                    await self._do(one)

    async def _take(self, one: SendRecord) -> None:
        """Check a message and queue it for the writer; the answer follows its commit (STR-014)."""
        relay = self._relay
        try:
            relay.by_account.take(self.account)
            envelope = jws.decode(one.jws, "sph-msg+1")
            sph = envelope.header["sph"]
            view = await relay.view_for(sph, self.account, self.dv)
            commits.check_message(view.state, self.account, envelope)
            while self._in_flight >= MAX_IN_FLIGHT:
                self._room.clear()
                await self._room.wait()
            clock = relay.clock()
            account = self.account

            def done(outcome: Any) -> None:
                self._in_flight -= 1
                self._room.set()
                if isinstance(outcome, Exception):
                    if isinstance(outcome, StaleEpoch):
                        relay.wants_rotation(sph)
                    self.record(refusal(one.i, outcome))
                else:
                    self.record(f'{{"t":"ok","i":{one.i},"pos":{outcome}}}')

            relay.writer.enqueue(lambda batch: commits.send(batch, account, envelope, clock), done, savepoint=False)
            self._in_flight += 1
        except RelayError as fault:
            self.record(refusal(one.i, fault))
        except CheckFailed as fault:
            self.record(refusal(one.i, BadFormat(fault.detail)))

    async def _do(self, one: Sub | Unsub | Ack) -> None:
        relay = self._relay
        try:
            relay.by_account.take(self.account)
            if isinstance(one, Sub):
                await self._subscribe(one)
            elif isinstance(one, Unsub):
                for name in one.streams:
                    key = self._key(name)
                    relay.hub.leave(self, key)
                    self.cursors.pop(key, None)
            else:
                dv, upto = self._me.require_device(), one.pos
                await relay.writer.submit(lambda batch: inbox.clear(batch, dv, upto))
            self.record(f'{{"t":"ok","i":{one.i}}}')
        except RateLimited as fault:
            self.record(refusal(one.i, fault))
            self.stop(TOO_FAST)
        except CloisterError as fault:
            self.record(refusal(one.i, fault))

    def _key(self, name: str) -> str:
        """The hub's name of a stream. Raises Forbidden for an inbox without a device."""
        return f"{INBOX}:{self._me.require_device()}" if name == INBOX else name

    async def _subscribe(self, one: Sub) -> None:
        if len(self.cursors) + len(one.streams) > MAX_STREAMS:
            raise BadFormat("too many streams")
        for name, after in one.streams.items():
            try:
                key = self._key(name)
                if name != INBOX:
                    await self._relay.view_for(name, self.account, self.dv)
            except RelayError as fault:
                self.record(refusal(one.i, fault, name))
                continue
            self.cursors[key] = None
            self._relay.hub.join(self, key)
            self._catch_up(key, max(0, after))

    def _catch_up(self, key: str, after: int) -> None:
        """Read a stream from the database until its end; a newer subscription replaces an older one."""
        earlier = self._tasks.get(key)
        if earlier is not None:
            earlier.cancel()
        task = asyncio.get_running_loop().create_task(self._read_stream(key, after))
        self._tasks[key] = task
        task.add_done_callback(lambda finished: self._caught_up(key, finished))

    def _caught_up(self, key: str, finished: asyncio.Task[None]) -> None:
        if self._tasks.get(key) is finished:
            del self._tasks[key]
        if not finished.cancelled() and finished.exception() is not None:
            log.error("catching up failed", kind=type(finished.exception()).__name__)
            self.stop(1011)

    async def _read_stream(self, key: str, after: int) -> None:
        """Send stored rows after ``after`` until the stream's end is reached, then let the hub deliver (STR-013)."""
        relay, cursor = self._relay, after
        try:
            n = 0 if key.startswith(INBOX) else (await relay.view_for(key, self.account, self.dv)).n
        except Forbidden:
            relay.hub.leave(self, key)
            self.lose(key)
            return
        while True:
            texts = await relay.store.read(partial(_texts, key=key, n=n, after=cursor))
            for pos, text in texts:
                if key not in self.cursors:
                    return  # lost or unsubscribed meanwhile
                cursor = pos
                self.record(text)
            if key not in self.cursors:
                return
            if len(texts) < PAGE and relay.hub.heads.get(key, 0) <= cursor:
                self.cursors[key] = cursor
                name = INBOX if not n else key
                self.record(f'{{"t":"live","s":"{name}","pos":{cursor}}}')
                return
            while self._size > FRAME:
                self._room.clear()
                await self._room.wait()

    # --- life ---

    async def run(self, receive: Receive) -> int | None:
        """Serve until one side ends; returns the close code, None when the client is gone."""
        loop = asyncio.get_running_loop()
        reader, pump = loop.create_task(self._listen(receive)), loop.create_task(self._pump())
        ends: set[asyncio.Future[Any]] = {reader, pump, self._stopped}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        try:
            if not self._stopped.done():
                for task in (reader, pump):
                    if task.done() and task.exception() is not None:
                        log.warning("socket failed", kind=type(task.exception()).__name__)
                return None
            code = self._stopped.result()
            if code != TOO_SLOW:
                await self._last_words()
            return code
        finally:
            self._relay.hub.detach(self, list(self.cursors))
            self.cursors.clear()
            gone = [reader, pump, *self._tasks.values()]
            for task in gone:
                task.cancel()
            await asyncio.gather(*gone, return_exceptions=True)

    async def _last_words(self) -> None:
        """Give what is queued a moment to leave before the close frame."""
        for _ in range(100):
            if not self._queue:
                return
            await asyncio.sleep(0)


def _texts(conn: Connection, *, key: str, n: int, after: int) -> list[tuple[int, str]]:
    """The next page of a stream as (pos, record)."""
    if n:
        return [(row.pos, commits.record_of(key, row)) for row in commits.rows_after(conn, n, after, PAGE)]
    rows = inbox.rows_after(conn, key.partition(":")[2], after, PAGE)
    return [(row.pos, inbox.record(row.pos, row.kind, row.sph, row.body)) for row in rows]


async def serve(relay: Relay, receive: Receive, send: Send) -> None:
    """One ASGI WebSocket connection from handshake to close."""
    if (await receive())["type"] != "websocket.connect":
        return
    await send({"type": "websocket.accept"})
    try:
        session = await _first_frame(relay, receive)
    except (RelayError, TimeoutError):
        await _close(send, NOT_SIGNED_IN)
        return
    except (msgspec.DecodeError, UnicodeDecodeError):
        await _close(send, NO_RECORDS)
        return
    if session is None:
        return
    if relay.hub.sockets_of(session.account) >= relay.settings.sockets_per_account:
        await _close(send, TOO_MANY)
        return
    socket = Socket(relay, session, send)
    relay.hub.attach(socket)
    socket.record(f'{{"t":"ready","now":{relay.now}}}')
    code = await socket.run(receive)
    if code is not None:
        await _close(send, code)


async def _first_frame(relay: Relay, receive: Receive) -> Session | None:
    """The session of the first frame, or None when the client left (STR-011)."""
    async with asyncio.timeout(AUTH_SECONDS):
        message = await receive()
        if message["type"] != "websocket.receive":
            return None
        records = _FIRST.decode(message.get("text") or message.get("bytes") or b"")
        if len(records) != 1:
            raise Forbidden("auth")
        return await authenticate(relay, records[0].token)


_REASONS: Final = {
    STOPPING: "the relay stops; come back",
    NOT_SIGNED_IN: "not signed in, or the session ended",
    NO_RECORDS: "a frame is an array of records",
    TOO_SLOW: "too much is waiting; resume by cursor",
    TOO_MANY: "too many connections of this account",
    TOO_FAST: "too fast",
}


async def _close(send: Send, code: int) -> None:
    try:
        await send({"type": "websocket.close", "code": code, "reason": _REASONS.get(code, "")})
    except (OSError, RuntimeError) as error:
        log.debug("close not sent", kind=type(error).__name__)
