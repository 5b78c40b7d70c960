"""One person who is lied to, with either client: what a test asks of it, and what it says."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from cloister.client import Client, intake
from cloister.client.records import InviteLink, OutboxItem
from cloister.errors import CloisterError
from cloister.sphere import chains
from tests.hostile.world import HostileWorld
from tests.scenarios.world import PASSWORD, harbour

OTHER = "another long enough passphrase 0815"


class Head(NamedTuple):
    """What this client holds of the sphere."""

    seq: int
    epoch: int
    mode: str
    custody: str
    stop: str


class Row(NamedTuple):
    """A message as it is shown."""

    state: str
    code: str
    text: str


class Asked(NamedTuple):
    """Somebody who asks to join, as it is shown."""

    hash: str
    id: str
    by_link: bool
    faulty: bool


class Victim(Protocol):
    """Bo, whichever client he uses."""

    dv: str

    async def join(self, link: InviteLink) -> None: ...

    async def restart(self) -> None: ...

    async def sync(self) -> list[str]:
        """Codes of what went wrong."""
        ...

    async def say(self, text: str) -> bool:
        """Whether it went out."""
        ...

    async def head(self) -> Head: ...

    async def rows(self) -> list[Row]: ...

    async def missing(self) -> int:
        """Messages known to be missing."""
        ...

    async def invitation(self) -> str:
        """Make a link; the name of its invitation."""
        ...

    async def asked(self) -> list[Asked]:
        """Who asks to join."""
        ...

    async def admit(self, one: Asked, confirmed: bool) -> str:
        """Let somebody in; the code it was refused with, empty when it was not."""
        ...

    async def people(self) -> set[str]:
        """Ids of the members."""
        ...

    async def new_password(self) -> str:
        """The code it was refused with, empty when it was not."""
        ...

    async def server(self) -> str:
        """Ask the relay what it is; the code it was refused with."""
        ...

    async def revoke(self, dv: str) -> str:
        """Shut one of the own devices out; the code it was refused with."""
        ...

    async def ask_in(self, link: str) -> str:
        """Ask to be let in by a link; the code it was refused with."""
        ...

    async def sign_in_anew(self, login: str, password: str) -> str:
        """Sign in on a fresh profile of the same machine; the code it was refused with."""
        ...

    async def close(self) -> None: ...


@dataclass
class Terminal:
    """The Python client."""

    hw: HostileWorld
    dv: str = ""
    _fresh: int = 0

    @property
    def client(self) -> Client:
        return self.hw.clients["bo"]

    async def join(self, link: InviteLink) -> None:
        await self.hw.join("bo", link)
        self.dv = self.client.account.dv

    async def restart(self) -> None:
        await self.hw.reopen("bo")

    async def sync(self) -> list[str]:
        return list((await self.client.sync()).faults)

    async def say(self, text: str) -> bool:
        return not isinstance(await harbour(self.client).send(text), OutboxItem)

    async def head(self) -> Head:
        info = harbour(self.client).info
        return Head(info.seq, info.epoch, info.mode, info.custody, info.stop.code if info.stop else "")

    async def rows(self) -> list[Row]:
        return [Row(m.state, m.code, m.text) for m in harbour(self.client).messages(waiting=False)]

    async def missing(self) -> int:
        ctx, rep = self.client.context, self.client.context.replica(harbour(self.client).sph)
        policy = rep.known[0].policy
        held = [gap for chain in intake.chains(ctx, rep.sph).values() for gap in chains.gaps(chain, policy, ctx.now())]
        return sum(gap.last - gap.first + 1 for gap in held)

    async def invitation(self) -> str:
        return (await harbour(self.client).invite()).jti

    async def asked(self) -> list[Asked]:
        found = await harbour(self.client).requests()
        return [Asked(one.hash, one.id, one.by_link, bool(one.code)) for one in found]

    async def admit(self, one: Asked, confirmed: bool) -> str:
        sphere = harbour(self.client)
        found = next(request for request in await sphere.requests() if request.hash == one.hash)
        return await _code(sphere.admit(found, confirmed=confirmed))

    async def people(self) -> set[str]:
        return {person.id for person in harbour(self.client).people()}

    async def new_password(self) -> str:
        return await _code(self.client.change_password(PASSWORD.format("bo"), OTHER))

    async def server(self) -> str:
        return await _code(self.client.server_info())

    async def revoke(self, dv: str) -> str:
        return await _code(self.client.revoke_device(dv, PASSWORD.format("bo")))

    async def ask_in(self, link: str) -> str:
        return await _code(self.client.join(link))

    async def sign_in_anew(self, login: str, password: str) -> str:
        self._fresh += 1
        fresh = await self.hw.open(f"bo-fresh{self._fresh}")
        return await _code(fresh.sign_in(login, password, device_name="fresh"))

    async def close(self) -> None:
        return None


async def _code(act: Any) -> str:
    try:
        await act
    except CloisterError as error:
        return error.code
    return ""


class Refused(Exception):
    """A fault of the browser's client."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code} {detail}")
        self.code = code


@dataclass
class Browser:
    """The TypeScript client, in a Node process, over real HTTP."""

    hw: HostileWorld
    program: Path
    address: str
    dv: str = ""
    sph: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    _process: asyncio.subprocess.Process | None = None
    _n: int = 0

    async def ask(self, method: str, *values: Any) -> Any:
        if self._process is None:
            pipe = asyncio.subprocess.PIPE
            self._process = await asyncio.create_subprocess_exec(
                "node", str(self.program), self.address, stdin=pipe, stdout=pipe, limit=1 << 24
            )
        self._n += 1
        asked = {"n": self._n, "at": self.hw.clock(), "method": method, "values": values}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        while True:
            line = await self._process.stdout.readline()
            if not line:
                raise AssertionError(f"the browser's client ended in {method}")
            said = json.loads(line)
            if "event" in said:
                self.events.append(said["event"])
            elif "fault" in said:
                raise Refused(said["fault"]["code"], said["fault"]["detail"])
            else:
                return said["value"]

    async def join(self, link: InviteLink) -> None:
        fragment = link.url.partition("#")[2]
        await self.ask("createAccount", "bo", PASSWORD.format("bo"), {"link": fragment, "deviceName": "bo-desk"})
        self.dv, self.sph = (await self.ask("account"))["dv"], link.sph

    async def restart(self) -> None:
        await self.ask("restart")
        await self.ask("unlock", PASSWORD.format("bo"))

    async def sync(self) -> list[str]:
        return list((await self.ask("sync"))["faults"])

    async def say(self, text: str) -> bool:
        item = await self.ask("send", self.sph, text, {})
        await self.ask("sync")
        return item["id"] not in [one["id"] for one in await self.ask("outbox")]

    async def head(self) -> Head:
        info = await self.ask("sphere", self.sph)
        stop = info.get("stop")
        return Head(info["seq"], info["epoch"], info["mode"], info["custody"], stop["code"] if stop else "")

    async def _rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = (await self.ask("rows", self.sph, {"limit": 500}))["rows"]
        return rows

    async def rows(self) -> list[Row]:
        found = [one["message"] for one in await self._rows() if one["row"] == "message"]
        return [Row(m["state"], m["code"], m["text"]) for m in found if m["state"] != "waiting"]

    async def missing(self) -> int:
        return sum(one["gap"]["missing"] for one in await self._rows() if one["row"] == "gap")

    async def invitation(self) -> str:
        made = await self.ask("invite", self.sph, {"uses": 1, "seconds": 3600, "role": "member", "admit": "ask"})
        return str(made["jti"])

    async def asked(self) -> list[Asked]:
        found = await self.ask("requests", self.sph)
        return [Asked(one["hash"], one["id"], one["byLink"], bool(one["code"])) for one in found]

    async def admit(self, one: Asked, confirmed: bool) -> str:
        return await self._code("admit", self.sph, one.hash, {"confirmed": confirmed, "role": "member"})

    async def people(self) -> set[str]:
        return {one["id"] for one in await self.ask("people", self.sph)}

    async def new_password(self) -> str:
        return await self._code("changePassword", PASSWORD.format("bo"), OTHER)

    async def server(self) -> str:
        return await self._code("serverInfo")

    async def revoke(self, dv: str) -> str:
        return await self._code("revokeDevice", dv, PASSWORD.format("bo"))

    async def ask_in(self, link: str) -> str:
        return await self._code("join", link.partition("#")[2])

    async def sign_in_anew(self, login: str, password: str) -> str:
        fresh = Browser(self.hw, self.program, self.address)
        try:
            return await fresh._code("signIn", login, password, "fresh")
        finally:
            await fresh.close()

    async def _code(self, method: str, *values: Any) -> str:
        try:
            await self.ask(method, *values)
        except Refused as refused:
            return refused.code
        return ""

    async def close(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            await self._process.wait()
