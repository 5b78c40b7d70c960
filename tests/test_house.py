"""The house's own rules: requirements agree, pins carry hashes, no address of a registry, no leftover."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import cloister

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def _tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "--", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def test_version_is_one() -> None:
    assert PROJECT["version"] == cloister.__version__


def test_dependencies_are_those_of_run_in() -> None:
    lines = (ROOT / "requirements/run.in").read_text("utf-8").splitlines()
    wanted = [line.replace('"', "'") for line in lines if line and not line.startswith("#")]
    assert wanted == PROJECT["dependencies"]


@pytest.mark.parametrize("name", ["build", "run", "dev", "bench"])
def test_pins_carry_hashes_and_no_address(name: str) -> None:
    text = (ROOT / f"requirements/{name}.txt").read_text("utf-8")
    pins = re.findall(
        r"^[A-Za-z0-9._-]+(?:\[[a-z,]+\])?==\S+.*\\$(?:\n +--hash=sha256:[0-9a-f]{64}(?: \\)?)+", text, re.MULTILINE
    )
    assert len(pins) == len(re.findall(r"^[A-Za-z0-9]", text, re.MULTILINE)) > 0
    assert "://" not in text


def test_no_lockfile_names_a_registry() -> None:
    for lock in _tracked("*package-lock.json"):
        assert '"resolved": "http' not in lock.read_text("utf-8")


@pytest.mark.parametrize("leftover", ["TODO", "FIXME", "XXX", "NotImplementedError", "pytest.mark.skip", "xfail("])
def test_nothing_is_left_over(leftover: str) -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in _tracked("src", "tests", "web/src", "web/tests", "vectors/generate", "bench")
        if path != Path(__file__) and path.suffix in {".py", ".ts"} and leftover in path.read_text("utf-8")
    ]
    assert not found


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in _tracked("src/*.py")
        if path.read_text("utf-8").strip() and not path.read_text("utf-8").startswith(('"""', 'r"""'))
    ]
    assert not silent


def test_python_files_stay_readable() -> None:
    long = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in _tracked("src/*.py")}
    assert not {name: lines for name, lines in long.items() if lines > 600}


def test_every_link_in_the_documents_leads_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in _tracked("*.md")
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]
    assert not broken


def test_every_decision_is_listed() -> None:
    listed = (ROOT / "docs/adr/README.md").read_text("utf-8")
    records = sorted(path.name for path in (ROOT / "docs/adr").glob("0*.md"))
    assert records
    assert [name for name in records if name not in listed] == []
    assert [int(name[:4]) for name in records] == list(range(1, len(records) + 1))
