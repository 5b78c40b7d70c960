"""Two people, from nothing to an answered message; then a third who comes and goes."""

from __future__ import annotations

import pytest

from cloister.client import farewell
from cloister.client.events import Admitted, MemberRemoved, MessageReceived, NewKey
from cloister.errors import CheckFailed, Forbidden, NotMember, RelayError, SignatureInvalid, UsageError
from tests.scenarios.world import PASSWORD, World, harbour, hear, sent, texts


async def test_two_people(w: World) -> None:
    """CLT-003, CLT-018, CLT-019, CLT-011: sign up, invite, join by the link, admit, speak both ways."""
    ada = await w.first("ada")
    assert ada.account.status == "open"
    sphere = await ada.create_sphere("Harbour plan", topic="boats")
    sent(await sphere.send("Which port do we use?"))
    bo = await w.join("bo", await sphere.invite())
    assert [p.state for p in bo.pending()] == ["asked"]
    (request,) = await sphere.requests()
    assert (request.name, request.by_link) == ("bo", True)
    person = await sphere.admit(request)
    assert (person.name, person.role, person.known) == ("bo", "member", "came by a link")
    await bo.sync()
    assert texts(bo) == ["Which port do we use?"]
    said = sent(await harbour(bo).send("The north one.", reply_to=harbour(bo).messages()[0]))
    assert said.kind == "comment"
    await ada.sync()
    assert [(m.name, m.text) for m in sphere.messages()] == [("ada", "Which port do we use?"), ("bo", "The north one.")]
    assert sphere.safety_number("bo") == harbour(bo).safety_number("ada")
    assert sphere.head_code() == harbour(bo).head_code()
    info = harbour(bo).info
    assert (info.title, info.topic, info.members, info.confirmed_by_inviter) == ("Harbour plan", "boats", 2, True)
    assert [p.name for p in harbour(bo).people()] == ["ada", "bo"]


async def test_what_changes_a_message(w: World) -> None:
    """CLT-011: edits by the author, deletions by author or moderator, reactions; others' attempts change nothing."""
    people = await w.sphere_of("ada", "bo")
    ada, bo = harbour(people["ada"]), harbour(people["bo"])
    said = sent(await bo.send("Frday"))
    await bo.edit(said, "Friday")
    await people["ada"].sync()
    seen = ada.messages()[-1]
    assert (seen.text, seen.edited) == ("Friday", True)
    await ada.react(seen, "⚓")
    with pytest.raises(UsageError):
        await ada.edit(seen, "Monday")
    await people["bo"].sync()
    assert bo.message(said.mid).reactions == (("⚓", ("ada",)),)
    await ada.react(seen, "⚓", on=False)
    await ada.delete(seen)
    await people["bo"].sync()
    gone = bo.message(said.mid)
    assert (gone.deleted, gone.text, gone.reactions) == (True, "", ())
    hers = sent(await ada.send("Mine"))
    await people["bo"].sync()
    with pytest.raises(UsageError):
        await bo.delete(hers.mid)


async def test_three_people_and_a_removal(w: World) -> None:
    """CLT-013, CLT-030: removal and new key are one commit; the removed one can read nothing that follows."""
    people = await w.sphere_of("ada", "bo", "cy")
    ada, bo, cy = (harbour(people[n]) for n in ("ada", "bo", "cy"))
    sent(await cy.send("Hello"))
    heard = hear(people["bo"])
    await ada.remove("cy", text="Cy is gone")
    await people["bo"].sync()
    assert texts(people["bo"]) == ["Hello", "Cy is gone"]
    assert [type(e) for e in heard if isinstance(e, MemberRemoved | NewKey)] == [MemberRemoved, NewKey]
    assert [e.message.text for e in heard if isinstance(e, MessageReceived)][-1] == "Cy is gone"
    assert bo.info.epoch == ada.info.epoch == 2
    report = await people["cy"].sync()
    assert report.faults == ()
    assert cy.info.status == "removed"
    assert [m.text for m in cy.messages()] == ["Hello"]
    with pytest.raises(NotMember):
        await cy.send("Still here?")
    with pytest.raises((Forbidden, CheckFailed)):
        await people["cy"].relay.items(cy.sph, 0)


async def test_without_a_link_nothing_is_believed(w: World) -> None:
    """CLT-018: no key leaves before somebody says the digits were compared."""
    people = await w.sphere_of("ada", "bo")
    ada = harbour(people["ada"])
    other = await people["ada"].create_sphere("Board")
    await people["bo"].join(f"{w.relay.origin}/j#{other.sph}")
    (request,) = await other.requests()
    assert (request.by_link, request.safety) == (False, ada.safety_number("bo"))
    with pytest.raises(UsageError):
        await other.admit(request)
    assert other.info.members == 1
    await other.show_card(request)
    await people["bo"].sync()
    assert {p.sph: p.safety for p in people["bo"].pending()}[other.sph] == request.safety
    await other.admit(request, confirmed=True)
    await people["bo"].sync()
    assert people["bo"].sphere("board").info.have_key
    assert other.person("bo").known == "confirmed in person"


async def test_auto_admission_and_a_used_up_link(w: World) -> None:
    """CLT-018: a link made with admit auto; after its uses are gone it opens nothing."""
    people = await w.sphere_of("ada", "bo")
    sphere = await people["ada"].create_sphere("Board")
    link = await sphere.invite(uses=1, admit="auto")
    heard = hear(people["bo"])
    await people["bo"].join(link.url)
    await people["ada"].sync()
    await people["bo"].sync()
    assert people["bo"].sphere("board").info.members == 2
    assert [e.title for e in heard if isinstance(e, Admitted)] == ["Board"]
    late = await w.open("di")
    with pytest.raises(RelayError):
        await late.create_account("di", PASSWORD.format("di"), invite_link=link.url)
    assert late.account.status == "new"


async def test_a_members_promise_to_admit_ends_with_his_right(w: World) -> None:
    """CLT-018: while only owners and admins may admit, a member's auto link needs a person."""
    people = await w.sphere_of("ada", "bo")
    ada, bo = harbour(people["ada"]), harbour(people["bo"])
    await ada.set_policy(join="any")
    await people["bo"].sync()
    link = await bo.invite(admit="auto")
    await ada.set_policy(join="approve")
    await w.join("cy", link)
    await people["ada"].sync()
    assert ada.info.members == 2
    assert [one.name for one in await ada.requests()] == ["cy"]
    await ada.set_policy(join="any")
    await people["ada"].sync()
    assert ada.info.members == 3


async def test_removed_while_behind(w: World) -> None:
    """CLT-030: who had not fetched the entries before its removal still knows it was removed, and by whom."""
    people = await w.sphere_of("ada", "bo")
    ada, bo = harbour(people["ada"]), harbour(people["bo"])
    await ada.set_meta(topic="boats")
    await ada.remove("bo")
    report = await people["bo"].sync()
    assert (report.faults, bo.info.status, bo.info.stop) == ((), "removed", None)


async def test_a_forged_farewell_changes_nothing(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """CLT-030: a removal whose signature fails is the relay's word only; the test above shows the good one believed."""
    people = await w.sphere_of("ada", "bo")
    ada, bo = harbour(people["ada"]), harbour(people["bo"])
    await ada.set_meta(topic="boats")
    await ada.remove("bo")

    def refuse(envelope: object, public: bytes) -> None:
        raise SignatureInvalid("as if forged")

    with monkeypatch.context() as patch:
        patch.setattr(farewell.jws, "verify_ed25519", refuse)
        report = await people["bo"].sync()
    assert bo.info.status == "active"
    assert bo.info.stop is None
    assert "E_FORBIDDEN" in report.faults
