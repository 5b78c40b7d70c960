"""The browser application: checked at the start, served from memory, compared from outside (WEB-001 to WEB-005)."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cloister.cli.commands.web import examine, unlisted
from cloister.client.transports.base import Answer
from cloister.client.transports.memory import MemoryRelay, MemoryTransport
from cloister.errors import FormatError
from cloister.server import bundle
from cloister.server.app import create_app
from cloister.server.headers import CSP
from cloister.server.settings import Settings

WEB = Path(__file__).parents[2] / "web"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the built application that a test may damage."""
    return Path(shutil.copytree(bundle.FOLDER, tmp_path / "app"))


@pytest.fixture
async def relay(tmp_path: Path, folder: Path) -> AsyncIterator[MemoryRelay]:
    async with MemoryRelay(create_app(Settings(data=tmp_path / "data"), application=folder)) as made:
        yield made


def listed(folder: Path) -> dict[str, tuple[str, int]]:
    return bundle.read_record((folder / bundle.RECORD).read_bytes())


async def test_the_page_and_its_files_are_served(relay: MemoryRelay, folder: Path) -> None:
    transport = relay.transport()
    for page in bundle.PAGES:
        answer = await transport.request("GET", page)
        assert answer.body == (folder / bundle.INDEX).read_bytes()  # WEB-001
        assert answer.headers["content-security-policy"] == CSP  # WEB-004
        assert answer.headers["cache-control"] == "no-cache"
    for path in listed(folder):
        if path == bundle.INDEX:
            continue
        plain = await transport.request("GET", "/" + path)
        assert plain.body == (folder / path).read_bytes()
        zipped = await transport.request("GET", "/" + path, headers={"accept-encoding": "gzip, br"})
        if zipped.headers.get("content-encoding") == "gzip":
            assert gzip.decompress(zipped.body) == plain.body
        same = await transport.request("GET", "/" + path, headers={"if-none-match": plain.headers["etag"]})
        assert (same.status, same.body) == (304, b"")
        assert path.startswith("assets/") == ("immutable" in plain.headers["cache-control"])


def test_the_page_names_only_listed_files_with_their_digests(folder: Path) -> None:
    page = (folder / bundle.INDEX).read_bytes()
    assert unlisted(page, listed(folder)) == []  # WEB-001
    assert b"://" not in page
    assert b"integrity=" in page


def _change(folder: Path) -> None:
    one = next((folder / "assets").glob("*.js"))
    body = bytearray(one.read_bytes())
    body[len(body) // 2] ^= 1
    one.write_bytes(body)


def _drop(folder: Path) -> None:
    next((folder / "assets").glob("*.js")).unlink()


def _add(folder: Path) -> None:
    (folder / "assets" / "extra.js").write_text("0")


def _garble(folder: Path) -> None:
    (folder / bundle.RECORD).write_text('{"v": 1, "files": {}}')


@pytest.mark.parametrize("damage", [_change, _drop, _add, _garble])
def test_altered_files_are_not_served(folder: Path, damage: Callable[[Path], None]) -> None:
    assert bundle.load(folder)
    damage(folder)
    with pytest.raises(FormatError):
        bundle.load(folder)  # WEB-002


def test_without_files_there_is_none(tmp_path: Path) -> None:
    assert bundle.load(tmp_path) == {}


class Liar(MemoryTransport):
    """A relay that answers otherwise than it was built to."""

    def __init__(self, relay: MemoryRelay, lie: Callable[[str, Answer], Answer]) -> None:
        honest = relay.transport()
        self.__dict__.update(honest.__dict__)
        self._honest, self._lie = honest, lie

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        return self._lie(path, await self._honest.request(method, path, body, token=token, headers=headers))


async def test_verify_finds_nothing_on_an_honest_relay(relay: MemoryRelay, folder: Path) -> None:
    found, checked = await examine(relay.transport(), listed(folder))
    assert found == []  # WEB-005
    assert checked == len(listed(folder)) - 1 + len(bundle.PAGES)


def _one_byte(path: str, answer: Answer) -> Answer:
    return replace(answer, body=answer.body[:-1] + b" ") if path.endswith(".js") else answer


def _extra_script(path: str, answer: Answer) -> Answer:
    more = b'<script src="/assets/more.js"></script></head>'
    return replace(answer, body=answer.body.replace(b"</head>", more)) if path == "/j" else answer


def _weaker_policy(path: str, answer: Answer) -> Answer:
    said = {
        **answer.headers,
        "content-security-policy": CSP.replace("script-src 'self'", "script-src 'self' 'unsafe-inline'"),
    }
    return replace(answer, headers=said) if path.endswith(".js") else answer


def _no_record(path: str, answer: Answer) -> Answer:
    return replace(answer, status=404, body=b"") if path == "/files.json" else answer


def _other_record(path: str, answer: Answer) -> Answer:
    if path != "/files.json":
        return answer
    record = json.loads(answer.body)
    record["files"]["assets/more.js"] = {"integrity": "sha384-x", "size": 1}
    return replace(answer, body=json.dumps(record).encode())


@pytest.mark.parametrize("lie", [_one_byte, _extra_script, _weaker_policy, _no_record, _other_record])
async def test_verify_names_every_kind_of_change(
    relay: MemoryRelay, folder: Path, lie: Callable[[str, Answer], Answer]
) -> None:
    found, _ = await examine(Liar(relay, lie), listed(folder))
    assert found  # WEB-005


@pytest.mark.parametrize(
    "page",
    [
        b"<script>alert(1)</script>",
        b'<script src="https://elsewhere.example/a.js"></script>',
        b'<link rel="stylesheet" href="/assets/none.css">',
        b'<p onclick="x()">',
        b'<base href="https://elsewhere.example/">',
        b'<iframe src="/x"></iframe>',
    ],
)
def test_what_a_page_must_not_hold(page: bytes, folder: Path) -> None:
    assert unlisted(page, listed(folder))  # WEB-005


def test_two_builds_give_the_same_record(tmp_path: Path) -> None:
    """WEB-005: the second build runs in another folder and finds the same bytes."""
    target = tmp_path / "again"
    done = subprocess.run(
        ["npx", "--no-install", "vite", "build", "--logLevel", "error", "--outDir", str(target), "--emptyOutDir"],
        cwd=WEB, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (target / bundle.RECORD).read_bytes() == (bundle.FOLDER / bundle.RECORD).read_bytes()
