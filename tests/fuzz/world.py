"""What fuzzing starts from: one sphere in memory with people, invitations, messages, shares, slots and vaults.

Deterministic but for HPKE's own randomness. ``sign`` signs a damaged envelope again with the key its header names.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from cloister import crypto
from cloister.account import credentials, slots, state_slot, unlock, vault
from cloister.account.keys import DeviceKeys, Roots
from cloister.protocol import dauth, jws, keylog
from cloister.protocol.encoding import b64e
from cloister.sphere import compose, invitation, meta
from cloister.sphere.epoch import link_seal
from vectors.generate._sphere import NOW, Person, Sphere, drawn, seeded

ORIGIN, REALM, LOGIN = "https://relay.example", bytes(16), "ada"


@dataclass
class World:
    """Everything, made once per process."""

    ada: Person
    bo: Person
    cy: Person
    sphere: Sphere
    messages: list[str]
    requests: list[str]
    klog: list[str]
    letters: list[str]
    dauth: str
    link: invitation.Link
    device: DeviceKeys
    roots: Roots
    state: state_slot.Sealed
    vault: vault.Vault
    vk: bytes


@cache
def world() -> World:
    ada, bo, cy, di = (Person(name) for name in ("ada", "bo", "cy", "di"))
    ada.device()
    sphere = Sphere(ada, label="fuzz")
    sph = sphere.state.sph
    jti, seed = drawn("jti", 16), drawn("seed", 32)
    _, ipk = invitation.key_pair(seed, sph, jti)
    sphere.do(ada, compose.Invite(jti, ipk, NOW + 86400, uses=3))
    link = invitation.Link("invite", ORIGIN, sph, jti, seed, sphere.state.seq, sphere.state.digest[:16], "Kitchen")
    asked = sphere.request(bo, link)
    sphere.do(ada, compose.Add(bo.handle, asked, "member", jti))
    sphere.add(ada, cy, "admin")
    sphere.do(ada, compose.DeviceAdd(ada.devs[1].cert), dev=ada.devs[1])
    messages = [sphere.talker(who).say(f"words {n}") for n in range(6) for who in (ada, bo, cy)]
    sphere.do(cy, compose.Rotate(), compose.SetMeta(meta.Text("Pantry", "jam", "🫙")))
    messages += [sphere.talker(who).say("after") for who in (ada, bo)]
    requests = [asked, sphere.request(di, link), sphere.request(di)]
    letters = [wrap.jws for draft in sphere.drafts for wrap in draft.commit.wraps][-6:]
    klog = [keylog.start(ada.scalar, NOW)]
    klog.append(keylog.add_device(ada.scalar, keylog.verify_chain(klog), ada.dev.cert, NOW))
    klog.append(keylog.add_device(ada.scalar, keylog.verify_chain(klog), ada.devs[1].cert, NOW))
    klog.append(keylog.revoke_device(ada.scalar, keylog.verify_chain(klog), ada.devs[1].dv, NOW))
    for k, more in (
        ("ask", {"ns": [1, 2]}),
        ("head-ask", {"from": 0, "ls": 1, "lh": b64e(sphere.state.digest)}),
        ("head-proof", {"from": 0, "entries": sphere.entries[:2]}),
        ("resend-ask", {"dv": bo.dev.dv, "seqs": [1]}),
        ("resend", {"dv": bo.dev.dv, "msgs": messages[:1]}),
    ):
        body = {"k": k, "sph": sph, "iat": NOW, "jti": b64e(drawn(k, 16)), **more}
        letters.append(jws.sign("sph-p2p+1", {"kid": ada.dev.dv}, body, ada.dev.signer))
    public = [crypto.ed25519_public(ada.dev.seed), crypto.hpke_public("xwing", ada.dev.de_seed)]
    device = DeviceKeys(ada.dev.dv, ada.dev.seed, public[0], "xwing", ada.dev.de_seed, public[1])
    roots = Roots(drawn("mk", 32), drawn("rk", 32), 2)
    state = state_slot.seal(roots.mk, ada.handle, device, None, {"spheres": {sph: 3}}, seeded("state"))
    empty = vault.Vault(ORIGIN, REALM, ada.handle, LOGIN, ada.dev.dv, drawn("salt", 16), 1, 2, False)
    vk, rng = drawn("vk", 32), seeded("vault")
    with_pw = vault.with_opener(empty, vault.password_opener(empty, vk, drawn("kek", 32), rng))
    with_pin, _ = unlock.enrol(with_pw, vk, "246813", rng)
    return World(
        *(ada, bo, cy, sphere, messages, requests, klog, letters),
        dauth.make(ada.dev.signer, ada.dev.dv, aud=ORIGIN, nonce=bytes(32), iat=NOW),
        *(link, device, roots, state, with_pin, vk),
    )


@cache
def _keys() -> tuple[dict[str, bytes], dict[str, bytes]]:
    w = world()
    devices = {dev.dv: dev.seed for who in (w.ada, w.bo, w.cy) for dev in who.devs}
    identities = {who.handle: who.scalar for who in (w.ada, w.bo, w.cy)}
    return devices, identities


def sign(typ: str, header: dict[str, Any], signing_input: bytes) -> bytes:
    """The signature of whoever ``kid`` names; of Ada when nobody is meant."""
    devices, identities = _keys()
    kid = header.get("kid")
    kid = kid if isinstance(kid, str) else ""
    if typ in ("sph-dev+1", "sph-klog+1"):
        return crypto.es384_sign(identities.get(kid, world().ada.scalar), signing_input)
    return crypto.ed25519_sign(devices.get(kid, world().ada.dev.seed), signing_input)


def link_blob() -> bytes:
    """A link from epoch 2 to epoch 1."""
    keys = world().sphere.keys
    newest = max(keys)
    return link_seal(keys[newest], keys[newest - 1], seeded("link"))


def master_slot() -> bytes:
    w = world()
    return slots.seal_master(w.roots.mk, w.ada.handle, 1, drawn("old", 32), seeded("mk"))


def mk_share() -> bytes:
    w = world()
    own = w.device
    public = crypto.hpke_public(own.kem, own.de_seed)
    return credentials.seal_mk_share(w.ada.handle, "dv-" + b64e(bytes(32)), own.dv, own.kem, public, w.roots)
