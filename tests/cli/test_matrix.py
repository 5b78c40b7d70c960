"""Every command in the machine form, without colour, without a terminal, and with wrong arguments.

Stdout holds JSON with its version and nothing else; a fault is one JSON object on stderr; the exit code is a listed
one; nothing waits for anybody. The last test covers the whole tree: a command without a row here fails it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloister.cli.start import run
from cloister.errors import words
from tests.cli.stage import Stage
from tests.cli.test_surface import COMMANDS

CODES = {int(code) for code in words("help.exit-codes")}
# Command, exit code with --json --no-input. "A" runs as ada in her sphere; "-" as somebody without an account.
ROWS: list[tuple[str, str, int]] = [
    ("A", "version", 0),
    ("A", "completion bash", 0),
    ("A", "completion tcsh", 2),
    ("A", "sphere ls", 0),
    ("A", "sphere ls --past", 0),
    ("A", "sphere show harbour", 0),
    ("A", "sphere show nowhere", 3),
    ("A", "send harbour Hello", 0),
    ("A", "send harbour", 4),
    ("A", "send harbour Hello --re zzzz", 3),
    ("A", "read harbour", 0),
    ("A", "read harbour --unread", 0),
    ("A", "read harbour --since never", 2),
    ("A", "sphere seen harbour --last", 0),
    ("A", "sphere seen harbour zzzz", 3),
    ("A", "sphere log harbour --limit 3", 0),
    ("A", "sphere carry-on harbour", 3),
    ("A", "sphere encrypt harbour on", 2),
    ("A", "sphere encrypt harbour off", 4),
    ("A", "sphere encrypt harbour off --yes", 2),
    ("A", "sphere public harbour", 3),
    ("A", "sphere public harbour on --dry-run", 0),
    ("A", "sphere policy harbour", 0),
    ("A", "sphere policy harbour --retention never", 2),
    ("A", "sphere policy harbour --guests talk", 0),
    ("A", "sphere title harbour Harbour --dry-run", 0),
    ("A", "keys ls harbour", 0),
    ("A", "keys ask harbour", 0),
    ("A", "keys ask harbour --older", 0),
    ("A", "keys share harbour", 0),
    ("A", "keys share harbour bo", 3),
    ("A", "send harbour Hello --openly", 3),
    ("A", "read -", 2),
    ("A", "people ls harbour", 0),
    ("A", "people role harbour bo admin", 0),
    ("A", "people role harbour bo captain", 2),
    ("A", "people remove harbour bo", 4),
    ("A", "people remove harbour bo --yes", 2),
    ("A", "people remove harbour nobody", 3),
    ("A", "invite harbour --for 1h", 0),
    ("A", "invite harbour --ls", 0),
    ("A", "invite harbour --withdraw zzzz", 3),
    ("A", "join", 4),
    ("A", "join https://x/j#y", 2),
    ("A", "approve harbour", 0),
    ("A", "approve harbour nobody", 3),
    ("A", "outbox ls", 0),
    ("A", "outbox retry", 0),
    ("A", "outbox retry zzzz", 3),
    ("A", "outbox drop zzzz", 3),
    ("A", "outbox drop -Bzz_z", 3),
    ("A", "outbox drop --yes -Bzz_z", 3),
    ("A", "send harbour Hello --re -Bzz", 3),
    ("A", "outbox drop --nonsense", 2),
    ("A", "rotate harbour", 0),
    ("A", "sphere ask harbour", 0),
    ("A", "sphere custody harbour", 0),
    ("A", "sphere custody harbour nowhere", 2),
    ("A", "live ask harbour", 0),
    ("A", "live give harbour --always on", 0),
    ("A", "live give harbour --always perhaps", 2),
    ("A", "export harbour -o keys.txt", 4),
    ("A", "export harbour --check nowhere.txt", 3),
    ("A", "import nowhere.txt", 3),
    ("A", "verify person bo", 0),
    ("A", "verify person nobody", 3),
    ("A", "verify person bo --confirmed", 0),
    ("A", "verify log harbour", 0),
    ("A", "verify evidence missing.json", 3),
    ("A", "verify web http://localhost:1 --record missing.json", 3),
    ("A", "verify evidence x.json --save harbour", 3),
    ("A", "doctor", 0),
    ("A", "doctor harbour", 0),
    ("A", "doctor harbour --mend", 0),
    ("A", "admin health", 0),
    ("A", "admin users ls", 0),
    ("A", "admin signup link --uses 2 --for 1d", 0),
    ("A", "admin signup on", 0),
    ("A", "admin signup off --dry-run", 0),
    ("A", "account devices ls", 0),
    ("A", "account devices rm nothing", 3),
    ("A", "account new ada", 2),
    ("A", "account signin ada", 4),
    ("A", "account password", 4),
    ("A", "account pin set", 4),
    ("A", "account pin remove", 2),
    ("A", "account key-file robot.key", 4),
    ("A", "account key-file robot.key --dry-run", 0),
    ("A", "sphere new Board --dry-run", 0),
    ("A", "sphere new Board --custody nowhere", 2),
    ("A", "sphere leave harbour", 4),
    ("A", "sphere leave harbour --yes=Board", 2),
    ("A", "unlock", 4),
    ("A", "serve --dry-run", 0),
    ("A", "serve --nonsense", 2),
    ("A", "account signout --dry-run", 0),
    ("A", "account signout --wipe", 4),
    ("A", "lock", 0),
    ("A", "sphere ls", 4),
    ("A", "watch", 4),
    ("-", "sphere ls", 4),
    ("-", "read harbour", 4),
    ("-", "doctor", 4),
    ("-", "account new eve", 4),
    ("-", "account signout", 4),
    ("-", "unlock", 4),
    ("-", "join", 4),
]
# Played elsewhere because they go on until stopped: transcripts (watch, serve) and test_demo.
ELSEWHERE = {"cloister demo"}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("matrix")) as stage:
        stage.play("%relay\n%sphere Harbour plan: ada bo\n")
        yield stage


@pytest.mark.parametrize(("who", "line", "code"), ROWS, ids=[f"{who} {line}" for who, line, _ in ROWS])
def test_machine_form(
    stage: Stage,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    who: str,
    line: str,
    code: int,
) -> None:
    env = stage.env("ada" if who == "A" else "nobody")
    for name in [name for name in os.environ if name.startswith(("CLOISTER_", "XDG_"))]:
        monkeypatch.delenv(name)
    for name in ("HOME", "XDG_RUNTIME_DIR", "CLOISTER_SERVER"):
        monkeypatch.setenv(name, env[name])
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(env["HOME"])
    monkeypatch.setattr("sys.stdin", open(os.devnull, encoding="utf-8"))  # noqa: SIM115
    words_ = line.split()
    got = run([*words_[:1], "--json", "--no-input", *words_[1:]])
    shown = capfd.readouterr()
    assert got == code, shown
    assert got in CODES
    assert "\x1b" not in shown.out + shown.err
    for text in shown.out.splitlines():
        assert json.loads(text)["v"] == 1
    if got in (0, 6, 7):
        assert shown.out or line.startswith("read")
    else:
        fault = json.loads(shown.err.splitlines()[-1])
        assert {"v", "code", "why", "next", "you"} <= set(fault) <= {"v", "code", "why", "next", "you", "retry_after"}
        assert all(fault[part] for part in ("why", "next", "you"))


@pytest.mark.parametrize("path", sorted(COMMANDS))
@pytest.mark.parametrize("wrong", ["--no-such-flag", "one two three four five six"])
def test_wrong_arguments_are_refused_before_anything(
    path: str, wrong: str, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    if hasattr(COMMANDS[path], "commands") or (path == "cloister watch" and "--" not in wrong):
        wrong = "--no-such-flag"
    assert run([*path.split()[1:], *wrong.split()]) == 2
    shown = capfd.readouterr()
    assert not shown.out
    assert shown.err.endswith(("--help\n", "\n"))
    assert "Traceback" not in shown.err
    assert not list(tmp_path.iterdir())


def test_no_command_is_missing_here() -> None:
    leaves = {path for path, one in COMMANDS.items() if not hasattr(one, "commands")}
    covered = {path for path in leaves for _, line, _ in ROWS if f"cloister {line} ".startswith(f"{path} ")}
    assert leaves - covered == ELSEWHERE
