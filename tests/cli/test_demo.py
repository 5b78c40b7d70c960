"""The demo: plays to its end without input, cleans up, and its search of the database can fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloister.cli.commands import demo
from cloister.cli.faults import Refused
from cloister.cli.flags import Flags
from cloister.cli.output import standard
from cloister.cli.secrets import Secrets
from cloister.cli.shell import Shell

ROOT = Path(__file__).resolve().parents[2]


def _run(tmp_path: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "TMPDIR": str(tmp_path), "HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "cloister.cli", "demo", *flags]
    return subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


def test_it_plays_without_input_and_leaves_nothing(tmp_path: Path) -> None:
    played = _run(tmp_path)
    assert played.returncode == 0, played.stderr
    said = [line.split(maxsplit=1) for line in played.stdout.splitlines() if line.startswith("  ")]
    assert {who for who, _ in said} == {"ada", "bo", "cy", "server"}
    assert '"Hello from the pier"' in played.stdout
    assert "none found" in played.stdout
    assert list(tmp_path.iterdir()) == []


def test_it_speaks_to_machines(tmp_path: Path) -> None:
    told = json.loads(_run(tmp_path, "--json").stdout)
    assert told["v"] == 1
    assert [line["who"] for line in told["lines"]][:3] == ["server", "ada", "server"]


async def test_control_its_search_finds_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that the server does know is found, so a leaked text would be."""
    plain = demo.Stage.__init__

    def knowing(self: demo.Stage, shell: Shell, folder: Path) -> None:
        plain(self, shell, folder)
        self.said.append("ada")

    monkeypatch.setattr(demo.Stage, "__init__", knowing)
    flags = Flags(environ={})
    with pytest.raises(Refused) as caught:
        await demo.play(Shell(flags, standard(flags), Secrets(flags)))
    assert isinstance(caught.value.__cause__, Refused)
    assert caught.value.__cause__.message_id == "demo-leak"
