"""The agent: who may ask it, what it holds, when it ends. Each guard has a control run without it."""

from __future__ import annotations

import os
import select
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloister.cli import agent

KEY = bytes(range(32))
WATCHDOG = 30.0


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    where = tmp_path / "run" / "a.sock"
    yield where
    agent.lock(where)


def _ends(process: str) -> bool:
    """Wait until a process has ended."""
    try:
        handle = os.pidfd_open(int(process))
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], WATCHDOG)[0])
    finally:
        os.close(handle)


def _processes(path: Path) -> list[str]:
    """Command lines and environments of processes that name ``path``."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(path).encode() in line:
                found.append(entry.name)
    return found


def test_it_gives_the_key_until_it_is_locked(path: Path) -> None:
    assert agent.get_key(path) is None
    assert agent.start(path, KEY)
    assert agent.get_key(path) == KEY
    assert agent.seconds_left(path) is not None
    (process,) = _processes(path)
    assert agent.lock(path)
    assert _ends(process)
    assert not path.exists()
    assert agent.get_key(path) is None
    assert not agent.lock(path)


@pytest.mark.parametrize("weak", [False, True], ids=["", "control"])
def test_a_home_far_down_in_the_tree_has_an_agent_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weak: bool
) -> None:
    """CLT-051: the kernel takes 107 bytes as a socket's path; the control hands it the whole one."""
    where = tmp_path / ("deep-" * 25) / "run" / "a.sock"
    assert len(str(where)) > 107
    assert agent.start(where, KEY)
    if weak:
        monkeypatch.setattr(agent, "_LONGEST", 10**6)
    assert (agent.get_key(where) == KEY) is not weak
    monkeypatch.undo()
    assert stat.S_IMODE(where.stat().st_mode) == 0o600
    assert agent.lock(where)


def test_socket_and_folder_are_closed_to_others(path: Path) -> None:
    path.parent.mkdir(mode=0o755)
    assert agent.start(path, KEY)
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_key_is_in_no_command_line_and_no_environment(path: Path) -> None:
    assert agent.start(path, KEY)
    processes = _processes(path)
    assert processes
    for process in processes:
        for name in ("cmdline", "environ"):
            try:
                data = (Path("/proc") / process / name).read_bytes()
            except OSError:
                continue  # not dumpable: closed even to ourselves
            assert KEY not in data
            assert KEY.hex().encode() not in data


def test_it_ends_when_it_was_not_used(path: Path) -> None:
    assert agent.start(path, KEY, idle=1)
    assert agent.get_key(path) == KEY
    (process,) = _processes(path)
    assert _ends(process)
    assert not path.exists()
    assert agent.get_key(path) is None


def test_asking_for_the_state_does_not_keep_it_alive(path: Path) -> None:
    assert agent.start(path, KEY, idle=2)
    until = time.monotonic() + WATCHDOG
    while agent.seconds_left(path) is not None and time.monotonic() < until:
        pass
    assert agent.get_key(path) is None


def test_a_second_start_replaces_the_first(path: Path) -> None:
    assert agent.start(path, KEY)
    assert agent.start(path, KEY[::-1])
    assert agent.get_key(path) == KEY[::-1]


def test_it_ends_when_its_socket_is_taken_away(path: Path) -> None:
    assert agent.start(path, KEY, idle=3)
    (process,) = _processes(path)
    path.unlink()
    assert _ends(process)


def test_one_profile_one_agent(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "profiles" / name).mkdir(parents=True)
    found = {agent.socket_path(tmp_path / "profiles" / name, tmp_path, {}) for name in ("one", "two")}
    assert len(found) == 2
    assert all(len(str(one)) - len(str(tmp_path)) < 60 for one in found)
    runtime = agent.socket_path(tmp_path / "profiles/one", tmp_path, {"XDG_RUNTIME_DIR": "/run/user/7"})
    assert runtime.parent == Path("/run/user/7/cloister")


@pytest.mark.parametrize("sent", [b"", b"\n", b"{}\n", b"[1]\n", b'{"op": "give"}\n', b"x" * 10000, b'{"op": 7}\n'])
def test_nonsense_gets_no_answer_and_does_no_harm(path: Path, sent: bytes) -> None:
    assert agent.start(path, KEY)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(WATCHDOG)
        sock.connect(str(path))
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        try:
            assert sock.recv(4096) == b""
        except ConnectionResetError:
            pass
    assert agent.get_key(path) == KEY


# --- other users --------------------------------------------------------------------------------------------------


def _ask_as_nobody(path: Path) -> bytes:
    """What another user gets, who was let through folder and mode (so that only the uid check stands)."""
    program = (
        "import os, socket, sys; os.setgid(65534); os.setuid(65534); s = socket.socket(socket.AF_UNIX);"
        's.settimeout(20); s.connect(sys.argv[1]); s.sendall(b\'{"op": "get"}\\n\');'
        "sys.stdout.buffer.write(s.recv(4096))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program, str(path)], capture_output=True, timeout=WATCHDOG)
    return done.stdout


def _serve_here(path: Path) -> threading.Thread:
    """The agent's own loop in a thread of this process, so that a control run can weaken it."""
    read, write = os.pipe()
    path.parent.mkdir(mode=0o700, exist_ok=True)
    thread = threading.Thread(target=agent.serve, args=(path, bytearray(KEY), 60.0, write), daemon=True)
    thread.start()
    assert os.read(read, 1) == b"."
    os.close(read)
    return thread


def _open_the_way(path: Path) -> None:
    path.chmod(0o666)
    for folder in path.parents:
        if folder != Path("/") and folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o011)


def test_another_user_gets_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thread = _serve_here(path)
    if os.geteuid() == 0:
        _open_the_way(path)
        assert _ask_as_nobody(path) == b""
    real = os.geteuid()
    monkeypatch.setattr(agent, "peer_uid", lambda _: real + 1)
    assert agent.get_key(path) is None
    monkeypatch.undo()
    path.chmod(0o600)
    assert agent.get_key(path) == KEY
    agent.lock(path)
    thread.join(WATCHDOG)


def test_without_the_uid_check_another_user_would_get_the_key(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control run."""
    thread = _serve_here(path)
    uid = os.geteuid()
    monkeypatch.setattr(agent, "peer_uid", lambda _: uid)
    if os.geteuid() == 0:
        _open_the_way(path)
        assert b"key" in _ask_as_nobody(path)
        path.chmod(0o600)
    assert agent.get_key(path) == KEY
    agent.lock(path)
    thread.join(WATCHDOG)


def test_a_socket_that_others_may_write_is_not_asked(path: Path) -> None:
    """Somebody else's socket, or a loose one, could be a trap: it is not spoken to."""
    assert agent.start(path, KEY)
    path.chmod(0o666)
    assert agent.get_key(path) is None
    path.chmod(0o600)
    assert agent.get_key(path) == KEY


def test_the_key_is_overwritten_at_the_end(path: Path) -> None:
    read, write = os.pipe()
    path.parent.mkdir(mode=0o700)
    key = bytearray(KEY)
    thread = threading.Thread(target=agent.serve, args=(path, key, 60.0, write), daemon=True)
    thread.start()
    assert os.read(read, 1) == b"."
    os.close(read)
    assert agent.lock(path)
    thread.join(WATCHDOG)
    assert key == bytearray(32)


def test_no_core_dump_and_no_tracing() -> None:
    program = (
        "import ctypes, resource, runpy, sys; ns = runpy.run_path(sys.argv[1]); ns['harden']();"
        "print(resource.getrlimit(resource.RLIMIT_CORE)[0], ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, agent.__file__], capture_output=True, text=True, timeout=WATCHDOG
    )
    assert done.stdout.split() == ["0", "0"]
