"""Commands about keys, checks and the running of a server. Imports nothing that they need before they run."""

from __future__ import annotations

from typing import Annotated

import typer

from cloister.cli import shell
from cloister.cli.grammar import Command, SphereName, Who, add, app

# --- keys ---------------------------------------------------------------------------------------------------------


@app.command(cls=Command)
def rotate(
    name: SphereName,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="Told to the members under the new key.")] = "",
) -> None:
    """Make a new key for a sphere now."""
    from cloister.cli.commands import upkeep

    shell.go(upkeep.rotate(shell.current(), name, why))


@app.command(cls=Command)
def export(
    name: SphereName,
    file: Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="Write it there; - prints it.")] = "",
    qr: Annotated[bool, typer.Option("--qr", help="Draw it as a QR code.")] = False,
    words: Annotated[
        bool, typer.Option("--passphrase", help="Opened by a passphrase of yours instead of a code.")
    ] = False,
    check: Annotated[
        str, typer.Option("--check", metavar="FILE", help="Only look whether this file holds all keys.")
    ] = "",
) -> None:
    """Save the keys of a sphere. A code opens them, shown once."""
    from cloister.cli.commands import saving

    shell.go(saving.save(shell.current(), name, file, qr, words, check))


@app.command("import", cls=Command)
def import_(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="What export wrote; - reads standard input.")],
) -> None:
    """Take saved keys back. The sphere's signed history decides which it knows."""
    from cloister.cli.commands import saving

    shell.go(saving.take(shell.current(), file))


live = add(app, "live", "Hand keys over while both sides are connected.")


@live.command("ask", cls=Command)
def live_ask(name: SphereName) -> None:
    """Ask for missing keys of a sphere and compare six digits."""
    from cloister.cli.commands import handing

    shell.go(handing.ask(shell.current(), name))


@live.command("give", cls=Command)
def live_give(
    name: SphereName,
    always: Annotated[
        str, typer.Option("--always", metavar="on|off", help="Give without asking you, to members of the sphere.")
    ] = "",
) -> None:
    """Wait for somebody who asks, compare six digits, and give."""
    from cloister.cli.commands import handing

    if always not in ("", "on", "off"):
        raise typer.BadParameter("on or off", param_hint="--always")
    shell.go(handing.give(shell.current(), name, always))


@app.command(cls=Command)
def lock() -> None:
    """Forget the keys on this machine until you unlock."""
    from cloister.cli.commands import upkeep

    upkeep.lock(shell.current())


@app.command(cls=Command)
def unlock(
    idle: Annotated[str, typer.Option("--idle", metavar="TIME", help="Lock after this long without use: 10m.")] = "",
) -> None:
    """Open your keys with the password, so that commands need not ask."""
    from cloister.cli.commands import upkeep

    shell.go(upkeep.unlock(shell.current(), idle))


verify = add(app, "verify", "Check people, histories and evidence.")


@verify.command("person", cls=Command)
def verify_person(
    who: Who,
    sphere: Annotated[str, typer.Option("--sphere", metavar="SPHERE", help="Where you know them from.")] = "",
    confirmed: Annotated[bool, typer.Option("--confirmed", help="You compared; they match.")] = False,
) -> None:
    """Compare digits with somebody, so that nobody stands between you."""
    from cloister.cli.commands import verifying

    shell.go(verifying.person(shell.current(), who, sphere, confirmed=confirmed))


@verify.command("log", cls=Command)
def verify_log(name: SphereName) -> None:
    """Show the 30 digits of a sphere's history, to compare with another member."""
    from cloister.cli.commands import verifying

    shell.go(verifying.log(shell.current(), name))


@verify.command("evidence", cls=Command)
def verify_evidence(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A saved evidence file.")],
    save: Annotated[str, typer.Option("--save", metavar="SPHERE", help="First save this sphere's evidence.")] = "",
) -> None:
    """Check a saved proof that a server or member lied; with --save, write it."""
    from cloister.cli.commands import verifying

    if save:
        shell.go(verifying.save(shell.current(), file, save))
    else:
        verifying.evidence(shell.current(), file)


@verify.command("web", cls=Command)
def verify_web(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Where the server is, like https://host.")],
    record: Annotated[str, typer.Option("--record", metavar="FILE", help="Compare with this files.json.")] = "",
) -> None:
    """Check that a server serves this version's browser app, unchanged."""
    from cloister.cli.commands import web

    shell.go(web.web(shell.current(), address, record))


# --- administration -----------------------------------------------------------------------------------------------

admin = add(app, "admin", "Run the server: health, people, sign-up. Never content.")


@admin.command("health", cls=Command)
def admin_health() -> None:
    """What is wrong with the server, in words."""
    from cloister.cli.commands import admin as work

    shell.go(work.health(shell.current()))


users = add(admin, "users", "The accounts of the server.")


@users.command("ls", cls=Command)
def admin_users_ls() -> None:
    """List accounts."""
    from cloister.cli.commands import admin as work

    shell.go(work.users(shell.current()))


signup = add(admin, "signup", "Who may make an account.")


@signup.command("on", cls=Command)
def signup_on(
    anybody: Annotated[bool, typer.Option("--open", help="Everybody, without a code.")] = False,
) -> None:
    """Let people in who have a code or an invitation."""
    from cloister.cli.commands import admin as work

    shell.go(work.signup(shell.current(), "open" if anybody else "invite"))


@signup.command("off", cls=Command)
def signup_off() -> None:
    """Let nobody make an account."""
    from cloister.cli.commands import admin as work

    shell.go(work.signup(shell.current(), "closed"))


@signup.command("link", cls=Command)
def signup_link(
    uses: Annotated[int, typer.Option("--uses", metavar="N", help="How many people.", min=1)] = 1,
    for_: Annotated[str, typer.Option("--for", metavar="TIME", help="How long it works: 12h, 7d.")] = "7d",
) -> None:
    """Make a code with which people make accounts. It is a secret."""
    from cloister.cli.commands import admin as work

    shell.go(work.link(shell.current(), uses, for_))
