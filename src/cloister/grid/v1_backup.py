"""WhisperGrid's backups: everything of one identity in one signed token, private keys under a password.

The format protects the private keys only: invitations, contacts and relays in it can be read by whoever has the file.
So a backup is read for its keys and tokens; what it says about the state of a conversation is computed again from the
tokens themselves. Spec: GRID-036 to GRID-039.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from cloister import crypto
from cloister.errors import CheckFailed, DecryptFailed, FormatError, VaultError
from cloister.grid import places, v1, v1_jws
from cloister.grid.keys import Identity, Rng, new_scalar, thumbprint1
from cloister.grid.v1_jws import BACKUP, INVITE, OPENING, SELF
from cloister.grid.v1_thread import Held, Side, Thread
from cloister.protocol.encoding import json_emit, json_parse
from cloister.protocol.ids import jwk_public
from cloister.protocol.shape import shape

ITERATIONS: Final = 100_000
SALT_LENGTH: Final = 16
_BACKUP: Final = shape(
    {
        "thumbprint": "id",
        "identity": "object",
        "invites?": "object",
        "threads": "object",
        "encryptedThreadKeys": "object",
    }
)
_IDENTITY: Final = shape({"id": "object", "storage": "object"})
_STORED: Final = shape({"jwk": "object", "private": "text:4096"})
_THREAD: Final = shape({"threadInfo": "object", "messages": "object"})
_INFO: Final = shape(
    {
        "myThumbprint": "id",
        "theirEPK": "object",
        "signedInvite": f"text:{v1_jws.MAX_TOKEN}",
        "theirSignature": "object",
        "syn?": "text:13",
        "*": "what it says about the state",
    }
)
_MESSAGES: Final = shape({"messages": f"list:1000000:text:{v1_jws.MAX_TOKEN}", "*": "numbers"})


@dataclass(frozen=True)
class Restored:
    """What a backup gave: conversations with the tokens that were taken, and those that were refused with the code."""

    identity: Identity = field(repr=False)
    invitations: tuple[Held, ...]
    threads: tuple[Thread, ...]
    tokens: dict[str, tuple[str, ...]]
    refused: tuple[tuple[str, str], ...]


# --- private keys under a password --------------------------------------------------------------------------------


def lock(scalar: bytes, password: str, *ops: str, rng: Rng) -> str:
    """A private key as that client stores it: ``b64(ct).b64(iv).b64(salt)`` (GRID-036)."""
    salt, nonce = rng(SALT_LENGTH), rng(crypto.NONCE_LENGTH)
    plain = json_emit(v1_jws.write_private_jwk(scalar, *ops))
    sealed = crypto.aead_seal(_password_key(password, salt), nonce, plain, b"")
    return _standard([sealed, nonce, salt])


def _standard(parts: Iterable[bytes]) -> str:
    return ".".join(binascii.b2a_base64(part, newline=False).decode("ascii") for part in parts)


def unlock(text: str, password: str) -> bytes:
    """The scalar, 48 bytes (GRID-036). Raises VaultError for a wrong password or a damaged text."""
    try:
        sealed, nonce, salt = parts = [binascii.a2b_base64(part, strict_mode=True) for part in text.split(".")]
    except ValueError:
        raise VaultError("stored key") from None
    if _standard(parts) != text or len(nonce) != crypto.NONCE_LENGTH or len(salt) != SALT_LENGTH:
        raise VaultError("stored key")
    try:
        plain = crypto.aead_open(_password_key(password, salt), nonce, sealed, b"")
        return v1_jws.read_private_jwk(json_parse(plain))
    except (DecryptFailed, FormatError):
        raise VaultError("stored key", reason="password") from None


def _password_key(password: str, salt: bytes) -> bytes:
    return crypto.pbkdf2_sha256(password.encode(), salt, iterations=ITERATIONS)


# --- conversation keys sealed to oneself --------------------------------------------------------------------------


def keep(identity: Identity, scalar: bytes, *, now: int, rng: Rng) -> str:
    """A conversation key sealed to oneself, as that client keeps it (GRID-037)."""
    fresh = new_scalar(rng)
    pair = {
        "privateKeyJWK": v1_jws.write_private_jwk(scalar, "deriveKey", "deriveBits"),
        "publicKeyJWK": v1_jws.write_jwk(jwk_public(scalar)),
    }
    key = v1_jws.shared_key(fresh, jwk_public(identity.store))
    nonce, payload = v1_jws.seal(key, json_emit(pair).decode(), rng)
    header = {"alg": "ES384", "jwk": v1_jws.write_jwk(identity.jwk, "verify"), "iat": now, "sub": SELF, "iv": nonce}
    return v1_jws.sign({**header, "epk": v1_jws.write_jwk(jwk_public(fresh))}, payload, identity.signer)


def kept(identity: Identity, compact: str) -> bytes:
    """The scalar in ``keep``'s token (GRID-037). Raises SignatureInvalid, NotMember, DecryptFailed, FormatError."""
    pair = json_parse(v1_jws.open_self(v1_jws.expect(compact, SELF), identity.jwk, identity.store).encode())
    if not set(pair) == {"privateKeyJWK", "publicKeyJWK"}:
        raise FormatError("key pair")
    scalar = v1_jws.read_private_jwk(pair["privateKeyJWK"])
    if v1_jws.read_jwk(pair["publicKeyJWK"]) != jwk_public(scalar):
        raise FormatError("key pair")
    return scalar


# --- the backup ---------------------------------------------------------------------------------------------------


def write(
    identity: Identity,
    password: str,
    invitations: Iterable[Held],
    threads: Iterable[tuple[Thread, Sequence[str]]],
    *,
    now: int,
    rng: Rng,
) -> str:
    """A backup that client can load (GRID-038). Each conversation comes with its tokens, the invitation first."""
    body: dict[str, Any] = {"thumbprint": identity.id1, "identity": _locked(identity, password, rng)}
    keys: dict[str, str] = {}
    body["invites"] = {}
    for held in invitations:
        body["invites"][held.name] = held.compact
        keys[held.name] = keep(identity, held.scalar, now=now, rng=rng)
    body["threads"] = {}
    for thread, tokens in threads:
        name = thumbprint1(jwk_public(thread.scalar))
        if name not in keys:
            keys[name] = keep(identity, thread.scalar, now=now, rng=rng)
        number = f"{v1.read_invite(thread.invite).number:x}"
        messages = {"min": number, "max": number, "messages": list(tokens)}
        body["threads"][thread.th] = {"threadInfo": _info(thread, name), "messages": messages}
    body["encryptedThreadKeys"] = keys
    header = {"alg": "ES384", "jwk": v1_jws.write_jwk(identity.jwk, "verify"), "iat": now}
    return v1_jws.sign(header, json_emit(body), identity.signer)


def _locked(identity: Identity, password: str, rng: Rng) -> dict[str, Any]:
    return {
        "id": {
            "jwk": v1_jws.write_jwk(identity.jwk, "verify"),
            "private": lock(identity.sign, password, "sign", rng=rng),
        },
        "storage": {
            "jwk": v1_jws.write_jwk(jwk_public(identity.store)),
            "private": lock(identity.store, password, "deriveKey", "deriveBits", rng=rng),
        },
    }


def _info(thread: Thread, name: str) -> dict[str, Any]:
    """The state as that client writes it, its list of what is missing included (GRID-038)."""
    info: dict[str, Any] = {"missing": [], "windowSize": 5}
    if thread.theirs:
        runs = thread.theirs.runs
        info |= {"maxAck": f"{thread.theirs.number(places.last(runs)):x}"}
        info |= {"minAck": f"{thread.theirs.number(places.upto(runs)):x}"}
        lost = (place for first, last in places.gaps(runs) for place in range(first, last + 1))
        info["missing"] = [f"{thread.theirs.number(place):x}" for place in lost]
    if thread.mine:
        info["syn"] = f"{thread.mine.number(places.last(thread.mine.runs)):x}"
    return {
        **info,
        "myThumbprint": name,
        "theirEPK": v1_jws.write_jwk(thread.epk),
        "signedInvite": thread.invite,
        "theirSignature": v1_jws.write_jwk(thread.them, "verify"),
        "relays": {thumbprint1(thread.them): thread.relay} if thread.relay else {},
    }


def read(compact: str, password: str) -> Restored:
    """Open a backup with its password and take every token of it anew (GRID-039).

    Raises SignatureInvalid, VaultError for a wrong password or keys that are not the owner's, FormatError. A
    conversation or token that does not hold is listed in ``refused`` with its error's code; the others are taken.
    """
    token = v1_jws.expect(compact, BACKUP)
    v1_jws.verify(token, token.jwk)
    body = token.body
    _BACKUP(body)
    identity = _owner(body, password)
    if identity.jwk != token.jwk or body["thumbprint"] != identity.id1:
        raise VaultError("a backup signed by somebody else")
    keys: dict[str, bytes] = {}
    refused: list[tuple[str, str]] = []
    for name, sealed in body["encryptedThreadKeys"].items():
        try:
            scalar = kept(identity, _text(sealed))
            keys[thumbprint1(jwk_public(scalar))] = scalar
        except CheckFailed as error:
            refused.append((name, error.code))
    invitations = []
    for name, signed in body.get("invites", {}).items():
        try:
            found = v1.read_invite(_text(signed))
            if found.jwk != identity.jwk or found.name not in keys:
                raise FormatError("not an own invitation")
            invitations.append(Held(found.compact, keys[found.name]))
        except CheckFailed as error:
            refused.append((name, error.code))
    threads, tokens = [], {}
    for name, row in body["threads"].items():
        try:
            thread, taken, left = _thread(identity, keys, row)
        except CheckFailed as error:
            refused.append((name, error.code))
            continue
        threads.append(thread)
        tokens[thread.th] = taken
        refused += left
    return Restored(identity, tuple(invitations), tuple(threads), tokens, tuple(refused))


def _owner(body: Mapping[str, Any], password: str) -> Identity:
    _IDENTITY(body["identity"])
    stored = (body["identity"]["id"], body["identity"]["storage"])
    scalars = []
    for one in stored:
        _STORED(one)
        scalar = unlock(one["private"], password)
        if jwk_public(scalar) != v1_jws.read_jwk(one["jwk"]):
            raise VaultError("a private key and another's public half")
        scalars.append(scalar)
    return Identity(*scalars)


def _thread(
    identity: Identity, keys: Mapping[str, bytes], row: Any
) -> tuple[Thread, tuple[str, ...], list[tuple[str, str]]]:
    """(conversation, tokens taken, tokens refused). Raises CheckFailed when the conversation itself does not hold."""
    _THREAD(row)
    info = row["threadInfo"]
    _INFO(info)
    _MESSAGES(row["messages"])
    found = v1.read_invite(info["signedInvite"])
    scalar = keys.get(info["myThumbprint"])
    if scalar is None:
        raise VaultError("the conversation's key is not in the backup")
    them, epk = v1_jws.read_jwk(info["theirSignature"]), v1_jws.read_jwk(info["theirEPK"])
    thread = v1.begin(identity.jwk, them, scalar, epk, found)
    waiting = [text for text in row["messages"]["messages"] if text != info["signedInvite"]]
    waiting.sort(key=lambda text: 0 if _kind(text) == OPENING else 1)
    taken, refused = [found.compact], []
    for text in waiting:
        try:
            thread, _ = v1.read(thread, text)
            taken.append(text)
        except CheckFailed as error:
            refused.append((text[-16:], error.code))
    if "syn" in info:  # a number that was given away is never given again
        mine = thread.mine or Side(v1.read_number(info["syn"]))
        place = mine.place(v1.read_number(info["syn"]))
        if not places.holds(mine.runs, place):
            mine = replace(mine, runs=places.put(mine.runs, place))
        thread = replace(thread, mine=mine)
    return thread, tuple(taken), refused


def _kind(text: str) -> str:
    try:
        return v1_jws.decode(text).kind
    except FormatError:
        return INVITE


def _text(value: Any) -> str:
    if type(value) is not str:
        raise FormatError("token expected")
    return value
