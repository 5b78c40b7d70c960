"""Help and the printed manual, from the command tree: examples first, then what the words and flags mean.

One source for ``--help`` and ``docs/terminal.md``, so they cannot differ. Knows text layout; refuses to run anything.
"""

from __future__ import annotations

import textwrap
from typing import Any, Final

from cloister.cli.flags import TABLE
from cloister.errors import words

WIDTH: Final = 92

# Path of a command -> lines to try. The first thing people read.
EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "cloister": (
        "cloister demo                       see it all in a minute",
        "cloister serve                      run a server here",
        "cloister account new ada            your account",
        'cloister sphere new "Harbour plan"  an encrypted sphere',
        "cloister invite harbour             a link for somebody",
        "cloister join                       come in by a link",
        "cloister send harbour               write",
        "cloister read harbour --unread      read",
    ),
    "cloister serve": (
        "cloister serve",
        "cloister serve --listen 0.0.0.0:8420 --tls own",
        "cloister serve --tls files --tls-cert chain.pem --tls-key key.pem --origins https://cloister.example",
    ),
    "cloister demo": ("cloister demo", "cloister demo --plain"),
    "cloister account": ("cloister account new ada", "cloister account devices ls"),
    "cloister account new": (
        "cloister account new ada",
        "cloister --server https://cloister.example account new ada",
        "cloister account new robot --secrets-file robot.toml",
    ),
    "cloister account signin": ("cloister --server https://cloister.example account signin ada",),
    "cloister account signout": ("cloister account signout", "cloister account signout --wipe"),
    "cloister account key-file": ("cloister account key-file ~/robot.key",),
    "cloister account password": ("cloister account password",),
    "cloister account pin": ("cloister account pin set", "cloister account pin remove"),
    "cloister account pin set": (
        "cloister account pin set",
        "cloister account pin set --pin-fd 3 3< pin",
    ),
    "cloister account pin remove": ("cloister account pin remove",),
    "cloister account devices": ("cloister account devices ls", "cloister account devices rm phone"),
    "cloister account devices ls": ("cloister account devices ls",),
    "cloister account devices rm": ("cloister account devices rm phone",),
    "cloister sphere": ('cloister sphere new "Harbour plan"', "cloister sphere ls", "cloister sphere seen harbour"),
    "cloister sphere new": ('cloister sphere new "Harbour plan"', 'cloister sphere new Board --history since-join'),
    "cloister sphere custody": (
        "cloister sphere custody harbour",
        "cloister sphere custody harbour device",
        "cloister sphere custody harbour --only-here",
    ),
    "cloister sphere ls": ("cloister sphere ls", "cloister sphere ls --json"),
    "cloister sphere show": ("cloister sphere show harbour",),
    "cloister sphere leave": ("cloister sphere leave harbour",),
    "cloister sphere seen": ("cloister sphere seen harbour --last", "cloister sphere seen harbour 4kT9"),
    "cloister sphere log": ("cloister sphere log harbour", "cloister sphere log harbour --limit 5 --json"),
    "cloister sphere ask": ("cloister sphere ask harbour",),
    "cloister sphere carry-on": ("cloister sphere carry-on harbour",),
    "cloister sphere encrypt": (
        "cloister sphere encrypt harbour off",
        'cloister sphere encrypt harbour off "--yes=Harbour plan" --title "Harbour notices"',
        "cloister sphere encrypt harbour on",
    ),
    "cloister sphere public": ("cloister sphere public harbour on", "cloister sphere public harbour"),
    "cloister sphere policy": (
        "cloister sphere policy harbour",
        "cloister sphere policy harbour --history days:30 --retention 90d",
        "cloister sphere policy harbour --plaintext on",
    ),
    "cloister sphere title": ('cloister sphere title harbour "Harbour works"',),
    "cloister keys": ("cloister keys ls harbour", "cloister keys ask harbour"),
    "cloister keys ls": ("cloister keys ls harbour",),
    "cloister keys ask": ("cloister keys ask harbour", "cloister keys ask harbour --older"),
    "cloister keys share": ("cloister keys share harbour", "cloister keys share harbour cy --decline"),
    "cloister invite": (
        "cloister invite harbour --for 1d",
        "cloister invite harbour --uses 5 --auto --qr",
        "cloister invite board --to bo",
        "cloister invite harbour --ls",
    ),
    "cloister join": ("cloister join", "cloister join - < link.txt", "cloister join --from ada"),
    "cloister approve": ("cloister approve harbour", "cloister approve harbour bo --yes"),
    "cloister people": ("cloister people ls harbour", "cloister people remove harbour cy"),
    "cloister people ls": ("cloister people ls harbour",),
    "cloister people role": ("cloister people role harbour bo admin",),
    "cloister people remove": (
        "cloister people remove harbour cy",
        'cloister people remove harbour cy "--yes=Harbour plan"',
    ),
    "cloister send": (
        "cloister send harbour",
        "echo 'Hello from the pier' | cloister send harbour -",
        "cloister send harbour --openly",
    ),
    "cloister read": (
        "cloister read harbour --unread",
        "cloister read harbour --since 2d --json",
        "cloister read - < public-link.txt",
    ),
    "cloister watch": ("cloister watch", "cloister watch harbour --json"),
    "cloister outbox": ("cloister outbox ls", "cloister outbox retry"),
    "cloister outbox ls": ("cloister outbox ls",),
    "cloister outbox retry": ("cloister outbox retry", "cloister outbox retry 9f2c --anyway open"),
    "cloister outbox drop": ("cloister outbox drop 9f2c",),
    "cloister rotate": ("cloister rotate harbour", 'cloister rotate harbour --why "weekly change"'),
    "cloister live": ("cloister live ask harbour", "cloister live give harbour"),
    "cloister live ask": ("cloister live ask harbour",),
    "cloister live give": ("cloister live give harbour", "cloister live give harbour --always on"),
    "cloister export": (
        "cloister export harbour -o harbour.keys",
        "cloister export harbour --check harbour.keys",
        "cloister export harbour -o harbour.keys --passphrase --passphrase-fd 3 3< words",
    ),
    "cloister import": ("cloister import harbour.keys",),
    "cloister lock": ("cloister lock",),
    "cloister unlock": ("cloister unlock", "cloister unlock --idle 1h"),
    "cloister verify": ("cloister verify person bo", "cloister verify log harbour"),
    "cloister verify person": ("cloister verify person bo",),
    "cloister verify log": ("cloister verify log harbour",),
    "cloister verify web": (
        "cloister verify web https://cloister.example",
        "cloister verify web https://cloister.example --record files.json",
    ),
    "cloister verify evidence": (
        "cloister verify evidence fork.json --save harbour",
        "cloister verify evidence fork.json",
    ),
    "cloister admin": ("cloister admin health", "cloister admin signup link --uses 5"),
    "cloister admin health": ("cloister admin health",),
    "cloister admin users": ("cloister admin users ls",),
    "cloister admin users ls": ("cloister admin users ls",),
    "cloister admin signup": ("cloister admin signup link", "cloister admin signup off"),
    "cloister admin signup on": ("cloister admin signup on",),
    "cloister admin signup off": ("cloister admin signup off",),
    "cloister admin signup link": ("cloister admin signup link --uses 5 --for 7d",),
    "cloister doctor": (
        "cloister doctor",
        "cloister doctor harbour",
        "cloister doctor harbour --mend",
        "cloister doctor --json",
    ),
    "cloister version": ("cloister version",),
    "cloister completion": (
        'eval "$(cloister completion bash)"',
        "cloister completion fish > ~/.config/fish/completions/cloister.fish",
    ),
}  # fmt: skip


def _visible(path: str, group: Any) -> list[tuple[str, Any]]:
    """Commands to show, in the order of the examples: as people meet them."""
    order = {name: n for n, name in enumerate(EXAMPLES)}
    found = [(name, one) for name, one in group.commands.items() if not one.hidden]
    return sorted(found, key=lambda row: order.get(f"{path} {row[0]}", len(order)))


def _about(command: Any) -> str:
    return str(command.help or "").strip().replace("\n", " ")


def parameters(path: str, command: Any) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(words, flags) of a command, each as (form, meaning)."""
    places, flags = [], []
    for param in command.params:
        about = str(getattr(param, "help", "") or "")
        if param.param_type_name == "argument":
            places.append((param.metavar or param.name.upper(), about))
        elif param.name != "help":
            names = ", ".join(param.opts)
            value = "" if param.is_flag else f" {param.metavar or 'TEXT'}"
            default = "" if param.is_flag or param.default in ("", None) else f" (default: {param.default})"
            flags.append((names + value, about + default))
    if path == "cloister serve":
        flags += _settings()
    return places, flags


def _settings() -> list[tuple[str, str]]:
    """The flags of ``serve``: the relay's own table."""
    from cloister.server import settings

    rows = []
    for one in settings.TABLE:
        default = "~/.local/share/cloister" if one.name == "data" else settings.as_text(settings.default_of(one.name))
        shown = f"; default {default}" if default else ""
        rows.append((one.flag, f"{one.help} ({one.allowed}{shown}; {one.env})"))
    rows.append(("--config FILE", f"a TOML file of these settings (default: {settings.FILE_NAME} in the data folder)"))
    return rows


def usage(path: str, command: Any) -> str:
    """``cloister send SPHERE [TEXT|-]``."""
    places, _ = parameters(path, command)
    return " ".join([path, *(form for form, _ in places)])


def _table(rows: list[tuple[str, str]], width: int = 24) -> list[str]:
    lines = []
    for left, right in rows:
        wrapped = textwrap.wrap(right, WIDTH - width - 4) or [""]
        if len(left) > width:
            lines.append(f"  {left}")
            first = wrapped
        else:
            lines.append(f"  {left:<{width}}  {wrapped[0]}".rstrip())
            first = wrapped[1:]
        lines += [" " * (width + 4) + part for part in first]
    return lines


def command(path: str, cmd: Any) -> str:
    """The help of one command."""
    places, flags = parameters(path, cmd)
    lines = [usage(path, cmd), "", _about(cmd), "", "Examples:"]
    lines += [f"  {line}" for line in EXAMPLES.get(path, ())]
    if places:
        lines += ["", "Words:", *_table(places)]
    if flags:
        lines += ["", "Flags:", *_table(flags)]
    return "\n".join([*lines, "", str(words("help.common"))])


def group(path: str, cmd: Any) -> str:
    """The help of a group; of the whole program with the common flags."""
    lines = [_about(cmd), "", "Examples:", *(f"  {line}" for line in EXAMPLES.get(path, ())), "", "Commands:"]
    rows = []
    for name, one in _visible(path, cmd):
        inner = [sub for sub, _ in _visible(f"{path} {name}", one)] if hasattr(one, "commands") else []
        rows.append((f"{name} {'|'.join(inner)}".strip(), _about(one)))
    lines += _table(rows)
    if path == "cloister":
        lines += ["", "Flags, before or after any command:", *_table(common())]
        lines += ["", str(words("help.exit"))]
    else:
        lines += ["", str(words("help.common"))]
    return "\n".join(lines)


def common() -> list[tuple[str, str]]:
    """The common flags as (form, meaning)."""
    values = {"profile": "NAME", "home": "DIR", "server": "URL", "ca_file": "FILE", "secrets_file": "FILE"}
    rows = []
    for flag, (key, takes, about) in TABLE.items():
        rows.append((f"{flag} {values.get(key, 'N')}" if takes else flag, about))
    return rows


def manual(tree: Any) -> str:
    """``docs/terminal.md``: the whole tree as Markdown."""
    lines = [
        "# The terminal",
        "",
        "Made from the command tree by `python -m cloister.cli.guide`; a test checks that it is current.",
        "",
        "Results go to standard output, everything else (notices, questions, progress) to standard error.",
        "",
        "## Flags of every command",
        "",
        "| flag | meaning |",
        "|---|---|",
        *(f"| `{form}` | {about} |" for form, about in common()),
        "",
        "Secrets are asked on the terminal with echo off, or come from `--password-fd N` and its like, or from a file",
        "of yours with mode 0600 (`--secrets-file`). They are never taken from the command line or the environment,",
        "where other programs can read them.",
        "",
        "## Exit codes",
        "",
        "| code | meaning |",
        "|---|---|",
        *(f"| {code} | {text} |" for code, text in words("help.exit-codes").items()),
        "",
        "## Commands",
    ]
    _section("cloister", tree, lines)
    return "\n".join(lines) + "\n"


def _section(path: str, cmd: Any, lines: list[str]) -> None:
    for name, one in _visible(path, cmd):
        inner = f"{path} {name}"
        if hasattr(one, "commands"):
            _section(inner, one, lines)
            continue
        places, flags = parameters(inner, one)
        lines += ["", f"### {usage(inner, one)}", "", _about(one), "", "```", *EXAMPLES.get(inner, ()), "```"]
        if places or flags:
            rows = [_cell(form, about) for form, about in [*places, *flags]]
            lines += ["", "| | |", "|---|---|", *rows]


def _cell(form: str, about: str) -> str:
    bar = "\\|"
    return f"| `{form.replace('|', bar)}` | {about.replace('|', bar)} |"


if __name__ == "__main__":
    import sys

    from cloister.cli.tree import root

    sys.stdout.write(manual(root()))
