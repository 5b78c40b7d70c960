"""Logs of a sphere: who may do what, what follows, what is refused; past positions; forks; letters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloister.errors import CloisterError
from cloister.protocol import entry, jws, machine
from cloister.protocol.encoding import b64e, json_emit
from cloister.protocol.state import Policy, recipients_hash, state_hash
from vectors.generate import Case, bad, good
from vectors.generate._world import NOW, YEAR, Dev, Log, Person, de_public, rng, scalar

ORIGIN = "made by vectors/generate/log.py with seeded keys; refusals are stated there by hand, state hashes computed"

FORMAT, SIG, UNKNOWN, STRANGER, WRONG = "C_FORMAT", "C_SIG", "C_KEY_UNKNOWN", "C_NOT_MEMBER", "C_LOG_INVALID"


def given(log: Log, **more: Any) -> Case:
    attach = {b64e(digest): compact for digest, compact in log.attach.items()}
    return {"entries": list(log.entries), **({"attach": attach} if attach else {}), **more}


def no(name: str, rule: str, log: Log, compact: str, code: str = WRONG) -> Case:
    return bad(f"log-{name}", rule, "log-apply", given(log, next=compact), code)


def yes(name: str, rule: str, log: Log, compact: str) -> Case:
    state = log.try_(compact)
    value = {
        "sh": state_hash(state).hex(),
        "ep": state.ep,
        "hard": state.hard,
        "due": state.due,
        "mode": state.mode,
        "members": {member.id: member.role for member in state.members.values()},
        "devices": sorted(device.dv for device in state.devices.values() if device.active),
    }
    return good(f"log-{name}", rule, "log-apply", given(log, next=compact), value)


class Crew:
    """Owner ada, admin ben, member cy, guest dee in one encrypted sphere with one open invitation each may see."""

    def __init__(self, **policy: Any) -> None:
        self.ada, self.ben, self.cy, self.dee = (Person(name) for name in ("ada", "ben", "cy", "dee"))
        self.log = Log(self.ada, policy=policy)
        self.log.add(self.ada, self.ben, "admin")
        self.log.add(self.ada, self.cy, "member")
        self.log.add(self.ada, self.dee, "guest")

    @property
    def all(self) -> list[Person]:
        return [self.ada, self.ben, self.cy, self.dee]


def table() -> list[Case]:
    """One case for each operation: tried by owner, admin, member and guest in turn."""
    cases: list[Case] = []

    def row(
        name: str, make: Callable[[Crew, Person], str], prepare: Callable[[Crew], Any] | None = None, **policy: Any
    ) -> None:
        crew = Crew(**policy)
        if prepare:
            prepare(crew)
        tries = [make(crew, who) for who in crew.all]
        verdicts = []
        for compact in tries:
            try:
                verdicts.append(state_hash(crew.log.try_(compact)).hex())
            except CloisterError as error:
                verdicts.append(error.code)
        expected = PERMITTED[name]
        assert [v if v.startswith("C_") else "yes" for v in verdicts] == [e or WRONG for e in expected], (
            name,
            verdicts,
        )
        cases.append(good(f"log-table-{name}", "ROLE-003", "log-table", given(crew.log, tries=tries), verdicts))

    def device_body(who: Person) -> tuple[Dev, dict[str, Any]]:
        dev = who.device()
        return dev, {"act": "add", "cert": dev.cert}

    def device_add(c: Crew, who: Person) -> str:
        dev, body = device_body(who)
        return c.log.make(dev, "device", body)

    def revoke(c: Crew, who: Person) -> str:
        return c.log.make(who.devs[1], "device", {"act": "revoke", "dv": who.dev.dv, "tails": c.log.tails([who.dev])})

    def second_devices(c: Crew) -> None:
        for who in c.all:
            dev, body = device_body(who)
            c.log.do(dev, "device", body)

    def identity(c: Crew, who: Person) -> str:
        new = scalar(who.name + "-second")
        dev = who.device(scalar=new)
        return c.log.make(dev, "identity", c.log.identity_body(who, new, dev))

    def tighter(c: Crew) -> dict[str, Any]:
        return {"policy": {**c.log.state.policy.as_body(), "retention": 30, "T": 3600}}

    def mark_and_rotate(c: Crew) -> None:
        c.log.do(c.ada, "meta", SEALED)

    eve = Person("eve")
    row("create", lambda c, who: c.log.make(who, "create", {**GENESIS(who)}))
    row("invite", lambda c, who: c.log.make(who, "invite", c.log.invite_body(role="guest")))
    row("invite-any", lambda c, who: c.log.make(who, "invite", c.log.invite_body(role="guest")), join="any")
    row("invite-admin", lambda c, who: c.log.make(who, "invite", c.log.invite_body(role="admin")), join="any")
    row(
        "revoke-invite",
        lambda c, who: c.log.make(who, "revoke-invite", {"jti": b64e(rng("link", 16))}),
        lambda c: c.log.do(c.cy, "invite", c.log.invite_body()),
        join="any",
    )
    row(
        "revoke-invite-of-another",
        lambda c, who: c.log.make(who, "revoke-invite", {"jti": b64e(rng("link", 16))}),
        lambda c: c.log.do(c.ada, "invite", c.log.invite_body()),
    )
    row("add", lambda c, who: c.log.make(who, "add", c.log.add_body(eve)))
    row("add-any", lambda c, who: c.log.make(who, "add", c.log.add_body(eve)), join="any")
    row("add-admin", lambda c, who: c.log.make(who, "add", c.log.add_body(eve, "admin")), join="any")
    row("remove-guest", lambda c, who: c.log.make(who, "remove", {"id": c.dee.handle, "tails": c.log.tails_of(c.dee)}))
    row("remove-admin", lambda c, who: c.log.make(who, "remove", {"id": c.ben.handle, "tails": c.log.tails_of(c.ben)}))
    row("remove-owner", lambda c, who: c.log.make(who, "remove", {"id": c.ada.handle, "tails": c.log.tails_of(c.ada)}))
    row("leave", lambda c, who: c.log.make(who, "leave", {"tails": c.log.tails_of(who)}))
    row("role-raise-guest", lambda c, who: c.log.make(who, "role", c.log.role_body(c.dee, "member", lowered=False)))
    row("role-lower-member", lambda c, who: c.log.make(who, "role", c.log.role_body(c.cy, "guest", lowered=True)))
    row("role-make-admin", lambda c, who: c.log.make(who, "role", c.log.role_body(c.cy, "admin", lowered=False)))
    row("role-lower-admin", lambda c, who: c.log.make(who, "role", c.log.role_body(c.ben, "member", lowered=True)))
    row("role-make-owner", lambda c, who: c.log.make(who, "role", c.log.role_body(c.ben, "owner", lowered=False)))
    row("device-add", device_add)
    row("device-renew", lambda c, who: c.log.make(who, "device", {"act": "renew", **_renew(who.name)}))
    row("device-revoke", revoke, second_devices)
    row(
        "device-revoke-of-another",
        lambda c, who: c.log.make(
            who, "device", {"act": "revoke", "dv": c.ada.devs[1].dv, "tails": c.log.tails([c.ada.devs[1]])}
        ),
        second_devices,
    )
    row("identity", identity)
    row("mark", lambda c, who: c.log.make(who, "mark", {}))
    row("epoch", lambda c, who: c.log.make(who, "epoch", c.log.epoch_body(), ep=2))
    row("mode", lambda c, who: c.log.make(who, "mode", {"mode": "open"}))
    row(
        "delivery",
        lambda c, who: c.log.make(who, "delivery", {"delivery": "live"}),
        lambda c: c.log.do(c.ada, "custody", {"custody": "device"}),
    )
    row("custody", lambda c, who: c.log.make(who, "custody", {"custody": "device"}))
    row("policy-tighten", lambda c, who: c.log.make(who, "policy", tighter(c)))
    row("policy-history", lambda c, who: c.log.make(who, "policy", _policy(c.log, history="none")))
    row("policy-longer", lambda c, who: c.log.make(who, "policy", _policy(c.log, T=8 * 86400)))
    row("policy-guests", lambda c, who: c.log.make(who, "policy", _policy(c.log, guests="read")))
    row("policy-kem-raise", lambda c, who: c.log.make(who, "policy", _policy(c.log, kem_min="p384")), kem_min="rsa4096")
    row("policy-kem-lower", lambda c, who: c.log.make(who, "policy", _policy(c.log, kem_min="rsa4096")))
    row("meta", lambda c, who: c.log.make(who, "meta", SEALED), mark_and_rotate)
    row("checkpoint", lambda c, who: c.log.make(who, "checkpoint", c.log.checkpoint_body()))
    return cases


SEALED: dict[str, Any] = {
    "n16": b64e(rng("n16", 16)),
    "n": b64e(rng("n", 12)),
    "cm": b64e(rng("cm", 32)),
    "mh": b64e(rng("mh", 32)),
    "ct": b64e(rng("ct", 48)),
}
CLEAR = {"title": "Boats", "topic": "", "icon": ""}


def GENESIS(who: Person, **over: Any) -> dict[str, Any]:
    return {
        "v": 1,
        "nonce": b64e(rng("nonce", 32)),
        "name": who.name,
        "ik": who.ik,
        "cert": who.dev.cert,
        "kind": "sphere",
        "mode": "e2ee",
        "delivery": "pairwise",
        "custody": "synced",
        "policy": Policy(kem_min="p384").as_body(),
        **over,
    }


def _renew(label: str, kem: str = "p384") -> dict[str, str]:
    return {"kem": kem, "de": b64e(de_public(kem, rng(label + "/renewed", 32)))}


def _policy(log: Log, **over: Any) -> dict[str, Any]:
    return {"policy": {**log.state.policy.as_body(), **over}}


Y, N = "yes", ""
PERMITTED: dict[str, list[str]] = {
    "create": [N, N, N, N],
    "invite": [Y, Y, N, N],
    "invite-any": [Y, Y, Y, N],
    "invite-admin": [Y, Y, N, N],
    "revoke-invite": [Y, Y, Y, N],
    "revoke-invite-of-another": [Y, Y, N, N],
    "add": [Y, Y, N, N],
    "add-any": [Y, Y, Y, N],
    "add-admin": [Y, N, N, N],
    "remove-guest": [Y, Y, N, N],
    "remove-admin": [Y, N, N, N],
    "remove-owner": [N, N, N, N],
    "leave": [N, Y, Y, Y],
    "role-raise-guest": [Y, Y, N, N],
    "role-lower-member": [Y, Y, N, N],
    "role-make-admin": [Y, N, N, N],
    "role-lower-admin": [Y, N, N, N],
    "role-make-owner": [Y, N, N, N],
    "device-add": [Y, Y, Y, Y],
    "device-renew": [Y, Y, Y, Y],
    "device-revoke": [Y, Y, Y, Y],
    "device-revoke-of-another": [Y, N, N, N],
    "identity": [Y, Y, Y, Y],
    "mark": [Y, Y, Y, N],
    "epoch": [Y, Y, Y, N],
    "mode": [Y, N, N, N],
    "delivery": [Y, N, N, N],
    "custody": [Y, N, N, N],
    "policy-tighten": [Y, Y, N, N],
    "policy-history": [Y, N, N, N],
    "policy-longer": [Y, N, N, N],
    "policy-guests": [Y, N, N, N],
    "policy-kem-raise": [Y, Y, N, N],
    "policy-kem-lower": [Y, N, N, N],
    "meta": [Y, Y, N, N],
    "checkpoint": [Y, Y, N, N],
}


def forms() -> list[Case]:
    """Entry 0, headers, positions, signers, order of checks."""
    ada, bo = Person("ada"), Person("bo")
    log = Log(ada)
    other = Log(bo)

    def first(
        name: str,
        rule: str,
        code: str,
        /,
        who: Person = ada,
        signer: Any = None,
        kid: str = "",
        iat: int = NOW,
        **over: Any,
    ) -> Case:
        body = {k: v for k, v in GENESIS(who, **over).items() if v is not None}
        compact = entry.make(signer or who.dev.signer, kid or who.dev.dv, "create", body, iat)
        return bad(f"log-{name}", rule, "log-apply", {"entries": [], "next": compact}, code)

    def genesis(name: str, who: Person = ada, /, **over: Any) -> Case:
        compact = entry.make(who.dev.signer, who.dev.dv, "create", GENESIS(who, **over), NOW)
        state = machine.genesis(entry.decode(compact))
        value = {
            "sh": state_hash(state).hex(),
            "ep": 0,
            "hard": state.hard,
            "due": state.due,
            "mode": state.mode,
            "members": {who.handle: "owner"},
            "devices": [who.dev.dv],
        }
        return good(f"log-{name}", "LOG-003", "log-apply", {"entries": [], "next": compact}, value)

    raw_header = {"kid": ada.dev.dv, "seq": 0, "sph": log.state.sph}
    half = {"kid": ada.dev.dv, "seq": 1, "sph": log.state.sph, "prev": b64e(log.state.digest)}
    payload = {"op": "mark", "body": {}, "iat": NOW}
    expired = Person("ada")
    expired.devs = []
    late = expired.device(exp=NOW - 1)
    xwing = Person("xena", kem="xwing")
    rsa = Person("rosa", kem="rsa4096")
    mark = log.make(ada, "mark", {})
    tampered = mark[:-4] + ("AAAA" if not mark.endswith("AAAA") else "BBBB")
    unsigned = f"{mark.rpartition('.')[0]}."
    bad_payload = jws.sign(
        "sph-log+1",
        {"kid": ada.dev.dv, "sph": log.state.sph, "seq": 2, "prev": b64e(log.state.digest), "ep": 1},
        json_emit({"op": "mark", "body": {}}),
        ada.dev.signer,
    )
    bad_and_forged = jws.sign(
        "sph-log+1",
        {"kid": ada.dev.dv, "sph": log.state.sph, "seq": 2, "prev": b64e(log.state.digest), "ep": 1},
        json_emit({"op": "mark", "body": {}}),
        bo.dev.signer,
    )
    return [
        genesis("genesis-e2ee"),
        genesis("genesis-open", mode="open"),
        genesis("genesis-public", mode="public"),
        genesis("genesis-live", delivery="live", custody="device"),
        genesis("genesis-org", kind="org"),
        genesis("genesis-in-org", org=other.state.sph),
        genesis("genesis-xwing", xwing, policy=Policy().as_body()),
        genesis("genesis-rsa", rsa, policy=Policy(kem_min="rsa4096").as_body()),
        genesis("genesis-renewed", renew=_renew("ada")),
        first("genesis-live-synced", "ROLE-014", WRONG, delivery="live"),
        first("genesis-org-in-org", "ROLE-005", WRONG, kind="org", org=other.state.sph),
        first("genesis-weak-kem", "ROLE-007", WRONG, policy=Policy().as_body()),
        first("genesis-other-ik", "CERT-002", UNKNOWN, ik=bo.ik),
        first("genesis-other-kid", "LOG-003", UNKNOWN, kid=bo.dev.dv),
        first("genesis-other-signer", "LOG-003", SIG, signer=bo.dev.signer),
        first("genesis-expired-cert", "CERT-004 LOG-003", WRONG, cert=late.cert, kid=late.dv, signer=late.signer),
        first("genesis-version", "LOG-010", "E_VERSION", v=2),
        first("genesis-version-other-form", "LOG-010", "E_VERSION", v=2, words="x", signer=bo.dev.signer),
        first("genesis-no-nonce", "ROLE-002", FORMAT, nonce=None),
        first("genesis-foreign-member", "ROLE-002", FORMAT, title="x"),
        first("genesis-mode", "ROLE-002", FORMAT, mode="secret"),
        first("genesis-policy", "ROLE-017", FORMAT, policy={**Policy().as_body(), "visibility": "public"}),
        first("genesis-history", "ROLE-017", FORMAT, policy={**Policy().as_body(), "history": "days:0"}),
        first("genesis-name", "ROLE-002", FORMAT, name="Ada"),
        first("genesis-renew-small", "CERT-007", FORMAT, renew={"kem": "p384", "de": b64e(b"\x04" + bytes(96))}),
        bad(
            "log-genesis-with-sph",
            "LOG-002",
            "log-apply",
            {
                "entries": [],
                "next": jws.sign(
                    "sph-log+1", raw_header, {"op": "create", "body": GENESIS(ada), "iat": NOW}, ada.dev.signer
                ),
            },
            FORMAT,
        ),
        bad(
            "log-genesis-not-create",
            "LOG-003",
            "log-apply",
            {"entries": [], "next": entry.make(ada.dev.signer, ada.dev.dv, "mark", {}, NOW)},
            WRONG,
        ),
        bad("log-begins-late", "LOG-003", "log-apply", {"entries": [], "next": mark}, WRONG),
        no("without-ep", "LOG-002", log, jws.sign("sph-log+1", half, payload, ada.dev.signer), FORMAT),
        no("genesis-twice", "LOG-004", log, log.entries[0]),
        no("other-sphere", "LOG-004", log, log.make(ada, "mark", {}, sph=other.state.sph)),
        no("seq-repeated", "LOG-004", log, log.make(ada, "mark", {}, seq=log.state.seq)),
        no("seq-skipped", "LOG-004", log, log.make(ada, "mark", {}, seq=log.state.seq + 2)),
        no("prev-wrong", "LOG-004", log, log.make(ada, "mark", {}, prev=log.states[0].digest)),
        no("ep-ahead", "LOG-005", log, log.make(ada, "mark", {}, ep=2)),
        no("ep-behind", "LOG-005", log, log.make(ada, "epoch", log.epoch_body())),
        yes("mark", "LOG-001 LOG-007 LOG-012", log, mark),
        no("signature-altered", "LOG-007", log, tampered, SIG),
        no("signature-absent", "LOG-007", log, unsigned, SIG),
        no("signature-of-another", "LOG-007", log, log.make(ada, "mark", {}, signer=bo.dev.signer), SIG),
        no("stranger", "LOG-007", log, log.make(bo, "mark", {}), UNKNOWN),
        no("stranger-before-signature", "LOG-006", log, log.make(bo, "mark", {}, signer=ada.dev.signer), UNKNOWN),
        no("position-before-stranger", "LOG-006", log, log.make(bo, "mark", {}, prev=bytes(32))),
        no("payload-form", "LOG-001", log, bad_payload, FORMAT),
        no("signature-before-payload", "LOG-006", log, bad_and_forged, SIG),
        no("time-backwards", "LOG-009", log, log.make(ada, "mark", {}, iat=NOW - 1)),
        yes("time-same", "LOG-009", log, log.make(ada, "mark", {}, iat=NOW)),
        yes("time-far-ahead", "LOG-009 LOG-011", log, log.make(ada, "mark", {}, iat=NOW + 10 * YEAR)),
        no("op-unknown", "LOG-010", log, log.make(ada, "dance", {}), "E_VERSION"),
        no("op-complaint", "LOG-010", log, log.make(ada, "complaint", {"n": 1}), "E_VERSION"),
        no("op-device-act-unknown", "LOG-010", log, log.make(ada, "device", {"act": "paint"}), "E_VERSION"),
        no(
            "op-row-name",
            "LOG-010",
            log,
            log.make(ada, "device add", {"act": "add", "cert": ada.dev.cert}),
            "E_VERSION",
        ),
        no("op-device-no-act", "ROLE-002", log, log.make(ada, "device", {}), FORMAT),
        no("op-unknown-forged", "LOG-006", log, log.make(ada, "dance", {}, signer=bo.dev.signer), SIG),
        no("body-foreign-member", "ROLE-002", log, log.make(ada, "mark", {"why": "x"}), FORMAT),
        no("body-member-missing", "ROLE-002", log, log.make(ada, "mode", {}), FORMAT),
        no("create-later", "LOG-008", log, log.make(ada, "create", GENESIS(ada))),
        bad(
            "log-op-unknown-in-middle",
            "LOG-010",
            "log-apply",
            {"entries": [*log.entries, log.make(ada, "dance", {})], "next": mark},
            "E_VERSION",
        ),
        no(
            "head-" + "wrong-typ",
            "LOG-001",
            log,
            jws.sign(
                "sph-dauth+1",
                {"kid": ada.dev.dv},
                {"aud": "x", "dv": ada.dev.dv, "nonce": b64e(bytes(32)), "iat": 0, "exp": 0},
                ada.dev.signer,
            ),
            FORMAT,
        ),
    ]


def epochs() -> list[Case]:
    """Due epochs, marks, recipients, mode switches."""
    ada, bo = Person("ada"), Person("bo")
    cases: list[Case] = []
    bare = Log(ada, epoch=False)
    cases += [
        yes("epoch-first", "LOG-013 LOG-015", bare, bare.make(ada, "epoch", bare.epoch_body(), ep=1)),
        no("epoch-first-missing", "LOG-013", bare, bare.make(ada, "mark", {})),
        no("epoch-first-after-mode", "LOG-013", bare, bare.make(ada, "mode", {"mode": "open"})),
        no("epoch-first-is-two", "LOG-015", bare, bare.make(ada, "epoch", bare.epoch_body(n=2), ep=2)),
    ]
    log = Log(ada, policy={"join": "any"})
    log.add(ada, bo)
    rh_wrong = b64e(recipients_hash(log.states[0].active_devices()))
    cases += [
        good(
            "log-recipients", "LOG-016", "log-recipients", given(log), recipients_hash(log.state.active_devices()).hex()
        ),
        no("epoch-skipped", "LOG-015", log, log.make(ada, "epoch", log.epoch_body(n=3), ep=3)),
        no("epoch-repeated", "LOG-015", log, log.make(ada, "epoch", log.epoch_body(n=1), ep=1)),
        no("epoch-recipients", "LOG-016 LOG-015", log, log.make(ada, "epoch", log.epoch_body(rh=rh_wrong), ep=2)),
        no("epoch-kem-min", "LOG-015", log, log.make(ada, "epoch", log.epoch_body(kem_min="rsa4096"), ep=2)),
        no("epoch-m-without-org", "LOG-015", log, log.make(ada, "epoch", log.epoch_body(m=1), ep=2)),
        yes("epoch-by-member", "LOG-015", log, log.make(bo, "epoch", log.epoch_body(), ep=2)),
    ]
    org = Log(ada, org=Log(bo).state.sph)
    cases += [
        yes("epoch-org", "LOG-015 ROLE-005", org, org.make(ada, "epoch", org.epoch_body(m=7), ep=2)),
        no(
            "epoch-org-without-m",
            "LOG-015",
            org,
            org.make(ada, "epoch", {k: v for k, v in org.epoch_body().items() if k != "m"}, ep=2),
        ),
    ]
    gone = Log(ada, policy={"join": "any"})
    gone.add(ada, bo)
    gone.do(ada, "remove", {"id": bo.handle, "tails": gone.tails_of(bo)})
    cases += [
        yes("due-epoch", "LOG-013", gone, gone.make(ada, "epoch", gone.epoch_body(), ep=2)),
        no("due-mark", "LOG-013", gone, gone.make(ada, "mark", {})),
        no("due-meta", "LOG-013", gone, gone.make(ada, "meta", SEALED)),
        no("due-leave", "LOG-013", gone, gone.make(ada, "leave", {"tails": gone.tails_of(ada)})),
        yes("due-more-membership", "LOG-013", gone, gone.make(ada, "invite", gone.invite_body())),
        yes("due-lifted-by-open", "LOG-013", gone, gone.make(ada, "mode", {"mode": "open"})),
        no("removed-speaks", "LOG-007", gone, gone.make(bo, "mark", {}), STRANGER),
    ]
    three = Log(ada, policy={"join": "any"})
    cy = Person("cy")
    three.add(ada, bo, "admin")
    three.add(ada, cy)
    three.do(ada, "remove", {"id": cy.handle, "tails": three.tails_of(cy)})
    cases.append(no("due-other-author", "LOG-013", three, three.make(bo, "epoch", three.epoch_body(), ep=2)))
    marked = Log(ada)
    marked.do(ada, "mark")
    cases += [
        no("mark-twice", "ROLE-016", marked, marked.make(ada, "mark", {})),
        no("meta-while-marked", "ROLE-018", marked, marked.make(ada, "meta", SEALED)),
        yes("epoch-lifts-mark", "LOG-012", marked, marked.make(ada, "epoch", marked.epoch_body(), ep=2)),
    ]
    opened = Log(ada, mode="open")
    cases += [
        no("mark-in-open", "ROLE-016", opened, opened.make(ada, "mark", {})),
        no("epoch-in-open", "LOG-015", opened, opened.make(ada, "epoch", opened.epoch_body(), ep=1)),
        no("mode-same", "ROLE-014", opened, opened.make(ada, "mode", {"mode": "open"})),
        yes("mode-public", "ROLE-014", opened, opened.make(ada, "mode", {"mode": "public"})),
        yes("mode-to-e2ee", "LOG-012 LOG-013 ROLE-014", opened, opened.make(ada, "mode", {"mode": "e2ee"})),
        yes("remove-in-open-adds-" + "nothing-due", "ROLE-014", opened, opened.make(ada, "add", opened.add_body(bo))),
        yes("meta-clear", "ROLE-018", opened, opened.make(ada, "meta", CLEAR)),
        no("meta-sealed-in-open", "ROLE-018", opened, opened.make(ada, "meta", SEALED)),
    ]
    back = Log(ada, mode="open")
    back.do(ada, "mode", {"mode": "e2ee"})
    cases += [
        no("mode-to-e2ee-without-epoch", "LOG-013", back, back.make(ada, "meta", SEALED)),
        yes("mode-to-e2ee-epoch", "LOG-013", back, back.make(ada, "epoch", back.epoch_body(), ep=1)),
    ]
    for history in ("since-join", "none", "days:30"):
        strict = Log(ada, policy={"history": history})
        strict.do(ada, "add", strict.add_body(bo))
        cases += [
            yes(
                f"add-{history.replace(':', '-')}-epoch",
                "LOG-013",
                strict,
                strict.make(ada, "epoch", strict.epoch_body(), ep=2),
            ),
            no(f"add-{history.replace(':', '-')}-without-epoch", "LOG-013", strict, strict.make(ada, "meta", SEALED)),
        ]
    cases += _meta_cases()
    plain = Log(ada)
    point = plain.checkpoint_body()
    cases += [
        yes("checkpoint", "LOG-018 LOG-019", plain, plain.make(ada, "checkpoint", point)),
        yes(
            "checkpoint-heads",
            "LOG-019",
            plain,
            plain.make(ada, "checkpoint", {**point, "heads": plain.tails([ada.dev], 5)}),
        ),
        no(
            "checkpoint-stranger",
            "LOG-019",
            plain,
            plain.make(ada, "checkpoint", {**point, "heads": plain.tails([bo.dev])}),
        ),
        no(
            "checkpoint-repeated-head",
            "LOG-019",
            plain,
            plain.make(ada, "checkpoint", {**point, "heads": plain.tails([ada.dev, ada.dev])}),
        ),
        no(
            "checkpoint-hash", "LOG-018 LOG-019", plain, plain.make(ada, "checkpoint", {**point, "sh": b64e(bytes(32))})
        ),
        no(
            "checkpoint-old",
            "LOG-019",
            plain,
            plain.make(ada, "checkpoint", {"seq": 0, "sh": b64e(state_hash(plain.states[0]))}),
        ),
    ]
    live = Log(ada, delivery="live", custody="device")
    cases += [
        no("live-then-synced", "ROLE-014", live, live.make(ada, "custody", {"custody": "synced"})),
        yes("live-to-pairwise", "ROLE-014", live, live.make(ada, "delivery", {"delivery": "pairwise"})),
        no("delivery-same", "ROLE-014", live, live.make(ada, "delivery", {"delivery": "live"})),
        no("live-while-synced", "ROLE-014", plain, plain.make(ada, "delivery", {"delivery": "live"})),
        no("custody-same", "ROLE-014", plain, plain.make(ada, "custody", {"custody": "synced"})),
        no("policy-same", "ROLE-017", plain, plain.make(ada, "policy", _policy(plain))),
        no(
            "policy-kem-above-devices",
            "ROLE-017 ROLE-007",
            plain,
            plain.make(ada, "policy", _policy(plain, kem_min="xwing")),
        ),
        no("policy-incomplete", "ROLE-017", plain, plain.make(ada, "policy", {"policy": {"join": "any"}}), FORMAT),
        no("delivery-unknown", "ROLE-002", plain, plain.make(ada, "delivery", {"delivery": "mls"}), FORMAT),
    ]
    return cases


def _meta_cases() -> list[Case]:
    ada, bo = Person("ada"), Person("bo")
    log = Log(ada, policy={"join": "any"})
    log.add(ada, bo)
    log.do(ada, "meta", SEALED)
    log.epoch(bo)
    fresh = {**SEALED, "n16": b64e(rng("n16-b", 16)), "ct": b64e(rng("ct-b", 48))}
    later = Log(ada, policy={"join": "any"})
    later.add(ada, bo)
    later.do(ada, "meta", SEALED)
    later.epoch(ada)
    return [
        yes("meta-rewrap", "ROLE-018", log, log.make(bo, "meta", fresh)),
        no(
            "meta-rewrap-other-text",
            "ROLE-003 ROLE-018",
            log,
            log.make(bo, "meta", {**fresh, "mh": b64e(rng("lie", 32))}),
        ),
        no("meta-rewrap-other-epoch", "ROLE-003 ROLE-018", later, later.make(bo, "meta", fresh)),
        no("meta-clear-in-e2ee", "ROLE-018", log, log.make(ada, "meta", CLEAR)),
        no("meta-half", "ROLE-018", log, log.make(ada, "meta", {"mh": SEALED["mh"], "ct": SEALED["ct"]})),
    ]


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
        yes("device-add-renewed", "CERT-007", log, log.make(dev, "device", {**add, "renew": _renew("ada")})),
        yes("device-renew", "ROLE-015", log, log.make(ada, "device", {"act": "renew", **_renew("ada")})),
        no(
            "device-renew-same",
            "ROLE-015",
            log,
            log.make(ada, "device", {"act": "renew", "kem": "p384", "de": b64e(de_public("p384", ada.dev.de_seed))}),
        ),
        no("device-renew-weak", "ROLE-007", log, log.make(ada, "device", {"act": "renew", **_renew("ada", "rsa4096")})),
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


def past() -> list[Case]:
    """What was true at earlier positions, forks, letters."""
    ada, bo, cy = Person("ada"), Person("bo"), Person("cy")
    log = Log(ada, policy={"join": "any", "history": "all"})
    log.do(ada, "invite", log.invite_body(uses=9))  # 2
    log.add(ada, bo, label="link")  # 3
    log.do(bo, "mark")  # 4
    log.epoch(bo)  # 5
    log.do(ada, "role", log.role_body(bo, "guest", lowered=True))  # 6
    log.do(ada, "remove", {"id": bo.handle, "tails": log.tails([bo.dev], 7)})  # 7
    log.epoch(ada)  # 8
    log.add(ada, bo)  # 9
    log.do(ada, "policy", _policy(log, guests="read"))  # 10
    log.do(ada, "mode", {"mode": "open"})  # 11
    dv = bo.dev.dv
    asked: list[tuple[list[Any], Any]] = [
        (["digest", 4], log.states[4].digest.hex()),
        (["epoch_at", 0], 0),
        (["epoch_at", 1], 1),
        (["epoch_at", 4], 1),
        (["epoch_at", 5], 2),
        (["epoch_at", 11], 3),
        (["hard_between", 1, 3], False),
        (["hard_between", 1, 4], True),
        (["hard_between", 4, 6], False),
        (["hard_between", 5, 8], True),
        (["hard_between", 8, 11], False),
        (["active", dv, 2], False),
        (["active", dv, 3], True),
        (["active", dv, 6], True),
        (["active", dv, 7], False),
        (["active", dv, 8], False),
        (["active", dv, 9], True),
        (["active", cy.dev.dv, 9], False),
        (["active_since", dv], 9),
        (["owner_of", dv], bo.handle),
        (["role_at", bo.handle, 2], "none"),
        (["role_at", bo.handle, 5], "member"),
        (["role_at", bo.handle, 6], "guest"),
        (["role_at", bo.handle, 7], "none"),
        (["role_at", bo.handle, 9], "member"),
        (["role_at", cy.handle, 9], "none"),
        (["mode_at", 10], "e2ee"),
        (["mode_at", 11], "open"),
        (["policy_at", 9], Policy(join="any", kem_min="p384").as_body()),
        (["policy_at", 10], Policy(join="any", kem_min="p384", guests="read").as_body()),
        (["tails", dv], [[0, "", 6, False], [7, rng(dv, 32).hex(), 7, True]]),
        (["tail", dv], None),
    ]
    cases = [
        good(
            "log-past",
            "LOG-020 LOG-021 LOG-022 LOG-023",
            "log-past",
            given(log, ask=[ask for ask, _ in asked]),
            [value for _, value in asked],
        ),
        bad("log-past-beyond", "LOG-020", "log-past", given(log, ask=[["digest", 12]]), "C_GAP"),
        bad("log-past-device", "LOG-021", "log-past", given(log, ask=[["key_of", cy.dev.dv]]), UNKNOWN),
        bad("log-past-epoch", "LOG-022", "log-past", given(log, ask=[["epoch", 4]]), UNKNOWN),
    ]
    base = Log(ada)
    rival = base.make(ada, "invite", base.invite_body("other"))
    base.do(ada, "invite", base.invite_body())
    agree = base.make(ada, "mark", {})
    stranger = base.make(bo, "mark", {}, seq=2, prev=base.states[1].digest)
    cases += [
        bad("log-fork", "LOG-024", "log-fork", given(base, common=1, rival=[rival]), "C_LOG_FORK"),
        good("log-fork-agrees", "LOG-024", "log-fork", given(base, common=1, rival=[base.entries[2]]), 2),
        good("log-fork-longer", "LOG-024", "log-fork", given(base, common=1, rival=[base.entries[2], agree]), 3),
        bad("log-fork-not-valid", "LOG-024", "log-fork", given(base, common=1, rival=[stranger]), UNKNOWN),
    ]
    return cases + _letters()


def _letters() -> list[Case]:
    ada, bo, cy = Person("ada"), Person("bo"), Person("cy")
    log = Log(ada)
    log.add(ada, bo)
    fixed = {"sph": log.state.sph, "iat": NOW, "jti": b64e(rng("letter", 16))}
    share = {
        "k": "share",
        **fixed,
        "n": 1,
        "idR": bo.handle,
        "dvR": bo.dev.dv,
        "kem": "p384",
        "ct": b64e(rng("ct", 145)),
    }

    def letter(payload: dict[str, Any], dev: Dev = ada.dev, kid: str = "") -> str:
        return jws.sign("sph-p2p+1", {"kid": kid or dev.dv}, json_emit(payload), dev.signer)

    def sent(compact: str, **more: Any) -> Case:
        return given(log, letter=compact, **more)

    ask = {"k": "ask", **fixed, "ns": [1]}
    read = {"kid": ada.dev.dv, "jti": rng("letter", 16).hex()}
    return [
        good(
            "letter-share",
            "LOG-025 LOG-026 LOG-027",
            "letter",
            sent(letter(share)),
            {"k": "share", "to": bo.dev.dv, **read},
        ),
        good("letter-ask", "LOG-025", "letter", sent(letter(ask), to=bo.dev.dv), {"k": "ask", "to": None, **read}),
        good(
            "letter-later-kind",
            "LOG-025",
            "letter",
            sent(letter({"k": "wave", **fixed, "hand": 1}), to=bo.dev.dv),
            {"k": "wave", "to": None, **read},
        ),
        bad("letter-foreign-member", "LOG-025", "letter", sent(letter({**ask, "why": "x"}), to=bo.dev.dv), FORMAT),
        bad("letter-forged", "LOG-026", "letter", sent(letter(share, bo.dev, ada.dev.dv)), SIG),
        bad("letter-from-stranger", "LOG-027", "letter", sent(letter(share, cy.dev)), STRANGER),
        bad("letter-to-stranger", "LOG-027", "letter", sent(letter({**share, "dvR": cy.dev.dv})), STRANGER),
    ]


def cases() -> list[Case]:
    return table() + forms() + epochs() + people() + devices() + past()
