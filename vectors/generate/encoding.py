"""Length prefixes, key derivation, base64url, strict JSON, kinds and shapes."""

from __future__ import annotations

import json
from typing import Any

from cloister.protocol import encoding
from vectors.generate import Case, bad, good, rng

ORIGIN = "made by vectors/generate/encoding.py; base64url sizes after RFC 4648 section 10"


def _lp() -> list[Case]:
    def ok(name: str, *parts: Case) -> Case:
        plain = [next(iter(part.values())) for part in parts]
        raw = [bytes.fromhex(v) if "b" in p else int(v) if "i" in p else v for p, v in zip(parts, plain, strict=True)]
        return good(f"enc-lp-{name}", "ENC-001", "lp", {"parts": list(parts)}, encoding.lp(*raw).hex())

    return [
        ok("empty"),
        ok("one-empty-text", {"t": ""}),
        ok("text", {"t": "sph/1"}),
        ok("unicode", {"t": "na\u00efve \U0001f511"}),
        ok("bytes", {"b": "00ff10"}),
        ok("empty-bytes", {"b": ""}),
        ok("zero", {"i": "0"}),
        ok("small", {"i": "7"}),
        ok("over-2-53", {"i": str(2**53 + 1)}),
        ok("largest", {"i": str(2**64 - 1)}),
        ok("mixed", {"t": "sph/1 dv"}, {"b": "01" * 32}, {"i": "1"}),
        ok("split-one-way", {"t": "ab"}, {"t": "c"}),
        ok("split-another-way", {"t": "a"}, {"t": "bc"}),
        bad("enc-lp-negative", "ENC-001", "lp", {"parts": [{"i": "-1"}]}, "C_FORMAT"),
        bad("enc-lp-too-large", "ENC-001", "lp", {"parts": [{"i": str(2**64)}]}, "C_FORMAT"),
    ]


def _kdf() -> list[Case]:
    out = []
    draw = rng("kdf")
    for name, salt, label, ctx, length in [
        ("plain", draw(32), "epoch", draw(40), 32),
        ("no-salt", b"", "prev-key", draw(12), 32),
        ("no-context", draw(32), "meta", b"", 64),
        ("short", draw(16), "sas", draw(8), 8),
        ("one-more-than-a-block", draw(32), "sas", draw(8), 33),
        ("sixty", b"", "sas", b"", 60),
        ("long", draw(32), "msg", draw(8), 96),
    ]:
        ikm = draw(32)
        given = {"ikm": ikm.hex(), "salt": salt.hex(), "label": label, "ctx": ctx.hex(), "length": length}
        value = encoding.kdf(ikm, salt, label, ctx, length).hex()
        out.append(good(f"enc-kdf-{name}", "ENC-002", "kdf", given, value))
    return out


def _b64() -> list[Case]:
    texts = {"": "", "66": "Zg", "666f": "Zm8", "666f6f": "Zm9v", "fbff": "-_8", "00": "AA", "ffffff": "____"}
    out = [good(f"enc-b64-{n}", "ENC-003", "b64d", {"text": t}, h) for n, (h, t) in enumerate(texts.items())]
    out += [good(f"enc-b64e-{n}", "ENC-003", "b64e", {"bytes": h}, t) for n, (h, t) in enumerate(texts.items())]
    wrong = {
        "padding": "Zg==",
        "standard-alphabet": "+/8",
        "length-1": "Z",
        "length-5": "Zm9vY",
        "trailing-bits-2": "Zh",
        "trailing-bits-3": "Zm9",
        "blank": "Zm 9v",
        "newline": "Zm9v\n",
        "dot": "Zm.v",
        "not-ascii": "Zm\u00f6v",
        "nul": "Zm\u0000v",
    }
    return out + [bad(f"enc-b64-{name}", "ENC-003", "b64d", {"text": t}, "C_FORMAT") for name, t in wrong.items()]


def _json() -> list[Case]:
    fine: dict[str, tuple[str, str]] = {
        "empty": ("ENC-004", "{}"),
        "members": ("ENC-004", '{"a":1,"b":"x","c":[true,false,[]],"d":{}}'),
        "any-order": ("ENC-004", '{"b":1,"a":2}'),
        "unicode": ("ENC-006", '{"t":"na\u00efve \U0001f511 \u2028"}'),
        "escapes": ("ENC-006", r'{"t":"\"\\\/\b\f\n\r\t\u0041\u00e9"}'),
        "nul": ("ENC-006", r'{"t":"\u0000"}'),
        "pair": ("ENC-006", r'{"t":"\ud83d\udd11"}'),
        "escaped-backslash-u": ("ENC-006", r'{"t":"\\ud800"}'),
        "solidus": ("ENC-006", '{"t":"/"}'),
        "zero": ("ENC-007", '{"n":0}'),
        "largest": ("ENC-007", '{"n":9007199254740991}'),
        "depth-8": ("ENC-008", '{"a":' * 7 + "{}" + "}" * 7),
        "depth-8-lists": ("ENC-008", '{"a":' + "[" * 7 + "]" * 7 + "}"),
        "brackets-in-text": ("ENC-008", '{"a":"{{{{{{{{[[[[[[[["}'),
        "wide": ("ENC-008", '{"a":[' + ",".join(["{}"] * 12) + "]}"),
        "proto-inside": ("ENC-005", '{"x__proto__":1,"constructors":2}'),
        "proto-as-text": ("ENC-005", '{"t":"__proto__"}'),
    }
    wrong: dict[str, tuple[str, bytes]] = {
        "nothing": ("ENC-004", b""),
        "list": ("ENC-004", b"[]"),
        "text": ("ENC-004", b'"a"'),
        "number": ("ENC-004", b"1"),
        "blank-before": ("ENC-004", b" {}"),
        "blank-after": ("ENC-004", b"{} "),
        "blank-inside": ("ENC-004", b'{"a": 1}'),
        "newline-inside": ("ENC-004", b'{"a":1,\n"b":2}'),
        "newline-after": ("ENC-004", b"{}\n"),
        "mark": ("ENC-004", b"\xef\xbb\xbf{}"),
        "two": ("ENC-004", b"{}{}"),
        "comma-last": ("ENC-004", b'{"a":1,}'),
        "comma-missing": ("ENC-004", b'{"a":1"b":2}'),
        "colon-missing": ("ENC-004", b'{"a"1}'),
        "unclosed": ("ENC-004", b'{"a":1'),
        "closed-twice": ("ENC-004", b'{"a":1}}'),
        "crossed": ("ENC-004", b'{"a":[1}]'),
        "bare-key": ("ENC-004", b"{a:1}"),
        "single-quotes": ("ENC-004", b"{'a':1}"),
        "comment": ("ENC-004", b'{"a":1}/**/'),
        "latin1": ("ENC-004", b'{"a":"\xe9"}'),
        "overlong": ("ENC-004", b'{"a":"\xc0\xaf"}'),
        "utf8-surrogate": ("ENC-004", b'{"a":"\xed\xa0\x80"}'),
        "utf16": ("ENC-004", '{"a":1}'.encode("utf-16-le")),
        "duplicate": ("ENC-005", b'{"a":1,"a":1}'),
        "duplicate-escaped": ("ENC-005", rb'{"a":1,"\u0061":2}'),
        "duplicate-deep": ("ENC-005", b'{"x":[{"a":1,"a":2}]}'),
        "proto": ("ENC-005", b'{"__proto__":{}}'),
        "proto-escaped": ("ENC-005", rb'{"\u005f_proto__":{}}'),
        "constructor": ("ENC-005", b'{"a":{"constructor":1}}'),
        "lone-high": ("ENC-006", rb'{"a":"\ud800"}'),
        "lone-low": ("ENC-006", rb'{"a":"\udc00"}'),
        "swapped-pair": ("ENC-006", rb'{"a":"\udd11\ud83d"}'),
        "lone-in-key": ("ENC-006", rb'{"\ud800":1}'),
        "lone-upper": ("ENC-006", rb'{"a":"\uDBFFx"}'),
        "raw-tab": ("ENC-006", b'{"a":"\t"}'),
        "raw-nul": ("ENC-006", b'{"a":"\0"}'),
        "bad-escape": ("ENC-006", rb'{"a":"\x41"}'),
        "short-escape": ("ENC-006", rb'{"a":"\u004"}'),
        "upper-escape": ("ENC-006", rb'{"a":"\U0041"}'),
        "minus": ("ENC-007", b'{"a":-1}'),
        "minus-zero": ("ENC-007", b'{"a":-0}'),
        "plus": ("ENC-007", b'{"a":+1}'),
        "fraction": ("ENC-007", b'{"a":1.0}'),
        "exponent": ("ENC-007", b'{"a":1e2}'),
        "leading-zero": ("ENC-007", b'{"a":01}'),
        "from-2-53": ("ENC-007", b'{"a":9007199254740992}'),
        "seventeen-digits": ("ENC-007", b'{"a":10000000000000000}'),
        "nan": ("ENC-007", b'{"a":NaN}'),
        "infinity": ("ENC-007", b'{"a":Infinity}'),
        "hex": ("ENC-007", b'{"a":0x1}'),
        "null": ("ENC-008", b'{"a":null}'),
        "null-list": ("ENC-008", b'{"a":[null]}'),
        "upper-true": ("ENC-008", b'{"a":True}'),
        "depth-9": ("ENC-008", b'{"a":' * 8 + b"{}" + b"}" * 8),
        "depth-9-lists": ("ENC-008", b'{"a":' + b"[" * 8 + b"]" * 8 + b"}"),
        "very-deep": ("ENC-008", b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"),
    }
    out = [
        good(f"enc-json-{name}", rule, "json-parse", {"bytes": text.encode().hex()}, json.loads(text))
        for name, (rule, text) in fine.items()
    ]
    return out + [
        bad(f"enc-json-{name}", rule, "json-parse", {"bytes": data.hex()}, "C_FORMAT")
        for name, (rule, data) in wrong.items()
    ]


_KEY = "A" * 43
_KINDS: list[tuple[str, Any, bool]] = [
    ("int", 0, True),
    ("int", 2**53 - 1, True),
    ("int", "1", False),
    ("int", True, False),
    ("u32", 2**32 - 1, True),
    ("u32", 2**32, False),
    ("bool", True, True),
    ("bool", 1, False),
    ("object", {}, True),
    ("object", [], False),
    ("id", "id-" + _KEY, True),
    ("id", "dv-" + _KEY, False),
    ("id", "id-" + _KEY[:-1], False),
    ("id", "id-" + _KEY[:-1] + "B", False),
    ("dv", "dv-" + _KEY, True),
    ("sph", "sp-" + _KEY, True),
    ("sph", "SP-" + _KEY, False),
    ("login", "ada", True),
    ("login", "a.b_c-9", True),
    ("login", "Ada", False),
    ("login", ".ada", False),
    ("login", "", False),
    ("login", "a" * 63, True),
    ("login", "a" * 64, False),
    ("login", "ada\n", False),
    ("bytes:12", "A" * 16, True),
    ("bytes:12", "A" * 15, False),
    ("bytes:16", "A" * 22, True),
    ("bytes:16", "A" * 21 + "B", False),
    ("bytes:32", _KEY, True),
    ("bytes:32", _KEY + "A", False),
    ("bytes:32", _KEY + "=", False),
    ("bytes:0|32", "", True),
    ("bytes:0|32", "AA", False),
    ("bytes:64", "A" * 86, True),
    ("bytes:97-1216", "A" * 129, False),
    ("bytes:97-1216", "A" * 130, True),
    ("bytes:97-1216", 97, False),
    ("text:4", "abcd", True),
    ("text:4", "abcde", False),
    ("text:4", "\u00e9\u00e9", True),
    ("text:4", "\u00e9\u00e9e", False),
    ("text:4", 4, False),
    ("enum:a|b", "b", True),
    ("enum:a|b", "c", False),
    ("enum:a|b", "a|b", False),
    ("list:2:u32", [1, 2], True),
    ("list:2:u32", [1, 2, 3], False),
    ("list:2:u32", ["1"], False),
    ("list:2:u32", {}, False),
    ("list:2:list:1:bool", [[True], []], True),
    ("list:2:list:1:bool", [[True, False]], False),
]


def _shapes() -> list[Case]:
    out = []
    for n, (kind, value, fine) in enumerate(_KINDS):
        given = {"shape": {"m": kind}, "bytes": encoding.json_emit({"m": value}).hex()}
        name = f"enc-kind-{n:02}-{kind.partition(':')[0]}"
        out.append(
            good(name, "ENC-009", "shape", given, True) if fine else bad(name, "ENC-009", "shape", given, "C_FORMAT")
        )
    listed = {"a": "int", "b?": "bool"}
    for name, members, fine in [
        ("all", {"a": 1, "b": True}, True),
        ("optional-absent", {"a": 1}, True),
        ("required-absent", {"b": True}, False),
        ("foreign", {"a": 1, "c": 1}, False),
        ("foreign-instead", {"b": True, "c": 1}, False),
        ("optional-wrong-kind", {"a": 1, "b": 1}, False),
        ("case-differs", {"A": 1}, False),
        ("nothing", {}, False),
    ]:
        given = {"shape": listed, "bytes": encoding.json_emit(members).hex()}
        case = f"enc-shape-{name}"
        out.append(
            good(case, "ENC-010", "shape", given, True) if fine else bad(case, "ENC-010", "shape", given, "C_FORMAT")
        )
    open_list = {"shape": {"a": "int", "*": "by a"}, "bytes": encoding.json_emit({"a": 1, "z": [1]}).hex()}
    closed = {"shape": {"a": "int", "*": "by a"}, "bytes": encoding.json_emit({"z": [1]}).hex()}
    out.append(good("enc-shape-open", "ENC-010", "shape", open_list, True))
    out.append(bad("enc-shape-open-required-absent", "ENC-010", "shape", closed, "C_FORMAT"))
    return out


def cases() -> list[Case]:
    return _lp() + _kdf() + _b64() + _json() + _shapes()
