"""``doctor`` and ``verify …``."""

from __future__ import annotations

import json
from pathlib import Path

from cloister.cli import shown
from cloister.cli.commands.joining import digit_rows
from cloister.cli.faults import FAILED, NOT_FOUND, STOPPED, Refused
from cloister.cli.output import columns, say
from cloister.cli.shell import Shell, opened
from cloister.cli.traffic import catch_up
from cloister.errors import CheckFailed, CloisterError, LogFork, all_subclasses, words

MAX_EVIDENCE = 64 * 1024 * 1024


async def doctor(shell: Shell, name: str) -> None:
    """Findings, faulty ones with what to do."""
    async with opened(shell) as client:
        report = await client.sync()
        found = await client.doctor(name or None)
    faulty = [one for one in found if not one.ok]
    table = [
        [say("doctor.ok" if one.ok else "doctor.bad"), shell.out.name(one.topic), shell.out.name(one.text)]
        for one in found
    ]
    value = {"findings": [shown.record(one) for one in found], "offline": report.offline, "ok": not faulty}
    shell.out.result(value, *columns(table))
    for code in dict.fromkeys(one.code for one in faulty if one.code):
        try:
            entry = words(code)
        except KeyError:
            continue
        shell.out.note(f"{code}: {entry['why']} {entry['next']} {entry['you']}")
    if faulty:
        shell.exit_code = FAILED
    elif not shell.out.json:
        shell.out.note(say("doctor.well"))


async def verify_person(shell: Shell, name: str, person: str, confirmed: bool) -> None:
    """The safety number of a person, and on a terminal the question whether it matches."""
    async with opened(shell) as client:
        await catch_up(shell, client)
        sphere = client.sphere(name)
        who = sphere.person(person)
        if who.me:
            raise Refused("verify-yourself")
        digits = sphere.safety_number(who)
        value = {"person": who.id, "name": who.name, "digits": digits}
        if confirmed:
            await sphere.confirm(who)
            await catch_up(shell, client)
            shell.out.result({**value, "confirmed": True}, say("result.confirmed", name=who.name))
            return
        shell.out.note(say("verify.compare", name=who.name))
        shell.out.result({**value, "confirmed": who.known == "confirmed in person"}, *digit_rows(digits))
        if shell.out.json or shell.secrets.terminal is None:
            return
        answer = shell.secrets.ask("ask.match-or-later", name=who.name).lower()
        if answer.startswith("y"):
            await sphere.confirm(who)
            await catch_up(shell, client)
            shell.out.note(say("result.confirmed", name=who.name))
        elif answer.startswith("n"):
            await sphere.confirm(who, False)
            shell.exit_code = STOPPED
            shell.out.note(say("verify.differ", name=who.name))


async def verify_log(shell: Shell, name: str) -> None:
    """Fetch and check the history, then the code of its head."""
    async with opened(shell) as client:
        await catch_up(shell, client)
        sphere = client.sphere(name)
        info = sphere.info
        if info.stop is not None:
            raise all_subclasses()[info.stop.code](info.stop.detail)
        code = sphere.head_code()
    groups = code.split()
    shell.out.result(
        {"sphere": info.sph, "entries": info.seq + 1, "code": code},
        say("verify.log", count=info.seq + 1, title=info.title),
        *["  " + " ".join(groups[i : i + 3]) for i in range(0, len(groups), 3)],
    )
    shell.out.note(say("verify.log-how"))


async def verify_evidence(shell: Shell, source: str, save: str) -> None:
    """Check a file, or save a sphere's evidence."""
    if not save:
        check_evidence(shell, source)
        return
    async with opened(shell) as client:
        sphere = client.sphere(source)
        found = sphere.evidence()
    path = Path(save).expanduser()
    try:
        with path.open("x", encoding="utf-8") as file:
            json.dump(found, file, indent=1)
    except FileExistsError:
        raise Refused("file-exists", path=save) from None
    except OSError as error:
        raise Refused("file-write", FAILED, code="L_DISK", path=save, reason=error.strerror) from None
    shell.out.result({"path": save, "code": found["code"]}, say("result.evidence", path=save))


def check_evidence(shell: Shell, source: str) -> None:
    """Check saved evidence with nothing but the file. Raises the proven fault; Refused when it proves none."""
    from cloister.protocol import entry, fork
    from cloister.protocol.encoding import b64d
    from cloister.protocol.history import History

    try:
        path = Path(source).expanduser()
        if path.stat().st_size > MAX_EVIDENCE:
            raise Refused("file-large", 10, code="E_TOO_LARGE", path=source)
        found = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise Refused("file-read", NOT_FOUND, path=source, reason=error.strerror) from None
    except (ValueError, RecursionError):
        raise Refused("evidence-form", path=source) from None
    if not isinstance(found, dict) or found.get("kind") != "cloister-evidence":
        raise Refused("evidence-form", path=source)
    try:
        attached = {b64d(h): str(jws) for h, jws in found.get("attach", {}).items()}
        past = [str(one) for one in found.get("past", [])]
        chains = [[str(one) for one in found[side]] for side in ("mine", "theirs") if isinstance(found.get(side), list)]
        digests = []
        for chain in chains:
            state = fork.replay([*past, *chain], attached)
            digests.append((state.sph, [entry.decode(one) for one in chain]))
    except CheckFailed as error:
        raise Refused("evidence-proves-nothing", FAILED, path=source, reason=error.code) from None
    except (ValueError, TypeError, AttributeError, KeyError):
        raise Refused("evidence-form", path=source) from None
    del History
    if len(digests) == 2 and digests[0][0] == digests[1][0]:
        theirs = {one.seq: one.digest for one in digests[1][1]}
        for one in digests[0][1]:
            if one.seq in theirs and theirs[one.seq] != one.digest:
                shell.out.result(
                    {"proven": "C_LOG_FORK", "sphere": digests[0][0], "seq": one.seq},
                    say("verify.fork-proven", seq=one.seq, sphere=digests[0][0]),
                )
                raise LogFork("")
    shell.out.result(
        {"proven": None, "claimed": str(found.get("code"))}, say("verify.claim-only", code=str(found.get("code")))
    )
    kinds = all_subclasses(CloisterError)
    if found.get("code") in kinds:
        raise kinds[found["code"]]("")
