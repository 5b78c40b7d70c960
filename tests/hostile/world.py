"""The scenario world with a lying relay in front of the real one, and Mallory, who has keys and no account.

Each person has an address of their own, so that a lie can be told to one and not to another.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloister import crypto
from cloister.account import devices
from cloister.account import keys as account_keys
from cloister.client.transports.memory import MemoryRelay
from cloister.protocol import join, jws
from cloister.protocol.encoding import b64e
from cloister.protocol.ids import jwk_public
from cloister.server.app import create_app
from cloister.server.settings import Settings
from tests.hostile.lying import LyingRelay
from tests.scenarios.world import Clock, Network, World

ADDRESSES = {"ada": "127.0.1.1", "bo": "127.0.1.2", "cy": "127.0.1.3", "di": "127.0.1.4"}


@dataclass
class HostileWorld(World):
    """A World whose relay lies as told by ``liar``."""

    liar: LyingRelay = field(kw_only=True)
    app: Any = field(kw_only=True)

    def network(self, name: str) -> Network:
        """One address per person; further devices get the address of their name's first part."""
        person = name.partition("-")[0]
        address = ADDRESSES.setdefault(person, f"127.0.1.{len(ADDRESSES) + 1}")
        return self.networks.setdefault(name, Network(self.relay, address))


@asynccontextmanager
async def hostile_world(folder: Path) -> AsyncIterator[HostileWorld]:
    """A lying relay with an empty database, honest until told to lie."""
    clock = Clock()
    settings = Settings(data=folder / "relay", rate_address=0, rate_account=0)
    app = create_app(settings, clock=clock)
    liar = LyingRelay(app)
    async with MemoryRelay(liar) as relay:
        made = HostileWorld(folder, clock, relay, app.relay.setup_code or "", liar=liar, app=app)
        try:
            yield made
        finally:
            await made.close()


@dataclass(frozen=True)
class Mallory:
    """An identity and device that nobody admitted; ``name`` is what it claims to be called."""

    name: str
    ik: bytes
    device: account_keys.DeviceKeys
    cert: str

    @property
    def id(self) -> str:
        return account_keys.account_id(self.ik)

    @property
    def signer(self) -> Any:
        return jws.device_signer(self.device.dk_seed)

    def request(self, sph: str, now: int, *, jti: bytes | None = None, link_seed: bytes | None = None) -> str:
        """A join request under Mallory's keys, with an ``ivs`` by any key that is not the invitation's."""
        seed = link_seed or crypto.random_bytes(32)
        return join.make(
            self.signer,
            self.device.dv,
            sph=sph,
            name=self.name,
            ik=jwk_public(self.ik),
            certs=[self.cert],
            nonce=crypto.random_bytes(16),
            iat=now,
            exp=now + 86400,
            jti=jti,
            link_signer=(lambda message: crypto.ed25519_sign(seed, message)) if jti else None,
        )


def mallory(now: int, name: str = "bo", *, claims: str = "") -> Mallory:
    """Fresh keys that claim somebody's name; the certificate names ``claims`` as its owner when given."""
    ik = account_keys.new_identity(crypto.random_bytes)
    device = account_keys.new_device(crypto.random_bytes)
    cert = _forged(ik, claims, device, now) if claims else devices.certify(ik, account_keys.account_id(ik), device, now)
    return Mallory(name, ik, device, cert)


def _forged(ik: bytes, claims: str, device: account_keys.DeviceKeys, now: int) -> str:
    """A certificate that says it was issued by ``claims``; only its signature is Mallory's."""
    body = jws.decode(devices.certify(ik, claims, device, now), "sph-dev+1").body
    return jws.sign("sph-dev+1", {"kid": claims}, body, jws.identity_signer(ik))


def digest_of(compact: str) -> str:
    """H(SI) as the relay names a request."""
    return b64e(jws.decode(compact, "sph-join+1").digest)
