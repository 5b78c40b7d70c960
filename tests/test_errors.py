"""The taxonomy: stable codes, the relay's wire form, words for each (ERR-001 to ERR-004)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from cloister import errors
from cloister.errors import CheckFailed, CloisterError, LocalError, RelayError, all_subclasses, relay_error

SPEC = (Path(__file__).parents[1] / "spec/01-encoding.md").read_text("utf-8")
ALL = all_subclasses()


@pytest.mark.parametrize("code", sorted(ALL))
def test_each_code_says_whose_fault_it_is(code: str) -> None:
    """ERR-001."""
    base = {"E": RelayError, "C": CheckFailed, "L": LocalError}[code[0]]
    assert issubclass(ALL[code], base)
    assert ALL[code].code == code


@pytest.mark.parametrize("code", sorted(all_subclasses(RelayError)) + sorted(all_subclasses(CheckFailed)))
def test_the_spec_lists_every_code(code: str) -> None:
    """ERR-001, ERR-002."""
    assert code in SPEC


@pytest.mark.parametrize("code", sorted(all_subclasses(RelayError)))
def test_relay_errors_return_over_the_wire(code: str) -> None:
    """ERR-002."""
    sent = ALL[code]("a detail that stays here", retry_after=2.5, head={"seq": 3})
    body = sent.as_wire()
    assert "detail" not in str(body)
    got = relay_error(body, sent.status)
    assert type(got) is ALL[code]
    assert got.retry_after == 2.5
    assert got.data == {"head": {"seq": 3}}


@pytest.mark.parametrize(
    "body", [{}, {"code": "E_NEW"}, {"code": 7}, {"code": "C_SIG"}, {"code": "E_RATE", "retry_after": "x"}]
)
def test_an_unknown_answer_is_an_internal_error(body: dict[str, object]) -> None:
    """ERR-002: a relay cannot make a client believe that a check of the client failed."""
    got = relay_error(body)
    assert got.code == ("E_RATE" if body.get("code") == "E_RATE" else "E_INTERNAL")
    assert got.retry_after is None


@pytest.mark.parametrize("code", sorted(ALL))
def test_every_code_has_its_words(code: str) -> None:
    """ERR-003."""
    error = ALL[code]("detail", retry_after=1)
    shown = error.as_json()
    assert set(shown) == {"v", "code", "why", "next", "you", "retry_after"}
    assert "retry_after" not in ALL[code]().as_json()
    assert all(isinstance(shown[part], str) for part in ("why", "next", "you"))
    assert shown["why"]


def test_words_of_an_unknown_message_are_a_mistake() -> None:
    with pytest.raises(KeyError):
        errors.words("no such message")


def test_the_relay_never_names_a_check_of_the_client() -> None:
    """ERR-004: no C_ code is written out by the relay; only its own taxonomy is."""
    wire = {kind.code for kind in all_subclasses(RelayError).values()}
    assert all(code.startswith("E_") for code in wire)
    assert not hasattr(CheckFailed, "as_wire")


def test_every_class_in_the_drawing_exists() -> None:
    """The module's docstring draws the hierarchy; it must not drift."""
    source = ast.get_docstring(ast.parse(Path(errors.__file__).read_text("utf-8"))) or ""
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, RelayError | CheckFailed) and kind is not CloisterError:
            assert name in source
