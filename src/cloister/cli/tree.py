"""The command tree: put together, and run. What a command does is imported when it runs.

Refuses to import the client or the server, so that help, version and completion answer at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, NoReturn

import typer

from cloister.cli import tree_keys, tree_own, tree_rules, tree_spheres
from cloister.cli.faults import INTERRUPTED, USAGE, Refused
from cloister.cli.grammar import app, path_of

# Importing a module declares its commands.
DECLARED = (tree_own, tree_spheres, tree_rules, tree_keys)


def root() -> Any:
    """The tree as click sees it."""
    return typer.main.get_command(app)


def execute(argv: Sequence[str]) -> None:
    """Run the command that ``argv`` names. Raises CloisterError; usage faults of the parser become Refused."""
    words = list(argv)
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    try:
        # Typer turns Ctrl-C into this code and goes on.
        if root().main(args=words, prog_name="cloister", standalone_mode=False) == INTERRUPTED:
            raise KeyboardInterrupt
    except typer.Abort:
        raise KeyboardInterrupt from None
    except Exception as error:
        if hasattr(error, "format_message"):
            _usage(error)
        raise


def _usage(error: Any) -> NoReturn:
    """The parser's complaint, in words; a near miss of a flag is named."""
    ctx = getattr(error, "ctx", None)
    path = path_of(ctx) if ctx is not None else "cloister"
    option = getattr(error, "option_name", None)
    if option and type(error).__name__ == "NoSuchOption":
        from cloister.cli.flags import TABLE

        own = [o for p in (ctx.command.params if ctx is not None else []) for o in p.opts]
        near = difflib.get_close_matches(option, [*own, *TABLE, "--help"], n=1)
        if near:
            raise Refused("no-flag-near", USAGE, flag=option, path=path, near=near[0]) from None
        raise Refused("no-flag", USAGE, flag=option, path=path) from None
    said = error.format_message().rstrip(".").replace("\n", " ")
    if not said:
        said = "something is missing"
    raise Refused("usage", USAGE, said=said[0].lower() + said[1:], path=path) from None
