"""Setting, using and taking away a device's PIN: the vault beside the relay's pepper.

A PIN takes the place of the password opener, so that a stolen device can only be tried online, ten times. Both ends
change at once or not at all: the vault with the new PIN is durable beside the old one before the relay is told, and
whichever the relay answers for is the one in force. A try with the wrong record costs none.

Spec: VLT-005, VLT-009 to VLT-011, CLT-040.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cloister.account import unlock
from cloister.account import vault as vaults
from cloister.account.vault import Vault
from cloister.client import enrol, signing
from cloister.client.context import Context
from cloister.client.profile import Profile, write_private
from cloister.client.relay import Relay
from cloister.errors import AuthFailed, Busy, FormatError, RateLimited, RelayError, UsageError
from cloister.protocol.encoding import b64d

NEXT = "vault.pin.json"


def is_set(vault: Vault) -> bool:
    """Whether this vault is opened with a PIN."""
    return "pin" in vaults.opener_kinds(vault)


def pending(profile: Profile, vault: Vault) -> bool:
    """Whether a PIN was asked for and the answer not seen."""
    return _next(profile, vault) is not None


async def put(ctx: Context, vault: Vault, vk: bytes, pin: str) -> Vault:
    """Set or change the PIN; returns the vault now in force. Raises WeakPin, Unreachable, RelayError: then the old way
    in still works, or after the next unlocking the new one."""
    after, told = await asyncio.to_thread(unlock.enrol, vault, vk, pin, ctx.rng)
    beside = ctx.profile.folder / NEXT
    write_private(beside, vaults.encode(after))
    try:
        await ctx.relay.vault_enrol(told)
    except RelayError as error:
        if not isinstance(error, Busy | RateLimited) and error.status < 500:
            beside.unlink()
        raise
    return _settle(ctx.profile, after)


async def drop(ctx: Context, vault: Vault, vk: bytes, password: str) -> Vault:
    """Back to the password, which is proved to the relay first. Raises UsageError without a PIN, AuthFailed."""
    if not is_set(vault):
        raise UsageError("this device has no PIN")
    proven = await signing.prove(ctx.relay, ctx.rng, vault.login, password, vault.realm, version=vault.ver, vault=vault)
    bare = vaults.without_opener(vault, "pin")
    opener = vaults.password_opener(bare, vk, proven.stretched.kek, ctx.rng)
    return _settle(ctx.profile, vaults.with_opener(bare, opener))


async def open_with(
    profile: Profile, relay: Relay, vault: Vault, pin: str, rng: Callable[[int], bytes]
) -> tuple[Vault, bytes]:
    """The vault in force and its key. Raises AuthFailed (``left`` tries when it was the PIN, 0 when there is none any
    more), WeakPin for text that is no PIN, VaultError, Unreachable: a PIN needs the relay."""
    following = _next(profile, vault)
    if following is not None:
        try:
            vk = await _try(relay, following, pin)
        except AuthFailed as error:
            if "left" in error.data:
                raise  # the relay knows this record: the PIN was wrong
            if not is_set(vault):
                (profile.folder / NEXT).unlink(missing_ok=True)  # never arrived; the password opens as before
        else:
            return _settle(profile, following), vk
    if not is_set(vault):
        raise UsageError("this device has no PIN")
    return vault, await _try(relay, vault, pin)


async def _try(relay: Relay, vault: Vault, pin: str) -> bytes:
    nonce = b64d(await relay.vault_nonce(vault.dv))
    tried = await asyncio.to_thread(unlock.attempt, vault, pin, nonce)
    return unlock.finish(vault, tried, await relay.vault_open(vault.dv, nonce, tried))


def _next(profile: Profile, vault: Vault) -> Vault | None:
    """The vault of a PIN whose enrolment was not answered. One that an earlier device left here is none."""
    try:
        found = vaults.decode((profile.folder / NEXT).read_bytes())
    except (OSError, FormatError):
        return None
    return found if found.dv == vault.dv else None


def _settle(profile: Profile, vault: Vault) -> Vault:
    enrol.write_vault(profile, vault)
    (profile.folder / NEXT).unlink(missing_ok=True)
    return vault
