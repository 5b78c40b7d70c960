"""Print the relay's description of its API (OpenAPI, JSON), asked of an application inside this process.

What the browser's types are made from: `npm run openapi` in `web/`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tempfile
from pathlib import Path

import structlog

from cloister.client.transports.memory import MemoryRelay
from cloister.server.app import create_app
from cloister.server.settings import Settings


async def description() -> str:
    """The description as the relay serves it, indented."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as folder:
        async with MemoryRelay(create_app(Settings(Path(folder)))) as relay:
            answer = await relay.transport().request("GET", "/v1/openapi.json")
    return json.dumps(json.loads(answer.body), indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(asyncio.run(description()))
