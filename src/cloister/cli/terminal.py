"""The person's terminal: visible and hidden questions, wherever stdin and stdout lead.

A question goes to the controlling terminal even when stdin is a pipe, so ``echo text | cloister send harbour -`` can
still ask for the password. Hidden input shows one dot per character (nothing with ``--plain``). Input is read byte by
byte: what was typed ahead stays for the next question. Refuses to know what is asked.
"""

from __future__ import annotations

import codecs
import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

MAX_LINE: Final = 65536
_ERASE: Final = "\x7f\x08"
_KILL: Final = "\x15"
_END: Final = "\x04"
_DOT: Final = "·"


class Terminal:
    """An open terminal; ``find`` gets one."""

    def __init__(self, read_fd: int, write_fd: int, *, dots: bool) -> None:
        self.read_fd, self.write_fd, self.dots = read_fd, write_fd, dots

    def write(self, text: str) -> None:
        """Show text."""
        data = text.encode("utf-8", "replace")
        while data:
            data = data[os.write(self.write_fd, data) :]

    def ask(self, prompt: str) -> str:
        """One visible line. Raises EOFError at the end of input."""
        self.write(prompt)
        termios.tcdrain(self.write_fd)
        data = bytearray()
        while len(data) < MAX_LINE:
            byte = os.read(self.read_fd, 1)
            if not byte:
                raise EOFError
            if byte in b"\r\n":
                return data.decode("utf-8", "replace").strip()
            data += byte
        return data.decode("utf-8", "replace").strip()

    async def ask_meanwhile(self, prompt: str) -> str:
        """One visible line, while the event loop goes on. Raises EOFError at the end of input."""
        import asyncio

        loop, data = asyncio.get_running_loop(), bytearray()
        line: asyncio.Future[str] = loop.create_future()

        def more() -> None:
            try:
                byte = os.read(self.read_fd, 1)
            except OSError:
                byte = b""
            if line.done():
                return
            if not byte:
                line.set_exception(EOFError())
            elif byte in b"\r\n" or len(data) >= MAX_LINE:
                line.set_result(data.decode("utf-8", "replace").strip())
            else:
                data.extend(byte)

        self.write(prompt)
        termios.tcdrain(self.write_fd)
        loop.add_reader(self.read_fd, more)
        try:
            return await line
        except asyncio.CancelledError:
            self.write("\n")
            raise
        finally:
            loop.remove_reader(self.read_fd)

    def ask_hidden(self, prompt: str) -> str:
        """One line with echo off. Backspace and Ctrl-U work. Raises EOFError at the end of input."""
        with self._raw():
            self.write(prompt)
            typed: list[str] = []
            for char in self._characters():
                if char in "\r\n":
                    break
                if char == _END:
                    if not typed:
                        self.write("\n")
                        raise EOFError
                    break
                if char in _ERASE or char == _KILL:
                    count = len(typed) if char == _KILL else min(1, len(typed))
                    del typed[len(typed) - count :]
                    if self.dots:
                        self.write("\b \b" * count)
                elif char.isprintable() and len(typed) < MAX_LINE:
                    typed.append(char)
                    if self.dots:
                        self.write(_DOT)
            self.write("\n")
            return "".join(typed)

    def _characters(self) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while True:
            byte = os.read(self.read_fd, 1)
            if not byte:
                return
            yield from decoder.decode(byte)

    @contextmanager
    def _raw(self) -> Iterator[None]:
        before: list[Any] = termios.tcgetattr(self.read_fd)
        quiet: list[Any] = termios.tcgetattr(self.read_fd)
        quiet[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(self.read_fd, termios.TCSADRAIN, quiet)
        try:
            yield
        finally:
            termios.tcsetattr(self.read_fd, termios.TCSADRAIN, before)


def find(*, dots: bool) -> Terminal | None:
    """The terminal of this process, or None when nobody can be asked."""
    if sys.stdin is not None and sys.stdin.isatty() and sys.stderr is not None and sys.stderr.isatty():
        return Terminal(sys.stdin.fileno(), sys.stderr.fileno(), dots=dots)
    try:
        both = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return None
    return Terminal(both, both, dots=dots)
