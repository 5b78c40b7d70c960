"""sphere: make, list, show, leave, and see what the server sees."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from cloister.cli import times
from cloister.cli.commands import custody, invited, rules
from cloister.cli.escape import escape
from cloister.cli.faults import USAGE, Refused
from cloister.cli.output import OCHRE, say
from cloister.cli.shell import Shell, opened, synced

_HISTORY = ("all", "since-join", "none")
Mode = Literal["e2ee", "open", "public"]


async def new(
    shell: Shell,
    title: str,
    mode: Mode,
    keeping: str,
    delivery: str,
    history: str,
    topic: str,
    *,
    org: str = "",
    organisation: bool = False,
    rsa: bool = False,
) -> None:
    """Make a sphere."""
    if (org or organisation) and mode != "e2ee":
        raise Refused("organisation-open", USAGE)
    if org and organisation:
        raise Refused("organisation-twice", USAGE)
    if delivery not in ("pairwise", "live"):
        raise Refused("one-of", USAGE, flag="--delivery", allowed="pairwise, live")
    if keeping not in ("synced", "device"):
        raise Refused("one-of", USAGE, flag="--custody", allowed="synced, device")
    if history not in _HISTORY and not history.startswith("days:"):
        raise Refused("one-of", USAGE, flag="--history", allowed="all, since-join, days:N, none")
    if shell.would("would.sphere", title=title):
        return
    async with opened(shell) as client:
        above = ""
        if org:
            await synced(shell, client)
            found = client.sphere(org).info
            if found.kind != "org" or found.status != "active":
                raise Refused("no-organisation", USAGE, title=found.title)
            above = found.sph
        policy = {"history": history, **({"kem_min": "rsa4096"} if rsa else {})}
        made = await client.create_sphere(
            title, mode=mode, custody=keeping, delivery=delivery, topic=topic, policy=policy,  # type: ignore[arg-type]
            kind="org" if organisation else "sphere", org=above,
        )  # fmt: skip
        info = made.info
        said = say("done.sphere" if mode == "e2ee" else "done.sphere-open", title=info.title, n=info.epoch)
        row = {"sphere": info.sph, "title": info.title, "mode": info.mode, "key": info.epoch}
        if mode == "public":
            said = made.public_link()
            row["link"] = said
            shell.out.note(say("done.public-on", title=info.title))
        shell.out.result(row, said)
        for line in custody.labels(client, info):
            shell.out.note(line)


async def ls(shell: Shell, *, past: bool) -> None:
    """List spheres."""
    async with opened(shell) as client:
        await synced(shell, client)
        found = client.spheres(past=past)
        table = []
        for one in found:
            open_ = one.mode != "e2ee"
            what = [] if one.status == "active" else [say(f"status.{one.status}")]
            if one.status == "active":
                what = [say("word.open") if open_ else say("word.encrypted"), say("count.people", n=one.members)]
                what += [say("count.unread", n=one.unread)] if one.unread else []
                what += [say("count.waiting", n=one.waiting)] if one.waiting else []
                what += [say("count.asking", n=one.requests)] if one.requests else []
                what += [say("word.stopped")] if one.stop else []
                what = what if one.members else [say("status.unfinished")]
            said = shell.out.paint(" · ".join(what), OCHRE) if open_ else " · ".join(what)
            table.append(("◌" if open_ else "∩", shell.out.name(one.title), one.sph[:9], said))
        if shell.flags.plain:
            table = [row[1:] for row in table]  # type: ignore[misc]
        rows = [_info(one) for one in found]
        shell.out.rows("spheres", rows, table, say("empty.spheres"))
        for line in invited.lines(client):
            shell.out.note(line)


def _info(one: Any) -> dict[str, Any]:
    row = dataclasses.asdict(one)
    if one.stop is not None:
        row["stop"] = {"code": one.stop.code, "at": one.stop.at}
    return row


async def show(shell: Shell, name: str) -> None:
    """The security panel in plain lines."""
    async with opened(shell) as client:
        await synced(shell, client)
        sphere = client.sphere(name)
        info, out = sphere.info, shell.out
        lines = [f"{out.name(info.title)}" + (f" · {out.name(info.topic)}" if info.topic else "")]
        if info.status != "active":
            lines.append(say("show.too-weak" if info.too_weak else f"status-long.{info.status}"))
            out.result({"sphere": _info(info)}, *lines)
            return
        keys = sphere.keys()
        missing = [n for n, here in keys if not here]
        lines.append(say({"e2ee": "show.encrypted", "open": "show.open", "public": "show.public"}[info.mode]))
        if info.switched is not None:
            lines.append(rules.switched(info.switched))
        if info.mode == "e2ee":
            lines.append(say("show.key", n=info.epoch, made=len(keys)))
            if info.marked:
                lines.append(say("show.marked"))
            older = sphere.older_keys()
            missing = [n for n in missing if n not in older]
            if missing:
                lines.append(say("show.missing", keys=", ".join(map(str, missing))))
            if older:
                lines.append(say("show.older", n=len(older)))
            if info.delivery == "live":
                lines.append(say("show.delivery-live"))
            lines.append(rules.history_line(sphere.policy))
            lines += custody.keys(client, info)
        people = sphere.people()
        lines.append(say("show.people", n=len(people), role=info.role))
        strangers = [out.name(one.name) for one in people if not one.me and one.known != "confirmed in person"]
        if strangers:
            more = f" … {len(strangers)}" if len(strangers) > 10 else ""
            lines.append(say("show.unknown", names_raw=", ".join(strangers[:10]) + more))
        lines += [say("note.wish", name=wish.name, title=info.title) for wish in sphere.wishes()]
        lines.append(say("show.log", n=info.seq + 1))
        if not info.confirmed_by_inviter:
            lines.append(say("show.unconfirmed"))
        if info.stop is not None:
            lines.append(say("show.stopped"))
        missing_people = [_info_person(one) for one in people]
        out.result(
            {"sphere": _info(info), "keys": [{"n": n, "here": h} for n, h in keys], "people": missing_people}, *lines
        )
        if info.stop is not None:
            out.stop(info.stop)
            shell.exit_code = 8


def _info_person(one: Any) -> dict[str, Any]:
    return {"id": one.id, "name": one.name, "role": one.role, "known": one.known, "me": one.me}


async def leave(shell: Shell, name: str, *, forget: bool) -> None:
    """Leave, after the name was typed."""
    async with opened(shell) as client:
        sphere = client.sphere(name)
        title = sphere.info.title
        if shell.would("would.leave", title=title):
            return
        shell.secrets.agree_by_name(title, "ask.leave")
        if sphere.info.status == "active":
            await sphere.leave()
        elif not forget:
            raise Refused("not-in-sphere", 3, title=title)
        if forget:
            await sphere.forget()
        shell.out.result(
            {"left": sphere.sph, "forgotten": forget}, say("done.forgot" if forget else "done.left", title=title)
        )


async def seen(shell: Shell, name: str, message: str) -> None:
    """The server's row beside the message."""
    async with opened(shell) as client:
        await synced(shell, client)
        sphere = client.sphere(name)
        row = await sphere.seen(sphere.message(message) if message else None)
        head, you = row.header, row.you_see
        device, at = str(head.get("kid", "")), int(head.get("iat", 0))
        thread = str(head.get("thr") or "")
        stored = {
            "pos": row.pos, "device": device, "at": times.iso(at), "size": row.size, "digest": row.digest,
            "thread": thread or None, "key": head.get("ep"), "header": head, "row": row.stored,
        }  # fmt: skip
        if you is None:
            mine = say("word.nothing")
        elif you.state == "sent":
            text = escape(you.text.replace("\n", " "))
            mine = f'{shell.out.name(you.name)} {times.short(you.at)}  "{text[:60]}{"…" if len(text) > 60 else ""}"'
        else:
            mine = say("row.unreadable")
        theirs = say(
            "seen.server", device=device[:7], time=times.short(at), size=row.size, digest=_hex(row, head),
            thread=(thread[:8] + "…") if thread else say("word.none"), n=head.get("ep", 0),
        )  # fmt: skip
        if head.get("enc") == "none":
            theirs += "  " + shell.out.paint(say("word.open"), OCHRE)
        told = {"text": you.text, "name": you.name, "state": you.state} if you else None
        shell.out.result({"you_see": told, "server_has": stored}, say("seen.you", text_raw=mine), theirs)
        if shell.flags.verbose:
            shell.out.detail(escape(row.stored))


def _hex(row: Any, head: dict[str, Any]) -> str:
    """The first bytes of what is stored as the message's body, as they are."""
    import base64

    body = row.stored.split(".")[1] if row.stored.count(".") == 2 else ""
    raw = base64.urlsafe_b64decode(body[:16] + "=" * (-len(body[:16]) % 4))
    return raw[:4].hex() + "…"


async def log(shell: Shell, name: str, limit: int) -> None:
    """Signed entries in words."""
    async with opened(shell) as client:
        await synced(shell, client)
        sphere = client.sphere(name)
        lines = sphere.log(start=max(0, sphere.info.seq + 1 - limit), limit=limit)
        table = [
            (str(one.seq), times.short(one.at), shell.out.name(one.name), escape(one.what), one.digest[:8])
            for one in lines
        ]
        rows = [dataclasses.asdict(one) for one in lines]
        shell.out.rows("entries", rows, table, say("empty.log"))
