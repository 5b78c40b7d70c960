"""What is said on a live connection: a client's records, the relay's refusals, the codes a connection closes with.

Knows JSON and the closed list of records. Refuses to know sessions, streams and sockets.

Spec: STR-010 to STR-014, STR-018.
"""

from __future__ import annotations

from typing import Final

import msgspec

from cloister.errors import Internal, RelayError
from cloister.protocol import api

STOPPING: Final = 1001
NOT_SIGNED_IN: Final = 4001
NO_RECORDS: Final = 4002
TOO_SLOW: Final = 4008
TOO_MANY: Final = 4009
TOO_FAST: Final = 4029

REASONS: Final = {
    STOPPING: "the relay stops; come back",
    NOT_SIGNED_IN: "not signed in, or the session ended",
    NO_RECORDS: "a frame is an array of records",
    TOO_SLOW: "too much is waiting; resume by cursor",
    TOO_MANY: "too many connections of this account",
    TOO_FAST: "too fast",
}


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


FIRST: Final = msgspec.json.Decoder(list[Auth])
FRAMES: Final = msgspec.json.Decoder(list[Sub | Unsub | SendRecord | Ack])


def refusal(i: int, fault: Exception, stream: str | None = None) -> bytes:
    """The record for a refused request; only the public part of the fault."""
    wire = fault.as_wire() if isinstance(fault, RelayError) else Internal().as_wire()
    body = {"t": "err", "i": i, **wire}
    if stream is not None:
        body["s"] = stream
    return msgspec.json.encode(body)
