"""A handle on one sphere: everything a member can do in it.

Handles are cheap and hold no state of their own; all state is in the client's store. Whatever writes does so as the
sphere's only writer on this device. Spec: CLT-011 to CLT-024.

Long because it is the surface: one short method per act, the work is in the modules it calls; acts on keys and on
settings are in ``sphere_keys`` and ``sphere_settings``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from cloister.client import (
    commits,
    holders,
    invited,
    joining,
    memory,
    outbox,
    people,
    questions,
    queue,
    stops,
    syncing,
    timeline,
)
from cloister.client.records import (
    InviteInfo,
    InviteLink,
    LogLine,
    Message,
    OutboxItem,
    Person,
    Request,
    SeenRow,
)
from cloister.client.replica import Replica
from cloister.client.sphere_base import sphere_info as sphere_info
from cloister.client.sphere_keys import KeyActs
from cloister.client.sphere_settings import SettingActs
from cloister.errors import NotFound, NotMember, Unreachable, UsageError
from cloister.protocol import api, digits, jws
from cloister.protocol import entry as entries
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.roles import RANK
from cloister.protocol.state import SphereState
from cloister.sphere import compose, invitation
from cloister.sphere import message as messages
from cloister.sphere.payload import Payload

# Entries of the own log that go into evidence when no common position is known.
MAX_PAST = 10_000


class Sphere(KeyActs, SettingActs):
    """One sphere of one client. Obtain it from ``Client.sphere``, ``create_sphere`` or ``join``."""

    # people and requests -----------------------------------------------------------------------------------------
    async def invite(
        self,
        uses: int = 1,
        for_seconds: int = 7 * 86400,
        role: str = "member",
        admit: Literal["ask", "auto"] = "ask",
        label: str | None = None,
        *,
        to: str = "",
    ) -> InviteLink:
        """Commit an invite entry and return its link (label None: the title). Needs the relay: Unreachable.

        ``to`` names somebody of another sphere of this account: the link is sent to that person's devices, and that
        person is admitted when asking by it (CLT-053). Raises NotFound, UsageError.
        """
        ctx = self._ctx
        if role not in RANK or role == "owner":
            raise UsageError("a link can make admins, members and guests")
        meant = invited.whom(ctx, self._state, to) if to else None
        jti, seed, exp = ctx.rng(16), ctx.rng(invitation.SEED_LENGTH), ctx.now() + for_seconds
        ipk = invitation.key_pair(seed, self.sph, jti)[1]
        with ctx.store.step():
            own = {"sph": self.sph, "seed": b64e(seed), "exp": exp, **({"for": meant.id} if meant is not None else {})}
            ctx.store.put("invites", {**ctx.store.get("invites", {}), b64e(jti): own})
            ctx.store.put("state_dirty", True)
        await self._commit(lambda _: [compose.Invite(jti, ipk, exp, role, uses, admit)])
        url = self._link(jti, seed, label)
        if meant is not None:
            await invited.send(ctx, invitation.parse(url), meant.id)
        return InviteLink(url, self.sph, b64e(jti), uses, exp, role, admit)

    def _link(self, jti: bytes, seed: bytes, label: str | None) -> str:
        rep = self._rep
        state, history = rep.known
        seq = state.invites[jti].seq
        title = rep.note.get("title", "") if label is None else label
        shown = people.clean(title)
        while len(shown.encode()) > invitation.MAX_LABEL:
            shown = shown[:-1]
        pin = history.digest(seq)[: invitation.PIN_LENGTH]
        made = invitation.Link("invite", self._ctx.relay.origin, self.sph, jti, seed, seq, pin, shown.strip())
        return invitation.emit(made)

    def link(self, jti: str) -> str:
        """The link of an open invitation made by this account. Raises NotFound."""
        mine = self._ctx.store.get("invites", {}).get(jti)
        if mine is None or b64d(jti) not in self._state.invites:
            raise NotFound("this account did not make that invitation")
        return self._link(b64d(jti), b64d(mine["seed"]), None)

    def invites(self) -> list[InviteInfo]:
        """Open invitations."""
        mine, now = self._ctx.store.get("invites", {}), self._ctx.now()
        rows = [i for i in self._state.invites.values() if i.left and now <= i.exp]
        return [
            InviteInfo(b64e(i.jti), i.by, i.role, i.left, i.exp, i.admit, b64e(i.jti) in mine)
            for i in sorted(rows, key=lambda i: i.seq)
        ]

    async def withdraw(self, jti: str) -> None:
        """Close an invitation (jti or unique prefix)."""
        found = [one for one in self.invites() if one.jti.startswith(jti)]
        if len(found) != 1:
            raise NotFound("no such open invitation") if not found else UsageError("more than one invitation fits")
        raw = b64d(found[0].jti)

        def make(rep: Replica) -> Sequence[compose.Intent]:
            invite = rep.known[0].invites.get(raw)
            return [compose.RevokeInvite(raw)] if invite is not None and invite.left else []

        await self._commit(make)

    async def requests(self) -> list[Request]:
        """Join requests waiting for an answer, each already checked (``by_link`` or ``code``).

        Fetched from the relay; offline those known are returned.
        """
        ctx = self._ctx
        try:
            async with ctx.profile.writer(self.sph):
                await commits.settle_all(ctx, self._rep)
                return await joining.fetch_requests(ctx, self._rep)
        except Unreachable:
            return joining.requests(ctx, self._rep)

    async def admit(self, request: Request, *, confirmed: bool = False, role: str = "member") -> Person:
        """Admit. Without a link proof ``confirmed`` must be True, else UsageError and no key leaves (CLT-018)."""
        ctx = self._ctx
        async with ctx.profile.writer(self.sph):
            member = await joining.admit(ctx, self._rep, request.hash, confirmed=confirmed, role=role)
        if confirmed and not request.by_link:
            await self.confirm(member)
        return people.person(ctx.store, self._state, self._state.members[member], ctx.id)

    async def show_card(self, request: Request) -> str:
        """Post the approver card so that both sides can compare; returns the 60 digits."""
        ik, certs = memory.identity(self._ctx)
        await self._ctx.relay.show_card(self.sph, request.hash, api.Card(ik, certs[0]))
        return request.safety

    async def decline(self, request: Request) -> None:
        """Refuse a request."""
        await self._ctx.relay.decline_join(self.sph, request.hash)
        self._ctx.store.run("DELETE FROM request WHERE h = ? AND mine = 0", request.hash)

    async def set_role(self, person: Person | str, role: str) -> None:
        """Change a role: owner, admin, member, guest."""
        member = self._handle(person)

        def make(rep: Replica) -> Sequence[compose.Intent]:
            return [] if rep.known[0].members[member].role == role else [compose.SetRole(member, role)]

        await self._commit(make)

    async def remove(self, person: Person | str, *, ban: bool = False, text: str | None = None) -> None:
        """Remove and make a new key in one commit; ``text`` is spoken in it, under the new key."""
        ctx, member = self._ctx, self._handle(person)
        alone = not queue.items(ctx, self.sph)
        item = outbox.put(ctx, self._rep, Payload("msg", self._cid(), text)) if text is not None else ""

        def make(rep: Replica) -> Sequence[compose.Intent]:
            here = rep.known[0].members.get(member)
            return [compose.Remove(member, ban)] if here is not None and here.active else []

        def words(rep: Replica) -> compose.Words | None:
            row = ctx.store.row("outbox", item)
            if row is None or questions.question(ctx, rep, row):  # held by the delivery that follows (CLT-016)
                return None
            return outbox.words_of(ctx, rep, item, row) if make(rep) else None

        async with ctx.profile.writer(self.sph):
            await commits.commit(ctx, self._rep, make, words=words if item and alone else None, out=item)
        await syncing.deliver(ctx, self.sph)

    async def leave(self) -> None:
        """Leave; the others rotate before they speak again."""
        await self._commit(lambda rep: [compose.Leave()] if rep.status == "active" else [])

    def safety_number(self, person: Person | str) -> str:
        """60 digits, groups of five, equal on both sides."""
        return digits.safety_number(self._ctx.id, self._handle(person))

    async def confirm(self, person: Person | str, confirmed: bool = True) -> None:
        """Record that the safety number was compared (kept in the synced state)."""
        member = person if isinstance(person, str) and person in self._state.members else self._handle(person)
        with self._ctx.store.step():
            changes = {"confirmed": confirmed} | ({"changed": False, "was": False} if confirmed else {})
            people.put_pin(self._ctx.store, member, **changes)

    async def set_petname(self, person: Person | str, petname: str) -> None:
        """Name a person for yourself; empty removes the petname."""
        with self._ctx.store.step():
            people.put_pin(self._ctx.store, self._handle(person), petname=people.clean(petname))

    # speaking ----------------------------------------------------------------------------------------------------
    async def _say(self, payload: Payload) -> OutboxItem | Message:
        ctx = self._ctx
        if self._rep.status != "active":
            raise NotMember("you are not in this sphere")
        item = outbox.put(ctx, self._rep, payload)
        await syncing.deliver(ctx, self.sph)
        waiting = next((one for one in queue.items(ctx, self.sph) if one.id == item), None)
        if waiting is not None:
            return waiting
        row = ctx.store.one(
            "SELECT mid, re, kind FROM message INDEXED BY message_cid WHERE sph = ? AND author = ? AND cid = ?"
            " ORDER BY id DESC LIMIT 1",
            self.sph, ctx.id, item,
        )  # fmt: skip
        assert row is not None
        return self.message(row[0] if row[2] in timeline.SPOKEN or not row[1] else row[1])

    def _cid(self) -> bytes:
        return self._ctx.rng(16)

    def _mid(self, message: str | Message) -> bytes:
        return b64d(message.mid if isinstance(message, Message) else self.message(message).mid)

    async def send(
        self, text: str, reply_to: str | Message | None = None, *, openly: bool = False
    ) -> OutboxItem | Message:
        """Queue a text durably, then try to send it. Returns the Message, or the OutboxItem still waiting.

        ``openly`` sends this one in clear in an encrypted sphere, if its policy allows that. Raises UsageError.
        """
        state = self._state
        if openly and state.mode == "e2ee" and not state.policy.plaintext:
            raise UsageError("this sphere allows no open messages")
        clear = openly and state.mode == "e2ee"
        if reply_to is None:
            return await self._say(Payload("msg", self._cid(), text, pt=clear))
        return await self._say(Payload("comment", self._cid(), text, self._mid(reply_to), pt=clear))

    async def edit(self, message: str | Message, text: str) -> OutboxItem | Message:
        """Replace the text of an own message. Raises UsageError for somebody else's."""
        mid = self._mid(message)
        if not self.message(b64e(mid)).mine:
            raise UsageError("only its author can change a message")
        return await self._say(Payload("edit", self._cid(), text, mid))

    async def delete(self, message: str | Message) -> OutboxItem | Message:
        """Delete a message: own ones, or any as owner or admin. Raises UsageError otherwise."""
        mid = self._mid(message)
        if not self.message(b64e(mid)).mine and self._state.members[self._ctx.id].role not in ("owner", "admin"):
            raise UsageError("only its author, an owner or an admin can delete a message")
        return await self._say(Payload("delete", self._cid(), "", mid))

    async def react(self, message: str | Message, emoji: str, on: bool = True) -> OutboxItem | Message:
        """Add or take back a reaction."""
        return await self._say(Payload("react", self._cid(), emoji, self._mid(message), on))

    async def set_nickname(self, nickname: str) -> OutboxItem | None:
        """Tell the members what to call you (an encrypted message, not a log entry)."""
        said = await self._say(Payload("sys", self._cid(), people.clean(nickname), about="nick"))
        return said if isinstance(said, OutboxItem) else None

    def messages(
        self,
        *,
        limit: int | None = None,
        before: int | None = None,
        since: int | None = None,
        unread: bool = False,
        thread: str | None = None,
        waiting: bool = True,
    ) -> list[Message]:
        """Messages from the local store, oldest first. ``before``: a pos; ``since``: unix seconds."""
        ctx, rep = self._ctx, self._rep
        after = timeline.read_position(ctx.store, self.sph) if unread else None
        found = timeline.read(
            ctx.store, self.sph, ctx.id, lambda i: people.name_of(ctx.store, rep.state, i), limit=limit, before=before,
            since=since, unread_after=after, thread=thread,
        )  # fmt: skip
        if unread:
            found = [one for one in found if one.unread]
        return found + (queue.waiting(ctx, rep) if waiting and not unread and thread is None else [])

    def message(self, mid_or_prefix: str) -> Message:
        """One message by mid or unique prefix. Raises NotFound."""
        ctx, rep = self._ctx, self._rep
        pattern = mid_or_prefix.replace("%", "").replace("_", "\\_") + "%"
        rows = ctx.store.all(
            "SELECT DISTINCT mid FROM message WHERE sph = ? AND mid LIKE ? ESCAPE '\\' AND state <> 'hidden' LIMIT 2",
            self.sph, pattern,
        )  # fmt: skip
        rows = [row for row in rows if row[0].startswith(mid_or_prefix)]
        if len(rows) != 1:
            raise NotFound("no such message here") if not rows else UsageError("more than one message fits")
        found = timeline.one(ctx.store, self.sph, rows[0][0], ctx.id, lambda i: people.name_of(ctx.store, rep.state, i))
        assert found is not None
        return found

    async def mark_read(self, up_to: Message | None = None) -> None:
        """Move the read position (synced encrypted; others never see it)."""
        ctx = self._ctx
        row = ctx.store.one("SELECT max(pos) FROM message WHERE sph = ?", self.sph)
        pos = up_to.pos if up_to is not None else int((row[0] if row else 0) or 0)
        if pos > timeline.read_position(ctx.store, self.sph):
            with ctx.store.step():
                ctx.store.put(f"read/{self.sph}", pos)
                ctx.store.put("state_dirty", True)

    # what the server and the log show ------------------------------------------------------------------------------
    async def rotate(self, why: str = "") -> int:
        """Make a new key now; returns its number. ``why`` is told to the members as a message under it."""
        n = await self._new_key()
        if why:
            await self.send(why)
        return n

    async def seen(self, message: str | Message | None = None) -> SeenRow:
        """The relay's row for a message (default: the last), fetched, not guessed."""
        ctx = self._ctx
        if message is None:
            row = ctx.store.one("SELECT max(pos) FROM message WHERE sph = ? AND pos > 0", self.sph)
            pos = int((row[0] if row else 0) or 0)
            found = ctx.store.one("SELECT mid FROM message WHERE sph = ? AND pos = ?", self.sph, pos)
            shown = self.message(found[0]) if found else None
        else:
            shown = message if isinstance(message, Message) else self.message(message)
            pos = shown.pos
        if not pos:
            raise NotFound("the server has nothing of this yet")
        stored = await ctx.relay.seen(self.sph, pos)
        header = jws.decode(stored.jws, messages.TYP).header if stored.kind != "entry" else {}
        return SeenRow(pos, stored.jws, header, stored.size, stored.h, shown)

    def log(self, *, start: int = 0, limit: int = 1000) -> list[LogLine]:
        """Signed entries from the local, verified log."""
        ctx, rep = self._ctx, self._rep
        state, history = rep.known
        rows = ctx.store.all(
            "SELECT jws FROM entry WHERE sph = ? AND seq >= ? ORDER BY seq LIMIT ?", self.sph, start, limit
        )
        lines = []
        for (compact,) in rows:
            one = entries.decode(compact)
            owner = history.owner_of(one.kid)
            name = people.name_of(ctx.store, state, owner)
            op = f"device {one.body['act']}" if one.op == "device" else one.op
            what = self._what(state, op, one.body)
            lines.append(LogLine(one.seq, op, owner, name, one.kid, one.iat, b64e(one.digest), one.body, what))
        return lines

    def _what(self, state: SphereState, op: str, body: dict[str, Any]) -> str:
        def name(member: Any) -> str:
            return people.name_of(self._ctx.store, state, str(member))

        said = {
            "create": "made this sphere",
            "invite": "made an invitation",
            "revoke-invite": "withdrew an invitation",
            "add": f"admitted {name(body.get('id'))}",
            "remove": f"removed {name(body.get('id'))}",
            "leave": "left",
            "role": f"made {name(body.get('id'))} {body.get('role')}",
            "epoch": f"made key {body.get('n')}",
            "meta": "set the title",
            "mode": f"switched to {body.get('mode')}",
            "mark": "asked for a new key",
            "device add": "added a device",
            "device renew": "renewed a device",
            "device revoke": "removed a device",
            "identity": "has a new identity",
            "checkpoint": "signed a checkpoint",
        }
        return said.get(op, f"changed {op}")

    def head_code(self) -> str:
        """30 digits of the log's head, to compare with another member."""
        history = self._rep.known[1]
        return digits.head_code(history.digest(history.seq))

    def evidence(self) -> dict[str, Any]:
        """Exportable proof for the current stop, checkable without this client, with shares that held a wrong key
        (CLT-017), which are kept without a stop too. NotFound if there is neither."""
        stop, ctx = self._rep.stop, self._ctx
        shares = holders.wrong_shares(ctx, self._rep)
        if stop is None and not shares:
            raise NotFound("nothing is stopped here, and nobody sent a wrong key")
        found = dict(stop.data.get("evidence", {})) if stop is not None else {}
        common = int(found.get("common", MAX_PAST))
        past = ctx.store.all("SELECT jws FROM entry WHERE sph = ? AND seq <= ? ORDER BY seq", self.sph, common)
        attached = ctx.store.all("SELECT h, jws FROM attach WHERE sph = ?", self.sph)
        return {
            "v": 1,
            "kind": "cloister-evidence",
            "code": stop.code if stop is not None else "C_KC_MISMATCH",
            "detail": stop.detail if stop is not None else "",
            "at": stop.at if stop is not None else ctx.now(),
            "sph": self.sph,
            "shares": shares,
            "past": [row[0] for row in past],
            **found,
            "attach": {**{b64e(bytes(h)): compact for h, compact in attached}, **found.get("attach", {})},
        }

    async def acknowledge(self, code: str) -> None:
        """Lift an acknowledgeable stop (C_KEY_CHANGED: carry on as not confirmed; C_DOWNGRADE: seen)."""
        ctx = self._ctx
        async with ctx.profile.writer(self.sph):
            stops.acknowledge(ctx, self._rep, code)
        await syncing.deliver(ctx, self.sph)

    async def forget(self) -> None:
        """Delete everything of this sphere from this device (only after leaving or being removed)."""
        ctx, rep = self._ctx, self._rep
        if rep.status == "active":
            raise UsageError("leave the sphere first")
        with ctx.store.step():
            for table in ("entry", "view", "attach", "epoch_key", "chain", "message", "outbox", "pledge", "sphere"):
                ctx.store.run(f"DELETE FROM {table} WHERE sph = ?", self.sph)  # noqa: S608 - own table names
            ctx.store.run("DELETE FROM request WHERE sph = ?", self.sph)
            ctx.store.run("DELETE FROM cursor WHERE stream = ?", self.sph)
            ctx.store.put("state_dirty", True)
        ctx.replicas.pop(self.sph, None)
