"""Every case of vectors/*.json gives its value or its error code; every file is what its generator makes.

An area registers its operations in ``tests/vectors/ops_<area>.py`` as ``OPS: dict[str, Callable[[dict], Any]]``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from cloister.errors import CloisterError, all_subclasses
from vectors import generate

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "vectors").glob("*.json"))


def _load(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text("utf-8"))["cases"])


ALL = [(path.stem, case) for path in FILES for case in _load(path)]


@cache
def registry() -> dict[str, Callable[[dict[str, Any]], Any]]:
    """Operations of all areas; two areas may not claim one name."""
    found: dict[str, Callable[[dict[str, Any]], Any]] = {}
    for path in sorted(Path(__file__).parent.glob("ops_*.py")):
        for name, op in import_module(f"tests.vectors.{path.stem}").OPS.items():
            assert name not in found, f"operation {name} is claimed twice"
            found[name] = op
    return found


@pytest.mark.parametrize(("area", "case"), ALL, ids=[f"{area}-{case['id']}" for area, case in ALL])
def test_case(area: str, case: dict[str, Any]) -> None:
    op = registry()[case["op"]]
    expect = case["expect"]
    if "error" in expect:
        with pytest.raises(CloisterError) as caught:
            op(case["in"])
        assert caught.value.code == expect["error"], caught.value.detail
    else:
        assert json.loads(json.dumps(op(case["in"]))) == expect["value"]


@pytest.mark.parametrize("area", generate.areas())
def test_generator_gives_the_same_bytes(area: str) -> None:
    assert (ROOT / "vectors" / f"{area}.json").read_bytes() == generate.document(area)


def test_every_file_has_a_generator_and_is_described() -> None:
    readme = (ROOT / "vectors" / "README.md").read_text("utf-8")
    assert [path.stem for path in FILES] == generate.areas()
    for area in generate.areas():
        assert f"`{area}.json`" in readme, f"vectors/README.md does not describe {area}.json"
    for op in {case["op"] for _, case in ALL}:
        assert f"`{op}`" in readme, f"vectors/README.md does not describe the operation {op}"


def test_cases_are_well_formed() -> None:
    codes = set(all_subclasses())
    for area, case in ALL:
        assert set(case) <= {"id", "rule", "op", "in", "expect", "origin"}, (area, case["id"])
        assert case["rule"], (area, case["id"])
        assert len(case["expect"]) == 1, (area, case["id"])
        if "error" in case["expect"]:
            assert case["expect"]["error"] in codes, (area, case["id"])
        else:
            assert "value" in case["expect"], (area, case["id"])


def test_identifiers_are_unique() -> None:
    seen = [case["id"] for _, case in ALL]
    assert len(seen) == len(set(seen)), sorted({name for name in seen if seen.count(name) > 1})


def test_there_are_enough_and_a_third_must_be_refused() -> None:
    refused = sum("error" in case["expect"] for _, case in ALL)
    assert len(ALL) >= 150
    assert refused * 3 >= len(ALL)
