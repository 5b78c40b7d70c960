"""One entry of a sphere's log: decoded form and maker.

A decoded entry is not verified; ``machine.apply`` verifies it against a state. Entry 0 names its sphere by being
hashed, so it carries neither ``sph`` nor ``prev`` nor ``ep``; every later entry carries all three.

Spec: LOG-001 to LOG-005.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cloister.errors import FormatError
from cloister.protocol import jws
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.ids import sphere_id

TYP = "sph-log+1"


@dataclass(frozen=True, slots=True)
class Entry:
    """A decoded entry (LOG-001). ``seq`` 0: ``sph`` is computed from the entry itself, ``prev`` is b"", ``ep`` is 0."""

    envelope: jws.Envelope
    kid: str
    sph: str
    seq: int
    prev: bytes
    ep: int

    @property
    def compact(self) -> str:
        return self.envelope.compact

    @property
    def digest(self) -> bytes:
        """H(SI), 32 bytes: what the next entry's ``prev``, messages' ``lh`` and attachments name."""
        return self.envelope.digest

    @property
    def op(self) -> str:
        """Raises FormatError when the payload is malformed, as ``body`` and ``iat`` do."""
        return str(self.envelope.body["op"])

    @property
    def body(self) -> dict[str, Any]:
        value: dict[str, Any] = self.envelope.body["body"]
        return value

    @property
    def iat(self) -> int:
        return int(self.envelope.body["iat"])


def decode(compact: str) -> Entry:
    """Decode one entry; header form only (LOG-002, LOG-003). Raises FormatError."""
    envelope = jws.decode(compact, TYP)
    header = envelope.header
    seq = header["seq"]
    linked = ("sph" in header) + ("prev" in header) + ("ep" in header)
    if linked != (3 if seq else 0):
        raise FormatError("entry 0 has no sph, prev and ep; every other entry has all three")
    if seq == 0:
        return Entry(envelope, header["kid"], sphere_id(envelope.digest), 0, b"", 0)
    return Entry(envelope, header["kid"], header["sph"], seq, b64d(header["prev"]), header["ep"])


def make(
    signer: Callable[[bytes], bytes],
    kid: str,
    op: str,
    body: dict[str, Any],
    iat: int,
    *,
    sph: str = "",
    seq: int = 0,
    prev: bytes = b"",
    ep: int = 0,
) -> str:
    """Make an entry's compact form. ``seq`` 0 makes the genesis form; ``ep`` is the epoch after this entry."""
    header: dict[str, Any] = {"kid": kid, "seq": seq}
    if seq:
        header = {"kid": kid, "sph": sph, "seq": seq, "prev": b64e(prev), "ep": ep}
    return jws.sign(TYP, header, {"op": op, "body": body, "iat": iat}, signer)
