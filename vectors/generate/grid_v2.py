"""Profile grid-v2: two seeded people converse; what is made, what is read in which order, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache
from typing import Any

from cloister import crypto
from cloister.errors import CheckFailed
from cloister.grid import envelope, public, ratchet, timeline, v2
from cloister.grid.envelope import ALG, OPENING, RECEIPT, REPLY
from cloister.grid.keys import Identity, agree, new_identity, public_point
from cloister.grid.ratchet import Ratchet
from cloister.grid.v2_thread import Held, Thread
from cloister.protocol.encoding import b64d, b64e, json_emit, json_parse
from cloister.sphere import padding
from vectors.generate import Case, bad, good, rng
from vectors.generate._grid import Source, flip, message_value

ORIGIN = "made by vectors/generate/grid_v2.py with seeded keys; grid2-root-executed was computed by two other programs"
NOW = 1_800_000_000
DAY = 86400
FORMAT, SIG, DECRYPT, UNKNOWN, NOT_MEMBER = "C_FORMAT", "C_SIG", "C_DECRYPT", "C_KEY_UNKNOWN", "C_NOT_MEMBER"
CHANGED, REPLAY, EXPIRED, GAP = "C_KEY_CHANGED", "C_REPLAY", "C_EXPIRED", "C_GAP"
LOG, BEHIND = "C_LOG_INVALID", "C_LOG_ROLLBACK"


@cache
def person(name: str) -> Identity:
    return new_identity(rng(f"grid-v2/{name}"))


def made(header: dict[str, Any], payload: bytes, who: Identity) -> str:
    """A token past the maker's own check."""
    signing_input = f"{b64e(json_emit(header))}.{b64e(payload)}"
    return f"{signing_input}.{b64e(who.signer(signing_input.encode()))}"


def remade(compact: str, who: Identity, drop: str = "", **change: Any) -> str:
    """The same token with other header members, signed again; what is sealed stays bound to the old header."""
    token = envelope.decode(compact, envelope.peek(compact))
    header = {name: value for name, value in (token.header | change).items() if name != drop}
    return made(header, token.payload, who)


@cache
def talk() -> dict[str, Any]:
    """ada invites, bo answers; then messages that cross, and a few turns. States before and after each act."""
    draw = Source("grid-v2/talk")
    ada, bo = person("ada"), person("bo")
    held = v2.invite(ada, "Ada", note="come in", now=NOW, rng=draw, uses=2)
    out: dict[str, Any] = {"held": held, "invite_drawn": draw.taken()}
    theirs, opening = v2.answer(bo, held.compact, "Bo ✓", "Hello Ada", now=NOW, rng=draw, relay="https://r.example")
    out |= {"theirs": theirs, "opening": opening, "answer_drawn": draw.taken()}
    after, mine, shown = v2.accept(ada, [held], opening, now=NOW)
    out |= {"after": after, "mine": mine, "shown": shown}
    return out


class Pair:
    """Both ends of the conversation of ``talk``, and a record of every act as a case."""

    def __init__(self, label: str) -> None:
        t = talk()
        self.ends: dict[str, Thread] = {"ada": t["mine"], "bo": t["theirs"]}
        self.draw = Source(f"grid-v2/{label}")
        self.label = label
        self.cases: list[Case] = []

    def say(self, who: str, text: str, *, keep: str = "", relay: str = "") -> str:
        before = self.ends[who]
        self.ends[who], token = v2.write(before, person(who), text, now=NOW + 7, rng=self.draw, relay=relay)
        given = {
            "state": before.dump(),
            "me": person(who).dump(),
            "text": text,
            "now": NOW + 7,
            "drawn": self.draw.taken(),
        }
        given |= {"relay": relay} if relay else {}
        if keep:
            value = {"state": self.ends[who].dump(), "token": token}
            self.cases.append(
                good(
                    f"grid2-write-{self.label}-{keep}",
                    "GRID-047 GRID-048 GRID-050 GRID-055",
                    "grid2-write",
                    given,
                    value,
                )
            )
        return token

    def hear(self, who: str, token: str, *, keep: str = "") -> None:
        before = self.ends[who]
        self.ends[who], shown = v2.read(before, token, now=NOW + 8)
        if keep:
            given = {"state": before.dump(), "token": token, "now": NOW + 8}
            value = {"state": self.ends[who].dump(), "message": message_value(shown)}
            self.cases.append(
                good(
                    f"grid2-read-{self.label}-{keep}", "GRID-047 GRID-048 GRID-051 GRID-052", "grid2-read", given, value
                )
            )


# --- what is made -------------------------------------------------------------------------------------------------


def beginning() -> list[Case]:
    t, ada, bo = talk(), person("ada"), person("bo")
    held: Held = t["held"]
    given: dict[str, Any] = {
        "me": ada.dump(),
        "nickname": "Ada",
        "note": "come in",
        "uses": 2,
        "now": NOW,
        "drawn": t["invite_drawn"],
    }
    out = [good("grid2-invite", "GRID-001 GRID-041", "grid2-invite", given, held.dump())]
    draw = Source("grid-v2/plain")
    bare = v2.invite(ada, "", now=NOW, rng=draw, uses=0, life=60, relay="https://r.example")
    given = {
        "me": ada.dump(),
        "nickname": "",
        "uses": 0,
        "life": 60,
        "relay": "https://r.example",
        "now": NOW,
        "drawn": draw.taken(),
    }
    out.append(good("grid2-invite-bare", "GRID-041", "grid2-invite", given, bare.dump()))
    found = public.read_invite(held.compact)
    value = {name: member for name, member in asdict(found).items() if name != "compact"} | {"epk": found.epk.hex()}
    for name, now in (("", None), ("-last-second", found.exp)):
        asked = {"token": held.compact} | ({"now": now} if now else {})
        out.append(good(f"grid2-read-invite{name}", "GRID-040 GRID-041 GRID-042", "grid2-read-invite", asked, value))
    head, body, signature = held.compact.split(".")
    s = b64d(signature)[48:]
    twin = b64d(signature)[:48] + (crypto.P384_ORDER - int.from_bytes(s, "big")).to_bytes(48, "big")
    out.append(
        good("grid2-read-invite-twin", "GRID-041", "grid2-read-invite", {"token": f"{head}.{body}.{b64e(twin)}"}, value)
    )
    reply_epk = b64d(envelope.decode(t["opening"], OPENING).header["epk"])
    pair = {"invite": found.epk.hex(), "reply": reply_epk.hex()}
    out.append(good("grid2-thread", "GRID-003 GRID-044", "grid2-thread", pair, t["mine"].th))
    swapped = {"invite": reply_epk.hex(), "reply": found.epk.hex()}
    out.append(
        good("grid2-thread-mirrored", "GRID-044", "grid2-thread", swapped, public.thread_name(reply_epk, found.epk))
    )
    out.append(executed())
    given = {
        "me": bo.dump(),
        "invite": held.compact,
        "nickname": "Bo ✓",
        "text": "Hello Ada",
        "relay": "https://r.example",
        "now": NOW,
        "drawn": t["answer_drawn"],
    }
    answered = {"state": t["theirs"].dump(), "token": t["opening"]}
    out.append(good("grid2-answer", "GRID-043 GRID-044 GRID-045 GRID-046", "grid2-answer", given, answered))
    given = {"me": ada.dump(), "held": [bare.dump(), held.dump()], "token": t["opening"], "now": NOW}
    value = {"held": t["after"].dump(), "state": t["mine"].dump(), "message": message_value(t["shown"])}
    out.append(good("grid2-accept", "GRID-042 GRID-043 GRID-044 GRID-045 GRID-046", "grid2-accept", given, value))
    last = replace(held, left=1)
    after, thread, shown = v2.accept(ada, [last], t["opening"], now=NOW)
    value = {"held": after.dump(), "state": thread.dump(), "message": message_value(shown)}
    out.append(good("grid2-accept-last-use", "GRID-042", "grid2-accept", given | {"held": [last.dump()]}, value))
    for name, now in (("kept", found.exp), ("erased", found.exp + 1)):
        out.append(
            good(
                f"grid2-over-{name}",
                "GRID-042",
                "grid2-over",
                {"held": held.dump(), "now": now},
                v2.over(held, now).dump(),
            )
        )
    return out


def executed() -> Case:
    """The root's formula as it was run in two languages before there was a program."""
    given = {
        "shared": "53370a180df1970c7477036a3c2e9ee96d8759c52ea1bdb758f53e23fe050f34ed58b25085c72ce4d2b44360d3a8a9c9",
        "invite": crypto.sha256(b"eyJ.invite.signing.input").hex(),
        "inviter": "id-oc14cl7RIGkEFW9d8IHLuMi9Z9NJJkjri3KhBUdVJNQ",
        "replier": "id-s_HzeR81HvoRppjNWnRESRiUDJnOBtMDmNsCPD8OvVQ",
        "tpI": "aW3nGyjlxpQp1TGE20-y0e4LPhCY3sqYM2zrOU5rSVs",
        "tpR": "itZKWMd5gyWKJLvTuApMnwng5uSS1x1lUZIDRo1KI6E",
    }
    root = "bcbee82c34ef0f86c3e0450d208040ae2bbfe27cdb3879573a0af65caa6dcab6"
    return good("grid2-root-executed", "GRID-044", "grid2-root", given, root)


def conversation() -> list[Case]:
    """First messages that cross, then turns of speech."""
    pair = Pair("talk")
    from_bo = pair.say("bo", "and another", keep="replier-before-an-answer")
    from_ada = pair.say("ada", "Hello Bo", keep="inviter-first")
    pair.hear("bo", from_ada, keep="crossed-at-replier")
    pair.hear("ada", from_bo, keep="crossed-at-inviter")
    turned = pair.say("bo", "my turn", keep="replier-turns", relay="https://other.example")
    again = pair.say("bo", "still mine", keep="same-chain")
    pair.hear("ada", again, keep="skips-one")
    pair.hear("ada", turned, keep="late")
    pair.hear("ada", turned, keep="repeated")
    back = pair.say("ada", "ünïcode ✓\n" * 30, keep="inviter-turns")
    pair.hear("bo", back, keep="long")
    pair.hear("ada", back, keep="own")
    pair.hear("bo", talk()["opening"], keep="opening-own")
    pair.hear("ada", talk()["opening"], keep="opening-again")
    before = pair.ends["bo"]
    token = v2.receipt(before, person("bo"), now=NOW + 9, rng=pair.draw)
    given = {"state": before.dump(), "me": person("bo").dump(), "now": NOW + 9, "drawn": pair.draw.taken()}
    pair.cases.append(good("grid2-receipt", "GRID-053 GRID-055", "grid2-receipt", given, token))
    pair.hear("ada", token, keep="receipt")
    pair.hear("bo", token, keep="receipt-own")
    return pair.cases


# --- orders -------------------------------------------------------------------------------------------------------


def walk(name: str, rule: str, thread: Thread, tokens: list[str]) -> Case:
    given = {"state": thread.dump(), "tokens": tokens, "now": NOW + 20}
    verdicts: list[list[Any]] = []
    for token in tokens:
        try:
            thread, shown = v2.read(thread, token, now=NOW + 20)
            verdicts.append([shown.status, shown.place if isinstance(shown, v2.Message) else -1])
        except CheckFailed as error:
            verdicts.append([error.code])
    value = {
        "said": verdicts,
        "missing": [list(gap) for gap in thread.missing],
        "breaks": list(thread.breaks),
        "report": thread.report().content(),
        "outstanding": list(v2.outstanding(thread)),
        "behind": thread.behind,
    }
    return good(name, rule, "grid2-walk", given, value)


def orders() -> list[Case]:
    t = talk()
    pair = Pair("orders")
    first = [pair.say("bo", f"one {n}") for n in range(6)]
    pair.hear("bo", pair.say("ada", "turn"))
    second = [pair.say("bo", f"two {n}") for n in range(4)]
    ada = pair.ends["ada"]
    bo = pair.ends["bo"]
    everything = first + second
    out = [
        walk("grid2-walk-straight", "GRID-010 GRID-052", ada, everything),
        walk("grid2-walk-backwards", "GRID-010 GRID-049 GRID-052", ada, everything[::-1]),
        walk("grid2-walk-doubled", "GRID-005 GRID-052", ada, [one for one in everything for _ in (1, 2)]),
        walk("grid2-walk-one-lost", "GRID-011 GRID-049", ada, [*everything[:2], *everything[3:]]),
        walk("grid2-walk-lost-and-resent", "GRID-049 GRID-053", ada, [*everything[:2], *everything[3:], everything[2]]),
        walk(
            "grid2-walk-turn-first",
            "GRID-047 GRID-049",
            ada,
            [second[2], first[5], second[0], *first[:5], second[1], second[3]],
        ),
        walk(
            "grid2-walk-damaged-between",
            "GRID-005 GRID-051",
            ada,
            [first[0], flip(first[1], 1), flip(first[1], 2), first[1]],
        ),
        walk("grid2-walk-own-pasted", "GRID-052", bo, [*first, t["opening"]]),
    ]
    # a copy of bo's program, set back to its second message, writes on
    copied = Pair("orders")
    shared = [copied.say("bo", f"one {n}") for n in range(2)]
    assert shared == first[:2]
    copied.draw = Source("grid-v2/copy")
    other = [copied.say("bo", f"other {n}") for n in range(4)]
    out += [
        walk("grid2-walk-written-twice", "GRID-052", ada, [*first[:3], other[0], other[1]]),
        walk("grid2-walk-does-not-follow", "GRID-010 GRID-011 GRID-052", ada, [*first[:3], *other[1:3]]),
        walk("grid2-walk-own-from-a-copy", "GRID-054", copied.ends["bo"], [first[2]]),
        walk("grid2-walk-own-from-the-future", "GRID-054", copied.ends["bo"], [everything[8]]),
    ]
    # reports, and what they say when they come late
    reports = Pair("reports")
    sent = [reports.say("ada", str(n)) for n in range(5)]
    reports.hear("bo", sent[0])
    early = v2.receipt(reports.ends["bo"], person("bo"), now=NOW + 1, rng=reports.draw)
    reports.hear("bo", sent[3])
    later = v2.receipt(reports.ends["bo"], person("bo"), now=NOW + 2, rng=reports.draw)
    writer = reports.ends["ada"]
    out += [
        walk("grid2-walk-receipts", "GRID-053", writer, [early, later, early]),
        walk("grid2-walk-receipts-late", "GRID-053", writer, [later, early]),
        walk("grid2-walk-receipt-of-the-unwritten", "GRID-054", t["mine"], [later]),
    ]
    return out


def reports() -> list[Case]:
    pair = Pair("heard")
    for n in range(6):
        pair.say("ada", str(n))
    ada = pair.ends["ada"]
    h = dict(ada.links)
    out = []
    for name, report in {
        "nothing": {"up": 0, "h": h[0]},
        "some": {"up": 2, "h": h[2]},
        "apart": {"up": 1, "h": h[1], "more": [{"a": 3, "b": 4}]},
        "all": {"up": 6, "h": h[6]},
        "other-hash": {"up": 2, "h": h[3]},
        "unwritten": {"up": 7, "h": h[6]},
        "unwritten-apart": {"up": 1, "h": h[1], "more": [{"a": 3, "b": 7}]},
    }.items():
        after = v2.heard(ada, v2.Report.read(report), NOW)
        value = {"arrived": after.arrived.content(), "behind": after.behind, "outstanding": list(v2.outstanding(after))}
        out.append(
            good(
                f"grid2-heard-{name}",
                "GRID-053 GRID-054",
                "grid2-heard",
                {"state": ada.dump(), "report": report, "iat": NOW},
                value,
            )
        )
    for name, more in {
        "touching": [{"a": 3, "b": 4}, {"a": 5, "b": 6}],
        "not-apart": [{"a": 2, "b": 3}],
        "crossed": [{"a": 5, "b": 4}],
        "descending": [{"a": 5, "b": 6}, {"a": 3, "b": 3}],
        "empty": [{}],
        "foreign": [{"a": 3, "b": 4, "c": 5}],
        "too-many": [{"a": 2 * n + 3, "b": 2 * n + 3} for n in range(65)],
    }.items():
        report = {"up": 1, "h": h[1], "more": more}
        given = {"state": ada.dump(), "report": report, "iat": NOW}
        if name == "touching":
            after = v2.heard(ada, v2.Report.read(report), NOW)
            value = {
                "arrived": after.arrived.content(),
                "behind": after.behind,
                "outstanding": list(v2.outstanding(after)),
            }
            out.append(good(f"grid2-heard-{name}", "GRID-053", "grid2-heard", given, value))
        else:
            out.append(bad(f"grid2-heard-{name}", "GRID-053", "grid2-heard", given, FORMAT))
    given = {"state": replace(ada, behind=True).dump(), "me": person("ada").dump(), "now": NOW, "drawn": ""}
    out.append(bad("grid2-write-behind", "GRID-054", "grid2-write", given | {"text": "no"}, BEHIND))
    out.append(bad("grid2-receipt-behind", "GRID-054", "grid2-receipt", given, BEHIND))
    given = {"state": ada.dump(), "me": person("bo").dump(), "now": NOW, "drawn": "", "text": "no"}
    out.append(bad("grid2-write-another", "GRID-050", "grid2-write", given, NOT_MEMBER))
    return out


# --- the ratchet alone --------------------------------------------------------------------------------------------


def turns() -> list[Case]:
    draw = rng("grid-v2/ratchet")
    invite, reply = person("ada").store, person("bo").store
    th, root = draw(16), draw(32)
    out = []
    sides: dict[str, Ratchet] = {}
    begins: dict[str, tuple[Callable[..., Ratchet], bytes, bytes]] = {
        "inviter": (ratchet.begin_inviter, invite, reply),
        "replier": (ratchet.begin_replier, reply, invite),
    }
    for side, (begin, mine, other) in begins.items():
        sides[side] = begin(root, th, mine, public_point(other))
        given = {
            "side": side,
            "th": th.hex(),
            "root": root.hex(),
            "mine": mine.hex(),
            "theirs": public_point(other).hex(),
        }
        out.append(good(f"grid2-begin-{side}", "GRID-046 GRID-047", "grid2-begin", given, sides[side].dump()))
    inviter, rk = sides["inviter"], public_point(reply)
    stranger = public_point(person("eve").store)
    spoken, _ = ratchet.send(sides["inviter"], 1, draw)

    def receive(name: str, state: Ratchet, key: bytes, cs: int, place: int, code: str = "", now: int = NOW) -> Ratchet:
        given = {"ratchet": state.dump(), "rk": key.hex(), "cs": cs, "place": place, "now": now}
        if code:
            out.append(bad(f"grid2-receive-{name}", "GRID-047 GRID-049", "grid2-receive", given, code))
            return state
        after, secret = ratchet.receive(state, key, cs, place, now)
        value = {
            "secret": secret.hex(),
            "next": after.next,
            "kept": [one.place for one in after.spare][:3],
            "keys": len(after.spare),
        }
        out.append(good(f"grid2-receive-{name}", "GRID-047 GRID-048 GRID-049", "grid2-receive", given, value))
        return after

    receive("first", inviter, rk, 1, 1)
    ahead = receive("third", inviter, rk, 1, 3)
    late = receive("second-late", ahead, rk, 1, 2)
    receive("second-again", late, rk, 1, 2, UNKNOWN)
    receive("spent", ahead, rk, 1, 3, UNKNOWN)
    thousand = receive("thousand-skipped", inviter, rk, 1, 1001)
    receive("thousand-and-one", inviter, rk, 1, 1002, GAP)
    receive("far", inviter, rk, 1, 10**9, GAP)
    receive("thousand-oldest", thousand, rk, 1, 1)
    more = receive("more-than-a-thousand", thousand, rk, 1, 1005)
    receive("given-up", more, rk, 1, 2, UNKNOWN)
    receive("given-up-not", more, rk, 1, 4)
    receive("other-beginning", inviter, rk, 2, 3, FORMAT)
    receive("unanswerable-key", inviter, stranger, 1, 1, FORMAT)
    turned = receive("turn", spoken, stranger, 4, 5)
    receive("turn-old-chain", turned, rk, 1, 2)
    receive("turn-old-chain-end", turned, rk, 1, 3)
    receive("turn-owed", turned, stranger, 4, 4)
    receive("turn-twice", turned, public_point(person("cy").store), 6, 6, FORMAT)
    receive("turn-into-the-past", ratchet.receive(spoken, rk, 1, 5, NOW)[0], stranger, 4, 6, FORMAT)
    receive("turn-place-before-chain", spoken, stranger, 6, 5, FORMAT)
    receive("turn-far", spoken, stranger, 600, 1002, GAP)
    receive("turn-not-a-point", spoken, b"\x04" + bytes(96), 4, 5, FORMAT)
    receive("replier-first", sides["replier"], stranger, 1, 1)
    receive("replier-first-late-beginning", sides["replier"], stranger, 2, 2, FORMAT)
    receive("replier-invitation-key", sides["replier"], public_point(invite), 1, 1, FORMAT)
    return out


def expiring() -> list[Case]:
    """Keys that were passed over and waited for thirty days."""
    pair = Pair("expiring")
    tokens = [pair.say("bo", str(n)) for n in range(3)]
    pair.hear("ada", tokens[2])
    state = pair.ends["ada"]
    out = []
    kept = NOW + 8 + 30 * DAY
    after, shown = v2.read(state, tokens[0], now=kept)
    value = {"state": after.dump(), "message": message_value(shown)}
    out.append(
        good(
            "grid2-read-after-thirty-days",
            "GRID-049",
            "grid2-read",
            {"state": state.dump(), "token": tokens[0], "now": kept},
            value,
        )
    )
    out.append(
        bad(
            "grid2-read-later-than-that",
            "GRID-049",
            "grid2-read",
            {"state": state.dump(), "token": tokens[0], "now": kept + 1},
            UNKNOWN,
        )
    )
    return out


# --- what is refused ----------------------------------------------------------------------------------------------


def invitations() -> list[Case]:
    t, ada, eve = talk(), person("ada"), person("eve")
    invite = t["held"].compact
    header = envelope.decode(invite, "sph-invite+1").header
    body = json_parse(envelope.decode(invite, "sph-invite+1").payload)
    head, payload, signature = invite.split(".")
    out = []
    headers: dict[str, dict[str, Any]] = {
        "alg-none": header | {"alg": "none"},
        "alg-hs256": header | {"alg": "HS256"},
        "alg-es256": header | {"alg": "ES256"},
        "alg-ed25519": header | {"alg": "Ed25519"},
        "typ-other": header | {"typ": REPLY},
        "typ-jwt": header | {"typ": "JWT"},
        "sub": header | {"sub": "grid-invitation"},
        "jku": header | {"jku": "https://x.example"},
        "x5u": header | {"x5u": "x"},
        "crit": header | {"crit": ["exp"]},
        "b64": header | {"b64": False},
        "iat-in-header": header | {"iat": NOW},
        "no-kid": {n: v for n, v in header.items() if n != "kid"},
        "no-jwk": {n: v for n, v in header.items() if n != "jwk"},
        "no-typ": {n: v for n, v in header.items() if n != "typ"},
        "kid-dv": header | {"kid": "dv-" + header["kid"][3:]},
        "jwk-private": header | {"jwk": {**header["jwk"], "d": b64e(ada.sign)}},
        "jwk-exported": header | {"jwk": {**header["jwk"], "ext": True}},
        "jwk-off-curve": header | {"jwk": {**header["jwk"], "y": header["jwk"]["x"]}},
    }
    for name, other in headers.items():
        token = made(other, json_emit(body), ada)
        out.append(bad(f"grid2-read-invite-{name}", "GRID-040", "grid2-read-invite", {"token": token}, FORMAT))
    bodies: dict[str, dict[str, Any]] = {
        "no-exp": {n: v for n, v in body.items() if n != "exp"},
        "no-uses": {n: v for n, v in body.items() if n != "uses"},
        "foreign": body | {"modes": ["static"]},
        "ends-before": body | {"exp": NOW - 1},
        "too-long": body | {"exp": NOW + 366 * DAY + 1},
        "epk-short": body | {"epk": body["epk"][:-4]},
        "epk-compressed": body | {"epk": b64e(b"\x02" + bytes(96))},
        "epk-off-curve": body | {"epk": b64e(b"\x04" + bytes(96))},
        "epk-jwk": body | {"epk": header["jwk"]},
        "nickname-long": body | {"nickname": "x" * 129},
        "uses-negative": body | {"uses": "1"},
    }
    for name, other in bodies.items():
        token = made(header, json_emit(other), ada)
        out.append(bad(f"grid2-read-invite-body-{name}", "GRID-041", "grid2-read-invite", {"token": token}, FORMAT))
    r, s = b64d(signature)[:48], b64d(signature)[48:]
    for name, raw in {
        "zero": bytes(96),
        "r-zero": bytes(48) + s,
        "s-zero": r + bytes(48),
        "s-order": r + crypto.P384_ORDER.to_bytes(48, "big"),
        "short": r,
        "none": b"",
        "another": eve.signer(f"{head}.{payload}".encode()),
    }.items():
        token = f"{head}.{payload}.{b64e(raw)}"
        out.append(bad(f"grid2-read-invite-sig-{name}", "GRID-040", "grid2-read-invite", {"token": token}, SIG))
    for name, token, code in (
        ("names-another", made(header | {"kid": eve.id}, json_emit(body), ada), NOT_MEMBER),
        ("shows-another", made(header | {"jwk": eve.jwk}, json_emit(body), ada), NOT_MEMBER),
        ("signed-by-another", made(header, json_emit(body), eve), SIG),
        ("two-parts", f"{head}.{payload}", FORMAT),
        ("four-parts", invite + ".", FORMAT),
        ("quoted", f'"{invite}"', FORMAT),
        ("padded", invite + "=", FORMAT),
        ("large", made(header, json_emit(body | {"note": "x" * 2048, "relay": "é" * 256}), ada), ""),
    ):
        if code:
            out.append(bad(f"grid2-read-invite-{name}", "GRID-040", "grid2-read-invite", {"token": token}, code))
    late = {"token": invite, "now": body["exp"] + 1}
    out.append(bad("grid2-read-invite-over", "GRID-042", "grid2-read-invite", late, EXPIRED))
    given: dict[str, Any] = {"me": ada.dump(), "nickname": "Ada", "now": NOW, "drawn": ""}
    for name, change in {"year": {"life": 366 * DAY + 1}, "no-time": {"life": 0}}.items():
        out.append(bad(f"grid2-invite-{name}", "GRID-041", "grid2-invite", given | change, FORMAT))
    answer = {"me": ada.dump(), "invite": invite, "nickname": "Ada", "text": "me", "now": NOW, "drawn": ""}
    out.append(bad("grid2-answer-own", "GRID-043", "grid2-answer", answer, NOT_MEMBER))
    out.append(
        bad(
            "grid2-answer-over",
            "GRID-042",
            "grid2-answer",
            answer | {"me": eve.dump(), "now": body["exp"] + 1},
            EXPIRED,
        )
    )
    out.append(
        bad(
            "grid2-answer-damaged",
            "GRID-041",
            "grid2-answer",
            answer | {"me": eve.dump(), "invite": flip(invite, 2)},
            SIG,
        )
    )
    return out


def answers() -> list[Case]:
    t, ada, bo, eve = talk(), person("ada"), person("bo"), person("eve")
    opening, held = t["opening"], t["held"]
    token = envelope.decode(opening, OPENING)
    given = {"me": ada.dump(), "held": [held.dump()], "token": opening, "now": NOW}
    spent = replace(held, left=0, scalar=b"")
    exp = public.read_invite(held.compact).exp
    out = []
    for name, change, code in (
        ("none-of-mine", {"held": []}, UNKNOWN),
        ("over", {"now": exp + 1}, EXPIRED),
        ("used-up", {"held": [spent.dump()]}, EXPIRED),
        ("anothers-invitation", {"me": eve.dump()}, NOT_MEMBER),
        ("damaged", {"token": flip(opening, 2)}, SIG),
        ("damaged-payload", {"token": flip(opening, 1)}, SIG),
        ("signed-by-another", {"token": remade(opening, eve)}, SIG),
        ("stolen", {"token": remade(opening, eve, jwk=eve.jwk, kid=eve.id)}, DECRYPT),
        ("own", {"token": remade(opening, ada, jwk=ada.jwk, kid=ada.id)}, NOT_MEMBER),
        ("names-another", {"token": remade(opening, bo, kid=eve.id)}, NOT_MEMBER),
        ("other-invitation", {"token": remade(opening, bo, invite=b64e(bytes(32)))}, UNKNOWN),
        ("other-key", {"token": remade(opening, bo, epk=b64e(public_point(bo.store)))}, DECRYPT),
        ("other-jti", {"token": remade(opening, bo, jti=b64e(bytes(16)))}, DECRYPT),
        ("other-commitment", {"token": remade(opening, bo, cm=b64e(bytes(32)))}, DECRYPT),
        ("other-nonce", {"token": remade(opening, bo, n=b64e(bytes(12)))}, DECRYPT),
        ("other-time", {"token": remade(opening, bo, iat=NOW + 1)}, DECRYPT),
        ("off-curve", {"token": remade(opening, bo, epk=b64e(b"\x04" + bytes(96)))}, FORMAT),
        ("enc-none", {"token": remade(opening, bo, enc="none")}, FORMAT),
        ("no-commitment", {"token": remade(opening, bo, drop="cm")}, FORMAT),
        ("mode", {"token": remade(opening, bo, mode="static")}, FORMAT),
        ("an-invitation", {"token": held.compact}, FORMAT),
    ):
        out.append(
            bad(f"grid2-accept-{name}", "GRID-042 GRID-043 GRID-044 GRID-045", "grid2-accept", given | change, code)
        )
    root = v2.root_key(
        agree(held.scalar, b64d(token.header["epk"])),
        public.read_invite(held.compact),
        bo.id,
        b64d(token.header["epk"]),
    )
    key = v2.opening_key(root, t["mine"].th, bo.id, b64d(token.header["jti"]))
    for name, content in {
        "no-nickname": b'{"message":"x"}',
        "foreign": b'{"nickname":"x","message":"x","uses":1}',
        "list": b"[]",
        "spaced": b'{ "nickname":"x","message":"x"}',
    }.items():
        wrong = sealed(token.header, key, padding.pad(content), bo)
        out.append(
            bad(f"grid2-accept-content-{name}", "GRID-043 GRID-055", "grid2-accept", given | {"token": wrong}, FORMAT)
        )
    uncommitted = sealed(
        token.header | {"cm": b64e(bytes(32))}, key, padding.pad(b'{"nickname":"x","message":"x"}'), bo
    )
    out.append(bad("grid2-accept-uncommitted", "GRID-055", "grid2-accept", given | {"token": uncommitted}, DECRYPT))
    bare = sealed(token.header, key, b'{"nickname":"x","message":"x"}', bo)
    out.append(bad("grid2-accept-not-padded", "GRID-055", "grid2-accept", given | {"token": bare}, FORMAT))
    return out


def sealed(header: dict[str, Any], key: bytes, plain: bytes, who: Identity) -> str:
    aad = b64e(json_emit(header)).encode()
    return made(header, crypto.aead_seal(key[:32], b64d(header["n"]), plain, aad), who)


def strangers() -> list[Case]:
    t, ada, bo, eve = talk(), person("ada"), person("bo"), person("eve")
    pair = Pair("strangers")
    token = pair.say("bo", "hello")
    receipt = v2.receipt(pair.ends["bo"], bo, now=NOW, rng=pair.draw)
    mine: Thread = t["mine"]
    out = []
    for name, wrong, code in (
        ("signed-by-another", remade(token, eve), SIG),
        ("third", remade(token, eve, kid=eve.id), NOT_MEMBER),
        ("names-me", remade(token, bo, kid=ada.id), SIG),
        ("names-a-third", remade(token, bo, kid=eve.id), NOT_MEMBER),
        ("other-conversation", remade(token, bo, th=b64e(bytes(16))), UNKNOWN),
        ("damaged", flip(token, 2), SIG),
        ("damaged-payload", flip(token, 1), SIG),
        ("place-0", remade(token, bo, seq=0), FORMAT),
        ("chain-after-place", remade(token, bo, cs=2), FORMAT),
        ("chain-0", remade(token, bo, cs=0), FORMAT),
        ("other-place", remade(token, bo, seq=2), DECRYPT),
        ("other-link", remade(token, bo, ph=b64e(bytes(32))), DECRYPT),
        ("other-time", remade(token, bo, iat=NOW), DECRYPT),
        ("other-commitment", remade(token, bo, cm=b64e(bytes(32))), DECRYPT),
        ("unanswerable-key", remade(token, bo, rk=b64e(public_point(eve.store))), FORMAT),
        ("off-curve", remade(token, bo, rk=b64e(b"\x04" + bytes(96))), FORMAT),
        ("thousand-and-one-missing", remade(token, bo, seq=1002), GAP),
        ("with-jwk", remade(token, bo, jwk=bo.jwk), FORMAT),
        ("no-chain", remade(token, bo, drop="cs"), FORMAT),
        ("pn", remade(token, bo, pn=0), FORMAT),
        ("an-invitation", t["held"].compact, FORMAT),
        ("a-sign-in", public.make_auth(bo, aud="https://r.example", nonce=bytes(32), iat=NOW), FORMAT),
        ("as-a-receipt", remade(token, bo, typ=RECEIPT), FORMAT),
        ("opening-of-another", remade(t["opening"], eve, jwk=eve.jwk, kid=eve.id), CHANGED),
        ("opening-again-differently", remade(t["opening"], bo, iat=NOW + 1), CHANGED),
        ("opening-other-keys", remade(t["opening"], bo, epk=b64e(public_point(eve.store))), UNKNOWN),
        ("opening-damaged", flip(t["opening"], 2), SIG),
        ("receipt-signed-by-another", remade(receipt, eve), SIG),
        ("receipt-third", remade(receipt, eve, kid=eve.id), NOT_MEMBER),
        ("receipt-other-jti", remade(receipt, bo, jti=b64e(bytes(16))), DECRYPT),
        ("receipt-other-time", remade(receipt, bo, iat=NOW + 1), DECRYPT),
        ("receipt-other-conversation", remade(receipt, bo, th=b64e(bytes(16))), UNKNOWN),
    ):
        given = {"state": mine.dump(), "token": wrong, "now": NOW}
        out.append(bad(f"grid2-read-{name}", "GRID-050 GRID-051 GRID-052", "grid2-read", given, code))
    head = envelope.decode(token, REPLY).header
    _, secret = ratchet.receive(mine.ratchet, b64d(head["rk"]), 1, 1, NOW)
    key = b"".join(ratchet.message_key(secret, mine.ratchet.th, bo.id, 1))
    got = {"up": 0, "h": dict(mine.links)[0]}
    right = padding.pad(json_emit({"message": "x", "got": got}))
    uncommitted = sealed(head | {"cm": b64e(bytes(32))}, key, right, bo)
    given = {"state": mine.dump(), "token": uncommitted, "now": NOW}
    out.append(bad("grid2-read-uncommitted", "GRID-055", "grid2-read", given, DECRYPT))
    for name, content in {
        "no-report": {"message": "x"},
        "foreign": {"message": "x", "got": got, "nickname": "x"},
        "report-hash": {"message": "x", "got": got | {"h": "x"}},
        "report-touches": {"message": "x", "got": got | {"more": [{"a": 1, "b": 1}]}},
        "message-list": {"message": [], "got": got},
    }.items():
        wrong = sealed(head, key, padding.pad(json_emit(content)), bo)
        out.append(
            bad(
                f"grid2-read-content-{name}",
                "GRID-053 GRID-055",
                "grid2-read",
                {"state": mine.dump(), "token": wrong, "now": NOW},
                FORMAT,
            )
        )
    for name, plain in {
        "not-padded": json_emit({"message": "x", "got": got}),
        "padding-short": b"x\x80",
        "padding-zero": bytes(256),
    }.items():
        wrong = sealed(head, key, plain, bo)
        out.append(
            bad(
                f"grid2-read-{name}",
                "GRID-055",
                "grid2-read",
                {"state": mine.dump(), "token": wrong, "now": NOW},
                FORMAT,
            )
        )
    return out


def forms() -> list[Case]:
    """Every typ read as every other."""
    t, bo = talk(), person("bo")
    pair = Pair("forms")
    tokens = {
        "sph-invite+1": t["held"].compact,
        OPENING: t["opening"],
        REPLY: pair.say("bo", "x"),
        RECEIPT: v2.receipt(pair.ends["bo"], bo, now=NOW, rng=pair.draw),
        "sph-auth+1": public.make_auth(bo, aud="https://r.example", nonce=bytes(32), iat=NOW),
    }
    out = []
    for own, token in tokens.items():
        read = envelope.decode(token, own)
        value = {"header": read.header, "payload": read.payload.hex(), "digest": read.digest.hex()}
        short = own[4:-2]
        out.append(good(f"grid2-decode-{short}", "GRID-040", "grid2-decode", {"token": token, "typ": own}, value))
        out.append(good(f"grid2-peek-{short}", "GRID-040", "grid2-peek", {"token": token}, own))
        for other in tokens:
            if other == own:
                continue
            out.append(
                bad(
                    f"grid2-decode-{short}-as-{other[4:-2]}",
                    "GRID-004 GRID-040",
                    "grid2-decode",
                    {"token": token, "typ": other},
                    FORMAT,
                )
            )
            if {own, other} == {"sph-invite+1", "sph-auth+1"}:
                continue  # their headers have the same members; what is inside tells them apart
            header = {"alg": ALG, **read.header, "typ": other}
            renamed = made(header, read.payload, bo)
            out.append(
                bad(
                    f"grid2-decode-{short}-renamed-{other[4:-2]}",
                    "GRID-004 GRID-040",
                    "grid2-decode",
                    {"token": renamed, "typ": other},
                    FORMAT,
                )
            )
    for name, text in {
        "empty": "",
        "dots": "..",
        "words": "hello there",
        "sphere": b64e(json_emit({"typ": "sph-msg+1"})) + ".AA.AA",
        "no-typ": b64e(json_emit({"alg": ALG})) + ".AA.AA",
        "typ-list": b64e(json_emit({"typ": []})) + ".AA.AA",
    }.items():
        out.append(bad(f"grid2-peek-{name}", "GRID-040", "grid2-peek", {"token": text}, FORMAT))
    return out


def sign_in() -> list[Case]:
    bo, eve = person("bo"), person("eve")
    aud, nonce = "https://relay.example", bytes(range(32))
    given = {"me": bo.dump(), "aud": aud, "nonce": nonce.hex(), "now": NOW}
    token = public.make_auth(bo, aud=aud, nonce=nonce, iat=NOW)
    out = [good("grid2-auth", "GRID-056", "grid2-auth", given, token)]
    asked = {"token": token, "origins": ["https://other.example", aud], "nonce": nonce.hex(), "now": NOW}
    for name, now in (("", NOW), ("-clock-behind", NOW - 600), ("-clock-ahead", NOW + 600)):
        out.append(good(f"grid2-read-auth{name}", "GRID-056", "grid2-read-auth", asked | {"now": now}, bo.id))
    header = envelope.decode(token, "sph-auth+1").header
    body = json_parse(envelope.decode(token, "sph-auth+1").payload)
    for name, change, code in (
        ("other-relay", {"origins": ["https://other.example"]}, LOG),
        ("no-relay", {"origins": []}, LOG),
        ("other-nonce", {"nonce": bytes(32).hex()}, LOG),
        ("early", {"now": NOW - 601}, EXPIRED),
        ("late", {"now": NOW + 601}, EXPIRED),
        ("long", {"token": made(header, json_emit(body | {"exp": NOW + 61}), bo)}, EXPIRED),
        ("backwards", {"token": made(header, json_emit(body | {"exp": NOW - 1}), bo)}, EXPIRED),
        ("damaged", {"token": flip(token, 2)}, SIG),
        ("signed-by-another", {"token": made(header, json_emit(body), eve)}, SIG),
        ("names-another", {"token": made(header | {"kid": eve.id}, json_emit(body), bo)}, NOT_MEMBER),
        ("foreign", {"token": made(header, json_emit(body | {"sub": "login"}), bo)}, FORMAT),
        ("raw", {"token": made(header, b"1700000000:00ff", bo)}, FORMAT),
        ("an-invitation", {"token": talk()["held"].compact}, FORMAT),
    ):
        out.append(bad(f"grid2-read-auth-{name}", "GRID-004 GRID-056", "grid2-read-auth", asked | change, code))
    return out


def reading_order() -> list[Case]:
    out = []
    for name, items in {
        "empty": [],
        "clocks-agree": [["a", 0, -1, 10], ["b", 0, 0, 20], ["a", 1, 0, 30], ["b", 1, 1, 40]],
        "clock-far-behind": [["a", 0, -1, 1000], ["b", 0, 0, 5], ["a", 1, 0, 1001], ["b", 1, 1, 6]],
        "clock-runs-back": [["a", 0, -1, 50], ["a", 1, 0, 40], ["a", 2, 0, 30], ["b", 0, 2, 1]],
        "crossed": [["b", 1, 0, 7], ["a", 1, 0, 7], ["a", 0, -1, 7], ["b", 0, 0, 7]],
        "what-it-waits-for-is-missing": [["a", 0, -1, 10], ["b", 3, 9, 5], ["a", 5, 0, 1]],
        "both-lie": [["a", 1, 5, 10], ["b", 1, 5, 9]],
    }.items():
        value = [[one.sender, one.place] for one in timeline.order(timeline.Item(*one) for one in items)]
        out.append(good(f"grid2-order-{name}", "GRID-057", "grid2-order", {"items": items}, value))
    return out


def cases() -> list[Case]:
    return (
        beginning()
        + conversation()
        + orders()
        + reports()
        + turns()
        + expiring()
        + invitations()
        + answers()
        + strangers()
        + forms()
        + sign_in()
        + reading_order()
    )
