"""The network transport: HTTPS requests (httpx2) and the live connection.

TLS certificates are always verified, against the system's authorities or one PEM file of a local authority. Plain
http is refused except for the loopback host or when the caller allows it by name. Redirects are not followed, so a
token is never sent to another address; proxies of the environment are not used for loopback.

Spec: CLT-025, CLT-026.
"""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx2

from cloister.account.login import origin as origin_of
from cloister.client.transports.base import Answer
from cloister.client.transports.websocket import WebSocket, open_socket
from cloister.errors import TooLarge, Unreachable, UsageError

MAX_ANSWER: Final = 64 * 1024 * 1024


def is_loopback(origin: str) -> bool:
    """Whether the host is this machine by name or address."""
    host = urlsplit(origin).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class HttpTransport:
    """Requests to one origin over the network."""

    def __init__(self, url: str, *, ca_file: str | Path | None = None, allow_http: bool = False) -> None:
        self._origin = origin_of(url)
        plain = self._origin.startswith("http://")
        if plain and not (allow_http or is_loopback(self._origin)):
            raise UsageError("a server on another machine needs an https address")
        self._tls: ssl.SSLContext | None = None
        if not plain:
            try:
                self._tls = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
            except (OSError, ssl.SSLError):
                raise UsageError("the file of the certificate authority cannot be read") from None
            self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._client = httpx2.AsyncClient(
            base_url=self._origin,
            # Plain http: a context that trusts nobody, which also costs nothing to make.
            verify=self._tls if self._tls is not None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            timeout=httpx2.Timeout(30.0, connect=10.0),
            follow_redirects=False,
            trust_env=not is_loopback(self._origin),
        )

    @property
    def origin(self) -> str:
        return self._origin

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request. Raises Unreachable (no answer: it may or may not have had its effect), TooLarge."""
        sent = {"accept": "application/json", **(headers or {})}
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        if body is not None:
            sent["content-type"] = "application/json"
        try:
            async with self._client.stream(method, path, content=body, headers=sent) as response:
                parts, size = [], 0
                async for part in response.aiter_bytes():
                    size += len(part)
                    if size > MAX_ANSWER:
                        raise TooLarge("the relay's answer is larger than any allowed one")
                    parts.append(part)
                return Answer(response.status_code, b"".join(parts), dict(response.headers))
        except (httpx2.TransportError, OSError) as error:
            raise Unreachable(self._origin + (_STRANGER if _distrusted(error) else "")) from None

    async def connect(self, path: str) -> WebSocket:
        """Open the live connection."""
        return await open_socket("ws" + self._origin.removeprefix("http") + path, self._tls)

    async def close(self) -> None:
        """Close pooled connections."""
        await self._client.aclose()


_STRANGER: Final = " shows a certificate that no authority known here has signed"


def _distrusted(error: BaseException | None) -> bool:
    """Whether a connection failed because of the other side's certificate."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
