"""Counters for Prometheus: how much, how fast, never who.

Spec: API-063.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from cloister.server.core import Relay

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


class Metrics:
    """One registry per application, so that several can live in one process."""

    def __init__(self, relay: Relay) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "cloister_requests", "Requests answered", ("method", "status"), registry=self._registry
        )
        self._seconds = Histogram("cloister_request_seconds", "Time of a request", registry=self._registry)
        sockets = Gauge("cloister_sockets", "Live connections", registry=self._registry)
        sockets.set_function(lambda: relay.hub.sockets)
        waiting = Gauge("cloister_writer_waiting", "Operations waiting for the writer", registry=self._registry)
        waiting.set_function(lambda: relay.writer.waiting if relay.ready else 0)

    def request(self, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(method if method in METHODS else "other", f"{status // 100}xx").inc()
        self._seconds.observe(seconds)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self._registry)
