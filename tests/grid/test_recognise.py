"""Tokens in what mail programs, chats and people make of them (GRID-060, GRID-061)."""

from __future__ import annotations

import textwrap
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloister.grid import public, recognise, v1, v2
from cloister.grid.keys import new_identity
from vectors.generate import rng

NOW = 1_800_000_000
ADA = new_identity(rng("recognise/ada"))
BO = new_identity(rng("recognise/bo"))
V2 = v2.invite(ADA, "Ada", now=NOW, rng=rng("recognise/2")).compact
V1 = v1.invite(ADA, "Ada", now=NOW, rng=rng("recognise/1")).compact
REPLY = v2.answer(BO, V2, "Bo", "hello", now=NOW, rng=rng("recognise/3"))[1]
AUTH = public.make_auth(BO, aud="https://r.example", nonce=bytes(32), iat=NOW)


def tokens(text: str) -> list[str]:
    return [one.compact for one in recognise.find(text)[0]]


def wrapped(token: str, width: int, mark: str = "", end: str = "\n") -> str:
    return end.join(mark + line for line in textwrap.wrap(token, width))


CARRIERS = {
    "bare": V2,
    "quoted": f'"{V2}"',
    "in words": f"Here it is: {V2}. Best, Ada",
    "wrapped": f"Hello,\n\n{wrapped(V2, 76)}\n\nBest,\nAda",
    "cited": f"On Monday Ada wrote:\n{wrapped(V2, 70, '> ')}\n>\n> Best",
    "cited twice": f"{wrapped(V2, 66, '> > ')}\n> > --\n",
    "cited tight": wrapped(V2, 70, ">>"),
    "barred": wrapped(V2, 70, "  | "),
    "windows": wrapped(V2, 60, "> ", "\r\n") + "\r\nbye",
    "old mac": wrapped(V2, 60, "", "\r"),
    "soft hyphens": "\u00ad".join(textwrap.wrap(V2, 9)),
    "zero width": "\u200b\u2060".join(textwrap.wrap(V2, 11)),
    "quoted printable": wrapped(V2, 75, "", "=\n"),
    "indented": wrapped(V2, 50, "\t\u00a0 "),
    "in a link": f"<https://relay.example/i#{V2}>",
    "in json": '{"token":"' + V2 + '"}',
    "hyphens": V2.replace("-", "\u2010"),
    "blank lines": wrapped(V2, 70, "", "\n\n"),
    "marked": f"\ufeff{V2}",
}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_each_carrier_gives_the_token_back(carrier: str) -> None:
    """GRID-060."""
    found, cut = recognise.find(CARRIERS[carrier])
    assert [(one.compact, one.profile, one.kind) for one in found] == [(V2, "grid-v2", "sph-invite+1")]
    assert cut == []


def test_several_at_once_with_their_lines() -> None:
    """GRID-061."""
    text = f"one:\n{wrapped(V1, 70, '> ')}\ntwo {V2} and three {REPLY}\n\n{AUTH}{AUTH}"
    found, cut = recognise.find(text)
    assert [one.compact for one in found] == [V1, V2, REPLY, AUTH]
    assert found[0].line == 2
    rows = text.split("\n")
    assert [rows[one.line - 1][:3] for one in found[1:]] == ["two", "two", "eyJ"]
    assert cut == []


def test_lines_are_those_of_the_paste_even_where_lines_were_joined() -> None:
    """GRID-060, GRID-061."""
    text = "a=\nb=\nc\n" + V2
    assert recognise.find(text)[0][0].line == 4


@pytest.mark.parametrize("length", [len(V2) - 1, len(V2) - 128, len(V2) - 129, len(V2) - 200])
def test_what_is_cut_is_said_to_be_cut_and_swallows_nothing(length: int) -> None:
    """GRID-061: the token behind it is found."""
    found, cut = recognise.find(f"{V2[:length]}\n{REPLY}\n")
    assert [one.compact for one in found] == [REPLY]
    assert [(one.kind, one.line, one.length) for one in cut] == [("sph-invite+1", 1, length)]


def test_what_is_cut_within_its_header_is_cut_too() -> None:
    """GRID-061."""
    for length in (16, 100, V2.index(".")):
        found, cut = recognise.find(f"see {V2[:length]}")
        assert found == []
        assert [(one.kind, one.length) for one in cut] == [("", length)]
    found, cut = recognise.find(f"{V2[:200]}\nBest regards. Ada\n{REPLY}")
    assert ([one.compact for one in found], len(cut)) == ([REPLY], 1)
    assert recognise.find(V2[:15]) == ([], [])
    assert tokens(f"> {V2[:8]} {V2}") == [V2]


def test_what_is_no_token_is_none() -> None:
    """GRID-061."""
    head = V2.split(".")[0]
    other = (
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
    )
    for text in ("", "eyJ", "hello eyJ. there.", other, "eyJ" * 5000, "x" + V2, f"{head[4:]}.{V2}"[:50], ". . ."):
        assert recognise.find(text) == ([], [])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_any_damage_by_carriers_heals(seed: int) -> None:
    """GRID-060: several tokens, each wrapped and marked in its own way, words between them."""
    dice = Random(seed)
    parts, sent = [], []
    for _ in range(dice.randrange(1, 5)):
        token = dice.choice((V1, V2, REPLY, AUTH))
        mark = dice.choice(("", "> ", ">> ", "  ", "| "))
        parts.append(mark + dice.choice(("Look:", "", "see below", "Grüße,")))
        parts.append(wrapped(token, dice.randrange(20, 200), mark, dice.choice(("\n", "\r\n", " \n", "\u00ad\n"))))
        sent.append(token)
    assert tokens("\n".join(parts)) == sent


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_no_text_is_too_strange(text: str) -> None:
    """GRID-061."""
    recognise.find(text)
    assert tokens(f"{text}\n\n{V2}")[-1:] in ([V2], [])


class Counting:
    """The reader's pattern, and how often it was asked."""

    def __init__(self) -> None:
        self.asked, self._pattern = 0, recognise._PIECE

    def match(self, text: str, at: int) -> object:
        self.asked += 1
        return self._pattern.match(text, at)


HEAD = V2.split(".")[0]
HOSTILE = {
    "headers": f"{HEAD}.\n" * 300,
    "beginnings": "eyJ " * 3000,
    "right beginnings": f"{HEAD[:16]} " * 250,
    "one long token": f"{HEAD}." + "A\n" * 30000,
    "headers in a payload": f"{HEAD}." + f"A\n{HEAD[:16]}" * 250,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_costs_in_proportion_to_its_length(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """GRID-061: a header is read for at most 4,096 letters, and no further than its first ones when they are wrong."""
    counting = Counting()
    monkeypatch.setattr(recognise, "_PIECE", counting)
    recognise.find(HOSTILE[name])
    assert counting.asked < 50 * len(HOSTILE[name])
    counting.asked = 0
    recognise.find(HOSTILE[name] * 2)
    assert counting.asked < 100 * len(HOSTILE[name])


def test_without_its_bounds_the_reader_would_be_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the test above."""
    counting = Counting()
    monkeypatch.setattr(recognise, "_PIECE", counting)
    monkeypatch.setattr(recognise, "_BEGUN", 10**9)
    recognise.find(HOSTILE["beginnings"][:3000])
    assert counting.asked > 100 * 3000
