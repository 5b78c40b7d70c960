"""One message: sealing, decoding, opening.

A message is a signed envelope ``sph-msg+1``. Its key is derived for it alone from the epoch secret, committed to in
the header and bound to the whole header as AAD. This module judges one message without its chain and without the log;
``run`` judges those. Spec: MSG-001 to MSG-008.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple

from cloister import crypto
from cloister.errors import DecryptFailed, FormatError, KeyUnknown
from cloister.protocol import jws
from cloister.protocol.encoding import PROTOCOL, b64d, b64e, json_emit, lp
from cloister.sphere import padding
from cloister.sphere import payload as payloads
from cloister.sphere.epoch import EpochKey, Rng
from cloister.sphere.payload import Payload

TYP: Final = "sph-msg+1"
SEALED: Final = "A256GCM"
CLEAR: Final = "none"
MAX_COMPACT: Final = jws.TYPS[TYP].limit

# A header written in the order of wire.json is read by one expression that accepts a part of what the general reader
# accepts and gives the same values; any other order goes the general way (MSG-002).
_H: Final = r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]"
_B16: Final = r"[A-Za-z0-9_-]{21}[AQgw]"
_INT: Final = r"0|[1-9][0-9]{0,14}"
_PLAIN_ORDER: Final = re.compile(
    rf'{{"alg":"Ed25519","typ":"sph-msg\+1","kid":"(dv-{_H})","sph":"(sp-{_H})","ep":(0|[1-9][0-9]{{0,8}}),'
    rf'"mid":"({_B16})","seq":({_INT}),"ph":"((?:{_H})?)","lh":"({_H})","ls":({_INT})(?:,"thr":"({_B16})")?'
    rf'(?:,"try":({_INT}))?,"iat":({_INT}),"enc":"(A256GCM|none)"(?:,"n":"([A-Za-z0-9_-]{{16}})","cm":"({_H})")?}}'
)
_SIGNATURE: Final = re.compile(r"[A-Za-z0-9_-]{85}[AQgw]")


class Head(NamedTuple):
    """The header of a message in wire form (hashes and nonces as base64url text, "" when absent)."""

    kid: str
    sph: str
    ep: int
    mid: str
    seq: int
    ph: str
    lh: str
    ls: int
    thr: str
    tries: int
    iat: int
    enc: str
    n: str
    cm: str


class Message(NamedTuple):
    """A decoded, not yet verified message.

    ``sealed`` is the payload as it travels, ``signing_input`` what is signed and hashed (JWS-004), ``digest`` its
    hash, 32 bytes, ``link`` the same as base64url text.
    """

    compact: str
    head: Head
    header_part: str
    sealed: bytes
    signing_input: bytes
    signature_part: str
    digest: bytes
    link: str


class Place(NamedTuple):
    """Where a message stands: ``seq`` in its device's chain after ``ph`` (H of the one before, b"" at seq 1), and the
    newest log entry its author holds: position ``ls``, hash ``lh``; ``ep`` is the epoch there. ``tries`` counts
    re-sealings at the same seq after a refusal (MSG-006)."""

    seq: int
    ph: bytes
    ls: int
    lh: bytes
    ep: int
    tries: int = 0


def decode(compact: str) -> Message:
    """Read a compact message: size, three parts, base64url, header grammar and members (MSG-002).

    Raises FormatError.
    """
    if len(compact) > MAX_COMPACT:
        raise FormatError("envelope too large")
    parts = compact.split(".")
    if len(parts) != 3 or len(parts[0]) > jws.MAX_HEADER:
        raise FormatError("envelope does not have three parts")
    header, payload, signature = parts
    raw = b64d(header)
    if not _SIGNATURE.fullmatch(signature):
        b64d(signature)
    sealed = b64d(payload)
    match = _PLAIN_ORDER.fullmatch(raw.decode("latin-1"))
    if match:
        kid, sph, ep, mid, seq, ph, lh, ls, thr, tries, iat, enc, n, cm = match.groups()
        head = Head(
            kid,
            sph,
            int(ep),
            mid,
            int(seq),
            ph,
            lh,
            int(ls),
            thr or "",
            int(tries) if tries else 0,
            int(iat),
            enc,
            n or "",
            cm or "",
        )
    else:
        head = _general(jws.decode(compact, TYP).header)
    if head.seq == 0 or (head.seq == 1) != (head.ph == ""):
        raise FormatError("seq starts at 1, and only there ph is empty")
    if (head.enc == SEALED) != (head.n != "") or (head.n == "") != (head.cm == ""):
        raise FormatError("n and cm go with encryption")
    signing_input = compact[: -1 - len(signature)].encode("ascii")
    digest = crypto.sha256(signing_input)
    return Message(compact, head, header, sealed, signing_input, signature, digest, b64e(digest))


def _general(h: dict[str, Any]) -> Head:
    return Head(
        *(h["kid"], h["sph"], h["ep"], h["mid"], h["seq"], h["ph"], h["lh"], h["ls"], h.get("thr", "")),
        *(h.get("try", 0), h["iat"], h["enc"], h.get("n", ""), h.get("cm", "")),
    )


def verify(message: Message, dk: bytes) -> None:
    """Check the device's signature (MSG-003). Raises SignatureInvalid."""
    crypto.ed25519_verify(dk, b64d(message.signature_part), message.signing_input)


def seal(
    payload: Payload,
    place: Place,
    *,
    sph: str,
    dv: str,
    signer: Callable[[bytes], bytes],
    iat: int,
    rng: Rng,
    key: EpochKey | None = None,
    thr: bytes = b"",
) -> str:
    """Make a message (MSG-001, MSG-004 to MSG-006). With ``key`` encrypted, without it in clear.

    A clear message in an encrypted sphere needs ``payload.pt``. ``rng`` gives mid (16) and nonce (12). Raises
    FormatError, also when the text is too long for an envelope.
    """
    if key is not None and (key.sph != sph or key.n != place.ep):
        raise FormatError("key of another epoch or sphere")
    if key is not None and payload.pt:
        raise FormatError("pt belongs to clear text")
    mid = rng(16)
    content = payloads.encode(payload)
    head: dict[str, Any] = {
        "alg": "Ed25519",
        "typ": TYP,
        "kid": dv,
        "sph": sph,
        "ep": place.ep,
        "mid": b64e(mid),
        "seq": place.seq,
        "ph": b64e(place.ph),
        "lh": b64e(place.lh),
        "ls": place.ls,
    }
    if thr:
        head["thr"] = b64e(thr)
    if place.tries:
        head["try"] = place.tries
    head |= {"iat": iat, "enc": CLEAR if key is None else SEALED}
    nonce = secret = b""
    if key is not None:
        nonce, material = rng(crypto.NONCE_LENGTH), _material(key, dv, mid)
        secret = material[:32]
        head |= {"n": b64e(nonce), "cm": b64e(material[32:])}
    header_part = b64e(json_emit(head))
    if key is not None:
        content = crypto.aead_seal(secret, nonce, padding.pad(content), header_part.encode("ascii"))
    signing_input = f"{header_part}.{b64e(content)}"
    compact = f"{signing_input}.{b64e(signer(signing_input.encode('ascii')))}"
    decode(compact)
    return compact


def open(message: Message, key: EpochKey | None, *, mode: str = "e2ee") -> Payload:  # noqa: A001
    """Open a message that ``run`` found authentic (MSG-004, MSG-005, MSG-008).

    ``key`` is the key of epoch ``head.ep`` (ignored for clear text), ``mode`` the sphere's mode at ls. Raises
    KeyUnknown without the right key; DecryptFailed when commitment or tag fail; FormatError for a payload that does
    not fit, a clear one without its author's confirmation included; VersionTooOld for an unknown kind.
    """
    head, sealed = message.head, message.sealed
    if head.enc == CLEAR:
        payload = payloads.decode(sealed)
        if payload.pt != (mode == "e2ee"):
            raise FormatError("pt does not fit the mode")
        return payload
    if key is None or key.n != head.ep or key.sph != head.sph:
        raise KeyUnknown(f"epoch {head.ep}")
    material = _material(key, head.kid, _raw(head.mid))
    crypto.require_equal(b64e(material[32:]).encode(), head.cm.encode(), DecryptFailed)
    plain = crypto.aead_open(material[:32], _raw(head.n), sealed, message.header_part.encode("ascii"))
    payload = payloads.decode(padding.unpad(plain))
    if payload.pt:
        raise FormatError("pt belongs to clear text")
    return payload


def _material(key: EpochKey, dv: str, mid: bytes) -> bytes:
    """mk = KDF(E_n, mid, "msg", LP(sph, n, dv, mid), 64): 32 bytes of key, 32 of commitment (MSG-004)."""
    return crypto.hkdf_sha256(key.secret, mid, _info(key.sph, key.n, dv) + mid, 64)


@lru_cache(maxsize=4096)
def _info(sph: str, n: int, dv: str) -> bytes:
    # LP("sph/1", "msg", LP(sph, n, dv, mid)) up to the 16 bytes of mid, which come last.
    ctx = lp(sph, n, dv) + (16).to_bytes(4, "big")
    return lp(PROTOCOL, "msg") + (len(ctx) + 16).to_bytes(4, "big") + ctx


_STANDARD: Final = bytes.maketrans(b"-_", b"+/")


def _raw(text: str) -> bytes:
    # Only for mid and nonce, whose grammar decode has checked.
    return binascii.a2b_base64(text.encode().translate(_STANDARD) + b"==")
