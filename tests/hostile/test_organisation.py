"""An organisation's log kept back: its spheres do not fall back to a key that somebody removed can derive."""

from __future__ import annotations

from typing import Any

import pytest

from cloister.client import organisation
from cloister.protocol import entry
from cloister.protocol.encoding import b64e
from cloister.sphere import epoch
from tests.hostile.world import ADDRESSES, HostileWorld
from tests.scenarios.test_organisation import let_in, rounds, said
from tests.scenarios.world import sent, waits


def hide(hw: HostileWorld, sph: str, held: int) -> None:
    """From now on Ada is shown a log that ends at ``held``, and no messages of that sphere."""

    def before(body: dict[str, Any]) -> dict[str, Any]:
        kept = [one for one in body["entries"] if entry.decode(one).seq <= held]
        return {"entries": kept, "head": {"seq": held, "h": b64e(entry.decode(kept[-1]).digest)}} if kept else body

    hw.liar.lie(rf"GET /v1/spheres/{sph}/log", before, address=ADDRESSES["ada"])
    hw.liar.lie(rf"GET /v1/spheres/{sph}/items", lambda body: {**body, "items": []}, address=ADDRESSES["ada"])


@pytest.mark.parametrize("guarded", [True, False])
async def test_a_hidden_key_of_the_organisation_brings_no_older_one_back(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """CLT-062: the sphere's signed log names key 2, which Ada is not shown; her words wait, because the relay does not
    take a key of hers at an end of the organisation's log that is not the end. Control: without that her words go under
    key 1, from which Cy, who is gone, derives what opens them."""
    ada = await hw.first("ada")
    firm = await ada.create_sphere("Firm", kind="org")
    board = await ada.create_sphere("Board", org=firm.sph)
    for name in ("bo", "cy"):
        await let_in(hw, firm, name)
        await let_in(hw, board, name)
    bo, cy = hw.clients["bo"], hw.clients["cy"]
    await rounds(ada, bo, cy)
    stolen = dict(cy.sphere(firm.sph)._rep.keys)
    hide(hw, firm.sph, firm.info.seq)
    await cy.sphere(firm.sph).leave()
    await bo.sync()
    sent(await bo.sphere(board.sph).send("Without cy"))
    await ada.sync()
    assert (board.info.epoch, board._rep.known[1].epoch(2).m, firm.info.epoch) == (2, 2, 1)
    if not guarded:
        monkeypatch.setattr(organisation, "doubted", lambda org, rep: False)
        sent(await board.send("Heard by cy"))
        last = board._rep.known[1].epoch(3)
        assert epoch.derive_org(stolen[1], last.prev, board.sph, 3).secret == board._rep.keys[3].secret
        return
    waits(await board.send("For us"))
    for _ in range(2):
        hw.clock.forward(3600)
        await ada.sync()
    assert (board.info.epoch, len(ada.outbox())) == (2, 1)
    hw.liar.honest()
    ada.context.patience.clear()  # the seconds that lost races cost are over (CLT-064)
    await rounds(ada, bo)
    assert said(bo, board) == ["Without cy", "For us"]
    for n in range(1, board.info.epoch + 1):
        assert board._rep.known[1].epoch(n).m == n
