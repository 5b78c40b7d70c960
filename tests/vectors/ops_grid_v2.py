"""Operations of vectors/grid_v2.json."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from cloister.errors import CheckFailed
from cloister.grid import envelope, public, ratchet, timeline, v2
from cloister.grid.keys import Identity
from cloister.grid.ratchet import Ratchet
from cloister.grid.v2_thread import Held, Report, Thread
from vectors.generate._grid import Replay, message_value

Given = dict[str, Any]
_hex = bytes.fromhex


def _decode(given: Given) -> Any:
    read = envelope.decode(given["token"], given["typ"])
    return {"header": read.header, "payload": read.payload.hex(), "digest": read.digest.hex()}


def _read_invite(given: Given) -> Any:
    found = public.read_invite(given["token"], now=given.get("now"))
    return {name: value for name, value in asdict(found).items() if name != "compact"} | {"epk": found.epk.hex()}


def _invite(given: Given) -> Any:
    draw = Replay(given["drawn"])
    more = {name: given[name] for name in ("note", "relay", "life", "uses") if name in given}
    held = v2.invite(Identity.load(given["me"]), given["nickname"], now=given["now"], rng=draw, **more)
    draw.end()
    return held.dump()


def _root(given: Given) -> Any:
    shared, invite = _hex(given["shared"]), _hex(given["invite"])
    return v2.root_of(shared, invite, given["inviter"], given["replier"], given["tpI"], given["tpR"]).hex()


def _answer(given: Given) -> Any:
    draw = Replay(given["drawn"])
    thread, token = v2.answer(
        Identity.load(given["me"]), given["invite"], given["nickname"], given["text"],
        now=given["now"], rng=draw, relay=given.get("relay", ""),
    )  # fmt: skip
    draw.end()
    return {"state": thread.dump(), "token": token}


def _accept(given: Given) -> Any:
    held = [Held.load(one) for one in given["held"]]
    after, thread, shown = v2.accept(Identity.load(given["me"]), held, given["token"], now=given["now"])
    return {"held": after.dump(), "state": thread.dump(), "message": message_value(shown)}


def _write(given: Given) -> Any:
    draw = Replay(given["drawn"])
    thread, token = v2.write(
        Thread.load(given["state"]), Identity.load(given["me"]), given["text"],
        now=given["now"], rng=draw, relay=given.get("relay", ""),
    )  # fmt: skip
    draw.end()
    return {"state": thread.dump(), "token": token}


def _receipt(given: Given) -> Any:
    draw = Replay(given["drawn"])
    token = v2.receipt(Thread.load(given["state"]), Identity.load(given["me"]), now=given["now"], rng=draw)
    draw.end()
    return token


def _read(given: Given) -> Any:
    thread, shown = v2.read(Thread.load(given["state"]), given["token"], now=given["now"])
    return {"state": thread.dump(), "message": message_value(shown)}


def _walk(given: Given) -> Any:
    thread, said = Thread.load(given["state"]), []
    for token in given["tokens"]:
        try:
            thread, shown = v2.read(thread, token, now=given["now"])
            said.append([shown.status, shown.place if isinstance(shown, v2.Message) else -1])
        except CheckFailed as error:
            said.append([error.code])
    return {
        "said": said,
        "missing": [list(gap) for gap in thread.missing],
        "breaks": list(thread.breaks),
        "report": thread.report().content(),
        "outstanding": list(v2.outstanding(thread)),
        "behind": thread.behind,
    }


def _turns(given: Given) -> Any:
    """Both sides of a ratchet, without messages: each act is "send" or a place to be received."""
    th, root = _hex(given["th"]), _hex(given["root"])
    mine, theirs = _hex(given["mine"]), _hex(given["theirs"])
    begin = ratchet.begin_inviter if given["side"] == "inviter" else ratchet.begin_replier
    return begin(root, th, mine, theirs).dump()


def _receive(given: Given) -> Any:
    state, secret = ratchet.receive(
        Ratchet.load(given["ratchet"]), _hex(given["rk"]), given["cs"], given["place"], given["now"]
    )
    return {
        "secret": secret.hex(),
        "next": state.next,
        "kept": [one.place for one in state.spare][:3],
        "keys": len(state.spare),
    }


def _auth(given: Given) -> Any:
    return public.make_auth(Identity.load(given["me"]), aud=given["aud"], nonce=_hex(given["nonce"]), iat=given["now"])


def _read_auth(given: Given) -> Any:
    found = public.read_auth(given["token"], origins=given["origins"], nonce=_hex(given["nonce"]), now=given["now"])
    return found[0]


def _heard(given: Given) -> Any:
    thread = v2.heard(Thread.load(given["state"]), Report.read(given["report"]), given["iat"])
    return {"arrived": thread.arrived.content(), "behind": thread.behind, "outstanding": list(v2.outstanding(thread))}


def _order(given: Given) -> Any:
    return [[one.sender, one.place] for one in timeline.order(timeline.Item(*one) for one in given["items"])]


OPS = {
    "grid2-decode": _decode,
    "grid2-peek": lambda given: envelope.peek(given["token"]),
    "grid2-read-invite": _read_invite,
    "grid2-invite": _invite,
    "grid2-thread": lambda given: public.thread_name(_hex(given["invite"]), _hex(given["reply"])),
    "grid2-root": _root,
    "grid2-begin": _turns,
    "grid2-receive": _receive,
    "grid2-answer": _answer,
    "grid2-accept": _accept,
    "grid2-write": _write,
    "grid2-receipt": _receipt,
    "grid2-read": _read,
    "grid2-walk": _walk,
    "grid2-heard": _heard,
    "grid2-over": lambda given: v2.over(Held.load(given["held"]), given["now"]).dump(),
    "grid2-auth": _auth,
    "grid2-read-auth": _read_auth,
    "grid2-order": _order,
}
