"""Ed25519: signatures of RFC 8032, and the keys and signatures on which implementations are known to disagree.

The kinds are those named in "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko 2020); every case is made
here with the reference arithmetic of ``_edwards`` and judged by it. The note of a case says what a verifier with
cofactor, or one that takes any A, would answer: those are the verifiers a hostile member would split a group with.
"""

from __future__ import annotations

from vectors.generate import Case, bad, good, rng
from vectors.generate import _edwards as ed

ORIGIN = "RFC 8032 section 7.1 (rfc8032-*); the rest made by vectors/generate/ed25519.py with its own arithmetic"

RFC = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595b"
        "be24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb430"
        "2aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716e"
        "d28dc027beceea1ec40a",
    ),
]
SEED = rng("ed25519")(32)
SCALAR, _ = ed.secret(SEED)
POINT = ed.mul(SCALAR, ed.BASE)
PUBLIC = ed.encode(POINT)


def _verdict(
    name: str, public: bytes, signature: bytes, message: bytes, note: str, *, lenient: bool | None = None
) -> Case:
    """One verify case judged by the reference; ``lenient``: what the verifier with cofactor must say, asserted."""
    if lenient is not None:
        assert ed.verify_with_cofactor(public, signature, message) is lenient, name
    inputs = {"public": public.hex(), "signature": signature.hex(), "message": message.hex()}
    if not ed.check_public(public):
        case = bad(name, "CRY-005 CRY-006", "ed25519-verify", inputs, "C_FORMAT")
    elif not ed.verify(public, signature, message):
        case = bad(name, "CRY-006", "ed25519-verify", inputs, "C_SIG")
    else:
        case = good(name, "CRY-006", "ed25519-verify", inputs, True)
    return case | {"origin": note}


def _forge(
    a_point: ed.Point, r_point: ed.Point, r: int, wish: str, *, a_bytes: bytes = b"", r_bytes: bytes = b""
) -> tuple[bytes, bytes, bytes]:
    """Search a message for which the signature (R, r + h*SCALAR) under A passes as ``wish`` says.

    ``cofactor``: with cofactor but not without; ``both``: with and without; ``any``: the first message.
    """
    a, big_r = a_bytes or ed.encode(a_point), r_bytes or ed.encode(r_point)
    for n in range(4096):
        message = f"sph/1 speccheck {n}".encode()
        s = (r + ed.challenge(big_r, a, message) * SCALAR) % ed.L
        signature = big_r + s.to_bytes(32, "little")
        strict, lenient = ed.verify(a, signature, message), ed.verify_with_cofactor(a, signature, message)
        if wish == "any" or (wish == "both" and strict and lenient) or (wish == "cofactor" and lenient and not strict):
            return a, signature, message
    raise AssertionError(wish)


def _small_a(a: bytes, r_bytes: bytes | None, wish: bool) -> tuple[bytes, bytes, bytes]:
    """A of small order: S = r signs every message for which h times the torsion vanishes (``wish``)."""
    r = int.from_bytes(rng("small-a")(32), "little") % ed.L
    big_r = r_bytes if r_bytes is not None else ed.encode(ed.mul(r, ed.BASE))
    s = 0 if r_bytes is not None else r
    for n in range(4096):
        message = f"sph/1 speccheck {n}".encode()
        signature = big_r + s.to_bytes(32, "little")
        if ed.verify(a, signature, message) is wish:
            return a, signature, message
    raise AssertionError("no message")


def _speccheck() -> list[Case]:
    r = int.from_bytes(rng("speccheck r")(32), "little") % ed.L
    pure_r = ed.mul(r, ed.BASE)
    mixed_a, mixed_r = ed.add(POINT, ed.T8), ed.add(pure_r, ed.T8)
    small = ed.encode(ed.T8)
    # The identity and a point of order 2 written with y + P, which still fits in 255 bits.
    odd_zero = (ed.P + 1).to_bytes(32, "little")
    cases = []

    def put(name: str, triple: tuple[bytes, bytes, bytes], note: str, lenient: bool | None = None) -> None:
        cases.append(_verdict(f"ed-spec-{name}", *triple, note, lenient=lenient))

    put("00-small-a-small-r", _small_a(small, small, False), "S = 0, A and R of order 8; passes with cofactor", True)
    put(
        "01-small-a-mixed-r", _forge_small_mixed(small, r), "A of order 8, R of mixed order; passes with cofactor", True
    )
    put(
        "02-mixed-a-small-r",
        _forge(mixed_a, ed.T8, 0, "cofactor"),
        "A of mixed order, R of order 8; passes with cofactor",
        True,
    )
    put(
        "03-mixed-a-mixed-r-both",
        _forge(mixed_a, mixed_r, r, "both"),
        "A, R of mixed order; passes with and without cofactor",
        True,
    )
    put(
        "04-mixed-a-mixed-r",
        _forge(mixed_a, mixed_r, r, "cofactor"),
        "A, R of mixed order; passes with cofactor only",
        True,
    )
    put(
        "05-mixed-a-pure-r",
        _forge(mixed_a, pure_r, r, "cofactor"),
        "A of mixed order, R pure; passes with cofactor only",
        True,
    )
    a, signature, message = _forge(POINT, pure_r, r, "both")
    s = int.from_bytes(signature[32:], "little")
    put("06-s-plus-l", (a, signature[:32] + (s + ed.L).to_bytes(32, "little"), message), "S + L: malleable")
    put(
        "07-s-far-over-l",
        (a, signature[:32] + (s + 14 * ed.L).to_bytes(32, "little"), message),
        "S + 14 L: the top bits set",
    )
    put(
        "08-odd-r-mixed-a",
        _forge(mixed_a, ed.ZERO, 0, "cofactor", r_bytes=odd_zero),
        "R is the identity written as y = P + 1, A mixed",
        True,
    )
    put(
        "09-odd-r-pure-a",
        _forge(POINT, ed.ZERO, 0, "cofactor", r_bytes=odd_zero),
        "R is the identity written as y = P + 1, A good",
        True,
    )
    put("10-odd-a", _small_a(odd_zero, None, True), "A is the identity written as y = P + 1; R' = R for every message")
    odd_sign = (1 | 1 << 255).to_bytes(32, "little")
    put(
        "11-odd-a-sign",
        _small_a(odd_sign, None, True),
        "A is the identity with the sign bit set; R' = R for every message",
    )
    return cases


def _forge_small_mixed(a: bytes, r: int) -> tuple[bytes, bytes, bytes]:
    big_r = ed.encode(ed.add(ed.mul(r, ed.BASE), ed.T8))
    for n in range(4096):
        message = f"sph/1 speccheck {n}".encode()
        signature = big_r + r.to_bytes(32, "little")
        if ed.verify_with_cofactor(a, signature, message) and not ed.verify(a, signature, message):
            return a, signature, message
    raise AssertionError("no message")


def _more() -> list[Case]:
    """Beyond the twelve: a good A with a bad R, the plain identity, wrong lengths, altered bytes."""
    r = int.from_bytes(rng("more r")(32), "little") % ed.L
    pure_r = ed.mul(r, ed.BASE)
    cases = [
        _verdict(
            "ed-good-a-mixed-r",
            *_forge(POINT, ed.add(pure_r, ed.T8), r, "cofactor"),
            "a member's own equivocation",
            lenient=True,
        ),
        _verdict(
            "ed-good-a-r-plus-t2",
            *_forge(POINT, ed.add(pure_r, ed.T2), r, "cofactor"),
            "R with a part of order 2",
            lenient=True,
        ),
        _verdict("ed-good-a-small-r", *_forge(POINT, ed.T8, 0, "cofactor"), "R of order 8, S = h a", lenient=True),
        _verdict(
            "ed-good-a-zero-r",
            *_forge(POINT, ed.ZERO, 0, "both"),
            "R is the identity, canonical: the rule accepts",
            lenient=True,
        ),
        _verdict(
            "ed-identity-a",
            *_small_a(ed.encode(ed.ZERO), None, True),
            "A is the identity: every S and R = [S]B would pass",
        ),
        _verdict("ed-order-2-a", *_small_a(ed.encode(ed.T2), None, True), "A of order 2, a message whose h is even"),
        _verdict("ed-order-4-a", *_small_a(ed.encode(ed.T4), None, True), "A of order 4, h divisible by 4"),
        _verdict("ed-a-plus-t2", *_forge(ed.add(POINT, ed.T2), pure_r, r, "both"), "A with a part of order 2, h even"),
        _verdict("ed-a-plus-t4", *_forge(ed.add(POINT, ed.T4), pure_r, r, "both"), "A with a part of order 4"),
    ]
    message = b"a plain message"
    signature = ed.sign(SEED, message)
    s = int.from_bytes(signature[32:], "little")
    cases += [
        _verdict("ed-plain", PUBLIC, signature, message, "an honest signature"),
        _verdict("ed-empty-message", PUBLIC, ed.sign(SEED, b""), b"", "an honest signature of nothing"),
        _verdict("ed-other-message", PUBLIC, signature, message + b"!", "one byte more"),
        _verdict("ed-other-key", ed.encode(ed.mul(SCALAR + 1, ed.BASE)), signature, message, "a neighbour's key"),
        _verdict("ed-flipped-r", PUBLIC, bytes([signature[0] ^ 1]) + signature[1:], message, "one bit of R"),
        _verdict(
            "ed-flipped-s",
            PUBLIC,
            signature[:32] + bytes([signature[32] ^ 1]) + signature[33:],
            message,
            "one bit of S",
        ),
        _verdict("ed-negated-s", PUBLIC, signature[:32] + ((ed.L - s) % ed.L).to_bytes(32, "little"), message, "L - S"),
        _verdict("ed-s-is-l", PUBLIC, signature[:32] + ed.L.to_bytes(32, "little"), message, "S = L"),
        _verdict("ed-short", PUBLIC, signature[:63], message, "63 bytes"),
        _verdict("ed-long", PUBLIC, signature + b"\0", message, "65 bytes"),
        _verdict("ed-no-signature", PUBLIC, b"", message, "none at all"),
        _verdict("ed-short-key", PUBLIC[:31], signature, message, "a key of 31 bytes"),
        _verdict("ed-long-key", PUBLIC + b"\0", signature, message, "a key of 33 bytes"),
    ]
    return cases


def _publics() -> list[Case]:
    def put(name: str, public: bytes, note: str) -> Case:
        inputs = {"public": public.hex()}
        if ed.check_public(public):
            case = good(name, "CRY-005", "ed25519-check-public", inputs, True)
        else:
            case = bad(name, "CRY-005", "ed25519-check-public", inputs, "C_FORMAT")
        return case | {"origin": note}

    no_point = next(y for y in range(2, 99) if ed.x_of(y, 0) is None)
    cases = [put("ed-key-good", PUBLIC, "a key"), put("ed-key-base", ed.encode(ed.BASE), "the base point")]
    cases += [
        put(f"ed-key-small-{n}", ed.encode(point), f"multiple {n} of a point of order 8")
        for n, point in enumerate(ed.TORSION)
    ]
    cases += [
        put(f"ed-key-mixed-{n}", ed.encode(ed.add(POINT, ed.TORSION[n])), f"a key plus torsion {n}")
        for n in range(1, 8)
    ]
    # y in P .. 2^255-1: nineteen second spellings, of which these are on the curve
    for y in range(19):
        if ed.x_of(y, 0) is not None:
            cases.append(put(f"ed-key-odd-{y}", (ed.P + y).to_bytes(32, "little"), f"y = P + {y}"))
    cases += [
        put("ed-key-odd-sign-1", (1 | 1 << 255).to_bytes(32, "little"), "x = 0 with the sign bit"),
        put("ed-key-odd-sign-m1", (ed.P - 1 | 1 << 255).to_bytes(32, "little"), "y = -1, x = 0 with the sign bit"),
        put("ed-key-no-point", no_point.to_bytes(32, "little"), "no x belongs to this y"),
        put("ed-key-zeros", bytes(32), "all zero: order 4"),
        put("ed-key-ones", b"\xff" * 32, "all ones"),
        put("ed-key-empty", b"", "no bytes"),
    ]
    return cases


def cases() -> list[Case]:
    out = []
    for n, (seed, public, message, signature) in enumerate(RFC, 1):
        inputs = {"seed": seed, "message": message}
        assert ed.sign(bytes.fromhex(seed), bytes.fromhex(message)).hex() == signature
        value = {"public": public, "signature": signature}
        out.append(good(f"ed-rfc8032-{n}", "CRY-006", "ed25519-sign", inputs, value))
    return out + _speccheck() + _more() + _publics()
