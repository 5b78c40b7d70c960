"""Operations of vectors/slots.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloister import crypto
from cloister.account import credentials, keys, slot_names, slots, state_slot
from cloister.protocol import ids

_b = bytes.fromhex


def _identity(given: dict[str, Any]) -> dict[str, str]:
    scalar = keys.new_identity(lambda length: _b(given["random"])[:length])
    return {"ik": scalar.hex(), "id": keys.account_id(scalar)}


def _device(given: dict[str, Any]) -> dict[str, str]:
    made = keys.device(_b(given["dk_seed"]), given["kem"], _b(given["de_seed"]))
    packed = keys.pack_device(made)
    assert keys.unpack_device(packed, made.dv) == made
    return {"dv": made.dv, "dk": made.dk.hex(), "de": crypto.sha256(made.de).hex(), "packed": packed.hex()}


def _share(given: dict[str, Any]) -> dict[str, Any]:
    own = keys.device(_b(given["dk_seed"]), given["kem"], _b(given["de_seed"]))
    present = keys.Roots(bytes(32), bytes(32), given["present"])
    got = credentials.open_mk_share(given["account"], given["sender"], own, given["mkv"], _b(given["ct"]), present)
    return {"mk": got.mk.hex(), "mkv": got.mkv}


def _masters(given: dict[str, Any]) -> dict[str, str]:
    kept = {int(n): _b(text) for n, text in given["slots"].items()}
    found = slots.open_masters(given["account"], _b(given["mk"]), given["mkv"], kept)
    return {str(n): mk.hex() for n, mk in found.items()}


def _state(given: dict[str, Any]) -> dict[str, Any]:
    pin = state_slot.Pin(given["pin"][0], _b(given["pin"][1])) if "pin" in given else None
    devices = {dv: _b(dk) for dv, dk in given["devices"].items()}
    got = state_slot.open_state(_b(given["mk"]), given["account"], given["ctr"], _b(given["slot"]), devices, pin)
    return {
        "ctr": got.ctr,
        "digest": got.digest.hex(),
        "prev": got.prev.hex(),
        "dv": got.dv,
        "content": got.content,
        "provisional": got.provisional,
    }


def _name(given: dict[str, Any]) -> list[Any]:
    name = slot_names.parse(given["name"])
    return [name.kind, name.sph, name.n, name.create_only, name.password_only]


def _ik(given: dict[str, Any]) -> str:
    jwk: ids.Jwk = given["jwk"]
    return slots.open_ik(_b(given["rk"]), given["account"], jwk, _b(given["slot"])).hex()


OPS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "unwrap-mk": lambda g: keys.unwrap_mk(_b(g["kek"]), g["account"], g["ver"], g["mkv"], _b(g["wrapped"])).hex(),
    "unwrap-rk": lambda g: keys.unwrap_rk(_b(g["kek"]), g["account"], g["ver"], _b(g["wrapped"])).hex(),
    "identity-scalar": _identity,
    "open-ik": _ik,
    "open-epoch": lambda g: slots.open_epoch(_b(g["mk"]), g["account"], g["sph"], g["n"], _b(g["slot"])).hex(),
    "masters": _masters,
    "open-state": _state,
    "device": _device,
    "open-mk-share": _share,
    "slot-name": _name,
}
