"""Who may do what in a log: every operation, tried by every role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloister.errors import CloisterError
from cloister.protocol.encoding import b64e
from cloister.protocol.state import state_hash
from vectors.generate import Case, good
from vectors.generate._log_base import SEALED, WRONG, Crew, create_body, given, policy_body, renewal
from vectors.generate._world import Dev, Person, rng, scalar

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
    row("create", lambda c, who: c.log.make(who, "create", {**create_body(who)}))
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
    row("device-renew", lambda c, who: c.log.make(who, "device", {"act": "renew", **renewal(who.name)}))
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
    row("policy-history", lambda c, who: c.log.make(who, "policy", policy_body(c.log, history="none")))
    row("policy-longer", lambda c, who: c.log.make(who, "policy", policy_body(c.log, T=8 * 86400)))
    row("policy-guests", lambda c, who: c.log.make(who, "policy", policy_body(c.log, guests="read")))
    row(
        "policy-kem-raise",
        lambda c, who: c.log.make(who, "policy", policy_body(c.log, kem_min="p384")),
        kem_min="rsa4096",
    )
    row("policy-kem-lower", lambda c, who: c.log.make(who, "policy", policy_body(c.log, kem_min="rsa4096")))
    row("meta", lambda c, who: c.log.make(who, "meta", SEALED), mark_and_rotate)
    row("checkpoint", lambda c, who: c.log.make(who, "checkpoint", c.log.checkpoint_body()))
    return cases
