"""Shares that came before their entry are kept; they keep nothing else from being read."""

from __future__ import annotations

from tests.scenarios.world import World, harbour, sent, texts


async def test_a_share_of_a_sphere_that_refuses_does_not_end_the_round(w: World) -> None:
    """CLT-017, CLT-030: removed before a new key's entry was read, bo still hears what is said elsewhere."""
    people = await w.sphere_of("ada", "bo", "cy")
    bo, cy = people["bo"], people["cy"]
    board = await cy.create_sphere("Board")
    await bo.join((await board.invite()).url)
    (request,) = await board.requests()
    await board.admit(request)
    await bo.sync()
    await harbour(people["ada"]).rotate()
    await harbour(people["ada"]).remove("bo")
    for text in ("First", "Second"):
        sent(await board.send(text))
        report = await bo.sync()
        assert report.faults == ()
        assert texts_of(bo, "Board")[-1] == text
    assert [one.status for one in bo.spheres(past=True)] == ["active", "removed"]
    assert texts(bo) == []


def texts_of(client: object, title: str) -> list[str]:
    """Readable texts of a sphere."""
    return [m.text for m in client.sphere(title).messages() if m.state == "sent"]  # type: ignore[attr-defined]


async def test_admitted_and_removed_again_unseen(w: World) -> None:
    """CLT-030: the relay says that a request was granted and refuses the log; what is said elsewhere is heard."""
    people = await w.sphere_of("ada", "bo")
    ada, bo = people["ada"], people["bo"]
    board = await ada.create_sphere("Board")
    await bo.join((await board.invite()).url)
    (request,) = await board.requests()
    await board.admit(request)
    await board.remove("bo")
    for text in ("First", "Second"):
        sent(await harbour(ada).send(text))
        assert (await bo.sync()).faults == ()
        assert texts(bo)[-1] == text
