"""Operations of vectors/export.json."""

from __future__ import annotations

from typing import Any

from cloister.sphere import epoch, export
from cloister.sphere.epoch import EpochKey
from tests.vectors._log import Given, history, states

_hex = bytes.fromhex


def code(given: Given) -> Any:
    return export.show_code(_hex(given["bytes"]))


def code_read(given: Given) -> Any:
    return export.read_code(given["text"]).data.hex()


def words(given: Given) -> Any:
    return export.read_words(given["text"]).data.hex()


def seal(given: Given) -> Any:
    sph = given["sph"]
    keys = [
        EpochKey(sph, n, _hex(secret), epoch.commitment(_hex(secret), _hex(prev), sph, n), _hex(prev))
        for n, secret, prev in given["keys"]
    ]
    read = export.read_code if given["by"] == "code" else export.read_words
    parts = iter([_hex(given["salt"]), _hex(given["nonce"])])
    return export.seal(keys, read(given["typed"]), iat=given["iat"], rng=lambda length: next(parts))


def parse(given: Given) -> Any:
    read = export.parse(given["text"])
    return {
        "sph": read.sph,
        "by": read.by,
        "eps": list(read.eps),
        "kcs": [kc.hex() for kc in read.kcs],
        "iat": read.iat,
    }


def open(given: Given) -> Any:  # noqa: A001
    read = export.parse(given["text"])
    found = export.open(read, export.read_secret(read, given["typed"]))
    return [[n, secret.hex()] for n, secret in found.items()]


def take(given: Given) -> Any:
    log = history(states(given))
    found = {n: _hex(secret) for n, secret in given["found"]}
    said = export.recognise(found, log, given["sph"])
    return {
        "keys": [[key.n, key.secret.hex()] for key in said.keys],
        "unknown": list(said.unknown),
        "refused": list(said.refused),
    }


OPS = {
    "export-code": code,
    "export-code-read": code_read,
    "export-words": words,
    "export-seal": seal,
    "export-parse": parse,
    "export-open": open,
    "export-recognise": take,
}
