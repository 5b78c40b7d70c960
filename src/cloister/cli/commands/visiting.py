"""read -: a public sphere by its link, without an account."""

from __future__ import annotations

import sys

from cloister.cli import times
from cloister.cli.commands.talk import Lines, as_json
from cloister.cli.faults import NOT_FOUND, USAGE, Refused
from cloister.cli.output import say
from cloister.cli.shell import Shell
from cloister.errors import Forbidden, UsageError

_MAX_LINK = 2048


async def read(shell: Shell, since: str, limit: int, ids: bool) -> None:
    """What was said in a public sphere. The link comes from standard input; nothing is kept."""
    from cloister.client.public import PublicReader

    moment = times.past(since) if since else None
    text = sys.stdin.readline(_MAX_LINK).strip()
    try:
        reader = PublicReader(text, ca_file=shell.flags.ca_file or None)
    except UsageError:
        raise Refused("link-read", USAGE) from None
    async with reader:
        try:
            info = await reader.fetch()
        except Forbidden:
            raise Refused("public-gone", NOT_FOUND, code="E_FORBIDDEN") from None
        found = reader.messages(limit=limit, since=moment)
    lines = Lines(shell, ids=ids)
    if info.title:
        shell.out.note(shell.out.name(info.title))
    for one in found:
        if shell.out.json:
            shell.out.result(as_json(one))
        else:
            shell.out.result({}, lines.show(one))
    if not found:
        shell.out.note(say("empty.public"))
