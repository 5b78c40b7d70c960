"""A bot in ten lines. Once, beforehand: sign in and write the key file (`cloister account key-file bot.key`)."""

import asyncio

from cloister.client import Message, Sphere, bot


async def echo(sphere: Sphere, message: Message) -> str | None:
    return f"{message.name} said: {message.text}" if message.kind == "msg" else None


asyncio.run(bot.run("~/.local/share/cloister/bot", "~/bot.key", echo))
