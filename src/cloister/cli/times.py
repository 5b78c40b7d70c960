"""Times as people write and read them: 30m, 12h, 7d; today 10:04, tomorrow 10:02. Local time, 24 hours."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Final

from cloister.cli.faults import Refused
from cloister.cli.output import say

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SPAN: Final = re.compile(r"([1-9][0-9]{0,5})([smhdw])")


def span(text: str, *, least: int = 1, most: int = 366 * 86400) -> int:
    """Seconds of ``30m``, ``12h``, ``7d``. Raises Refused."""
    found = _SPAN.fullmatch(text.strip())
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not least <= seconds <= most:
        raise Refused("time-span", text=text)
    return seconds


def past(text: str) -> int:
    """A moment in unix seconds: a span ago, ``2026-05-04`` or ``2026-05-04 10:00``. Raises Refused."""
    if _SPAN.fullmatch(text.strip()):
        return int(time.time()) - span(text)
    try:
        return int(datetime.fromisoformat(text.strip()).astimezone().timestamp())
    except ValueError:
        raise Refused("time-span", text=text) from None


def _day(moment: datetime) -> str:
    return f"{moment:%a} {moment.day} {moment:%b}" + (
        "" if moment.year == datetime.now().astimezone().year else f" {moment.year}"
    )


def short(at: int) -> str:
    """``10:04`` today, else with the day."""
    moment = datetime.fromtimestamp(at).astimezone()
    same = moment.date() == datetime.now().astimezone().date()
    return f"{moment:%H:%M}" if same else f"{_day(moment)} {moment:%H:%M}"


def until(at: int) -> str:
    """``today 10:02``, ``tomorrow 10:02``, or the day."""
    moment = datetime.fromtimestamp(at).astimezone()
    days = (moment.date() - datetime.now().astimezone().date()).days
    day = {0: say("time.today"), 1: say("time.tomorrow")}.get(days) or _day(moment)
    return f"{day} {moment:%H:%M}"


def iso(at: int) -> str:
    """For ``--json``: RFC 3339 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
