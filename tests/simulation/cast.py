"""Who everybody starts as: accounts enrolled once by the real sign-up, then copied into every story.

Eight accounts, ten devices. Six of the accounts are in one encrypted sphere that the first one owns; the others are
outside and know nobody. Password processing runs with little memory here: its cost is in question in no story.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from cloister.account import password
from cloister.client import Client
from cloister.client.transports.memory import MemoryRelay
from cloister.server.app import create_app
from cloister.server.settings import Settings
from tests.simulation import loop

START = 1_800_000_000
INSIDE = ("ada", "bo", "cy", "di", "ed", "fay")
OUTSIDE = ("gus", "hal")
PHONES = ("ada-phone", "bo-phone")
PASSWORD = "a long enough {} passphrase 4711"
TITLE = "Harbour plan"


@dataclass(frozen=True)
class Part:
    """One device at the beginning: profile folder of this name, account, key of its vault."""

    name: str
    login: str
    key: str


def settings(folder: Path) -> Settings:
    """The relay's settings: no limits by rate, since one machine plays everybody."""
    return Settings(
        data=folder, signup="open", rate_address=0, rate_account=0, auth_tries=1_000_000, log_level="critical"
    )


def memory_folder() -> str | None:
    """Where files cost no disk."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def make(folder: Path) -> list[Part]:
    """Enrol everybody; profiles and the relay's files end up in ``folder``."""
    password.MEMORY_KIB = 64  # type: ignore[misc]
    return loop.run(_make(folder), "cast")


async def _make(folder: Path) -> list[Part]:
    rng = random.Random("cast")
    app = create_app(settings(folder / "relay"), clock=lambda: float(START), rng=rng.randbytes)
    parts: list[Part] = []
    async with MemoryRelay(app) as relay:

        async def open_(name: str) -> Client:
            bytes_ = random.Random(f"cast/{name}").randbytes
            way = relay.transport()
            return await Client.open(folder / name, transport=way, clock=lambda: float(START), rng=bytes_)

        clients: dict[str, Client] = {}
        for login in (*INSIDE, *OUTSIDE):
            clients[login] = await open_(login)
            code = app.relay.setup_code if login == INSIDE[0] else None
            await clients[login].create_account(login, PASSWORD.format(login), code, device_name=login)
        for name in PHONES:
            clients[name] = await open_(name)
            login = name.partition("-")[0]
            await clients[name].sign_in(login, PASSWORD.format(login), device_name=name)
        sphere = await clients[INSIDE[0]].create_sphere(TITLE)
        link = await sphere.invite(uses=len(INSIDE))
        for login in INSIDE[1:]:
            await clients[login].join(link.url)
            (request,) = await sphere.requests()
            await sphere.admit(request)
        for _ in range(3):
            for client in clients.values():
                await client.sync()
        for name, client in clients.items():
            assert name in OUTSIDE or client.sphere(TITLE).info.have_key, name
            parts.append(Part(name, name.partition("-")[0], client.agent_key().hex()))
            await client.close()
    return parts


def prepared(folder: Path) -> list[Part]:
    """The cast kept in ``folder``, made when it is not there yet."""
    listed = folder / "parts.json"
    if not listed.exists():
        with tempfile.TemporaryDirectory(dir=folder.parent) as fresh:
            made = make(Path(fresh))
            (Path(fresh) / "parts.json").write_text(json.dumps([asdict(one) for one in made]))
            shutil.copytree(fresh, folder)
    password.MEMORY_KIB = 64  # type: ignore[misc]
    return [Part(**row) for row in json.loads(listed.read_text())]
