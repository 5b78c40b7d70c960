"""The client killed at every durable step of sign-up, password change and commit: old or new state, never neither.

Each act runs once undisturbed to count its steps, then once for each step with the process killed there. Rules:
CLT-003 (sign-up), CLT-006 (password), CLT-013 (a key is durable before its commit is sent).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from cloister import crypto
from cloister.account import password as passwords
from cloister.client import signing
from cloister.client.client import Client
from cloister.client.relay import Relay
from cloister.client.transports.http import HttpTransport
from cloister.client.transports.memory import MemoryRelay
from cloister.errors import AuthFailed, Conflict
from cloister.protocol.encoding import b64d
from cloister.server.app import create_app
from tests.faults.actors import KIB, Actors
from tests.faults.zygote import Servers, settings_for

PASSWORD = "correct horse battery 20"
MOST = 200  # steps an act may have before this test must be thought over


@pytest.fixture(autouse=True)
def _quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "MEMORY_KIB", KIB)


@dataclass
class House:
    """A relay on a socket, Ada's profile in it, and the process whose children die."""

    folder: Path
    origin: str
    actors: Actors

    @property
    def ada(self) -> Path:
        return self.folder / "ada"

    def open(self, profile: Path) -> Client:
        return Client.open(profile, transport=HttpTransport(self.origin))._make()


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    data = folder / "relay"
    with Servers(data) as servers, Actors(folder) as actors:
        origin = f"http://127.0.0.1:{servers.port}"
        app = create_app(settings_for(data, servers.port))
        async with MemoryRelay(app, origin) as memory, Client.open(folder / "ada", transport=memory.transport()) as ada:
            await ada.create_account("ada", PASSWORD, app.relay.setup_code)
        servers.start()
        yield House(folder, origin, actors)


async def test_sign_up(tmp_path: Path) -> None:
    """Killed anywhere, the same password and the same words lead to one open account."""
    await kill_in_sign_up(tmp_path, "sign_up")


async def test_a_sign_up_that_writes_its_vault_afterwards_is_caught(tmp_path: Path) -> None:
    """Control: one of the deaths leaves an account nobody can open and a name that is taken (CLT-003)."""
    with pytest.raises((Conflict, AuthFailed)):
        await kill_in_sign_up(tmp_path, "sign_up_forgetful")


async def kill_in_sign_up(tmp_path: Path, act: str) -> None:
    async with house(tmp_path) as at:
        for k in range(1, MOST):
            login, profile = f"bo{k}", tmp_path / f"bo{k}"
            steps = at.actors.act(act, profile, at.origin, k, login=login, password=PASSWORD)
            client = at.open(profile)
            if steps is None or client.account.status == "pending":
                if client.account.status in ("new", "pending"):
                    await client.create_account(login, PASSWORD)
                else:
                    await client.unlock(PASSWORD)
            else:
                await client.unlock(PASSWORD)
            await client.sync()
            assert client.account.status == "open"
            assert [one.active for one in await client.devices()] == [True]
            await client.close()
            if steps is not None:
                assert k > 10, steps
                return
        raise AssertionError("no end")


async def test_password_change(tmp_path: Path) -> None:
    """Killed anywhere, exactly one password is good, at the relay and, after one contact, here."""
    await kill_in_password_change(tmp_path, "change_password")


async def test_a_password_change_that_writes_its_vault_afterwards_is_caught(tmp_path: Path) -> None:
    """Control: after one of the deaths the relay takes the new password and the device only the old one (CLT-006)."""
    with pytest.raises(AssertionError, match="the vault does not"):
        await kill_in_password_change(tmp_path, "change_password_forgetful")


async def kill_in_password_change(tmp_path: Path, act: str) -> None:
    async with house(tmp_path) as at:
        client = at.open(at.ada)
        await client.unlock(PASSWORD)
        sphere = await client.create_sphere("Kitchen")
        await sphere.send("kept")
        key = client.agent_key().hex()
        await client.close()
        present = PASSWORD
        for k in range(1, MOST):
            new = f"another phrase {k} entirely"
            steps = at.actors.act(act, at.ada, at.origin, k, key=key, password=present, new=new)
            good = [one for one in (present, new) if await proves(at, one)]
            assert len(good) == 1, f"step {k}: {len(good)} passwords are good at the relay"
            assert await opens(at, good[0]), f"step {k}: the relay takes {good}, the vault does not"
            bad = new if good[0] == present else present
            assert not await opens(at, bad), f"step {k}: after contact the vault still takes {bad}"
            present = good[0]
            if steps is not None:
                assert present == new
                assert k > 5, steps
                return
        raise AssertionError("no end")


async def proves(at: House, password: str) -> bool:
    """Whether the relay takes this password."""
    relay = Relay(HttpTransport(at.origin))
    try:
        realm = b64d((await relay.server()).realm)
        await signing.prove(relay, crypto.random_bytes, "ada", password, realm)
    except AuthFailed:
        return False
    finally:
        await relay.close()
    return True


async def opens(at: House, password: str) -> bool:
    client = at.open(at.ada)
    try:
        await client.unlock(password)
        await client.sync()
        assert [one.text for one in client.sphere("Kitchen").messages()] == ["kept"]
    except AuthFailed:
        return False
    finally:
        await client.close()
    return True


async def test_commit(tmp_path: Path) -> None:
    """Killed anywhere in a rotation: the epoch in the log is one whose key is here, and speaking goes on."""
    await kill_in_commit(tmp_path, "rotate")


async def test_a_client_that_keeps_the_new_key_in_memory_only_is_caught(tmp_path: Path) -> None:
    """Control: without the durable key one of the deaths loses the epoch."""
    with pytest.raises(Lost):
        await kill_in_commit(tmp_path, "rotate_forgetful")


class Lost(AssertionError):
    """The log has an epoch whose key nobody holds any more."""


async def kill_in_commit(folder: Path, act: str) -> None:
    async with house(folder) as at:
        client = at.open(at.ada)
        await client.unlock(PASSWORD)
        sphere = await client.create_sphere("Kitchen")
        key = client.agent_key().hex()
        await client.close()
        said = 0
        for k in range(1, MOST):
            steps = at.actors.act(act, at.ada, at.origin, k, key=key, sphere=sphere.sph, text=f"words {k}")
            client = at.open(at.ada)
            await client.unlock_with_key(bytes.fromhex(key))
            await client.sync()
            mine = client.sphere(sphere.sph)
            keys = mine.keys()
            if not all(held for _, held in keys):
                raise Lost(f"step {k}: {keys}")
            assert mine.info.epoch == max(n for n, _ in keys)
            await mine.send(f"after {k}")
            await client.sync()
            assert not client.outbox()
            texts = [one.text for one in mine.messages()]
            assert texts[-1] == f"after {k}"
            assert len(texts) == len(set(texts))
            assert all(one.state == "sent" for one in mine.messages())
            said += f"words {k}" in texts
            await client.close()
            if steps is not None:
                assert said >= 1
                assert k > 5, steps
                return
        raise AssertionError("no end")
