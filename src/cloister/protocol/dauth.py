"""The typed challenge by which an unlocked device gets a session: no password, no secret shown.

Spec: CERT-008, CERT-009.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from cloister.errors import Expired, LogInvalid
from cloister.protocol import jws
from cloister.protocol.encoding import b64d, b64e

TYP: Final = "sph-dauth+1"
MAX_LIFE: Final = 60


def make(signer: Callable[[bytes], bytes], dv: str, *, aud: str, nonce: bytes, iat: int) -> str:
    """Answer the relay's nonce (32 bytes) for the origin ``aud``; valid 60 seconds (CERT-008)."""
    payload = {"aud": aud, "dv": dv, "nonce": b64e(nonce), "iat": iat, "exp": iat + MAX_LIFE}
    return jws.sign(TYP, {"kid": dv}, payload, signer)


def read(compact: str) -> tuple[str, bytes]:
    """(dv, nonce) an answer claims, so that its key and nonce can be looked up. Raises FormatError."""
    body = jws.decode(compact, TYP).body
    return body["dv"], b64d(body["nonce"])


def verify(compact: str, dk: bytes, *, dv: str, origins: Collection[str], nonce: bytes, now: int) -> None:
    """Check an answer: signature, device, origin, nonce, time (CERT-009).

    ``now`` unix seconds of the verifier; a device's clock may be wrong, so only ``exp - iat`` is bounded and the
    nonce's own life (60 s, single use, kept by the relay) says how old an answer can be. Raises SignatureInvalid,
    LogInvalid, Expired, FormatError.
    """
    envelope = jws.decode(compact, TYP)
    jws.verify_ed25519(envelope, dk)
    body = envelope.body
    if envelope.header["kid"] != dv or body["dv"] != dv or b64d(body["nonce"]) != nonce:
        raise LogInvalid("the answer is for another device or challenge")
    if body["aud"] not in origins:
        raise LogInvalid("the answer is for another origin")
    if not body["iat"] <= body["exp"] <= body["iat"] + MAX_LIFE or abs(now - body["iat"]) > CLOCK_SKEW:
        raise Expired("device sign-in")


CLOCK_SKEW: Final = 600
