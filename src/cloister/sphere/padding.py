"""Hiding lengths: every plaintext is padded to one of few sizes before it is encrypted.

Knows bytes only. Up to 4 KiB the sizes are powers of two, above that they follow Padme, which wastes at most 12 %.
Spec: MSG-007.
"""

from __future__ import annotations

from typing import Final

from cloister.errors import FormatError

SMALL: Final = (256, 512, 1024, 2048, 4096)
_MARK: Final = b"\x80"


def padded_length(length: int) -> int:
    """The size on the wire of a plaintext of ``length`` bytes, the mark byte included (MSG-007)."""
    need = length + 1
    for size in SMALL:
        if need <= size:
            return size
    exponent = need.bit_length() - 1
    low = exponent - exponent.bit_length()
    mask = (1 << low) - 1
    return (need + mask) & ~mask


def pad(data: bytes) -> bytes:
    """``data``, one byte 0x80, then zero bytes up to ``padded_length`` (MSG-007)."""
    return (data + _MARK).ljust(padded_length(len(data)), b"\0")


def unpad(padded: bytes) -> bytes:
    """Inverse of pad; refuses every size and filling that pad does not make. Raises FormatError (MSG-007)."""
    data = padded.rstrip(b"\0")
    if not data.endswith(_MARK) or padded_length(len(data) - 1) != len(padded):
        raise FormatError("padding")
    return data[:-1]
