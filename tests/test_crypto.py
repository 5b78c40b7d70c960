"""The crypto door: verdicts, uniform failures, and that the checks are what stops the attacks (CRY)."""

from __future__ import annotations

import hashlib
import hmac
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloister import crypto
from cloister.errors import CheckFailed, DecryptFailed, FormatError, SignatureInvalid
from vectors.generate import _edwards as ed

SEED = bytes(range(32))
PUBLIC = crypto.ed25519_public(SEED)


def test_random_bytes_differ_and_have_the_length_asked_for() -> None:
    """CRY-001."""
    drawn = {crypto.random_bytes(32) for _ in range(64)}
    assert len(drawn) == 64
    assert {len(value) for value in drawn} == {32}


def test_require_equal_raises_what_it_was_given() -> None:
    """CRY-002."""
    crypto.require_equal(b"same", b"same", DecryptFailed())
    with pytest.raises(DecryptFailed, match="here"):
        crypto.require_equal(b"same", b"sane", DecryptFailed("here"))
    with pytest.raises(DecryptFailed):
        crypto.require_equal(b"same", b"same\0", DecryptFailed())


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=12, max_size=12), st.binary(), st.binary(max_size=64))
def test_aead_opens_what_it_sealed_and_nothing_else(key: bytes, nonce: bytes, text: bytes, aad: bytes) -> None:
    """CRY-003."""
    sealed = crypto.aead_seal(key, nonce, text, aad)
    assert len(sealed) == len(text) + 16
    assert crypto.aead_open(key, nonce, sealed, aad) == text
    for at in {0, len(sealed) // 2, len(sealed) - 1}:
        broken = bytearray(sealed)
        broken[at] ^= 1
        with pytest.raises(DecryptFailed):
            crypto.aead_open(key, nonce, bytes(broken), aad)
    with pytest.raises(DecryptFailed):
        crypto.aead_open(key, nonce, sealed, aad + b"\0")


@given(st.binary(max_size=40), st.binary(max_size=14), st.binary(max_size=40))
def test_aead_open_fails_in_one_way(key: bytes, nonce: bytes, sealed: bytes) -> None:
    """CRY-003: keys and nonces of any length included."""
    with pytest.raises(DecryptFailed):
        crypto.aead_open(key, nonce, sealed, b"")


@given(st.binary(max_size=140), st.binary(max_size=300))
def test_hmac_is_the_librarys(key: bytes, data: bytes) -> None:
    """CRY-004: written out for short keys, the same for every length."""
    assert crypto.hmac_sha256(key, data) == hmac.digest(key, data, "sha256")


@given(st.binary(max_size=64), st.binary(max_size=40), st.binary(max_size=40), st.integers(1, 64))
def test_short_hkdf_agrees_with_the_definition(ikm: bytes, salt: bytes, info: bytes, length: int) -> None:
    """CRY-004: one expansion is a prefix of the longer one."""
    assert crypto.hkdf_sha256(ikm, salt, info, 96)[:length] == crypto.hkdf_sha256(ikm, salt, info, length)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=80))
@settings(max_examples=25)
def test_ed25519_agrees_with_the_definition(seed: bytes, message: bytes) -> None:
    """CRY-006: signing and verifying against slow arithmetic of our own."""
    public, signature = crypto.ed25519_public(seed), crypto.ed25519_sign(seed, message)
    assert signature == ed.sign(seed, message)
    crypto.ed25519_check_public(public)
    crypto.ed25519_verify(public, signature, message)


@given(st.integers(0, 2**256 - 1))
@settings(max_examples=60)
def test_ed25519_public_keys_agree_with_the_definition(number: int) -> None:
    """CRY-005: any 32 bytes."""
    public = number.to_bytes(32, "little")
    if ed.check_public(public):
        crypto.ed25519_check_public(public)
    else:
        with pytest.raises(FormatError):
            crypto.ed25519_check_public(public)


def _universal_forgery() -> tuple[bytes, bytes]:
    """A key and a signature that fit every message when small-order keys are let in: A = identity, S = 0, R = A."""
    identity = b"\x01" + bytes(31)
    return identity, identity + bytes(32)


def test_a_small_order_key_signs_nothing() -> None:
    """CRY-005, T-I2."""
    public, signature = _universal_forgery()
    for message in (b"one", b"two"):
        with pytest.raises(FormatError):
            crypto.ed25519_verify(public, signature, message)


def test_control_without_the_key_check_a_small_order_key_signs_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attack is real: with the one check away, one signature fits every message (CRY-005)."""
    monkeypatch.setattr(crypto, "ed25519_check_public", lambda public: None)
    crypto._ed25519_public_key.cache_clear()
    try:
        public, signature = _universal_forgery()
        for message in (b"one", b"two", b"any other"):
            crypto.ed25519_verify(public, signature, message)
    finally:
        crypto._ed25519_public_key.cache_clear()


def test_the_reference_would_split_a_group_with_cofactor() -> None:
    """CRY-006: a signature of a member's own making on which the two readings differ."""
    scalar, _ = ed.secret(SEED)
    big_r = ed.encode(ed.add(ed.mul(77, ed.BASE), ed.T8))
    message = b"an entry that half of the group would take"
    s = (77 + ed.challenge(big_r, PUBLIC, message) * scalar) % ed.L
    signature = big_r + s.to_bytes(32, "little")
    assert ed.verify_with_cofactor(PUBLIC, signature, message)
    with pytest.raises(SignatureInvalid):
        crypto.ed25519_verify(PUBLIC, signature, message)


def test_es384_is_deterministic_and_bound_to_its_message() -> None:
    """CRY-008."""
    scalar = hashlib.sha384(b"scalar").digest()
    x, y = crypto.p384_public(scalar)
    signature = crypto.es384_sign(scalar, b"message")
    assert signature == crypto.es384_sign(scalar, b"message")
    crypto.es384_verify(x, y, signature, b"message")
    with pytest.raises(SignatureInvalid):
        crypto.es384_verify(x, y, signature, b"massage")


@given(st.binary(max_size=100))
def test_es384_refuses_any_bytes_as_signature(signature: bytes) -> None:
    """CRY-008: never another exception."""
    x, y = crypto.p384_public(bytes(47) + b"\x07")
    with pytest.raises(SignatureInvalid):
        crypto.es384_verify(x, y, signature, b"")


@given(st.binary(max_size=98), st.binary(max_size=98))
def test_p384_refuses_random_points(x: bytes, y: bytes) -> None:
    """CRY-007."""
    with pytest.raises(FormatError):
        crypto.p384_check_public(x, y)


def test_generated_scalars_make_points() -> None:
    """CRY-007."""
    scalar = crypto.p384_generate()
    assert len(scalar) == 48
    crypto.p384_check_public(*crypto.p384_public(scalar))


@pytest.mark.parametrize(("kem", "length"), [("xwing", 32), ("p384", 48)])
def test_hpke_opens_only_for_its_receiver_and_info(kem: str, length: int) -> None:
    """CRY-009, CRY-010, CRY-011."""
    secret, other = bytes(range(length)), bytes(range(1, length + 1))
    public = crypto.hpke_public(kem, secret)
    crypto.hpke_check_public(kem, public)
    sealed = crypto.hpke_seal(kem, public, b"info", b"secret")
    assert sealed != crypto.hpke_seal(kem, public, b"info", b"secret")
    assert crypto.hpke_open(kem, secret, b"info", sealed) == b"secret"
    for key, info in ((other, b"info"), (secret, b"infos")):
        with pytest.raises(DecryptFailed):
            crypto.hpke_open(kem, key, info, sealed)


@given(st.sampled_from(["xwing", "p384"]), st.binary(max_size=1400))
@settings(max_examples=60)
def test_hpke_open_fails_in_one_way(kem: str, sealed: bytes) -> None:
    """CRY-011: any bytes."""
    with pytest.raises(DecryptFailed):
        crypto.hpke_open(kem, bytes(range(32 if kem == "xwing" else 48)), b"", sealed)


@given(st.sampled_from(["xwing", "p384", "rsa4096", "x25519", ""]), st.binary(max_size=1400))
@settings(max_examples=60)
def test_any_bytes_as_receiving_key_are_refused_as_format(kem: str, public: bytes) -> None:
    """CRY-010."""
    with pytest.raises(FormatError):
        crypto.hpke_check_public(kem, public)


@pytest.mark.parametrize("kem", ["rsa4096", "", "XWING"])
def test_unknown_kems_are_refused_everywhere(kem: str) -> None:
    """CRY-010."""
    calls = [
        lambda: crypto.hpke_public(kem, bytes(32)),
        lambda: crypto.hpke_seal(kem, bytes(32), b"", b""),
        lambda: crypto.hpke_open(kem, bytes(32), b"", b""),
    ]
    for call in calls:
        with pytest.raises(CheckFailed) as caught:
            call()
        assert caught.value.code == "C_FORMAT"


def test_x25519_half_of_small_order_is_refused_only_because_it_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """CRY-010, with its control run: the bytes have the right form, only the exchange shows what they are."""
    public = crypto.xwing_public(SEED)[:1184] + bytes(32)
    with pytest.raises(FormatError):
        crypto.hpke_check_public("xwing", public)

    class _Lenient:
        def exchange(self, key: object) -> None:
            return None

    monkeypatch.setattr(crypto, "_PROBE", _Lenient())
    crypto._xwing_public_key.cache_clear()
    crypto.hpke_check_public("xwing", public)
    crypto._xwing_public_key.cache_clear()


def test_forget_private_keys_empties_every_cache_of_secrets() -> None:
    """CRY-012."""
    crypto.ed25519_sign(SEED, b"")
    crypto.hpke_open("xwing", SEED, b"", crypto.hpke_seal("xwing", crypto.xwing_public(SEED), b"", b""))
    assert crypto._ed25519_private.cache_info().currsize
    assert crypto._xwing_private.cache_info().currsize
    crypto.forget_private_keys()
    assert not crypto._ed25519_private.cache_info().currsize
    assert not crypto._xwing_private.cache_info().currsize
    assert not hasattr(crypto._p384_private, "cache_info")


def test_moduli_of_a_generator_that_can_be_factored_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """T-I6, CERT-006, with its control run: nothing but the remainders gives them away."""
    small = math.prod(p for p in range(2, 168) if all(p % q for q in range(2, p)))
    n = (1 << 4095) // small * small + small + pow(65537, 12345, small)
    modulus = n.to_bytes(512, "big")
    with pytest.raises(FormatError):
        crypto.rsa_check_public(modulus)
    crypto.rsa_check_public((n + 2).to_bytes(512, "big"))
    monkeypatch.setattr(crypto, "_POWERS", [(3, frozenset())])
    crypto.rsa_check_public(modulus)


def test_both_sides_of_an_agreement_get_the_same_secret_and_only_from_points() -> None:
    """CRY-007."""
    one, other = crypto.p384_generate(), crypto.p384_generate()
    shared = crypto.p384_ecdh(one, *crypto.p384_public(other))
    assert shared == crypto.p384_ecdh(other, *crypto.p384_public(one))
    assert len(shared) == 48
    x, y = crypto.p384_public(other)
    for scalar, point in ((bytes(48), (x, y)), (one[1:], (x, y)), (one, (x, x)), (one, (x[1:], y))):
        with pytest.raises(FormatError):
            crypto.p384_ecdh(scalar, *point)
