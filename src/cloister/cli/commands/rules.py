"""sphere encrypt, public, policy, title: what an owner signs for everybody, and what it means in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal

from cloister.cli import times
from cloister.cli.faults import NOT_FOUND, USAGE, Refused
from cloister.cli.output import say
from cloister.cli.shell import Shell, opened, synced
from cloister.errors import Forbidden, UsageError

if TYPE_CHECKING:
    from cloister.client import Sphere
    from cloister.client.records import SphereInfo, Switch
    from cloister.protocol.state import Policy

_DAY: Final = 86400
_DAYS: Final = re.compile("days:[1-9][0-9]{0,3}")
_ALLOWED: Final = {
    "join": ("--join", ("approve", "any")),
    "history": ("--history", ("all", "since-join", "none")),
    "guests": ("--guests", ("talk", "read")),
    "kem_min": ("--kem-min", ("xwing", "p384", "rsa4096")),
}


def _owned(sphere: Sphere) -> SphereInfo:
    """The record of a sphere this person owns. Raises Refused."""
    info = sphere.info
    if info.status != "active":
        raise Refused("not-in-sphere", NOT_FOUND, title=info.title, code="C_NOT_MEMBER")
    if info.role != "owner":
        raise Refused("owner-only", NOT_FOUND, title=info.title, code="E_FORBIDDEN")
    return info


def _on_off(value: str, flag: str) -> bool:
    if value not in ("on", "off"):
        raise Refused("choice", USAGE, flag=flag, allowed="on, off")
    return value == "on"


def switched(one: Switch) -> str:
    """Who made the sphere readable for the server, and when."""
    return say(f"note.mode-{one.mode}", by=one.by, date=times.short(one.at))


async def encrypt(shell: Shell, name: str, value: str, title: str) -> None:
    """Turn encryption on or off."""
    on = _on_off(value, "on|off")
    async with opened(shell) as client:
        await synced(shell, client)
        sphere = client.sphere(name)
        info = _owned(sphere)
        if on == (info.mode == "e2ee"):
            raise Refused("mode-same", USAGE, title=info.title)
        if shell.would("would.encrypt-on" if on else "would.encrypt-off", title=info.title):
            return
        if not on:
            shell.secrets.agree_by_name(info.title, "ask.encrypt-off")
        await sphere.set_mode("e2ee" if on else "open", title=title or None, seen=info.mode)
        info = sphere.info
        if on:
            said = say("done.encrypt-on", title=info.title, n=info.epoch, people=info.members)
        else:
            said = say("done.encrypt-off-titled" if title else "done.encrypt-off", title=info.title)
        shell.out.result({"sphere": sphere.sph, "mode": info.mode, "key": info.epoch}, said)


async def public(shell: Shell, name: str, value: str, title: str) -> None:
    """Make a sphere public or end that; without a value its link."""
    async with opened(shell) as client:
        await synced(shell, client)
        sphere = client.sphere(name)
        info = sphere.info
        if not value:
            if info.mode != "public":
                raise Refused("not-public", NOT_FOUND, title=info.title)
            shell.out.result({"sphere": sphere.sph, "link": sphere.public_link()}, sphere.public_link())
            return
        on, info = _on_off(value, "on|off"), _owned(sphere)
        if on == (info.mode == "public"):
            raise Refused("mode-same", USAGE, title=info.title)
        if shell.would("would.public-on" if on else "would.public-off", title=info.title):
            return
        if on:
            shell.secrets.agree_by_name(info.title, "ask.public-on")
        mode: Literal["public", "open"] = "public" if on else "open"
        await sphere.set_mode(mode, title=title or None, seen=info.mode)
        row: dict[str, Any] = {"sphere": sphere.sph, "mode": mode}
        if on:
            shell.out.note(say("done.public-on", title=sphere.info.title))
            shell.out.result({**row, "link": sphere.public_link()}, sphere.public_link())
        else:
            shell.out.result(row, say("done.public-off", title=sphere.info.title))


async def title(shell: Shell, name: str, new: str, topic: str | None) -> None:
    """Change title and topic."""
    async with opened(shell) as client:
        await synced(shell, client)
        sphere = client.sphere(name)
        if shell.would("would.title", title=sphere.info.title, new=new):
            return
        await sphere.set_meta(title=new, topic=topic)
        info = sphere.info
        row = {"sphere": sphere.sph, "title": info.title, "topic": info.topic}
        shell.out.result(row, say("done.title", title=info.title))


# --- policy -------------------------------------------------------------------------------------------------------


def _changes(given: dict[str, str]) -> dict[str, Any]:
    """The policy members that the flags name. Raises Refused."""
    found: dict[str, Any] = {}
    for key, text in given.items():
        if not text:
            continue
        if key == "plaintext":
            found[key] = _on_off(text, "--plaintext")
        elif key == "T":
            found[key] = 0 if text == "off" else times.span(text, least=60)
        elif key == "retention":
            found[key] = 0 if text == "off" else times.span(text, least=_DAY) // _DAY
        else:
            flag, allowed = _ALLOWED[key]
            if text not in allowed and not (key == "history" and _DAYS.fullmatch(text)):
                shown = [*allowed, "days:N"] if key == "history" else allowed
                raise Refused("one-of", USAGE, flag=flag, allowed=", ".join(shown))
            found[key] = text
    return found


async def policy(shell: Shell, name: str, given: dict[str, str]) -> None:
    """Show the rules of a sphere, or change some and show them."""
    changes = _changes(given)
    async with opened(shell) as client:
        await synced(shell, client)
        sphere = client.sphere(name)
        info = sphere.info
        if info.status != "active":
            raise Refused("not-in-sphere", NOT_FOUND, title=info.title, code="C_NOT_MEMBER")
        if changes:
            if shell.would("would.policy", title=info.title):
                return
            await _change(sphere, info, changes)
            shell.out.note(say("done.policy", title=info.title))
        shell.out.result({"sphere": sphere.sph, "policy": sphere.policy.as_body()}, *lines(sphere.policy))


async def _change(sphere: Sphere, info: SphereInfo, changes: dict[str, Any]) -> None:
    try:
        await sphere.set_policy(**changes)
    except Forbidden:
        rule = "policy-admin" if info.role == "admin" else "owner-only"
        raise Refused(rule, NOT_FOUND, title=info.title, code="E_FORBIDDEN") from None
    except UsageError:
        raise Refused("policy-kem", USAGE, title=info.title) from None


def history_line(policy: Policy) -> str:
    """What newcomers can read."""
    if policy.history.startswith("days:"):
        return say("policy.history-days", n=int(policy.history[5:]))
    return say(f"policy.history-{policy.history}")


def lines(policy: Policy) -> list[str]:
    """The policy in sentences."""
    hours = policy.T // 3600
    time = say("count.days", n=policy.T // _DAY) if policy.T % _DAY == 0 else say("count.hours", n=max(1, hours))
    return [
        say(f"policy.join-{policy.join}"),
        history_line(policy),
        say("policy.retention", n=policy.retention) if policy.retention else say("policy.retention-0"),
        say("policy.plaintext-on" if policy.plaintext else "policy.plaintext-off"),
        say(f"policy.guests-{policy.guests}"),
        say("policy.period", time=time) if policy.T else say("policy.period-0"),
        say("policy.kem-xwing" if policy.kem_min == "xwing" else "policy.kem-weaker"),
    ]
