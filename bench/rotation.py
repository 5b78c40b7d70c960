"""What a new key costs: the whole commit of a rotation beside a bare loop of the same HPKE seals.

For 10, 100 and 1,000 members with one device each: composing (entry, link blob, title, one signed share a device) and
writing the request; judging it as the relay does; bytes of the request. Nothing runs beside it in other threads, so
times are of the processor: the best of several rounds, interleaved. X-Wing keys.

    python -m bench.rotation [--members 10 100 1000] [--rounds 7] [--save]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec

from bench.results import machine, save
from cloister import crypto
from cloister.protocol.commit import Commit
from cloister.protocol.state import Device
from cloister.server.commits import judge
from cloister.sphere import compose, share
from vectors.generate._sphere import NOW, Person, Sphere, author


def clock(act: Callable[[], object]) -> float:
    begin = time.process_time()
    act()
    return time.process_time() - begin


def crowd(sphere: Sphere, members: int) -> list[Device]:
    """As many devices in the sphere's state; the log machine that let them in is not in question here."""
    devices = []
    for i in range(members):
        public = crypto.hpke_public("xwing", i.to_bytes(32, "big"))
        name = f"dv-{i:042d}A"
        device = Device(name, sphere.owner.handle, bytes(32), "xwing", public, crypto.sha256(public), "active", 1)
        devices.append(device)
    every = {**sphere.state.devices, **{one.dv: one for one in devices}}
    object.__setattr__(sphere.state, "devices", every)
    return devices


def rotation(members: int, rounds: int) -> dict[str, Any]:
    sphere = Sphere(Person("ada"))
    devices, state, me = crowd(sphere, members), sphere.state, author(sphere.owner)
    made: list[tuple[Commit, bytes]] = []

    def whole() -> None:
        draft = compose.compose(
            state, sphere.history, me, [compose.Rotate()], now=NOW, rng=os.urandom, keys=sphere.keys,
            meta_text=sphere.meta,
        )  # fmt: skip
        assert len(draft.commit.wraps) == members
        made[:] = [(draft.commit, msgspec.json.encode(draft.commit.as_json()))]

    party = share.Party(me.id, me.dv)
    assert state.epoch is not None
    infos = [share.info(state.epoch, state.sph, party, share.Party(one.owner, one.dv), "xwing") for one in devices]

    def bare() -> None:
        for device, info in zip(devices, infos, strict=True):
            crypto.hpke_seal("xwing", device.de, info, bytes(32))

    bare()  # the receiving keys are parsed once, for both sides
    best = {"compose": 1e9, "bare_seals": 1e9, "judge": 1e9}
    for _ in range(rounds if members >= 1000 else 5 * rounds):
        best["bare_seals"] = min(best["bare_seals"], clock(bare))
        best["compose"] = min(best["compose"], clock(whole))
        best["judge"] = min(best["judge"], clock(lambda: judge(state, me.id, made[0][0], NOW)))
    return {
        "members": members,
        "ms": {name: round(seconds * 1e3, 2) for name, seconds in best.items()},
        "ratio": round(best["compose"] / best["bare_seals"], 2),
        "bytes": len(made[0][1]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, nargs="*", default=[10, 100, 1000])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--save", action="store_true", help="write bench/results/rotation.json")
    args = parser.parse_args()
    rows = []
    for members in args.members:
        rows.append(rotation(members, args.rounds))
        print(rows[-1], file=sys.stderr)
    if args.save:
        save("rotation", {"machine": machine(), "rows": rows})


if __name__ == "__main__":
    main()
