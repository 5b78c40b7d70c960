"""No plaintext, key, password or PIN anywhere but where it belongs.

Two people live through a day on a relay of its own process, over a wire tap: accounts, invitation, messages, edits,
names, rotation, removal, a second device, a changed password, a PIN, errors. Then everything that is left is searched:
the relay's folder with database and write-ahead log, its output and log, the captured traffic, the clients' folders,
the folder for temporary files, texts of errors, argument lists and environments of the processes. Three controls: what
an open sphere says is found in the very same places, a planted secret is found in every form, and the relay's log at
its most talkative has been written to.

Rules: API-050, API-064, CLT-002, ERR-004, VLT-001.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cloister import crypto
from cloister.account import password as passwords
from cloister.account import unlock, vault
from cloister.cli import agent
from cloister.client import signing
from cloister.client.client import Client
from cloister.client.enrol import read_vault
from cloister.errors import CloisterError
from cloister.protocol import api
from cloister.protocol.encoding import b64d, b64e
from tests.canary.proxy import Tap
from tests.canary.search import files, forms, search, views

WORDS = {
    "message": "the tide turns at quarter past four",
    "edited message": "make that half past four then",
    "answer": "bring the heavy anchor chain along",
    "title": "Lighthouse keepers' ledger",
    "topic": "lamp oil and its whereabouts",
    "nickname": "Old Barnacle the Elder",
    "petname": "Cousin Periwinkle of Skerry",
    "link label": "The ledger of the lamp",
    "last words": "nobody but us reads this line",
    "new title": "Ledger of the second winter",
    "reaction": "reaction-glyph-kelp",
}
SETTINGS = {"device name": "walrus-bone laptop"}  # a plain setting of this machine, but nobody else's business
PASSWORDS = {
    "password of ada": "seven gulls on a chimney pot",
    "password of bo": "eleven herring in a barrel!",
    "new password of ada": "nine puffins under the stairs",
    "wrong password": "no such phrase was ever set",
}
PIN = {"PIN": "904417"}
OPEN = "this one is said in the open for all to see"


@dataclass
class Day:
    """What is kept of the day for the search."""

    secrets: dict[str, bytes] = field(default_factory=dict)
    tokens: dict[str, bytes] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    places: dict[str, bytes] = field(default_factory=dict)


@pytest.fixture
def private_temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temp"
    folder.mkdir()
    for name in ("TMPDIR", "SQLITE_TMPDIR"):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(passwords, "MEMORY_KIB", 64)
    return folder


@asynccontextmanager
async def relay(folder: Path, port: int, origin: str) -> AsyncIterator[tuple[subprocess.Popen[bytes], str]]:
    """`cloister serve` with its log at debug, both outputs in files; yields the process and the set-up code."""
    serve = [sys.executable, "-m", "cloister.cli", "serve", "--json", "--data", str(folder / "relay")]
    serve += ["--listen", f"127.0.0.1:{port}", "--origins", origin, "--log-level", "debug", "--log-format", "json"]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src"), "HOME": str(folder)}
    with (folder / "relay.out").open("wb") as out, (folder / "relay.log").open("wb") as log:
        process = subprocess.Popen(serve, stdout=out, stderr=log, env=env)
        try:
            async with asyncio.timeout(60):
                while b"\n" not in (said := (folder / "relay.out").read_bytes()):
                    assert process.poll() is None, (folder / "relay.log").read_text()
                    await asyncio.sleep(0.02)
            yield process, json.loads(said.split(b"\n")[0])["setup"]
        finally:
            process.terminate()
            process.wait(30)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def refused(day: Day, act: Callable[[], Any]) -> None:
    """Do what must fail; keep everything the failure says."""
    try:
        await act()
    except CloisterError as error:
        day.texts += [str(error), repr(error), json.dumps(error.as_json()), error.detail, repr(error.data)]
        day.texts += traceback.format_exception(error)
    else:
        raise AssertionError("this should have been refused")


async def keys_of(day: Day, name: str, client: Client, password: str) -> None:
    """Every secret this person's device and account have, for the search."""
    ctx = client.context
    day.secrets |= {
        f"vault key of {name}": client.agent_key(),
        f"master key of {name}": ctx.mk,
        f"signing key of {name}": ctx.keys.dk_seed,
        f"receiving key of {name}": ctx.keys.de_seed,
    }
    for sph, n, secret in ctx.store.all("SELECT sph, n, secret FROM epoch_key"):
        if all(one.sph != sph or one.mode == "e2ee" for one in client.spheres(past=True)):
            day.secrets[f"epoch {n} of {sph[:8]}"] = bytes(secret)
    own = read_vault(client.profile)
    assert own is not None
    proven = await signing.prove(
        client.relay, crypto.random_bytes, name, password, own.realm, version=own.ver, vault=own
    )
    opened = await signing.open_roots(client.relay, proven)
    day.secrets |= {
        f"root key of {name}": opened.roots.rk,
        f"identity key of {name}": opened.ik,
        f"login secret of {name}": proven.stretched.auth,
        f"wrapping key of {name}": proven.stretched.kek,
    }
    day.tokens |= {
        f"password token of {name}": proven.token.encode(),
        f"token of {name}": str(client.relay.token).encode(),
    }
    day.tokens |= {
        f"raw {which}": b64d(token.decode()) for which, token in list(day.tokens.items()) if "raw" not in which
    }


async def unlock_by_pin(day: Day, client: Client) -> None:
    """Enrol a PIN, fail once, open once: the relay's half runs for real."""
    own, vk = read_vault(client.profile), client.agent_key()
    assert own is not None
    with_pin, enrolment = unlock.enrol(own, vk, PIN["PIN"], crypto.random_bytes)
    body = api.VaultEnrol(enrolment.dev, b64e(enrolment.uk), b64e(enrolment.tag), b64e(enrolment.pep))
    await client.relay.call(Any, "POST", "/vault/enrol", body)
    (client.profile.folder / "vault.pin.json").write_bytes(vault.encode(with_pin))

    async def attempt(pin: str) -> bytes:
        challenge = await client.relay.call(api.Nonce, "POST", "/vault/nonce", api.VaultNonce(enrolment.dev))
        tried = unlock.attempt(with_pin, pin, b64d(challenge.nonce))
        opening = api.VaultOpen(enrolment.dev, challenge.nonce, b64e(tried.tag), b64e(tried.sig))
        answer = await client.relay.call(api.Pepper, "POST", "/vault/open", opening)
        return unlock.finish(with_pin, tried, b64d(answer.pep))

    await refused(day, lambda: attempt("135792"))
    assert await attempt(PIN["PIN"]) == vk


async def live_through(day: Day, folder: Path, origin: str, code: str) -> None:
    def client(name: str) -> Any:
        return Client.open(folder / "home" / name, server=origin)

    pw = PASSWORDS
    async with client("ada") as ada, client("bo") as bo, client("ada2") as second:
        await ada.create_account("ada", pw["password of ada"], code, device_name=SETTINGS["device name"])
        sphere = await ada.create_sphere(WORDS["title"], topic=WORDS["topic"])
        said = await sphere.send(WORDS["message"])
        await sphere.edit(said, WORDS["edited message"])
        invitation = await sphere.invite(label=WORDS["link label"])
        day.secrets["invitation seed"] = b64d(invitation.url.partition("#")[2].split("~")[2])
        await bo.create_account("bo", pw["password of bo"], invite_link=invitation.url)
        (request,) = await sphere.requests()
        await sphere.admit(request)
        await bo.sync()
        theirs = bo.sphere(sphere.sph)
        await theirs.send(WORDS["answer"])
        await theirs.set_nickname(WORDS["nickname"])
        await ada.sync()
        await sphere.set_petname("bo", WORDS["petname"])
        await sphere.react(sphere.messages()[-1], WORDS["reaction"])
        await sphere.set_meta(title=WORDS["new title"])
        await bo.sync()
        await keys_of(day, "bo", bo, pw["password of bo"])
        await sphere.remove(bo.account.id, text=WORDS["last words"])
        await bo.sync()
        await second.sign_in("ada", pw["password of ada"])
        await ada.sync()
        await ada.change_password(pw["password of ada"], pw["new password of ada"])
        await unlock_by_pin(day, ada)
        await keys_of(day, "ada", ada, pw["new password of ada"])
        square = await ada.create_sphere("Market square", mode="open")
        await square.send(OPEN)
        await ada.sync()
        await refused(day, lambda: bo.sphere(sphere.sph).send(WORDS["message"]))
        ada.lock()
        await refused(day, lambda: ada.unlock(pw["wrong password"]))
        await refused(day, lambda: second.change_password(pw["wrong password"], WORDS["message"]))
        path = folder / "run" / "agent.sock"
        assert agent.start(path, second.agent_key())
        assert agent.get_key(path) == second.agent_key()
        day.places |= processes(str(path))
        assert agent.lock(path)


def processes(word: str) -> dict[str, bytes]:
    """Argument list and environment of every process of ours that names ``word``."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
            if word.encode() in line and int(folder.name) != os.getpid():
                found[f"arguments of {folder.name}"] = line
                found[f"limits of {folder.name}"] = (folder / "limits").read_bytes()
                found[f"environment of {folder.name}"] = (folder / "environ").read_bytes()
        except OSError:
            continue
    return found


async def test_nothing_leaks(tmp_path: Path, private_temp: Path) -> None:
    day, port = Day(), free_port()
    async with Tap(port) as tap:
        origin = f"http://127.0.0.1:{tap.port}"
        async with relay(tmp_path, port, origin) as (process, code):
            await live_through(day, tmp_path, origin, code)
            day.places |= processes(str(process.pid)) | processes(str(tmp_path / "relay"))
            # While the relay runs its write-ahead log is there; afterwards it may be folded into the database.
            running = files([tmp_path / "relay"])
            assert any(name.endswith("relay.db-wal") and len(data) > 1000 for name, data in running.items())
        day.places |= {f"{name} (running)": data for name, data in running.items()}
        traffic = {name: views(bytes(data)) for name, data in tap.captured.items()}
    outside = files([tmp_path / "relay", private_temp]) | files([tmp_path / "home"])
    outside |= {name: (tmp_path / name).read_bytes() for name in ("relay.out", "relay.log")}
    outside |= day.places | {"texts of errors": "\n".join(day.texts).encode()}
    assert day.texts
    assert b"/v1/accounts" in outside["relay.log"]  # a log at debug that says nothing proves nothing

    words = {name: text.encode() for name, text in (WORDS | PASSWORDS).items()}
    assert search(words | PIN_BYTES | day.secrets, outside | traffic) == []
    away = {name: data for name, data in outside.items() if not name.endswith("profile.json")}
    assert search({name: text.encode() for name, text in SETTINGS.items()}, away | traffic) == []
    assert search(day.tokens, outside) == []  # on the wire a token must be: without TLS only a loopback relay serves

    # Control: the same search in the same places finds what is said in the open.
    found = search({"open": OPEN.encode()}, outside | traffic)
    assert any("relay.db" in hit.where for hit in found)
    assert any("connection" in hit.where for hit in found)


PIN_BYTES = {name: text.encode() for name, text in PIN.items()}


def test_the_search_finds_every_form() -> None:
    """Control: a secret hidden in any form, at any place in a longer encoding, is found."""
    secret = os.urandom(32)
    for form, hidden in forms(secret).items():
        assert [hit.form for hit in search({"key": secret}, {"x": b"junk" + hidden + b"junk"})][0:1], form
    text = b"a canary sings"
    for shift in range(9):
        encoded = b64e(b"x" * shift + text + b"tail").encode()
        assert search({"text": text}, {"x": encoded}), shift
        assert search({"text": text}, {"x": (b"x" * shift + text).hex().encode()})
    assert not search({"text": text}, {"x": b"a canary sang"})


def test_the_tap_reads_masked_frames() -> None:
    """Control: a secret in a masked client frame is found."""
    mask, payload = b"\x01\x02\x03\x04", b'[{"t":"send","text":"a canary sings"}]'
    masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    stream = (
        b"GET /v1/socket HTTP/1.1\r\nUpgrade: websocket\r\n\r\n" + bytes((0x81, 0x80 | len(payload))) + mask + masked
    )
    assert b"canary" not in stream
    assert search({"text": b"a canary sings"}, {"x": views(stream)})
