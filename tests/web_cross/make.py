"""Objects of every kind, drawn at random, as cases for the operations of ``vectors/README.md``.

Each case is ``{"op", "in"}``; with ``"flip"`` one character of a signed or sealed part was changed. The TypeScript
half is ``web/tests/cross/``; what one half makes, both judge.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from importlib.resources import files
from itertools import pairwise
from random import Random
from typing import Any

from cloister import crypto
from cloister.account import credentials, keys, slots, srp, srp_group, state_slot, unlock, vault
from cloister.account.password import Stretched
from cloister.account.srp_group import GROUP
from cloister.errors import CloisterError
from cloister.protocol import certificate, dauth, entry, jws, keylog, machine
from cloister.protocol.encoding import b64e
from cloister.protocol.ids import jwk_public
from cloister.protocol.state import Device, Policy
from cloister.sphere import compose, invitation, meta, share
from cloister.sphere.compose import Draft, Intent, Words
from cloister.sphere.payload import Payload
from vectors.generate._sphere import NOW, YEAR, Dev, Person, Sphere, Talker

Case = dict[str, Any]
LETTERS = 'abcdefghijklmnopqrstuvwxyz  \u00e4\u00df\u0416\u6f22\U0001f980\u2028"\\/\t\n<&'
URL64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
HEX = "0123456789abcdef"
ORIGIN = "https://relay.example"
TRIES = 300
LAST = (
    compose.Checkpoint(),
    compose.SetCustody("device"),
    compose.SetDelivery("live"),
    compose.SetDelivery("pairwise"),
    compose.SetCustody("synced"),
    compose.SetMode("open"),
)
WISHES = ("invite", "add", "join", "join", "revoke-invite", "device-add", "device-renew", "checkpoint", *["other"] * 9)


class Maker:
    """A seeded source and the cases made so far."""

    def __init__(self, seed: int) -> None:
        self.r = Random(seed)
        self.seed = seed
        self.cases: list[Case] = []
        self.people = 0

    def bytes(self, length: int) -> bytes:
        return self.r.randbytes(length)

    def hex(self, length: int) -> str:
        return self.bytes(length).hex()

    def text(self, most: int) -> str:
        return "".join(self.r.choice(LETTERS) for _ in range(self.r.randrange(most + 1)))

    def case(self, op: str, given: dict[str, Any], *paths: str, often: float = 0.4) -> None:
        """Keep a case, and often one in which a character at one of ``paths`` is another."""
        self.cases.append({"op": op, "in": given})
        if paths and self.r.random() < often:
            self.cases.append({"op": op, "in": self.flipped(given, self.r.choice(paths)), "flip": True})

    def flipped(self, given: dict[str, Any], path: str) -> dict[str, Any]:
        made = copy.deepcopy(given)
        *way, last = [int(one) if one.isdigit() else one for one in path.split(".")]
        holder: Any = made
        for step in way:
            holder = holder[step]
        text: str = holder[last]
        alphabet = HEX if set(text) <= set(HEX) else URL64
        at = self.r.choice([n for n, one in enumerate(text) if one in alphabet])
        other = self.r.choice([one for one in alphabet if one != text[at]])
        holder[last] = text[:at] + other + text[at + 1 :]
        return made

    def person(self, kem: str = "") -> Person:
        self.people += 1
        return Person(f"p{self.people}-{self.seed}", kem or self.r.choice(["xwing", "p384", "p384", "p384"]))

    def payload(self) -> Payload:
        kind = self.r.choice(["msg", "msg", "comment", "edit", "delete", "react", "sys"])
        cid, re = self.bytes(16), self.bytes(16)
        match kind:
            case "msg":
                return Payload("msg", cid, self.text(300))
            case "delete":
                return Payload("delete", cid, re=re)
            case "react":
                return Payload("react", cid, self.r.choice(["\U0001f44d", "\u2764\ufe0f"]), re, self.r.random() < 0.5)
            case "sys":
                return Payload("sys", cid, "nick", about="nick")
            case _:
                return Payload(kind, cid, self.text(300), re)


def make(seed: int, spheres: int = 5, commits: int = 18) -> list[Case]:
    """About a thousand cases."""
    m = Maker(seed)
    for n in range(spheres):
        walk(m, n, commits)
    for part in (accounts, slot_cases, vaults, letters, passwords, sign_ins, digit_cases):
        part(m)
    return m.cases


# --- spheres ------------------------------------------------------------------------------------------------------


def walk(m: Maker, n: int, commits: int) -> None:
    """A sphere grown by random commits; whatever its rules refuse is not done."""
    owner = m.person("xwing" if n % 2 else "p384")
    mode = "e2ee" if n % 5 < 3 else m.r.choice(["open", "public"])
    policy = Policy(
        m.r.choice(["approve", "any"]), m.r.choice(["all", "since-join", "none", "days:3"]), m.r.randrange(40),
        m.r.random() < 0.5, m.r.choice(["talk", "read"]), m.r.choice([0, 3600]), "p384",
    )  # fmt: skip
    sphere = Sphere(owner, mode, policy, f"cross-{m.seed}-{n}")
    judge_draft(m, sphere, sphere.drafts[0], [owner], [], {})
    people, made = [owner], 0
    jti, lent = m.bytes(16), owner.device("p384")
    ipk = invitation.key_pair(m.bytes(32), sphere.state.sph, jti)[1]
    first = (compose.Invite(jti, ipk, NOW + 9), compose.RevokeInvite(jti), compose.DeviceRevoke(lent.dv))
    stands(m, sphere, people, owner, lent, [compose.DeviceAdd(lent.cert)])
    for one in first:
        stands(m, sphere, people, owner, owner.dev, [one])
    wishes = wanted(m, sphere, people)
    for _ in range(TRIES):
        if made == commits:
            break
        if stands(m, sphere, people, *next(wishes)):
            speak(m, sphere, people)
            made += 1
    for wish in LAST:
        stands(m, sphere, people, owner, m.r.choice(owner.devs), [wish])
    replaced_identity(m, sphere, owner)


def stands(m: Maker, sphere: Sphere, people: list[Person], who: Person, dev: Dev, intents: list[Intent]) -> bool:
    """Whether the rules allow it; then it is done."""
    before, held, talker = list(sphere.entries), dict(sphere.attach), sphere.talker(dev)
    words = Words(m.payload(), talker.head) if m.r.random() < 0.3 else None
    try:
        draft = sphere.do(who, *intents, dev=dev, words=words)
    except CloisterError:
        return False
    if draft.chain is not None:
        talker.seq, talker.digest, talker.ls = draft.chain.seq, draft.chain.digest, draft.chain.ls
    judge_draft(m, sphere, draft, people, before, held)
    return True


def wanted(m: Maker, sphere: Sphere, people: list[Person]) -> Iterator[tuple[Person, Dev, list[Intent]]]:
    """What somebody wants next; every operation comes round."""
    link: invitation.Link | None = None
    sph, turn = sphere.state.sph, m.r.randrange(20)
    while True:
        inside = [p for p in people if p.handle in sphere.state.members] or people
        who = one = people[0] if m.r.random() < 0.4 else m.r.choice(inside)
        dev = m.r.choice(who.devs)
        word = m.r.choice(WISHES)
        wish: Intent
        if word == "invite":
            jti, seed, seq = m.bytes(16), m.bytes(32), sphere.state.seq
            label, pin = m.r.choice(["", "Kitchen \U0001f980"]), sphere.history.digest(seq)[:16]
            link = invitation.Link("invite", ORIGIN, sph, jti, seed, seq, pin, label)
            text = invitation.emit(link)
            m.case("link-parse", {"text": text})
            m.case("link-pin", {"text": text, "entries": list(sphere.entries), "attach": attached(sphere.attach)})
            ipk = invitation.key_pair(seed, sph, jti)[1]
            wish = compose.Invite(jti, ipk, NOW + 10**6, uses=m.r.randrange(1, 9), admit="auto")
        elif word in ("add", "join"):
            joiner = m.person()
            people.append(joiner)
            if word == "join" and link is not None:
                asked = sphere.request(joiner, link)
                m.case("join-verify", {"join": asked, "sph": sph, "iat": NOW, "invite": invite_of(link)}, "join")
                wish = compose.Add(joiner.handle, asked, "member", link.jti)
            else:
                role = m.r.choice(["member", "guest", "admin"])
                wish = compose.Add(joiner.handle, sphere.request(joiner), role)
        elif word == "revoke-invite" and link is not None:
            wish = compose.RevokeInvite(link.jti)
        elif word == "device-add":
            dev = one.device(m.r.choice(["xwing", "p384"]))
            wish = compose.DeviceAdd(dev.cert)
        elif word == "device-renew":
            wish = compose.DeviceRenew("xwing", crypto.hpke_public("xwing", m.bytes(32)))
        elif word == "checkpoint":
            wish = compose.Checkpoint(tuple((t.dev.dv, t.seq, t.digest) for t in sphere.talkers.values() if t.seq))
        else:
            turn += 1
            menu: list[Intent] = [
                compose.SetRole(
                    m.r.choice(people[1:] or people).handle, m.r.choice(["guest", "member", "admin", "owner"])
                ),
                compose.DeviceRevoke(m.r.choice(one.devs).dv),
                compose.Remove(m.r.choice(people[1:] or people).handle, m.r.random() < 0.3),
                compose.Leave(),
                compose.Mark(),
                compose.Rotate(),
                compose.SetMeta(meta.Text(m.text(40), m.text(200), m.text(10))),
                compose.SetMode(m.r.choice(["e2ee", "e2ee", "open"])),
                compose.SetDelivery(m.r.choice(["pairwise", "live"])),
                compose.SetCustody(m.r.choice(["synced", "device"])),
                compose.SetPolicy(Policy(history=m.r.choice(["all", "since-join"]), T=9, kem_min="p384")),
            ]
            wish = menu[turn % len(menu)]
        if isinstance(wish, compose.Leave) and sphere.state.members[one.handle].role == "owner":
            continue  # somebody has to stay
        yield who, dev, [wish, compose.Rotate()] if m.r.random() < 0.2 else [wish]


def invite_of(link: invitation.Link) -> dict[str, Any]:
    ipk = invitation.key_pair(link.seed, link.sph, link.jti)[1]
    return {"jti": b64e(link.jti), "ipk": b64e(ipk), "exp": NOW + 10**6, "left": 3}


def attached(attach: dict[bytes, str]) -> dict[str, str]:
    return {b64e(digest): compact for digest, compact in attach.items()}


def judge_draft(
    m: Maker, sphere: Sphere, draft: Draft, people: list[Person], entries: list[str], attach: dict[bytes, str]
) -> None:
    """The commit, its shares, its title and its link."""
    body = json.loads(json.dumps(draft.commit.as_json()))
    given = {"entries": entries, "attach": attached(attach), "commit": body}
    paths = [f"commit.entries.{n}" for n in range(len(body["entries"]))]
    paths += ["commit.msg"] if "msg" in body else []
    m.case("commit-apply", given, *paths, *paths, *[f"commit.attach.{name}" for name in body["attach"]])
    m.case("commit-digest", {"commit": body})
    after = {"entries": list(sphere.entries), "attach": attached(sphere.attach), "sph": draft.state.sph}
    epoch = draft.state.epoch
    for wrap in draft.commit.wraps[: m.r.randrange(2)]:
        owner = draft.state.devices[wrap.dv].owner
        kem = draft.state.devices[wrap.dv].kem
        dev = next((d for p in people for d in p.devs if d.dv == wrap.dv), None)
        if dev is None or dev.kem != kem or draft.state.devices[wrap.dv].de != crypto.hpke_public(kem, dev.de_seed):
            continue  # renewed: this half does not keep the secret
        me = {"id": owner, "dv": wrap.dv, "kem": kem, "secret": dev.de_seed.hex()}
        m.case("share-open", {**after, "me": me, "share": wrap.jws}, "share")
        m.case("letter", {**after, "letter": wrap.jws}, "letter", often=0.1)
    if draft.commit.link is not None and draft.key is not None:
        older, newer = sphere.keys[draft.key.n - 1], draft.key
        row = {"sph": newer.sph, "n": newer.n, "secret": newer.secret.hex(), "prev": newer.prev.hex()}
        entry_ = {"n": older.n, "kc": older.kc.hex(), "prev": older.prev.hex()}
        m.case("link-open", {"newer": row, "older": entry_, "blob": draft.commit.link.hex()}, "blob")
    for compact in body["entries"]:
        one = entry.decode(compact)
        if one.op == "meta" and "ct" in one.body and epoch is not None:
            slot = {"kid": one.kid, "sph": one.sph, "seq": one.seq, "prev": one.prev.hex(), "ep": one.ep}
            key = {"sph": one.sph, "n": one.ep, "secret": sphere.keys[one.ep].secret.hex()}
            m.case("title-open", {"body": one.body, "slot": slot, "key": key}, "body.ct", "body.cm", "body.mh")


def speak(m: Maker, sphere: Sphere, people: list[Person]) -> None:
    """Somebody says something, if the state lets anybody."""
    who = m.r.choice(people)
    talker = sphere.talker(m.r.choice(who.devs))
    state = sphere.state
    member = state.author(talker.dev.dv)
    if member is None or (state.mode == "e2ee" and state.hard):
        return
    if member.role == "guest" and state.policy.guests == "read":
        return
    for _ in range(2):
        opened_cases(m, sphere, talker)
    if m.r.random() < 0.5:
        return
    log = {"entries": list(sphere.entries), "attach": attached(sphere.attach)}
    heads = [[talker.dev.dv, talker.seq, b64e(talker.digest), talker.ls]]
    following = talker.make(m.payload())
    m.case("chain-admit", {**log, "message": following, "heads": heads}, "message")
    if m.r.random() < 0.4:
        secrets = {str(n): one.secret.hex() for n, one in sphere.keys.items()}
        m.case("run-one", {**log, "sph": state.sph, "keys": secrets, "message": talker.say(m.payload())}, "message")


def opened_cases(m: Maker, sphere: Sphere, talker: Talker) -> None:
    """One more message of a chain, opened and read."""
    state = sphere.state
    compact = talker.say(m.payload(), thr=m.bytes(16) if m.r.random() < 0.2 else b"")
    key = sphere.keys.get(state.ep) if state.mode == "e2ee" else None
    given: dict[str, Any] = {"message": compact, "dk": state.devices[talker.dev.dv].dk.hex(), "mode": state.mode}
    if key is not None:
        given["key"] = {"sph": key.sph, "n": key.n, "secret": key.secret.hex()}
    m.case("message-open", given, "message")
    m.case("message-decode", {"message": compact})


def replaced_identity(m: Maker, sphere: Sphere, owner: Person) -> None:
    """An ``identity`` entry: no intent makes one, the log takes it."""
    state = sphere.state
    mine = [dev for dev in owner.devs if state.author(dev.dv) is not None]
    if not mine:
        return
    fresh = b"\x01" + m.bytes(47)
    new, old = jwk_public(fresh), state.members[owner.handle].ik
    device = keys.new_device(m.bytes)
    own = jws.device_signer(device.dk_seed)
    cert = certificate.issue(fresh, owner.handle, own, device.dk, device.kem, device.de, NOW - 9, NOW + YEAR)
    signed = machine.identity_message(state.sph, owner.handle, old, new, jws.decode(cert, "sph-dev+1").digest)
    heads = {dev.dv: talker.head for dev in owner.devs if (talker := sphere.talkers.get(dev.dv))}
    body = {
        "id": owner.handle, "old": old, "new": new, "osig": b64e(crypto.es384_sign(owner.scalar, signed)),
        "nsig": b64e(crypto.es384_sign(fresh, signed)), "cert": cert,
        "tails": [entry_tail(d.dv, heads.get(d.dv)) for d in state.devices_of(owner.handle)],
    }  # fmt: skip
    head: dict[str, Any] = {"sph": state.sph, "seq": state.seq + 1, "prev": state.digest, "ep": state.ep}
    compact = entry.make(own, device.dv, "identity", body, NOW, **head)
    given = {"entries": list(sphere.entries), "attach": attached(sphere.attach), "next": compact}
    m.case("log-apply", given, "next", often=1)


def entry_tail(dv: str, head: Any) -> list[Any]:
    return [dv, head.seq, b64e(head.digest)] if head else [dv, 0, ""]


# --- accounts -----------------------------------------------------------------------------------------------------


def accounts(m: Maker) -> None:
    """Key logs, certificates, device sign-ins."""
    for _ in range(12):
        ik, at = keys.new_identity(m.bytes), NOW
        chain = [keylog.start(ik, at)]
        log = keylog.verify_chain(chain)
        for _ in range(m.r.randrange(5)):
            at += m.r.randrange(9)
            wish = m.r.choice(["add", "add", "revoke", "rotate"])
            if wish == "add":
                device = keys.new_device(m.bytes, m.r.choice(["xwing", "p384"]))
                own = jws.device_signer(device.dk_seed)
                cert = certificate.issue(ik, log.id, own, device.dk, device.kem, device.de, at, at + YEAR)
                m.case("cert-verify", {"cert": cert, "ik": jwk_public(ik)}, "cert")
                compact = keylog.add_device(ik, log, cert, at)
            elif wish == "revoke" and log.devices:
                compact = keylog.revoke_device(ik, log, m.r.choice(sorted(log.devices)), at)
            else:
                fresh = keys.new_identity(m.bytes)
                compact, ik = keylog.rotate(ik, log, fresh, at), fresh
            chain.append(compact)
            log = keylog.apply(log, compact)
        m.case("klog-verify", {"chain": list(chain)}, f"chain.{m.r.randrange(len(chain))}")
        nonce, device = m.bytes(32), keys.new_device(m.bytes, "p384")
        answer = dauth.make(jws.device_signer(device.dk_seed), device.dv, aud=ORIGIN, nonce=nonce, iat=NOW)
        given = {"dk": device.dk.hex(), "dv": device.dv, "nonce": nonce.hex(), "origins": [ORIGIN], "now": NOW + 5}
        m.case("dauth-verify", {"answer": answer, **given}, "answer")


def slot_cases(m: Maker) -> None:
    for _ in range(18):
        ik, roots, kek = (
            keys.new_identity(m.bytes),
            keys.Roots(m.bytes(32), m.bytes(32), m.r.randrange(1, 9)),
            m.bytes(32),
        )
        account, ver = keys.account_id(ik), m.r.randrange(2)
        wrapped = keys.wrap_mk(kek, account, ver, roots, m.bytes).hex()
        given = {"kek": kek.hex(), "account": account, "ver": ver}
        m.case("unwrap-mk", {**given, "mkv": roots.mkv, "wrapped": wrapped}, "wrapped", "kek")
        m.case("unwrap-rk", {**given, "wrapped": keys.wrap_rk(kek, account, ver, roots, m.bytes).hex()}, "wrapped")
        slot = slots.seal_ik(roots.rk, account, ik, m.bytes).hex()
        m.case("open-ik", {"rk": roots.rk.hex(), "account": account, "jwk": jwk_public(ik), "slot": slot}, "slot")
        sph, n = f"sp-{b64e(m.bytes(32))}", m.r.randrange(1, 2**32)
        slot = slots.seal_epoch(roots.mk, account, sph, n, m.bytes(32), m.bytes).hex()
        m.case("open-epoch", {"mk": roots.mk.hex(), "account": account, "sph": sph, "n": n, "slot": slot}, "slot")
        mks = [m.bytes(32) for _ in range(m.r.randrange(1, 5))]
        held = {
            str(k): slots.seal_master(new, account, k, old, m.bytes).hex()
            for k, (old, new) in enumerate(pairwise(mks), 1)
        }
        m.case("masters", {"account": account, "mk": mks[-1].hex(), "mkv": len(mks), "slots": held})
        states(m, account, roots.mk)
        mine, other = keys.new_device(m.bytes, m.r.choice(["xwing", "p384"])), keys.new_device(m.bytes, "p384")
        ct = credentials.seal_mk_share(account, other.dv, mine.dv, mine.kem, mine.de, roots)
        row = {"dk_seed": mine.dk_seed.hex(), "kem": mine.kem, "de_seed": mine.de_seed.hex()}
        m.case("device", row)
        told = {"account": account, "sender": other.dv, "mkv": roots.mkv, "present": 0, "ct": ct.hex()}
        m.case("open-mk-share", {**row, **told}, "ct")
    rsa_share(m)


def rsa_share(m: Maker) -> None:
    """A device with an RSA key, and a secret for it (SHR-007)."""
    own = keys.new_device(m.bytes, "rsa4096")
    m.case("device", {"dk_seed": own.dk_seed.hex(), "kem": own.kem, "de_seed": own.de_seed.hex()})
    bound = m.bytes(40)
    to = Device(own.dv, "", own.dk, own.kem, own.de, b"", "active", 0)
    for _ in range(3):
        ct = share.seal_to(to, bound, m.bytes(32), m.bytes).hex()
        m.case("rsa-share", {"private": own.de_seed.hex(), "info": bound.hex(), "ct": ct}, "ct")


def content(m: Maker) -> dict[str, Any]:
    """A state such as the client writes: spheres, people, devices, settings."""
    sph, h = f"sp-{b64e(m.bytes(32))}", b64e(m.bytes(32))
    row = {"status": "active", "label": m.text(20), "read": m.r.randrange(2**40), "seq": m.r.randrange(99), "h": h}
    pin = {"rev": 1, "login": "bo", "petname": m.text(9), "confirmed": m.r.random() < 0.5}
    settings = {"theme": {"rev": 2, "v": json.dumps(m.text(5))}}
    return {"v": 1, "spheres": {sph: row}, "pins": {f"id-{h}": pin}, "devices": {}, "invites": {}, "settings": settings}


def states(m: Maker, account: str, mk: bytes) -> None:
    device = keys.new_device(m.bytes, "p384")
    first = state_slot.seal(mk, account, device, None, content(m), m.bytes)
    second = state_slot.seal(mk, account, device, first.pin, content(m), m.bytes)
    for sealed, pin in ((first, None), (second, first.pin), (second, second.pin)):
        given = {"mk": mk.hex(), "account": account, "ctr": sealed.ctr, "slot": sealed.slot.hex()}
        seen = {} if pin is None else {"pin": [pin.ctr, pin.digest.hex()]}
        m.case("open-state", {**given, "devices": {device.dv: device.dk.hex()}, **seen}, "slot", "mk")


def vaults(m: Maker) -> None:
    for n in range(18):
        kek, vk, key = m.bytes(32), m.bytes(32), m.bytes(32)
        account, device = keys.account_id(keys.new_identity(m.bytes)), keys.new_device(m.bytes, "p384")
        bare = vault.Vault(
            ORIGIN, m.bytes(16), account, "ada", device.dv, m.bytes(16), n % 2, 1 + n, pending=n % 3 == 0
        )
        made = vault.with_opener(bare, vault.password_opener(bare, vk, kek, m.bytes))
        for kind in ("session", "file"):
            made = vault.with_opener(made, vault.key_opener(made, kind, key, vk, m.bytes))
        head = json.loads(vault.encode(made))
        m.case("vault-header", {"text": vault.encode(made).decode()})
        m.case(
            "vault-password", {"vault": head, "kek": kek.hex()}, "vault.openers.pw.box", "vault.openers.pw.salt", "kek"
        )
        kind = m.r.choice(["session", "file"])
        m.case("vault-key", {"vault": head, "kind": kind, "key": key.hex()}, f"vault.openers.{kind}.box", "key")
        name, box = m.text(9), b""
        box = vault.seal_record(vk, made, name, m.bytes(m.r.randrange(99)), m.bytes)
        m.case("vault-record", {"vault": head, "vk": vk.hex(), "name": name, "box": box.hex()}, "box", "vk")
        m.case("vault-store-key", {"vault": head, "vk": vk.hex()})
        m.case("key-file", {"text": vault.key_file(key).decode()})
        if n == 0:
            pins(m, made, vk)


def pins(m: Maker, made: vault.Vault, vk: bytes) -> None:
    pin = "".join(m.r.choice("0123456789") for _ in range(8)) + "39"
    after, told = unlock.enrol(made, vk, pin, m.bytes)
    head, nonce = json.loads(vault.encode(after)), m.bytes(32)
    m.case("unlock-attempt", {"vault": head, "pin": pin, "nonce": nonce.hex()})
    tried = unlock.attempt(after, pin, nonce)
    m.case("unlock-finish", {"vault": head, "a": tried.a.hex(), "pep": told.pep.hex()}, "a", "pep", often=1)


def letters(m: Maker) -> None:
    """Letters of every kind and the other envelopes a device signs, with bodies drawn by the tables of the wire."""
    table = json.loads(files("cloister.protocol").joinpath("wire.json").read_text("utf-8"))
    for kind, members in table["p2p"].items():
        for _ in range(12):
            seed = m.bytes(32)
            dk = crypto.ed25519_public(seed)
            fixed = {"k": kind, "sph": drawn(m, "sph"), "iat": NOW, "jti": drawn(m, "bytes:16")}
            body = {
                **fixed,
                **{n.rstrip("?"): drawn(m, of) for n, of in members.items() if n[-1] != "?" or m.r.random() < 0.5},
            }
            dv = drawn(m, "dv")
            compact = jws.sign("sph-p2p+1", {"kid": dv}, body, jws.device_signer(seed))
            m.case("envelope-open", {"typ": "sph-p2p+1", "compact": compact, "key": {"dk": dk.hex()}}, "compact")
    for _ in range(20):
        seed, body = m.bytes(32), {"id": drawn(m, "id"), "ctr": m.r.randrange(2**53), "content": content(m)}
        compact = jws.sign("sph-state+1", {"kid": drawn(m, "dv")}, body, jws.device_signer(seed))
        key = {"dk": crypto.ed25519_public(seed).hex()}
        m.case("envelope-open", {"typ": "sph-state+1", "compact": compact, "key": key}, "compact")
        ik, other = keys.new_identity(m.bytes), {"id": drawn(m, "id"), "seq": 3, "op": "rev-dev", "iat": NOW}
        compact = jws.sign(
            "sph-klog+1", {"kid": drawn(m, "id")}, {**other, "body": {"dv": drawn(m, "dv")}}, jws.identity_signer(ik)
        )
        m.case("envelope-open", {"typ": "sph-klog+1", "compact": compact, "key": {"jwk": jwk_public(ik)}}, "compact")


def drawn(m: Maker, kind: str) -> Any:
    """A value of a kind of ENC-009."""
    word, _, rest = kind.partition(":")
    makers: dict[str, Callable[[], Any]] = {
        "id": lambda: f"id-{b64e(m.bytes(32))}", "dv": lambda: f"dv-{b64e(m.bytes(32))}",
        "sph": lambda: f"sp-{b64e(m.bytes(32))}", "int": lambda: m.r.randrange(2**53),
        "u32": lambda: m.r.randrange(2**32),
        "enum": lambda: m.r.choice(rest.split("|")), "bytes": lambda: b64e(m.bytes(length(m, rest))),
        "list": lambda: [drawn(m, rest.partition(":")[2]) for _ in range(m.r.randrange(1, 4))],
        "jws": lambda: ".".join(b64e(m.bytes(m.r.randrange(9, 99))) for _ in range(3)),
    }  # fmt: skip
    return makers[word]()


def length(m: Maker, rest: str) -> int:
    low, mark, high = rest.partition("-")
    return m.r.randrange(int(low), int(high) + 1) if mark else int(low)


def passwords(m: Maker) -> None:
    for ver in (1, 1, 0):
        word = m.text(20) + "ringed plover"
        given = {"password": word, "login": "ada", "realm": m.hex(16), "salt": m.hex(16), "ver": ver}
        m.case("ppf", given if m.r.random() < 0.5 else {**given, "account_key": m.hex(16)})


def sign_ins(m: Maker) -> None:
    """Both halves of a sign-in, and one changed character of what the other side says."""
    for _ in range(4):
        realm, salt, auth = m.bytes(16), m.bytes(16), m.bytes(32)
        v = srp.verifier("ada", salt, auth)
        m.case("srp-verifier", {"login": "ada", "salt": salt.hex(), "auth": auth.hex()})
        b = srp_group.exponent(m.bytes(32))
        public = srp_group.pad(GROUP, srp_group.server_public(GROUP, srp_group.K, int.from_bytes(v, "big"), b))
        ephemeral = srp.start(m.bytes)
        names = {"login": "ada", "salt": salt.hex(), "realm": realm.hex(), "ver": 1}
        client = {"a": f"{ephemeral.a:064x}", "B": public.hex(), "auth": auth.hex(), "origin": ORIGIN, **names}
        m.case("srp-client", client)
        stretched = Stretched(auth, b"", 1)
        challenge = srp.Challenge(salt, "", public)
        proof = srp.prove(ephemeral, challenge, stretched, login="ada", realm=realm, origin=ORIGIN)
        server = {"v": v.hex(), "b": f"{b:064x}", "A": ephemeral.public.hex(), "M1": proof.m1.hex(), **names}
        m.case("srp-server", {**server, "origins": [ORIGIN], "age": 3, "known": True}, "M1", often=1)
        reply = {"M1": proof.m1.hex(), "expected": proof.expected_m2.hex(), "M2": proof.expected_m2.hex()}
        m.case("srp-reply", reply, "M2", often=1)
        m.case("srp-challenge", {"reply": {"sid": b64e(m.bytes(16)), "salt": b64e(salt), "B": b64e(public)}})


def digit_cases(m: Maker) -> None:
    for _ in range(20):
        m.case("digits", {"bytes": m.hex(m.r.randrange(1, 17) * 5)})
        m.case("safety-number", {"one": drawn(m, "id"), "other": drawn(m, "id")})
        m.case("head-code", {"digest": m.hex(32)})
