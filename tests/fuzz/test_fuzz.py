"""No decoder answers a hostile input with anything but its own refusals (ERR-004; T-I1 of the threat model).

``make test`` runs a fixed number of cases from fixed seeds, a minute in all. ``make deep`` gives every decoder
``FUZZ_SECONDS`` (an hour) from fresh seeds. A failing input is kept in build/fuzz; once understood it goes into
``corpus/NAME.txt`` (a line of base64url each), which is replayed every time.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from cloister.protocol.encoding import b64d, b64e
from tests.fuzz.decoders import DECODERS, Decoder, vector_texts
from tests.fuzz.mutate import Mutator
from tests.fuzz.world import sign

CORPUS = Path(__file__).parent / "corpus"
FOUND = Path("build/fuzz")
DEEP = float(os.environ.get("FUZZ_SECONDS", "3600")) if os.environ.get("CLOISTER_DEEP") else 0.0
PART = 2  # how many times the number of cases of the table: a minute in all on one quiet core
HANG = 10.0  # seconds one input may take before it counts as a hang


class Hang(BaseException):
    """Not an Exception: no decoder may catch it."""


def _hang(number: int, frame: FrameType | None) -> None:
    raise Hang


def attempt(decoder: Decoder, data: bytes) -> None:
    """Run one input under the watchdog; anything but an allowed refusal ends the test and keeps the input."""
    before = signal.signal(signal.SIGALRM, _hang)
    signal.setitimer(signal.ITIMER_REAL, HANG)
    try:
        decoder.run(data)
    except decoder.allowed:
        pass
    except BaseException as error:
        FOUND.mkdir(parents=True, exist_ok=True)
        (FOUND / f"{decoder.name}-{zlib.crc32(data):08x}.bin").write_bytes(data)
        raise AssertionError(f"{decoder.name}: {type(error).__name__} for b64 {b64e(data[:6000])}") from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def attempt_all(decoder: Decoder, inputs: list[bytes]) -> None:
    for data in inputs:
        attempt(decoder, data)


def rounds(decoder: Decoder) -> Iterator[int]:
    end = time.monotonic() + DEEP
    at = 0
    while at < PART * decoder.cases or time.monotonic() < end:
        yield at
        at += 1


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda one: one.name)
def test_seeds_are_accepted(decoder: Decoder) -> None:
    seeds = decoder.seeds()
    assert seeds
    for seed in seeds:
        if decoder.picky:
            attempt(decoder, seed)
        else:
            decoder.run(seed)


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda one: one.name)
def test_corpus(decoder: Decoder) -> None:
    path = CORPUS / f"{decoder.name}.txt"
    lines = path.read_text().split() if path.exists() else []
    for line in lines:
        attempt(decoder, b64d(line))


def test_no_orphans_in_the_corpus() -> None:
    assert {path.stem for path in CORPUS.glob("*.txt")} <= {one.name for one in DECODERS}


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda one: one.name)
def test_fuzz(decoder: Decoder) -> None:
    seed = secrets.randbits(64) if DEEP else zlib.crc32(decoder.name.encode())
    print(f"seed {seed}")
    rng = random.Random(seed)
    seeds = decoder.seeds()
    mutator = Mutator(rng, sign, seeds + rng.sample(vector_texts(), 200))
    pool = list(seeds)
    for _ in rounds(decoder):
        data = mutator.mutate(rng.choice(pool if rng.random() < 0.3 else seeds))
        if rng.random() < 0.02 and len(data) < 20_000:
            pool = pool[-200:]
            pool.append(data)
        attempt(decoder, data)


def test_the_fuzzer_can_fail() -> None:
    """Control: a decoder with a fault behind its signature check is found out."""

    def weak(data: bytes) -> None:
        DECODERS_BY_NAME["dauth"].run(data)

    def fault(data: bytes) -> None:
        try:
            weak(data)
        except Exception as error:
            if type(error).__name__ == "LogInvalid":  # reached only with a good signature
                raise ZeroDivisionError from None

    broken = Decoder("broken", fault, DECODERS_BY_NAME["dauth"].allowed, DECODERS_BY_NAME["dauth"].seeds, 0)
    rng = random.Random(1)
    mutator = Mutator(rng, sign)
    inputs = [mutator.mutate(broken.seeds()[0]) for _ in range(3000)]
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        attempt_all(broken, inputs)


DECODERS_BY_NAME = {one.name: one for one in DECODERS}
