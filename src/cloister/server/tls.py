"""Certificates for https: from files, or from an authority made on this machine.

The authority's key and the server's key lie in the data folder, mode 0600. Other machines trust ``tls/ca.pem``. The
server certificate is made again when a name is missing or it ends within a month; the authority stays.

Spec: API-070, API-071.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloister import crypto_x509
from cloister.errors import DiskTrouble, UsageError
from cloister.server.settings import Settings

RENEW_BEFORE: Final = 30 * 86400


@dataclass(frozen=True)
class Certificates:
    """Paths for the listener; ``ca`` is what other machines must trust, when this relay made it."""

    cert: Path
    key: Path
    ca: Path | None


def certificates(settings: Settings, now: int) -> Certificates | None:
    """What to listen with, None for plain http. Raises UsageError (files), DiskTrouble."""
    if settings.tls == "files":
        cert, key = Path(settings.tls_cert), Path(settings.tls_key)
        for name, path in (("tls_cert", cert), ("tls_key", key)):
            if not os.access(path, os.R_OK):
                raise UsageError(f"{name}: {path} cannot be read; allowed: a PEM file")
        return Certificates(cert, key, None)
    if settings.tls != "own":
        return None
    try:
        return _own(settings, now)
    except OSError as error:
        raise DiskTrouble(f"tls: {error.strerror}") from None


def names_of(settings: Settings) -> list[str]:
    """Names the server certificate covers: this machine's, the listening address, the configured ones."""
    names = ["localhost", "127.0.0.1", "::1", socket.gethostname().lower(), *_addresses(), *settings.tls_names]
    if settings.host not in ("", "0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        names.append(settings.host)
    return list(dict.fromkeys(name for name in names if name))


def _addresses() -> list[str]:
    """This machine's own addresses, as far as it knows them without asking anybody."""
    try:
        found = socket.getaddrinfo(socket.gethostname(), None)
    except OSError:
        return []
    return sorted({str(one[4][0]).partition("%")[0] for one in found})


def _own(settings: Settings, now: int) -> Certificates:
    folder = settings.data / "tls"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ca, ca_key = folder / "ca.pem", folder / "ca.key"
    cert, key = folder / "server.pem", folder / "server.key"
    if not (ca.exists() and ca_key.exists()):
        made_key, made = crypto_x509.make_authority(now)
        _write(ca_key, made_key)
        _write(ca, made, 0o644)
    wanted = names_of(settings)
    if not (cert.exists() and key.exists()) or not _still_good(cert, wanted, now):
        made_key, made = crypto_x509.make_server(ca_key.read_bytes(), ca.read_bytes(), wanted, now)
        _write(key, made_key)
        _write(cert, made + ca.read_bytes(), 0o644)
    return Certificates(cert, key, ca)


def _still_good(path: Path, wanted: list[str], now: int) -> bool:
    try:
        names, end = crypto_x509.names_and_end(path.read_bytes())
    except ValueError:
        return False
    return set(wanted) <= set(names) and end - now > RENEW_BEFORE


def _write(path: Path, data: bytes, mode: int = 0o600) -> None:
    temporary = path.with_suffix(".new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
