"""More of the same lies: two halves of a world, a thief with an old device, and what names and links give away."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cloister.client import Client, keys
from cloister.client.transports.memory import MemoryRelay
from cloister.protocol.encoding import b64e
from cloister.server.app import create_app
from cloister.server.settings import Settings
from cloister.sphere.message import Place
from cloister.sphere.payload import Payload
from tests.hostile.colluding import ForkedRelay, plant, sent_by
from tests.hostile.insider import Insider, item
from tests.hostile.lying import LyingRelay
from tests.hostile.world import ADDRESSES, HostileWorld
from tests.hostile_web.conftest import Meet
from tests.hostile_web.victims import Row, Victim
from tests.scenarios.world import PASSWORD, harbour, sent, waits

BO = ADDRESSES["bo"]


def _shown_too(compact: str) -> Any:
    """One more row at the end of what is shown."""

    def lie(body: Any) -> Any:
        pos = body["head"] + 1
        return {"items": [*body["items"], item(pos, compact)], "head": pos}

    return lie


# --- two halves -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _halves(hw: HostileWorld, victim: Victim, folder: Path) -> AsyncIterator[LyingRelay]:
    """Bo in one copy of the world, Ada in the other, each goes on under one key; only letters are carried across."""
    ada = hw.clients["ada"]
    await harbour(ada).set_role("bo", "admin")
    await victim.sync()
    shutil.copytree(folder / "relay", folder / "other")
    settings = Settings(data=folder / "other", rate_address=0, rate_account=0)
    other = LyingRelay(create_app(settings, clock=hw.clock))
    async with MemoryRelay(other):
        hw.relay.app = ForkedRelay(hw.liar, other, {BO})
        await harbour(ada).invite()
        await victim.invitation()
        yield other
        hw.relay.app = hw.liar


async def _one_word_of_ada(hw: HostileWorld, victim: Victim, other: LyingRelay) -> None:
    """Bo is shown one message of Ada's half; he asks, she answers, and he tells her."""
    ada = hw.clients["ada"]
    said = sent(await harbour(ada).send("Here"))
    other.lie(r"GET /v1/spheres/.*/items", _shown_too((await harbour(ada).seen(said.mid)).stored), address=BO)
    await victim.sync()
    other.honest()
    assert Row("quarantined", "C_LOG_FORK", "") in await victim.rows()
    await ada.sync()
    await victim.sync()
    await ada.sync()


async def test_two_halves_that_only_letters_join(hw: HostileWorld, bo: Meet, tmp_path: Path) -> None:
    """RUN-016, CLT-020, CLT-021: one message and one letter prove the fork to either half, over a restart."""
    async with bo() as victim, _halves(hw, victim, tmp_path) as other:
        await _one_word_of_ada(hw, victim, other)
        assert (await victim.head()).stop == "C_LOG_FORK"
        assert not await victim.say("Not now")
        stop = harbour(hw.clients["ada"]).info.stop
        assert stop is not None and stop.code == "C_LOG_FORK"
        waits(await harbour(hw.clients["ada"]).send("Not now either"))
        await victim.restart()
        assert (await victim.head()).stop == "C_LOG_FORK"


async def test_control_a_browser_that_compares_no_heads_reads_both_halves(
    hw: HostileWorld, browser: Meet, tmp_path: Path
) -> None:
    """The comparison of RUN-016 taken away from the browser's client: the other half's words read like any."""
    blind = ("src/sphere/run.ts", "if (b64e(log.digest(head.ls)) !== head.lh) return", "if (head.ls < 0) return")
    async with browser(blind) as victim, _halves(hw, victim, tmp_path) as other:
        ada = hw.clients["ada"]
        said = sent(await harbour(ada).send("Here"))
        other.lie(r"GET /v1/spheres/.*/items", _shown_too((await harbour(ada).seen(said.mid)).stored), address=BO)
        await victim.sync()
        assert Row("sent", "", "Here") in await victim.rows()
        assert (await victim.head()).stop == ""


# --- a thief ----------------------------------------------------------------------------------------------------------


async def _stolen(hw: HostileWorld, victim: Victim) -> Client:
    """Bo's phone, in the sphere like his other device, before anybody knows that it is gone."""
    phone = await hw.second_device("bo", "bo-phone")
    for _ in range(2):
        await victim.sync()
        await phone.sync()
    assert harbour(phone).info.have_key
    await hw.clients["ada"].sync()
    return phone


def _asked_for(thief: Insider, n: int) -> str:
    """A letter that asks for a key, as the phone would send it."""
    return str(keys.letter(thief.ctx, thief.sph, "ask", ns=[n]))


async def _shut_out(hw: HostileWorld, victim: Victim, thief: Insider) -> list[bytes]:
    """Bo shuts the phone out and goes on; the relay brings him its question and shows its words. What Bo sends."""
    state, _ = thief.view
    place = Place(1, b"", state.seq, state.digest, state.ep)
    late = thief.say(Payload("msg", os.urandom(16), "Still me"), place=place)
    assert await victim.revoke(thief.dv) == ""
    await victim.sync()
    assert await victim.say("Without the phone")
    assert (await victim.head()).epoch == 2
    since = len(hw.liar.calls)
    await plant(hw, victim.dv, thief.sph, _asked_for(thief, 2))
    hw.liar.lie(r"GET /v1/spheres/.*/items", _shown_too(late), address=BO)
    for _ in range(2):
        await victim.sync()
    return [call.body for call in sent_by(hw.liar, BO, since) if call.method == "POST"]


async def test_an_old_device_in_a_thiefs_hands(hw: HostileWorld, bo: Meet) -> None:
    """CLT-007, LOG-017, T-S12: shut out by its owner it gets no key by any letter; its words are nobody's."""
    async with bo() as victim:
        thief = Insider(await _stolen(hw, victim))
        told = await _shut_out(hw, victim, thief)
        assert not any(thief.dv.encode() in body for body in told)
        assert not [row for row in await victim.rows() if row.text == "Still me"]
        assert (await victim.head()).stop == ""
        await hw.clients["ada"].sync()
        assert harbour(hw.clients["ada"]).messages()[-1].text == "Without the phone"


async def test_control_a_browser_that_forgets_who_was_shut_out_hands_the_key_on(
    hw: HostileWorld, browser: Meet
) -> None:
    """CLT-007 and LOG-025 taken away from the browser's client: the thief's question is answered with the new key."""
    anybody = ("src/client/inbox.ts", 'return found?.status === "active" ? found : undefined;', "return found;")
    any_of_the_log = (
        "src/client/keys.ts",
        'if (device?.status !== "active") return 0;',
        "if (device === undefined) return 0;",
    )
    ever = ("src/client/keys.ts", "(await memory.revoked(ctx.store)).has(device.dv) || ", "")
    all_keys = (
        "src/client/keys.ts",
        "if (key === undefined || !(agreed || given.has(n))) continue;",
        "if (key === undefined) continue;",
    )
    async with browser(anybody, any_of_the_log, ever, all_keys) as victim:
        thief = Insider(await _stolen(hw, victim))
        told = await _shut_out(hw, victim, thief)
        assert any(thief.dv.encode() in body for body in told)


# --- names and links --------------------------------------------------------------------------------------------------


def _asked(hw: HostileWorld, since: int) -> list[tuple[str, str, int]]:
    """What was sent, but for the words in it."""
    return [(call.method, call.path, len(call.body)) for call in sent_by(hw.liar, BO, since)]


async def test_a_name_nobody_has_and_a_wrong_password_are_one_refusal(hw: HostileWorld, bo: Meet) -> None:
    """T-B4, SRP-009: the same code, the same requests of the same length; the true password opens (control)."""
    async with bo() as victim:
        told = []
        for login in ("ada", "zoe"):
            since = len(hw.liar.calls)
            told.append((await victim.sign_in_anew(login, "not the right words 4711"), _asked(hw, since)))
        assert told[0] == told[1]
        assert told[0][0] == "E_AUTH"
        assert await victim.sign_in_anew("ada", PASSWORD.format("ada")) == ""


async def test_a_link_that_is_closed_made_up_or_of_no_sphere_is_one_refusal(hw: HostileWorld, bo: Meet) -> None:
    """T-B4, API-004, INV-005: whoever tries links learns nothing by how they are refused."""
    async with bo() as victim:
        board = await hw.clients["ada"].create_sphere("Board")
        link = await board.invite()
        origin, _, rest = link.url.partition("#")
        sph, jti, *others = rest.split("~")
        await board.withdraw(link.jti)
        ghost, other = "sp-" + b64e(os.urandom(32)), b64e(os.urandom(16))
        urls = [
            f"{origin}#{'~'.join(one)}" for one in ((sph, jti, *others), (sph, other, *others), (ghost, jti, *others))
        ]
        assert len({await victim.ask_in(url) for url in urls}) == 1
        assert await victim.ask_in(urls[0]) == "E_FORBIDDEN"
        assert await victim.ask_in((await board.invite()).url) == ""
