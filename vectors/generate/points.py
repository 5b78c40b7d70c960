"""Public keys on P-384 and X-Wing: what is refused at import; ES384 signatures; HPKE opening."""

from __future__ import annotations

from cloister import crypto
from vectors.generate import Case, Recorded, bad, good, rng

ORIGIN = "made by vectors/generate/points.py with its own curve arithmetic; HPKE ciphertexts drawn once, see recorded/"

P = 2**384 - 2**128 - 2**96 + 2**32 - 1
B = int("b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef", 16)
N = crypto.P384_ORDER


def _y(x: int, b: int = B) -> int | None:
    square = (x**3 - 3 * x + b) % P
    y = pow(square, (P + 1) // 4, P)
    return y if y * y % P == square else None


def _be(number: int) -> bytes:
    return number.to_bytes(48, "big")


def _p384_points() -> list[Case]:
    scalar = rng("p384")(48)
    x, y = crypto.p384_public(scalar)
    xi, yi = int.from_bytes(x, "big"), int.from_bytes(y, "big")
    y0 = _y(0)
    assert y0 is not None and _y(xi) in (yi, P - yi)
    twist_x = next(n for n in range(2, 99) if _y(n) is None)
    other_y = _y(5, B + 1) or _y(6, B + 1) or _y(7, B + 1)
    assert other_y is not None
    other_x = next(n for n in (5, 6, 7) if _y(n, B + 1) is not None)
    # x below 2^384 - P has a second spelling x + P
    points: list[tuple[str, bytes, bytes, bool, str]] = [
        ("good", x, y, True, "a key"),
        ("negated", x, _be(P - yi), True, "its negative"),
        ("x-zero", _be(0), _be(y0), True, "x = 0 is on the curve"),
        ("x-spelt-again", _be(P), _be(y0), False, "x = P"),
        ("y-spelt-again", _be(0), (y0 + P).to_bytes(49, "big")[1:], False, "y + P cut to 48 bytes"),
        ("identity", bytes(48), bytes(48), False, "what some libraries write for the identity"),
        ("identity-one", bytes(48), _be(1), False, "the identity of another curve form"),
        ("y-off-by-one", x, _be((yi + 1) % P), False, "not on the curve"),
        ("swapped", y, x, False, "x and y exchanged"),
        ("other-b", _be(other_x), _be(other_y), False, "on y^2 = x^3 - 3x + b + 1: the invalid curve attack"),
        ("on-the-twist", _be(twist_x), _be(3), False, "an x that belongs to the twist"),
        ("all-ones", b"\xff" * 48, b"\xff" * 48, False, "coordinates over the modulus"),
        ("short-x", x[1:], y, False, "47 bytes"),
        ("long-x", b"\0" + x, y, False, "49 bytes"),
        ("empty", b"", b"", False, "no bytes"),
    ]
    out = []
    for name, px, py, fine, note in points:
        given = {"x": px.hex(), "y": py.hex()}
        case = (
            good(f"p384-{name}", "CRY-007", "p384-check-public", given, True)
            if fine
            else bad(f"p384-{name}", "CRY-007", "p384-check-public", given, "C_FORMAT")
        )
        out.append(case | {"origin": note})
    for name, value, fine in [
        ("one", 1, True),
        ("last", N - 1, True),
        ("zero", 0, False),
        ("order", N, False),
        ("over", 2**384 - 1, False),
    ]:
        given = {"scalar": _be(value).hex()}
        if fine:
            px, py = crypto.p384_public(_be(value))
            out.append(good(f"p384-scalar-{name}", "CRY-007", "p384-public", given, {"x": px.hex(), "y": py.hex()}))
        else:
            out.append(bad(f"p384-scalar-{name}", "CRY-007", "p384-public", given, "C_FORMAT"))
    out.append(bad("p384-scalar-short", "CRY-007", "p384-public", {"scalar": _be(7)[1:].hex()}, "C_FORMAT"))
    return out


def _es384() -> list[Case]:
    scalar, message = rng("es384")(48), b"what an identity signs"
    x, y = crypto.p384_public(scalar)
    signature = crypto.es384_sign(scalar, message)
    r, s = int.from_bytes(signature[:48], "big"), int.from_bytes(signature[48:], "big")

    def given(sig: bytes, text: bytes = message) -> Case:
        return {"x": x.hex(), "y": y.hex(), "signature": sig.hex(), "message": text.hex()}

    out = [
        good("es384-sign", "CRY-008", "es384-sign", {"scalar": scalar.hex(), "message": message.hex()}, signature.hex())
        | {"origin": "RFC 6979 nonce: the same in every implementation"},
        good("es384-good", "CRY-008", "es384-verify", given(signature), True),
        good("es384-other-s", "CRY-008", "es384-verify", given(signature[:48] + _be(N - s)), True)
        | {"origin": "n - s is a signature too: no hash may cover signatures"},
    ]
    der = _der(r, s)
    wrong = {
        "other-message": given(signature, message + b"."),
        "r-zero": given(_be(0) + signature[48:]),
        "s-zero": given(signature[:48] + _be(0)),
        "both-zero": given(bytes(96)),
        "r-order": given(_be(N) + signature[48:]),
        "s-order": given(signature[:48] + _be(N)),
        "s-all-ones": given(signature[:48] + b"\xff" * 48),
        "der": given(der),
        "der-cut-to-96": given(der[:96]),
        "short": given(signature[:95]),
        "long": given(signature + b"\0"),
        "empty": given(b""),
        "halves-swapped": given(signature[48:] + signature[:48]),
        "flipped": given(bytes([signature[0] ^ 1]) + signature[1:]),
    }
    return out + [bad(f"es384-{name}", "CRY-008", "es384-verify", value, "C_SIG") for name, value in wrong.items()]


def _der(r: int, s: int) -> bytes:
    def integer(number: int) -> bytes:
        data = number.to_bytes(number.bit_length() // 8 + 1, "big")
        return bytes([2, len(data)]) + data

    body = integer(r) + integer(s)
    return bytes([0x30, len(body)]) + body


def _receiving() -> list[Case]:
    seed = rng("xwing")(32)
    public = crypto.xwing_public(seed)
    scalar = rng("p384 kem")(48)
    point = crypto.hpke_public("p384", scalar)
    x, y = point[1:49], point[49:]
    compressed = bytes([2 + y[-1] % 2]) + x
    low = [bytes(32), b"\x01" + bytes(31), (2**255 - 19).to_bytes(32, "little"), (2**255 - 20).to_bytes(32, "little")]
    out = [
        good("kem-xwing-public", "CRY-009", "hpke-public", {"kem": "xwing", "secret": seed.hex()}, public.hex()),
        good("kem-p384-public", "CRY-010", "hpke-public", {"kem": "p384", "secret": scalar.hex()}, point.hex()),
        bad("kem-xwing-short-seed", "CRY-009", "hpke-public", {"kem": "xwing", "secret": seed[:31].hex()}, "C_FORMAT"),
        bad("kem-unknown-public", "CRY-010", "hpke-public", {"kem": "x25519", "secret": seed.hex()}, "C_FORMAT"),
        good("kem-xwing-good", "CRY-010", "hpke-check-public", {"kem": "xwing", "public": public.hex()}, True),
        good("kem-p384-good", "CRY-010", "hpke-check-public", {"kem": "p384", "public": point.hex()}, True),
    ]
    wrong = {
        "xwing-modulus": ("xwing", b"\xff\x0f" + public[2:]),
        "xwing-q": ("xwing", (3329).to_bytes(2, "little") + public[2:]),
        "xwing-short": ("xwing", public[:-1]),
        "xwing-long": ("xwing", public + b"\0"),
        "xwing-empty": ("xwing", b""),
        **{f"xwing-low-order-{n}": ("xwing", public[:1184] + point) for n, point in enumerate(low)},
        "p384-compressed": ("p384", compressed),
        "p384-hybrid": ("p384", bytes([6 + y[-1] % 2]) + x + y),
        "p384-identity": ("p384", b"\0"),
        "p384-identity-long": ("p384", bytes(97)),
        "p384-zero-point": ("p384", b"\x04" + bytes(96)),
        "p384-off-curve": ("p384", point[:-1] + bytes([point[-1] ^ 1])),
        "p384-without-mark": ("p384", point[1:]),
        "p384-as-xwing": ("xwing", point),
        "xwing-as-p384": ("p384", public),
        "unknown": ("x25519", public[1184:]),
        "rsa": ("rsa4096", b"\x30" + rng("rsa")(525)),
        "upper": ("XWING", public),
    }
    return out + [
        bad(f"kem-{name}", "CRY-010", "hpke-check-public", {"kem": kem, "public": data.hex()}, "C_FORMAT")
        for name, (kem, data) in wrong.items()
    ]


def _hpke() -> list[Case]:
    kept = Recorded("points")
    out = []
    for kem, length in (("xwing", 32), ("p384", 48)):
        secret = rng(f"hpke {kem}")(length)
        public = crypto.hpke_public(kem, secret)
        info, text = b"information", b"the secret of an epoch: 32 bytes"
        drawn = kept.once(kem, lambda k=kem, p=public, i=info, t=text: crypto.hpke_seal(k, p, i, t).hex())
        sealed = bytes.fromhex(drawn)
        end = 1120 if kem == "xwing" else 97

        def given(data: bytes, *, key: bytes = secret, about: bytes = info, name: str = kem) -> Case:
            return {"kem": name, "secret": key.hex(), "info": about.hex(), "sealed": data.hex()}

        out.append(good(f"hpke-{kem}", "CRY-011", "hpke-open", given(sealed), text.hex()))
        wrong = {
            "other-info": given(sealed, about=info + b"."),
            "other-key": given(sealed, key=rng(f"other {kem}")(length)),
            "flipped-tag": given(sealed[:-1] + bytes([sealed[-1] ^ 1])),
            "flipped-text": given(sealed[:end] + bytes([sealed[end] ^ 1]) + sealed[end + 1 :]),
            "flipped-enc": given(sealed[: end - 1] + bytes([sealed[end - 1] ^ 1]) + sealed[end:]),
            "cut": given(sealed[:-1]),
            "enc-only": given(sealed[:end]),
            "longer": given(sealed + b"\0"),
            "empty": given(b""),
        }
        out += [bad(f"hpke-{kem}-{name}", "CRY-011", "hpke-open", value, "C_DECRYPT") for name, value in wrong.items()]
    return out


def cases() -> list[Case]:
    return _p384_points() + _es384() + _receiving() + _hpke()
