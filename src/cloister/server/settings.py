"""Settings of the relay: one table drives flags, environment, TOML file, ``--help``, documentation and checks.

Knows names, kinds, defaults and what is allowed. Refuses to know what a setting does. Precedence: flag, then
environment (``CLOISTER_`` and the name in capitals), then the TOML file, then the default. A wrong value is refused
with the setting's name, where it came from and what is allowed.

Spec: API-060, API-061, API-062.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from cloister.errors import UsageError

ENV_PREFIX: Final = "CLOISTER_"
FILE_NAME: Final = "relay.toml"
_ORIGIN: Final = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")


def _data_home() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "cloister"


@dataclass(frozen=True)
class Settings:
    """All settings, checked. Build with ``load``; tests may build it directly and give only ``data``."""

    data: Path
    listen: str = "localhost:8420"
    database: str = ""
    tls: str = "off"
    tls_cert: str = ""
    tls_key: str = ""
    tls_names: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    signup: str = "invite"
    signup_by_sphere: bool = True
    max_body: int = 16 * 1024 * 1024
    max_connections: int = 4096
    sockets_per_account: int = 64
    rate_address: int = 200
    rate_account: int = 100
    auth_tries: int = 10
    socket_queue: int = 8 * 1024 * 1024
    session_hours: int = 12
    log_level: str = "warning"
    log_format: str = "text"
    metrics: bool = False

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL; the default is SQLite in the data folder."""
        if not self.database:
            return f"sqlite:///{self.data / 'relay.db'}"
        return re.sub(r"^postgres(?:ql)?://", "postgresql+psycopg://", self.database)

    @property
    def public_origin(self) -> str:
        """The address people are told: the first configured origin, else scheme and listening address."""
        if self.origins:
            return self.origins[0]
        scheme = "https" if self.tls in ("own", "files") else "http"
        host = self.host if self.host not in ("0.0.0.0", "::", "") else "localhost"  # noqa: S104 - compared, not bound
        host = f"[{host}]" if ":" in host else host
        return f"{scheme}://{host}:{self.port}"


@dataclass(frozen=True)
class Setting:
    """One row of the table: ``parse`` takes text (or a TOML value as text) and raises ValueError."""

    name: str
    help: str
    allowed: str
    parse: Callable[[str], Any]

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def env(self) -> str:
        return ENV_PREFIX + self.name.upper()


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError
        return text

    return parse


def _between(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return parse


def _yes_no(text: str) -> bool:
    return {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}[
        text.lower()
    ]


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not 0 <= int(port) <= 65535 or (":" in host and not host.startswith("[")):
        raise ValueError
    return text


def _database(text: str) -> str:
    if text and not re.match(r"postgres(?:ql)?(?:\+psycopg)?://|sqlite:///", text):
        raise ValueError
    return text


def _each(check: Callable[[str], str]) -> Callable[[str], tuple[str, ...]]:
    return lambda text: tuple(check(part.strip()) for part in text.split(",") if part.strip())


def _origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise ValueError
    return text


def _ip(text: str) -> str:
    return str(ipaddress.ip_network(text, strict=False)) if "/" in text else str(ipaddress.ip_address(text))


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.:-]{1,253}", text):
        raise ValueError
    return text


def _rate(text: str) -> int:
    return _between(0, 1_000_000)(text)


TABLE: Final = (
    Setting("data", "folder for the database, keys and certificates", "a folder you may write to", Path),
    Setting("listen", "address and port to listen on", "host:port, such as localhost:8420 or 0.0.0.0:8420", _address),
    Setting(
        "database", "database address; empty means SQLite in the data folder", "postgresql://… or empty", _database
    ),
    Setting(
        "tls",
        "https: own makes a local certificate authority, files uses yours, proxy trusts one in front",
        "off, own, files or proxy",
        _one_of("off", "own", "files", "proxy"),
    ),
    Setting("tls_cert", "certificate chain for tls = files", "a PEM file", str),
    Setting("tls_key", "private key for tls = files", "a PEM file", str),
    Setting("tls_names", "further names or addresses for tls = own", "host names or addresses, by comma", _each(_name)),
    Setting(
        "origins",
        "addresses people reach this relay under; signing in is bound to them",
        "http(s)://host[:port], lower case, by comma",
        _each(_origin),
    ),
    Setting(
        "trusted_proxies",
        "with tls = proxy: addresses whose X-Forwarded-For is believed",
        "IP addresses or networks, by comma",
        _each(_ip),
    ),
    Setting("signup", "who may make an account", "open, invite or closed", _one_of("open", "invite", "closed")),
    Setting("signup_by_sphere", "an open sphere invitation also admits to an account", "yes or no", _yes_no),
    Setting("max_body", "largest request body in bytes", "65536 to 67108864", _between(65536, 67108864)),
    Setting("max_connections", "requests and sockets served at once", "16 to 65536", _between(16, 65536)),
    Setting("sockets_per_account", "live connections per account", "1 to 10000", _between(1, 10000)),
    Setting("rate_address", "requests per second and address; 0 is no limit", "0 to 1000000", _rate),
    Setting("rate_account", "requests and sends per second and account; 0 is no limit", "0 to 1000000", _rate),
    Setting("auth_tries", "sign-in tries per name in 15 minutes; 0 is no limit", "0 to 1000000", _rate),
    Setting(
        "socket_queue",
        "bytes waiting for one slow reader before it is cut off",
        "65536 to 1073741824",
        _between(65536, 1 << 30),
    ),
    Setting("session_hours", "hours without use after which a session ends", "1 to 720", _between(1, 720)),
    Setting(
        "log_level",
        "what is written to the log",
        "debug, info, warning or error",
        _one_of("debug", "info", "warning", "error"),
    ),
    Setting("log_format", "form of the log", "text or json", _one_of("text", "json")),
    Setting("metrics", "serve /metrics for Prometheus", "yes or no", _yes_no),
)
BY_NAME: Final = {setting.name: setting for setting in TABLE}


def default_of(name: str) -> Any:
    """The default of a setting; of ``data`` the folder in the person's home."""
    if name == "data":
        return _data_home()
    return next(field.default for field in fields(Settings) if field.name == name)


def as_text(value: Any) -> str:
    """A value as it would be written in a flag, the environment or help."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return ",".join(str(part) for part in value)
    return str(value)


def _parse(setting: Setting, text: str, where: str) -> Any:
    try:
        return setting.parse(text)
    except (ValueError, KeyError):
        raise UsageError(f"{where}: {setting.name} cannot be {text!r}; allowed: {setting.allowed}") from None


def _from_file(path: Path) -> dict[str, Any]:
    try:
        loaded = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not TOML: {error}") from None
    values = {}
    for name, value in loaded.items():
        if name not in BY_NAME:
            raise UsageError(f"{path}: no setting is called {name!r}; allowed: {', '.join(sorted(BY_NAME))}")
        values[name] = _parse(BY_NAME[name], as_text(value), str(path))
    return values


def load(flags: Mapping[str, str], environ: Mapping[str, str], config: Path | None = None) -> Settings:
    """Combine flags (name to text), environment and TOML file. Raises UsageError naming the setting.

    Without ``config`` the file is ``relay.toml`` in the data folder, when it is there. Environment names that start
    with ``CLOISTER_RELAY`` are not used; unknown ``CLOISTER_`` names belong to the client and are left alone.
    """
    values: dict[str, Any] = {}
    for setting in TABLE:
        if setting.env in environ:
            values[setting.name] = _parse(setting, environ[setting.env], setting.env)
    for name, text in flags.items():
        if name not in BY_NAME:
            raise UsageError(f"no setting is called {name!r}; allowed: {', '.join(sorted(BY_NAME))}")
        values[name] = _parse(BY_NAME[name], text, BY_NAME[name].flag)
    data = Path(values.get("data", default_of("data"))).expanduser()
    path = config or data / FILE_NAME
    in_file = _from_file(path) if config is not None or path.exists() else {}
    merged = {**in_file, **values}
    merged["data"] = Path(merged.get("data", data)).expanduser()
    settings = Settings(**merged)
    _check_together(settings)
    return settings


def _check_together(settings: Settings) -> None:
    if settings.tls == "files" and not (settings.tls_cert and settings.tls_key):
        raise UsageError("tls = files needs tls_cert and tls_key")
    if settings.tls != "files" and (settings.tls_cert or settings.tls_key):
        raise UsageError(f"tls_cert and tls_key are only used with tls = files, not with tls = {settings.tls}")


def with_port(settings: Settings, port: int) -> Settings:
    """The settings after listening: port 0 has become a real one."""
    return replace(settings, listen=f"{settings.listen.rpartition(':')[0]}:{port}")


def describe() -> str:
    """The table as Markdown, for the documentation (a test compares them)."""
    lines = ["| setting | flag | environment | default | allowed | what it does |", "|---|---|---|---|---|---|"]
    for setting in TABLE:
        default = (
            "~/.local/share/cloister" if setting.name == "data" else as_text(default_of(setting.name)) or "(empty)"
        )
        cells = (f"`{setting.name}`", f"`{setting.flag}`", f"`{setting.env}`", default, setting.allowed, setting.help)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
