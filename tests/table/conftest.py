"""The hostile suites' world: cheap passwords, a relay that can be made to lie."""

from __future__ import annotations

from tests.hostile.conftest import _quick_passwords, hw

__all__ = ["_quick_passwords", "hw"]
