"""Cases of area slots: wrapped roots, slots, the state slot, master keys, and every way they must be refused."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cloister.account import credentials, keys
from cloister.protocol import ids, jws
from cloister.protocol.encoding import b64e
from vectors.generate import Case, Recorded, bad, good, rng

ORIGIN: Final = (
    "Records sealed here on the library's AES-GCM and HKDF, apart from the implementation that opens them. Key shares "
    "were sealed once and recorded."
)
ACCOUNT: Final = "id-" + "A" * 42 + "E"
SPH: Final = "sp-" + "B" * 42 + "A"


def lp(*parts: bytes | str | int) -> bytes:
    out = b""
    for part in parts:
        data = part.encode() if isinstance(part, str) else part.to_bytes(8, "big") if isinstance(part, int) else part
        out += len(data).to_bytes(4, "big") + data
    return out


def slot_key(root: bytes, name: str, account: str = ACCOUNT) -> bytes:
    return HKDF(hashes.SHA256(), 32, None, lp("sph/1", "slot", lp(account, name))).derive(root)


def sealed(key: bytes, secret: bytes, aad: bytes, seed: str) -> bytes:
    nonce = rng(seed)(12)
    return nonce + AESGCM(key).encrypt(nonce, secret, aad)


def flips(data: bytes) -> dict[str, bytes]:
    """A first, middle and last byte changed, cut short, extended, empty."""
    places = {"first": 0, "nonce-end": 11, "middle": len(data) // 2, "last": len(data) - 1}
    made = {name: data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :] for name, i in places.items()}
    return {**made, "cut": data[:-1], "longer": data + b"\0", "empty": b""}


def cases() -> list[Case]:
    found: list[Case] = []
    kek, mk, rk = (rng(name)(32) for name in ("kek", "mk", "rk"))
    wmk = sealed(kek, mk, lp("mk", ACCOUNT, 1, 3), "wmk")
    wrk = sealed(kek, rk, lp("root", ACCOUNT, 1), "wrk")
    base: dict[str, Any] = {"kek": kek.hex(), "account": ACCOUNT, "ver": 1}
    mk_in = {**base, "mkv": 3, "wrapped": wmk.hex()}
    rk_in = {**base, "wrapped": wrk.hex()}
    found.append(good("unwrap-mk", "SLOT-001 SLOT-002", "unwrap-mk", mk_in, mk.hex()))
    found.append(good("unwrap-rk", "SLOT-001 SLOT-003", "unwrap-rk", rk_in, rk.hex()))
    for op, given, rule in (("unwrap-mk", mk_in, "SLOT-002"), ("unwrap-rk", rk_in, "SLOT-003")):
        for name, data in flips(bytes.fromhex(given["wrapped"])).items():
            found.append(bad(f"{op}-{name}", "SLOT-001", op, {**given, "wrapped": data.hex()}, "C_VAULT"))
        for name, change in {
            "ver": {"ver": 0},
            "account": {"account": "id-" + "A" * 43},
            "kek": {"kek": "00" * 32},
        }.items():
            found.append(bad(f"{op}-{name}", rule, op, {**given, **change}, "C_VAULT"))
    found.append(bad("unwrap-mk-generation", "SLOT-002", "unwrap-mk", {**mk_in, "mkv": 4}, "C_VAULT"))
    found.append(bad("unwrap-mk-is-rk", "SLOT-001", "unwrap-mk", {**mk_in, "wrapped": wrk.hex()}, "C_VAULT"))
    short = sealed(kek, bytes(16), lp("mk", ACCOUNT, 1, 3), "short")
    found.append(bad("unwrap-mk-short-secret", "SLOT-001", "unwrap-mk", {**mk_in, "wrapped": short.hex()}, "C_VAULT"))

    identity(found, rk)
    epoch_slots(found, mk)
    state_slots(found, mk)
    devices_and_shares(found)
    for name, value in {
        "ik": ["ik", "", 0, False, True],
        "state": ["state", "", 0, False, False],
        f"e.{SPH}.1": ["e", SPH, 1, True, False],
        f"e.{SPH}.4294967295": ["e", SPH, 4294967295, True, False],
        "mk.2": ["mk", "", 2, True, True],
    }.items():
        found.append(good(f"slot-name-{len(found)}", "SLOT-006 SLOT-007", "slot-name", {"name": name}, value))
    for name in (
        "",
        "IK",
        "mk.0",
        "mk.01",
        "mk.4294967296",
        f"e.{SPH}",
        f"e.{SPH}.0",
        f"e.{SPH[:-1]}B.1",
        "state ",
        "../x",
    ):
        found.append(bad(f"slot-name-{len(found)}", "SLOT-006", "slot-name", {"name": name}, "C_FORMAT"))
    return found


def identity(found: list[Case], rk: bytes) -> None:
    random = rng("identity")(56)
    ik = keys.new_identity(lambda n: random[:n])
    jwk = ids.jwk_public(ik)
    found.append(
        good(
            "identity-scalar",
            "SLOT-004",
            "identity-scalar",
            {"random": random.hex()},
            {"ik": ik.hex(), "id": ids.identity_id(jwk)},
        )
    )
    for name, fill in {"zeros": 0, "ones": 255}.items():
        raw = bytes([fill]) * 56
        scalar = keys.new_identity(lambda n, raw=raw: raw[:n])
        value = {"ik": scalar.hex(), "id": ids.identity_id(ids.jwk_public(scalar))}
        found.append(good(f"identity-scalar-{name}", "SLOT-004", "identity-scalar", {"random": raw.hex()}, value))
    aad = lp(ACCOUNT, "ik", ids.thumbprint(jwk), 0)
    slot = sealed(slot_key(rk, "ik"), ik, aad, "ik")
    given = {"rk": rk.hex(), "account": ACCOUNT, "jwk": jwk, "slot": slot.hex()}
    found.append(good("open-ik", "SLOT-008 SLOT-009", "open-ik", given, ik.hex()))
    foreign = keys.new_identity(rng("foreign"))
    wrong = {
        "foreign-key": {"slot": sealed(slot_key(rk, "ik"), foreign, aad, "f").hex()},
        "zero": {"slot": sealed(slot_key(rk, "ik"), bytes(48), aad, "z").hex()},
        "other-identity": {"jwk": ids.jwk_public(foreign)},
        "under-mk": {"rk": rng("mk")(32).hex()},
        "account": {"account": "id-" + "A" * 43},
    }
    wrong |= {name: {"slot": data.hex()} for name, data in flips(slot).items()}
    found += [
        bad(f"open-ik-{name}", "SLOT-001 SLOT-009", "open-ik", {**given, **change}, "C_VAULT")
        for name, change in wrong.items()
    ]


def epoch_slots(found: list[Case], mk: bytes) -> None:
    name, secret = f"e.{SPH}.7", rng("epoch")(32)
    slot = sealed(slot_key(mk, name), secret, lp(ACCOUNT, name, b"", 0), "epoch")
    given = {"mk": mk.hex(), "account": ACCOUNT, "sph": SPH, "n": 7, "slot": slot.hex()}
    found.append(good("open-epoch", "SLOT-008 SLOT-010", "open-epoch", given, secret.hex()))
    wrong: dict[str, Case] = {"n": {"n": 8}, "sph": {"sph": "sp-" + "C" * 42 + "A"}, "mk": {"mk": "00" * 32}}
    wrong |= {label: {"slot": data.hex()} for label, data in flips(slot).items()}
    found += [
        bad(f"open-epoch-{label}", "SLOT-001 SLOT-010", "open-epoch", {**given, **change}, "C_VAULT")
        for label, change in wrong.items()
    ]
    mks = {n: bytes([n]) * 32 for n in (1, 2, 3)}
    kept = {
        n: sealed(slot_key(mks[n + 1], f"mk.{n}"), mks[n], lp(ACCOUNT, f"mk.{n}", b"", 0), f"mk{n}").hex()
        for n in (1, 2)
    }
    chain = {"account": ACCOUNT, "mk": mks[3].hex(), "mkv": 3, "slots": {str(n): text for n, text in kept.items()}}
    value = {str(n): data.hex() for n, data in mks.items()}
    found.append(good("masters", "SLOT-011", "masters", chain, value))
    found.append(good("masters-gap", "SLOT-011", "masters", {**chain, "slots": {"1": kept[1]}}, {"3": value["3"]}))
    found.append(good("masters-none", "SLOT-011", "masters", {**chain, "mkv": 1, "slots": {}}, {"1": value["3"]}))
    found.append(
        bad("masters-swapped", "SLOT-011", "masters", {**chain, "slots": {"2": kept[1], "1": kept[2]}}, "C_VAULT")
    )
    found.append(bad("masters-thief", "SLOT-011", "masters", {**chain, "mk": value["1"]}, "C_VAULT"))


def state_slots(found: list[Case], mk: bytes) -> None:
    author, thief = keys.new_device(rng("author")), keys.new_device(rng("thief"))

    def state(payload: Case, ctr: int, signer: keys.DeviceKeys = author, kid: str = "") -> tuple[str, str]:
        header = {"alg": "Ed25519", "typ": "sph-state+1", "kid": kid or signer.dv}
        parts = (b64e(json.dumps(one, separators=(",", ":")).encode()) for one in (header, payload))
        signed = ".".join(parts)
        compact = f"{signed}.{b64e(jws.device_signer(signer.dk_seed)(signed.encode()))}"
        slot = sealed(
            slot_key(mk, "state"), compact.encode(), lp(ACCOUNT, "state", b"", ctr), f"state{ctr}{signer.dv}{payload}"
        )
        return slot.hex(), hashlib.sha256(signed.encode()).hexdigest()

    def body(ctr: int, prev: str = "", **more: Any) -> Case:
        made: Case = {"id": ACCOUNT, "ctr": ctr, "content": {"read": ctr}, **more}
        return {**made, "prev": b64e(bytes.fromhex(prev))} if prev else made

    one, h1 = state(body(1), 1)
    two, h2 = state(body(2, h1), 2)
    rival, hr = state(body(2, h1, content={"read": 9}), 2)
    three, h3 = state(body(3, h2), 3)
    after_rival, _ = state(body(3, hr), 3)
    base: Case = {"mk": mk.hex(), "account": ACCOUNT, "devices": {author.dv: author.dk.hex()}}

    def value(ctr: int, digest: str, prev: str, *, provisional: bool) -> Case:
        return {
            "ctr": ctr,
            "digest": digest,
            "prev": prev,
            "dv": author.dv,
            "content": {"read": ctr},
            "provisional": provisional,
        }

    first = {**base, "ctr": 1, "slot": one}
    found.append(
        good("state-counter-1", "SLOT-013 SLOT-015 SLOT-017", "open-state", first, value(1, h1, "", provisional=True))
    )
    for name, slot, ctr, pin, digest, prev in (
        ("same", two, 2, [2, h2], h2, h1),
        ("next", three, 3, [2, h2], h3, h2),
        ("later", three, 3, [1, h1], h3, h2),
    ):
        given = {**base, "ctr": ctr, "slot": slot, "pin": pin}
        found.append(
            good(f"state-{name}", "SLOT-014 SLOT-016", "open-state", given, value(ctr, digest, prev, provisional=False))
        )
    for name, slot, ctr in (("older", one, 1), ("rival", rival, 2), ("after-rival", after_rival, 3)):
        given = {**base, "ctr": ctr, "slot": slot, "pin": [2, h2]}
        found.append(bad(f"state-{name}", "SLOT-016", "open-state", given, "C_LOG_ROLLBACK"))
    wrong: dict[str, Case] = {
        "relabelled": {"ctr": 2},
        "not-active": {"slot": state(body(1), 1, thief)[0]},
        "wrong-signature": {"slot": state(body(1), 1, thief, author.dv)[0]},
        "other-account": {"slot": state(body(1, id="id-" + "A" * 43), 1)[0]},
        "inner-counter": {"slot": state(body(2, h1), 1)[0]},
        "first-with-prev": {"slot": state(body(1, h1), 1)[0]},
        "second-without-prev": {"slot": state(body(2), 2)[0], "ctr": 2},
        "counter-0": {"slot": state(body(0), 0)[0], "ctr": 0},
        "extra-member": {"slot": state(body(1, more=1), 1)[0]},
        "null": {"slot": state(body(1, content={"x": None}), 1)[0]},
        "no-envelope": {"slot": sealed(slot_key(mk, "state"), b"a.b", lp(ACCOUNT, "state", b"", 1), "none").hex()},
        "other-mk": {"mk": "00" * 32},
    }
    wrong |= {name: {"slot": data.hex()} for name, data in flips(bytes.fromhex(one)).items()}
    found += [
        bad(f"state-{name}", "SLOT-001 SLOT-015", "open-state", {**first, **change}, "C_VAULT")
        for name, change in wrong.items()
    ]


def rsa_device(found: list[Case]) -> None:
    """A device whose receiving key is RSA; the keys were drawn once."""
    kept = Recorded("slots")

    def pair(bits: int, exponent: int) -> str:
        der = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return rsa.generate_private_key(exponent, bits).private_bytes(*der).hex()

    private = str(kept.once("rsa", lambda: pair(4096, 65537)))
    own = keys.device(rng("rsa")(32), "rsa4096", bytes.fromhex(private))
    value = {"dv": own.dv, "dk": own.dk.hex(), "de": hashlib.sha256(own.de).hexdigest()}
    given = {"dk_seed": own.dk_seed.hex(), "kem": "rsa4096", "de_seed": private}
    found.append(
        good("device-rsa4096", "SLOT-005", "device", given, {**value, "packed": keys.pack_device(own).hex()}),
    )
    wrong = {
        "small": str(kept.once("rsa-2048", lambda: pair(2048, 65537))),
        "exponent": str(kept.once("rsa-e3", lambda: pair(4096, 3))),
        "cut": private[:-2],
        "empty": "",
        "seed": "00" * 32,
    }
    for name, secret in wrong.items():
        found.append(
            bad(f"device-rsa4096-{name}", "SLOT-005", "device", {**given, "de_seed": secret}, "C_FORMAT"),
        )


def devices_and_shares(found: list[Case]) -> None:
    kept, roots = Recorded("slots"), keys.Roots(b"M" * 32, b"R" * 32, 2)
    sender = keys.new_device(rng("sender")).dv
    for kem in ("xwing", "p384"):
        own = keys.new_device(rng("own" + kem), kem)
        value = {
            "dv": own.dv,
            "dk": own.dk.hex(),
            "de": hashlib.sha256(own.de).hexdigest(),
            "packed": keys.pack_device(own).hex(),
        }
        given = {"dk_seed": own.dk_seed.hex(), "kem": kem, "de_seed": own.de_seed.hex()}
        found.append(good(f"device-{kem}", "SLOT-005", "device", given, value))
        found.append(bad(f"device-{kem}-short", "SLOT-005", "device", {**given, "de_seed": "00" * 31}, "C_FORMAT"))
        ct = kept.once(
            f"mk-{kem}",
            lambda own=own, kem=kem: credentials.seal_mk_share(ACCOUNT, sender, own.dv, kem, own.de, roots).hex(),
        )
        share = {**given, "account": ACCOUNT, "sender": sender, "mkv": 2, "present": 1, "ct": ct}
        found.append(good(f"mk-share-{kem}", "SLOT-025", "open-mk-share", share, {"mk": roots.mk.hex(), "mkv": 2}))
        wrong: dict[str, tuple[Case, str]] = {
            "not-newer": ({"present": 2}, "C_DOWNGRADE"),
            "generation": ({"mkv": 3}, "C_VAULT"),
            "sender": ({"sender": own.dv}, "C_VAULT"),
            "account": ({"account": "id-" + "A" * 43}, "C_VAULT"),
            "damaged": ({"ct": ct[:-2] + f"{int(ct[-2:], 16) ^ 1:02x}"}, "C_VAULT"),
            "cut": ({"ct": ct[:-2]}, "C_VAULT"),
        }
        for name, (change, code) in wrong.items():
            found.append(bad(f"mk-share-{kem}-{name}", "SLOT-025", "open-mk-share", {**share, **change}, code))
    rsa_device(found)
    found.append(
        bad(
            "device-unknown-kem",
            "SLOT-005",
            "device",
            {"dk_seed": "00" * 32, "kem": "x25519", "de_seed": "00" * 32},
            "C_FORMAT",
        )
    )
