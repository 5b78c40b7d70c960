"""Every call to the relay, typed at both ends, and nothing believed.

One method per endpoint of spec/08-relay.md. Answers are decoded into the closed types of ``protocol.api``; an answer
of another form is a FormatError. What an answer claims is checked by whoever uses it. Knows tokens, for one header;
knows no key.

Spec: CLT-025, CLT-027.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec

from cloister.account.unlock import Attempt, Enrolment
from cloister.client.transports.base import Answer, Socket, Transport
from cloister.errors import FormatError, Unreachable, relay_error
from cloister.protocol import api
from cloister.protocol.encoding import b64d, b64e

T = TypeVar("T")
V1: Final = "/v1"
PAGE: Final = 500


class Relay:
    """Typed calls over one transport.

    ``token`` is the session used where none is given; when the relay says it is over, ``renew`` gets another one and
    the call is made once more. ``reached``: whether the last request got an answer.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.token: str | None = None
        self.renew: Callable[[], Awaitable[str]] | None = None
        self.reached = False

    @property
    def origin(self) -> str:
        return self.transport.origin

    async def close(self) -> None:
        await self.transport.close()

    async def call(
        self,
        kind: type[T],
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> T:
        """One request. Raises the RelayError the relay names, Unreachable, FormatError."""
        data = None if body is None else (body if isinstance(body, bytes) else msgspec.json.encode(body))
        used = token or self.token
        self.reached = False
        answer = await self.transport.request(method, V1 + path, data, token=used, headers=headers)
        self.reached = True
        if answer.status == 401 and token is None and self.renew is not None and not path.startswith("/auth/"):
            if self.token == used:
                self.token = None
                self.token = await self.renew()
            answer = await self.transport.request(method, V1 + path, data, token=self.token, headers=headers)
        if not 200 <= answer.status < 300:
            raise _refusal(answer)
        if kind is api.Done and not answer.body:
            return kind()
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise FormatError(f"the relay's answer to {method} {path.partition('?')[0][:40]}") from None

    async def socket(self) -> Socket:
        """The live connection, not yet authenticated."""
        return await self.transport.connect(V1 + "/socket")

    # the server and signing in -----------------------------------------------------------------------------------
    async def server(self) -> api.ServerInfo:
        return await self.call(api.ServerInfo, "GET", "/server")

    async def auth_start(self, login: str, a_public: bytes | None) -> dict[str, Any]:
        """The raw answer: the caller refuses parameters nobody asked for (SRP-007)."""
        body: dict[str, Any] = {"login": login}
        if a_public is not None:
            body["A"] = b64e(a_public)
        return await self.call(dict[str, Any], "POST", "/auth/start", body)

    async def auth_finish(self, sid: str, m1: bytes) -> api.AuthProof:
        return await self.call(api.AuthProof, "POST", "/auth/finish", api.AuthFinish(sid, b64e(m1)))

    async def auth_nonce(self) -> api.Nonce:
        return await self.call(api.Nonce, "GET", "/auth/nonce")

    async def auth_device(self, jws: str) -> api.Token:
        return await self.call(api.Token, "POST", "/auth/device", api.AuthDevice(jws))

    async def sign_up(self, body: bytes) -> api.Token:
        """``body``: the stored bytes of POST /accounts, sent again as they are after a crash (CLT-003)."""
        return await self.call(api.Token, "POST", "/accounts", body)

    async def account(self, token: str | None = None) -> api.Account:
        return await self.call(api.Account, "GET", "/account", token=token)

    async def end_session(self, n: str) -> None:
        await self.call(api.Done, "DELETE", f"/auth/session/{n}")

    async def roots(self, token: str) -> api.Roots:
        return await self.call(api.Roots, "GET", "/account/roots", token=token)

    async def put_roots(self, body: api.NewRoots, token: str) -> api.CredVer:
        return await self.call(api.CredVer, "PUT", "/account/roots", body, token=token)

    async def add_device(self, cert: str, klog: str, token: str) -> None:
        await self.call(msgspec.Raw, "POST", "/devices", api.NewDevice(cert, klog), token=token)

    async def revoke_device(self, dv: str, klog: str, token: str) -> None:
        await self.call(msgspec.Raw, "POST", f"/devices/{dv}/revoke", api.RevokeDevice(klog), token=token)

    async def klog(self, id: str, token: str | None = None) -> list[str]:  # noqa: A002 - the spec's word
        return (await self.call(api.KeyLogEntries, "GET", f"/klog/{id}", token=token)).entries

    # slots -------------------------------------------------------------------------------------------------------
    async def slots(self, after: str = "", token: str | None = None) -> list[api.Slot]:
        """All slots after a name, page by page."""
        found: list[api.Slot] = []
        while True:
            page = await self.call(api.Slots, "GET", f"/slots?after={quote(after)}", token=token)
            found += page.slots
            if not page.more or not page.slots or page.slots[-1].name <= after:
                return found
            after = page.slots[-1].name

    async def slot(self, name: str, token: str | None = None) -> api.Slot:
        return await self.call(api.Slot, "GET", f"/slots/{name}", token=token)

    async def put_slot(self, name: str, mkv: int, data: bytes, *, ctr: int | None = None) -> None:
        body = api.PutSlot(mkv, b64e(data)) if ctr is None else api.PutSlot(mkv, b64e(data), ctr)
        headers = None if ctr is None else {"if-match": str(ctr - 1)}
        await self.call(msgspec.Raw, "PUT", f"/slots/{name}", body, headers=headers)

    # the PIN of a device, without a session: locked, it has none ---------------------------------------------------
    async def vault_enrol(self, told: Enrolment) -> None:
        body = api.VaultEnrol(told.dev, b64e(told.uk), b64e(told.tag), b64e(told.pep))
        await self.call(api.Done, "POST", "/vault/enrol", body)

    async def vault_nonce(self, dv: str) -> str:
        return (await self.call(api.Nonce, "POST", "/vault/nonce", api.VaultNonce(dv), token="")).nonce

    async def vault_open(self, dv: str, nonce: bytes, tried: Attempt) -> bytes:
        body = api.VaultOpen(dv, b64e(nonce), b64e(tried.tag), b64e(tried.sig))
        return b64d((await self.call(api.Pepper, "POST", "/vault/open", body, token="")).pep)

    # spheres -----------------------------------------------------------------------------------------------------
    async def spheres(self) -> list[str]:
        return (await self.call(api.Spheres, "GET", "/spheres")).spheres

    async def commit(self, sph: str | None, body: bytes) -> api.Committed:
        """``sph`` None creates. The bytes are the stored ones, the same at every try (COM idempotency)."""
        path = "/spheres" if sph is None else f"/spheres/{sph}/commits"
        return await self.call(api.Committed, "POST", path, body)

    async def send(self, sph: str, jws: str) -> int:
        return (await self.call(api.Position, "POST", f"/spheres/{sph}/messages", api.Send(jws))).pos

    async def log(self, sph: str, start: int, limit: int = PAGE) -> api.Log:
        return await self.call(api.Log, "GET", f"/spheres/{sph}/log?from={start}&limit={limit}")

    async def public_log(self, sph: str, start: int, limit: int = PAGE) -> api.Log:
        # Without a session, and without asking for one: this is read when there is none to be had.
        return await self.call(api.Log, "GET", f"/public/{sph}/log?from={start}&limit={limit}", token="")

    async def attachment(self, sph: str, digest: bytes) -> str:
        return (await self.call(api.Attachment, "GET", f"/spheres/{sph}/attach/{b64e(digest)}")).jws

    async def items(self, sph: str, after: int, limit: int = PAGE) -> api.Items:
        return await self.call(api.Items, "GET", f"/spheres/{sph}/items?after={after}&limit={limit}")

    async def heads(self, sph: str, id: str = "") -> list[api.Tail]:  # noqa: A002 - the spec's word
        query = f"?id={id}" if id else ""
        return (await self.call(api.Heads, "GET", f"/spheres/{sph}/heads{query}")).heads

    async def links(self, sph: str, to: int) -> list[api.Link]:
        return (await self.call(api.Links, "GET", f"/spheres/{sph}/links?to={to}")).links

    async def seen(self, sph: str, pos: int) -> api.Seen:
        return await self.call(api.Seen, "GET", f"/spheres/{sph}/seen/{pos}")

    # joining -----------------------------------------------------------------------------------------------------
    async def invite_open(self, sph: str, jti: str) -> bool:
        return (await self.call(api.InviteOpen, "GET", f"/invites/{sph}/{jti}")).open

    async def ask_to_join(self, jws: str) -> str:
        return (await self.call(api.JoinTaken, "POST", "/joins", api.NewJoin(jws))).h

    async def join_state(self, h: str) -> api.JoinState:
        return await self.call(api.JoinState, "GET", f"/joins/{h}")

    async def withdraw_join(self, h: str) -> None:
        await self.call(api.Done, "DELETE", f"/joins/{h}")

    async def joins(self, sph: str) -> list[api.JoinRow]:
        return (await self.call(api.Joins, "GET", f"/spheres/{sph}/joins")).joins

    async def decline_join(self, sph: str, h: str) -> None:
        await self.call(api.Done, "DELETE", f"/spheres/{sph}/joins/{h}")

    async def show_card(self, sph: str, h: str, card: api.Card) -> None:
        await self.call(api.Done, "POST", f"/spheres/{sph}/joins/{h}/card", card)

    # inbox -------------------------------------------------------------------------------------------------------
    async def inbox(self, after: int, limit: int = PAGE) -> api.Inbox:
        return await self.call(api.Inbox, "GET", f"/inbox?after={after}&limit={limit}")

    async def clear_inbox(self, upto: int) -> None:
        await self.call(api.Done, "DELETE", f"/inbox?upto={upto}")

    async def post(self, to: list[str], jws: str) -> None:
        await self.call(msgspec.Raw, "POST", "/inbox", api.PostInbox(to, jws))

    async def pass_on(self, to: list[str], jws: str) -> int:
        """Hand a live message to connected devices (LIVE-013); returns how many were there."""
        return (await self.call(api.Reached, "POST", "/live", api.PassOn(to, jws))).reached


def _refusal(answer: Answer) -> Exception:
    try:
        body = json.loads(answer.body)
    except ValueError:
        body = None
    if not isinstance(body, dict) or "code" not in body:
        # Not a relay's words: something between us answered (a proxy, a captive portal).
        return Unreachable(f"status {answer.status} without a code")
    return relay_error(body, answer.status)
