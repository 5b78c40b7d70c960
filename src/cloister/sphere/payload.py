"""What a message says: kinds, their members, and who may change whose words.

Knows nothing of keys, chains or envelopes. A payload is one strict JSON object; ``payload.json`` holds the closed
list of members of each kind. Spec: MSG-009 to MSG-012.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any, Final, NamedTuple

import msgspec

from cloister.errors import FormatError, NotMember, Replay, VersionTooOld
from cloister.protocol.encoding import b64d, b64e, json_emit, json_parse
from cloister.protocol.shape import shape

_TABLE: Final[dict[str, Any]] = json.loads(files("cloister.sphere").joinpath("payload.json").read_text("utf-8"))
KINDS: Final = {k: shape({**_TABLE["common"], **members}) for k, members in _TABLE["kinds"].items()}
# The commonest payload is read in one go, by a reader that accepts a part of what the general one accepts and gives the
# same value (MSG-009): up to the text by an expression, the text as a JSON string without escapes.
_PLAIN_MSG: Final = re.compile(rb'{"k":"msg","cid":"([A-Za-z0-9_-]{21}[AQgw])","t":(?=")')
_TEXT: Final = msgspec.json.Decoder(str).decode
_PLAIN_LIMIT: Final = 65536
MODERATORS: Final = frozenset({"owner", "admin"})


class Payload(NamedTuple):
    """One opened payload.

    ``kind`` msg, comment (answers ``re``), edit, delete, react or sys; ``cid`` 16 bytes, made when the words were
    composed and kept through every re-sealing; ``re`` the mid (16 bytes) spoken about, empty for msg and sys;
    ``text`` of msg, comment, edit, the emoji of react, the value of sys; ``about`` names a sys payload ("nick");
    ``on`` false takes a reaction back; ``pt`` says the author confirmed clear text in an encrypted sphere.
    """

    kind: str
    cid: bytes
    text: str = ""
    re: bytes = b""
    on: bool = True
    about: str = ""
    pt: bool = False


def encode(payload: Payload) -> bytes:
    """JSON bytes of a payload (MSG-009). Raises FormatError for members that do not fit the kind."""
    k = payload.kind
    members = _TABLE["kinds"].get(k)
    if members is None:
        raise FormatError("payload kind")
    value: dict[str, Any] = {"k": k, "cid": b64e(payload.cid)}
    if "s" in members:
        value["s"], value["v"] = payload.about, payload.text
    if "re" in members:
        value["re"] = b64e(payload.re)
    if "e" in members:
        value["e"], value["on"] = payload.text, payload.on
    if "t" in members:
        value["t"] = payload.text
    if payload.pt:
        value["pt"] = True
    KINDS[k](value)
    return json_emit(value)


def decode(data: bytes) -> Payload:
    """Read payload bytes (MSG-009). Raises FormatError, or VersionTooOld for a kind it does not know (MSG-010)."""
    plain = _PLAIN_MSG.match(data)
    if plain is not None and len(data) <= _PLAIN_LIMIT and data.endswith(b'"}') and b"\\" not in data:
        try:
            return Payload("msg", b64d(plain[1]), _TEXT(data[plain.end() : -1]))
        except ValueError:
            pass  # the general reader says what is wrong
    value = json_parse(data)
    k = value.get("k")
    if type(k) is not str:
        raise FormatError("payload kind")
    kind = KINDS.get(k)
    if kind is None:
        raise VersionTooOld("payload kind")
    kind(value)
    pt = value.get("pt", False)
    if "pt" in value and not pt:
        raise FormatError("pt is true or absent")
    if k == "msg":
        return Payload(k, b64d(value["cid"]), value["t"], pt=pt)
    if k == "sys":
        return Payload(k, b64d(value["cid"]), value["v"], about=value["s"], pt=pt)
    text = value["e"] if k == "react" else value.get("t", "")
    return Payload(k, b64d(value["cid"]), text, b64d(value["re"]), on=value.get("on", True), pt=pt)


def check_change(change: Payload, author: str, role: str | None, target_author: str) -> None:
    """Who may edit or delete (MSG-012). ``author`` and ``target_author`` are member handles (id-); ``role`` is the
    author's at the change's ls, lowered roles already applied (``run.role_for``).

    Edit: the target's author only. Delete: its author, or an owner or admin. Raises NotMember. Other kinds pass.
    """
    if change.kind not in ("edit", "delete") or author == target_author:
        return
    if change.kind == "edit" or role not in MODERATORS:
        raise NotMember("only its author, or for a deletion an owner or admin, may change a message")


def check_target(change: Payload, target: Payload) -> None:
    """An edit, deletion, reaction or comment is about a msg or comment (MSG-011). Raises FormatError."""
    if change.re and target.kind not in ("msg", "comment"):
        raise FormatError("changes and answers are about a message, not about a change")


def check_version(one: Payload, other: Payload) -> None:
    """Two authentic versions at one place of a chain must be one composition re-sealed: equal cid (RUN-006).

    Raises Replay otherwise: two programs write with one device's key, or its key is in other hands.
    """
    if one.cid != other.cid:
        raise Replay("two different messages at one place of a device's chain")
