"""A yes is good for what was shown, and for nothing else: questions about waiting texts, switches of mode, titles.

A colluding member and a patient relay change what a person is about to agree to: between the question and the answer,
and between what was written and the commit that carries it.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from cloister.client import people as pins
from cloister.client.events import ItemHeld
from cloister.errors import Conflict
from cloister.protocol.encoding import b64d
from tests.hostile.colluding import in_clear, spoken
from tests.hostile.world import ADDRESSES, HostileWorld
from tests.scenarios.world import harbour, hear, sent, texts, waits


async def _asked_whether_confirmed(hw: HostileWorld) -> tuple[Any, Any, str]:
    """Bo wrote while everybody was confirmed; somebody came in, and he is asked about that."""
    people = await hw.sphere_of("ada", "bo")
    ada, bo = people["ada"], people["bo"]
    with bo.context.store.step():
        pins.put_pin(bo.context.store, ada.account.id, confirmed=True)
    hw.network("bo").up = False
    item = waits(await harbour(bo).send("For us only"))
    await hw.join("cy", await harbour(ada).invite())
    (request,) = await harbour(ada).requests()
    await harbour(ada).admit(request)
    hw.network("bo").up = True
    await bo.sync()
    (held,) = bo.outbox()
    assert (held.id, held.question) == (item.id, "confirmed")
    return ada, bo, item.id


@pytest.mark.parametrize("read", [True, False])
async def test_a_yes_to_one_question_is_none_to_another(hw: HostileWorld, read: bool) -> None:
    """CLT-016: encryption is turned off while a person thinks about something else; the text does not go in clear."""
    ada, bo, item = await _asked_whether_confirmed(hw)
    await harbour(ada).set_mode("open")
    if read:  # the switch is here already when the person answers what is shown
        await bo.sync()
    since = len(hw.liar.calls)
    await bo.retry(item, anyway="confirmed")
    (held,) = bo.outbox()
    assert (held.state, held.question) == ("held", "open")
    assert not any(in_clear(one) for one in spoken(hw.liar.calls[since:]))
    assert harbour(bo).info.switched is not None
    other = waits(await harbour(bo).send("And another"))
    await bo.retry(item, anyway="open")
    clear = [one for one in spoken(hw.liar.calls[since:]) if in_clear(one)]
    assert [json.loads(b64d(one.split(".")[1]))["t"] for one in clear] == ["For us only"]
    assert [(one.id, one.question) for one in bo.outbox()] == [(other.id, "open")]


async def test_a_held_text_asks_what_is_to_be_answered_now(hw: HostileWorld) -> None:
    """CLT-016: the log brings another mode while the question stands; the question follows, and is told."""
    ada, bo, item = await _asked_whether_confirmed(hw)
    heard = hear(bo)
    await harbour(ada).set_mode("open")
    await bo.sync()
    assert [one.question for one in bo.outbox()] == ["open"]
    await harbour(ada).set_mode("public")
    await bo.sync()
    assert [e.item.question for e in heard if isinstance(e, ItemHeld)] == ["open", "public"]
    for other in ("open", "confirmed"):
        await bo.retry(item, anyway=other)
        assert [one.question for one in bo.outbox()] == ["public"]


async def test_a_yes_to_members_and_server_is_none_to_everybody(hw: HostileWorld) -> None:
    """CLT-016, CLT-042: open was shown and agreed to, by answer or beside the sphere; public is asked about again."""
    people = await hw.sphere_of("ada", "bo")
    ada, bo = people["ada"], people["bo"]
    await harbour(ada).set_mode("open")
    await bo.sync()
    item = waits(await harbour(bo).send("For us and the server"))
    assert [one.question for one in bo.outbox()] == ["open"]
    await harbour(ada).set_mode("public")
    await harbour(bo).accept_mode("open")  # what was shown; the switch is in the log, and not read yet
    await bo.retry(item.id, anyway="open")
    assert [one.question for one in bo.outbox()] == ["public"]
    assert harbour(bo).info.switched is not None
    await harbour(bo).accept_mode("open")
    assert harbour(bo).info.switched is not None
    await bo.retry(item.id, anyway="public")
    assert (bo.outbox(), harbour(bo).info.switched) == ([], None)


async def test_a_title_written_under_encryption_is_not_published(hw: HostileWorld) -> None:
    """CLT-042: the switch comes with the commit's own look at the log."""
    people = await hw.sphere_of("ada", "bo")
    ada, bo = harbour(people["ada"]), harbour(people["bo"])
    await ada.set_role("bo", "admin")
    await people["bo"].sync()
    await ada.set_mode("open")
    assert bo.info.mode == "e2ee"
    since = len(hw.liar.calls)
    for _ in range(2):  # nor afterwards, before this person has answered
        with pytest.raises(Conflict):
            await bo.set_meta(title="Raid at dawn")
    assert not any(call.path.endswith("/commits") for call in hw.liar.calls[since:])
    await bo.accept_mode("open")
    await bo.set_meta(title="Harbour, open to all")
    assert bo.log()[-1].body == {"title": "Harbour, open to all", "topic": "", "icon": ""}


async def test_a_new_title_takes_nothing_sealed_along(hw: HostileWorld) -> None:
    """CLT-042, META-005: what is not named stays as it was, but what was sealed stays sealed."""
    people = await hw.sphere_of("ada")
    ada = harbour(people["ada"])
    await ada.set_meta(title="Harbour plan", topic="where the key is hidden", icon="x")
    await ada.set_mode("open")
    await ada.set_meta(title="Harbour")
    assert ada.log()[-1].body == {"title": "Harbour", "topic": "", "icon": ""}
    await ada.set_meta(topic="for all to read")
    assert ada.log()[-1].body == {"title": "Harbour", "topic": "for all to read", "icon": ""}
    assert (ada.info.title, ada.info.topic) == ("Harbour", "for all to read")


async def test_a_switch_weakens_nothing_stronger_than_its_owner_saw(hw: HostileWorld) -> None:
    """CLT-042: one owner takes public back, another has turned encryption on meanwhile."""
    people = await hw.sphere_of("ada", "bo")
    ada, bo = harbour(people["ada"]), harbour(people["bo"])
    await ada.set_role("bo", "owner")
    await ada.set_mode("public")
    await people["bo"].sync()
    await bo.accept_mode("public")
    await ada.set_mode("e2ee")
    assert bo.info.mode == "public"
    with pytest.raises(Conflict):
        await bo.set_mode("open")
    assert bo.info.mode == "e2ee"
    with pytest.raises(Conflict):
        await bo.set_mode("open", seen="public")  # a dialog that stood open all the time
    await bo.set_mode("open")
    assert bo.info.mode == "open"


async def test_words_of_a_commit_are_judged_on_the_head_it_builds_on(hw: HostileWorld) -> None:
    """CLT-042: the look at the chains of who is removed brings the switch, after the words were judged."""
    people = await hw.sphere_of("ada", "bo", "cy")
    ada, bo, cy = (people[name] for name in ("ada", "bo", "cy"))
    await harbour(ada).set_role("bo", "admin")
    await bo.sync()
    state, _ = bo.context.replica(harbour(bo).sph).known
    sent(await harbour(cy).send("One more"))
    await harbour(ada).set_mode("open")
    shown: list[str] = []

    def old(page: Any) -> Any:
        """The log as bo knows it, until he has asked for the heads of the chains."""
        return page if shown else {"entries": page["entries"][:1], "head": {"seq": state.seq, "h": page["head"]["h"]}}

    def heads(page: Any) -> Any:
        shown.append("heads")
        return page

    hw.liar.lie(rf"GET /v1/spheres/{state.sph}/log", old, address=ADDRESSES["bo"])
    hw.liar.lie(rf"GET /v1/spheres/{state.sph}/heads", heads, address=ADDRESSES["bo"])
    since = len(hw.liar.calls)
    await harbour(bo).remove("cy", text="cy told our plan to everybody")
    assert shown
    assert spoken(hw.liar.calls[since:]) == []
    assert [(one.state, one.question) for one in bo.outbox()] == [("held", "open")]
    await ada.sync()
    assert "cy told our plan to everybody" not in texts(ada)
