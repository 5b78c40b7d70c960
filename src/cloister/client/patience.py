"""A relay that asks to be left alone for a while gets that: nothing waiting in the sphere is sent before (CLT-064).

In memory, by the event loop's clock: a new process asks once and is told again.
"""

from __future__ import annotations

import asyncio
from typing import Final

from cloister.client.context import Context
from cloister.errors import CloisterError

# No relay is waited for longer than this, in seconds.
LONGEST: Final = 300.0
# Whoever has just written something waits with it for so long, so often: a race is settled in that time (STR-009).
SHORT: Final = 5.0
TRIES: Final = 3


def note(ctx: Context, sph: str, error: CloisterError) -> None:
    """Remember what a refusal asks for."""
    if error.retry_after:
        ctx.patience[sph] = asyncio.get_running_loop().time() + min(LONGEST, error.retry_after)


def left(ctx: Context, sph: str) -> float:
    """Seconds that the relay still wants nothing sent in a sphere; 0 when it may be asked."""
    left = ctx.patience.get(sph, 0.0) - asyncio.get_running_loop().time()
    if left <= 0:
        ctx.patience.pop(sph, None)
    return max(0.0, left)
