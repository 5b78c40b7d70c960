"""Digits for comparison, recomputed here from SHA-256 alone."""

from __future__ import annotations

import hashlib
import hmac

from vectors.generate import Case, bad, good
from vectors.generate._world import Person, rng

ORIGIN = "made by vectors/generate/digits.py with its own HKDF and grouping"


def _lp(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _kdf(ikm: bytes, label: bytes, length: int) -> bytes:
    prk = hmac.new(bytes(32), ikm, hashlib.sha256).digest()
    info, out, block = _lp(b"sph/1", label, b""), b"", b""
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([len(out) // 32 + 1]), hashlib.sha256).digest()
        out += block
    return out[:length]


def _groups(data: bytes) -> str:
    return " ".join(str(int(data[i : i + 5].hex(), 16) % 100000).zfill(5) for i in range(0, len(data), 5))


def cases() -> list[Case]:
    ada, bo = Person("ada").handle, Person("bo").handle
    low, high = sorted((ada, bo))
    number = _groups(_kdf(_lp(low.encode(), high.encode()), b"sas", 60))
    alone = _groups(_kdf(_lp(ada.encode(), ada.encode()), b"sas", 60))
    head = rng("head", 32)
    short = {"one": ada, "other": bo[:-1]}
    return [
        good("digits-zero", "DIG-001", "digits", {"bytes": "00" * 10}, "00000 00000"),
        good("digits-modulus", "DIG-001", "digits", {"bytes": "00000186a0" + "000001869f"}, "00000 99999"),
        good("digits-top", "DIG-001", "digits", {"bytes": "ff" * 5}, "27775"),
        good("safety-number", "DIG-002", "safety-number", {"one": ada, "other": bo}, number),
        good("safety-number-mirrored", "DIG-002", "safety-number", {"one": bo, "other": ada}, number),
        good("safety-number-alone", "DIG-002", "safety-number", {"one": ada, "other": ada}, alone),
        good("head-code", "DIG-003", "head-code", {"digest": head.hex()}, _groups(_kdf(head, b"head", 30))),
        bad("safety-number-short", "DIG-002", "safety-number", short, "C_FORMAT"),
        bad("safety-number-login", "DIG-002", "safety-number", {"one": ada, "other": "bo"}, "C_FORMAT"),
        bad("safety-number-device", "DIG-002", "safety-number", {"one": ada, "other": "dv-" + bo[3:]}, "C_FORMAT"),
        bad("head-code-short", "DIG-003", "head-code", {"digest": "00" * 31}, "C_FORMAT"),
    ]
