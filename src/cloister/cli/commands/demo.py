"""demo: three people and a temporary server play one scene in this terminal, and the server's database is read aloud.

The relay is the real one on a temporary folder, reached without a socket; the three are real profiles of the SDK.
Everything is deleted at the end, also after Ctrl-C. What is said about the database is read from the file.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cloister.cli import times
from cloister.cli.escape import escape
from cloister.cli.faults import FAILED, Refused
from cloister.cli.output import BOLD, DIM, say
from cloister.cli.secrets import made_password
from cloister.cli.shell import Shell
from cloister.errors import CloisterError, Forbidden

if TYPE_CHECKING:
    from cloister.client import Client, Sphere

TITLE: Final = "Harbour plan"
HELLO: Final = "Hello from the pier"
ANSWER: Final = "Welcome, both of you"
SECRET: Final = "The boat leaves on Friday at six"


class Stage:
    """Where lines go, and everything that was said and must not be found at the server."""

    def __init__(self, shell: Shell, folder: Path) -> None:
        self.out, self.folder = shell.out, folder
        self.said: list[str] = [TITLE, HELLO, ANSWER, SECRET]
        self.told: list[dict[str, Any]] = []

    def scene(self, name: str) -> None:
        """A heading."""
        if not self.out.json:
            text = say(f"demo.scene-{name}")
            self.out.result({}, "", self.out.paint(text, BOLD))

    def line(self, who: str, what: str, **fields: Any) -> None:
        """One line: who, then what. ``server`` lines are what is stored."""
        text = say(f"demo.{what}", **fields)
        self.told.append({"who": who, "what": text})
        if not self.out.json:
            shown = f"  {who:<7} {text}"
            self.out.result({}, self.out.paint(shown, DIM) if who == "server" else shown)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of the relay's database, read from its file."""
        address = (self.folder / "relay" / "relay.db").as_uri() + "?mode=ro"
        base = sqlite3.connect(address, uri=True)
        try:
            return base.execute(sql, values).fetchall()
        finally:
            base.close()


async def play(shell: Shell) -> None:
    """Play. Raises Refused when the scene went wrong (and says where)."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cloister-demo-") as name:
        stage = Stage(shell, Path(name))
        try:
            await _acts(stage)
        except CloisterError as error:
            raise Refused("demo", FAILED, why=error.why, code_raw=error.code) from error
    seconds = round(time.monotonic() - begun, 1)
    end = say("demo.end", seconds=seconds)
    shell.out.result({"lines": stage.told, "seconds": seconds}, "", end, say("demo.next"))


async def _acts(stage: Stage) -> None:
    from cloister.client import Client
    from cloister.client.transports.memory import MemoryRelay
    from cloister.server.app import create_app
    from cloister.server.settings import Settings

    settings = Settings(data=stage.folder / "relay", log_level="error", auth_tries=0, rate_address=0, rate_account=0)
    app = create_app(settings)
    stage.scene("server")
    async with MemoryRelay(app) as relay:
        ways = [relay.transport(f"127.0.0.{n}") for n in (1, 2, 3)]
        async with (
            Client.open(stage.folder / "ada", transport=ways[0]) as ada,
            Client.open(stage.folder / "bo", transport=ways[1]) as bo,
            Client.open(stage.folder / "cy", transport=ways[2]) as cy,
        ):
            stage.line("server", "server-up")
            harbour = await _begin(stage, ada, app.relay.setup_code or "")
            theirs = await _invite(stage, ada, harbour, bo)
            await _talk(stage, ada, harbour, bo, theirs)
            await _third(stage, ada, harbour, cy)
            await _remove(stage, ada, harbour, bo, theirs, cy)
            _search(stage)


async def _account(stage: Stage, client: Client, name: str, **how: Any) -> None:
    password = made_password()
    stage.said.append(password)
    await client.create_account(name, password, how.get("ticket"), invite_link=how.get("link"), device_name="desk")


async def _begin(stage: Stage, ada: Client, code: str) -> Sphere:
    stage.scene("ada")
    await _account(stage, ada, "ada", ticket=code)
    stage.line("ada", "account", name="ada")
    kept = stage.rows("SELECT login, length(v), length(wmk) FROM account")[0]
    stage.line("server", "server-account", login=kept[0], v=kept[1], wmk=kept[2])
    harbour = await ada.create_sphere(TITLE)
    stage.line("ada", "sphere", title=TITLE)
    row = stage.rows("SELECT jws FROM item WHERE kind = 0 ORDER BY pos LIMIT 1")[0]
    stage.line("server", "server-sphere", sph=harbour.sph[:12], bytes=len(row[0]))
    return harbour


async def _invite(stage: Stage, ada: Client, harbour: Sphere, bo: Client) -> Sphere:
    stage.scene("bo")
    link = await harbour.invite(1, 86400)
    stage.said.append(link.url.split("~")[2])
    stage.line("ada", "invite", url=link.url[:44] + "…", until=times.until(link.exp))
    await _account(stage, bo, "bo", link=link.url)
    stage.line("bo", "join")
    await ada.sync()
    request = (await harbour.requests())[0]
    stage.line("ada", "request", name=request.name)
    await harbour.admit(request)
    theirs = await _until_in(bo, harbour.sph)
    stage.line("bo", "in", title=theirs.info.title, n=theirs.info.members)
    count = stage.rows("SELECT count(*) FROM slot")[0][0]
    stage.line("server", "server-admit", slots=count)
    return theirs


async def _until_in(client: Client, sph: str) -> Sphere:
    for _ in range(100):
        await client.sync()
        if any(one.sph == sph and one.have_key for one in client.spheres()):
            return client.sphere(sph)
        await asyncio.sleep(0.05)
    raise Refused("demo-waits", FAILED)


async def _talk(stage: Stage, ada: Client, harbour: Sphere, bo: Client, theirs: Sphere) -> None:
    stage.scene("talk")
    await theirs.send(HELLO)
    await ada.sync()
    seen = harbour.messages()[-1]
    stage.line("ada", "reads", name=seen.name, time=times.short(seen.at), text=seen.text)
    at, device, jws = stage.rows("SELECT at, dv, jws FROM item WHERE kind = 1 ORDER BY pos DESC LIMIT 1")[0]
    body = jws.split(".")[1]
    stage.line("server", "server-row", time=times.short(at), device=device[:9], bytes=len(jws), body=body[:32] + "…")
    await harbour.send(ANSWER)
    await bo.sync()
    stage.line("bo", "reads", name="ada", time=times.short(seen.at), text=escape(theirs.messages()[-1].text))


async def _third(stage: Stage, ada: Client, harbour: Sphere, cy: Client) -> None:
    stage.scene("cy")
    link = await harbour.invite(1, 3600, admit="auto")
    stage.said.append(link.url.split("~")[2])
    await _account(stage, cy, "cy", link=link.url)
    await ada.sync()
    if not any(one.login == "cy" for one in harbour.people()):
        for request in await harbour.requests():
            await harbour.admit(request)
    cys = await _until_in(cy, harbour.sph)
    first = cys.messages()[0]
    stage.line("cy", "history", n=len(cys.messages()), text=first.text)


async def _remove(stage: Stage, ada: Client, harbour: Sphere, bo: Client, theirs: Sphere, cy: Client) -> None:
    stage.scene("remove")
    await harbour.remove("cy")
    stage.line("ada", "removes", n=harbour.info.epoch)
    await bo.sync()
    await theirs.send(SECRET)
    await ada.sync()
    last = harbour.messages()[-1]
    stage.line("ada", "reads", name=last.name, time=times.short(last.at), text=last.text)
    await cy.sync()
    try:
        await cy.sphere(harbour.sph).seen()
    except Forbidden:
        pass
    else:
        raise Refused("demo-leak", FAILED)
    held = [n for n, here in cy.sphere(harbour.sph).keys() if here]  # noqa: SIM118 - not a dict
    texts = [one.text for one in cy.sphere(harbour.sph).messages()]
    if SECRET in texts or last.epoch in held:
        raise Refused("demo-leak", FAILED)
    stage.line("cy", "shut-out", keys=", ".join(map(str, held)), n=last.epoch)


def _search(stage: Stage) -> None:
    """Look for every text, password and link secret in every file of the relay."""
    stage.scene("search")
    data = b"".join(path.read_bytes() for path in sorted((stage.folder / "relay").rglob("*")) if path.is_file())
    found = [text for text in stage.said if text.encode() in data]
    if found:
        raise Refused("demo-leak", FAILED)
    count = {name: stage.rows(f"SELECT count(*) FROM {name}")[0][0] for name in ("account", "item", "slot")}  # noqa: S608
    stage.line("server", "server-total", accounts=count["account"], rows=count["item"], slots=count["slot"])
    stage.line("server", "server-search", n=len(stage.said), bytes=len(data))
