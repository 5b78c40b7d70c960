"""Device certificates: an identity key says which device keys are its owner's.

Knows one structure, ``sph-dev+1``. A certificate with a key nobody could use is refused here, so that such a device
never enters a state and stops every later rotation; so is one whose device did not sign that it is this person's, so
that nobody takes another person's device for his own. Whether a certificate is expired is a question of the entry that
carries it, not of the clock of whoever reads it.

Spec: CERT-001 to CERT-007, CERT-010.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from cloister import crypto
from cloister.errors import FormatError, KeyUnknown
from cloister.protocol import jws
from cloister.protocol.encoding import b64d, b64e, lp
from cloister.protocol.ids import Jwk, device_id, identity_id, jwk_public
from cloister.protocol.shape import shape

TYP: Final = "sph-dev+1"
_RENEW_SHAPE: Final = shape(jws.RENEW)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A verified certificate. ``id`` is the owner's handle, ``issuer`` the id- of the key that signed.

    ``dk`` 32 bytes, ``de`` in the encoding of ``kem``, ``iat`` and ``exp`` unix seconds, ``digest`` H(SI).
    """

    compact: str
    id: str
    dv: str
    dk: bytes
    kem: str
    de: bytes
    iat: int
    exp: int
    issuer: str
    digest: bytes


def check_receiving_key(kem: str, de: bytes) -> None:
    """Refuse a receiving key that cannot be sealed to (CERT-005, CERT-006). Raises FormatError."""
    if kem != "rsa4096":
        crypto.hpke_check_public(kem, de)
    else:
        crypto.rsa_check_public(de)


def possession_message(owner: str, dv: str, kem: str, de: bytes, iat: int, exp: int) -> bytes:
    """What a device signs to be certified as ``owner``'s: a key's name alone is public (CERT-010)."""
    return lp("sph/1 dev", owner, dv, kem, crypto.sha256(de), iat, exp)


def issue(
    ik_scalar: bytes, owner: str, signer: Callable[[bytes], bytes], dk: bytes, kem: str, de: bytes, iat: int, exp: int
) -> str:
    """Certify a device of ``owner`` (handle) with the identity key ``ik_scalar``, 48 bytes (CERT-001, CERT-010).

    ``signer`` is the device's own, of ``dk``. Raises FormatError for keys nobody could use.
    """
    crypto.ed25519_check_public(dk)
    check_receiving_key(kem, de)
    dv = device_id(dk)
    payload = {"id": owner, "dv": dv, "dk": b64e(dk), "kem": kem, "de": b64e(de), "iat": iat, "exp": exp}
    payload["pop"] = b64e(signer(possession_message(owner, dv, kem, de, iat, exp)))
    kid = identity_id(jwk_public(ik_scalar))
    return jws.sign(TYP, {"kid": kid}, payload, jws.identity_signer(ik_scalar))


def verify(compact: str, ik: Jwk) -> Certificate:
    """Verify a certificate under the identity key ``ik`` (CERT-002 to CERT-006, CERT-010).

    Raises FormatError, KeyUnknown when another key issued it, SignatureInvalid.
    """
    envelope = jws.decode(compact, TYP)
    issuer = identity_id(ik)
    if envelope.header["kid"] != issuer:
        raise KeyUnknown("the certificate names another issuer")  # CERT-002
    jws.verify_es384(envelope, ik)
    body = envelope.body
    dk, de = b64d(body["dk"]), b64d(body["de"])
    if body["dv"] != device_id(dk):
        raise FormatError("dv is not the name of dk")  # CERT-003
    if body["exp"] <= body["iat"]:
        raise FormatError("the certificate ends before it begins")
    crypto.ed25519_check_public(dk)
    check_receiving_key(body["kem"], de)
    check_possession(body, dk, de)
    return Certificate(
        compact, body["id"], body["dv"], dk, body["kem"], de, body["iat"], body["exp"], issuer, envelope.digest
    )


def check_possession(body: dict[str, Any], dk: bytes, de: bytes) -> None:
    """The device itself says whose it is, and with which receiving key (CERT-010). Raises SignatureInvalid."""
    signed = possession_message(body["id"], body["dv"], body["kem"], de, body["iat"], body["exp"])
    crypto.ed25519_verify(dk, b64d(body["pop"]), signed)


def claimed_owner(compact: str) -> str:
    """The handle a certificate claims, before anything is verified: to look up the key to verify with."""
    return str(jws.decode(compact, TYP).body["id"])


def renewal(value: Any) -> tuple[str, bytes]:
    """Check a ``renew`` member: (kem, DE) that replace the certificate's (CERT-007). Raises FormatError."""
    _RENEW_SHAPE(value)
    kem, de = value["kem"], b64d(value["de"])
    check_receiving_key(kem, de)
    return kem, de
