"""Write the corpus anew: for every decoder the inputs that first reached a new line of the project's code.

    PYTHONPATH=src:. python -m tests.fuzz [--cases 1500] [NAME ...]

Inputs already in a corpus stay; new ones are added where they reach something those do not. An input found by
``make deep`` (build/fuzz/NAME-*.bin) is added whole: give its file with ``--keep FILE``.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from cloister.protocol.encoding import b64d, b64e
from tests.fuzz.decoders import DECODERS, Decoder, vector_texts
from tests.fuzz.mutate import Mutator
from tests.fuzz.test_fuzz import CORPUS
from tests.fuzz.world import sign

ROOT = str(Path(__file__).parents[2] / "src" / "cloister")
MOST, LONGEST = 10, 4500


def lines_of(decoder: Decoder, data: bytes) -> set[tuple[str, int]]:
    """Lines of src/cloister that this input reaches."""
    seen: set[tuple[str, int]] = set()

    def line(frame: FrameType, event: str, arg: Any) -> Any:
        seen.add((frame.f_code.co_filename, frame.f_lineno))
        return line

    def call(frame: FrameType, event: str, arg: Any) -> Any:
        return line if frame.f_code.co_filename.startswith(ROOT) else None

    sys.settrace(call)
    try:
        decoder.run(data)
    except decoder.allowed:
        pass
    finally:
        sys.settrace(None)
    return seen


def distil(decoder: Decoder, cases: int) -> list[bytes]:
    path = CORPUS / f"{decoder.name}.txt"
    kept = [b64d(line) for line in path.read_text().split()] if path.exists() else []
    seen: set[tuple[str, int]] = set()
    for data in (*decoder.seeds(), *kept):
        try:
            seen |= lines_of(decoder, data)
        except Exception:
            continue
    rng = random.Random(decoder.name)
    seeds = decoder.seeds()
    mutator = Mutator(rng, sign, seeds + rng.sample(vector_texts(), 200))
    for _ in range(cases):
        data = mutator.mutate(rng.choice(seeds))
        if len(kept) >= MOST or len(data) > LONGEST:
            continue
        reached = lines_of(decoder, data)
        if not reached <= seen:
            seen |= reached
            kept.append(data)
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--cases", type=int, default=1500)
    parser.add_argument("--keep", type=Path, nargs="*", default=[])
    args = parser.parse_args()
    found: dict[str, list[bytes]] = {}
    for path in args.keep:
        found.setdefault(path.stem.rpartition("-")[0], []).append(path.read_bytes())
    CORPUS.mkdir(exist_ok=True)
    for decoder in DECODERS:
        if args.names and decoder.name not in args.names:
            continue
        inputs = dict.fromkeys(found.get(decoder.name, []) + distil(decoder, args.cases))
        if inputs:
            (CORPUS / f"{decoder.name}.txt").write_text("".join(b64e(one) + "\n" for one in inputs if one))


if __name__ == "__main__":
    main()
