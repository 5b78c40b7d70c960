"""What every transport offers: requests and one live connection. No secret is known here, bytes only.

Spec: CLT-025.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from cloister.errors import RelayError, relay_error


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body bytes and lower-case headers of one response."""

    status: int
    body: bytes
    headers: dict[str, str]


class Socket(Protocol):
    """One live connection that carries text frames."""

    async def send(self, text: str) -> None:
        """Send one frame. Raises Unreachable when the connection is gone."""

    async def receive(self) -> str:
        """Wait for one frame. Raises Unreachable when the connection ends."""

    async def close(self) -> None:
        """Close; idempotent."""


class Transport(Protocol):
    """Requests answered by a relay. ``origin`` is scheme://host[:port], lower case, default port omitted."""

    @property
    def origin(self) -> str: ...

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send one request; ``path`` begins with a slash. Raises Unreachable when no answer came."""

    async def connect(self, path: str) -> Socket:
        """Open the live connection. Raises Unreachable."""

    async def close(self) -> None:
        """Release connections."""


def failure(answer: Answer, parsed: dict[str, Any] | None) -> RelayError:
    """The error for a response that is not 2xx."""
    return relay_error(parsed if parsed is not None else {}, answer.status)
