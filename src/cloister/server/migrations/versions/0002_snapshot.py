"""Stored shortcuts leave the sphere's row, which every message rewrites, for a table of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Move what is there."""
    op.create_table(
        "snapshot",
        sa.Column("sphere", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sphere"),
    )
    op.execute("INSERT INTO snapshot (sphere, seq, state) SELECT n, snap_seq, snap FROM sphere WHERE snap IS NOT NULL")
    op.drop_column("sphere", "snap")
    op.drop_column("sphere", "snap_seq")
