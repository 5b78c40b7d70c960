"""What a thief finds on the disk of a browser: no word, no password, and once it is locked no key that opens anything.

The whole profile folder is searched: databases, logs of databases with all that was deleted from them, caches, files.
The thief knows how Chromium writes keys that no script can read, and tries every one of them. Rules: WEB-010, WEB-013.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from cloister.account import vault as vaults
from cloister.account.box import open_box
from cloister.errors import CheckFailed, NotFound
from cloister.protocol.encoding import b64e
from tests.browser.acts import button, composer, field, new_sphere, password_of, say, write, written
from tests.browser.conftest import FLAGS, chromium_path
from tests.browser.liar import Liar
from tests.browser.test_lies import let_in
from tests.browser.window import Window

# Texts that are nowhere else; long enough that compression leaves some of it.
WORDS = {
    "message": "quince-9f41-lantern-7b22", "draft": "walnut-3c08-anchor-55de", "title": "juniper-61aa-bollard-0e9c",
    "search": "saffron-c7d1-halyard-2f60", "pin": "739152048617", "password": password_of("bo"),
}  # fmt: skip
ROWS = """async () => {
  const answered = (request) => new Promise((done) => { request.onsuccess = () => done(request.result); });
  let count = 0;
  for (const { name } of await indexedDB.databases()) {
    const db = await answered(indexedDB.open(name));
    for (const one of db.objectStoreNames) count += await answered(db.transaction(one).objectStore(one).count());
    db.close();
  }
  return count;
}"""
# A key that no script can read, as Chromium writes it: tags, algorithm, length, uses, length, and the key.
_KEY = re.compile(rb"\\K\x01. . (.{32})", re.DOTALL)
WATCHDOG = 60
_SESSION_AAD = b"cloister session key"


def _files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


def _found(folder: Path, secrets: dict[str, bytes]) -> set[str]:
    """Which of these stand anywhere on the disk, as they are or as programs write bytes and words."""
    forms = {
        name: [one, one.hex().encode(), b64e(one).encode(), one.decode("latin-1").encode("utf-16-le")]
        for name, one in secrets.items()
    }
    return {name for name, many in forms.items() for data in _files(folder) if any(form in data for form in many)}


def _vaults(data: bytes) -> Iterator[vaults.Vault]:
    """Vault headers in a file, deleted ones too."""
    for found in re.finditer(rb'\{"v":1,"origin"', data):
        try:
            _, end = json.JSONDecoder().raw_decode(data[found.start() :].decode("latin-1"))
            yield vaults.decode(data[found.start() : found.start() + end])
        except (ValueError, CheckFailed):
            continue


def _opened(folder: Path) -> int:
    """How many headers of a vault open with what lies beside them."""
    files = _files(folder)
    keys = {key for data in files for key in _KEY.findall(data)}
    boxes = {data[:60] for data in files if len(data) >= 60}
    headers = [one for data in files for one in _vaults(data)]
    assert keys, "no key at all: the search no longer knows how this browser writes them"
    count = 0
    for key, box in itertools.product(keys, boxes):
        try:
            session = open_box(key, box, _SESSION_AAD, 32)
        except CheckFailed:
            continue
        for header in headers:
            try:
                vaults.open_with_key(header, "session", session)
                count += 1
            except (CheckFailed, NotFound):
                continue
    return count


async def device_keys(liar: Liar) -> dict[str, bytes]:
    """What opens Bo's account and sphere, as another device of his has it."""
    client = await liar.hw.open("bo-desk")
    await client.sign_in("bo", password_of("bo"), "bo-desk")
    ctx = client.context
    async with asyncio.timeout(WATCHDOG):
        while True:  # the keys come when the browser has stored them for its other devices
            await client.sync()
            if client.spheres() and all(ctx.replica(info.sph).keys for info in client.spheres()):
                break
    found = {"master key": ctx.mk}
    for info in client.spheres():
        found |= {f"{info.sph[:6]} key {n}": key.secret for n, key in ctx.replica(info.sph).keys.items()}
    return found


def test_no_word_on_the_disk_and_no_key_once_it_is_locked(chromium: Browser, liar: Liar, tmp_path: Path) -> None:
    folder = tmp_path / "profile"
    complaints: list[str] = []

    def session(run: Callable[[Page], None]) -> None:
        """One run of the browser over this folder, from its start to its end."""
        context = chromium.browser_type.launch_persistent_context(
            folder, executable_path=chromium_path(), args=FLAGS, reduced_motion="reduce"
        )
        window = Window.over(context, liar.server, "bo")
        run(window.page)
        complaints.extend(window.complaints)
        window.close()

    def live(page: Page) -> None:
        let_in(liar, page)
        write(page, WORDS["message"])
        written(page, WORDS["message"])
        new_sphere(page, WORDS["title"])
        composer(page).fill(WORDS["draft"])
        page.keyboard.press("Control+k")
        page.get_by_role("combobox").fill(WORDS["search"])
        page.keyboard.press("Escape")
        page.evaluate("() => { location.hash = '#/settings/pin' }")
        field(page, "field.password").fill(WORDS["password"])
        page.get_by_label(say("pin.new")).fill(WORDS["pin"])
        button(page, "pin.set").click()
        expect(page.get_by_text(say("pin.done"))).to_be_visible()

    session(live)
    secrets = {name: text.encode() for name, text in WORDS.items()} | liar.do(device_keys(liar))
    assert len(secrets) > len(WORDS) + 2
    assert _found(folder, secrets) == set()
    # Left open, it can be taken up from the disk: this is what shows that the search finds keys.
    assert _opened(folder) > 0

    def lock(page: Page) -> None:
        page.goto(liar.server + "/")
        expect(page.get_by_role("link", name=re.compile(WORDS["title"])).first).to_be_visible()
        page.keyboard.press("Control+Shift+L")
        expect(page.get_by_role("heading", name=say("lock.title"), level=1)).to_be_visible()

    session(lock)
    assert _found(folder, secrets) == set()
    assert _opened(folder) == 0

    def forget(page: Page) -> None:
        page.goto(liar.server + "/")
        field(page, "field.pin").fill(WORDS["pin"])
        button(page, "lock.unlock").click()
        expect(page.get_by_role("link", name=re.compile(WORDS["title"])).first).to_be_visible()
        page.evaluate("() => { location.hash = '#/settings/browser' }")
        button(page, "wipe.open").click()
        page.get_by_role("dialog").get_by_role("textbox").fill("bo")
        button(page.get_by_role("dialog"), "wipe.do").click()
        expect(page.get_by_role("link", name=re.compile(say("welcome.signin")))).to_be_visible()
        page.wait_for_function(f"async () => (await ({ROWS})()) === 0")

    session(forget)
    assert _found(folder, secrets) == set()
    assert _opened(folder) == 0

    def plant(page: Page) -> None:
        page.goto(liar.server + "/")
        page.evaluate(
            """([words, key]) => new Promise((done) => {
              localStorage.setItem("planted", words);
              const opening = indexedDB.open("planted");
              opening.onupgradeneeded = () => opening.result.createObjectStore("rows");
              opening.onsuccess = () => {
                const work = opening.result.transaction("rows", "readwrite", { durability: "strict" });
                work.objectStore("rows").put(new Uint8Array(key), 1);
                work.oncomplete = done;
              };
            })""",
            [WORDS["draft"], list(secrets["master key"])],
        )

    # Control: both kinds of place are searched.
    session(plant)
    assert _found(folder, secrets) == {"draft", "master key"}
    assert not complaints
