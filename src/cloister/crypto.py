"""The only door to the cryptography libraries.

Every other module calls these functions and no library of its own: one place to review, to count and to fuzz.
Keys and signatures are plain bytes in the encodings of the spec; JWK only for P-384 public keys. A failed check
raises; nothing here returns a verdict. Randomness enters as arguments wherever the library allows (the exceptions,
HPKE encapsulation and key generation, draw from the operating system and say so).

Spec: CRY-001 to CRY-012.
"""

from __future__ import annotations

import hashlib
import hmac as _hmac
import os
from functools import lru_cache
from typing import Final

import nacl.bindings
import nacl.exceptions
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mlkem, padding, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey, Suite
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from cloister.errors import DecryptFailed, FormatError, SignatureInvalid

KEY_LENGTH: Final = 32
NONCE_LENGTH: Final = 12
P384_BYTES: Final = 48
P384_ORDER: Final = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16
)
XWING_PUBLIC_LENGTH: Final = 1216
XWING_ENC_LENGTH: Final = 1120
P384_PUBLIC_LENGTH: Final = 97
RSA_LENGTH: Final = 512

_XWING = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_P384 = Suite(KEM.P384, KDF.HKDF_SHA384, AEAD.AES_256_GCM)


def random_bytes(length: int) -> bytes:
    """``length`` bytes from the operating system's generator (CRY-001)."""
    return os.urandom(length)


def forget_private_keys() -> None:
    """Drop the device keys kept ready for use; called on lock and sign-out (CRY-012).

    Identity scalars are never kept here at all. The bytes themselves are the runtime's to overwrite.
    """
    _ed25519_private.cache_clear()
    _xwing_private.cache_clear()


def sha256(data: bytes) -> bytes:
    """SHA-256, 32 bytes."""
    return hashlib.sha256(data).digest()


def sha384(data: bytes) -> bytes:
    """SHA-384, 48 bytes: the digest that a page's integrity attributes use (WEB-001)."""
    return hashlib.sha384(data).digest()


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA-256 (RFC 2104), 32 bytes."""
    # Written out for keys of at most a block, two thirds of the library's time, which goes into looking up the hash.
    length = len(key)
    if length > 64:
        return _hmac.digest(key, data, "sha256")
    inner = _sha256(key.translate(_INNER) + _INNER_PAD[length] + data).digest()
    return _sha256(key.translate(_OUTER) + _OUTER_PAD[length] + inner).digest()


_sha256 = hashlib.sha256
_INNER: Final = bytes(x ^ 0x36 for x in range(256))
_OUTER: Final = bytes(x ^ 0x5C for x in range(256))
_INNER_PAD: Final = tuple(b"\x36" * (64 - length) for length in range(65))
_OUTER_PAD: Final = tuple(b"\x5c" * (64 - length) for length in range(65))


def hkdf_sha256(ikm: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA-256 (RFC 5869), extract and expand; an empty salt means 32 zero bytes (CRY-004)."""
    # For one or two blocks the direct form costs a fifth of the library object and is checked against RFC 5869.
    if length > 64:
        return HKDF(hashes.SHA256(), length, salt or None, info).derive(ikm)
    prk = hmac_sha256(salt or bytes(32), ikm)
    inner, outer = prk.translate(_INNER) + _INNER_PAD[32], prk.translate(_OUTER) + _OUTER_PAD[32]
    first = _sha256(outer + _sha256(inner + info + b"\x01").digest()).digest()
    if length <= 32:
        return first[:length]
    return (first + _sha256(outer + _sha256(inner + first + info + b"\x02").digest()).digest())[:length]


def require_equal(left: bytes, right: bytes, error: Exception | type[Exception]) -> None:
    """Compare in constant time; raise ``error`` (an exception, or a class to make one of) when different (CRY-002)."""
    if not _hmac.compare_digest(left, right):
        raise error


def aead_seal(key: bytes, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """AES-256-GCM: ciphertext followed by the 16-byte tag. ``key`` 32 bytes, ``nonce`` 12 bytes (CRY-003)."""
    return AESGCM(key).encrypt(nonce, plaintext, aad)


def aead_open(key: bytes, nonce: bytes, ciphertext: bytes, aad: bytes) -> bytes:
    """Inverse of aead_seal. Raises DecryptFailed for every kind of failure (CRY-003)."""
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, aad)
    except (InvalidTag, ValueError):
        raise DecryptFailed("aead") from None


def argon2id(secret: bytes, salt: bytes, *, memory_kib: int, passes: int, lanes: int, length: int = 32) -> bytes:
    """Argon2id (RFC 9106). ``memory_kib`` in KiB (CRY-004)."""
    return Argon2id(salt=salt, length=length, iterations=passes, lanes=lanes, memory_cost=memory_kib).derive(secret)


def pbkdf2_sha256(secret: bytes, salt: bytes, *, iterations: int, length: int = 32) -> bytes:
    """PBKDF2-HMAC-SHA-256 (RFC 8018; CRY-004)."""
    return PBKDF2HMAC(hashes.SHA256(), length, salt, iterations).derive(secret)


# --- Ed25519 (device keys, invite keys) -------------------------------------------------------------------------


def ed25519_public(seed: bytes) -> bytes:
    """Public key (32 bytes) of a 32-byte seed (RFC 8032)."""
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def ed25519_sign(seed: bytes, message: bytes) -> bytes:
    """Signature, 64 bytes (RFC 8032, deterministic)."""
    return bytes(nacl.bindings.crypto_sign(message, _ed25519_private(seed))[:64])


@lru_cache(maxsize=64)
def _ed25519_private(seed: bytes) -> bytes:
    # libsodium's form of the key: seed and public key.
    return seed + ed25519_public(seed)


def ed25519_check_public(public: bytes) -> None:
    """Accept only a canonical point of the prime-order subgroup, not the identity (CRY-005).

    Raises FormatError. Called once per certificate or invitation, never per signature.
    """
    if len(public) != 32 or not nacl.bindings.crypto_core_ed25519_is_valid_point(public):
        raise FormatError("Ed25519 public key is not a canonical point of the prime-order subgroup")


@lru_cache(maxsize=4096)
def _ed25519_public_key(public: bytes) -> ed25519.Ed25519PublicKey:
    ed25519_check_public(public)
    return ed25519.Ed25519PublicKey.from_public_bytes(public)


def ed25519_verify(public: bytes, signature: bytes, message: bytes) -> None:
    """Verify without cofactor, R compared bytewise, S < L (CRY-006). Raises SignatureInvalid or FormatError."""
    key = _ed25519_public_key(public)
    # libsodium is half again as fast and accepts a part of what OpenSSL accepts (both without cofactor, R bytewise;
    # it also refuses an R of small order), so its yes is final and its no is put to OpenSSL.
    if len(signature) == 64:
        try:
            nacl.bindings.crypto_sign_open(signature + message, public)
            return
        except nacl.exceptions.BadSignatureError:
            pass
    try:
        key.verify(signature, message)
    except InvalidSignature:
        raise SignatureInvalid("Ed25519") from None


# --- P-384 (identity keys) --------------------------------------------------------------------------------------


def p384_generate() -> bytes:
    """A fresh private scalar, 48 bytes, from the operating system's generator."""
    return ec.generate_private_key(ec.SECP384R1()).private_numbers().private_value.to_bytes(P384_BYTES, "big")


def _p384_private(scalar: bytes) -> ec.EllipticCurvePrivateKey:
    value = int.from_bytes(scalar, "big")
    if len(scalar) != P384_BYTES or not 0 < value < P384_ORDER:
        raise FormatError("P-384 private scalar out of range")
    return ec.derive_private_key(value, ec.SECP384R1())


@lru_cache(maxsize=1024)
def _p384_public(x: bytes, y: bytes) -> ec.EllipticCurvePublicKey:
    if len(x) != P384_BYTES or len(y) != P384_BYTES:
        raise FormatError("P-384 coordinate is not 48 bytes")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), b"\x04" + x + y)
    except ValueError:
        raise FormatError("not a point of P-384") from None


def p384_public(scalar: bytes) -> tuple[bytes, bytes]:
    """Affine coordinates (x, y), 48 bytes each, of a private scalar."""
    numbers = _p384_private(scalar).public_key().public_numbers()
    return numbers.x.to_bytes(P384_BYTES, "big"), numbers.y.to_bytes(P384_BYTES, "big")


def p384_check_public(x: bytes, y: bytes) -> None:
    """Raise FormatError unless (x, y) is a point of P-384 (CRY-007)."""
    _p384_public(x, y)


def p384_ecdh(scalar: bytes, x: bytes, y: bytes) -> bytes:
    """The shared x coordinate, 48 bytes (SP 800-56A, 5.7.1.2). Raises FormatError for a
    scalar out of range and for what is no point of P-384 (CRY-007)."""
    return _p384_private(scalar).exchange(ec.ECDH(), _p384_public(x, y))


def es384_sign(scalar: bytes, message: bytes) -> bytes:
    """ECDSA P-384 SHA-384 signature as r || s, 96 bytes, with RFC 6979 nonces."""
    der = _p384_private(scalar).sign(message, ec.ECDSA(hashes.SHA384(), deterministic_signing=True))
    r, s = decode_dss_signature(der)
    return r.to_bytes(P384_BYTES, "big") + s.to_bytes(P384_BYTES, "big")


def es384_verify(x: bytes, y: bytes, signature: bytes, message: bytes) -> None:
    """Verify r || s, each in 1 .. n-1 (CRY-008). Raises SignatureInvalid or FormatError."""
    key = _p384_public(x, y)
    r, s = int.from_bytes(signature[:P384_BYTES], "big"), int.from_bytes(signature[P384_BYTES:], "big")
    if len(signature) != 2 * P384_BYTES or not (0 < r < P384_ORDER and 0 < s < P384_ORDER):
        raise SignatureInvalid("ES384 form")
    try:
        key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature:
        raise SignatureInvalid("ES384") from None


# --- HPKE (RFC 9180 base mode), receiving keys -------------------------------------------------------------------


@lru_cache(maxsize=8)
def _xwing_private(seed: bytes) -> MLKEM768X25519PrivateKey:
    if len(seed) != 32:
        raise FormatError("X-Wing seed is not 32 bytes")
    expanded = hashlib.shake_256(seed).digest(96)
    return MLKEM768X25519PrivateKey(
        mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64]),
        x25519.X25519PrivateKey.from_private_bytes(expanded[64:]),
    )


def xwing_public(seed: bytes) -> bytes:
    """X-Wing public key, ML-KEM-768 (1184 bytes) then X25519 (32 bytes), of a 32-byte seed (CRY-009)."""
    if len(seed) != 32:
        raise FormatError("X-Wing seed is not 32 bytes")
    expanded = hashlib.shake_256(seed).digest(96)
    kem = mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64]).public_key().public_bytes_raw()
    return kem + x25519.X25519PrivateKey.from_private_bytes(expanded[64:]).public_key().public_bytes_raw()


@lru_cache(maxsize=4096)
def _xwing_public_key(public: bytes) -> MLKEM768X25519PublicKey:
    if len(public) != XWING_PUBLIC_LENGTH:
        raise FormatError("X-Wing public key is not 1216 bytes")
    try:
        kem = mlkem.MLKEM768PublicKey.from_public_bytes(public[:1184])
        curve = x25519.X25519PublicKey.from_public_bytes(public[1184:])
        _PROBE.exchange(curve)
    except ValueError:
        raise FormatError("X-Wing public key is malformed or of small order") from None
    return MLKEM768X25519PublicKey(kem, curve)


_PROBE: Final = x25519.X25519PrivateKey.from_private_bytes(bytes(range(32)))


@lru_cache(maxsize=1024)
def _p384_hpke_public(public: bytes) -> ec.EllipticCurvePublicKey:
    if len(public) != P384_PUBLIC_LENGTH or public[0] != 4:
        raise FormatError("P-384 receiving key is not an uncompressed point")
    return _p384_public(public[1:49], public[49:])


def hpke_public(kem: str, secret: bytes) -> bytes:
    """Public receiving key for ``kem`` ("xwing": 32-byte seed; "p384": 48-byte scalar)."""
    if kem == "xwing":
        return xwing_public(secret)
    if kem == "p384":
        x, y = p384_public(secret)
        return b"\x04" + x + y
    raise FormatError("unknown kem")


def hpke_check_public(kem: str, public: bytes) -> None:
    """Refuse a receiving key that could not be sealed to (CRY-010). Raises FormatError."""
    if kem == "xwing":
        _xwing_public_key(public)
    elif kem == "p384":
        _p384_hpke_public(public)
    else:
        raise FormatError("unknown kem")


def hpke_seal(kem: str, public: bytes, info: bytes, plaintext: bytes) -> bytes:
    """HPKE base mode, single shot: enc || ct. Encapsulation randomness is the operating system's (CRY-011)."""
    if kem == "xwing":
        return _XWING.encrypt(plaintext, _xwing_public_key(public), info)
    if kem == "p384":
        return _P384.encrypt(plaintext, _p384_hpke_public(public), info)
    raise FormatError("unknown kem")


def hpke_open(kem: str, secret: bytes, info: bytes, sealed: bytes) -> bytes:
    """Inverse of hpke_seal. Raises DecryptFailed for every kind of failure (CRY-011)."""
    try:
        if kem == "xwing":
            return _XWING.decrypt(sealed, _xwing_private(secret), info)
        if kem == "p384":
            return _P384.decrypt(sealed, _p384_private(secret), info)
    except (InvalidTag, ValueError):
        raise DecryptFailed("hpke") from None
    raise FormatError("unknown kem")


# --- RSA-OAEP, only for devices that have nothing else -----------------------------------------------------------


def rsa_generate() -> bytes:
    """A fresh RSA-4096 key with e = 65537, as PKCS #8 in DER, drawn by the operating system (SHR-007, LIVE-002).

    Takes about a second, without holding the interpreter's lock.
    """
    key = rsa.generate_private_key(65537, RSA_LENGTH * 8)
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def rsa_public(private: bytes) -> bytes:
    """The modulus (512 bytes) of a private key in PKCS #8 (SHR-007). Raises FormatError for any other key."""
    try:
        key = load_der_private_key(private, None)
    except (ValueError, TypeError):
        raise FormatError("RSA private key") from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.public_key().public_numbers().e != 65537:
        raise FormatError("RSA private key")
    modulus = key.public_key().public_numbers().n.to_bytes((key.key_size + 7) // 8, "big")
    rsa_check_public(modulus)
    return modulus


# Odd primes up to 167: modulo each, a modulus of the broken generator of CVE-2017-15361 is a power of 65537.
_SMALL: Final = [p for p in range(3, 168) if all(p % q for q in range(2, p))]
_POWERS: Final = [(p, frozenset(pow(65537, k, p) for k in range(p))) for p in _SMALL]


def rsa_check_public(modulus: bytes) -> None:
    """Refuse a modulus that is not of 4096 bits, is even, or comes from the generator whose keys can be factored, as
    its remainders show (CERT-006, SHR-007, LIVE-002). Raises FormatError."""
    if len(modulus) != RSA_LENGTH or modulus[0] < 0x80 or modulus[-1] % 2 == 0:
        raise FormatError("RSA modulus")
    n = int.from_bytes(modulus, "big")
    if all(n % p in powers for p, powers in _POWERS):
        raise FormatError("RSA modulus of a broken generator")


@lru_cache(maxsize=256)
def _rsa_public(modulus: bytes) -> rsa.RSAPublicKey:
    return rsa.RSAPublicNumbers(65537, int.from_bytes(modulus, "big")).public_key()


def _oaep() -> padding.OAEP:
    return padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


def rsa_seal(modulus: bytes, data: bytes) -> bytes:
    """RSA-OAEP with SHA-256, e = 65537, no label: 512 bytes for a 4096-bit modulus (SHR-007). Raises FormatError."""
    try:
        return _rsa_public(modulus).encrypt(data, _oaep())
    except ValueError:
        raise FormatError("RSA modulus") from None


def rsa_open(private: bytes, sealed: bytes) -> bytes:
    """Inverse of rsa_seal; ``private`` is PKCS #8 in DER. Raises DecryptFailed for every kind of failure (SHR-007)."""
    try:
        key = load_der_private_key(private, None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise DecryptFailed("rsa")
        return key.decrypt(sealed, _oaep())
    except (ValueError, TypeError):
        raise DecryptFailed("rsa") from None
