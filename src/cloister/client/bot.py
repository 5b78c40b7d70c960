"""A bot: answer messages, each exactly once as far as this device can know.

The position after the last answered message is stored when the handler returns, so a crash repeats at most the message
it happened in. What arrived while the bot was down is answered when it comes up.

Spec: CLT-032.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from cloister.client.client import Client
from cloister.client.records import Message
from cloister.client.sphere import Sphere
from cloister.client.transports.base import Transport

Handler = Callable[[Sphere, Message], Awaitable[str | None]]


async def answer(client: Client, handler: Handler) -> int:
    """Hand every unanswered message of others to ``handler``; a text it returns is sent as a reply (CLT-032)."""
    store, count = client.context.store, 0
    rows = store.all(
        "SELECT id, sph, mid FROM message WHERE id > ? AND kind IN ('msg', 'comment') AND state = 'sent'"
        " AND author <> ? ORDER BY id", store.get("bot", 0), client.account.id,
    )  # fmt: skip
    for number, sph, mid in rows:
        sphere = Sphere(client, sph)
        message = sphere.message(mid)
        if sphere.info.status == "active" and not message.deleted:
            said = await handler(sphere, message)
            if said is not None:
                await sphere.send(said, reply_to=message)
        store.put("bot", number)
        count += 1
    return count


async def run(
    profile: str | Path, key_file: str | Path, handler: Handler, *, transport: Transport | None = None
) -> None:
    """Open ``profile`` by its key file (mode 0600) and answer until cancelled."""
    async with Client.open(profile, transport=transport) as client:
        await client.unlock_with_file(key_file)
        await client.sync()
        await answer(client, handler)
        async for _ in client.events(attended=()):
            await answer(client, handler)
