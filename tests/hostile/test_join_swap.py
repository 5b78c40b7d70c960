"""T-S1: the relay puts its own keys into a join request.

With a link the swap is refused every time; without one no key leaves before a person confirms.
"""

from __future__ import annotations

from typing import Any

import pytest

from cloister import crypto
from cloister.errors import CheckFailed, RelayError, UsageError
from cloister.protocol import digits
from cloister.protocol import join as joins
from cloister.protocol.encoding import b64d
from cloister.server import commits
from tests.hostile.world import HostileWorld, Mallory, digest_of, mallory

TRIES = 100


async def _asked(hw: HostileWorld) -> tuple[Any, bytes]:
    ada = await hw.first("ada")
    sphere = await ada.create_sphere("Harbour plan")
    link = await sphere.invite()
    await hw.join("bo", link)
    return sphere, b64d(link.jti)


def _swap(hw: HostileWorld, sph: str, jti: bytes | None) -> Mallory:
    """From now on every request ada is shown is Mallory's."""
    ghost = mallory(int(hw.clock()))

    def lie(body: Any) -> Any:
        compact = ghost.request(sph, int(hw.clock()), jti=jti)
        return {"joins": [{"h": digest_of(compact), "jws": compact, "exp": int(hw.clock()) + 86400}]}

    hw.liar.honest()
    hw.liar.lie(rf"GET /v1/spheres/{sph}/joins$", lie)
    return ghost


async def test_with_a_link_the_swap_is_refused(hw: HostileWorld) -> None:
    """JOIN-005: the invitation's key did not sign for the ghost, so it is never shown as come by the link."""
    sphere, jti = await _asked(hw)
    for _ in range(TRIES):
        ghost = _swap(hw, sphere.sph, jti)
        for request in await sphere.requests():
            assert not request.by_link
            with pytest.raises((UsageError, CheckFailed, RelayError)):
                await sphere.admit(request)
        assert ghost.id not in {person.id for person in sphere.people()}
    assert hw.liar.lies >= TRIES
    hw.liar.honest()
    (request,) = await sphere.requests()
    assert request.by_link


async def test_control_without_the_invitation_key_the_ghost_gets_in(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same attack against a build that does not check ``ivs`` puts the ghost among the members."""
    sphere, jti = await _asked(hw)
    ghost = _swap(hw, sphere.sph, jti)
    real = crypto.ed25519_verify

    def careless(public: bytes, signature: bytes, message: bytes) -> None:
        if b"sph/1 join" not in message[:20]:
            real(public, signature, message)

    monkeypatch.setattr(crypto, "ed25519_verify", careless)
    monkeypatch.setattr(joins.crypto, "ed25519_verify", careless)
    _collude(monkeypatch)
    (request,) = await sphere.requests()
    assert request.by_link
    await sphere.admit(request)
    assert ghost.id in {person.id for person in sphere.people()}


async def test_without_a_link_no_key_leaves_unconfirmed(hw: HostileWorld) -> None:
    """CLT-018: a request without proof needs a person; the digits of the swapped key differ on the two screens."""
    sphere, _ = await _asked(hw)
    ghost = _swap(hw, sphere.sph, None)
    (request,) = await sphere.requests()
    assert not request.by_link
    wraps_before = len(hw.liar.calls)
    with pytest.raises(UsageError):
        await sphere.admit(request)
    assert not any(b'"wraps":[{' in call.body for call in hw.liar.calls[wraps_before:])
    assert ghost.id not in {person.id for person in sphere.people()}
    hw.liar.forge(r"POST .*/card$", lambda body: {})
    shown = await sphere.show_card(request)
    ada, bo = sphere.client.account.id, hw.clients["bo"].account.id
    assert shown.split() != digits.safety_number(ada, bo).split()
    assert shown.split() == digits.safety_number(ada, ghost.id).split()


def _collude(monkeypatch: pytest.MonkeyPatch) -> None:
    """The relay looks away from a device that nobody enrolled (JOIN-009 is the honest relay's own rule)."""
    monkeypatch.setattr(commits, "_enrolled", lambda *_: None)


async def test_control_with_a_confirmation_the_ghost_would_get_in(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who confirms without comparing admits the ghost: the check above is what stands in between."""
    _collude(monkeypatch)
    sphere, _ = await _asked(hw)
    ghost = _swap(hw, sphere.sph, None)
    (request,) = await sphere.requests()
    await sphere.admit(request, confirmed=True)
    assert ghost.id in {person.id for person in sphere.people()}
