"""Operations of vectors/primitives.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloister import crypto

Given = dict[str, Any]


def _hex(given: Given, *names: str) -> list[bytes]:
    return [bytes.fromhex(given[name]) for name in names]


def _argon2id(given: Given) -> str:
    cost = {name: given[name] for name in ("memory_kib", "passes", "lanes", "length")}
    return crypto.argon2id(*_hex(given, "secret", "salt"), **cost).hex()


def _pbkdf2(given: Given) -> str:
    secret, salt = _hex(given, "secret", "salt")
    return crypto.pbkdf2_sha256(secret, salt, iterations=given["iterations"], length=given["length"]).hex()


OPS: dict[str, Callable[[Given], Any]] = {
    "hkdf-sha256": lambda given: crypto.hkdf_sha256(*_hex(given, "ikm", "salt", "info"), given["length"]).hex(),
    "hmac-sha256": lambda given: crypto.hmac_sha256(*_hex(given, "key", "data")).hex(),
    "aead-seal": lambda given: crypto.aead_seal(*_hex(given, "key", "nonce", "plaintext", "aad")).hex(),
    "aead-open": lambda given: crypto.aead_open(*_hex(given, "key", "nonce", "sealed", "aad")).hex(),
    "argon2id": _argon2id,
    "pbkdf2-sha256": _pbkdf2,
}
