"""Epoch secrets, link blobs, titles, key shares, and who may be sent what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from cloister import crypto
from cloister.protocol import jws
from cloister.protocol.encoding import b64d, b64e, kdf
from cloister.protocol.history import History
from cloister.protocol.state import Policy
from cloister.sphere import compose, epoch, meta, share
from cloister.sphere.epoch import EpochKey
from cloister.sphere.meta import Slot, Text
from cloister.sphere.share import Party
from vectors.generate import Case, Recorded, bad, good, rng
from vectors.generate._sphere import NOW, Person, Sphere

ORIGIN = (
    "made by vectors/generate/keys.py with seeded keys; keys-epoch-known was computed by two other programs; "
    "HPKE ciphertexts drawn once, see recorded/"
)
SPH = "sp-FQ9ju9t-zF4d_Z8YBWMA7-5qtjk_FdpREckEdcMuJ1I"
OTHER = SPH[:-1] + "M"
PREV = "9a5cf3bf31c72860a0a269a9caacb1186f6eaf29beed6e01f49ae399febc7c7a"
R = "d7b81ca5f405ac3f1a9c3433af0ffb0dc9f222d32aef7772fafc9db0086b04a7"
DECRYPT, FORMAT, UNKNOWN, MISMATCH = "C_DECRYPT", "C_FORMAT", "C_KEY_UNKNOWN", "C_KC_MISMATCH"


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def epochs() -> list[Case]:
    known = {
        "secret": "d792d6a6bd1cd2ddb418247da364aea2e0ae3acbc49707b8a409f4fa09097fc7",
        "kc": "f9605d5602b51062048ac61aab4090c312dfe74335dd6b276ac9e1b07a1e0000",
    }
    given: Case = {"r": R, "prev": PREV, "sph": SPH, "n": 7}
    draw = rng("keys")
    more = [{"r": draw(32).hex(), "prev": draw(32).hex(), "sph": SPH, "n": n} for n in (1, 2, 2**32 - 1)]
    out = [good("keys-epoch-known", "EPO-001 EPO-002", "epoch-derive", given, known)]
    for i, one in enumerate(more):
        key = epoch.derive(bytes.fromhex(one["r"]), bytes.fromhex(one["prev"]), SPH, one["n"])
        value = {"secret": key.secret.hex(), "kc": key.kc.hex()}
        out.append(good(f"keys-epoch-{i}", "EPO-001 EPO-002", "epoch-derive", one, value))
    for name, change in (
        ("n-zero", {"n": 0}),
        ("n-large", {"n": 2**32}),
        ("r-short", {"r": R[2:]}),
        ("prev-short", {"prev": ""}),
    ):
        out.append(bad(f"keys-epoch-{name}", "EPO-001", "epoch-derive", {**given, **change}, FORMAT))
    org = epoch.derive_org(EpochKey(OTHER, 4, bytes.fromhex(R), b"", b""), bytes.fromhex(PREV), SPH, 2)
    asked = {"secret": R, "m": 4, "prev": PREV, "sph": SPH, "n": 2}
    out.append(good("keys-epoch-org", "EPO-004", "epoch-org", asked, {"secret": org.secret.hex(), "kc": org.kc.hex()}))
    check: Case = {"secret": known["secret"], "n": 7, "kc": known["kc"], "prev": PREV, "sph": SPH}
    out.append(good("keys-check", "EPO-003", "epoch-check", check, True))
    for name, change in (
        ("secret", {"secret": R}),
        ("secret-short", {"secret": known["secret"][2:]}),
        ("secret-long", {"secret": known["secret"] + "00"}),
        ("n", {"n": 8}),
        ("kc", {"kc": flip(bytes.fromhex(known["kc"]), 31).hex()}),
        ("prev", {"prev": R}),
        ("sph", {"sph": OTHER}),
    ):
        out.append(bad(f"keys-check-{name}", "EPO-003", "epoch-check", {**check, **change}, MISMATCH))
    return out


def links() -> list[Case]:
    newer = epoch.derive(bytes.fromhex(R), bytes.fromhex(PREV), SPH, 8)
    older = epoch.derive(bytes.fromhex(PREV), bytes.fromhex(R), SPH, 7)
    nonce = rng("link")(12)
    blob = epoch.link_seal(newer, older, lambda n: nonce[:n])
    first: Case = {"sph": SPH, "n": 8, "secret": newer.secret.hex(), "prev": newer.prev.hex()}
    second: Case = {"n": 7, "kc": older.kc.hex(), "prev": older.prev.hex()}
    make = {"newer": first, "older": {"secret": older.secret.hex()}, "nonce": nonce.hex()}
    given: Case = {"newer": first, "older": second, "blob": blob.hex()}
    out = [
        good("keys-link-seal", "EPO-005", "link-seal", make, blob.hex()),
        good("keys-link-open", "EPO-005 EPO-003", "link-open", given, older.secret.hex()),
    ]
    wrong = {f"flip-{at}": flip(blob, at) for at in (0, 11, 12, 43, 44, 59)}
    wrong |= {"empty": b"", "short": blob[:-1], "long": blob + b"\0"}
    out += [
        bad(f"keys-link-{name}", "EPO-005", "link-open", {**given, "blob": data.hex()}, DECRYPT)
        for name, data in wrong.items()
    ]
    out += [
        bad(f"keys-link-other-{name}", "EPO-005", "link-open", {**given, "newer": {**first, name: other}}, DECRYPT)
        for name, other in (("secret", R), ("prev", R), ("sph", OTHER))
    ]
    lie = epoch.link_seal(newer, replace(older, secret=bytes(32)), lambda n: nonce[:n])
    out.append(bad("keys-link-lie", "EPO-003", "link-open", {**given, "blob": lie.hex()}, MISMATCH))
    return out


def titles() -> list[Case]:
    key = epoch.derive(bytes.fromhex(R), bytes.fromhex(PREV), SPH, 2)
    slot = Slot(Person("ada").dev.dv, SPH, 9, bytes(range(32)), 2)
    place: Case = {"kid": slot.kid, "sph": SPH, "seq": 9, "prev": slot.prev.hex(), "ep": 2}
    known: Case = {"sph": SPH, "n": 2, "secret": key.secret.hex()}
    out = []
    body: Case = {}
    for i, text in enumerate((Text("Küche", "who cooks when", "🍲"), Text(""), Text("x" * 256, "y" * 2048, "z" * 900))):
        draw = rng(f"title{i}")
        blind, n16, nonce = draw(16), draw(16), draw(12)
        parts = iter((blind, n16, nonce))
        opened = meta.prepare(text, lambda n: next(parts))  # noqa: B023
        made = meta.seal(opened, slot, key, lambda n: next(parts))  # noqa: B023
        value = {"title": text.title, "topic": text.topic, "icon": text.icon}
        given = {**value, "slot": place, "key": known, "blind": blind.hex(), "n16": n16.hex(), "nonce": nonce.hex()}
        out.append(good(f"keys-title-seal-{i}", "META-001 META-002", "title-seal", given, made))
        out.append(
            good(f"keys-title-{i}", "META-003", "title-open", {"body": made, "slot": place, "key": known}, value)
        )
        body = body or made
    opening: Case = {"body": body, "slot": place, "key": known}
    for member in ("n16", "n", "cm", "mh", "ct"):
        for at in (0, -1):
            raw = b64d(body[member])
            wrong = {**body, member: b64e(flip(raw, at % len(raw)))}
            name = f"keys-title-flip-{member}-{'first' if at == 0 else 'last'}"
            out.append(bad(name, "META-003", "title-open", {**opening, "body": wrong}, DECRYPT))
    for name, change in (("kid", {"kid": Person("bo").dev.dv}), ("seq", {"seq": 10}), ("prev", {"prev": R})):
        out.append(
            bad(f"keys-title-other-{name}", "META-001", "title-open", {**opening, "slot": {**place, **change}}, DECRYPT)
        )
    out.append(
        bad("keys-title-wrong-key", "META-003", "title-open", {**opening, "key": {**known, "secret": R}}, DECRYPT)
    )
    out.append(bad("keys-title-other-epoch", "META-003", "title-open", {**opening, "key": {**known, "n": 3}}, UNKNOWN))
    out.append(bad("keys-title-no-key", "META-003", "title-open", {"body": body, "slot": place}, UNKNOWN))
    draw = rng("title-form")
    for name, content in (
        ("no-topic", b'{"title":"x","icon":""}'),
        ("no-json", b"x"),
        ("long", b'{"title":"' + b"x" * 257 + b'","topic":"","icon":""}'),
    ):
        blind = draw(16)
        forged = meta.Opened(Text(""), content, blind, meta.commitment(blind, content))
        wrong = meta.seal(forged, slot, key, draw)
        out.append(bad(f"keys-title-{name}", "META-002 META-003", "title-open", {**opening, "body": wrong}, FORMAT))
    blind = draw(16)
    lie = meta.seal(replace(meta.prepare(Text("other"), draw), mh=b64d(body["mh"])), slot, key, draw)
    out.append(bad("keys-title-lie", "META-002", "title-open", {**opening, "body": lie}, DECRYPT))
    clear = {"title": "in clear", "topic": "", "icon": ""}
    out.append(good("keys-title-clear", "META-005", "title-open", {"body": clear, "slot": place}, clear))
    return out


def given_log(sphere: Sphere) -> Case:
    return {"entries": list(sphere.entries), "attach": {b64e(d): c for d, c in sphere.attach.items()}}


def shares() -> list[Case]:
    recorded = Recorded("keys")
    ada, bo, cy, eve = Person("ada", "p384"), Person("bo"), Person("cy", "p384"), Person("eve", "p384")
    sphere = Sphere(ada, policy=Policy(kem_min="p384"), label="shares")
    for person in (bo, cy):
        sphere.add(ada, person)
    sphere.do(cy, compose.Rotate())
    sphere.do(ada, compose.Rotate())
    before = given_log(sphere)
    log, sph = History.load(sphere.history.dump(), sphere.history.digests), sphere.state.sph
    devices = dict(sphere.state.devices)
    sphere.do(ada, compose.Remove(cy.handle))
    after = given_log(sphere)

    def make(name: str, sender: Person, to: Person, n: int) -> str:
        device, party = devices[to.dev.dv], Party(sender.handle, sender.dev.dv)

        def draw() -> str:
            jti = rng(f"jti/{name}")
            return share.seal(sphere.keys[n], log.epoch(n), party, sender.dev.signer, device, iat=NOW, rng=jti)

        return str(recorded.once(name, draw))

    def resign(compact: str, who: Person, **changes: Any) -> str:
        body = {**jws.decode(compact, share.TYP).body, **changes}
        return jws.sign(share.TYP, {"kid": who.dev.dv}, body, who.dev.signer)

    def given(log_: Case, me: Person, compact: str) -> Case:
        who = {"id": me.handle, "dv": me.dev.dv, "kem": me.dev.kem, "secret": me.dev.de_seed.hex()}
        return {**log_, "sph": sph, "me": who, "share": compact}

    def ok(name: str, rule: str, log_: Case, me: Person, compact: str, n: int) -> Case:
        value = {"n": n, "secret": sphere.keys[n].secret.hex()}
        return good(f"keys-share-{name}", rule, "share-open", given(log_, me, compact), value)

    def no(name: str, rule: str, log_: Case, me: Person, compact: str, code: str) -> Case:
        return bad(f"keys-share-{name}", rule, "share-open", given(log_, me, compact), code)

    to_bo, to_cy = make("ada-bo-3", ada, bo, 3), make("ada-cy-3", ada, cy, 3)
    own, older = make("cy-bo-2", cy, bo, 2), make("cy-bo-1", cy, bo, 1)
    ct = b64d(jws.decode(to_bo, share.TYP).body["ct"])
    header, payload, signature = to_bo.split(".")
    epoch3 = log.epoch(3)
    info = share.info(epoch3, sph, Party(ada.handle, ada.dev.dv), Party(bo.handle, bo.dev.dv), "xwing")
    lie = recorded.once("lie", lambda: b64e(crypto.hpke_seal("xwing", devices[bo.dev.dv].de, info, bytes(32))))
    moved = [
        no("moved-recipient", "SHR-004", before, cy, to_bo, DECRYPT),
        no(
            "moved-recipient-resigned",
            "SHR-004",
            before,
            cy,
            resign(to_bo, ada, idR=cy.handle, dvR=cy.dev.dv, kem="p384"),
            DECRYPT,
        ),
        no("moved-sphere", "SHR-004", before, bo, resign(to_bo, ada, sph=SPH), DECRYPT),
        no("moved-epoch", "SHR-004", before, bo, resign(to_bo, ada, n=1), DECRYPT),
        no("moved-sender", "SHR-004", before, bo, resign(to_bo, cy), DECRYPT),
        no("other-kem", "SHR-004", before, bo, resign(to_bo, ada, kem="p384"), DECRYPT),
    ]
    flips = [
        no(f"flip-{at}", "SHR-004", before, bo, resign(to_bo, ada, ct=b64e(flip(ct, at))), DECRYPT)
        for at in (0, 1087, 1088, 1119, 1120, 1151, 1167)
    ]
    return [
        ok("xwing", "SHR-001 SHR-002", before, bo, to_bo, 3),
        ok("p384", "SHR-001 SHR-002", before, cy, to_cy, 3),
        ok("older", "SHR-005", before, bo, older, 1),
        ok("own-epoch-of-a-removed-author", "SHR-005", after, bo, own, 2),
        no("removed-sender", "SHR-005", after, bo, older, "C_NOT_MEMBER"),
        no("stranger", "SHR-005", before, bo, resign(to_bo, eve), UNKNOWN),
        no("epoch-not-in-the-log", "SHR-005", {**before, "entries": before["entries"][:-2]}, bo, to_bo, UNKNOWN),
        no("signature", "SHR-005", before, bo, f"{header}.{payload}.{b64e(flip(b64d(signature), 3))}", "C_SIG"),
        no(
            "ask",
            "SHR-005",
            before,
            bo,
            jws.sign(
                share.TYP,
                {"kid": ada.dev.dv},
                {"k": "ask", "sph": sph, "ns": [3], "iat": NOW, "jti": b64e(bytes(16))},
                ada.dev.signer,
            ),
            FORMAT,
        ),
        no("lie", "EPO-003", before, bo, resign(to_bo, ada, ct=lie), MISMATCH),
        no("short", "SHR-004", before, bo, resign(to_bo, ada, ct=b64e(ct[:-1])), DECRYPT),
        *moved,
        *flips,
    ]


def rsa_shares() -> list[Case]:
    """One secret for one RSA device; the key pair and the ciphertext were drawn once."""
    recorded = Recorded("keys")

    def pair() -> str:
        der = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return b64e(rsa.generate_private_key(65537, 4096).private_bytes(*der))

    private = b64d(str(recorded.once("rsa-private", pair)))
    key = serialization.load_der_private_key(private, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    modulus, info, secret = key.private_numbers().public_numbers.n.to_bytes(512, "big"), b"bound", bytes(range(32))
    z = rng("rsa-z")(32)
    sealed = b64d(str(recorded.once("rsa-sealed", lambda: b64e(crypto.rsa_seal(modulus, z)))))
    ct = sealed + crypto.aead_seal(kdf(z, b"", "rsa-kem", info, 32), bytes(12), secret, b"")
    given = {"private": private.hex(), "info": info.hex(), "ct": ct.hex()}
    wrong = {f"flip-{at}": {**given, "ct": flip(ct, at).hex()} for at in (0, 511, 512, 559)}
    wrong |= {"info": {**given, "info": "00"}, "short": {**given, "ct": ct[:-1].hex()}, "none": {**given, "ct": ""}}
    return [
        good("keys-rsa", "SHR-007", "rsa-share", given, secret.hex()),
        *(bad(f"keys-rsa-{name}", "SHR-007", "rsa-share", one, DECRYPT) for name, one in wrong.items()),
    ]


def grants() -> list[Case]:
    out = []
    day = 86400
    for history in ("all", "since-join", "none", "days:1", "days:10", "days:11"):
        ada, bo = Person("ada", "p384"), Person("bo", "p384")
        sphere = Sphere(ada, policy=Policy(history=history, kem_min="p384"), label="grants")
        for days in (10, 20):
            sphere.do(ada, compose.Rotate(), now=NOW + days * day)
        request = sphere.request(bo, iat=NOW + 21 * day, exp=NOW + 22 * day)
        sphere.do(ada, compose.Add(bo.handle, request), now=NOW + 21 * day)
        sphere.do(ada, compose.Rotate(), now=NOW + 30 * day)
        late = bo.device()
        sphere.do(bo, compose.DeviceAdd(late.cert), dev=late)
        value = {dv: share.granted(sphere.history, bo.handle, dv) for dv in (bo.dev.dv, late.dv)}
        value[ada.dev.dv] = share.granted(sphere.history, bo.handle, ada.dev.dv)
        given = {**given_log(sphere), "id": bo.handle, "dvs": sorted(value)}
        out.append(good(f"keys-granted-{history.replace(':', '-')}", "SHR-006", "share-granted", given, value))
    return out


def cases() -> list[Case]:
    return [*epochs(), *links(), *titles(), *shares(), *rsa_shares(), *grants()]
