"""Operations of vectors/invitations.json."""

from __future__ import annotations

from typing import Any

from cloister.protocol import join
from cloister.protocol.state import Invite
from cloister.sphere import invitation
from cloister.sphere.invitation import Link
from tests.vectors._log import Given, history, states

_hex = bytes.fromhex


def invite_keys(given: Given) -> Any:
    ivk, ipk = invitation.key_pair(_hex(given["seed"]), given["sph"], _hex(given["jti"]))
    return {"ivk": ivk.hex(), "ipk": ipk.hex()}


def link_parse(given: Given) -> Any:
    link = invitation.parse(given["text"])
    return {
        "kind": link.kind,
        "origin": link.origin,
        "sph": link.sph,
        "jti": link.jti.hex(),
        "seed": link.seed.hex(),
        "seq": link.seq,
        "pin": link.pin.hex(),
        "label": link.label,
    }


def link_emit(given: Given) -> Any:
    raw = {name: _hex(given[name]) for name in ("jti", "seed", "pin")}
    return invitation.emit(Link(**{**given, **raw}))


def link_pin(given: Given) -> Any:
    invitation.check_pin(invitation.parse(given["text"]), history(states(given)))
    return True


def link_request(given: Given) -> Any:
    jti = _hex(given["jti"])
    _, ipk = invitation.key_pair(_hex(given["seed"]), given["sph"], jti)
    invite = Invite(jti, ipk, "member", 1, given["iat"], "ask", "", 0)
    request = join.verify(given["join"], given["sph"], invite, given["iat"])
    return {"id": request.id, "by_link": request.by_link}


OPS = {
    "invite-keys": invite_keys,
    "link-parse": link_parse,
    "link-emit": link_emit,
    "link-pin": link_pin,
    "link-request": link_request,
}
