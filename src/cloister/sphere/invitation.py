"""Invitations: the key pair that a link's secret unfolds to, and the link itself.

The log holds only the public half, so every member can check that an asker had the link and none can forge it. The
secret is in the link's fragment, which no browser sends to a server (INV-002). To somebody with whom one is in a sphere
already the link can go as a letter, sealed to the device. Spec: INV-001 to INV-007.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol
from unicodedata import category

from cloister import crypto
from cloister.errors import DecryptFailed, FormatError, Gap, LogFork
from cloister.protocol.encoding import b64d, b64e, kdf, lp
from cloister.protocol.state import Device
from cloister.sphere import padding, share
from cloister.sphere.share import Party

SEED_LENGTH: Final = 32
PIN_LENGTH: Final = 16
MAX_LABEL: Final = 64
MAX_LINK: Final = 1024
_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Zs"})
_SEQ: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_SPH: Final = re.compile(r"sp-[A-Za-z0-9_-]{43}")
_ORIGIN: Final = re.compile(r"https?://(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:]{2,45}\])(?::[1-9][0-9]{0,4})?")


class Digests(Protocol):
    """The part of a verified history a link is pinned against: H of the entry at ``seq``."""

    def digest(self, seq: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Link:
    """A parsed link.

    ``kind``: ``invite`` (has everything), ``ask`` (only the sphere: asks to be let in), ``public`` (reading without an
    account). ``origin`` scheme://host[:port]; ``jti`` 16 bytes; ``seed`` 32 secret bytes; ``seq`` and ``pin`` the
    position and the first 16 bytes of H of the log entry pinned; ``label`` what the link says the sphere is called.
    """

    kind: Literal["invite", "ask", "public"]
    origin: str
    sph: str
    jti: bytes = b""
    seed: bytes = field(default=b"", repr=False)
    seq: int = 0
    pin: bytes = b""
    label: str = ""


def key_pair(seed: bytes, sph: str, jti: bytes) -> tuple[bytes, bytes]:
    """(ivk seed, ipk), Ed25519, of a link's secret: KDF(seed, "", "invite", LP(sph, jti), 32) (INV-001)."""
    if len(seed) != SEED_LENGTH or len(jti) != 16:
        raise FormatError("invitation seed")
    ivk = kdf(seed, b"", "invite", lp(sph, jti), 32)
    return ivk, crypto.ed25519_public(ivk)


def emit(link: Link) -> str:
    """The link as text (INV-003, INV-004). Raises FormatError for parts that parse would refuse."""
    if link.kind == "invite":
        parts = [link.sph, b64e(link.jti), b64e(link.seed), str(link.seq), b64e(link.pin)]
        if link.label:
            parts.append(b64e(link.label.encode()))
        text = f"{link.origin}/j#{'~'.join(parts)}"
    elif link.kind == "ask":
        text = f"{link.origin}/j#{link.sph}"
    else:
        text = f"{link.origin}/p#{link.sph}~{link.seq}~{b64e(link.pin)}"
    if parse(text) != link:
        raise FormatError("link parts")
    return text


def parse(text: str) -> Link:
    """Read a link (INV-003, INV-004). Raises FormatError, whose detail never holds a part of the link."""
    if len(text) > MAX_LINK:
        raise FormatError("link too long")
    place, mark, fragment = text.partition("#")
    origin, page = place[:-2], place[-2:]
    parts = fragment.split("~")
    if not mark or not _ORIGIN.fullmatch(origin) or not _SPH.fullmatch(parts[0]):
        raise FormatError("link form")
    b64d(parts[0][3:])
    if page == "/j" and len(parts) == 1:
        return Link("ask", origin, parts[0])
    if page == "/j" and len(parts) in (5, 6):
        label = _label(parts[5]) if len(parts) == 6 else ""
        jti, seed = _exactly(parts[1], 16), _exactly(parts[2], SEED_LENGTH)
        return Link("invite", origin, parts[0], jti, seed, _seq(parts[3]), _exactly(parts[4], PIN_LENGTH), label)
    if page == "/p" and len(parts) == 3:
        return Link("public", origin, parts[0], seq=_seq(parts[1]), pin=_exactly(parts[2], PIN_LENGTH))
    raise FormatError("link form")


def seal(link: Link, via: str, sender: Party, to: Device, jti: bytes, rng: Callable[[int], bytes]) -> bytes:
    """``ct`` of a letter with a link for a device of the sphere ``via``; ``jti`` is the letter's (INV-007)."""
    return share.seal_to(
        to, _bound(via, sender, Party(to.owner, to.dv), to.kem, jti), padding.pad(emit(link).encode()), rng
    )


def open(  # noqa: A001
    body: Mapping[str, Any], via: str, jti: bytes, sender: Party, me: Party, kem: str, secrets: Iterable[bytes]
) -> Link:
    """The link in the body of a letter ``jti`` of the sphere ``via``, whose signature was checked (INV-007).

    Raises DecryptFailed when it was not sealed for this device, sphere, letter and sender, FormatError for what is no
    link with a secret.
    """
    if body["idR"] != me.id or body["dvR"] != me.dv or body["kem"] != kem:
        raise DecryptFailed("the invitation is not for this device")
    data = padding.unpad(share.open_any(kem, secrets, _bound(via, sender, me, kem, jti), b64d(body["ct"])))
    try:
        link = parse(data.decode("ascii"))
    except UnicodeDecodeError:
        raise FormatError("link form") from None
    if link.kind != "invite":
        raise FormatError("a link without a secret")
    return link


def _bound(via: str, sender: Party, to: Party, kem: str, jti: bytes) -> bytes:
    return lp("sph/1 invite", via, sender.id, sender.dv, to.id, to.dv, kem, jti)


def check_pin(link: Link, history: Digests) -> None:
    """The log shown must hold the pinned entry (INV-005). Raises LogFork. A link without a pin passes."""
    try:
        held = history.digest(link.seq)[:PIN_LENGTH] if link.pin else b""
    except Gap:
        held = b""
    if held != link.pin:
        raise LogFork("the log is not the one this link was made in")


def _exactly(text: str, length: int) -> bytes:
    value = b64d(text)
    if len(value) != length:
        raise FormatError("link part length")
    return value


def _seq(text: str) -> int:
    if not _SEQ.fullmatch(text) or int(text) >= 2**53:
        raise FormatError("link position")
    return int(text)


def _label(text: str) -> str:
    raw = b64d(text)
    try:
        label = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise FormatError("link label") from None
    if not 0 < len(raw) <= MAX_LABEL or any(category(char) in _UNPRINTABLE for char in label.replace(" ", "")):
        raise FormatError("link label")
    return label
