"""Commits: what belongs together, in which order, for whom; what the relay answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cloister.protocol.chain import ChainHead
from cloister.protocol.commit import Commit, apply_commit
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.state import SphereState, state_hash
from vectors.generate import Case, bad, good
from vectors.generate._log_base import CLEAR, SEALED
from vectors.generate._world import Log, Person, message, rng

ORIGIN = (
    "made by vectors/generate/commit.py with seeded keys; refusals are stated there by hand; shares are placeholders"
)

FORMAT, WRONG, HEAD, WRAPS, EPOCH = "C_FORMAT", "C_LOG_INVALID", "E_STALE_HEAD", "E_INCOMPLETE_WRAPS", "E_STALE_EPOCH"


class Draft:
    """Entries made on a copy of a log, then one commit with everything after the point where it began."""

    def __init__(self, log: Log | None, who: Person) -> None:
        self.log, self.who = log, who
        self.start = len(log.entries) if log else 0
        self.before = list(log.entries) if log else []
        self.attach_before = dict(log.attach) if log else {}
        self.base: SphereState | None = log.state if log else None

    def commit(self, *, wraps: list[str] | None = None, **over: Any) -> Commit:
        log = self.log
        assert log is not None
        attach = {d: c for d, c in log.attach.items() if d not in self.attach_before}
        built = log.commit(log.entries[self.start :], wraps, state=self.base or log.state)
        return replace(
            built, **{"attach": attach, "base": (self.base.seq, self.base.digest) if self.base else None, **over}
        )


def given(draft: Draft, commit: Commit, **more: Any) -> Case:
    attach = {b64e(d): c for d, c in draft.attach_before.items()}
    return {"entries": draft.before, **({"attach": attach} if attach else {}), "commit": commit.as_json(), **more}


def ok(name: str, rule: str, draft: Draft, commit: Commit, heads: list[list[Any]] | None = None) -> Case:
    chains = None
    if heads is not None:
        chains = {row[0]: ChainHead(row[1], b64d(row[2])) for row in heads}
    state = apply_commit(draft.base, commit, chains)
    value = {
        "sh": state_hash(state).hex(),
        "ep": state.ep,
        "hard": state.hard,
        "due": state.due,
        "mode": state.mode,
        "members": {m.id: m.role for m in state.members.values()},
        "devices": sorted(d.dv for d in state.devices.values() if d.active),
    }
    more = {"heads": heads} if heads is not None else {}
    return good(f"commit-{name}", rule, "commit-apply", given(draft, commit, **more), value)


def no(
    name: str, rule: str, draft: Draft, commit: Commit, code: str = WRONG, *, op: str = "commit-apply", **more: Any
) -> Case:
    return bad(f"commit-{name}", rule, op, given(draft, commit, **more), code)


def crew(**policy: Any) -> tuple[Log, Person, Person, Person]:
    ada, bo, cy = Person("ada"), Person("bo"), Person("cy")
    log = Log(ada, policy={"join": "any", **policy})
    log.add(ada, bo)
    log.add(ada, cy)
    return log, ada, bo, cy


def creating() -> list[Case]:
    ada = Person("ada")
    fresh = Log(ada)
    draft = Draft(None, ada)
    draft.log = fresh
    two = draft.commit()
    fresh.do(ada, "meta", SEALED)
    whole = draft.commit()
    text = message(ada.dev, fresh.state)
    opened = Draft(None, ada)
    opened.log = Log(ada, mode="open")
    opened.log.do(ada, "meta", CLEAR)
    in_open = opened.commit()
    return [
        ok("create", "COM-001 COM-003", draft, two),
        ok("create-meta", "COM-005", draft, whole),
        ok("create-spoken", "COM-011", draft, replace(whole, msg=text)),
        ok("create-open", "COM-003", opened, in_open),
        no("create-without-epoch", "COM-006", draft, replace(two, entries=two.entries[:1])),
        no("create-with-base", "COM-003", draft, replace(two, base=(0, bytes(32))), HEAD),
        no("create-other-name", "COM-003", draft, replace(two, sph="sp-" + b64e(bytes(32)))),
        no("create-link", "COM-010", draft, replace(two, link=bytes(64))),
    ]


def rotating() -> list[Case]:
    log, ada, bo, cy = crew()
    before = Draft(log, ada)
    log.remove(ada, cy)
    after_epoch = before.commit(wraps=[bo.dev.dv])
    heads = [[ada.dev.dv, 4, b64e(rng("a", 32))]]
    log.do(ada, "meta", SEALED)
    with_meta = before.commit(wraps=[bo.dev.dv])
    text = message(ada.dev, log.state)
    fifth = message(ada.dev, log.state, 5, rng("a", 32))
    cases = [
        ok("remove", "COM-005 COM-007", before, after_epoch),
        ok("remove-meta", "COM-005", before, with_meta),
        ok("remove-for-author-too", "COM-007", before, before.commit(wraps=[bo.dev.dv, ada.dev.dv])),
        ok("remove-link", "COM-010", before, replace(with_meta, link=bytes(76))),
        ok("remove-spoken", "COM-011", before, replace(with_meta, msg=text)),
        ok("remove-spoken-fifth", "COM-011", before, replace(with_meta, msg=fifth), heads=heads),
        no("remove-spoken-again", "COM-011", before, replace(with_meta, msg=text), "E_CONFLICT", heads=heads),
        no(
            "remove-spoken-old-epoch",
            "COM-011",
            before,
            replace(with_meta, msg=message(ada.dev, log.state, ep=1)),
            EPOCH,
        ),
        no("remove-spoken-at-base", "COM-011", before, replace(with_meta, msg=message(ada.dev, log.states[-4])), HEAD),
        no("remove-spoken-by-another", "COM-011", before, replace(with_meta, msg=message(bo.dev, log.state))),
        no("remove-wrap-missing", "COM-007", before, replace(with_meta, wraps=()), WRAPS),
        no("remove-wrap-twice", "COM-007", before, before.commit(wraps=[bo.dev.dv, bo.dev.dv]), WRAPS),
        no("remove-wrap-for-removed", "COM-007", before, before.commit(wraps=[bo.dev.dv, cy.dev.dv]), WRAPS),
        no("remove-without-epoch", "COM-006", before, replace(with_meta, entries=with_meta.entries[:1], wraps=())),
        no("remove-base-old", "COM-003", before, replace(with_meta, base=(0, log.states[0].digest)), HEAD),
        no("remove-base-fork", "COM-003", before, replace(with_meta, base=(log.state.seq - 3, bytes(32))), HEAD),
        no("remove-base-absent", "COM-003", before, replace(with_meta, base=None), HEAD),
        no("remove-other-sphere", "COM-003", before, replace(with_meta, sph="sp-" + b64e(bytes(32)))),
        no("no-entries", "COM-001", before, replace(with_meta, entries=()), FORMAT),
        no("too-many-entries", "COM-001", before, replace(with_meta, entries=with_meta.entries * 22), FORMAT),
        no("attachment-unused", "COM-008", before, replace(with_meta, attach={bytes(32): "a.b.c"})),
        no(
            "half-broken", "COM-004", before, replace(with_meta, entries=(*with_meta.entries[:2], with_meta.entries[1]))
        ),
        no(
            "relay-half-broken",
            "COM-012",
            before,
            replace(with_meta, entries=(*with_meta.entries[:2], "x")),
            "E_BAD_FORMAT",
            op="commit-at-relay",
        ),
        no("relay-form", "COM-012", before, replace(with_meta, entries=()), "E_BAD_FORMAT", op="commit-at-relay"),
    ]
    log, ada, bo, cy = crew()
    draft = Draft(log, ada)
    log.remove(ada, cy)
    log.epoch(ada)
    cases.append(no("two-epochs", "COM-005", draft, draft.commit(wraps=[bo.dev.dv])))
    log, ada, bo, cy = crew()
    draft = Draft(log, ada)
    log.epoch(ada)
    log.do(ada, "invite", log.invite_body())
    cases.append(no("invite-after-epoch", "COM-005", draft, draft.commit(wraps=[bo.dev.dv, cy.dev.dv])))
    log, ada, bo, cy = crew()
    draft = Draft(log, ada)
    log.do(ada, "meta", SEALED)
    log.epoch(ada)
    cases.append(no("meta-before-epoch", "COM-005", draft, draft.commit(wraps=[bo.dev.dv, cy.dev.dv])))
    log, ada, bo, cy = crew()
    draft = Draft(log, ada)
    log.do(ada, "mark")
    cases += [
        ok("mark", "COM-007", draft, draft.commit()),
        no("mark-spoken", "COM-011", draft, draft.commit(msg=message(ada.dev, log.state)), EPOCH),
        no("mark-with-wraps", "COM-007", draft, draft.commit(wraps=[bo.dev.dv]), WRAPS),
        no("mark-link", "COM-010", draft, draft.commit(link=bytes(64))),
    ]
    log.do(bo, "epoch", log.epoch_body(), ep=log.state.ep + 1)
    cases.append(no("two-authors", "COM-004", draft, draft.commit(wraps=[ada.dev.dv, cy.dev.dv])))
    log, ada, bo, cy = crew()
    draft = Draft(log, cy)
    log.do(cy, "leave", {"tails": log.tails_of(cy)})
    cases += [
        ok("leave", "COM-007", draft, draft.commit()),
        no("leave-spoken", "COM-011", draft, draft.commit(msg=message(cy.dev, log.state)), EPOCH),
    ]
    return cases


def tails() -> list[Case]:
    log, ada, bo, cy = crew()
    draft = Draft(log, ada)
    end = rng(cy.dev.dv, 32)
    log.do(ada, "remove", {"id": cy.handle, "tails": log.tails([cy.dev], 3)})
    log.epoch(ada)
    commit = draft.commit(wraps=[bo.dev.dv])
    return [
        ok("tails-match", "COM-009", draft, commit, heads=[[cy.dev.dv, 3, b64e(end)]]),
        ok("tails-unknown-to-client", "COM-009", draft, commit),
        no("tails-behind", "COM-009", draft, commit, HEAD, heads=[[cy.dev.dv, 4, b64e(rng("more", 32))]]),
        no("tails-ahead", "COM-009", draft, commit, HEAD, heads=[]),
        no("tails-other-hash", "COM-009", draft, commit, HEAD, heads=[[cy.dev.dv, 3, b64e(bytes(32))]]),
        no("tails-at-relay", "COM-009 COM-012", draft, commit, HEAD, heads=[], op="commit-at-relay"),
    ]


def joining() -> list[Case]:
    cases: list[Case] = []
    log, ada, bo, cy = crew()
    eve = Person("eve")
    eve.device()
    draft = Draft(log, ada)
    log.do(ada, "add", log.add_body(eve))
    names = [dev.dv for dev in eve.devs]
    commit = draft.commit(wraps=names)
    other = next(iter(commit.attach.values()))
    cases += [
        ok("add", "COM-007 COM-008", draft, commit),
        no("add-one-share", "COM-007", draft, draft.commit(wraps=names[:1]), WRAPS),
        no("add-share-for-another", "COM-007", draft, draft.commit(wraps=[*names, bo.dev.dv]), WRAPS),
        no("add-unattached", "COM-008 JOIN-008", draft, replace(commit, attach={})),
        no("add-attached-twice", "COM-008", draft, replace(commit, attach={**commit.attach, bytes(32): other}), FORMAT),
        no("add-attached-as-another", "COM-008 JOIN-008", draft, replace(commit, attach={bytes(32): other})),
        no("relay-add-unattached", "COM-012", draft, replace(commit, attach={}), "E_BAD_FORMAT", op="commit-at-relay"),
    ]
    log.do(ada, "add", log.add_body(Person("fay")))
    log.epoch(ada)
    names += [Person("fay").dev.dv, bo.dev.dv, cy.dev.dv]
    cases.append(ok("add-two-and-rotate", "COM-005 COM-007", draft, draft.commit(wraps=names)))
    log, ada, bo, cy = crew(history="none")
    draft = Draft(log, ada)
    log.do(ada, "add", log.add_body(eve))
    bare = draft.commit(wraps=[dev.dv for dev in eve.devs])
    log.epoch(ada)
    everyone = [*(dev.dv for dev in eve.devs), bo.dev.dv, cy.dev.dv]
    cases += [
        no("add-without-history", "COM-006", draft, bare),
        ok("add-without-history-epoch", "COM-006", draft, draft.commit(wraps=everyone)),
    ]
    guest = Person("gus")
    log, ada, bo, cy = crew()
    log.add(ada, guest, "guest")
    draft = Draft(log, guest)
    commit = log.commit([log.make(guest, "mark", {})])
    cases.append(no("relay-no-right", "COM-012 ROLE-003", draft, commit, "E_FORBIDDEN", op="commit-at-relay"))
    stranger = log.commit([log.make(eve, "mark", {})])
    cases.append(no("relay-stranger", "COM-012", draft, stranger, "E_FORBIDDEN", op="commit-at-relay"))
    later = log.commit([log.make(ada, "dance", {})])
    cases.append(no("relay-unknown-op", "COM-012 LOG-010", draft, later, "E_VERSION", op="commit-at-relay"))
    return cases + _devices_and_modes()


def _devices_and_modes() -> list[Case]:
    cases: list[Case] = []
    log, ada, bo, cy = crew()
    new = bo.device()
    draft = Draft(log, bo)
    log.do(new, "device", {"act": "add", "cert": new.cert})
    cases += [
        ok("device", "COM-007", draft, draft.commit()),
        ok("device-with-share", "COM-007", draft, draft.commit(wraps=[new.dv])),
        no("device-share-for-another", "COM-007", draft, draft.commit(wraps=[cy.dev.dv]), WRAPS),
    ]
    log.do(new, "device", {"act": "revoke", "dv": bo.dev.dv, "tails": log.tails([bo.dev])})
    log.epoch(new)
    cases.append(ok("device-replaced", "COM-004 COM-007", draft, draft.commit(wraps=[ada.dev.dv, cy.dev.dv])))
    live = Log(ada, delivery="live", custody="device")
    draft = Draft(live, ada)
    live.do(ada, "add", live.add_body(cy))
    cases += [
        ok("live-add", "COM-007", draft, draft.commit()),
        no("live-add-share", "COM-007", draft, draft.commit(wraps=[cy.dev.dv]), WRAPS),
    ]
    live.epoch(ada)
    cases += [
        ok("live-epoch", "COM-007", draft, draft.commit()),
        no("live-epoch-shares", "COM-007", draft, draft.commit(wraps=[cy.dev.dv]), WRAPS),
        no("live-link", "COM-010", draft, draft.commit(link=bytes(64))),
    ]
    org = Log(ada, org="sp-" + b64e(rng("org", 32)))
    draft = Draft(org, ada)
    org.do(ada, "add", org.add_body(cy))
    org.epoch(ada)
    cases.append(ok("org-epoch", "COM-007", draft, draft.commit()))
    opened = Log(ada, mode="open")
    draft = Draft(opened, ada)
    opened.do(ada, "add", opened.add_body(cy))
    cases += [
        ok("open-add", "COM-007", draft, draft.commit()),
        no("open-add-share", "COM-007", draft, draft.commit(wraps=[cy.dev.dv]), WRAPS),
    ]
    opened.do(ada, "mode", {"mode": "e2ee"})
    without = draft.commit()
    opened.epoch(ada)
    cases += [
        no("e2ee-without-epoch", "COM-006", draft, without),
        ok("e2ee-with-epoch", "COM-006 COM-007", draft, draft.commit(wraps=[cy.dev.dv])),
    ]
    return cases


def forms() -> list[Case]:
    """The JSON form and its digest."""
    log, ada, bo, cy = crew()
    draft = Draft(log, ada)
    log.remove(ada, cy)
    commit = draft.commit(wraps=[bo.dev.dv], link=bytes(80))
    value = commit.as_json()

    def one(name: str, rule: str, **over: Any) -> Case:
        changed = {key: item for key, item in {**value, **over}.items() if item is not None}
        return bad(f"commit-form-{name}", rule, "commit-digest", {"commit": changed}, FORMAT)

    digest = {"commit": value}
    retried = {"commit": replace(commit, idem=bytes(16)).as_json()}
    return [
        good("commit-digest", "COM-002", "commit-digest", digest, commit.digest().hex()),
        good("commit-digest-retry", "COM-002", "commit-digest", retried, commit.digest().hex()),
        one("idem", "COM-001", idem=b64e(bytes(15))),
        one("no-idem", "COM-001", idem=None),
        one("no-wraps", "COM-001", wraps=None),
        one("no-attach", "COM-001", attach=None),
        one("base", "COM-001", base={"seq": 1}),
        one("base-number", "COM-001", base={"seq": "1", "h": b64e(bytes(32))}),
        one("foreign", "COM-001", note="x"),
        one("attach-name", "COM-001", attach={"x": "a.b.c"}),
        one("wrap", "COM-001", wraps=[{"dv": bo.dev.dv}]),
        one("wrap-long", "COM-001", wraps=[{"dv": bo.dev.dv, "jws": "x" * 8193}]),
        one("link-long", "COM-001", link=b64e(bytes(257))),
    ]


def cases() -> list[Case]:
    return creating() + rotating() + tails() + joining() + forms()
