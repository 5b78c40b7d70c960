"""Epochs, modes and titles in a log."""

from __future__ import annotations

from cloister.protocol.encoding import b64e
from cloister.protocol.state import recipients_hash, state_hash
from vectors.generate import Case, good
from vectors.generate._log_base import CLEAR, FORMAT, SEALED, STRANGER, given, no, policy_body, yes
from vectors.generate._world import Log, Person, rng


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
    opened, firm = Log(ada, mode="open"), Log(ada, kind="org")
    cases += [
        no("mark-in-open", "ROLE-016", opened, opened.make(ada, "mark", {})),
        no("epoch-in-open", "LOG-015", opened, opened.make(ada, "epoch", opened.epoch_body(), ep=1)),
        no("mode-of-an-organisation", "ROLE-014", firm, firm.make(ada, "mode", {"mode": "open"})),
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
        no("policy-same", "ROLE-017", plain, plain.make(ada, "policy", policy_body(plain))),
        no(
            "policy-kem-above-devices",
            "ROLE-017 ROLE-007",
            plain,
            plain.make(ada, "policy", policy_body(plain, kem_min="xwing")),
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
