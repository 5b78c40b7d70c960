"""What each language makes, both read alike; one changed character is refused by both with the same code.

``python -m tests.web_cross.test_cross [SEED]`` runs it alone. Spec: JWS-001, LOG-002, COM-001, EPO-008, MSG-001.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloister.errors import CloisterError
from cloister.protocol import entry
from tests.vectors.test_vectors import registry
from tests.web_cross.make import Case, make

ROOT = Path(__file__).resolve().parents[2]
Verdict = dict[str, Any]


def judge(cases: list[Case]) -> list[Verdict]:
    """What Python says to each case."""
    verdicts: list[Verdict] = []
    for one in cases:
        try:
            verdicts.append({"value": json.loads(json.dumps(registry()[one["op"]](one["in"])))})
        except CloisterError as error:
            verdicts.append({"error": error.code})
    return verdicts


def both(seed: str, folder: Path) -> Iterator[tuple[str, list[Case], list[Verdict], list[Verdict]]]:
    """(who made them, cases, Python's verdicts, TypeScript's), the two languages at work at the same time."""
    node = subprocess.Popen(
        ["node", str(ROOT / "web/tests/cross/run.mjs"), str(folder), seed],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert node.stdin is not None
    assert node.stdout is not None
    mine = make(int(seed))
    (folder / "py.json").write_text(json.dumps(mine), "utf-8")
    for name in ("py.json", "ts.json"):
        node.stdin.write(f"{folder / name}\n")
    node.stdin.close()
    ours = judge(mine)
    assert node.stdout.readline().strip() == str(folder / "ts.json"), "the TypeScript half did not start"
    made = {"py.json": (mine, ours)}
    theirs: list[Case] = json.loads((folder / "ts.json").read_text("utf-8"))
    made["ts.json"] = (theirs, judge(theirs))
    assert len(node.stdout.read().split()) == 2
    assert node.wait() == 0
    for name, (cases, verdicts) in made.items():
        yield name, cases, verdicts, json.loads((folder / f"{name}.ts").read_text("utf-8"))


def differences(cases: list[Case], ours: list[Verdict], theirs: list[Verdict]) -> list[str]:
    """Cases judged unalike, a refusal of what was made right, and an accepted change."""
    found = []
    for at, (one, mine, other) in enumerate(zip(cases, ours, theirs, strict=True)):
        if mine != other or ("error" in mine) != one.get("flip", False):
            flip = "changed " if one.get("flip") else ""
            found.append(f"{at} {flip}{one['op']}: Python {str(mine)[:90]}, TypeScript {str(other)[:90]}")
    return found


def operations(cases: list[Case]) -> set[str]:
    """The operations of all log entries in the commits."""
    names = {"identity"} if any(one["op"] == "log-apply" for one in cases) else set()
    for one in cases:
        for compact in one["in"]["commit"]["entries"] if one["op"] == "commit-apply" and "flip" not in one else []:
            read = entry.decode(compact)
            names.add(f"{read.op} {read.body['act']}" if read.op == "device" else read.op)
    return names


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, list[Case], list[Verdict], list[Verdict]]]:
    return list(both("1", tmp_path_factory.mktemp("cross")))


def test_both_judge_alike(made: list[tuple[str, list[Case], list[Verdict], list[Verdict]]]) -> None:
    for name, cases, ours, theirs in made:
        assert differences(cases, ours, theirs) == [], name


def test_there_is_enough_of_everything(made: list[tuple[str, list[Case], list[Verdict], list[Verdict]]]) -> None:
    table = json.loads((ROOT / "src/cloister/protocol/roles.json").read_text("utf-8"))
    for name, cases, _, _ in made:
        assert sum("flip" not in one for one in cases) >= 1000, name
        assert sum("flip" in one for one in cases) >= 200, name
        assert operations(cases) == set(table["ops"]), name


def test_control_a_difference_is_found(made: list[tuple[str, list[Case], list[Verdict], list[Verdict]]]) -> None:
    _, cases, ours, theirs = made[0]
    at = next(n for n, one in enumerate(cases) if one.get("flip"))
    for wrong in ({"value": True}, {"error": "L_INTERNAL"}):
        assert len(differences(cases, ours, [*theirs[:at], wrong, *theirs[at + 1 :]])) == 1


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        for who, all_cases, py, ts in both(sys.argv[1] if len(sys.argv) > 1 else "1", Path(place)):
            print(who, len(all_cases), "cases,", *sorted(operations(all_cases)))
            print(Counter(one["op"] for one in all_cases))
            print("\n".join(differences(all_cases, py, ts)) or "judged alike")
