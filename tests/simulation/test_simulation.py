"""T-N1: seeds played in processes of their own, where nothing else runs and the order of sets is fixed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEEP = bool(os.environ.get("CLOISTER_DEEP"))
SEEDS, STEPS, BATCHES = (1000, 10_000, 40) if DEEP else (2, 10_000, 2)


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


@pytest.mark.parametrize("weakness", ["unsealed"])
def test_control_a_broken_promise_is_found(weakness: str) -> None:
    """CLT-014 taken away: a device takes its own message, whose answer was lost, for a copy's and retires."""
    played = simulation("1-2", "--steps", "1500", "--weak", weakness)
    assert played.returncode == 1
    assert "has retired" in played.stdout
