"""Messages at the head of a log: who may speak, under what, and where the chain goes on."""

from __future__ import annotations

from typing import Any

from cloister.protocol import jws
from cloister.protocol.encoding import b64e
from vectors.generate import Case, bad, good
from vectors.generate._log_base import policy_body
from vectors.generate._world import Dev, Log, Person, message, rng

ORIGIN = (
    "made by vectors/generate/chain.py with seeded keys; refusals are stated there by hand; payloads open for nobody"
)

FORBIDDEN, FORMAT, HEAD, EPOCH, CONFLICT = "E_FORBIDDEN", "E_BAD_FORMAT", "E_STALE_HEAD", "E_STALE_EPOCH", "E_CONFLICT"


def given(log: Log, compact: str, heads: list[list[Any]] | None) -> Case:
    attach = {b64e(d): c for d, c in log.attach.items()}
    case: Case = {"entries": list(log.entries), **({"attach": attach} if attach else {}), "message": compact}
    return {**case, **({"heads": heads} if heads else {})}


def ok(name: str, rule: str, log: Log, compact: str, heads: list[list[Any]] | None = None) -> Case:
    envelope = jws.decode(compact, "sph-msg+1")
    value = {"seq": envelope.header["seq"], "h": envelope.digest.hex(), "ls": envelope.header["ls"]}
    return good(f"chain-{name}", rule, "chain-admit", given(log, compact, heads), value)


def no(name: str, rule: str, log: Log, compact: str, code: str, heads: list[list[Any]] | None = None) -> Case:
    return bad(f"chain-{name}", rule, "chain-admit", given(log, compact, heads), code)


def encrypted() -> list[Case]:
    ada, bo, cy = Person("ada"), Person("bo"), Person("cy")
    log = Log(ada, policy={"join": "any"})
    log.add(ada, bo)
    log.do(ada, "invite", log.invite_body())
    earlier, head = log.states[-2], log.state
    ph = rng("ph", 32)
    heads = [[bo.dev.dv, 4, b64e(ph), head.seq]]
    text = message(bo.dev, head)
    fifth = message(bo.dev, head, 5, ph)

    def forge(dev: Dev, signer: Dev) -> str:
        return message(Dev(signer.seed, dev.de_seed, dev.kem, dev.cert, dev.dv), head)

    unmarked = [
        ok("first", "CHN-001 CHN-007", log, text),
        ok("fifth", "CHN-007", log, fifth, heads),
        ok("sealed-earlier", "CHN-003", log, message(bo.dev, earlier)),
        no("sealed-before-joining", "CHN-005", log, message(bo.dev, log.states[1]), EPOCH),
        no("stranger", "CHN-001", log, message(cy.dev, head), FORBIDDEN),
        no("other-sphere", "CHN-001", log, message(bo.dev, head, sph="sp-" + b64e(bytes(32))), FORBIDDEN),
        no("lh-wrong", "CHN-003", log, message(bo.dev, head, lh=b64e(bytes(32))), HEAD),
        no("ls-wrong", "CHN-003", log, message(bo.dev, head, ls=head.seq - 1), HEAD),
        no("ls-ahead", "CHN-003", log, message(bo.dev, head, ls=head.seq + 1), HEAD),
        no("epoch-ahead", "CHN-006", log, message(bo.dev, head, ep=2), EPOCH),
        no("epoch-behind", "CHN-006", log, message(bo.dev, head, ep=0), EPOCH),
        no("in-clear", "CHN-004", log, message(bo.dev, head, enc="none", n=None, cm=None), FORMAT),
        no("no-nonce", "CHN-004", log, message(bo.dev, head, n=None), FORMAT),
        no("no-commitment", "CHN-004", log, message(bo.dev, head, cm=None), FORMAT),
        no("seq-repeated", "CHN-007", log, text, CONFLICT, heads),
        no("seq-skipped", "CHN-007", log, message(bo.dev, head, 6, ph), CONFLICT, heads),
        no("ph-wrong", "CHN-007", log, message(bo.dev, head, 5, bytes(32)), CONFLICT, heads),
        no("ph-at-first", "CHN-007", log, message(bo.dev, head, 1, ph), CONFLICT),
        no("seq-without-past", "CHN-007", log, fifth, CONFLICT),
        no("ls-decreases", "CHN-007", log, message(bo.dev, earlier, 5, ph), CONFLICT, heads),
        no("forged", "CHN-008", log, forge(bo.dev, ada.dev), FORMAT),
        no("altered", "CHN-008", log, text[:-4] + "AAAA", FORMAT),
        no("stale-before-signature", "CHN-008", log, message(bo.dev, head, ep=2)[:-4] + "AAAA", EPOCH),
    ]
    log.do(bo, "mark")
    marked = [no("marked", "CHN-005", log, message(bo.dev, log.state), EPOCH)]
    log.epoch(ada)
    return [
        *unmarked,
        *marked,
        ok("rotated", "CHN-006", log, message(bo.dev, log.state)),
        no("sealed-before-epoch", "CHN-005", log, message(bo.dev, log.states[-2]), EPOCH),
        no("sealed-before-epoch-new-number", "CHN-005", log, message(bo.dev, log.states[-2], ep=2), EPOCH),
    ]


def people() -> list[Case]:
    ada, bo, gus = Person("ada"), Person("bo"), Person("gus")
    log = Log(ada)
    log.add(ada, bo)
    log.add(ada, gus, "guest")
    cases = [ok("guest", "CHN-002", log, message(gus.dev, log.state))]
    log.do(ada, "role", log.role_body(bo, "guest", lowered=True))
    cases += [
        ok("lowered", "CHN-005", log, message(bo.dev, log.state)),
        no("sealed-before-lowering", "CHN-005", log, message(bo.dev, log.states[-2]), EPOCH),
    ]
    log.do(ada, "policy", policy_body(log, guests="read"))
    cases += [
        no("guest-reads-only", "CHN-002", log, message(gus.dev, log.state), FORBIDDEN),
        ok("owner-speaks", "CHN-002", log, message(ada.dev, log.state)),
        ok("owner-sealed-earlier", "CHN-005", log, message(ada.dev, log.states[-2])),
    ]
    log.do(ada, "policy", policy_body(log, guests="talk"))
    cases.append(no("guest-sealed-too-early", "CHN-005", log, message(gus.dev, log.states[-2]), EPOCH))
    log.remove(ada, bo)
    cases.append(no("removed", "CHN-001", log, message(bo.dev, log.state), FORBIDDEN))
    new = ada.device()
    log.do(new, "device", {"act": "add", "cert": new.cert})
    cases += [
        ok("new-device", "CHN-001", log, message(new, log.state)),
        no("new-device-too-early", "CHN-005", log, message(new, log.states[-2]), EPOCH),
    ]
    log.do(new, "device", {"act": "revoke", "dv": ada.dev.dv, "tails": log.tails([ada.dev])})
    cases.append(no("revoked", "CHN-001", log, message(ada.dev, log.state), FORBIDDEN))
    solo = Log(ada)
    solo.do(ada, "leave", {"tails": solo.tails_of(ada)})
    cases.append(no("closed", "CHN-001 LOG-014", solo, message(ada.dev, solo.state), FORBIDDEN))
    return cases


def modes() -> list[Case]:
    ada = Person("ada")
    log = Log(ada, mode="open")
    text = message(ada.dev, log.state)
    cases = [
        ok("open", "CHN-004", log, text),
        no(
            "open-encrypted",
            "CHN-004",
            log,
            message(ada.dev, log.state, enc="A256GCM", n=b64e(bytes(12)), cm=b64e(bytes(32))),
            FORMAT,
        ),
        no("open-with-nonce", "CHN-004", log, message(ada.dev, log.state, n=b64e(bytes(12))), FORMAT),
    ]
    log.do(ada, "mode", {"mode": "public"})
    cases += [
        no("written-for-members", "CHN-005", log, text, EPOCH),
        ok("public", "CHN-004", log, message(ada.dev, log.state)),
    ]
    sealed = Log(ada)
    was = message(ada.dev, sealed.state)
    sealed.do(ada, "mode", {"mode": "open"})
    cases += [
        no("sealed-then-opened", "CHN-005", sealed, was, EPOCH),
        ok("opened", "CHN-006", sealed, message(ada.dev, sealed.state)),
        no("opened-epoch-forgotten", "CHN-006", sealed, message(ada.dev, sealed.state, ep=0), EPOCH),
    ]
    plain = Log(ada)
    clear: dict[str, Any] = {"enc": "none", "n": None, "cm": None}
    too_early = message(ada.dev, plain.state, **clear)
    plain.do(ada, "policy", policy_body(plain, plaintext=True))
    cases += [
        ok("plaintext-allowed", "CHN-004", plain, message(ada.dev, plain.state, **clear)),
        ok("plaintext-allowed-sealed", "CHN-004", plain, message(ada.dev, plain.state)),
        no("plaintext-too-early", "CHN-005", plain, too_early, EPOCH),
    ]
    plain.do(ada, "policy", policy_body(plain, plaintext=False))
    cases.append(no("plaintext-over", "CHN-004", plain, message(ada.dev, plain.state, **clear), FORMAT))
    return cases


def cases() -> list[Case]:
    return encrypted() + people() + modes()
