"""Public spheres: anybody with the link reads what was said since, verified; nobody reads anything else."""

from __future__ import annotations

import pytest

from cloister.client.public import PublicReader
from cloister.errors import Forbidden, RateLimited, UsageError
from tests.scenarios.world import World, harbour, sent


def _reader(w: World, link: str) -> PublicReader:
    return PublicReader(link, transport=w.network("nobody"), clock=w.clock)


async def _said(w: World, link: str) -> list[tuple[str, str]]:
    async with _reader(w, link) as reader:
        await reader.fetch()
        return [(m.name, m.text) for m in reader.messages()]


async def test_read_by_anybody_and_only_what_was_said_since(w: World) -> None:
    """CLT-044, API-027: with edits and deletions applied; sealed words, the sealed title and what was said while the
    sphere was open to its members only are not even sent."""
    people = await w.sphere_of("ada", "bo")
    ada, bo = harbour(people["ada"]), harbour(people["bo"])
    sent(await ada.send("Sealed"))
    await ada.set_mode("open")
    sent(await ada.send("For members, in clear"))
    await ada.set_mode("public", title="Harbour notices")
    first = sent(await ada.send("Ferry at nine"))
    await people["bo"].sync()
    await bo.accept_mode("public")
    sent(await bo.send("At ten on Sundays", reply_to=first))
    gone = sent(await bo.send("Not for long"))
    sent(await bo.delete(gone))
    await people["ada"].sync()
    sent(await ada.edit(first, "Ferry at half past nine"))
    link = ada.public_link()
    async with _reader(w, link) as reader:
        info = await reader.fetch()
        assert (info.title, info.members) == ("Harbour notices", 2)
        rows = reader.messages()
        assert [(m.name, m.text, m.deleted) for m in rows] == [
            ("ada", "Ferry at half past nine", False), ("bo", "At ten on Sundays", False), ("bo", "", True),
        ]  # fmt: skip
        assert all(m.open for m in rows)
        shown = reader._store.all("SELECT jws FROM message")
        assert len(shown) == 5
    path = f"/v1/public/{ada.sph}/items"
    for query in ("?after=0", "?before=100000", "?before=3"):
        answer = await w.network("nobody").request("GET", path + query)
        assert b"A256GCM" not in answer.body
        assert answer.body.count(b'"msg"') <= 5
    sent(await ada.send("And a new one"))
    assert (await _said(w, link))[-1] == ("ada", "And a new one")
    # Private again: the same link reads nothing more, of any time.
    await ada.set_mode("e2ee")
    with pytest.raises(Forbidden):
        await _said(w, link)


@pytest.mark.parametrize("mode", ["e2ee", "open"])
async def test_nobody_reads_what_is_not_public(w: World, mode: str) -> None:
    """API-027: refused with the same bytes as a sphere that does not exist."""
    people = await w.sphere_of("ada")
    ada = harbour(people["ada"])
    if mode == "open":
        await ada.set_mode("open")
    sent(await ada.send("Ours"))
    other = "sp-" + "A" * 43
    for rest in ("log?from=0", "items?after=0", "attach/" + "A" * 43):
        refused = await w.network("nobody").request("GET", f"/v1/public/{ada.sph}/{rest}")
        absent = await w.network("nobody").request("GET", f"/v1/public/{other}/{rest}")
        assert (refused.status, refused.body) == (absent.status, absent.body) == (403, b'{"code":"E_FORBIDDEN"}')


async def test_other_links_are_refused(w: World) -> None:
    """INV-004: an invitation is no link for reading, and a secret is not repeated in words."""
    ada = harbour((await w.sphere_of("ada"))["ada"])
    invite = (await ada.invite()).url
    for text in (invite, f"http://localhost:8420/j#{ada.sph}", "http://localhost:8420/p#x", ""):
        with pytest.raises(UsageError) as caught:
            PublicReader(text, transport=w.network("nobody"))
        assert not text or text not in str(caught.value)


async def test_a_reader_is_slowed_like_everybody(w: World) -> None:
    """LIM-001: reading without a session is bounded by the address."""
    ada = harbour((await w.sphere_of("ada"))["ada"])
    await ada.set_mode("public")
    codes = set()
    for _ in range(1000):
        answer = await w.network("nobody").request("GET", f"/v1/public/{ada.sph}/items?after=0&limit=1")
        codes.add(answer.status)
        if answer.status == 429:
            break
    assert codes == {200, 429}
    with pytest.raises(RateLimited):
        await _said(w, ada.public_link())
