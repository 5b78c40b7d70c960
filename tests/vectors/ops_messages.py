"""Operations of vectors/messages.json."""

from __future__ import annotations

import json
from typing import Any

from cloister import crypto
from cloister.protocol import jws
from cloister.protocol.ids import device_id
from cloister.sphere import message, padding
from cloister.sphere import payload as payloads
from cloister.sphere.epoch import EpochKey
from cloister.sphere.message import Place
from tests.vectors._log import Given

_hex = bytes.fromhex


def _key(given: Given | None) -> EpochKey | None:
    return EpochKey(given["sph"], given["n"], _hex(given["secret"]), b"", b"") if given else None


def _plain(payload: payloads.Payload) -> Any:
    return json.loads(payloads.encode(payload))


def message_seal(given: Given) -> Any:
    seed = _hex(given["seed"])
    drawn = iter([_hex(given["mid"]), _hex(given.get("nonce", ""))])
    place = Place(given["seq"], _hex(given["ph"]), given["ls"], _hex(given["lh"]), given["ep"], given["try"])
    return message.seal(
        payloads.decode(_hex(given["payload"])),
        place,
        sph=given["sph"],
        dv=device_id(crypto.ed25519_public(seed)),
        signer=jws.device_signer(seed),
        iat=given["iat"],
        rng=lambda length: next(drawn),
        key=_key(given.get("key")),
        thr=_hex(given.get("thr", "")),
    )


def message_decode(given: Given) -> Any:
    got = message.decode(given["message"])
    return {"header": jws.decode(got.compact, message.TYP).header, "digest": got.digest.hex()}


def message_open(given: Given) -> Any:
    got = message.decode(given["message"])
    message.verify(got, _hex(given["dk"]))
    return _plain(message.open(got, _key(given.get("key")), mode=given["mode"]))


def check_change(given: Given) -> Any:
    payloads.check_change(payloads.decode(_hex(given["payload"])), given["author"], given["role"], given["target"])
    return True


def check_target(given: Given) -> Any:
    payloads.check_target(payloads.decode(_hex(given["payload"])), payloads.decode(_hex(given["target"])))
    return True


OPS = {
    "padded-length": lambda given: padding.padded_length(given["length"]),
    "pad": lambda given: padding.pad(_hex(given["data"])).hex(),
    "unpad": lambda given: padding.unpad(_hex(given["data"])).hex(),
    "payload-decode": lambda given: _plain(payloads.decode(_hex(given["bytes"]))),
    "message-seal": message_seal,
    "message-decode": message_decode,
    "message-open": message_open,
    "check-change": check_change,
    "check-target": check_target,
}
