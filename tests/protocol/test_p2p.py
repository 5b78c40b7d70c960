"""Letters: what the relay may see of them (LOG-025 to LOG-027)."""

from __future__ import annotations

import pytest

from cloister.errors import KeyUnknown, NotMember, SignatureInvalid
from cloister.protocol import jws, p2p
from cloister.protocol.encoding import b64e
from vectors.generate._world import NOW, Log, Person, rng


def letter(log: Log, who: Person, kid: str = "") -> p2p.Letter:
    payload = {"k": "ask", "sph": log.state.sph, "iat": NOW, "jti": b64e(rng("jti", 16)), "ns": [1]}
    return p2p.decode(jws.sign("sph-p2p+1", {"kid": kid or who.dev.dv}, payload, who.dev.signer))


def test_a_letter_is_between_two_active_devices() -> None:
    ada, bo, cy = Person("ada"), Person("bo"), Person("cy")
    log = Log(ada)
    log.add(ada, bo)
    one = letter(log, ada)
    p2p.verify(one, log.state.devices[ada.dev.dv])
    p2p.check_pair(log.state, one.kid, bo.dev.dv)
    with pytest.raises(NotMember):
        p2p.check_pair(log.state, one.kid, cy.dev.dv)
    log.remove(ada, bo)
    with pytest.raises(NotMember):
        p2p.check_pair(log.state, one.kid, bo.dev.dv)


def test_a_letter_has_one_sender() -> None:
    ada, bo = Person("ada"), Person("bo")
    log = Log(ada)
    log.add(ada, bo)
    with pytest.raises(SignatureInvalid):
        p2p.verify(letter(log, bo, ada.dev.dv), log.state.devices[ada.dev.dv])
    with pytest.raises(KeyUnknown):
        p2p.verify(letter(log, bo), log.state.devices[ada.dev.dv])
