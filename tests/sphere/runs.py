"""A reader of runs, and small worlds for the tests of chapter 7."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.history import History
from cloister.sphere import message, run
from cloister.sphere.chains import ChainState
from cloister.sphere.run import Page, Verdict
from vectors.generate._sphere import Person, Sphere, Talker

OK, DUP = ("authentic", ""), ("duplicate", "")
DAY = 86400


@dataclass
class Reader:
    """What a member's program does with verdicts: keeps frames that wait, feeds them again when something is named."""

    sphere: Sphere
    history: History | None = None
    chains: dict[str, ChainState] = field(default_factory=dict)
    known: dict[tuple[str, int], bytes] = field(default_factory=dict)
    shown: dict[bytes, str] = field(default_factory=dict)
    codes: dict[bytes, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    frames: dict[bytes, str] = field(default_factory=dict)

    def feed(self, frames: Sequence[str]) -> Page:
        page = self.once(frames)
        while self.kept:
            before = (dict(self.shown), dict(self.chains))
            again = list(self.kept.values())
            self.once(again)
            if before == (self.shown, self.chains):
                break
        return page

    def once(self, frames: Sequence[str]) -> Page:
        history = self.history or self.sphere.history
        page = run.verify_page(frames, history, self.chains, self.sphere.state.sph, self.known)
        self.chains = page.chains
        for verdict, frame in zip(page.verdicts, frames, strict=True):
            self.note(verdict, frame)
        for one in run.open_page(page.verdicts, self.sphere.keys, history):
            assert one.verdict.message is not None
            if one.verdict.status == "authentic" and one.payload:
                if one.verdict.replaces:
                    self.shown.pop(one.verdict.replaces, None)
                self.shown[one.verdict.message.digest] = one.payload.text
        return page

    def note(self, verdict: Verdict, frame: str) -> None:
        got = verdict.message
        if got is None:
            return
        if verdict.status in ("waiting", "version"):
            self.kept[frame] = frame
        else:
            self.kept.pop(frame, None)
        if verdict.status == "authentic":
            self.frames[got.digest] = frame
            if verdict.replaces:  # a successor may still name it
                self.kept[self.frames[verdict.replaces]] = self.frames[verdict.replaces]
            self.known[got.head.kid, got.head.seq] = got.digest
        if verdict.status != "duplicate":
            self.codes[got.digest] = verdict.code


def world(**over: Any) -> tuple[Sphere, Person, Person, Talker]:
    ada, bo = Person("ada"), Person("bo")
    sphere = Sphere(ada, **over)
    sphere.add(ada, bo)
    return sphere, ada, bo, sphere.talker(bo)


def verdicts(sphere: Sphere, frames: Sequence[str], **over: Any) -> list[tuple[str, str]]:
    args: dict[str, Any] = {"history": sphere.history, "chains": {}, "sph": sphere.state.sph, **over}
    return [(v.status, v.code) for v in run.verify_page(frames, **args).verdicts]


def broken(frame: str) -> str:
    """The same message with a signature that does not verify; its hash, and so its place in the chain, stays."""
    body, _, signature = frame.rpartition(".")
    raw = bytearray(b64d(signature))
    raw[5] ^= 1
    return f"{body}.{b64e(bytes(raw))}"


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls = [0]
    real = message.verify

    def verify(one: message.Message, dk: bytes) -> None:
        calls[0] += 1
        real(one, dk)

    monkeypatch.setattr(message, "verify", verify)
    return calls
