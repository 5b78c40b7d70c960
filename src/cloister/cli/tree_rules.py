"""Commands about what a sphere's owner signs for everybody, and about single keys. Imports nothing that they need
before they run."""

from __future__ import annotations

from typing import Annotated

import typer

from cloister.cli import shell
from cloister.cli.grammar import Command, SphereName, add, app
from cloister.cli.tree_spheres import sphere

OnOff = Annotated[str, typer.Argument(metavar="on|off", help="Which.")]
Title = Annotated[str, typer.Option("--title", metavar="TEXT", help="A title that everybody may read, the server too.")]


@sphere.command("encrypt", cls=Command)
def sphere_encrypt(name: SphereName, value: OnOff, title: Title = "") -> None:
    """Turn encryption off or on again. Only an owner can; every member is told."""
    from cloister.cli.commands import rules

    shell.go(rules.encrypt(shell.current(), name, value, title))


@sphere.command("public", cls=Command)
def sphere_public(
    name: SphereName,
    value: Annotated[str, typer.Argument(metavar="[on|off]", help="Which; without it the link is shown.")] = "",
    title: Title = "",
) -> None:
    """Let anybody with a link read what is written from now on."""
    from cloister.cli.commands import rules

    shell.go(rules.public(shell.current(), name, value, title))


@sphere.command("policy", cls=Command)
def sphere_policy(
    name: SphereName,
    join: Annotated[str, typer.Option("--join", metavar="approve|any", help="Who lets people in.")] = "",
    history: Annotated[
        str, typer.Option("--history", metavar="all|since-join|days:N|none", help="What newcomers can read.")
    ] = "",
    retention: Annotated[str, typer.Option("--retention", metavar="30d|off", help="How long messages stay.")] = "",
    plaintext: Annotated[
        str, typer.Option("--plaintext", metavar="on|off", help="Whether single messages may be sent openly.")
    ] = "",
    guests: Annotated[str, typer.Option("--guests", metavar="talk|read", help="What guests may do.")] = "",
    period: Annotated[
        str, typer.Option("--period", metavar="7d|off", help="When a key is too old at the latest.")
    ] = "",
    kem_min: Annotated[
        str, typer.Option("--kem-min", metavar="xwing|p384|rsa4096", help="The weakest way to hand over keys.")
    ] = "",
) -> None:
    """Show the signed rules of a sphere, or change them."""
    from cloister.cli.commands import rules

    given = {
        "join": join, "history": history, "retention": retention, "plaintext": plaintext, "guests": guests,
        "T": period, "kem_min": kem_min,
    }  # fmt: skip
    shell.go(rules.policy(shell.current(), name, given))


@sphere.command("title", cls=Command)
def sphere_title(
    name: SphereName,
    new: Annotated[str, typer.Argument(metavar="TITLE", help="What it is called from now on.")],
    topic: Annotated[str | None, typer.Option("--topic", metavar="TEXT", help="The line under the title.")] = None,
) -> None:
    """Change the title; sealed like messages while encryption is on."""
    from cloister.cli.commands import rules

    shell.go(rules.title(shell.current(), name, new, topic))


# --- keys ---------------------------------------------------------------------------------------------------------

keys = add(app, "keys", "Single keys: what is here, what is missing, who can supply it.")


@keys.command("ls", cls=Command)
def keys_ls(name: SphereName) -> None:
    """List the keys of a sphere: who made each, whether it is here, and who can supply it."""
    from cloister.cli.commands import keyring

    shell.go(keyring.ls(shell.current(), name))


@keys.command("ask", cls=Command)
def keys_ask(
    name: SphereName,
    older: Annotated[
        bool, typer.Option("--older", help="For those from before your time; somebody has to say yes.")
    ] = False,
) -> None:
    """Ask members for missing keys now."""
    from cloister.cli.commands import keyring

    shell.go(keyring.ask(shell.current(), name, older=older))


@keys.command("share", cls=Command)
def keys_share(
    name: SphereName,
    who: Annotated[str, typer.Argument(metavar="[NAME]", help="Whose wish; without it each in turn.")] = "",
    decline: Annotated[bool, typer.Option("--decline", help="Say no instead.")] = False,
) -> None:
    """Answer members who ask for older keys than the rules give them."""
    from cloister.cli.commands import keyring

    shell.go(keyring.share(shell.current(), name, who, decline=decline))
