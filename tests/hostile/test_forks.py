"""T-S4: two histories of one sphere, and somebody who only says that there are two.

The relay keeps two copies of the world and a half of the members in each. One message from each half reaches the
other: its author is asked, answers with the entries it holds, and both sides have a proof. A liar proves nothing and
is the only one who is set aside.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cloister import crypto
from cloister.client import Client, Sphere, inbox, logbook
from cloister.client.events import Stopped
from cloister.client.transports.memory import MemoryRelay
from cloister.errors import LogFork, UsageError
from cloister.protocol import entry, fork, jws, machine
from cloister.protocol.commit import Commit
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.history import History
from cloister.protocol.state import SphereState
from cloister.server.app import create_app
from cloister.server.settings import Settings
from cloister.sphere import run
from cloister.sphere.message import Head, Place
from cloister.sphere.payload import Payload
from tests.hostile.colluding import ForkedRelay
from tests.hostile.insider import Insider, item
from tests.hostile.lying import LyingRelay
from tests.hostile.world import ADDRESSES, HostileWorld, mallory
from tests.scenarios.world import harbour, hear, sent, texts, waits

# How many entries the halves differ by, and how many one answer holds.
DEPTHS = [(300, 64), (70, 64)] if os.environ.get("CLOISTER_DEEP") else [(24, 4)]


def _planting(compact: str) -> Any:
    def lie(body: Any) -> Any:
        pos = body["head"] + 1
        return {"items": [*body["items"], item(pos, compact)], "head": pos}

    return lie


async def _raw(client: Client, mid: str) -> str:
    return (await harbour(client).seen(mid)).stored


async def _invites(sphere: Sphere) -> None:
    await sphere.invite()


@asynccontextmanager
async def _split(
    hw: HostileWorld, folder: Path, go_on: Callable[[Sphere], Awaitable[None]] = _invites
) -> AsyncIterator[tuple[dict[str, Client], LyingRelay]]:
    """Ada and Cy in one copy of the world, Bo in the other; both go on with entries of their own, under one key."""
    people = await hw.sphere_of("ada", "bo", "cy")
    await harbour(people["ada"]).set_role("bo", "admin")
    for name in ("bo", "cy"):
        await people[name].sync()
    shutil.copytree(folder / "relay", folder / "other")
    other = LyingRelay(create_app(Settings(data=folder / "other", rate_address=0, rate_account=0), clock=hw.clock))
    async with MemoryRelay(other):
        hw.relay.app = ForkedRelay(hw.liar, other, {ADDRESSES["bo"]})
        await _invites(harbour(people["ada"]))
        await go_on(harbour(people["bo"]))
        await people["cy"].sync()
        yield people, other


async def _cross(hw: HostileWorld, people: dict[str, Client], other: LyingRelay) -> None:
    """One message from each half is shown in the other."""
    here = sent(await harbour(people["ada"]).send("Here"))
    there = sent(await harbour(people["bo"]).send("There"))
    mine, theirs = await _raw(people["ada"], here.mid), await _raw(people["bo"], there.mid)
    hw.liar.lie(r"GET /v1/spheres/.*/items", _planting(theirs), address=ADDRESSES["ada"])
    other.lie(r"GET /v1/spheres/.*/items", _planting(mine), address=ADDRESSES["bo"])
    for name in ("ada", "bo"):
        await people[name].sync()
    hw.liar.honest()
    other.honest()


def _check_evidence(evidence: dict[str, Any], *, whole: bool = True) -> None:
    """Anybody who has only the exported proof comes to the same verdict: one past, two valid continuations.

    ``whole``: the own side is there up to its head.
    """
    attached = {b64d(h): compact for h, compact in evidence["attach"].items()}
    common = fork.replay(evidence["past"], attached)
    history = History(fork.replay(evidence["past"][:1], attached))
    state = fork.replay(evidence["past"][:1], attached)
    for compact in [*evidence["past"][1:], *evidence["mine"]]:
        state = machine.apply(state, entry.decode(compact), attached)
        history.append(state)
    with pytest.raises(LogFork):
        fork.prove(history, common, evidence["theirs"], attached)
    assert not whole or entry.decode(evidence["mine"][-1]).digest == b64d(evidence["held"]["h"])


async def test_two_halves_notice_by_one_message_and_one_proof(hw: HostileWorld, tmp_path: Path) -> None:
    """RUN-016, CLT-020, CLT-021, LOG-024: asked once, answered once; then nobody of either half sends."""
    async with _split(hw, tmp_path) as (people, other):
        heard = {name: hear(people[name]) for name in ("ada", "bo")}
        await _cross(hw, people, other)
        for name in ("ada", "bo"):  # a claim by now: the words are set aside, and the question is out
            assert [m.state for m in harbour(people[name]).messages()].count("quarantined") == 1
            waits(await harbour(people[name]).send("Is it you?"))
        for name in ("bo", "ada", "bo"):  # the answers cross
            await people[name].sync()
        for name in ("ada", "bo"):
            stops = [e.stop.code for e in heard[name] if isinstance(e, Stopped)]
            assert stops == ["C_LOG_FORK"]
            sphere = harbour(people[name])
            waits(await sphere.send("Not now"))
            _check_evidence(sphere.evidence())
            with pytest.raises(UsageError):
                await sphere.acknowledge("C_LOG_FORK")
        head_asks = [c for c in hw.liar.calls if c.path == "/v1/inbox" and b'"to"' in c.body and _kind(c) == "head-ask"]
        assert sorted(c.address for c in head_asks) == [ADDRESSES["ada"], ADDRESSES["bo"]]  # once each
        client = await hw.reopen("ada")
        assert harbour(client).info.stop is not None  # over a restart as well


async def _one_way(hw: HostileWorld, people: dict[str, Client]) -> None:
    """Only Ada is shown a message of the other half; both write their letters."""
    there = sent(await harbour(people["bo"]).send("There"))
    raw = await _raw(people["bo"], there.mid)
    hw.liar.lie(r"GET /v1/spheres/.*/items", _planting(raw), address=ADDRESSES["ada"])
    await people["ada"].sync()
    hw.liar.honest()
    for name in ("bo", "ada", "bo"):
        await people[name].sync()


async def test_who_proves_a_fork_shows_it_to_the_other_half(hw: HostileWorld, tmp_path: Path) -> None:
    """CLT-020: one message to one half is enough for both; the proof is sent once."""
    async with _split(hw, tmp_path) as (people, _):
        await _one_way(hw, people)
        for name in ("ada", "bo"):
            sphere = harbour(people[name])
            assert sphere.info.stop is not None and sphere.info.stop.code == "C_LOG_FORK"
            _check_evidence(sphere.evidence())
            assert sphere.info.stop.who == ""  # two authors: the relay's two answers, nobody is named
        await people["ada"].sync()
        proofs = [c for c in hw.liar.calls if c.path == "/v1/inbox" and b'"to"' in c.body and _kind(c) == "head-proof"]
        assert [c.address for c in proofs].count(ADDRESSES["ada"]) == 1


async def test_control_without_telling_only_the_half_that_was_shown_a_message_stops(
    hw: HostileWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same without the proof sent on: Bo goes on speaking."""

    async def silent(*_: Any) -> None:
        pass

    monkeypatch.setattr(inbox, "tell_fork", silent)
    async with _split(hw, tmp_path) as (people, _):
        await _one_way(hw, people)
        stops = [harbour(people[name]).info.stop for name in ("ada", "bo")]
        assert [stop is not None for stop in stops] == [True, False]
        sent(await harbour(people["bo"]).send("Nothing happened"))


async def test_a_member_who_signs_both_is_named(hw: HostileWorld) -> None:
    """LOG-028, CLT-020, CLT-021: two entries of one device at one position, one for each half; whoever sees both stops,
    and the evidence says whose devices signed both. Unasked entries that prove nothing change nothing."""
    people = await hw.sphere_of("ada", "bo", "cy")
    bo = Insider(people["bo"])
    await bo.ctx.relay.commit(bo.sph, _commit_of(bo, "mark", {}))
    await people["ada"].sync()
    state, history = Insider(people["ada"]).view
    first = next(e for e in harbour(people["ada"]).log() if e.op == "mark")
    at = first.seq
    parent = history.digest(at - 1)
    ada = people["ada"].account.dv
    rng = os.urandom

    def entry_of(iat: int, prev: bytes) -> str:
        return entry.make(bo.ctx.sign, bo.dv, "mark", {}, iat, sph=bo.sph, seq=at, prev=prev, ep=state.ep)

    async def tell(compact: str) -> None:
        body = {"from": at, "entries": [compact]}
        letter = {"k": "head-proof", "sph": bo.sph, "iat": bo.ctx.now(), "jti": b64e(rng(16)), **body}
        await bo.ctx.relay.post([ada], jws.sign("sph-p2p+1", {"kid": bo.dv}, letter, bo.ctx.sign))
        await people["ada"].sync()

    ghost = mallory(bo.ctx.now())
    forged = entry.make(ghost.signer, bo.dv, "mark", {}, first.at, sph=bo.sph, seq=at, prev=parent, ep=state.ep)
    for nothing in (forged, entry_of(first.at, rng(32))):
        await tell(nothing)
        assert harbour(people["ada"]).info.stop is None
    await tell(entry_of(first.at + 1, parent))
    stop = harbour(people["ada"]).info.stop
    assert stop is not None and (stop.code, stop.who) == ("C_LOG_FORK", "bo")
    evidence = harbour(people["ada"]).evidence()
    assert evidence["by"] == people["bo"].account.id
    _check_evidence(evidence)


def _commit_of(author: Insider, op: str, body: dict[str, Any]) -> bytes:
    """One entry at the head, as a request."""
    state, history = author.view
    made = entry.make(
        author.ctx.sign, author.dv, op, body, author.ctx.now(), sph=author.sph, seq=state.seq + 1,
        prev=history.digest(state.seq), ep=state.ep,
    )  # fmt: skip
    base = (state.seq, history.digest(state.seq))
    return json.dumps(Commit(os.urandom(16), author.sph, base, (made,)).as_json()).encode()


@pytest.mark.parametrize(("depth", "window"), DEPTHS)
async def test_a_fork_that_is_long_ago_is_proven_as_well(
    hw: HostileWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, depth: int, window: int
) -> None:
    """CLT-020: the difference lies further back than one answer reaches; the question goes back until it is found."""
    monkeypatch.setattr(logbook, "MAX_PROOF", window)

    async def far(sphere: Sphere) -> None:
        for _ in range(depth):
            await sphere.invite()

    async with _split(hw, tmp_path, far) as (people, _):
        for _ in range(depth - 1):
            await harbour(people["ada"]).invite()
        there = sent(await harbour(people["bo"]).send("There"))
        hw.liar.lie(
            r"GET /v1/spheres/.*/items", _planting(await _raw(people["bo"], there.mid)), address=ADDRESSES["ada"]
        )
        await people["ada"].sync()
        hw.liar.honest()
        for _ in range(10):
            await people["bo"].sync()
            await people["ada"].sync()
        sphere = harbour(people["ada"])
        assert sphere.info.stop is not None and sphere.info.stop.code == "C_LOG_FORK"
        _check_evidence(sphere.evidence(), whole=False)


async def test_a_fork_that_begins_with_an_admission(hw: HostileWorld, tmp_path: Path) -> None:
    """CLT-020: the other history lets somebody in whom this one does not know; the answer brings the request along."""
    people = await hw.sphere_of("ada", "bo", "cy")
    await harbour(people["ada"]).set_role("bo", "admin")
    link = await harbour(people["ada"]).invite()
    for name in ("bo", "cy"):
        await people[name].sync()
    shutil.copytree(tmp_path / "relay", tmp_path / "other")
    app = create_app(Settings(data=tmp_path / "other", rate_address=0, rate_account=0), clock=hw.clock)
    async with MemoryRelay(app):
        hw.relay.app = ForkedRelay(hw.liar, app, {ADDRESSES["bo"], ADDRESSES["di"]})
        await hw.join("di", link)
        (request,) = await harbour(people["bo"]).requests()
        await harbour(people["bo"]).admit(request)
        await harbour(people["ada"]).invite()
        there = sent(await harbour(people["bo"]).send("There"))
        hw.liar.lie(
            r"GET /v1/spheres/.*/items", _planting(await _raw(people["bo"], there.mid)), address=ADDRESSES["ada"]
        )
        await people["ada"].sync()
        hw.liar.honest()
        for name in ("bo", "ada"):
            await people[name].sync()
        sphere = harbour(people["ada"])
        assert sphere.info.stop is not None and sphere.info.stop.code == "C_LOG_FORK"
        _check_evidence(sphere.evidence())


async def test_a_rival_that_is_not_explained_stops_as_well(hw: HostileWorld) -> None:
    """CLT-020: another entry at the own head, and a relay that answers nothing further about it."""
    people = await hw.sphere_of("ada", "bo")
    bo = Insider(people["bo"])
    state, history = bo.view
    rival = entry.make(
        bo.ctx.sign, bo.dv, "mark", {}, state.iat, sph=bo.sph, seq=state.seq, prev=history.digest(state.seq - 1),
        ep=state.ep,
    )  # fmt: skip
    told = {"entries": [rival], "head": {"seq": state.seq, "h": b64e(entry.decode(rival).digest)}}
    hw.liar.lie(rf"GET /v1/spheres/{bo.sph}/log\?from={state.seq}&limit=500", lambda _: told, address=ADDRESSES["ada"])
    hw.liar.lie(rf"GET /v1/spheres/{bo.sph}/log\?from=\d+&limit=1$", lambda _: {}, address=ADDRESSES["ada"])
    await people["ada"].sync()
    hw.liar.honest()
    stop = harbour(people["ada"]).info.stop
    assert stop is not None and stop.code == "C_LOG_INVALID"
    waits(await harbour(people["ada"]).send("Not now"))


def _kind(call: Any) -> str:
    compact = json.loads(call.body)["jws"]
    return str(jws.decode(compact, "sph-p2p+1").body["k"])


async def test_control_without_the_head_in_messages_nobody_notices(
    hw: HostileWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same two halves, readers that do not compare lh: words cross, both go on, no stop ever."""
    real = run._log_rule

    def blind(history: History, owner: str, head: Head) -> Any:
        return real(history, owner, head._replace(lh=b64e(history.digest(head.ls))))

    monkeypatch.setattr(run, "_log_rule", blind)
    async with _split(hw, tmp_path) as (people, other):
        await _cross(hw, people, other)
        for name in ("bo", "ada", "bo"):
            await people[name].sync()
        assert sorted(texts(people["ada"])) == sorted(texts(people["bo"])) == ["Here", "There"]
        for name in ("ada", "bo"):
            assert harbour(people[name]).info.stop is None


# --- a liar ---------------------------------------------------------------------------------------------------------


async def _slander(hw: HostileWorld) -> tuple[dict[str, Client], Insider]:
    """Cy, with the relay's help, names a history that does not exist, and answers the question with made-up entries."""
    people = await hw.sphere_of("ada", "bo", "cy")
    cy = Insider(people["cy"])
    state, _ = cy.view
    false = cy.say(
        Payload("msg", os.urandom(16), "They lie to you"), place=Place(1, b"", state.seq, os.urandom(32), state.ep)
    )
    since = len(hw.liar.calls)
    hw.liar.lie(r"GET /v1/spheres/.*/items", _planting(false))
    for name in ("ada", "bo"):
        await people[name].sync()
    hw.liar.honest()
    asked = [c for c in hw.liar.calls[since:] if c.path == "/v1/inbox" and c.method == "POST"]
    assert [_kind(c) for c in asked] == ["head-ask", "head-ask"]
    asked_from = jws.decode(json.loads(asked[0].body)["jws"], "sph-p2p+1").body["from"]
    log = (await cy.ctx.relay.log(cy.sph, asked_from)).entries
    made_up = [*log[: state.seq - asked_from], _made_up(cy, people["ada"].account.dv, state)]
    for name in ("ada", "bo"):
        body = {"from": asked_from, "entries": made_up}
        letter = {"k": "head-proof", "sph": cy.sph, "iat": cy.ctx.now(), "jti": b64e(os.urandom(16)), **body}
        compact = jws.sign("sph-p2p+1", {"kid": cy.dv}, letter, cy.ctx.sign)
        await cy.ctx.relay.post([people[name].account.dv], compact)
    return people, cy


def _made_up(cy: Insider, ada: str, state: SphereState) -> str:
    """Another entry at the head, in the owner's name, signed by nobody of the sphere."""
    _, history = cy.view
    ghost = mallory(cy.ctx.now())
    prev = history.digest(state.seq - 1)
    return entry.make(ghost.signer, ada, "mark", {}, state.iat, sph=state.sph, seq=state.seq, prev=prev, ep=state.ep)


async def test_a_liar_is_set_aside_alone(hw: HostileWorld) -> None:
    """RUN-016, CLT-020: his words are quarantined, his made-up entries prove nothing, everybody else talks on."""
    people, _ = await _slander(hw)
    for name in ("ada", "bo", "ada", "bo"):
        await people[name].sync()
    for name in ("ada", "bo"):
        sphere = harbour(people[name])
        assert sphere.info.stop is None
        sent(await sphere.send(f"{name} goes on"))
    await people["ada"].sync()
    assert texts(people["ada"]) == ["ada goes on", "bo goes on"]
    states = {m.name: m.state for m in harbour(people["ada"]).messages()}
    assert states == {"ada": "sent", "bo": "sent", "cy": "quarantined"}


async def test_control_without_signatures_a_liar_stops_everybody(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same made-up entries against clients that verify no entry's signature count as a proof."""
    people, _ = await _slander(hw)
    monkeypatch.setattr(crypto, "ed25519_verify", lambda *_: None)
    for name in ("ada", "bo"):
        await people[name].sync()
        stop = harbour(people[name]).info.stop
        assert stop is not None and stop.code == "C_LOG_FORK"
