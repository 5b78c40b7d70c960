"""Profile grid-v2: conversations between our own clients.

Invitations end and are counted. Everything both sides showed each other goes into the root of the keys; every message
has a key of its own; each side's tokens are linked, so that what is missing, late, repeated or foreign is shown as
that; each message, and a receipt without one, says under signature what has arrived. Spec: GRID-041 to GRID-055.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from cloister import crypto
from cloister.errors import DecryptFailed, Expired, FormatError, KeyChanged, KeyUnknown, LogRollback, NotMember, Replay
from cloister.grid import envelope, places, public, ratchet
from cloister.grid.envelope import CONTENTS, INVITE, OPENING, RECEIPT, REPLY, Envelope
from cloister.grid.keys import Identity, Rng, agree, jwk_of_point, new_scalar, public_point
from cloister.grid.public import Invitation, read_invite
from cloister.grid.v2_thread import REMEMBERED, Held, Links, Report, Thread
from cloister.protocol.encoding import b64d, b64e, json_emit, json_parse, kdf, lp
from cloister.protocol.ids import Jwk
from cloister.sphere import padding

ENC: Final = "A256GCM"
Status = Literal["new", "late", "repeated", "own"]


@dataclass(frozen=True)
class Message:
    """A message that was read. ``place`` counts from its side's opening, ``h`` is b64 of its H(SI).

    ``status``: new; late (it filled a gap); repeated (held already, its text is not told again); own (pasted back).
    ``after`` is the place up to which its sender held the reader's chain. ``linked`` is False where it does not follow
    what is held before it: its sender's program was set back.
    """

    th: str
    sender: str
    status: Status
    place: int
    h: str
    text: str
    iat: int
    nickname: str = ""
    relay: str = ""
    after: int = 0
    linked: bool = True


@dataclass(frozen=True)
class Receipt:
    """What the other says to hold. ``status`` as in Message; ``report`` is None where nothing was told."""

    th: str
    sender: str
    status: Status
    report: Report | None
    iat: int


# --- invitations --------------------------------------------------------------------------------------------------


def invite(
    identity: Identity,
    nickname: str,
    *,
    now: int,
    rng: Rng,
    note: str = "",
    relay: str = "",
    life: int = public.LIFE,
    uses: int = 1,
) -> Held:
    """Make an invitation that ends after ``life`` seconds and takes ``uses`` answers, 0 for any number (GRID-041)."""
    if not 0 < life <= public.MAX_LIFE:
        raise FormatError("an invitation ends within a year")
    scalar = new_scalar(rng)
    body: dict[str, Any] = {"iat": now, "exp": now + life, "uses": uses, "epk": b64e(public_point(scalar))}
    body |= {"nickname": nickname} | ({"note": note} if note else {}) | ({"relay": relay} if relay else {})
    made = envelope.sign(envelope.head(INVITE, identity, jwk=identity.jwk), json_emit(body), identity)
    return Held(made.compact, scalar, uses)


def answer(
    identity: Identity, compact: str, nickname: str, text: str, *, now: int, rng: Rng, relay: str = ""
) -> tuple[Thread, str]:
    """Answer an invitation with a first message (GRID-043 to GRID-045).

    Raises Expired, NotMember for one's own or a forged one, SignatureInvalid, FormatError.
    """
    found = read_invite(compact, now=now)
    if found.sender == identity.id:
        raise NotMember("one's own invitation", reason="own-invitation")
    scalar = new_scalar(rng)
    epk, jti = public_point(scalar), rng(16)
    th = public.thread_name(found.epk, epk)
    root = root_key(agree(scalar, found.epk), found, identity.id, epk)
    content = json_emit({"nickname": nickname, "message": text} | ({"relay": relay} if relay else {}))
    CONTENTS["opening"](json_parse(content))
    shown = {"jwk": identity.jwk, "invite": found.name, "epk": b64e(epk), "jti": b64e(jti), "iat": now}
    key = opening_key(root, th, identity.id, jti)
    made = _seal(OPENING, identity, shown, key, content, rng)
    keys = ratchet.begin_replier(root, b64d(th), scalar, found.epk)
    thread = Thread(
        th, identity.jwk, found.jwk, compact, made.link, receipt_root(root, th), keys, 0, ((0, made.link),),
        places.start(found.name), ((0, found.name),), Report(0, made.link), nickname=found.nickname, relay=found.relay,
    )  # fmt: skip
    return thread, made.compact


def accept(identity: Identity, held: Iterable[Held], compact: str, *, now: int) -> tuple[Held, Thread, Message]:
    """Begin the conversation that an answer opens; the invitation comes back with one use less (GRID-042 to GRID-045).

    Raises KeyUnknown for an answer to none of them (GRID-043), Expired for one over or used up, NotMember,
    SignatureInvalid, DecryptFailed, FormatError.
    """
    read = envelope.decode(compact, OPENING)
    them = envelope.verify_shown(read)
    own = next((one for one in held if envelope.link_of(one.compact) == read.header["invite"]), None)
    if own is None:
        raise KeyUnknown("an answer to no invitation of yours", reason="no-invitation")
    invitation = read_invite(own.compact)
    if invitation.sender != identity.id:
        raise NotMember("another identity's invitation", reason="not-yours")
    if read.header["kid"] == identity.id:
        raise NotMember("one's own invitation", reason="own-invitation")
    if now > invitation.exp:
        raise Expired("invitation", reason="invitation-over")
    if not own.scalar:
        raise Expired("invitation", reason="invitation-used")
    epk = b64d(read.header["epk"])
    th = public.thread_name(invitation.epk, epk)
    root = root_key(agree(own.scalar, epk), invitation, read.header["kid"], epk)
    key = opening_key(root, th, read.header["kid"], b64d(read.header["jti"]))
    content = _open(read, key)
    CONTENTS["opening"](content)
    keys = ratchet.begin_inviter(root, b64d(th), own.scalar, epk)
    thread = Thread(
        th, identity.jwk, them, own.compact, read.link, receipt_root(root, th), keys, 0, ((0, invitation.name),),
        places.start(read.link), ((0, read.link),), Report(0, invitation.name),
        nickname=content["nickname"], relay=content.get("relay", ""),
    )  # fmt: skip
    shown = Message(
        th,
        read.header["kid"],
        "new",
        0,
        read.link,
        content["message"],
        read.header["iat"],
        thread.nickname,
        thread.relay,
    )
    return used(own), thread, shown


def used(held: Held) -> Held:
    """After one more answer; the last one takes the key away (GRID-042)."""
    if held.left == 0:
        return held
    return replace(held, left=held.left - 1, scalar=held.scalar if held.left > 1 else b"")


def over(held: Held, now: int) -> Held:
    """The same without its key once its last day has passed (GRID-042)."""
    if held.scalar and now > read_invite(held.compact).exp:
        return replace(held, scalar=b"")
    return held


def root_key(shared: bytes, found: Invitation, replier: str, epk: bytes) -> bytes:
    """KDF(ECDH, H(SI of the invitation), "conv", LP(inviter, replier, tp, tp), 32) (GRID-044)."""
    return root_of(shared, b64d(found.name), found.sender, replier, public.tp(found.epk), public.tp(epk))


def root_of(shared: bytes, invite: bytes, inviter: str, replier: str, tp_invite: str, tp_reply: str) -> bytes:
    """The same of its parts."""
    return kdf(shared, invite, "conv", lp(inviter, replier, tp_invite, tp_reply), 32)


def opening_key(root: bytes, th: str, kid: str, jti: bytes) -> bytes:
    """KDF(root, jti, "conv-msg", LP(th, kid, jti), 64): key and commitment of an answer (GRID-045)."""
    return kdf(root, jti, "conv-msg", lp(b64d(th), kid, jti), 64)


def receipt_root(root: bytes, th: str) -> bytes:
    """KDF(root, "", "conv-receipts", LP(th), 32): what receipts are sealed under; it opens nothing else (GRID-053)."""
    return kdf(root, b"", "conv-receipts", lp(b64d(th)), 32)


# --- writing ------------------------------------------------------------------------------------------------------


def write(thread: Thread, identity: Identity, text: str, *, now: int, rng: Rng, relay: str = "") -> tuple[Thread, str]:
    """The next message (GRID-050). Raises LogRollback when this state is behind (GRID-054), NotMember, FormatError."""
    _check_writer(thread, identity)
    place = thread.sent + 1
    keys, secret = ratchet.send(ratchet.expire(thread.ratchet, now), place, rng)
    content = json_emit({"message": text, "got": thread.report().content()} | ({"relay": relay} if relay else {}))
    CONTENTS["message"](json_parse(content))
    shown = {"th": thread.th, "seq": place, "ph": thread.links[-1][1], "rk": b64e(ratchet.own_key(keys))}
    key = b"".join(ratchet.message_key(secret, keys.th, identity.id, place))
    made = _seal(REPLY, identity, {**shown, "cs": keys.start, "iat": now}, key, content, rng)
    links = (*thread.links, (place, made.link))[-REMEMBERED - 1 :]
    return replace(thread, ratchet=keys, sent=place, links=links), made.compact


def receipt(thread: Thread, identity: Identity, *, now: int, rng: Rng) -> str:
    """Say what has arrived, without a message (GRID-053). The state does not change. Raises LogRollback, NotMember."""
    _check_writer(thread, identity)
    jti = rng(16)
    key = _receipt_key(thread, identity.id, jti)
    shown = {"th": thread.th, "jti": b64e(jti), "iat": now}
    return _seal(RECEIPT, identity, shown, key, json_emit(thread.report().content()), rng).compact


def _check_writer(thread: Thread, identity: Identity) -> None:
    if identity.jwk != thread.me:
        raise NotMember("another identity's conversation", reason="not-yours")
    if thread.behind:
        raise LogRollback("the other holds tokens of yours that this state has not written", reason="behind")


def _receipt_key(thread: Thread, kid: str, jti: bytes) -> bytes:
    return kdf(thread.receipts, jti, "conv-receipt", lp(b64d(thread.th), kid, jti), 64)


def _seal(typ: str, identity: Identity, shown: dict[str, Any], key: bytes, content: bytes, rng: Rng) -> Envelope:
    """``key`` is key and commitment. The header is bound as additional data (GRID-055)."""
    nonce = rng(crypto.NONCE_LENGTH)
    header = envelope.head(typ, identity, **shown, enc=ENC, n=b64e(nonce), cm=b64e(key[32:]))
    sealed = crypto.aead_seal(key[:32], nonce, padding.pad(content), b64e(json_emit(header)).encode("ascii"))
    return envelope.sign(header, sealed, identity)


def _open(read: Envelope, key: bytes) -> dict[str, Any]:
    """Commitment, seal, padding, JSON (GRID-055). Raises DecryptFailed, FormatError."""
    crypto.require_equal(key[32:], b64d(read.header["cm"]), DecryptFailed("commitment"))
    plain = crypto.aead_open(key[:32], b64d(read.header["n"]), read.payload, read.header_part)
    return json_parse(padding.unpad(plain))


# --- reading ------------------------------------------------------------------------------------------------------


def read(thread: Thread, compact: str, *, now: int) -> tuple[Thread, Message | Receipt]:
    """Take a token of this conversation (GRID-051, GRID-052). What is repeated leaves the state as it is.

    Raises KeyUnknown for another conversation's and for a place whose key is gone, NotMember for a stranger's,
    KeyChanged for a second opening, Replay for a second token of one place, SignatureInvalid, DecryptFailed, Gap,
    FormatError.
    """
    token = envelope.decode(compact, OPENING, REPLY, RECEIPT)
    if token.typ == OPENING:
        return thread, _read_opening(thread, token)
    if token.header["th"] != thread.th:
        raise KeyUnknown("a token of another conversation", reason="other-conversation")
    own = _verify(thread, token)
    if token.typ == RECEIPT:
        return _read_receipt(thread, token, own)
    if not 0 < token.header["cs"] <= token.header["seq"]:
        raise FormatError("places of messages begin at 1, and a chain before its messages")
    if own:
        return _read_own(thread, token)
    return _read_reply(thread, token, now)


def _verify(thread: Thread, token: Envelope) -> bool:
    """Whether it is one's own; the signature holds under the key that ``kid`` names (GRID-051)."""
    names: dict[str, Jwk] = {thread.mine: thread.me, thread.theirs: thread.them}
    kid: str = token.header["kid"]
    if kid not in names:
        raise NotMember("not one of the two", reason="foreign")
    envelope.verify(token, names[kid])
    return kid == thread.mine


def _read_opening(thread: Thread, token: Envelope) -> Message:
    invitation = read_invite(thread.invite)
    epk = b64d(token.header["epk"])
    jwk_of_point(epk)
    if public.thread_name(invitation.epk, epk) != thread.th:
        raise KeyUnknown("a token of another conversation", reason="other-conversation")
    envelope.verify_shown(token)
    if token.link != thread.opening:
        raise KeyChanged("a second opening of the same conversation", reason="other-opening")
    status: Status = "own" if token.header["kid"] == thread.mine else "repeated"
    return Message(thread.th, token.header["kid"], status, 0, token.link, "", token.header["iat"])


def _read_own(thread: Thread, token: Envelope) -> tuple[Thread, Message]:
    place = token.header["seq"]
    shown = Message(thread.th, thread.mine, "own", place, token.link, "", token.header["iat"])
    if place > thread.sent or dict(thread.links).get(place, token.link) != token.link:
        return replace(thread, behind=True), shown
    return thread, shown


def _read_reply(thread: Thread, token: Envelope, now: int) -> tuple[Thread, Message]:
    h, place = token.header, token.header["seq"]
    shown = Message(thread.th, thread.theirs, "repeated", place, token.link, "", h["iat"])
    if places.holds(thread.runs, place):
        if dict(thread.seen).get(place, token.link) != token.link:
            raise Replay("a second token of one place", reason="twice")
        return thread, shown
    places.check(thread.runs, place)
    keys, secret = ratchet.receive(ratchet.expire(thread.ratchet, now), b64d(h["rk"]), h["cs"], place, now)
    content = _open(token, b"".join(ratchet.message_key(secret, keys.th, thread.theirs, place)))
    CONTENTS["message"](content)
    report = Report.read(content["got"])
    runs = places.put(thread.runs, place, h["ph"], token.link)
    status: Status = "new" if place == places.last(runs) else "late"
    linked = len(places.breaks(runs)) <= len(thread.breaks)
    relay = content.get("relay", "")
    seen = _remember(thread.seen, place, token.link)
    thread = replace(thread, ratchet=keys, runs=runs, seen=seen, relay=(status == "new" and relay) or thread.relay)
    thread = heard(thread, report, h["iat"])
    return thread, replace(shown, status=status, text=content["message"], relay=relay, after=report.up, linked=linked)


def _remember(seen: Links, place: int, h: str) -> Links:
    return tuple(sorted((*seen, (place, h))))[-REMEMBERED:]


def _read_receipt(thread: Thread, token: Envelope, own: bool) -> tuple[Thread, Receipt]:
    sender = token.header["kid"]
    content = _open(token, _receipt_key(thread, sender, b64d(token.header["jti"])))
    report = Report.read(content)
    if own:
        return thread, Receipt(thread.th, sender, "own", None, token.header["iat"])
    after = heard(thread, report, token.header["iat"])
    return after, Receipt(thread.th, sender, "repeated" if after == thread else "new", report, token.header["iat"])


def heard(thread: Thread, report: Report, iat: int) -> Thread:
    """With the other's report, if it says more than the one before (GRID-053, GRID-054)."""
    highest = max(report.up, *(last for _, last in report.more)) if report.more else report.up
    if highest > thread.sent or dict(thread.links).get(report.up, report.h) != report.h:
        return replace(thread, behind=True)
    if (report.up, len(report.more), iat) <= (thread.arrived.up, len(thread.arrived.more), thread.arrived_at):
        return thread
    if report.up < thread.arrived.up:
        return thread
    links = tuple(one for one in thread.links if one[0] >= report.up) or thread.links[-1:]
    return replace(thread, arrived=report, arrived_at=iat, links=links)


def outstanding(thread: Thread) -> tuple[int, ...]:
    """Places of one's own tokens that the other has not said to hold, ascending (GRID-053)."""
    return tuple(place for place in range(thread.arrived.up + 1, thread.sent + 1) if not thread.arrived.has(place))
