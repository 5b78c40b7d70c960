"""Chains and runs: pages of messages against a log, as they come, and single messages with their refusals."""

from __future__ import annotations

import random
from typing import Any

from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.state import Policy
from cloister.sphere import compose, message
from tests.vectors.ops_runs import judge_pages, judge_walks
from vectors.generate import Case, bad, good
from vectors.generate._sphere import NOW, Person, Sphere, Talker, text

ORIGIN = (
    "made by vectors/generate/runs.py with seeded keys; single verdicts are stated there by hand; of whole pages the "
    "generator asserts the statuses it names and records the rest"
)
SMALL = Policy(kem_min="p384")
REPLAY, INVALID, MEMBER, GAP, SIG, FORK = "C_REPLAY", "C_LOG_INVALID", "C_NOT_MEMBER", "C_GAP", "C_SIG", "C_LOG_FORK"


def world(**over: Any) -> tuple[Sphere, Person, Person, Talker]:
    ada, bo = Person("ada", "p384"), Person("bo", "p384")
    sphere = Sphere(ada, **{"policy": SMALL, "label": "runs", **over})
    sphere.add(ada, bo)
    return sphere, ada, bo, sphere.talker(bo)


def given_log(sphere: Sphere, upto: int | None = None) -> Case:
    entries = sphere.entries if upto is None else sphere.entries[: upto + 1]
    return {"entries": list(entries), "attach": {b64e(d): c for d, c in sphere.attach.items()}}


def keys(sphere: Sphere) -> Case:
    return {str(n): key.secret.hex() for n, key in sphere.keys.items()}


def broken(frame: str) -> str:
    body, _, signature = frame.rpartition(".")
    raw = bytearray(b64d(signature))
    raw[5] ^= 1
    return f"{body}.{b64e(bytes(raw))}"


def pages(name: str, rule: str, sphere: Sphere, feed: list[list[str]], statuses: list[str], **over: Any) -> Case:
    """A case of whole pages; ``statuses`` of all frames in order, as words of the verdicts."""
    given = {**given_log(sphere), "sph": sphere.state.sph, "now": NOW, "pages": feed, **over}
    value = judge_pages(given)
    got = [f"{status} {code}".strip() for page in value["pages"] for status, code in page]
    assert got == statuses, (name, got)
    return good(f"run-{name}", rule, "run-pages", given, value)


OK, DUP, VERSION = "authentic", "duplicate", f"version {REPLAY}"


def usual() -> list[Case]:
    sphere, ada, _, bo = world()
    mine = sphere.talker(ada)
    m = [bo.say(f"m{i}") for i in range(1, 7)]
    a = [mine.say(f"a{i}") for i in range(1, 3)]
    forged = bo.make("forged", signer=ada.dev.signer)
    bad1 = [m[0], broken(m[1]), m[2]]
    out = [
        pages("page", "RUN-003 RUN-004", sphere, [m], [OK] * 6),
        pages("one-by-one", "RUN-003", sphere, [[f] for f in m], [OK] * 6),
        pages("two-devices", "RUN-001", sphere, [[m[0], a[0], m[1], a[1], m[2]]], [OK] * 5),
        pages("turned", "RUN-003 RUN-011", sphere, [m[::-1]], [OK] * 6),
        pages("turned-singly", "RUN-011 RUN-012", sphere, [[f] for f in m[::-1]], [OK] * 6),
        pages("bad-signature-inside", "RUN-003", sphere, [bad1], [OK] * 3),
        pages(
            "bad-signature-singly", "RUN-003", sphere, [[f] for f in [*bad1, bad1[1]]], [OK, f"waiting {SIG}", OK, OK]
        ),
        pages("bad-top", "RUN-004", sphere, [[m[0], m[1], broken(m[2])]], [OK, OK, f"waiting {SIG}"]),
        pages("forged", "RUN-003", sphere, [m, [forged]], [OK] * 6 + [f"waiting {SIG}"]),
        pages("gap", "RUN-012", sphere, [m[:2], m[3:5]], [OK] * 4),
        pages("gap-closed", "RUN-011 RUN-012", sphere, [m[:2], m[3:5], [m[2]]], [OK] * 5),
        pages("gap-at-the-start", "RUN-012", sphere, [m[4:]], [OK] * 2),
        pages("again", "RUN-005", sphere, [m, m[2:4] + m[5:]], [OK] * 6 + [DUP] * 3),
        pages("again-in-one-page", "RUN-005", sphere, [[m[0], m[0], m[1]]], [OK, DUP, OK]),
        pages("not-ours", "RUN-002", sphere, [["x", m[0], m[1] + "="]], ["refused C_FORMAT", OK, "refused C_FORMAT"]),
    ]
    old = Talker(sphere, bo.dev)
    days = [old.say(f"d{i}", iat=NOW - (10 - i) * 86400) for i in range(10)]
    keep = [days[1], days[2], days[6], days[8], days[9]]
    sphere.do(ada, compose.SetPolicy(Policy(kem_min="p384", retention=5)))
    return [*out, pages("retention", "RUN-013", sphere, [keep], [OK] * 5)]


def versions() -> list[Case]:
    sphere, _, _, bo = world()
    start = bo.say("start")
    words = text("words", "cid")
    third, second = bo.make(words, tries=2), bo.make(words, tries=1)
    first = bo.say(words)
    twin = Talker(sphere, bo.dev, 1, message.decode(start).digest, bo.ls).make("twin")
    elsewhere = Talker(sphere, bo.dev, 1, bytes(32), bo.ls).make("elsewhere", tries=7)
    after = bo.say("after")
    return [
        pages("later-try", "RUN-006", sphere, [[start, first], [second], [third]], [OK] * 4),
        pages("earlier-try", "RUN-006", sphere, [[start, third], [first]], [OK, OK, VERSION]),
        pages("tries-together", "RUN-006", sphere, [[start, first, third, second]], [OK, VERSION, OK, VERSION]),
        pages("named-first", "RUN-006", sphere, [[start, first, third, after]], [OK, OK, VERSION, OK]),
        pages("named-later", "RUN-006", sphere, [[start, third], [after], [first]], [OK, OK, OK, OK]),
        pages("inside", "RUN-005", sphere, [[start, first, after], [third]], [OK] * 3 + [f"refused {REPLAY}"]),
        pages("twin", "RUN-006", sphere, [[start, first, twin]], [OK, OK, VERSION]),
        pages("elsewhere", "RUN-006", sphere, [[start, first], [elsewhere]], [OK, OK, VERSION]),
    ]


def cuts() -> list[Case]:
    sphere, ada, bo_person, bo = world()
    m = [bo.say(f"m{i}") for i in range(1, 7)]
    before = sphere.state
    old = {"upto": before.seq}
    sphere.do(ada, compose.Remove(bo_person.handle))
    late = bo.make("late", state=before, key=sphere.keys[1])
    thief = Talker(sphere, bo.dev, 2, message.decode(m[1]).digest, before.seq)
    forged = [thief.say(f"forged {i}", state=before, key=sphere.keys[1]) for i in range(3, 7)]
    wait, no = f"waiting {GAP}", f"refused {MEMBER}"
    out = [
        pages("cut", "RUN-009", sphere, [[*m, late]], [OK] * 6 + [no]),
        pages("cut-singly", "RUN-009", sphere, [[f] for f in [*m[:3], late]], [wait] * 3 + [no]),
        pages("cut-joined-later", "RUN-009", sphere, [m[:3], m[3:], m[:3]], [wait] * 3 + [OK] * 6),
        pages("cut-forged-past", "RUN-009", sphere, [m[:2] + forged], [wait] * 5 + [no]),
        pages("cut-forged-after", "RUN-009", sphere, [m[2:], forged], [OK] * 4 + [f"refused {REPLAY}"] * 3 + [no]),
        pages(
            "cut-read-before", "RUN-009", sphere, [m[:4], [m[4]], [m[5]], [m[4]]], [OK] * 4 + [wait, OK, OK], grow=[old]
        ),
    ]
    sphere.add(ada, bo_person)
    back = bo.make("back")
    out += [
        pages("back", "RUN-009", sphere, [[*m, back]], [OK] * 7),
        pages("back-late", "RUN-009", sphere, [[*m, late]], [OK] * 6 + [no]),
    ]
    return out


def logs() -> list[Case]:
    sphere, ada, _, bo = world()
    early = sphere.state
    sphere.do(ada, compose.Rotate())
    fresh = sphere.state
    cy = Person("cy", "p384")
    sphere.add(ada, cy)
    hello = sphere.talker(cy).say("hello")
    one = [
        bo.say("one", state=early),
        bo.say("two", state=fresh),
        bo.say("three", state=early),
        bo.say("four", state=fresh),
    ]
    liar = sphere.talker(ada).say("liar", lh=bytes(32))
    wait, no = f"waiting {GAP}", f"refused {INVALID}"
    return [
        pages("back-in-the-log", "RUN-008", sphere, [one], [OK, OK, no, OK]),
        pages("back-in-the-log-singly", "RUN-008", sphere, [[f] for f in one], [OK, OK, no, OK]),
        pages("gap-must-fit", "RUN-008", sphere, [[one[0], one[2]], [one[1]]], [OK, OK, no]),
        pages(
            "claim", "RUN-016", sphere, [[liar, one[0]], [sphere.talker(ada).say("on")]], [f"waiting {FORK}", OK, OK]
        ),
        pages("ahead", "RUN-014", sphere, [[one[0], one[1]], [one[1]]], [OK, wait, OK], grow=[{"upto": early.seq}]),
        pages(
            "not-yet-known",
            "RUN-014",
            sphere,
            [[hello], [hello]],
            ["waiting C_KEY_UNKNOWN", OK],
            grow=[{"upto": fresh.seq}],
        ),
    ]


def walks(count: int = 240) -> list[Case]:
    """Pages drawn from a pool of true, renewed, forked, forged and damaged messages while the log grows by jumps.

    The two readers share no code, so agreement on hundreds of walks says that the rules leave no choice.
    """
    sphere, ada, bo_person, bo = world(label="walks")
    early = sphere.state
    sphere.do(ada, compose.Rotate())
    fresh = sphere.state

    def at(after: str, seq: int, words: str, **over: Any) -> str:
        ph = message.decode(after).digest if after else b""
        return Talker(sphere, bo.dev, seq - 1, ph).make(words, **{"state": fresh, **over})

    m = [bo.say(f"m{i}", state=early if i < 4 else fresh) for i in range(1, 6)]
    renewed = [at(m[1], 3, "m3", tries=1), at(m[1], 3, "m3", tries=2, state=early), at(m[3], 5, "m5", tries=1)]
    fork = [at(renewed[0], 4, "other 4"), at(m[0], 2, "other 2", tries=3), at("", 1, "other 1")]
    fork += [at(fork[0], 5, "other 5"), at(fork[1], 3, "other 3")]
    past = [at(m[4], 6, "late 6"), at(m[3], 5, "back 5", state=early)]
    past += [at(past[0], 7, "late 7"), at(past[1], 6, "back 6")]
    forged = [at(m[3], 5, "forged", signer=ada.dev.signer), at(m[2], 4, "lie", lh=bytes(32))]
    sphere.do(ada, compose.Remove(bo_person.handle))
    gone = sphere.state.seq
    sphere.add(ada, bo_person)
    back = [bo.say("back 6"), bo.say("back 7")]
    pool = [*m, *renewed, *fork, *past, *forged, *back, *(broken(one) for one in (m[1], m[3], m[4], fork[0], back[0]))]
    dice = random.Random(7)
    drawn = []
    for _ in range(count):
        feed = [[dice.randrange(len(pool)) for _ in range(dice.randint(1, 6))] for _ in range(dice.randint(1, 6))]
        steps = sorted(dice.choice((early.seq, fresh.seq, gone, sphere.state.seq)) for _ in feed)
        drawn.append({"pages": feed, "grow": steps})
    given = {**given_log(sphere), "sph": sphere.state.sph, "now": NOW, "messages": pool, "walks": drawn}
    return [good("run-walks", "RUN-005 RUN-006 RUN-008 RUN-009", "run-walks", given, judge_walks(given))]


def singles() -> list[Case]:
    out: list[Case] = []

    def ok(name: str, rule: str, sphere: Sphere, frame: str, value: Any) -> None:
        given = {**given_log(sphere), "sph": sphere.state.sph, "keys": keys(sphere), "message": frame}
        out.append(good(f"run-one-{name}", rule, "run-one", given, value))

    def no(name: str, rule: str, sphere: Sphere, frame: str, code: str, **over: Any) -> None:
        given = {**given_log(sphere), "sph": sphere.state.sph, "keys": keys(sphere), "message": frame, **over}
        out.append(bad(f"run-one-{name}", rule, "run-one", given, code))

    sphere, ada, bo_person, bo = world()
    eve, gus = Person("eve", "p384"), Person("gus", "p384")
    joined = sphere.state
    ok("usual", "RUN-007 RUN-015", sphere, bo.make("hi"), {"text": "hi", "author": bo_person.handle, "role": "member"})
    no("no-key", "RUN-015", sphere, bo.make("hi"), "C_KEY_UNKNOWN", keys={})
    no("stranger", "RUN-002", sphere, Talker(sphere, eve.dev).make("hi"), "C_KEY_UNKNOWN")
    no("other-sphere", "RUN-002", sphere, Sphere(ada, policy=SMALL, label="other").talker(ada).say("hi"), REPLAY)
    no("forged", "RUN-003", sphere, bo.make("hi", signer=ada.dev.signer), SIG)
    no("lh", "RUN-007 RUN-016", sphere, bo.make("hi", lh=bytes(32)), FORK)
    no("clear", "RUN-007", sphere, bo.make("hi", sealed=False), "C_DOWNGRADE")
    no("clear-meant", "RUN-007", sphere, bo.make(text("hi")._replace(pt=True), sealed=False), "C_DOWNGRADE")
    early = sphere.drafts[0].states[1]
    no("before-joining", "RUN-007", sphere, bo.make("hi", state=early), MEMBER)
    sphere.do(ada, compose.Mark())
    no("marked", "RUN-007", sphere, bo.make("hi"), INVALID)
    ok(
        "before-the-mark",
        "RUN-007",
        sphere,
        bo.make("hi", state=joined),
        {"text": "hi", "author": bo_person.handle, "role": "member"},
    )
    sphere.do(ada, compose.Rotate())
    no("old-epoch", "RUN-007", sphere, bo.make("hi", ep=1, key=sphere.keys[1]), INVALID)
    no("new-epoch-too-early", "RUN-007", sphere, bo.make("hi", state=joined, ep=2, key=sphere.keys[2]), INVALID)
    no("ahead", "RUN-014", sphere, bo.make("hi", ls=sphere.state.seq + 1), GAP)
    sphere.add(ada, gus, "guest")
    ok("guest", "RUN-007", sphere, sphere.talker(gus).make("hi"), {"text": "hi", "author": gus.handle, "role": "guest"})
    sphere.do(ada, compose.SetPolicy(Policy(kem_min="p384", guests="read", plaintext=True)))
    no("guest-reads", "RUN-007", sphere, sphere.talker(gus).make("hi"), MEMBER)
    meant = bo.make(text("hi")._replace(pt=True), sealed=False)
    ok("plaintext", "RUN-007", sphere, meant, {"text": "hi", "author": bo_person.handle, "role": "member"})
    no("plaintext-unmeant", "RUN-007 MSG-008", sphere, bo.make("hi", sealed=False), "C_FORMAT")
    sphere.do(ada, compose.SetRole(bo_person.handle, "admin"))
    admin = sphere.state
    sphere.do(ada, compose.SetRole(bo_person.handle, "member"))
    ok(
        "lowered",
        "RUN-010",
        sphere,
        bo.make("hi", state=admin),
        {"text": "hi", "author": bo_person.handle, "role": "member"},
    )
    sphere.do(ada, compose.SetMode("open"))
    ok("open", "RUN-007", sphere, bo.make("hi"), {"text": "hi", "author": bo_person.handle, "role": "member"})
    no("sealed-in-the-open", "RUN-007", sphere, bo.make("hi", sealed=True), "C_DOWNGRADE")
    no("open-other-epoch", "RUN-007", sphere, bo.make("hi", ep=1), INVALID)
    sphere.do(ada, compose.Remove(bo_person.handle))
    no("removed", "RUN-009", sphere, bo.make("hi"), MEMBER)
    no("backdated", "RUN-009", sphere, bo.make("hi", state=admin), MEMBER)
    fresh = Sphere(ada, policy=SMALL, mode="open", label="open")
    mine = fresh.talker(ada)
    ok("never-encrypted", "RUN-007", fresh, mine.make("hi"), {"text": "hi", "author": ada.handle, "role": "owner"})
    no("epoch-without-one", "RUN-007", fresh, mine.make("hi", ep=1), INVALID)
    return out


def cases() -> list[Case]:
    return [*usual(), *versions(), *cuts(), *logs(), *walks(), *singles()]
