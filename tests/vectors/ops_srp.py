"""Operations of vectors/srp.json."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from cloister.account import srp, srp_group, srp_server
from cloister.account.password import Stretched
from cloister.account.srp_group import GROUP, Group
from cloister.errors import AuthFailed

HASHES: dict[str, Callable[[bytes], bytes]] = {
    "sha1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "sha256": lambda data: hashlib.sha256(data).digest(),
}


def _hex(value: int, length: int) -> str:
    return value.to_bytes(length, "big").hex()


def _arithmetic(given: dict[str, Any]) -> dict[str, str]:
    group = Group(int(given["n"], 16), given["g"], HASHES[given["hash"]])
    a, b, size = int(given["a"], 16), int(given["b"], 16), len(group.hash(b""))
    k = srp_group.multiplier(group)
    x = srp_group.private_key(group, bytes.fromhex(given["s"]), given["I"], given["P"])
    v, a_public = srp_group.power(group, x), srp_group.power(group, a)
    b_public = srp_group.server_public(group, k, v, b)
    u = srp_group.scrambler(group, a_public, b_public)
    s = srp_group.server_secret(group, v, b, u, a_public)
    assert s == srp_group.client_secret(group, k, x, a, u, b_public)
    numbers = {"v": v, "A": a_public, "B": b_public, "S": s}
    hashes = {"k": k, "x": x, "u": u}
    return {name: _hex(n, group.length) for name, n in numbers.items()} | {
        name: _hex(n, size) for name, n in hashes.items()
    }


def _client(given: dict[str, Any]) -> dict[str, str]:
    a = int(given["a"], 16)
    ephemeral = srp.Ephemeral(a, srp_group.pad(GROUP, srp_group.power(GROUP, a)))
    challenge = srp.Challenge(bytes.fromhex(given["salt"]), "", bytes.fromhex(given["B"]))
    stretched = Stretched(bytes.fromhex(given["auth"]), b"", given["ver"])
    proof = srp.prove(
        ephemeral,
        challenge,
        stretched,
        login=given["login"],
        realm=bytes.fromhex(given["realm"]),
        origin=given["origin"],
    )
    return {"A": ephemeral.public.hex(), "M1": proof.m1.hex(), "M2": proof.expected_m2.hex()}


def _server(given: dict[str, Any]) -> dict[str, str]:
    v, b = int(given["v"], 16), int(given["b"], 16)
    a_public = bytes.fromhex(given["A"])
    try:
        srp_group.element(GROUP, a_public)
    except Exception:
        raise AuthFailed from None
    public = srp_group.pad(GROUP, srp_group.server_public(GROUP, srp_group.K, v, b))
    salt = bytes.fromhex(given["salt"])
    pending = srp_server.Pending(given["login"], salt, public, a_public, 60, given["known"], given["ver"], v, b)
    m2 = srp_server.finish(
        pending,
        bytes.fromhex(given["M1"]),
        realm=bytes.fromhex(given["realm"]),
        origins=given["origins"],
        now=given["age"],
    )
    return {"B": public.hex(), "M2": m2.hex()}


def _challenge(given: dict[str, Any]) -> dict[str, str]:
    pinned = bytes.fromhex(given["pinned"]) if "pinned" in given else None
    read = srp.read_challenge(given["reply"], pinned_salt=pinned)
    return {"salt": read.salt16.hex(), "B": read.public.hex()}


def _reply(given: dict[str, Any]) -> bool:
    srp.check_reply(srp.Proof(bytes.fromhex(given["M1"]), bytes.fromhex(given["expected"])), bytes.fromhex(given["M2"]))
    return True


OPS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "srp-arithmetic": _arithmetic,
    "srp-verifier": lambda given: srp.verifier(
        given["login"], bytes.fromhex(given["salt"]), bytes.fromhex(given["auth"])
    ).hex(),
    "srp-client": _client,
    "srp-server": _server,
    "srp-challenge": _challenge,
    "srp-reply": _reply,
}
