"""Cases of area srp: the published arithmetic, the account's group, the two proofs, refusals."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any, Final

from vectors.generate import Case, bad, good, rng

# RFC 5054 appendix B: 1024 bit, g = 2, SHA-1.
RFC5054: Final = {
    "I": "alice",
    "P": "password123",
    "s": "BEB25379D1A8581EB5A727673A2441EE",
    "n": (
        "EEAF0AB9ADB38DD69C33F80AFA8FC5E86072618775FF3C0B9EA2314C9C256576D674DF7496EA81D3383B4813D692C6E0"
        "E0D5D8E250B98BE48E495C1D6089DAD15DC7D7B46154D6B6CE8EF4AD69B15D4982559B297BCF1885C529F566660E57EC"
        "68EDBC3C05726CC02FD4CBF4976EAA9AFD5138FE8376435B9FC61D2FC0EB06E3"
    ),
    "k": "7556AA045AEF2CDD07ABAF0F665C3E818913186F",
    "x": "94B7555AABE9127CC58CCF4993DB6CF84D16C124",
    "v": (
        "7E273DE8696FFC4F4E337D05B4B375BEB0DDE1569E8FA00A9886D8129BADA1F1822223CA1A605B530E379BA4729FDC59"
        "F105B4787E5186F5C671085A1447B52A48CF1970B4FB6F8400BBF4CEBFBB168152E08AB5EA53D15C1AFF87B2B9DA6E04"
        "E058AD51CC72BFC9033B564E26480D78E955A5E29E7AB245DB2BE315E2099AFB"
    ),
    "a": "60975527035CF2AD1989806F0407210BC81EDC04E2762A56AFD529DDDA2D4393",
    "b": "E487CB59D31AC550471E81F00F6928E01DDA08E974A004F49E61F5D105284D20",
    "A": (
        "61D5E490F6F1B79547B0704C436F523DD0E560F0C64115BB72557EC44352E8903211C04692272D8B2D1A5358A2CF1B6E"
        "0BFCF99F921530EC8E39356179EAE45E42BA92AEACED825171E1E8B9AF6D9C03E1327F44BE087EF06530E69F66615261"
        "EEF54073CA11CF5858F0EDFDFE15EFEAB349EF5D76988A3672FAC47B0769447B"
    ),
    "B": (
        "BD0C61512C692C0CB6D041FA01BB152D4916A1E77AF46AE105393011BAF38964DC46A0670DD125B95A981652236F99D9"
        "B681CBF87837EC996C6DA04453728610D0C6DDB58B318885D7D82C7F8DEB75CE7BD4FBAA37089E6F9C6059F388838E7A"
        "00030B331EB76840910440B1B27AAEAEEB4012B7D7665238A8E3FB004B117B58"
    ),
    "u": "CE38B9593487DA98554ED47D70A7AE5F462EF019",
    "S": (
        "B0DC82BABCF30674AE450C0287745E7990A3381F63B387AAF271A10D233861E359B48220F7C4693C9AE12B0A6F67809F"
        "0876E2D013800D6C41BB59B6D5979B5C00A172B4A2A5903A0BDCAF8A709585EB2AFAFA8F3499B200210DCC1F10EB3394"
        "3CD67FC88A2F39A4BE5BEC4EC0A3212DC346D7E474B29EDE8A469FFECA686E5A"
    ),
}


def _pi(bits: int) -> int:
    """floor(2^bits pi), by Machin's formula with 64 guard bits: N is derived here, not copied."""
    one = 1 << (bits + 64)

    def arctan_inverse(x: int) -> int:
        total = term = one // x
        n, sign = 3, -1
        while term:
            term //= x * x
            total += sign * (term // n)
            n, sign = n + 2, -sign
        return total

    return (4 * (4 * arctan_inverse(5) - arctan_inverse(239))) >> 64


ORIGIN: Final = (
    "RFC 5054 appendix B through the account's own functions; the account's group with values computed here by "
    "Python's built-in pow, following the formulas of SRP-001 to SRP-005."
)
N: Final = 2**4096 - 2**4032 - 1 + 2**64 * (_pi(3966) + 240904)
G: Final = 5
REALM: Final = bytes(range(16))
SALT: Final = bytes(range(16, 32))
WEB: Final = "https://relay.example"


def h(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def num(data: bytes) -> int:
    return int.from_bytes(data, "big")


def pad(value: int) -> bytes:
    return value.to_bytes(512, "big")


def lp(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def sign_in(seed: str, login: str = "ada", version: int = 1, origin: str = WEB) -> dict[str, Any]:
    """All values of one honest sign-in, by the formulas and nothing of the implementation."""
    draw = rng(seed)
    auth, a, b = draw(32), num(draw(32)) | 1 << 255, num(draw(32)) | 1 << 255
    secret = base64.urlsafe_b64encode(auth).rstrip(b"=")
    x = num(h(SALT, h(login.encode() + b":" + secret)))
    v, a_public = pow(G, x, N), pow(G, a, N)
    k = num(h(pad(N), pad(G)))
    b_public = (k * v + pow(G, b, N)) % N
    u = num(h(pad(a_public), pad(b_public)))
    s = pow(a_public * pow(v, u, N), b, N)
    assert s == pow(b_public - k * v, a + u * x, N)
    key = h(pad(s))
    bound = lp(
        b"sph/1 srp m1",
        origin.encode(),
        REALM,
        login.encode(),
        SALT,
        version.to_bytes(8, "big"),
        pad(a_public),
        pad(b_public),
    )
    m1 = hmac.digest(key, bound, "sha256")
    m2 = hmac.digest(key, lp(b"sph/1 srp m2", m1), "sha256")
    return {
        "login": login, "salt": SALT.hex(), "realm": REALM.hex(), "origin": origin, "ver": version,
        "auth": auth.hex(), "a": pad(a).hex()[-64:], "b": pad(b).hex()[-64:], "v": pad(v).hex(),
        "A": pad(a_public).hex(), "B": pad(b_public).hex(), "M1": m1.hex(), "M2": m2.hex(),
    }  # fmt: skip


def cases() -> list[Case]:
    found: list[Case] = []
    rfc = {name: text.lower() if name not in "IP" else text for name, text in RFC5054.items()}
    found.append(
        good(
            "srp-rfc5054-appendix-b",
            "SRP-001 SRP-004",
            "srp-arithmetic",
            {"hash": "sha1", "g": 2, **{name: rfc[name] for name in ("n", "I", "P", "s", "a", "b")}},
            {name: rfc[name] for name in ("k", "x", "v", "A", "B", "u", "S")},
        )
    )
    client_in = ("login", "salt", "realm", "origin", "ver", "auth", "a", "B")
    server_in = ("login", "salt", "realm", "ver", "v", "b", "A", "M1")
    for seed, options in {
        "one": {},
        "two": {"login": "b.o-b_2"},
        "legacy": {"version": 0},
        "port": {"origin": "http://localhost:8080"},
    }.items():
        s = sign_in(seed, **options)
        found.append(
            good(
                f"srp-verifier-{seed}", "SRP-001", "srp-verifier", {n: s[n] for n in ("login", "salt", "auth")}, s["v"]
            )
        )
        found.append(
            good(
                f"srp-client-{seed}",
                "SRP-002 SRP-004 SRP-005",
                "srp-client",
                {n: s[n] for n in client_in},
                {n: s[n] for n in ("A", "M1", "M2")},
            )
        )
        found.append(
            good(
                f"srp-server-{seed}",
                "SRP-004 SRP-005 SRP-010",
                "srp-server",
                {
                    **{n: s[n] for n in server_in},
                    "origins": ["https://other.example", s["origin"]],
                    "age": 59,
                    "known": True,
                },
                {n: s[n] for n in ("B", "M2")},
            )
        )
    s = sign_in("one")
    server = {**{n: s[n] for n in server_in}, "origins": [WEB], "age": 0, "known": True}
    client = {n: s[n] for n in client_in}
    elements = {
        "0": bytes(512), "n": pad(N), "2n": (2 * N).to_bytes(513, "big"), "above-n": pad(N + 2),
        "511-bytes": b"\5" * 511, "1024-bit": b"\5" * 128, "empty": b"",
    }  # fmt: skip
    for name, data in elements.items():
        found.append(bad(f"srp-client-b-{name}", "SRP-003", "srp-client", {**client, "B": data.hex()}, "C_DOWNGRADE"))
        found.append(bad(f"srp-server-a-{name}", "SRP-003", "srp-server", {**server, "A": data.hex()}, "E_AUTH"))
    for name, change in {
        "origin": {"origins": ["https://relay.example.evil"]},
        "no-origin": {"origins": []},
        "realm": {"realm": bytes(16).hex()},
        "login": {"login": "ade"},
        "salt": {"salt": bytes(16).hex()},
        "version": {"ver": 0},
        "m1": {"M1": bytes(32).hex()},
        "m1-short": {"M1": s["M1"][:-2]},
        "verifier": {"v": sign_in("two")["v"]},
        "late": {"age": 60},
        "unknown": {"known": False},
    }.items():
        found.append(
            bad(
                f"srp-server-wrong-{name}",
                "SRP-005 SRP-009 SRP-010 SRP-011",
                "srp-server",
                {**server, **change},
                "E_AUTH",
            )
        )
    salt, b64 = "EBESExQVFhcYGRobHB0eHw", base64.urlsafe_b64encode(bytes.fromhex(s["B"])).rstrip(b"=").decode()
    reply = {"sid": "AAAAAAAAAAAAAAAAAAAAAA", "salt": salt, "B": b64}
    found.append(good("srp-challenge", "SRP-007", "srp-challenge", {"reply": reply}, {"salt": s["salt"], "B": s["B"]}))
    found.append(
        good("srp-challenge-salt", "SRP-007", "srp-challenge", {"reply": {"salt": salt}}, {"salt": s["salt"], "B": ""})
    )
    found.append(
        good(
            "srp-challenge-pinned",
            "SRP-007",
            "srp-challenge",
            {"reply": reply, "pinned": s["salt"]},
            {"salt": s["salt"], "B": s["B"]},
        )
    )
    for name, extra in {
        "ver": {"ver": 0},
        "kdf": {"kdf": "pbkdf2"},
        "t": {"t": 1},
        "m": {"m": 8},
        "group": {"N": "Bw", "g": "Ag"},
    }.items():
        found.append(
            bad(f"srp-challenge-names-{name}", "SRP-007", "srp-challenge", {"reply": {**reply, **extra}}, "C_DOWNGRADE")
        )
    for name, change, code in (
        ("other-salt", {"pinned": bytes(16).hex()}, "C_DOWNGRADE"),
        ("short-salt", {"reply": {**reply, "salt": "EBESExQVFhc"}}, "C_DOWNGRADE"),
        ("b-0", {"reply": {**reply, "B": "A" * 683}}, "C_DOWNGRADE"),
        ("b-alphabet", {"reply": {**reply, "B": "+" * 683}}, "C_FORMAT"),
        ("b-without-sid", {"reply": {"salt": salt, "B": b64}}, "C_FORMAT"),
        ("salt-number", {"reply": {**reply, "salt": 1}}, "C_FORMAT"),
        ("empty", {"reply": {}}, "C_FORMAT"),
    ):
        found.append(bad(f"srp-challenge-{name}", "SRP-003 SRP-007", "srp-challenge", {"reply": reply, **change}, code))
    proof = {"M1": s["M1"], "expected": s["M2"]}
    found.append(good("srp-reply", "SRP-008", "srp-reply", {**proof, "M2": s["M2"]}, True))
    for name, wrong in {"m1": s["M1"], "zero": bytes(32).hex(), "empty": "", "other": sign_in("two")["M2"]}.items():
        found.append(bad(f"srp-reply-{name}", "SRP-008", "srp-reply", {**proof, "M2": wrong}, "C_SIG"))
    return found
