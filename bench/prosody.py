"""Prosody as Debian packages it, in a folder of its own: MUC with its archive (MAM) in SQLite, anonymous, no TLS.

Also the least XMPP client that can sit in a room. Stanzas are cut by their closing tag: everything in this stream was
written by this driver or by Prosody, so no general XML parser is needed.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import cast

CONFIG = """
daemonize = false
run_as_root = true
data_path = "{folder}"
pidfile = "{folder}/prosody.pid"
log = {{ warn = "{folder}/prosody.log" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
modules_enabled = {{ "saslauth", "disco" }}
modules_disabled = {{ "s2s", "tls", "offline", "posix_log" }}
storage = "internal"
sql = {{ driver = "SQLite3", database = "{folder}/archive.sqlite" }}
VirtualHost "localhost"
  authentication = "anonymous"
Component "rooms.localhost" "muc"
  modules_enabled = {{ "muc_mam" }}
  storage = {{ muc_log = "sql" }}
  muc_log_by_default = true
  muc_room_default_persistent = true
  muc_room_locking = false
  restrict_room_creation = false
  max_history_messages = 0
"""


def available() -> bool:
    return shutil.which("prosody") is not None


def command(folder: Path, port: int) -> list[str]:
    """Write the configuration; the command that starts Prosody in the foreground."""
    path = folder / "prosody.cfg.lua"
    path.write_text(CONFIG.format(folder=folder, port=port))
    return ["prosody", "--config", str(path), "-F"]


class Occupant(asyncio.Protocol):
    """One member of the room. ``got(stanza)`` is called with every message of the room, without its closing tag."""

    def __init__(self, nick: str, got: Callable[[bytes], None]) -> None:
        self.nick = nick
        self.got = got
        self.bytes_in = 0
        self.step = 0
        self.inside: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:

        self.transport = cast(asyncio.Transport, transport)
        self._open()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.inside.done():
            self.inside.set_exception(exc or ConnectionError("closed by Prosody"))

    def _open(self) -> None:
        self.transport.write(
            b"<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' "
            b"xmlns:stream='http://etherx.jabber.org/streams'>"
        )

    def data_received(self, data: bytes) -> None:
        self.bytes_in += len(data)
        data = self._rest + data if self._rest else data
        if self.step < 5:
            self._rest = self._enter(data)
            return
        *stanzas, self._rest = data.split(b"</message>")
        for stanza in stanzas:
            self.got(stanza)

    def _enter(self, data: bytes) -> bytes:
        """Stream, SASL ANONYMOUS, stream, bind, presence: one step per expected answer."""
        if self.step == 0 and b"</stream:features>" in data:
            self.transport.write(b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>")
        elif self.step == 1 and b"<success" in data:
            self._open()
        elif self.step == 2 and b"</stream:features>" in data:
            self.transport.write(
                b"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                b"<resource>r</resource></bind></iq>"
            )
        elif self.step == 3 and b"</iq>" in data:
            self.transport.write(
                f"<presence to='room@rooms.localhost/{self.nick}'><x xmlns='http://jabber.org/protocol/muc'>"
                "<history maxstanzas='0'/></x></presence>".encode()
            )
        elif self.step == 4 and b"code='110'" in data.replace(b'"', b"'") and b"<subject" in data:
            self.inside.set_result(None)
        else:
            return data
        self.step += 1
        return b""

    def say(self, text: bytes) -> None:
        self.transport.write(
            b"<message to='room@rooms.localhost' type='groupchat'><body>" + text + b"</body></message>"
        )


async def enter(host: str, port: int, nick: str, got: Callable[[bytes], None]) -> Occupant:
    """Connect and join the room."""
    loop = asyncio.get_running_loop()
    _, occupant = await loop.create_connection(lambda: Occupant(nick, got), host, port)
    await asyncio.wait_for(occupant.inside, 20)
    return occupant
