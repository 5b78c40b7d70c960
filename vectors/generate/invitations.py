"""Invitation key pairs, links, pins, and the proof that an asker had the link."""

from __future__ import annotations

from cloister.account import keys
from cloister.protocol import jws
from cloister.protocol.encoding import b64e, lp
from cloister.protocol.state import Device, Policy
from cloister.sphere import compose, invitation, padding, share
from cloister.sphere.invitation import Link
from cloister.sphere.share import Party
from vectors.generate import Case, Recorded, bad, good, rng
from vectors.generate._sphere import NOW, Person, Sphere

ORIGIN = "made by vectors/generate/invitations.py with seeded keys, HPKE drawn once; refusals are stated there by hand"
SPH = "sp-FQ9ju9t-zF4d_Z8YBWMA7-5qtjk_FdpREckEdcMuJ1I"
SEED, JTI, PIN = bytes(range(32)), bytes(range(16)), bytes(range(16, 32))
FORMAT = "C_FORMAT"


def pairs() -> list[Case]:
    out = []
    for i, (seed, jti) in enumerate(((SEED, JTI), (rng("seed")(32), rng("jti")(16)), (SEED, PIN))):
        ivk, ipk = invitation.key_pair(seed, SPH, jti)
        given = {"seed": seed.hex(), "sph": SPH, "jti": jti.hex()}
        out.append(good(f"inv-pair-{i}", "INV-001", "invite-keys", given, {"ivk": ivk.hex(), "ipk": ipk.hex()}))
    for name, change in (("seed-short", {"seed": SEED[1:].hex()}), ("jti-short", {"jti": JTI[1:].hex()})):
        given = {"seed": SEED.hex(), "sph": SPH, "jti": JTI.hex(), **change}
        out.append(bad(f"inv-pair-{name}", "INV-001", "invite-keys", given, FORMAT))
    return out


def value(link: Link) -> Case:
    return {
        **{"kind": link.kind, "origin": link.origin, "sph": link.sph, "jti": link.jti.hex(), "seed": link.seed.hex()},
        **{"seq": link.seq, "pin": link.pin.hex(), "label": link.label},
    }


def links() -> list[Case]:
    full = Link("invite", "https://chat.example", SPH, JTI, SEED, 12, PIN, "Küche & Bad")
    known = {
        "full": full,
        "no-label": Link("invite", "http://localhost:8080", SPH, JTI, SEED, 0, PIN),
        "address": Link("invite", "https://[::1]:8443", SPH, JTI, SEED, 2**53 - 1, PIN, "x" * 64),
        "ask": Link("ask", "https://chat.example", SPH),
        "public": Link("public", "https://chat.example", SPH, seq=3, pin=PIN),
    }
    out = []
    for name, link in known.items():
        text = invitation.emit(link)
        out.append(good(f"inv-link-{name}", "INV-003 INV-004", "link-parse", {"text": text}, value(link)))
        out.append(good(f"inv-emit-{name}", "INV-003 INV-004", "link-emit", value(link), text))
    text = invitation.emit(full)
    stem, _, label = text.rpartition("~")
    wrong = {
        "empty": "",
        "no-fragment": "https://chat.example/j",
        "query": text.replace("#", "?"),
        "page": text.replace("/j#", "/x#"),
        "slash": text.replace("/j#", "/j/#"),
        "scheme": text.replace("https", "ftp"),
        "path": text.replace("chat.example", "chat.example/a"),
        "user": text.replace("chat.example", "ada@chat.example"),
        "seq-zero-led": text.replace("~12~", "~012~"),
        "seq-negative": text.replace("~12~", "~-1~"),
        "seq-large": text.replace("~12~", "~9007199254740992~"),
        "seq-empty": text.replace("~12~", "~~"),
        "seed-short": text.replace(b64e(SEED), b64e(SEED[1:])),
        "seed-bits": text.replace(b64e(SEED), b64e(SEED)[:-1] + "9"),
        "jti-long": text.replace(b64e(JTI), b64e(JTI + b"x")),
        "pin-short": text.replace(b64e(PIN), b64e(PIN[1:])),
        "too-many": text + "~x",
        "too-few": "~".join(text.split("~")[:4]),
        "label-empty": stem + "~",
        "label-utf8": f"{stem}~{b64e(bytes([255]))}",
        "label-line": f"{stem}~{b64e(b'a' + bytes([10]) + b'b')}",
        "label-joiner": f"{stem}~{b64e(b'a' + bytes([0xE2, 0x80, 0x8D]) + b'b')}",
        "label-wide-space": f"{stem}~{b64e(b'a' + bytes([0xE3, 0x80, 0x80]) + b'b')}",
        "port-zero": text.replace("chat.example", "chat.example:0443"),
        "label-long": f"{stem}~{b64e(b'x' * 65)}",
        "label-plain": f"{stem}~{label}=",
        "sph-short": text.replace(SPH, SPH[:-1]),
        "sph-bits": text.replace(SPH, SPH[:-1] + "J"),
        "public-short": f"https://chat.example/p#{SPH}~1",
        "public-bare": f"https://chat.example/p#{SPH}",
        "long": f"https://chat.example/j#{'x' * 1100}",
        "space-before": " " + text,
        "line-after": text + "\n",
        "separator-before": "\u001c" + text,
        "line-separator-after": text + "\u2028",
    }
    return out + [bad(f"inv-link-{n}", "INV-003", "link-parse", {"text": t}, FORMAT) for n, t in wrong.items()]


def logs() -> list[Case]:
    ada, bo, eve = Person("ada", "p384"), Person("bo", "p384"), Person("eve", "p384")
    sphere = Sphere(ada, policy=Policy(kem_min="p384"), label="invitations")
    sph = sphere.state.sph
    _, ipk = invitation.key_pair(SEED, sph, JTI)
    sphere.do(ada, compose.Invite(JTI, ipk, NOW + 86400))
    entries, seq, pin = list(sphere.entries), sphere.state.seq, sphere.state.digest[:16]
    link = Link("invite", "https://chat.example", sph, JTI, SEED, seq, pin)
    pinned = {"entries": entries, "text": invitation.emit(link)}
    other = {"entries": entries, "text": invitation.emit(Link("invite", link.origin, sph, JTI, SEED, seq - 1, pin))}
    beyond = {"entries": entries, "text": invitation.emit(Link("invite", link.origin, sph, JTI, SEED, seq + 1, pin))}
    ask = {"entries": entries, "text": invitation.emit(Link("ask", link.origin, sph))}
    guessed = Link("invite", link.origin, sph, JTI, bytes(32), seq, pin)
    request, forged = sphere.request(bo, link), sphere.request(eve, guessed)
    ivs = jws.decode(request, "sph-join+1").body["ivs"]
    stolen = jws.sign(
        "sph-join+1",
        {"kid": eve.dev.dv},
        {**jws.decode(forged, "sph-join+1").body, "ivs": ivs},
        eve.dev.signer,
    )
    given: Case = {"seed": SEED.hex(), "sph": sph, "jti": JTI.hex(), "iat": NOW}
    by = {"id": bo.handle, "by_link": True}
    return [
        good("inv-pin", "INV-005", "link-pin", pinned, True),
        good("inv-pin-none", "INV-005", "link-pin", ask, True),
        bad("inv-pin-other", "INV-005", "link-pin", other, "C_LOG_FORK"),
        bad("inv-pin-beyond", "INV-005", "link-pin", beyond, "C_LOG_FORK"),
        good("inv-ask", "INV-006", "link-request", {**given, "join": request}, by),
        bad("inv-ask-guessed", "INV-006", "link-request", {**given, "join": forged}, "C_SIG"),
        bad("inv-ask-stolen", "INV-006", "link-request", {**given, "join": stolen}, "C_SIG"),
        bad("inv-ask-plain", "INV-006", "link-request", {**given, "join": sphere.request(eve)}, "C_LOG_INVALID"),
    ]


def letters() -> list[Case]:
    """A link sealed to a device, in a letter of a sphere both are in. The sealing was drawn once."""
    kept, sender = Recorded("invitations"), Party("id-" + b64e(SEED), "dv-" + b64e(SEED[::-1]))
    out, via = [], "sp-" + "A" * 43
    for kem in ("xwing", "p384"):
        own = keys.new_device(rng("letter" + kem), kem)
        me, jti = Party("id-" + b64e(bytes(32)), own.dv), rng("jti" + kem)(16)
        link = Link("invite", "https://chat.example", SPH, JTI, SEED, 12, PIN, "Küche & Bad")
        device = Device(own.dv, me.id, own.dk, kem, own.de, b"", "active", 0)

        def seal(text: bytes, device: Device = device, me: Party = me, jti: bytes = jti, kem: str = kem) -> str:
            bound = lp("sph/1 invite", via, sender.id, sender.dv, me.id, me.dv, kem, jti)
            return b64e(share.seal_to(device, bound, text, rng("none")))

        ct = kept.once(f"letter-{kem}", lambda seal=seal, link=link: seal(padding.pad(invitation.emit(link).encode())))
        given: Case = {
            **{"dk_seed": own.dk_seed.hex(), "kem": kem, "de_seed": own.de_seed.hex(), "me": me.id, "ct": ct},
            **{"sender": [sender.id, sender.dv], "via": via, "jti": jti.hex(), "idR": me.id, "dvR": me.dv, "kemR": kem},
        }
        out.append(good(f"inv-letter-{kem}", "INV-007", "link-letter", given, value(link)))
        wrong: dict[str, tuple[Case, str]] = {
            "sender": ({"sender": [me.id, sender.dv]}, "C_DECRYPT"),
            "sender-device": ({"sender": [sender.id, me.dv]}, "C_DECRYPT"),
            "sphere": ({"via": SPH}, "C_DECRYPT"),
            "letter": ({"jti": JTI.hex()}, "C_DECRYPT"),
            "person": ({"idR": sender.id}, "C_DECRYPT"),
            "device": ({"dvR": sender.dv}, "C_DECRYPT"),
            "kem": ({"kemR": "p384" if kem == "xwing" else "xwing"}, "C_DECRYPT"),
            "damaged": ({"ct": ct[:-4] + ("AAAA" if ct[-4:] != "AAAA" else "BBBB")}, "C_DECRYPT"),
        }
        if kem == "p384":
            plain, text = invitation.emit(Link("ask", link.origin, SPH)), invitation.emit(link)
            for name, content in {
                "without-secret": padding.pad(plain.encode()),
                "unpadded": text.encode(),
                "cut": padding.pad(text[:-30].encode()),
                "not-ascii": padding.pad("é".encode()),
            }.items():
                wrong[name] = ({"ct": kept.once(f"letter-{name}", lambda c=content, seal=seal: seal(c))}, FORMAT)
        out += [
            bad(f"inv-letter-{kem}-{n}", "INV-007", "link-letter", {**given, **change}, code)
            for n, (change, code) in wrong.items()
        ]
    return out


def cases() -> list[Case]:
    return [*pairs(), *links(), *logs(), *letters()]
