"""A small mutation fuzzer: seeds, edits, one target, a list of errors that are allowed. Reproducible from its seed.

Compact envelopes and JSON are edited in layers: a part is decoded, its inside edited, and put together again, so that
most inputs get past the outer reader. A finding is an exception that is not allowed, or an input that takes longer than
the watchdog; it is written to ``corpus/<target>/`` and replayed for ever after as a unit test.
"""

from __future__ import annotations

import base64
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import FrameType

CORPUS = Path(__file__).parent / "corpus"
WATCHDOG = 20  # seconds for one input: a hang, not a measurement
TOKENS = [
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b".", b"~", b"=", b" ", b"\0", b"\xff", b"\x80"),
    *(b"0", b"1", b"-1", b"9007199254740992", b"null", b"true", b"false", b"{}", b"[]", b'""', b"1.5", b"[[[[[[[[["),
    *(rb"\ud800", rb"\u0000", b"__proto__", b"constructor", b"id-", b"dv-", b"sp-", b"A" * 43, b"A" * 22, b"=="),
    *(b'"seq":0', b'"ep":4294967295', b'"op":"create"', b'"body":{}', b'"v":1', b'"k":"share"', b'"enc":"none"'),
]


@dataclass(frozen=True)
class Target:
    """``run`` takes any bytes and returns, or raises one of ``allowed``."""

    name: str
    run: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    allowed: tuple[type[Exception], ...]


class Finding(AssertionError):
    """An input that did something else than return or raise an allowed error."""


class _Hang(Exception):
    pass


@contextmanager
def _watchdog() -> Iterator[None]:
    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise _Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, WATCHDOG)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def attempt(target: Target, data: bytes) -> None:
    """One input. Raises Finding, after keeping it."""
    try:
        target.run(data)
    except target.allowed:
        return
    except Exception as error:
        raise Finding(f"{target.name}: {type(error).__name__}: {error} for {_keep(target, data)}") from error


def _keep(target: Target, data: bytes) -> Path:
    path = CORPUS / target.name / sha256(data).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def fuzz(target: Target, seconds: float, seed: int) -> int:
    """Edit and try for about ``seconds``; returns how many inputs were tried."""
    draw = random.Random(f"{target.name} {seed}")
    end, count = time.monotonic() + seconds, 0
    while count == 0 or time.monotonic() < end:
        batch = [edit(draw, draw.choice(target.seeds), target.seeds) for _ in range(64)]
        for data in batch:
            try:
                with _watchdog():
                    attempt(target, data)
            except _Hang:
                raise Finding(f"{target.name}: longer than {WATCHDOG} s for {_keep(target, data)}") from None
        count += len(batch)
    return count


def edit(draw: random.Random, data: bytes, others: tuple[bytes, ...]) -> bytes:
    """One to six edits, in the open or inside a layer."""
    for _ in range(draw.randint(1, 6)):
        data = _layered(draw, data, others) if draw.random() < 0.6 else _flat(draw, data, others)
    return data


def _flat(draw: random.Random, data: bytes, others: tuple[bytes, ...]) -> bytes:
    at = draw.randint(0, len(data))
    end = min(len(data), at + draw.choice((1, 1, 2, 4, 16, 64)))
    match draw.randrange(7):
        case 0:
            return data[:at] + draw.randbytes(1) + data[at + 1 :]
        case 1:
            return data[:at] + draw.choice(TOKENS) + data[at:]
        case 2:
            return data[:at] + draw.choice(TOKENS) + data[end:]
        case 3:
            return data[:at] + data[end:]
        case 4:
            return data[:at] + data[at:end] * draw.choice((2, 2, 3, 200)) + data[end:]
        case 5:
            other = draw.choice(others)
            return data[:at] + other[draw.randint(0, len(other)) :]
        case _:
            return bytes(data[:at]) + bytes(byte ^ (1 << draw.randrange(8)) for byte in data[at:end]) + data[end:]


def _layered(draw: random.Random, data: bytes, others: tuple[bytes, ...]) -> bytes:
    """Pick a base64url word of a compact form or inside JSON, edit what it stands for, write it again."""
    for mark in (b".", b'"', b"~"):
        parts = data.split(mark)
        if len(parts) < 3:
            continue
        at = draw.randrange(len(parts))
        inside = _unwrap(parts[at])
        if inside is None:
            return _flat(draw, data, others)
        changed = edit(draw, inside, (inside,)) if len(inside) > 48 else _flat(draw, inside, (inside,))
        parts[at] = base64.urlsafe_b64encode(changed).rstrip(b"=")
        return mark.join(parts)
    return _flat(draw, data, others)


def _unwrap(part: bytes) -> bytes | None:
    try:
        return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    except ValueError:
        return None
