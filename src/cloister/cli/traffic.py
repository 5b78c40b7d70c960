"""Being in step with the server, and saying so when it cannot be reached or something is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloister.cli.output import say
from cloister.cli.shell import Shell
from cloister.errors import Unreachable, all_subclasses

if TYPE_CHECKING:
    from cloister.client import Client
    from cloister.client.records import SyncReport

# Told where they matter (by the sphere's own stop, or by the row itself), not as a line of their own.
_QUIET = frozenset(
    {"C_LOG_FORK", "C_LOG_ROLLBACK", "C_LOG_INVALID", "C_KEY_CHANGED", "C_KEY_UNKNOWN", "E_STALE_EPOCH", "C_DOWNGRADE"}
)


async def catch_up(shell: Shell, client: Client, *, must: bool = False) -> SyncReport:
    """One round with the server. Offline is a notice, or with ``must`` an Unreachable."""
    report = await client.sync()
    if report.offline:
        if must:
            raise Unreachable("")
        shell.out.note(say("note.offline", server=client.account.server, waiting=report.waiting))
    for code in report.faults:
        if code in _QUIET and not shell.flags.verbose:
            continue
        kinds = all_subclasses()
        if code == "L_MASTER_KEY":
            shell.out.note(say("note.master-key"))
        elif code in kinds:
            error = kinds[code]()
            shell.out.note(f"{error.why} {error.next} {error.you}")
    return report
