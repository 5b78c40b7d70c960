"""Operations of vectors/commit.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloister.protocol.commit import Commit, apply_commit, as_relay_error
from tests.vectors._log import Given, heads, states, summary


def _apply(given: Given) -> Any:
    before = states(given)[-1] if given["entries"] else None
    chain_heads = heads(given) if "heads" in given else None
    return summary(apply_commit(before, Commit.from_json(given["commit"]), chain_heads))


def _as_relay(given: Given) -> Any:
    try:
        return _apply(given)
    except Exception as error:
        raise as_relay_error(error) from error


def _digest(given: Given) -> Any:
    commit = Commit.from_json(given["commit"])
    assert Commit.from_json(commit.as_json()) == commit
    return commit.digest().hex()


OPS: dict[str, Callable[[Given], Any]] = {
    "commit-apply": _apply,
    "commit-at-relay": _as_relay,
    "commit-digest": _digest,
}
