"""How commands are declared: their help, near misses, the root of the tree and the words that many of them take.

Knows typer; refuses to know any single command.
"""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from cloister.cli import guide, shell
from cloister.cli.faults import Refused

# Ids are base64url: one of 64 begins with a dash. Long enough not to be somebody's short flag.
_DASHED = re.compile(r"-[A-Za-z0-9_][A-Za-z0-9_-]{2,}")
_HELP = {"help_option_names": ["--help", "-h"]}
# Its own flags come from the relay's table of settings, so the relay reads them.
OPEN = {**_HELP, "ignore_unknown_options": True, "allow_extra_args": True}


class Command(TyperCommand):
    """A command whose help begins with examples; it takes an id for what it is, also one that begins with a dash."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        options = {name: one for one in self.get_params(ctx) for name in one.opts}
        ids: list[str] = []
        rest: list[str] = []
        for before, word in zip(["", *args], args, strict=False):
            taken = before in options and not getattr(options[before], "is_flag", False)
            (ids if _DASHED.fullmatch(word) and word[:2] not in options and not taken else rest).append(word)
        return super().parse_args(ctx, [*rest, "--", *ids] if ids and "--" not in args else args)

    def get_help(self, ctx: Any) -> str:
        return guide.command(path_of(ctx), self)

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        formatter.write(guide.usage(path_of(ctx), self) + "\n")


class Group(TyperGroup):
    """A group that suggests near misses, and never runs them."""

    def get_help(self, ctx: Any) -> str:
        return guide.group(path_of(ctx), self)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name = args[0] if args else ""
        if name in self.commands:
            return name, self.commands[name], args[1:]
        near = difflib.get_close_matches(name, [n for n, c in self.commands.items() if not c.hidden], n=1)
        path = path_of(ctx)
        if near:
            raise Refused("no-command-near", name=name, path=path, near=f"{path} {near[0]}")
        raise Refused("no-command", name=name, path=path)


def path_of(ctx: Any) -> str:
    """``cloister sphere new`` for that command's context."""
    names = []
    while ctx is not None:
        names.append(ctx.info_name or "")
        ctx = ctx.parent
    return " ".join(reversed(names))


def group_of(text: str) -> typer.Typer:
    """A group without typer's own completion and drawing."""
    return typer.Typer(cls=Group, help=text, add_completion=False, rich_markup_mode=None, context_settings=_HELP)


app = group_of("An encrypted workspace whose server can read nothing.")


def add(group: typer.Typer, name: str, text: str) -> typer.Typer:
    """A new group under another."""
    made = group_of(text)
    group.add_typer(made, name=name)
    return made


@app.callback(invoke_without_command=True)
def _root(ctx: typer.Context) -> None:
    """An encrypted workspace whose server can read nothing."""
    if ctx.invoked_subcommand is None:
        text = guide.group("cloister", ctx.command)
        shell.current().out.result({"help": text}, text)


# Sphere is asked for by the name people see: its title, the beginning of it, or the beginning of its id.
SphereName = Annotated[str, typer.Argument(metavar="SPHERE", help="Title, its beginning, or the beginning of its id.")]
OneOfMine = Annotated[str, typer.Argument(metavar="NAME", help="Your name: a-z, 0-9, dot, dash, underscore.")]
Who = Annotated[str, typer.Argument(metavar="NAME", help="Somebody's name, or the beginning of the id.")]
