"""Flags that mean one thing everywhere, taken out of the command line before the command is looked up.

They may stand before or after the command. ``--`` ends flags. Refuses secrets in the environment: another process of
the same person, and every child, can read it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from cloister.cli.faults import Refused

# flag -> (field, takes a value, help)
TABLE: Final[dict[str, tuple[str, bool, str]]] = {
    "--json": ("json", False, "Machine form: one object, or one per line; errors too."),
    "--quiet": ("quiet", False, "Only results and faults. Short: -q."),
    "--verbose": ("verbose", False, "Also codes and details. Short: -v."),
    "--plain": ("plain", False, "Line by line, for screen readers: no drawing, no masking dots, no colour."),
    "--no-color": ("no_color", False, "No colour. So do NO_COLOR and TERM=dumb."),
    "--no-input": ("no_input", False, "Never ask; stop with exit code 4 instead."),
    "--yes": ("yes", False, "Answer yes. Removing and wiping want --yes=NAME."),
    "--dry-run": ("dry_run", False, "Say what would be done, and do nothing."),
    "--profile": ("profile", True, "Which account of this machine; without it: default."),
    "--home": ("home", True, "Folder of all profiles; without it: ~/.local/share/cloister."),
    "--server": ("server", True, "Address of the server, needed once per profile."),
    "--ca-file": ("ca_file", True, "Certificate authority of a server with --tls own (PEM)."),
    "--password-fd": ("password_fd", True, "Read the password from this file descriptor."),
    "--new-password-fd": ("new_password_fd", True, "Read the new password from this file descriptor."),
    "--pin-fd": ("pin_fd", True, "Read the PIN from this file descriptor."),
    "--setup-fd": ("setup_fd", True, "Read the set-up code or sign-up code from this file descriptor."),
    "--link-fd": ("link_fd", True, "Read the invitation link from this file descriptor."),
    "--passphrase-fd": ("passphrase_fd", True, "Read the code or passphrase of saved keys from this file descriptor."),
    "--secrets-file": (
        "secrets_file",
        True,
        "TOML file with password, pin, setup, link, passphrase; yours, mode 0600.",
    ),
}
SHORT: Final = {"-q": "--quiet", "-v": "--verbose"}
# Names that people try and that must never work: what is in the environment is no secret.
REFUSED_ENVIRONMENT: Final = (
    "CLOISTER_PASSWORD",
    "CLOISTER_PIN",
    "CLOISTER_SETUP",
    "CLOISTER_LINK",
    "CLOISTER_PASSPHRASE",
)


@dataclass(frozen=True)
class Flags:
    """The common flags of one run."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    plain: bool = False
    no_color: bool = False
    no_input: bool = False
    yes: bool = False
    yes_name: str = ""
    dry_run: bool = False
    profile: str = "default"
    home: str = ""
    server: str = ""
    ca_file: str = ""
    password_fd: int | None = None
    new_password_fd: int | None = None
    pin_fd: int | None = None
    setup_fd: int | None = None
    link_fd: int | None = None
    passphrase_fd: int | None = None
    secrets_file: str = ""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def home_path(self) -> Path:
        """Folder of all profiles."""
        if self.home:
            return Path(self.home).expanduser()
        base = self.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
        return Path(base) / "cloister"

    @property
    def profile_path(self) -> Path:
        """Folder of this profile."""
        return self.home_path / "profiles" / self.profile


def split(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> tuple[Flags, list[str]]:
    """Common flags and the rest. Raises Refused (usage) for a wrong value or a secret in the environment."""
    for name in REFUSED_ENVIRONMENT:
        if name in environ:
            raise Refused("secret-in-environment", name=name)
    found: dict[str, Any] = {
        key: environ[name]
        for key, name in (("profile", "CLOISTER_PROFILE"), ("home", "CLOISTER_HOME"), ("server", "CLOISTER_SERVER"))
        if environ.get(name)
    }
    rest: list[str] = []
    words = list(argv)
    while words:
        word = words.pop(0)
        if word == "--":
            rest += [word, *words]
            break
        name, has_value, value = word.partition("=")
        name = SHORT.get(name, name)
        if name not in TABLE:
            rest.append(word)
            continue
        key, wants_value, _ = TABLE[name]
        if name == "--yes" and has_value:
            found["yes_name"] = value
        elif not wants_value:
            if has_value:
                raise Refused("flag-takes-no-value", flag=name)
            found[key] = True
        else:
            if not has_value:
                if not words:
                    raise Refused("flag-needs-value", flag=name)
                value = words.pop(0)
            found[key] = _number(name, value) if key.endswith("_fd") else value
    flags = Flags(**found, environ=environ)
    if not flags.profile or flags.profile.startswith(".") or "/" in flags.profile or "\0" in flags.profile:
        raise Refused("profile-name", name=flags.profile)
    return (replace(flags, yes=True) if flags.yes_name else flags), rest


def _number(flag: str, value: str) -> int:
    if not value.isascii() or not value.isdigit():
        raise Refused("fd-number", flag=flag)
    return int(value)
