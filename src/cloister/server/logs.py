"""What reaches the log: what happened and how often, no secret, no body, no whole name.

Every event passes one filter that shortens identifiers and drops members that could hold a secret.

Spec: API-064.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Any, Final

import structlog

_NAMES: Final = re.compile(r"\b(id|dv|sp)-([A-Za-z0-9_-]{4})[A-Za-z0-9_-]{39}\b")
_LONG: Final = re.compile(r"\b[A-Za-z0-9_-]{40,}(?:\.[A-Za-z0-9_-]*)*")
_DROPPED: Final = frozenset({"token", "jws", "code", "ticket", "password", "body", "authorization", "pep", "tag"})


def clean(_: Any, __: str, event: Any) -> Any:
    """A structlog processor: shortens names, cuts anything long enough to be a key, drops what may be secret."""
    for name, value in list(event.items()):
        if name in _DROPPED and not (isinstance(value, str) and value.startswith(("E_", "C_", "L_"))):
            event[name] = "…"
        elif isinstance(value, str):
            event[name] = _LONG.sub("…", _NAMES.sub(r"\1-\2…", value))
    return event


def configure(level: str, form: str) -> None:
    """Send events to stderr at ``level`` in ``form`` text or json."""
    number = logging.getLevelNamesMapping()[level.upper()]
    last: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            clean,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        level=max(number, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(name)s %(message)s"
    )
