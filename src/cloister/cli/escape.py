"""Untrusted text made safe to show: control, bidirectional and invisible characters become visible escapes.

Names, messages and labels come from other people. On a terminal they could move the cursor, hide text or turn its
order around; here they become ``\\x1b`` or ``\\u202e``. Knows characters; refuses to know what they say.
"""

from __future__ import annotations

import unicodedata
from typing import Final

# Joiners are part of several scripts and of many emoji: they are drawn, and neither hide nor reorder anything.
_KEPT: Final = frozenset("\u200c\u200d")
_UNSAFE: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
_RIGHT_TO_LEFT: Final = frozenset(("R", "AL", "AN"))
FIRST_STRONG: Final = "\u2068"
POP: Final = "\u2069"


def _shown(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def escape(text: str, *, lines: bool = False) -> str:
    """``text`` with every unsafe character written as an escape. With ``lines`` line breaks and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    out = []
    for char in text:
        if lines and char in "\n\t":
            out.append(char if char == "\n" else "    ")
        elif char not in _KEPT and unicodedata.category(char) in _UNSAFE:
            out.append(_shown(char))
        else:
            out.append(char)
    return "".join(out)


def isolated(text: str) -> str:
    """``text`` in a bidirectional isolate when it holds right-to-left letters, so that it cannot reorder its line."""
    if any(unicodedata.bidirectional(char) in _RIGHT_TO_LEFT for char in text):
        return f"{FIRST_STRONG}{text}{POP}"
    return text
