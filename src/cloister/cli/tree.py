"""The command tree: names, arguments, one line about each and examples. What a command does is imported when it runs.

Knows typer; refuses to import the client or the server, so that help, version and completion answer at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from cloister.cli import guide, shell
from cloister.cli.faults import INTERRUPTED, USAGE, Refused

_HELP = {"help_option_names": ["--help", "-h"]}
# Its own flags come from the relay's table of settings, so the relay reads them.
_OPEN = {**_HELP, "ignore_unknown_options": True, "allow_extra_args": True}


class Command(TyperCommand):
    """A command whose help begins with examples."""

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


def _group(text: str) -> typer.Typer:
    return typer.Typer(cls=Group, help=text, add_completion=False, rich_markup_mode=None, context_settings=_HELP)


app = _group("An encrypted workspace whose server can read nothing.")


def _add(group: typer.Typer, name: str, text: str) -> typer.Typer:
    made = _group(text)
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


# --- this machine -------------------------------------------------------------------------------------------------


@app.command(cls=Command, context_settings=_OPEN)
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
) -> None:
    """Look for what is wrong, say why and what to do. Changes nothing."""
    from cloister.cli.commands import upkeep

    shell.go(upkeep.doctor(shell.current(), sphere))


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


@app.command("__complete", cls=Command, hidden=True, context_settings=_OPEN, add_help_option=False)
def complete_words(ctx: typer.Context) -> None:
    """What may stand at the last word; asked by the shell."""
    from cloister.cli import complete

    complete.answer(shell.current(), list(ctx.args))


# --- account ------------------------------------------------------------------------------------------------------

account = _add(app, "account", "Your account and its devices.")


@account.command("new", cls=Command)
def account_new(
    name: OneOfMine,
    device: Annotated[str, typer.Option("--device", metavar="TEXT", help="What to call this device.")] = "",
    legacy_kdf: Annotated[
        bool, typer.Option("--legacy-kdf", help="Only where Argon2id cannot run: a weaker password stretch.")
    ] = False,
) -> None:
    """Make an account with a set-up code or a sign-up code."""
    from cloister.cli.commands import accounts

    shell.go(accounts.new(shell.current(), name, device, legacy=legacy_kdf))


@account.command("signin", cls=Command)
def account_signin(
    name: OneOfMine,
    device: Annotated[str, typer.Option("--device", metavar="TEXT", help="What to call this device.")] = "",
) -> None:
    """Make this machine one more device of your account."""
    from cloister.cli.commands import accounts

    shell.go(accounts.signin(shell.current(), name, device))


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


devices = _add(account, "devices", "The devices of your account.")


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


# --- spheres ------------------------------------------------------------------------------------------------------

sphere = _add(app, "sphere", "Make, list, inspect and leave spheres.")


@sphere.command("new", cls=Command)
def sphere_new(
    title: Annotated[str, typer.Argument(metavar="TITLE", help="What members call it; the server never sees it.")],
    open_: Annotated[bool, typer.Option("--open", help="Not encrypted: the server can read it.")] = False,
    custody: Annotated[
        str, typer.Option("--custody", metavar="synced|device", help="Where members' keys may be kept.")
    ] = "synced",
    history: Annotated[
        str, typer.Option("--history", metavar="all|since-join|none", help="What newcomers can read.")
    ] = "all",
    topic: Annotated[str, typer.Option("--topic", metavar="TEXT", help="A line under the title.")] = "",
) -> None:
    """Make a sphere, encrypted unless you say --open."""
    from cloister.cli.commands import spheres

    shell.go(spheres.new(shell.current(), title, open_, custody, history, topic))


@sphere.command("ls", cls=Command)
def sphere_ls(
    past: Annotated[bool, typer.Option("--past", help="Also those you left.")] = False,
) -> None:
    """List your spheres with what is unread."""
    from cloister.cli.commands import spheres

    shell.go(spheres.ls(shell.current(), past=past))


@sphere.command("show", cls=Command)
def sphere_show(name: SphereName) -> None:
    """Encryption, keys, people and history of one sphere, in plain lines."""
    from cloister.cli.commands import spheres

    shell.go(spheres.show(shell.current(), name))


@sphere.command("leave", cls=Command)
def sphere_leave(
    name: SphereName,
    forget: Annotated[bool, typer.Option("--forget", help="Also delete its messages from this machine.")] = False,
) -> None:
    """Leave a sphere. The others make a new key before they speak again."""
    from cloister.cli.commands import spheres

    shell.go(spheres.leave(shell.current(), name, forget=forget))


@sphere.command("seen", cls=Command)
def sphere_seen(
    name: SphereName,
    message: Annotated[str, typer.Argument(metavar="[MSG]", help="Beginning of a message's id.")] = "",
    last: Annotated[bool, typer.Option("--last", help="The last message; so it is without MSG.")] = False,
) -> None:
    """Show what the server stores of a message, beside what you see."""
    from cloister.cli.commands import spheres

    shell.go(spheres.seen(shell.current(), name, message))


@sphere.command("log", cls=Command)
def sphere_log(
    name: SphereName,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="Only the last N entries.")] = 50,
) -> None:
    """Show the signed, verified history of a sphere."""
    from cloister.cli.commands import spheres

    shell.go(spheres.log(shell.current(), name, limit))


@sphere.command("carry-on", cls=Command)
def sphere_carry_on(name: SphereName) -> None:
    """Go on after a stop that you have looked into. A proven fork cannot be waved through."""
    from cloister.cli.commands import stops

    shell.go(stops.carry_on(shell.current(), name))


# --- people -------------------------------------------------------------------------------------------------------


@app.command(cls=Command)
def invite(
    name: SphereName,
    uses: Annotated[int, typer.Option("--uses", metavar="N", help="How many people may come by it.", min=1)] = 1,
    for_: Annotated[str, typer.Option("--for", metavar="TIME", help="How long it works: 30m, 12h, 7d.")] = "7d",
    role: Annotated[str, typer.Option("--role", metavar="member|guest|admin", help="What they become.")] = "member",
    auto: Annotated[bool, typer.Option("--auto", help="Admit them unasked: making the link is your yes.")] = False,
    qr: Annotated[bool, typer.Option("--qr", help="Also draw it as a QR code.")] = False,
    ls: Annotated[bool, typer.Option("--ls", help="List open invitations instead.")] = False,
    withdraw: Annotated[str, typer.Option("--withdraw", metavar="ID", help="Close an invitation instead.")] = "",
) -> None:
    """Make a link that lets somebody ask to be let in. It is a secret."""
    from cloister.cli.commands import people

    shell.go(people.invite(shell.current(), name, uses, for_, role, auto, qr, ls, withdraw))


@app.command(cls=Command)
def join(
    source: Annotated[str, typer.Argument(metavar="[-]", help="Read the link from standard input.")] = "",
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Ask and end; look again later.")] = False,
    login: Annotated[str, typer.Option("--name", metavar="NAME", help="Your name, for a new account.")] = "",
    device: Annotated[str, typer.Option("--device", metavar="TEXT", help="What to call this device.")] = "",
) -> None:
    """Come in by an invitation link; makes an account if you have none."""
    from cloister.cli.commands import people

    shell.go(people.join(shell.current(), source, login, wait=not no_wait, device=device))


@app.command(cls=Command)
def approve(
    name: SphereName,
    who: Annotated[str, typer.Argument(metavar="[NAME]", help="Whose request; without it each in turn.")] = "",
    confirmed: Annotated[bool, typer.Option("--confirmed", help="You compared the digits already.")] = False,
    decline: Annotated[bool, typer.Option("--decline", help="Refuse instead.")] = False,
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help="For those without a link.")] = "member",
) -> None:
    """Answer those who ask to be let in."""
    from cloister.cli.commands import people

    shell.go(people.approve(shell.current(), name, who, confirmed, decline, role))


people = _add(app, "people", "The members of a sphere.")


@people.command("ls", cls=Command)
def people_ls(
    name: SphereName,
    past: Annotated[bool, typer.Option("--past", help="Also former members.")] = False,
) -> None:
    """List members, their roles and how each is known."""
    from cloister.cli.commands import people as work

    shell.go(work.ls(shell.current(), name, past=past))


@people.command("role", cls=Command)
def people_role(
    name: SphereName,
    who: Who,
    role: Annotated[str, typer.Argument(metavar="owner|admin|member|guest", help="The new role.")],
) -> None:
    """Change somebody's role."""
    from cloister.cli.commands import people as work

    shell.go(work.role(shell.current(), name, who, role))


@people.command("remove", cls=Command)
def people_remove(
    name: SphereName,
    who: Who,
    ban: Annotated[bool, typer.Option("--ban", help="Only an owner can admit them again.")] = False,
) -> None:
    """Remove somebody and make a new key, in one step."""
    from cloister.cli.commands import people as work

    shell.go(work.remove(shell.current(), name, who, ban=ban))


# --- talk ---------------------------------------------------------------------------------------------------------


@app.command(cls=Command)
def send(
    name: SphereName,
    text: Annotated[str, typer.Argument(metavar="[TEXT|-]", help="The message; - reads it from standard input.")] = "",
    re: Annotated[str, typer.Option("--re", metavar="MSG", help="Comment on this message.")] = "",
) -> None:
    """Send a message. Without TEXT it asks, and nothing stays in the shell's history."""
    from cloister.cli.commands import talk

    shell.go(talk.send(shell.current(), name, text, re))


@app.command(cls=Command)
def read(
    name: SphereName,
    unread: Annotated[bool, typer.Option("--unread", help="Only what you have not read.")] = False,
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="30m, 12h, 7d ago, or a date.")] = "",
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="At most the last N.", min=1)] = 50,
    ids: Annotated[bool, typer.Option("--ids", help="With the id of each message.")] = False,
) -> None:
    """Read messages, oldest first, from this machine's verified copy."""
    from cloister.cli.commands import talk

    shell.go(talk.read(shell.current(), name, unread, since, limit, ids))


@app.command(cls=Command)
def watch(
    names: Annotated[list[str] | None, typer.Argument(metavar="[SPHERE]...", help="Only these.")] = None,
) -> None:
    """Show messages and changes as they come, until Ctrl-C."""
    from cloister.cli.commands import talk

    shell.go(talk.watch(shell.current(), names or []))


outbox = _add(app, "outbox", "What waits to be sent.")
ItemId = Annotated[str, typer.Argument(metavar="ID", help="Beginning of its id.")]


@outbox.command("ls", cls=Command)
def outbox_ls() -> None:
    """List what waits, and why."""
    from cloister.cli.commands import talk

    shell.go(talk.outbox_ls(shell.current()))


@outbox.command("retry", cls=Command)
def outbox_retry(
    item: Annotated[str, typer.Argument(metavar="[ID]", help="Beginning of its id; without it, all.")] = "",
    anyway: Annotated[bool, typer.Option("--anyway", help="Answer a held item's question with yes.")] = False,
) -> None:
    """Try again now."""
    from cloister.cli.commands import talk

    shell.go(talk.outbox_retry(shell.current(), item, anyway=anyway))


@outbox.command("drop", cls=Command)
def outbox_drop(item: ItemId) -> None:
    """Delete something that was not sent."""
    from cloister.cli.commands import talk

    shell.go(talk.outbox_drop(shell.current(), item))


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


verify = _add(app, "verify", "Check people, histories and evidence.")


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


# --- administration -----------------------------------------------------------------------------------------------

admin = _add(app, "admin", "Run the server: health, people, sign-up. Never content.")


@admin.command("health", cls=Command)
def admin_health() -> None:
    """What is wrong with the server, in words."""
    from cloister.cli.commands import admin as work

    shell.go(work.health(shell.current()))


users = _add(admin, "users", "The accounts of the server.")


@users.command("ls", cls=Command)
def admin_users_ls() -> None:
    """List accounts."""
    from cloister.cli.commands import admin as work

    shell.go(work.users(shell.current()))


signup = _add(admin, "signup", "Who may make an account.")


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


# --- running ------------------------------------------------------------------------------------------------------


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
