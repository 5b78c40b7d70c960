"""What reading costs a member: verify and open messages, beside Megolm's decrypt.

- live: compact strings in memory, one call per message (a signature each), to opened payloads
- sync: the same in pages of 100 of one sender (one signature per page), 100,000 messages unless told otherwise
- Megolm: vodozemac's InboundGroupSession.decrypt of as many messages of the same plaintext size

Ratios are of processor time, the best of several rounds, interleaved. Storing and indexing are not in it. Needs
requirements/bench.txt.

    PYTHONPATH=src:. python bench/bench_sdk.py [--messages 100000] [--rounds 5] [--save]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

from bench import results
from cloister.sphere import run
from vectors.generate._sphere import Person, Sphere, text

PAGE = 100
WORDS = 950  # with its JSON and padding a message of 1 kB


def clock(act: Callable[[], object], timer: Callable[[], float]) -> float:
    begin = timer()
    act()
    return timer() - begin


def reading(count: int, rounds: int) -> dict[str, Any]:
    import vodozemac

    sphere = Sphere(Person("ada"))
    talker = sphere.talker(sphere.owner)
    frames = [talker.say(text("x" * WORDS, str(i))) for i in range(count)]
    sph, history, keys = sphere.state.sph, sphere.history, sphere.keys
    few = frames[: min(count, 2000)]

    def live() -> None:
        chains: dict[str, run.ChainState] = {}
        for frame in few:
            page = run.verify_page([frame], history, chains, sph)
            chains = page.chains
            assert run.open_page(page.verdicts, keys, history)[0].payload is not None

    def sync() -> None:
        chains: dict[str, run.ChainState] = {}
        for start in range(0, count, PAGE):
            page = run.verify_page(frames[start : start + PAGE], history, chains, sph)
            chains = page.chains
            assert all(one.payload is not None for one in run.open_page(page.verdicts, keys, history))

    outbound = vodozemac.GroupSession()
    key = outbound.session_key
    sealed = [outbound.encrypt(os.urandom(1024)) for _ in few]

    def megolm() -> None:
        inbound = vodozemac.InboundGroupSession(key)
        for one in sealed:
            inbound.decrypt(one)

    best = {"live": 1e9, "sync": 1e9, "megolm": 1e9}
    for _ in range(rounds):
        best["megolm"] = min(best["megolm"], clock(megolm, time.process_time) / len(few))
        best["live"] = min(best["live"], clock(live, time.process_time) / len(few))
        best["sync"] = min(best["sync"], clock(sync, time.process_time) / count)
    micro = {name: round(seconds * 1e6, 1) for name, seconds in best.items()}
    return {
        "messages": count,
        "us_per_message": micro,
        "live_rate_over_megolm": round(best["megolm"] / best["live"], 2),
        "sync_rate_over_megolm": round(best["megolm"] / best["sync"], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save", action="store_true", help="write bench/results/sdk.json")
    args = parser.parse_args()
    result = {"machine": results.machine(), "reading": reading(args.messages, args.rounds)}
    if args.save:
        results.save("sdk", result)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
