"""People, devices and a log in memory: deterministic, without a relay, with every signature real."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from cloister import crypto
from cloister.protocol import certificate, entry, join, jws, machine
from cloister.protocol.commit import Commit, Wrap
from cloister.protocol.encoding import b64e, lp
from cloister.protocol.ids import Jwk, device_id, identity_id, jwk_public
from cloister.protocol.state import Policy, SphereState, recipients_hash, state_hash

NOW = 1_800_000_000
YEAR = 365 * 86400


def rng(label: str, length: int) -> bytes:
    """Bytes that depend on the label only."""
    return hashlib.shake_256(label.encode()).digest(length)


@dataclass(frozen=True)
class Dev:
    """A device with its secrets and its certificate."""

    seed: bytes
    de_seed: bytes
    kem: str
    cert: str
    dv: str

    @property
    def signer(self) -> Any:
        return jws.device_signer(self.seed)


def de_public(kem: str, secret: bytes) -> bytes:
    if kem == "rsa4096":
        return b"\xff" + hashlib.shake_256(secret).digest(510) + b"\xff"
    return crypto.hpke_public(kem, secret if kem == "xwing" else secret + bytes(15) + b"\x01")


@dataclass
class Person:
    """An identity with any number of devices."""

    name: str
    kem: str = "p384"
    scalar: bytes = b""
    handle: str = ""
    devs: list[Dev] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.scalar = self.scalar or scalar(self.name)
        self.handle = self.handle or identity_id(self.ik)
        self.device()

    @property
    def ik(self) -> Jwk:
        return jwk_public(self.scalar)

    @property
    def dev(self) -> Dev:
        return self.devs[0]

    def device(self, kem: str = "", exp: int = NOW + YEAR, scalar: bytes | None = None) -> Dev:
        label, kem = f"{self.name}/{len(self.devs)}", kem or self.kem
        seed, de_seed = rng(label + "/dk", 32), rng(label + "/de", 32)
        dk = crypto.ed25519_public(seed)
        own, de = jws.device_signer(seed), de_public(kem, de_seed)
        cert = certificate.issue(scalar or self.scalar, self.handle, own, dk, kem, de, NOW - 100, exp)
        dev = Dev(seed, de_seed, kem, cert, device_id(dk))
        self.devs.append(dev)
        return dev


def scalar(label: str) -> bytes:
    return b"\x01" + rng(label + "/ik", 47)


class Log:
    """A log grown entry by entry through the machine; ``entries`` and ``states`` run in step."""

    def __init__(self, owner: Person, *, mode: str = "e2ee", epoch: bool = True, **over: Any) -> None:
        policy = {"kem_min": "p384", **over.pop("policy", {})}
        body = {
            "v": 1,
            "nonce": b64e(rng(owner.name + "/nonce", 32)),
            "name": owner.name,
            "ik": owner.ik,
            "cert": owner.dev.cert,
            "kind": "sphere",
            "mode": mode,
            "delivery": "pairwise",
            "custody": "synced",
            "policy": Policy(**policy).as_body(),
            **over,
        }
        self.owner = owner
        self.attach: dict[bytes, str] = {}
        self.entries = [entry.make(owner.dev.signer, owner.dev.dv, "create", body, NOW)]
        self.states = [machine.genesis(entry.decode(self.entries[0]))]
        if mode == "e2ee" and epoch:
            self.epoch(owner)

    @property
    def state(self) -> SphereState:
        return self.states[-1]

    def make(self, who: Person | Dev, op: str, body: dict[str, Any], **over: Any) -> str:
        """A signed entry that follows the head, unless ``over`` says otherwise."""
        dev = who.dev if isinstance(who, Person) else who
        head = {"sph": self.state.sph, "seq": self.state.seq + 1, "prev": self.state.digest, "ep": self.state.ep}
        iat = over.pop("iat", self.state.iat)
        kid = over.pop("kid", dev.dv)
        return entry.make(over.pop("signer", dev.signer), kid, op, body, iat, **{**head, **over})

    def try_(self, compact: str) -> SphereState:
        return machine.apply(self.state, entry.decode(compact), self.attach)

    def put(self, compact: str) -> SphereState:
        self.states.append(self.try_(compact))
        self.entries.append(compact)
        return self.state

    def do(self, who: Person | Dev, op: str, body: dict[str, Any] | None = None, **over: Any) -> SphereState:
        return self.put(self.make(who, op, body or {}, **over))

    # --- bodies -------------------------------------------------------------------------------------------------

    def epoch_body(self, **over: Any) -> dict[str, Any]:
        rh = recipients_hash(self.state.active_devices())
        n = self.state.ep + 1
        body = {"n": n, "kc": b64e(rng(f"kc{n}", 32)), "rh": b64e(rh), "kem_min": self.state.policy.kem_min}
        if self.state.org:
            body["m"] = 1
        return {**body, **over}

    def epoch(self, who: Person | Dev, **over: Any) -> SphereState:
        return self.do(who, "epoch", self.epoch_body(**over), ep=self.state.ep + 1)

    def invite_body(self, label: str = "link", **over: Any) -> dict[str, Any]:
        ipk = crypto.ed25519_public(rng(label + "/iv", 32))
        body = {"jti": b64e(rng(label, 16)), "ipk": b64e(ipk), "role": "member", "uses": 1}
        return {**body, "exp": NOW + 86400, "admit": "ask", **over}

    def request(self, joiner: Person, label: str | None = None, **over: Any) -> str:
        """A join request, by link when ``label`` names an invitation; attached and returned."""
        link = {"jti": rng(label, 16), "link_signer": jws.device_signer(rng(label + "/iv", 32))} if label else {}
        args: dict[str, Any] = {
            "sph": self.state.sph,
            "name": joiner.name,
            "ik": joiner.ik,
            "certs": [d.cert for d in joiner.devs],
            "nonce": rng(joiner.name + "/join", 16),
            "iat": NOW,
            "exp": NOW + 86400,
            **link,
            **over,
        }
        dev = args.pop("dev", joiner.dev)
        compact = join.make(args.pop("signer", dev.signer), dev.dv, **args)
        self.attach[jws.decode(compact, "sph-join+1").digest] = compact
        return compact

    def add_body(self, joiner: Person, role: str = "member", label: str | None = None, **over: Any) -> dict[str, Any]:
        compact = self.request(joiner, label, **over)
        digest = jws.decode(compact, "sph-join+1").digest
        body = {"id": joiner.handle, "role": role, "join": b64e(digest)}
        return body | ({"jti": b64e(rng(label, 16))} if label else {})

    def add(self, who: Person, joiner: Person, role: str = "member", **over: Any) -> SphereState:
        """Add ``joiner`` and, where the policy wants it, the epoch that must follow."""
        self.do(who, "add", self.add_body(joiner, role, **over))
        if self.state.due:
            self.epoch(who)
        return self.state

    def tails(self, devs: list[Dev] | list[str], seq: int = 0) -> list[list[Any]]:
        names = [d if isinstance(d, str) else d.dv for d in devs]
        return [[dv, seq, b64e(rng(dv, 32)) if seq else ""] for dv in names]

    def tails_of(self, who: Person) -> list[list[Any]]:
        return self.tails([d.dv for d in self.state.devices_of(who.handle)])

    def remove(self, who: Person, target: Person, **over: Any) -> SphereState:
        self.do(who, "remove", {"id": target.handle, "tails": self.tails_of(target), **over})
        if self.state.due:
            self.epoch(who)
        return self.state

    def role_body(self, target: Person, role: str, *, lowered: bool) -> dict[str, Any]:
        body: dict[str, Any] = {"id": target.handle, "role": role}
        return body | ({"tails": self.tails_of(target)} if lowered else {})

    def checkpoint_body(self, **over: Any) -> dict[str, Any]:
        return {"seq": self.state.seq, "sh": b64e(state_hash(self.state)), **over}

    def identity_body(self, who: Person, new_scalar: bytes, dev: Dev, **over: Any) -> dict[str, Any]:
        new = jwk_public(new_scalar)
        digest = jws.decode(dev.cert, "sph-dev+1").digest
        message = machine.identity_message(self.state.sph, who.handle, who.ik, new, digest)
        body = {
            "id": who.handle,
            "old": who.ik,
            "new": new,
            "cert": dev.cert,
            "tails": self.tails_of(who),
            "osig": b64e(crypto.es384_sign(who.scalar, message)),
            "nsig": b64e(crypto.es384_sign(new_scalar, message)),
        }
        return {**body, **over}

    # --- commits ------------------------------------------------------------------------------------------------

    def commit(self, entries: list[str], dvs: list[str] | None = None, **over: Any) -> Commit:
        """A commit on the head; ``dvs`` get a share that looks like one."""
        state = over.pop("state", self.state)
        args: dict[str, Any] = {
            "idem": rng("idem", 16),
            "sph": state.sph if state else "",
            "base": (state.seq, state.digest),
            "entries": tuple(entries),
            "wraps": tuple(Wrap(dv, "e30.e30.") for dv in dvs or []),
            **over,
        }
        return Commit(**args)


def message(dev: Dev, state: SphereState, seq: int = 1, ph: bytes = b"", **over: Any) -> str:
    """A message envelope with the right outside and a payload that opens for nobody."""
    sealed = state.mode == "e2ee"
    header = {
        "kid": dev.dv,
        "sph": state.sph,
        "ep": state.ep,
        "mid": b64e(rng(f"mid{seq}", 16)),
        "seq": seq,
        "ph": b64e(ph),
        "lh": b64e(state.digest),
        "ls": state.seq,
        "iat": NOW,
        "enc": "A256GCM" if sealed else "none",
        **({"n": b64e(bytes(12)), "cm": b64e(bytes(32))} if sealed else {}),
        **over,
    }
    header = {name: value for name, value in header.items() if value is not None}
    return jws.sign("sph-msg+1", header, lp("payload", seq), dev.signer)
