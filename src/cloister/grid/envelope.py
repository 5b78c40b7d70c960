"""The signed structures of grid-v2: decoded by closed lists, verified under the key that ``kid`` names.

The same steps and the same order as the project's other envelopes (JWS-001 to JWS-005); kept beside them because these
are signed by people's own keys and may show them (``jwk``), which no other structure does. Spec: GRID-040.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any, Final

from cloister import crypto
from cloister.errors import FormatError, NotMember
from cloister.grid.keys import Identity
from cloister.protocol import jws
from cloister.protocol.encoding import b64d, b64e, json_emit, json_parse
from cloister.protocol.ids import Jwk, identity_id
from cloister.protocol.jws import MAX_HEADER
from cloister.protocol.shape import Check, shape

INVITE, OPENING, REPLY = "sph-invite+1", "sph-reply2inv+1", "sph-reply+1"
RECEIPT, AUTH = "sph-receipt+1", "sph-auth+1"
ALG: Final = "ES384"
_TABLE: Final[dict[str, Any]] = json.loads(files("cloister.grid").joinpath("wire.json").read_text("utf-8"))
CONTENTS: Final[dict[str, Check]] = {name: shape(members) for name, members in _TABLE["contents"].items()}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of wire.json; ``payload`` is None where it is bytes."""

    limit: int
    header: Check
    payload: Check | None


def _row(name: str, row: dict[str, Any]) -> Row:
    header = shape({"alg": f"enum:{ALG}", "typ": f"enum:{name}", **row["header"]})
    return Row(row["limit"], header, None if row["payload"] == "bytes" else shape(row["payload"]))


TYPS: Final = {name: _row(name, row) for name, row in _TABLE["typs"].items()}


class Envelope(jws.Envelope):
    """A decoded, not yet verified envelope of this table."""

    @property
    def link(self) -> str:
        """H(SI) as base64url text."""
        return b64e(self.digest)

    @cached_property
    def body(self) -> dict[str, Any]:
        """The payload as JSON of the typ's shape. Raises FormatError."""
        value = json_parse(self.payload)
        check = TYPS[self.typ].payload
        assert check is not None
        check(value)
        return value


def peek(compact: str) -> str:
    """The ``typ`` a text shows, which decides how it is read; nothing is verified. Raises FormatError (GRID-040)."""
    head, dot, _ = compact.partition(".")
    if not dot or len(head) > MAX_HEADER:
        raise FormatError("envelope does not have three parts")
    typ = json_parse(b64d(head)).get("typ")
    if type(typ) is not str or typ not in TYPS:
        raise FormatError("envelope of no known typ")
    return typ


def decode(compact: str, *typs: str) -> Envelope:
    """Decode an envelope that must be of one of ``typs`` (GRID-040, JWS-003). Raises FormatError."""
    typ = typs[0] if len(typs) == 1 else peek(compact)
    if typ not in typs:
        raise FormatError("envelope of another typ")
    row = TYPS[typ]
    if len(compact) > row.limit:
        raise FormatError("envelope too large")
    parts = compact.split(".")
    if len(parts) != 3 or len(parts[0]) > MAX_HEADER:
        raise FormatError("envelope does not have three parts")
    raw, payload, signature = (b64d(part) for part in parts)
    header = json_parse(raw)
    row.header(header)
    return Envelope(compact, typ, header, payload, signature)


def link_of(compact: str) -> str:
    """H(SI) of a token's text as base64url text, without looking into it (JWS-005)."""
    return b64e(crypto.sha256(compact.rpartition(".")[0].encode("ascii", "replace")))


def verify(envelope: Envelope, jwk: Jwk) -> None:
    """Check the signature (JWS-007). Raises SignatureInvalid."""
    crypto.es384_verify(b64d(jwk["x"]), b64d(jwk["y"]), envelope.signature, envelope.signing_input)


def verify_shown(envelope: Envelope) -> Jwk:
    """The key an envelope shows, which is the one ``kid`` names and the one that signed (GRID-040).

    Raises NotMember when it is another's name, SignatureInvalid.
    """
    jwk: Jwk = envelope.header["jwk"]
    if identity_id(jwk) != envelope.header["kid"]:
        raise NotMember("another is named than the one who signed", reason="forged-sender")
    verify(envelope, jwk)
    return jwk


def head(typ: str, identity: Identity, **members: Any) -> dict[str, Any]:
    """A header as it is written: alg, typ, kid, then ``members`` in the order of the table."""
    full = {"alg": ALG, "typ": typ, "kid": identity.id, **members}
    TYPS[typ].header(full)
    return full


def sign(header: dict[str, Any], payload: bytes, identity: Identity) -> Envelope:
    """Make an envelope; what is made passes ``decode`` (JWS-008). Raises FormatError before anything is signed."""
    row = TYPS[header["typ"]]
    row.header(header)
    if row.payload is not None:
        row.payload(json_parse(payload))
    signing_input = f"{b64e(json_emit(header))}.{b64e(payload)}"
    if len(signing_input) + 129 > row.limit or signing_input.index(".") > MAX_HEADER:
        raise FormatError("envelope too large")
    signature = identity.signer(signing_input.encode("ascii"))
    return Envelope(f"{signing_input}.{b64e(signature)}", header["typ"], header, payload, signature)
