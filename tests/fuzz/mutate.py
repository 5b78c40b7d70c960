"""Damaging inputs with an understanding of their form: raw bytes, base64url, strict JSON, signed envelopes.

An envelope is taken apart, its header or payload damaged, and most of the time signed again with the right key, so
that the damage reaches the code behind the signature. JSON is damaged as a tree (with the sins a parser must refuse:
doubled members, foreign numbers, surrogates, white space) and strings inside it by their own form. Everything follows
from one seeded generator: a failure comes back with its seed.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

from cloister.errors import FormatError
from cloister.protocol.encoding import b64d, b64e

COMPACT = re.compile(rb"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*")
B64 = re.compile(r"[A-Za-z0-9_-]{8,}")
Sign = Callable[[str, dict[str, Any], bytes], bytes]

LEAVES: tuple[Any, ...] = (
    *(0, 1, -1, 2, 255, 2**31, 2**32 - 1, 2**32, 2**53 - 1, 2**53, 2**64, 10**30, 0.5, 1e300),
    *(
        True,
        False,
        None,
        "",
        "a",
        "A" * 43,
        "A" * 86,
        "\x00",
        "é",
        "\ufeff",
        "𝄞",
        "none",
        "all",
        "id-",
        "dv-" + "A" * 43,
    ),
    *("sp-" + "A" * 43, "days:0", "days:9999", "__proto__", "constructor", "=", "AA==", "../../x", "x" * 5000),
    *([], {}, [[]], [0] * 300, {"a": {}}),
)
TOKENS: tuple[bytes, ...] = (
    *(
        b"\x00",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\x80",
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b":",
        b",",
        b".",
        b"..",
        b"\\",
        b"\\u0000",
    ),
    *(
        b"\\ud800",
        b"1e2",
        b"-0",
        b"00",
        b"NaN",
        b"Infinity",
        b"null",
        b"true",
        b" ",
        b"\n",
        b"\t",
        b"//",
        b"=",
        b"~",
        b"#",
    ),
    *(b"[" * 9, b'{"a":' * 9, b"9" * 400, b"A" * 4096, b"\xed\xa0\x80", b"e30", b"e30.e30.e30"),
)


class Mutator:
    """All mutations. ``sign`` makes a signature for (typ, header, signing input); ``pool`` are inputs to splice."""

    def __init__(self, rng: random.Random, sign: Sign | None = None, pool: list[bytes] | None = None) -> None:
        self.rng = rng
        self.sign = sign
        self.pool = pool or []

    def mutate(self, data: bytes) -> bytes:
        """One damaged form of ``data``."""
        roll = self.rng.random()
        if roll < 0.06 and self.pool:
            return self.rng.choice(self.pool)
        if roll < 0.8:
            if COMPACT.fullmatch(data):
                return self.envelope(data)
            if data[:1] in (b"{", b"["):
                try:
                    return self.json(json.loads(data))
                except (ValueError, RecursionError):
                    pass
        return self.raw(data)

    # --- bytes ---------------------------------------------------------------------------------------------------

    def raw(self, data: bytes) -> bytes:
        rng, out = self.rng, bytearray(data)
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            at = rng.randrange(len(out) + 1)
            kind = rng.randrange(8)
            if kind == 0 and out:
                out[at % len(out)] ^= 1 << rng.randrange(8)
            elif kind == 1 and out:
                out[at % len(out)] = rng.randrange(256)
            elif kind == 2:
                out[at:at] = rng.choice(TOKENS)
            elif kind == 3:
                del out[at : at + rng.choice((1, 2, 4, 16, 64))]
            elif kind == 4:
                del out[at:]
            elif kind == 5:
                part = out[at : at + rng.randrange(1, 40)]
                out[at:at] = part
            elif kind == 6 and self.pool:
                other = rng.choice(self.pool)
                start = rng.randrange(len(other) + 1)
                out[at : at + rng.randrange(32)] = other[start : start + rng.randrange(64)]
            else:
                out[at:at] = rng.randbytes(rng.choice((1, 3, 12, 32)))
        return bytes(out)

    # --- JSON ----------------------------------------------------------------------------------------------------

    def json(self, value: Any) -> bytes:
        """A damaged tree, emitted; sometimes emitted wrongly."""
        value = self._tree(value, self.rng.choice((0, 1, 1, 1, 2, 3)))
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=self.rng.random() < 0.2)
        sin = self.rng.randrange(24)
        if sin == 0 and text.startswith("{") and len(text) > 2:
            first = text[1:-1].partition(",")[0]
            text = "{" + first + "," + text[1:]
        elif sin == 1:
            text = text.replace(":", ": ", 1)
        elif sin == 2:
            text = text.replace("a", "\\u0061", 1)
        elif sin == 3:
            text += self.rng.choice((" ", "\n", "{}", "\x00", "null"))
        elif sin == 4:
            text = "\ufeff" + text
        elif sin == 5:
            text = re.sub(
                r"\d+", lambda m: self.rng.choice((m[0] + ".0", m[0] + "e0", "-" + m[0], "0" + m[0])), text, count=1
            )
        elif sin == 6:
            text = text.replace('"', '"\\ud800', 1)
        return text.encode("utf-8", "surrogatepass")

    def _tree(self, value: Any, times: int) -> Any:
        for _ in range(times):
            value = self._once(value, 0)
        return value

    def _once(self, value: Any, depth: int) -> Any:
        rng = self.rng
        if isinstance(value, dict) and value and (depth < 1 or rng.random() < 0.85):
            value = dict(value)
            name = rng.choice(list(value))
            kind = rng.randrange(10)
            if kind == 0:
                del value[name]
            elif kind == 1:
                value[rng.choice(("extra", "__proto__", "constructor", "crit", "jku", "b64", "", name + " "))] = (
                    rng.choice(LEAVES)
                )
            elif kind == 2:
                value[name[:-1] or "z"] = value.pop(name)
            elif kind == 3:
                other = rng.choice(list(value))
                value[name], value[other] = value[other], value[name]
            elif kind == 4:
                value = dict(rng.sample(list(value.items()), len(value)))
            else:
                value[name] = self._once(value[name], depth + 1)
            return value
        if isinstance(value, list) and value and rng.random() < 0.85:
            value = list(value)
            at = rng.randrange(len(value))
            kind = rng.randrange(6)
            if kind == 0:
                del value[at]
            elif kind == 1:
                value.insert(at, value[at])
            elif kind == 2:
                rng.shuffle(value)
            else:
                value[at] = self._once(value[at], depth + 1)
            return value
        if isinstance(value, str) and rng.random() < 0.7:
            return self._text(value)
        if isinstance(value, int) and not isinstance(value, bool) and rng.random() < 0.6:
            return value + rng.choice((-1, 1, 2, -value, 2**32, 1 - value))
        if rng.random() < 0.1:
            deep: Any = value
            for _ in range(rng.randrange(1, 12)):
                deep = rng.choice(([deep], {"a": deep}))
            return deep
        return rng.choice(LEAVES)

    def _text(self, text: str) -> str:
        data = text.encode("utf-8", "replace")
        if COMPACT.fullmatch(data) and text.count(".") == 2:
            return self.envelope(data).decode("latin-1")
        prefix = text[:3] if text[:3] in ("id-", "dv-", "sp-") else ""
        if B64.fullmatch(text[len(prefix) :]) and self.rng.random() < 0.8:
            try:
                return prefix + b64e(self.raw(b64d(text[len(prefix) :])))
            except FormatError:
                pass
        return self.raw(data).decode("utf-8", "replace")

    # --- envelopes -----------------------------------------------------------------------------------------------

    def envelope(self, data: bytes) -> bytes:
        """Header, payload or signature damaged; signed again seven times in ten."""
        rng = self.rng
        parts = data.split(b".")
        try:
            header, payload = (b64d(part.decode("ascii")) for part in parts[:2])
        except FormatError:
            return self.raw(data)
        roll = rng.random()
        if roll < 0.4:
            header = self._part(header)
        elif roll < 0.9:
            payload = self._part(payload)
        else:
            signed = self.raw(parts[2])
            return b".".join((parts[0], parts[1], b64e(signed[:64]).encode() if rng.random() < 0.5 else signed))
        signing_input = f"{b64e(header)}.{b64e(payload)}".encode()
        if self.sign and rng.random() < 0.7:
            try:
                fields = json.loads(header)
                signature = self.sign(str(fields.get("typ")), fields, signing_input)
                return signing_input + b"." + b64e(signature).encode()
            except (ValueError, AttributeError, RecursionError):
                pass
        return signing_input + b"." + parts[2]

    def _part(self, data: bytes) -> bytes:
        if data[:1] == b"{" and self.rng.random() < 0.9:
            try:
                return self.json(json.loads(data))
            except (ValueError, RecursionError):
                pass
        return self.raw(data)
