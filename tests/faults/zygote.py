"""Servers that start in a few milliseconds: one warmed process forks a child for every start.

The warmed process has imported everything, built the application and bound the listening socket; it has no thread and
no database open. Each child is the real relay on real files and that real socket. Between two children the socket
stays open in the parent, so a client that connects early waits instead of being refused.

Protocol on stdin and stdout, one JSON object a line: {"start": true} -> {"pid": N}; {"reap": N} -> {"status": S}.

    python -m tests.faults.zygote FOLDER [WEAKNESS]
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from cloister.server.settings import Settings


def settings_for(folder: Path, port: int) -> Settings:
    """Open to everybody, without limits: one machine plays all of them."""
    return Settings(
        data=folder,
        listen=f"127.0.0.1:{port}",
        signup="open",
        rate_address=0,
        rate_account=0,
        auth_tries=100_000,
        log_level="error",
    )


class Servers:
    """The warmed process, seen from a test. Use as a context manager; every child it made is killed at the end."""

    def __init__(self, folder: Path, weakness: str = "") -> None:
        self.folder, self.weakness = folder, weakness
        self.pid = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote", str(self.folder), self.weakness],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, ["src", ".", os.environ.get("PYTHONPATH", "")])),
            },
            cwd=Path(__file__).parents[2],
        )
        self.port = self._said()["port"]
        return self

    def __exit__(self, *_: object) -> None:
        if self.pid:
            self.kill()
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(30)

    def _said(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the warmed process ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _tell(self, **what: Any) -> dict[str, Any]:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        self._process.stdin.flush()
        return self._said()

    def start(self) -> int:
        """Fork a server; it answers as soon as it has opened its database."""
        assert not self.pid
        self.pid = self._tell(start=True)["pid"]
        return self.pid

    def kill(self, how: int = signal.SIGKILL) -> int:
        """End the server and wait until it is gone; its wait status."""
        pid, self.pid = self.pid, 0
        os.kill(pid, how)
        status: int = self._tell(reap=pid)["status"]
        return status


def weaken(name: str) -> None:
    """Builds with one promise broken, for control runs."""
    if name == "ack-before-commit":
        from tests.faults.weak import ack_before_commit

        ack_before_commit()
    else:
        assert not name, name


def main() -> None:
    import uvicorn
    import uvloop

    from cloister.server import logs
    from cloister.server.app import create_app
    from cloister.server.guard import GuardedProtocol

    folder = Path(sys.argv[1])
    weaken(sys.argv[2] if len(sys.argv) > 2 else "")
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", 0))
    listening.listen(512)
    port = listening.getsockname()[1]
    settings = settings_for(folder, port)
    logs.configure(settings.log_level, settings.log_format)
    config = uvicorn.Config(
        create_app(settings),
        loop="uvloop",
        http=GuardedProtocol,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        lifespan="on",
    )
    config.load()
    gc.collect()
    gc.freeze()
    print(json.dumps({"port": port}), flush=True)
    for line in sys.stdin:
        what = json.loads(line)
        if "reap" in what:
            print(json.dumps({"status": os.waitpid(what["reap"], 0)[1]}), flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            os.close(0)
            os.dup2(2, 1)
            server = uvicorn.Server(config)
            uvloop.run(server.serve(sockets=[listening]))
            os._exit(0)
        print(json.dumps({"pid": pid}), flush=True)


if __name__ == "__main__":
    main()
