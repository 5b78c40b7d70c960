"""The live connection. Written once the relay's socket is known."""

from cloister.client.context import Context


async def run(ctx: Context) -> None:
    raise NotImplementedError
