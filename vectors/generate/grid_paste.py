"""What people hand over: pasted text, the inspector, pouches, and a box that takes any token."""

from __future__ import annotations

import textwrap
from typing import Any

from cloister.grid import box as boxes
from cloister.grid import envelope, inspector, pouch, public, recognise, v1, v1_backup, v1_jws, v2
from cloister.grid.box import Box
from cloister.grid.keys import Identity, new_identity
from cloister.grid.pouch import Have, Pouch
from cloister.protocol.encoding import b64e, json_emit
from vectors.generate import Case, bad, good, rng
from vectors.generate._grid import flip, inspection_value, pouch_value, taken_value

ORIGIN = "made by vectors/generate/grid_paste.py with seeded keys"
NOW = 1_800_000_000
FORMAT, UNKNOWN, EXPIRED, SIG, NOT_MEMBER = "C_FORMAT", "C_KEY_UNKNOWN", "C_EXPIRED", "C_SIG", "C_NOT_MEMBER"


class World:
    """ada and bo with a conversation in each profile; every token once."""

    def __init__(self) -> None:
        draw = rng("grid-paste")
        self.ada, self.bo, self.eve = (new_identity(draw) for _ in range(3))
        self.fresh = Box(self.ada)
        ada, made1 = boxes.invite(self.fresh, "Ada", now=NOW, rng=draw, profile="grid-v1", note="one")
        ada, made2 = boxes.invite(ada, "Ada", now=NOW, rng=draw, note="two")
        self.invited = ada
        self.invite1, self.invite2 = made1.compact, made2.compact
        bo, opened1 = boxes.answer(Box(self.bo), self.invite1, "Bo", "hello", now=NOW, rng=draw)
        bo, opened2 = boxes.answer(bo, self.invite2, "Bo", "hello", now=NOW, rng=draw)
        self.opening1, self.opening2 = opened1.compact, opened2.compact
        self.th1, self.th2 = opened1.th, opened2.th
        self.replies: dict[str, list[str]] = {self.th1: [], self.th2: []}
        for n in range(3):
            for th in self.replies:
                bo, made = boxes.write(bo, th, f"message {n}", now=NOW + n, rng=draw)
                self.replies[th].append(made.compact)
        self.bo_box = bo
        ada, _ = boxes.take_all(ada, [self.opening1, self.opening2, self.replies[self.th2][0]], now=NOW)
        self.begun = ada
        self.receipt = boxes.receipt(ada, self.th2, now=NOW, rng=draw).compact
        self.auth = public.make_auth(self.bo, aud="https://r.example", nonce=bytes(32), iat=NOW)
        self.proof = v1.login_proof(self.bo, f"{NOW}:00ff", now=NOW)
        self.backup = v1_backup.write(self.bo, "secret", [], [], now=NOW, rng=draw)
        self.draw = draw


def wrap(token: str, width: int, mark: str = "", end: str = "\n") -> str:
    return end.join(mark + line for line in textwrap.wrap(token, width))


def found(name: str, text: str) -> Case:
    tokens, cut = recognise.find(text)
    value = {
        "found": [[one.compact, one.profile, one.kind, one.line] for one in tokens],
        "cut": [[one.profile, one.kind, one.line, one.length] for one in cut],
    }
    return good(f"grid-find-{name}", "GRID-060 GRID-061", "grid-find", {"text": text}, value)


def pasting(w: World) -> list[Case]:
    token = w.replies[w.th1][0]
    texts = {
        "nothing": "",
        "words": "No token. Nothing here; eyJ neither.",
        "bare": token,
        "quoted": f'"{token}"',
        "wrapped": f"Hello,\n\n{wrap(token, 76)}\n\nBest,\nBo",
        "cited": wrap(token, 70, "> "),
        "cited-twice": wrap(token, 70, "> > "),
        "cited-tight": wrap(token, 70, " >>"),
        "barred": wrap(token, 70, "| "),
        "crlf": wrap(token, 70, "> ", "\r\n"),
        "cr": wrap(token, 70, "", "\r"),
        "soft-hyphens": "\u00ad".join(textwrap.wrap(token, 9)),
        "zero-width": "\u200b\u2060\u200d".join(textwrap.wrap(token, 9)),
        "quoted-printable": "Hi =\nthere\n" + wrap(token, 75, "", "=\n"),
        "hyphens": token.replace("-", "\u2010").replace("_", "_"),
        "wide-blanks": wrap(token, 40, "\u3000", "\u2028"),
        "blank-lines": wrap(token, 70, "", "\n\n"),
        "in-a-link": f"<https://r.example/i#{token}>",
        "in-words": f"Here: {token}. Bye.",
        "behind-a-letter": f"x{token}",
        "several": f"a {w.invite1}\n> {w.opening1[:300]}\n> {w.opening1[300:]}\nb {w.receipt} {w.auth}{w.proof}",
        "doubled": f"{token}\n{token}",
        "backup": wrap(w.backup, 76),
        "cut": token[:-1],
        "cut-then-words": f"{token[:-60]}\nBest regards, Bo",
        "cut-then-another": f"{token[:-20]}\n{w.invite1}",
        "cut-in-payload-then-another": f"{token[:560]}\n{w.invite1}",
        "cut-in-header": token[:200],
        "cut-in-header-then-words": f"{token[:200]}\nBest regards. Bo",
        "too-short-to-tell": token[:15],
        "en-dash": token[:300] + "\u2013" + token[300:],
        "another-jwt": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0." + "A" * 128,
        "another-typ": b64e(b'{"alg":"ES384","typ":"JWT"}') + ".e30." + "A" * 128,
        "another-sub": b64e(b'{"alg":"ES384","sub":"x"}') + ".e30." + "A" * 128,
        "another-member-first": b64e(b'{"zip":"x","alg":"ES384","sub":"login"}') + ".e30." + "A" * 128,
        "no-jwk-no-sub": b64e(b'{"alg":"ES384","iat":1}') + ".e30." + "A" * 128,
        "ours-of-spheres": b64e(b'{"alg":"ES384","typ":"sph-dev+1"}') + ".e30." + "A" * 128,
    }  # fmt: skip
    return [found(name, text) for name, text in texts.items()]


def looking(w: World) -> list[Case]:
    keys = {w.ada.id: w.ada.jwk, w.bo.id1: w.bo.jwk}
    reply1, reply2 = w.replies[w.th1][0], w.replies[w.th2][0]
    out = []

    def look(name: str, token: str, now: int = NOW, known: dict[str, Any] | None = None) -> None:
        given: dict[str, Any] = {"token": token, "now": now} | ({"keys": known} if known is not None else {})
        value = inspection_value(inspector.inspect(token, now=now, keys=known))
        out.append(good(f"grid-inspect-{name}", "GRID-062", "grid-inspect", given, value))

    look("invitation-1", f'"{w.invite1}" ')
    look("invitation-2", w.invite2)
    look("invitation-2-over", w.invite2, NOW + 30 * 86400 + 1)
    look("answer-1", w.opening1)
    look("answer-2", w.opening2)
    look("reply-1", reply1, known=keys)
    look("reply-1-unknown", reply1)
    look("reply-1-wrong", reply1, known={w.bo.id1: w.eve.jwk})
    look("reply-2-unknown", reply2, known=keys)
    look("receipt", w.receipt, known=keys)
    look("sign-in", w.auth)
    look("login", w.proof)
    look("backup", w.backup)
    look("damaged", flip(w.invite2, 2))
    look("damaged-1", flip(w.invite1, 1))
    token = v1_jws.decode(w.opening1)
    look("forged-1", v1_jws.sign(token.header | {"from": w.eve.id1}, token.payload, w.bo.signer))
    read = envelope.decode(w.invite2, envelope.INVITE)
    look("forged-2", envelope.sign(read.header | {"kid": w.eve.id}, read.payload, w.ada).compact)
    look("foreign-member", _signed({**read.header, "jku": "x"}, read.payload, w.ada))
    look("short", w.invite2[:-1])
    for name, text in {
        "nothing": "",
        "words": "hello",
        "dots": "a.b.c",
        "another-jwt": "eyJhbGciOiJIUzI1NiJ9.e30.AA",
        "pouch": pouch.pack(Pouch(NOW, (), ())),
        "cited": "> " + w.invite2,
        "header-cut": w.invite2[:300],
    }.items():
        out.append(bad(f"grid-inspect-{name}", "GRID-062", "grid-inspect", {"token": text, "now": NOW}, FORMAT))
    return out


def _signed(header: dict[str, Any], payload: bytes, who: Identity) -> str:
    signing_input = f"{b64e(json_emit(header))}.{b64e(payload)}"
    return f"{signing_input}.{b64e(who.signer(signing_input.encode()))}"


def pouches(w: World) -> list[Case]:
    have = (Have(w.th2, w.bo.id, 1, ((3, 4), (6, 6))), Have(w.th1, w.bo.id1, 0))
    sphere = {"k": "sphere", "sph": "sp-x", "from": 3, "commits": [{"entry": "a.b.c"}]}
    made = Pouch(NOW, have, (w.invite1, w.receipt), (sphere,))
    text = pouch.pack(made)
    shown = pouch_value(made)
    empty = pouch.pack(Pouch(NOW, (), ()))
    out = [
        good("grid-pouch-write", "GRID-064 GRID-065", "grid-pouch-write", shown, text),
        good("grid-pouch-read", "GRID-064 GRID-065", "grid-pouch-read", {"text": f"\ufeff\n{text} \r\n"}, shown),
        good("grid-pouch-empty", "GRID-064", "grid-pouch-read", {"text": empty}, pouch_value(Pouch(NOW, (), ()))),
    ]
    for name, th, of in (
        ("some", w.th2, w.bo.id),
        ("first", w.th1, w.bo.id1),
        ("other-side", w.th2, w.ada.id),
        ("other", "x", w.bo.id),
    ):
        given = {"text": text, "th": th, "of": of, "places": list(range(9))}
        out.append(
            good(
                f"grid-pouch-wanted-{name}",
                "GRID-065",
                "grid-pouch-wanted",
                given,
                list(pouch.wanted(made, th, of, range(9))),
            )
        )
    for name, wrong in {
        "version": text.replace('"pouch":1', '"pouch":2'),
        "cut": text[:-1],
        "more": text + "x",
        "spaced": text.replace(":", ": ", 1),
        "foreign": text.replace('"iat"', '"x":1,"iat"', 1),
        "no-items": f'{{"pouch":1,"iat":{NOW},"have":[]}}',
        "item-without-kind": f'{{"pouch":1,"iat":{NOW},"have":[],"items":[{{"jws":"x"}}]}}',
        "item-foreign": f'{{"pouch":1,"iat":{NOW},"have":[],"items":[{{"k":"grid","jws":"x","y":1}}]}}',
        "item-without-token": f'{{"pouch":1,"iat":{NOW},"have":[],"items":[{{"k":"grid"}}]}}',
        "stretches-touch": text.replace('"a":3', '"a":1'),
        "stretch-crossed": text.replace('"a":6,"b":6', '"a":6,"b":5'),
        "of-nobody": text.replace(w.bo.id, "bo"),
        "list": "[]",
        "nothing": "",
    }.items():
        out.append(bad(f"grid-pouch-{name}", "GRID-064 GRID-065", "grid-pouch-read", {"text": wrong}, FORMAT))
    return out


def taking(w: World) -> list[Case]:
    out = []

    def take(name: str, box: Box, text: str, now: int = NOW) -> Box:
        after, pasted = boxes.take_text(box, text, now=now)
        given = {"box": box.dump(), "text": text, "now": now}
        out.append(
            good(f"grid-take-{name}", "GRID-005 GRID-063 GRID-066", "grid-take", given, taken_value(after, pasted))
        )
        return after

    replies1, replies2 = w.replies[w.th1], w.replies[w.th2]
    everything = "\n".join([*reversed(replies2), w.opening2, *reversed(replies1), w.opening1])
    after = take("all-reversed", w.invited, everything)
    take("again", after, everything)
    take("only-later", w.invited, f"{replies2[2]}\n{replies1[1]}")
    take("invitations", w.bo_box, f"{w.invite1} {w.invite2}")
    take("own-invitations", w.invited, f"{w.invite1} {w.invite2}")
    take("receipt", w.bo_box, w.receipt)
    take("own-pasted-back", w.bo_box, "\n".join([w.opening2, *replies2, *replies1]))
    take("not-for-people", w.invited, f"{w.auth}\n{w.proof}\n{w.backup}")
    take("damaged-and-cut", w.begun, f"{flip(replies2[1], 2)}\n{replies1[0][:-9]}\n{replies2[2]}")
    take("pouch", w.invited, pouch.pack(Pouch(NOW, (), (replies2[1], w.opening2, w.opening1))))
    take("invitation-over", w.invited, w.opening2, NOW + 31 * 86400)
    take("wrong-conversation", w.fresh, f"{w.opening1}\n{w.opening2}\n{replies1[0]}")
    tokens = {
        "reply-1": (w.fresh, replies1[0], UNKNOWN),
        "reply-2": (w.fresh, replies2[0], UNKNOWN),
        "answer-1": (w.fresh, w.opening1, UNKNOWN),
        "answer-2": (w.fresh, w.opening2, UNKNOWN),
        "receipt": (w.fresh, w.receipt, UNKNOWN),
        "sign-in": (w.begun, w.auth, FORMAT),
        "login": (w.begun, w.proof, FORMAT),
        "backup": (w.begun, w.backup, FORMAT),
        "words": (w.begun, "hello", FORMAT),
        "nothing": (w.begun, "", FORMAT),
        "damaged-invitation": (w.begun, flip(w.invite2, 2), SIG),
        "damaged-reply": (w.begun, flip(replies2[1], 2), SIG),
        "damaged-answer": (w.invited, flip(w.opening2, 2), SIG),
    }
    for name, (box, token, code) in tokens.items():
        given = {"box": box.dump(), "token": token, "now": NOW}
        out.append(bad(f"grid-take-one-{name}", "GRID-063", "grid-take-one", given, code))
    given = {"box": w.invited.dump(), "token": w.opening2, "now": NOW + 31 * 86400}
    out.append(bad("grid-take-one-over", "GRID-042 GRID-063", "grid-take-one", given, EXPIRED))
    eve = v2.answer(w.eve, w.invite2, "Eve", "me too", now=NOW, rng=w.draw)[1]
    out.append(
        bad(
            "grid-take-one-used-up",
            "GRID-042 GRID-063",
            "grid-take-one",
            given | {"box": w.begun.dump(), "token": eve, "now": NOW},
            EXPIRED,
        )
    )
    for name, change in {
        "version": {"v": 2},
        "foreign": {"x": 1},
        "thread": {"threads1": [{}]},
        "identity": {"identity": {}},
    }.items():
        broken = {"box": w.begun.dump() | change, "token": w.invite1, "now": NOW}
        out.append(bad(f"grid-take-one-box-{name}", "GRID-005", "grid-take-one", broken, FORMAT))
    return out


def cases() -> list[Case]:
    w = World()
    return pasting(w) + looking(w) + pouches(w) + taking(w)
