"""Signed envelopes: JWS compact serialisation with a closed list of members for every ``typ``.

One step, one type: ``bytes -> Envelope`` (decoded: size, parts, base64url, header, payload grammar) and
``Envelope -> Verified`` (signature holds). The order of checks is fixed and the first failure wins, so that every
implementation gives the same verdict. The received bytes are what is hashed, signed and stored; nothing is ever
serialised again. The signature is never part of a hash.

Spec: JWS-001 to JWS-009 (RFC 7515, RFC 9864).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any, Final

from cloister import crypto
from cloister.errors import FormatError
from cloister.protocol.encoding import b64d, b64e, json_emit, json_parse
from cloister.protocol.shape import Check, shape

MAX_HEADER: Final = 4096
_TABLE: Final[dict[str, Any]] = json.loads(files("cloister.protocol").joinpath("wire.json").read_text("utf-8"))


@dataclass(frozen=True, slots=True)
class Typ:
    """One row of wire.json (JWS-002)."""

    name: str
    alg: str
    limit: int
    header: Check
    payload: Check | None
    free: bool  # the payload has members whose inside this table does not list
    usual: Usual | None = None


@dataclass(frozen=True, slots=True)
class Usual:
    """The headers that everybody writes: members in the order of the table, no escape, no large number.

    What ``text`` matches is strict JSON with members of the right kinds; everything else is judged in the general way.
    """

    text: re.Pattern[str]
    fixed: dict[str, Any]
    members: tuple[tuple[str, bool], ...]  # name, and whether it is a number

    def read(self, text: str) -> dict[str, Any] | None:
        match = self.text.fullmatch(text)
        if match is None:
            return None
        header = self.fixed.copy()
        for (name, number), value in zip(self.members, match.groups(), strict=True):
            if value is not None:
                header[name] = int(value) if number else value
        return header


_HASH: Final = "[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]"
_NUMBER: Final = "0|[1-9][0-9]{0,%d}"
_KINDS: Final = {
    "id": f'"(id-{_HASH})"',
    "dv": f'"(dv-{_HASH})"',
    "sph": f'"(sp-{_HASH})"',
    "bytes:0|32": f'"((?:{_HASH})?)"',
    "bytes:12": '"([A-Za-z0-9_-]{16})"',
    "bytes:16": '"([A-Za-z0-9_-]{21}[AQgw])"',
    "bytes:32": f'"({_HASH})"',
    "int": f"({_NUMBER % 14})",
    "u32": f"({_NUMBER % 8})",
}


def _usual(fixed: dict[str, Any], kinds: Mapping[str, str]) -> Usual | None:
    """None for a typ with members of other kinds."""
    text = re.escape(json.dumps(fixed, separators=(",", ":"))[:-1])
    for spelled, kind in kinds.items():
        name = spelled.rstrip("?")
        value = f'"({kind[5:]})"' if re.fullmatch("enum:[A-Za-z0-9|]+", kind) else _KINDS.get(kind)
        if value is None or name == "*":
            return None
        text += f'(?:,"{name}":{value})?' if spelled != name else f',"{name}":{value}'
    members = tuple((name.rstrip("?"), kind in ("int", "u32")) for name, kind in kinds.items())
    return Usual(re.compile(text + "}"), fixed, members)


def _row(name: str, row: dict[str, Any]) -> Typ:
    header = shape({"alg": f"enum:{row['alg']}", "typ": f"enum:{name}", **row["header"]})
    usual = _usual({"alg": row["alg"], "typ": name}, row["header"])
    if row["payload"] == "bytes":
        return Typ(name, row["alg"], row["limit"], header, None, False, usual)
    free = "*" in row["payload"] or "object" in row["payload"].values()
    return Typ(name, row["alg"], row["limit"], header, shape(row["payload"]), free, usual)


TYPS: Final = {name: _row(name, row) for name, row in _TABLE["typs"].items()}


def _kinds(rows: dict[str, dict[str, str]]) -> dict[str, Check]:
    common = {"sph": "sph", "iat": "int", "jti": "bytes:16"}
    return {k: shape({"k": f"enum:{k}", **common, **members}) for k, members in rows.items()}


P2P: Final = _kinds(_TABLE["p2p"])
LIVE: Final = _kinds(_TABLE["live"])
_BY_K: Final = {"sph-p2p+1": P2P, "sph-live+1": LIVE}
KLOG: Final = {op: shape(members) for op, members in _TABLE["klog"].items()}
RENEW: Final[dict[str, str]] = _TABLE["renew"]


@dataclass(frozen=True)
class Envelope:
    """A decoded, not yet verified envelope. ``payload`` is raw; ``body`` is its JSON form where the typ has one."""

    compact: str
    typ: str
    header: dict[str, Any]
    payload: bytes
    signature: bytes

    @cached_property
    def signing_input(self) -> bytes:
        """ASCII(b64(header) . b64(payload)): what is signed and hashed (JWS-004)."""
        return self.compact[: self.compact.rindex(".")].encode("ascii")

    @property
    def header_part(self) -> bytes:
        """ASCII b64(header): the AAD of encrypted payloads."""
        return self.compact[: self.compact.index(".")].encode("ascii")

    @cached_property
    def digest(self) -> bytes:
        """H(SI), 32 bytes (JWS-005)."""
        return crypto.sha256(self.signing_input)

    @cached_property
    def body(self) -> dict[str, Any]:
        """The payload parsed and checked against the typ's shape. Raises FormatError.

        Separate from decoding because the order of checks puts the signature before the payload (JWS-003).
        """
        value = json_parse(self.payload)
        _check_payload(TYPS[self.typ], value)
        return value


def _check_payload(row: Typ, value: dict[str, Any]) -> None:
    # JWS-002: the closed list of the typ, and of its ``k`` where there are several; an unknown k is for later versions
    if row.payload is not None:
        row.payload(value)
    by_k = _BY_K.get(row.name)
    if by_k is not None and value["k"] in by_k:
        by_k[value["k"]](value)


def decode(compact: str | bytes, typ: str) -> Envelope:
    """Decode an envelope that must be of ``typ`` (JWS-001, JWS-003, JWS-009). Raises FormatError."""
    row = TYPS[typ]
    if len(compact) > row.limit:
        raise FormatError("envelope too large")
    try:
        text = compact if isinstance(compact, str) else compact.decode("ascii")
    except UnicodeDecodeError:
        raise FormatError("envelope is not ASCII") from None
    head, _, rest = text.partition(".")
    middle, dot, last = rest.partition(".")
    if not dot or "." in last or len(head) > MAX_HEADER:
        raise FormatError("envelope does not have three parts")
    header_bytes, payload, signature = b64d(head), b64d(middle), b64d(last)
    header = row.usual.read(header_bytes.decode("latin-1")) if row.usual else None
    if header is None:
        header = json_parse(header_bytes)
        row.header(header)
    return Envelope(text, typ, header, payload, signature)


def verify_ed25519(envelope: Envelope, public: bytes) -> None:
    """Check a device key's signature (JWS-006). Raises SignatureInvalid, or FormatError for a key that is none."""
    crypto.ed25519_verify(public, envelope.signature, envelope.signing_input)


def verify_es384(envelope: Envelope, jwk: dict[str, str]) -> None:
    """Check an identity key's signature (JWS-007). Raises SignatureInvalid."""
    crypto.es384_verify(b64d(jwk["x"]), b64d(jwk["y"]), envelope.signature, envelope.signing_input)


def sign(typ: str, header: dict[str, Any], payload: dict[str, Any] | bytes, signer: Callable[[bytes], bytes]) -> str:
    """Make an envelope: ``header`` without alg and typ, payload as JSON object or raw bytes.

    ``signer`` maps the signing input to a signature. What is made here passes ``decode``; a mistake of the caller
    raises FormatError before anything is signed (JWS-008).
    """
    row = TYPS[typ]
    full = {"alg": row.alg, "typ": typ, **header}
    row.header(full)
    if isinstance(payload, dict):
        _check_payload(row, payload)
        payload = json_emit(payload)
        if row.free:
            json_parse(payload)
    signing_input = f"{b64e(json_emit(full))}.{b64e(payload)}"
    compact = f"{signing_input}.{b64e(signer(signing_input.encode('ascii')))}"
    if len(compact) > row.limit or len(signing_input.partition(".")[0]) > MAX_HEADER:
        raise FormatError("envelope too large")
    return compact


def device_signer(seed: bytes) -> Callable[[bytes], bytes]:
    """A signer for device typs from an Ed25519 seed."""
    return lambda message: crypto.ed25519_sign(seed, message)


def identity_signer(scalar: bytes) -> Callable[[bytes], bytes]:
    """A signer for identity typs from a P-384 scalar."""
    return lambda message: crypto.es384_sign(scalar, message)
