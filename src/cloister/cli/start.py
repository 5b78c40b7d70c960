"""One run from argv to exit code: flags off, command found, faults in words.

``version`` and help come from here without the client, the server or any cryptography being imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cloister import __version__
from cloister.cli import shell as shells
from cloister.cli.faults import FAILED, INTERRUPTED, OK, Refused
from cloister.cli.flags import Flags, split
from cloister.cli.output import Output, say, standard
from cloister.cli.secrets import Secrets
from cloister.errors import CloisterError


def run(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code. Writes to the process's own streams."""
    quiet_flags = Flags(json="--json" in argv, environ=os.environ)
    try:
        flags, rest = split(argv, os.environ)
    except CloisterError as error:
        standard(quiet_flags).fault(error)
        return error.exit_code
    out = standard(flags)
    if list(rest) == ["version"]:
        # The tree of commands takes longer to load than this takes to say.
        out.result({"version": __version__}, f"cloister {__version__}")
        return OK
    shell = shells.Shell(flags, out, Secrets(flags))
    shells.use(shell)
    try:
        from cloister.cli.tree import execute

        execute(rest)
        out.close_line()
        sys.stdout.flush()
    except CloisterError as error:
        out.fault(error)
        return error.exit_code
    except KeyboardInterrupt:
        return _interrupted(shell, out)
    except BrokenPipeError:
        # The reader went away (``| head``): not a fault of anybody. Nothing more can be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return shell.exit_code
    except Exception as error:  # noqa: BLE001 - the last line of defence: words and a code, not a trace
        import asyncio

        if isinstance(error, asyncio.CancelledError):
            return _interrupted(shell, out)
        out.fault(CloisterError(f"{type(error).__name__}"))
        if flags.verbose:
            import traceback

            traceback.print_exception(error)
        return FAILED
    return shell.exit_code


def _interrupted(shell: shells.Shell, out: Output) -> int:
    out.close_line()
    if shell.flags.json:
        out.fault(Refused("interrupted", INTERRUPTED, code="L_USAGE"))
    else:
        sys.stderr.write("\n" + say("stopped", kept=say(shell.kept)) + "\n")
    return INTERRUPTED
