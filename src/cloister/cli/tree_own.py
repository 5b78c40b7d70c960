"""Commands about this machine, the account and its devices. Imports nothing that they need before they run."""

from __future__ import annotations

from typing import Annotated

import typer

from cloister.cli import shell
from cloister.cli.grammar import OPEN, Command, OneOfMine, add, app

# --- this machine -------------------------------------------------------------------------------------------------


@app.command(cls=Command, context_settings=OPEN)
def serve(ctx: typer.Context) -> None:
    """Run the server. It stores what it cannot read."""
    from cloister.cli.commands import serving

    serving.serve(shell.current(), list(ctx.args))


@app.command(cls=Command)
def demo() -> None:
    """Three people and a temporary server play one scene, here, in under a minute."""
    from cloister.cli.commands.demo import play

    shell.go(play(shell.current()))


@app.command(cls=Command)
def doctor(
    sphere: Annotated[str, typer.Argument(metavar="[SPHERE]", help="Only this sphere.")] = "",
    mend: Annotated[bool, typer.Option("--mend", help="Then ask members for what is missing.")] = False,
) -> None:
    """Look for what is wrong, say why and what to do. Changes nothing without --mend."""
    from cloister.cli.commands import upkeep

    shell.go(upkeep.doctor(shell.current(), sphere, mend=mend))


@app.command(cls=Command)
def version() -> None:
    """Say which version this is."""
    from cloister import __version__

    shell.current().out.result({"version": __version__}, f"cloister {__version__}")


@app.command(cls=Command)
def completion(name: Annotated[str, typer.Argument(metavar="bash|zsh|fish", help="Your shell.")]) -> None:
    """Print a script that completes commands and sphere names."""
    from cloister.cli import complete

    complete.script(shell.current(), name)


@app.command("__complete", cls=Command, hidden=True, context_settings=OPEN, add_help_option=False)
def complete_words(ctx: typer.Context) -> None:
    """What may stand at the last word; asked by the shell."""
    from cloister.cli import complete

    complete.answer(shell.current(), list(ctx.args))


# --- account ------------------------------------------------------------------------------------------------------

account = add(app, "account", "Your account and its devices.")
_RSA = "Give this device an RSA key instead: weaker, and only let in where a sphere allows it."


@account.command("new", cls=Command)
def account_new(
    name: OneOfMine,
    device: Annotated[str, typer.Option("--device", metavar="TEXT", help="What to call this device.")] = "",
    legacy_kdf: Annotated[
        bool, typer.Option("--legacy-kdf", help="Only where Argon2id cannot run: a weaker password stretch.")
    ] = False,
    rsa: Annotated[bool, typer.Option("--rsa", help=_RSA)] = False,
) -> None:
    """Make an account with a set-up code or a sign-up code."""
    from cloister.cli.commands import accounts

    shell.go(accounts.new(shell.current(), name, device, legacy=legacy_kdf, rsa=rsa))


@account.command("signin", cls=Command)
def account_signin(
    name: OneOfMine,
    device: Annotated[str, typer.Option("--device", metavar="TEXT", help="What to call this device.")] = "",
    rsa: Annotated[bool, typer.Option("--rsa", help=_RSA)] = False,
) -> None:
    """Make this machine one more device of your account."""
    from cloister.cli.commands import accounts

    shell.go(accounts.signin(shell.current(), name, device, rsa=rsa))


@account.command("signout", cls=Command)
def account_signout(
    wipe: Annotated[bool, typer.Option("--wipe", help="Delete everything of this profile from this machine.")] = False,
) -> None:
    """End the session. What is here stays, locked, unless wiped."""
    from cloister.cli.commands import accounts

    shell.go(accounts.signout(shell.current(), wipe=wipe))


@account.command("password", cls=Command)
def account_password() -> None:
    """Change the password. Nothing has to be encrypted again."""
    from cloister.cli.commands import accounts

    shell.go(accounts.password(shell.current()))


@account.command("key-file", cls=Command)
def account_key_file(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A new file; it gets mode 0600.")],
) -> None:
    """Write a key file with which a bot opens this profile without a password."""
    from cloister.cli.commands import accounts

    shell.go(accounts.key_file(shell.current(), file))


pin = add(account, "pin", "A short secret that opens this device only.")


@pin.command("set", cls=Command)
def pin_set() -> None:
    """Open this device with 6 to 12 digits instead of the password; ten tries, and only with the server."""
    from cloister.cli.commands import pins

    shell.go(pins.put(shell.current()))


@pin.command("remove", cls=Command)
def pin_remove() -> None:
    """Open this device with the password again."""
    from cloister.cli.commands import pins

    shell.go(pins.remove(shell.current()))


devices = add(account, "devices", "The devices of your account.")


@devices.command("ls", cls=Command)
def devices_ls() -> None:
    """List your devices."""
    from cloister.cli.commands import accounts

    shell.go(accounts.devices_ls(shell.current()))


@devices.command("rm", cls=Command)
def devices_rm(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="Its name or the beginning of its id.")],
) -> None:
    """Remove a lost device: new keys everywhere, which it cannot open."""
    from cloister.cli.commands import accounts

    shell.go(accounts.devices_rm(shell.current(), device))
