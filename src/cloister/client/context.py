"""What an open profile holds in memory: identity of the device, its keys, the store, the relay and the clock.

Made by unlocking, dropped by locking. The functions of this package take it as their first argument; it decides
nothing. The relay's clock corrects this machine's (``now``), because entries far from the relay's time are refused;
nothing is proven by a time (CLT-024).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cloister.account.keys import DeviceKeys
from cloister.client.profile import Profile
from cloister.client.relay import Relay
from cloister.client.replica import Replica
from cloister.client.store import Store
from cloister.client.transfers import Transfers
from cloister.errors import NotFound
from cloister.protocol import dauth, jws
from cloister.protocol.encoding import b64d
from cloister.protocol.keylog import KeyLog

# A relay whose clock is further away than this is not followed.
MAX_SKEW = 3600


@dataclass
class Context:
    """See the module. ``id`` is the account's handle, ``dv`` this device, ``mk`` the master key of generation mkv,
    ``klog`` the own key log as last stored, with what it says: verified once for the same bytes;
    ``patience``: until when (loop time) nothing waiting in a sphere is sent."""

    profile: Profile
    store: Store
    relay: Relay
    clock: Callable[[], float]
    rng: Callable[[int], bytes]
    id: str
    login: str
    keys: DeviceKeys = field(repr=False)
    mk: bytes = field(repr=False)
    mkv: int
    offset: float = 0.0
    replicas: dict[str, Replica] = field(default_factory=dict)
    klog: tuple[list[str], KeyLog] | None = field(default=None, repr=False)
    transfers: Transfers = field(default_factory=Transfers, repr=False)
    patience: dict[str, float] = field(default_factory=dict, repr=False)

    @property
    def dv(self) -> str:
        return self.keys.dv

    def now(self) -> int:
        """Unix seconds by the relay's clock as far as it is known."""
        return int(self.clock() + self.offset)

    def sign(self, message: bytes) -> bytes:
        """This device's signature."""
        return jws.device_signer(self.keys.dk_seed)(message)

    def set_clock(self, relay_now: int) -> None:
        """Follow the relay's clock within an hour."""
        offset = relay_now - self.clock()
        self.offset = offset if abs(offset) <= MAX_SKEW else 0.0

    async def session(self) -> str:
        """A fresh device session: sign the relay's nonce for its origin (CLT-027). Raises AuthFailed when revoked."""
        nonce = await self.relay.auth_nonce()
        self.set_clock(nonce.now)
        answer = dauth.make(self.sign, self.dv, aud=self.relay.origin, nonce=b64d(nonce.nonce), iat=self.now())
        token = (await self.relay.auth_device(answer)).token
        self.store.put_secret("token", token.encode("ascii"))
        return token

    def replica(self, sph: str) -> Replica:
        """The verified view of a sphere, loaded when needed. Raises NotFound."""
        if self.store.changed_elsewhere():
            self.replicas.clear()
        found = self.replicas.get(sph)
        if found is None:
            found = Replica.load(self.store, sph)
            if found is None:
                raise NotFound("no such sphere on this device")
            self.replicas[sph] = found
        return found
