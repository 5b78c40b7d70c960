"""The doctor: what is right and what is not, found without changing anything.

Each finding names its object and, when something is wrong, the code whose words say what to do. Reads the store and,
when it can be reached, the relay's public facts.

Spec: CLT-031, CLT-037, CLT-038, CLT-043.
"""

from __future__ import annotations

import json

from cloister.account.vault import Vault, opener_kinds
from cloister.client import heads, holders, intake, keys, memory, older, outbox, people, removal, signing, stream
from cloister.client.context import Context
from cloister.client.records import Finding
from cloister.client.replica import Replica
from cloister.errors import CloisterError
from cloister.sphere import chains

# A clock further from the relay's than this is worth saying, though it breaks nothing.
SKEW = 600


async def examine(ctx: Context, vault: Vault, sph: str | None) -> list[Finding]:
    """All findings, the account's first; only one sphere's with ``sph``."""
    found = [] if sph else [*_profile(ctx, vault), *await _relay(ctx, vault), *_account(ctx)]
    for one in [sph] if sph else [row[0] for row in ctx.store.rows("sphere")]:
        found += _sphere(ctx, ctx.replica(one))
    return found


def _profile(ctx: Context, vault: Vault) -> list[Finding]:
    mode = ctx.profile.folder.stat().st_mode & 0o777
    kinds = ", ".join(sorted(opener_kinds(vault)))
    integrity = ctx.store.one("PRAGMA quick_check")
    intact = integrity is not None and integrity[0] == "ok"
    return [
        Finding(
            "profile", not mode & 0o077, f"folder mode {mode:03o}, opens by {kinds}", "L_DISK" if mode & 0o077 else ""
        ),
        Finding("store", intact, "whole" if intact else "damaged", "" if intact else "L_DISK"),
    ]


async def _relay(ctx: Context, vault: Vault) -> list[Finding]:
    try:
        info = await signing.server(ctx.relay, vault.realm)
    except CloisterError as error:
        return [Finding("server", False, f"{ctx.relay.origin} does not answer as expected", error.code)]
    skew = int(info.now - ctx.clock())
    return [
        Finding("server", True, f"{ctx.relay.origin} answers, sign-up is {info.signup}"),
        Finding("clock", abs(skew) <= SKEW, f"this machine is {abs(skew)} s {'behind' if skew > 0 else 'ahead'}"),
    ]


def _account(ctx: Context) -> list[Finding]:
    log = memory.klog(ctx)
    rows = [Finding("account", ctx.dv in log.devices, f"{ctx.login}, {len(log.devices)} active devices")]
    if ctx.store.get("retired"):
        rows.append(Finding("device", False, "a copy of this device has spoken", "L_RETIRED"))
    if ctx.dv in memory.revoked(ctx):
        rows.append(Finding("device", False, "this device was removed: a signed entry says so", "L_REVOKED"))
    elif ctx.store.get(removal.SHUT_OUT):
        said = "the server takes this device no more; no signed entry that it shows says why"
        rows.append(Finding("device", False, said, "E_AUTH"))
    if ctx.store.get("revoking"):
        rows.append(Finding("device", False, "removing a device is not finished", "L_MASTER_KEY"))
    if ctx.store.get("mk_due"):
        rows.append(Finding("keys", False, "another device made a new master key", "L_MASTER_KEY"))
    return rows


def _keys(ctx: Context, rep: Replica, name: str) -> list[Finding]:
    """Which keys are missing, who can supply them, and who sent a wrong one (CLT-043)."""
    missing, rows = keys.missing(ctx, rep), []
    for n in missing[:8]:
        who = ", ".join(holders.names(ctx, rep, n)[:4]) or "nobody who is still here"
        at = rep.note.get("asked", {}).get(str(n), {}).get("at")
        asked = f", asked {max(0, ctx.now() - int(at)) // 60} minutes ago" if at else ""
        rows.append(Finding(name, False, f"key {n} is missing; {who} can supply it{asked}", "C_KEY_UNKNOWN", rep.sph))
    if len(missing) > 8:
        rows.append(Finding(name, False, f"{len(missing) - 8} more keys are missing", "C_KEY_UNKNOWN", rep.sph))
    if not missing:
        rows.append(Finding(name, True, f"{len(rep.keys)} keys here", "", rep.sph))
    for who, n in holders.wrong(ctx, rep):
        healed = n in rep.keys
        said = f"{who} signed another key {n} than this sphere's; the proof is kept" + (
            "; the right one is here" * healed
        )
        rows.append(Finding(name, healed, said, "" if healed else "C_KC_MISMATCH", rep.sph))
    for wish in older.wishes(ctx, rep):
        listed = ", ".join(map(str, wish.ns[:8]))
        rows.append(Finding(name, True, f"{wish.name} asks for older keys: {listed}", "", rep.sph))
    return rows


def _sphere(ctx: Context, rep: Replica) -> list[Finding]:
    name, rows = rep.note.get("title", "") or rep.note.get("label", "") or rep.sph[:9], []
    if rep.stop is not None:
        rows.append(Finding(name, False, "sending is stopped", rep.stop.code, rep.sph))
    if rep.state is None or rep.history is None:
        return [*rows, Finding(name, True, rep.status, "", rep.sph)]
    state, history = rep.known
    rows.append(Finding(name, True, f"log of {history.seq + 1} entries verified", "", rep.sph))
    if rep.note.get("refused"):
        rows.append(Finding(name, False, "the server refuses; no signed entry shows a removal", "E_FORBIDDEN", rep.sph))
    rows += _keys(ctx, rep, name)
    if not rep.note.get("confirmed", True):
        rows.append(Finding(name, True, "not yet confirmed by the inviter", "", rep.sph))
    lost = 0
    for chain in intake.chains(ctx, rep.sph).values():
        lost += sum(g.last - g.first + 1 for g in chains.gaps(chain, state.policy, ctx.now()) if not g.silent)
    rows.append(
        Finding(
            name, not lost, f"{lost} messages missing" if lost else "chains whole", "C_GAP" if lost else "", rep.sph
        )
    )
    for first, last in stream.left_out(rep):
        where = f"position {first}" if first == last else f"positions {first} to {last}"
        rows.append(Finding(name, False, f"the server shows nothing at {where} of its list", "C_GAP", rep.sph))
    if stream.hidden(rep):
        said = f"the server names position {stream.hidden(rep)} of its list and does not show what leads up to it"
        rows.append(Finding(name, False, said, "C_GAP", rep.sph))
    for verdict, dv, by, short in heads.open_ones(ctx, rep):
        owner, signer = (people.name_of(ctx.store, state, one) for one in (history.owner_of(dv), by))
        what = f"{short} more messages" if verdict == "short" else "another last message"
        said = f"{signer} signed that {owner} has sent {what} than the server shows here"
        rows.append(Finding(name, False, said, "C_GAP" if verdict == "short" else "C_REPLAY", rep.sph))
    for code, count in ctx.store.all(
        "SELECT code, count(*) FROM message WHERE sph = ? AND state IN ('damaged', 'quarantined') GROUP BY code",
        rep.sph,
    ):
        rows.append(Finding(name, False, f"{count} messages did not pass their check", code, rep.sph))
    for item, state_, data in ctx.store.all("SELECT id, state, data FROM outbox WHERE sph = ?", rep.sph):
        code = json.loads(data)["code"]
        rows.append(Finding(name, state_ != "failed", f"{item[:8]} {state_}", code or "L_QUEUED", rep.sph))
    if outbox.soft_mark(ctx, rep):
        rows.append(Finding(name, True, "a new key is due with the next message", "", rep.sph))
    return rows
