"""admin: health, accounts and sign-up of the server. Nothing here shows content."""

from __future__ import annotations

from typing import Any

from cloister.cli import times
from cloister.cli.escape import escape
from cloister.cli.faults import FAILED, NOT_FOUND, Refused
from cloister.cli.output import RED, say
from cloister.cli.shell import Shell, opened
from cloister.errors import Forbidden


async def _call(shell: Shell, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    async with opened(shell) as client:
        try:
            return await client.admin(method, path, body)
        except Forbidden:
            raise Refused("not-admin", NOT_FOUND, code="E_FORBIDDEN") from None


async def health(shell: Shell) -> None:
    """Each check in words; exit 1 when one failed."""
    got = await _call(shell, "GET", "health")
    lines = []
    for check in got["checks"]:
        mark = say("doctor.ok") if check["ok"] else shell.out.paint(say("doctor.bad"), RED)
        lines.append(f"{mark}  {escape(str(check['name']))}: {escape(str(check['says']))}")
    lines += [f"{escape(str(name))}: {number}" for name, number in got["counts"].items()]
    shell.out.result(got, *lines)
    if not all(check["ok"] for check in got["checks"]):
        shell.exit_code = FAILED


async def users(shell: Shell) -> None:
    """List accounts."""
    got = await _call(shell, "GET", "users")
    table = []
    for one in got["users"]:
        marks = [say("count.devices", n=one["devices"])]
        marks += [say("word.administrator")] if one["admin"] else []
        marks += [say("word.suspended")] if one["suspended"] else []
        table.append((escape(str(one["login"])), str(one["id"])[:11], ", ".join(marks)))
    shell.out.rows("users", got["users"], table, say("empty.users"))


async def signup(shell: Shell, mode: str) -> None:
    """Who may make an account; closed also ends sign-up by sphere invitation."""
    if shell.would(f"would.signup-{mode}"):
        return
    got = await _call(shell, "PUT", "signup", {"signup": mode, "by_sphere": mode != "closed"})
    shell.out.result(got, say(f"done.signup-{mode}"))


async def link(shell: Shell, uses: int, for_: str) -> None:
    """A sign-up code."""
    seconds = times.span(for_, least=60)
    if shell.would("would.signup-link", uses=uses):
        return
    got = await _call(shell, "POST", "tickets", {"uses": uses, "seconds": seconds})
    code = str(got["code"])
    shell.out.result({"code": code, "uses": uses, "until": times.iso(got["exp"])}, code)
    shell.out.note(say("note.ticket", uses=uses, until=times.until(got["exp"])))
