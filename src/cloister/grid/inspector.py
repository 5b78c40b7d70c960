"""What a token shows to anybody who looks: header, signer, time, what is readable and what stays hidden.

A pure function of the text, the time and the keys one knows, so that nobody needs to paste a token into a stranger's
page. It takes nothing and changes nothing. Spec: GRID-062.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from cloister.errors import CheckFailed, FormatError
from cloister.grid import envelope, v1_jws
from cloister.grid.keys import thumbprint1
from cloister.grid.recognise import V2, kind_of
from cloister.protocol.encoding import b64d, json_parse
from cloister.protocol.ids import Jwk, identity_id

Signature = Literal["holds", "wrong", "unknown-key"]
Validity = Literal["valid", "over", "no-end"]
# What nobody but the two can see, by kind; names of texts.
HIDDEN: Final = {
    envelope.OPENING: ("message", "nickname", "relay"),
    envelope.REPLY: ("message", "report", "relay"),
    envelope.RECEIPT: ("report",),
    v1_jws.OPENING: ("message", "nickname", "relay", "number"),
    v1_jws.REPLY: ("message", "relay", "number"),
    v1_jws.SELF: ("key",),
    v1_jws.BACKUP: ("private-keys",),
}


@dataclass(frozen=True)
class Inspection:
    """``code`` is empty, or the error that a reader would stop with. ``signer`` and ``signer1`` are both names of the
    key that the token names; ``shown`` is what anybody can read in it, ``hidden`` names what nobody but the two can."""

    profile: str
    kind: str
    header: dict[str, Any]
    size: int
    signer: str = ""
    signer1: str = ""
    signature: Signature = "unknown-key"
    made: int | None = None
    until: int | None = None
    validity: Validity = "no-end"
    shown: dict[str, Any] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    code: str = ""


def inspect(compact: str, *, now: int, keys: Mapping[str, Jwk] | None = None) -> Inspection:
    """Look at a token (GRID-062). ``keys``: known signing keys by either of their names.

    What is wrong with a token is told, not raised. Raises FormatError for a text that is none.
    """
    text = v1_jws.bare(compact)
    seen = kind_of(text.partition(".")[0])
    if seen is None:
        raise FormatError("not a token")
    profile, kind = seen
    header = json_parse(b64d(text.partition(".")[0]))
    bare = Inspection(profile, kind, header, len(text), hidden=HIDDEN.get(kind, ()))
    try:
        return (_v2 if profile == V2 else _v1)(bare, text, now, keys or {})
    except CheckFailed as error:
        return _with(bare, code=error.code)


def _v2(bare: Inspection, text: str, now: int, keys: Mapping[str, Jwk]) -> Inspection:
    read = envelope.decode(text, bare.kind)
    jwk = read.header.get("jwk") or keys.get(read.header["kid"])
    seen = _with(bare, **_signer(read.header["kid"], "", jwk), made=read.header.get("iat"))
    try:
        if "jwk" in read.header:
            envelope.verify_shown(read)
        elif jwk is not None:
            envelope.verify(read, jwk)
    except CheckFailed as error:
        return _with(seen, signature="wrong", code=error.code)
    seen = _with(seen, signature="holds" if jwk is not None else "unknown-key")
    if envelope.TYPS[bare.kind].payload is None:
        return seen
    body = read.body
    over = now > body["exp"]
    return _with(seen, shown=body, made=body["iat"], until=body["exp"], validity="over" if over else "valid")


def _v1(bare: Inspection, text: str, now: int, keys: Mapping[str, Jwk]) -> Inspection:
    token = v1_jws.decode(text)
    name = token.header.get("from", "")
    jwk = token.jwk if "jwk" in token.header else keys.get(name)
    if not name and jwk is not None:
        name = thumbprint1(jwk)
    seen = _with(bare, **_signer("", name, jwk), made=token.header["iat"])
    if jwk is None:
        return seen
    try:
        v1_jws.verify(token, jwk)
    except CheckFailed as error:
        return _with(seen, signature="wrong", code=error.code)
    if thumbprint1(jwk) != name:
        return _with(seen, signature="wrong", code="C_NOT_MEMBER")
    seen = _with(seen, signature="holds")
    if bare.kind in (v1_jws.INVITE, v1_jws.BACKUP):
        return _with(seen, shown=_readable(token.body))
    if bare.kind in (v1_jws.LOGIN, v1_jws.REMOVE):
        return _with(seen, shown={"challenge": token.payload.decode("utf-8", "replace")})
    return seen


def _readable(body: dict[str, Any]) -> dict[str, Any]:
    """An invitation as it is; of a backup, how much of what is in it (its tokens would fill a book)."""
    if "threads" not in body:
        return body
    counts = {name: len(body[name]) for name in ("invites", "threads") if isinstance(body.get(name), dict)}
    return {"thumbprint": body.get("thumbprint", ""), **counts}


def _signer(name: str, name1: str, jwk: Jwk | None) -> dict[str, str]:
    if jwk is None:
        return {"signer": name, "signer1": name1}
    return {"signer": name or identity_id(jwk), "signer1": name1 or thumbprint1(jwk)}


def _with(seen: Inspection, **change: Any) -> Inspection:
    return Inspection(**{**{name: getattr(seen, name) for name in Inspection.__dataclass_fields__}, **change})
