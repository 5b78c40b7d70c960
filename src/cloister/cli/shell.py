"""One run of the command line: flags, output, secrets, and the client it opens.

``opened`` gives an unlocked client: by the agent, else by the password from wherever it comes, and then leaves the
key with an agent. Knows how a run ends when interrupted; refuses to know any command.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cloister.cli import agent
from cloister.cli.faults import LOCKED, OK, Refused
from cloister.cli.flags import Flags
from cloister.cli.output import Output, say
from cloister.cli.secrets import Secrets
from cloister.errors import AuthFailed, LocalError, UsageError, VaultError

if TYPE_CHECKING:
    from cloister.client import Client

DEFAULT_SERVER: Final = "http://localhost:8420"
AGENT_IDLE: Final = "agent-idle"


@dataclass
class Shell:
    """Everything a command gets. ``exit_code`` is the run's; ``kept`` is what Ctrl-C says (catalogue id)."""

    flags: Flags
    out: Output
    secrets: Secrets
    exit_code: int = OK
    kept: str = "kept.default"
    _idle: int | None = None

    @property
    def agent_path(self) -> Path:
        """The socket of this profile's agent."""
        return agent.socket_path(self.flags.profile_path, self.flags.home_path, self.flags.environ)

    def lock(self) -> bool:
        """End every agent of this profile, also of another session (CLT-051). False when there was none."""
        places = agent.socket_paths(self.flags.profile_path, self.flags.home_path, self.flags.environ)
        return sum(agent.lock(path) for path in places) > 0

    def keep_idle(self, seconds: int) -> None:
        """Remember for this profile after how long without use it locks."""
        from cloister.client.profile import write_private

        self._idle = seconds
        write_private(self.flags.profile_path / AGENT_IDLE, f"{seconds}\n".encode())

    @property
    def idle(self) -> int:
        """Seconds without use after which this profile locks."""
        if self._idle is None:
            try:
                self._idle = int((self.flags.profile_path / AGENT_IDLE).read_text("ascii"))
            except (OSError, ValueError):
                self._idle = agent.IDLE
        return self._idle

    def would(self, message_id: str, **fields: Any) -> bool:
        """With ``--dry-run``: say what would be done and return True."""
        if not self.flags.dry_run:
            return False
        text = say(message_id, **fields)
        self.out.result({"would": text}, say("dry-run", what=text))
        return True


_current: ContextVar[Shell] = ContextVar("shell")


def use(shell: Shell) -> None:
    """Make ``shell`` the one of this run."""
    _current.set(shell)


def current() -> Shell:
    """The shell of this run."""
    return _current.get()


def go(work: Coroutine[Any, Any, None]) -> None:
    """Run a command's coroutine. Ctrl-C cancels it cleanly, a second one ends it at once."""
    import asyncio

    asyncio.run(work)


@asynccontextmanager
async def profile(shell: Shell, server: str = "", *, legacy: bool = False) -> AsyncIterator[Client]:
    """The client of this profile, as it is (locked or new). ``server`` is used when the profile has none yet."""
    from cloister.client import Client

    folder = shell.flags.profile_path
    begun = (folder / "vault.json").exists()
    if begun and shell.flags.server:
        _same_server(shell)
    address = shell.flags.server or (None if begun else server or DEFAULT_SERVER)
    for parent in (shell.flags.home_path, folder.parent):
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with Client.open(folder, address, ca_file=shell.flags.ca_file or None, legacy_kdf=legacy) as client:
        yield client


def _same_server(shell: Shell) -> None:
    """A profile stays with its server: --server with another address would move it for good."""
    from cloister.account.login import origin
    from cloister.client.profile import PROFILE, Profile

    stored = (Profile(shell.flags.profile_path).read(PROFILE) or {}).get("server", "")
    if stored and origin(shell.flags.server) != stored and not shell.flags.yes:
        raise Refused("other-server", server=stored)


@asynccontextmanager
async def opened(shell: Shell) -> AsyncIterator[Client]:
    """An unlocked client. Raises Refused (exit 4) when it is locked and nobody can be asked."""
    if not (shell.flags.profile_path / "vault.json").exists():
        raise Refused("no-account", LOCKED)
    async with profile(shell) as client:
        await unlock(shell, client)
        yield client


async def synced(shell: Shell, client: Client) -> bool:
    """One round with the relay before showing anything. Trouble is said, and what is here is shown all the same."""
    report = await client.sync()
    if report.offline:
        shell.out.note(say("note.offline", server=client.account.server))
    for code in report.faults:
        if code == "E_AUTH":
            shell.out.fault(Refused("device-refused", LOCKED, code=code))
            shell.exit_code = LOCKED
        elif code == "L_MASTER_KEY":
            shell.out.note(say("note.master-key"))
        else:
            shell.out.detail(say("note.sync-fault", code=code))
    return not report.offline


async def unlock(shell: Shell, client: Client, *, ask: bool = False) -> None:
    """Open the vault by the agent's key or the password; afterwards an agent holds the key."""
    key = None if ask else agent.get_key(shell.agent_path)
    if key is not None:
        try:
            await client.unlock_with_key(key)
            return
        except (VaultError, LocalError):
            shell.lock()
    login = client.account.login
    if client.has_pin and await _unlock_with_pin(shell, client):
        return
    password = shell.secrets.given("password")
    if password is None:
        if shell.secrets.terminal is None:
            raise Refused("locked", LOCKED, login=login)
        password = shell.secrets.ask("ask.password-of", hidden=True, source="password", login=login)
    try:
        with shell.out.step(say("step.opening-keys")):
            await client.unlock(password)
    except AuthFailed:
        raise Refused("wrong-password", LOCKED, code="E_AUTH") from None
    shell.out.close_line()
    keep(shell, client)


async def _unlock_with_pin(shell: Shell, client: Client) -> bool:
    """False when it turns out that the PIN was never set: the password opens."""
    pin = shell.secrets.given("pin")
    if pin is None:
        if shell.secrets.terminal is None:
            raise Refused("locked-pin", LOCKED)
        pin = shell.secrets.ask("ask.pin", hidden=True, source="pin")
    try:
        with shell.out.step(say("step.opening-keys")):
            await client.unlock_with_pin(pin)
    except UsageError:
        return False
    except AuthFailed as error:
        left = error.data.get("left")
        if left:
            raise Refused("wrong-pin", LOCKED, code="E_AUTH", n=left) from None
        raise Refused("pin-closed" if left == 0 else "pin-refused", LOCKED, code="E_AUTH") from None
    shell.out.close_line()
    keep(shell, client)
    return True


def keep(shell: Shell, client: Client) -> None:
    """Leave the vault key with an agent, so that the next command need not ask."""
    if not agent.start(shell.agent_path, client.agent_key(), shell.idle):
        shell.out.detail(say("note.no-agent"))
