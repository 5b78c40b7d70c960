"""One message: sealing, decoding, opening. Spec: MSG-001 to MSG-008, EPO-003."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from cloister import crypto
from cloister.errors import CheckFailed, DecryptFailed, FormatError, KeyUnknown, SignatureInvalid
from cloister.protocol import jws
from cloister.protocol.encoding import b64d, b64e, json_emit, kdf, lp
from cloister.sphere import epoch, message, padding
from cloister.sphere import payload as payloads
from cloister.sphere.message import Place
from cloister.sphere.payload import Payload
from vectors.generate._sphere import NOW, Person, seeded, text

ADA = Person("ada")
SPH = "sp-FQ9ju9t-zF4d_Z8YBWMA7-5qtjk_FdpREckEdcMuJ1I"
KEY = epoch.derive(bytes(32), bytes(32), SPH, 3)
PLACE = Place(2, bytes(range(32)), 9, bytes(range(1, 33)), 3)
HELLO = text("hello")


def make(payload: Payload = HELLO, place: Place = PLACE, **over: Any) -> str:
    args: dict[str, Any] = {
        **{"sph": SPH, "dv": ADA.dev.dv, "signer": ADA.dev.signer, "iat": NOW, "rng": seeded("message"), "key": KEY},
        **over,
    }
    return message.seal(payload, place, **args)


def dk() -> bytes:
    return crypto.ed25519_public(ADA.dev.seed)


def parts(compact: str) -> tuple[dict[str, Any], bytes, bytes]:
    header, payload, signature = compact.split(".")
    return json.loads(b64d(header)), b64d(payload), b64d(signature)


def signed(header: dict[str, Any], payload: bytes) -> str:
    """An envelope with exactly this header, signed."""
    signing_input = f"{b64e(json_emit(header))}.{b64e(payload)}"
    return f"{signing_input}.{b64e(ADA.dev.signer(signing_input.encode()))}"


@pytest.mark.parametrize(
    ("payload", "place", "over"),
    [
        (HELLO, PLACE, {}),
        (HELLO, Place(1, b"", 1, bytes(32), 3), {}),
        (HELLO, PLACE._replace(tries=4), {"thr": bytes(16)}),
        (Payload("comment", bytes(16), 'é\n"\\', bytes(16)), PLACE, {}),
        (text("x" * 100_000), PLACE, {}),
        (HELLO, PLACE, {"key": None, "mode": "open"}),
        (HELLO._replace(pt=True), PLACE, {"key": None}),
    ],
)
def test_round_trip(payload: Payload, place: Place, over: dict[str, Any]) -> None:
    """MSG-001, MSG-003, MSG-005, MSG-008."""
    mode = over.pop("mode", "e2ee")
    compact = make(payload, place, **over)
    got = message.decode(compact)
    message.verify(got, dk())
    assert message.open(got, KEY, mode=mode) == payload
    head = got.head
    assert (head.seq, b64d(head.ph), head.ls, b64d(head.lh), head.ep, head.tries) == tuple(place)
    assert got.digest == jws.decode(compact, message.TYP).digest
    assert b64d(got.link) == got.digest


def test_formulas() -> None:
    """MSG-004, MSG-005: written out once more, by hand."""
    compact = make()
    header, sealed, _ = parts(compact)
    mid = b64d(header["mid"])
    mk = kdf(KEY.secret, mid, "msg", lp(SPH, 3, ADA.dev.dv, mid), 64)
    assert b64d(header["cm"]) == mk[32:]
    plain = crypto.aead_open(mk[:32], b64d(header["n"]), sealed, compact.partition(".")[0].encode())
    assert plain == padding.pad(payloads.encode(HELLO))
    assert list(header) == ["alg", "typ", "kid", "sph", "ep", "mid", "seq", "ph", "lh", "ls", "iat", "enc", "n", "cm"]


@given(st.text('ab"\\é\u2028', max_size=400))
def test_the_wire_shows_only_sizes_of_the_table(words: str) -> None:
    """MSG-007: the sealed payload has one of the padded lengths."""
    sealed = message.decode(make(text(words))).sealed
    assert len(sealed) - 16 == padding.padded_length(len(payloads.encode(text(words))))


def test_two_seals_share_no_key() -> None:
    """MSG-004: the key is of this message alone."""
    rng = seeded("two")
    one, two = parts(make(rng=rng)), parts(make(rng=rng))
    assert one[0]["mid"] != two[0]["mid"]
    assert one[0]["cm"] != two[0]["cm"]
    assert one[1] != two[1]


# --- both readers of a header agree ------------------------------------------------------------------------------

HEADERS = [parts(make())[0], parts(make(HELLO, PLACE._replace(tries=2), thr=bytes(16)))[0], parts(make(key=None))[0]]


def both_ways(monkeypatch: pytest.MonkeyPatch, compact: str) -> list[Any]:
    answers: list[Any] = []
    for pattern in (message._PLAIN_ORDER, re.compile("(?!)")):
        with monkeypatch.context() as patch:
            patch.setattr(message, "_PLAIN_ORDER", pattern)
            try:
                answers.append(message.decode(compact).head)
            except FormatError:
                answers.append("refused")
    return answers


@pytest.mark.parametrize("header", HEADERS, ids=["usual", "try", "clear"])
def test_member_order_is_free(header: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """MSG-002: what another program writes in another order reads the same."""
    turned = dict(reversed(header.items()))
    assert message.decode(signed(turned, bytes(300))).head == message.decode(signed(header, bytes(300))).head
    assert len({str(one) for one in both_ways(monkeypatch, signed(header, bytes(300)))}) == 1


CHANGES: list[dict[str, Any]] = [
    {"alg": "EdDSA"},
    {"typ": "sph-log+1"},
    {"kid": "dv-x"},
    {"kid": ADA.handle},
    {"sph": SPH[:-1] + "J"},
    {"ep": 2**32},
    {"ep": -1},
    {"ep": "3"},
    {"mid": b64e(bytes(15))},
    {"mid": "AAAAAAAAAAAAAAAAAAAAAB"},
    {"seq": 0},
    {"seq": 1},
    {"seq": 2**53},
    {"seq": 1.0},
    {"seq": True},
    {"ph": ""},
    {"ph": b64e(bytes(31))},
    {"lh": ""},
    {"ls": -1},
    {"thr": ""},
    {"try": -1},
    {"iat": None},
    {"enc": "none"},
    {"enc": "A128GCM"},
    {"n": None},
    {"cm": None},
    {"n": None, "cm": None},
    {"n": b64e(bytes(13))},
    {"b64": False},
    {"crit": ["b64"]},
    {"jwk": {}},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_wrong_headers(change: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """MSG-002: a closed list; the quick reader and the general one give one verdict."""
    header = {k: v for k, v in {**HEADERS[0], **change}.items() if v is not None}
    assert both_ways(monkeypatch, signed(header, bytes(300))) == ["refused", "refused"]


@given(st.data())
def test_the_readers_agree_on_damage(data: st.DataObject) -> None:
    raw = bytearray(json_emit(data.draw(st.sampled_from(HEADERS))))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(32, 126))
    compact = f"{b64e(bytes(raw))}.{b64e(bytes(20))}.{b64e(bytes(64))}"
    with pytest.MonkeyPatch.context() as patch:
        answers = both_ways(patch, compact)
    assert answers[0] == answers[1]


@pytest.mark.parametrize("wrong", ["", "a.b", "a.b.c.d", "é..", "a" * 270_000, "..", make()[:-1], make() + "="])
def test_no_envelope(wrong: str) -> None:
    with pytest.raises(FormatError):
        message.decode(wrong)


def test_bad_payload_and_signature_text() -> None:
    header, payload, signature = make().split(".")
    for wrong in (
        f"{header}.{payload}+.{signature}",
        f"{header}.{payload}.{signature[:-1]}+",
        f"{header}.a.{signature}",
    ):
        with pytest.raises(FormatError):
            message.decode(wrong)
    short = message.decode(f"{header}.{payload}.{signature[:-2]}")
    with pytest.raises(SignatureInvalid):
        message.verify(short, dk())


# --- damage and moves ---------------------------------------------------------------------------------------------


def test_every_byte_is_covered() -> None:
    """MSG-003, MSG-005: a flip anywhere fails; past the signature check only as C_DECRYPT or by another hash."""
    compact = make()
    header, sealed, signature = parts(compact)
    for at in range(0, len(sealed), 7):
        flipped = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        got = message.decode(signed(header, flipped))
        with pytest.raises(DecryptFailed):
            message.open(got, KEY)
        with pytest.raises(SignatureInvalid):
            message.verify(message.decode(f"{compact.partition('.')[0]}.{b64e(flipped)}.{b64e(signature)}"), dk())
    for at in range(64):
        broken = signature[:at] + bytes([signature[at] ^ 1]) + signature[at + 1 :]
        with pytest.raises(SignatureInvalid):
            message.verify(message.decode(f"{compact.rpartition('.')[0]}.{b64e(broken)}"), dk())


@pytest.mark.parametrize(
    "change",
    [
        {"kid": Person("bo").dev.dv},
        {"mid": b64e(bytes(16))},
        {"seq": 3},
        {"ph": b64e(bytes(32))},
        {"ls": 8},
        {"lh": b64e(bytes(32))},
        {"iat": NOW + 1},
        {"n": b64e(bytes(12))},
        {"cm": b64e(bytes(32))},
        {"try": 1},
        {"thr": b64e(bytes(16))},
    ],
    ids=str,
)
def test_the_whole_header_is_bound(change: dict[str, Any]) -> None:
    """MSG-005: a member who re-signs another's ciphertext under another header gets C_DECRYPT."""
    header, sealed, _ = parts(make())
    with pytest.raises(DecryptFailed):
        message.open(message.decode(signed({**header, **change}, sealed)), KEY)


def test_control_without_the_aad_a_stolen_ciphertext_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    header, sealed, _ = parts(make())
    real = crypto.aead_open
    own = make().partition(".")[0].encode()
    monkeypatch.setattr(crypto, "aead_open", lambda k, n, c, aad: real(k, n, c, own))
    assert message.open(message.decode(signed({**header, "ls": 8}, sealed)), KEY) == HELLO


def test_the_right_key_or_none() -> None:
    """MSG-008: the key of another epoch or sphere is no key; a wrong secret under the right name does not open."""
    got = message.decode(make())
    for other in (None, replace(KEY, n=4), replace(KEY, sph=SPH[:-1] + "M")):
        with pytest.raises(KeyUnknown):
            message.open(got, other)
    with pytest.raises(DecryptFailed):
        message.open(got, replace(KEY, secret=bytes(32)))


def two_faced(keys: tuple[bytes, bytes], nonce: bytes, aad: bytes) -> bytes:
    """A ciphertext of 32 bytes with a tag that AES-GCM accepts under both keys: GHASH is linear in each block."""

    def mul(x: int, y: int) -> int:
        z = 0
        for i in range(127, -1, -1):
            if x >> i & 1:
                z ^= y
            y = y >> 1 ^ (0xE1 << 120 if y & 1 else 0)
        return z

    def power(x: int, n: int) -> int:
        out = 1 << 127
        while n:
            if n & 1:
                out = mul(out, x)
            x, n = mul(x, x), n >> 1
        return out

    def ghash(h: int, blocks: list[int]) -> int:
        y = 0
        for one in blocks:
            y = mul(y ^ one, h)
        return y

    def aes(key: bytes, data: bytes) -> bytes:
        return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(data)

    hs = [int.from_bytes(aes(key, bytes(16)), "big") for key in keys]
    masks = [int.from_bytes(aes(key, nonce + b"\0\0\0\1"), "big") for key in keys]
    padded = aad + bytes(-len(aad) % 16)
    fixed = [int.from_bytes(padded[i : i + 16], "big") for i in range(0, len(padded), 16)]
    lengths = (len(aad) * 8) << 64 | 32 * 8
    # tag_i = ghash(aad, c1, c2, len) ^ mask_i is c1*H^3 ^ c2*H^2 ^ rest_i; choose c1 = 0 and solve for c2.
    rests = [ghash(h, [*fixed, 0, 0, lengths]) ^ mask for h, mask in zip(hs, masks, strict=True)]
    squares = [mul(h, h) for h in hs]
    c2 = mul(rests[0] ^ rests[1], power(squares[0] ^ squares[1], 2**128 - 2))
    tag = rests[0] ^ mul(c2, squares[0])
    return bytes(16) + c2.to_bytes(16, "big") + tag.to_bytes(16, "big")


def committing_case() -> tuple[str, list[epoch.EpochKey]]:
    """One envelope whose ciphertext AES-GCM accepts under two epoch secrets."""
    other = replace(KEY, secret=bytes(range(32)))
    header = HEADERS[0]
    mid = b64d(header["mid"])
    materials = [kdf(key.secret, mid, "msg", lp(SPH, 3, ADA.dev.dv, mid), 64) for key in (KEY, other)]
    header = {**header, "cm": b64e(materials[0][32:])}
    aad = b64e(json_emit(header)).encode()
    sealed = two_faced((materials[0][:32], materials[1][:32]), b64d(header["n"]), aad)
    for material in materials:
        crypto.aead_open(material[:32], b64d(header["n"]), sealed, aad)
    return signed(header, sealed), [KEY, other]


def test_a_ciphertext_of_two_keys_opens_under_one_at_most() -> None:
    """MSG-005: the key commitment is compared before anything is opened."""
    compact, keys = committing_case()
    got = message.decode(compact)
    with pytest.raises(FormatError):  # the committed key: authentic, but no payload
        message.open(got, keys[0])
    with pytest.raises(DecryptFailed):
        message.open(got, keys[1])


def test_control_without_the_commitment_it_opens_under_both(monkeypatch: pytest.MonkeyPatch) -> None:
    compact, keys = committing_case()
    seen = []
    monkeypatch.setattr(crypto, "require_equal", lambda left, right, error: None)
    monkeypatch.setattr(padding, "unpad", lambda data: seen.append(data) or b"{}")
    for key in keys:
        with pytest.raises(FormatError):
            message.open(message.decode(compact), key)
    assert len(seen) == 2
    assert seen[0] != seen[1]


# --- clear text ---------------------------------------------------------------------------------------------------


def test_clear_text_says_that_it_was_meant() -> None:
    """MSG-008: in an encrypted sphere ``pt`` is required, anywhere else it is refused."""
    plain, meant = make(key=None), make(HELLO._replace(pt=True), key=None)
    assert message.open(message.decode(plain), None, mode="open") == HELLO
    assert message.open(message.decode(plain), None, mode="public") == HELLO
    assert message.open(message.decode(meant), None).pt
    with pytest.raises(FormatError):
        message.open(message.decode(plain), None)
    with pytest.raises(FormatError):
        message.open(message.decode(meant), None, mode="open")
    with pytest.raises(FormatError):
        make(HELLO._replace(pt=True))


def test_pt_inside_encryption_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    header, _, _ = parts(make())
    mid = b64d(header["mid"])
    mk = kdf(KEY.secret, mid, "msg", lp(SPH, 3, ADA.dev.dv, mid), 64)
    plain = padding.pad(payloads.encode(HELLO._replace(pt=True)))
    sealed = crypto.aead_seal(mk[:32], b64d(header["n"]), plain, b64e(json_emit(header)).encode())
    with pytest.raises(FormatError):
        message.open(message.decode(signed(header, sealed)), KEY)


def test_seal_refuses_what_could_not_be_read() -> None:
    for payload, place, over in (
        (HELLO, PLACE._replace(ep=4), {}),
        (HELLO, PLACE, {"sph": SPH[:-1] + "M"}),
        (HELLO, PLACE._replace(seq=1), {}),
        (HELLO, PLACE._replace(ph=b""), {}),
        (text("\x01" * 50_000), PLACE, {}),
    ):
        with pytest.raises(CheckFailed):
            make(payload, place, **over)
