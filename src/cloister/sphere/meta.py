"""Title, topic and icon of a sphere, sealed into one log entry.

In an encrypted sphere the relay sees only a commitment ``mh``, by which members see that a re-wrap under a new epoch
left the text as it was. Spec: META-001 to META-005.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cloister import crypto
from cloister.errors import DecryptFailed, FormatError, KeyUnknown
from cloister.protocol.encoding import b64d, b64e, json_emit, json_parse, kdf, lp
from cloister.protocol.shape import shape
from cloister.sphere import padding
from cloister.sphere.epoch import EpochKey, Rng

_SHAPE: Final = shape({"title": "text:256", "topic": "text:2048", "icon": "text:16384"})
BLIND_LENGTH: Final = 16


@dataclass(frozen=True, slots=True)
class Text:
    """What members read: title (at most 256 bytes), topic (2,048), icon (16,384; a short text or a data URL)."""

    title: str
    topic: str = ""
    icon: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """An opened meta entry: the text and, for a re-wrap, its exact bytes and its blind."""

    text: Text
    content: bytes = field(repr=False)
    blind: bytes = field(repr=False)
    mh: bytes


@dataclass(frozen=True, slots=True)
class Slot:
    """Which entry a sealed text belongs to: its header's kid, sph, seq, prev (32 bytes) and ep."""

    kid: str
    sph: str
    seq: int
    prev: bytes
    ep: int


def prepare(text: Text, rng: Rng) -> Opened:
    """A new text with a fresh blind (META-002). Raises FormatError when too long."""
    content = _content(text)
    blind = rng(BLIND_LENGTH)
    return Opened(text, content, blind, commitment(blind, content))


def commitment(blind: bytes, content: bytes) -> bytes:
    """mh = H(LP("meta", blind, content)), 32 bytes (META-002)."""
    return crypto.sha256(lp("meta", blind, content))


def clear(text: Text) -> dict[str, Any]:
    """The entry's body in an open or public sphere (META-005)."""
    value = {"title": text.title, "topic": text.topic, "icon": text.icon}
    _SHAPE(value)
    return value


def unsealed(text: Text) -> Opened:
    """A clear text in the form of an opened one: no blind, no commitment (META-005)."""
    return Opened(text, _content(text), b"", b"")


def seal(opened: Opened, slot: Slot, key: EpochKey, rng: Rng) -> dict[str, Any]:
    """The entry's body in an encrypted sphere (META-001). ``rng`` gives n16 and nonce. Raises FormatError."""
    if key.n != slot.ep or key.sph != slot.sph:
        raise FormatError("meta is sealed under the running epoch")
    n16, nonce = rng(16), rng(crypto.NONCE_LENGTH)
    material = _material(key, slot, n16)
    ct = crypto.aead_seal(material[:32], nonce, padding.pad(opened.blind + opened.content), _aad(slot))
    return {
        "n16": b64e(n16),
        "n": b64e(nonce),
        "cm": b64e(material[32:]),
        "mh": b64e(opened.mh),
        "ct": b64e(ct),
    }


def open(body: Mapping[str, Any], slot: Slot, key: EpochKey | None) -> Opened:  # noqa: A001
    """Read an entry's body, sealed or clear (META-003).

    Raises KeyUnknown without the epoch's key, DecryptFailed when commitment, tag or mh fail, FormatError for a text
    that does not fit.
    """
    if "ct" not in body:
        return unsealed(Text(*(body.get(name, "") for name in ("title", "topic", "icon"))))
    if key is None or key.n != slot.ep or key.sph != slot.sph:
        raise KeyUnknown(f"epoch {slot.ep}")
    material = _material(key, slot, b64d(body["n16"]))
    crypto.require_equal(material[32:], b64d(body["cm"]), DecryptFailed)
    plain = padding.unpad(crypto.aead_open(material[:32], b64d(body["n"]), b64d(body["ct"]), _aad(slot)))
    blind, content = plain[:BLIND_LENGTH], plain[BLIND_LENGTH:]
    mh = b64d(body["mh"])
    crypto.require_equal(commitment(blind, content), mh, DecryptFailed)
    return Opened(_text(content), content, blind, mh)


def reopen(content: bytes, blind: bytes) -> Opened:
    """An opened text from its kept bytes. Raises FormatError."""
    return Opened(_text(content), content, blind, commitment(blind, content) if blind else b"")


def _text(content: bytes) -> Text:
    value = json_parse(content)
    _SHAPE(value)
    return Text(value["title"], value["topic"], value["icon"])


def _content(text: Text) -> bytes:
    return json_emit(clear(text))


def _material(key: EpochKey, slot: Slot, n16: bytes) -> bytes:
    return kdf(key.secret, n16, "meta", lp(slot.sph, slot.seq), 64)


def _aad(slot: Slot) -> bytes:
    """Every header member that is not fixed by the typ (META-001)."""
    return lp("sph/1 meta", slot.kid, slot.sph, slot.seq, slot.prev, slot.ep)
