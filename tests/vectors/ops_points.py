"""Operations of vectors/points.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloister import crypto

Given = dict[str, Any]


def _hex(given: Given, *names: str) -> list[bytes]:
    return [bytes.fromhex(given[name]) for name in names]


def _p384_check(given: Given) -> bool:
    crypto.p384_check_public(*_hex(given, "x", "y"))
    return True


def _p384_public(given: Given) -> dict[str, str]:
    x, y = crypto.p384_public(*_hex(given, "scalar"))
    return {"x": x.hex(), "y": y.hex()}


def _es384_verify(given: Given) -> bool:
    crypto.es384_verify(*_hex(given, "x", "y", "signature", "message"))
    return True


def _hpke_check(given: Given) -> bool:
    crypto.hpke_check_public(given["kem"], *_hex(given, "public"))
    return True


OPS: dict[str, Callable[[Given], Any]] = {
    "p384-check-public": _p384_check,
    "p384-public": _p384_public,
    "es384-sign": lambda given: crypto.es384_sign(*_hex(given, "scalar", "message")).hex(),
    "es384-verify": _es384_verify,
    "hpke-public": lambda given: crypto.hpke_public(given["kem"], *_hex(given, "secret")).hex(),
    "hpke-check-public": _hpke_check,
    "hpke-open": lambda given: crypto.hpke_open(given["kem"], *_hex(given, "secret", "info", "sealed")).hex(),
}
