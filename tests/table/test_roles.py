"""Every operation by every role in every state: the relay and a client whose relay colludes give the same answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from cloister import crypto
from cloister.errors import CloisterError
from cloister.protocol import entry, machine, roles
from cloister.protocol.encoding import b64e
from cloister.protocol.ids import jwk_public
from cloister.protocol.state import Policy
from cloister.sphere import compose, invitation, meta
from tests.hostile.world import HostileWorld, mallory
from tests.scenarios.world import harbour
from tests.table.stage import AUTHORS, CAST, Stage, _Yes, stage

OWNER, ADMIN, MEMBER, GUEST = "owner", "admin", "member", "guest"
MEMBERS = {OWNER, ADMIN, MEMBER, GUEST}
NO_GUEST = {OWNER, ADMIN, MEMBER}
Make = Callable[[Stage, str], Any]
STATES = ("approving", "admitting", "marked", "open", "public")
SEALED = ("approving", "admitting", "marked")
UNMARKED = ("approving", "admitting", "open", "public")


@dataclass(frozen=True)
class Case:
    """``make`` gives the intents, or (op, body) for what no client composes. ``may``: who has the right.

    ``states``: where the operation can stand at all; elsewhere everybody is refused. ``any``: members too while the
    policy's join is any.
    """

    op: str
    make: Make
    may: frozenset[str] | set[str]
    states: Sequence[str] = STATES
    any: bool = False


def _invite(at: Stage, who: str) -> Any:
    jti = crypto.random_bytes(16)
    ipk = invitation.key_pair(crypto.random_bytes(32), at.sph, jti)[1]
    return compose.Invite(jti, ipk, at.state.iat + 86400, role="guest")


def _policy(at: Stage, **change: Any) -> Any:
    return compose.SetPolicy(Policy.from_body({**at.state.policy.as_body(), **change}))


def _mode(at: Stage, who: str) -> Any:
    return compose.SetMode("open" if at.state.mode != "open" else "public")


def _foreign_device(at: Stage, who: str) -> tuple[str, dict[str, Any]]:
    other = mallory(at.state.iat, claims=at.id("cy"))
    return "device", {"act": "add", "cert": other.cert}


def _foreign_identity(at: Stage, who: str) -> tuple[str, dict[str, Any]]:
    other, target = mallory(at.state.iat, claims=at.id("cy")), at.state.members[at.id("cy")]
    body = {"id": target.id, "old": dict(target.ik), "new": jwk_public(other.ik), "cert": other.cert}
    forged = b64e(crypto.random_bytes(96))
    return "identity", {**body, "osig": forged, "nsig": forged, "tails": [[at.dv("cy"), 0, ""]]}


def _renewed(at: Stage, who: str) -> Any:
    return compose.DeviceRenew("xwing", crypto.xwing_public(crypto.random_bytes(32)))


def _create(at: Stage, who: str) -> tuple[str, dict[str, Any]]:
    first = at.people["ada"].context.store.one("SELECT jws FROM entry WHERE sph = ? AND seq = 0", at.sph)
    assert first is not None
    return "create", dict(entry.decode(first[0]).body)


CASES: dict[str, Case] = {
    "create again": Case("create", _create, set(), ()),
    "invite": Case("invite", _invite, {OWNER, ADMIN}, any=True),
    "withdraw somebody's": Case("revoke-invite", lambda at, _: compose.RevokeInvite(at.invites["ada"]), {OWNER, ADMIN}),
    "withdraw a member's": Case("revoke-invite", lambda at, _: compose.RevokeInvite(at.invites["cy"]), NO_GUEST),
    "admit": Case("add", lambda at, _: compose.Add(at.id("gus"), at.asked, MEMBER), {OWNER, ADMIN}, any=True),
    "admit an admin": Case("add", lambda at, _: compose.Add(at.id("gus"), at.asked, ADMIN), {OWNER}),
    "remove a guest": Case("remove", lambda at, _: compose.Remove(at.id("lee")), {OWNER, ADMIN}),
    "remove a member": Case("remove", lambda at, _: compose.Remove(at.id("hal")), {OWNER, ADMIN}),
    "remove an admin": Case("remove", lambda at, _: compose.Remove(at.id("kim")), {OWNER}),
    "remove an owner": Case("remove", lambda at, _: compose.Remove(at.id("jo")), {OWNER}),
    "ban": Case("remove", lambda at, _: compose.Remove(at.id("lee"), ban=True), {OWNER, ADMIN}),
    "leave": Case("leave", lambda at, _: compose.Leave(), MEMBERS),
    "guest to member": Case("role", lambda at, _: compose.SetRole(at.id("lee"), MEMBER), {OWNER, ADMIN}),
    "member to guest": Case("role", lambda at, _: compose.SetRole(at.id("hal"), GUEST), {OWNER, ADMIN}),
    "member to admin": Case("role", lambda at, _: compose.SetRole(at.id("hal"), ADMIN), {OWNER}),
    "member to owner": Case("role", lambda at, _: compose.SetRole(at.id("hal"), OWNER), {OWNER}),
    "admin to member": Case("role", lambda at, _: compose.SetRole(at.id("kim"), MEMBER), {OWNER}),
    "owner to admin": Case("role", lambda at, _: compose.SetRole(at.id("jo"), ADMIN), {OWNER}),
    "another's device": Case("device add", _foreign_device, set(), ()),
    "own key renewed": Case("device renew", _renewed, MEMBERS),
    "another's device revoked": Case("device revoke", lambda at, _: compose.DeviceRevoke(at.dv("hal")), set()),
    "another's identity": Case("identity", _foreign_identity, set(), ()),
    "mark": Case("mark", lambda at, _: compose.Mark(), {OWNER, ADMIN, MEMBER}, ("approving", "admitting")),
    "epoch": Case("epoch", lambda at, _: compose.Rotate(), {OWNER, ADMIN, MEMBER}, SEALED),
    "mode": Case("mode", _mode, {OWNER}),
    "live delivery": Case("delivery", lambda at, _: ("delivery", {"delivery": "live"}), {OWNER}, ()),
    "custody": Case("custody", lambda at, _: compose.SetCustody("device"), {OWNER}),
    "tighter policy": Case("policy", lambda at, _: _policy(at, T=3600), {OWNER, ADMIN}),
    "looser policy": Case("policy", lambda at, _: _policy(at, plaintext=True), {OWNER}),
    "title": Case("meta", lambda at, _: compose.SetMeta(meta.Text("Another")), {OWNER, ADMIN}, UNMARKED),
    "checkpoint": Case("checkpoint", lambda at, _: compose.Checkpoint(), {OWNER, ADMIN}),
}  # fmt: skip


async def _into(at: Stage, state: str) -> None:
    """Bring the sphere into the next state, by its owner."""
    sphere = harbour(at.people["ada"])
    match state:
        case "approving":
            await sphere.set_policy(join="approve")
        case "admitting":
            await sphere.set_policy(join="any")
        case "marked":
            await sphere._commit(lambda _: [compose.Mark()])
        case "open":
            await sphere.set_mode("open")
        case "public":
            await sphere.set_mode("public")
    await at.people["hal"].sync()
    at.keep()


def _body(at: Stage, case: Case, who: str) -> dict[str, Any] | None:
    """The commit, or None where not even a build that forbids nothing can compose it."""
    wanted = case.make(at, who)
    if isinstance(wanted, tuple):
        return at.raw(who, *wanted)
    try:
        return at.commit(who, wanted)
    except CloisterError:
        return None


async def _play(
    at: Stage, states: Sequence[str] = STATES, names: Sequence[str] = tuple(CASES)
) -> tuple[list[str], int]:
    """Every case by every author in every state; what was not as expected, and how many were tried."""
    wrong, tried = list[str](), 0
    for state in states:
        await _into(at, state)
        for name in names:
            case = CASES[name]
            for who in AUTHORS:
                body = _body(at, case, who)
                role = CAST[who]
                right = role in case.may or (case.any and role == MEMBER and at.state.policy.join == "any")
                expected = right and state in case.states
                if body is None:
                    if expected:
                        wrong.append(f"{state}: {name} by {role} cannot be made")
                    continue
                tried += 1
                relay = await at.relay_says(who, body)
                if relay == "":
                    at.restore()
                reader = at.judged(body) if expected else await at.reader_says(body)
                if (relay == "", reader == "") != (expected, expected):
                    wrong.append(f"{state}: {name} by {role}: relay {relay or 'yes'}, reader {reader or 'yes'}")
                elif not right and state in case.states and relay != "E_FORBIDDEN":
                    wrong.append(f"{state}: {name} by {role}: {relay} and not E_FORBIDDEN")
    return wrong, tried


def test_every_operation_has_a_case() -> None:
    """ROLE-001: a new row of the table needs a case here."""
    assert {case.op for case in CASES.values()} == set(roles.ROWS)


async def test_relay_and_reader_agree_with_the_table(hw: HostileWorld) -> None:
    """ROLE-003 to ROLE-014, COM-012: no role can do what it may not, also where the relay lets it."""
    wrong, tried = await _play(await stage(hw))
    assert wrong == []
    assert tried > len(CASES) * len(AUTHORS) * len(STATES) * 0.8


async def test_control_a_build_that_forbids_nothing(hw: HostileWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the words of the table relay and reader let a guest do what an owner may."""
    at = await stage(hw)
    monkeypatch.setattr(machine, "WORDS", _Yes())
    wrong, _ = await _play(at, ("approving",), ("remove a guest", "mode", "checkpoint"))
    assert any("mode by guest: relay yes" in one for one in wrong)
