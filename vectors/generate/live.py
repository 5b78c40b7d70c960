"""Live transfer: the messages, the digits, and everything a side must not take."""

from __future__ import annotations

from typing import Any

from cloister import crypto
from cloister.protocol import jws
from cloister.protocol.encoding import b64d, b64e, json_emit
from cloister.protocol.history import History
from cloister.protocol.state import Policy
from cloister.sphere import compose, live
from cloister.sphere.share import Party
from vectors.generate import Case, Recorded, bad, good, rng
from vectors.generate._sphere import NOW, Person, Sphere

ORIGIN = (
    "made by vectors/generate/live.py with seeded keys; the RSA key and what is sealed were drawn once, see recorded/"
)
EXPIRED, FORMAT, REPLAY, SIG = "C_EXPIRED", "C_FORMAT", "C_REPLAY", "C_SIG"
DECRYPT, MISMATCH, UNKNOWN, STRANGER = "C_DECRYPT", "C_KC_MISMATCH", "C_KEY_UNKNOWN", "C_NOT_MEMBER"


def flip(text: str, at: int = 0) -> str:
    data = bytearray(b64d(text))
    data[at] ^= 1
    return b64e(bytes(data))


class World:
    """Ada made the sphere and holds three epochs, bo asks, cy is another member, dan was removed, eve never came."""

    def __init__(self) -> None:
        self.ada, self.bo, self.cy, self.dan, self.eve = (
            Person(one, "xwing" if one == "bo" else "p384") for one in ("ada", "bo", "cy", "dan", "eve")
        )
        sphere = Sphere(self.ada, policy=Policy(history="all", kem_min="p384"), label="live")
        for person in (self.bo, self.cy, self.dan):
            sphere.add(self.ada, person)
        sphere.do(self.ada, compose.Rotate())
        sphere.do(self.ada, compose.Remove(self.dan.handle))
        self.sphere, self.sph = sphere, sphere.state.sph
        self.log: Case = {"entries": list(sphere.entries), "attach": {b64e(d): c for d, c in sphere.attach.items()}}
        self.history = History.load(sphere.history.dump(), sphere.history.digests)
        self.elsewhere = self.common("live-elsewhere")
        recorded = Recorded("live")
        self.private = b64d(recorded.once("private", lambda: b64e(crypto.rsa_generate())))
        self.asker, self.provider = self.party(self.bo), self.party(self.ada)
        draw = rng("live")
        self.asking, self.ask = live.ask(
            self.sph, self.asker, self.bo.dev.signer, (1, 2, 3), self.private, now=NOW, rng=draw
        )
        asked = live.read(self.ask, self.history)
        self.offering, self.offer = live.offer(
            asked, self.provider, self.ada.dev.signer, (1, 2, 3), now=NOW + 1, rng=draw
        )
        offered = live.read(self.offer, self.history)
        self.pair, self.open = live.open_offer(self.asking, offered, self.bo.dev.signer, now=NOW + 2, rng=draw)
        self.z, self.x = rng("live-zx")(32), rng("live-x")(32)
        keys = [sphere.keys[n] for n in (2, 3)]

        def give(name: str, secrets: list[Any]) -> str:
            parts = iter((self.z, self.x))
            jti = rng(f"live-{name}")

            def drawn(length: int) -> bytes:
                return next(parts) if length == 32 else jti(length)

            device = sphere.state.devices[self.bo.dev.dv]
            return live.give(
                self.pair, self.offering.epk, secrets, self.history, device, self.ada.dev.signer, now=NOW + 3, rng=drawn
            )[1]

        self.give = str(recorded.once("give", lambda: give("give", keys)))
        given = live.read(self.give, self.history)
        found, self.done = live.take(
            self.asking, self.pair, given, self.history, "xwing", [self.bo.dev.de_seed], self.bo.dev.signer,
            now=NOW + 4, rng=draw,
        )  # fmt: skip
        assert [key.secret for key in found] == [key.secret for key in keys]
        self.keys = [{"n": key.n, "secret": key.secret.hex()} for key in keys]

    def common(self, label: str) -> Sphere:
        """Another sphere of ada and bo, with as many epochs."""
        made = Sphere(self.ada, policy=Policy(history="all", kem_min="p384"), label=label)
        made.add(self.ada, self.bo)
        for _ in (2, 3):
            made.do(self.ada, compose.Rotate())
        return made

    def party(self, who: Person) -> Party:
        return Party(who.handle, who.dev.dv)

    def again(self, compact: str, who: Person | None = None, without: str = "", **changes: Any) -> str:
        """The message with other members, of any form, signed by ``who`` (its sender where none is named)."""
        envelope = jws.decode(compact, live.TYP)
        people = (self.ada, self.bo, self.cy, self.dan, self.eve)
        signer = who or next(one for one in people if one.dev.dv == envelope.header["kid"])
        body = {k: v for k, v in {**envelope.body, **changes}.items() if k != without}
        header = {"alg": "Ed25519", "typ": live.TYP, "kid": signer.dev.dv}
        signed = f"{b64e(json_emit(header))}.{b64e(json_emit(body))}"
        return f"{signed}.{b64e(signer.dev.signer(signed.encode()))}"

    def given(self, now: int, **members: Any) -> Case:
        return {**self.log, "now": now, **members}


def sent(world: World) -> list[Case]:
    """What a side makes, byte for byte."""
    draw = rng("live")
    asked = world.given(
        NOW, sph=world.sph, id=world.asker.id, seed=world.bo.dev.seed.hex(), ns=[1, 2, 3],
        private=world.private.hex(),
        epk=crypto.rsa_public(world.private).hex(), drawn=draw(32).hex(),
    )  # fmt: skip
    offered = world.given(
        NOW + 1, id=world.provider.id, seed=world.ada.dev.seed.hex(), ask=world.ask, ns=[1, 2, 3], drawn=draw(32).hex()
    )
    opened = opening(world, world.offer, drawn=draw(16).hex())
    value = {"jws": world.open, "digits": world.pair.digits, "ns": [1, 2, 3]}
    none = {**asked, "ns": []}
    return [
        good("live-ask", "LIVE-001 LIVE-002", "live-ask", asked, world.ask),
        bad("live-ask-nothing", "LIVE-002", "live-ask", none, FORMAT),
        bad("live-ask-unsorted", "LIVE-002", "live-ask", {**asked, "ns": [2, 1]}, FORMAT),
        good("live-offer", "LIVE-003", "live-offer", offered, world.offer),
        bad("live-offer-more", "LIVE-003", "live-offer", {**offered, "ns": [1, 2, 3, 4]}, REPLAY),
        good("live-open", "LIVE-004 LIVE-005", "live-open", opened, value),
    ]


def opening(world: World, offer: str, now: int = NOW + 2, **members: Any) -> Case:
    return world.given(
        now, me=world.bo.dev.dv, seed=world.bo.dev.seed.hex(), private=world.private.hex(), ask=world.ask,
        sas=world.asking.sas.hex(), offer=offer, **{"drawn": bytes(16).hex(), **members},
    )  # fmt: skip


def asks(world: World) -> list[Case]:
    """Asks a provider must not answer."""

    def case(name: str, rule: str, compact: str, code: str, now: int = NOW + 1) -> Case:
        given = world.given(now, ask=compact)
        return bad(f"live-asked-{name}", rule, "live-asked", given, code)

    again, body = world.again, jws.decode(world.ask, live.TYP).body
    head, payload, signature = world.ask.split(".")
    even = bytearray(b64d(body["epk"]))
    even[-1] &= 0xFE
    short = bytearray(b64d(body["epk"]))
    short[0] &= 0x7F
    return [
        good("live-asked", "LIVE-010 LIVE-011", "live-asked", world.given(NOW + 1, ask=world.ask), [1, 2, 3]),
        good("live-asked-last", "LIVE-011", "live-asked", world.given(NOW + 120, ask=world.ask), [1, 2, 3]),
        case("late", "LIVE-011", world.ask, EXPIRED, NOW + 121),
        case("early", "LIVE-011", world.ask, EXPIRED, NOW - 121),
        case("long", "LIVE-011", again(world.ask, exp=NOW + 121), EXPIRED),
        case("backwards", "LIVE-011", again(world.ask, exp=NOW - 1), EXPIRED, NOW - 2),
        case("stranger", "LIVE-010", again(world.ask, world.eve), UNKNOWN),
        case("removed", "LIVE-010", again(world.ask, world.dan), STRANGER),
        case("signature", "LIVE-010", f"{head}.{payload}.{flip(signature)}", SIG),
        case("other-sphere", "LIVE-001", again(world.ask, sph=Sphere(world.bo, label="other").state.sph), REPLAY),
        case("no-such-epoch", "LIVE-010", again(world.ask, ns=[4]), UNKNOWN),
        case("twice-the-same", "LIVE-002", again(world.ask, ns=[1, 1]), FORMAT),
        case("epoch-0", "LIVE-002", again(world.ask, ns=[0, 1]), FORMAT),
        case("none", "LIVE-002", again(world.ask, ns=[]), FORMAT),
        case("even-modulus", "LIVE-002", again(world.ask, epk=b64e(bytes(even))), FORMAT),
        case("small-modulus", "LIVE-002", again(world.ask, epk=b64e(bytes(short))), FORMAT),
        case("no-ask", "LIVE-001", world.offer, REPLAY),
        case("other-kind", "LIVE-001", again(world.ask, k="hello"), FORMAT),
    ]


def offers(world: World) -> list[Case]:
    """Offers an asker must not open, opens a provider must not believe."""

    def no_offer(name: str, rule: str, compact: str, code: str, now: int = NOW + 2) -> Case:
        return bad(f"live-open-{name}", rule, "live-open", opening(world, compact, now), code)

    def heard(compact: str, now: int = NOW + 3, offer: str = "") -> Case:
        sas = world.offering.sas.hex()
        return world.given(now, me=world.ada.dev.dv, ask=world.ask, offer=offer or world.offer, sas=sas, open=compact)

    def no_open(name: str, rule: str, given: Case, code: str) -> Case:
        return bad(f"live-opened-{name}", rule, "live-opened", given, code)

    again = world.again
    cy = {"idR": world.cy.handle, "dvR": world.cy.dev.dv}
    sas = jws.decode(world.open, live.TYP).body["sas"]
    signed, _, signature = world.open.rpartition(".")
    other = again(world.offer, sas=b64e(bytes(16)))
    return [
        no_offer("another-ask", "LIVE-001", again(world.offer, ask=b64e(bytes(32))), REPLAY),
        no_offer("for-another", "LIVE-001", again(world.offer, **cy), REPLAY),
        no_offer("of-more", "LIVE-003", again(world.offer, ns=[1, 2, 3, 4]), REPLAY),
        no_offer("of-nothing", "LIVE-003", again(world.offer, ns=[]), FORMAT),
        no_offer("by-a-stranger", "LIVE-010", again(world.offer, world.eve), UNKNOWN),
        no_offer("by-a-removed", "LIVE-010", again(world.offer, world.dan), STRANGER),
        no_offer("late", "LIVE-011", world.offer, EXPIRED, NOW + 121),
        no_offer("an-open", "LIVE-001", again(world.open, world.ada), REPLAY),
        good("live-opened", "LIVE-004 LIVE-005", "live-opened", heard(world.open), world.pair.digits),
        no_open("other-number", "LIVE-004", heard(again(world.open, sas=flip(sas))), MISMATCH),
        no_open("another-offer", "LIVE-001", heard(world.open, offer=other), REPLAY),
        no_open("by-another", "LIVE-001", heard(again(world.open, world.cy)), REPLAY),
        no_open("for-another", "LIVE-001", heard(again(world.open, **cy)), REPLAY),
        no_open("late", "LIVE-011", heard(world.open, NOW + 121), EXPIRED),
        no_open("signature", "LIVE-010", heard(f"{signed}.{flip(signature)}"), SIG),
    ]  # fmt: skip


def gives(world: World) -> list[Case]:
    """What the asker takes, and what the provider takes for an answer."""
    draw = rng("live")
    draw(80)

    def given(compact: str, now: int = NOW + 4, **members: Any) -> Case:
        return {
            **opening(world, world.offer, now, open=world.open, give=compact, drawn=draw_done),
            **{"secret": world.bo.dev.de_seed.hex(), "kem": "xwing", **members},
        }

    def no(name: str, rule: str, compact: str, code: str, now: int = NOW + 4, **members: Any) -> Case:
        return bad(f"live-take-{name}", rule, "live-take", given(compact, now, **members), code)

    draw_done = draw(16).hex()
    again, body = world.again, jws.decode(world.give, live.TYP).body
    flipped = [
        no(f"flip-{member}-{at}", "LIVE-006 LIVE-007", again(world.give, **{member: flip(body[member], at)}), DECRYPT)
        for member, places in {"enc": (1, 511), "cx": (0, 1120, 1151), "ct": (0, 64, 79)}.items()
        for at in places
    ]
    proof = {"me": world.ada.dev.dv, "z": world.z.hex(), "x": world.x.hex()}
    done = {**opening(world, world.offer, NOW + 5, open=world.open, give=world.give), **proof}
    wrong = again(world.done, mac=flip(jws.decode(world.done, live.TYP).body["mac"]))
    value, other = {"keys": world.keys, "jws": world.done}, again(world.done, give=b64e(bytes(32)))
    return [
        good("live-take", "LIVE-006 LIVE-007 LIVE-008", "live-take", given(world.give), value),
        *flipped,
        no("another-open", "LIVE-001", again(world.give, open=b64e(bytes(32))), REPLAY),
        no("by-another", "LIVE-001", again(world.give, world.cy), REPLAY),
        no("late", "LIVE-011", world.give, EXPIRED, NOW + 121),
        no("renamed-epochs", "LIVE-006", again(world.give, ns=[1, 2]), DECRYPT),
        no("fewer-epochs", "LIVE-006", again(world.give, ns=[3]), DECRYPT),
        no("of-more", "LIVE-006", again(world.give, ns=[2, 3, 4]), REPLAY),
        no("other-kem", "LIVE-006", again(world.give, kem="p384"), DECRYPT),
        no("other-receiving-key", "LIVE-007", world.give, DECRYPT, secret=bytes(range(32)).hex()),
        good("live-done", "LIVE-008", "live-done", {**done, "done": world.done}, True),
        bad("live-done-mac", "LIVE-008", "live-done", {**done, "done": wrong}, SIG),
        bad("live-done-other", "LIVE-001", "live-done", {**done, "done": other}, REPLAY),
        bad("live-done-late", "LIVE-011", "live-done", {**done, "now": NOW + 121, "done": world.done}, EXPIRED),
        bad("live-done-by-another", "LIVE-001", "live-done", {**done, "done": again(world.done, world.cy)}, REPLAY),
    ]  # fmt: skip


def elsewhere(world: World) -> list[Case]:
    """Well signed, and right but for the sphere it names, whose log it is read by."""
    other = world.elsewhere
    log = {"entries": list(other.entries), "attach": {b64e(d): c for d, c in other.attach.items()}}
    draw = rng("live-elsewhere")

    def case(name: str, op: str, member: str, given: Case) -> Case:
        renamed = world.again(given[member], sph=other.state.sph)
        return bad(f"live-elsewhere-{name}", "LIVE-001", op, {**given, member: renamed, "elsewhere": log}, REPLAY)

    heard = world.given(
        NOW + 3, me=world.ada.dev.dv, ask=world.ask, offer=world.offer, sas=world.offering.sas.hex(), open=world.open
    )
    taken = opening(world, world.offer, NOW + 4, open=world.open, give=world.give, drawn=draw(16).hex())
    proof = {"me": world.ada.dev.dv, "z": world.z.hex(), "x": world.x.hex(), "done": world.done}
    return [
        case("offer", "live-open", "offer", opening(world, world.offer)),
        case("open", "live-opened", "open", heard),
        case("give", "live-take", "give", {**taken, "secret": world.bo.dev.de_seed.hex(), "kem": "xwing"}),
        case("done", "live-done", "done", {**taken, **proof, "now": NOW + 5}),
    ]


def ways(world: World) -> list[Case]:
    """Where a browser can be met: nothing in it can be an address, and it fits one place of one transfer only."""
    draw = rng("live-way")
    place = draw(16) + (50_000).to_bytes(2, "big")
    where = live.Way("Ab+/", draw(18).hex()[:24], draw(32), (place, draw(16) + (1).to_bytes(2, "big")))
    offer = jws.decode(world.offer, live.TYP).digest
    jti = draw(16)
    way = live.way(
        world.sph, world.asker, world.bo.dev.signer, world.provider, offer, where, now=NOW + 2, rng=lambda _: jti
    )
    shown = {
        "ufrag": where.ufrag, "pwd": where.pwd, "fp": where.fp.hex(), "at": [one.hex() for one in where.at],
    }  # fmt: skip
    cy = {"idR": world.cy.handle, "dvR": world.cy.dev.dv}
    other = world.elsewhere
    log = {"entries": list(other.entries), "attach": {b64e(d): c for d, c in other.attach.items()}}

    def heard(compact: str, now: int = NOW + 3, **members: Any) -> Case:
        ends = {"me": world.ada.dev.dv, "other": world.bo.dev.dv, "exp": NOW + 120}
        return world.given(now, **ends, after=offer.hex(), way=compact, **members)

    def no(name: str, rule: str, given: Case, code: str) -> Case:
        return bad(f"live-way-{name}", rule, "live-way-heard", given, code)

    def places(*raw: bytes) -> str:
        return world.again(way, at=[b64e(one) for one in raw])

    def named(**members: Any) -> str:
        return world.again(way, **members)

    signed, _, signature = way.rpartition(".")
    renamed = {**heard(named(sph=other.state.sph)), "elsewhere": log}
    made = world.given(
        NOW + 2, me=world.bo.dev.dv, seed=world.bo.dev.seed.hex(), other=world.ada.dev.dv, after=offer.hex(), **shown,
        drawn=jti.hex(),
    )  # fmt: skip
    address = b"192.168.1.17:50000"
    return [
        good("live-way", "LIVE-015", "live-way", made, way),
        good("live-way-heard", "LIVE-015", "live-way-heard", heard(way), shown),
        no("late", "LIVE-011", heard(way, NOW + 121), EXPIRED),
        no("for-another", "LIVE-001", heard(named(**cy)), REPLAY),
        no("by-another", "LIVE-001", heard(world.again(way, world.cy)), REPLAY),
        no("by-a-removed", "LIVE-010", heard(world.again(way, world.dan)), STRANGER),
        no("after-another", "LIVE-001", heard(named(after=b64e(bytes(32)))), REPLAY),
        no("signature", "LIVE-010", heard(f"{signed}.{flip(signature)}"), SIG),
        no("elsewhere", "LIVE-001", renamed, REPLAY),
        no("an-open", "LIVE-001", heard(world.open), REPLAY),
        no("no-place", "LIVE-015", heard(places()), FORMAT),
        no("port-0", "LIVE-015", heard(places(place[:16] + bytes(2))), FORMAT),
        no("nine-places", "LIVE-015", heard(places(*[place] * 9)), FORMAT),
        no("short-place", "LIVE-015", heard(places(place[:17])), FORMAT),
        no("an-address", "LIVE-015", heard(named(at=["192.168.1.17:50000"])), FORMAT),
        no("a-name", "LIVE-015", heard(named(at=["printer.local:9100"])), FORMAT),
        good("live-way-bytes-are-a-name", "LIVE-015", "live-way-heard", heard(places(address)),
             {**shown, "at": [address.hex()]}),
        no("short-ufrag", "LIVE-015", heard(named(ufrag="abc")), FORMAT),
        no("long-ufrag", "LIVE-015", heard(named(ufrag="a" * 33)), FORMAT),
        no("ufrag-of-two-lines", "LIVE-015", heard(named(ufrag="abcd\r\na=candidate")), FORMAT),
        no("ufrag-and-line-end", "LIVE-015", heard(named(ufrag="abcd\n")), FORMAT),
        no("short-pwd", "LIVE-015", heard(named(pwd="a" * 21)), FORMAT),
        no("long-pwd", "LIVE-015", heard(named(pwd="a" * 65)), FORMAT),
        no("pwd-with-blank", "LIVE-015", heard(named(pwd="a" * 22 + " 1")), FORMAT),
        no("short-fp", "LIVE-015", heard(named(fp=b64e(bytes(31)))), FORMAT),
        no("with-a-description", "LIVE-015", heard(named(sdp="v=0")), FORMAT),
        no("without-fp", "LIVE-015", heard(world.again(way, without="fp")), FORMAT),
    ]  # fmt: skip


def cases() -> list[Case]:
    world = World()
    return [*sent(world), *asks(world), *offers(world), *gives(world), *elsewhere(world), *ways(world)]
