"""Statements of the busiest path: compiled once for each kind of database, and handed to its driver as they are.

Knows SQLAlchemy's compiler and connections. What is stored and what comes back is in the driver's own types: numbers,
text, bytes. A fault of the driver is raised as SQLAlchemy would, without what was being stored.

Spec: API-050.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import CompilerElement

Row = tuple[Any, ...]

_DIALECTS: Any = {
    "sqlite": sqlite.dialect(paramstyle="qmark"),
    "postgresql": postgresql.dialect(paramstyle="format"),  # type: ignore[no-untyped-call]
}


class Prepared:
    """One statement with values for ``names``, in this order."""

    def __init__(self, statement: CompilerElement, *names: str) -> None:
        made = {name: statement.compile(dialect=dialect) for name, dialect in _DIALECTS.items()}
        for one in made.values():
            assert tuple(getattr(one, "positiontup", None) or ()) == names
        self._texts = {name: str(one) for name, one in made.items()}
        self._named = _named([one.name for one in getattr(statement, "selected_columns", ())])

    def run(self, conn: Connection, values: Row) -> None:
        """Once."""
        self._cursor(conn, values, "execute").close()

    def run_each(self, conn: Connection, rows: Sequence[Row]) -> None:
        """Once for each row."""
        self._cursor(conn, rows, "executemany").close()

    def first(self, conn: Connection, values: Row) -> Any | None:
        """The first row found, with the columns' names."""
        cursor = self._cursor(conn, values, "execute")
        row = cursor.fetchone()
        cursor.close()
        return None if row is None else self._named(row)

    def all(self, conn: Connection, values: Row) -> list[Any]:
        """Every row found, with the columns' names."""
        cursor = self._cursor(conn, values, "execute")
        rows = [self._named(row) for row in cursor.fetchall()]
        cursor.close()
        return rows

    def _cursor(self, conn: Connection, values: Any, how: str) -> Any:
        dialect = conn.dialect
        cursor = conn.connection.cursor()
        try:
            getattr(cursor, how)(self._texts[dialect.name], values)
        except dialect.loaded_dbapi.Error as error:
            cursor.close()
            raise DBAPIError.instance(
                None, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, dialect=dialect
            ) from None
        return cursor


def _named(columns: Sequence[str]) -> Any:
    found: Any = namedtuple("Found", columns)  # type: ignore[misc]  # noqa: PYI024 - known at run time only
    return found._make
