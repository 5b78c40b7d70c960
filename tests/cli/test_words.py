"""The catalogue of texts: complete, in one voice, and exactly what the code uses."""

from __future__ import annotations

import ast
import json
import re
import string
from pathlib import Path
from typing import Any

import pytest

from cloister.errors import all_subclasses

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE: dict[str, Any] = json.loads((ROOT / "src/cloister/words.json").read_text("utf-8"))
FAULTS = {key: entry for key, entry in CATALOGUE.items() if isinstance(entry, dict) and "why" in entry}
PLURALS = {key: entry for key, entry in CATALOGUE.items() if isinstance(entry, dict) and "of" in entry}
FORBIDDEN = re.compile(
    r"\b(please|oops|sorry|invalid|illegal|unable to decrypt|failed to decrypt|epoch|ciphertext|custody|relay)\b|!",
    re.IGNORECASE,
)
# Families of ids whose last part is data.
FAMILIES = ("weak.", "status.", "status-long.", "outbox.", "known.", "admit.", "secret.", "event.", "done.signup-",
            "would.signup-", "note.mode-", "policy.", "verify.proves-", "fault.you-", "question.", "demo.")  # fmt: skip


def _texts(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    return [part for value in entry.values() for part in (value if isinstance(value, list) else [value])]


@pytest.mark.parametrize("key", sorted(CATALOGUE))
def test_every_text_keeps_the_voice(key: str) -> None:
    for text in _texts(CATALOGUE[key]):
        assert not FORBIDDEN.search(text), text
        assert text == text.strip() or key.startswith(("ask.", "serve.setup", "word.stop", "doctor.ok")), repr(text)
        assert "  " not in text.strip() or key.startswith(("seen.", "demo.")), text


@pytest.mark.parametrize("key", sorted(FAULTS))
def test_every_fault_says_why_next_and_you(key: str) -> None:
    """ERR-003."""
    entry = FAULTS[key]
    assert set(entry) <= {"why", "next", "you", "actions"}
    for part in ("why", "next", "you"):
        assert entry[part], part
    # A fault whose cause is a text of its own may end with it.
    assert entry["why"].endswith((".", "}"))
    assert entry["next"].endswith(".")
    assert len(re.findall(r"[.](?:\s|$)", entry["you"])) <= 3
    assert len(entry.get("actions", [])) <= 2
    assert all(len(action.split()) <= 5 and not action.endswith(".") for action in entry.get("actions", []))


@pytest.mark.parametrize("code", sorted(all_subclasses()))
def test_every_code_has_its_own_words(code: str) -> None:
    """ERR-003: and its actions, for those who have buttons."""
    assert "actions" in FAULTS[code]
    assert not [name for _, name, _, _ in string.Formatter().parse(" ".join(_texts(FAULTS[code]))) if name]


def test_nothing_is_done_where_it_heals_itself() -> None:
    """What heals by itself offers no action."""
    for key in ("E_STALE_EPOCH", "C_REPLAY"):
        assert FAULTS[key]["actions"] == []
        assert FAULTS[key]["you"].startswith("Nothing to do")


@pytest.mark.parametrize("key", sorted(PLURALS))
def test_plurals_name_their_number(key: str) -> None:
    assert set(PLURALS[key]) == {"of", "one", "other"}


def _used() -> set[str]:
    """Ids written out in the terminal's code."""
    found: set[str] = set()
    for path in (ROOT / "src/cloister/cli").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


def test_every_id_in_the_code_has_a_text() -> None:
    missing = []
    for path in (ROOT / "src/cloister/cli").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            index = {"say": 0, "Refused": 0, "would": 0, "ask": 0, "agree": 0, "agree_by_name": 1, "get": 1}.get(name)
            if index is None or len(node.args) <= index:
                continue
            shown = node.args[index]
            choices = [shown.body, shown.orelse] if isinstance(shown, ast.IfExp) else [shown]
            for one in choices:
                if not isinstance(one, ast.Constant) or not isinstance(one.value, str):
                    continue
                key = f"fault.{one.value}" if name == "Refused" else one.value
                if name == "get" and not key.startswith("ask."):
                    continue
                if key not in CATALOGUE:
                    missing.append(f"{path.name}: {key}")
    assert not missing


def test_no_text_is_left_over() -> None:
    used = _used()
    unused = [
        key
        for key in CATALOGUE
        if key not in FAULTS or key.startswith("fault.")
        if key not in used and key.removeprefix("fault.") not in used and not key.startswith(FAMILIES)
    ]
    assert not unused


def test_the_exit_codes_are_those_of_the_errors() -> None:
    listed = {int(code) for code in CATALOGUE["help.exit-codes"]}
    assert {kind.exit_code for kind in all_subclasses().values()} <= listed
