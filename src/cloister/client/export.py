"""Saving a sphere's keys outside this program, checking that they were saved, and taking them back.

What is saved is a text and a code that opens it; the sphere counts as saved only when the text was read back and found
to hold what is here. What is taken back is believed by nobody: the own verified log decides, key by key.

Knows no file: texts come and go as strings. Spec: CLT-060, EXP-006 to EXP-008.
"""

from __future__ import annotations

import asyncio

from cloister.account import password as passwords
from cloister.client import expiry, keys, memory
from cloister.client.context import Context
from cloister.client.records import Imported, SavedInfo, SavedKeys
from cloister.client.replica import Replica
from cloister.errors import CommitmentMismatch, NotFound, UsageError
from cloister.sphere import export


async def save(ctx: Context, rep: Replica, passphrase: str = "") -> SavedKeys:
    """The text with every key of a sphere that is here, and its code; with ``passphrase`` that opens it instead.

    Nothing counts as saved by this (``check``). Raises UsageError without a key, WeakPassword.
    """
    if not rep.keys:
        raise UsageError("no key of this sphere is here")
    code = "" if passphrase else export.new_code(ctx.rng)
    secret = export.read_words(passphrase) if passphrase else export.read_code(code)
    if passphrase:
        passwords.check_new(secret.data.decode(), ctx.login)
    held = list(rep.keys.values())
    text = await asyncio.to_thread(export.seal, held, secret, iat=ctx.now(), rng=ctx.rng)
    return SavedKeys(rep.sph, text, code, tuple(sorted(rep.keys)))


def look(ctx: Context, text: str) -> SavedInfo:
    """What a text says of itself, unopened and unproven. Raises FormatError, Downgrade."""
    found = export.parse(text)
    return SavedInfo(found.sph, found.by, found.eps, found.iat, ctx.store.row("sphere", found.sph) is not None)


async def check(ctx: Context, rep: Replica, text: str, typed: str) -> int:
    """Read a saved text back: it opens with what was ``typed`` and holds every key that is here up to the newest that
    is in both, whose number is returned and remembered (CLT-060). Numbers that no key here confirms count for nothing.

    Raises FormatError, Downgrade, VaultError (another code), DecryptFailed (changed), CommitmentMismatch (another
    sphere's, or not these keys).
    """
    parsed = export.parse(text)
    if parsed.sph != rep.sph:
        raise CommitmentMismatch("the text is another sphere's")
    found = await asyncio.to_thread(export.open, parsed, export.read_secret(parsed, typed))
    both = found.keys() & rep.keys.keys()
    upto = max(both, default=0)
    if not both or any(found.get(n) != key.secret for n, key in rep.keys.items() if n <= upto):
        raise CommitmentMismatch("the text does not hold the keys that are here")
    memory.set_setting(ctx, f"saved.{rep.sph}", {"n": upto, "at": ctx.now()})
    return upto


def saved(ctx: Context, sph: str) -> int:
    """The newest key that a checked text of a sphere holds; 0 when it was never saved."""
    found = memory.setting(ctx, f"saved.{sph}")
    return int(found["n"]) if found else 0


async def take(ctx: Context, text: str, typed: str) -> Imported:
    """Take the keys of a saved text back (CLT-060). Raises what ``check`` does, and NotFound when this device does not
    know the sphere; CommitmentMismatch when not one key of it is the sphere's.
    """
    parsed = export.parse(text)
    if ctx.store.row("sphere", parsed.sph) is None:
        raise NotFound("this account is not in the sphere of the text")
    found = await asyncio.to_thread(export.open, parsed, export.read_secret(parsed, typed))
    async with ctx.profile.writer(parsed.sph):
        rep = ctx.replica(parsed.sph)
        if rep.history is None:
            said = export.Recognised((), tuple(found), ())
        else:
            said = export.recognise(found, rep.history, rep.sph)
        had = set(rep.keys)
        with ctx.store.step() as events:
            for n in said.unknown:
                keys.waiting(ctx, "kept", rep.sph, n, found[n])
            new = keys.keep(ctx, rep, said.keys, events) if said.keys else []
    if said.refused and not said.keys and not said.unknown:
        raise CommitmentMismatch("the keys of the text are not those of this sphere")
    let_go = tuple(key.n for key in said.keys if key.n <= expiry.shredded(rep))
    return Imported(
        parsed.sph,
        tuple(new),
        tuple(key.n for key in said.keys if key.n in had),
        said.unknown,
        said.refused,
        let_go,
    )
