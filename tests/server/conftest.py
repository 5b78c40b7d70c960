"""Fixtures of the relay's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.server.kit import Kit, postgres, running


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Both databases, one after the other. Neither is left out: without PostgreSQL the test fails."""
    if request.param == "sqlite":
        yield ""
        return
    with postgres() as url:
        yield url


@pytest.fixture
async def both(tmp_path: Path, database: str) -> AsyncIterator[Kit]:
    """A relay on each database."""
    async with running(tmp_path, database=database) as kit:
        yield kit


@pytest.fixture
async def kit(tmp_path: Path) -> AsyncIterator[Kit]:
    """A relay on SQLite."""
    async with running(tmp_path) as made:
        yield made
