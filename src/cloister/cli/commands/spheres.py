"""``sphere …`` and ``rotate``."""

from __future__ import annotations

import binascii
from typing import Any, Literal, cast

from cloister.cli import shown
from cloister.cli.escape import escape
from cloister.cli.faults import Refused
from cloister.cli.output import columns, say
from cloister.cli.shell import Shell, opened
from cloister.cli.traffic import catch_up
from cloister.errors import Unreachable


async def new(shell: Shell, title: str, open_: bool, topic: str, delivery: str, custody: str) -> None:
    """Make a sphere."""
    if delivery not in ("pairwise", "live"):
        raise Refused("choice", flag="--delivery", allowed="pairwise, live")
    if custody not in ("synced", "device"):
        raise Refused("choice", flag="--custody", allowed="synced, device")
    if not title.strip():
        raise Refused("empty-title")
    if shell.would("would.open-sphere" if open_ else "would.sphere", title=title):
        return
    async with opened(shell) as client:
        shell.kept = "kept.sphere"
        made = await client.create_sphere(
            title.strip(),
            mode="open" if open_ else "e2ee",
            delivery=cast("Literal['pairwise', 'live']", delivery),
            custody=cast("Literal['synced', 'device']", custody),
            topic=topic,
        )
        info = made.info
    text = (
        say("result.open-sphere", title=info.title) if open_ else say("result.sphere", title=info.title, n=info.epoch)
    )
    shell.out.result(shown.record(info), shell.out.name(text))


async def ls(shell: Shell, past: bool) -> None:
    """List spheres."""
    async with opened(shell) as client:
        await catch_up(shell, client)
        found = client.spheres(past=past)
        asked = [one for one in client.pending() if one.state == "asked"]
    table = []
    for one in found:
        notes = [say("ls.unread", count=one.unread)] if one.unread else []
        notes += [say("ls.requests", count=one.requests)] if one.requests else []
        notes += [say("ls.waiting", count=one.waiting)] if one.waiting else []
        notes += [say("ls.stopped")] if one.stop else []
        notes += [say(f"status.{one.status}")] if one.status != "active" else []
        mark = {"e2ee": "∩", "open": "◌", "public": "◌"}[one.mode]
        kind = shown.mode(one)
        if one.mode != "e2ee":
            kind = shell.out.paint(kind, "\x1b[33m")
        row = [] if shell.flags.plain else [mark]
        table.append([*row, shell.out.name(one.title), kind, shown.people(one.members), one.role, " · ".join(notes)])
    for request in asked:
        if not any(one.sph == request.sph for one in found):
            row = [] if shell.flags.plain else ["∩"]
            table.append(
                [*row, shell.out.name(request.label or shown.short(request.sph)), say("status.asked"), "", "", ""]
            )
    shell.out.rows("spheres", [shown.record(one) for one in found], table, say("empty.spheres"))


async def show(shell: Shell, name: str) -> None:
    """One sphere in plain lines."""
    async with opened(shell) as client:
        await catch_up(shell, client)
        sphere = client.sphere(name)
        info = sphere.info
        keys = sphere.keys() if info.status == "active" else []
        invites = sphere.invites() if info.status == "active" else []
    rows = [("sphere", info.title), ("topic", info.topic)] if info.topic else [("sphere", info.title)]
    rows += [("id", info.sph), ("encryption", say(f"show.{info.mode}")), ("you", info.role)]
    rows += [("people", shown.people(info.members)), ("newcomers", say(f"show.{info.delivery}"))]
    rows += [("your key", say(f"show.{info.custody}"))] if info.mode == "e2ee" else []
    if keys:
        missing = [str(n) for n, here in keys if not here]
        rows.append(("key", say("show.key", n=info.epoch) + (f" · {say('show.marked')}" if info.marked else "")))
        if missing:
            rows.append(("not here", say("show.missing", keys=", ".join(missing[:12]))))
    rows.append(("history", say("show.history", count=info.seq + 1)))
    if invites:
        rows.append(("invitations", str(len(invites))))
    if info.waiting:
        rows.append(("waiting", str(info.waiting)))
    if info.stop:
        rows.append(("stopped", info.stop.code))
    value: dict[str, Any] = {**shown.record(info), "keys": [{"n": n, "here": here} for n, here in keys]}
    shell.out.result(value, *columns([[a, shell.out.name(b)] for a, b in rows]))


async def leave(shell: Shell, name: str) -> None:
    """Leave a sphere."""
    async with opened(shell) as client:
        sphere = client.sphere(name)
        title = sphere.info.title
        if shell.would("would.leave", title=title):
            return
        shell.secrets.agree_by_name(title, "ask.leave")
        await sphere.leave()
    shell.out.result({"sphere": sphere.sph, "left": True}, say("result.left", title=title))


async def seen(shell: Shell, name: str, message: str, raw: bool) -> None:
    """The relay's row beside what this device reads."""
    from cloister.protocol.encoding import b64d

    async with opened(shell) as client:
        await catch_up(shell, client, must=True)
        sphere = client.sphere(name)
        row = await sphere.seen(message or None)
    header, mine = row.header, row.you_see
    digest = binascii.hexlify(b64d(row.digest)).decode()
    size = len(b64d(row.stored.split(".")[1]))
    encrypted = header.get("enc") != "none"
    if mine is None:
        you = say("seen.nothing")
    else:
        you = f'{shell.out.name(mine.name)} {shown.clock(mine.at)}  "{escape(shown.body(mine))}"'
    parts = [
        say("seen.device", dv=f"{str(header.get('kid', ''))[:7]}…"),
        shown.clock(int(header.get("iat", 0))),
        say("seen.bytes", count=size),
        f"{digest[:8]}…",
        say("seen.thread", thr=f"{header['thr'][:8]}…" if header.get("thr") else "none"),
        say("seen.key", n=header.get("ep", 0)) if encrypted else say("seen.open"),
    ]
    has = f"{parts[0]} {parts[1]}  {parts[2]}  {parts[3]}  {parts[4]}  {parts[5]}"
    lines = [say("seen.you", text="") + you, say("seen.server", text="") + has]
    value = {
        "pos": row.pos,
        "bytes": size,
        "digest": digest,
        "header": header,
        "you_see": shown.record(mine) if mine else None,
    }
    shell.out.result({**value, "stored": row.stored} if raw else value, *lines, *([row.stored] if raw else []))


async def log(shell: Shell, name: str, limit: int) -> None:
    """Signed entries, one per line."""
    async with opened(shell) as client:
        await catch_up(shell, client)
        sphere = client.sphere(name)
        start = max(0, sphere.info.seq + 1 - limit) if limit else 0
        found = sphere.log(start=start, limit=limit or 1_000_000)
    table = [
        [str(one.seq), shown.clock(one.at), shell.out.name(one.name), shell.out.name(one.what), f"{one.digest[:8]}…"]
        for one in found
    ]
    shell.out.rows("entries", [shown.record(one) for one in found], table, say("empty.log"))


async def rotate(shell: Shell, name: str, why: str) -> None:
    """Make a new key."""
    async with opened(shell) as client:
        sphere = client.sphere(name)
        title = sphere.info.title
        if sphere.info.mode != "e2ee":
            raise Refused("no-key-when-open", title=title)
        if shell.would("would.rotate", title=title):
            return
        try:
            n = await sphere.rotate(why)
        except Unreachable:
            raise Refused("rotate-offline", 5, code="L_UNREACHABLE") from None
        count = sphere.info.members
    shell.out.result({"sphere": sphere.sph, "key": n}, say("result.rotated", n=n, people=shown.people(count)))
