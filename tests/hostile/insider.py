"""A member who does not keep to the rules: honest keys of a real client, used to make what that client never would."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from cloister.client import Client
from cloister.protocol import entry
from cloister.protocol.history import History
from cloister.protocol.state import SphereState
from cloister.sphere import compose, message
from cloister.sphere.epoch import EpochKey
from cloister.sphere.message import Place
from cloister.sphere.payload import Payload
from tests.scenarios.world import harbour


@dataclass
class Insider:
    """Wraps a member's client; everything is made with its device key unless told otherwise."""

    client: Client

    @property
    def ctx(self) -> Any:
        return self.client._ctx

    @property
    def sph(self) -> str:
        return harbour(self.client).sph

    @property
    def dv(self) -> str:
        return self.client.account.dv

    @property
    def rep(self) -> Any:
        return self.ctx.replica(self.sph)

    @property
    def view(self) -> tuple[SphereState, History]:
        state, history = self.rep.known
        return state, history

    def key(self, n: int | None = None) -> EpochKey:
        keys: dict[int, EpochKey] = self.rep.keys
        return keys[n or self.view[0].ep]

    def entry(self, op: str, body: dict[str, Any], **over: Any) -> str:
        """A signed entry that follows the head this member holds."""
        state, _ = self.view
        head = {"sph": state.sph, "seq": state.seq + 1, "prev": state.digest, "ep": state.ep}
        return entry.make(self.ctx.sign, self.dv, op, body, self.ctx.now(), **{**head, **over})

    def say(self, payload: Payload, *, kid: str | None = None, place: Place | None = None, signer: Any = None) -> str:
        """A sealed message; ``kid`` may be somebody else's."""
        state, _ = self.view
        place = place or Place(1, b"", state.seq, state.digest, state.ep)
        return message.seal(
            payload,
            place,
            sph=self.sph,
            dv=kid or self.dv,
            signer=signer or self.ctx.sign,
            iat=self.ctx.now(),
            rng=self.ctx.rng,
            key=self.key(),
        )

    def draft(self, *intents: Any) -> compose.Draft:
        """A commit as the rules want it, to be bent afterwards."""
        state, history = self.view
        author = compose.Author(self.client.account.id, self.dv, self.ctx.sign)
        return compose.compose(
            state, history, author, list(intents), now=self.ctx.now(), rng=self.ctx.rng, keys=self.rep.keys
        )

    async def post(self, body: dict[str, Any]) -> Any:
        """Send a commit body to the relay with this member's session."""
        return await self.ctx.relay.commit(self.sph, json.dumps(body).encode())


def item(pos: int, compact: str) -> dict[str, Any]:
    """A row of a sphere's stream as a colluding relay shows it."""
    return {"pos": pos, "k": "msg", "jws": compact}
