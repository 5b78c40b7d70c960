"""One message: padding, payloads, sealing, decoding, opening, and who may change what."""

from __future__ import annotations

import json
from typing import Any

from cloister import crypto
from cloister.protocol.encoding import b64d, b64e, json_emit, kdf, lp
from cloister.sphere import epoch, message, padding
from cloister.sphere import payload as payloads
from cloister.sphere.message import Place
from cloister.sphere.payload import Payload
from vectors.generate import Case, bad, good, rng
from vectors.generate._sphere import NOW, Person

ORIGIN = "made by vectors/generate/messages.py with seeded keys; sizes and refusals are stated there by hand"
SPH = "sp-FQ9ju9t-zF4d_Z8YBWMA7-5qtjk_FdpREckEdcMuJ1I"
OTHER = SPH[:-1] + "M"
DECRYPT, FORMAT, UNKNOWN, SIG = "C_DECRYPT", "C_FORMAT", "C_KEY_UNKNOWN", "C_SIG"
CID, MID = bytes(range(16)), bytes(range(1, 17))
KINDS: dict[str, Case] = {
    "msg": {"k": "msg", "cid": b64e(CID), "t": "hello"},
    "msg-text": {"k": "msg", "cid": b64e(CID), "t": 'é\n"\\\t 漢字 👍 \u2028'},
    "msg-pt": {"k": "msg", "cid": b64e(CID), "t": "in clear", "pt": True},
    "comment": {"k": "comment", "cid": b64e(CID), "t": "yes", "re": b64e(MID)},
    "edit": {"k": "edit", "cid": b64e(CID), "t": "hello there", "re": b64e(MID)},
    "delete": {"k": "delete", "cid": b64e(CID), "re": b64e(MID)},
    "react": {"k": "react", "cid": b64e(CID), "re": b64e(MID), "e": "👍", "on": True},
    "react-off": {"k": "react", "cid": b64e(CID), "re": b64e(MID), "e": "👍", "on": False},
    "nick": {"k": "sys", "cid": b64e(CID), "s": "nick", "v": "Ada L."},
}
ADA = Person("ada")
KEY = epoch.derive(bytes(32), bytes(range(32)), SPH, 3)
KNOWN: Case = {"sph": SPH, "n": 3, "secret": KEY.secret.hex()}
DK = crypto.ed25519_public(ADA.dev.seed).hex()
FOLLOWING = Place(2, bytes(range(32)), 9, bytes(range(1, 33)), 3)


def paddings() -> list[Case]:
    table = {0: 256, 255: 256, 256: 512, 511: 512, 512: 1024, 1023: 1024, 1024: 2048, 2047: 2048, 2048: 4096}
    table |= {4095: 4096, 4096: 4352, 4351: 4352, 4352: 4608, 8191: 8192, 8192: 8704, 65535: 65536, 65536: 67584}
    table |= {131072: 135168, 196607: 196608}
    out = [
        good(f"msg-size-{length}", "MSG-007", "padded-length", {"length": length}, size)
        for length, size in table.items()
    ]
    for name, data in (
        ("empty", b""),
        ("short", b"abc"),
        ("mark", b"a\x80\0\0"),
        ("full", b"x" * 255),
        ("next", b"x" * 256),
    ):
        made = padding.pad(data).hex()
        out.append(good(f"msg-pad-{name}", "MSG-007", "pad", {"data": data.hex()}, made))
        out.append(good(f"msg-unpad-{name}", "MSG-007", "unpad", {"data": made}, data.hex()))
    wrong = {
        "nothing": b"",
        "zeros": bytes(256),
        "no-mark": b"x" * 256,
        "other-mark": b"a\x81" + bytes(254),
        "small": b"\x80",
        "odd": b"a\x80" + bytes(253),
        "large": b"a\x80" + bytes(510),
        "padme": b"x" * 4300 + b"\x80" + bytes(4608 - 4301),
    }
    out += [
        bad(f"msg-unpad-bad-{name}", "MSG-007", "unpad", {"data": data.hex()}, FORMAT) for name, data in wrong.items()
    ]
    return out


def contents() -> list[Case]:
    def emit(value: Case) -> str:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode().hex()

    out = [good(f"msg-payload-{n}", "MSG-009", "payload-decode", {"bytes": emit(v)}, v) for n, v in KINDS.items()]
    turned = dict(reversed(KINDS["react"].items()))
    out.append(good("msg-payload-order", "MSG-009", "payload-decode", {"bytes": emit(turned)}, KINDS["react"]))
    escaped = json.dumps(KINDS["msg-text"], separators=(",", ":")).encode().hex()
    out.append(good("msg-payload-escapes", "MSG-009", "payload-decode", {"bytes": escaped}, KINDS["msg-text"]))
    changes: dict[str, tuple[str, Case]] = {
        "no-kind": ("msg", {"k": None}),
        "kind-number": ("msg", {"k": 1}),
        "no-cid": ("msg", {"cid": None}),
        "cid-short": ("msg", {"cid": b64e(CID[:15])}),
        "cid-bits": ("msg", {"cid": b64e(CID)[:-1] + "9"}),
        "no-text": ("msg", {"t": None}),
        "text-number": ("msg", {"t": 5}),
        "msg-re": ("msg", {"re": b64e(MID)}),
        "pt-false": ("msg", {"pt": False}),
        "pt-number": ("msg", {"pt": 1}),
        "extra": ("msg", {"x": 1}),
        "comment-no-re": ("comment", {"re": None}),
        "edit-no-text": ("edit", {"t": None}),
        "delete-text": ("delete", {"t": "x"}),
        "react-no-on": ("react", {"on": None}),
        "react-long": ("react", {"e": "x" * 65}),
        "sys-other": ("nick", {"s": "topic"}),
        "sys-long": ("nick", {"v": "x" * 257}),
    }
    for name, (base, change) in changes.items():
        value = {k: v for k, v in {**KINDS[base], **change}.items() if v is not None}
        out.append(bad(f"msg-payload-{name}", "MSG-009", "payload-decode", {"bytes": emit(value)}, FORMAT))
    raw = {
        "space": b'{"k": "msg"}',
        "list": b"[]",
        "utf8": b'{"k":"msg","cid":"' + b"\xff",
        "twice": b'{"k":"msg","k":"msg"}',
    }
    out += [bad(f"msg-payload-{n}", "MSG-009", "payload-decode", {"bytes": d.hex()}, FORMAT) for n, d in raw.items()]
    later = {"k": "file", "cid": b64e(CID)}
    out.append(bad("msg-payload-later", "MSG-010", "payload-decode", {"bytes": emit(later)}, "E_VERSION"))
    return out


def make(payload: Payload, place: Place, label: str, **over: Any) -> str:
    args: dict[str, Any] = {
        **{"sph": SPH, "dv": ADA.dev.dv, "signer": ADA.dev.signer, "iat": NOW, "rng": rng(label), "key": KEY},
        **over,
    }
    return message.seal(payload, place, **args)


def signed(header: Case, payload: bytes) -> str:
    signing_input = f"{b64e(json_emit(header))}.{b64e(payload)}"
    return f"{signing_input}.{b64e(ADA.dev.signer(signing_input.encode()))}"


def parts(compact: str) -> tuple[Case, bytes]:
    header, payload, _ = compact.split(".")
    return json.loads(b64d(header)), b64d(payload)


def seals() -> list[Case]:
    out = []
    first = Place(1, b"", 1, bytes(32), 3)
    for name, kind, place, over in (
        ("first", "msg", first, {}),
        ("following", "comment", FOLLOWING, {}),
        ("try", "msg-text", FOLLOWING._replace(tries=2), {}),
        ("thread", "react", FOLLOWING, {"thr": bytes(range(16))}),
        ("open", "msg", FOLLOWING._replace(ep=0), {"key": None}),
        ("plaintext", "msg-pt", FOLLOWING, {"key": None}),
    ):
        payload = payloads.decode(json_emit(KINDS[kind]))
        compact = make(payload, place, name, **over)
        head, _ = parts(compact)
        given: Case = {
            **{"payload": payloads.encode(payload).hex(), "sph": SPH, "seed": ADA.dev.seed.hex(), "iat": NOW},
            **{"seq": place.seq, "ph": place.ph.hex(), "ls": place.ls, "lh": place.lh.hex(), "ep": place.ep},
            **{"try": place.tries, "mid": b64d(head["mid"]).hex()},
        }
        if "thr" in over:
            given["thr"] = over["thr"].hex()
        if "key" not in over:
            given |= {"key": KNOWN, "nonce": b64d(head["n"]).hex()}
        out.append(good(f"msg-seal-{name}", "MSG-001 MSG-004 MSG-005", "message-seal", given, compact))
        mode = "open" if name == "open" else "e2ee"
        opening = {"message": compact, "dk": DK, "key": KNOWN, "mode": mode}
        out.append(good(f"msg-open-{name}", "MSG-003 MSG-005 MSG-008", "message-open", opening, KINDS[kind]))
    return out


def headers() -> list[Case]:
    compact = make(payloads.decode(json_emit(KINDS["msg"])), FOLLOWING, "header")
    header, sealed = parts(compact)
    got = message.decode(compact)
    value = {"header": header, "digest": got.digest.hex()}
    turned = signed(dict(reversed(header.items())), sealed)
    other = {"header": header, "digest": message.decode(turned).digest.hex()}
    out = [
        good("msg-decode", "MSG-002", "message-decode", {"message": compact}, value),
        good("msg-decode-order", "MSG-002", "message-decode", {"message": turned}, other),
    ]
    changes: dict[str, Case] = {
        "seq-zero": {"seq": 0},
        "seq-one": {"seq": 1},
        "seq-large": {"seq": 2**53},
        "ph-empty": {"ph": ""},
        "ph-short": {"ph": b64e(bytes(31))},
        "no-n": {"n": None},
        "no-cm": {"cm": None},
        "no-n-cm": {"n": None, "cm": None},
        "none-with-n": {"enc": "none"},
        "enc-other": {"enc": "A128GCM"},
        "alg-other": {"alg": "EdDSA"},
        "ep-large": {"ep": 2**32},
        "kid-identity": {"kid": ADA.handle},
        "mid-short": {"mid": b64e(bytes(15))},
        "lh-empty": {"lh": ""},
        "no-iat": {"iat": None},
        "crit": {"crit": ["b64"]},
        "jwk": {"jwk": {}},
    }
    for name, change in changes.items():
        changed = {k: v for k, v in {**header, **change}.items() if v is not None}
        out.append(bad(f"msg-decode-{name}", "MSG-002", "message-decode", {"message": signed(changed, sealed)}, FORMAT))
    return out


def openings() -> list[Case]:
    compact = make(payloads.decode(json_emit(KINDS["msg"])), FOLLOWING, "opening")
    header, sealed = parts(compact)
    given: Case = {"message": compact, "dk": DK, "key": KNOWN, "mode": "e2ee"}
    out = []

    def no(name: str, rule: str, code: str, **change: Any) -> None:
        out.append(bad(f"msg-open-{name}", rule, "message-open", {**given, **change}, code))

    for at in (0, 100, 255, 256, 271):
        flipped = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        no(f"flip-{at}", "MSG-005", DECRYPT, message=signed(header, flipped))
    no("short", "MSG-005", DECRYPT, message=signed(header, sealed[:-1]))
    no("nothing", "MSG-005", DECRYPT, message=signed(header, b""))
    for name, change in (
        ("kid", {"kid": Person("bo").dev.dv}),
        ("mid", {"mid": b64e(bytes(16))}),
        ("seq", {"seq": 3}),
        ("ph", {"ph": b64e(bytes(32))}),
        ("ls", {"ls": 8}),
        ("lh", {"lh": b64e(bytes(32))}),
        ("iat", {"iat": NOW + 1}),
        ("try", {"try": 1}),
        ("n", {"n": b64e(bytes(12))}),
        ("cm", {"cm": b64e(bytes(32))}),
    ):
        no(f"moved-{name}", "MSG-005", DECRYPT, message=signed({**header, **change}, sealed))
    head, body, signature = compact.split(".")
    raw = b64d(signature)
    no("signature", "MSG-003", SIG, message=f"{head}.{body}.{b64e(bytes([raw[0] ^ 1]) + raw[1:])}")
    no("signature-short", "MSG-003", SIG, message=f"{head}.{body}.{b64e(raw[:-1])}")
    no("other-device", "MSG-003", SIG, dk=crypto.ed25519_public(bytes(32)).hex())
    no("no-key", "MSG-008", UNKNOWN, key=None)
    no("other-epoch", "MSG-008", UNKNOWN, key={**KNOWN, "n": 4})
    no("other-sphere", "MSG-008", UNKNOWN, key={**KNOWN, "sph": OTHER})
    no("wrong-secret", "MSG-005", DECRYPT, key={**KNOWN, "secret": bytes(32).hex()})
    clear = make(payloads.decode(json_emit(KINDS["msg"])), FOLLOWING, "clear", key=None)
    meant = make(payloads.decode(json_emit(KINDS["msg-pt"])), FOLLOWING, "clear", key=None)
    no("clear-without-pt", "MSG-008", FORMAT, message=clear)
    no("pt-in-the-open", "MSG-008", FORMAT, message=meant, mode="open")
    no("pt-in-public", "MSG-008", FORMAT, message=meant, mode="public")
    mid = b64d(header["mid"])
    mk = kdf(KEY.secret, mid, "msg", lp(SPH, 3, ADA.dev.dv, mid), 64)
    aad = b64e(json_emit(header)).encode()
    for name, plain, code in (
        ("pt-sealed", padding.pad(json_emit(KINDS["msg-pt"])), FORMAT),
        ("unpadded", json_emit(KINDS["msg"]), FORMAT),
        ("no-json", padding.pad(b"hello"), FORMAT),
        ("later", padding.pad(b'{"k":"file"}'), "E_VERSION"),
    ):
        no(
            name,
            "MSG-008 MSG-007 MSG-009",
            code,
            message=signed(header, crypto.aead_seal(mk[:32], b64d(header["n"]), plain, aad)),
        )
    return out


def changes() -> list[Case]:
    out = []
    for kind in ("edit", "delete", "react", "comment"):
        for role in ("guest", "member", "admin", "owner"):
            for own in (True, False):
                given = {
                    "payload": json_emit(KINDS[kind]).hex(),
                    "author": "id-a",
                    "role": role,
                    "target": "id-a" if own else "id-b",
                }
                name = f"msg-change-{kind}-{role}-{'own' if own else 'other'}"
                refused = not own and (kind == "edit" or (kind == "delete" and role in ("guest", "member")))
                case = (
                    bad(name, "MSG-012", "check-change", given, "C_NOT_MEMBER")
                    if refused
                    else good(name, "MSG-012", "check-change", given, True)
                )
                out.append(case)
    for kind in ("comment", "edit", "delete", "react"):
        for target in ("msg", "comment", "edit", "delete", "react", "nick"):
            given = {"payload": json_emit(KINDS[kind]).hex(), "target": json_emit(KINDS[target]).hex()}
            name = f"msg-target-{kind}-{target}"
            fine = target in ("msg", "comment")
            out.append(
                good(name, "MSG-011", "check-target", given, True)
                if fine
                else bad(name, "MSG-011", "check-target", given, FORMAT)
            )
    return out


def cases() -> list[Case]:
    return [*paddings(), *contents(), *seals(), *headers(), *openings(), *changes()]
