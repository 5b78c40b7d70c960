"""Requests to join, alone and under an invitation."""

from __future__ import annotations

from typing import Any

from cloister import crypto
from cloister.protocol import join, jws, keylog
from cloister.protocol.encoding import b64e, json_emit
from cloister.protocol.ids import jwk_public
from vectors.generate import Case, bad, good
from vectors.generate._world import NOW, YEAR, Dev, Person, de_public, rng, scalar

ORIGIN = "made by vectors/generate/join.py with seeded keys; refusals are stated there by hand"

FORMAT, SIG, UNKNOWN, WRONG, OVER = "C_FORMAT", "C_SIG", "C_KEY_UNKNOWN", "C_LOG_INVALID", "C_EXPIRED"
SPH = "sp-" + b64e(rng("sphere", 32))
JTI, NONCE = rng("link", 16), rng("join", 16)
IVK = rng("link/iv", 32)
INVITE = {"jti": b64e(JTI), "ipk": b64e(crypto.ed25519_public(IVK)), "exp": NOW + 3600}


def make(who: Person, *, link: bool = False, dev: Dev | None = None, **over: Any) -> str:
    dev = dev or who.dev
    args: dict[str, Any] = {
        "sph": SPH,
        "name": who.name,
        "ik": who.ik,
        "certs": [d.cert for d in who.devs],
        "nonce": NONCE,
        "iat": NOW,
        "exp": NOW + 86400,
        **({"jti": JTI, "link_signer": jws.device_signer(IVK)} if link else {}),
    }
    return join.make(dev.signer, dev.dv, **{**args, **over})


def cases() -> list[Case]:
    ada, bo = Person("ada"), Person("bo")
    plain, linked = make(bo), make(bo, link=True)
    two = Person("bo")
    two.device()
    rotated, proof = _rotated()

    def given(compact: str, *, invite: Any = None, iat: int = NOW, sph: str = SPH) -> Case:
        return {"join": compact, "sph": sph, "iat": iat, **({"invite": invite} if invite else {})}

    def ok(name: str, rule: str, compact: str, who: Person, dev: Dev | None = None, **more: Any) -> Case:
        dev, kems = dev or who.dev, {d.dv: [d.kem, de_public(d.kem, d.de_seed).hex()] for d in who.devs}
        kems |= more.pop("kems", {})
        value = {
            "id": who.handle,
            "name": who.name,
            "kid": dev.dv,
            "by_link": "invite" in more and bool(more["invite"]),
            "digest": jws.decode(compact, "sph-join+1").digest.hex(),
            "kems": kems,
        }
        return good(f"join-{name}", rule, "join-verify", given(compact, **more), value)

    def no(name: str, rule: str, compact: str, code: str, **more: Any) -> Case:
        return bad(f"join-{name}", rule, "join-verify", given(compact, **more), code)

    def forged(**over: Any) -> str:
        payload = {**jws.decode(linked, "sph-join+1").body, **over}
        raw = {name: value for name, value in payload.items() if value is not None}
        return jws.sign("sph-join+1", {"kid": bo.dev.dv}, json_emit(raw), bo.dev.signer)

    cert = jws.decode(bo.dev.cert, "sph-dev+1")
    message = join.link_message(SPH, JTI, bo.handle, cert.digest, NONCE)
    moved = forged(nonce=b64e(bytes(16)))
    renewed = ("p384", de_public("p384", rng("bo-renewed", 32)))
    late = Person("bo")
    late.devs = []
    late.device(exp=NOW + 10)
    link_case = {
        "sph": SPH,
        "jti": JTI.hex(),
        "id": bo.handle,
        "cert_digest": cert.digest.hex(),
        "nonce": NONCE.hex(),
    }
    return [
        ok("plain", "JOIN-001 JOIN-002", plain, bo),
        ok("two-devices", "JOIN-002", make(two), two),
        ok("second-device-signs", "JOIN-002", make(two, dev=two.devs[1]), two, two.devs[1]),
        ok("linked", "JOIN-005", linked, bo, invite=INVITE),
        ok("linked-but-confirmed", "JOIN-005", linked, bo),
        ok("renewed", "JOIN-007", make(bo, renew=renewed), bo, kems={bo.dev.dv: ["p384", renewed[1].hex()]}),
        ok("rotated", "JOIN-006", make(rotated, rotations=proof), rotated),
        ok("last-second", "JOIN-004", plain, bo, iat=NOW + 86400),
        good("join-link-message", "JOIN-005", "join-link-message", link_case, message.hex()),
        no("over", "JOIN-004", plain, OVER, iat=NOW + 86401),
        no("thirty-days", "JOIN-004", make(bo, exp=NOW + 30 * 86400 + 1), FORMAT),
        no("ends-before", "JOIN-004", make(bo, exp=NOW - 1), FORMAT),
        no("certificate-over", "JOIN-004", make(late), OVER, iat=NOW + 11),
        no("other-sphere", "JOIN-002", plain, WRONG, sph="sp-" + b64e(bytes(32))),
        no("signed-by-another", "JOIN-002", _signed_by(bo, ada), SIG),
        no("certificate-of-another", "JOIN-002", forged(certs=[ada.dev.cert]), UNKNOWN),
        no("no-own-certificate", "JOIN-002", make(two, certs=[two.devs[1].cert]), UNKNOWN),
        no("certificate-twice", "JOIN-003", make(bo, certs=[bo.dev.cert, bo.dev.cert]), FORMAT),
        no("two-people", "JOIN-003", _two_people(), FORMAT),
        no("no-certificates", "JOIN-002", forged(certs=[]), UNKNOWN),
        no("handle-unproved", "JOIN-006", make(rotated), WRONG),
        no("proof-of-another", "JOIN-006", make(rotated, rotations=[keylog.start(ada.scalar, NOW)]), WRONG),
        no("renew-weak-form", "JOIN-007", forged(renew={"kem": "p384"}), FORMAT),
        no("renew-no-point", "JOIN-007", forged(renew={"kem": "p384", "de": b64e(b"\x04" + bytes(96))}), FORMAT),
        no(
            "ivs-other-key",
            "JOIN-005",
            make(bo, link=True, link_signer=jws.device_signer(bytes(32))),
            SIG,
            invite=INVITE,
        ),
        no("ivs-other-nonce", "JOIN-005", moved, SIG, invite=INVITE),
        no("ivs-of-another-joiner", "JOIN-005", _stolen_link(linked, ada), SIG, invite=INVITE),
        no("ivs-missing", "JOIN-005", make(bo, jti=JTI), WRONG, invite=INVITE),
        no("jti-missing", "JOIN-005", plain, WRONG, invite=INVITE),
        no("jti-of-another", "JOIN-005", linked, WRONG, invite={**INVITE, "jti": b64e(bytes(16))}),
        no("ivs-without-jti", "JOIN-005", forged(jti=None), FORMAT),
        no("ivs-without-jti-by-link", "JOIN-005", forged(jti=None), FORMAT, invite=INVITE),
        no("form-before-time", "JOIN-004", forged(jti=None), FORMAT, iat=NOW + 86401),
        no("name-capital", "JOIN-001", forged(name="Bo"), FORMAT),
        no("foreign-member", "JOIN-001", forged(note="hello"), FORMAT),
        no("ik-off-curve", "JOIN-001", forged(ik={**bo.ik, "y": bo.ik["x"]}), FORMAT),
        bad("join-relay-plain", "JOIN-009", "join-check-ivs", given(plain, invite=INVITE), WRONG),
        bad("join-relay-used-up", "JOIN-009", "join-check-ivs", given(linked, invite={**INVITE, "left": 0}), OVER),
        bad("join-relay-over", "JOIN-009", "join-check-ivs", given(linked, invite=INVITE, iat=NOW + 3601), OVER),
        {**ok("relay", "JOIN-009", linked, bo, invite=INVITE), "op": "join-check-ivs"},
    ]


def _signed_by(who: Person, forger: Person) -> str:
    return join.make(
        forger.dev.signer,
        who.dev.dv,
        sph=SPH,
        name=who.name,
        ik=who.ik,
        certs=[who.dev.cert],
        nonce=NONCE,
        iat=NOW,
        exp=NOW + 9,
    )


def _two_people() -> str:
    bo = Person("bo")
    other = Person("bo", handle=Person("cy").handle)
    other.devs = [bo.dev]
    second = other.device()
    return make(bo, certs=[bo.dev.cert, second.cert])


def _stolen_link(linked: str, thief: Person) -> str:
    ivs = jws.decode(linked, "sph-join+1").body["ivs"]
    payload = {
        "sph": SPH,
        "jti": b64e(JTI),
        "name": thief.name,
        "ik": thief.ik,
        "certs": [thief.dev.cert],
        "nonce": b64e(NONCE),
        "ivs": ivs,
        "iat": NOW,
        "exp": NOW + 86400,
    }
    return jws.sign("sph-join+1", {"kid": thief.dev.dv}, payload, thief.dev.signer)


def _rotated() -> tuple[Person, list[str]]:
    """A person whose identity key was replaced, and the proof."""
    first = Person("rae")
    entries = [keylog.start(first.scalar, NOW - YEAR)]
    log = keylog.verify_chain(entries)
    second = Person("rae", scalar=scalar("rae-second"), handle=first.handle)
    entries.append(keylog.rotate(first.scalar, log, second.scalar, NOW - 99))
    assert keylog.verify_chain(entries).ik == jwk_public(second.scalar)
    return second, entries
