"""A sphere's keys kept outside: saved, checked, taken back, and believed by nobody but the log."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cloister.account import slot_names
from cloister.client import Client, Sphere
from cloister.errors import (
    CommitmentMismatch,
    DecryptFailed,
    FormatError,
    NotFound,
    UsageError,
    VaultError,
    WeakPassword,
)
from cloister.sphere import epoch, export
from cloister.sphere.epoch import EpochEntry, EpochKey
from tests.scenarios.world import World, harbour, sent, texts

WORDS = "lantern orbit mussel cobalt thistle"


def held(sphere: Sphere) -> list[int]:
    """Numbers of the keys that are here."""
    return [n for n, here in sphere.keys() if here]  # noqa: SIM118 - not a dict


async def test_a_sphere_counts_as_saved_once_its_text_was_read_back(w: World) -> None:
    """CLT-060, EXP-005: not when it was made; a newer key is not in it; the other devices of the person know."""
    ada = await w.first("ada")
    sphere = await ada.create_sphere("Harbour plan")
    other = await ada.create_sphere("Board")
    kept = await sphere.save_keys()
    assert (kept.keys, sphere.info.saved) == ((1,), 0)
    theirs = await other.save_keys()
    for text, code, error in (
        (theirs.text, theirs.code, CommitmentMismatch),
        (kept.text, theirs.code, VaultError),
        (kept.text, kept.code[:-1], FormatError),
        (kept.text[:-3] + ("AAA" if kept.text[-3:] != "AAA" else "BAA"), kept.code, DecryptFailed),
        (kept.text[:-9], kept.code, FormatError),
    ):
        with pytest.raises(error):
            await sphere.check_saved(text, code)
        assert sphere.info.saved == 0
    assert await sphere.check_saved(f"  {kept.text}\n", kept.code.upper().replace("-", " ")) == 1
    assert sphere.info.saved == 1
    await sphere.rotate()
    assert (sphere.info.epoch, sphere.info.saved) == (2, 1)
    await ada.sync()
    phone = await w.second_device("ada", "phone")
    assert phone.sphere(sphere.sph).info.saved == 1
    later = await phone.sphere(sphere.sph).save_keys()
    assert await phone.sphere(sphere.sph).check_saved(later.text, later.code) == 2
    assert other.info.saved == 0


async def test_a_passphrase_opens_it_instead(w: World) -> None:
    """EXP-006: five words and more, not among the first guesses; blanks between them do not matter."""
    ada = await w.first("ada")
    sphere = await ada.create_sphere("Harbour plan")
    for weak in ("one two three four", "a a a a a"):
        with pytest.raises(WeakPassword):
            await sphere.save_keys(weak)
    kept = await sphere.save_keys(WORDS)
    assert kept.code == ""
    assert ada.read_saved(kept.text).by == "words"
    assert await sphere.check_saved(kept.text, f"  {WORDS.replace(' ', '   ')} ") == 1


async def _alone(w: World) -> tuple[Client, str, str, str]:
    """A sphere of device custody whose keys one device holds, saved; that device is gone, a new one is here."""
    ada = await w.first("ada")
    tablet = await w.second_device("ada", "tablet")
    await ada.sync()
    sphere = await ada.create_sphere("Harbour plan", custody="device")
    sent(await sphere.send("First"))
    await sphere.rotate()
    sent(await sphere.send("Second"))
    kept = await sphere.save_keys()
    await sphere.check_saved(kept.text, kept.code)
    await ada.sync()
    for client in (ada, tablet):
        await client.sign_out(wipe=True)
    return await w.second_device("ada", "new"), sphere.sph, kept.text, kept.code


async def test_all_keys_are_back_after_a_wipe(w: World) -> None:
    """CLT-060: export, wipe, sign in, import. Nobody else is online, and the server has nothing to give."""
    new, sph, text, code = await _alone(w)
    sphere = new.sphere(sph)
    assert [m.state for m in sphere.messages()] == ["unreadable", "unreadable"]
    assert held(sphere) == []
    said = new.read_saved(text)
    assert (said.sph, said.by, said.keys, said.known) == (sph, "code", (1, 2), True)
    with pytest.raises(VaultError):
        await new.import_keys(text, export.show_code(bytes(16)))
    assert held(sphere) == []
    taken = await new.import_keys(text, code)
    assert (taken.new, taken.had, taken.waiting, taken.refused) == ((1, 2), (), (), ())
    assert [m.text for m in sphere.messages()] == ["First", "Second"]
    assert sphere.info.title == "Harbour plan"
    sent(await sphere.send("Third"))
    assert (await new.import_keys(text, code)).had == (1, 2)


async def test_a_text_that_lies_gives_nothing(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """EXP-008: a text of other secrets for this sphere, sealed under a code its maker knows, is refused key by key; the
    control believes what it says, and the device would speak under the liar's key."""
    new, sph, text, code = await _alone(w)
    sphere = new.sphere(sph)
    said = export.parse(text)
    found = export.open(said, export.read_code(code))
    lies = [EpochKey(sph, n, bytes([n]) * 32, said.kcs[n - 1], b"") for n in (1, 2)]
    half = [replace(lies[0], secret=found[1]), lies[1]]
    other = export.new_code(new.context.rng)

    def sealed(keys: list[EpochKey]) -> str:
        return export.seal(keys, export.read_code(other), iat=0, rng=new.context.rng)

    with pytest.raises(CommitmentMismatch):
        await new.import_keys(sealed(lies), other)
    assert held(sphere) == []
    taken = await new.import_keys(sealed(half), other)
    assert (taken.new, taken.refused) == ((1,), (2,))
    assert [m.state for m in sphere.messages()] == ["sent", "unreadable"]

    def believe(secret: bytes, entry: EpochEntry, name: str) -> EpochKey:
        return EpochKey(name, entry.n, secret, entry.kc, entry.prev)

    monkeypatch.setattr(epoch, "check", believe)
    assert (await new.import_keys(sealed(lies), other)).new == (2,)
    assert sphere._rep.keys[2].secret == bytes([2]) * 32


async def test_keys_of_epochs_not_seen_yet_wait_for_the_log(w: World) -> None:
    """EXP-008: they are used for nothing until the log commits to them; no text begins a sphere unknown here."""
    people = await w.sphere_of("ada", "bo")
    ada, bo = people["ada"], people["bo"]
    await harbour(ada).rotate()
    kept = await harbour(ada).save_keys()
    taken = await bo.import_keys(kept.text, kept.code)
    assert (taken.had, taken.waiting, taken.new) == ((1,), (2,), ())
    assert held(harbour(bo)) == [1]
    sent(await harbour(ada).send("Under the second"))
    await bo.sync()
    assert texts(bo) == ["Under the second"]
    board = await ada.create_sphere("Board")
    foreign = await board.save_keys()
    with pytest.raises(NotFound):
        await bo.import_keys(foreign.text, foreign.code)
    assert len(bo.spheres(past=True)) == 1


@pytest.mark.parametrize("more", [{4_000_000_000: bytes(32)}, {2: bytes(32), 4_000_000_000: bytes(32)}])
async def test_made_up_numbers_save_nothing(w: World, more: dict[int, bytes]) -> None:
    """CLT-060, CLT-035: "saved up to" is the newest key that is here and in the text, whatever else the text says."""
    ada = await w.first("ada")
    sphere = await ada.create_sphere("Harbour plan")
    first = sphere._rep.keys[1]
    await sphere.rotate()
    told = [first, *(replace(first, n=n, secret=secret) for n, secret in more.items())]
    code = export.new_code(ada.context.rng)
    text = export.seal(told, export.read_code(code), iat=0, rng=ada.context.rng)
    if 2 in more:
        with pytest.raises(CommitmentMismatch):
            await sphere.check_saved(text, code)
        assert sphere.info.saved == 0
    else:
        assert await sphere.check_saved(text, code) == 1
        assert sphere.info.saved == 1
    with pytest.raises(UsageError):
        await sphere.keep_only_here()


async def test_one_device_and_a_saved_text_are_two_copies(w: World) -> None:
    """CLT-035: with a checked text that holds the running key a person with one device may keep keys only there."""
    ada = await w.first("ada")
    sphere = await ada.create_sphere("Harbour plan")
    with pytest.raises(UsageError):
        await sphere.keep_only_here()
    kept = await sphere.save_keys()
    with pytest.raises(UsageError):
        await sphere.set_custody("device")
    await sphere.check_saved(kept.text, kept.code)
    await sphere.rotate()
    with pytest.raises(UsageError):
        await sphere.set_custody("device")
    kept = await sphere.save_keys()
    await sphere.check_saved(kept.text, kept.code)
    await sphere.set_custody("device")
    assert (sphere.info.custody, sphere.info.epoch) == ("device", 3)
    stored = [slot.name for slot in await ada.relay.slots() if slot_names.parse(slot.name).kind == "e"]
    assert not any(name.endswith(".3") for name in stored)
