"""Proving a password to the relay, and what that proof opens.

Checks the relay before the password is used: realm and origin as pinned, no parameter it may name (SRP-007). The
session of level password lives for one act: enrol, change, revoke. RK and IK are returned to the caller, who drops
them when the act is sent; nothing here keeps them.

Spec: CLT-005, CLT-006, CLT-028.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from cloister.account import credentials, slots, srp
from cloister.account import vault as vaults
from cloister.account.keys import Roots
from cloister.account.password import V1, Stretched, stretch
from cloister.account.vault import Vault
from cloister.client.relay import Relay
from cloister.errors import Downgrade, UsageError, VaultError
from cloister.protocol import api, keylog
from cloister.protocol.encoding import b64d
from cloister.protocol.keylog import KeyLog


@dataclass(frozen=True)
class Proven:
    """A password session. ``token`` of level password, ``id`` the account it is for, ``salt16`` its salt."""

    token: str = field(repr=False)
    id: str
    salt16: bytes
    stretched: Stretched = field(repr=False)


@dataclass(frozen=True)
class Opened:
    """The roots, opened: MK, RK and the identity scalar, with the verified key log and the relay's row."""

    roots: Roots = field(repr=False)
    ik: bytes = field(repr=False)
    row: api.Roots = field(repr=False)
    klog: KeyLog


async def server(relay: Relay, realm: bytes | None) -> api.ServerInfo:
    """Ask the relay about itself (CLT-028). Raises Downgrade for another realm than pinned, UsageError for an address
    the relay does not go by: before any password is asked for."""
    info = await relay.server()
    if realm is not None and b64d(info.realm) != realm:
        raise Downgrade("another server answers at this address than the one this account was made on")
    if relay.origin not in info.origins:
        raise UsageError("the server does not go by this address; its administrator lists addresses with --origin")
    return info


async def salt_of(relay: Relay, login: str, pinned: bytes | None = None) -> bytes:
    """The salt of a login; the relay has one for every name, taken or not."""
    return srp.read_challenge(await relay.auth_start(login, None), pinned_salt=pinned).salt16


async def slow(
    password: str, login: str, realm: bytes, salt16: bytes, *, version: int = V1, pinned: int | None = None
) -> Stretched:
    """Password processing in a thread, so that the loop goes on (PPF-004)."""
    return await asyncio.to_thread(
        stretch, password, login=login, realm=realm, salt16=salt16, version=version, pinned=pinned
    )


async def vault_key(vault: Vault, password: str) -> bytes:
    """VK by the password. Raises VaultError, NotFound for a vault that has no password opener."""
    stretched = await slow(password, vault.login, vault.realm, vault.salt16, version=vault.ver, pinned=vault.ver)
    return vaults.open_with_password(vault, stretched.kek)


async def prove(
    relay: Relay,
    rng: Callable[[int], bytes],
    login: str,
    password: str,
    realm: bytes,
    *,
    version: int = V1,
    vault: Vault | None = None,
) -> Proven:
    """SRP sign-in (CLT-005). Raises AuthFailed, Downgrade, SignatureInvalid (the relay does not know the account)."""
    ephemeral = srp.start(rng)
    reply = await relay.auth_start(login, ephemeral.public)
    challenge = srp.read_challenge(reply, pinned_salt=vault.salt16 if vault else None)
    stretched = await slow(
        password, login, realm, challenge.salt16, version=version, pinned=vault.ver if vault else None
    )
    proof = srp.prove(ephemeral, challenge, stretched, login=login, realm=realm, origin=relay.origin)
    answer = await relay.auth_finish(challenge.sid, proof.m1)
    srp.check_reply(proof, b64d(answer.M2))
    if vault is not None and answer.id != vault.account:
        raise Downgrade("the relay names another account for this login")
    return Proven(answer.token, answer.id, challenge.salt16, stretched)


async def open_roots(relay: Relay, proven: Proven, *, mkv: int = 0, pin: tuple[int, bytes] | None = None) -> Opened:
    """Open MK, RK and IK (SLOT-002, SLOT-003, SLOT-009); ``mkv`` and ``pin`` (key log seq, H) are what was seen.

    Raises VaultError, Downgrade, LogRollback, LogFork, LogInvalid.
    """
    klog = await verified_klog(relay, proven.id, pin, token=proven.token)
    row = await relay.roots(proven.token)
    reply = {"wMK": b64d(row.wMK), "wRK": b64d(row.wRK)}
    roots = credentials.open_roots(proven.stretched, proven.id, reply, row.mkv, seen=mkv)
    return Opened(roots, slots.open_ik(roots.rk, proven.id, klog.ik, b64d(row.ik)), row, klog)


async def verified_klog(
    relay: Relay,
    id: str,  # noqa: A002 - the spec's word
    pin: tuple[int, bytes] | None,
    *,
    token: str | None = None,
) -> KeyLog:
    """The key log of ``id``, verified and not older than pinned (KLOG-008)."""
    chain = await relay.klog(id, token)
    log = keylog.verify_chain(chain) if pin is None else keylog.verify_against(chain, *pin)
    if log.id != id:
        raise VaultError("the key log is somebody else's")
    return log
