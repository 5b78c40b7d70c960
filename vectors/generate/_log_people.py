"""Members in a log: invited, added, given roles, removed."""

from __future__ import annotations

from typing import Any

from cloister.protocol import jws
from cloister.protocol.encoding import b64e
from vectors.generate import Case
from vectors.generate._log_base import FORMAT, no, yes
from vectors.generate._world import NOW, Log, Person, de_public, rng


def people() -> list[Case]:
    """Invitations, joining, leaving, removing, roles."""
    ada, bo, cy = Person("ada"), Person("bo"), Person("cy")
    cases: list[Case] = []

    def fresh(**policy: Any) -> Log:
        return Log(ada, policy=policy)

    log = fresh()
    cases += [
        yes("invite", "ROLE-006", log, log.make(ada, "invite", log.invite_body())),
        no("invite-owner", "ROLE-002", log, log.make(ada, "invite", log.invite_body(role="owner")), FORMAT),
        no("invite-no-uses", "ROLE-006", log, log.make(ada, "invite", log.invite_body(uses=0))),
        no("invite-too-many-uses", "ROLE-006 ROLE-019", log, log.make(ada, "invite", log.invite_body(uses=1001))),
        no("invite-over", "ROLE-006", log, log.make(ada, "invite", log.invite_body(exp=NOW - 1))),
        no(
            "invite-small-order-key",
            "ROLE-006",
            log,
            log.make(ada, "invite", log.invite_body(ipk=b64e(b"\x01" + bytes(31)))),
            FORMAT,
        ),
        no("revoke-unknown", "ROLE-006", log, log.make(ada, "revoke-invite", {"jti": b64e(rng("nothing", 16))})),
    ]
    log = fresh()
    log.do(ada, "invite", log.invite_body(exp=NOW + 100))
    by_link = log.add_body(bo, label="link")
    cases += [
        yes("add-by-link", "ROLE-010 JOIN-005 JOIN-008", log, log.make(ada, "add", by_link)),
        yes("add-by-link-last-second", "ROLE-010", log, log.make(ada, "add", by_link, iat=NOW + 100)),
        no("add-by-link-late", "ROLE-010", log, log.make(ada, "add", by_link, iat=NOW + 101)),
        no("add-by-link-other-role", "ROLE-010", log, log.make(ada, "add", {**by_link, "role": "guest"})),
        yes(
            "add-link-request-confirmed",
            "ROLE-011",
            log,
            log.make(ada, "add", {k: v for k, v in by_link.items() if k != "jti"}),
        ),
        no("invite-jti-again", "ROLE-006", log, log.make(ada, "invite", log.invite_body())),
        no("add-other-person", "JOIN-008", log, log.make(ada, "add", {**by_link, "id": cy.handle})),
        no("add-unattached", "JOIN-008", log, log.make(ada, "add", {**by_link, "join": b64e(bytes(32))})),
    ]
    unlinked = log.add_body(cy)
    cases.append(
        no(
            "add-link-not-used",
            "JOIN-005 JOIN-008",
            log,
            log.make(ada, "add", {**unlinked, "jti": b64e(rng("link", 16))}),
        )
    )
    thief = log.add_body(cy, label="link", link_signer=jws.device_signer(rng("wrong", 32)))
    cases.append(no("add-link-forged", "JOIN-005", log, log.make(ada, "add", thief)))
    swapped = Log(ada)
    swapped.do(ada, "invite", swapped.invite_body())
    bo_request = swapped.add_body(bo, label="link")
    cy_request = swapped.add_body(cy)
    swapped.attach[next(d for d, c in swapped.attach.items() if b64e(d) == bo_request["join"])] = swapped.attach[
        next(d for d, c in swapped.attach.items() if b64e(d) == cy_request["join"])
    ]
    cases.append(no("add-attachment-swapped", "JOIN-008", swapped, swapped.make(ada, "add", bo_request)))
    log.add(ada, bo, label="link")
    again = log.add_body(cy, label="link")
    cases += [
        no("add-link-used-up", "ROLE-010", log, log.make(ada, "add", again)),
        no("revoke-used-up", "ROLE-006", log, log.make(ada, "revoke-invite", {"jti": b64e(rng("link", 16))})),
        no("add-twice", "ROLE-010", log, log.make(ada, "add", log.add_body(bo))),
    ]
    twice = fresh()
    twice.do(ada, "invite", twice.invite_body(uses=2))
    twice.add(ada, bo, label="link")
    cases.append(yes("add-second-use", "ROLE-010", twice, twice.make(ada, "add", twice.add_body(cy, label="link"))))
    closed = fresh()
    closed.do(ada, "invite", closed.invite_body())
    closed.do(ada, "revoke-invite", {"jti": b64e(rng("link", 16))})
    cases += [
        no("add-link-revoked", "ROLE-010", closed, closed.make(ada, "add", closed.add_body(bo, label="link"))),
        no("revoke-twice", "ROLE-006", closed, closed.make(ada, "revoke-invite", {"jti": b64e(rng("link", 16))})),
    ]
    weak = Person("weak", kem="rsa4096")
    log = fresh()
    cases += [
        no("add-weak-device", "ROLE-007", log, log.make(ada, "add", log.add_body(weak))),
        no(
            "add-request-for-other-sphere",
            "JOIN-008",
            log,
            log.make(ada, "add", log.add_body(bo, sph=Log(bo).state.sph)),
        ),
        no("add-request-over", "JOIN-004 JOIN-008", log, log.make(ada, "add", log.add_body(bo), iat=NOW + 86401)),
        no("add-owner", "ROLE-002", log, log.make(ada, "add", log.add_body(bo, "owner")), FORMAT),
        yes(
            "add-renewed",
            "JOIN-007",
            log,
            log.make(ada, "add", log.add_body(bo, renew=("p384", de_public("p384", rng("bo2", 32))))),
        ),
        no(
            "add-renewed-weak",
            "ROLE-007 JOIN-007",
            log,
            log.make(ada, "add", log.add_body(bo, renew=("rsa4096", de_public("rsa4096", b"x")))),
        ),
    ]
    many = Person("mona")
    for _ in range(3):
        many.device()
    cases.append(yes("add-four-devices", "ROLE-010", log, log.make(ada, "add", log.add_body(many))))
    cases += _departures()
    return cases


def _departures() -> list[Case]:
    ada, bo, cy = Person("ada"), Person("bo"), Person("cy")
    cases: list[Case] = []

    def pair(role: str = "member", **policy: Any) -> Log:
        log = Log(ada, policy={"join": "any", **policy})
        log.add(ada, bo, role)
        return log

    log = pair()
    remove = {"id": bo.handle, "tails": log.tails_of(bo)}
    cases += [
        yes("remove", "ROLE-008 LOG-012 LOG-013", log, log.make(ada, "remove", remove)),
        yes("remove-spoken", "LOG-017", log, log.make(ada, "remove", {**remove, "tails": log.tails([bo.dev], 9)})),
        yes("ban", "ROLE-004", log, log.make(ada, "remove", {**remove, "ban": True})),
        no("remove-self", "ROLE-008", log, log.make(ada, "remove", {"id": ada.handle, "tails": log.tails_of(ada)})),
        no("remove-stranger", "ROLE-008", log, log.make(ada, "remove", {"id": cy.handle, "tails": []})),
        no("remove-no-tails", "LOG-017", log, log.make(ada, "remove", {**remove, "tails": []})),
        no(
            "remove-tail-of-another", "LOG-017", log, log.make(ada, "remove", {**remove, "tails": log.tails([ada.dev])})
        ),
        no(
            "remove-tail-twice",
            "LOG-017",
            log,
            log.make(ada, "remove", {**remove, "tails": log.tails([bo.dev, bo.dev])}),
        ),
        no(
            "remove-tail-too-many",
            "LOG-017",
            log,
            log.make(ada, "remove", {**remove, "tails": log.tails([bo.dev, ada.dev])}),
        ),
        no(
            "remove-tail-without-hash",
            "LOG-017",
            log,
            log.make(ada, "remove", {**remove, "tails": [[bo.dev.dv, 3, ""]]}),
            FORMAT,
        ),
        no(
            "remove-tail-hash-at-0",
            "LOG-017",
            log,
            log.make(ada, "remove", {**remove, "tails": [[bo.dev.dv, 0, b64e(bytes(32))]]}),
            FORMAT,
        ),
        no("leave-last-owner", "ROLE-009", log, log.make(ada, "leave", {"tails": log.tails_of(ada)})),
        yes("leave", "ROLE-009 LOG-012", log, log.make(bo, "leave", {"tails": log.tails_of(bo)})),
        no("leave-no-tails", "LOG-017", log, log.make(bo, "leave", {"tails": []})),
        no("role-same", "ROLE-013", log, log.make(ada, "role", log.role_body(bo, "member", lowered=False))),
        no("role-last-owner", "ROLE-013", log, log.make(ada, "role", log.role_body(ada, "admin", lowered=True))),
        no("role-lowered-no-tails", "LOG-017", log, log.make(ada, "role", log.role_body(bo, "guest", lowered=False))),
        no("role-raised-with-tails", "LOG-017", log, log.make(ada, "role", log.role_body(bo, "admin", lowered=True))),
        no("role-stranger", "ROLE-008", log, log.make(ada, "role", {"id": cy.handle, "role": "admin"})),
    ]
    solo = Log(ada)
    solo_left = solo.make(ada, "leave", {"tails": solo.tails_of(ada)})
    cases.append(yes("leave-closes", "LOG-014 ROLE-009", solo, solo_left))
    solo.put(solo_left)
    cases.append(no("closed", "LOG-014", solo, solo.make(ada, "mark", {})))
    two = pair()
    two.do(ada, "role", two.role_body(bo, "owner", lowered=False))
    cases += [
        yes("leave-one-of-two-owners", "ROLE-009", two, two.make(ada, "leave", {"tails": two.tails_of(ada)})),
        yes(
            "remove-owner-by-owner",
            "ROLE-008",
            two,
            two.make(bo, "remove", {"id": ada.handle, "tails": two.tails_of(ada)}),
        ),
        yes(
            "role-owner-steps-down", "ROLE-013", two, two.make(ada, "role", two.role_body(ada, "member", lowered=True))
        ),
    ]
    inviter = pair()
    inviter.do(bo, "invite", inviter.invite_body())
    request = inviter.add_body(cy, label="link")
    inviter.remove(ada, bo)
    cases.append(no("remove-closes-invitations", "ROLE-006", inviter, inviter.make(ada, "add", request)))
    lowered = pair("admin")
    lowered.do(bo, "invite", lowered.invite_body(role="admin"))
    request = lowered.add_body(cy, "admin", label="link")
    lowered.do(ada, "role", lowered.role_body(bo, "member", lowered=True))
    cases.append(no("lowering-closes-invitations", "ROLE-006 ROLE-013", lowered, lowered.make(ada, "add", request)))
    returned = pair()
    returned.remove(ada, bo)
    cases.append(yes("return", "ROLE-011", returned, returned.make(ada, "add", returned.add_body(bo))))
    renamed = returned.make(ada, "add", returned.add_body(bo, name="bob"))
    cases.append(yes("return-other-name", "ROLE-011", returned, renamed))
    returned.add(ada, bo)
    cases.append(yes("returned-speaks", "ROLE-011 LOG-021", returned, returned.make(bo, "mark", {})))
    banned = pair()
    banned.add(ada, cy, "admin")
    banned.remove(ada, bo, ban=True)
    cases += [
        no("banned-by-admin", "ROLE-011", banned, banned.make(cy, "add", banned.add_body(bo))),
        yes("banned-by-owner", "ROLE-011", banned, banned.make(ada, "add", banned.add_body(bo))),
        no("banned-removed-again", "ROLE-008", banned, banned.make(ada, "remove", {"id": bo.handle, "tails": []})),
    ]
    revoked = pair()
    dev = bo.device()
    revoked.do(dev, "device", {"act": "add", "cert": dev.cert})
    revoked.do(dev, "device", {"act": "revoke", "dv": bo.dev.dv, "tails": revoked.tails([bo.dev])})
    revoked.remove(ada, bo)
    cases += [
        no("return-with-revoked-device", "ROLE-010", revoked, revoked.make(ada, "add", revoked.add_body(bo, dev=dev))),
        yes(
            "return-with-other-device",
            "ROLE-011",
            revoked,
            revoked.make(ada, "add", revoked.add_body(bo, certs=[dev.cert], dev=dev)),
        ),
    ]
    return cases
