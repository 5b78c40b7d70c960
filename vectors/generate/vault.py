"""Cases of area vault: openers, records, key files, and both halves of unlocking with a PIN."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vectors.generate import Case, bad, good, rng
from vectors.generate.slots import flips, lp

ORIGIN: Final = "Vaults, tags and signatures made here on the library's primitives, apart from the implementation."
ACCOUNT: Final = "id-" + "A" * 42 + "E"
DV: Final = "dv-" + "B" * 42 + "A"
REALM: Final = bytes(range(16))
PIN: Final = "804713"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def kdf(ikm: bytes, salt: bytes, label: str, ctx: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt or None, lp("sph/1", label, ctx)).derive(ikm)


def box(key: bytes, secret: bytes, aad: bytes, seed: str) -> bytes:
    nonce = rng(seed)(12)
    return nonce + AESGCM(key).encrypt(nonce, secret, aad)


def header(openers: dict[str, tuple[bytes, bytes]], pin: Case | None = None, **change: Any) -> Case:
    made: Case = {
        "v": 1, "origin": "https://relay.example", "realm": b64(REALM), "account": ACCOUNT, "login": "ada", "dv": DV,
        "salt": b64(bytes(16)), "ver": 1, "mkv": 1, "pending": False,
        "openers": {kind: {"salt": b64(salt), "box": b64(sealed)} for kind, (salt, sealed) in openers.items()},
    }  # fmt: skip
    return {**made, **({"pin": pin} if pin else {}), **change}


def text(value: Case) -> str:
    return json.dumps(value, separators=(",", ":"))


def cases() -> list[Case]:
    found: list[Case] = []
    vk, kek, salt, agent = (rng(name)(32) for name in ("vk", "kek", "salt", "agent"))
    scope = lp(ACCOUNT, DV)

    def opener(kind: str, key: bytes) -> bytes:
        return box(key, vk, lp("vault-opener", kind, ACCOUNT, DV), kind)

    pw = opener("pw", kdf(kek, salt, "vault-pw", scope))
    openers = {"pw": (salt, pw), "session": (b"", opener("session", agent)), "file": (b"", opener("file", agent))}
    good_vault = header(openers)
    found.append(good("vault-header", "VLT-002", "vault-header", {"text": text(good_vault)}, good_vault))
    for name, bad_text in {
        "version": text({**good_vault, "v": 2}),
        "extra": text({**good_vault, "kdf": "none"}),
        "missing": text({k: v for k, v in good_vault.items() if k != "salt"}),
        "opener-kind": text(header({"key": (b"", pw)})),
        "opener-length": text(header({"pw": (salt, pw[:-1])})),
        "pending": text({**good_vault, "pending": 1}),
        "blank": text(good_vault).replace(",", ", ", 1),
        "cut": text(good_vault)[:-1],
    }.items():
        found.append(bad(f"vault-header-{name}", "VLT-002", "vault-header", {"text": bad_text}, "C_FORMAT"))

    by_password = {"vault": good_vault, "kek": kek.hex()}
    found.append(good("vault-password", "VLT-001 VLT-003", "vault-password", by_password, vk.hex()))
    wrong: dict[str, Case] = {
        name: {"vault": header({"pw": (salt, data)})} for name, data in flips(pw).items() if len(data) == 60
    }
    wrong |= {
        "kek": {"kek": "00" * 32},
        "salt": {"vault": header({"pw": (bytes(32), pw)})},
        "device": {"vault": header(openers, dv="dv-" + "A" * 43)},
        "account": {"vault": header(openers, account="id-" + "A" * 43)},
    }
    found += [
        bad(f"vault-password-{n}", "SLOT-001 VLT-003", "vault-password", {**by_password, **c}, "C_VAULT")
        for n, c in wrong.items()
    ]
    gone = {**by_password, "vault": header({"session": openers["session"]})}
    found.append(bad("vault-password-none", "VLT-003", "vault-password", gone, "L_NOT_FOUND"))
    for kind in ("session", "file"):
        by_key = {"vault": good_vault, "kind": kind, "key": agent.hex()}
        found.append(good(f"vault-{kind}", "VLT-004", "vault-key", by_key, vk.hex()))
        found.append(bad(f"vault-{kind}-key", "VLT-004", "vault-key", {**by_key, "key": "00" * 32}, "C_VAULT"))
        other = "file" if kind == "session" else "session"
        moved = header({kind: openers[other]})
        found.append(bad(f"vault-{kind}-moved", "VLT-004", "vault-key", {**by_key, "vault": moved}, "C_VAULT"))

    record = box(
        kdf(vk, b"", "vault-record", lp(ACCOUNT, DV, "device")), b"secret", lp(ACCOUNT, DV, "device"), "record"
    )
    of_record = {"vault": good_vault, "vk": vk.hex(), "name": "device", "box": record.hex()}
    found.append(good("vault-record", "VLT-007", "vault-record", of_record, b"secret".hex()))
    found.append(bad("vault-record-name", "VLT-007", "vault-record", {**of_record, "name": "token"}, "C_VAULT"))
    found += [
        bad(f"vault-record-{n}", "SLOT-001 VLT-007", "vault-record", {**of_record, "box": data.hex()}, "C_VAULT")
        for n, data in flips(record).items()
    ]
    store = kdf(vk, b"", "vault-store", scope)
    found.append(
        good("vault-store-key", "VLT-007", "vault-store-key", {"vault": good_vault, "vk": vk.hex()}, store.hex())
    )
    line = f"cloister-key-1 {b64(agent)}"
    for name, content in {"lf": line + "\n", "crlf": line + "\r\n", "none": line}.items():
        found.append(good(f"key-file-{name}", "VLT-008", "key-file", {"text": content}, agent.hex()))
    for name, content in {
        "empty": "",
        "cut": line[:-1],
        "two": line + "\n\n",
        "version": line.replace("-1 ", "-2 "),
    }.items():
        found.append(bad(f"key-file-{name}", "VLT-008", "key-file", {"text": content}, "C_FORMAT"))
    for pin in (PIN, "271905", "593028174620"):
        found.append(good(f"pin-{pin}", "VLT-006", "pin", {"pin": pin}, pin))
    for pin in (
        "12345",
        "1234567890123",
        "80471x",
        "\uff18\uff10\uff14\uff17\uff11\uff13",
        "123456",
        "000000",
        "890123",
        "471471",
        "474747",
        "987654",
    ):
        found.append(bad(f"pin-{len(found)}", "VLT-006", "pin", {"pin": pin}, "L_PIN"))
    unlocking(found, vk)
    return found


def unlocking(found: list[Case], vk: bytes) -> None:
    uk_seed, ds32, salt, pep, nonce = (rng(name)(32) for name in ("uk", "ds", "pin-salt", "pep", "nonce"))
    uk = Ed25519PrivateKey.from_private_bytes(uk_seed)
    a = Argon2id(salt=salt[:16], length=32, iterations=3, lanes=1, memory_cost=65536).derive(PIN.encode())
    tag = kdf(a, ds32, "vault-tag", lp(DV))
    key = kdf(lp(a, pep), salt, "vault", lp(ACCOUNT, DV, "*"))
    hp = hashlib.sha256(lp("pep", pep)).digest()
    local = {"uk": b64(uk_seed), "ds": b64(ds32), "salt": b64(salt), "hp": b64(hp)}
    sealed = box(key, vk, lp("vault-opener", "pin", ACCOUNT, DV), "pin")
    vault = header({"pin": (b"", sealed)}, local)

    def sig(nonce: bytes, tag: bytes) -> str:
        return uk.sign(lp("sph/1 unlock", REALM, DV, nonce, tag)).hex()

    given = {"vault": vault, "pin": PIN, "nonce": nonce.hex()}
    value = {"tag": tag.hex(), "sig": sig(nonce, tag), "a": a.hex()}
    found.append(good("unlock-attempt", "VLT-009 VLT-010", "unlock-attempt", given, value))
    found.append(bad("unlock-attempt-form", "VLT-010", "unlock-attempt", {**given, "pin": "80471"}, "L_PIN"))
    end = {"vault": vault, "a": a.hex(), "pep": pep.hex()}
    found.append(good("unlock-finish", "VLT-009 VLT-011", "unlock-finish", end, vk.hex()))
    found.append(bad("unlock-finish-pepper", "VLT-011", "unlock-finish", {**end, "pep": "00" * 32}, "C_VAULT"))
    found.append(bad("unlock-finish-a", "VLT-011", "unlock-finish", {**end, "a": "00" * 32}, "C_VAULT"))

    row = {
        "dev": DV,
        "uk": uk.public_key().public_bytes_raw().hex(),
        "tag": tag.hex(),
        "pep": pep.hex(),
        "realm": REALM.hex(),
    }
    other = bytes(32)
    right, wrong = {"nonce": nonce.hex(), "tag": tag.hex()}, {"nonce": nonce.hex(), "tag": other.hex()}
    right["sig"], wrong["sig"] = sig(nonce, tag), sig(nonce, other)
    unsigned = {**right, "sig": wrong["sig"]}
    stale = {**right, "nonce": other.hex()}
    p = pep.hex()
    for name, tries, outcome in (
        ("right", [right], [p]),
        ("restored", [wrong, wrong, right, wrong], [9, 8, p, 9]),
        ("free", [unsigned, stale, wrong], ["refused", "refused", 9]),
        ("exhausted", [*[wrong] * 10, right, wrong], [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0]),
        ("last", [*[wrong] * 9, right], [9, 8, 7, 6, 5, 4, 3, 2, 1, p]),
    ):
        found.append(
            good(
                f"unlock-relay-{name}",
                "VLT-010 VLT-013 VLT-014 VLT-015",
                "unlock-relay",
                {**row, "tries": tries},
                outcome,
            )
        )
    for name, change in {
        "uk-small-order": {"uk": "00" * 32},
        "uk-identity": {"uk": "01" + "00" * 31},
        "tag": {"tag": "00"},
    }.items():
        found.append(bad(f"unlock-relay-{name}", "VLT-013", "unlock-relay", {**row, **change, "tries": []}, "C_FORMAT"))
