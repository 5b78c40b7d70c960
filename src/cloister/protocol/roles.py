"""The operations of the log as rows of one table, read from ``roles.json``.

Knows who may do what, what a body holds and what must follow; decides nothing. The same file is read by the table in
the spec and by every other implementation.

Spec: ROLE-001, ROLE-002, ROLE-004, ROLE-019.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from cloister.errors import FormatError, VersionTooOld
from cloister.protocol.shape import Check, shape

TABLE: Final[dict[str, Any]] = json.loads(files("cloister.protocol").joinpath("roles.json").read_text("utf-8"))
RANK: Final[dict[str, int]] = {name: rank for rank, name in enumerate(TABLE["roles"], start=1)}
KEM_RANK: Final[dict[str, int]] = {name: rank for rank, name in enumerate(TABLE["kems"])}
LIMITS: Final[dict[str, int]] = TABLE["limits"]
RESERVED: Final = frozenset(TABLE["reserved"])


@dataclass(frozen=True, slots=True)
class Row:
    """One operation: ``may`` maps a role to a permission word; the rest as explained under fields in roles.json."""

    op: str
    may: dict[str, str]
    body: Check
    newcomer: bool
    place: str
    hard: str
    epoch: str
    tails: str


def _row(op: str, row: dict[str, Any]) -> Row:
    return Row(
        op, row["may"], shape(row["body"]), row["newcomer"], row["place"], row["hard"], row["epoch"], row["tails"]
    )


ROWS: Final[dict[str, Row]] = {op: _row(op, row) for op, row in TABLE["ops"].items()}
_POLICY: Final = shape(TABLE["policy"])  # ROLE-017
_ACTS: Final = {op.partition(" ")[2] for op in ROWS if op.startswith("device ")}


def row_of(op: str, body: dict[str, Any]) -> Row:
    """The row of an operation, its body checked (ROLE-002).

    Raises VersionTooOld for an operation, device act or ``v`` of a create that this version does not know (LOG-010),
    FormatError for a body of the wrong form, the policy inside it included (ROLE-017).
    """
    name = op
    if op == "device":
        act = body.get("act")
        if type(act) is not str:
            raise FormatError("device act expected")
        name = f"device {act}"
    row = ROWS.get(name) if " " not in op else None
    later = op == "create" and type(body.get("v")) is int and body["v"] != 1
    if row is None or later:
        raise VersionTooOld(f"operation {name[:40]!r} is not known, or newer")
    row.body(body)
    if "policy" in body:
        _POLICY(body["policy"])
    return row
