"""Live transfers under way on this device: in memory alone, gone with the process (LIVE-002)."""

from __future__ import annotations

from dataclasses import dataclass, field

from cloister.sphere.live import Asking, Given, Offering, Pair


@dataclass
class Asked:
    """An ask of this device; ``pair`` from the moment an offer was opened."""

    asking: Asking
    pair: Pair | None = None


@dataclass
class Answered:
    """An ask of another device; ``pair`` once it was opened, ``given`` once keys went out."""

    offering: Offering
    pair: Pair | None = None
    given: Given | None = None


@dataclass
class Transfers:
    """Everything under way, by H(SI) of the ask. ``seen``: until when an ask is remembered; ``last``: when this
    device asked; ``by_hand``: spheres where it asks only when told to."""

    asked: dict[bytes, Asked] = field(default_factory=dict)
    answered: dict[bytes, Answered] = field(default_factory=dict)
    seen: dict[bytes, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    by_hand: set[str] = field(default_factory=set)
