"""The command tree: every name, argument, option, example and one-line meaning. Nothing is done here.

Each function imports what it needs when it runs, so that help and completion stay quick. docs/terminal.md is made
from this tree (a test compares them).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Annotated, Any

import typer
from typer import Argument, Option

from cloister.cli.faults import Refused
from cloister.cli.help import Command, Group
from cloister.cli.shell import current, go

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
app = typer.Typer(
    name="cloister",
    cls=Group,
    add_completion=False,
    rich_markup_mode=None,
    invoke_without_command=True,
    context_settings=SETTINGS,
    help="Encrypted spheres for people who run their own server.",
    epilog='cloister demo\ncloister serve\ncloister account new ada\ncloister sphere new "Harbour plan"\n'
    "cloister invite harbour\ncloister send harbour\ncloister read harbour",
)


def _help(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


app.callback(invoke_without_command=True)(_help)


def _group(name: str, text: str, parent: typer.Typer = app) -> typer.Typer:
    made = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)
    made.callback(cls=Group, invoke_without_command=True, help=text, context_settings=SETTINGS)(_help)
    parent.add_typer(made, name=name)
    return made


def _command(where: typer.Typer, name: str, *shown: str, dry: bool = False) -> Callable[..., Any]:
    """Register a command with its examples; ``dry``: it knows ``--dry-run``."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def checked(*args: Any, **kwargs: Any) -> None:
            if current().flags.dry_run and not dry:
                raise Refused("no-dry-run")
            function(*args, **kwargs)

        return where.command(name, cls=Command, epilog="\n".join(shown), context_settings=SETTINGS)(checked)

    return register


Sphere = Annotated[
    str, Argument(metavar="SPHERE", help="Its name, the beginning of it, or of its id.", show_default=False)
]
MaybeSphere = Annotated[
    str, Argument(metavar="[SPHERE]", help="Its name, the beginning of it, or of its id.", show_default=False)
]
Person = Annotated[
    str, Argument(metavar="PERSON", help="Name, sign-in name, or the beginning of the id.", show_default=False)
]
Life = Annotated[str, Option("--for", metavar="TIME", help="Such as 30m, 12h, 7d.")]
Device = Annotated[str, Option("--device", metavar="NAME", help="What to call this device; without it, the host.")]

# --- the machine --------------------------------------------------------------------------------------------------


@_command(app, "demo", "cloister demo", "cloister demo --people 5")
def demo(people: Annotated[int, Option(help="How many people play, 2 to 9.", min=2, max=9)] = 3) -> None:
    """Watch people share an encrypted sphere on a temporary server, and see what the server sees."""
    from cloister.cli.commands import demo as act

    act.run(current(), people)


@_command(app, "doctor", "cloister doctor", "cloister doctor harbour")
def doctor(sphere: MaybeSphere = "") -> None:
    """Check profile, server, histories, keys and outbox; says what is wrong and who can help. Changes nothing."""
    from cloister.cli.commands import care

    go(care.doctor(current(), sphere))


@_command(app, "version", "cloister version --json")
def version() -> None:
    """Say which version this is."""
    from cloister import __version__

    current().out.result({"version": __version__, "protocol": "sph/1"}, f"cloister {__version__} (sph/1)")


@_command(app, "completion", 'eval "$(cloister completion bash)"', "cloister completion fish > FILE")
def completion(shell: Annotated[str, Argument(metavar="bash|zsh|fish", show_default=False)]) -> None:
    """Print a completion script for your shell; it offers commands, flags and the names of your spheres."""
    from cloister.cli.commands import completing

    completing.script(current(), shell)


@_command(app, "lock", "cloister lock")
def lock() -> None:
    """Forget the keys of this profile now; the next command asks for the password."""
    from cloister.cli.commands import account as act

    act.lock(current())


@_command(app, "unlock", "cloister unlock", "cloister unlock --for 2h")
def unlock(life: Life = "") -> None:
    """Open this profile. An agent keeps its key until it was unused for 10 minutes, or for the time you give."""
    from cloister.cli.commands import account as act

    go(act.unlock(current(), life))


# --- account ------------------------------------------------------------------------------------------------------

account = _group("account", "Your account and its devices.")


@_command(account, "new", "cloister account new ada", "cloister account new ada --server https://cloister.example")
def account_new(
    name: Annotated[str, Argument(metavar="NAME", help="Sign-in name: a to z, 0 to 9, . _ -", show_default=False)],
    device: Device = "",
) -> None:
    """Make an account with the set-up code of a new server, or a sign-up code of its administrator."""
    from cloister.cli.commands import account as act

    go(act.new(current(), name, device))


@_command(account, "signin", "cloister account signin ada --server https://cloister.example")
def account_signin(name: Annotated[str, Argument(metavar="NAME", show_default=False)], device: Device = "") -> None:
    """Make this machine a further device of your account."""
    from cloister.cli.commands import account as act

    go(act.signin(current(), name, device))


@_command(account, "signout", "cloister account signout", "cloister account signout --wipe", dry=True)
def account_signout(
    wipe: Annotated[bool, Option("--wipe", help="Also delete everything of this profile from this machine.")] = False,
) -> None:
    """End the session of this device and lock it."""
    from cloister.cli.commands import account as act

    go(act.signout(current(), wipe))


@_command(account, "password", "cloister account password")
def account_password() -> None:
    """Change your password. Nothing has to be encrypted again."""
    from cloister.cli.commands import account as act

    go(act.password(current()))


@_command(account, "show", "cloister account show --json")
def account_show() -> None:
    """Who this profile is, on which server, and whether it is locked."""
    from cloister.cli.commands import account as act

    go(act.show(current()))


@_command(account, "key-file", "cloister account key-file ~/bot.key")
def account_key_file(path: Annotated[str, Argument(metavar="FILE", show_default=False)]) -> None:
    """Write a file (mode 0600) that opens this profile without a password, for a bot. An earlier one stops working."""
    from cloister.cli.commands import account as act

    go(act.key_file(current(), path))


devices = _group("devices", "Your devices.", account)


@_command(devices, "ls", "cloister account devices ls")
def devices_ls() -> None:
    """Your devices, from your own signed list."""
    from cloister.cli.commands import account as act

    go(act.devices_ls(current()))


@_command(devices, "rm", "cloister account devices rm phone", dry=True)
def devices_rm(
    device: Annotated[str, Argument(metavar="DEVICE", help="Its name or the beginning of its id.", show_default=False)],
) -> None:
    """Remove a device, lost or not: new keys everywhere, in one resumable act. Asks for the password."""
    from cloister.cli.commands import account as act

    go(act.devices_rm(current(), device))


# --- spheres ------------------------------------------------------------------------------------------------------

sphere = _group("sphere", "Spheres: groups of people with a key of their own.")


@_command(sphere, "new", 'cloister sphere new "Harbour plan"', 'cloister sphere new "Canteen" --open', dry=True)
def sphere_new(
    title: Annotated[str, Argument(metavar="TITLE", show_default=False)],
    open_: Annotated[bool, Option("--open", help="Not encrypted: the server can read it.")] = False,
    topic: Annotated[str, Option(help="One line under the title.")] = "",
    delivery: Annotated[str, Option(help="How newcomers get the key: pairwise or live.")] = "pairwise",
    custody: Annotated[str, Option(help="Where your key is kept: synced, or device for only here.")] = "synced",
) -> None:
    """Make a sphere with you as its owner. Encrypted, unless you say --open."""
    from cloister.cli.commands import spheres as act

    go(act.new(current(), title, open_, topic, delivery, custody))


@_command(sphere, "ls", "cloister sphere ls", "cloister sphere ls --past --json")
def sphere_ls(past: Annotated[bool, Option("--past", help="Also those you left.")] = False) -> None:
    """Your spheres: people, unread, requests, what waits."""
    from cloister.cli.commands import spheres as act

    go(act.ls(current(), past))


@_command(sphere, "show", "cloister sphere show harbour")
def sphere_show(sphere: Sphere) -> None:
    """One sphere: encryption, key, people, history, invitations."""
    from cloister.cli.commands import spheres as act

    go(act.show(current(), sphere))


@_command(
    sphere, "leave", "cloister sphere leave harbour", "cloister sphere leave harbour --yes='Harbour plan'", dry=True
)
def sphere_leave(sphere: Sphere) -> None:
    """Leave a sphere. The others make a new key before they speak again; what is on this device stays."""
    from cloister.cli.commands import spheres as act

    go(act.leave(current(), sphere))


@_command(sphere, "seen", "cloister sphere seen harbour --last", "cloister sphere seen harbour 9f2c")
def sphere_seen(
    sphere: Sphere,
    message: Annotated[str, Argument(metavar="[MESSAGE]", help="The beginning of its id.", show_default=False)] = "",
    last: Annotated[bool, Option("--last", help="The last message; so it is without MESSAGE.")] = False,
    raw: Annotated[bool, Option("--raw", help="Also the stored row, byte for byte.")] = False,
) -> None:
    """What you see beside what the server has: its own row, fetched, not guessed."""
    from cloister.cli.commands import spheres as act

    go(act.seen(current(), sphere, message, raw))


@_command(sphere, "log", "cloister sphere log harbour", "cloister sphere log harbour --limit 20 --json")
def sphere_log(
    sphere: Sphere,
    limit: Annotated[int, Option(help="How many of the newest entries; 0 is all.", min=0)] = 50,
) -> None:
    """The signed history: who did what, each entry checked on this device."""
    from cloister.cli.commands import spheres as act

    go(act.log(current(), sphere, limit))


# --- people -------------------------------------------------------------------------------------------------------


@_command(
    app, "invite", "cloister invite harbour --for 1d", "cloister invite harbour --uses 3 --role guest --qr", dry=True
)
def invite(
    sphere: Sphere,
    uses: Annotated[int, Option(help="How many people may come by it.", min=1, max=1000)] = 1,
    life: Life = "7d",
    role: Annotated[str, Option(help="What they become: member, guest or admin.")] = "member",
    auto: Annotated[bool, Option("--auto", help="Admit whoever comes by it without asking again.")] = False,
    qr: Annotated[bool, Option("--qr", help="Also as a QR code.")] = False,
) -> None:
    """Make an invitation. The link goes to stdout and is a secret: whoever has it can ask to be let in."""
    from cloister.cli.commands import people as act

    go(act.invite(current(), sphere, uses, life, role, auto, qr))


@_command(app, "invites", "cloister invites harbour")
def invites(sphere: Sphere) -> None:
    """Open invitations of a sphere, without their secret."""
    from cloister.cli.commands import people as act

    go(act.invites(current(), sphere))


@_command(app, "withdraw", "cloister withdraw harbour 4kT", dry=True)
def withdraw(
    sphere: Sphere,
    invitation: Annotated[str, Argument(metavar="ID", help="The beginning of its id.", show_default=False)],
) -> None:
    """Close an invitation; its link stops working."""
    from cloister.cli.commands import people as act

    go(act.withdraw(current(), sphere, invitation))


@_command(app, "join", "cloister join", "cloister join - < link.txt")
def join(
    source: Annotated[
        str, Argument(metavar="[-]", help="- reads the link from stdin; never give it here.", show_default=False)
    ] = "",
    name: Annotated[str, Option(help="Sign-in name, if you have no account here yet.")] = "",
    device: Device = "",
    no_wait: Annotated[bool, Option("--no-wait", help="Ask, and do not wait for the answer.")] = False,
) -> None:
    """Ask to join by an invitation link. Makes an account first, if you have none here."""
    from cloister.cli.commands import joining as act

    go(act.join(current(), source, name, device, wait=not no_wait))


@_command(app, "approve", "cloister approve harbour", "cloister approve harbour bo --yes", dry=True)
def approve(
    sphere: Sphere,
    who: Annotated[
        str, Argument(metavar="[WHO]", help="Name or the beginning of the request's id.", show_default=False)
    ] = "",
    confirmed: Annotated[
        bool, Option("--confirmed", help="You compared the digits with somebody who came without your link.")
    ] = False,
    decline: Annotated[bool, Option("--decline", help="Refuse instead.")] = False,
    role: Annotated[str, Option(help="Role of somebody who came without a link.")] = "member",
) -> None:
    """Answer requests to join. Whoever came by your link is checked already; others you compare digits with."""
    from cloister.cli.commands import joining as act

    go(act.approve(current(), sphere, who, confirmed, decline, role))


people = _group("people", "Who is in a sphere.")


@_command(people, "ls", "cloister people ls harbour")
def people_ls(sphere: Sphere, past: Annotated[bool, Option("--past", help="Also former members.")] = False) -> None:
    """Members, their roles, and how each is known."""
    from cloister.cli.commands import people as act

    go(act.ls(current(), sphere, past))


@_command(people, "role", "cloister people role harbour bo admin", dry=True)
def people_role(
    sphere: Sphere,
    person: Person,
    role: Annotated[str, Argument(metavar="owner|admin|member|guest", show_default=False)],
) -> None:
    """Change what somebody may do."""
    from cloister.cli.commands import people as act

    go(act.role(current(), sphere, person, role))


@_command(
    people,
    "remove",
    "cloister people remove harbour cy",
    "cloister people remove harbour cy --yes='Harbour plan'",
    dry=True,
)
def people_remove(
    sphere: Sphere,
    person: Person,
    ban: Annotated[bool, Option("--ban", help="Only an owner can let this person in again.")] = False,
) -> None:
    """Remove somebody and make a new key in the same act. What they received stays with them."""
    from cloister.cli.commands import people as act

    go(act.remove(current(), sphere, person, ban))


@_command(people, "name", "cloister people name harbour bo 'Bo from the pier'")
def people_name(
    sphere: Sphere, person: Person, petname: Annotated[str, Argument(metavar="[NAME]", show_default=False)] = ""
) -> None:
    """Call somebody by a name of your own; without NAME it is taken away. Only you see it."""
    from cloister.cli.commands import people as act

    go(act.petname(current(), sphere, person, petname))


# --- speaking -----------------------------------------------------------------------------------------------------


@_command(
    app,
    "send",
    "cloister send harbour",
    "echo 'Hello' | cloister send harbour -",
    "cloister send harbour Hello",
    dry=True,
)
def send(
    sphere: Sphere,
    text: Annotated[
        str,
        Argument(
            metavar="[TEXT|-]",
            help="- reads stdin. Without it you are asked: arguments stay in shell history.",
            show_default=False,
        ),
    ] = "",
    re: Annotated[str, Option("--re", metavar="MESSAGE", help="Comment on this message (beginning of its id).")] = "",
) -> None:
    """Say something. Offline it waits here, encrypted, and exits with 6."""
    from cloister.cli.commands import talk as act

    go(act.send(current(), sphere, text, re))


@_command(
    app, "read", "cloister read harbour", "cloister read harbour --unread", "cloister read harbour --since 2h --json"
)
def read(
    sphere: Sphere,
    unread: Annotated[bool, Option("--unread", help="Only what you have not read, and then mark it read.")] = False,
    since: Annotated[str, Option("--since", metavar="TIME", help="A time span (2h, 7d) or a date (2026-03-01).")] = "",
    limit: Annotated[int, Option(help="How many of the newest; 0 is all.", min=0)] = 50,
) -> None:
    """Read a sphere, oldest first."""
    from cloister.cli.commands import talk as act

    go(act.read(current(), sphere, unread, since, limit))


@_command(app, "watch", "cloister watch", "cloister watch harbour --json")
def watch(
    spheres: Annotated[list[str] | None, Argument(metavar="[SPHERE]...", show_default=False)] = None,
) -> None:
    """Follow spheres live, one line per event, until Ctrl-C."""
    from cloister.cli.commands import talk as act

    go(act.watch(current(), spheres or []))


outbox = _group("outbox", "What is written but not yet sent.")


@_command(outbox, "ls", "cloister outbox ls")
def outbox_ls() -> None:
    """What waits, where, and why."""
    from cloister.cli.commands import talk as act

    go(act.outbox_ls(current()))


@_command(outbox, "retry", "cloister outbox retry", "cloister outbox retry 9f2c --yes")
def outbox_retry(
    item: Annotated[
        str, Argument(metavar="[ID]", help="The beginning of its id; without it, all.", show_default=False)
    ] = "",
) -> None:
    """Try again now. A held item asks its question first."""
    from cloister.cli.commands import talk as act

    go(act.outbox_retry(current(), item))


@_command(outbox, "drop", "cloister outbox drop 9f2c", dry=True)
def outbox_drop(
    item: Annotated[str, Argument(metavar="ID", help="The beginning of its id.", show_default=False)],
) -> None:
    """Delete something that was not sent."""
    from cloister.cli.commands import talk as act

    go(act.outbox_drop(current(), item))


@_command(app, "rotate", "cloister rotate harbour", "cloister rotate harbour --why 'laptop lost'", dry=True)
def rotate(
    sphere: Sphere, why: Annotated[str, Option("--why", metavar="TEXT", help="Told to the members as a message.")] = ""
) -> None:
    """Make a new key now. What follows is sealed under it."""
    from cloister.cli.commands import spheres as act

    go(act.rotate(current(), sphere, why))


# --- checking -----------------------------------------------------------------------------------------------------

verify = _group("verify", "Check people, histories and evidence.")


@_command(verify, "person", "cloister verify person harbour bo")
def verify_person(
    sphere: Sphere,
    person: Person,
    confirmed: Annotated[bool, Option("--confirmed", help="Record that you compared and all rows match.")] = False,
) -> None:
    """Sixty digits to compare with somebody, by telephone or side by side. About a minute."""
    from cloister.cli.commands import care

    go(care.verify_person(current(), sphere, person, confirmed))


@_command(verify, "log", "cloister verify log harbour")
def verify_log(sphere: Sphere) -> None:
    """Fetch the history, check it, and show thirty digits that are the same for all who see the same history."""
    from cloister.cli.commands import care

    go(care.verify_log(current(), sphere))


@_command(verify, "evidence", "cloister verify evidence fork.json", "cloister verify evidence harbour --save fork.json")
def verify_evidence(
    source: Annotated[str, Argument(metavar="FILE|SPHERE", help="A saved file to check.", show_default=False)],
    save: Annotated[str, Option("--save", metavar="FILE", help="SPHERE's evidence into this file.")] = "",
) -> None:
    """Check saved evidence without any account, or save that of a stopped sphere. Exits with 8 when it holds."""
    from cloister.cli.commands import care

    go(care.verify_evidence(current(), source, save))


# --- the server ---------------------------------------------------------------------------------------------------

admin = _group("admin", "For administrators. Nothing here shows content.")


@_command(admin, "health", "cloister admin health")
def admin_health() -> None:
    """What the server says about itself: disk, database, clock."""
    from cloister.cli.commands import admin as act

    go(act.health(current()))


users = _group("users", "Accounts.", admin)


@_command(users, "ls", "cloister admin users ls")
def admin_users_ls() -> None:
    """Accounts of this server."""
    from cloister.cli.commands import admin as act

    go(act.users(current()))


@_command(users, "suspend", "cloister admin users suspend bo", dry=True)
def admin_users_suspend(
    name: Annotated[str, Argument(metavar="NAME", show_default=False)],
    off: Annotated[bool, Option("--off", help="Let this account in again.")] = False,
) -> None:
    """Refuse an account's sign-in and sessions; its messages stay."""
    from cloister.cli.commands import admin as act

    go(act.suspend(current(), name, not off))


signup = _group("signup", "Who may make an account.", admin)


@_command(signup, "show", "cloister admin signup show")
def admin_signup_show() -> None:
    """Who may make an account now, and open sign-up codes."""
    from cloister.cli.commands import admin as act

    go(act.signup_show(current()))


@_command(signup, "on", "cloister admin signup on", dry=True)
def admin_signup_on(
    everybody: Annotated[bool, Option("--everybody", help="Anybody who reaches the server, without a code.")] = False,
) -> None:
    """Let people with a code or an invitation link make accounts."""
    from cloister.cli.commands import admin as act

    go(act.signup_set(current(), "open" if everybody else "invite"))


@_command(signup, "off", "cloister admin signup off", dry=True)
def admin_signup_off() -> None:
    """No new accounts."""
    from cloister.cli.commands import admin as act

    go(act.signup_set(current(), "closed"))


@_command(signup, "link", "cloister admin signup link --uses 5 --for 2d", dry=True)
def admin_signup_link(
    uses: Annotated[int, Option(help="How many accounts.", min=1, max=1000)] = 1, life: Life = "7d"
) -> None:
    """Make a sign-up code to give to people; a secret, printed once."""
    from cloister.cli.commands import admin as act

    go(act.signup_link(current(), uses, life))


@cache
def command() -> Any:
    """The whole tree, ready to parse, with ``serve`` made from the server's table of settings."""
    from cloister.cli.serving import serve_command

    made: Any = typer.main.get_command(app)
    made.add_command(serve_command(), "serve")
    order = ["serve", "demo", "account", "sphere", "invite", "invites", "withdraw", "join", "approve", "people", "send"]
    order += ["read", "watch", "outbox", "rotate", "lock", "unlock", "verify", "doctor", "admin"]
    made.commands = {name: made.commands[name] for name in [*order, *made.commands] if name in made.commands}
    return made


def execute(args: list[str]) -> None:
    """Parse and run. Raises CloisterError; help and version print and return."""
    root = command()
    try:
        with root.make_context("cloister", list(args)) as ctx:
            root.invoke(ctx)
    except typer.Exit:
        return
    except typer.Abort:
        raise KeyboardInterrupt from None
    except typer.TyperException as error:
        raise Refused("usage", message=error.format_message().rstrip(".")) from None
