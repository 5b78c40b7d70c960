"""Replay stories: ``python -m tests.simulation SEED [--steps N] [--trace] [--weak NAME]``.

The order of sets of texts depends on a number drawn at the start of a process; it is fixed here, so that a seed gives
the same story everywhere.
"""

from __future__ import annotations

import argparse
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
    ask.add_argument("--weak", default="", help="play against a weakened build")
    given = ask.parse_args()

    from tests.simulation import cast, story, weak

    failed = 0
    with tempfile.TemporaryDirectory(dir=cast.memory_folder()) as folder:
        at = Path(folder) / "cast"
        parts = cast.prepared(at)
        for text in given.seeds:
            first, _, last = text.partition("-")
            for seed in range(int(first), int(last or first) + 1):
                begun = time.process_time()
                try:
                    with weak.weakened(given.weak):
                        told = story.play(seed, given.steps, at, parts, print if given.trace else None)
                except story.Broken as fault:
                    failed += 1
                    print(f"seed {seed}: {fault}", flush=True)
                    if fault.__cause__ is not None:
                        traceback.print_exception(fault.__cause__, limit=-12)
                else:
                    spent = time.process_time() - begun
                    said = f"seed {seed}: {told.steps} steps, {len(told.acks)} messages, {spent:.1f} s"
                    print(f"{said}, trace {told.trace[:16]}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
