"""One load on one room: who sends when, what arrives, how long it took and what was lost.

Closed loop: every member has one message in flight and sends the next when the last one is acknowledged. Rate: the
members take turns, ``rate`` messages a second in all. A *delivery* is the arrival of a message at a member; its
latency runs from the sender's write to the receiver's read, both in this process. Every member counts; some members
(``SAMPLED``, all at low rates) also look which message it was, and the first one keeps the set of all of them, so
that a loss hidden by a double would still be seen.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from typing import Protocol

SAMPLED = 4
BODY = 1024


class Member(Protocol):
    """What a target gives for each member. ``say(k)`` sends the member's k-th message, k from 0."""

    def say(self, k: int) -> None: ...


@dataclass
class Load:
    """State of a run. Targets call ``arrived`` for messages they looked at, ``counted`` for others, ``acked``."""

    n: int
    limit: int  # messages each member may send
    sample: int
    sent_at: list[list[float]] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    latencies: list[tuple[float, float]] = field(default_factory=list)
    acks: list[float] = field(default_factory=list)
    first: set[tuple[int, int]] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    stopping: bool = True
    closed: bool = True

    def __post_init__(self) -> None:
        self.sent_at = [[] for _ in range(self.n)]
        self.received = [0] * self.n

    def arrived(self, receiver: int, sender: int, k: int) -> None:
        self.received[receiver] += 1
        sent = self.sent_at[sender][k]
        self.latencies.append((sent, time.perf_counter() - sent))
        if receiver == 0:
            self.first.add((sender, k))

    def counted(self, receiver: int, count: int) -> None:
        self.received[receiver] += count

    def send(self, i: int) -> None:
        k = len(self.sent_at[i])
        if k >= self.limit:
            return
        self.sent_at[i].append(time.perf_counter())
        self.members[i].say(k)

    def acked(self, i: int) -> None:
        self.acks.append(time.perf_counter())
        if self.closed and not self.stopping:
            self.send(i)

    @property
    def sent(self) -> int:
        return sum(len(one) for one in self.sent_at)


def cpu(pid: int) -> float:
    """Processor seconds of a process so far."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    """Proportional set size in MiB."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:")) / 1024


def percentile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]


async def run(load: Load, pid: int, *, seconds: float, warm: float, rate: float | None) -> dict[str, float | int | str]:
    """Drive the load; ``rate`` None is the closed loop."""
    load.closed = rate is None
    load.stopping = False
    began = time.perf_counter()
    if rate is None:
        for i in range(load.n):
            load.send(i)
        await asyncio.sleep(warm)
    start, used, own = time.perf_counter(), cpu(pid), time.process_time()
    if rate is None:
        await asyncio.sleep(seconds)
    else:
        total = int(seconds * rate)
        for step in range(total):
            await asyncio.sleep(max(0.0, start + step / rate - time.perf_counter()))
            load.send(step % load.n)
    end, used, own = time.perf_counter(), cpu(pid) - used, time.process_time() - own
    load.stopping = True
    size = memory(pid)
    expected = 0
    for _ in range(400):  # until everything is there; given up only after a second in which nothing came
        expected = load.sent
        if all(count == expected for count in load.received) and len(load.acks) == expected:
            break
        before = sum(load.received)
        await asyncio.sleep(0.05)
        if _ > 40 and sum(load.received) == before:
            await asyncio.sleep(1)
            if sum(load.received) == before:
                break
    acked = sum(start <= at < end for at in load.acks)
    took = sorted(took for sent, took in load.latencies if start <= sent < end)
    span = end - start
    return {
        "sends": acked,
        "seconds": round(span, 3),
        "sends_per_s": round(acked / span, 1),
        "p50_ms": round(percentile(took, 0.5) * 1000, 2),
        "p99_ms": round(percentile(took, 0.99) * 1000, 2),
        "sampled": len(took),
        "sent": expected,
        "lost": sum(max(0, expected - count) for count in load.received),
        "doubled": sum(max(0, count - expected) for count in load.received),
        "distinct": len(load.first),
        "cpu_ms_per_send": round(used / max(1, acked) * 1000, 4),
        "server_cores": round(used / span, 2),
        "driver_cores": round(own / span, 2),
        "memory_mib": round(size, 1),
        "faults": "; ".join(load.faults[:3]),
        "began": round(start - began, 3),
    }
