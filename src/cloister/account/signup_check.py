"""Signing up, the relay's check of the one request: everything it says must hang together.

Opens nothing. Whether a ticket or join request admits the person is decided elsewhere.

Spec: 04-account.md, SLOT-021.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cloister.account.login import login_name
from cloister.account.srp_group import GROUP
from cloister.errors import BadFormat, CheckFailed, UsageError
from cloister.protocol import certificate, keylog
from cloister.protocol.certificate import Certificate
from cloister.protocol.encoding import b64d
from cloister.protocol.keylog import KeyLog

WRAP_LENGTH: Final = 60
IK_SLOT_LENGTH: Final = 76
STATE_LIMIT: Final = 262_144
VERSIONS: Final = (0, 1)


@dataclass(frozen=True)
class Checked:
    """A sign-up that hangs together: the account is ``klog.id``, its first device ``cert.dv``."""

    login: str
    version: int
    verifier: bytes
    wmk: bytes
    wrk: bytes
    ik_slot: bytes
    klog: KeyLog
    klog_entries: tuple[str, ...]
    cert: Certificate
    state: bytes


def check(body: Mapping[str, Any], now: int) -> Checked:
    """Check a sign-up body (SLOT-021). Raises BadFormat.

    The key log starts with the identity key, has one active device, that of ``cert``, whose certificate is under the
    identity key and in force at ``now``; lengths are exact; the verifier is in range; the login is in its alphabet.
    """
    try:
        entries: Sequence[str] = tuple(body["klog"])
        log = keylog.verify_chain(list(entries))
        cert = certificate.verify(body["cert"], log.ik)
        fixed = {name: b64d(body[name]) for name in ("v", "wMK", "wRK", "ik", "state")}
        login = login_name(body["login"])
    except (CheckFailed, UsageError) as fault:
        raise BadFormat(f"sign-up: {fault.detail}") from None
    v = int.from_bytes(fixed["v"], "big")
    sound = (
        login == body["login"]
        and body["ver"] in VERSIONS
        and len(entries) == 2
        and cert.id == log.id
        and list(log.devices) == [cert.dv]
        and cert.iat - 600 <= now < cert.exp
        and len(fixed["v"]) == GROUP.length
        and 1 < v < GROUP.n - 1
        and len(fixed["wMK"]) == len(fixed["wRK"]) == WRAP_LENGTH
        and len(fixed["ik"]) == IK_SLOT_LENGTH
        and 0 < len(fixed["state"]) <= STATE_LIMIT
    )
    if not sound:
        raise BadFormat("sign-up does not hang together")
    return Checked(
        login,
        body["ver"],
        fixed["v"],
        fixed["wMK"],
        fixed["wRK"],
        fixed["ik"],
        log,
        tuple(entries),
        cert,
        fixed["state"],
    )
