"""Where lines go: results to stdout, everything else to stderr, and both safe to show.

One object per run, made from the common flags and the two streams. Refuses to know what a command means; it knows
quiet, JSON, colour, width and progress.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TextIO

from cloister.cli.escape import escape, isolated
from cloister.cli.faults import Refused, why_of
from cloister.cli.flags import Flags
from cloister.errors import CloisterError, words

VERSION: Final = 1
RED: Final = "\x1b[31m"
OCHRE: Final = "\x1b[33m"
DIM: Final = "\x1b[2m"
BOLD: Final = "\x1b[1m"
PLAIN: Final = "\x1b[0m"


def say(message_id: str, **fields: Any) -> str:
    """A text of the catalogue, filled. Texts are escaped; fields ending in ``_raw`` are safe already."""
    entry = words(message_id)
    if isinstance(entry, dict):
        entry = entry["one" if fields[entry["of"]] == 1 else "other"]
    safe = {k: escape(v) if isinstance(v, str) and not k.endswith("_raw") else v for k, v in fields.items()}
    return str(entry).format(**safe)


@dataclass
class Output:
    """The two streams of one run."""

    flags: Flags
    out: TextIO
    err: TextIO
    open_line: bool = False

    @property
    def json(self) -> bool:
        return self.flags.json

    def colour(self, stream: TextIO) -> bool:
        """Colour only on a terminal that wants it."""
        env = self.flags.environ
        off = self.flags.no_color or self.flags.plain or self.flags.json or env.get("NO_COLOR")
        return not off and env.get("TERM") != "dumb" and stream.isatty()

    def paint(self, text: str, colour: str, stream: TextIO | None = None) -> str:
        """``text`` in a colour, where colour is wanted. Meaning is never in the colour alone."""
        return f"{colour}{text}{PLAIN}" if self.colour(stream or self.out) else text

    def name(self, text: str) -> str:
        """Somebody else's text, safe within a line."""
        shown = escape(text)
        return isolated(shown) if self.out.isatty() and not self.flags.plain else shown

    # results -----------------------------------------------------------------------------------------------------
    def result(self, value: dict[str, Any], *lines: str) -> None:
        """A result: ``value`` with ``--json``, else the lines (already safe)."""
        if self.json:
            self._write(self.out, json.dumps({"v": VERSION, **value}))
        else:
            for line in lines:
                self._write(self.out, line)

    def rows(self, key: str, values: Sequence[dict[str, Any]], table: Sequence[Sequence[str]], empty: str) -> None:
        """A list: one object holding all with ``--json``, else columns; ``empty`` goes to stderr."""
        if self.json:
            self.result({key: list(values)})
        elif not table:
            self.note(empty)
        else:
            for line in columns(table):
                self._write(self.out, line)

    def picture(self, text: str) -> None:
        """``text`` as a QR code, on stderr."""
        import segno

        segno.make(text, error="l", micro=False).terminal(self.err, compact=True)

    # everything else ---------------------------------------------------------------------------------------------
    def note(self, text: str) -> None:
        """A notice on stderr; not with ``--quiet`` or ``--json``."""
        if not self.flags.quiet and not self.json:
            self._write(self.err, text)

    def detail(self, text: str) -> None:
        """A notice only with ``--verbose``."""
        if self.flags.verbose:
            self._write(self.err, text)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Long work: says what is happening, then how long it took. On a terminal the result follows on the line."""
        shown = not self.flags.quiet and not self.json
        begun = time.monotonic()
        if shown:
            self.close_line()
            self.err.write(f"{text} … ")
            self.err.flush()
            self.open_line = True
        try:
            yield
        except BaseException:
            self.close_line()
            raise
        if shown:
            self.err.write(f"{time.monotonic() - begun:.1f} s.")
            together = self.err.isatty() and self.out.isatty() and not self.flags.plain
            self.err.write("  " if together else "\n")
            self.err.flush()
            self.open_line = together

    def close_line(self) -> None:
        """End a line left open by ``step``."""
        if self.open_line:
            self.err.write("\n")
            self.err.flush()
            self.open_line = False

    def fault(self, error: CloisterError) -> None:
        """A fault on stderr: why, next, you; as one object with ``--json``."""
        self.close_line()
        shown = error.as_json()
        shown["why"] = why_of(error)
        if self.json:
            self._write(self.err, json.dumps(shown))
            return
        if error.exit_code == 8:
            shown["why"] = self.paint(str(words("word.stop")), RED, self.err) + escape(shown["why"])
        else:
            shown["why"] = escape(shown["why"])
        self._write(self.err, " ".join(part for part in (shown["why"], escape(shown["next"])) if part))
        if shown["you"]:
            self._write(self.err, escape(shown["you"], lines=True))
        if self.flags.verbose:
            about = (
                "" if isinstance(error, Refused) or error.detail in ("", error.code) else f": {escape(error.detail)}"
            )
            self._write(self.err, f"[{error.code}{about}]")

    def stop(self, stop: Any) -> None:
        """A sphere that sends nothing more, in the words of its fault (a ``Stop`` record)."""
        entry = words("stop.signed-both") if stop.who else words(stop.code)
        parts = {name: text.replace("{who}", stop.who) for name, text in _parts(entry).items()}
        if self.json:
            self._write(self.err, json.dumps({"v": VERSION, "code": stop.code, **parts}))
            return
        self.close_line()
        said = " ".join((parts["why"], parts["next"]))
        self._write(self.err, self.paint(str(words("word.stop")), RED, self.err) + escape(said))
        self._write(self.err, escape(parts["you"]))

    def _write(self, stream: TextIO, text: str) -> None:
        if self.open_line:
            self.open_line = False
            if stream is self.err:
                stream.write("\n")
        stream.write(text + "\n")
        stream.flush()


def _parts(entry: dict[str, Any]) -> dict[str, str]:
    return {name: str(entry[name]) for name in ("why", "next", "you")}


def columns(table: Sequence[Sequence[str]]) -> list[str]:
    """Rows as aligned text, two spaces between; the last column is not padded."""
    from rich.cells import cell_len

    widths = [max(cell_len(row[i]) for row in table if i < len(row)) for i in range(max(map(len, table)))]
    lines = []
    for row in table:
        cells = [cell + " " * (widths[i] - cell_len(cell)) for i, cell in enumerate(row)]
        lines.append("  ".join(cells).rstrip())
    return lines


def ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers as people write them: 1–3, 5."""
    runs: list[list[int]] = []
    for n in numbers:
        if runs and runs[-1][-1] == n - 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)


def standard(flags: Flags) -> Output:
    """Output to this process's own streams."""
    return Output(flags, sys.stdout, sys.stderr)
