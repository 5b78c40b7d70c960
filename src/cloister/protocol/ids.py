"""Names that cannot be forged: identities, devices and spheres are named by hashes of what they are.

Spec: ID-001 to ID-005 (RFC 7638).
"""

from __future__ import annotations

from cloister import crypto
from cloister.errors import FormatError
from cloister.protocol.encoding import b64d, b64e, lp

Jwk = dict[str, str]


def jwk_of(x: bytes, y: bytes) -> Jwk:
    """Public P-384 JWK of affine coordinates, 48 bytes each."""
    return {"kty": "EC", "crv": "P-384", "x": b64e(x), "y": b64e(y)}


def jwk_public(scalar: bytes) -> Jwk:
    """Public JWK of a P-384 private scalar (48 bytes)."""
    return jwk_of(*crypto.p384_public(scalar))


def thumbprint(jwk: Jwk) -> bytes:
    """RFC 7638 SHA-256 thumbprint, 32 bytes: the four required members in lexical order (ID-001)."""
    text = f'{{"crv":"{jwk["crv"]}","kty":"{jwk["kty"]}","x":"{jwk["x"]}","y":"{jwk["y"]}"}}'
    return crypto.sha256(text.encode("ascii"))


def identity_id(jwk: Jwk) -> str:
    """``id-`` of an identity key (ID-002). A member's handle is the id of the first one, for ever."""
    return "id-" + b64e(thumbprint(jwk))


def device_id(dk: bytes) -> str:
    """``dv-`` of a device signing key, 32 bytes (ID-003)."""
    return "dv-" + b64e(crypto.sha256(lp("sph/1 dv", dk)))


def sphere_id(genesis_digest: bytes) -> str:
    """``sp-`` of entry 0's H(SI) (ID-004)."""
    return "sp-" + b64e(genesis_digest)


def raw(identifier: str) -> bytes:
    """The 32 bytes behind an id-, dv- or sp- name (ID-005). Raises FormatError."""
    if identifier[:3] not in ("id-", "dv-", "sp-"):
        raise FormatError("identifier prefix")
    value = b64d(identifier[3:])
    if len(value) != 32:
        raise FormatError("identifier length")
    return value
