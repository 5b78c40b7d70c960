"""The least a durable relay can do: uvicorn, one WebSocket per member, SQLite (WAL, FULL) with group commit.

No accounts, no rights, no signature, no idempotency, no cursor. A text frame from any member is stored and then sent
to every member: one frame per message and member, or with ``--coalesce`` one frame per commit and member (messages
joined by a newline). It is a ceiling to compare with, not a product.

    python -m bench.bare_relay FOLDER PORT [--coalesce]
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import uvicorn


class Bare:
    """All state of the relay."""

    def __init__(self, path: Path, coalesce: bool) -> None:
        self.coalesce = coalesce
        self.members: set[Any] = set()
        self.waiting: list[str] = []
        self.running = False
        self.thread = ThreadPoolExecutor(1)
        self.path = path
        self.tasks: set[asyncio.Task[None]] = set()

    def store(self, batch: list[str]) -> None:
        if not hasattr(self, "db"):
            self.db = sqlite3.connect(self.path, isolation_level=None)
            self.db.execute("PRAGMA journal_mode=WAL")
            self.db.execute("PRAGMA synchronous=FULL")
            self.db.execute("CREATE TABLE message(pos INTEGER PRIMARY KEY, body TEXT NOT NULL)")
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany("INSERT INTO message(body) VALUES (?)", [(one,) for one in batch])
        self.db.execute("COMMIT")

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while self.waiting:
            batch, self.waiting = self.waiting, []
            await loop.run_in_executor(self.thread, self.store, batch)
            for text in ["\n".join(batch)] if self.coalesce else batch:
                event = {"type": "websocket.send", "text": text}
                for send in tuple(self.members):
                    await send(event)
        self.running = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept"})
        self.members.add(send)
        try:
            while (event := await receive())["type"] == "websocket.receive":
                self.waiting.append(event["text"])
                if not self.running:
                    self.running = True
                    task = asyncio.get_running_loop().create_task(self.run())
                    self.tasks.add(task)
                    task.add_done_callback(self.tasks.discard)
        finally:
            self.members.discard(send)


def main() -> None:
    folder, port = sys.argv[1:3]
    app = Bare(Path(folder) / "bare.db", "--coalesce" in sys.argv)
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        lifespan="off",
        log_level="error",
    )


if __name__ == "__main__":
    main()
