"""Operations of vectors/chain.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloister.protocol import chain, jws
from tests.vectors._log import Given, heads, history, states


def _admit(given: Given) -> Any:
    found = states(given)
    envelope = jws.decode(given["message"], "sph-msg+1")
    head = heads(given).get(envelope.header["kid"])
    after = chain.admit(found[-1], history(found), envelope, head)
    return {"seq": after.seq, "h": after.digest.hex(), "ls": after.ls}


OPS: dict[str, Callable[[Given], Any]] = {"chain-admit": _admit}
