"""The symmetric primitives behind the crypto door: HKDF, AES-256-GCM, Argon2id, PBKDF2."""

from __future__ import annotations

from cloister import crypto
from vectors.generate import Case, bad, good, rng

ORIGIN = "RFC 5869 appendix A (hkdf-rfc5869-*), RFC 4231 (hmac-*), the rest made by vectors/generate/primitives.py"


def _hkdf() -> list[Case]:
    return [
        good(
            "hkdf-rfc5869-1",
            "CRY-004",
            "hkdf-sha256",
            {"ikm": "0b" * 22, "salt": bytes(range(13)).hex(), "info": "f0f1f2f3f4f5f6f7f8f9", "length": 42},
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        good(
            "hkdf-rfc5869-2",
            "CRY-004",
            "hkdf-sha256",
            {
                "ikm": bytes(range(80)).hex(),
                "salt": bytes(range(0x60, 0xB0)).hex(),
                "info": bytes(range(0xB0, 0x100)).hex(),
                "length": 82,
            },
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f"
            "09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
        good(
            "hkdf-rfc5869-3",
            "CRY-004",
            "hkdf-sha256",
            {"ikm": "0b" * 22, "salt": "", "info": "", "length": 42},
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
        good(
            "hmac-rfc4231-2",
            "CRY-004",
            "hmac-sha256",
            {"key": b"Jefe".hex(), "data": b"what do ya want for nothing?".hex()},
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
    ]


def _aead() -> list[Case]:
    draw = rng("aead")
    key, nonce, text, aad = draw(32), draw(12), b"sixteen bytes...and more", b"header"
    sealed = crypto.aead_seal(key, nonce, text, aad)

    def given(**change: bytes) -> Case:
        parts = {"key": key, "nonce": nonce, "sealed": sealed, "aad": aad} | change
        return {name: value.hex() for name, value in parts.items()}

    seal = {"key": key.hex(), "nonce": nonce.hex(), "plaintext": text.hex(), "aad": aad.hex()}
    empty = {"key": key.hex(), "nonce": nonce.hex(), "plaintext": "", "aad": ""}
    out = [
        good("aead-seal", "CRY-003", "aead-seal", seal, sealed.hex()),
        good("aead-seal-empty", "CRY-003", "aead-seal", empty, crypto.aead_seal(key, nonce, b"", b"").hex()),
        good("aead-open", "CRY-003", "aead-open", given(), text.hex()),
    ]
    wrong = {
        "other-key": given(key=draw(32)),
        "other-nonce": given(nonce=draw(12)),
        "other-aad": given(aad=b"headex"),
        "no-aad": given(aad=b""),
        "flipped-text": given(sealed=bytes([sealed[0] ^ 1]) + sealed[1:]),
        "flipped-tag": given(sealed=sealed[:-1] + bytes([sealed[-1] ^ 128])),
        "cut": given(sealed=sealed[:-1]),
        "tag-only": given(sealed=sealed[-16:]),
        "shorter-than-a-tag": given(sealed=sealed[:15]),
        "empty": given(sealed=b""),
        "longer": given(sealed=sealed + b"\0"),
    }
    return out + [bad(f"aead-{name}", "CRY-003", "aead-open", value, "C_DECRYPT") for name, value in wrong.items()]


def _passwords() -> list[Case]:
    draw = rng("passwords")
    out = []
    for name, memory, passes in [("default", 65536, 3), ("small", 64, 1)]:
        secret, salt = "a long sentence \u00e9".encode(), draw(16)
        given = {"secret": secret.hex(), "salt": salt.hex(), "memory_kib": memory, "passes": passes, "lanes": 1}
        value = crypto.argon2id(secret, salt, memory_kib=memory, passes=passes, lanes=1).hex()
        out.append(good(f"argon2id-{name}", "CRY-004", "argon2id", given | {"length": 32}, value))
    given = {"secret": b"password".hex(), "salt": b"salt".hex(), "iterations": 4096, "length": 32}
    value = "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a"
    out.append(good("pbkdf2-4096", "CRY-004", "pbkdf2-sha256", given, value))
    return out


def cases() -> list[Case]:
    return _hkdf() + _aead() + _passwords()
