"""The profile folder: which files exist, who may read them, and who may write now.

    profile.json   relay address, login, ids, state of sign-up: nothing secret, readable while locked
    vault.json     the openers that wrap the vault key (bytes made by ``account.vault``)
    store.db       everything else, SQLCipher under the vault key
    locks/         one lock file per sphere and one for the account

The folder is 0700, files are 0600. A file is replaced by writing a new one, flushing it and renaming it, so that a
crash leaves the old or the new one (CLT-002). A lock is an advisory file lock: it ends with its process (CLT-012).
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import stat
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from cloister.account import vault as vaults
from cloister.errors import AlreadyRunning, DiskTrouble, FormatError, UsageError

PROFILE: Final = "profile.json"
VAULT: Final = "vault.json"
STORE: Final = "store.db"
# How long a second process waits for the first one's commit before it says so.
LOCK_WAIT: Final = 20.0
_POLL: Final = 0.02


class Profile:
    """One profile folder."""

    def __init__(self, folder: str | Path, *, lock_wait: float = LOCK_WAIT) -> None:
        self.folder = Path(folder).expanduser()
        self.lock_wait = lock_wait
        self._local: dict[str, asyncio.Lock] = {}
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.folder / "locks").mkdir(mode=0o700, exist_ok=True)
            _require_private(self.folder)
        except OSError as error:
            raise DiskTrouble(f"profile folder: {error.strerror}") from None

    @property
    def store_path(self) -> Path:
        return self.folder / STORE

    def read(self, name: str) -> dict[str, Any] | None:
        """A JSON file of the folder, or None when it does not exist. Raises DiskTrouble."""
        try:
            data = (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DiskTrouble(f"{name}: {error.strerror}") from None
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            raise DiskTrouble(f"{name} is damaged") from None
        if not isinstance(value, dict):
            raise DiskTrouble(f"{name} is damaged")
        return value

    def write(self, name: str, value: dict[str, Any]) -> None:
        """Replace a JSON file atomically and durably (CLT-002). Raises DiskTrouble; the old file then stands."""
        write_private(self.folder / name, json.dumps(value, indent=1, sort_keys=True).encode() + b"\n")

    def remove(self, name: str) -> None:
        """Delete a file if it exists."""
        (self.folder / name).unlink(missing_ok=True)

    @asynccontextmanager
    async def writer(self, what: str) -> AsyncIterator[None]:
        """Be the only writer of ``what`` (a sphere id or "account") on this device (CLT-012).

        Waits for another task or process up to ``lock_wait`` seconds, then raises AlreadyRunning.
        """
        local = self._local.setdefault(what, asyncio.Lock())
        async with local:
            descriptor = os.open(self.folder / "locks" / f"{what}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                until = time.monotonic() + self.lock_wait
                while True:
                    try:
                        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        break
                    except BlockingIOError:
                        if time.monotonic() >= until:
                            raise AlreadyRunning(f"another process is writing {what[:12]}") from None
                        await asyncio.sleep(_POLL)
                yield
            finally:
                os.close(descriptor)


def _require_private(folder: Path) -> None:
    info = folder.stat()
    if info.st_uid != os.geteuid():
        raise UsageError("the profile folder belongs to somebody else")
    if stat.S_IMODE(info.st_mode) & 0o077:
        folder.chmod(0o700)


def write_private(path: Path, data: bytes) -> None:
    """Write a 0600 file so that a crash leaves the old or the new one (CLT-002). Raises DiskTrouble."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DiskTrouble(f"{path.name}: {error.strerror}") from None


def read_key_file(path: str | Path) -> bytes:
    """The 32 bytes of a bot's key file, which must be a regular file, yours, and mode 0600 (CLT-004)."""
    where = Path(path).expanduser()
    try:
        descriptor = os.open(where, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"key file: {error.strerror}") from None
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid() or stat.S_IMODE(info.st_mode) & 0o177:
            raise UsageError("the key file has to be yours and mode 0600")
        text = os.read(descriptor, 256)
    finally:
        os.close(descriptor)
    try:
        return vaults.read_key_file(text)
    except FormatError:
        raise UsageError("this is not a key file") from None


def expanded(path: str | Path) -> Path:
    """A path with the home folder filled in."""
    return Path(path).expanduser()
