"""Profile grid-v1: conversations with WhisperGrid 1.1.0 clients, in its format byte for byte.

What that format lacks no reader can add: one key per conversation for ever (no forward secrecy), nothing bound to it.
What its client gets wrong is put right here: a sender is the key that signs, a token enters only after its signature,
message numbers are numbers, gaps heal in any order. Spec: GRID-025 to GRID-035.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from cloister import crypto
from cloister.errors import Expired, FormatError, KeyChanged, KeyUnknown, NotMember, Replay
from cloister.grid import places, v1_jws
from cloister.grid.keys import Identity, Rng, new_scalar, thumbprint1
from cloister.grid.v1_jws import INVITE, LOGIN, OPENING, REMOVE, REPLY, Token
from cloister.grid.v1_thread import MAX_NAME, MAX_RELAY, WRAP, Held, Side, Thread
from cloister.protocol.encoding import json_emit
from cloister.protocol.ids import Jwk, jwk_public
from cloister.protocol.shape import shape

PROOF_SECONDS: Final = 60
Status = Literal["new", "late", "repeated", "own"]
_NUMBER: Final = re.compile("0|[1-9a-f][0-9a-f]{0,12}")
_THREAD_NAME: Final = re.compile("[0-9a-f]{64}")
_CHALLENGE: Final = re.compile("[0-9]{1,12}:[0-9a-f]{1,128}")
_INVITE: Final = shape({"messageId": "text:13", "epk": "object", "note?": "text:65536", "nickname": f"text:{MAX_NAME}"})
_MESSAGE: Final = shape(
    {
        "messageId": "text:13",
        "message": "text:524288",
        "minAck?": "text:13",
        "relay?": f"text:{MAX_RELAY}",
        "nickname?": f"text:{MAX_NAME}",
        "epk?": "object",
    }
)


@dataclass(frozen=True)
class Invitation:
    """An invitation whose signature held: of ``jwk``, whose name is ``sender``; ``name`` is that of its key ``epk``."""

    compact: str
    sender: str
    jwk: Jwk
    epk: Jwk
    name: str
    number: int
    iat: int
    nickname: str
    note: str


@dataclass(frozen=True)
class Message:
    """A message that was read. ``sender`` is the name of the key that signed; ``place`` counts from its side's opening.

    ``status``: new; late (it filled a gap); repeated (held already); own (written by this identity, pasted back).
    ``after`` is the place up to which its sender says to have held the reader's chain.
    """

    th: str
    sender: str
    status: Status
    place: int
    number: int
    text: str
    iat: int
    nickname: str
    relay: str
    after: int


def thread_name(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """The name of the conversation between two conversation keys (GRID-026)."""
    names = sorted((thumbprint1(one), thumbprint1(other)))
    return crypto.sha256(":".join(names).encode("ascii")).hex()


def read_number(text: str) -> int:
    """A message number, lower-case hexadecimal below 2^52 (GRID-030). Raises FormatError."""
    if not _NUMBER.fullmatch(text):
        raise FormatError("message number")
    return int(text, 16)


def _draw_number(rng: Rng) -> int:
    return int.from_bytes(rng(7), "big") % WRAP


# --- invitations --------------------------------------------------------------------------------------------------


def invite(identity: Identity, nickname: str, *, note: str = "", now: int, rng: Rng) -> Held:
    """Make an invitation (GRID-027). Raises FormatError for texts that are too long."""
    scalar = new_scalar(rng)
    header = {"alg": "ES384", "jwk": v1_jws.write_jwk(identity.jwk, "verify"), "iat": now, "sub": INVITE}
    body: dict[str, Any] = {"messageId": f"{_draw_number(rng):x}", "epk": v1_jws.write_jwk(jwk_public(scalar))}
    body |= {"note": note} if note else {}
    body["nickname"] = nickname
    _INVITE(body)
    return Held(v1_jws.sign(header, json_emit(body), identity.signer), scalar)


def read_invite(compact: str) -> Invitation:
    """Verify an invitation under the key it shows (GRID-022, GRID-027). Raises SignatureInvalid, FormatError."""
    token = v1_jws.expect(compact, INVITE)
    v1_jws.verify(token, token.jwk)
    body = token.body
    _INVITE(body)
    epk = v1_jws.read_jwk(body["epk"])
    return Invitation(
        token.compact, thumbprint1(token.jwk), token.jwk, epk, thumbprint1(epk), read_number(body["messageId"]),
        token.header["iat"], body["nickname"], body.get("note", ""),
    )  # fmt: skip


def answer(
    identity: Identity, compact: str, nickname: str, text: str, *, now: int, rng: Rng, relay: str = ""
) -> tuple[Thread, str]:
    """Answer an invitation with a first message (GRID-028).

    Raises NotMember for one's own invitation, and what read_invite raises.
    """
    found = read_invite(compact)
    if found.sender == identity.id1:
        raise NotMember("one's own invitation", reason="own-invitation")
    scalar = new_scalar(rng)
    number = _draw_number(rng)
    thread = begin(identity.jwk, found.jwk, scalar, found.epk, found)
    header = {"jwk": v1_jws.write_jwk(identity.jwk, "verify"), "invite": found.name}
    header["epk"] = v1_jws.write_jwk(jwk_public(scalar))
    body = _body(thread, number, text, relay) | {"nickname": nickname}
    token = _seal(thread, identity, OPENING, header, body, now, rng)
    return replace(thread, mine=Side(number)), token


def accept(identity: Identity, held: Iterable[Held], compact: str) -> tuple[Thread, Message]:
    """Begin the conversation that an answer to one of one's own invitations opens (GRID-029).

    Raises KeyUnknown for an answer to none of them, SignatureInvalid, NotMember, DecryptFailed, FormatError.
    """
    token = v1_jws.expect(compact, OPENING)
    v1_jws.verify(token, token.jwk)
    if thumbprint1(token.jwk) != token.header["from"]:
        raise NotMember("another is named than the one who signed", reason="forged-sender")
    own = next((one for one in held if one.name == token.header["invite"]), None)
    if own is None:
        raise KeyUnknown("an answer to no invitation of yours", reason="no-invitation")
    if token.header["from"] == identity.id1:
        raise NotMember("one's own invitation", reason="own-invitation")
    found = read_invite(own.compact)
    epk = v1_jws.read_jwk(token.header["epk"])
    thread = begin(identity.jwk, token.jwk, own.scalar, epk, found)
    return read(thread, token.compact)


def begin(me: Jwk, them: Jwk, scalar: bytes, epk: Jwk, found: Invitation) -> Thread:
    """A conversation in which only the invitation is held."""
    th = thread_name(jwk_public(scalar), epk)
    mine = thumbprint1(me) == found.sender
    side = Side(found.number)
    if mine:
        return Thread(th, me, them, scalar, epk, found.compact, mine=side)
    return Thread(th, me, them, scalar, epk, found.compact, theirs=side, nickname=found.nickname)


# --- messages -----------------------------------------------------------------------------------------------------


def write(thread: Thread, identity: Identity, text: str, *, now: int, rng: Rng, relay: str = "") -> tuple[Thread, str]:
    """The next message (GRID-031). Raises FormatError; NotMember when the conversation is another identity's."""
    if identity.jwk != thread.me or thread.mine is None:
        raise NotMember("another identity's conversation", reason="not-yours")
    place = places.last(thread.mine.runs) + 1
    body = _body(thread, thread.mine.number(place), text, relay)
    token = _seal(thread, identity, REPLY, {}, body, now, rng)
    return replace(thread, mine=replace(thread.mine, runs=places.put(thread.mine.runs, place))), token


def _body(thread: Thread, number: int, text: str, relay: str) -> dict[str, Any]:
    body: dict[str, Any] = {"messageId": f"{number:x}", "message": text}
    if thread.theirs:
        body["minAck"] = f"{thread.theirs.number(places.upto(thread.theirs.runs)):x}"
    return body | ({"relay": relay} if relay else {})


def _seal(
    thread: Thread, identity: Identity, sub: str, more: dict[str, Any], body: dict[str, Any], now: int, rng: Rng
) -> str:
    _MESSAGE(body)
    nonce, payload = v1_jws.seal(thread.key, body, rng)
    header = {"iat": now, "alg": "ES384", "sub": sub, "re": thread.th, "iv": nonce, "from": identity.id1, **more}
    return v1_jws.sign(header, payload, identity.signer)


def read(thread: Thread, compact: str) -> tuple[Thread, Message]:
    """Take a message of this conversation (GRID-025, GRID-032, GRID-033). A repeated one leaves the state as it is.

    Raises KeyUnknown for a token of another conversation, NotMember for a sender who is not one of the two, KeyChanged
    for an opening by another key, SignatureInvalid, DecryptFailed, FormatError, Gap.
    """
    token = v1_jws.decode(compact)
    if token.kind not in (OPENING, REPLY):
        raise FormatError("token of another kind")
    if not _THREAD_NAME.fullmatch(token.header["re"]):
        raise FormatError("conversation name")
    if token.header["re"] != thread.th:
        raise KeyUnknown("a message of another conversation", reason="other-conversation")
    own = _verify(thread, token)
    body = v1_jws.open(thread.key, token)
    _MESSAGE(body)
    if token.kind == OPENING and "nickname" not in body:
        raise FormatError("an opening has a nickname")
    heard = read_number(body["minAck"]) if "minAck" in body else -1
    number = read_number(body["messageId"])
    side = thread.mine if own else thread.theirs
    side, place, held = _enter(side, number, opening=token.kind == OPENING)
    status: Status = "repeated"
    if not held:
        status = "new" if place == places.last(side.runs) else "late"
        if own:
            thread = replace(thread, mine=side)
        elif status == "late":
            thread = replace(thread, theirs=side)
        else:
            said = (body.get("nickname", thread.nickname), body.get("relay", thread.relay))
            thread = replace(thread, theirs=side, nickname=said[0], relay=said[1])
    sender = token.header["from"]
    shown = Message(
        thread.th, sender, "own" if own else status, place, number, body["message"], token.header["iat"],
        body.get("nickname", ""), body.get("relay", ""), _after(thread.theirs if own else thread.mine, heard),
    )  # fmt: skip
    return thread, shown


def _after(side: Side | None, number: int) -> int:
    """The place of a number that somebody says to have held; 0 for one that was never given away (GRID-031)."""
    if side is None or number <= 0:
        return 0
    place = side.place(number)
    return place if place <= places.last(side.runs) else 0


def _verify(thread: Thread, token: Token) -> bool:
    """Whether it is one's own. The signature is checked under the key that the sender's name stands for (GRID-032)."""
    names = {thumbprint1(thread.me): thread.me, thumbprint1(thread.them): thread.them}
    sender: str = token.header["from"]
    if token.kind == OPENING:
        v1_jws.verify(token, token.jwk)
        if thumbprint1(token.jwk) != sender:
            raise NotMember("another is named than the one who signed", reason="forged-sender")
        if sender not in names:
            raise KeyChanged("another key opens the same conversation", reason="other-opening")
        epk = thread.epk if sender == thumbprint1(thread.them) else jwk_public(thread.scalar)
        if v1_jws.read_jwk(token.header["epk"]) != epk:
            raise FormatError("conversation key")
    elif sender not in names:
        raise NotMember("not one of the two", reason="foreign")
    v1_jws.verify(token, names[sender])
    return sender == thumbprint1(thread.me)


def _enter(side: Side | None, number: int, *, opening: bool) -> tuple[Side, int, bool]:
    """(side, place, whether it was held before). Only an opening begins a chain (GRID-033)."""
    if side is None:
        if not opening:
            raise KeyUnknown("the opening has not come yet", reason="no-opening")
        return Side(number), 0, False
    place = side.place(number)
    if opening and place:
        raise KeyChanged("a second opening of the same conversation", reason="other-opening")
    if places.holds(side.runs, place):
        return side, place, True
    places.check(side.runs, place)
    return replace(side, runs=places.put(side.runs, place)), place, False


# --- signing in at a relay of theirs ------------------------------------------------------------------------------


def login_proof(identity: Identity, challenge: str, *, now: int, remove: bool = False) -> str:
    """Sign a relay's challenge (GRID-035). Raises FormatError for anything that does not look like one."""
    if not _CHALLENGE.fullmatch(challenge):
        raise FormatError("not a challenge")
    header = {"sub": REMOVE if remove else LOGIN, "alg": "ES384", "jwk": v1_jws.write_jwk(identity.jwk, "verify")}
    return v1_jws.sign({**header, "iat": now}, challenge.encode("ascii"), identity.signer)


def read_login_proof(compact: str, challenge: str, *, now: int, remove: bool = False) -> str:
    """The name of who signed ``challenge`` within the last minute (GRID-035).

    Raises SignatureInvalid, FormatError, Replay for another challenge, Expired.
    """
    token = v1_jws.expect(compact, REMOVE if remove else LOGIN)
    v1_jws.verify(token, token.jwk)
    if token.payload != challenge.encode("ascii"):
        raise Replay("another challenge", reason="other-challenge")
    if abs(now - token.header["iat"]) > PROOF_SECONDS:
        raise Expired("login proof")
    return thumbprint1(token.jwk)
