"""T-S5: messages replayed, doubled, turned round, left out, moved between spheres and epochs.

Many seeded schedules: honest messages of two members, bent by the relay, shown to a real client page by page. After
each, what was shown counts exactly once, nothing that was bent counts at all, and what is missing is known; then the
rest is shown and everything is there. A failing schedule names its seed and number.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from cloister.client import Client, commits, intake
from cloister.protocol.encoding import b64d, b64e
from cloister.sphere import chains, message, run
from cloister.sphere.message import Place
from cloister.sphere.payload import Payload
from tests.hostile.world import ADDRESSES, HostileWorld
from tests.scenarios.world import harbour, sent, texts

SCHEDULES = 10_000 if os.environ.get("CLOISTER_DEEP") else 2_000
SEEDS = (11, 12, 13, 14)
REKEY = 250  # schedules after which a member makes a new key
REFUSALS = {"C_REPLAY", "C_GAP", "C_DECRYPT", "C_SIG", "C_FORMAT", "C_KEY_UNKNOWN", "C_NOT_MEMBER", "C_LOG_INVALID",
            "C_LOG_FORK"}  # fmt: skip


@dataclass
class Talker:
    """An honest device's chain in one sphere; seals what a client would seal."""

    client: Client
    sph: str
    seq: int = 0
    digest: bytes = b""
    said: list[str] = field(default_factory=list)

    def say(self, text: str) -> str:
        ctx = self.client.context
        rep = ctx.replica(self.sph)
        state = rep.known[0]
        place = Place(self.seq + 1, self.digest, state.seq, state.digest, state.ep)
        compact = message.seal(
            Payload("msg", ctx.rng(16), text), place, sph=self.sph, dv=ctx.dv, signer=ctx.sign, iat=ctx.now(),
            rng=ctx.rng, key=rep.sending_key,
        )  # fmt: skip
        self.seq, self.digest = place.seq, message.decode(compact).digest
        self.said.append(compact)
        return compact


def _with(compact: str, **changes: Any) -> str:
    """The same envelope with other words in its header: what a relay can do without a key."""
    header, payload, signature = compact.split(".")
    head = {**json.loads(b64d(header)), **changes}
    return f"{b64e(json.dumps(head, separators=(',', ':')).encode())}.{payload}.{signature}"


def _signed(compact: str) -> str:
    return compact.rpartition(".")[0]


class Bender:
    """One schedule: honest frames in, what the relay shows instead, and what it keeps back."""

    def __init__(self, rng: random.Random, past: list[str], elsewhere: list[str], sph: str) -> None:
        self.rng, self.past, self.elsewhere, self.sph = rng, past, elsewhere, sph
        self.moves = Counter[str]()

    def bend(self, frames: list[str]) -> tuple[list[str], list[str]]:
        shown, kept = list(frames), []
        for _ in range(self.rng.randint(1, 5)):
            move = self.rng.choice(
                ["duplicate", "replay", "reorder", "drop", "cross-sphere", "rewritten-sphere", "cross-epoch",
                 "moved-seq", "moved-place", "swapped", "signature"]
            )  # fmt: skip
            self.moves[move] += 1
            any_ = self.rng.choice(frames)
            if move == "drop" and len(shown) > 1:
                gone = self.rng.choice(shown)
                if gone in frames and gone not in kept:
                    shown = [one for one in shown if one != gone]
                    kept.append(gone)
            elif move == "reorder":
                self.rng.shuffle(shown)
            else:
                extra = self._extra(move, any_)
                if extra:
                    shown.insert(self.rng.randint(0, len(shown)), extra)
        # What is kept back is kept back in every form: copies, and those with another signature, too.
        late = {_signed(one) for one in kept}
        return [one for one in shown if _signed(one) not in late], kept

    def _extra(self, move: str, one: str) -> str:
        head = json.loads(b64d(one.split(".")[0]))
        if move == "duplicate":
            return one
        if move == "replay":
            return self.rng.choice(self.past) if self.past else one
        if move == "cross-sphere":
            return self.rng.choice(self.elsewhere)
        if move == "rewritten-sphere":
            return _with(self.rng.choice(self.elsewhere), sph=self.sph)
        if move == "cross-epoch":
            old = self.rng.choice(self.past) if self.past else one
            return _with(old, ep=head["ep"], ls=head["ls"], lh=head["lh"])
        if move == "moved-seq":
            return _with(one, seq=head["seq"] + self.rng.randint(1, 3))
        if move == "moved-place":
            return _with(one, mid=b64e(self.rng.randbytes(16)))
        if move == "swapped":
            a, b = one.split("."), self.rng.choice(self.past or [one]).split(".")
            return f"{a[0]}.{b[1]}.{a[2]}" if a[1] != b[1] else ""
        header, payload, _ = one.split(".")
        return f"{header}.{payload}.{b64e(self.rng.randbytes(64))}"


@contextmanager
def _watching() -> Iterator[list[run.Verdict]]:
    """Every verdict of the real rule, seen and not touched."""
    seen: list[run.Verdict] = []
    real = run.verify_page

    def watch(*args: Any) -> run.Page:
        page = real(*args)
        seen.extend(page.verdicts)
        return page

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intake.run, "verify_page", watch)
        yield seen


class Reader:
    """Cy's client, behind a relay that shows it exactly the pages of the test."""

    def __init__(self, hw: HostileWorld, client: Client, sph: str) -> None:
        self.ctx, self.sph = client.context, sph
        self.pages: list[dict[str, Any]] = []
        self.ctx.store.run("PRAGMA synchronous=OFF")  # this test loses no power
        hw.liar.forge(
            rf"GET /v1/spheres/{sph}/items", lambda _: self.pages.pop(0) if self.pages else {"items": [], "head": 0},
            address=ADDRESSES["cy"],
        )  # fmt: skip

    async def take(self, *pages: list[str]) -> None:
        pos = self.ctx.store.cursor(self.sph)
        for frames in pages:
            items = [{"pos": pos + n, "k": "msg", "jws": one} for n, one in enumerate(frames, 1)]
            pos += len(frames)
            if items:
                self.pages.append({"items": items, "head": pos + 1})
        await commits.fetch_items(self.ctx, self.ctx.replica(self.sph))

    def rows(self, since: int) -> list[tuple[Any, ...]]:
        return self.ctx.store.all("SELECT id, h, state, code FROM message WHERE sph = ? AND id > ?", self.sph, since)

    def missing(self) -> dict[str, set[int]]:
        policy = self.ctx.replica(self.sph).known[0].policy
        found: dict[str, set[int]] = {}
        for dv, chain in intake.chains(self.ctx, self.sph).items():
            for gap in chains.gaps(chain, policy, self.ctx.now()):
                found.setdefault(dv, set()).update(range(gap.first, gap.last + 1))
        return found


class Judged(AssertionError):
    """What a schedule showed to be wrong."""


async def _play(hw: HostileWorld, seed: int, schedules: int) -> Counter[str]:
    people = await hw.sphere_of("ada", "bo", "cy")
    sph = harbour(people["ada"]).sph
    board = await people["ada"].create_sphere("Board")
    await people["ada"].sync()
    away = Talker(people["ada"], board.sph)
    elsewhere = [away.say(f"elsewhere {n}") for n in range(20)]
    talkers = [Talker(people["ada"], sph), Talker(people["bo"], sph)]
    reader = Reader(hw, people["cy"], sph)
    rng, moves = random.Random(seed), Counter[str]()
    past: list[str] = []
    last = 0
    with _watching() as verdicts:
        for number in range(schedules):
            if number and number % REKEY == 0:
                await _rekey(people, reader, past)
            frames = [rng.choice(talkers).say(f"{number}/{n}") for n in range(rng.randint(2, 6))]
            bender = Bender(rng, past, elsewhere, sph)
            shown, kept = bender.bend(frames)
            cut = sorted(rng.randint(0, len(shown)) for _ in range(2))
            del verdicts[:]
            await reader.take(shown[: cut[0]], shown[cut[0] : cut[1]], shown[cut[1] :])
            _judge(reader, last, frames, kept, verdicts, f"seed {seed}, schedule {number}: {dict(bender.moves)}")
            await reader.take(kept)
            last = _settle(reader, last, frames, talkers, verdicts, f"seed {seed}, schedule {number}")
            moves += bender.moves
            past = (past + frames)[-200:]
    return moves


async def _rekey(people: dict[str, Client], reader: Reader, past: list[str]) -> None:
    """A new epoch, known to all; what was said before keeps its place in the stream."""
    await harbour(people["bo"]).rotate()
    await people["ada"].sync()
    await people["cy"].sync()


def _require(holds: bool, what: str, where: str) -> None:
    if not holds:
        raise Judged(f"{what} ({where})")


def _judge(
    reader: Reader, last: int, frames: list[str], kept: list[str], verdicts: list[run.Verdict], where: str
) -> None:
    """After the bent pages: once each, nothing bent, gaps known."""
    honest = {message.decode(one).digest: message.decode(one).head for one in frames}
    late = {message.decode(one).digest for one in kept}
    for verdict in verdicts:
        _require(verdict.status in ("authentic", "duplicate") or verdict.code in REFUSALS, f"{verdict}", where)
    taken = Counter(v.message.digest for v in verdicts if v.status == "authentic" and v.message)
    _require(not [h for h, n in taken.items() if n > 1], "accepted twice", where)
    rows = reader.rows(last)
    good = Counter(bytes(h) for _, h, state, _ in rows if state == "sent")
    _require(good == Counter(h for h in honest if h not in late), "not once each", where)
    for _, _, state, code in rows:
        _require(state == "sent" or code in REFUSALS, f"row {state} {code}", where)
    missing = reader.missing()
    for digest in late:
        head = honest[digest]
        above = any(h.kid == head.kid and h.seq > head.seq and d not in late for d, h in honest.items())
        _require((head.seq in missing.get(head.kid, set())) == above, "a gap that is not known", where)


def _settle(
    reader: Reader, last: int, frames: list[str], talkers: list[Talker], verdicts: list[run.Verdict], where: str
) -> int:
    """After the rest was shown: everything is there, once, and nothing is missing."""
    taken = Counter(v.message.digest for v in verdicts if v.status == "authentic" and v.message)
    _require(not [h for h, n in taken.items() if n > 1], "accepted twice in the end", where)
    rows = reader.rows(last)
    good = Counter(bytes(h) for _, h, state, _ in rows if state == "sent")
    _require(good == Counter(message.decode(one).digest for one in frames), "not all there in the end", where)
    _require(not any(reader.missing().values()), "something is missing in the end", where)
    held = intake.chains(reader.ctx, reader.sph)
    for talker in talkers:
        if talker.seq:
            _require(held[talker.client.account.dv].digest == talker.digest, "another end of a chain", where)
    return max(row[0] for row in rows)


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_schedule_makes_a_message_count_twice(hw: HostileWorld, seed: int) -> None:
    """RUN-002 to RUN-008, RUN-012, CLT-008: every move is refused or silent, every message is shown once."""
    moves = await _play(hw, seed, SCHEDULES // len(SEEDS))
    assert min(moves.values()) > 50  # every kind was tried


async def test_control_without_the_memory_of_what_is_held(hw: HostileWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """RUN-005 taken away: the first schedules find a message that is accepted twice."""
    monkeypatch.setattr(run._Judge, "_sort_out", lambda *_: False)
    with pytest.raises(Judged, match=r"twice|once"):
        await _play(hw, SEEDS[0], 60)


async def test_control_without_signatures_bent_frames_take_a_place(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RUN-003 taken away: a bent frame stands where an honest message should."""
    monkeypatch.setattr(run._Judge, "_signed", lambda *_: True)
    with pytest.raises(Judged):
        await _play(hw, SEEDS[0], 60)


async def _replayed(hw: HostileWorld) -> list[str]:
    """Bo speaks twice; a bent copy of the first takes a row of its own, then the first is shown again."""
    people = await hw.sphere_of("ada", "bo", "cy")
    first = Talker(people["bo"], harbour(people["bo"]).sph)
    frames = [first.say("First"), first.say("Second")]
    reader = Reader(hw, people["cy"], first.sph)
    await reader.take(frames, [_with(frames[0], mid=b64e(bytes(16)))], [frames[0]])
    return texts(people["cy"])


async def test_nothing_shown_again_unmakes_what_was_taken(hw: HostileWorld) -> None:
    """RUN-005: a frame that was refused does not stand in the way of knowing the true one."""
    assert await _replayed(hw) == ["First", "Second"]


# --- the end of a chain ---------------------------------------------------------------------------------------------


async def _without_the_last(hw: HostileWorld) -> dict[str, Client]:
    """Bo says two things; Cy is shown the first only."""
    people = await hw.sphere_of("ada", "bo", "cy")
    sent(await harbour(people["bo"]).send("First"))
    await people["cy"].sync()
    sent(await harbour(people["bo"]).send("Second"))

    def drop(body: Any) -> Any:
        own = people["bo"].account.dv
        heads = [message.decode(one["jws"]).head for one in body["items"]]
        kept = [(head.kid, head.seq) != (own, 2) for head in heads]
        return {**body, "items": [one for one, stays in zip(body["items"], kept, strict=True) if stays]}

    hw.liar.lie(r"GET /v1/spheres/.*/items", drop, address=ADDRESSES["cy"])
    await people["cy"].sync()
    return people


async def _gap_found(client: Client) -> bool:
    return any(one.code == "C_GAP" and "of its list" not in one.text for one in await client.doctor("harbour"))


async def test_a_dropped_end_shows_with_the_next_message(hw: HostileWorld) -> None:
    """RUN-012: nothing can be known of an end that is kept back until something names it."""
    people = await _without_the_last(hw)
    assert not await _gap_found(people["cy"])
    sent(await harbour(people["bo"]).send("Third"))
    await people["cy"].sync()
    assert await _gap_found(people["cy"])
    assert texts(people["cy"]) == ["First", "Third"]
