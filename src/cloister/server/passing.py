"""Live transfers: a signed message handed from one connected device to others, and kept nowhere.

Spec: LIVE-013.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request, post
from litestar.params import JSONBody

from cloister.errors import BadFormat, CheckFailed, Forbidden
from cloister.protocol import api, jws
from cloister.server.core import Relay
from cloister.server.hub import Hint
from cloister.server.sessions import caller

TYP: Final = "sph-live+1"


@post("/live", status_code=200)
async def pass_on(request: Request[Any, Any, Any], data: JSONBody[api.PassOn]) -> api.Reached:
    """Hand a live message to devices of its sphere that are connected; nothing is stored."""
    relay: Relay = request.app.state.relay
    me = await caller(request)
    me.require_device()
    try:
        envelope = jws.decode(data.jws, TYP)
        body = envelope.body
    except CheckFailed as fault:
        raise BadFormat(fault.detail) from None
    state = (await relay.view_for(body["sph"], me.account, me.dv)).state
    sender = state.devices.get(envelope.header["kid"])
    if sender is None or not sender.active or sender.owner != me.account:
        raise Forbidden("sphere")
    if state.closed or state.mode != "e2ee" or state.org:
        raise Forbidden("sphere")
    try:
        jws.verify_ed25519(envelope, sender.dk)
    except CheckFailed as fault:
        raise BadFormat(fault.detail) from None
    named = body.get("dvR")
    if named is not None and data.to != [named]:
        raise BadFormat("the message is for another device")
    active = {device.dv: device.owner for device in state.active_devices()}
    if not set(data.to) <= set(active):
        raise Forbidden("sphere")
    devices = tuple(dv for dv in data.to or active if dv != sender.dv)
    accounts = tuple(dict.fromkeys(active[dv] for dv in devices))
    record = msgspec.json.encode({"t": "pass", "s": state.sph, "jws": data.jws}).decode()
    return api.Reached(relay.hub.hint(Hint(record, accounts, devices)) if devices else 0)


HANDLERS: Final = [pass_on]
