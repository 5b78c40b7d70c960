"""How things look in a line: times, spans, short ids, messages, records as JSON.

Plain functions from records to safe text. Knows the person's time zone; refuses to know where the text goes.
"""

from __future__ import annotations

import dataclasses
import re
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cloister.cli.escape import escape
from cloister.cli.faults import Refused
from cloister.cli.output import say

if TYPE_CHECKING:
    from cloister.client.records import Message, SphereInfo

_SPAN: Final = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
LONGEST: Final = 366 * 86400
_INDENT: Final = "      "


def span(text: str) -> int:
    """Seconds of ``30m``, ``12h``, ``7d``. Raises Refused."""
    found = _SPAN.fullmatch(text)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < seconds <= LONGEST:
        raise Refused("time-span", text=text)
    return seconds


def since(text: str, now: int) -> int:
    """Unix seconds of a span back from ``now`` or of a local date. Raises Refused."""
    if _SPAN.fullmatch(text):
        return now - span(text)
    try:
        return int(datetime.fromisoformat(text).astimezone().timestamp())
    except (ValueError, OverflowError):
        raise Refused("time-since", text=text) from None


def local(at: int) -> datetime:
    """Unix seconds in the person's time zone."""
    return datetime.fromtimestamp(at).astimezone()


def clock(at: int, today: date | None = None) -> str:
    """``10:04`` today, else ``3 Mar 10:04``, with the year when it is another one."""
    moment = local(at)
    today = today or datetime.now().astimezone().date()
    if moment.date() == today:
        return f"{moment:%H:%M}"
    year = "" if moment.year == today.year else f" {moment.year}"
    return f"{moment.day} {moment:%b}{year} {moment:%H:%M}"


def until(at: int, today: date | None = None) -> str:
    """``today 10:02``, ``tomorrow 10:02``, ``Friday 10:02``, else the date."""
    moment = local(at)
    today = today or datetime.now().astimezone().date()
    days = (moment.date() - today).days
    if days == 0:
        return f"today {moment:%H:%M}"
    if days == 1:
        return f"tomorrow {moment:%H:%M}"
    if 1 < days < 7:
        return f"{moment:%A} {moment:%H:%M}"
    return f"{moment.day} {moment:%B}" + ("" if moment.year == today.year else f" {moment.year}")


def ago(seconds: int) -> str:
    """A span in words: ``10 minutes``."""
    amount = timedelta(seconds=seconds)
    for size, one, many in ((86400, "day", "days"), (3600, "hour", "hours"), (60, "minute", "minutes")):
        if amount.total_seconds() >= size and seconds % size == 0:
            count = seconds // size
            return f"{count} {one if count == 1 else many}"
    return f"{seconds} seconds"


def short(name: str, signs: int = 6) -> str:
    """An id with its kind and a beginning long enough for people: ``dv-9c2eQ1…``."""
    head, dash, rest = name.partition("-")
    if dash and len(head) == 2:
        return f"{head}-{rest[:signs]}…"
    return f"{name[:signs]}…"


def record(value: Any) -> dict[str, Any]:
    """A record as a JSON object."""
    found: dict[str, Any] = dataclasses.asdict(value)
    return found


def mode(info: SphereInfo) -> str:
    """``encrypted``, ``open`` or ``public``, in words."""
    return {"e2ee": say("mode.encrypted"), "open": say("mode.open"), "public": say("mode.public")}[info.mode]


def people(count: int) -> str:
    """``1 person``, ``4 people``."""
    return say("people.one") if count == 1 else say("people.many", count=count)


def body(message: Message) -> str:
    """What a message says, or why it does not: never empty."""
    if message.state == "unreadable":
        return say("row.unreadable")
    if message.state in ("damaged", "quarantined"):
        return say(f"row.{message.state}")
    if message.deleted:
        return say("row.deleted")
    text = escape(message.text, lines=True).replace("\n", "\n" + _INDENT)
    marks = [say("row.edited")] if message.edited else []
    if message.open:
        marks.append(say("row.open"))
    if message.state == "waiting":
        marks.append(say("row.waiting"))
    marks += [f"{escape(sign)} {len(who)}" for sign, who in message.reactions]
    return text + (f"   [{' · '.join(marks)}]" if marks else "")


def line(message: Message, name: str, *, ids: bool = False) -> str:
    """One message as ``bo  10:04  Hello``."""
    about = f"{say('row.re', mid=message.re[:6])} " if message.re else ""
    tag = f"  ({message.mid[:8]})" if ids and message.mid else ""
    return f"{name}  {clock(message.at)}  {about}{body(message)}{tag}"
