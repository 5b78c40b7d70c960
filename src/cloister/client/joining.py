"""Coming in and letting in.

Asking: the request is on disk before it is sent; on admission the log must be the one the link was made in, and the
welcome must come from the inviter or stays marked as not yet confirmed (INV-005, INV-006). Letting in: each request
is checked here, under the invitation's key when it names one; without that proof nobody is admitted, and no key
leaves, unless the caller says that the digits were compared (CLT-018).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from cloister.client import commits, enrol, keys, logbook, memory, organisation, people, stops
from cloister.client.context import Context
from cloister.client.events import Admitted, JoinRequested
from cloister.client.records import Pending, Request
from cloister.client.replica import Replica, new_note
from cloister.errors import (
    CheckFailed,
    Forbidden,
    LogFork,
    LogRollback,
    NotFound,
    RelayError,
    Unreachable,
    UsageError,
)
from cloister.protocol import digits, jws
from cloister.protocol import join as joins
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.ids import Jwk, thumbprint
from cloister.protocol.roles import KEM_RANK, RANK
from cloister.protocol.state import Invite, SphereState
from cloister.sphere import compose, invitation
from cloister.sphere.invitation import Link


def parse_link(ctx_origin: str, text: str) -> Link:
    """A link of this relay; a bare fragment is taken too. Raises UsageError."""
    text = text.strip()
    if "#" not in text:
        text = f"{ctx_origin}/j#{text}"
    try:
        link = invitation.parse(text)
    except CheckFailed:
        raise UsageError("this is not a complete invitation link") from None
    if link.origin != ctx_origin:
        raise UsageError("this link belongs to another server")
    if link.kind == "public":
        raise UsageError("this link is for reading, not for joining")
    return link


async def ask(ctx: Context, link: Link) -> str:
    """Ask to join; returns the request's hash. Raises Forbidden when the invitation is not open any more."""
    if link.kind == "invite" and not await ctx.relay.invite_open(link.sph, b64e(link.jti)):
        raise Forbidden("the invitation is closed")
    await memory.refresh_klog(ctx)
    ik, certs = memory.identity(ctx)
    compact = enrol.join_request(
        ctx.keys, name=ctx.login, ik=ik, certs=certs, link=link, now=ctx.now(), rng=ctx.rng,
        renew=memory.renewed(ctx),
        rotations=memory.rotations(ctx),
    )  # fmt: skip
    with ctx.store.step():
        h = enrol.remember_join(ctx.store, compact, link)
    await _send(ctx, h)
    return h


async def _send(ctx: Context, h: str) -> None:
    row = ctx.store.row("request", h)
    assert row is not None
    await ctx.relay.ask_to_join(row["jws"])
    _keep(ctx, h, {**row, "sent": True})


def _keep(ctx: Context, h: str, row: dict[str, object]) -> None:
    ctx.store.run("UPDATE request SET data = ? WHERE h = ?", json.dumps(row), h)


def pending(ctx: Context) -> list[Pending]:
    """Own requests, oldest first."""
    rows = [(h, sph, json.loads(data)) for h, sph, data in ctx.store.all("SELECT h, sph, data FROM request WHERE mine")]
    rows.sort(key=lambda row: (row[2]["at"], row[0]))
    return [Pending(h, sph, row["label"], row["state"], row.get("safety", "")) for h, sph, row in rows]


async def poll(ctx: Context) -> list[str]:
    """Send what was not sent, and see what became of own requests; returns the codes of those that failed.

    One that fails keeps no other from being read, and no other sphere.
    """
    faults: list[str] = []
    for h, row in ctx.store.rows("request", "mine = 1"):
        if row["state"] != "asked":
            continue
        try:
            if not row["sent"]:
                await _send(ctx, h)
            answer = await ctx.relay.join_state(h)
        except Forbidden:
            continue
        if answer.card:
            row["safety"] = digits.safety_number(ctx.id, _card_owner(answer.card.cert))
        if answer.state in ("refused", "withdrawn"):
            row["state"] = "declined"
        elif answer.state == "waiting" and jws.decode(row["jws"], joins.TYP).body["exp"] < ctx.now():
            row["state"] = "expired"
        _keep(ctx, h, row)
        if answer.state == "admitted":
            try:
                await enter(ctx, h)
            except Forbidden:
                continue  # removed again before this was read
            except CheckFailed as error:
                faults.append(error.code)
    return faults


def _card_owner(cert: str) -> str:
    """The handle an approver's card claims; comparing the digits is what proves it (DIG-002)."""
    return str(jws.decode(cert, "sph-dev+1").body["id"])


async def enter(ctx: Context, h: str) -> None:
    """The relay says we were admitted: believe the log only (INV-005, INV-006).

    A request that had its answer once does not turn somebody who was removed into one who waits.
    """
    found = ctx.store.one("SELECT sph, data FROM request WHERE h = ?", h)
    assert found is not None
    sph, row = found[0], json.loads(found[1])
    async with ctx.profile.writer(sph):
        note = ctx.store.row("sphere", sph)
        if note is None or (note["status"] in ("left", "removed") and row["state"] != "admitted"):
            fresh = Replica(sph, {**(note or new_note("asked")), "status": "asked", "label": row["label"]})
            with ctx.store.step():
                fresh.save_note(ctx.store)
            ctx.replicas.pop(sph, None)
        rep = ctx.replica(sph)
        await logbook.pull(ctx, rep)
        rep = ctx.replica(sph)
        state = rep.known[0]
        if ctx.id not in state.members or not state.members[ctx.id].active:
            return
        _check_link(ctx, rep, row)
        with ctx.store.step() as events:
            _settle(ctx, rep, h, row)
            keys.read_meta(ctx, rep)
            events.append(Admitted(sph, rep.note.get("title", "") or row["label"]))


def _check_link(ctx: Context, rep: Replica, row: dict[str, object]) -> None:
    history, seq, pin = rep.known[1], int(str(row["seq"])), b64d(str(row["pin"]))
    if not pin:
        return
    if seq > history.seq:
        error: CheckFailed = LogRollback("the log shown ends before this invitation was made")
    elif history.digest(seq)[: len(pin)] != pin:
        error = LogFork("the log is not the one this link was made in", seq=seq)
    else:
        return
    with ctx.store.step():
        rep.note["status"] = "asked"
        rep.save_note(ctx.store)
    stops.note(ctx, rep.sph, error, {"link": {"seq": seq, "pin": str(row["pin"])}})
    raise error


def _settle(ctx: Context, rep: Replica, h: str, row: dict[str, object]) -> None:
    rep.note["status"] = "active"
    invite = rep.known[0].invites.get(b64d(str(row["jti"])))
    if invite is not None and row["pin"]:
        rep.note["inviter"], rep.note["confirmed"] = invite.by, False
        found = ctx.store.row("pin", invite.by)
        if found is not None and not found.get("link"):
            ctx.store.run("UPDATE pin SET data = ? WHERE id = ?", json.dumps({**found, "link": True}), invite.by)
    rep.save_note(ctx.store)
    _keep(ctx, h, {**row, "state": "admitted"})
    ctx.store.put("state_dirty", True)


# --- letting in ---------------------------------------------------------------------------------------------------


def may_add(ctx: Context, state: SphereState) -> bool:
    """Whether this account may add members now (roles.json)."""
    return _adds(state, ctx.id)


def _adds(state: SphereState, who: str) -> bool:
    role = state.members[who].role if who in state.members else "none"
    return role in ("owner", "admin") or (role == "member" and state.policy.join == "any")


async def fetch_requests(ctx: Context, rep: Replica) -> list[Request]:
    """Requests waiting at the relay, each checked; new ones are told as events."""
    if not may_add(ctx, rep.known[0]):
        return []
    try:
        rows = await ctx.relay.joins(rep.sph)
    except Forbidden:
        return []
    known = {h for h, _ in ctx.store.rows("request", "sph = ? AND mine = 0", rep.sph)}
    with ctx.store.step() as events:
        ctx.store.run("DELETE FROM request WHERE sph = ? AND mine = 0", rep.sph)
        for row in rows:
            data = json.dumps({"jws": row.jws})
            ctx.store.run("INSERT OR IGNORE INTO request VALUES (?, ?, 0, ?)", row.h, rep.sph, data)
        found = requests(ctx, rep)
        events += [JoinRequested(rep.sph, one) for one in found if one.hash not in known]
    return found


def requests(ctx: Context, rep: Replica) -> list[Request]:
    """Requests as last fetched, judged now (JOIN-002 to JOIN-008)."""
    found = []
    for h, row in ctx.store.rows("request", "sph = ? AND mine = 0", rep.sph):
        one = _judge(ctx, rep, h, row["jws"])
        if one is not None:
            found.append(one)
    return sorted(found, key=lambda r: (r.at, r.hash))


def _judge(ctx: Context, rep: Replica, h: str, compact: str) -> Request | None:
    """One request, or None when it is no request for this sphere at all or its author is in already."""
    state, now = rep.known[0], ctx.now()
    code, invite = "", _open_invite(state, compact, now)
    try:
        request = joins.verify(compact, rep.sph, invite, now)
    except CheckFailed as error:
        if invite is None:
            return None
        code = error.code
        try:
            request = joins.verify(compact, rep.sph, None, now)
        except CheckFailed:
            return None
    member = state.members.get(request.id)
    if b64e(request.digest) != h or (member is not None and member.active):
        return None
    if request.jti is not None and invite is None:
        code = "C_EXPIRED"
    role = invite.role if invite is not None and request.by_link else "member"
    safety = digits.safety_number(ctx.id, request.id)
    if memory.revoked(ctx) & request.kems.keys():
        code = "C_NOT_MEMBER"  # CLT-007: whoever asks holds the key of a device that was taken from its account
    weak = any(KEM_RANK[kem] < KEM_RANK[state.policy.kem_min] for kem, _ in request.kems.values())
    return Request(
        h, rep.sph, request.name, request.id, request.by_link, role, request.iat, request.exp, safety, code, weak
    )


def _open_invite(state: SphereState, compact: str, now: int) -> Invite | None:
    try:
        jti = jws.decode(compact, joins.TYP).body.get("jti")
    except CheckFailed:
        return None
    invite = state.invites.get(b64d(jti)) if jti else None
    return invite if invite is not None and invite.left and now <= invite.exp else None


async def admit(ctx: Context, rep: Replica, h: str, *, confirmed: bool, role: str = "member") -> str:
    """Admit the author of request ``h`` as the sphere's writer; returns the member's handle (CLT-018).

    Raises NotFound, UsageError when nothing proves who asks and nobody confirmed it, or a device that asks is revoked.
    """
    await commits.settle_all(ctx, rep)
    rep = ctx.replica(rep.sph)
    asked = next((one for one in requests(ctx, rep) if one.hash == h), None)
    row = ctx.store.row("request", h)
    if asked is None or row is None:
        raise NotFound("no such request")
    if not asked.by_link and not confirmed:
        raise UsageError("nothing proves who asks: compare the digits, then confirm")
    if asked.code == "C_NOT_MEMBER":
        raise UsageError("a device that asks was removed from its account: they ask again from one that was not")
    if asked.weak:
        raise UsageError("a device that asks has a weaker receiving key than this sphere allows")
    organisation.require_member(ctx, rep, asked.id)
    jti = jws.decode(row["jws"], joins.TYP).body.get("jti") if asked.by_link else None

    def make(now: Replica) -> Sequence[compose.Intent]:
        member = now.known[0].members.get(asked.id)
        if member is not None and member.active:
            return []
        given = asked.role if asked.by_link else role
        return [compose.Add(asked.id, row["jws"], given, b64d(jti) if jti else None)]

    await commits.commit(ctx, rep, make)
    return asked.id


def _meant(ctx: Context, invite: Invite, who: str, ik: Jwk) -> bool:
    """Whether this account made the invitation for that very person, who asks under the identity known (CLT-053)."""
    kept = ctx.store.get("invites", {}).get(b64e(invite.jti))
    known = people.pin(ctx.store, who).get("thumb") == b64e(thumbprint(ik))
    return kept is not None and kept.get("for") == who and known


def _may_promise(state: SphereState, invite: Invite) -> bool:
    """Whether the invitation's author could still admit: else a person looks, as without ``auto``."""
    return _adds(state, invite.by)


async def auto_admit(ctx: Context, rep: Replica) -> int:
    """Admit those whose link says so, with the proof it takes (answered by the inviter when making the link)."""
    state = rep.known[0]
    if ctx.id not in state.members or state.members[ctx.id].role not in RANK or not may_add(ctx, state):
        return 0
    count = 0
    for one in requests(ctx, rep):
        row = ctx.store.row("request", one.hash)
        invite = _open_invite(rep.known[0], row["jws"], ctx.now()) if row else None
        if invite is None or not one.by_link or not _may_promise(rep.known[0], invite):
            continue
        ik = jws.decode(row["jws"], joins.TYP).body["ik"] if row else {}
        if invite.admit == "auto" or _meant(ctx, invite, one.id, ik):
            try:
                await admit(ctx, rep, one.hash, confirmed=False)
            except (CheckFailed, RelayError, Unreachable, NotFound, UsageError):
                continue
            rep = ctx.replica(rep.sph)
            count += 1
    return count
