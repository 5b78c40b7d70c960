"""One relay as a process: takes the folder, listens, says when it is ready, stops cleanly.

Stopping finishes what was accepted: no new connection, the writer's last commit, every socket closed with 1001.

Spec: API-053, API-072, STR-018.
"""

from __future__ import annotations

import fcntl
import gc
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn

from cloister.errors import AlreadyRunning, DiskTrouble, UsageError
from cloister.server import logs, tls
from cloister.server.app import create_app
from cloister.server.guard import GuardedProtocol
from cloister.server.line import Line
from cloister.server.settings import Settings, with_port
from cloister.server.shell import Shell

Ready = Callable[[str, str | None, Path | None], None]

BACKLOG: Final = 2048
# Largest frame a client may send: one message and its record, several times over.
MAX_FRAME: Final = 1024 * 1024
STOP_SECONDS: Final = 10
# Objects that may be young before the collector looks for rings among them.
YOUNG: Final = 20_000


def run(settings: Settings, ready: Ready | None = None) -> None:
    """Serve until SIGINT or SIGTERM; returns after a clean stop.

    ``ready`` is called once with the address, the set-up code while there is no account, and the file of the own
    certificate authority. Raises UsageError (address taken, certificate), AlreadyRunning, DiskTrouble.
    """
    logs.configure(settings.log_level, settings.log_format)
    lock = take_folder(settings.data)
    try:
        sockets = listen(settings)
        settings = with_port(settings, sockets[0].getsockname()[1])
        certificates = tls.certificates(settings, int(time.time()))
        shell = create_app(settings)
        shell.relay.open()
        config = uvicorn.Config(
            shell,
            loop="uvloop",
            http=GuardedProtocol,
            ws=Line,
            ws_max_size=MAX_FRAME,
            ws_per_message_deflate=False,
            ws_ping_interval=20,
            ws_ping_timeout=30,
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=STOP_SECONDS,
            ssl_certfile=str(certificates.cert) if certificates else None,
            ssl_keyfile=str(certificates.key) if certificates else None,
        )
        server = _Server(config, shell)
        if ready is not None:
            ca = certificates.ca if certificates else None
            server.when_ready = lambda: ready(settings.public_origin, shell.relay.setup_code, ca)
        try:
            server.run(sockets=sockets)
        finally:
            for one in sockets:
                one.close()
    finally:
        os.close(lock)


class _Server(uvicorn.Server):
    """uvicorn that says when it listens, closes live connections kindly, and returns instead of re-raising signals."""

    def __init__(self, config: uvicorn.Config, shell: Shell) -> None:
        super().__init__(config)
        self._shell = shell
        self.when_ready: Callable[[], None] = lambda: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            # What is loaded by now stays for ever: the collector need not walk through it while messages wait, nor
            # look at the young ones of every group, which nearly all go by themselves.
            gc.collect()
            gc.freeze()
            gc.set_threshold(YOUNG)
            self.when_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        await self._shell.farewell()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True


def take_folder(data: Path) -> int:
    """Lock the data folder for this process; returns the descriptor. Raises AlreadyRunning, DiskTrouble."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(data / "relay.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DiskTrouble(f"{data}: {error.strerror}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise AlreadyRunning(f"another relay uses {data}") from None
    return handle


def listen(settings: Settings) -> list[socket.socket]:
    """Sockets bound to the listening address, IPv4 first; port 0 takes a free one. Raises UsageError."""
    port = settings.port
    bound: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(settings.host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, proto, _, address in sorted(found, key=lambda one: one[0] != socket.AF_INET):
            one = socket.socket(family, kind, proto)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                one.bind((address[0], port, *address[2:]))
            except OSError:
                one.close()
                if bound:
                    continue  # the machine has no such family; one address is enough
                raise
            bound.append(one)
            port = one.getsockname()[1]
    except OSError as error:
        raise UsageError(f"listen cannot be {settings.listen!r}: {error.strerror}") from None
    return bound
