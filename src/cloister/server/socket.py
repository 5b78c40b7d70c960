"""The live connection: one WebSocket, frames of records, cursors instead of memory.

A socket proves its session first, then subscribes streams from its own positions; what was stored before comes from
the database, what comes after from the hub, and no position is skipped or sent twice. Sends are checked here (form,
signature, rate) and queued for the writer; their answers leave in the same frames as everything else. A reader that
is too slow is cut off and resumes by its cursors.

Spec: STR-010 to STR-018, STR-011, STR-012, STR-017, LIM-005.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
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
    RateLimited,
    RelayError,
    StaleEpoch,
)
from cloister.protocol import jws
from cloister.server import commits, inbox
from cloister.server.core import Relay
from cloister.server.hub import INBOX
from cloister.server.line import EXTENSION, Line
from cloister.server.records import (
    FIRST,
    FRAMES,
    NO_RECORDS,
    NOT_SIGNED_IN,
    REASONS,
    TOO_FAST,
    TOO_MANY,
    TOO_SLOW,
    Ack,
    SendRecord,
    Sub,
    Unsub,
    refusal,
)
from cloister.server.sessions import Session, authenticate

log = structlog.get_logger("cloister.socket")

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PATH: Final = "/v1/socket"
AUTH_SECONDS: Final = 10
# Rows read at once while catching up.
PAGE: Final = 200
# A frame ends when it has this many bytes: small enough for a phone, large enough to coalesce.
FRAME: Final = 256 * 1024
# Sends of one socket that may wait for their commit; more are not read until some are answered.
MAX_IN_FLIGHT: Final = 256
MAX_STREAMS: Final = 4096

# A message that was decoded and has to wait: for its sphere to be read, or for sends before it to be answered.
Held = tuple[int, jws.Envelope]
Work = Sub | Unsub | Ack | SendRecord | Held


class Socket:
    """One signed-in connection; a listener of the hub. All methods run in the loop's thread."""

    __slots__ = (
        "_behind",
        "_in_flight",
        "_line",
        "_loop",
        "_me",
        "_queue",
        "_relay",
        "_room",
        "_send",
        "_size",
        "_stopped",
        "_tasks",
        "_wake",
        "_woken",
        "_worker",
        "account",
        "cursors",
        "dv",
        "session",
    )  # fmt: skip

    def __init__(self, relay: Relay, session: Session, send: Send, line: Line | None = None) -> None:
        self.account = session.account
        self.dv = session.dv
        self.session = session.h
        self._me = session
        # Position delivered last of every live stream; None while the stream is still read from the database.
        self.cursors: dict[str, int | None] = {}
        self._relay = relay
        self._loop = asyncio.get_running_loop()
        # The short way out and in, where the server has one; else ``send`` and ``receive``.
        self._line = line
        self._send = send
        self._queue: list[bytes] = []
        self._size = 0
        self._wake = asyncio.Event()
        self._woken = False
        self._behind: deque[Work] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._in_flight = 0
        self._stopped: asyncio.Future[int] = self._loop.create_future()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    # --- what the hub calls ---

    def rows(self, stream: str, first: int, last: int, records: bytes) -> None:
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

    def record(self, record: bytes) -> None:
        """Queue one record, or several joined by commas; a reader with too much waiting is cut off (STR-016)."""
        self._queue.append(record)
        self._size += len(record)
        if self._size > self._relay.settings.socket_queue:
            self.stop(TOO_SLOW)
        if self._line is None:
            self._wake.set()
        elif not self._woken:
            self._woken = True
            self._loop.call_soon(self._flush, self._line)

    def lose(self, stream: str) -> None:
        """The right to read ended."""
        if self.cursors.pop(stream, 0) != 0:
            self.record(f'{{"t":"lost","s":"{stream}"}}'.encode())

    def end(self) -> None:
        """The session ended."""
        self.stop(NOT_SIGNED_IN)

    def stop(self, code: int) -> None:
        """Close with ``code`` once."""
        if not self._stopped.done():
            self._stopped.set_result(code)

    # --- writing ---

    def _frame(self) -> list[bytes]:
        """Take what the next frame holds: as many records as fit, at least one (STR-010)."""
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
        self._size -= size
        if self._size <= FRAME:
            self._room.set()
        return frame

    def _flush(self, line: Line) -> None:
        """Write what is ready, once for all that came up in a turn of the loop, until the reader is behind."""
        self._woken = False
        while self._queue and line.ready:
            line.write(self._frame())

    async def _pump(self) -> None:
        """The same where only ``send`` is there: it returns when there is room for more."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                text = b"[%b]" % b",".join(self._frame())
                await self._send({"type": "websocket.send", "text": text.decode()})

    # --- reading ---

    async def _listen(self, receive: Receive) -> None:
        """Until the client is gone. With a line only that is told here."""
        while (message := await receive())["type"] == "websocket.receive":
            self._behind.extend(self._at_once(message.get("text") or message.get("bytes") or b""))
            await self._work_off()

    def _heard(self, data: bytes) -> None:
        """A frame came in over the line. Work that has to wait goes on in a task, and nothing is read meanwhile."""
        if self._behind:
            self._behind.extend(self._records(data))
            return
        self._behind.extend(self._at_once(data))
        if self._behind and self._line is not None:
            self._line.pause()
            self._worker = self._loop.create_task(self._work_off())
            self._worker.add_done_callback(self._check)

    def _records(self, data: bytes | str) -> Sequence[Work]:
        if self._stopped.done():
            return ()
        try:
            return FRAMES.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.stop(NO_RECORDS)
            return ()

    def _at_once(self, data: bytes | str) -> Sequence[Work]:
        """Do what needs no waiting, in order; the rest is returned. Most frames are one message of a known sphere."""
        records = self._records(data)
        for at, one in enumerate(records):
            if not isinstance(one, SendRecord):
                return records[at:]
            envelope = self._opened(one)
            if envelope is not None and not self._posted(one.i, envelope):
                return [(one.i, envelope), *records[at + 1 :]]
        return ()

    async def _work_off(self) -> None:
        """What had to wait, one after the other."""
        while self._behind:
            one = self._behind[0]
            if isinstance(one, SendRecord):
                envelope = self._opened(one)
                if envelope is not None:
                    await self._post_later(one.i, envelope)
            elif isinstance(one, tuple):
                await self._post_later(*one)
            else:
                await self._do(one)
            self._behind.popleft()
        if self._line is not None:
            self._line.resume()

    # --- messages (STR-014): every refusal is answered here, every other answer follows the commit ---

    def _opened(self, one: SendRecord) -> jws.Envelope | None:
        try:
            self._relay.by_account.take(self.account)
            return jws.decode(one.jws, "sph-msg+1")
        except RelayError as fault:
            self.record(refusal(one.i, fault))
        except CheckFailed as fault:
            self.record(refusal(one.i, BadFormat(fault.detail)))
        return None

    def _posted(self, i: int, envelope: jws.Envelope) -> bool:
        """Whether nothing had to be waited for."""
        if self._in_flight >= MAX_IN_FLIGHT:
            return False
        try:
            if self._relay.view_at_hand(envelope.header["sph"], self.account, self.dv) is None:
                return False
            self._post(i, envelope)
        except RelayError as fault:
            self.record(refusal(i, fault))
        return True

    async def _post_later(self, i: int, envelope: jws.Envelope) -> None:
        while self._in_flight >= MAX_IN_FLIGHT:
            self._room.clear()
            await self._room.wait()
        try:
            await self._relay.view_for(envelope.header["sph"], self.account, self.dv)
            self._post(i, envelope)
        except RelayError as fault:
            self.record(refusal(i, fault))

    def _post(self, i: int, envelope: jws.Envelope) -> None:
        """Queue a message for the writer. Raises Busy."""
        relay, account = self._relay, self.account
        clock = relay.clock()

        def done(outcome: Any) -> None:
            self._in_flight -= 1
            self._room.set()
            if isinstance(outcome, Exception):
                if isinstance(outcome, StaleEpoch):
                    relay.wants_rotation(envelope.header["sph"])
                self.record(refusal(i, outcome))
            else:
                self.record(b'{"t":"ok","i":%d,"pos":%d}' % (i, outcome))

        relay.writer.enqueue(lambda batch: commits.send(batch, account, envelope, clock), done, savepoint=False)
        self._in_flight += 1

    # --- everything else ---

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
            self.record(b'{"t":"ok","i":%d}' % one.i)
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
        task = self._loop.create_task(self._read_stream(key, after))
        self._tasks[key] = task
        task.add_done_callback(lambda finished: self._caught_up(key, finished))

    def _caught_up(self, key: str, finished: asyncio.Task[None]) -> None:
        if self._tasks.get(key) is finished:
            del self._tasks[key]
        self._check(finished)

    def _check(self, finished: asyncio.Task[None]) -> None:
        """A task of this connection that failed takes the connection with it."""
        if not finished.cancelled() and finished.exception() is not None:
            log.error("socket failed", kind=type(finished.exception()).__name__)
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
                self.record(f'{{"t":"live","s":"{name}","pos":{cursor}}}'.encode())
                return
            while self._size > FRAME:
                self._room.clear()
                await self._room.wait()

    # --- life ---

    async def run(self, receive: Receive) -> int | None:
        """Serve until one side ends; returns the close code, None when the client is gone."""
        mine = [self._loop.create_task(self._listen(receive))]
        if self._line is None:
            mine.append(self._loop.create_task(self._pump()))
        else:
            self._line.take_over(self._heard, partial(self._flush, self._line))
        ends: set[asyncio.Future[Any]] = {*mine, self._stopped}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        try:
            if not self._stopped.done():
                for task in mine:
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
            if self._line is not None:
                self._line.release()
            gone = [*mine, *self._tasks.values()]
            if self._worker is not None:
                gone.append(self._worker)
            for task in gone:
                task.cancel()
            await asyncio.gather(*gone, return_exceptions=True)

    async def _last_words(self) -> None:
        """Give what is queued a moment to leave before the close frame."""
        for _ in range(100):
            if not self._queue:
                return
            await asyncio.sleep(0)


def _texts(conn: Connection, *, key: str, n: int, after: int) -> list[tuple[int, bytes]]:
    """The next page of a stream as (pos, record)."""
    if n:
        return [(row.pos, commits.record_of(key, row).encode()) for row in commits.rows_after(conn, n, after, PAGE)]
    rows = inbox.rows_after(conn, key.partition(":")[2], after, PAGE)
    return [(row.pos, inbox.record(row.pos, row.kind, row.sph, row.body).encode()) for row in rows]


async def serve(relay: Relay, scope: Scope, receive: Receive, send: Send) -> None:
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
    socket = Socket(relay, session, send, scope.get("extensions", {}).get(EXTENSION))
    relay.hub.attach(socket)
    socket.record(b'{"t":"ready","now":%d}' % relay.now)
    code = await socket.run(receive)
    if code is not None:
        await _close(send, code)


async def _first_frame(relay: Relay, receive: Receive) -> Session | None:
    """The session of the first frame, or None when the client left (STR-011)."""
    async with asyncio.timeout(AUTH_SECONDS):
        message = await receive()
        if message["type"] != "websocket.receive":
            return None
        records = FIRST.decode(message.get("text") or message.get("bytes") or b"")
        if len(records) != 1:
            raise Forbidden("auth")
        return await authenticate(relay, records[0].token)


async def _close(send: Send, code: int) -> None:
    try:
        await send({"type": "websocket.close", "code": code, "reason": REASONS.get(code, "")})
    except (OSError, RuntimeError) as error:
        log.debug("close not sent", kind=type(error).__name__)
