"""A handle on one sphere: everything a member can do in it.

Handles are cheap and hold no state of their own; all state is in the client's store. Whatever writes does so as the
sphere's only writer on this device. Spec: CLT-011 to CLT-024.

Long because it is the surface: one short method per act, the work is in the modules it calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from cloister.client import (
    announce,
    commits,
    export,
    holders,
    invited,
    joining,
    keys,
    memory,
    older,
    outbox,
    people,
    queue,
    resend,
    stops,
    syncing,
    timeline,
)
from cloister.client.context import Context
from cloister.client.handover import Handover
from cloister.client.records import (
    InviteInfo,
    InviteLink,
    KeyRow,
    KeyWish,
    LogLine,
    Message,
    OutboxItem,
    Person,
    Request,
    SavedKeys,
    SeenRow,
    SphereInfo,
    Switch,
)
from cloister.client.replica import Replica
from cloister.errors import NotFound, NotMember, Unreachable, UsageError
from cloister.protocol import api, digits, jws
from cloister.protocol import entry as entries
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.roles import RANK
from cloister.protocol.state import Policy, SphereState
from cloister.sphere import compose, invitation, meta
from cloister.sphere import message as messages
from cloister.sphere.payload import Payload

if TYPE_CHECKING:
    from cloister.client.client import Client

# Entries of the own log that go into evidence when no common position is known.
MAX_PAST = 10_000


def sphere_info(ctx: Context, rep: Replica) -> SphereInfo:
    """The record of a sphere, from the local store."""
    state, note = rep.state, rep.note
    row = ctx.store.one("SELECT count(*) FROM outbox WHERE sph = ?", rep.sph)
    asks = ctx.store.one("SELECT count(*) FROM request WHERE sph = ? AND mine = 0", rep.sph)
    status = "asked" if note["status"] == "entering" else note["status"]
    me = state.members.get(ctx.id) if state is not None else None
    return SphereInfo(
        sph=rep.sph,
        title=note.get("title", "") or note.get("label", "") or rep.sph[:9],
        topic=note.get("topic", ""),
        icon=note.get("icon", ""),
        status=status,  # type: ignore[arg-type]
        mode=state.mode if state is not None else "e2ee",  # type: ignore[arg-type]
        delivery=state.delivery if state is not None else "pairwise",
        custody=state.custody if state is not None else "synced",
        epoch=state.ep if state is not None else 0,
        have_key=state is not None and (state.mode != "e2ee" or rep.sending_key is not None),
        members=state.member_count if state is not None else 0,
        role=me.role if me is not None else "none",
        unread=timeline.unread(ctx.store, rep.sph, ctx.id),
        waiting=int(row[0]) if row else 0,
        requests=int(asks[0]) if asks else 0,
        seq=state.seq if state is not None else 0,
        marked=state is not None and state.hard,
        confirmed_by_inviter=bool(note.get("confirmed", True)),
        stop=rep.stop,
        label=note.get("label", ""),
        provisional=bool(note.get("provisional")),
        switched=Switch(**note["switched"]) if "switched" in note else None,
        saved=export.saved(ctx, rep.sph),
        kem_min=state.policy.kem_min if state is not None else "xwing",
        kind=state.kind if state is not None else "sphere",
        org=state.org if state is not None else "",
        only_here=memory.only_here(ctx, rep),
        too_weak=status == "asked" and state is not None and syncing.too_weak(ctx, state),
    )


class Sphere:
    """One sphere of one client. Obtain it from ``Client.sphere``, ``create_sphere`` or ``join``."""

    def __init__(self, client: Client, sph: str) -> None:
        self.client = client
        self.sph = sph

    @property
    def _ctx(self) -> Context:
        return self.client.context

    @property
    def _rep(self) -> Replica:
        return self._ctx.replica(self.sph)

    @property
    def _state(self) -> SphereState:
        state = self._rep.state
        if state is None:
            raise NotMember("you are not in this sphere yet")
        return state

    @property
    def info(self) -> SphereInfo:
        """Current record, from the local store."""
        return sphere_info(self._ctx, self._rep)

    async def _commit(self, make: commits.Make) -> bool:
        """Commit intents as the only writer, then store new keys in slots."""
        ctx = self._ctx
        async with ctx.profile.writer(self.sph):
            done = await commits.commit(ctx, ctx.replica(self.sph), make)
            await syncing.store_slots(ctx, self.sph)
        return done

    # people and requests -----------------------------------------------------------------------------------------
    def people(self, *, past: bool = False) -> list[Person]:
        """Members (with ``past`` also former ones), owners first, then by name."""
        return people.people(self._ctx.store, self._state, self._ctx.id, past=past)

    def person(self, name_or_prefix: str) -> Person:
        """Find one member by shown name, login, petname or unique id prefix. Raises NotFound, UsageError."""
        try:
            return people.find(self.people(), name_or_prefix)
        except NotFound:
            return people.find(self.people(past=True), name_or_prefix)

    def _handle(self, person: Person | str) -> str:
        return person.id if isinstance(person, Person) else self.person(person).id

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
            if row is None or outbox.question(ctx, rep, row):  # held by the delivery that follows (CLT-016)
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

    # keys, settings, history -------------------------------------------------------------------------------------
    async def rotate(self, why: str = "") -> int:
        """Make a new key now; returns its number. ``why`` is told to the members as a message under it."""
        await self._commit(lambda _: [compose.Rotate()])
        n = self._state.ep
        if why:
            await self.send(why)
        return n

    async def set_meta(self, *, title: str | None = None, topic: str | None = None, icon: str | None = None) -> None:
        """Change encrypted title, topic or icon; what is None stays."""
        note = self._rep.note

        def make(_: Replica) -> Sequence[compose.Intent]:
            text = meta.Text(
                note.get("title", "") if title is None else title,
                note.get("topic", "") if topic is None else topic,
                note.get("icon", "") if icon is None else icon,
            )
            return [compose.SetMeta(text)]

        await self._commit(make)

    async def set_mode(self, mode: Literal["e2ee", "open", "public"], *, title: str | None = None) -> None:
        """Owner only: turn encryption on or off (CLT-042).

        What was sealed stays sealed, the title too: ``title`` is one for everybody to read, the server as well.
        """

        def make(rep: Replica) -> Sequence[compose.Intent]:
            if rep.known[0].mode == mode:
                return []
            shown = [] if title is None or mode == "e2ee" else [compose.SetMeta(meta.Text(title, ""))]
            return [compose.SetMode(mode), *shown]

        await self._commit(make)
        await self.accept_mode()  # whoever switches knows

    async def accept_mode(self) -> None:
        """The person has seen that the server can read here now: new texts go unasked. Texts that wait from before
        keep their question (CLT-016)."""
        async with self._ctx.profile.writer(self.sph):
            with self._ctx.store.step():
                if announce.accept(self._rep):
                    self._rep.save_note(self._ctx.store)

    @property
    def policy(self) -> Policy:
        """The signed policy in force."""
        return self._state.policy

    def public_link(self) -> str:
        """The link by which anybody reads a public sphere (INV-004), pinned to the entry that made it public. No
        secret. Raises UsageError for a sphere that is not public."""
        state, history = self._rep.known
        if state.mode != "public":
            raise UsageError("only public spheres are read by a link")
        pin = history.digest(state.mode_at)[: invitation.PIN_LENGTH]
        return invitation.emit(invitation.Link("public", self._ctx.relay.origin, self.sph, seq=state.mode_at, pin=pin))

    async def set_policy(self, **changes: Any) -> None:
        """Change policy members: join, history, retention, plaintext, guests, T, kem_min."""

        def make(rep: Replica) -> Sequence[compose.Intent]:
            old = rep.known[0].policy
            new = Policy.from_body({**old.as_body(), **changes})
            return [] if new == old else [compose.SetPolicy(new)]

        await self._commit(make)

    async def set_custody(self, custody: Literal["synced", "device"]) -> None:
        """Owner only: whether members may keep keys in their accounts' slots (synced) or on devices only.

        With device a new key is made in the same commit, since those of before may lie in slots (CLT-035). Raises
        UsageError without a second device or a saved copy.
        """
        if custody == "device":
            memory.require_second_copy(self._ctx, self._rep)

        def make(rep: Replica) -> Sequence[compose.Intent]:
            state = rep.known[0]
            if state.custody == custody:
                return []
            fresh = custody == "device" and state.mode == "e2ee"
            return [compose.SetCustody(custody), *([compose.Rotate()] if fresh else [])]

        await self._commit(make)

    async def keep_only_here(self, only: bool = True) -> None:
        """Keep this sphere's keys on this account's devices only, never in slots at the relay (own choice).

        A new key is made where this person may, since those of before may lie in slots (CLT-035). Raises UsageError
        without a second device or a saved copy.
        """
        if only == memory.only_here(self._ctx, self._rep):
            return
        if only:
            memory.require_second_copy(self._ctx, self._rep)
        memory.set_setting(self._ctx, f"only.{self.sph}", only)
        state = self._state
        if only and keys.in_slots(self._ctx, self._rep) and state.members[self._ctx.id].role != "guest":
            await self.rotate()

    async def save_keys(self, passphrase: str = "") -> SavedKeys:
        """All keys of this sphere that are here, as a text to keep and the code that opens it (CLT-060).

        With ``passphrase`` (five words and more) that opens it instead. It counts as saved once ``check_saved`` has
        read it back. Raises UsageError, WeakPassword.
        """
        return await export.save(self._ctx, self._rep, passphrase)

    async def check_saved(self, text: str, code: str) -> int:
        """Read a saved text back; returns the newest key in it. Raises FormatError, Downgrade, VaultError (another
        code), DecryptFailed (changed), CommitmentMismatch (another sphere's, or not these keys)."""
        return await export.check(self._ctx, self._rep, text, code)

    async def checkpoint(self) -> int:
        """Sign a checkpoint of the current state; returns its seq."""
        ctx = self._ctx
        heads = tuple(
            (tail.dv, tail.seq, b64d(tail.h)) for tail in await ctx.relay.heads(self.sph)
        )  # of all devices, so that a dropped end shows at the next reader
        await self._commit(lambda _: [compose.Checkpoint(heads[:256])])
        return self._state.seq

    def keys(self) -> list[tuple[int, bool]]:
        """(n, here) for every epoch of the log."""
        rep = self._rep
        return [(one.n, one.n in rep.keys) for one in rep.known[1].epochs()]

    def key_rows(self) -> list[KeyRow]:
        """Every key of the sphere: made by whom, here or not, and who could supply one that is missing (CLT-043)."""
        return holders.rows(self._ctx, self._rep)

    async def ask_keys(self, ns: Sequence[int] | None = None) -> list[str]:
        """Ask holders for missing keys; returns the names of those asked."""
        ctx = self._ctx
        async with ctx.profile.writer(self.sph):
            asked = await keys.ask(ctx, self._rep, ns, again=True)
        state = self._state
        owners = dict.fromkeys(state.devices[dv].owner for dv in asked)
        return [people.name_of(ctx.store, state, owner) for owner in owners]

    def older_keys(self) -> list[int]:
        """Epochs of rows from before this member's time: the history policy does not give their keys. Newest first."""
        return older.wanted(self._ctx, self._rep)

    async def ask_older(self) -> list[str]:
        """Ask people who may say yes for keys the policy does not give (CLT-041); returns the names of those asked."""
        ctx = self._ctx
        async with ctx.profile.writer(self.sph):
            asked = await older.ask(ctx, self._rep)
        state = self._state
        return [people.name_of(ctx.store, state, o) for o in dict.fromkeys(state.devices[dv].owner for dv in asked)]

    def wishes(self) -> list[KeyWish]:
        """Members who ask for older keys than the policy gives, and wait for this person's yes (CLT-041)."""
        return older.wishes(self._ctx, self._rep)

    async def share_older(self, person: Person | str) -> int:
        """Say yes to a member's wish; returns how many keys went."""
        member = self._handle(person)
        async with self._ctx.profile.writer(self.sph):
            return await older.give(self._ctx, self._rep, member)

    async def decline_older(self, person: Person | str) -> None:
        """Say no to a member's wish; nothing is sent."""
        older.decline(self._ctx, self._rep, self._handle(person))

    def missing(self) -> dict[str, int]:
        """How many messages are missing here, by the name of who wrote them (RUN-012, CLT-052)."""
        ctx, (state, history), found = self._ctx, self._rep.known, dict[str, int]()
        for dv, numbers in resend.wanted(ctx, self._rep).items():
            name = people.name_of(ctx.store, state, history.owner_of(dv))
            found[name] = found.get(name, 0) + len(numbers)
        return found

    async def ask_messages(self) -> list[str]:
        """Ask members for missing messages now, whenever they were last asked; returns the names of those asked."""
        ctx = self._ctx
        async with ctx.profile.writer(self.sph):
            asked = await resend.ask(ctx, self._rep, again=True)
        state = self._state
        return [people.name_of(ctx.store, state, o) for o in dict.fromkeys(state.devices[dv].owner for dv in asked)]

    def handover(self) -> Handover:
        """Keys handed over between connected devices (LIVE-001)."""
        return Handover(self.client, self.sph)

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
        """Exportable proof for the current stop, checkable without this client. NotFound if there is none."""
        stop = self._rep.stop
        if stop is None:
            raise NotFound("nothing is stopped here")
        ctx = self._ctx
        found = dict(stop.data.get("evidence", {}))
        common = int(found.get("common", MAX_PAST))
        past = ctx.store.all("SELECT jws FROM entry WHERE sph = ? AND seq <= ? ORDER BY seq", self.sph, common)
        attached = ctx.store.all("SELECT h, jws FROM attach WHERE sph = ?", self.sph)
        return {
            "v": 1,
            "kind": "cloister-evidence",
            "code": stop.code,
            "detail": stop.detail,
            "at": stop.at,
            "sph": self.sph,
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
