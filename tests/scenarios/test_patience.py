"""A relay that asks to be left alone for a while: what waits is not sent before, and goes by itself after (CLT-064).

Control: a client that does not listen asks again at every round.
"""

from __future__ import annotations

from typing import Any

import pytest

from cloister.client import patience
from cloister.client.transports.base import Answer
from tests.scenarios.world import Network, World, harbour, sent, texts, waits


class Busy(Network):
    """Refuses messages while ``seconds`` is not 0, and counts how often it was asked."""

    seconds: float = 0.0
    asked: int = 0

    async def request(self, method: str, path: str, body: bytes | None = None, **given: Any) -> Answer:
        if method == "POST" and path.endswith("/messages"):
            self.asked += 1
            if self.seconds:
                return Answer(503, b'{"code":"E_BUSY","retry_after":%g}' % self.seconds, {})
        return await super().request(method, path, body, **given)


async def _busy(w: World, seconds: float) -> Busy:
    """Ada's way to the relay, which is busy for her from now on."""
    made = w.networks["ada"] = Busy(w.relay, "10.0.0.9")
    await w.sphere_of("ada", "bo")
    made.seconds = seconds
    return made


@pytest.mark.parametrize("weak", [False, True], ids=["", "control"])
async def test_nothing_is_sent_before(w: World, monkeypatch: pytest.MonkeyPatch, weak: bool) -> None:
    busy = await _busy(w, 200)
    ada = w.clients["ada"]
    if weak:
        monkeypatch.setattr(patience, "note", lambda *_: None)
    assert waits(await harbour(ada).send("Patience")).code == "E_BUSY"
    busy.seconds = 0.0
    assert (await ada.sync()).sent == int(weak)
    assert (busy.asked == 1) is not weak
    if not weak:
        waits(await harbour(ada).send("More of it"))
        assert busy.asked == 1
        ada.context.patience.clear()  # the time is over
        assert (await ada.sync()).sent == 2
        assert texts(ada) == ["Patience", "More of it"]


async def test_a_short_while_is_waited_for(w: World) -> None:
    """A lost race of the relay's own making (STR-009) does not make a text wait for the next round."""
    busy = await _busy(w, 0.01)
    ada = w.clients["ada"]
    assert waits(await harbour(ada).send("Patience")).code == "E_BUSY"
    assert busy.asked == 1 + patience.TRIES
    busy.seconds = 0.0
    sent(await harbour(ada).send("Now"))
    assert texts(ada) == ["Patience", "Now"]


async def test_no_relay_is_waited_for_for_ever(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = await _busy(w, 1e9)
    monkeypatch.setattr(patience, "LONGEST", 0.01)
    ada = w.clients["ada"]
    waits(await harbour(ada).send("Patience"))
    busy.seconds = 0.0
    sent(await harbour(ada).send("Now"))
    assert texts(ada) == ["Patience", "Now"]
