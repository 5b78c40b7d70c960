"""Operations of vectors/envelope.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloister.protocol import ids, jws

Given = dict[str, Any]


def _decode(given: Given) -> Given:
    envelope = jws.decode(given["compact"], given["typ"])
    return {
        "header": envelope.header,
        "payload": envelope.payload.hex(),
        "aad": envelope.header_part.hex(),
        "digest": envelope.digest.hex(),
    }


def _open(given: Given) -> Given:
    envelope = jws.decode(given["compact"], given["typ"])
    if "dk" in given["key"]:
        jws.verify_ed25519(envelope, bytes.fromhex(given["key"]["dk"]))
    else:
        jws.verify_es384(envelope, given["key"]["jwk"])
    return {"header": envelope.header, "body": envelope.body, "digest": envelope.digest.hex()}


def _sign(given: Given) -> Given:
    signer = jws.device_signer(bytes.fromhex(given["seed"]))
    return jws.decode(jws.sign(given["typ"], given["header"], given["payload"], signer), given["typ"]).body


def _sized(given: Given) -> int:
    header = {name: value for name, value in given["header"].items() if name not in ("alg", "typ")}
    compact = jws.sign(given["typ"], header, bytes(given["length"]), lambda _: bytes(64))
    return len(jws.decode(compact, given["typ"]).compact)


OPS: dict[str, Callable[[Given], Any]] = {
    "envelope-decode": _decode,
    "envelope-open": _open,
    "envelope-sign": _sign,
    "envelope-sized": _sized,
    "thumbprint": lambda given: ids.thumbprint(given["jwk"]).hex(),
    "identity-id": lambda given: ids.identity_id(given["jwk"]),
    "device-id": lambda given: ids.device_id(bytes.fromhex(given["dk"])),
    "sphere-id": lambda given: ids.sphere_id(bytes.fromhex(given["digest"])),
    "raw-id": lambda given: ids.raw(given["id"]).hex(),
}
