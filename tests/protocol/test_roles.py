"""The table of operations: complete, current in the spec, and read by the machine as it stands (ROLE-001, ROLE-002)."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cloister.errors import FormatError, VersionTooOld
from cloister.protocol import roles
from cloister.protocol.permission import WORDS
from cloister.protocol.rules import RULES

ROOT = Path(__file__).resolve().parents[2]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("roles_table", ROOT / "spec" / "roles_table.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_in_the_spec_is_current() -> None:
    """ROLE-001: 05-log.md shows what roles.json says."""
    tool = generator()
    assert tool.current() == tool.CHAPTER.read_text("utf-8"), "run: python spec/roles_table.py"


def test_a_changed_table_is_noticed() -> None:
    tool = generator()
    changed: dict[str, Any] = json.loads(tool.ROLES.read_text("utf-8"))
    changed["ops"]["mode"]["may"]["admin"] = "yes"
    text = tool.CHAPTER.read_text("utf-8")
    assert tool.chapter(text, changed) != text


def test_every_row_has_a_rule_and_known_words() -> None:
    for op, row in roles.ROWS.items():
        assert set(row.may) == set(roles.TABLE["roles"])
        assert set(row.may.values()) <= set(WORDS) == set(roles.TABLE["words"])
        assert row.place in ("before", "epoch", "after", "alone")
        assert row.hard in ("no", "always", "epoch")
        assert row.epoch in ("no", "e2ee", "history", "to-e2ee")
        assert row.tails in ("no", "yes", "lowered")
        assert (row.tails == "no") == ("tails" not in {m.rstrip("?") for m in roles.TABLE["ops"][op]["body"]})
        assert op == "create" or op in RULES
    assert set(RULES) < set(roles.ROWS)


def test_what_owes_an_epoch_stands_before_it() -> None:
    """LOG-013: an entry that owes an epoch may be followed by it in the same commit."""
    for row in roles.ROWS.values():
        assert row.epoch == "no" or row.place == "before"


@pytest.mark.parametrize("op", ["complaint", "device add", "device", "Mark", "", "visibility"])
def test_unknown_operations_belong_to_a_later_version(op: str) -> None:
    """LOG-010."""
    with pytest.raises(VersionTooOld if op != "device" else FormatError):
        roles.row_of(op, {})


def test_bodies_are_closed() -> None:
    """ROLE-002."""
    assert roles.row_of("mark", {}).op == "mark"
    with pytest.raises(FormatError):
        roles.row_of("mark", {"n": 1})
    with pytest.raises(FormatError):
        roles.row_of("device", {"act": "add"})
