"""Acts that need the password: change it, or take a device away.

Both are one compare-and-swap at the relay and survive a crash at any point: the new opener, or the new master key, is
on disk before the request, and the old one stays until the answer is known (CLT-006, CLT-007). RK, IK and the password
are dropped when the act is sent.
"""

from __future__ import annotations

import msgspec

from cloister.account import credentials, devices, keys
from cloister.account import vault as vaults
from cloister.account.keys import Roots
from cloister.account.password import Stretched, check_new
from cloister.account.vault import Vault
from cloister.client import enrol, memory, signing
from cloister.client import keys as epoch_keys
from cloister.client.context import Context
from cloister.client.profile import VAULT, Profile, write_private
from cloister.errors import (
    AuthFailed,
    CheckFailed,
    CloisterError,
    Conflict,
    NotFound,
    RelayError,
    Unreachable,
    UsageError,
    VaultError,
)
from cloister.protocol import api
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.keylog import KeyLog

NEXT = "vault.next.json"


def _roots_body(body: dict[str, object]) -> api.NewRoots:
    return msgspec.convert(body, api.NewRoots)


async def _put_roots(ctx: Context, body: dict[str, object], token: str) -> None:
    await ctx.relay.put_roots(_roots_body(body), token)


# --- password -----------------------------------------------------------------------------------------------------


def read_next(profile: Profile) -> Vault | None:
    """The vault of a password change whose answer is not known."""
    try:
        return vaults.decode((profile.folder / NEXT).read_bytes())
    except FileNotFoundError:
        return None


def promote(profile: Profile) -> Vault:
    """The new password is the account's: its vault takes the place of the old one."""
    (profile.folder / NEXT).replace(profile.folder / VAULT)
    vault = enrol.read_vault(profile)
    assert vault is not None
    return vault


async def change_password(ctx: Context, vault: Vault, vk: bytes, old: str, new: str) -> Vault:
    """Change the password (CLT-006); returns the vault now in force.

    Raises WeakPassword, AuthFailed (``old`` is wrong), Conflict (changed on another device), Unreachable: then either
    password opens this device until one of them has signed in.
    """
    check_new(new, vault.login)
    proven = await signing.prove(ctx.relay, ctx.rng, vault.login, old, vault.realm, version=vault.ver, vault=vault)
    opened = await signing.open_roots(ctx.relay, proven, mkv=memory.sure_mkv(ctx))
    fresh = await signing.slow(new, vault.login, vault.realm, vault.salt16)
    body = credentials.change_password(
        opened.row.cred_ver, opened.roots, fresh, account=ctx.id, login=vault.login, salt16=vault.salt16, rng=ctx.rng
    )
    _write_next(ctx, vault, vk, fresh)
    try:
        await _put_next(ctx, body, proven.token)
    except Unreachable:
        return await settle_password(ctx, vault, new, opened_by_next=True)
    return promote(ctx.profile)


def _write_next(ctx: Context, vault: Vault, vk: bytes, fresh: Stretched) -> None:
    """The vault as it will be under the new password, durable beside the old one."""
    after = enrol.with_version(vault, fresh.version)
    if "pin" not in vaults.opener_kinds(vault):
        after = vaults.with_opener(after, vaults.password_opener(after, vk, fresh.kek, ctx.rng))
    write_private(ctx.profile.folder / NEXT, vaults.encode(after))


async def _put_next(ctx: Context, body: dict[str, object], token: str) -> None:
    """Send a new password; a refusal means that the old one stays."""
    try:
        await ctx.relay.put_roots(_roots_body(body), token)
    except RelayError as error:
        if isinstance(error, Conflict | AuthFailed) or error.status < 500:
            ctx.profile.remove(NEXT)
        raise


async def settle_password(ctx: Context, vault: Vault, password: str, *, opened_by_next: bool) -> Vault:
    """Find out which password the account has, by signing in with the one just typed (CLT-006).

    Raises Unreachable while that cannot be asked; both openers then stay.
    """
    following = read_next(ctx.profile)
    if following is None:
        return vault
    tried = following if opened_by_next else vault
    try:
        await signing.prove(ctx.relay, ctx.rng, vault.login, password, vault.realm, version=tried.ver, vault=tried)
        new_holds = opened_by_next
    except AuthFailed:
        new_holds = not opened_by_next
    if new_holds:
        return promote(ctx.profile)
    ctx.profile.remove(NEXT)
    return vault


# --- taking a device away -----------------------------------------------------------------------------------------


async def revoke_device(
    ctx: Context, vault: Vault, vk: bytes, dv: str, password: str, new_password: str | None = None
) -> Vault:
    """Revoke an own device and make a new master key (CLT-007); the spheres follow with the next sync. Returns the
    vault now in force.

    With ``new_password`` the password changes in the same step, so that no relay can show a further device the roots
    of before (SLOT-027). May be called again after a crash or an error and goes on where it was. Raises NotFound,
    UsageError for this very device or the same password, WeakPassword, AuthFailed, Conflict, Unreachable.
    """
    if dv == ctx.dv:
        raise UsageError("revoke this device from another one")
    if new_password is not None:
        check_new(new_password, vault.login)
        if new_password == password:
            raise UsageError("the new password is the old one")
    try:
        proven = await _prove(ctx, vault, password)
    except AuthFailed:
        if new_password is None or not ctx.store.get("revoking"):
            raise
        proven, new_password = await _prove(ctx, vault, new_password), None  # it was taken, the answer was lost
    vault = _settled(ctx, vault, proven)
    log = await memory.refresh_klog(ctx)
    pending = ctx.store.get("revoking")
    if dv not in log.devices and (pending is None or pending["dv"] != dv):
        raise NotFound("no such device")
    if pending is None or pending["dv"] != dv:
        ctx.store.put("revoking", {"dv": dv, "mkv": ctx.mkv})
        pending = {"dv": dv, "mkv": ctx.mkv}
    if dv in log.devices:
        held = (log.seq, log.digest)
        try:
            await memory.exchange(ctx, log)  # the last time that device's word counts
        except CheckFailed:
            pass  # it may be that very device that sent this one a false master key
        opened = await signing.open_roots(ctx.relay, proven, mkv=memory.sure_mkv(ctx), pin=held)
        change = devices.revoke(opened.ik, opened.klog, dv, ctx.now())
        await ctx.relay.revoke_device(dv, change.entry, proven.token)
        log = await memory.refresh_klog(ctx)
    if new_password is not None:
        fresh = await signing.slow(new_password, vault.login, vault.realm, vault.salt16)
        _write_next(ctx, vault, vk, fresh)
        await _new_master(ctx, proven, log, fresh, credentials.new_verifier(fresh, vault.login, vault.salt16))
        vault = promote(ctx.profile)
    elif ctx.mkv <= pending["mkv"]:
        await _new_master(ctx, proven, log)
    with ctx.store.step():
        ctx.store.put("revoked", sorted(memory.revoked(ctx) | {dv}))
        ctx.store.put("revoking", None)
        ctx.store.put("state_dirty", True)
    return vault


async def _prove(ctx: Context, vault: Vault, password: str) -> signing.Proven:
    return await signing.prove(ctx.relay, ctx.rng, vault.login, password, vault.realm, version=vault.ver, vault=vault)


def _settled(ctx: Context, vault: Vault, proven: signing.Proven) -> Vault:
    """A password change whose answer was lost, settled by the password that has just signed in (CLT-006)."""
    following = read_next(ctx.profile)
    if following is None:
        return vault
    try:
        vaults.open_with_password(following, proven.stretched.kek)
    except VaultError:
        ctx.profile.remove(NEXT)
        return vault
    return promote(ctx.profile)


async def _new_master(
    ctx: Context,
    proven: signing.Proven,
    log: KeyLog,
    fresh: Stretched | None = None,
    verifier: dict[str, object] | None = None,
) -> None:
    """MK of the next generation: durable here, then at the relay, then at the other own devices. ``fresh`` and
    ``verifier`` with a new password, whose vault is written already."""
    opened = await signing.open_roots(ctx.relay, proven, mkv=memory.sure_mkv(ctx))
    # A thief's key gives way to the true one, which he may know as well: only the next one will do.
    planted = memory.planted(ctx)
    if _adopt(ctx, opened.roots) and not planted and fresh is None:
        return
    # The new state has to follow the last one, whoever wrote that; nothing is taken from what a revoked device wrote.
    state = await memory.read(ctx, memory.signers(ctx))
    if state is None:
        raise NotFound("the account's state cannot be read; sync first")
    wanted = memory.content(ctx)
    rotation = credentials.rotate_master(
        opened.row.cred_ver, opened.roots, fresh or proven.stretched, account=ctx.id, author=ctx.keys, state=state,
        content=wanted, rng=ctx.rng, verifier=verifier,
    )  # fmt: skip
    ctx.store.put_secret("mk_next", rotation.roots.mk)
    await (_put_next if fresh else _put_roots)(ctx, rotation.body, proven.token)
    with ctx.store.step():
        memory.keep_pin(ctx, rotation.state_pin)
        ctx.store.put("state_seen", wanted)
    _adopt(ctx, rotation.roots)
    await share_master(ctx, log)


def _adopt(ctx: Context, roots: Roots) -> bool:
    """Use a newer master key that the password opened; False when it is the one held."""
    if roots.mkv <= ctx.mkv and not memory.planted(ctx):
        return False
    with ctx.store.step():
        memory.keep_mk(ctx, roots.mk, roots.mkv, sender=None)
        ctx.store.put_secret("mk_next", None)
    return True


async def share_master(ctx: Context, log: KeyLog) -> None:
    """Hand the new master key to the other own devices, through a sphere both are in (SLOT-025)."""
    for dv in log.devices:
        if dv == ctx.dv:
            continue
        sph = next((s for s, _ in ctx.store.rows("sphere") if _both_in(ctx, s, dv)), None)
        if sph is None:
            continue
        to = ctx.replica(sph).known[0].devices[dv]  # its latest receiving key
        if to.kem == keys.RSA:
            continue  # MK opens the keys of every sphere, also where such a key is too weak
        ct = credentials.seal_mk_share(ctx.id, ctx.dv, dv, to.kem, to.de, keys.Roots(ctx.mk, b"", ctx.mkv))
        made = epoch_keys.letter(ctx, sph, "mk", idR=ctx.id, dvR=dv, kem=to.kem, mkv=ctx.mkv, ct=b64e(ct))
        try:
            await ctx.relay.post([dv], made)
        except CloisterError:
            continue  # that device asks for the password instead


def _both_in(ctx: Context, sph: str, dv: str) -> bool:
    state = ctx.replica(sph).state
    return state is not None and state.author(dv) is not None and state.author(ctx.dv) is not None


async def refresh_master(ctx: Context, vault: Vault, password: str) -> bool:
    """Take the present master key by password, when another device made a new one and nobody handed it on."""
    proven = await signing.prove(ctx.relay, ctx.rng, vault.login, password, vault.realm, version=vault.ver, vault=vault)
    row = await ctx.relay.roots(proven.token)
    reply = {"wMK": b64d(row.wMK), "wRK": b64d(row.wRK)}
    return _adopt(ctx, credentials.open_roots(proven.stretched, ctx.id, reply, row.mkv, seen=memory.sure_mkv(ctx)))
