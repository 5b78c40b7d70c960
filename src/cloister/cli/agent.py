"""The agent: one small process per profile that holds the vault key between commands, and nothing else.

It listens on a Unix socket of mode 0600 in a folder of mode 0700, answers only its own user (the kernel says who
asks), and ends when idle, when told to lock, or when its socket is taken away. The key comes by a pipe, never by argv
or the environment, and is overwritten when the process ends; core dumps and tracing are switched off. What crosses the
socket is the key and the seconds left, nothing else (CLT-051).

    {"op": "get"} -> {"key": base64}    {"op": "status"} -> {"left": seconds}    {"op": "lock"} -> {}
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

IDLE: Final = 600
KEY_LENGTH: Final = 32
_LINE: Final = 4096
# What the kernel takes as the path of a socket (struct sockaddr_un, less the closing zero).
_LONGEST: Final = 107
_WAIT: Final = 5.0


# --- the asking side ----------------------------------------------------------------------------------------------


def socket_path(profile: Path, home: Path, environ: Mapping[str, str]) -> Path:
    """Where the agent of a profile listens: the runtime folder of the session, else a private folder of the home."""
    return socket_paths(profile, home, environ)[0]


def socket_paths(profile: Path, home: Path, environ: Mapping[str, str]) -> list[Path]:
    """Where agents of a profile may listen, this session's first: another session of the user may have no runtime
    folder, or have one where this one has none, and locking ends them all (CLT-051)."""
    runtime = environ.get("XDG_RUNTIME_DIR")
    folders = [Path(runtime) / "cloister"] if runtime else []
    folders += [home / "run", Path(f"/run/user/{os.geteuid()}/cloister")]
    # Named by folder and i-node: short (a socket's path is limited), one per profile, the same for every spelling.
    info = profile.stat() if profile.exists() else None
    name = f"{info.st_dev:x}-{info.st_ino:x}.sock" if info else "none.sock"
    return [folder / name for folder in dict.fromkeys(folders)]


@contextlib.contextmanager
def reachable(path: Path) -> Iterator[str]:
    """``path`` as a socket's address: a long one by its open folder. Raises OSError when the folder is not there."""
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def peer_uid(sock: socket.socket) -> int:
    """The user at the other end, as the kernel knows it."""
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(uid)


def _ask(path: Path, request: dict[str, Any]) -> dict[str, Any] | None:
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)) as sock:
        sock.settimeout(_WAIT)
        try:
            info = path.lstat()
            if info.st_uid != os.geteuid() or not stat.S_ISSOCK(info.st_mode) or stat.S_IMODE(info.st_mode) & 0o077:
                return None
            with reachable(path) as address:
                sock.connect(address)
            if peer_uid(sock) != os.geteuid():
                return None
            sock.sendall(json.dumps(request).encode() + b"\n")
            data = b""
            while not data.endswith(b"\n") and len(data) < _LINE:
                piece = sock.recv(_LINE)
                if not piece:
                    break
                data += piece
            answer = json.loads(data)
        except (OSError, ValueError):
            return None
    return answer if isinstance(answer, dict) else None


def get_key(path: Path) -> bytes | None:
    """The vault key, or None when no agent of this user holds it."""
    answer = _ask(path, {"op": "get"})
    return base64.b64decode(answer["key"]) if answer and "key" in answer else None


def seconds_left(path: Path) -> int | None:
    """Seconds until the agent forgets the key, or None when there is none."""
    answer = _ask(path, {"op": "status"})
    return int(answer["left"]) if answer and "left" in answer else None


def lock(path: Path) -> bool:
    """End the agent. False when there was none."""
    return _ask(path, {"op": "lock"}) is not None


def start(path: Path, key: bytes, idle: int = IDLE) -> bool:
    """Start an agent with this key, in place of an earlier one. False when it did not come up."""
    lock(path)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.parent.stat().st_uid != os.geteuid():
        return False
    path.parent.chmod(0o700)
    process = subprocess.Popen(
        [sys.executable, "-I", __file__, str(path), str(idle)],  # this file alone: the agent needs no library
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        env={"LANG": "C.UTF-8"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(OSError):
        process.stdin.write(key)
        process.stdin.close()
    ready = process.stdout.read(1) == b"."
    process.stdout.close()
    # Not a child to wait for: it outlives this command and is then its own.
    process.returncode = 0
    return ready


# --- the agent itself ---------------------------------------------------------------------------------------------


def harden() -> None:
    """No core dump, no tracing by other programs of this user."""
    import ctypes
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE


def serve(path: Path, key: bytearray, idle: float, ready: int) -> None:
    """Answer until idle for ``idle`` seconds, told to lock, or replaced. ``ready``: descriptor to report on."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    # Bound under another name with a narrow mask, then moved: the socket is never reachable with a wider mode.
    temporary = path.with_suffix(f".{os.getpid()}")
    before = os.umask(0o177)
    try:
        with reachable(temporary) as address:
            listener.bind(address)
        listener.listen(16)
        temporary.rename(path)
    finally:
        os.umask(before)
        temporary.unlink(missing_ok=True)
    mine = path.lstat().st_ino
    os.write(ready, b".")
    os.close(ready)
    until = time.monotonic() + idle
    try:
        while True:
            left = until - time.monotonic()
            if left <= 0 or not _still(path, mine):
                return
            if not select.select([listener], [], [], min(left, 30.0))[0]:
                continue
            connection, _ = listener.accept()
            with contextlib.closing(connection):
                answer = _answer(connection, key, int(until - time.monotonic()))
                if answer == "lock":
                    return
                if answer == "get":
                    until = time.monotonic() + idle
    finally:
        key[:] = bytes(len(key))
        listener.close()
        if _still(path, mine):
            path.unlink(missing_ok=True)


def _still(path: Path, inode: int) -> bool:
    try:
        return path.lstat().st_ino == inode
    except OSError:
        return False


def _answer(connection: socket.socket, key: bytearray, left: int) -> str:
    """Serve one request; the op, or "" when it was none or not from this user."""
    connection.settimeout(_WAIT)
    try:
        if peer_uid(connection) != os.geteuid():
            return ""
        data = b""
        while not data.endswith(b"\n") and len(data) < _LINE:
            piece = connection.recv(_LINE)
            if not piece:
                break
            data += piece
        op = str(json.loads(data).get("op"))
        answers = {"get": {"key": base64.b64encode(key).decode()}, "status": {"left": left}, "lock": {}}
        if op not in answers:
            return ""
        connection.sendall(json.dumps(answers[op]).encode() + b"\n")
    except (OSError, ValueError, AttributeError):
        return ""
    return op


def main() -> None:
    """The agent process: argv holds socket path and idle seconds, stdin the key."""
    harden()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    key = bytearray(os.read(0, KEY_LENGTH))
    if len(key) != KEY_LENGTH:
        sys.exit(1)
    ready = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):
        os.dup2(null, fd)
    serve(Path(sys.argv[1]), key, float(sys.argv[2]), ready)


if __name__ == "__main__":
    main()
