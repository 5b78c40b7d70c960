"""Saved evidence: judged with nothing but the file, in the words of the stop it proves (LOG-024)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cloister.cli.commands import verifying
from cloister.cli.start import run
from cloister.errors import LogFork
from vectors.generate._world import Log, Person


def _proof(**changes: Any) -> dict[str, Any]:
    ada = Person("ada")
    log = Log(ada)
    rival = log.make(ada, "invite", log.invite_body("rival"))
    log.do(ada, "invite", log.invite_body("mine"))
    made = {
        "v": 1,
        "kind": "cloister-evidence",
        "code": "C_LOG_FORK",
        "detail": "",
        "at": 1,
        "sph": log.state.sph,
        "past": log.entries[:2],
        "mine": log.entries[2:],
        "theirs": [rival],
        "attach": {},
    }
    return {**made, **changes}


@pytest.fixture(autouse=True)
def _nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody without an account checks the file."""
    for name in [name for name in os.environ if name.startswith(("CLOISTER_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def _check(proof: Any) -> int:
    Path("e.json").write_text(json.dumps(proof))
    return run(["verify", "evidence", "e.json"])


def test_two_signed_histories_are_proven(capfd: pytest.CaptureFixture[str]) -> None:
    assert _check(_proof()) == 8
    shown = capfd.readouterr()
    assert shown.out.startswith("Proven: sphere sp-")
    error = LogFork()
    assert shown.err == f"Stopped: {error.why} {error.next}\n{error.you}\n"


def test_the_machine_form_is_the_same_fault(capfd: pytest.CaptureFixture[str]) -> None:
    Path("e.json").write_text(json.dumps(_proof()))
    assert run(["--json", "verify", "evidence", "e.json"]) == 8
    shown = capfd.readouterr()
    assert json.loads(shown.out)["proves"] == "fork"
    assert json.loads(shown.err)["code"] == "C_LOG_FORK"


def test_a_file_whose_histories_agree_proves_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    proof = _proof()
    assert _check({**proof, "theirs": proof["mine"]}) == 0
    assert "proves nothing" in capfd.readouterr().out


def test_a_forged_entry_is_no_second_history() -> None:
    proof = _proof()
    log = Log(Person("ada"))  # the same bytes: everything here is drawn from the names
    lie = log.make(Person("eve"), "mark", {}, seq=2, prev=log.state.digest)
    assert verifying.judge({**proof, "theirs": [lie]}) == "invalid"


def test_without_the_signature_check_the_forgery_would_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control run: what makes the file worth anything is that every entry is verified again."""
    proof = _proof()
    genuine = proof["theirs"][0]
    head, body, _ = genuine.split(".")
    forged = f"{head}.{body}.{'A' * 86}"
    assert verifying.judge({**proof, "theirs": [forged]}) == "invalid"
    monkeypatch.setattr("cloister.protocol.jws.verify_ed25519", lambda *_: None)
    assert verifying.judge({**proof, "theirs": [forged]}) == "fork"


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        7,
        {},
        {"kind": "cloister-evidence"},
        {"kind": "other"},
        _proof(sph="sp-" + "A" * 43),
        _proof(past=7),
        _proof(past=["x"]),
        _proof(mine=["a.b.c"]),
        _proof(attach=[1]),
        _proof(attach={"!": "x"}),
    ],
)
def test_anything_else_is_said_to_be_no_evidence(wrong: Any, capfd: pytest.CaptureFixture[str]) -> None:
    assert _check(wrong) == 2
    shown = capfd.readouterr()
    assert not shown.out
    assert "is not evidence that Cloister saved" in shown.err
