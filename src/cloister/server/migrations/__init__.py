"""Brings a database to the form of ``schema``, one numbered step after another (alembic)."""
