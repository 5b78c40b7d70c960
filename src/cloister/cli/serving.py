"""``cloister serve``: its flags are the server's own table of settings, read only when they are needed.

Knows how flags become settings; refuses to know what a setting does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cloister.cli.faults import Refused
from cloister.cli.help import Command
from cloister.cli.shell import Shell, current

TEXT = "Run a server: an address, a set-up code for the first account, and nothing to decide."
EXAMPLES = (
    "cloister serve",
    "cloister serve --tls own --listen 0.0.0.0:8420",
    "cloister serve --data /srv/cloister --signup closed",
)


class ServeCommand(Command):
    """``serve`` with the options of the settings table."""

    def invoke(self, ctx: Any) -> Any:
        """Run with what was given."""
        run(current(), list(ctx.args))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help with every setting, its default and what is allowed."""
        from cloister.server.settings import TABLE, as_text, default_of

        super().format_help(ctx, formatter)
        with formatter.section(
            "Settings (flag, or CLOISTER_NAME in the environment, or relay.toml in the data folder)"
        ):
            rows = [("--config FILE", "another TOML file")]
            for row in TABLE:
                shown = "~/.local/share/cloister" if row.name == "data" else as_text(default_of(row.name)) or "empty"
                rows.append((row.flag, f"{row.help}. Allowed: {row.allowed}. Without it: {shown}"))
            formatter.write_dl(rows)


def serve_command() -> ServeCommand:
    """The command object for the tree."""
    return ServeCommand(
        "serve",
        callback=lambda: None,
        help=TEXT,
        epilog="\n".join(EXAMPLES),
        params=[],
        context_settings={
            "help_option_names": ["-h", "--help"],
            "max_content_width": 100,
            "ignore_unknown_options": True,
            "allow_extra_args": True,
        },
        rich_markup_mode=None,
    )


def run(shell: Shell, args: list[str]) -> None:
    """Serve until stopped. Raises Refused, UsageError for a wrong setting."""
    from cloister.server.settings import BY_NAME, load

    flags: dict[str, str] = {}
    config: Path | None = None
    words = list(args)
    while words:
        word = words.pop(0)
        name, has_value, value = word.partition("=")
        key = name.removeprefix("--").replace("-", "_")
        if not name.startswith("--") or (key not in BY_NAME and key != "config"):
            raise Refused("serve-flag", flag=word)
        if not has_value:
            if not words:
                raise Refused("flag-needs-value", flag=name)
            value = words.pop(0)
        if key == "config":
            config = Path(value).expanduser()
        else:
            flags[key] = value
    if shell.flags.home and "data" not in flags:
        flags["data"] = str(shell.flags.home_path)
    settings = load(flags, shell.flags.environ, config)
    if shell.would("would.serve", address=settings.public_origin, data=str(settings.data)):
        return
    shell.kept = "kept.serve"
    from cloister.server import run as serve

    serve(settings)
