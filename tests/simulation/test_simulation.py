"""T-N1: seeds played in processes of their own, where nothing else runs and the order of sets is fixed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation import verdict, weak

ROOT = Path(__file__).parents[2]
DEEP = bool(os.environ.get("CLOISTER_DEEP"))
SEEDS, STEPS, BATCHES = (1000, 10_000, 40) if DEEP else (20, 10_000, 4)


def simulation(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, ["src", ".", os.environ.get("PYTHONPATH", "")]))
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("batch", range(BATCHES))
def test_every_seed_ends_well(batch: int) -> None:
    """No acknowledged message is lost, there is one log, all are alike after healing, nobody outside reads."""
    each = SEEDS // BATCHES
    first = 1 + batch * each
    played = simulation(f"{first}-{first + each - 1}", "--steps", str(STEPS))
    assert played.returncode == 0, (
        f"replay with: python -m tests.simulation SEED --trace\n{played.stdout[-4000:]}{played.stderr[-4000:]}"
    )


def test_the_same_seed_gives_the_same_trace() -> None:
    """Replaying shows what happened: two processes, and twice in one, agree on every step."""
    one = simulation("7", "7", "--steps", "800")
    other = simulation("7", "--steps", "800")
    traces = [line.rpartition(" ")[2] for line in (one.stdout + other.stdout).splitlines()]
    assert len(traces) == 3
    assert len(set(traces)) == 1


def test_control_broken_promises_are_found() -> None:
    """A client that skips what is missing, forgets what it sealed, seals anew what may have gone, or moves its cursor
    alone; a relay that compares neither heads nor chains: some story ends badly with each (CLT-008, CLT-014, CLT-016,
    CLT-033, STR-004, STR-008)."""
    played = simulation("1-40", "--steps", "1500", "--weak", *weak.WEAK)
    assert played.returncode == 0, played.stdout[-4000:] + played.stderr[-4000:]
    assert played.stdout.count("weak: ") == len(weak.WEAK) == 6


def test_a_secret_is_found_wherever_it_lies() -> None:
    """The search of the verdict misses no place."""
    data, secret = random.Random(1).randbytes(500), random.Random(2).randbytes(32)
    for at in range(len(data)):
        assert verdict._found(data[:at] + secret + data[at:], [data[40:80], secret[::-1], secret])[-1] == secret
    assert verdict._found(data, [secret, secret[:31] + data[:9]]) == []
