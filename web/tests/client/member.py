"""The terminal's client as a member of a test: one JSON command a line on standard input, one JSON answer a line."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import msgspec

from cloister.client.client import Client
from cloister.errors import CloisterError


async def act(client: Client, what: str, given: dict[str, Any]) -> Any:
    """One command."""
    sphere = client.sphere(given["sph"]) if "sph" in given else None
    if what == "sign_up":
        return await client.create_account(
            given["login"], given["password"], invite_link=given["link"], kem=given.get("kem", "xwing")
        )
    if what == "sign_in":
        return await client.sign_in(given["login"], given["password"], "Terminal")
    if what == "sync":
        return await client.sync()
    if what == "spheres":
        return client.spheres()
    if what == "create":
        return (await client.create_sphere(given["title"], **given.get("options", {}))).info
    if what == "join":
        return await client.join(given["link"])
    if what == "invitations":
        return client.invitations()
    if what == "accept":
        return await client.accept_invitation(given["id"])
    if what == "devices":
        return await client.devices()
    assert sphere is not None
    if what == "messages":
        return sphere.messages()
    if what == "people":
        return sphere.people()
    if what == "invite":
        return await sphere.invite(admit=given.get("admit", "ask"), to=given.get("to", ""))
    if what == "admit":
        return [await sphere.admit(one) for one in await sphere.requests()]
    if what == "safety":
        return sphere.safety_number(given["id"])
    if what == "head":
        return sphere.head_code()
    if what == "save":
        return await sphere.save_keys()
    if what == "check":
        return await sphere.check_saved(given["text"], given["code"])
    if what == "import":
        return await client.import_keys(given["text"], given["code"])
    if what == "rotate":
        return await sphere.rotate()
    if what == "send":
        return await sphere.send(given["text"], given.get("re"))
    if what == "react":
        return await sphere.react(given["mid"], given["emoji"])
    if what == "edit":
        return await sphere.edit(given["mid"], given["text"])
    if what == "delete":
        return await sphere.delete(given["mid"])
    if what == "remove":
        return await sphere.remove(given["id"])
    raise AssertionError(what)


async def main(folder: str, server: str) -> None:
    """Answer commands until the input ends."""
    async with Client.open(folder, server=server) as client:
        while line := await asyncio.to_thread(sys.stdin.readline):
            given = json.loads(line)
            try:
                answer: Any = {"value": msgspec.to_builtins(await act(client, given.pop("do"), given))}
            except CloisterError as error:
                answer = {"code": error.code, "detail": str(error)}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


asyncio.run(main(sys.argv[1], sys.argv[2]))
