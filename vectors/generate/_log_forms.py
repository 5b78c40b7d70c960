"""Entry 0, headers, positions, signers and the order of checks."""

from __future__ import annotations

from typing import Any

from cloister.protocol import entry, jws, machine
from cloister.protocol.encoding import b64e, json_emit
from cloister.protocol.state import Policy, state_hash
from vectors.generate import Case, bad, good
from vectors.generate._log_base import FORMAT, SIG, UNKNOWN, WRONG, create_body, no, renewal, yes
from vectors.generate._world import NOW, YEAR, Log, Person


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
        body = {k: v for k, v in create_body(who, **over).items() if v is not None}
        compact = entry.make(signer or who.dev.signer, kid or who.dev.dv, "create", body, iat)
        return bad(f"log-{name}", rule, "log-apply", {"entries": [], "next": compact}, code)

    def genesis(name: str, who: Person = ada, /, **over: Any) -> Case:
        compact = entry.make(who.dev.signer, who.dev.dv, "create", create_body(who, **over), NOW)
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
        genesis("genesis-renewed", renew=renewal("ada")),
        first("genesis-live-synced", "ROLE-014", WRONG, delivery="live"),
        first("genesis-org-in-org", "ROLE-005", WRONG, kind="org", org=other.state.sph),
        first("genesis-org-open", "ROLE-005", WRONG, kind="org", mode="open"),
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
                    "sph-log+1", raw_header, {"op": "create", "body": create_body(ada), "iat": NOW}, ada.dev.signer
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
        no("create-later", "LOG-008", log, log.make(ada, "create", create_body(ada))),
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
