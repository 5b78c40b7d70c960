"""When the relay lets a device speak: the rules a message must meet at the head of the log.

Works on the cached state and the chain's last message; costs no more than a few look-ups and one signature check.
Whatever has changed since the position the message names, and could change how readers judge it, makes it stale: its
author seals it again.

Spec: CHN-001 to CHN-008.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from cloister.errors import BadFormat, Conflict, Forbidden, FormatError, Gap, SignatureInvalid, StaleEpoch, StaleHead
from cloister.protocol import jws
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.jws import Envelope
from cloister.protocol.state import Device, Member, SphereState


class Digests(Protocol):
    """What is asked of a log: H(SI) of entry ``seq``; raises Gap for a position that is not held."""

    def digest(self, seq: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The last message of a device in a sphere: its ``seq``, H(SI), and the log position ``ls`` it named."""

    seq: int
    digest: bytes
    ls: int = 0


def admit(state: SphereState, history: Digests | None, envelope: Envelope, head: ChainHead | None) -> ChainHead:
    """Admit one decoded ``sph-msg+1`` at the head of the log; returns the chain's new head (CHN-001 to CHN-008).

    ``history`` answers for digests below the head; with None only messages sealed at the head itself pass. ``head``
    None: the device has not spoken. Raises, in this order: Forbidden, BadFormat (enc), StaleHead (seq, h of the log),
    StaleEpoch, Conflict (seq, h of the chain), BadFormat (signature).
    """
    after = place(state, history, envelope, head)
    check_signature(state, envelope)
    return after


def place(state: SphereState, history: Digests | None, envelope: Envelope, head: ChainHead | None) -> ChainHead:
    """``admit`` without the signature, for a caller that has checked it before (CHN-001 to CHN-007).

    A device's name is the hash of its key, so a signature checked against one state holds for every later one.
    """
    header = envelope.header
    device = state.devices.get(header["kid"])
    if header["sph"] != state.sph or device is None or not device.active or state.closed:
        raise Forbidden("CHN-001: not an active device of this sphere")
    member = state.members[device.owner]
    if member.role == "guest" and state.policy.guests == "read":
        raise Forbidden("CHN-002: guests only read here")
    _position(state, history, header)
    _fresh(state, header, device, member)
    linked(header, head)
    return ChainHead(header["seq"], envelope.digest, header["ls"])


def check_signature(state: SphereState, envelope: Envelope) -> None:
    """The message is signed by the device it names (CHN-008). Raises Forbidden (unknown device), BadFormat."""
    device = state.devices.get(envelope.header["kid"])
    if device is None:
        raise Forbidden("CHN-001: not a device of this sphere")
    try:
        jws.verify_ed25519(envelope, device.dk)
    except (SignatureInvalid, FormatError):
        raise BadFormat("CHN-008: signature") from None


def _position(state: SphereState, history: Digests | None, header: dict[str, Any]) -> None:
    """lh is the digest of entry ls of this log (CHN-003)."""
    ls = header["ls"]
    try:
        known = state.digest if ls == state.seq else history.digest(ls) if history else b""
    except Gap:
        known = b""
    if b64e(known) != header["lh"]:
        raise StaleHead("CHN-003: lh is not entry ls", seq=state.seq, h=b64e(state.digest))


def _fresh(state: SphereState, header: dict[str, Any], device: Device, member: Member) -> None:
    """Encryption fits the mode; epoch is the running one; nothing relevant happened after ls (CHN-004 to CHN-006)."""
    ls, sealed = header["ls"], header["enc"] != "none"
    if sealed != ("n" in header) or sealed != ("cm" in header):
        raise BadFormat("CHN-004: n and cm go with encryption")
    since = max(device.since, member.since, state.mode_at)
    if state.mode == "e2ee":
        if state.hard:
            _stale("the sphere is marked")
        since = max(since, state.epoch.seq if state.epoch else 0)
        if not sealed:
            since = max(since, state.policy_at)
    if member.role == "guest":
        since = max(since, state.policy_at)
    if ls < since:
        _stale("something has changed since ls")
    if sealed != (state.mode == "e2ee") and not (state.mode == "e2ee" and state.policy.plaintext):
        raise BadFormat("CHN-004: enc does not fit the mode")
    if header["ep"] != state.ep:
        raise StaleEpoch("CHN-006: ep is not the running epoch")


def _stale(why: str) -> NoReturn:
    raise StaleEpoch(f"CHN-005: {why}")


def linked(header: dict[str, Any], head: ChainHead | None) -> None:
    """seq and ph continue the chain, ls never decreases (CHN-007). Raises Conflict (seq, h of the chain)."""
    seq, ph, ls = (head.seq, b64e(head.digest), head.ls) if head else (0, "", 0)
    if header["seq"] != seq + 1 or header["ph"] != ph or header["ls"] < ls:
        raise Conflict("CHN-007: not the next message of this chain", seq=seq, h=ph)


def tail_of(dv: str, head: ChainHead | None) -> list[Any]:
    """The wire form [dv, seq, H] of a chain head, for ``tails`` and ``heads`` (LOG-017)."""
    return [dv, head.seq, b64e(head.digest)] if head else [dv, 0, ""]


def head_of(row: list[Any]) -> ChainHead | None:
    """Inverse of ``tail_of``."""
    return ChainHead(row[1], b64d(row[2])) if row[1] else None
