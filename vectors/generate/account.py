"""Cases of area account: password processing, names, and what a relay keeps of a session."""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cloister.account.password import check_new
from cloister.errors import WeakPassword
from vectors.generate import Case, bad, good, rng

ORIGIN: Final = (
    "Password processing written out here on the library's Argon2id, PBKDF2 and HKDF, apart from the implementation; "
    "the first case also ran in JavaScript when the protocol was drafted. Names by hand."
)
DRAFT: Final = {
    "password": "corr\u00e9ct horse battery",
    "login": "alice",
    "realm": "a2a7faa4f7cc1f65954d1307aa05c0e0",
    "salt": "65c7df7043958a926270dca4bf17f29c",
    "ver": 1,
}


def enough(password: str, login: str) -> bool:
    """PPF-003; the estimator itself cannot be written out here."""
    try:
        check_new(password, login)
    except WeakPassword:
        return False
    return True


def lp(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def ppf(given: dict[str, Any]) -> dict[str, str]:
    """PPF-004 to PPF-006, a second time."""
    text = unicodedata.normalize("NFC", given["password"]).encode()
    realm, salt16 = bytes.fromhex(given["realm"]), bytes.fromhex(given["salt"])
    salt = hashlib.sha256(lp(b"ppf-salt", realm, given["login"].encode(), salt16)).digest()[:16]
    if given["ver"]:
        slow = Argon2id(salt=salt, length=32, iterations=3, lanes=1, memory_cost=65536).derive(text)
    else:
        slow = hashlib.pbkdf2_hmac("sha256", text, salt, 600_000)
    ikm = slow + bytes.fromhex(given.get("account_key", ""))
    scope = hashlib.sha256(lp(realm, given["login"].encode())).digest()
    return {
        name: HKDF(hashes.SHA256(), 32, scope, lp(b"sph/1", b"ppf-" + name.encode(), b"")).derive(ikm).hex()
        for name in ("auth", "kek")
    }


PIECES: Final = """
password monkey dragon sunshine charlie ashley qwerty asdfgh zxcvb 1qaz2wsx abcdef 98765 poiuy aaaa 121212 1984 2024
07/1999 31.12.1975 2.3.44 heron orchid lantern thimble quarry walnut kettle baptiste merlot p4ssw0rd m0nk3y $unshine
ada ada1 cloister the and of me you x7 q! zj 4k vw \u00e4\u00f6 stra\u00dfe \u043f\u0430\u0440\u043e\u043b\u044c
\u6f22 \U0001f980 \U0001f40d \u20ac
"""


def passwords(count: int) -> list[str]:
    """Texts about as hard as the rule asks for, from words, runs, dates, leet and a little chance."""
    pieces, draw, found = PIECES.split(), rng("passwords"), []
    for _ in range(count):
        text, easy = "", draw(1)[0] < 160
        while len(text) < 12:
            text += pieces[draw(1)[0] % (20 if easy else len(pieces))]
            text += "" if easy else ("", "-", " ", ".", "_")[draw(1)[0] % 5]
        found.append(text.title() if draw(1)[0] < 40 else text)
    return found


def cases() -> list[Case]:
    found: list[Case] = []
    base = {"password": "seventeen quiet herons", "login": "ada", "realm": "00" * 16, "salt": "11" * 16, "ver": 1}
    decomposed = {**DRAFT, "password": unicodedata.normalize("NFD", DRAFT["password"])}
    inputs: dict[str, tuple[str, Case]] = {
        "draft": ("PPF-001 PPF-004 PPF-006", DRAFT),
        "decomposed": ("PPF-001", decomposed),
        "plain": ("PPF-004 PPF-006", base),
        "login": ("PPF-004", {**base, "login": "ade"}),
        "realm": ("PPF-004", {**base, "realm": "22" * 16}),
        "salt": ("PPF-004", {**base, "salt": "22" * 16}),
        "account-key": ("PPF-006", {**base, "account_key": "33" * 16}),
        "pinned-1": ("PPF-008", {**base, "pinned": 1}),
        "blanks-and-scripts": ("PPF-001", {**base, "password": "  \u6f22\u5b57 \ufb01 \U0001f980 \t end  "}),
        "12": ("PPF-001", {**base, "password": "\u00e9" * 12}),
        "1024": ("PPF-001", {**base, "password": "herons at du" + "sk" * 506}),
        "v0": ("PPF-007", {**base, "ver": 0}),
        "v0-pinned-0": ("PPF-007 PPF-008", {**base, "ver": 0, "pinned": 0, "account_key": "33" * 16}),
    }
    found += [good(f"ppf-{name}", rule, "ppf", given, ppf(given)) for name, (rule, given) in inputs.items()]
    found[0]["origin"] = "executed in Python and in JavaScript when the protocol was drafted"
    for name, rule, change, code in (
        ("11", "PPF-001", {"password": "x" * 11}, "L_PASSWORD"),
        ("11-composed", "PPF-001", {"password": "e\u0301" * 11}, "L_PASSWORD"),
        ("1025", "PPF-001", {"password": "x" * 1025}, "L_PASSWORD"),
        ("surrogate", "PPF-001", {"password": "lone surrogate \ud800"}, "L_PASSWORD"),
        ("v0-after-v1", "PPF-008", {"ver": 0, "pinned": 1}, "C_DOWNGRADE"),
        ("v2", "PPF-008", {"ver": 2}, "C_DOWNGRADE"),
        ("v1-after-v2", "PPF-008", {"pinned": 2}, "C_DOWNGRADE"),
        ("short-salt", "PPF-004", {"salt": "11" * 8}, "C_FORMAT"),
        ("short-realm", "PPF-004", {"realm": ""}, "C_FORMAT"),
        ("empty-account-key", "PPF-006", {"account_key": ""}, "C_FORMAT"),
    ):
        found.append(bad(f"ppf-{name}", rule, "ppf", {**base, **change}, code))
    for name, text in {
        "listed": "123456654321",
        "listed-case": "1Q2w3e4R5t6Y",
        "one-character": "a" * 16,
        "repeated": "ada1" * 4,
        "three-characters": "aabbccabcabccba",
    }.items():
        found.append(
            bad(f"new-password-{name}", "PPF-003", "new-password", {"password": text, "login": "ada"}, "L_PASSWORD")
        )
    for name, text in {
        "one-script": "\u6f22\u5b57\u8a9e\u6587\u5b66\u751f\u9dfa\u591c\u660e\u6d77\u98a8\u6708",
        "words": "seventeen quiet herons",
    }.items():
        found.append(good(f"new-password-{name}", "PPF-002", "new-password", {"password": text, "login": "ada"}, True))
    chosen = passwords(300)
    verdicts = [enough(one, "ada") for one in chosen]
    given = {"passwords": chosen, "login": "ada"}
    found.append(good("new-passwords", "PPF-003", "new-passwords", given, verdicts))
    found[-1]["origin"] = "the estimator of the Python side"
    for text, name in {"ada": "ada", "Ada.L-1_X": "ada.l-1_x", "0": "0", "a" * 63: "a" * 63}.items():
        found.append(good(f"login-{len(found)}", "PPF-005", "login-name", {"text": text}, name))
    for text in ("", "-a", "_a", "a b", "\u00e4da", "a" * 64, "\u212aim", "a\n", "a@b"):
        found.append(bad(f"login-{len(found)}", "PPF-005", "login-name", {"text": text}, "L_USAGE"))
    for url, shown in {
        "https://Relay.Example": "https://relay.example",
        "HTTPS://relay.example:443/v1/": "https://relay.example",
        "http://localhost:8080/": "http://localhost:8080",
        "http://127.0.0.1:80": "http://127.0.0.1",
        "https://relay.example:80": "https://relay.example:80",
        "http://[0:0:0:0:0:0:0:1]:8080": "http://[::1]:8080",
        "https://xn--bcher-kva.example": "https://xn--bcher-kva.example",
    }.items():
        found.append(good(f"origin-{len(found)}", "SRP-006", "origin", {"url": url}, shown))
    for url in (
        "relay.example", "ftp://relay.example", "https://", "https://b\u00fccher.example", "https://a@relay.example",
        "https://relay.example?x", "https://relay.example:0", "https://relay.example:65536",
        "https://relay example", "null",
    ):  # fmt: skip
        found.append(bad(f"origin-{len(found)}", "SRP-006", "origin", {"url": url}, "L_USAGE"))
    token = rng("token")(32)
    text = base64.urlsafe_b64encode(token).rstrip(b"=").decode()
    digest = hashlib.sha256(lp(b"session", token)).hexdigest()
    found.append(good("session-hash", "SRP-015", "session-hash", {"token": text}, digest))
    for wrong in ("", text[:-1], text + "A", "*" * 43):
        found.append(bad(f"session-hash-{len(found)}", "SRP-015", "session-hash", {"token": wrong}, "E_AUTH"))
    return found
