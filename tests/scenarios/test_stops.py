"""A relay or a member that lies: what stops, what does not, and what lifts it."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cloister.client import Client, claims, intake
from cloister.client.events import IdentityChanged, Stopped
from cloister.client.transports.base import Answer
from cloister.client.transports.memory import MemoryRelay
from cloister.errors import LogFork, NotFound, UsageError
from cloister.protocol import jws
from cloister.protocol.encoding import b64e
from cloister.protocol.state import SphereState
from cloister.server.app import create_app
from cloister.server.settings import Settings
from cloister.sphere import message as messages
from cloister.sphere.message import Place
from cloister.sphere.payload import Payload
from tests.hostile.lying import LyingRelay
from tests.scenarios.world import World, harbour, hear, sent, texts, waits, world


@pytest.fixture
async def liar(tmp_path: Path) -> AsyncIterator[tuple[World, LyingRelay]]:
    """A world whose relay tells lies on request."""
    made: list[LyingRelay] = []

    def wrap(app: Any) -> LyingRelay:
        made.append(LyingRelay(app))
        return made[0]

    async with world(tmp_path, wrap) as w:
        yield w, made[0]


def address(w: World, name: str) -> str:
    return w.network(name).address


async def test_a_shorter_log_stops_sending(liar: tuple[World, LyingRelay]) -> None:
    """CLT-020, CLT-021: rollback, over a restart, with evidence; lifted only when everything seen is shown again."""
    w, relay = liar
    people = await w.sphere_of("ada", "bo")
    bo = harbour(people["bo"])
    sent(await bo.send("Before"))
    relay.lie(r"GET /v1/spheres/.*/log", lambda b: {**b, "entries": []}, address=address(w, "bo"))
    heard = hear(people["bo"])
    report = await people["bo"].sync()
    assert report.faults == ("C_LOG_ROLLBACK",)
    assert [e.stop.code for e in heard if isinstance(e, Stopped)] == ["C_LOG_ROLLBACK"]
    assert waits(await bo.send("Not now")).state == "waiting"
    client = await w.reopen("bo")
    bo = harbour(client)
    assert bo.info.stop is not None
    assert bo.info.stop.code == "C_LOG_ROLLBACK"
    assert texts(client) == ["Before"]
    assert bo.evidence()["code"] == "C_LOG_ROLLBACK"
    with pytest.raises(UsageError):
        await bo.acknowledge("C_LOG_ROLLBACK")
    relay.honest()
    report = await client.sync()
    assert report.waiting == 1  # nobody but the person lifts it
    await bo.acknowledge("C_LOG_ROLLBACK")
    assert bo.info.stop is None
    with pytest.raises(NotFound):
        bo.evidence()
    await people["ada"].sync()
    assert texts(people["ada"]) == ["Before", "Not now"]


async def test_an_entry_that_fails_its_check_stops_sending(liar: tuple[World, LyingRelay]) -> None:
    """CLT-019, CLT-021: nothing of it is stored; the rest stays readable."""
    w, relay = liar
    people = await w.sphere_of("ada", "bo")
    bo = harbour(people["bo"])
    before = bo.info.seq

    def damage(body: dict[str, Any]) -> dict[str, Any]:
        *rest, last = body["entries"]
        head, payload, signature = last.split(".")
        return {**body, "entries": [*rest, f"{head}.{payload}.{signature[::-1]}"]} if rest else body

    await harbour(people["ada"]).rotate()
    relay.lie(r"GET /v1/spheres/.*/log", damage, address=address(w, "bo"))
    report = await people["bo"].sync()
    assert report.faults == ("C_LOG_INVALID",)
    assert (bo.info.seq, bo.info.epoch) == (before, 1)
    waits(await bo.send("Not now"))
    assert people["bo"].outbox()[0].code == "C_LOG_INVALID"


async def test_two_histories_are_proven_and_never_lifted(tmp_path: Path) -> None:
    """CLT-020, CLT-021: the relay keeps two copies of the world and moves a member from one to the other."""
    async with world(tmp_path) as w:
        people = await w.sphere_of("ada", "bo")
        for name in ("ada", "bo"):
            await people[name].sync()
        shutil.copytree(tmp_path / "relay", tmp_path / "other")
        async with MemoryRelay(create_app(Settings(data=tmp_path / "other"), clock=w.clock)) as other:
            first = w.relay
            sent(await harbour(people["ada"]).send("Here"))
            await harbour(people["ada"]).rotate()
            w.network("bo").relay = other
            await harbour(people["bo"]).rotate()
            sent(await harbour(people["bo"]).send("There"))
            w.network("bo").relay = first
            report = await people["bo"].sync()
            assert "C_LOG_FORK" in report.faults
            bo = harbour(people["bo"])
            evidence = bo.evidence()
            assert evidence["code"] == "C_LOG_FORK"
            mine, theirs = evidence["mine"][0], evidence["theirs"][0]
            assert jws.decode(mine, "sph-log+1").header["prev"] == jws.decode(theirs, "sph-log+1").header["prev"]
            assert mine != theirs
            waits(await bo.send("Not now"))
            w.network("bo").relay = other
            await people["bo"].sync()
            with pytest.raises(UsageError):
                await bo.acknowledge("C_LOG_FORK")
            assert texts(people["bo"]) == ["Here", "There"]  # both were said before the histories part, or in his own


def _false_words(client: Client, *, ls: int, lh: bytes) -> str:
    """A message of ``client`` that names another log."""
    ctx, sph = client.context, harbour(client).sph
    rep = ctx.replica(sph)
    chain = intake.own_chain(ctx, sph)
    place = Place(chain.last + 1, chain.digest, ls, lh, rep.known[0].ep)
    payload = Payload("msg", bytes(16), "Trust me")
    return messages.seal(
        payload, place, sph=sph, dv=ctx.dv, signer=ctx.sign, iat=ctx.now(), rng=ctx.rng, key=rep.sending_key
    )


def _planted(compact: str) -> Any:
    """Shows one more message at the end of a stream."""

    def lie(body: dict[str, Any]) -> dict[str, Any]:
        pos = body["head"] + 1
        planted = {"pos": pos, "k": "msg", "jws": compact}
        return {"items": [*body["items"], planted], "head": pos}

    return lie


async def test_one_liar_stops_nobody_from_reading(liar: tuple[World, LyingRelay]) -> None:
    """CLT-020: a claim quarantines its sender's message and asks before sending, until the sender shows its log."""
    w, relay = liar
    people = await w.sphere_of("ada", "bo", "cy")
    bo = harbour(people["bo"])
    seq = harbour(people["cy"]).info.seq
    relay.lie(r"GET /v1/spheres/.*/items", _planted(_false_words(people["cy"], ls=seq, lh=bytes(32))),
              address=address(w, "bo"))  # fmt: skip
    sent(await harbour(people["ada"]).send("All is well"))
    await people["bo"].sync()
    relay.honest()
    assert [(m.text, m.state) for m in bo.messages()] == [("All is well", "sent"), ("", "quarantined")]
    assert bo.info.stop is None
    item = waits(await bo.send("Really?"))
    assert people["bo"].outbox()[0].question == "claim"
    await people["cy"].sync()  # asked, it can only show the log that everybody has
    await people["bo"].sync()
    await people["bo"].retry(item.id, anyway="claim")
    sent(await bo.send("Settled"))
    assert bo.info.stop is None
    assert bo.messages()[1].state == "quarantined"


async def test_nothing_is_sent_behind_an_entry_that_is_withheld(liar: tuple[World, LyingRelay]) -> None:
    """CLT-015: a message names an entry the relay hides; the text waits until the entry is shown."""
    w, relay = liar
    people = await w.sphere_of("ada", "bo", "cy")
    bo = harbour(people["bo"])
    head = bo.info.seq

    def hide(body: dict[str, Any]) -> dict[str, Any]:
        kept = [e for e in body["entries"] if jws.decode(e, "sph-log+1").header["seq"] <= head]
        return {"entries": kept, "head": body["head"]}

    def late(body: dict[str, Any]) -> dict[str, Any]:
        kept = [i for i in body["items"] if i["k"] == "msg"]
        return {**body, "items": kept}

    relay.lie(r"GET /v1/spheres/.*/log", hide, address=address(w, "bo"))
    relay.lie(r"GET /v1/spheres/.*/items", late, address=address(w, "bo"))
    await harbour(people["ada"]).remove("cy", text="Cy is gone")
    await people["bo"].sync()
    waits(await bo.send("Is Cy still here?"))
    assert people["bo"].outbox()[0].code == "E_STALE_HEAD"
    relay.honest()
    await people["bo"].sync()
    await people["ada"].sync()
    assert texts(people["ada"])[-1] == "Is Cy still here?"
    assert bo.message(bo.messages()[-1].mid).epoch == 2


async def test_a_confirmed_person_with_another_identity(w: World) -> None:
    """CLT-022: the login that was confirmed belongs to somebody else now."""
    ada = await w.first("ada")
    sphere = await ada.create_sphere("Harbour plan")
    row = {"login": "bo", "thumb": "other", "confirmed": True, "rev": 1}
    ada.context.store.run("INSERT INTO pin VALUES (?, ?)", "id-" + "A" * 43, json.dumps(row))
    await w.join("bo", await sphere.invite())
    (request,) = await sphere.requests()
    heard = hear(ada)
    await sphere.admit(request)
    assert [(e.name, e.confirmed) for e in heard if isinstance(e, IdentityChanged)] == [("bo", True)]
    waits(await sphere.send("Who are you?"))
    assert sphere.info.stop is not None
    assert sphere.info.stop.code == "C_KEY_CHANGED"
    assert sphere.person("bo").changed
    await sphere.acknowledge("C_KEY_CHANGED")
    assert ada.outbox() == []
    assert sphere.person("bo").known == "came by a link"


async def test_a_link_made_in_another_log(w: World) -> None:
    """CLT-018, INV-005: the log shown on admission is not the one the link names."""
    people = await w.sphere_of("ada", "bo")
    link = await harbour(people["ada"]).invite()
    parts = link.url.split("~")
    parts[4] = b64e(bytes(16))
    cy = await w.join("cy", "~".join(parts))
    (request,) = await harbour(people["ada"]).requests()
    await harbour(people["ada"]).admit(request)
    report = await cy.sync()
    assert "C_LOG_FORK" in report.faults
    (info,) = cy.spheres()
    assert (info.status, info.stop.code if info.stop else "") == ("asked", "C_LOG_FORK")
    assert LogFork.code == "C_LOG_FORK"


async def test_a_relay_that_merely_refuses_removes_nobody(w: World) -> None:
    """CLT-030."""
    people = await w.sphere_of("ada", "bo")
    network = w.network("bo")
    real = network.request

    async def request(method: str, path: str, *args: Any, **more: Any) -> Answer:
        if "/spheres/" in path:
            return Answer(403, b'{"code":"E_FORBIDDEN"}', {})
        return await real(method, path, *args, **more)

    network.request = request  # type: ignore[method-assign]
    report = await people["bo"].sync()
    assert report.faults == ("E_FORBIDDEN",)
    assert harbour(people["bo"]).info.status == "active"
    findings = await people["bo"].doctor("harbour")
    assert any(f.code == "E_FORBIDDEN" and "no signed entry" in f.text for f in findings)
    network.request = real  # type: ignore[method-assign]
    assert (await people["bo"].sync()).faults == ()
    sent(await harbour(people["bo"]).send("Here again"))


async def test_an_operation_of_a_newer_version_makes_read_only(liar: tuple[World, LyingRelay]) -> None:
    """CLT-021, LOG-010: not a fork, not damage: an update is needed."""
    w, relay = liar
    people = await w.sphere_of("ada", "bo")
    ctx = people["ada"].context
    state: SphereState = ctx.replica(harbour(people["ada"]).sph).known[0]
    header = {"kid": ctx.dv, "sph": state.sph, "seq": state.seq + 1, "prev": b64e(state.digest), "ep": state.ep}
    later = jws.sign("sph-log+1", header, {"op": "telepathy", "body": {}, "iat": state.iat}, ctx.sign)
    relay.lie(r"GET /v1/spheres/.*/log", lambda b: {**b, "entries": [*b["entries"], later]}, address=address(w, "bo"))
    report = await people["bo"].sync()
    assert report.faults == ("E_VERSION",)
    stop = harbour(people["bo"]).info.stop
    assert stop is not None
    assert stop.code == "E_VERSION"
    waits(await harbour(people["bo"]).send("Not now"))


FAR = 2**53 - 1


async def _misled(w: World, relay: LyingRelay, *, far: int = FAR) -> dict[str, Client]:
    """Bo was shown, once, words of Cy that name a log position nobody ever reached."""
    people = await w.sphere_of("ada", "bo", "cy")
    planted = _planted(_false_words(people["cy"], ls=far, lh=bytes(32)))
    relay.lie(r"GET /v1/spheres/.*/items", planted, address=address(w, "bo"))
    await people["bo"].sync()
    relay.honest()
    return people


async def test_a_position_nobody_reached_silences_nobody_for_good(liar: tuple[World, LyingRelay]) -> None:
    """CLT-015, CLT-036: asked, its author shows nothing; its word no longer counts, and the text goes by itself."""
    w, relay = liar
    people = await _misled(w, relay)
    bo = harbour(people["bo"])
    waits(await bo.send("Held back?"))
    assert people["bo"].outbox()[0].code == "E_STALE_HEAD"
    await people["cy"].sync()
    await people["bo"].sync()
    assert people["bo"].outbox() == []
    assert [(m.text, m.state, m.code) for m in bo.messages()] == [
        ("", "quarantined", "C_LOG_FORK"),
        ("Held back?", "sent", ""),
    ]
    again = _planted(_false_words(people["cy"], ls=FAR - 1, lh=bytes(32)))
    relay.lie(r"GET /v1/spheres/.*/items", again, address=address(w, "bo"))
    await people["bo"].sync()
    relay.honest()
    sent(await bo.send("At this head it may say what it likes"))
    await harbour(people["ada"]).rotate()
    await people["bo"].sync()
    sent(await bo.send("And what it said then does not come back"))
    assert bo.info.stop is None


async def test_whoever_does_not_answer_is_not_waited_for(liar: tuple[World, LyingRelay]) -> None:
    """CLT-036, CLT-016: after ten minutes the person is asked, and a yes sends."""
    w, relay = liar
    people = await _misled(w, relay)
    bo = harbour(people["bo"])
    item = waits(await bo.send("Still there?"))
    assert people["bo"].outbox()[0].question == ""
    w.clock.forward(claims.WAIT)
    await people["bo"].sync()
    assert people["bo"].outbox()[0].question == "claim"
    await people["bo"].retry(item.id, anyway="claim")
    assert people["bo"].outbox() == []
    await people["ada"].sync()
    assert texts(people["ada"]) == ["Still there?"]


@pytest.mark.parametrize("guarded", [True, False])
async def test_an_entry_a_member_can_show_is_waited_for(
    liar: tuple[World, LyingRelay], monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """CLT-015, CLT-036: the relay hides a removal and its head; the author of a message shows the entry, so no time and
    no yes sends anything behind it. Control: with the wait taken away the text goes to the one who was removed."""
    w, relay = liar
    people = await w.sphere_of("ada", "bo", "cy")
    bo = harbour(people["bo"])
    before = await people["bo"].context.relay.log(bo.sph, bo.info.seq, 1)
    old = {"entries": list(before.entries), "head": {"seq": before.head.seq, "h": before.head.h}}
    relay.lie(r"GET /v1/spheres/.*/log", lambda _: old, address=address(w, "bo"))
    relay.lie(
        r"GET /v1/spheres/.*/items",
        lambda b: {**b, "items": [one for one in b["items"] if one["k"] == "msg"]},
        address=address(w, "bo"),
    )
    relay.lie(  # which tells of the commit as well
        r"GET /v1/inbox",
        lambda b: {**b, "items": [one for one in b["items"] if one["k"] == "p2p"]},
        address=address(w, "bo"),
    )
    await harbour(people["ada"]).remove("cy", text="Cy is gone")
    if not guarded:
        monkeypatch.setattr(claims, "gap", lambda *_: False)
        monkeypatch.setattr(claims, "unsettled", lambda rep: {})
    relay.forge(r"POST /v1/spheres/.*/messages", lambda _: {"pos": 10**6}, address=address(w, "bo"))
    await people["bo"].sync()
    result = await bo.send("Is Cy still here?")
    assert (result.state == "sent") is not guarded
    if not guarded:
        return
    await people["ada"].sync()
    await people["bo"].sync()
    w.clock.forward(2 * claims.WAIT)
    await people["bo"].sync()
    (item,) = people["bo"].outbox()
    assert (item.question, item.code) == ("", "E_STALE_HEAD")
    relay.honest()
    await people["bo"].sync()
    await people["ada"].sync()
    assert texts(people["ada"])[-1] == "Is Cy still here?"


async def test_a_head_the_relay_named_once_is_forgotten(liar: tuple[World, LyingRelay]) -> None:
    """CLT-036: a relay that named a far head and then shows its true one does not silence the sphere for ever."""
    w, relay = liar
    people = await w.sphere_of("ada", "bo")
    bo = harbour(people["bo"])
    relay.lie(r"GET /v1/spheres/.*/log", lambda b: {**b, "head": {**b["head"], "seq": FAR}}, address=address(w, "bo"))
    await people["bo"].sync()
    waits(await bo.send("Far away"))
    relay.honest()
    await people["bo"].sync()
    assert people["bo"].outbox() == []
