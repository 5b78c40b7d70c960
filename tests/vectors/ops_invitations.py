"""Operations of vectors/invitations.json."""

from __future__ import annotations

from typing import Any

from cloister.account import keys
from cloister.protocol import join
from cloister.protocol.state import Invite
from cloister.sphere import invitation
from cloister.sphere.invitation import Link
from cloister.sphere.share import Party
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


def link_letter(given: Given) -> Any:
    own = keys.device(_hex(given["dk_seed"]), given["kem"], _hex(given["de_seed"]))
    body = {"idR": given["idR"], "dvR": given["dvR"], "kem": given["kemR"], "ct": given["ct"]}
    me, sender = Party(given["me"], own.dv), Party(*given["sender"])
    link = invitation.open(body, given["via"], _hex(given["jti"]), sender, me, own.kem, [own.de_seed])
    return link_parse({"text": invitation.emit(link)})


OPS = {
    "invite-keys": invite_keys,
    "link-parse": link_parse,
    "link-emit": link_emit,
    "link-pin": link_pin,
    "link-request": link_request,
    "link-letter": link_letter,
}
