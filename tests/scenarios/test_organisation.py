"""One secret from which many spheres' keys derive: who can, who cannot, and what follows what."""

from __future__ import annotations

import pytest

from cloister.client import Client, Sphere, organisation, outbox
from cloister.errors import KeyUnknown, UsageError
from cloister.sphere import epoch
from cloister.sphere.epoch import EpochKey
from tests.scenarios.world import World, sent, waits


async def let_in(w: World, sphere: Sphere, name: str) -> Client:
    """Somebody by a link of ``sphere``: a new account, or the one of an earlier time."""
    link = await sphere.invite()
    if name in w.clients:
        client = w.clients[name]
        await client.join(link.url)
    else:
        client = await w.join(name, link)
    (request,) = await sphere.requests()
    await sphere.admit(request)
    await client.sync()
    return client


async def rounds(*clients: Client) -> None:
    """Everybody looks twice: what one says in a sphere another hears in the next."""
    for _ in range(2):
        for client in clients:
            await client.sync()


def said(client: Client, sphere: Sphere) -> list[str]:
    return [m.text if m.state == "sent" else m.state for m in client.sphere(sphere.sph).messages()]


async def test_keys_come_from_the_organisation(w: World) -> None:
    """EPO-004, CLT-062: no share travels, every member derives; who comes later to the organisation reads what its
    history gives; two spheres of one secret have different keys."""
    ada = await w.first("ada")
    firm = await ada.create_sphere("Firm", kind="org")
    board = await ada.create_sphere("Board", org=firm.sph)
    canteen = await ada.create_sphere("Canteen", org=firm.sph)
    assert (board.info.kind, board.info.org, firm.info.kind) == ("sphere", firm.sph, "org")
    assert board._rep.keys[1].secret != canteen._rep.keys[1].secret
    root = firm._rep.keys[1]
    assert board._rep.keys[1] == epoch.derive_org(root, board._rep.keys[1].prev, board.sph, 1)
    sent(await board.send("First"))
    with pytest.raises(UsageError):
        await let_in(w, board, "bo")
    bo = await let_in(w, firm, "bo")
    (request,) = await board.requests()
    await board.admit(request)
    posted = len(w.networks["ada"].log)
    await rounds(bo, ada, bo)
    assert not any(method == "POST" and "post" in path for method, path in w.networks["ada"].log[posted:])
    assert said(bo, board) == ["First"]
    sent(await bo.sphere(board.sph).send("From bo"))
    await ada.sync()
    assert said(ada, board) == ["First", "From bo"]
    phone = await w.second_device("ada", "phone")
    await rounds(ada, phone)
    assert said(phone, board) == ["First", "From bo"]


async def test_a_new_key_there_brings_one_here(w: World) -> None:
    """CLT-062: whoever was removed from the organisation derives no key of its spheres any more, because the next word
    waits for the organisation's new key and then for the sphere's."""
    ada, bo, cy, firm, board = await _firm(w)
    sent(await bo.sphere(board.sph).send("All three"))
    await cy.sync()
    assert said(cy, board) == ["All three"]
    await cy.sphere(firm.sph).leave()
    stolen = dict(cy.sphere(firm.sph)._rep.keys)
    await rounds(bo, ada)
    assert firm.info.marked
    sent(await bo.sphere(board.sph).send("Without cy"))
    assert (bo.sphere(firm.sph).info.epoch, bo.sphere(board.sph).info.epoch) == (2, 2)
    await rounds(ada)
    assert said(ada, board) == ["All three", "Without cy"]
    entry = board._rep.known[1].epoch(2)
    assert entry.m == 2
    for root in stolen.values():
        assert epoch.derive_org(root, entry.prev, board.sph, 2).secret != board._rep.keys[2].secret
    await cy.sync()
    assert said(cy, board) == ["All three", "unreadable"]


async def test_control_a_sphere_that_does_not_follow(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """CLT-062: without the two rules the next word goes under a key that the removed member derives."""
    ada = await w.first("ada")
    firm = await ada.create_sphere("Firm", kind="org")
    board = await ada.create_sphere("Board", org=firm.sph)
    for sphere in (firm, board):
        await let_in(w, sphere, "cy")
    cy = w.clients["cy"]
    await rounds(ada, cy)
    await cy.sphere(firm.sph).leave()
    await ada.sync()
    monkeypatch.setattr(organisation, "of", lambda *_: None)
    sent(await board.send("Without cy"))
    monkeypatch.undo()
    await cy.sync()
    assert said(cy, board) == ["Without cy"]


async def test_without_the_organisations_key_nothing_goes_out(w: World) -> None:
    """CLT-062: a text waits for it; an ordinary sphere is no organisation, and none has another above it."""
    ada = await w.first("ada")
    firm = await ada.create_sphere("Firm", kind="org")
    plain = await ada.create_sphere("Harbour plan")
    with pytest.raises(UsageError):
        await ada.create_sphere("Board", org=plain.sph)
    board = await ada.create_sphere("Board", org=firm.sph)
    with pytest.raises(UsageError):
        await ada.create_sphere("Firm of firms", kind="org", org=firm.sph)
    store = ada.context.store
    with store.step():
        store.run("DELETE FROM epoch_key WHERE sph IN (?, ?)", firm.sph, board.sph)
    ada.context.replicas.clear()
    real = ada.relay.slot

    async def none(name: str, token: str | None = None) -> object:
        if name.startswith("e."):
            raise KeyUnknown(name)
        return await real(name, token)

    ada.relay.slot = none  # type: ignore[method-assign, assignment]
    assert waits(await board.send("Hello?")).code == "C_KEY_UNKNOWN"
    ada.relay.slot = real  # type: ignore[method-assign]
    await rounds(ada)
    assert said(ada, board) == ["Hello?"]
    assert board.info.epoch == 1


async def test_a_key_that_nobody_can_derive_is_replaced(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """CLT-062: a member makes an epoch of another secret than EPO-004 gives. Nobody uses it, and the next word of
    another member goes under a right one; it is not asked for, so the liar cannot hand it out either."""
    ada = await w.first("ada")
    firm = await ada.create_sphere("Firm", kind="org")
    board = await ada.create_sphere("Board", org=firm.sph)
    for sphere in (firm, board):
        await let_in(w, sphere, "bo")
    bo = w.clients["bo"]
    await rounds(ada, bo)

    def otherwise(org: EpochKey, prev: bytes, sph: str, n: int) -> EpochKey:
        return EpochKey(sph, n, bytes(32), epoch.commitment(bytes(32), prev, sph, n), prev)

    monkeypatch.setattr(epoch, "derive_org", otherwise)
    await board.rotate()
    monkeypatch.undo()
    await rounds(bo, ada, bo)
    there = bo.sphere(board.sph)
    assert (there.info.epoch, there.info.have_key) == (2, False)
    sent(await there.send("Under a right one"))
    assert there.info.epoch == 3
    await rounds(ada)
    assert said(ada, board) == ["Under a right one"]


async def test_a_key_that_the_organisation_does_not_have_is_replaced(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """CLT-062: an epoch names a key far ahead. The next speaker makes one there, which the relay takes, and one here;
    once for such an epoch, and an ordinary key here follows again. Control: without the rule nobody speaks any more."""
    ada = await w.first("ada")
    firm = await ada.create_sphere("Firm", kind="org")
    board = await ada.create_sphere("Board", org=firm.sph)
    for sphere in (firm, board):
        await let_in(w, sphere, "bo")
    bo = w.clients["bo"]
    await rounds(ada, bo)
    far = EpochKey(firm.sph, 4_000_000_000, bytes(32), bytes(32), bytes(32))
    with monkeypatch.context() as liar:
        liar.setattr(organisation, "key", lambda ctx, rep: far if rep.sph == board.sph else None)
        await bo.sphere(board.sph).rotate()
    await ada.sync()
    with monkeypatch.context() as weak:
        weak.setattr(organisation, "beyond", lambda org, rep: False)
        assert waits(await board.send("Hello?")).code == "C_KEY_UNKNOWN"
        w.clock.forward(3600)
        await rounds(ada)
        assert [one.code for one in ada.outbox()] == ["C_KEY_UNKNOWN"]
    await rounds(ada, bo)
    assert said(bo, board) == ["Hello?"]
    assert (firm.info.epoch, board.info.epoch, board._rep.known[1].epoch(3).m) == (2, 3, 2)
    sent(await bo.sphere(board.sph).send("Here"))
    await rounds(ada, bo)
    assert (firm.info.epoch, board.info.epoch, said(ada, board)) == (2, 3, ["Hello?", "Here"])


async def _firm(w: World) -> tuple[Client, Client, Client, Sphere, Sphere]:
    """Ada's organisation and a sphere of it; Bo and Cy are in both."""
    ada = await w.first("ada")
    firm = await ada.create_sphere("Firm", kind="org")
    board = await ada.create_sphere("Board", org=firm.sph)
    for name in ("bo", "cy"):
        await let_in(w, firm, name)
        await let_in(w, board, name)
    bo, cy = w.clients["bo"], w.clients["cy"]
    await rounds(ada, bo, cy)
    return ada, bo, cy, firm, board


@pytest.mark.parametrize("weak", [False, True], ids=["", "control"])
async def test_the_organisation_is_looked_at_before_every_word(
    w: World, monkeypatch: pytest.MonkeyPatch, weak: bool
) -> None:
    """CLT-062: Cy is gone and the new key made, of which Bo has heard nothing; he hears of it before he speaks.
    Control: who goes by what he knew says it to Cy too."""
    _, bo, cy, firm, board = await _firm(w)
    await firm.remove("cy")
    there = bo.sphere(board.sph)
    if weak:
        monkeypatch.setattr(outbox, "organisation_first", _nothing)
    sent(await there.send("Without cy"))
    await cy.sync()
    assert said(cy, board) == (["Without cy"] if weak else ["unreadable"])
    assert there.info.epoch == (1 if weak else 2)


@pytest.mark.parametrize("weak", [False, True], ids=["", "control"])
async def test_the_organisation_is_looked_at_before_a_title_too(
    w: World, monkeypatch: pytest.MonkeyPatch, weak: bool
) -> None:
    """CLT-062: a title is sealed under the sphere's key like a word. Control: by what Bo knew, Cy reads the new one."""
    ada, bo, cy, firm, board = await _firm(w)
    await board.set_meta(title="All three")
    await board.set_role("bo", "admin")
    await rounds(bo, cy)
    await firm.remove("cy")
    if weak:
        monkeypatch.setattr(outbox, "organisation_first", _nothing)
    await bo.sphere(board.sph).set_meta(title="Without cy")
    await rounds(ada, cy)
    assert (board.info.title, board.info.epoch) == ("Without cy", 1 if weak else 2)
    assert cy.sphere(board.sph).info.title == ("Without cy" if weak else "All three")


async def _nothing(*_: object) -> None:
    return None


@pytest.mark.parametrize("weak", [False, True], ids=["", "control"])
async def test_a_guest_waits_for_the_new_key(w: World, monkeypatch: pytest.MonkeyPatch, weak: bool) -> None:
    """CLT-062, CLT-016: a guest makes no key, and says nothing under one that somebody who is gone can derive. Control:
    where only a hard mark of the sphere itself counts, it does."""
    ada, bo, cy, firm, board = await _firm(w)
    await board.set_role("bo", "guest")
    await board.rotate()
    await rounds(ada, bo, cy)
    await firm.remove("cy")
    await rounds(bo)
    there = bo.sphere(board.sph)
    assert organisation.behind(bo.context, there._rep)
    if weak:
        monkeypatch.setattr(organisation, "behind", lambda ctx, rep: False)
        sent(await there.send("Without cy"))
        await cy.sync()
        assert said(cy, board)[-1] == "Without cy"
        return
    assert waits(await there.send("Without cy")).code == "E_STALE_EPOCH"
    sent(await board.send("A new key"))
    await rounds(bo, ada)
    assert said(ada, board) == ["A new key", "Without cy"]
    await cy.sync()
    assert set(said(cy, board)) == {"unreadable"}


async def test_an_organisation_stays_encrypted(w: World) -> None:
    """ROLE-005, ROLE-014: in another mode a removal would bring no key there, and its spheres would go on under the
    old one."""
    ada, _, _, firm, board = await _firm(w)
    for mode in ("open", "public"):
        with pytest.raises(UsageError):
            await firm.set_mode(mode)  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        await ada.create_sphere("Open firm", kind="org", mode="open")
    await board.set_mode("open")
    assert (firm.info.mode, board.info.mode) == ("e2ee", "open")
