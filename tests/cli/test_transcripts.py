"""Every transcript of this folder, played against a real relay and real processes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.stage import Failed, Stage, parse

HERE = Path(__file__).parent
# What a transcript writes itself, so that a secret in it says nothing about the program.
OWN_FILES = {"secrets.toml", "link", "pw", "new", "code", "ls", "sph", "short", "wrong"}


@pytest.mark.parametrize("name", sorted(path.stem for path in HERE.glob("*.txt")))
def test_transcript(name: str, tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.play((HERE / f"{name}.txt").read_text("utf-8"))
        secrets = {key: value for key, value in stage.variables.items() if key in ("ADA", "BO", "CODE", "NEW")}
        if "LINK" in stage.variables:
            secrets["LINK"] = stage.variables["LINK"].split("~")[2]
    for path in tmp_path.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.name not in OWN_FILES:
            data = path.read_bytes()
            found = [key for key, value in secrets.items() if value.encode() in data]
            assert not found, f"{path} holds {found}"
            assert b"Hello from the pier" not in data, path


# --- the runner can fail ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "play",
    [
        "ada| echo one\ntwo\n",
        "ada| echo one\n",
        "ada| true\none\n",
        "ada| false\n",
        "ada| true\n[1]\n",
        "ada| true\n2> said\n",
        "ada| echo one; echo two\ntwo\none\n",
        "ada$ echo one\ntwo\n",
        "ada$ echo one\n",
        "ada$ false\n",
        "ada$ echo one; echo two\none\n",
    ],
)
def test_a_difference_is_seen(play: str, tmp_path: Path) -> None:
    with Stage(tmp_path) as stage, pytest.raises(Failed):
        stage.play(play)


def test_what_matches_passes(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.play(
            "# a remark\nada| echo one two; echo three >&2; exit 3\none {WORD:t..}\n2> thr…\n[3]\n"
            "ada| echo $WORD\ntwo\n"
            "ada$ printf 'Name: '; read name; echo \"Hello $name.\"\nName:\n< bo\nHello bo.\n"
        )
        assert stage.variables["WORD"] == "two"


def test_a_transcript_tells_its_line(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage, pytest.raises(Failed, match=re.escape("line 3: ada| false")):
        stage.play("\n# x\nada| false\n")


def test_every_transcript_says_what_it_is_about() -> None:
    for path in HERE.glob("*.txt"):
        text = path.read_text("utf-8")
        assert text.startswith("# "), path
        assert parse(text)
