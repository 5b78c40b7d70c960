"""Earlier positions of a log, forks, and letters between members."""

from __future__ import annotations

from typing import Any

from cloister.protocol import jws
from cloister.protocol.encoding import b64e, json_emit
from cloister.protocol.state import Policy
from vectors.generate import Case, bad, good
from vectors.generate._log_base import FORMAT, SIG, STRANGER, UNKNOWN, given, policy_body
from vectors.generate._world import NOW, Dev, Log, Person, rng


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
    log.do(ada, "policy", policy_body(log, guests="read"))  # 10
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
