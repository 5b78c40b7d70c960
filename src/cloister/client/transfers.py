"""Live transfers under way on this device: in memory alone, gone with the process (LIVE-002)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from cloister.sphere.live import Asking, Given, Message, Offering, Pair


@dataclass
class Asked:
    """An ask of this device, ``jws``, and how many devices it ``reached``. ``offers`` are those not opened yet,
    ``left`` how many more may be opened; ``closed`` once the first was: what comes later is dropped (LIVE-004).
    ``pair`` while an offer is open."""

    asking: Asking
    jws: str
    left: int
    reached: int = 0
    offers: list[Message] = field(default_factory=list)
    closed: bool = False
    pair: Pair | None = None


@dataclass
class Answered:
    """An ask of another device; ``pair`` once it was opened, ``given`` once keys went out."""

    offering: Offering
    pair: Pair | None = None
    given: Given | None = None


@dataclass
class Transfers:
    """Everything under way, by H(SI) of the ask. ``seen``: until when the asks of a device are remembered; ``last``:
    when this device asked; ``by_hand``: spheres where it asks only when told to; ``vain``: devices whose last opened
    offer came to nothing; ``attended``: the spheres in which a person here answers asks, None for all (LIVE-012)."""

    asked: dict[bytes, Asked] = field(default_factory=dict)
    answered: dict[bytes, Answered] = field(default_factory=dict)
    seen: dict[str, dict[bytes, int]] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    by_hand: set[str] = field(default_factory=set)
    vain: set[str] = field(default_factory=set)
    attended: frozenset[str] | None = None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def stop(self) -> None:
        """End what goes on beside everything else."""
        for task in self.tasks:
            task.cancel()
