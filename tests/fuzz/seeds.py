"""What the fuzzed decoders start from: good inputs of every kind, of the vectors and of one small world."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from cloister.protocol import jws, p2p
from cloister.protocol.encoding import b64e
from cloister.sphere import payload, run
from tests.fuzz import world as worlds
from vectors.generate import live as live_vectors

VECTORS = Path(__file__).parents[2] / "vectors"


def w() -> worlds.World:
    return worlds.world()


def enc(*texts: str) -> list[bytes]:
    return [one.encode() for one in texts]


@cache
def vector_texts(*ops: str) -> list[bytes]:
    """Every string of the vectors' inputs, bytes where it is hex, for the given ops (or all)."""
    found: dict[bytes, None] = {}

    def walk(value: Any) -> None:
        if isinstance(value, str):
            found[value.encode("utf-8", "surrogatepass")] = None
            if len(value) % 2 == 0 and value and all(c in "0123456789abcdef" for c in value):
                found[bytes.fromhex(value)] = None
        elif isinstance(value, dict):
            for one in value.values():
                walk(one)
        elif isinstance(value, list):
            for one in value:
                walk(one)

    for path in sorted(VECTORS.glob("*.json")):
        for case in json.loads(path.read_text())["cases"]:
            if not ops or case["op"] in ops:
                walk(case["in"])
    return [one for one in found if len(one) < 20_000]


def commits() -> list[bytes]:
    return [
        json.dumps(draft.commit.as_json()).replace(": ", ":").replace(", ", ",").encode() for draft in w().sphere.drafts
    ]


def signup_body() -> list[bytes]:
    here = w()
    body = {
        "idem": b64e(bytes(16)),
        "login": "ada",
        "ver": 1,
        "v": b64e(bytes(511) + b"\x05"),
        "wMK": b64e(bytes(60)),
        "wRK": b64e(bytes(60)),
        "ik": b64e(bytes(76)),
        "klog": here.klog[:2],
        "cert": here.ada.dev.cert,
        "state": b64e(here.state.slot),
        "ticket": "code",
    }
    return [json.dumps(body).encode()]


TOML = b"""listen = "localhost:8420"
tls = "off"
max_body = 1000000
origins = "https://relay.example"
signup_by_sphere = true
"""


def shares() -> list[str]:
    return [one for one in w().letters if p2p.decode(one).k == "share"]


@cache
def live_world() -> live_vectors.World:
    return live_vectors.World()


def live_messages() -> list[str]:
    here = live_world()
    return [here.ask, here.offer, here.open, here.give, here.done]


def seeds_of(typ: str) -> list[bytes]:
    here = w()
    found = {
        "sph-dev+1": [here.ada.dev.cert],
        "sph-klog+1": here.klog,
        "sph-log+1": here.sphere.entries,
        "sph-join+1": here.requests,
        "sph-p2p+1": here.letters,
        "sph-msg+1": here.messages,
        "sph-dauth+1": [here.dauth],
        "sph-live+1": live_messages(),
        "sph-state+1": [state_compact().decode()],
    }[typ]
    return enc(*found)


def state_compact() -> bytes:
    here = w()
    body = {"id": here.ada.handle, "ctr": 1, "content": {"spheres": {here.sphere.state.sph: 3}}}
    return jws.sign("sph-state+1", {"kid": here.device.dv}, body, here.ada.dev.signer).encode()


def payloads() -> list[payload.Payload]:
    cid, mid = bytes(16), b"\x01" * 16
    return [
        payload.Payload("msg", cid, "words"),
        payload.Payload("comment", cid, "words", re=mid),
        payload.Payload("edit", cid, "other words", re=mid),
        payload.Payload("delete", cid, re=mid),
        payload.Payload("react", cid, "👍", re=mid),
    ]


def history_row() -> bytes:
    one = w().sphere.history
    return json.dumps({"h": one.dump(), "d": b64e(one.digests)}).encode()


def chain_row() -> list[Any]:
    here = w()
    page = run.verify_page(here.messages[:6], here.sphere.history, {}, here.sphere.state.sph)
    return next(iter(page.chains.values())).dump()
