"""The state machine of a sphere's log: one verified entry in, the next state out.

Pure: no clock, no randomness, no input changed. The same code judges at the relay and at every member. Permissions,
body forms and effects come from ``roles.json``; ``rules`` holds the preconditions a table cannot say.

Spec: LOG-003 to LOG-014, CERT-004.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cloister import crypto
from cloister.errors import KeyUnknown, LogInvalid, NotMember
from cloister.protocol import certificate, jws, keylog
from cloister.protocol.certificate import Certificate
from cloister.protocol.encoding import b64d, lp
from cloister.protocol.entry import Entry
from cloister.protocol.ids import Jwk, thumbprint
from cloister.protocol.permission import WORDS, Step, check_kem, refuse
from cloister.protocol.roles import Row, row_of
from cloister.protocol.rules import RULES
from cloister.protocol.state import Change, Device, Member, Policy, SphereState

NO_ATTACHMENTS: Mapping[bytes, str] = {}


def genesis(entry: Entry) -> SphereState:
    """The state after entry 0 (LOG-003).

    Raises FormatError, KeyUnknown, SignatureInvalid, LogInvalid, VersionTooOld.
    """
    if entry.seq != 0:
        refuse("LOG-003", "a log begins with entry 0")
    if entry.op != "create":
        refuse("LOG-003", "entry 0 is a create entry")
    body, row = entry.body, row_of("create", entry.body)
    ik: Jwk = body["ik"]
    cert = certificate.verify(body["cert"], ik)
    if cert.dv != entry.kid:
        raise KeyUnknown("the certificate is for another device")
    jws.verify_ed25519(entry.envelope, cert.dk)
    keylog.prove(cert.id, ik, body.get("rot", []))
    policy = Policy.from_body(body["policy"])
    if entry.iat > cert.exp:
        refuse("CERT-004", "the certificate has ended")
    if body["delivery"] == "live" and body["custody"] != "device":
        refuse("ROLE-014", "live delivery goes with device custody")
    if body["kind"] == "org" and ("org" in body or body["mode"] != "e2ee"):
        refuse("ROLE-005", "an organisation names no other, and is encrypted")
    device = _device(cert, body, cert.id, 0)
    check_kem(policy, device.kem)
    owes = _owes(row, body["mode"], policy)
    return SphereState(
        sph=entry.sph,
        seq=0,
        digest=entry.digest,
        iat=entry.iat,
        kind=body["kind"],
        org=body.get("org", ""),
        mode=body["mode"],
        mode_at=0,
        delivery=body["delivery"],
        custody=body["custody"],
        policy=policy,
        policy_at=0,
        epoch=None,
        hard=owes,
        due=entry.kid if owes else "",
        closed=False,
        members={cert.id: Member(cert.id, body["name"], "owner", ik, (cert.dv,), 0)},
        devices={cert.dv: device},
        invites={},
        tails={},
        meta=None,
        member_count=1,
        device_count=1,
        change=Change("create", entry.kid, (cert.dv,), (), ((cert.id, "owner"),), hard=owes, mode=True, policy=True),
    )


def apply(state: SphereState, entry: Entry, attachments: Mapping[bytes, str] = NO_ATTACHMENTS) -> SphereState:
    """The state after one more entry; ``attachments`` maps H(SI) to join requests (LOG-011).

    Checks in this order, the first failure wins (LOG-006): position (LogInvalid), signer known (KeyUnknown) and
    active (NotMember), signature (SignatureInvalid), payload form (FormatError), operation known (VersionTooOld),
    time, due epoch, role, the operation's own rules (LogInvalid).
    """
    if state.closed:
        refuse("LOG-014", "the sphere is closed")
    if entry.sph != state.sph or entry.seq != state.seq + 1 or entry.prev != state.digest:
        refuse("LOG-004", "the entry does not follow the head")
    known = state.devices.get(entry.kid)
    if known is None:
        me, device = _newcomer(state, entry)
    elif not known.active:
        raise NotMember("the signing device is not active")
    else:
        me, device = state.members[known.owner], known
    jws.verify_ed25519(entry.envelope, device.dk)  # LOG-007
    body = entry.body
    row = row_of(entry.op, body)
    if row.op == "create" or row.newcomer != (known is None):
        refuse("LOG-008", "only a new device introduces itself, once")
    if entry.iat < state.iat:
        refuse("LOG-009", "time runs backwards")
    if state.due:
        _while_due(state, entry, row)
    step = Step(state, entry, body, row, me, device, attachments)
    if not WORDS[row.may[me.role]](step):
        refuse("ROLE-003", f"{me.role} may not {row.op}")
    after = RULES[row.op](step)
    return _close(state, entry, row, after)


def _while_due(state: SphereState, entry: Entry, row: Row) -> None:
    """While an epoch is due only its debtor writes, and only what belongs before that epoch (LOG-013)."""
    if entry.kid != state.due or row.place not in ("before", "epoch") or (state.seq == 0 and row.op != "epoch"):
        refuse("LOG-013", "an epoch is due first")


def _owes(row: Row, mode: str, policy: Policy) -> bool:
    if mode != "e2ee" or row.epoch == "no":
        return False
    return row.epoch != "history" or policy.history != "all"


def _close(state: SphereState, entry: Entry, row: Row, after: dict[str, Any]) -> SphereState:
    """What every operation has in common: position, marks (LOG-012), debt (LOG-013), the epoch named in the header."""
    changed: dict[str, Any] = after.pop("change", {})
    mode = after.get("mode", state.mode)
    owes = _owes(row, mode, after.get("policy", state.policy))
    marks = row.hard == "always" or (row.hard == "epoch" and owes)
    if marks:
        after["hard"] = True
    if owes:
        after["due"] = entry.kid
    elif mode != "e2ee" and state.due:
        after["due"] = ""
    change = Change(row.op, entry.kid, hard=marks, epoch=row.op == "epoch", **changed)
    new = replace(state, seq=entry.seq, digest=entry.digest, iat=entry.iat, change=change, **after)
    if entry.ep != new.ep:
        refuse("LOG-005", "ep is not the epoch after this entry")
    return new


def _device(cert: Certificate, body: Mapping[str, Any], owner: str, since: int) -> Device:
    kem, de = certificate.renewal(body["renew"]) if "renew" in body else (cert.kem, cert.de)
    return Device(cert.dv, owner, cert.dk, kem, de, crypto.sha256(de), "active", since)


def _newcomer(state: SphereState, entry: Entry) -> tuple[Member, Device]:
    """The member and the new device of a self-introduction (LOG-008). Raises KeyUnknown for any other form."""
    op, body = entry.op, entry.body
    if op == "identity":
        row_of(op, body)
        member = state.members.get(body["id"])
        key: Jwk = body["new"]
    elif op == "device" and body.get("act") == "add":
        row_of(op, body)
        member = state.members.get(certificate.claimed_owner(body["cert"]))
        key = member.ik if member else {}
    else:
        raise KeyUnknown("no device of this sphere signed the entry")
    if member is None or not member.active:
        raise KeyUnknown("the new device belongs to no member")
    cert = certificate.verify(body["cert"], key)
    if cert.dv != entry.kid or cert.id != member.id:
        raise KeyUnknown("the certificate is for another device or person")
    if entry.iat > cert.exp:
        refuse("CERT-004", "the certificate has ended")
    if op == "identity":
        _both_keys(state.sph, member, body, cert)
    return member, _device(cert, body, member.id, entry.seq)


def identity_message(sph: str, member: str, old: Jwk, new: Jwk, cert_digest: bytes) -> bytes:
    """What both identity keys sign when one replaces the other in a sphere (ROLE-012)."""
    return lp("sph/1 identity", sph, member, thumbprint(old), thumbprint(new), cert_digest)


def _both_keys(sph: str, member: Member, body: Mapping[str, Any], cert: Certificate) -> None:
    old, new = body["old"], body["new"]
    if old != member.ik or new == old:
        raise LogInvalid("ROLE-012: old is not the present identity key, or new is the same", rule="ROLE-012")
    message = identity_message(sph, member.id, old, new, cert.digest)
    for key, signature in ((old, body["osig"]), (new, body["nsig"])):
        crypto.es384_verify(b64d(key["x"]), b64d(key["y"]), b64d(signature), message)
