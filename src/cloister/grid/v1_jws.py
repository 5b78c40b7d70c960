"""WhisperGrid's tokens: a JWS without ``typ``, told apart by ``sub``. Kept away from the project's own envelopes.

What is loose here is what that client writes: keys with ``key_ops`` and ``ext``, ciphertext in base64url twice, nonces
in standard base64, quotes around a token. Everything else is closed: no other algorithm, no other member, no ``typ``,
so no token of ours is one of theirs nor the other way round. Spec: GRID-020 to GRID-024 (RFC 7515).
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from cloister import crypto
from cloister.errors import DecryptFailed, FormatError
from cloister.grid.keys import Rng, agree, thumbprint1
from cloister.protocol.encoding import b64d, b64e, json_emit, json_parse
from cloister.protocol.ids import Jwk, jwk_of, jwk_public
from cloister.protocol.shape import Check, shape

INVITE, OPENING, REPLY = "grid-invitation", "reply-to-invite", "grid-reply"
SELF, BACKUP, LOGIN, REMOVE = "self-encrypted", "", "login", "removeBackup"
MAX_TOKEN: Final = 1 << 20
MAX_BACKUP: Final = 64 << 20
BLANK: Final = " \t\r\n\ufeff"
SHORT: Final = 30  # UTF-16 units; a shorter plaintext gets fifteen random bytes
_BASE: Final = {"alg": "enum:ES384", "iat": "int"}
_SEALED: Final = {**_BASE, "re": "text:64", "iv": "text:16", "from": "id"}
KINDS: Final[dict[str, Check]] = {
    INVITE: shape({**_BASE, "sub": f"enum:{INVITE}", "jwk": "object"}),
    OPENING: shape({**_SEALED, "sub": f"enum:{OPENING}", "jwk": "object", "invite": "id", "epk": "object"}),
    REPLY: shape({**_SEALED, "sub": f"enum:{REPLY}"}),
    SELF: shape({**_BASE, "sub": f"enum:{SELF}", "jwk": "object", "iv": "text:16", "epk": "object"}),
    LOGIN: shape({**_BASE, "sub": f"enum:{LOGIN}", "jwk": "object"}),
    REMOVE: shape({**_BASE, "sub": f"enum:{REMOVE}", "jwk": "object"}),
    BACKUP: shape({**_BASE, "jwk": "object"}),
}
_JWK: Final = shape(
    {
        "kty": "enum:EC",
        "crv": "enum:P-384",
        "x": "bytes:48",
        "y": "bytes:48",
        "key_ops?": "list:8:text:16",
        "ext?": "bool",
    }
)


@dataclass(frozen=True)
class Token:
    """A decoded, not yet verified token. ``kind`` is its ``sub``, empty for a backup."""

    compact: str
    kind: str
    header: dict[str, Any]
    payload: bytes
    signature: bytes

    @cached_property
    def signing_input(self) -> bytes:
        """What is signed (JWS-004)."""
        return self.compact[: self.compact.rindex(".")].encode("ascii")

    @cached_property
    def jwk(self) -> Jwk:
        """The key in the header; KeyError for a reply, which has none."""
        return read_jwk(self.header["jwk"])

    @cached_property
    def body(self) -> dict[str, Any]:
        """The payload as JSON. Raises FormatError."""
        return json_parse(self.payload)


def bare(text: str) -> str:
    """Without the blanks and the one pair of quotes around it (GRID-020)."""
    compact = text.strip(BLANK)
    return compact[1:-1] if len(compact) > 1 and compact[0] == compact[-1] == '"' else compact


def decode(text: str) -> Token:
    """Read one token, its quotes taken off (GRID-020, GRID-021). Raises FormatError, for one of ours too (GRID-004)."""
    compact = bare(text)
    parts = compact.split(".")
    if len(parts) != 3 or len(parts[0]) > MAX_TOKEN:
        raise FormatError("token does not have three parts")
    header = json_parse(b64d(parts[0]))
    kind = header.get("sub", BACKUP)
    if type(kind) is not str or (kind == BACKUP and "sub" in header) or kind not in KINDS:
        raise FormatError("token of no known kind")
    if len(compact) > (MAX_BACKUP if kind == BACKUP else MAX_TOKEN):
        raise FormatError("token too large")
    KINDS[kind](header)
    token = Token(compact, kind, header, b64d(parts[1]), b64d(parts[2]))
    for name in ("jwk", "epk"):
        if name in header:
            read_jwk(header[name])
    if "iv" in header:
        _nonce(header["iv"])
    return token


def expect(text: str, kind: str) -> Token:
    """``decode`` of a token that must be of ``kind``. Raises FormatError."""
    token = decode(text)
    if token.kind != kind:
        raise FormatError("token of another kind")
    return token


def verify(token: Token, jwk: Mapping[str, str]) -> None:
    """Check the signature under ``jwk`` (GRID-022, CRY-008). Raises SignatureInvalid."""
    crypto.es384_verify(b64d(jwk["x"]), b64d(jwk["y"]), token.signature, token.signing_input)


def sign(header: dict[str, Any], payload: bytes, signer: Callable[[bytes], bytes]) -> str:
    """Make a token; what is made passes ``decode`` (GRID-021). Raises FormatError before anything is signed."""
    KINDS[header.get("sub", BACKUP)](header)
    signing_input = f"{b64e(json_emit(header))}.{b64e(payload)}"
    if len(signing_input) + 129 > (MAX_TOKEN if "sub" in header else MAX_BACKUP):
        raise FormatError("token too large")
    return f"{signing_input}.{b64e(signer(signing_input.encode('ascii')))}"


# --- keys ---------------------------------------------------------------------------------------------------------


def read_jwk(value: Any) -> Jwk:
    """A public key as that client exports it, without what it adds (GRID-023). Raises FormatError."""
    _JWK(value)
    crypto.p384_check_public(b64d(value["x"]), b64d(value["y"]))
    return jwk_of(b64d(value["x"]), b64d(value["y"]))


def write_jwk(jwk: Mapping[str, str], *ops: str) -> dict[str, Any]:
    """The same with what it adds: the operations the key is for, and that it may be exported (GRID-023)."""
    return {"key_ops": list(ops), "ext": True, "kty": "EC", "x": jwk["x"], "y": jwk["y"], "crv": "P-384"}


def write_private_jwk(scalar: bytes, *ops: str) -> dict[str, Any]:
    """A private key as that client exports it (GRID-023)."""
    return {**write_jwk(jwk_public(scalar), *ops), "d": b64e(scalar)}


def read_private_jwk(value: Any) -> bytes:
    """The scalar, 48 bytes, of a private key whose public half fits (GRID-023). Raises FormatError."""
    if type(value) is not dict or type(value.get("d")) is not str:
        raise FormatError("private key")
    public = {name: member for name, member in value.items() if name != "d"}
    scalar = b64d(value["d"])
    if jwk_public(scalar) != read_jwk(public):
        raise FormatError("a private key and another's public half")
    return scalar


# --- encryption ---------------------------------------------------------------------------------------------------


def shared_key(scalar: bytes, jwk: Mapping[str, str]) -> bytes:
    """The first 32 bytes of ECDH, as that client uses them: no derivation, no context (GRID-024)."""
    return agree(scalar, b"\x04" + b64d(jwk["x"]) + b64d(jwk["y"]))[: crypto.KEY_LENGTH]


def seal(key: bytes, content: object, rng: Rng) -> tuple[str, bytes]:
    """(``iv``, payload) of ``content``: text or an object (GRID-024)."""
    plain = json_emit({"m": content})
    if len(plain.decode().encode("utf-16-le")) < 2 * SHORT:
        plain = json_emit({"random": rng(SHORT // 2).hex(), "m": content})
    nonce = rng(crypto.NONCE_LENGTH)
    sealed = b64e(crypto.aead_seal(key, nonce, plain, b""))
    return binascii.b2a_base64(nonce, newline=False).decode("ascii"), sealed.encode("ascii")


def open(key: bytes, token: Token) -> Any:  # noqa: A001
    """What ``seal`` was given. Raises DecryptFailed, and FormatError for what opens and does not fit (GRID-024)."""
    plain = json_parse(crypto.aead_open(key, _nonce(token.header["iv"]), _ciphertext(token.payload), b""))
    if "m" not in plain or not set(plain) <= {"m", "random"}:
        raise FormatError("content")
    return plain["m"]


def _ciphertext(payload: bytes) -> bytes:
    try:
        return b64d(payload.decode("ascii"))
    except UnicodeDecodeError:
        raise FormatError("ciphertext is not base64url") from None


def _nonce(text: str) -> bytes:
    try:
        nonce = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        raise FormatError("nonce is not base64") from None
    if len(nonce) != crypto.NONCE_LENGTH:
        raise FormatError("nonce length")
    return nonce


def open_self(token: Token, sign_jwk: Mapping[str, str], store: bytes) -> str:
    """What the owner of ``sign_jwk`` sealed to itself: text (GRID-037). ``store`` is its storage scalar.

    Raises SignatureInvalid, DecryptFailed, FormatError.
    """
    if thumbprint1(token.jwk) != thumbprint1(sign_jwk):
        raise DecryptFailed("sealed by somebody else")
    verify(token, sign_jwk)
    content = open(shared_key(store, read_jwk(token.header["epk"])), token)
    if type(content) is not str:
        raise FormatError("content")
    return content
