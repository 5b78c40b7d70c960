"""Preconditions and effects of each operation: what the table in ``roles.json`` cannot say in a word.

One function per row. Each receives the step (state before, entry, author) and returns the members of the state that
change; a refusal is LogInvalid and names the rule. Nothing here verifies the entry itself: ``machine`` did.

Spec: ROLE-003 to ROLE-019, LOG-015 to LOG-019.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from cloister import crypto
from cloister.errors import CheckFailed, LogInvalid
from cloister.protocol import certificate, join
from cloister.protocol.encoding import b64d
from cloister.protocol.permission import Step, check_kem, refuse
from cloister.protocol.roles import KEM_RANK, LIMITS, RANK, TABLE
from cloister.protocol.state import (
    Device,
    Epoch,
    Invite,
    Member,
    Meta,
    Policy,
    SphereState,
    Tail,
    recipients_hash,
    state_hash,
)

Changes = dict[str, Any]
_SEALED: Final = set(TABLE["meta"]["sealed"])
_CLEAR: Final = set(TABLE["meta"]["clear"])


# --- shared pieces ------------------------------------------------------------------------------------------------


def _tails(s: Step, rows: list[list[Any]], devices: Iterable[str], *, end: bool) -> tuple[Tail, ...]:
    """The tails of exactly ``devices``, each once (LOG-017)."""
    tails = tuple(Tail(dv, seq, b64d(digest), s.entry.seq, end) for dv, seq, digest in rows)
    if len({tail.dv for tail in tails}) != len(tails) or {tail.dv for tail in tails} != set(devices):
        refuse("LOG-017", "tails must name each affected device once and no other")
    return tails


def _with_tails(state: SphereState, tails: tuple[Tail, ...]) -> Mapping[str, Tail]:
    return {**state.tails, **{tail.dv: tail for tail in tails}}


def _close_invites(state: SphereState, member: str) -> Mapping[bytes, Invite]:
    """Invitations by ``member``, closed (ROLE-006)."""
    if not any(invite.by == member and invite.left for invite in state.invites.values()):
        return state.invites
    return {jti: replace(i, left=0) if i.by == member else i for jti, i in state.invites.items()}


def _target(s: Step) -> Member:
    target = s.state.members.get(s.body["id"])
    if target is None or not target.active:
        refuse("ROLE-008", "the target is not a member")
    return target


def _owners_besides(state: SphereState, member: str) -> bool:
    return any(m.role == "owner" and m.id != member for m in state.members.values())


def _gone(s: Step, member: Member, role: str) -> Changes:
    """A member leaves or is removed: devices, invitations, counters, tails (ROLE-008, ROLE-009)."""
    state = s.state
    active = [dv for dv in member.devices if state.devices[dv].active]
    tails = _tails(s, s.body["tails"], active, end=True)
    return {
        "members": {**state.members, member.id: replace(member, role=role, since=s.entry.seq)},
        "devices": {**state.devices, **{dv: replace(state.devices[dv], status="left") for dv in active}},
        "invites": _close_invites(state, member.id),
        "tails": _with_tails(state, tails),
        "member_count": state.member_count - 1,
        "device_count": state.device_count - len(active),
        "change": {"off": tuple(active), "roles": ((member.id, role),), "tails": tails, "target": member.id},
    }


def _room(state: SphereState, members: int, devices: int) -> None:
    if state.member_count + members > LIMITS["members"] or state.device_count + devices > LIMITS["devices"]:
        refuse("ROLE-019", "the sphere is full")


# --- one function per row ------------------------------------------------------------------------------------------


def _invite(s: Step) -> Changes:
    b, state = s.body, s.state
    jti, ipk = b64d(b["jti"]), b64d(b["ipk"])
    if jti in state.invites:
        refuse("ROLE-006", "jti is not new")
    if RANK[b["role"]] > RANK[s.me.role]:
        refuse("ROLE-006", "an invitation gives no role above its author's")
    if not 1 <= b["uses"] <= LIMITS["uses"] or b["exp"] < s.entry.iat:
        refuse("ROLE-006", "uses or exp out of range")
    crypto.ed25519_check_public(ipk)
    invite = Invite(jti, ipk, b["role"], b["uses"], b["exp"], b["admit"], s.me.id, s.entry.seq)
    return {"invites": {**state.invites, jti: invite}, "change": {"jti": jti}}


def _revoke_invite(s: Step) -> Changes:
    jti = b64d(s.body["jti"])
    invite = s.state.invites.get(jti)
    if invite is None or invite.left == 0:
        refuse("ROLE-006", "the invitation is not open")
    return {"invites": {**s.state.invites, jti: replace(invite, left=0)}, "change": {"jti": jti}}


def _link(s: Step) -> Invite | None:
    """The invitation an add relies on, or None when a person confirmed (ROLE-010, ROLE-011)."""
    if "jti" not in s.body:
        if s.body["role"] == "admin" and s.me.role != "owner":
            refuse("ROLE-011", "only an owner adds an admin without an invitation")
        return None
    invite = s.state.invites.get(b64d(s.body["jti"]))
    if invite is None or invite.left == 0 or s.entry.iat > invite.exp:
        refuse("ROLE-010", "the invitation is not open")
    if s.body["role"] != invite.role:
        refuse("ROLE-010", "the role is not the invitation's")
    return invite


def _request(s: Step, invite: Invite | None) -> join.JoinRequest:
    """The attached request, verified at the entry's time (JOIN-008); any failure makes the entry wrong."""
    digest = b64d(s.body["join"])
    compact = s.attachments.get(digest)
    if compact is None:
        refuse("JOIN-008", "the join request is not attached")
    try:
        request = join.verify(compact, s.state.sph, invite, s.entry.iat)
    except CheckFailed as error:
        raise LogInvalid(f"JOIN-008: {error.detail}", rule="JOIN-008") from error
    if request.digest != digest or request.id != s.body["id"]:
        refuse("JOIN-008", "the attachment is another request")
    return request


def _add(s: Step) -> Changes:
    state, seq = s.state, s.entry.seq
    invite = _link(s)
    request = _request(s, invite)
    old = state.members.get(request.id)
    if old is not None:
        if old.active:
            refuse("ROLE-010", "already a member")
        if old.role == "banned" and s.me.role != "owner":
            refuse("ROLE-011", "only an owner lets a banned person in")
        if old.ik not in request.iks:
            refuse("JOIN-006", "the request does not continue the identity known here")
    new: dict[str, Device] = {}
    for cert in request.certs:
        past = state.devices.get(cert.dv)
        if past is not None and (past.owner != request.id or past.status != "left"):
            refuse("ROLE-010", "a revoked or foreign device cannot come in")
        kem, de = request.kems[cert.dv]
        if past is not None and cert.dv != request.kid:
            kem, de = past.kem, past.de
        check_kem(state.policy, kem)
        new[cert.dv] = Device(cert.dv, request.id, cert.dk, kem, de, crypto.sha256(de), "active", seq)
    _room(state, 1, len(new))
    before = old.devices if old else ()
    devices = before + tuple(dv for dv in new if dv not in before)
    name = old.name if old else request.name  # ROLE-011
    member = Member(request.id, name, s.body["role"], request.ik, devices, seq)
    invites = state.invites
    if invite is not None:
        invites = {**invites, invite.jti: replace(invite, left=invite.left - 1)}
    tails = state.tails
    if not tails.keys().isdisjoint(new):
        tails = {dv: tail for dv, tail in tails.items() if dv not in new}
    return {
        "members": {**state.members, member.id: member},
        "devices": {**state.devices, **new},
        "invites": invites,
        "tails": tails,
        "member_count": state.member_count + 1,
        "device_count": state.device_count + len(new),
        "change": {
            "on": tuple(new),
            "roles": ((member.id, member.role),),
            "jti": invite.jti if invite else b"",
            "join": request.digest,
            "target": member.id,
        },
    }


def _remove(s: Step) -> Changes:
    target = _target(s)
    if target.id == s.me.id:
        refuse("ROLE-008", "nobody removes himself: leave")
    return _gone(s, target, "banned" if s.body.get("ban") else "none")


def _leave(s: Step) -> Changes:
    last = s.state.member_count == 1
    if s.me.role == "owner" and not last and not _owners_besides(s.state, s.me.id):
        refuse("ROLE-009", "the last owner cannot leave the others")
    return _gone(s, s.me, "none") | {"closed": last}


def _role(s: Step) -> Changes:
    target, role = _target(s), s.body["role"]
    if role == target.role:
        refuse("ROLE-013", "the role is the same")
    if target.role == "owner" and not _owners_besides(s.state, target.id):
        refuse("ROLE-013", "one owner stays")
    lowered = RANK[role] < RANK[target.role]
    if lowered != ("tails" in s.body):
        refuse("LOG-017", "tails go with a lowered role and with no other")
    changes: Changes = {
        "members": {**s.state.members, target.id: replace(target, role=role, since=s.entry.seq)},
        "change": {"roles": ((target.id, role),), "target": target.id},
    }
    if lowered:
        active = [dv for dv in target.devices if s.state.devices[dv].active]
        tails = _tails(s, s.body["tails"], active, end=False)
        changes |= {"tails": _with_tails(s.state, tails), "invites": _close_invites(s.state, target.id)}
        changes["change"]["tails"] = tails
    return changes


def _device_add(s: Step) -> Changes:
    state = s.state
    check_kem(state.policy, s.device.kem)
    if sum(state.devices[dv].active for dv in s.me.devices) >= LIMITS["devices_per_member"]:
        refuse("ROLE-015", "too many active devices")
    _room(state, 0, 1)
    return {
        "members": {**state.members, s.me.id: replace(s.me, devices=(*s.me.devices, s.device.dv))},
        "devices": {**state.devices, s.device.dv: s.device},
        "device_count": state.device_count + 1,
        "change": {"on": (s.device.dv,), "target": s.me.id},
    }


def _device_renew(s: Step) -> Changes:
    kem, de = s.body["kem"], b64d(s.body["de"])
    certificate.check_receiving_key(kem, de)
    check_kem(s.state.policy, kem)
    if de == s.device.de:
        refuse("ROLE-015", "the receiving key is the same")
    device = replace(s.device, kem=kem, de=de, de_hash=crypto.sha256(de))
    return {"devices": {**s.state.devices, device.dv: device}, "change": {"target": s.me.id}}


def _device_revoke(s: Step) -> Changes:
    dv = s.body["dv"]
    device = s.state.devices[dv]  # the permission word "own" found it
    if not device.active or dv == s.entry.kid:
        refuse("ROLE-015", "revoke an active device from another one")
    tails = _tails(s, s.body["tails"], [dv], end=True)
    return {
        "devices": {**s.state.devices, dv: replace(device, status="revoked")},
        "tails": _with_tails(s.state, tails),
        "device_count": s.state.device_count - 1,
        "change": {"off": (dv,), "tails": tails, "target": s.me.id},
    }


def _identity(s: Step) -> Changes:
    state = s.state
    check_kem(state.policy, s.device.kem)
    active = [dv for dv in s.me.devices if state.devices[dv].active]
    tails = _tails(s, s.body["tails"], active, end=True)
    revoked = {dv: replace(state.devices[dv], status="revoked") for dv in s.me.devices}
    member = replace(s.me, ik=s.body["new"], devices=(*s.me.devices, s.device.dv))
    return {
        "members": {**state.members, member.id: member},
        "devices": {**state.devices, **revoked, s.device.dv: s.device},
        "tails": _with_tails(state, tails),
        "device_count": state.device_count - len(active) + 1,
        "change": {"on": (s.device.dv,), "off": tuple(active), "tails": tails, "target": member.id},
    }


def _mark(s: Step) -> Changes:
    if s.state.mode != "e2ee" or s.state.hard:
        refuse("ROLE-016", "only an encrypted sphere without a mark is marked")
    return {}


def _epoch(s: Step) -> Changes:
    state, b = s.state, s.body
    if state.mode != "e2ee":
        refuse("LOG-015", "only an encrypted sphere has epochs")
    if b["n"] != state.ep + 1 or b["kem_min"] != state.policy.kem_min or ("m" in b) != bool(state.org):
        refuse("LOG-015", "n, kem_min or m do not fit")
    rh = b64d(b["rh"])
    if rh != recipients_hash(state.active_devices()):
        refuse("LOG-015", "rh is not the hash of the active devices")
    epoch = Epoch(
        *(b["n"], s.entry.seq, s.entry.digest, s.entry.prev, b64d(b["kc"]), rh, b["kem_min"]),
        *(s.entry.iat, s.entry.kid, b.get("m")),
    )
    return {"epoch": epoch, "hard": False, "due": ""}


def _mode(s: Step) -> Changes:
    if s.body["mode"] == s.state.mode:
        refuse("ROLE-014", "the mode is the same")
    if s.state.kind == "org":
        refuse("ROLE-014", "an organisation stays encrypted: the keys of its spheres come from it")
    return {"mode": s.body["mode"], "mode_at": s.entry.seq, "change": {"mode": True}}


def _delivery(s: Step) -> Changes:
    delivery = s.body["delivery"]
    if delivery == s.state.delivery or (delivery == "live" and s.state.custody != "device"):
        refuse("ROLE-014", "delivery is the same, or live without device custody")
    return {"delivery": delivery}


def _custody(s: Step) -> Changes:
    custody = s.body["custody"]
    if custody == s.state.custody or (custody == "synced" and s.state.delivery == "live"):
        refuse("ROLE-014", "custody is the same, or synced with live delivery")
    return {"custody": custody}


def _policy(s: Step) -> Changes:
    policy = Policy.from_body(s.body["policy"])
    if policy == s.state.policy:
        refuse("ROLE-017", "the policy is the same")
    if KEM_RANK[policy.kem_min] > KEM_RANK[s.state.policy.kem_min]:
        for device in s.state.devices.values():
            if device.active:
                check_kem(policy, device.kem)
    return {"policy": policy, "policy_at": s.entry.seq, "change": {"policy": True}}


def _meta(s: Step) -> Changes:
    sealed = s.state.mode == "e2ee"
    if set(s.body) != (_SEALED if sealed else _CLEAR):
        refuse("ROLE-018", "titles are sealed in an encrypted sphere and clear in any other")
    if sealed and s.state.hard:
        refuse("ROLE-018", "a marked sphere needs its epoch first")
    mh = b64d(s.body["mh"]) if sealed else b""
    return {"meta": Meta(s.entry.seq, s.state.ep, mh, s.body)}


def _checkpoint(s: Step) -> Changes:
    heads = s.body.get("heads", [])
    if any(dv not in s.state.devices for dv, _, _ in heads) or len({row[0] for row in heads}) != len(heads):
        refuse("LOG-019", "heads repeat a device or name a stranger")
    if s.body["seq"] != s.state.seq or b64d(s.body["sh"]) != state_hash(s.state):
        refuse("LOG-019", "the state hash does not match")
    return {}


RULES: Final[dict[str, Callable[[Step], Changes]]] = {
    "invite": _invite,
    "revoke-invite": _revoke_invite,
    "add": _add,
    "remove": _remove,
    "leave": _leave,
    "role": _role,
    "device add": _device_add,
    "device renew": _device_renew,
    "device revoke": _device_revoke,
    "identity": _identity,
    "mark": _mark,
    "epoch": _epoch,
    "mode": _mode,
    "delivery": _delivery,
    "custody": _custody,
    "policy": _policy,
    "meta": _meta,
    "checkpoint": _checkpoint,
}
