"""Certificates, key logs, device sign-in."""

from __future__ import annotations

from math import prod
from typing import Any

from cloister import crypto
from cloister.protocol import certificate, dauth, jws, keylog
from cloister.protocol.encoding import b64d, b64e, json_emit
from cloister.protocol.ids import device_id, identity_id, jwk_public
from vectors.generate import Case, bad, good
from vectors.generate._world import NOW, YEAR, Person, de_public, rng, scalar

ORIGIN = "made by vectors/generate/identity.py with seeded keys; refusals are stated there by hand"

FORMAT, SIG, UNKNOWN, WRONG = "C_FORMAT", "C_SIG", "C_KEY_UNKNOWN", "C_LOG_INVALID"


def certificates() -> list[Case]:
    ada, bo = Person("ada"), Person("bo")
    cert = ada.dev.cert
    dk = crypto.ed25519_public(ada.dev.seed)

    def forged(by: bytes = ada.dev.seed, /, pop: str | None = "", **over: Any) -> str:
        payload = {
            "id": ada.handle,
            "dv": device_id(dk),
            "dk": b64e(dk),
            "kem": "p384",
            "de": b64e(de_public("p384", ada.dev.de_seed)),
            "iat": NOW - 100,
            "exp": NOW + YEAR,
            **over,
        }
        if pop == "" and payload["exp"] is not None:
            parts = (payload[name] for name in ("id", "dv", "kem"))
            signed = certificate.possession_message(*parts, b64d(payload["de"]), payload["iat"], payload["exp"])
            pop = b64e(crypto.ed25519_sign(by, signed))
        payload["pop"] = pop
        kid = identity_id(ada.ik)
        raw = {name: value for name, value in payload.items() if value is not None}
        return jws.sign("sph-dev+1", {"kid": kid}, json_emit(raw), jws.identity_signer(ada.scalar))

    def pop_of(compact: str) -> str:
        return str(jws.decode(compact, "sph-dev+1").body["pop"])

    def ok(name: str, rule: str, compact: str, who: Person = ada) -> Case:
        c = certificate.verify(compact, who.ik)
        value = {
            "id": c.id,
            "dv": c.dv,
            "dk": c.dk.hex(),
            "kem": c.kem,
            "issuer": c.issuer,
            "iat": c.iat,
            "exp": c.exp,
            "digest": c.digest.hex(),
        }
        return good(f"cert-{name}", rule, "cert-verify", {"cert": compact, "ik": who.ik}, value)

    def no(name: str, rule: str, compact: str, code: str, who: Person = ada) -> Case:
        return bad(f"cert-{name}", rule, "cert-verify", {"cert": compact, "ik": who.ik}, code)

    torsion = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
    rsa = de_public("rsa4096", b"rsa")
    even, short_top = rsa[:-1] + b"\xfe", b"\x7f" + rsa[1:]
    small = prod(p for p in range(2, 168) if all(p % q for q in range(2, p)))
    # What that generator's moduli look like: a power of 65537 modulo the product of all small primes.
    factorable = (int.from_bytes(rsa, "big") // small * small + pow(65537, 4711, small)).to_bytes(512, "big")
    xwing = bytearray(de_public("xwing", rng("xw", 32)))
    small = bytes(xwing[:1184]) + bytes(32)
    spelled = bytes([0xFF, 0xFF]) + bytes(xwing[2:])
    other_de, bo_dk = de_public("p384", rng("de-other", 32)), crypto.ed25519_public(bo.dev.seed)
    squat = forged(dk=b64e(bo_dk), dv=device_id(bo_dk))  # bo's device, in a certificate that says it is ada's
    return [
        ok("p384", "CERT-001 CERT-002", cert),
        ok("xwing", "CERT-001 CERT-005", Person("xena", kem="xwing").dev.cert, Person("xena", kem="xwing")),
        ok("rsa", "CERT-001 CERT-006", Person("rosa", kem="rsa4096").dev.cert, Person("rosa", kem="rsa4096")),
        ok("other-handle", "CERT-001", forged(id=bo.handle)),
        ok("already-over", "CERT-004", forged(exp=NOW - 99)),
        no("other-key", "CERT-002", cert, UNKNOWN, bo),
        no("altered", "CERT-002", cert[:-4] + "AAAA", SIG),
        no("signature-short", "CERT-002", cert.rpartition(".")[0] + "." + b64e(bytes(95)), SIG),
        no("signature-zero", "CERT-002", cert.rpartition(".")[0] + "." + b64e(bytes(96)), SIG),
        no("dv-of-another", "CERT-003", forged(dv=bo.dev.dv), FORMAT),
        no("dk-small-order", "CERT-003", forged(dk=b64e(torsion), dv=device_id(torsion)), FORMAT),
        no("dk-identity", "CERT-003", forged(dk=b64e(b"\x01" + bytes(31)), dv=device_id(b"\x01" + bytes(31))), FORMAT),
        no("ends-before", "CERT-004", forged(exp=NOW - 100), FORMAT),
        no("de-off-curve", "CERT-005", forged(de=b64e(b"\x04" + bytes(95) + b"\x01")), FORMAT),
        no("de-compressed", "CERT-005", forged(de=b64e(b"\x02" + bytes(96))), FORMAT),
        no("de-of-other-kem", "CERT-005", forged(kem="xwing"), FORMAT),
        no("xwing-small-order", "CERT-005", forged(kem="xwing", de=b64e(small)), FORMAT),
        no("xwing-not-reduced", "CERT-005", forged(kem="xwing", de=b64e(spelled)), FORMAT),
        no("rsa-even", "CERT-006", forged(kem="rsa4096", de=b64e(even)), FORMAT),
        no("rsa-4095-bits", "CERT-006", forged(kem="rsa4096", de=b64e(short_top)), FORMAT),
        no("rsa-3072", "CERT-006", forged(kem="rsa4096", de=b64e(rsa[:384])), FORMAT),
        no("rsa-broken-generator", "CERT-006", forged(kem="rsa4096", de=b64e(factorable)), FORMAT),
        no("rsa-1024", "CERT-006", forged(kem="rsa4096", de=b64e(rsa[:128])), FORMAT),
        no("rsa-16k", "CERT-006", forged(kem="rsa4096", de=b64e(rsa * 4)), FORMAT),
        no("rsa-long", "CERT-006", forged(kem="rsa4096", de=b64e(rsa + b"\x01")), FORMAT),
        no("kem-unknown", "CERT-001", forged(kem="x25519"), FORMAT),
        no("pop-missing", "CERT-010", forged(pop=None), FORMAT),
        no("pop-short", "CERT-010", forged(pop=b64e(bytes(63))), FORMAT),
        no("pop-zero", "CERT-010", forged(pop=b64e(bytes(64))), SIG),
        no("pop-by-another", "CERT-010", forged(bo.dev.seed), SIG),
        no("pop-of-another-device", "CERT-010", forged(pop=pop_of(bo.dev.cert)), SIG),
        no("pop-for-another-id", "CERT-010", forged(id=bo.handle, pop=pop_of(cert)), SIG),
        no("pop-other-receiving-key", "CERT-010", forged(de=b64e(other_de), pop=pop_of(cert)), SIG),
        no("pop-other-kem", "CERT-010", forged(kem="rsa4096", de=b64e(rsa), pop=pop_of(cert)), SIG),
        no("pop-begins-later", "CERT-010", forged(iat=NOW - 99, pop=pop_of(cert)), SIG),
        no("pop-prolonged", "CERT-010", forged(exp=NOW + YEAR + 1, pop=pop_of(cert)), SIG),
        no("pop-squats", "CERT-010", squat, SIG),
        no("pop-and-form", "CERT-010", forged(bo.dev.seed, exp=NOW - 100), FORMAT),
        no("foreign-member", "CERT-001", forged(ctr=1), FORMAT),
        no("member-missing", "CERT-001", forged(exp=None), FORMAT),
        good(
            "renewal",
            "CERT-007",
            "renewal",
            {"renew": {"kem": "rsa4096", "de": b64e(rsa)}},
            {"kem": "rsa4096", "de": rsa.hex()},
        ),
        bad("renewal-foreign", "CERT-007", "renewal", {"renew": {"kem": "rsa4096", "de": b64e(rsa), "iat": 1}}, FORMAT),
        bad("renewal-even", "CERT-007", "renewal", {"renew": {"kem": "rsa4096", "de": b64e(even)}}, FORMAT),
    ]


class Chain:
    """A key log grown entry by entry."""

    def __init__(self, who: Person) -> None:
        self.who, self.scalar = who, who.scalar
        self.entries = [keylog.start(who.scalar, NOW)]
        self.log = keylog.verify_chain(self.entries)

    def put(self, compact: str) -> str:
        self.log = keylog.apply(self.log, compact)
        self.entries.append(compact)
        return compact


def key_logs() -> list[Case]:
    ada, bo = Person("ada"), Person("bo")
    second = ada.device()
    chain = Chain(ada)
    chain.put(keylog.add_device(ada.scalar, chain.log, ada.dev.cert, NOW))
    short = list(chain.entries)
    log = chain.log
    chain.put(keylog.add_device(ada.scalar, log, second.cert, NOW))
    two = chain.log
    chain.put(keylog.revoke_device(ada.scalar, two, ada.dev.dv, NOW + 1))
    new = scalar("ada-second")
    third = ada.device(scalar=new)
    chain.put(keylog.rotate(ada.scalar, chain.log, new, NOW + 2))
    rotated = chain.log
    chain.put(keylog.add_device(new, chain.log, third.cert, NOW + 3))
    long = list(chain.entries)

    def forged(
        op: str, body: dict[str, Any], *, key: bytes = ada.scalar, after: keylog.KeyLog = log, **over: Any
    ) -> str:
        payload = {"id": after.id, "seq": after.seq + 1, "prev": b64e(after.digest), "op": op, "body": body, "iat": NOW}
        payload = {name: value for name, value in {**payload, **over}.items() if value is not None}
        kid = identity_id(jwk_public(key))
        return jws.sign("sph-klog+1", {"kid": kid}, payload, jws.identity_signer(key))

    def ok(name: str, rule: str, entries: list[str], **more: Any) -> Case:
        state = keylog.verify_chain(entries)
        value = {
            "id": state.id,
            "seq": state.seq,
            "digest": state.digest.hex(),
            "ik": state.ik,
            "devices": sorted(state.devices),
            "revoked": sorted(state.revoked),
        }
        return good(f"klog-{name}", rule, "klog-verify", {"chain": entries, **more}, value)

    def no(name: str, rule: str, entries: list[str], code: str, **more: Any) -> Case:
        return bad(f"klog-{name}", rule, "klog-verify", {"chain": entries, **more}, code)

    def after(compact: str) -> list[str]:
        return [*short, compact]

    start_body = {"ik": ada.ik}
    foreign = Person("bo", handle=ada.handle)
    pin = {"seq": log.seq, "h": b64e(log.digest)}
    rotate_entry = long[4]
    start = long[0]
    many = Chain(bo)
    while len(many.log.devices) < 16:
        many.put(keylog.add_device(bo.scalar, many.log, bo.devs[-1].cert, NOW))
        bo.device()
    late = ada.device(exp=NOW)
    return [
        ok("start", "KLOG-002", [start]),
        ok("device", "KLOG-001 KLOG-004", short),
        ok("whole", "KLOG-005 KLOG-006", long),
        ok("pinned", "KLOG-008", long, pin=pin),
        no("empty", "KLOG-002", [], WRONG),
        no("start-seq", "KLOG-002", [forged("start", start_body, seq=1, prev=None)], WRONG),
        no("start-prev", "KLOG-002", [forged("start", start_body, seq=0)], WRONG),
        no("start-other-id", "KLOG-002", [forged("start", start_body, seq=0, prev=None, id=bo.handle)], WRONG),
        no("start-other-key", "KLOG-002", [forged("start", start_body, seq=0, prev=None, key=bo.scalar)], UNKNOWN),
        no("start-add", "KLOG-002", [forged("add-dev", {"cert": ada.dev.cert}, seq=0, prev=None)], FORMAT),
        no("start-altered", "KLOG-002", [start[:-4] + "AAAA"], SIG),
        no("start-twice", "KLOG-002", after(forged("start", start_body)), WRONG),
        no("seq", "KLOG-001", after(forged("rev-dev", {"dv": ada.dev.dv}, seq=9)), WRONG),
        no("prev", "KLOG-001", after(forged("rev-dev", {"dv": ada.dev.dv}, prev=b64e(bytes(32)))), WRONG),
        no("prev-missing", "KLOG-001", after(forged("rev-dev", {"dv": ada.dev.dv}, prev=None)), WRONG),
        no("other-id", "KLOG-001", after(forged("rev-dev", {"dv": ada.dev.dv}, id=bo.handle)), WRONG),
        no("time-backwards", "KLOG-001", after(forged("rev-dev", {"dv": ada.dev.dv}, iat=NOW - 1)), WRONG),
        no("op-unknown", "KLOG-001", after(_raw(ada, log, "card")), FORMAT),
        no("other-signer", "KLOG-003", after(forged("rev-dev", {"dv": ada.dev.dv}, key=bo.scalar)), UNKNOWN),
        no("altered", "KLOG-003", [short[0], short[1][:-4] + "AAAA"], SIG),
        no("device-twice", "KLOG-004", after(forged("add-dev", {"cert": ada.dev.cert})), WRONG),
        no("device-of-another", "KLOG-004", after(forged("add-dev", {"cert": foreign.dev.cert})), UNKNOWN),
        no("device-over", "KLOG-004", after(forged("add-dev", {"cert": late.cert}, iat=NOW + 1)), "C_EXPIRED"),
        no(
            "device-seventeenth",
            "KLOG-004",
            [*many.entries, keylog.add_device(bo.scalar, many.log, bo.devs[-1].cert, NOW)],
            WRONG,
        ),
        no("device-form", "KLOG-004", after(forged("add-dev", {})), FORMAT),
        no("revoke-unknown", "KLOG-005", after(forged("rev-dev", {"dv": second.dv})), WRONG),
        no(
            "revoked-returns",
            "KLOG-005",
            [*long[:4], forged("add-dev", {"cert": ada.dev.cert}, after=keylog.verify_chain(long[:4]), iat=NOW + 1)],
            WRONG,
        ),
        no("rotate-same", "KLOG-006", after(keylog.rotate(ada.scalar, log, ada.scalar, NOW)), WRONG),
        no(
            "rotate-unsigned", "KLOG-006", after(forged("rotate", {"ik": jwk_public(new), "sig": b64e(bytes(96))})), SIG
        ),
        no(
            "rotate-old-key-goes-on",
            "KLOG-006",
            [*long[:5], forged("add-dev", {"cert": second.cert}, after=rotated, iat=NOW + 3)],
            UNKNOWN,
        ),
        no(
            "rotate-ends-devices",
            "KLOG-006",
            [*long[:5], forged("rev-dev", {"dv": second.dv}, key=new, after=rotated, iat=NOW + 3)],
            WRONG,
        ),
        no("shorter", "KLOG-008", [start], "C_LOG_ROLLBACK", pin=pin),
        no(
            "forked",
            "KLOG-008",
            [start, keylog.add_device(ada.scalar, keylog.verify_chain([start]), second.cert, NOW)],
            "C_LOG_FORK",
            pin=pin,
        ),
        good("klog-prove-first", "KLOG-007", "klog-prove", {"id": ada.handle, "ik": ada.ik, "rot": []}, 1),
        good(
            "klog-prove-rotated",
            "KLOG-007",
            "klog-prove",
            {"id": ada.handle, "ik": jwk_public(new), "rot": [start, rotate_entry]},
            2,
        ),
        bad(
            "klog-prove-nothing", "KLOG-007", "klog-prove", {"id": ada.handle, "ik": jwk_public(new), "rot": []}, WRONG
        ),
        bad(
            "klog-prove-unfinished",
            "KLOG-007",
            "klog-prove",
            {"id": ada.handle, "ik": jwk_public(new), "rot": [start]},
            WRONG,
        ),
        bad(
            "klog-prove-other",
            "KLOG-007",
            "klog-prove",
            {"id": bo.handle, "ik": jwk_public(new), "rot": [start, rotate_entry]},
            WRONG,
        ),
        bad(
            "klog-prove-no-start",
            "KLOG-007",
            "klog-prove",
            {"id": ada.handle, "ik": jwk_public(new), "rot": [rotate_entry]},
            FORMAT,
        ),
        bad("klog-prove-add", "KLOG-007", "klog-prove", {"id": ada.handle, "ik": ada.ik, "rot": short}, WRONG),
        bad(
            "klog-prove-other-signer",
            "KLOG-007",
            "klog-prove",
            {
                "id": ada.handle,
                "ik": jwk_public(new),
                "rot": [start, forged("rotate", {"ik": jwk_public(new), "sig": b64e(bytes(96))}, key=bo.scalar)],
            },
            UNKNOWN,
        ),
    ]


def _raw(who: Person, log: keylog.KeyLog, op: str) -> str:
    payload = {"id": log.id, "seq": log.seq + 1, "prev": b64e(log.digest), "op": op, "body": {}, "iat": NOW}
    return jws.sign("sph-klog+1", {"kid": identity_id(who.ik)}, json_emit(payload), jws.identity_signer(who.scalar))


def sign_in() -> list[Case]:
    ada, bo = Person("ada"), Person("bo")
    dk, nonce = crypto.ed25519_public(ada.dev.seed), rng("nonce", 32)
    answer = dauth.make(ada.dev.signer, ada.dev.dv, aud="https://here.example", nonce=nonce, iat=NOW)
    long = jws.sign(
        "sph-dauth+1",
        {"kid": ada.dev.dv},
        {"aud": "https://here.example", "dv": ada.dev.dv, "nonce": b64e(nonce), "iat": NOW, "exp": NOW + 61},
        ada.dev.signer,
    )

    def one(compact: str = answer, **over: Any) -> Case:
        base = {"answer": compact, "dk": dk.hex(), "dv": ada.dev.dv, "origins": ["https://here.example"]}
        return {**base, "nonce": nonce.hex(), "now": NOW, **over}

    other = dauth.make(ada.dev.signer, bo.dev.dv, aud="https://here.example", nonce=nonce, iat=NOW)
    return [
        good("dauth", "CERT-008 CERT-009", "dauth-verify", one(), True),
        good("dauth-clock-behind", "CERT-009", "dauth-verify", one(now=NOW + 600), True),
        bad("dauth-clock-far", "CERT-009", "dauth-verify", one(now=NOW + 601), "C_EXPIRED"),
        bad("dauth-other-origin", "CERT-009", "dauth-verify", one(origins=["https://there.example"]), WRONG),
        bad("dauth-other-nonce", "CERT-009", "dauth-verify", one(nonce=bytes(32).hex()), WRONG),
        bad("dauth-other-device", "CERT-009", "dauth-verify", one(other), WRONG),
        bad("dauth-other-key", "CERT-009", "dauth-verify", one(dk=crypto.ed25519_public(bo.dev.seed).hex()), SIG),
        bad("dauth-too-long", "CERT-008 CERT-009", "dauth-verify", one(long), "C_EXPIRED"),
        bad("dauth-other-typ", "CERT-008", "dauth-verify", one(ada.dev.cert), FORMAT),
    ]


def cases() -> list[Case]:
    return certificates() + key_logs() + sign_in()
