"""The keys of a person off the grid: one that signs, one that opens what is stored, and the forms keys travel in.

An identity here is a P-384 key of its own, beside no account. It has two names, because the two profiles hash the same
key differently: ``id`` (RFC 7638) and ``id1``, WhisperGrid's. Spec: GRID-001 to GRID-003.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from cloister import crypto
from cloister.errors import FormatError
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.ids import Jwk, identity_id, jwk_of, jwk_public
from cloister.protocol.shape import shape

Rng = Callable[[int], bytes]
_SHAPE: Final = shape({"sign": "bytes:48", "store": "bytes:48"})


@dataclass(frozen=True)
class Identity:
    """``sign`` and ``store``: P-384 scalars of 48 bytes. The first signs, the second opens stored keys (grid-v1)."""

    sign: bytes = field(repr=False)
    store: bytes = field(repr=False)

    @cached_property
    def jwk(self) -> Jwk:
        """The public signing key."""
        return jwk_public(self.sign)

    @cached_property
    def id(self) -> str:
        """Its name in grid-v2 (GRID-002)."""
        return identity_id(self.jwk)

    @cached_property
    def id1(self) -> str:
        """Its name in grid-v1 (GRID-002)."""
        return thumbprint1(self.jwk)

    def signer(self, message: bytes) -> bytes:
        """ES384 over ``message``, 96 bytes (CRY-008)."""
        return crypto.es384_sign(self.sign, message)

    def dump(self) -> dict[str, Any]:
        """Plain JSON values for an encrypted store."""
        return {"sign": b64e(self.sign), "store": b64e(self.store)}

    @classmethod
    def load(cls, row: Mapping[str, Any]) -> Identity:
        """Inverse of ``dump``. Raises FormatError, for scalars out of range too (CRY-007)."""
        _SHAPE(row)
        found = cls(b64d(row["sign"]), b64d(row["store"]))
        for scalar in (found.sign, found.store):
            crypto.p384_public(scalar)
        return found


def new_identity(rng: Rng) -> Identity:
    """A fresh identity: two scalars (GRID-001)."""
    return Identity(new_scalar(rng), new_scalar(rng))


def new_scalar(rng: Rng) -> bytes:
    """A fresh P-384 scalar, 48 bytes: 56 random bytes mod (n - 1), plus 1 (GRID-001, FIPS 186-5 A.2.1)."""
    value = int.from_bytes(rng(crypto.P384_BYTES + 8), "big") % (crypto.P384_ORDER - 1) + 1
    return value.to_bytes(crypto.P384_BYTES, "big")


def thumbprint1(jwk: Mapping[str, Any]) -> str:
    """WhisperGrid's name of a key: RFC 7638 but for the first member's name, which it spells ``crf`` (GRID-002)."""
    text = f'{{"crf":"{jwk["crv"]}","kty":"{jwk["kty"]}","x":"{jwk["x"]}","y":"{jwk["y"]}"}}'
    return "id-" + b64e(crypto.sha256(text.encode("ascii")))


def point(jwk: Mapping[str, str]) -> bytes:
    """The key as ``0x04 || x || y``, 97 bytes (GRID-003)."""
    return b"\x04" + b64d(jwk["x"]) + b64d(jwk["y"])


def jwk_of_point(data: bytes) -> Jwk:
    """Inverse of ``point``. Raises FormatError for what is no uncompressed point of P-384 (GRID-003, CRY-010)."""
    crypto.hpke_check_public("p384", data)
    return jwk_of(data[1:49], data[49:])


def public_point(scalar: bytes) -> bytes:
    """``0x04 || x || y`` of a private scalar."""
    x, y = crypto.p384_public(scalar)
    return b"\x04" + x + y


def agree(scalar: bytes, public: bytes) -> bytes:
    """ECDH: the shared x coordinate, 48 bytes. ``public`` is a point of 97 bytes (GRID-003). Raises FormatError."""
    if len(public) != crypto.P384_PUBLIC_LENGTH or public[0] != 4:
        raise FormatError("not an uncompressed point")
    return crypto.p384_ecdh(scalar, public[1:49], public[49:])
