"""Operations of vectors/grid_v1.json."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from cloister.errors import CheckFailed
from cloister.grid import v1, v1_backup, v1_jws
from cloister.grid.keys import Identity, thumbprint1
from cloister.grid.v1_thread import Held, Thread
from cloister.protocol.encoding import b64e
from vectors.generate._grid import Replay

Given = dict[str, Any]
_hex = bytes.fromhex


def _decode(given: Given) -> Any:
    token = v1_jws.decode(given["token"])
    return {"kind": token.kind, "header": token.header, "payload": token.payload.hex()}


def _open(given: Given) -> Any:
    token = v1_jws.decode(given["token"])
    return v1_jws.open(_hex(given["key"]), token)


def _read_invite(given: Given) -> Any:
    found = v1.read_invite(given["token"])
    return {name: value for name, value in asdict(found).items() if name != "compact"}


def _invite(given: Given) -> Any:
    draw = Replay(given["drawn"])
    held = v1.invite(
        Identity.load(given["me"]), given["nickname"], note=given.get("note", ""), now=given["now"], rng=draw
    )
    draw.end()
    return held.dump() | {"name": held.name}


def _answer(given: Given) -> Any:
    draw = Replay(given["drawn"])
    thread, token = v1.answer(
        Identity.load(given["me"]), given["invite"], given["nickname"], given["text"],
        now=given["now"], rng=draw, relay=given.get("relay", ""),
    )  # fmt: skip
    draw.end()
    return {"state": thread.dump(), "token": token}


def _accept(given: Given) -> Any:
    held = [Held.load(one) for one in given["held"]]
    thread, shown = v1.accept(Identity.load(given["me"]), held, given["token"])
    return {"state": thread.dump(), "message": asdict(shown)}


def _write(given: Given) -> Any:
    draw = Replay(given["drawn"])
    thread, token = v1.write(
        Thread.load(given["state"]), Identity.load(given["me"]), given["text"],
        now=given["now"], rng=draw, relay=given.get("relay", ""),
    )  # fmt: skip
    draw.end()
    return {"state": thread.dump(), "token": token}


def _walk(given: Given) -> Any:
    thread, said = Thread.load(given["state"]), []
    for token in given["tokens"]:
        try:
            thread, shown = v1.read(thread, token)
            said.append([shown.status, shown.place, shown.text])
        except CheckFailed as error:
            said.append([error.code])
    return {"said": said, "missing": [list(gap) for gap in thread.missing], "state": thread.dump()}


def _read(given: Given) -> Any:
    return asdict(v1.read(Thread.load(given["state"]), given["token"])[1])


def _proof(given: Given) -> Any:
    return v1.login_proof(
        Identity.load(given["me"]), given["challenge"], now=given["now"], remove=given.get("remove", False)
    )


def _backup(given: Given) -> Any:
    found = v1_backup.read(given["token"], given["password"])
    return {
        "id1": found.identity.id1,
        "sign": b64e(found.identity.sign),
        "invitations": [one.dump() for one in found.invitations],
        "threads": [one.dump() for one in found.threads],
        "tokens": {th: len(tokens) for th, tokens in found.tokens.items()},
        "refused": [code for _, code in found.refused],
    }


def _write_backup(given: Given) -> Any:
    draw = Replay(given["drawn"])
    threads = [(Thread.load(state), tokens) for state, tokens in given["threads"]]
    held = [Held.load(one) for one in given["held"]]
    me = Identity.load(given["me"])
    token = v1_backup.write(me, given["password"], held, threads, now=given["now"], rng=draw)
    draw.end()
    return token


def _lock(given: Given) -> Any:
    draw = Replay(given["drawn"])
    text = v1_backup.lock(_hex(given["scalar"]), given["password"], *given["ops"], rng=draw)
    draw.end()
    return text


def _keep(given: Given) -> Any:
    draw = Replay(given["drawn"])
    token = v1_backup.keep(Identity.load(given["me"]), _hex(given["scalar"]), now=given["now"], rng=draw)
    draw.end()
    return token


OPS = {
    "grid1-name": lambda given: thumbprint1(given["jwk"]),
    "grid1-thread": lambda given: v1.thread_name(given["one"], given["other"]),
    "grid1-decode": _decode,
    "grid1-open": _open,
    "grid1-number": lambda given: v1.read_number(given["text"]),
    "grid1-read-invite": _read_invite,
    "grid1-invite": _invite,
    "grid1-answer": _answer,
    "grid1-accept": _accept,
    "grid1-write": _write,
    "grid1-read": _read,
    "grid1-walk": _walk,
    "grid1-proof": _proof,
    "grid1-read-proof": lambda given: v1.read_login_proof(
        given["token"], given["challenge"], now=given["now"], remove=given.get("remove", False)
    ),
    "grid1-lock": _lock,
    "grid1-unlock": lambda given: v1_backup.unlock(given["text"], given["password"]).hex(),
    "grid1-keep": _keep,
    "grid1-kept": lambda given: v1_backup.kept(Identity.load(given["me"]), given["token"]).hex(),
    "grid1-backup": _backup,
    "grid1-write-backup": _write_backup,
}
