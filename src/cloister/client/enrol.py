"""Making a device: a new account, or a further device of an existing one.

Everything a device needs is on disk before the relay hears of it, and every step can be repeated after a crash
(CLT-003, CLT-005): a sign-up left open is settled by the password, an enrolment left open by the key log.

Knows the roots for the length of a call. Decides nothing about spheres: the list of spheres to enter is left in the
store for the next sync.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from cloister.account import devices, keys, signup
from cloister.account import vault as vaults
from cloister.account.keys import DeviceKeys
from cloister.account.login import login_name
from cloister.account.password import V1, check_new
from cloister.account.vault import Vault
from cloister.client import signing
from cloister.client.profile import VAULT, Profile, write_private
from cloister.client.relay import Relay
from cloister.client.store import Store
from cloister.errors import AuthFailed, Busy, Internal, RateLimited, RelayError
from cloister.protocol import join, jws
from cloister.protocol.encoding import b64d, b64e, json_emit
from cloister.protocol.ids import jwk_public
from cloister.sphere import invitation

JOIN_LIFE: Final = 30 * 86400
_TRY_AGAIN: Final = (Busy, Internal, RateLimited)
Rng = Callable[[int], bytes]


def read_vault(profile: Profile) -> Vault | None:
    """The vault header, or None in a new profile. Raises DiskTrouble, FormatError."""
    try:
        return vaults.decode((profile.folder / VAULT).read_bytes())
    except FileNotFoundError:
        return None


def write_vault(profile: Profile, vault: Vault) -> None:
    """Replace the vault header durably (CLT-002)."""
    write_private(profile.folder / VAULT, vaults.encode(vault))


def fresh_store(profile: Profile, vault: Vault, vk: bytes) -> Store:
    """An empty store for a new device; leftovers of an attempt that never got a vault are removed."""
    for suffix in ("", "-wal", "-shm"):
        profile.remove(profile.store_path.name + suffix)
    return Store(profile.store_path, vaults.store_key(vk, vault))


def keep_device(store: Store, device: DeviceKeys, mk: bytes, mkv: int) -> None:
    """Write the device's secrets; inside a step."""
    store.put_secret("device", keys.pack_device(device))
    store.put_secret("mk", mk)
    store.put("mkv", mkv)


def join_request(
    device: DeviceKeys,
    *,
    name: str,
    ik: dict[str, str],
    certs: list[str],
    link: invitation.Link,
    now: int,
    rng: Rng,
    rotations: list[str] | None = None,
    renew: tuple[str, bytes] | None = None,
) -> str:
    """A request to join by a link, or without one (JOIN-002 to JOIN-005)."""
    link_signer = None
    if link.kind == "invite":
        link_signer = jws.device_signer(invitation.key_pair(link.seed, link.sph, link.jti)[0])
    return join.make(
        jws.device_signer(device.dk_seed),
        device.dv,
        sph=link.sph,
        name=name,
        ik=ik,
        certs=certs,
        nonce=rng(16),
        iat=now,
        exp=now + JOIN_LIFE,
        jti=link.jti or None,
        link_signer=link_signer,
        rotations=rotations,
        renew=renew,
    )


def remember_join(store: Store, compact: str, link: invitation.Link) -> str:
    """Keep an own join request; inside a step. Returns its hash in base64url."""
    envelope = jws.decode(compact, join.TYP)
    h = b64e(envelope.digest)
    row = {
        "jws": compact,
        "at": envelope.body["iat"],
        "state": "asked",
        "label": link.label,
        "jti": b64e(link.jti),
        "seq": link.seq,
        "pin": b64e(link.pin),
        "sent": False,
    }
    store.run("INSERT OR REPLACE INTO request VALUES (?, ?, 1, ?)", h, link.sph, json.dumps(row))
    return h


async def sign_up(
    profile: Profile,
    relay: Relay,
    rng: Rng,
    now: Callable[[], int],
    login: str,
    password: str,
    *,
    version: int = V1,
    kem: str = "xwing",
    ticket: str | None = None,
    link: invitation.Link | None = None,
    content: Callable[[DeviceKeys], dict[str, Any]],
) -> None:
    """Create an account (CLT-003). The vault, pending, is durable before the request is sent.

    Raises UsageError, WeakPassword, AuthFailed (ticket), Conflict (name taken), Unreachable (stays pending).
    """
    login = login_name(login)
    check_new(password, login)
    info = await signing.server(relay, None)
    realm = b64d(info.realm)
    salt16 = await signing.salt_of(relay, login)
    stretched = await signing.slow(password, login, realm, salt16, version=version)
    new, at = signup.new_keys(rng, kem), now()
    first = signup.first_device(new, at)
    request: str | None = None
    if link is not None:
        ik = jwk_public(new.ik)
        request = join_request(new.device, name=login, ik=ik, certs=[first.cert], link=link, now=at, rng=rng)
    made = signup.build(
        new, first, stretched, login=login, origin=relay.origin, realm=realm, salt16=salt16,
        content=content(new.device), rng=rng, ticket=ticket, join=request,
    )  # fmt: skip
    store = fresh_store(profile, made.vault, new.vk)
    try:
        with store.step():
            keep_device(store, new.device, new.roots.mk, new.roots.mkv)
            store.put_secret("signup", json_emit(made.body))
            store.put("state_pin", {"ctr": made.state_pin.ctr, "h": b64e(made.state_pin.digest)})
            store.put("cert", first.cert)
            store.put("klog", [first.start, first.entry])
            if request is not None and link is not None:
                remember_join(store, request, link)
        write_vault(profile, made.vault)
        await post_account(profile, relay, made.vault, store)
    finally:
        store.close()


async def post_account(profile: Profile, relay: Relay, vault: Vault, store: Store) -> None:
    """Send the stored sign-up; settle it, or on a final refusal remove what was prepared (CLT-003)."""
    body = store.secret("signup")
    assert body is not None
    try:
        await relay.sign_up(body)
    except RelayError as error:
        if not isinstance(error, _TRY_AGAIN):
            forget(profile)
        raise
    settle(profile, vault, store)


def settle(profile: Profile, vault: Vault, store: Store) -> None:
    """The account exists: keep the vault without the pending flag."""
    with store.step():
        for h, row in store.rows("request", "mine = 1"):
            store.run("UPDATE request SET data = ? WHERE h = ?", json.dumps({**row, "sent": True}), h)
        store.put_secret("signup", None)
    write_vault(profile, signup.settled(vault))


async def resume_sign_up(profile: Profile, relay: Relay, rng: Rng, vault: Vault, store: Store, password: str) -> None:
    """Settle a sign-up whose answer was not seen (CLT-003): the password decides.

    Raises Unreachable (still pending), Conflict or AuthFailed when the relay never took it and will not.
    """
    try:
        await signing.prove(relay, rng, vault.login, password, vault.realm, version=vault.ver, vault=vault)
    except AuthFailed:
        await post_account(profile, relay, vault, store)
    else:
        settle(profile, vault, store)


def forget(profile: Profile) -> None:
    """Remove vault and store; the folder and its settings stay."""
    for name in (
        VAULT,
        "vault.next.json",
        "vault.pin.json",
        *(profile.store_path.name + s for s in ("", "-wal", "-shm")),
    ):
        profile.remove(name)


@dataclass(frozen=True)
class Enrolled:
    """A new device. ``finish`` revokes the one it takes the place of: call it when the account's state, which that
    one may have written last, has been read and written anew."""

    vault: Vault
    vk: bytes = field(repr=False)
    finish: Callable[[], Awaitable[None]]


async def add_device(
    profile: Profile,
    relay: Relay,
    rng: Rng,
    now: Callable[[], int],
    login: str,
    password: str,
    *,
    version: int = V1,
    kem: str = "xwing",
    realm: bytes | None = None,
    old: Vault | None = None,
) -> Enrolled:
    """Enrol this profile as a further device (CLT-005); ``old`` is the vault of an own device it takes the place of.

    What that one has pinned of the account (salt, version, id) still holds (PPF-007, CLT-028).

    Local files first, then the key log; a crash in between leaves a vault whose device the log may lack, and signing
    in again finishes it. Returns the vault and its key. Raises AuthFailed, Downgrade, VaultError, Log*.
    """
    login = login_name(login)
    info = await signing.server(relay, realm)
    pinned = old if old is not None and old.login == login else None
    proven = await signing.prove(relay, rng, login, password, b64d(info.realm), version=version, vault=pinned)
    opened = await signing.open_roots(relay, proven)
    retire = old.dv if old is not None else None
    device, vk = keys.new_device(rng, kem), rng(vaults.VK_LENGTH)
    change = devices.enrol(opened.ik, opened.klog, device, now())
    vault = Vault(
        relay.origin,
        b64d(info.realm),
        proven.id,
        login,
        device.dv,
        proven.salt16,
        version,
        opened.row.mkv,
        pending=False,
    )
    vault = vaults.with_opener(vault, vaults.password_opener(vault, vk, proven.stretched.kek, rng))
    store = fresh_store(profile, vault, vk)
    try:
        with store.step():
            keep_device(store, device, opened.roots.mk, opened.roots.mkv)
            store.put("cert", change.cert)
            store.put("slots_due", True)
            # What was revoked before this key was opened, and the device this one replaces.
            store.put("mk_covers", sorted({*opened.klog.revoked, *([retire] if retire else [])}))
        write_vault(profile, vault)
    finally:
        store.close()
    await relay.add_device(change.cert, change.entry, proven.token)

    async def finish() -> None:
        if retire is not None and retire in change.log.devices:
            revoked = devices.revoke(opened.ik, change.log, retire, now())
            await relay.revoke_device(retire, revoked.entry, proven.token)

    return Enrolled(vault, vk, finish)


def with_version(vault: Vault, version: int) -> Vault:
    """The vault with another pinned password processing version (never a lower one)."""
    return replace(vault, ver=max(vault.ver, version))


@dataclass(frozen=True)
class Kept:
    """What a replaced device may have held alone: waiting texts and epoch keys."""

    outbox: list[tuple[str, str, str]]
    keys: list[tuple[str, int, bytes]] = field(repr=False)


def take_along(store: Store) -> Kept:
    """Read from the old store what its successor needs (CLT-014)."""
    rows = store.all("SELECT id, sph, data FROM outbox ORDER BY n")
    found = store.all("SELECT sph, n, secret FROM epoch_key")
    return Kept(
        [(item, sph, data) for item, sph, data in rows],
        [(sph, n, bytes(secret)) for sph, n, secret in found],
    )


def restore(store: Store, kept: Kept) -> None:
    """Put it into the new store; inside a step. Keys wait until the log recognises them; which of them lie in slots is
    looked up then."""
    for item, sph, data in kept.outbox:
        row = {**json.loads(data), "jws": "", "tries": 0}
        store.run("INSERT INTO outbox (id, sph, state, data) VALUES (?, ?, 'waiting', ?)", item, sph, json.dumps(row))
    for sph, n, secret in kept.keys:
        row = {"secret": b64e(secret)}
        store.run("INSERT OR REPLACE INTO todo VALUES (?, ?)", f"kept/e.{sph}.{n}", json.dumps(row))
