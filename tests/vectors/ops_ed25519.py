"""Operations of vectors/ed25519.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloister import crypto


def _hex(given: dict[str, Any], name: str) -> bytes:
    return bytes.fromhex(given[name])


def _sign(given: dict[str, Any]) -> dict[str, str]:
    seed = _hex(given, "seed")
    signature = crypto.ed25519_sign(seed, _hex(given, "message"))
    return {"public": crypto.ed25519_public(seed).hex(), "signature": signature.hex()}


def _verify(given: dict[str, Any]) -> bool:
    crypto.ed25519_verify(_hex(given, "public"), _hex(given, "signature"), _hex(given, "message"))
    return True


def _check(given: dict[str, Any]) -> bool:
    crypto.ed25519_check_public(_hex(given, "public"))
    return True


OPS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "ed25519-sign": _sign,
    "ed25519-verify": _verify,
    "ed25519-check-public": _check,
}
