"""Messages are found along their chains; the index by device goes, which every message of another author rewrote."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_MOVE = """
INSERT INTO item_chained (sphere, pos, kind, dv, seq, h, ls, at, deleted, prev, mark, jws)
SELECT sphere, pos, kind, dv, seq, h, ls, at, deleted,
  CASE kind WHEN 0 THEN 0 ELSE COALESCE(LAG(pos) OVER chain, 0) END,
  CASE kind WHEN 0 THEN 0 ELSE COALESCE(MAX(CASE WHEN seq % 256 = 0 THEN pos END) OVER before, 0) END,
  jws
FROM item
WINDOW chain AS (PARTITION BY sphere, kind, dv ORDER BY seq),
  before AS (PARTITION BY sphere, kind, dv ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
"""
_ENDS = """
INSERT INTO chain (sphere, dv, seq, h, ls, pos, mark)
SELECT i.sphere, i.dv, i.seq, i.h, i.ls, i.pos, i.mark FROM item_chained AS i
JOIN (SELECT sphere, dv, MAX(seq) AS seq FROM item_chained WHERE kind = 1 GROUP BY sphere, dv) AS e
  ON i.sphere = e.sphere AND i.dv = e.dv AND i.seq = e.seq
WHERE i.kind = 1
"""


def upgrade() -> None:
    """Move what is there into a table with the pointers."""
    op.create_table(
        "item_chained",
        sa.Column("sphere", sa.Integer(), nullable=False),
        sa.Column("pos", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("dv", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("h", sa.LargeBinary(), nullable=False),
        sa.Column("ls", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("prev", sa.BigInteger(), nullable=False),
        sa.Column("mark", sa.BigInteger(), nullable=False),
        sa.Column("jws", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sphere", "pos"),
    )
    op.create_table(
        "chain",
        sa.Column("sphere", sa.Integer(), nullable=False),
        sa.Column("dv", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("h", sa.LargeBinary(), nullable=False),
        sa.Column("ls", sa.BigInteger(), nullable=False),
        sa.Column("pos", sa.BigInteger(), nullable=False),
        sa.Column("mark", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sphere", "dv"),
    )
    op.execute(_MOVE)
    op.execute(_ENDS)
    op.drop_table("item")
    op.rename_table("item_chained", "item")
    only = sa.text("kind = 0")
    op.create_index("ix_item_entry", "item", ["sphere", "seq"], unique=True, sqlite_where=only, postgresql_where=only)
