"""Letters from device to device: what everybody may see of them.

Knows the outside of ``sph-p2p+1``: kind, sphere, sender, recipient, time. What a letter carries is opened elsewhere,
by members only.

Spec: LOG-025 to LOG-027.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from cloister.errors import KeyUnknown, NotMember
from cloister.protocol import jws
from cloister.protocol.encoding import b64d
from cloister.protocol.state import Device, SphereState

TYP: Final = "sph-p2p+1"


@dataclass(frozen=True, slots=True)
class Letter:
    """A decoded letter. ``k`` its kind, ``kid`` the sender's dv, ``to`` the recipient's dv where the kind names one."""

    envelope: jws.Envelope
    k: str
    kid: str
    sph: str
    jti: bytes
    iat: int
    to: str | None
    body: dict[str, Any]


def decode(compact: str) -> Letter:
    """Decode a letter; a kind this version does not know is no error here (LOG-025). Raises FormatError."""
    envelope = jws.decode(compact, TYP)
    body = envelope.body
    to = body.get("dvR") if body["k"] in jws.P2P else None  # nobody has looked at the members of a later kind
    return Letter(envelope, body["k"], envelope.header["kid"], body["sph"], b64d(body["jti"]), body["iat"], to, body)


def verify(letter: Letter, sender: Device) -> None:
    """Check the sender's signature (LOG-026). Raises KeyUnknown for another device, SignatureInvalid."""
    if letter.kid != sender.dv:
        raise KeyUnknown("the letter names another sender")
    jws.verify_ed25519(letter.envelope, sender.dk)


def check_pair(state: SphereState, sender: str, recipient: str) -> None:
    """Sender and recipient must both be active in the sphere at its head (LOG-027). Raises NotMember."""
    if state.closed or state.author(sender) is None or state.author(recipient) is None:
        raise NotMember("a letter needs two active devices of one sphere")
