"""What holds for every test: no test asserts a time, so property tests have no deadline."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("cloister", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cloister")
