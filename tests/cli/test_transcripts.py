"""Every transcript of this folder, played against a real relay and real processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.stage import Stage

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", sorted(path.stem for path in HERE.glob("*.txt")))
def test_transcript(name: str, tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.play((HERE / f"{name}.txt").read_text("utf-8"))
