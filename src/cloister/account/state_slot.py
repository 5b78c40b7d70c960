"""The state slot: an account's own memory, signed by the device that wrote it and counted upward.

It holds what a new device cannot ask the relay for: which spheres there are and how far their logs went, who was
confirmed under which name, read positions, settings. Signed inside, sealed outside; a device that has seen
counter n with hash H accepts nothing that contradicts it. A device without such memory marks what it reads
provisional until an own device or a peer agrees.

Spec: 04-account.md, SLOT-013 to SLOT-017.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cloister.account import slot_names
from cloister.account.box import open_box, refused, seal_box
from cloister.account.keys import DeviceKeys
from cloister.account.slots import slot_aad, slot_key
from cloister.errors import FormatError, LogRollback, SignatureInvalid
from cloister.protocol import jws
from cloister.protocol.encoding import b64d, b64e

TYP: Final = "sph-state+1"
LIMIT: Final = 262_144  # bytes of the sealed slot the relay takes
FIRST: Final = 1


@dataclass(frozen=True)
class Pin:
    """What a device remembers of the state: the highest counter seen and H(SI) of its envelope, 32 bytes."""

    ctr: int
    digest: bytes


@dataclass(frozen=True)
class State:
    """An opened and verified state. ``provisional``: read without any memory (SLOT-017)."""

    ctr: int
    digest: bytes
    prev: bytes  # empty at counter 1
    dv: str
    content: dict[str, Any] = field(repr=False)
    provisional: bool

    @property
    def pin(self) -> Pin:
        """What to persist after accepting this state."""
        return Pin(self.ctr, self.digest)


@dataclass(frozen=True)
class Sealed:
    """A state ready to be stored: counter, slot bytes and the pin to persist once the relay took it."""

    ctr: int
    slot: bytes = field(repr=False)
    pin: Pin


def seal(
    mk: bytes, account: str, author: DeviceKeys, prev: Pin | None, content: dict[str, Any], rng: Callable[[int], bytes]
) -> Sealed:
    """Sign ``content`` as the successor of ``prev`` (None: the first) and seal it under MK (SLOT-013, SLOT-014).

    Raises FormatError when the result is over 256 KiB or ``content`` is not strict JSON.
    """
    ctr = FIRST if prev is None else prev.ctr + 1
    payload: dict[str, Any] = {"id": account, "ctr": ctr, "content": content}
    if prev is not None:
        payload["prev"] = b64e(prev.digest)
    compact = jws.sign(TYP, {"kid": author.dv}, payload, jws.device_signer(author.dk_seed))
    decoded = jws.decode(compact, TYP)
    _ = decoded.body
    slot = seal_box(slot_key(mk, account, slot_names.STATE), compact.encode(), _aad(account, ctr), rng)
    if len(slot) > LIMIT:
        raise FormatError("state over 256 KiB")
    return Sealed(ctr, slot, Pin(ctr, decoded.digest))


def open_state(mk: bytes, account: str, ctr: int, slot: bytes, devices: Mapping[str, bytes], pin: Pin | None) -> State:
    """Open, verify and judge a state (SLOT-015 to SLOT-017).

    ``ctr`` is the counter the relay names; ``devices`` maps each dv the verified key log lists as active to its DK
    (32 bytes); ``pin`` is this device's memory or None. Raises VaultError, with one message, for a slot that does
    not open, is malformed, or is not signed by an active device; LogRollback for a counter below the pin, another
    state at the pin's counter, or a direct successor that does not continue the pinned state.
    """
    compact = open_box(slot_key(mk, account, slot_names.STATE), slot, _aad(account, ctr))
    try:
        envelope = jws.decode(compact, TYP)
        dv = envelope.header["kid"]
        if dv not in devices:
            raise refused()
        jws.verify_ed25519(envelope, devices[dv])
        body = envelope.body
        prev = b64d(body.get("prev", ""))
    except (FormatError, SignatureInvalid):
        raise refused() from None
    if body["id"] != account or body["ctr"] != ctr or ctr < FIRST or (ctr == FIRST) != (not prev):
        raise refused()
    state = State(ctr, envelope.digest, prev, dv, body["content"], pin is None)
    if pin is not None:
        agree(state, pin)
    return state


def agree(state: State, pin: Pin) -> None:
    """Raise LogRollback unless ``state`` is ``pin`` or can follow it (SLOT-016).

    Also how two own devices compare: the one with the lower counter calls it with the other's state.
    """
    if state.ctr < pin.ctr:
        raise LogRollback("an older account state than this device has seen")
    if (state.ctr == pin.ctr and state.digest != pin.digest) or (state.ctr == pin.ctr + 1 and state.prev != pin.digest):
        raise LogRollback("another account state than this device has seen")


def _aad(account: str, ctr: int) -> bytes:
    return slot_aad(account, slot_names.STATE, b"", ctr)
