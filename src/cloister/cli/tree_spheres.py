"""Commands about spheres, their people and what is said there. Imports nothing that they need before they run."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from cloister.cli import shell
from cloister.cli.grammar import Command, SphereName, Who, add, app

# --- spheres ------------------------------------------------------------------------------------------------------

sphere = add(app, "sphere", "Make, list, inspect and leave spheres.")


@sphere.command("new", cls=Command)
def sphere_new(
    title: Annotated[str, typer.Argument(metavar="TITLE", help="What members call it; the server never sees it.")],
    open_: Annotated[bool, typer.Option("--open", help="Not encrypted: the server can read it.")] = False,
    public: Annotated[bool, typer.Option("--public", help="Not encrypted: anybody with its link can read it.")] = False,
    custody: Annotated[
        str, typer.Option("--custody", metavar="synced|device", help="Where members' keys may be kept.")
    ] = "synced",
    delivery: Annotated[
        str,
        typer.Option(
            "--delivery", metavar="pairwise|live", help="How keys travel; live: only between connected devices."
        ),
    ] = "pairwise",
    history: Annotated[
        str, typer.Option("--history", metavar="all|since-join|days:N|none", help="What newcomers can read.")
    ] = "all",
    topic: Annotated[str, typer.Option("--topic", metavar="TEXT", help="A line under the title.")] = "",
    org: Annotated[
        str, typer.Option("--org", metavar="SPHERE", help="Its keys come from this organisation's: weaker, see show.")
    ] = "",
    organisation: Annotated[
        bool, typer.Option("--organisation", help="An organisation: spheres made with --org take their keys from it.")
    ] = False,
    rsa: Annotated[
        bool, typer.Option("--rsa", help="Also let devices in that have only an RSA key: weaker, see show.")
    ] = False,
) -> None:
    """Make a sphere, encrypted unless you say --open."""
    from cloister.cli.commands import spheres

    work = spheres.new(
        shell.current(), title, _mode(open_, public), custody, delivery, history, topic,
        org=org, organisation=organisation, rsa=rsa,
    )  # fmt: skip
    shell.go(work)


def _mode(open_: bool, public: bool) -> Literal["e2ee", "open", "public"]:
    return "public" if public else "open" if open_ else "e2ee"


@sphere.command("custody", cls=Command)
def sphere_custody(
    name: SphereName,
    value: Annotated[
        str, typer.Argument(metavar="[synced|device]", help="For everybody; without it the present state is shown.")
    ] = "",
    only_here: Annotated[bool, typer.Option("--only-here", help="Keep your own keys on your devices only.")] = False,
    with_account: Annotated[
        bool, typer.Option("--with-account", help="Keep your own keys at the server again, locked by your password.")
    ] = False,
) -> None:
    """Show or change where the keys of a sphere are kept."""
    from cloister.cli.commands import custody

    shell.go(custody.change(shell.current(), name, value, only_here, with_account))


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


@sphere.command("ask", cls=Command)
def sphere_ask(name: SphereName) -> None:
    """Ask members for messages that the server does not show, or shows damaged."""
    from cloister.cli.commands import upkeep

    shell.go(upkeep.ask(shell.current(), name))


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
    to: Annotated[
        str, typer.Option("--to", metavar="NAME", help="Send it to somebody of another sphere of yours.")
    ] = "",
    qr: Annotated[bool, typer.Option("--qr", help="Also draw it as a QR code.")] = False,
    ls: Annotated[bool, typer.Option("--ls", help="List open invitations instead.")] = False,
    withdraw: Annotated[str, typer.Option("--withdraw", metavar="ID", help="Close an invitation instead.")] = "",
) -> None:
    """Make a link that lets somebody ask to be let in. It is a secret."""
    from cloister.cli.commands import invited, people

    if to:
        shell.go(invited.invite(shell.current(), name, to, uses, for_, role))
    else:
        shell.go(people.invite(shell.current(), name, uses, for_, role, auto, qr, ls, withdraw))


@app.command(cls=Command)
def join(
    source: Annotated[str, typer.Argument(metavar="[-]", help="Read the link from standard input.")] = "",
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Ask and end; look again later.")] = False,
    login: Annotated[str, typer.Option("--name", metavar="NAME", help="Your name, for a new account.")] = "",
    device: Annotated[str, typer.Option("--device", metavar="TEXT", help="What to call this device.")] = "",
    from_: Annotated[str, typer.Option("--from", metavar="NAME", help="Accept the invitation this person sent.")] = "",
    decline: Annotated[bool, typer.Option("--decline", help="With --from: forget it instead.")] = False,
    rsa: Annotated[
        bool, typer.Option("--rsa", help="Give a new account's device an RSA key: weaker, not let in everywhere.")
    ] = False,
) -> None:
    """Come in by an invitation, sent to you or by a link; makes an account if you have none."""
    from cloister.cli.commands import invited, people

    if from_ or decline:
        shell.go(invited.answer(shell.current(), from_, wait=not no_wait, decline=decline))
    else:
        shell.go(people.join(shell.current(), source, login, wait=not no_wait, device=device, rsa=rsa))


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


people = add(app, "people", "The members of a sphere.")


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
    openly: Annotated[bool, typer.Option("--openly", help="This one in clear, where the rules allow it.")] = False,
) -> None:
    """Send a message. Without TEXT it asks, and nothing stays in the shell's history."""
    from cloister.cli.commands import talk

    shell.go(talk.send(shell.current(), name, text, re, openly=openly))


@app.command(cls=Command)
def read(
    name: SphereName,
    unread: Annotated[bool, typer.Option("--unread", help="Only what you have not read.")] = False,
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="30m, 12h, 7d ago, or a date.")] = "",
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="At most the last N.", min=1)] = 50,
    ids: Annotated[bool, typer.Option("--ids", help="With the id of each message.")] = False,
) -> None:
    """Read messages, oldest first, from this machine's verified copy. With - a public sphere by its link, which is
    read from standard input."""
    from cloister.cli.commands import talk

    if name == "-":
        from cloister.cli.commands import visiting

        shell.go(visiting.read(shell.current(), since, limit, ids))
        return
    shell.go(talk.read(shell.current(), name, unread, since, limit, ids))


@app.command(cls=Command)
def watch(
    names: Annotated[list[str] | None, typer.Argument(metavar="[SPHERE]...", help="Only these.")] = None,
) -> None:
    """Show messages and changes as they come, until Ctrl-C."""
    from cloister.cli.commands import talk

    shell.go(talk.watch(shell.current(), names or []))


outbox = add(app, "outbox", "What waits to be sent.")
ItemId = Annotated[str, typer.Argument(metavar="ID", help="Beginning of its id.")]


@outbox.command("ls", cls=Command)
def outbox_ls() -> None:
    """List what waits, and why."""
    from cloister.cli.commands import talk

    shell.go(talk.outbox_ls(shell.current()))


@outbox.command("retry", cls=Command)
def outbox_retry(
    item: Annotated[str, typer.Argument(metavar="[ID]", help="Beginning of its id; without it, all.")] = "",
    anyway: Annotated[
        str,
        typer.Option("--anyway", metavar="QUESTION", help="Say yes to its question: open, public, confirmed or claim."),
    ] = "",
) -> None:
    """Try again now."""
    from cloister.cli.commands import talk

    shell.go(talk.outbox_retry(shell.current(), item, anyway=anyway))


@outbox.command("drop", cls=Command)
def outbox_drop(item: ItemId) -> None:
    """Delete something that was not sent."""
    from cloister.cli.commands import talk

    shell.go(talk.outbox_drop(shell.current(), item))
