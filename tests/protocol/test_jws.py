"""Envelopes: decode, order of checks, signing, and that closed lists are what stops the confusions (JWS)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloister import crypto
from cloister.errors import FormatError, SignatureInvalid
from cloister.protocol import ids, jws
from cloister.protocol.encoding import b64e, json_emit

SEED = bytes(range(32))
DK = crypto.ed25519_public(SEED)
DV = ids.device_id(DK)
SCALAR = bytes(range(48))
BODY = {"aud": "http://localhost:8420", "dv": DV, "nonce": b64e(bytes(32)), "iat": 1, "exp": 61}


def _made(**change: Any) -> str:
    return jws.sign("sph-dauth+1", {"kid": DV}, {**BODY, **change}, jws.device_signer(SEED))


def test_made_decodes_and_verifies() -> None:
    """JWS-001, JWS-004, JWS-006, JWS-008."""
    compact = _made()
    envelope = jws.decode(compact, "sph-dauth+1")
    jws.verify_ed25519(envelope, DK)
    assert envelope.body == BODY
    assert envelope.header == {"alg": "Ed25519", "typ": "sph-dauth+1", "kid": DV}
    assert envelope.signing_input == compact.rpartition(".")[0].encode()
    assert envelope.header_part == compact.split(".")[0].encode()
    assert envelope.digest == crypto.sha256(envelope.signing_input)
    assert jws.decode(compact.encode(), "sph-dauth+1") == envelope


def _header_verdict(header: bytes, *, usual: bool) -> dict[str, Any] | str:
    row = jws.TYPS["sph-msg+1"]
    compact = f"{b64e(header)}.{b64e(b'payload')}.{b64e(bytes(64))}"
    with pytest.MonkeyPatch.context() as patch:
        if not usual:
            patch.setitem(jws.TYPS, "sph-msg+1", replace(row, usual=None))
        try:
            return jws.decode(compact, "sph-msg+1").header
        except FormatError as refusal:
            return str(refusal)


HASHES = st.sampled_from([b64e(bytes(32)), b64e(b"\xff" * 32), "", b64e(bytes(31)), "A" * 42 + "B", "\u0131"])
NUMBERS = st.sampled_from([0, 1, 999_999_999, 2**32 - 1, 2**32, 10**15 - 1, 10**15, 2**53 - 1, 2**53, -1, True, 1.5])
MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "alg": st.sampled_from(["Ed25519", "ES384"]),
    "typ": st.sampled_from(["sph-msg+1", "sph-msg-1"]),
    "kid": HASHES.map(lambda h: "dv-" + h),
    "sph": HASHES.map(lambda h: "sp-" + h),
    "ep": NUMBERS,
    "mid": st.sampled_from([b64e(bytes(16)), "A" * 21 + "B", b64e(bytes(15))]),
    "seq": NUMBERS,
    "ph": HASHES,
    "lh": HASHES,
    "ls": NUMBERS,
    "thr": st.just(b64e(bytes(16))),
    "try": NUMBERS,
    "iat": NUMBERS,
    "enc": st.sampled_from(["A256GCM", "none", "other"]),
    "n": st.sampled_from([b64e(bytes(12)), b64e(bytes(11))]),
    "cm": HASHES,
}


USUAL = {
    **{"alg": "Ed25519", "typ": "sph-msg+1", "kid": "dv-" + b64e(bytes(32)), "sph": "sp-" + b64e(bytes(32)), "ep": 1},
    **{"mid": b64e(bytes(16)), "seq": 1, "ph": "", "lh": b64e(bytes(32)), "ls": 1, "iat": 1, "enc": "none"},
}


@given(st.data())
def test_the_usual_header_is_judged_as_every_other(data: st.DataObject) -> None:
    """JWS-002, ENC-004 to ENC-009: what the short reading takes is what the general one takes, with the same values."""
    header = dict(USUAL)
    for name in data.draw(st.lists(st.sampled_from(sorted(MEMBERS)), max_size=3, unique=True)):
        header[name] = data.draw(MEMBERS[name])
    order = [name for name in MEMBERS if name in header]
    if data.draw(st.booleans()):
        order = data.draw(st.permutations(order))
    text = json_emit({name: header[name] for name in order})
    at, byte = (
        data.draw(st.integers(0, len(text))),
        data.draw(st.sampled_from([b"", b" ", b"\n", b"\\", b'"', b",", b"0"])),
    )
    text = text[:at] + byte + text[at:]
    assert _header_verdict(text, usual=True) == _header_verdict(text, usual=False)


def test_every_usual_header_takes_the_short_reading() -> None:
    """What members write is matched: else the shortcut would be dead and nobody would notice."""
    usual = jws.TYPS["sph-msg+1"].usual
    assert usual is not None
    more = {"thr": b64e(bytes(16)), "try": 2, "n": b64e(bytes(12)), "cm": b64e(bytes(32))}
    sealed = {name: {**USUAL, **more}[name] for name in MEMBERS}
    for header in (USUAL, sealed):
        assert usual.read(json_emit(header).decode()) == header


def test_the_digest_leaves_the_signature_out() -> None:
    """JWS-005."""
    compact = _made()
    other = compact.rpartition(".")[0] + "." + b64e(bytes(64))
    assert jws.decode(compact, "sph-dauth+1").digest == jws.decode(other, "sph-dauth+1").digest


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_any_changed_byte_is_refused(position: int, flip: int) -> None:
    """JWS-003, T-I2: whatever the byte, C_FORMAT or C_SIG."""
    compact = bytearray(_made().encode())
    compact[position % len(compact)] ^= flip
    with pytest.raises((FormatError, SignatureInvalid)):
        jws.verify_ed25519(jws.decode(bytes(compact), "sph-dauth+1"), DK)


@given(st.sampled_from(sorted(jws.TYPS)), st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_decode_refuses_anything_in_one_way(typ: str, data: bytes | str) -> None:
    """JWS-003."""
    with pytest.raises(FormatError):
        jws.decode(data, typ)


@pytest.mark.parametrize("one", sorted(jws.TYPS))
@pytest.mark.parametrize("two", sorted(jws.TYPS))
def test_no_envelope_of_one_typ_passes_for_another(one: str, two: str) -> None:
    """JWS-002, JWS-007, T-S7: over all pairs, with whatever members the other typ wants."""
    if one == two:
        return
    compact = f"{b64e(json_emit({'alg': jws.TYPS[one].alg, 'typ': one, 'kid': DV}))}.{b64e(json_emit(BODY))}.AAAA"
    with pytest.raises(FormatError):
        jws.decode(compact, two)


def test_every_identity_typ_is_es384_and_every_device_typ_ed25519() -> None:
    """JWS-006, JWS-007."""
    identity = {"sph-dev+1", "sph-klog+1"}
    assert {name for name, row in jws.TYPS.items() if row.alg == "ES384"} == identity
    assert {name for name, row in jws.TYPS.items() if row.alg == "Ed25519"} == set(jws.TYPS) - identity


def test_identity_signatures() -> None:
    """JWS-007."""
    jwk = ids.jwk_public(SCALAR)
    payload = {
        "id": ids.identity_id(jwk),
        "dv": DV,
        "dk": b64e(DK),
        "kem": "xwing",
        "de": b64e(crypto.xwing_public(SEED)),
        "iat": 1,
        "exp": 2,
        "pop": b64e(bytes(64)),
    }
    compact = jws.sign("sph-dev+1", {"kid": payload["id"]}, payload, jws.identity_signer(SCALAR))
    envelope = jws.decode(compact, "sph-dev+1")
    jws.verify_es384(envelope, jwk)
    with pytest.raises(SignatureInvalid):
        jws.verify_es384(envelope, ids.jwk_public(bytes(47) + b"\x09"))


def test_a_signature_is_checked_before_the_payload_is_read() -> None:
    """JWS-003: the same broken payload, first with a good signature, then with none."""
    signing_input = f"{_made().split('.')[0]}.{b64e(b'no json')}"
    good = f"{signing_input}.{b64e(crypto.ed25519_sign(SEED, signing_input.encode()))}"
    envelope = jws.decode(good, "sph-dauth+1")
    jws.verify_ed25519(envelope, DK)
    with pytest.raises(FormatError):
        assert envelope.body
    with pytest.raises(SignatureInvalid):
        jws.verify_ed25519(jws.decode(f"{signing_input}.{b64e(bytes(64))}", "sph-dauth+1"), DK)


def _embedded_key() -> str:
    """A stranger's envelope that brings its own key in the header."""
    stranger = b"\x07" * 32
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64e(crypto.ed25519_public(stranger))}
    header = {"alg": "Ed25519", "typ": "sph-dauth+1", "kid": DV, "jwk": jwk}
    signing_input = f"{b64e(json_emit(header))}.{b64e(json_emit(BODY))}"
    return f"{signing_input}.{b64e(crypto.ed25519_sign(stranger, signing_input.encode()))}"


def test_an_embedded_key_is_refused() -> None:
    """JWS-002, T-I2."""
    with pytest.raises(FormatError):
        jws.decode(_embedded_key(), "sph-dauth+1")


def test_control_without_the_closed_list_an_embedded_key_gets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """JWS-002: the list is the only thing in the way; the decoder itself would hand the stranger's key on."""
    row = jws.TYPS["sph-dauth+1"]
    weak = jws.Typ(row.name, row.alg, row.limit, lambda _: None, row.payload, row.free)
    monkeypatch.setitem(jws.TYPS, "sph-dauth+1", weak)
    envelope = jws.decode(_embedded_key(), "sph-dauth+1")
    assert envelope.header["jwk"]["x"] != b64e(DK)
    with pytest.raises(SignatureInvalid):
        jws.verify_ed25519(envelope, DK)


def test_sizes_count_before_anything_is_read() -> None:
    """JWS-009."""
    for typ, row in jws.TYPS.items():
        with pytest.raises(FormatError, match="too large"):
            jws.decode("x" * (row.limit + 1), typ)
    with pytest.raises(FormatError, match="three parts"):
        jws.decode("x" * 4097 + "..", "sph-msg+1")


@pytest.mark.parametrize(
    "change",
    [{"extra": 1}, {"aud": "a" * 257}, {"iat": -1}, {"iat": 1.5}, {"dv": "dv-x"}, {"aud": "\ud800"}],
)
def test_the_maker_checks_itself(change: dict[str, Any]) -> None:
    """JWS-008: and nothing is signed."""
    signed: list[bytes] = []

    def signer(message: bytes) -> bytes:
        signed.append(message)
        return bytes(64)

    with pytest.raises(FormatError):
        jws.sign("sph-dauth+1", {"kid": DV}, {**BODY, **change}, signer)
    assert not signed
