"""Every rule of spec/ is cited in code and in a test, and every citation names a rule that exists.

A vector is a test: the ids in its ``rule`` member count. A range ("LOG-001 to LOG-014") counts for nothing but must
name rules that exist at both ends, because a range cites no rule in particular.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PREFIXES = {
    "01-encoding.md": ("ENC", "CRY", "ERR"),
    "02-envelopes.md": ("JWS", "ID"),
    "03-identity.md": ("CERT", "KLOG", "DIG"),
    "04-account.md": ("PPF", "SRP", "SLOT", "VLT"),
    "05-log.md": ("LOG", "ROLE", "JOIN", "CHN", "COM"),
    "06-keys.md": ("EPO", "SHR", "INV", "META", "EXP"),
    "07-messages.md": ("MSG", "RUN"),
    "08-relay.md": ("API", "STR", "LIM"),
    "09-client.md": ("CLT",),
    "10-web.md": ("WEB",),
    "11-live.md": ("LIVE",),
    "12-grid.md": ("GRID",),
}
_WORDS = "|".join(word for words in PREFIXES.values() for word in words)
CITED = re.compile(rf"\b(?:{_WORDS})-\d{{3}}\b")
RANGE = re.compile(rf"\b({_WORDS})-(\d{{3}}) (?:to|through|–) \1-(\d{{3}})\b")
RULE = re.compile(rf"^\*\*((?:{_WORDS})-\d{{3}})\*\* ", re.MULTILINE)
SUFFIXES = {".py", ".ts", ".json", ".svelte", ".js"}


@cache
def rules() -> dict[str, str]:
    """Rule id -> chapter."""
    found: dict[str, str] = {}
    for chapter in sorted((ROOT / "spec").glob("[0-9]*.md")):
        for rule in RULE.findall(chapter.read_text("utf-8")):
            assert rule not in found, f"{rule} stands twice: {found.get(rule)} and {chapter.name}"
            found[rule] = chapter.name
    return found


def _citations(*folders: str) -> dict[str, set[str]]:
    """Rule id -> files that cite it, ranges left out."""
    found: dict[str, set[str]] = {}
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in SUFFIXES or "node_modules" in path.parts or path == Path(__file__):
                continue
            for rule in CITED.findall(RANGE.sub("", path.read_text("utf-8"))):
                found.setdefault(rule, set()).add(str(path.relative_to(ROOT)))
    return found


@cache
def in_code() -> dict[str, set[str]]:
    return _citations("src", "web/src")


@cache
def in_tests() -> dict[str, set[str]]:
    found = _citations("tests", "web/tests")
    for path in sorted((ROOT / "vectors").glob("*.json")):
        for case in json.loads(path.read_text("utf-8"))["cases"]:
            for rule in case["rule"]:
                found.setdefault(rule, set()).add(f"{path.name}:{case['id']}")
    return found


def test_every_rule_has_code() -> None:
    missing = sorted(set(rules()) - set(in_code()))
    assert not missing, f"no code cites {missing}"


def test_every_rule_has_a_test() -> None:
    missing = sorted(set(rules()) - set(in_tests()))
    assert not missing, f"no test cites {missing}"


def test_every_citation_names_a_rule() -> None:
    foreign = {rule: sorted(files) for rule, files in (in_code() | in_tests()).items() if rule not in rules()}
    assert not foreign


def test_ranges_end_at_rules() -> None:
    wrong = []
    for folder in ("src", "web/src", "tests"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in SUFFIXES and "node_modules" not in path.parts and path != Path(__file__):
                for word, low, high in RANGE.findall(path.read_text("utf-8")):
                    wrong += [f"{path}: {word}-{end}" for end in (low, high) if f"{word}-{end}" not in rules()]
    assert not wrong


@pytest.mark.parametrize("chapter", PREFIXES)
def test_chapter_is_there_and_keeps_its_prefixes(chapter: str) -> None:
    mine = [rule for rule, where in rules().items() if where == chapter]
    assert mine, f"spec/{chapter} has no rules"
    assert {rule.split("-")[0] for rule in mine} == set(PREFIXES[chapter])
    readme = (ROOT / "spec" / "README.md").read_text("utf-8")
    assert chapter in readme


def test_a_missing_citation_is_found() -> None:
    """The check itself can fail: an id that nobody cites is missing from both maps."""
    assert "ENC-999" not in in_code()
    assert CITED.findall(RANGE.sub("", "Spec: ENC-001 to ENC-010, CRY-003")) == ["CRY-003"]
