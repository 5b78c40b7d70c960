"""Writes the table of operations into 05-log.md, from roles.json.

PYTHONPATH=src python spec/roles_table.py          rewrite the chapter
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CHAPTER = HERE / "05-log.md"
ROLES = HERE.parent / "src" / "cloister" / "protocol" / "roles.json"
BEGIN, END = "<!-- table: made by spec/roles_table.py from roles.json -->\n", "<!-- /table -->"
HARD = {"no": "", "always": "marks", "epoch": ""}
EPOCH = {
    "no": "",
    "e2ee": "epoch if e2ee",
    "history": "epoch if e2ee and history is not all",
    "to-e2ee": "epoch if to e2ee",
}
TAILS = {"no": "", "yes": "tails", "lowered": "tails if lowered"}


def table(roles: dict[str, Any]) -> str:
    """The table of operations, the permission words, the bodies and the policy, as Markdown."""
    order = list(reversed(roles["roles"]))
    lines = ["| op | " + " | ".join(order) + " | place | needs | then |", "|---" * (len(order) + 4) + "|"]
    for op, row in roles["ops"].items():
        effects = [
            HARD[row["hard"]],
            EPOCH[row["epoch"]],
            TAILS[row["tails"]],
            "signed by the new device" if row["newcomer"] else "",
        ]
        then = "; ".join([row["then"], *(effect for effect in effects if effect)])
        may = " | ".join(row["may"][role] for role in order)
        lines.append(f"| {op} | {may} | {row['place']} | {row['needs']} | {then} |")
    lines += ["", "Words: " + "; ".join(f"*{word}* {text}" for word, text in roles["words"].items()) + ".", ""]
    lines += ["| op | body |", "|---|---|"]
    for op, row in roles["ops"].items():
        lines.append(f"| {op} | {_shape(row['body'])} |")
    lines += ["", f"`policy`: {_shape(roles['policy'])}.", ""]
    return "\n".join(lines) + "\n"


def _shape(body: dict[str, str]) -> str:
    return ", ".join(f"`{name}` {kind}".replace("|", "\\|") for name, kind in body.items()) or "(empty)"


def chapter(text: str, roles: dict[str, Any]) -> str:
    """The chapter with its table made anew."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table(roles)}\n{END}{tail}"


def current() -> str:
    """What 05-log.md must be."""
    return chapter(CHAPTER.read_text("utf-8"), json.loads(ROLES.read_text("utf-8")))


if __name__ == "__main__":
    CHAPTER.write_text(current(), "utf-8")
