"""Operations of vectors/keys.json."""

from __future__ import annotations

from typing import Any

from cloister.sphere import epoch, meta, share
from cloister.sphere.epoch import EpochKey
from cloister.sphere.share import Party
from tests.vectors._log import Given, history, states

_hex = bytes.fromhex


def _key(given: Given | None) -> EpochKey | None:
    if given is None:
        return None
    return EpochKey(given["sph"], given["n"], _hex(given["secret"]), b"", _hex(given.get("prev", "")))


def _entry(given: Given, sph: str = "") -> EpochKey:
    return EpochKey(sph, given["n"], b"", _hex(given["kc"]), _hex(given["prev"]))


def _derived(key: EpochKey) -> dict[str, str]:
    return {"secret": key.secret.hex(), "kc": key.kc.hex()}


def epoch_derive(given: Given) -> Any:
    return _derived(epoch.derive(_hex(given["r"]), _hex(given["prev"]), given["sph"], given["n"]))


def epoch_org(given: Given) -> Any:
    org = EpochKey("", given["m"], _hex(given["secret"]), b"", b"")
    return _derived(epoch.derive_org(org, _hex(given["prev"]), given["sph"], given["n"]))


def epoch_check(given: Given) -> Any:
    epoch.check(_hex(given["secret"]), _entry(given), given["sph"])
    return True


def link_seal(given: Given) -> Any:
    newer, nonce = _key(given["newer"]), _hex(given["nonce"])
    assert newer is not None
    older = EpochKey(newer.sph, newer.n - 1, _hex(given["older"]["secret"]), b"", b"")
    return epoch.link_seal(newer, older, lambda length: nonce).hex()


def link_open(given: Given) -> Any:
    newer = _key(given["newer"])
    assert newer is not None
    return epoch.link_open(_hex(given["blob"]), newer, _entry(given["older"])).secret.hex()


def _slot(given: Given) -> meta.Slot:
    return meta.Slot(given["kid"], given["sph"], given["seq"], _hex(given["prev"]), given["ep"])


def title_seal(given: Given) -> Any:
    parts = iter([_hex(given["blind"]), _hex(given["n16"]), _hex(given["nonce"])])
    opened = meta.prepare(meta.Text(given["title"], given["topic"], given["icon"]), lambda length: next(parts))
    key = _key(given["key"])
    assert key is not None
    return meta.seal(opened, _slot(given["slot"]), key, lambda length: next(parts))


def title_open(given: Given) -> Any:
    text = meta.open(given["body"], _slot(given["slot"]), _key(given.get("key"))).text
    return {"title": text.title, "topic": text.topic, "icon": text.icon}


def share_open(given: Given) -> Any:
    me = given["me"]
    log, party = history(states(given)), Party(me["id"], me["dv"])
    key = share.open(given["share"], log, party, me["kem"], [_hex(me["secret"])], given["sph"])
    return {"n": key.n, "secret": key.secret.hex()}


def rsa_share(given: Given) -> Any:
    return share.open_any("rsa4096", [_hex(given["private"])], _hex(given["info"]), _hex(given["ct"])).hex()


def share_granted(given: Given) -> Any:
    log = history(states(given))
    return {dv: share.granted(log, given["id"], dv) for dv in given["dvs"]}


OPS = {
    "epoch-derive": epoch_derive,
    "epoch-org": epoch_org,
    "epoch-check": epoch_check,
    "link-seal": link_seal,
    "link-open": link_open,
    "title-seal": title_seal,
    "title-open": title_open,
    "share-open": share_open,
    "rsa-share": rsa_share,
    "share-granted": share_granted,
}
