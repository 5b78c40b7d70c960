"""Renewing the receiving key, so that a stolen device opens no wraps older than a month.

Every 30 days a device makes a new DE, keeps the old secret until every sphere lists the new one and the inbox has been
read once more, then destroys it: what a relay kept of earlier wraps no key on this device opens any more (CLT-034).
"""

from __future__ import annotations

from typing import Final

from cloister.account import keys as account_keys
from cloister.account.keys import DeviceKeys
from cloister.client.context import Context

LIFE: Final = 30 * 86400


def receiving(ctx: Context) -> list[DeviceKeys]:
    """This device with each receiving key that may still be needed, the newest first."""
    return [ctx.keys, *_old(ctx)]


def _old(ctx: Context) -> list[DeviceKeys]:
    packed = ctx.store.secret("old_de")
    return [account_keys.unpack_device(packed, ctx.dv)] if packed else []


def begin(ctx: Context) -> None:
    """Make a new receiving key when the present one is old and no earlier one is still needed."""
    since = ctx.store.get("de_since")
    if since is None:
        ctx.store.put("de_since", ctx.now())
        return
    if ctx.now() - since < LIFE or _old(ctx):
        return
    kem = ctx.keys.kem
    fresh = account_keys.device(ctx.keys.dk_seed, kem, account_keys.new_receiving(ctx.rng, kem))
    with ctx.store.step():
        ctx.store.put_secret("old_de", account_keys.pack_device(ctx.keys))
        ctx.store.put_secret("device", account_keys.pack_device(fresh))
        ctx.store.put("de_since", ctx.now())
        ctx.store.put("old_de", True)
    ctx.keys = fresh


def forget_old(ctx: Context) -> None:
    """Destroy the old secret once no sphere wraps to it any more; called after the inbox was read to its end."""
    if not ctx.store.get("old_de"):
        return
    for sph, note in ctx.store.rows("sphere"):
        if note["status"] not in ("active", "entering"):
            continue
        state = ctx.replica(sph).state
        if note["status"] == "entering" and state is not None and state.author(ctx.dv) is None:
            continue  # it lists no key of this device, and will list the new one
        listed = state.devices.get(ctx.dv) if state is not None else None
        if listed is None or listed.de != ctx.keys.de:
            return
    with ctx.store.step():
        ctx.store.put_secret("old_de", None)
        ctx.store.put("old_de", None)
