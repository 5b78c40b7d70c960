"""Envelopes: decoding, order of checks, signatures, identifiers, and the confusions JWTs are known for."""

from __future__ import annotations

from typing import Any

from cloister import crypto
from cloister.protocol import certificate, ids, jws
from cloister.protocol.encoding import b64d, b64e, json_emit
from vectors.generate import Case, bad, good, rng

ORIGIN = "made by vectors/generate/envelope.py; thumbprints after RFC 7638"

DRAW = rng("envelope")
SEED, OTHER_SEED, SCALAR, OTHER_SCALAR = DRAW(32), DRAW(32), DRAW(48), DRAW(48)
DK, IK = crypto.ed25519_public(SEED), ids.jwk_public(SCALAR)
DV, ID = ids.device_id(DK), ids.identity_id(IK)
SPH = ids.sphere_id(DRAW(32))
NONCE, HASH = b64e(DRAW(32)), b64e(DRAW(32))
N = crypto.P384_ORDER
Json = dict[str, Any]

DAUTH_HEADER: Json = {"alg": "Ed25519", "typ": "sph-dauth+1", "kid": DV}
DAUTH: Json = {"aud": "https://relay.example", "dv": DV, "nonce": NONCE, "iat": 1_790_000_000, "exp": 1_790_000_060}
CERT_HEADER: Json = {"alg": "ES384", "typ": "sph-dev+1", "kid": ID}
CERT: Json = {
    "id": ID,
    "dv": DV,
    "dk": b64e(DK),
    "kem": "p384",
    "de": b64e(crypto.hpke_public("p384", DRAW(48))),
    "iat": 1_790_000_000,
    "exp": 1_821_536_000,
}
CERT["pop"] = b64e(
    crypto.ed25519_sign(
        SEED,
        certificate.possession_message(ID, DV, "p384", b64d(CERT["de"]), CERT["iat"], CERT["exp"]),
    )
)
MSG_HEADER: Json = {
    "alg": "Ed25519",
    "typ": "sph-msg+1",
    "kid": DV,
    "sph": SPH,
    "ep": 1,
    "mid": b64e(DRAW(16)),
    "seq": 1,
    "ph": "",
    "lh": HASH,
    "ls": 3,
    "iat": 1_790_000_000,
    "enc": "A256GCM",
    "n": b64e(DRAW(12)),
    "cm": b64e(DRAW(32)),
}
BODY = DRAW(272)
HASH_RAW, JTI, OTHER_JTI, LONG = DRAW(32), b64e(DRAW(16)), b64e(DRAW(16)), DRAW(4096)
KEYS: dict[str, Json] = {"sph-dauth+1": {"dk": DK.hex()}, "sph-dev+1": {"jwk": IK}, "sph-msg+1": {"dk": DK.hex()}}


def _raw(header: bytes, payload: bytes, signature: bytes | None = None, *, seed: bytes = SEED) -> str:
    """A compact form of anything at all, signed with a device key unless a signature is given."""
    signing_input = f"{b64e(header)}.{b64e(payload)}"
    return (
        f"{signing_input}.{b64e(crypto.ed25519_sign(seed, signing_input.encode()) if signature is None else signature)}"
    )


def _make(header: Json, payload: Json | bytes = DAUTH, *, seed: bytes = SEED) -> str:
    return _raw(json_emit(header), payload if isinstance(payload, bytes) else json_emit(payload), seed=seed)


def _make_es384(header: Json, payload: Json, *, scalar: bytes = SCALAR) -> str:
    signing_input = f"{b64e(json_emit(header))}.{b64e(json_emit(payload))}"
    return f"{signing_input}.{b64e(crypto.es384_sign(scalar, signing_input.encode()))}"


def _open(compact: str, typ: str, *, key: Json | None = None) -> Json:
    return {"typ": typ, "compact": compact, "key": key if key is not None else KEYS[typ]}


def _good() -> list[Case]:
    out = []
    for name, typ, compact, body in [
        ("dauth", "sph-dauth+1", _make(DAUTH_HEADER), DAUTH),
        ("dauth-other-order", "sph-dauth+1", _make(dict(reversed(DAUTH_HEADER.items()))), DAUTH),
        ("cert", "sph-dev+1", _make_es384(CERT_HEADER, CERT), CERT),
    ]:
        envelope = jws.decode(compact, typ)
        value = {"header": envelope.header, "body": body, "digest": envelope.digest.hex()}
        out.append(good(f"env-{name}", "JWS-001 JWS-004 JWS-005 JWS-006", "envelope-open", _open(compact, typ), value))
    compact = _make(MSG_HEADER, BODY)
    envelope = jws.decode(compact, "sph-msg+1")
    value = {
        "header": MSG_HEADER,
        "payload": BODY.hex(),
        "aad": envelope.header_part.hex(),
        "digest": envelope.digest.hex(),
    }
    given = {"typ": "sph-msg+1", "compact": compact}
    out.append(good("env-message", "JWS-001 JWS-004", "envelope-decode", given, value))
    cut = compact[: compact.rindex(".") + 1]
    out.append(
        good("env-digest-ignores-signature", "JWS-005", "envelope-decode", given | {"compact": cut + "AAAA"}, value)
        | {"origin": "the same message with another signature has the same digest"}
    )
    esc = json_emit(DAUTH_HEADER).replace(b'"kid"', rb'"\u006bid"')
    compact = _raw(esc, json_emit(DAUTH))
    value = {"header": DAUTH_HEADER, "body": DAUTH, "digest": jws.decode(compact, "sph-dauth+1").digest.hex()}
    out.append(
        good("env-received-bytes", "JWS-001 JWS-004", "envelope-open", _open(compact, "sph-dauth+1"), value)
        | {"origin": "an escape in a member name: the bytes as received are what is signed and hashed"}
    )
    p2p_header = {"alg": "Ed25519", "typ": "sph-p2p+1", "kid": DV}
    p2p = {"k": "ask", "sph": SPH, "iat": 1_790_000_000, "jti": JTI, "ns": [1, 2]}
    common = {"sph": SPH, "iat": 1_790_000_000, "jti": JTI}
    message = _make(MSG_HEADER, BODY)
    resend_ask = {"k": "resend-ask", **common, "dv": DV, "seqs": [4, 7]}
    resend = {"k": "resend", **common, "dv": DV, "msgs": [message]}
    later = {"k": "later-kind", "sph": SPH, "iat": 1_790_000_000, "jti": OTHER_JTI, "anything": [{"x": 1}]}
    kinds = {"p2p": p2p, "p2p-resend-ask": resend_ask, "p2p-resend": resend, "p2p-of-a-later-version": later}
    for name, body in kinds.items():
        compact = _make(p2p_header, body)
        value = {"header": p2p_header, "body": body, "digest": jws.decode(compact, "sph-p2p+1").digest.hex()}
        given = _open(compact, "sph-p2p+1", key={"dk": DK.hex()})
        out.append(good(f"env-{name}", "JWS-002", "envelope-open", given, value))
    for name, change in {
        "foreign-member": {**p2p, "n": 1},
        "missing-member": {k: v for k, v in p2p.items() if k != "ns"},
        "wrong-kind": {**p2p, "ns": ["1"]},
        "too-many": {**p2p, "ns": list(range(257))},
        "resend-ask-without-device": {k: v for k, v in resend_ask.items() if k != "dv"},
        "resend-ask-too-many": {**resend_ask, "seqs": list(range(257))},
        "resend-no-envelope": {**resend, "msgs": [7]},
        "resend-too-many": {**resend, "msgs": ["e30.e30.e30"] * 65},
        "resend-key-beside": {**resend, "n": 1},
    }.items():
        given = _open(_make(p2p_header, change), "sph-p2p+1", key={"dk": DK.hex()})
        out.append(bad(f"env-p2p-{name}", "JWS-002", "envelope-open", given, "C_FORMAT"))
    return out


def _confusion() -> list[Case]:
    """What JWT readers have been fooled with: every one is C_FORMAT before any key is looked at."""
    header, payload = json_emit(DAUTH_HEADER), json_emit(DAUTH)
    hmac_input = f"{b64e(json_emit({**DAUTH_HEADER, 'alg': 'HS256'}))}.{b64e(payload)}"
    compact: dict[str, str] = {
        "alg-none": _raw(json_emit({**DAUTH_HEADER, "alg": "none"}), payload, b""),
        "alg-none-signed": _make({**DAUTH_HEADER, "alg": "none"}),
        "alg-none-upper": _make({**DAUTH_HEADER, "alg": "NONE"}),
        "alg-hs256": f"{hmac_input}.{b64e(crypto.hmac_sha256(DK, hmac_input.encode()))}",
        "alg-es256": _make({**DAUTH_HEADER, "alg": "ES256"}),
        "alg-es384": _make_es384({**DAUTH_HEADER, "alg": "ES384"}, DAUTH),
        "alg-eddsa": _make({**DAUTH_HEADER, "alg": "EdDSA"}),
        "alg-lower": _make({**DAUTH_HEADER, "alg": "ed25519"}),
        "alg-missing": _make({k: v for k, v in DAUTH_HEADER.items() if k != "alg"}),
        "alg-list": _make({**DAUTH_HEADER, "alg": ["Ed25519"]}),
        "typ-other": _make({**DAUTH_HEADER, "typ": "sph-state+1"}),
        "typ-unknown": _make({**DAUTH_HEADER, "typ": "JWT"}),
        "typ-upper": _make({**DAUTH_HEADER, "typ": "SPH-DAUTH+1"}),
        "typ-with-prefix": _make({**DAUTH_HEADER, "typ": "application/sph-dauth+1"}),
        "typ-missing": _make({k: v for k, v in DAUTH_HEADER.items() if k != "typ"}),
        "jwk": _make({**DAUTH_HEADER, "jwk": {"kty": "OKP", "crv": "Ed25519", "x": b64e(DK)}}),
        "jku": _make({**DAUTH_HEADER, "jku": "https://evil.example/keys"}),
        "x5u": _make({**DAUTH_HEADER, "x5u": "https://evil.example/cert"}),
        "x5c": _make({**DAUTH_HEADER, "x5c": ["MIIB"]}),
        "crit": _make({**DAUTH_HEADER, "crit": ["exp"]}),
        "crit-empty": _make({**DAUTH_HEADER, "crit": []}),
        "b64-false": _make({**DAUTH_HEADER, "b64": False}),
        "zip": _make({**DAUTH_HEADER, "zip": "DEF"}),
        "cty": _make({**DAUTH_HEADER, "cty": "JWT"}),
        "enc": _make({**DAUTH_HEADER, "enc": "none"}),
        "kid-missing": _make({"alg": "Ed25519", "typ": "sph-dauth+1"}),
        "kid-of-identity": _make({**DAUTH_HEADER, "kid": ID}),
        "kid-number": _make({**DAUTH_HEADER, "kid": 1}),
        "kid-path": _make({**DAUTH_HEADER, "kid": "../../dev/null"}),
        "duplicate-alg": _raw(header[:-1] + b',"alg":"Ed25519"}', payload),
        "duplicate-kid-escaped": _raw(header[:-1] + rb',"\u006bid":"' + DV.encode() + b'"}', payload),
        "null-member": _raw(header[:-1] + b',"jwk":null}', payload),
        "blank-in-header": _raw(header.replace(b",", b", "), payload),
        "header-not-json": _raw(b"not json", payload),
        "header-list": _raw(b"[]", payload),
        "header-empty": _raw(b"", payload),
        "proto": _raw(header[:-1] + b',"__proto__":{"alg":"none"}}', payload),
    }
    fine = _make(DAUTH_HEADER)
    head, body, signature = fine.split(".")
    compact |= {
        "two-parts": f"{head}.{body}",
        "four-parts": f"{fine}.{signature}",
        "five-parts": f"{head}..{body}.{body}.{signature}",
        "no-dots": head + body + signature,
        "nothing": "",
        "dots-only": "..",
        "padded-header": f"{head}{'=' * (-len(head) % 4) or '='}.{body}.{signature}",
        "padded-signature": f"{head}.{body}.{signature}==",
        "standard-alphabet": f"{head}.{body}.{'+' + signature[1:]}",
        "signature-trailing-bits": f"{head}.{body}.{signature[:-1]}{'B' if signature[-1] != 'B' else 'C'}",
        "blank-before": f" {fine}",
        "newline-after": f"{fine}\n",
        "json-serialisation": '{"payload":"' + body + '"}',
        "not-ascii": f"{head}.{body}.\u00e9{signature[1:]}",
        "header-over-4096": _make({**DAUTH_HEADER, "kid": "x" * 4096}),
        "over-limit": f"{head}.{b64e(LONG)}.{signature}",
    }
    out = [
        bad(f"env-jwt-{name}", "JWS-002 JWS-003", "envelope-open", _open(text, "sph-dauth+1"), "C_FORMAT")
        for name, text in compact.items()
    ]
    out.append(
        bad(
            "env-jwt-message-as-log",
            "JWS-002",
            "envelope-decode",
            {"typ": "sph-log+1", "compact": _make(MSG_HEADER, BODY)},
            "C_FORMAT",
        )
    )
    for name, change in {
        "no-enc": {k: v for k, v in MSG_HEADER.items() if k != "enc"},
        "enc-other": {**MSG_HEADER, "enc": "A128GCM"},
        "ep-over-u32": {**MSG_HEADER, "ep": 2**32},
        "seq-text": {**MSG_HEADER, "seq": "1"},
        "mid-short": {**MSG_HEADER, "mid": "AAAA"},
        "ph-short": {**MSG_HEADER, "ph": "AAAA"},
        "sph-is-device": {**MSG_HEADER, "sph": DV},
        "rk": {**MSG_HEADER, "rk": "x"},
    }.items():
        given = {"typ": "sph-msg+1", "compact": _make(change, BODY)}
        out.append(bad(f"env-message-{name}", "JWS-002", "envelope-decode", given, "C_FORMAT"))
    return out


def _signatures() -> list[Case]:
    fine = _make(DAUTH_HEADER)
    head, body, signature = fine.split(".")
    raw = bytearray(_signature(fine))
    flipped = bytes([raw[0] ^ 1]) + bytes(raw[1:])
    wrong_device = {
        "other-key": _make(DAUTH_HEADER, seed=OTHER_SEED),
        "flipped": f"{head}.{body}.{b64e(flipped)}",
        "empty": f"{head}.{body}.",
        "short": f"{head}.{body}.{b64e(bytes(raw[:63]))}",
        "zeros": f"{head}.{body}.{b64e(bytes(64))}",
        "es384-length": f"{head}.{body}.{b64e(bytes(96))}",
        "other-payload": f"{head}.{b64e(json_emit({**DAUTH, 'exp': 1_790_000_061}))}.{signature}",
        "other-header-order": f"{b64e(json_emit(dict(reversed(DAUTH_HEADER.items()))))}.{body}.{signature}",
    }
    out = [
        bad(f"env-sig-{name}", "JWS-006", "envelope-open", _open(text, "sph-dauth+1"), "C_SIG")
        for name, text in wrong_device.items()
    ]
    small = {"dk": bytes(32).hex()}
    out.append(
        bad(
            "env-sig-small-order-key",
            "JWS-006 CRY-005",
            "envelope-open",
            _open(fine, "sph-dauth+1", key=small),
            "C_FORMAT",
        )
    )
    cert = _make_es384(CERT_HEADER, CERT)
    head, body, _ = cert.split(".")
    raw_sig = _signature(cert)
    r, s = raw_sig[:48], raw_sig[48:]
    der = b"\x30\x66\x02\x31\x00" + r + b"\x02\x31\x00" + s
    wrong_identity = {
        "other-key": _make_es384(CERT_HEADER, CERT, scalar=OTHER_SCALAR),
        "der": f"{head}.{body}.{b64e(der)}",
        "r-zero": f"{head}.{body}.{b64e(bytes(48) + s)}",
        "s-zero": f"{head}.{body}.{b64e(r + bytes(48))}",
        "r-order": f"{head}.{body}.{b64e(N.to_bytes(48, 'big') + s)}",
        "s-order": f"{head}.{body}.{b64e(r + N.to_bytes(48, 'big'))}",
        "s-over": f"{head}.{body}.{b64e(r + bytes([255]) * 48)}",
        "short": f"{head}.{body}.{b64e(raw_sig[:-1])}",
        "long": f"{head}.{body}.{b64e(raw_sig + bytes(1))}",
        "empty": f"{head}.{body}.",
        "ed25519-length": f"{head}.{body}.{b64e(bytes(64))}",
    }
    out += [
        bad(f"env-es384-{name}", "JWS-007", "envelope-open", _open(text, "sph-dev+1"), "C_SIG")
        for name, text in wrong_identity.items()
    ]
    off = {"jwk": {**IK, "y": IK["x"]}}
    out.append(
        bad(
            "env-es384-key-off-curve", "JWS-007 CRY-007", "envelope-open", _open(cert, "sph-dev+1", key=off), "C_FORMAT"
        )
    )
    twin = f"{head}.{body}.{b64e(r + (N - int.from_bytes(s, 'big')).to_bytes(48, 'big'))}"
    value = {"header": CERT_HEADER, "body": CERT, "digest": jws.decode(cert, "sph-dev+1").digest.hex()}
    out.append(
        good("env-es384-twin", "JWS-005 JWS-007", "envelope-open", _open(twin, "sph-dev+1"), value)
        | {"origin": "n - s also verifies, and the digest is the same: signatures are in no hash"}
    )
    return out


def _signature(compact: str) -> bytes:
    return jws.decode(compact, "sph-dauth+1" if len(compact.split(".")[2]) == 86 else "sph-dev+1").signature


def _order() -> list[Case]:
    """Two faults at once: the first check in the list gives the verdict."""
    bad_body = {**DAUTH, "extra": 1}
    other = _make(DAUTH_HEADER, bad_body, seed=OTHER_SEED)
    return [
        bad(
            "env-order-payload-alone",
            "JWS-003",
            "envelope-open",
            _open(_make(DAUTH_HEADER, bad_body), "sph-dauth+1"),
            "C_FORMAT",
        ),
        bad("env-order-signature-before-payload", "JWS-003", "envelope-open", _open(other, "sph-dauth+1"), "C_SIG"),
        bad(
            "env-order-payload-not-json",
            "JWS-003",
            "envelope-open",
            _open(_make(DAUTH_HEADER, b"\xff"), "sph-dauth+1"),
            "C_FORMAT",
        ),
        bad(
            "env-order-signature-before-payload-json",
            "JWS-003",
            "envelope-open",
            _open(_make(DAUTH_HEADER, b"\xff", seed=OTHER_SEED), "sph-dauth+1"),
            "C_SIG",
        ),
        bad(
            "env-order-header-before-signature",
            "JWS-003",
            "envelope-open",
            _open(_make({**DAUTH_HEADER, "jku": "x"}, seed=OTHER_SEED), "sph-dauth+1"),
            "C_FORMAT",
        ),
        bad(
            "env-payload-empty", "JWS-003", "envelope-open", _open(_make(DAUTH_HEADER, b""), "sph-dauth+1"), "C_FORMAT"
        ),
        bad(
            "env-payload-missing",
            "JWS-002",
            "envelope-open",
            _open(_make(DAUTH_HEADER, {k: v for k, v in DAUTH.items() if k != "exp"}), "sph-dauth+1"),
            "C_FORMAT",
        ),
    ]


def _limits() -> list[Case]:
    header = {**MSG_HEADER, "enc": "none"}
    del header["n"], header["cm"]
    room = 262144 - len(b64e(json_emit(header))) - 2 - 86
    payload = bytes(room // 4 * 3)
    largest = _make(header, payload)
    return [
        good(
            "env-limit-largest",
            "JWS-009",
            "envelope-sized",
            {"typ": "sph-msg+1", "header": header, "length": len(payload)},
            len(largest),
        ),
        bad(
            "env-limit-over",
            "JWS-009",
            "envelope-sized",
            {"typ": "sph-msg+1", "header": header, "length": len(payload) + 3},
            "C_FORMAT",
        ),
        bad(
            "env-limit-far-over",
            "JWS-009",
            "envelope-sized",
            {"typ": "sph-msg+1", "header": header, "length": 10**6},
            "C_FORMAT",
        ),
    ]


def _making() -> list[Case]:
    """A maker's own mistake is refused before anything is signed."""
    signed = jws.sign("sph-dauth+1", {"kid": DV}, DAUTH, jws.device_signer(SEED))
    given = {"typ": "sph-dauth+1", "header": {"kid": DV}, "payload": DAUTH, "seed": SEED.hex()}
    out = [good("env-sign", "JWS-008", "envelope-sign", given, jws.decode(signed, "sph-dauth+1").body)]
    log = {"typ": "sph-log+1", "header": {"kid": DV, "seq": 0}, "seed": SEED.hex()}
    for name, change in {
        "foreign-header": given | {"header": {"kid": DV, "jku": "x"}},
        "missing-payload": given | {"payload": {}},
        "foreign-payload": given | {"payload": {**DAUTH, "x": 1}},
        "too-long": given | {"payload": {**DAUTH, "aud": "a" * 257}},
        "deep-body": log | {"payload": {"op": "x", "iat": 1, "body": {"a": [[[[[[[1]]]]]]]}}},
        "forbidden-key": log | {"payload": {"op": "x", "iat": 1, "body": {"constructor": 1}}},
        "p2p-by-kind": given
        | {"typ": "sph-p2p+1", "payload": {"k": "ask", "sph": SPH, "iat": 1, "jti": b64e(bytes(16))}},
    }.items():
        out.append(bad(f"env-sign-{name}", "JWS-008", "envelope-sign", change, "C_FORMAT"))
    return out


def _ids() -> list[Case]:
    out = [
        good("id-thumbprint", "ID-001", "thumbprint", {"jwk": IK}, ids.thumbprint(IK).hex()),
        good(
            "id-thumbprint-order", "ID-001", "thumbprint", {"jwk": dict(reversed(IK.items()))}, ids.thumbprint(IK).hex()
        ),
        good("id-identity", "ID-002", "identity-id", {"jwk": IK}, ID),
        good("id-device", "ID-003", "device-id", {"dk": DK.hex()}, DV),
        good("id-sphere", "ID-004", "sphere-id", {"digest": HASH_RAW.hex()}, ids.sphere_id(HASH_RAW)),
        good("id-raw", "ID-005", "raw-id", {"id": DV}, ids.raw(DV).hex()),
    ]
    for name, text in {
        "prefix": "xx-" + DV[3:],
        "no-prefix": DV[3:],
        "upper-prefix": "DV-" + DV[3:],
        "short": DV[:-1],
        "long": DV + "A",
        "trailing-bits": DV[:-1] + ("B" if DV[-1] != "B" else "C"),
        "padded": DV + "=",
        "empty": "",
        "prefix-only": "dv-",
    }.items():
        out.append(bad(f"id-raw-{name}", "ID-005", "raw-id", {"id": text}, "C_FORMAT"))
    return out


def cases() -> list[Case]:
    return _good() + _confusion() + _signatures() + _order() + _limits() + _making() + _ids()
