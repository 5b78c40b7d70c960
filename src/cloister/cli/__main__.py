"""``python -m cloister.cli``: the same as ``cloister``."""

from __future__ import annotations

from cloister.cli import main

main()
