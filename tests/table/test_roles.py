"""Every operation by every role in every state: the relay and a client whose relay colludes give the same answer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloister import crypto
from cloister.account import devices
from cloister.account.keys import DeviceKeys, new_device, new_identity
from cloister.errors import CloisterError
from cloister.protocol import entry, jws, machine, roles
from cloister.protocol.encoding import b64e
from cloister.protocol.ids import jwk_public
from cloister.protocol.state import Policy
from cloister.server import spheres
from cloister.sphere import compose, invitation, meta
from tests.hostile.world import hostile_world, mallory
from tests.scenarios.world import harbour
from tests.simulation import loop
from tests.simulation.cast import memory_folder
from tests.table.stage import AUTHORS, CAST, GOES, Stage, _Yes, stage

OWNER, ADMIN, MEMBER, GUEST = "owner", "admin", "member", "guest"
MEMBERS = {OWNER, ADMIN, MEMBER, GUEST}
NO_GUEST = {OWNER, ADMIN, MEMBER}
Make = Callable[[Stage, str], Any]
Raw = tuple[str, dict[str, Any], DeviceKeys | None]
STATES = ("approving", "admitting", "marked", "open", "public")
SEALED = ("approving", "admitting", "marked")
UNMARKED = ("approving", "admitting", "open", "public")


@dataclass(frozen=True)
class Case:
    """``make`` gives an intent, a list of them, or (op, body, signing device or None) for what no client composes.
    ``may``: who has the right.

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


def _foreign_device(at: Stage, who: str) -> Raw:
    other = mallory(at.state.iat, claims=at.id("cy"))
    return "device", {"act": "add", "cert": other.cert}, None


def _foreign_identity(at: Stage, who: str) -> Raw:
    other, target = mallory(at.state.iat, claims=at.id("cy")), at.state.members[at.id("cy")]
    body = {"id": target.id, "old": dict(target.ik), "new": jwk_public(other.ik), "cert": other.cert}
    forged = b64e(crypto.random_bytes(96))
    tails = [[dv, 0, ""] for dv in (at.dv("cy"), at.second["cy"].dv)]
    return "identity", {**body, "osig": forged, "nsig": forged, "tails": tails}, None


def _own_device(at: Stage, who: str) -> Raw:
    device, cert = at.new_device(who)
    return "device", {"act": "add", "cert": cert}, device


def _own_identity(at: Stage, who: str) -> Raw:
    """Another key, signed by both, with a new device under it: every earlier device goes."""
    fresh, device, old = new_identity(crypto.random_bytes), new_device(crypto.random_bytes), at.iks[who]
    cert = devices.certify(fresh, at.id(who), device, at.state.iat)
    before, after = jwk_public(old), jwk_public(fresh)
    digest = jws.decode(cert, "sph-dev+1").digest
    signed = machine.identity_message(at.sph, at.id(who), before, after, digest)
    tails = [[one.dv, 0, ""] for one in at.state.devices_of(at.id(who))]
    osig, nsig = b64e(crypto.es384_sign(old, signed)), b64e(crypto.es384_sign(fresh, signed))
    body = {"id": at.id(who), "old": before, "new": after, "osig": osig, "nsig": nsig, "cert": cert, "tails": tails}
    return "identity", body, device


def _own_other_device(at: Stage, who: str) -> Any:
    return compose.DeviceRevoke(at.second.get(who, at.second["ada"]).dv)


def _renewed(at: Stage, who: str) -> Any:
    return compose.DeviceRenew("xwing", crypto.xwing_public(crypto.random_bytes(32)))


def _create(at: Stage, who: str) -> Raw:
    first = at.people["ada"].context.store.one("SELECT jws FROM entry WHERE sph = ? AND seq = 0", at.sph)
    assert first is not None
    return "create", dict(entry.decode(first[0]).body), None


def _retitled(at: Stage, who: str) -> Any:
    return [compose.Rotate(), compose.SetMeta(meta.Text("Another"))]


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
    "own new device": Case("device add", _own_device, MEMBERS),
    "own other device revoked": Case("device revoke", _own_other_device, MEMBERS),
    "own identity": Case("identity", _own_identity, MEMBERS),
    "another's device": Case("device add", _foreign_device, set(), ()),
    "own key renewed": Case("device renew", _renewed, MEMBERS),
    "another's device revoked": Case("device revoke", lambda at, _: compose.DeviceRevoke(at.dv("hal")), set()),
    "another's identity": Case("identity", _foreign_identity, set(), ()),
    "mark": Case("mark", lambda at, _: compose.Mark(), {OWNER, ADMIN, MEMBER}, ("approving", "admitting")),
    "epoch": Case("epoch", lambda at, _: compose.Rotate(), {OWNER, ADMIN, MEMBER}, SEALED),
    "epoch with another title": Case("epoch", _retitled, {OWNER, ADMIN}, SEALED),
    "mode": Case("mode", _mode, {OWNER}),
    "live delivery": Case("delivery", lambda at, _: ("delivery", {"delivery": "live"}, None), {OWNER}, ()),
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


class Tries:
    """Every case by every author in one state. ``wrong``: what was not as expected; ``tried``: how many there were.

    ``bodies`` are the commits that could be composed, by case and author: where not even a build that forbids nothing
    can compose one, there is none.
    """

    def __init__(self, at: Stage, state: str, names: Sequence[str]) -> None:
        self.at, self.state, self.names = at, state, names
        self.wrong, self.tried = list[str](), 0
        self.bodies: dict[tuple[str, str], dict[str, Any]] = {}

    async def play(self) -> None:
        """Here, now."""
        at = self.at
        for name in self.names:
            case = CASES[name]
            for who in AUTHORS:
                body = self.body(name, who)
                right, expected = self.expected(case, who)
                if body is None:
                    if expected:
                        self.wrong.append(f"{self.state}: {name} by {CAST[who]} cannot be made")
                    continue
                relay = await self.relay(who, body)
                reader = at.judged(body) if expected else await at.reader_says(body)
                self.compare(name, who, relay, reader, expected)
                if not right and self.state in case.states and relay != "E_FORBIDDEN":
                    self.wrong.append(f"{self.state}: {name} by {CAST[who]}: {relay} and not E_FORBIDDEN")

    def expected(self, case: Case, who: str) -> tuple[bool, bool]:
        """Whether this person has the right, and whether it can be used in this state."""
        role = CAST[who]
        right = role in case.may or (case.any and role == MEMBER and self.at.state.policy.join == "any")
        return right, right and self.state in case.states

    def body(self, name: str, who: str) -> dict[str, Any] | None:
        """A commit. What somebody outside would send is what the owner would, under another signature."""
        owners = self.bodies.get((name, "ada"))
        made: dict[str, Any] | None
        wanted = CASES[name].make(self.at, who)
        if isinstance(wanted, tuple):
            made = self.at.raw(who, *wanted)
        elif CAST[who] not in MEMBERS:
            made = self.at.signed_by(who, owners) if owners else None
        else:
            try:
                made = self.at.commit(who, *(wanted if isinstance(wanted, list) else [wanted]))
            except CloisterError:
                made = None
        if made is not None:
            self.bodies[name, who] = made
        return made

    async def relay(self, who: str, body: dict[str, Any]) -> str:
        """What the relay answers; what it took has never been."""
        self.tried += 1
        said = await self.at.relay_says(who, body)
        if said == "":
            self.at.restore()
        return said

    def compare(self, name: str, who: str, relay: str, reader: str, expected: bool) -> None:
        if (relay == "", reader == "") != (expected, expected):
            said = f"relay {relay or 'yes'}, reader {reader or 'yes'}"
            self.wrong.append(f"{self.state}: {name} by {CAST[who]}: {said}")

    async def while_due(self) -> None:
        """Directly behind a removal whose epoch has not come: only who owes it writes, and only what stands before
        epochs (LOG-013). The relay takes that together with the epoch, and nothing else."""
        at, gone = self.at, compose.Remove(self.at.id(GOES))
        first = at.commit("ada", gone)
        for (name, who), made in self.bodies.items():
            case, (op, content, ep, device) = CASES[name], self.again(name, who)
            before = roles.TABLE["ops"][case.op]["place"] == "before"
            expected = who == "ada" and device is None and before and self.expected(case, who)[1]
            body = at.behind(first, who, op, content, ep, device) | {"attach": made.get("attach", {})}
            whole = at.commit(who, gone, case.make(at, who)) if expected else body
            relay = await self.relay(who, whole)
            reader = at.judged(body) if expected else await at.reader_says(body)
            self.compare(f"due: {name}", who, relay, reader, expected)

    async def when_closed(self) -> None:
        """The last one has left: nobody does anything any more (LOG-014)."""
        at = self.at
        again = {key: (self.again(*key), made) for key, made in self.bodies.items()}
        await _empty(at)
        for (name, who), ((op, content, _, device), made) in again.items():
            body = at.raw(who, op, content, device) if device else at.signed_by(who, made)
            self.compare(f"closed: {name}", who, await self.relay(who, body), at.judged(body), False)

    def again(self, name: str, who: str) -> tuple[str, dict[str, Any], int, DeviceKeys | None]:
        """The case's own entry, to be made at another place: operation, content, epoch, and who signs a new device."""
        wanted = CASES[name].make(self.at, who)
        if isinstance(wanted, tuple):
            return wanted[0], wanted[1], self.at.state.ep, wanted[2]
        one = entry.decode(self.bodies[name, who]["entries"][0])
        return one.op, dict(one.body), one.ep, None


async def _empty(at: Stage) -> None:
    """Everybody goes, the owner last."""
    sphere = harbour(at.people["ada"])
    for person in sphere.people():
        if not person.me:
            await sphere.remove(person)
    await sphere.leave()
    assert at.state.closed


async def _play(
    at: Stage, states: Sequence[str] = STATES, names: Sequence[str] = tuple(CASES)
) -> tuple[list[str], int]:
    """Every case by every author in every state; what was not as expected, and how many were tried."""
    wrong, tried = list[str](), 0
    for state in states:
        await _into(at, state)
        tries = Tries(at, state, names)
        await tries.play()
        if state == "admitting":
            await tries.while_due()
        if state == STATES[-1]:
            await tries.when_closed()
        wrong, tried = wrong + tries.wrong, tried + tries.tried
    return wrong, tried


def test_every_operation_has_a_case() -> None:
    """ROLE-001: a new row of the table needs a case here."""
    assert {case.op for case in CASES.values()} == set(roles.ROWS)


def _staged(play: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
    """Set the stage in memory and play in virtual time: no thread and no disk is waited for, neither is in question.

    The relay, whose database is put back after every try, has a shortcut to each state at hand.
    """

    async def whole(folder: Path) -> None:
        async with hostile_world(folder) as hw:
            await play(await stage(hw))

    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(spheres, "SNAPSHOT_EVERY", 1)
        loop.run(whole(Path(folder)), "table")


def test_relay_and_reader_agree_with_the_table() -> None:
    """ROLE-003 to ROLE-014, COM-012: no role can do what it may not, also where the relay lets it."""

    async def play(at: Stage) -> None:
        wraps = at.commit("cy", compose.Rotate())["entries"]
        assert [entry.decode(one).op for one in wraps] == ["epoch", "meta"]  # a member seals the title again
        wrong, tried = await _play(at)
        assert wrong == []
        assert tried > len(CASES) * len(AUTHORS) * (len(STATES) + 2) * 0.8

    _staged(play)


def test_control_a_build_that_forbids_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the words of the table relay and reader let a guest do what an owner may."""

    async def play(at: Stage) -> None:
        monkeypatch.setattr(machine, "WORDS", _Yes())
        wrong, _ = await _play(at, ("approving",), ("remove a guest", "mode", "checkpoint"))
        assert any("mode by guest: relay yes" in one for one in wrong)

    _staged(play)


def test_control_a_build_that_forgets_what_is_owed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without LOG-013 somebody else writes between a removal and its epoch."""

    async def play(at: Stage) -> None:
        monkeypatch.setattr(machine, "_while_due", lambda *_: None)
        wrong, _ = await _play(at, ("admitting",), ("invite", "title"))
        assert any("due: invite by admin" in one for one in wrong)

    _staged(play)
