"""What anybody can check of grid-v2 without a secret: invitations, and who signs in at a relay.

Spec: GRID-041, GRID-042, GRID-056.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from cloister import crypto
from cloister.errors import Expired, FormatError, LogInvalid
from cloister.grid import envelope
from cloister.grid.envelope import AUTH, INVITE
from cloister.grid.keys import Identity, jwk_of_point
from cloister.protocol.encoding import b64d, b64e, json_emit, lp
from cloister.protocol.ids import Jwk, thumbprint

DAY: Final = 86400
LIFE: Final = 30 * DAY
MAX_LIFE: Final = 366 * DAY
MAX_PROOF: Final = 60
CLOCK_SKEW: Final = 600


@dataclass(frozen=True)
class Invitation:
    """An invitation whose signature held. ``name`` is b64 of its H(SI), ``epk`` a point, ``uses`` 0 for any number."""

    compact: str
    name: str
    sender: str
    jwk: Jwk
    epk: bytes
    iat: int
    exp: int
    uses: int
    nickname: str
    note: str
    relay: str


def read_invite(compact: str, *, now: int | None = None) -> Invitation:
    """Verify an invitation (GRID-041). With ``now`` it must not be over (GRID-042).

    Raises NotMember, SignatureInvalid, FormatError, Expired.
    """
    read = envelope.decode(compact, INVITE)
    jwk = envelope.verify_shown(read)
    body = read.body
    jwk_of_point(b64d(body["epk"]))
    if not body["iat"] <= body["exp"] <= body["iat"] + MAX_LIFE:
        raise FormatError("an invitation ends within a year of its beginning")
    if now is not None and now > body["exp"]:
        raise Expired("invitation", reason="invitation-over")
    return Invitation(
        compact, read.link, read.header["kid"], jwk, b64d(body["epk"]), body["iat"], body["exp"], body["uses"],
        body["nickname"], body.get("note", ""), body.get("relay", ""),
    )  # fmt: skip


def thread_name(invite_epk: bytes, reply_epk: bytes) -> str:
    """``th``: b64 of the first 16 bytes of H(LP("th", tp, tp)), the invitation's key first (GRID-044)."""
    return b64e(crypto.sha256(lp("th", tp(invite_epk), tp(reply_epk)))[:16])


def tp(point: bytes) -> str:
    """b64 of the RFC 7638 thumbprint of a conversation key (GRID-003)."""
    return b64e(thumbprint(jwk_of_point(point)))


def make_auth(identity: Identity, *, aud: str, nonce: bytes, iat: int) -> str:
    """Answer a relay's nonce (32 bytes) for the origin ``aud``; valid 60 seconds (GRID-056)."""
    body = {"aud": aud, "nonce": b64e(nonce), "iat": iat, "exp": iat + MAX_PROOF}
    return envelope.sign(envelope.head(AUTH, identity, jwk=identity.jwk), json_emit(body), identity).compact


def read_auth(compact: str, *, origins: Collection[str], nonce: bytes, now: int) -> tuple[str, Jwk]:
    """Who answered ``nonce`` for one of ``origins`` (GRID-056).

    Raises NotMember, SignatureInvalid, FormatError, LogInvalid for another relay's or nonce's, Expired.
    """
    read = envelope.decode(compact, AUTH)
    jwk = envelope.verify_shown(read)
    body = read.body
    if body["aud"] not in origins or b64d(body["nonce"]) != nonce:
        raise LogInvalid("the answer is for another relay or challenge")
    if not body["iat"] <= body["exp"] <= body["iat"] + MAX_PROOF or abs(now - body["iat"]) > CLOCK_SKEW:
        raise Expired("sign-in")
    return read.header["kid"], jwk
