"""T-S2: ghosts in everything the relay says about who is in a sphere.

Recipients of a key come from the signed log and from nowhere else, so whatever the relay adds to lists, heads, hints
or the log itself, no share is ever sealed to a ghost.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from cloister import crypto
from cloister.errors import CheckFailed, CloisterError
from cloister.protocol import entry
from cloister.protocol.encoding import b64e
from tests.hostile.world import HostileWorld, Mallory, mallory
from tests.scenarios.world import harbour

ROTATIONS = 1000 if os.environ.get("CLOISTER_DEEP") else 100


def _wrapped(hw: HostileWorld, since: int) -> list[str]:
    """Devices that shares of the commits since then were sealed to."""
    found: list[str] = []
    for call in hw.liar.calls[since:]:
        if call.path.endswith("/commits") and call.body:
            found += [wrap["dv"] for wrap in json.loads(call.body)["wraps"]]
    return found


def _haunt(hw: HostileWorld, sph: str, ghost: Mallory) -> None:
    """The ghost stands in every list the relay keeps."""
    tail = {"dv": ghost.device.dv, "seq": 1, "h": b64e(bytes(32))}
    hw.liar.lie(rf"GET /v1/spheres/{sph}/heads", lambda body: {"heads": [*body["heads"], tail]})
    hw.liar.lie(r"GET /v1/klog/", lambda body: {"entries": [*body["entries"], *body["entries"][-1:]]})
    hw.liar.lie_live(lambda frame: [*frame, {"t": "hint", "k": "rotate", "s": sph}])


def _ghost_entry(hw: HostileWorld, ghost: Mallory, page: Any) -> str:
    """A device entry that follows the shown head, signed by the ghost's own key."""
    head = entry.decode(page["entries"][-1])
    body = {"act": "add", "cert": ghost.cert}
    return entry.make(
        ghost.signer,
        ghost.device.dv,
        "device",
        body,
        int(hw.clock()),
        sph=head.sph,
        seq=head.seq + 1,
        prev=head.digest,
        ep=head.ep,
    )


async def test_no_share_for_a_ghost_in_lists(hw: HostileWorld) -> None:
    """COM-007, SHR-003: recipients are the log's active devices, over many rotations."""
    people = await hw.sphere_of("ada", "bo")
    sphere = harbour(people["ada"])
    ghost = mallory(int(hw.clock()))
    _haunt(hw, sphere.sph, ghost)
    since = len(hw.liar.calls)
    for _ in range(ROTATIONS):
        hw.clock.forward(11)
        await sphere.rotate("often")
    wrapped = _wrapped(hw, since)
    assert len(wrapped) == ROTATIONS
    assert set(wrapped) == {people["bo"].account.dv}


def _append_ghost(hw: HostileWorld, sph: str, ghost: Mallory) -> None:
    """The relay shows ada a log that ends with the ghost's entry."""

    def lie(page: Any) -> Any:
        if not page["entries"] or entry.decode(page["entries"][-1]).kid == ghost.device.dv:
            return page
        fake = _ghost_entry(hw, ghost, page)
        head = {"seq": page["head"]["seq"] + 1, "h": b64e(entry.decode(fake).digest)}
        return {"entries": [*page["entries"], fake], "head": head}

    hw.liar.lie(rf"GET /v1/spheres/{sph}/log", lie, address="127.0.1.1")


async def test_a_ghost_entry_in_the_log_is_refused(hw: HostileWorld) -> None:
    """LOG-008: a device the owner did not certify is none of hers; the client stops instead of sealing to it."""
    people = await hw.sphere_of("ada", "bo")
    sphere = harbour(people["ada"])
    ghost = mallory(int(hw.clock()), claims=people["ada"].account.id)
    _append_ghost(hw, sphere.sph, ghost)
    since = len(hw.liar.calls)
    with pytest.raises(CheckFailed):
        await sphere.rotate("now")
    assert _wrapped(hw, since) == []
    assert sphere.info.stop is not None
    assert sphere.evidence()


async def test_control_without_certificate_checks_the_ghost_gets_the_key(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same entry against a client that does not check who signed a certificate: a share for the ghost leaves."""
    people = await hw.sphere_of("ada", "bo")
    sphere = harbour(people["ada"])
    ghost = mallory(int(hw.clock()), claims=people["ada"].account.id)
    _append_ghost(hw, sphere.sph, ghost)
    monkeypatch.setattr(crypto, "es384_verify", lambda *_: None)
    since = len(hw.liar.calls)
    with pytest.raises(CloisterError):  # the honest part of the relay refuses the commit; the share has left
        await sphere.rotate("now")
    assert ghost.device.dv in _wrapped(hw, since)
