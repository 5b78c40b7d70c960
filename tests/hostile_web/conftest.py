"""Fixtures: the lying world with a real port for Bo, and Bo with either client."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from cloister.account import password
from cloister.client.transports.memory import MemoryRelay
from cloister.server.app import create_app
from cloister.server.settings import Settings
from tests.hostile.lying import LyingRelay
from tests.hostile.world import ADDRESSES, HostileWorld
from tests.hostile_web.door import door, listening, origin
from tests.hostile_web.victims import Browser, Terminal, Victim
from tests.scenarios.world import Clock, harbour

WEB = Path(__file__).resolve().parents[2] / "web"
Change = tuple[str, str, str]
Bundle = Callable[..., Path]
# Both clients derive from a password with a thousandth of the memory, so that one account opens in either.
_QUICK = ("src/account/password.ts", "memoryKib: 65_536", "memoryKib: 64")


@pytest.fixture(autouse=True)
def _quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(password, "MEMORY_KIB", 64)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The browser's client as one file for Node; with changes a weakened one, for controls."""
    folder = tmp_path_factory.mktemp("bundle")
    made: dict[tuple[Change, ...], Path] = {}

    def build(*changes: Change) -> Path:
        if changes not in made:
            out = folder / f"driver{len(made)}.mjs"
            words = [word for change in (_QUICK, *changes) for word in change]
            subprocess.run(
                ["node", "tests/bundle.mjs", "tests/driver.ts", str(out), *words], cwd=WEB, check=True, timeout=120
            )
            made[changes] = out
        return made[changes]

    return build


@asynccontextmanager
async def _world(folder: Path) -> AsyncIterator[tuple[HostileWorld, str]]:
    clock, listener = Clock(), listening()
    origins = ("http://localhost:8420", origin(listener))
    app = create_app(Settings(data=folder / "relay", rate_address=0, rate_account=0, origins=origins), clock=clock)
    liar = LyingRelay(app)
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(MemoryRelay(liar))
        await stack.enter_async_context(door(relay, listener, ADDRESSES["bo"]))
        made = HostileWorld(folder, clock, relay, app.relay.setup_code or "", liar=liar, app=app)
        stack.push_async_callback(made.close)
        yield made, origin(listener)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[tuple[HostileWorld, str]]:
    async with _world(tmp_path) as made:
        yield made


@pytest.fixture
def hw(place: tuple[HostileWorld, str]) -> HostileWorld:
    return place[0]


Meet = Callable[..., contextlib.AbstractAsyncContextManager[Victim]]


@pytest.fixture
def browser(place: tuple[HostileWorld, str], bundle: Bundle) -> Meet:
    """Bo in a browser, in Ada's sphere; with changes a weakened one."""

    @asynccontextmanager
    async def meet(*changes: Change) -> AsyncIterator[Victim]:
        hw, address = place
        async with _let_in(hw, Browser(hw, bundle(*changes), address)) as bo:
            yield bo

    return meet


@pytest.fixture(params=["python", "typescript"])
def bo(request: pytest.FixtureRequest, place: tuple[HostileWorld, str], bundle: Bundle) -> Meet:
    """Bo with either client, in Ada's sphere."""

    @asynccontextmanager
    async def meet() -> AsyncIterator[Victim]:
        hw, address = place
        made: Victim = Terminal(hw) if request.param == "python" else Browser(hw, bundle(), address)
        async with _let_in(hw, made) as found:
            yield found

    return meet


@asynccontextmanager
async def _let_in(hw: HostileWorld, bo: Victim) -> AsyncIterator[Victim]:
    ada = await hw.first("ada")
    sphere = await ada.create_sphere("Harbour plan")
    try:
        await bo.join(await sphere.invite())
        (request,) = await sphere.requests()
        await sphere.admit(request)
        assert await bo.sync() == []
        await ada.sync()
        assert harbour(ada).info.members == 2
        yield bo
    finally:
        await bo.close()
