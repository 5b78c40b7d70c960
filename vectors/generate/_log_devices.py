"""Devices and identity keys in a log."""

from __future__ import annotations

from cloister.protocol import jws, machine
from cloister.protocol.encoding import b64e
from vectors.generate import Case, good
from vectors.generate._log_base import FORMAT, SIG, STRANGER, UNKNOWN, no, renewal, yes
from vectors.generate._world import NOW, Log, Person, de_public, scalar


def devices() -> list[Case]:
    """Devices introduce themselves, renew, are revoked; identities change."""
    cases: list[Case] = []
    ada, bo = Person("ada"), Person("bo")
    log = Log(ada, policy={"join": "any"})
    log.add(ada, bo)
    dev = ada.device()
    add = {"act": "add", "cert": dev.cert}
    foreign = bo.device()
    weak = ada.device(kem="rsa4096")
    late = ada.device(exp=NOW - 1)
    stolen = Person("mallory", handle=ada.handle)
    cases += [
        yes("device-add", "LOG-008 ROLE-015", log, log.make(dev, "device", add)),
        no("device-add-by-old-device", "LOG-008", log, log.make(ada, "device", add)),
        no("device-add-other-signer", "LOG-008", log, log.make(dev, "device", add, signer=bo.dev.signer), SIG),
        no("device-add-other-cert", "LOG-008", log, log.make(dev, "device", {**add, "cert": foreign.cert}), UNKNOWN),
        no("device-add-again", "LOG-008", log, log.make(ada, "device", {**add, "cert": ada.dev.cert})),
        no("device-add-weak", "ROLE-007", log, log.make(weak, "device", {**add, "cert": weak.cert})),
        no("device-add-expired", "CERT-004", log, log.make(late, "device", {**add, "cert": late.cert})),
        no(
            "device-add-other-identity",
            "LOG-008 CERT-002",
            log,
            log.make(stolen.dev, "device", {**add, "cert": stolen.dev.cert}),
            UNKNOWN,
        ),
        no(
            "device-add-stranger",
            "LOG-008",
            log,
            log.make(Person("eve").dev, "device", {**add, "cert": Person("eve").dev.cert}),
            UNKNOWN,
        ),
        no("device-add-form", "ROLE-002", log, log.make(dev, "device", {"act": "add"}), FORMAT),
        yes("device-add-renewed", "CERT-007", log, log.make(dev, "device", {**add, "renew": renewal("ada")})),
        yes("device-renew", "ROLE-015", log, log.make(ada, "device", {"act": "renew", **renewal("ada")})),
        no(
            "device-renew-same",
            "ROLE-015",
            log,
            log.make(ada, "device", {"act": "renew", "kem": "p384", "de": b64e(de_public("p384", ada.dev.de_seed))}),
        ),
        no(
            "device-renew-weak", "ROLE-007", log, log.make(ada, "device", {"act": "renew", **renewal("ada", "rsa4096")})
        ),
        no(
            "device-renew-no-point",
            "ROLE-015 CERT-005",
            log,
            log.make(ada, "device", {"act": "renew", "kem": "p384", "de": b64e(b"\x04" + bytes(95) + b"\x01")}),
            FORMAT,
        ),
        no(
            "device-revoke-self",
            "ROLE-015",
            log,
            log.make(ada, "device", {"act": "revoke", "dv": ada.dev.dv, "tails": log.tails([ada.dev])}),
        ),
        no(
            "device-revoke-unknown",
            "ROLE-003",
            log,
            log.make(ada, "device", {"act": "revoke", "dv": dev.dv, "tails": log.tails([dev])}),
        ),
        no(
            "device-revoke-of-another",
            "ROLE-003",
            log,
            log.make(ada, "device", {"act": "revoke", "dv": bo.dev.dv, "tails": log.tails([bo.dev])}),
        ),
    ]
    log.do(dev, "device", add)
    revoke = {"act": "revoke", "dv": ada.dev.dv, "tails": log.tails([ada.dev], 4)}
    cases += [
        yes("device-revoke-by-new-one", "LOG-008 ROLE-015 LOG-012", log, log.make(dev, "device", revoke)),
        no("device-revoke-no-tails", "LOG-017", log, log.make(dev, "device", {**revoke, "tails": []})),
        no("device-revoke-other-tail", "LOG-017", log, log.make(dev, "device", {**revoke, "tails": log.tails([dev])})),
    ]
    log.do(dev, "device", revoke)
    cases += [
        no("revoked-speaks", "LOG-007", log, log.make(ada.dev, "mark", {}), STRANGER),
        no(
            "revoked-introduces-itself",
            "LOG-007",
            log,
            log.make(ada.dev, "device", {**add, "cert": ada.dev.cert}),
            STRANGER,
        ),
        no("revoked-revoked", "ROLE-015", log, log.make(dev, "device", revoke)),
    ]
    full = Log(ada)
    for _ in range(15):
        more = ada.device()
        full.do(more, "device", {"act": "add", "cert": more.cert})
    seventeenth = ada.device()
    cases.append(
        no(
            "device-seventeenth",
            "ROLE-015 ROLE-019",
            full,
            full.make(seventeenth, "device", {"act": "add", "cert": seventeenth.cert}),
        )
    )
    return cases + _identities()


def _identities() -> list[Case]:
    ada, bo = Person("ada"), Person("bo")
    log = Log(ada, policy={"join": "any"})
    log.add(ada, bo)
    new = scalar("bo-second")
    dev = bo.device(scalar=new)
    body = log.identity_body(bo, new, dev)
    message = machine.identity_message(
        log.state.sph, bo.handle, body["old"], body["new"], jws.decode(dev.cert, "sph-dev+1").digest
    )
    old_dev = bo.device()
    cases = [
        good(
            "identity-message",
            "ROLE-012",
            "identity-message",
            {
                "sph": log.state.sph,
                "id": bo.handle,
                "old": body["old"],
                "new": body["new"],
                "cert_digest": b64e(jws.decode(dev.cert, "sph-dev+1").digest),
            },
            message.hex(),
        ),
        yes("identity", "ROLE-012 LOG-012", log, log.make(dev, "identity", body)),
        no("identity-osig", "ROLE-012", log, log.make(dev, "identity", {**body, "osig": body["nsig"]}), SIG),
        no("identity-nsig", "ROLE-012", log, log.make(dev, "identity", {**body, "nsig": body["osig"]}), SIG),
        no("identity-other-old", "ROLE-012", log, log.make(dev, "identity", {**body, "old": ada.ik})),
        no(
            "identity-of-another",
            "ROLE-012 LOG-008",
            log,
            log.make(dev, "identity", {**body, "id": ada.handle}),
            UNKNOWN,
        ),
        no("identity-by-old-device", "LOG-008", log, log.make(bo.dev, "identity", body)),
        no(
            "identity-cert-under-old",
            "LOG-008 CERT-002",
            log,
            log.make(old_dev, "identity", {**body, "cert": old_dev.cert}),
            UNKNOWN,
        ),
        no("identity-no-tails", "LOG-017", log, log.make(dev, "identity", {**body, "tails": []})),
        no(
            "identity-same-key",
            "ROLE-012",
            log,
            log.make(old_dev, "identity", {**log.identity_body(bo, bo.scalar, old_dev), "tails": body["tails"]}),
        ),
    ]
    log.do(dev, "identity", body)
    second = bo.device(scalar=new)
    third_key = scalar("bo-third")
    third = bo.device(scalar=third_key)
    cases += [
        no("identity-old-device-speaks", "ROLE-012 LOG-007", log, log.make(bo.dev, "mark", {}), STRANGER),
        no(
            "identity-old-key-certifies",
            "ROLE-012 CERT-002",
            log,
            log.make(old_dev, "device", {"act": "add", "cert": old_dev.cert}),
            UNKNOWN,
        ),
        yes(
            "identity-new-key-certifies",
            "ROLE-012",
            log,
            log.make(second, "device", {"act": "add", "cert": second.cert}),
        ),
        no(
            "identity-rival",
            "ROLE-012",
            log,
            log.make(third, "identity", {**log.identity_body(bo, third_key, third), "tails": log.tails([dev])}),
        ),
    ]
    return cases
