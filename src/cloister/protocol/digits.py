"""Digits two people can compare: safety numbers of identities, codes of a log head.

Spec: DIG-001 to DIG-003.
"""

from __future__ import annotations

from cloister.errors import FormatError
from cloister.protocol.encoding import kdf, lp
from cloister.protocol.ids import raw


def digits(data: bytes) -> str:
    """Five digits for each five bytes: u40be mod 100000, zero-padded, groups joined by a space (DIG-001)."""
    groups = (int.from_bytes(data[i : i + 5], "big") % 100_000 for i in range(0, len(data), 5))
    return " ".join(f"{group:05d}" for group in groups)


def safety_number(one: str, other: str) -> str:
    """60 digits of two id- names, the same for both sides (DIG-002). Covers identities, not devices.

    Raises FormatError for anything that is no identifier.
    """
    for name in (one, other):
        raw(name)
        if not name.startswith("id-"):
            raise FormatError("a safety number belongs to two identities")
    low, high = sorted((one, other))
    return digits(kdf(lp(low, high), b"", "sas", b"", 60))


def head_code(digest: bytes) -> str:
    """30 digits of a log entry's H(SI), to compare what two people see (DIG-003).

    Raises FormatError unless ``digest`` is 32 bytes.
    """
    if len(digest) != 32:
        raise FormatError("a digest is 32 bytes")
    return digits(kdf(digest, b"", "head", b"", 30))
