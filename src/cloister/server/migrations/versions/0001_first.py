"""The first form of the database."""

from __future__ import annotations

from alembic import op

from cloister.server.schema import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table."""
    metadata.create_all(op.get_bind())


def downgrade() -> None:
    """Nothing older exists."""
    raise RuntimeError("there is no older form of this database")
