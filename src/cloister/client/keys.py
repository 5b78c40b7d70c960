"""Epoch keys on this device: keep them, store them for the own account, ask for missing ones, hand them on.

A key is whatever matches the commitment in the verified log, by whichever way it came: share, slot, link blob, own
device. Handing on happens unasked only to devices that the log lists as active, and only as deep as the history policy
allows (CLT-017). Slots are written only for synced spheres, and by nobody while a revocation is unfinished (CLT-007).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

from cloister.account import slot_names, slots
from cloister.client import claims, expiry, intake, memory, organisation, renewing, stops
from cloister.client.context import Context
from cloister.client.events import Event
from cloister.client.replica import Replica
from cloister.errors import CheckFailed, CloisterError, Conflict, Forbidden, RelayError, StaleHead
from cloister.protocol import entry as entries
from cloister.protocol import jws, p2p
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.p2p import Letter
from cloister.protocol.roles import RANK
from cloister.protocol.state import Device
from cloister.sphere import epoch, meta, share
from cloister.sphere.epoch import EpochKey
from cloister.sphere.share import Party

# Seconds after which a question that nobody answered is put to others.
ASK_AGAIN: Final = 600
# Devices asked at once: enough that one is likely online, few enough not to be answered tenfold.
ASKED: Final = 4
MAX_NS: Final = 256
# Shares one device is answered with in ASK_AGAIN seconds: two questions, and none without end.
ANSWERED: Final = 512
# Slots looked up one by one; a device that lacks more fetches them all.
MAX_SLOTS: Final = 16


def keep(ctx: Context, rep: Replica, found: Iterable[EpochKey], events: list[Event]) -> list[int]:
    """Store keys that matched their commitment and open what waited for them; inside a step. Returns the new ones."""
    fresh = [key for key in found if key.n not in rep.keys and key.n > expiry.shredded(rep)]
    for key in fresh:
        rep.keys[key.n] = key
        ctx.store.run(
            "INSERT INTO epoch_key (sph, n, secret) VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
            " SET secret = excluded.secret, slot = 0 WHERE secret <> excluded.secret", rep.sph, key.n, key.secret,
        )  # fmt: skip
    if fresh:
        read_meta(ctx, rep)
        intake.reopen(ctx, rep, [key.n for key in fresh], events)
    return [key.n for key in fresh]


def read_meta(ctx: Context, rep: Replica) -> meta.Opened | None:
    """Title, topic and icon in force, opened if the key is here; keeps them in the notes. None when they cannot be."""
    state = rep.known[0]
    if state.meta is None:
        return None
    row = ctx.store.one("SELECT jws FROM entry WHERE sph = ? AND seq = ?", rep.sph, state.meta.seq)
    assert row is not None
    one = entries.decode(row[0])
    slot = meta.Slot(one.kid, rep.sph, one.seq, one.prev, one.ep)
    try:
        opened = meta.open(state.meta.body, slot, rep.keys.get(state.meta.ep))
    except CheckFailed:
        return None
    rep.note["title"], rep.note["topic"], rep.note["icon"] = opened.text.title, opened.text.topic, opened.text.icon
    rep.save_note(ctx.store)
    return opened


def unreadable(ctx: Context, rep: Replica) -> set[int]:
    """Epochs of rows here that wait for their key."""
    rows = ctx.store.all("SELECT DISTINCT ep FROM message WHERE sph = ? AND state = 'unreadable'", rep.sph)
    return {int(row[0]) for row in rows}


def missing(ctx: Context, rep: Replica) -> list[int]:
    """Epochs whose key is needed here: of rows that cannot be read, of older ones the policy gives, and the running
    one. Newest first."""
    if rep.state is None or rep.status != "active":
        return []
    wanted = unreadable(ctx, rep) | ({rep.state.ep} if rep.state.ep else set()) | organisation.lacking(rep)
    lacking = wanted - set(rep.keys)
    return sorted(lacking & granted(rep, ctx.dv), reverse=True) if lacking else []


def granted(rep: Replica, dv: str) -> set[int]:
    """The epochs that the history policy gives an active device without a person's word (SHR-006, CLT-017)."""
    state, history = rep.known
    device = state.devices.get(dv)
    return set(share.granted(history, device.owner, dv)) if device is not None else set()


def withheld(ctx: Context, rep: Replica, member: str) -> bool:
    """Whether no key goes to a member now: the sphere is stopped, or an entry of its log may be missing here (CLT-015,
    CLT-021). Own devices are not kept from keys that only this one may have."""
    return member != ctx.id and (rep.stop is not None or claims.gap(ctx, rep))


def require_shown(ctx: Context, rep: Replica, member: str) -> None:
    """Raise why no key goes to a member now: the sphere's stop, or StaleHead."""
    if withheld(ctx, rep, member):
        stops.require_none(rep)
        raise StaleHead("a member has seen an entry that the relay does not show here")


# --- letters ------------------------------------------------------------------------------------------------------


def letter(ctx: Context, sph: str, k: str, **members: Any) -> str:
    """A letter of this device (LOG-025)."""
    payload = {"k": k, "sph": sph, "iat": ctx.now(), "jti": b64e(ctx.rng(16)), **members}
    return jws.sign(p2p.TYP, {"kid": ctx.dv}, payload, ctx.sign)


def open_share(ctx: Context, rep: Replica, compact: str) -> EpochKey:
    """The epoch key in a share sent to this device (SHR-004). Raises CheckFailed."""
    secrets = [own.de_seed for own in renewing.receiving(ctx)]
    return share.open(compact, rep.known[1], Party(ctx.id, ctx.dv), ctx.keys.kem, secrets, rep.sph)


async def ask(ctx: Context, rep: Replica, ns: Sequence[int] | None = None, *, again: bool = False) -> list[str]:
    """Ask holders for missing keys; returns the devices asked. Own devices first, then the epoch's author, then those
    who have been here longest. Nobody is asked twice within ten minutes unless ``again``."""
    state, history = rep.known
    if state.org:
        return []  # nobody hands on what everybody derives (EPO-009)
    wanted = list(ns) if ns is not None else missing(ctx, rep)
    asked: dict[str, Any] = rep.note.get("asked", {})
    due = [n for n in wanted if again or ctx.now() - asked.get(str(n), {}).get("at", 0) >= ASK_AGAIN][:MAX_NS]
    if not due:
        return []
    authors = {history.epoch(n).by for n in due}
    before = {dv for n in due for dv in asked.get(str(n), {}).get("of", [])}
    revoked = set(ctx.store.get("revoked", []))

    def order(device: Device) -> tuple[bool, bool, bool, int]:
        return (device.dv in before, device.owner != ctx.id, device.dv not in authors, device.since)

    others = [d for d in state.active_devices() if d.dv != ctx.dv and d.dv not in revoked]
    chosen = [d.dv for d in sorted(others, key=order)[:ASKED]]
    if not chosen:
        return []
    await ctx.relay.post(chosen, letter(ctx, rep.sph, "ask", ns=due))
    with ctx.store.step():
        for n in due:
            was = asked.get(str(n), {})
            first = was.get("first", ctx.now())  # asking again does not begin the ten minutes anew
            asked[str(n)] = {"at": ctx.now(), "first": first, "of": [*was.get("of", []), *chosen][-64:]}
        rep.note["asked"] = asked
        rep.save_note(ctx.store)
    return chosen


async def answer(ctx: Context, rep: Replica, asked: Letter) -> int:
    """Hand on the keys a member's device asked for, as far as policy allows (CLT-017). Returns how many."""
    device = rep.known[0].devices.get(asked.kid)
    if device is None or not device.active:
        return 0
    p2p.verify(asked, device)
    now = ctx.now()
    rows = {dv: row for dv, row in rep.note.get("handed", {}).items() if now - row["at"] < ASK_AGAIN}
    row = rows.get(device.dv, {"at": now, "n": 0})
    sent = await hand_on(ctx, rep, device, list(dict.fromkeys(asked.body["ns"]))[: max(0, ANSWERED - row["n"])])
    if sent:
        with ctx.store.step():
            rep.note["handed"] = {**rows, device.dv: {**row, "n": row["n"] + sent}}
            rep.save_note(ctx.store)
    return sent


async def hand_on(ctx: Context, rep: Replica, device: Device, ns: Iterable[int], *, agreed: bool = False) -> int:
    """Send shares of the epochs ``ns`` that are here and permitted to one active device; ``agreed``: a person who may
    say so said yes to these (CLT-041).

    Not where keys are handed over live: then nothing is stored on the way; nor where they are derived (EPO-009).
    """
    if device.dv in ctx.store.get("revoked", []) or not rep.known[0].wraps_expected:
        return 0
    if withheld(ctx, rep, device.owner):
        return 0
    history, sent = rep.known[1], 0
    given = granted(rep, device.dv)
    for n in list(ns)[:MAX_NS]:
        key = rep.keys.get(n)
        if key is None or not (agreed or n in given):
            continue
        made = share.seal(key, history.epoch(n), Party(ctx.id, ctx.dv), ctx.sign, device, iat=ctx.now(), rng=ctx.rng)
        await ctx.relay.post([device.dv], made)
        sent += 1
    return sent


async def greet(ctx: Context, rep: Replica) -> None:
    """Hand the own account's new devices the keys of this sphere on sight (CLT-017)."""
    for dv in rep.note.get("welcome", []):
        device = rep.known[0].devices.get(dv)
        if device is not None and device.active:
            await hand_on(ctx, rep, device, sorted(rep.keys, reverse=True))
    if rep.note.pop("welcome", None) is not None:
        with ctx.store.step():
            rep.save_note(ctx.store)


# --- link blobs ---------------------------------------------------------------------------------------------------


async def follow_links(ctx: Context, rep: Replica) -> int:
    """Older keys from the chain of link blobs, where the policy keeps one (EPO-005). Returns how many were new."""
    history = rep.known[1]
    held = sorted(rep.keys)
    least = expiry.shredded(rep) + 1
    given = granted(rep, ctx.dv)
    gaps = [n for n in held if n > least and n - 1 not in rep.keys and n - 1 in given]
    found: list[EpochKey] = []
    for top in gaps:
        if rep.note.get("links_tried", {}).get(str(top)) == history.seq:
            continue
        rep.note.setdefault("links_tried", {})[str(top)] = history.seq
        key = rep.keys[top]
        for link in await ctx.relay.links(rep.sph, top):
            if link.n != key.n or key.n - 1 in rep.keys or key.n <= least:
                break
            try:
                key = epoch.link_open(b64d(link.blob), key, history.epoch(key.n - 1))
            except CheckFailed:
                break
            found.append(key)
    if gaps:
        with ctx.store.step() as events:
            keep(ctx, rep, found, events)
            rep.save_note(ctx.store)
    return len(found)


# --- slots --------------------------------------------------------------------------------------------------------


def synced(ctx: Context, rep: Replica) -> bool:
    """Whether keys of this sphere may lie in the account's slots: the sphere's setting and the own choice (CLT-035)."""
    return rep.state is not None and rep.state.custody == "synced" and not memory.only_here(ctx, rep)


def in_slots(ctx: Context, rep: Replica) -> bool:
    """Whether the running key of an encrypted sphere lies in the account's slots, as far as this device knows."""
    state = rep.known[0]
    if state.mode != "e2ee" or state.custody != "synced":
        return False
    row = ctx.store.one("SELECT slot FROM epoch_key WHERE sph = ? AND n = ?", rep.sph, state.ep)
    return row is not None and row[0] != 0


async def put_slots(ctx: Context, rep: Replica) -> None:
    """Write slots of keys not yet stored for the account (SLOT-010).

    A taken name is done if what stands there is this key; if not, the slot counts as absent and is written again
    under the next master key, when the relay replaces it (SLOT-007).
    """
    if not synced(ctx, rep) or ctx.store.get("revoking") or ctx.store.get("mk_due") or memory.unanswered(ctx):
        return
    for n, secret in ctx.store.all(
        "SELECT n, secret FROM epoch_key WHERE sph = ? AND slot <= 0 AND slot > ?", rep.sph, -ctx.mkv
    ):
        name = slot_names.epoch(rep.sph, n)
        data = slots.seal_epoch(ctx.mk, ctx.id, rep.sph, n, bytes(secret), ctx.rng)
        kept = True
        try:
            await ctx.relay.put_slot(name, ctx.mkv, data)
        except Conflict as error:
            if "mkv" in error.data:
                return  # another master key is in force: the slot waits for it
            kept = await _holds(ctx, rep.sph, n, bytes(secret))
        ctx.store.run("UPDATE epoch_key SET slot = ? WHERE sph = ? AND n = ?", 1 if kept else -ctx.mkv, rep.sph, n)


async def _holds(ctx: Context, sph: str, n: int, secret: bytes) -> bool:
    """Whether the slot of an epoch, as it stands at the relay, gives this key."""
    found = await ctx.relay.slot(slot_names.epoch(sph, n))
    try:
        return slots.open_epoch(ctx.mk, ctx.id, sph, n, b64d(found.bytes)) == secret
    except CheckFailed:
        return False


async def fetch_slots(ctx: Context) -> None:
    """Keep the account's slots at hand for spheres whose log is not here yet (a new device; SLOT-010)."""
    found = await ctx.relay.slots()
    masters = {parsed.n: b64d(one.bytes) for one in found if (parsed := slot_names.parse(one.name)).kind == "mk"}
    generations = slots.open_masters(ctx.id, ctx.mk, ctx.mkv, masters)
    with ctx.store.step():
        for one in found:
            name = slot_names.parse(one.name)
            if name.kind != "e" or one.mkv not in generations:
                continue
            try:
                secret = slots.open_epoch(generations[one.mkv], ctx.id, name.sph, name.n, b64d(one.bytes))
            except CheckFailed:
                # A damaged slot is as good as none: the key comes by another way and is stored again.
                ctx.store.run(
                    "UPDATE epoch_key SET slot = ? WHERE sph = ? AND n = ? AND slot = 1", -one.mkv, name.sph, name.n
                )
                continue
            waiting(ctx, "slot", name.sph, name.n, secret)
        ctx.store.put("slots_due", None)


def use_slots(ctx: Context, rep: Replica, events: list[Event]) -> int:
    """Take what waited for the log and whose commitment matches it, from slots and from elsewhere; inside a step."""
    fresh = keep(ctx, rep, _waited(ctx, rep, "slot"), events)
    for n in fresh:
        ctx.store.run("UPDATE epoch_key SET slot = 1 WHERE sph = ? AND n = ?", rep.sph, n)
    return len(fresh) + len(keep(ctx, rep, _waited(ctx, rep, "kept"), events))


def waiting(ctx: Context, kind: Literal["slot", "kept"], sph: str, n: int, secret: bytes) -> None:
    """Have a secret wait until the log says whether it is the epoch's: ``slot`` for one that lies in the account's
    slots, ``kept`` for one from a saved text or this device's predecessor, which may not; inside a step."""
    row = json.dumps({"secret": b64e(secret)})
    ctx.store.run("INSERT OR REPLACE INTO todo VALUES (?, ?)", f"{kind}/{slot_names.epoch(sph, n)}", row)


def _waited(ctx: Context, rep: Replica, kind: str) -> list[EpochKey]:
    """Keys among what waits. What the log knows does not wait any longer."""
    history, found = rep.known[1], []
    for name, row in ctx.store.rows("todo", "k LIKE ?", f"{kind}/e.{rep.sph}.%"):
        n = slot_names.parse(name.removeprefix(f"{kind}/")).n
        try:
            found.append(epoch.check(b64d(row["secret"]), history.epoch(n), rep.sph))
        except CheckFailed as error:
            if error.code == "C_KEY_UNKNOWN":
                continue
        ctx.store.run("DELETE FROM todo WHERE k = ?", name)
    return found


async def own_slots(ctx: Context, rep: Replica) -> None:
    """Missing keys that the account itself stored earlier (SLOT-010)."""
    wanted = missing(ctx, rep)[:MAX_SLOTS] if synced(ctx, rep) else []
    for n in wanted:
        try:
            found = await ctx.relay.slot(slot_names.epoch(rep.sph, n))
            if found.mkv != ctx.mkv:
                ctx.store.put("slots_due", True)  # under an earlier master key: fetched with the others
                continue
            secret = slots.open_epoch(ctx.mk, ctx.id, rep.sph, n, b64d(found.bytes))
        except (Forbidden, CheckFailed):
            continue
        with ctx.store.step() as events:
            waiting(ctx, "slot", rep.sph, n, secret)
            use_slots(ctx, rep, events)


async def heal(ctx: Context, rep: Replica) -> None:
    """Everything that may bring missing keys: own slots, links, then questions (CLT-017). Refusals wait for the next
    round."""
    if rep.state is None or rep.status != "active" or rep.state.members[ctx.id].role not in RANK:
        return
    try:
        if rep.state.org:
            with ctx.store.step() as events:
                keep(ctx, rep, organisation.derived(ctx, rep), events)
        await own_slots(ctx, rep)
        await follow_links(ctx, rep)
        await greet(ctx, rep)
        if missing(ctx, rep):
            await ask(ctx, rep)
        await put_slots(ctx, rep)
    except (Forbidden, RelayError):
        return
    except CloisterError as error:
        if error.code != "C_FORMAT":
            raise
