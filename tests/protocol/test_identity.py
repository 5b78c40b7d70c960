"""Certificates, key logs, join requests and device sign-in: what is made passes, what is altered does not.

The cases are vectors; here are the makers and what only code can show (CERT-001, KLOG-001, JOIN-001, CERT-008).
"""

from __future__ import annotations

import pytest

from cloister import crypto
from cloister.errors import CheckFailed, Expired, FormatError, KeyUnknown, LogFork, LogInvalid, SignatureInvalid
from cloister.protocol import certificate, dauth, join, jws, keylog
from cloister.protocol.state import Invite
from vectors.generate._world import NOW, YEAR, Person, de_public, rng, scalar

SPH = "sp-" + "A" * 43


@pytest.mark.parametrize("kem", ["xwing", "p384", "rsa4096"])
def test_what_is_issued_verifies(kem: str) -> None:
    """CERT-001, CERT-005, CERT-006."""
    who = Person("ada", kem=kem)
    cert = certificate.verify(who.dev.cert, who.ik)
    assert (cert.dv, cert.kem, cert.id, cert.issuer) == (who.dev.dv, kem, who.handle, who.handle)
    assert certificate.claimed_owner(who.dev.cert) == who.handle


def test_no_certificate_is_issued_for_a_key_nobody_can_use() -> None:
    """CERT-003, CERT-005."""
    good, own = de_public("p384", rng("de", 32)), jws.device_signer(rng("dk", 32))
    with pytest.raises(FormatError):
        certificate.issue(scalar("ada"), "id-" + "A" * 43, own, b"\x01" + bytes(31), "p384", good, NOW, NOW + 1)
    dk = crypto.ed25519_public(rng("dk", 32))
    with pytest.raises(FormatError):
        certificate.issue(scalar("ada"), "id-" + "A" * 43, own, dk, "xwing", good, NOW, NOW + 1)


def test_an_unusable_device_never_enters_and_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """CERT-005: without the check, a certificate with a key nobody can seal to verifies."""
    who = Person("ada")
    broken = b"\x04" + bytes(96)
    monkeypatch.setattr(certificate, "check_receiving_key", lambda *_: None)
    dk = crypto.ed25519_public(who.dev.seed)
    compact = certificate.issue(who.scalar, who.handle, who.dev.signer, dk, "p384", broken, NOW, NOW + YEAR)
    assert certificate.verify(compact, who.ik).de == broken
    monkeypatch.undo()
    with pytest.raises(FormatError):
        certificate.verify(compact, who.ik)


def test_nobody_certifies_another_persons_device_and_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """CERT-010: mallory certifies bo's device key as her own; without the check it would stand, and bo stay out."""
    bo, mallory = Person("bo"), Person("mallory")
    dk = crypto.ed25519_public(bo.dev.seed)
    de = de_public("p384", rng("mallory/de", 32))
    squat = certificate.issue(mallory.scalar, mallory.handle, mallory.dev.signer, dk, "p384", de, NOW, NOW + YEAR)
    with pytest.raises(SignatureInvalid):
        certificate.verify(squat, mallory.ik)
    with pytest.raises(SignatureInvalid):
        join.verify(_request(mallory, certs=[mallory.dev.cert, squat]), SPH, None, NOW)
    monkeypatch.setattr(certificate, "check_possession", lambda *_: None)
    taken = join.verify(_request(mallory, certs=[mallory.dev.cert, squat]), SPH, None, NOW)
    assert bo.dev.dv in {cert.dv for cert in taken.certs}
    assert taken.id == mallory.handle


def test_a_key_log_grows_and_is_pinned() -> None:
    """KLOG-001 to KLOG-008."""
    who = Person("ada")
    chain = [keylog.start(who.scalar, NOW)]
    log = keylog.verify_chain(chain)
    chain.append(keylog.add_device(who.scalar, log, who.dev.cert, NOW))
    log = keylog.apply(log, chain[1])
    assert list(log.devices) == [who.dev.dv]
    assert keylog.verify_against(chain, log.seq, log.digest) == log
    with pytest.raises(LogFork):
        keylog.verify_against(chain, log.seq, bytes(32))
    new = scalar("ada-second")
    chain.append(keylog.rotate(who.scalar, log, new, NOW))
    rotated = keylog.verify_chain(chain)
    assert rotated.id == log.id
    assert rotated.devices == {}
    assert keylog.prove(log.id, rotated.ik, [chain[0], chain[2]])[-1] == rotated.ik
    with pytest.raises(LogInvalid):
        keylog.prove(log.id, rotated.ik, [])


def test_a_handle_cannot_be_claimed_and_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """JOIN-006: mallory's certificates claim ada's handle; without the proof the request would stand for ada."""
    ada = Person("ada")
    mallory = Person("mallory", handle=ada.handle)
    request = _request(mallory)
    with pytest.raises(LogInvalid):
        join.verify(request, SPH, None, NOW)
    monkeypatch.setattr(keylog, "prove", lambda handle, ik, rotations: (ik,))
    assert join.verify(request, SPH, None, NOW).id == ada.handle


def _request(who: Person, **over: object) -> str:
    args: dict[str, object] = {
        **{"sph": SPH, "name": who.name, "ik": who.ik, "certs": [d.cert for d in who.devs]},
        **{"nonce": bytes(16), "iat": NOW, "exp": NOW + 60},
    }
    return join.make(who.dev.signer, who.dev.dv, **{**args, **over})  # type: ignore[arg-type]


def test_a_link_proves_its_holder_only() -> None:
    """JOIN-005, JOIN-009."""
    bo, ivk, jti = Person("bo"), rng("iv", 32), rng("jti", 16)
    invite = Invite(jti, crypto.ed25519_public(ivk), "member", 1, NOW + 9, "ask", "", 2)
    linked = _request(bo, jti=jti, link_signer=jws.device_signer(ivk))
    assert join.check_ivs(linked, SPH, invite, NOW).by_link
    with pytest.raises(Expired):
        join.check_ivs(linked, SPH, invite, NOW + 10)
    with pytest.raises(SignatureInvalid):
        join.verify(_request(bo, jti=jti, link_signer=jws.device_signer(bytes(32))), SPH, invite, NOW)
    with pytest.raises(FormatError):
        _request(bo, certs=[Person("cy").dev.cert][:0], jti=jti, link_signer=jws.device_signer(ivk))


def test_a_device_answers_for_one_place_only() -> None:
    """CERT-008, CERT-009."""
    who, nonce = Person("ada"), rng("nonce", 32)
    answer = dauth.make(who.dev.signer, who.dev.dv, aud="https://a.example", nonce=nonce, iat=NOW)
    assert dauth.read(answer) == (who.dev.dv, nonce)
    dk = crypto.ed25519_public(who.dev.seed)
    dauth.verify(answer, dk, dv=who.dev.dv, origins={"https://a.example"}, nonce=nonce, now=NOW)
    with pytest.raises(LogInvalid):
        dauth.verify(answer, dk, dv=who.dev.dv, origins={"https://b.example"}, nonce=nonce, now=NOW)


def test_altered_bytes_give_allowed_errors_only() -> None:
    who = Person("ada")
    request = _request(who)
    for compact, check in (
        (who.dev.cert, lambda text: certificate.verify(text, who.ik)),
        (request, lambda text: join.verify(text, SPH, None, NOW)),
        (keylog.start(who.scalar, NOW), lambda text: keylog.verify_chain([text])),
    ):
        for at in range(0, len(compact), 11):
            altered = compact[:at] + ("A" if compact[at] != "A" else "B") + compact[at + 1 :]
            with pytest.raises(CheckFailed):
                check(altered)
    with pytest.raises(KeyUnknown):
        certificate.verify(who.dev.cert, Person("bo").ik)
