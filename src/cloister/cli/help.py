"""How the command tree explains itself: examples first, then usage, arguments, options; near misses are suggested.

Typer parses; this draws, in plain text that any screen reader reads, without loading a drawing library.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, Final

from typer.core import TyperCommand, TyperGroup

from cloister.cli.faults import Refused
from cloister.cli.flags import TABLE

COMMON: Final = [
    ("-q, --quiet" if name == "--quiet" else "-v, --verbose" if name == "--verbose" else name, text)
    for name, (_, _, text) in TABLE.items()
]


def examples(command: Any) -> list[str]:
    """The example lines of a command."""
    return [line for line in (command.epilog or "").splitlines() if line.strip()]


def _write(command: Any, ctx: Any, formatter: Any) -> None:
    formatter.write_text(" ".join((command.help or "").split()))
    shown = examples(command)
    if shown:
        with formatter.section("Examples"):
            for line in shown:
                formatter.write(" " * formatter.current_indent + line + "\n")
    formatter.write_paragraph()
    formatter.write_usage(ctx.command_path, " ".join(command.collect_usage_pieces(ctx)))
    arguments, options = [], []
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx)
        if record and param.name != "help":
            (arguments if param.param_type_name == "argument" else options).append(record)
    for title, rows in (("Arguments", arguments), ("Options", options)):
        if rows:
            with formatter.section(title):
                formatter.write_dl(rows)


class Command(TyperCommand):
    """One command."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Draw the help of a command."""
        _write(self, ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text("Flags that every command takes: cloister --help")


class Group(TyperGroup):
    """A command with commands below it."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Draw the help of a group; the root also shows the flags of every command and the exit codes."""
        _write(self, ctx, formatter)
        self.format_commands(ctx, formatter)
        if ctx.parent is None:
            with formatter.section("Flags of every command"):
                formatter.write_dl(COMMON)
            with formatter.section("Exit codes"):
                formatter.write_text(EXITS)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command; a near miss is suggested, never run. Raises Refused."""
        found = self.get_command(ctx, args[0])
        if found is None and not ctx.resilient_parsing:
            near = get_close_matches(args[0], list(self.commands), n=2, cutoff=0.6)
            place = ctx.command_path
            if near:
                said = " or ".join(f"{place} {one}" for one in near)
                raise Refused("near-miss", word=args[0], near=said)
            raise Refused("no-such-command", word=args[0], place=place)
        return super().resolve_command(ctx, args)


EXITS: Final = (
    "0 done · 1 failed · 2 usage · 3 not found or not allowed · 4 locked or sign-in needed · 5 server unreachable · "
    "6 queued, not yet sent · 7 not readable yet · 8 check failed, stopped · 9 busy, try later · 10 over a limit · "
    "130 interrupted"
)
