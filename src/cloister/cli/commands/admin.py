"""``admin …``: what an administrator may see and set. Never content."""

from __future__ import annotations

from cloister.cli import shown
from cloister.cli.faults import FAILED, NOT_FOUND, Refused
from cloister.cli.output import columns, say
from cloister.cli.shell import Shell, opened
from cloister.errors import Forbidden


async def health(shell: Shell) -> None:
    """Checks and counts."""
    async with opened(shell) as client:
        found = await client.admin("GET", "health")
    checks, counts = found["checks"], found["counts"]
    table = [[say("doctor.ok" if one["ok"] else "doctor.bad"), one["name"], one["says"]] for one in checks]
    table += [["", name, str(count)] for name, count in counts.items()]
    shell.out.result(found, *columns([[shell.out.name(cell) for cell in row] for row in table]))
    if all(one["ok"] for one in checks):
        shell.out.note(say("admin.well", at=shown.clock(found["now"])))
    else:
        shell.exit_code = FAILED


async def users(shell: Shell) -> None:
    """Accounts."""
    async with opened(shell) as client:
        found = (await client.admin("GET", "users"))["users"]
    table = [
        [
            shell.out.name(one["login"]),
            say("admin.administrator") if one["admin"] else say("admin.account"),
            say("admin.suspended") if one["suspended"] else "",
            say("admin.devices", count=one["devices"]),
            say("admin.since", at=shown.clock(one["created"])),
        ]
        for one in found
    ]
    shell.out.rows("users", found, table, "")


async def suspend(shell: Shell, name: str, suspended: bool) -> None:
    """Suspend or restore an account."""
    async with opened(shell) as client:
        found = (await client.admin("GET", "users"))["users"]
        chosen = [one for one in found if one["login"] == name.lower() or one["id"] == name]
        if not chosen:
            raise Refused("no-user", NOT_FOUND, name=name)
        if chosen[0]["login"] == client.account.login:
            raise Refused("suspend-yourself")
        if shell.would("would.suspend" if suspended else "would.restore", name=name):
            return
        if suspended:
            shell.secrets.agree_by_name(chosen[0]["login"], "ask.suspend")
        await client.admin("PUT", f"users/{chosen[0]['id']}", {"suspended": suspended})
    shell.out.result(
        {"name": chosen[0]["login"], "suspended": suspended},
        say("result.suspended" if suspended else "result.restored", name=chosen[0]["login"]),
    )


async def signup_show(shell: Shell) -> None:
    """Who may sign up, and the open codes."""
    async with opened(shell) as client:
        found = await client.admin("GET", "signup")
        tickets = (await client.admin("GET", "tickets"))["tickets"]
    lines = [say(f"signup.{found['signup']}")]
    lines.append(say("signup.by-sphere" if found["by_sphere"] else "signup.not-by-sphere"))
    lines += [say("signup.code", n=one["n"][:8], count=one["uses"], until=shown.until(one["exp"])) for one in tickets]
    shell.out.result({**found, "tickets": tickets}, *lines)


async def signup_set(shell: Shell, wanted: str) -> None:
    """Change who may sign up."""
    async with opened(shell) as client:
        found = await client.admin("GET", "signup")
        if shell.would("would.signup", how=say(f"signup.{wanted}")):
            return
        after = await client.admin("PUT", "signup", {"signup": wanted, "by_sphere": found["by_sphere"]})
    shell.out.result(after, say(f"signup.{after['signup']}"))


async def signup_link(shell: Shell, uses: int, life: str) -> None:
    """Make a sign-up code."""
    seconds = shown.span(life or "7d")
    async with opened(shell) as client:
        if shell.would("would.signup-link", count=uses):
            return
        try:
            made = await client.admin("POST", "tickets", {"uses": uses, "seconds": seconds})
        except Forbidden:
            raise Refused("admins-only", NOT_FOUND, code="E_FORBIDDEN") from None
        server = client.account.server
    shell.out.result({**made, "server": server}, made["code"])
    how = say("invite.once") if uses == 1 else say("invite.times", count=uses)
    shell.out.note(say("note.signup-code", server=server, how=how, until=shown.until(made["exp"])))
