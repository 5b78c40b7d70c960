"""The terminal: every command, its words, its secrets and its agent. Knows people; refuses to know cryptography.

Nothing heavy is imported here, so that the first line shows at once.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line of this process and exit with its code."""
    from cloister.cli.start import run

    sys.exit(run(sys.argv[1:]))
