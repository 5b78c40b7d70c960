"""verify: compare people and histories; check a saved proof without trusting who saved it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloister.cli.commands.people import digit_rows
from cloister.cli.escape import escape
from cloister.cli.faults import NOT_FOUND, STOPPED, USAGE, Refused
from cloister.cli.output import say
from cloister.cli.shell import Shell, opened, synced
from cloister.errors import CloisterError, NotFound, NotMember

if TYPE_CHECKING:
    from cloister.client import Client, Sphere
    from cloister.client.records import Person

MAX_EVIDENCE = 64 << 20


async def person(shell: Shell, who: str, where: str, *, confirmed: bool) -> None:
    """60 digits, and whether they match."""
    async with opened(shell) as client:
        await synced(shell, client)
        sphere, one = _find(client, who, where)
        if one.me:
            raise Refused("verify-self")
        digits = sphere.safety_number(one)
        rows, name = digit_rows(digits), one.name
        if shell.out.json and not confirmed:
            shell.out.result({"id": one.id, "name": name, "known": one.known, "digits": digits})
            return
        if not confirmed:
            shell.out.note(say("verify.why", name=name))
        shell.out.result({"id": one.id, "digits": digits, "confirmed": confirmed}, *(f"  {row}" for row in rows))
        if shell.would("would.confirm", name=name):
            return
        if not confirmed:
            if shell.secrets.terminal is None:
                shell.out.note(say("verify.later", name=name))
                return
            answer = shell.secrets.ask("ask.match", name=name).lower()
            if answer in ("n", "no"):
                await sphere.confirm(one, False)
                raise Refused("digits-differ", STOPPED, code="C_KEY_CHANGED", name=name)
            if answer not in ("y", "yes"):
                shell.out.note(say("verify.later", name=name))
                return
        await sphere.confirm(one)
        shell.out.note(say("done.confirmed", name=name))


def _find(client: Client, who: str, where: str) -> tuple[Sphere, Person]:
    """The person by name in one sphere or in any. Raises NotFound, UsageError (several)."""
    if where:
        sphere = client.sphere(where)
        return sphere, sphere.person(who)
    found: dict[str, tuple[Sphere, Person]] = {}
    for info in client.spheres():
        if info.status != "active":
            continue
        sphere = client.sphere(info.sph)
        try:
            one = sphere.person(who)
        except (NotFound, NotMember):
            continue
        found.setdefault(one.id, (sphere, one))
    if not found:
        raise Refused("no-person", NOT_FOUND, name=who)
    if len(found) > 1:
        raise Refused("many-people", USAGE, name=who)
    return next(iter(found.values()))


async def log(shell: Shell, name: str) -> None:
    """The head code of a sphere's log."""
    async with opened(shell) as client:
        await synced(shell, client)
        sphere = client.sphere(name)
        info = sphere.info
        code = "".join(c for c in sphere.head_code() if c.isdigit())
        groups = " ".join(code[i : i + 5] for i in range(0, len(code), 5))
        shell.out.result({"sphere": sphere.sph, "entries": info.seq + 1, "code": code}, f"  {groups}")
        shell.out.note(say("verify.log", title=info.title, n=info.seq + 1))
        if info.stop is not None:
            shell.out.stop(info.stop)
            shell.exit_code = STOPPED


async def save(shell: Shell, file: str, name: str) -> None:
    """Write the evidence of a stopped sphere."""
    async with opened(shell) as client:
        sphere = client.sphere(name)
        proof = sphere.evidence()
        if shell.would("would.save", file=file):
            return
        _write(file, proof)
        shell.out.result({"file": file, "code": proof["code"]}, say("done.saved", file=file))


def _write(file: str, proof: dict[str, Any]) -> None:
    """A new file; an existing one is not touched. Raises Refused."""
    try:
        with Path(file).expanduser().open("x", encoding="utf-8") as out:
            json.dump(proof, out, indent=1)
    except OSError as error:
        raise Refused("file", 1, code="L_DISK", file=file, reason=error.strerror or "") from None


def evidence(shell: Shell, file: str) -> None:
    """Check a saved proof with nothing but the file. Exit 8 with the stop's text when it proves one."""
    path = Path(file).expanduser()
    try:
        if path.stat().st_size > MAX_EVIDENCE:
            raise Refused("evidence-form", USAGE, file=str(path))
        proof = json.loads(path.read_text("utf-8"))
        verdict = judge(proof)
    except OSError as error:
        raise Refused("file", NOT_FOUND, file=str(path), reason=error.strerror or "") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Refused("evidence-form", USAGE, file=str(path)) from None
    if verdict == "nothing":
        shell.out.result({"proves": None}, say("verify.nothing"))
        return
    shell.out.result(
        {"proves": verdict, "sphere": str(proof["sph"])},
        say(f"verify.proves-{verdict}", sph=escape(str(proof["sph"])[:9])),
    )
    if verdict == "share":
        shell.out.note(say("verify.share-only"))
        shell.exit_code = STOPPED
        return
    code = {"fork": "C_LOG_FORK", "invalid": "C_LOG_INVALID", "rollback": "C_LOG_ROLLBACK"}.get(verdict)
    if code is None:
        shell.out.note(say("verify.claim-only"))
        code = str(proof["code"])
    raise _stop(code)


def _stop(code: str) -> CloisterError:
    from cloister.errors import CheckFailed, LogInvalid, all_subclasses

    return all_subclasses(CheckFailed).get(code, LogInvalid)()


def judge(proof: Any) -> str:
    """fork, invalid, rollback, share, claim or nothing: what the signed parts of ``proof`` show by themselves.

    share: a device of the sphere signed a share; what it holds can be seen by the device alone that it was sealed to.
    """
    from cloister.errors import CheckFailed, CommitmentMismatch, RelayError
    from cloister.protocol import entry as entries
    from cloister.protocol import machine
    from cloister.protocol.encoding import b64d

    if not isinstance(proof, dict) or proof.get("kind") != "cloister-evidence":
        raise ValueError
    if not isinstance(proof["sph"], str) or not isinstance(proof["code"], str):
        raise ValueError
    if not all(isinstance(proof.get(side) or [], list) for side in ("past", "mine", "theirs", "shares")):
        raise ValueError
    try:
        attached = {b64d(h): str(compact) for h, compact in dict(proof.get("attach", {})).items()}
    except CheckFailed:
        raise ValueError from None

    def walk(compacts: list[str]) -> list[bytes]:
        state, digests = None, []
        for compact in compacts:
            one = entries.decode(compact)
            state = machine.genesis(one) if state is None else machine.apply(state, one, attached)
            digests.append(one.digest)
        if digests and state is not None and state.sph != proof["sph"]:
            raise ValueError
        return digests

    past, mine, theirs = proof.get("past", []), proof.get("mine"), proof.get("theirs")
    if theirs is None and proof["code"] == CommitmentMismatch.code:
        return "share" if _signed_shares(proof["sph"], past, attached, proof["shares"]) else "nothing"
    if theirs is None:
        return "claim" if proof["code"] else "nothing"
    try:
        one = walk([*past, *(mine or [])])
    except (CheckFailed, RelayError):
        raise ValueError from None
    try:
        two = walk([*past, *theirs])
    except (CheckFailed, RelayError):
        return "invalid"
    if any(a != b for a, b in zip(one, two, strict=False)):
        return "fork"
    return "rollback" if len(two) < len(one) else "nothing"


def _signed_shares(sph: str, past: list[str], attached: Mapping[bytes, str], shares: list[str]) -> bool:
    """Whether every share is one that a device of the log signed, of an epoch of the log. Raises ValueError."""
    from cloister.errors import CheckFailed, RelayError
    from cloister.protocol import entry as entries
    from cloister.protocol import jws, machine, p2p
    from cloister.protocol.history import History

    try:
        first, *more = [entries.decode(compact) for compact in past]
        state = machine.genesis(first)
        log = History(state)
        for one in more:
            state = machine.apply(state, one, attached)
            log.append(state)
        if state.sph != sph:
            raise ValueError
        for letter in map(p2p.decode, shares):
            jws.verify_ed25519(letter.envelope, log.key_of(letter.kid))
            if letter.k != "share" or letter.sph != sph:
                raise ValueError
            log.epoch(letter.body["n"])
    except (CheckFailed, RelayError):
        raise ValueError from None
    return bool(shares)
