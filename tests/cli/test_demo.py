"""The demo: it plays to the end by itself, says what is true, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WATCHDOG = 120


def _start(folder: Path, *words: str) -> subprocess.Popen[str]:
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONPATH": str(ROOT / "src"),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "cloister.cli", *words, "demo"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
        cwd=folder,
        start_new_session=True,
    )


def test_it_plays_to_the_end_and_leaves_nothing(tmp_path: Path) -> None:
    process = _start(tmp_path)
    shown, faults = process.communicate(timeout=WATCHDOG)
    assert process.returncode == 0, faults
    assert not faults
    for line in (
        r"bo      sees  ada \d\d:\d\d  \"Welcome, both of you\"",
        r"cy      reads all 2 messages",
        r"ada     removes Cy\.",
        r"cy      holds key 1, and the message is under key 2\.",
        r"server  searched for the \d+ texts, titles, passwords and link secrets of this scene in all \d+ bytes: none",
    ):
        assert re.search(line, shown), line
    assert not list(tmp_path.iterdir())


def test_the_machine_form_tells_the_same(tmp_path: Path) -> None:
    process = _start(tmp_path, "--json")
    shown, _ = process.communicate(timeout=WATCHDOG)
    told = json.loads(shown)
    assert told["v"] == 1
    assert {line["who"] for line in told["lines"]} == {"ada", "bo", "cy", "server"}


def test_interrupted_it_leaves_nothing(tmp_path: Path) -> None:
    process = _start(tmp_path)
    assert process.stdout is not None
    while "signs up as ada" not in process.stdout.readline():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=WATCHDOG)
    assert process.returncode == 130
    assert not list(tmp_path.iterdir())
