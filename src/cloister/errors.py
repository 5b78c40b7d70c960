"""The error taxonomy: what can go wrong, whose fault it is, and the words for it.

    CloisterError
    ├── RelayError      E_*   the relay refused or failed; travels as {"code": ..., "retry_after"?: ...}
    │   ├── AuthFailed, RateLimited, Forbidden, StaleHead, StaleEpoch, IncompleteWraps,
    │   └── BadFormat, VersionTooOld, TooLarge, Conflict, Busy, Internal
    ├── CheckFailed     C_*   something a peer or the relay sent did not pass a check; never told to the relay
    │   ├── FormatError, SignatureInvalid, DecryptFailed, KeyUnknown, CommitmentMismatch, NotMember,
    │   ├── LogInvalid, LogFork, LogRollback, Gap, Replay, Downgrade, KeyChanged,
    │   └── VaultError, Expired
    └── LocalError      L_*   this machine, this person or this caller: usage, locked, offline, not found

This module knows codes and exit numbers. Texts shown to people live in ``words.json`` by code: ``why`` (what
happened), ``next`` (what was kept and what happens by itself) and ``you`` (what to do). ``detail`` is for the log
and may name a rule or a member, never a secret.

Spec: ERR-001 to ERR-004.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar


@cache
def _catalogue() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(files("cloister").joinpath("words.json").read_text("utf-8"))
    return loaded


def words(message_id: str) -> Any:
    """Return the catalogue entry ``message_id`` (a string, or a dict with why/next/you). Raises KeyError."""
    return _catalogue()[message_id]


class CloisterError(Exception):
    """Base of all. ``code`` is stable and versioned; ``data`` holds public members such as ``head`` or ``left``."""

    code: ClassVar[str] = "L_INTERNAL"
    exit_code: ClassVar[int] = 1

    def __init__(self, detail: str = "", *, retry_after: float | None = None, **data: Any) -> None:
        super().__init__(detail or self.code)
        self.detail = detail
        self.retry_after = retry_after
        self.data = data

    @property
    def why(self) -> str:
        return str(words(self.code)["why"])

    @property
    def next(self) -> str:
        return str(words(self.code)["next"])

    @property
    def you(self) -> str:
        return str(words(self.code)["you"])

    def as_json(self) -> dict[str, Any]:
        """The terminal's ``--json`` form (spec ERR-003)."""
        shown: dict[str, Any] = {"v": 1, "code": self.code, "why": self.why, "next": self.next, "you": self.you}
        if self.retry_after is not None:
            shown["retry_after"] = self.retry_after
        return shown


class RelayError(CloisterError):
    """A refusal or failure of the relay. ``status`` is its HTTP status (spec ERR-002)."""

    status: ClassVar[int] = 500

    def as_wire(self) -> dict[str, Any]:
        """The JSON body sent to clients: code, public data, ``retry_after`` seconds. Never ``detail``."""
        body: dict[str, Any] = {"code": self.code, **self.data}
        if self.retry_after is not None:
            body["retry_after"] = self.retry_after
        return body


class AuthFailed(RelayError):
    code, status, exit_code = "E_AUTH", 401, 4


class RateLimited(RelayError):
    code, status, exit_code = "E_RATE", 429, 9


class Forbidden(RelayError):
    code, status, exit_code = "E_FORBIDDEN", 403, 3


class StaleHead(RelayError):
    code, status, exit_code = "E_STALE_HEAD", 409, 9


class StaleEpoch(RelayError):
    code, status, exit_code = "E_STALE_EPOCH", 409, 9


class IncompleteWraps(RelayError):
    code, status = "E_INCOMPLETE_WRAPS", 400


class BadFormat(RelayError):
    code, status, exit_code = "E_BAD_FORMAT", 400, 2


class VersionTooOld(RelayError):
    code, status, exit_code = "E_VERSION", 426, 1


class TooLarge(RelayError):
    code, status, exit_code = "E_TOO_LARGE", 413, 10


class Conflict(RelayError):
    code, status, exit_code = "E_CONFLICT", 409, 9


class Busy(RelayError):
    code, status, exit_code = "E_BUSY", 503, 9


class Internal(RelayError):
    code, status = "E_INTERNAL", 500


class CheckFailed(CloisterError):
    """A check on received or stored bytes failed. Local only: never sent to the relay (spec ERR-004)."""

    exit_code = 8


class FormatError(CheckFailed):
    code = "C_FORMAT"


class SignatureInvalid(CheckFailed):
    code = "C_SIG"


class DecryptFailed(CheckFailed):
    code = "C_DECRYPT"


class KeyUnknown(CheckFailed):
    code, exit_code = "C_KEY_UNKNOWN", 7


class CommitmentMismatch(CheckFailed):
    code = "C_KC_MISMATCH"


class NotMember(CheckFailed):
    code = "C_NOT_MEMBER"


class LogInvalid(CheckFailed):
    code = "C_LOG_INVALID"


class LogFork(CheckFailed):
    code = "C_LOG_FORK"


class LogRollback(CheckFailed):
    code = "C_LOG_ROLLBACK"


class Gap(CheckFailed):
    code = "C_GAP"


class Replay(CheckFailed):
    code = "C_REPLAY"


class Downgrade(CheckFailed):
    code = "C_DOWNGRADE"


class KeyChanged(CheckFailed):
    code = "C_KEY_CHANGED"


class VaultError(CheckFailed):
    code = "C_VAULT"


class Expired(CheckFailed):
    code = "C_EXPIRED"


class LocalError(CloisterError):
    """This machine, this person or this caller."""


class UsageError(LocalError):
    code, exit_code = "L_USAGE", 2


class WeakPassword(LocalError):
    """``data["reason"]``: short, long, form or common."""

    code, exit_code = "L_PASSWORD", 2


class WeakPin(LocalError):
    """``data["reason"]``: form or common."""

    code, exit_code = "L_PIN", 2


class NotFound(LocalError):
    code, exit_code = "L_NOT_FOUND", 3


class Locked(LocalError):
    code, exit_code = "L_LOCKED", 4


class Unreachable(LocalError):
    code, exit_code = "L_UNREACHABLE", 5


class Queued(LocalError):
    code, exit_code = "L_QUEUED", 6


class DiskTrouble(LocalError):
    code, exit_code = "L_DISK", 1


class AlreadyRunning(LocalError):
    code, exit_code = "L_ONE_WRITER", 9


class DeviceRetired(LocalError):
    """A copy of this device has spoken: its keys are in two places, so it signs nothing more (CLT-014)."""

    code, exit_code = "L_RETIRED", 8


class DeviceRevoked(LocalError):
    """This device was removed from its account: it signs in anew or stays silent (CLT-007)."""

    code, exit_code = "L_REVOKED", 4


class MasterKeyDue(LocalError):
    """Another device made a new master key that has not arrived here: unlocking with the password fetches it."""

    code, exit_code = "L_MASTER_KEY", 4


def all_subclasses(base: type[CloisterError] = CloisterError) -> dict[str, type[CloisterError]]:
    """Every concrete error class by code (ERR-001)."""
    found: dict[str, type[CloisterError]] = {}
    for sub in base.__subclasses__():
        if "code" in sub.__dict__:
            found[sub.code] = sub
        found.update(all_subclasses(sub))
    return found


def relay_error(body: dict[str, Any], status: int = 500) -> RelayError:
    """Build the RelayError for a relay's JSON body; unknown codes become E_INTERNAL (spec ERR-002)."""
    fields = dict(body)
    code = fields.pop("code", None)
    retry_after = fields.pop("retry_after", None)
    kind = all_subclasses(RelayError).get(str(code), Internal)
    error = kind("", retry_after=retry_after if isinstance(retry_after, int | float) else None)
    error.data = fields
    assert isinstance(error, RelayError)
    return error
