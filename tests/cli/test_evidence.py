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
from cloister.protocol import jws
from cloister.protocol.encoding import b64e
from vectors.generate._world import NOW, Log, Person


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


def _share(signer: Person, **over: Any) -> str:
    """A letter that carries a key, from ``signer``'s device."""
    dev = signer.dev
    fixed = {"sph": _proof()["sph"], "iat": NOW, "jti": b64e(bytes(16))}
    to = {"idR": Person("cy").handle, "dvR": Person("cy").dev.dv, "kem": "p384", "ct": b64e(bytes(145))}
    return jws.sign("sph-p2p+1", {"kid": dev.dv}, {"k": "share", **fixed, "n": 1, **to, **over}, dev.signer)


def _wrong_share(*shares: str) -> dict[str, Any]:
    proof = _proof(code="C_KC_MISMATCH", shares=list(shares))
    return {name: value for name, value in proof.items() if name not in ("mine", "theirs")}


def test_a_share_that_held_a_wrong_key_names_who_signed_it(capfd: pytest.CaptureFixture[str]) -> None:
    """CLT-017: signed by a member's device; what it holds is the word of the device that opened it."""
    assert _check(_wrong_share(_share(Person("ada")))) == 8
    shown = capfd.readouterr()
    assert shown.out.startswith("Members of sphere sp-")
    assert "nobody else can open them" in shown.err


@pytest.mark.parametrize("weak", [False, True], ids=["", "control"])
def test_a_share_that_somebody_else_signed_is_no_evidence(monkeypatch: pytest.MonkeyPatch, weak: bool) -> None:
    """The control verifies no signature."""
    head, body, _ = _share(Person("ada")).split(".")
    forged = f"{head}.{body}.{'A' * 86}"
    if weak:
        monkeypatch.setattr("cloister.protocol.jws.verify_ed25519", lambda *_: None)
        assert verifying.judge(_wrong_share(forged)) == "share"
        return
    for wrong in (
        forged,
        _share(Person("eve")),
        _share(Person("ada"), n=7),
        _share(Person("ada"), sph="sp-" + "A" * 43),
    ):
        with pytest.raises(ValueError, match=r"^$"):
            verifying.judge(_wrong_share(wrong))
    assert verifying.judge(_wrong_share()) == "nothing"


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
