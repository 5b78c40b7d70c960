"""Operations of vectors/live.json."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cloister import crypto
from cloister.protocol import jws
from cloister.protocol.encoding import b64d
from cloister.protocol.history import History
from cloister.sphere import live
from cloister.sphere.share import Party
from tests.vectors._log import Given, history, states

_hex = bytes.fromhex


def _log(given: Given) -> History:
    return history(states(given))


def _here(given: Given) -> History:
    """The log of the sphere that the last message names: another one than the ask's where there is an ``elsewhere``."""
    return _log(given.get("elsewhere", given))


def _party(log: History, dv: str) -> Party:
    return Party(log.owner_of(dv), dv)


def _signer(given: Given) -> Any:
    return jws.device_signer(_hex(given["seed"]))


def _drawn(given: Given) -> Any:
    rest = _hex(given["drawn"])

    def draw(length: int) -> bytes:
        nonlocal rest
        out, rest = rest[:length], rest[length:]
        return out

    return draw


def _asking(given: Given, log: History) -> live.Asking:
    asked = live.read(given["ask"], log)
    ns, private, sas = tuple(asked.body["ns"]), _hex(given["private"]), _hex(given["sas"])
    return live.Asking(asked.sph, asked.sender, private, sas, asked.digest, ns, asked.body["exp"])


def _pair(given: Given, log: History) -> tuple[live.Asking, live.Pair]:
    """The pair as the asker knows it after the open that it sent."""
    asking = _asking(given, log)
    unsigned = {**given, "drawn": "00" * 16}
    signer = lambda _: bytes(64)  # noqa: E731
    offered = live.read(given["offer"], log)
    pair, _ = live.open_offer(asking, offered, signer, now=asking.exp - live.SECONDS, rng=_drawn(unsigned))
    return asking, replace(pair, open=jws.decode(given["open"], live.TYP).digest)


def live_ask(given: Given) -> Any:
    me = Party(given["id"], _dv(given))
    drawn = _drawn(given)
    return live.ask(given["sph"], me, _signer(given), given["ns"], _hex(given["private"]), now=given["now"], rng=drawn)[
        1
    ]


def _dv(given: Given) -> str:
    public, log = crypto.ed25519_public(_hex(given["seed"])), states(given)[-1]
    return next(one.dv for one in log.devices.values() if one.dk == public)


def live_asked(given: Given) -> Any:
    log = _log(given)
    return list(live.check_ask(live.read(given["ask"], log), log, given["now"]))


def live_offer(given: Given) -> Any:
    me = Party(given["id"], _dv(given))
    asked = live.read(given["ask"], _log(given))
    return live.offer(asked, me, _signer(given), given["ns"], now=given["now"], rng=_drawn(given))[1]


def live_open(given: Given) -> Any:
    log = _log(given)
    offered = live.read(given["offer"], _here(given))
    pair, compact = live.open_offer(_asking(given, log), offered, _signer(given), now=given["now"], rng=_drawn(given))
    return {"jws": compact, "digits": pair.digits, "ns": list(pair.ns)}


def live_opened(given: Given) -> Any:
    log = _log(given)
    asked, offered = live.read(given["ask"], log), live.read(given["offer"], log)
    offering = live.Offering(
        log.sph, _party(log, given["me"]), asked.sender, b64d(asked.body["epk"]), b64d(asked.body["hs"]),
        b64d(offered.body["sas"]), asked.digest, offered.digest, tuple(offered.body["ns"]), asked.body["exp"],
    )  # fmt: skip
    return live.take_open(offering, live.read(given["open"], _here(given)), given["now"]).digits


def live_take(given: Given) -> Any:
    log = _here(given)
    asking, pair = _pair(given, _log(given))
    keys, compact = live.take(
        asking, pair, live.read(given["give"], log), log, given["kem"], [_hex(given["secret"])], _signer(given),
        now=given["now"], rng=_drawn(given),
    )  # fmt: skip
    return {"keys": [{"n": key.n, "secret": key.secret.hex()} for key in keys], "jws": compact}


def live_done(given: Given) -> Any:
    log = _log(given)
    _, pair = _pair(given, log)
    digest = live.read(given["give"], log).digest
    sent = live.Given(pair, digest, live.mac(pair, _hex(given["z"]), _hex(given["x"]), digest))
    live.check_done(sent, live.read(given["done"], _here(given)), given["now"])
    return True


def live_way(given: Given) -> Any:
    log = _log(given)
    me, other, after = _party(log, given["me"]), _party(log, given["other"]), _hex(given["after"])
    where = live.Way(given["ufrag"], given["pwd"], _hex(given["fp"]), tuple(_hex(one) for one in given["at"]))
    return live.way(log.sph, me, _signer(given), other, after, where, now=given["now"], rng=_drawn(given))


def live_way_heard(given: Given) -> Any:
    log = _log(given)
    me, other = _party(log, given["me"]), _party(log, given["other"])
    message = live.read(given["way"], _here(given))
    found = live.check_way(message, log.sph, me, other, _hex(given["after"]), given["exp"], given["now"])
    return {"ufrag": found.ufrag, "pwd": found.pwd, "fp": found.fp.hex(), "at": [one.hex() for one in found.at]}


OPS = {
    "live-ask": live_ask,
    "live-asked": live_asked,
    "live-offer": live_offer,
    "live-open": live_open,
    "live-opened": live_opened,
    "live-take": live_take,
    "live-done": live_done,
    "live-way": live_way,
    "live-way-heard": live_way_heard,
}
