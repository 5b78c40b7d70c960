"""Why the relay takes this device no more: what signed entries say of it, where they can still be read.

A refusal is the relay's word. The removal of a device is signed: by the account's identity in the key log, by another
own device in a sphere's log. What this device has verified before counts, and logs of public spheres can be read
without signing in. Without such an entry the refusal is told as what it is.

Spec: CLT-038.
"""

from __future__ import annotations

from typing import Final

from cloister.client import memory
from cloister.client.context import Context
from cloister.client.replica import Replica
from cloister.errors import AuthFailed, CheckFailed, DeviceRevoked, RelayError, Unreachable, VersionTooOld
from cloister.protocol import entry as entries
from cloister.protocol import jws
from cloister.protocol.entry import Entry

SHUT_OUT: Final = "shut_out"
_PAGES: Final = 20


async def session(ctx: Context) -> str:
    """A fresh device session. Raises DeviceRevoked when a signed entry says so, AuthFailed when only the relay does."""
    try:
        token = await ctx.session()
    except AuthFailed:
        if await proven(ctx):
            raise DeviceRevoked("this device was removed from the account") from None
        ctx.store.put(SHUT_OUT, ctx.now())
        raise
    if ctx.store.get(SHUT_OUT):
        ctx.store.put(SHUT_OUT, None)
    return token


async def proven(ctx: Context) -> bool:
    """Whether a verified entry removes this device; what is found is kept."""
    if ctx.dv in memory.revoked(ctx):
        return True
    for sph, note in ctx.store.rows("sphere"):
        if note["status"] != "active":
            continue
        rep = ctx.replica(sph)
        if rep.state is not None and rep.state.mode == "public" and await _shown(ctx, rep):
            ctx.store.put("revoked", sorted(memory.revoked(ctx) | {ctx.dv}))
            return True
    return False


async def _shown(ctx: Context, rep: Replica) -> bool:
    """Whether the log of a public sphere shows the removal after the own head."""
    start = rep.known[1].seq
    try:
        for _ in range(_PAGES):
            page = await ctx.relay.public_log(rep.sph, start)
            shown = [entries.decode(one) for one in page.entries]
            if any(_removes(ctx, rep, one) for one in shown):
                return True
            if not shown or shown[-1].seq <= start:
                return False
            start = shown[-1].seq
    except (RelayError, Unreachable, CheckFailed, VersionTooOld):
        pass
    return False


def _removes(ctx: Context, rep: Replica, one: Entry) -> bool:
    """The entry alone proves itself, as in CLT-030: signed by another device of this account that is active in the
    last state held."""
    state = rep.known[0]
    author = state.author(one.kid)
    if one.sph != state.sph or one.seq <= state.seq or author is None or author.id != ctx.id or one.kid == ctx.dv:
        return False
    if one.op != "device" or one.body.get("act") != "revoke" or one.body.get("dv") != ctx.dv:
        return False
    try:
        jws.verify_ed25519(one.envelope, state.devices[one.kid].dk)
    except CheckFailed:
        return False
    return True
