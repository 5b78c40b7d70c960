"""The live connection at the wire: whole text frames in, whole text frames out, nothing in between.

uvicorn's protocol makes the handshake, answers pings, closes, and reads every frame that is not the plain case. The
plain case, one whole masked text frame, is cut out of what was read and handed on in the same turn of the loop; what
leaves is one frame and one write. A reader that is behind is told so by the transport, and nothing more is written.

Knows frames (RFC 6455) and uvicorn. Refuses to know what a frame says.

Spec: STR-010, STR-016, STR-018.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

try:
    from websockets.speedups import apply_mask
except ImportError:  # where no compiler was
    from websockets.utils import apply_mask

# Where a handler finds the line of its connection; other servers have none and are spoken to by ASGI alone.
EXTENSION: Final = "cloister.line"
# First byte of a whole text frame, and the bit of the second one that says it is masked.
_TEXT: Final = 0x81
_MASKED: Final = 0x80
_CONTROL: Final = 0x08
_LONGEST_CONTROL: Final = 125
# Records of at least this size on average are handed on as they are: all readers of a room share them.
LARGE: Final = 4096


class Line(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket with a short way for plain frames. All methods run in the loop's thread."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._heard: Callable[[bytes], None] | None = None
        self._writable: Callable[[], None] | None = None
        self._plain = True  # so far nothing but plain frames and controls: the parser stands at the start of a frame
        self._rest = b""
        self._largest = self.config.ws_max_size

    # --- for the one who speaks ---

    def take_over(self, heard: Callable[[bytes], None], writable: Callable[[], None]) -> None:
        """From now on ``heard`` gets every message, those that wait first; ``writable`` is called after a pause."""
        self._heard, self._writable = heard, writable
        self.resume()
        waiting = []
        while not self.queue.empty():
            waiting.append(self.queue.get_nowait())
        for message in cast(list[Any], waiting):
            if message["type"] == "websocket.receive":
                heard(message["text"].encode() if message.get("text") is not None else message["bytes"])
            else:
                self.queue.put_nowait(message)

    def release(self) -> None:
        """Call nobody any more."""
        self._heard = self._writable = None

    @property
    def ready(self) -> bool:
        """Whether the other side reads fast enough for more."""
        return self.writable.is_set()

    def write(self, records: Sequence[bytes]) -> None:
        """One text frame: a JSON array of these records."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        size = sum(map(len, records)) + len(records) + 1
        parts = [_head(size), records[0]]
        for record in records[1:]:
            parts += (b",", record)
        parts.append(b"]")
        if size > LARGE * len(records):
            self.transport.writelines(parts)
        else:
            self.transport.write(b"".join(parts))

    def pause(self) -> None:
        """Read no more for now."""
        if not self.read_paused and not self.close_sent:
            self.read_paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    # --- what the transport and uvicorn call ---

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            cast(dict[str, Any], self.scope["extensions"])[EXTENSION] = self

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._writable is not None:
            self._writable()

    def send_receive_event_to_app(self) -> None:
        if self._heard is None:
            super().send_receive_event_to_app()
            return
        data, self.frames = b"".join(self.frames), []
        if not self.close_sent:
            self._heard(data)

    def data_received(self, data: bytes) -> None:
        if self.handshake_initiated and self._plain:
            self._cut(self._rest + data if self._rest else data)
        else:
            super().data_received(data)

    def _cut(self, data: bytes) -> None:
        """Hand on every whole plain frame; everything else goes to the parser as it is."""
        at, end = 0, len(data)
        while end - at >= 2:
            first, size, start = data[at], data[at + 1] & 0x7F, at + 2
            if size >= 126:
                start += 2 if size == 126 else 8
                if start > end:
                    break
                size = int.from_bytes(data[at + 2 : start], "big")
            control = first & _CONTROL and size <= _LONGEST_CONTROL
            if not (data[at + 1] & _MASKED and size <= self._largest and (first == _TEXT or control)):
                self._plain, self._rest = False, b""
                super().data_received(data[at:])
                return
            stop = start + 4 + size
            if stop > end:
                break
            if control or self._heard is None:
                super().data_received(data[at:stop])
                if self.transport.is_closing():
                    return
            elif not self.close_sent:
                self._heard(apply_mask(data[start + 4 : stop], data[start : start + 4]))
            at = stop
        self._rest = data[at:]


def _head(size: int) -> bytes:
    """Beginning of a whole text frame of ``size`` bytes of payload, with the array's bracket."""
    if size < 126:
        return bytes((_TEXT, size, 0x5B))
    if size < 65536:
        return bytes((_TEXT, 126)) + size.to_bytes(2, "big") + b"["
    return bytes((_TEXT, 127)) + size.to_bytes(8, "big") + b"["
