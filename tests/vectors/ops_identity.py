"""Operations of vectors/identity.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloister.protocol import certificate, dauth, keylog
from cloister.protocol.encoding import b64d

Given = dict[str, Any]


def _cert(given: Given) -> Any:
    cert = certificate.verify(given["cert"], given["ik"])
    return {
        "id": cert.id,
        "dv": cert.dv,
        "dk": cert.dk.hex(),
        "kem": cert.kem,
        "issuer": cert.issuer,
        "iat": cert.iat,
        "exp": cert.exp,
        "digest": cert.digest.hex(),
    }


def _renewal(given: Given) -> Any:
    kem, de = certificate.renewal(given["renew"])
    return {"kem": kem, "de": de.hex()}


def _klog(given: Given) -> Any:
    if "pin" in given:
        log = keylog.verify_against(given["chain"], given["pin"]["seq"], b64d(given["pin"]["h"]))
    else:
        log = keylog.verify_chain(given["chain"])
    return {
        "id": log.id,
        "seq": log.seq,
        "digest": log.digest.hex(),
        "ik": log.ik,
        "devices": sorted(log.devices),
        "revoked": sorted(log.revoked),
    }


def _prove(given: Given) -> Any:
    return len(keylog.prove(given["id"], given["ik"], given["rot"]))


def _dauth(given: Given) -> Any:
    dauth.verify(
        given["answer"],
        bytes.fromhex(given["dk"]),
        dv=given["dv"],
        origins=given["origins"],
        nonce=bytes.fromhex(given["nonce"]),
        now=given["now"],
    )
    return True


OPS: dict[str, Callable[[Given], Any]] = {
    "cert-verify": _cert,
    "renewal": _renewal,
    "klog-verify": _klog,
    "klog-prove": _prove,
    "dauth-verify": _dauth,
}
