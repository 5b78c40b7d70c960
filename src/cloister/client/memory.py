"""The account's own memory: key log, devices, and the state slot that every device shares.

The key log says which devices are the account's; the state slot holds what no relay may decide: which spheres there
are and how far their logs went, who was confirmed under which name, read positions, open invitations' seeds, settings.
Both are checked against what this device has seen before anything of them is used (KLOG-008, SLOT-016); what two
devices wrote is merged, never dropped (CLT-029).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from cloister.account import slot_names, state_slot
from cloister.account.state_slot import Pin, State
from cloister.client.context import Context
from cloister.client.records import DeviceInfo
from cloister.client.replica import Replica, new_note
from cloister.errors import Conflict, DeviceRevoked, Forbidden, LogRollback, UsageError
from cloister.protocol import jws, keylog
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.ids import Jwk
from cloister.protocol.keylog import KeyLog
from cloister.protocol.roles import KEM_RANK

MAX_MERGES: Final = 5


# --- key log ------------------------------------------------------------------------------------------------------


async def refresh_klog(ctx: Context) -> KeyLog:
    """Fetch and verify the own key log against the one held (KLOG-008); keep it. Raises LogRollback, LogFork, ...

    Raises DeviceRevoked when this device is no longer listed.
    """
    held = _held(ctx)
    chain = await ctx.relay.klog(ctx.id)
    if held is None:
        log = keylog.verify_chain(chain)
    elif ctx.klog is not None and ctx.klog[0] == chain:
        log = ctx.klog[1]
    else:
        log = keylog.verify_against(chain, held.seq, held.digest)
    with ctx.store.step():
        ctx.store.put("klog", chain)
        gone = set(ctx.store.get("revoked", []))
        if not log.revoked <= gone:
            ctx.store.put("revoked", sorted(gone | log.revoked))
    ctx.klog = (chain, log)
    if ctx.dv in log.revoked:
        raise DeviceRevoked("this device was removed from the account")
    return log


def revoked(ctx: Context) -> set[str]:
    """Devices seen as revoked, in the key log or any sphere: revoked everywhere (CLT-007)."""
    return set(ctx.store.get("revoked", []))


def unanswered(ctx: Context) -> set[str]:
    """Own devices seen as revoked, in the key log or any sphere, since the present master key was taken (SLOT-025).

    Whoever holds such a device may hold this key: nothing is stored under it until the next one comes. What the relay
    says of generations does not matter here.
    """
    log = klog(ctx)
    gone = set(ctx.store.get("revoked", [])) & (log.devices.keys() | log.revoked)
    return gone - set(ctx.store.get("mk_covers", []))


def planted(ctx: Context) -> bool:
    """Whether the present master key came from a device that is revoked by now (SLOT-025)."""
    return ctx.store.get("mk_from") in ctx.store.get("revoked", [])


def keep_mk(ctx: Context, mk: bytes, mkv: int, *, sender: str | None) -> None:
    """Hold another master key: from the device ``sender``, or by password when None.

    It answers the revocations seen so far only if it is later than what the password opened before: an earlier one may
    be what the lost device knew.
    """
    sure = sure_mkv(ctx)
    with ctx.store.step():
        ctx.store.put_secret("mk", mk)
        ctx.store.put("mkv", mkv)
        ctx.store.put("mk_due", None)
        ctx.store.put("mk_from", sender)
        ctx.store.put("mkv_sure", sure if sender else max(sure, mkv))
        ctx.store.put("state_dirty", True)
        if mkv > sure:
            ctx.store.put("mk_covers", ctx.store.get("revoked", []))
    ctx.mk, ctx.mkv = mk, mkv


def sure_mkv(ctx: Context) -> int:
    """The highest generation the password has opened here; what a letter claims is no measure for the relay."""
    return int(ctx.store.get("mkv_sure", ctx.mkv if ctx.store.get("mk_from") is None else 1))


def _held(ctx: Context) -> KeyLog | None:
    chain = ctx.store.get("klog")
    if not chain:
        return None
    if ctx.klog is None or ctx.klog[0] != chain:
        ctx.klog = (chain, keylog.verify_chain(chain))
    return ctx.klog[1]


def klog(ctx: Context) -> KeyLog:
    """The key log as last verified."""
    held = _held(ctx)
    assert held is not None
    return held


def rotations(ctx: Context) -> list[str]:
    """The entries that lead from the first identity key to the present one; empty while it is the first (KLOG-007)."""
    chain: list[str] = ctx.store.get("klog", [])
    found = [one for one in chain if jws.decode(one, keylog.TYP).body["op"] in ("start", "rotate")]
    return found if len(found) > 1 else []


def identity(ctx: Context) -> tuple[Jwk, list[str]]:
    """The present identity key and the certificates of the active own devices, this one first, without those whose
    receiving key is weaker than this one's: they come in by themselves where they may (CLT-061)."""
    log = klog(ctx)
    own = log.devices[ctx.dv]
    others = [one for dv, one in log.devices.items() if dv != ctx.dv and KEM_RANK[one.kem] >= KEM_RANK[own.kem]]
    return log.ik, [own.compact, *(one.compact for one in others)]


def require_second_copy(ctx: Context, rep: Replica | None = None) -> None:
    """Keys that lie on devices only need another place: a second device, or a saved text that holds the running key of
    the sphere. Raises UsageError (CLT-035)."""
    saved = setting(ctx, f"saved.{rep.sph}") if rep is not None else None
    running = rep.state.ep if rep is not None and rep.state is not None else 0
    if len(klog(ctx).devices) < 2 and not (saved and running and saved["n"] >= running):
        raise UsageError("keys kept on devices only need a second device or a saved copy first")


def devices(ctx: Context) -> list[DeviceInfo]:
    """Own devices, active first; names come from the state slot."""
    log, names = klog(ctx), ctx.store.get("device_names", {})
    rows = [DeviceInfo(dv, names.get(dv, ""), True, dv == ctx.dv, cert.iat) for dv, cert in log.devices.items()]
    return rows + [DeviceInfo(dv, names.get(dv, ""), False, dv == ctx.dv) for dv in sorted(log.revoked)]


def renewed(ctx: Context) -> tuple[str, bytes] | None:
    """This device's (kem, DE) when newer than its certificate's (CERT-007)."""
    cert = klog(ctx).devices[ctx.dv]
    return None if cert.de == ctx.keys.de else (ctx.keys.kem, ctx.keys.de)


# --- settings -----------------------------------------------------------------------------------------------------


def setting(ctx: Context, key: str) -> Any:
    """A setting of this person on all devices; None when it was never set (CLT-029)."""
    row = ctx.store.get("settings", {}).get(key)
    return json.loads(row["v"]) if row and row["v"] else None


def only_here(ctx: Context, rep: Replica) -> bool:
    """Whether this person keeps the keys of a sphere on own devices only: a choice for all of them (CLT-035)."""
    return bool(setting(ctx, f"only.{rep.sph}"))


def set_setting(ctx: Context, key: str, value: Any) -> None:
    """Set it on all devices (CLT-029)."""
    text = json.dumps(value, separators=(",", ":"))
    with ctx.store.step():
        settings = ctx.store.get("settings", {})
        old = settings.get(key, {"rev": 0, "v": ""})
        if old["v"] != text:
            ctx.store.put("settings", {**settings, key: {"rev": old["rev"] + 1, "v": text}})
            ctx.store.put("state_dirty", True)


# --- state slot ---------------------------------------------------------------------------------------------------


def first_content(dv: str, device_name: str) -> dict[str, Any]:
    """The state of a new account."""
    return {"v": 1, "spheres": {}, "pins": {}, "devices": {dv: device_name}, "invites": {}}


def content(ctx: Context) -> dict[str, Any]:
    """What this device would write: strict JSON, so no null and no negative number."""
    spheres = {}
    for sph, note in ctx.store.rows("sphere"):
        row: dict[str, Any] = {"status": note["status"], "label": note.get("label", ""),
                               "read": int(ctx.store.get(f"read/{sph}", 0)), "seq": 0}  # fmt: skip
        head = ctx.store.one("SELECT seq, h FROM entry WHERE sph = ? ORDER BY seq DESC LIMIT 1", sph)
        if head is not None:
            row["seq"], row["h"] = head[0], b64e(bytes(head[1]))
        spheres[sph] = row
    pins = dict(ctx.store.rows("pin"))
    now = ctx.now()
    invites = {jti: one for jti, one in ctx.store.get("invites", {}).items() if one["exp"] > now}
    said = {"v": 1, "spheres": spheres, "pins": pins, "devices": ctx.store.get("device_names", {}), "invites": invites}
    settings = ctx.store.get("settings", {})
    return {**said, "settings": settings} if settings else said


def pinned(ctx: Context) -> Pin | None:
    """The highest state this device has seen."""
    row = ctx.store.get("state_pin")
    return Pin(row["ctr"], b64d(row["h"])) if row else None


def keep_pin(ctx: Context, pin: Pin) -> None:
    """Persist what was accepted or written; inside a step."""
    ctx.store.put("state_pin", {"ctr": pin.ctr, "h": b64e(pin.digest)})


def signers(ctx: Context) -> dict[str, bytes]:
    """The signing keys of every device the account ever had."""
    found = {}
    for one in ctx.store.get("klog", []):
        body = jws.decode(one, keylog.TYP).body
        if body["op"] == "add-dev":
            cert = jws.decode(body["body"]["cert"], "sph-dev+1").body
            found[cert["dv"]] = b64d(cert["dk"])
    return found


async def read(ctx: Context, active: Mapping[str, bytes]) -> State | None:
    """Fetch, open and judge the state slot (SLOT-015 to SLOT-017); None when the relay has none for us.

    ``active``: dv and signing key of the devices whose word counts. Raises LogRollback for an older or another state
    than seen, VaultError.
    """
    pin = pinned(ctx)
    try:
        slot = await ctx.relay.slot(slot_names.STATE)
    except Forbidden:
        if pin is None:
            return None
        raise
    if slot.mkv < ctx.mkv:
        raise LogRollback("a state under an earlier master key than this device has seen")
    if slot.mkv > ctx.mkv:
        ctx.store.put("mk_due", slot.mkv)
        return None
    return state_slot.open_state(ctx.mk, ctx.id, int(slot.ctr or 0), b64d(slot.bytes), active, pin)


def merge(ctx: Context, theirs: dict[str, Any], *, provisional: bool = False) -> None:
    """Take what another device wrote; inside a step. The further read position, the newer pin, every sphere."""
    store = ctx.store
    for sph, row in theirs.get("spheres", {}).items():
        if row["read"] > int(store.get(f"read/{sph}", 0)):
            store.put(f"read/{sph}", row["read"])
        if store.row("sphere", sph) is None and row["status"] == "active":
            note = new_note("entering", label=row.get("label", ""), floor={"seq": row["seq"], "h": row.get("h", "")})
            if provisional:
                note["provisional"] = True
            Replica(sph, note).save_note(store)
    for member, row in theirs.get("pins", {}).items():
        mine = store.row("pin", member)
        if mine is None or int(row.get("rev", 0)) > int(mine.get("rev", 0)):
            store.run("INSERT OR REPLACE INTO pin VALUES (?, ?)", member, json.dumps(row))
    store.put("device_names", {**theirs.get("devices", {}), **store.get("device_names", {})})
    store.put("invites", {**theirs.get("invites", {}), **store.get("invites", {})})
    settings = store.get("settings", {})
    for key, row in theirs.get("settings", {}).items():
        mine = settings.get(key, {"rev": 0, "v": ""})
        if (row["rev"], row["v"]) > (mine["rev"], mine["v"]):
            settings[key] = row
    if settings:
        store.put("settings", settings)


async def exchange(ctx: Context, log: KeyLog) -> None:
    """Read the state if another device wrote it, and write it if this one has something to say (CLT-029)."""
    for _ in range(MAX_MERGES):
        state = await read(ctx, {dv: cert.dk for dv, cert in log.devices.items()})
        if ctx.store.get("mk_due"):
            return
        pin = pinned(ctx)
        if state is not None and (pin is None or state.ctr > pin.ctr):
            with ctx.store.step():
                merge(ctx, state.content, provisional=state.provisional)
                keep_pin(ctx, state.pin)
                ctx.store.put("state_seen", state.content)
        wanted = content(ctx)
        if wanted == ctx.store.get("state_seen"):
            ctx.store.put("state_dirty", None)
            return
        if not ctx.store.get("state_dirty") or unanswered(ctx):
            return
        sealed = state_slot.seal(ctx.mk, ctx.id, ctx.keys, pinned(ctx), wanted, ctx.rng)
        try:
            await ctx.relay.put_slot(slot_names.STATE, ctx.mkv, sealed.slot, ctr=sealed.ctr)
        except Conflict:
            continue
        with ctx.store.step():
            keep_pin(ctx, sealed.pin)
            ctx.store.put("state_seen", wanted)
            ctx.store.put("state_dirty", None)
        return
