"""invite --to, join --from: invitations between people who know each other from another sphere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloister.cli import times
from cloister.cli.commands.people import wait_for
from cloister.cli.faults import NOT_FOUND, USAGE, Refused
from cloister.cli.output import say
from cloister.cli.shell import Shell, opened, synced
from cloister.errors import Forbidden

if TYPE_CHECKING:
    from cloister.client import Client
    from cloister.client.records import Invitation


async def invite(shell: Shell, name: str, to: str, uses: int, for_: str, role: str) -> None:
    """Send an invitation to somebody known."""
    seconds = times.span(for_, least=60)
    if role not in ("member", "guest", "admin"):
        raise Refused("one-of", USAGE, flag="--role", allowed="member, guest, admin")
    if uses != 1:
        raise Refused("one-person", USAGE)
    async with opened(shell) as client:
        await synced(shell, client)
        sphere = client.sphere(name)
        title = sphere.info.title
        if shell.would("would.invite-to", title=title, name=to):
            return
        made = await sphere.invite(1, seconds, role, to=to)
        row = {"sphere": made.sph, "invitation": made.jti, "to": to, "exp": made.exp, "role": role}
        shell.out.result(row, say("done.invited", name=to, title=title, until=times.until(made.exp)))


def lines(client: Client) -> list[str]:
    """What waits for an answer, for other commands to show."""
    return [say("note.invited", name=one.name, label=one.label or one.sph[:9]) for one in client.invitations()]


async def answer(shell: Shell, who: str, *, wait: bool, decline: bool) -> None:
    """Accept or forget the invitation somebody sent."""
    async with opened(shell) as client:
        await synced(shell, client)
        found = client.invitations()
        if who:
            found = [one for one in found if who in (one.name, one.by) or one.id.startswith(who)]
        if not found:
            raise Refused("no-invitation", NOT_FOUND, name=who or say("word.anybody"))
        if len(found) > 1:
            raise Refused("many-invitations", USAGE, ids=", ".join(f"{one.id[:8]} ({one.label})" for one in found))
        if decline:
            if not shell.would("would.forget-invitation", name=found[0].name):
                await client.decline_invitation(found[0].id)
                shell.out.result({"declined": found[0].id}, say("done.invitation-forgotten", name=found[0].name))
            return
        await accept(shell, client, found[0], wait=wait)


async def accept(shell: Shell, client: Client, one: Invitation, *, wait: bool) -> None:
    """Ask to join by it, and wait."""
    if shell.would("would.join"):
        return
    try:
        pending = await client.accept_invitation(one.id)
    except Forbidden:
        raise Refused("invite-closed", NOT_FOUND, code="E_FORBIDDEN") from None
    await wait_for(shell, client, pending, wait=wait, proof=True)


async def offer(shell: Shell, client: Client, *, wait: bool) -> bool:
    """Ask about each invitation that waits; True when one was accepted."""
    for one in client.invitations():
        if shell.secrets.agree("ask.invited", name=one.name, label=one.label or one.sph[:9]):
            await accept(shell, client, one, wait=wait)
            return True
    return False
