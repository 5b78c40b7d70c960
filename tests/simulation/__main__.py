"""Replay stories: ``python -m tests.simulation SEED… [--steps N] [--trace] [--weak NAME…]``.

The order of sets of texts depends on a number drawn at the start of a process; it is fixed here, so that a seed gives
the same story everywhere.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path


def main() -> int:
    if os.environ.get("PYTHONHASHSEED") != "0":
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        os.execve(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]], environment)
    ask = argparse.ArgumentParser(prog="python -m tests.simulation")
    ask.add_argument("seeds", nargs="+", help="a seed, or FIRST-LAST")
    ask.add_argument("--steps", type=int, default=10_000)
    ask.add_argument("--trace", action="store_true", help="print every step")
    ask.add_argument("--weak", nargs="+", default=[], help="weakened builds, each played until a seed finds it out")
    given = ask.parse_args()
    seeds = [seed for text in given.seeds for seed in _range(text)]

    from tests.simulation import cast, story, weak

    def play(seed: int) -> bool:
        begun = time.process_time()
        try:
            told = story.play(seed, given.steps, at, parts, print if given.trace else None)
        except story.Broken as fault:
            print(f"seed {seed}: {fault}", flush=True)
            if fault.__cause__ is not None and not given.weak:
                traceback.print_exception(fault.__cause__, limit=-12)
            return False
        spent = time.process_time() - begun
        said = f"seed {seed}: {told.steps} steps, {len(told.acks)} messages, {spent:.1f} s"
        print(f"{said}, trace {told.trace[:16]}", flush=True)
        return True

    with tempfile.TemporaryDirectory(dir=cast.memory_folder()) as folder:
        at = Path(folder) / "cast"
        parts = cast.prepared(at)
        gc.collect()
        gc.freeze()
        if not given.weak:
            return 1 if sum(not play(seed) for seed in seeds) else 0
        undiscovered = []
        for name in given.weak:
            print(f"weak: {name}", flush=True)
            with weak.weakened(name):
                if all(play(seed) for seed in seeds):
                    undiscovered.append(name)
    print(f"undiscovered: {' '.join(undiscovered) or 'none'}")
    return 1 if undiscovered else 0


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


if __name__ == "__main__":
    sys.exit(main())
