"""Operations of vectors/join.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloister.protocol import join
from cloister.protocol.encoding import b64d
from cloister.protocol.state import Invite

Given = dict[str, Any]


def _invite(given: Given) -> Invite | None:
    if "invite" not in given:
        return None
    i = given["invite"]
    return Invite(b64d(i["jti"]), b64d(i["ipk"]), "member", i.get("left", 1), i["exp"], "ask", "", 2)


def _read(request: join.JoinRequest) -> Any:
    return {
        "id": request.id,
        "name": request.name,
        "kid": request.kid,
        "by_link": request.by_link,
        "digest": request.digest.hex(),
        "kems": {dv: [kem, de.hex()] for dv, (kem, de) in request.kems.items()},
    }


def _verify(given: Given) -> Any:
    return _read(join.verify(given["join"], given["sph"], _invite(given), given["iat"]))


def _ivs(given: Given) -> Any:
    invite = _invite(given)
    assert invite is not None
    return _read(join.check_ivs(given["join"], given["sph"], invite, given["iat"]))


def _link_message(given: Given) -> Any:
    jti, digest, nonce = (bytes.fromhex(given[name]) for name in ("jti", "cert_digest", "nonce"))
    return join.link_message(given["sph"], jti, given["id"], digest, nonce).hex()


OPS: dict[str, Callable[[Given], Any]] = {
    "join-verify": _verify,
    "join-check-ivs": _ivs,
    "join-link-message": _link_message,
}
