"""Fixtures of the hostile suites."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cloister.account import password
from tests.hostile.world import HostileWorld, hostile_world


@pytest.fixture(autouse=True)
def _quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(password, "MEMORY_KIB", 64)


@pytest.fixture
async def hw(tmp_path: Path) -> AsyncIterator[HostileWorld]:
    async with hostile_world(tmp_path) as made:
        yield made
