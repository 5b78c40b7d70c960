"""Where secrets come from: a hidden question, a file descriptor, or a private file. Never argv, never the environment.

Order: ``--…-fd``, ``--secrets-file``, then the terminal. Without any of them the run ends at once with exit code 4.
Refuses to store anything.
"""

from __future__ import annotations

import os
import stat
import tomllib
from functools import cached_property
from typing import Any, Final

from cloister.cli import terminal
from cloister.cli.faults import LOCKED, USAGE, Refused
from cloister.cli.flags import Flags
from cloister.cli.output import say

MAX_SECRET: Final = 8192
MAX_FILE: Final = 65536
NAMES: Final = ("password", "new-password", "pin", "setup", "link", "passphrase")
# The 32 signs of generated passwords: no i l o u, so that they survive being read aloud or copied by hand.
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_GROUPS: Final = 5
_GROUP: Final = 4


class Secrets:
    """The secrets of one run."""

    def __init__(self, flags: Flags) -> None:
        self.flags = flags
        self._read: dict[str, str] = {}

    @cached_property
    def terminal(self) -> terminal.Terminal | None:
        """The terminal to ask on, or None with ``--no-input`` or without one."""
        return None if self.flags.no_input else terminal.find(dots=not self.flags.plain)

    def given(self, name: str) -> str | None:
        """The secret ``name`` (one of NAMES) from a descriptor or the file, or None. Raises Refused."""
        fd: int | None = getattr(self.flags, name.replace("-", "_") + "_fd")
        if fd is not None:
            # Each name reads one line, once: a second look must not take the next secret or the end of the pipe.
            if name not in self._read:
                self._read[name] = read_fd(fd)
            return self._read[name]
        if self.flags.secrets_file:
            value = self._file.get(name)
            return None if value is None else str(value)
        return None

    @cached_property
    def _file(self) -> dict[str, Any]:
        return read_file(self.flags.secrets_file)

    def get(self, name: str, prompt: str, *, hidden: bool = True) -> str:
        """The secret, from wherever it was given, else asked with the catalogue's text ``prompt``.

        Raises Refused (exit 4) when there is no source.
        """
        value = self.given(name)
        if value is not None:
            return value
        return self.ask(prompt, hidden=hidden, source=name)

    def ask(self, prompt: str, *, hidden: bool = False, source: str = "", **fields: Any) -> str:
        """Ask on the terminal. Raises Refused (exit 4) without one; EOFError becomes the same."""
        if self.terminal is None:
            if source:
                raise Refused("no-source", LOCKED, what=say(f"secret.{source}"), flag=f"--{source}-fd")
            raise Refused("no-terminal", LOCKED)
        text = say(prompt, **fields)
        try:
            return self.terminal.ask_hidden(text) if hidden else self.terminal.ask(text)
        except EOFError:
            raise Refused("no-terminal", LOCKED) from None

    def agree(self, prompt: str, *, default: bool = True, **fields: Any) -> bool:
        """A yes or no. ``--yes`` answers it."""
        if self.flags.yes:
            return True
        answer = self.ask(prompt, **fields).lower()
        return default if not answer else answer in ("y", "yes")

    async def agree_meanwhile(self, prompt: str, **fields: Any) -> bool:
        """A yes typed while other things go on; anything else is a no, and ``--yes`` answers nothing here.

        Cancelled, the question is gone from the terminal. Raises Refused (exit 4) without one.
        """
        if self.terminal is None:
            raise Refused("no-terminal", LOCKED)
        try:
            return (await self.terminal.ask_meanwhile(say(prompt, **fields))).lower() in ("y", "yes")
        except EOFError:
            raise Refused("no-terminal", LOCKED) from None

    def agree_by_name(self, name: str, prompt: str, **fields: Any) -> None:
        """Something that cannot be taken back: its name typed, or ``--yes=NAME``. Raises Refused."""
        if self.flags.yes_name or self.flags.yes:
            if self.flags.yes_name != name:
                raise Refused("needs-name", USAGE, name=name)
            return
        if self.terminal is None:
            raise Refused("no-terminal-name", LOCKED, name=name)
        if self.ask(prompt, name=name, **fields) != name:
            raise Refused("not-the-name", 1, code="L_USAGE")


def made_password() -> str:
    """A password nobody chose: five groups of four letters and digits, 100 bits."""
    from cloister.crypto import random_bytes

    signs = [_ALPHABET[byte & 31] for byte in random_bytes(_GROUPS * _GROUP)]
    return "-".join("".join(signs[i : i + _GROUP]) for i in range(0, len(signs), _GROUP))


def read_fd(fd: int) -> str:
    """The first line of a file descriptor. Raises Refused."""
    data = bytearray()
    try:
        while len(data) <= MAX_SECRET:
            byte = os.read(fd, 1)
            if not byte or byte == b"\n":
                break
            data += byte
    except OSError:
        raise Refused("fd-closed", fd=fd) from None
    try:
        text = data.decode("utf-8").removesuffix("\r")
    except UnicodeDecodeError:
        raise Refused("secret-form") from None
    if not text or len(data) > MAX_SECRET:
        raise Refused("secret-form")
    return text


def read_file(path: str) -> dict[str, Any]:
    """A TOML file of secrets that is a regular file, yours, and mode 0600. Raises Refused."""
    try:
        fd = os.open(os.path.expanduser(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise Refused("secrets-file", path=path, reason=error.strerror) from None
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid() or stat.S_IMODE(info.st_mode) != 0o600:
            raise Refused("secrets-file-mode", path=path)
        data = os.read(fd, MAX_FILE)
    finally:
        os.close(fd)
    try:
        found = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        raise Refused("secrets-file-form", path=path) from None
    for name, value in found.items():
        if name not in NAMES or not isinstance(value, str):
            raise Refused("secrets-file-form", path=path)
    return found
