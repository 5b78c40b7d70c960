"""serve: read the relay's settings from flags, environment and file, run it, and say where it is."""

from __future__ import annotations

import os
from pathlib import Path

from cloister.cli.faults import USAGE, Refused
from cloister.cli.output import say
from cloister.cli.shell import Shell


def read_flags(args: list[str]) -> tuple[dict[str, str], Path | None]:
    """Setting names to text, and the file. Raises Refused for a word that is no setting."""
    import difflib

    from cloister.server.settings import TABLE

    names = {one.flag: one.name for one in TABLE}
    found: dict[str, str] = {}
    config: Path | None = None
    words = list(args)
    while words:
        word = words.pop(0)
        flag, given, value = word.partition("=")
        if flag != "--config" and flag not in names:
            near = difflib.get_close_matches(flag, [*names, "--config"], n=1)
            if near:
                raise Refused("no-flag-near", USAGE, flag=flag, path="cloister serve", near=near[0])
            raise Refused("no-flag", USAGE, flag=flag, path="cloister serve")
        if not given:
            if not words:
                raise Refused("flag-needs-value", flag=flag)
            value = words.pop(0)
        if flag == "--config":
            config = Path(value).expanduser()
        else:
            found[names[flag]] = value
    return found, config


def _home_short(path: Path) -> str:
    home, shown = str(Path.home()), str(path)
    return "~" + shown[len(home) :] if home != "/" and shown.startswith(home + "/") else shown


def serve(shell: Shell, args: list[str]) -> None:
    """Run until Ctrl-C or SIGTERM."""
    flags, config = read_flags(args)
    from cloister.server import settings as table

    settings = table.load(flags, os.environ, config)
    if shell.would("would.serve", address=settings.listen, data=str(settings.data)):
        return
    shell.kept = "kept.server"

    def ready(origin: str, setup_code: str | None, ca: Path | None) -> None:
        out = shell.out
        lines = [say("serve.ready", origin=origin, data=_home_short(settings.data))]
        if setup_code:
            lines[0] += say("serve.setup", code=setup_code)
        if ca is not None:
            lines.append(say("serve.own", ca=_home_short(ca)))
        elif settings.tls == "off" and settings.host in ("localhost", "127.0.0.1", "::1"):
            lines.append(say("serve.https"))
        elif settings.tls == "off":
            lines.append(say("serve.no-tls", origin=origin))
        told = {"ready": origin, "data": str(settings.data), "setup": setup_code, "ca_file": str(ca) if ca else None}
        out.result(told, *lines)

    from cloister.server.run import run

    run(settings, ready)
    shell.out.note(say("serve.stopped"))
