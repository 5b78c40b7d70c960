"""Profile grid-v1: what WhisperGrid's client wrote, what we write for it, and what neither may take."""

from __future__ import annotations

import binascii
from dataclasses import asdict
from functools import cache
from typing import Any

from cloister import crypto
from cloister.errors import CheckFailed
from cloister.grid import places, v1, v1_backup, v1_jws
from cloister.grid.keys import Identity, new_identity, thumbprint1
from cloister.grid.v1_thread import Held, Side, Thread
from cloister.protocol.encoding import b64d, b64e, json_emit, json_parse
from cloister.protocol.ids import Jwk, jwk_public
from vectors.generate import Case, Recorded, bad, good, rng
from vectors.generate._grid import Source, flip

ORIGIN = "recorded from the WhisperGrid 1.1.0 client, and made by vectors/generate/grid_v1.py with seeded keys"
NOW = 1_800_000_000
FORMAT, SIG, DECRYPT, UNKNOWN, NOT_MEMBER = "C_FORMAT", "C_SIG", "C_DECRYPT", "C_KEY_UNKNOWN", "C_NOT_MEMBER"
CHANGED, REPLAY, EXPIRED, GAP, VAULT = "C_KEY_CHANGED", "C_REPLAY", "C_EXPIRED", "C_GAP", "C_VAULT"
SAMPLE: Jwk = {
    "kty": "EC",
    "crv": "P-384",
    "x": "_inrgk78gz96vLKpfVFCVelBb5PsIwJNId5jlGUcVFKUj2RR4AfAh0yGo08z21qG",
    "y": "QKGgVjAXLpJu_xoeRcmeRE7ZVbV2I8NqPAA_gNJ9mLXBfr5NMxwlp-3ja3qINnbv",
}


@cache
def recorded() -> dict[str, Any]:
    """The conversation made by their client; it was put into recorded/ by hand and cannot be drawn again."""

    def absent() -> Any:
        raise LookupError("vectors/recorded/grid_v1.json holds the conversation")

    found: dict[str, Any] = Recorded("grid_v1").once("conversation", absent)
    return found


@cache
def person(name: str) -> Identity:
    return new_identity(rng(f"grid-v1/{name}"))


@cache
def talk() -> dict[str, Any]:
    """ada invites, bo answers; states and tokens of both."""
    draw = Source("grid-v1/talk")
    ada, bo = person("ada"), person("bo")
    held = v1.invite(ada, "Ada", note="come in", now=NOW, rng=draw)
    invite_drawn = draw.taken()
    theirs, opening = v1.answer(bo, held.compact, "Bo ✓", "Hello Ada", now=NOW, rng=draw, relay="https://ntfy.sh/abc")
    answer_drawn = draw.taken()
    mine, shown = v1.accept(ada, [held], opening)
    return {
        "held": held,
        "invite_drawn": invite_drawn,
        "theirs": theirs,
        "opening": opening,
        "answer_drawn": answer_drawn,
        "mine": mine,
        "shown": shown,
    }


def made(header: dict[str, Any], payload: bytes, who: Identity) -> str:
    """A token past the maker's own check."""
    signing_input = f"{b64e(json_emit(header))}.{b64e(payload)}"
    return f"{signing_input}.{b64e(who.signer(signing_input.encode()))}"


def remade(compact: str, who: Identity, drop: str = "", **change: Any) -> str:
    """The same token with other header members, signed again."""
    token = v1_jws.decode(compact)
    header = {name: value for name, value in (token.header | change).items() if name != drop}
    return made(header, token.payload, who)


def said(thread: Thread, who: Identity, body: dict[str, Any], **change: Any) -> str:
    """A reply with any body, sealed and signed."""
    nonce, payload = v1_jws.seal(thread.key, body, rng(repr(body) + repr(change)))
    header = {"iat": NOW, "alg": "ES384", "sub": "grid-reply", "re": thread.th, "iv": nonce, "from": who.id1}
    return made(header | change, payload, who)


# --- their client's own -------------------------------------------------------------------------------------------


def names() -> list[Case]:
    conversation = recorded()
    invite = v1.read_invite(conversation["tokens"][0]["token"])
    answered = v1_jws.decode(conversation["tokens"][1]["token"])
    epk = v1_jws.read_jwk(answered.header["epk"])
    return [
        good(
            "grid1-name-sample",
            "GRID-002",
            "grid1-name",
            {"jwk": SAMPLE},
            "id-yVQgnvHpjhpppUzNF3yho5XjN1JP86MRHPZMOnwEJ-4",
        ),
        good(
            "grid1-name-recorded",
            "GRID-002",
            "grid1-name",
            {"jwk": invite.jwk},
            conversation["people"]["alice"]["thumbprint"],
        ),
        good("grid1-thread", "GRID-026", "grid1-thread", {"one": invite.epk, "other": epk}, conversation["thread"]),
        good(
            "grid1-thread-mirrored",
            "GRID-026",
            "grid1-thread",
            {"one": epk, "other": invite.epk},
            conversation["thread"],
        ),
    ]


def theirs() -> list[Case]:
    conversation = recorded()
    tokens = [one["token"] for one in conversation["tokens"]]
    out = []
    for index, one in enumerate(conversation["tokens"]):
        token = v1_jws.decode(one["token"])
        value = {"kind": token.kind, "header": token.header, "payload": token.payload.hex()}
        name = f"grid1-decode-recorded-{index}"
        out.append(good(name, "GRID-020 GRID-021", "grid1-decode", {"token": one["token"]}, value))
    found = v1.read_invite(tokens[0])
    value = {name: member for name, member in asdict(found).items() if name != "compact"}
    out.append(good("grid1-invite-recorded", "GRID-022 GRID-027", "grid1-read-invite", {"token": tokens[0]}, value))
    for who, one in conversation["people"].items():
        restored = v1_backup.read(one["backup"], one["password"])
        assert restored.identity.id1 == one["thumbprint"]
        value = shown_backup(restored)
        assert value["refused"] == []
        given = {"token": one["backup"], "password": one["password"]}
        out.append(
            good(f"grid1-backup-recorded-{who}", "GRID-036 GRID-037 GRID-038 GRID-039", "grid1-backup", given, value)
        )
        out.append(
            bad(
                f"grid1-backup-recorded-{who}-password",
                "GRID-036 GRID-039",
                "grid1-backup",
                given | {"password": "wrong"},
                VAULT,
            )
        )
        fresh = begun(restored)
        out.append(walk(f"grid1-walk-recorded-{who}", "GRID-022 GRID-024 GRID-032", fresh, tokens[1:]))
        backwards = [tokens[1], *reversed(tokens[2:])]
        out.append(walk(f"grid1-walk-recorded-{who}-backwards", "GRID-010 GRID-030", fresh, backwards))
    texts = [one["message"] for one in conversation["tokens"][1:]]
    alice = v1_backup.read(conversation["people"]["alice"]["backup"], conversation["people"]["alice"]["password"])
    assert [v1.read(alice.threads[0], token)[1].text for token in tokens[1:]] == texts
    proof = conversation["challenge"]
    at = v1_jws.decode(proof["proof"]).header["iat"]
    given = {"token": proof["proof"], "challenge": proof["challenge"], "now": at + 60}
    out.append(
        good("grid1-proof-recorded", "GRID-035", "grid1-read-proof", given, conversation["people"]["bob"]["thumbprint"])
    )
    return out


def shown_backup(found: v1_backup.Restored) -> dict[str, Any]:
    return {
        "id1": found.identity.id1,
        "sign": b64e(found.identity.sign),
        "invitations": [one.dump() for one in found.invitations],
        "threads": [one.dump() for one in found.threads],
        "tokens": {th: len(tokens) for th, tokens in found.tokens.items()},
        "refused": [code for _, code in found.refused],
    }


def begun(restored: v1_backup.Restored) -> Thread:
    """The conversation as it was when only the invitation was held."""
    thread = restored.threads[0]
    return v1.begin(thread.me, thread.them, thread.scalar, thread.epk, v1.read_invite(thread.invite))


def walk(name: str, rule: str, thread: Thread, tokens: list[str]) -> Case:
    given = {"state": thread.dump(), "tokens": tokens}
    verdicts: list[list[Any]] = []
    for token in tokens:
        try:
            thread, shown = v1.read(thread, token)
            verdicts.append([shown.status, shown.place, shown.text])
        except CheckFailed as error:
            verdicts.append([error.code])
    value = {"said": verdicts, "missing": [list(gap) for gap in thread.missing], "state": thread.dump()}
    return good(name, rule, "grid1-walk", given, value)


# --- what we write ------------------------------------------------------------------------------------------------


def making() -> list[Case]:
    t, ada, bo = talk(), person("ada"), person("bo")
    held: Held = t["held"]
    given: dict[str, Any] = {
        "me": ada.dump(),
        "nickname": "Ada",
        "note": "come in",
        "now": NOW,
        "drawn": t["invite_drawn"],
    }
    out = [good("grid1-invite", "GRID-001 GRID-027", "grid1-invite", given, held.dump() | {"name": held.name})]
    plain = Source("grid-v1/plain")
    bare = v1.invite(ada, "", now=NOW, rng=plain)
    given = {"me": ada.dump(), "nickname": "", "now": NOW, "drawn": plain.taken()}
    out.append(good("grid1-invite-bare", "GRID-023 GRID-027", "grid1-invite", given, bare.dump() | {"name": bare.name}))
    given = {
        "me": bo.dump(),
        "invite": held.compact,
        "nickname": "Bo ✓",
        "text": "Hello Ada",
        "now": NOW,
        "drawn": t["answer_drawn"],
        "relay": "https://ntfy.sh/abc",
    }
    out.append(
        good("grid1-answer", "GRID-028", "grid1-answer", given, {"state": t["theirs"].dump(), "token": t["opening"]})
    )
    out.append(
        good(
            "grid1-answer-quoted",
            "GRID-020 GRID-028",
            "grid1-answer",
            given | {"invite": f'\n"{held.compact}" '},
            {"state": t["theirs"].dump(), "token": t["opening"]},
        )
    )
    given = {"me": ada.dump(), "held": [bare.dump(), held.dump()], "token": t["opening"]}
    out.append(
        good(
            "grid1-accept",
            "GRID-029 GRID-032",
            "grid1-accept",
            given,
            {"state": t["mine"].dump(), "message": asdict(t["shown"])},
        )
    )
    for name, thread, who, text, relay in (
        ("first", t["mine"], ada, "Hello Bo", ""),
        ("relay", t["theirs"], bo, "two\nlines", "https://relay.example/t"),
        ("empty", t["mine"], ada, "", ""),
        ("wraps", wrapped(t["mine"]), ada, "after the last number", ""),
    ):
        draw = Source(f"grid-v1/write/{name}")
        after, token = v1.write(thread, who, text, now=NOW + 5, rng=draw, relay=relay)
        given = {"state": thread.dump(), "me": who.dump(), "text": text, "now": NOW + 5, "drawn": draw.taken()}
        given |= {"relay": relay} if relay else {}
        out.append(
            good(
                f"grid1-write-{name}",
                "GRID-024 GRID-030 GRID-031",
                "grid1-write",
                given,
                {"state": after.dump(), "token": token},
            )
        )
    draw = Source("grid-v1/stored")
    scalar = held.scalar
    text = v1_backup.lock(scalar, "pässword", "sign", rng=draw)
    given = {"scalar": scalar.hex(), "password": "pässword", "ops": ["sign"], "drawn": draw.taken()}
    out.append(good("grid1-lock", "GRID-036", "grid1-lock", given, text))
    out.append(good("grid1-unlock", "GRID-036", "grid1-unlock", {"text": text, "password": "pässword"}, scalar.hex()))
    sealed = v1_backup.keep(ada, scalar, now=NOW, rng=draw)
    given = {"me": ada.dump(), "scalar": scalar.hex(), "now": NOW, "drawn": draw.taken()}
    out.append(good("grid1-keep", "GRID-037", "grid1-keep", given, sealed))
    out.append(good("grid1-kept", "GRID-037", "grid1-kept", {"me": ada.dump(), "token": sealed}, scalar.hex()))
    threads = [(t["mine"], [held.compact, t["opening"]])]
    token = v1_backup.write(ada, "secret", [held, bare], threads, now=NOW, rng=draw)
    given = {
        "me": ada.dump(),
        "password": "secret",
        "held": [held.dump(), bare.dump()],
        "threads": [[thread.dump(), tokens] for thread, tokens in threads],
        "now": NOW,
        "drawn": draw.taken(),
    }
    out.append(good("grid1-write-backup", "GRID-038", "grid1-write-backup", given, token))
    challenge = f"{NOW}:{'0f' * 32}"
    given = {"me": ada.dump(), "challenge": challenge, "now": NOW}
    out.append(good("grid1-proof", "GRID-035", "grid1-proof", given, v1.login_proof(ada, challenge, now=NOW)))
    out.append(
        good(
            "grid1-proof-remove",
            "GRID-035",
            "grid1-proof",
            given | {"remove": True},
            v1.login_proof(ada, challenge, now=NOW, remove=True),
        )
    )
    short = {"key": bytes(32).hex(), "token": with_seal("k", bytes(32))}
    out.append(good("grid1-open-short", "GRID-024", "grid1-open", short, "k"))
    return out


def with_seal(content: object, key: bytes, plain: bytes = b"", iv: str = "") -> str:
    """A reply whose seal holds ``content``, or exactly ``plain``."""
    nonce, payload = v1_jws.seal(key, content, rng("seal" + repr(content)))
    if plain:
        payload = b64e(crypto.aead_seal(key, bytes(12), plain, b"")).encode()
        nonce = "AAAAAAAAAAAAAAAA"
    header = {
        "iat": NOW,
        "alg": "ES384",
        "sub": "grid-reply",
        "re": "0" * 64,
        "iv": iv or nonce,
        "from": person("ada").id1,
    }
    return made(header, payload, person("ada"))


def wrapped(thread: Thread) -> Thread:
    """The same conversation where one's own next number is 1."""
    side = Side(v1.WRAP - 1, places.start())
    return Thread(thread.th, thread.me, thread.them, thread.scalar, thread.epk, thread.invite, side, thread.theirs)


# --- order, gaps, numbers -----------------------------------------------------------------------------------------


def orders() -> list[Case]:
    t, bo = talk(), person("bo")
    mine: Thread = t["mine"]
    thread: Thread = t["theirs"]
    draw = rng("grid-v1/orders")
    sent = []
    for index in range(8):
        thread, token = v1.write(thread, bo, f"message {index}", now=NOW - index, rng=draw)
        sent.append(token)
    first = begin(mine)
    out = [
        walk("grid1-walk-2-1-3-6", "GRID-010 GRID-011 GRID-030", mine, [sent[1], sent[0], *sent[2:]]),
        walk("grid1-walk-wide-gap-backwards", "GRID-010 GRID-011", mine, [sent[0], sent[4], sent[3], sent[2], sent[1]]),
        walk("grid1-walk-doubled", "GRID-005 GRID-010", mine, [sent[0], sent[0], sent[2], sent[2], t["opening"]]),
        walk("grid1-walk-before-the-opening", "GRID-033", first, [sent[0], t["opening"], sent[0]]),
        walk("grid1-walk-own-pasted-back", "GRID-031", t["theirs"], [t["opening"], sent[0], sent[1]]),
        walk(
            "grid1-walk-one-damaged", "GRID-005 GRID-022", mine, [flip(sent[0], 2), sent[0], flip(sent[1], 1), sent[1]]
        ),
    ]
    number = thread.mine
    assert number is not None
    for name, base in (("width", 0xFE), ("wrap", v1.WRAP - 2)):
        opening = said(
            mine,
            bo,
            {"messageId": f"{base:x}", "message": "first", "nickname": "Bo"},
            sub="reply-to-invite",
            jwk=v1_jws.write_jwk(bo.jwk, "verify"),
            invite=t["held"].name,
            epk=v1_jws.write_jwk(mine.epk),
        )
        side = Side(base)
        texts = [
            said(mine, bo, {"messageId": f"{side.number(n):x}", "message": f"{side.number(n):x}"}) for n in range(1, 6)
        ]
        out.append(
            walk(f"grid1-walk-{name}", "GRID-030", first, [opening, texts[4], texts[1], texts[0], texts[3], texts[2]])
        )
    far = said(mine, bo, {"messageId": f"{number.number(1001):x}", "message": "far"})
    farther = said(mine, bo, {"messageId": f"{number.number(1002):x}", "message": "farther"})
    before = said(mine, bo, {"messageId": f"{number.first - 1:x}", "message": "before the opening"})
    zero = said(mine, bo, {"messageId": "0", "message": "zero"})
    only = {"state": begin_with(mine, t["opening"]).dump()}
    reached = asdict(v1.read(mine, far)[1])
    out.append(good("grid1-read-thousand-missing", "GRID-011", "grid1-read", only | {"token": far}, reached))
    out.append(bad("grid1-read-too-far", "GRID-011", "grid1-read", only | {"token": farther}, GAP))
    out.append(walk("grid1-walk-far", "GRID-011", mine, [farther, sent[1], far, farther]))
    out.append(bad("grid1-read-before-opening", "GRID-011 GRID-030", "grid1-read", only | {"token": before}, GAP))
    out.append(bad("grid1-read-zero", "GRID-030", "grid1-read", only | {"token": zero}, FORMAT))
    for text, value in (("0", 0), ("1", 1), ("ff", 255), ("fffffffffffff", v1.WRAP - 1)):
        out.append(good(f"grid1-number-{text}", "GRID-030", "grid1-number", {"text": text}, value))
    for name, text in {
        "upper": "FF",
        "zeros": "01",
        "double-zero": "00",
        "long": "10000000000000",
        "empty": "",
        "sign": "-1",
        "blank": " 1",
        "prefix": "0x1",
        "wide": "\uff11",
    }.items():
        out.append(bad(f"grid1-number-{name}", "GRID-030", "grid1-number", {"text": text}, FORMAT))
    return out


def begin(thread: Thread) -> Thread:
    return v1.begin(thread.me, thread.them, thread.scalar, thread.epk, v1.read_invite(thread.invite))


def begin_with(thread: Thread, opening: str) -> Thread:
    return v1.read(begin(thread), opening)[0]


# --- what is refused ----------------------------------------------------------------------------------------------


def confusion() -> list[Case]:
    """Headers and forms that no reader takes."""
    t, ada = talk(), person("ada")
    invite = t["held"].compact
    head, body, signature = invite.split(".")
    header = v1_jws.decode(invite).header
    r, s = b64d(signature)[:48], b64d(signature)[48:]
    twin = r + (crypto.P384_ORDER - int.from_bytes(s, "big")).to_bytes(48, "big")
    out = [
        good(
            "grid1-decode-unknown-order",
            "GRID-021",
            "grid1-decode",
            {"token": made(dict(reversed(header.items())), b"{}", ada)},
            {"kind": "grid-invitation", "header": header, "payload": b"{}".hex()},
        )
    ]
    headers: dict[str, dict[str, Any]] = {
        "alg-none": header | {"alg": "none"},
        "alg-hs256": header | {"alg": "HS256"},
        "alg-es256": header | {"alg": "ES256"},
        "typ": header | {"typ": "JWT"},
        "typ-ours": header | {"typ": "sph-invite+1"},
        "jku": header | {"jku": "https://x.example"},
        "x5u": header | {"x5u": "https://x.example"},
        "crit": header | {"crit": ["b64"]},
        "b64": header | {"b64": False},
        "kid": header | {"kid": ada.id},
        "no-alg": {name: value for name, value in header.items() if name != "alg"},
        "no-iat": {name: value for name, value in header.items() if name != "iat"},
        "no-jwk": {name: value for name, value in header.items() if name != "jwk"},
        "sub-other": header | {"sub": "grid-other"},
        "sub-empty": header | {"sub": ""},
        "sub-number": header | {"sub": 1},
        "iat-text": header | {"iat": "1"},
        "jwk-private": header | {"jwk": {**header["jwk"], "d": b64e(ada.sign)}},
        "jwk-foreign": header | {"jwk": {**header["jwk"], "kid": "x"}},
        "jwk-curve": header | {"jwk": {**header["jwk"], "crv": "P-256"}},
        "jwk-off-curve": header | {"jwk": {**header["jwk"], "y": header["jwk"]["x"]}},
        "jwk-short": header | {"jwk": {**header["jwk"], "y": b64e(bytes(47))}},
        "jwk-text": header | {"jwk": "key"},
        "epk-in-invitation": header | {"epk": header["jwk"]},
    }
    for name, other in headers.items():
        out.append(
            bad(
                f"grid1-decode-{name}",
                "GRID-004 GRID-021 GRID-023",
                "grid1-decode",
                {"token": made(other, b"{}", ada)},
                FORMAT,
            )
        )
    doubled = b64e(json_emit(header)[:-1] + b',"sub":"login"}')
    texts = {
        "two-parts": f"{head}.{body}",
        "four-parts": invite + ".",
        "empty": "",
        "dots": "..",
        "padded": invite + "=",
        "blank-inside": f"{head}. {body}.{signature}",
        "one-quote": '"' + invite,
        "doubled-member": f"{doubled}.{body}.{signature}",
        "header-list": f"{b64e(b'[]')}.{body}.{signature}",
        "header-spaced": f"{b64e(json_emit(header).replace(b':', b': ', 1))}.{body}.{signature}",
        "too-large": f"{head}.{'A' * (1 << 20)}.{signature}",
    }
    for name, text in texts.items():
        if name != "too-large":
            out.append(bad(f"grid1-decode-form-{name}", "GRID-020", "grid1-decode", {"token": text}, FORMAT))
    signatures = {
        "damaged": flip(invite, 2),
        "zero": f"{head}.{body}.{b64e(bytes(96))}",
        "r-zero": f"{head}.{body}.{b64e(bytes(48) + s)}",
        "s-zero": f"{head}.{body}.{b64e(r + bytes(48))}",
        "s-order": f"{head}.{body}.{b64e(r + crypto.P384_ORDER.to_bytes(48, 'big'))}",
        "short": f"{head}.{body}.{b64e(r)}",
        "empty": f"{head}.{body}.",
        "of-another-payload": f"{head}.{b64e(b'{}')}.{signature}",
        "other-key": remade(invite, person("eve")),
    }
    for name, text in signatures.items():
        out.append(bad(f"grid1-invite-sig-{name}", "GRID-022", "grid1-read-invite", {"token": text}, SIG))
    value = {name: member for name, member in asdict(v1.read_invite(invite)).items() if name != "compact"}
    out.append(
        good("grid1-invite-sig-twin", "GRID-022", "grid1-read-invite", {"token": f"{head}.{body}.{b64e(twin)}"}, value)
    )
    told = json_parse(b64d(body))
    bodies: dict[str, Any] = {
        "no-epk": {name: one for name, one in told.items() if name != "epk"},
        "no-nickname": {name: one for name, one in told.items() if name != "nickname"},
        "foreign": told | {"uses": 1},
        "number-upper": told | {"messageId": "FF"},
        "number-int": told | {"messageId": 255},
        "epk-private": told | {"epk": v1_jws.write_private_jwk(ada.sign)},
        "note-list": told | {"note": []},
    }
    for name, one in bodies.items():
        out.append(
            bad(
                f"grid1-invite-body-{name}",
                "GRID-021 GRID-027",
                "grid1-read-invite",
                {"token": made(header, json_emit(one), ada)},
                FORMAT,
            )
        )
    out.append(
        bad("grid1-invite-body-text", "GRID-021", "grid1-read-invite", {"token": made(header, b"hello", ada)}, FORMAT)
    )
    out.append(bad("grid1-invite-is-an-answer", "GRID-021", "grid1-read-invite", {"token": t["opening"]}, FORMAT))
    return out


def seals() -> list[Case]:
    key = bytes(32)
    out = []
    for name, plain in {
        "no-m": b'{"x":"y"}',
        "foreign": b'{"m":"y","x":"y"}',
        "list": b"[]",
        "spaced": b'{"m": "y"}',
        "null": b'{"m":null}',
        "not-utf8": b"\xff\xfe",
    }.items():
        out.append(
            bad(
                f"grid1-open-{name}",
                "GRID-024",
                "grid1-open",
                {"key": key.hex(), "token": with_seal("x", key, plain)},
                FORMAT,
            )
        )
    right = with_seal("hello there, this is long enough", key)
    out.append(
        good(
            "grid1-open-long",
            "GRID-024",
            "grid1-open",
            {"key": key.hex(), "token": right},
            "hello there, this is long enough",
        )
    )
    out.append(bad("grid1-open-other-key", "GRID-024", "grid1-open", {"key": "01" * 32, "token": right}, DECRYPT))
    single = v1_jws.decode(right)
    once = made(single.header, b64d(single.payload.decode()), person("ada"))
    out.append(bad("grid1-open-base64-once", "GRID-024", "grid1-open", {"key": key.hex(), "token": once}, FORMAT))
    for name, iv in {
        "short": "AAAA",
        "url": "_-_-_-_-_-_-_-_-",
        "long": "A" * 20,
        "padded": "AAAAAAAAAAAAAA==",
    }.items():
        token = with_seal("x", key, iv=iv)
        out.append(
            bad(f"grid1-open-iv-{name}", "GRID-021 GRID-024", "grid1-open", {"key": key.hex(), "token": token}, FORMAT)
        )
    return out


def strangers() -> list[Case]:
    """Messages that are somebody else's, or say so."""
    t, ada, bo, eve = talk(), person("ada"), person("bo"), person("eve")
    mine: Thread = t["mine"]
    opening = t["opening"]
    assert t["theirs"].mine is not None
    body = {"messageId": f"{t['theirs'].mine.number(1):x}", "message": "trust me"}
    state = {"state": mine.dump()}
    eve_jwk = v1_jws.write_jwk(eve.jwk, "verify")
    stolen = remade(opening, eve, jwk=eve_jwk, **{"from": eve.id1})
    after, shown = v1.accept(ada, [t["held"]], stolen)
    held = {"me": ada.dump(), "held": [t["held"].dump()]}
    long = said(mine, bo, {**body, "note": "x"})
    cases = {
        "signed-by-another": (said(mine, eve, body, **{"from": bo.id1}), SIG),
        "names-a-third": (said(mine, bo, body, **{"from": eve.id1}), NOT_MEMBER),
        "third-signs-as-itself": (said(mine, eve, body), NOT_MEMBER),
        "names-me": (said(mine, bo, body, **{"from": ada.id1}), SIG),
        "other-conversation": (said(mine, bo, body, re="0" * 64), UNKNOWN),
        "conversation-name": (said(mine, bo, body, re="x"), FORMAT),
        "damaged-signature": (flip(said(mine, bo, body), 2), SIG),
        "damaged-payload": (flip(said(mine, bo, body), 1), SIG),
        "other-seal": (made(v1_jws.decode(said(mine, bo, body)).header, b64e(bytes(40)).encode(), bo), DECRYPT),
        "foreign-member": (long, FORMAT),
        "no-message": (said(mine, bo, {"messageId": body["messageId"]}), FORMAT),
        "ack-upper": (said(mine, bo, {**body, "minAck": "FF"}), FORMAT),
        "an-invitation": (t["held"].compact, FORMAT),
        "with-jwk": (said(mine, bo, body, jwk=v1_jws.write_jwk(bo.jwk, "verify")), FORMAT),
        "second-opening": (stolen, CHANGED),
        "second-opening-of-the-same": (opened(mine, bo, {**body, "nickname": "Bo"}), CHANGED),
        "opening-forged-sender": (remade(opening, bo, **{"from": eve.id1}), NOT_MEMBER),
        "opening-other-key": (opened(mine, bo, {**body, "nickname": "Bo"}, epk=eve_jwk), FORMAT),
        "opening-no-nickname": (opened(mine, bo, body), FORMAT),
    }
    out = [
        bad(f"grid1-read-{name}", "GRID-025 GRID-032 GRID-033", "grid1-read", state | {"token": token}, code)
        for name, (token, code) in cases.items()
    ]
    out.append(
        good(
            "grid1-accept-stolen",
            "GRID-034",
            "grid1-accept",
            held | {"token": stolen},
            {"state": after.dump(), "message": asdict(shown)},
        )
    )
    out.append(
        bad("grid1-read-robbed", "GRID-033 GRID-034", "grid1-read", {"state": after.dump(), "token": opening}, CHANGED)
    )
    refused = {
        "no-invitation": (held | {"held": []}, opening, UNKNOWN),
        "forged-sender": (held, remade(opening, eve, jwk=eve_jwk), NOT_MEMBER),
        "forged-sender-to-nobody": (held | {"held": []}, remade(opening, eve, jwk=eve_jwk), NOT_MEMBER),
        "corrupted": (held, flip(opening, 2), SIG),
        "own": (held, remade(opening, ada, jwk=v1_jws.write_jwk(ada.jwk, "verify"), **{"from": ada.id1}), NOT_MEMBER),
        "other-conversation": (held, remade(opening, bo, re="0" * 64), UNKNOWN),
        "a-reply": (held, said(mine, bo, body), FORMAT),
        "other-key": (held, remade(opening, bo, epk=eve_jwk), UNKNOWN),
    }
    for name, (given, token, code) in refused.items():
        out.append(bad(f"grid1-accept-{name}", "GRID-029", "grid1-accept", given | {"token": token}, code))
    answer = {
        "me": ada.dump(),
        "invite": t["held"].compact,
        "nickname": "Ada",
        "text": "to myself",
        "now": NOW,
        "drawn": "",
    }
    out.append(bad("grid1-answer-own", "GRID-028", "grid1-answer", answer, NOT_MEMBER))
    write = {"state": mine.dump(), "me": bo.dump(), "text": "not mine", "now": NOW, "drawn": ""}
    out.append(bad("grid1-write-another", "GRID-031", "grid1-write", write, NOT_MEMBER))
    return out


def opened(thread: Thread, who: Identity, body: dict[str, Any], **change: Any) -> str:
    return said(
        thread,
        who,
        body,
        **(
            {
                "sub": "reply-to-invite",
                "jwk": v1_jws.write_jwk(who.jwk, "verify"),
                "invite": thumbprint1(jwk_public(thread.scalar)),
                "epk": v1_jws.write_jwk(thread.epk),
            }
            | change
        ),
    )


def stored() -> list[Case]:
    t, ada, eve = talk(), person("ada"), person("eve")
    draw = rng("grid-v1/stored-wrong")
    text = v1_backup.lock(ada.sign, "secret", "sign", rng=draw)
    out = []
    for name, (one, password) in {
        "password": (text, "other"),
        "two-parts": (text.rsplit(".", 1)[0], "secret"),
        "damaged": ("AAAA" + text[4:], "secret"),
        "url-alphabet": ("_" + text[1:], "secret"),
        "empty": ("", "secret"),
        "cut": (text[4:], "secret"),
        "trailing-bits": (text[:-3] + chr(ord(text[-3]) + 1) + "==", "secret"),
    }.items():
        out.append(bad(f"grid1-unlock-{name}", "GRID-036", "grid1-unlock", {"text": one, "password": password}, VAULT))
    halves = json_emit({**v1_jws.write_jwk(eve.jwk, "sign"), "d": b64e(ada.sign)})
    salt, nonce = draw(16), draw(12)
    key = crypto.pbkdf2_sha256(b"secret", salt, iterations=100_000)
    parts = (crypto.aead_seal(key, nonce, halves, b""), nonce, salt)
    other = ".".join(binascii.b2a_base64(part, newline=False).decode() for part in parts)
    out.append(
        bad(
            "grid1-unlock-two-halves", "GRID-023 GRID-036", "grid1-unlock", {"text": other, "password": "secret"}, VAULT
        )
    )
    sealed = v1_backup.keep(ada, t["held"].scalar, now=NOW, rng=draw)
    for name, (me, token, code) in {
        "another": (eve, sealed, DECRYPT),
        "damaged": (ada, flip(sealed, 2), SIG),
        "an-invitation": (ada, t["held"].compact, FORMAT),
        "other-storage": (Identity(ada.sign, eve.store), sealed, DECRYPT),
        "re-signed": (ada, remade(sealed, eve), SIG),
    }.items():
        out.append(bad(f"grid1-kept-{name}", "GRID-037", "grid1-kept", {"me": me.dump(), "token": token}, code))
    backup = v1_backup.write(
        ada, "secret", [t["held"]], [(t["mine"], [t["held"].compact, t["opening"]])], now=NOW, rng=draw
    )
    body = json_parse(v1_jws.decode(backup).payload)
    header = v1_jws.decode(backup).header
    stolen = {
        **body,
        "identity": {**body["identity"], "id": {**body["identity"]["id"], "jwk": v1_jws.write_jwk(eve.jwk, "verify")}},
    }
    for name, (token, code) in {
        "damaged": (flip(backup, 1), SIG),
        "signed-by-another": (made(header, json_emit(body), eve), SIG),
        "another-owner": (made(header | {"jwk": v1_jws.write_jwk(eve.jwk, "verify")}, json_emit(body), eve), VAULT),
        "other-name": (made(header, json_emit({**body, "thumbprint": eve.id1}), ada), VAULT),
        "other-public-half": (made(header, json_emit(stolen), ada), VAULT),
        "foreign-member": (made(header, json_emit({**body, "x": 1}), ada), FORMAT),
        "no-threads": (made(header, json_emit({n: v for n, v in body.items() if n != "threads"}), ada), FORMAT),
    }.items():
        out.append(
            bad(f"grid1-backup-{name}", "GRID-039", "grid1-backup", {"token": token, "password": "secret"}, code)
        )
    damaged = json_parse(json_emit(body))
    tokens = damaged["threads"][t["mine"].th]["messages"]["messages"]
    tokens += [flip(t["opening"], 2), "nonsense"]
    damaged["threads"][t["mine"].th]["threadInfo"]["syn"] = f"{t['mine'].mine.number(4):x}"
    damaged["invites"]["id-" + "A" * 43] = flip(t["held"].compact, 2)
    damaged["encryptedThreadKeys"]["id-" + "B" * 43] = flip(sealed, 2)
    given = {"token": made(header, json_emit(damaged), ada), "password": "secret"}
    out.append(
        good(
            "grid1-backup-partly-damaged",
            "GRID-039",
            "grid1-backup",
            given,
            shown_backup(v1_backup.read(given["token"], given["password"])),
        )
    )
    challenge = f"{NOW}:{'0f' * 32}"
    proof = v1.login_proof(ada, challenge, now=NOW)
    given = {"token": proof, "challenge": challenge, "now": NOW}
    out.append(good("grid1-read-proof", "GRID-035", "grid1-read-proof", given, ada.id1))
    for name, change, code in (
        ("late", {"now": NOW + 61}, EXPIRED),
        ("early", {"now": NOW - 61}, EXPIRED),
        ("other", {"challenge": f"{NOW}:00"}, REPLAY),
        ("remove", {"remove": True}, FORMAT),
        ("damaged", {"token": flip(proof, 2)}, SIG),
        ("invitation", {"token": t["held"].compact}, FORMAT),
    ):
        out.append(bad(f"grid1-read-proof-{name}", "GRID-035", "grid1-read-proof", given | change, code))
    invite_input = t["held"].compact.rsplit(".", 1)[0]
    for name, asked in {
        "oracle": invite_input,
        "json": "{}",
        "empty": "",
        "upper": f"{NOW}:FF",
        "test": "TEST-1",
        "line": f"{NOW}:00\n",
    }.items():
        given = {"me": ada.dump(), "challenge": asked, "now": NOW}
        out.append(bad(f"grid1-proof-{name}", "GRID-004 GRID-035", "grid1-proof", given, FORMAT))
    return out


def cases() -> list[Case]:
    return names() + theirs() + making() + orders() + confusion() + seals() + strangers() + stored()
