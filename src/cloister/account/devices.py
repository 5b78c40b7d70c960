"""Enrolling and revoking devices: the two things IK signs for a device.

Knows the IK scalar for the length of a call; the caller got it by ``slots.open_ik`` after the password and drops it
when the request is sent. Revoking is the first step of a flow that the client carries through: key log, new master
key (``credentials.rotate_master``), revocation in every sphere, new epochs.

Spec: 04-account.md, SLOT-018, SLOT-026.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cloister.account.keys import DeviceKeys
from cloister.protocol import certificate, jws, keylog
from cloister.protocol.keylog import KeyLog

CERT_LIFETIME: Final = 366 * 86400  # seconds; a certificate is judged when its entry is admitted, not later


@dataclass(frozen=True)
class Change:
    """A certificate (empty when revoking), the key-log entry to post, and the log after it."""

    cert: str
    entry: str
    log: KeyLog


def certify(ik: bytes, account: str, device: DeviceKeys, now: int) -> str:
    """``sph-dev+1`` of a device, in force for a year from ``now``."""
    own = jws.device_signer(device.dk_seed)  # the device agrees to be this account's (CERT-010)
    return certificate.issue(ik, account, own, device.dk, device.kem, device.de, now, now + CERT_LIFETIME)


def enrol(ik: bytes, log: KeyLog, device: DeviceKeys, now: int) -> Change:
    """Body of POST /devices: {cert, klog: entry} (SLOT-026). ``log`` is the verified key log. Raises LogInvalid."""
    cert = certify(ik, log.id, device, max(now, log.iat))
    entry = keylog.add_device(ik, log, cert, max(now, log.iat))
    return Change(cert, entry, keylog.apply(log, entry))


def revoke(ik: bytes, log: KeyLog, dv: str, now: int) -> Change:
    """Body of POST /devices/{dv}/revoke: {klog: entry} (SLOT-026). Raises LogInvalid for a device not active."""
    entry = keylog.revoke_device(ik, log, dv, max(now, log.iat))
    return Change("", entry, keylog.apply(log, entry))
