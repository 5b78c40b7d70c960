"""The import contracts name what they must: a module added tomorrow falls under them without being remembered."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONTRACTS = {
    contract["id"]: contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
}
# What of `account` the relay may know: it verifies, and opens nothing.
VERIFIER_SIDE = {
    "login",
    "session",
    "signup_check",
    "slot_names",
    "srp_group",
    "srp_proof",
    "srp_server",
    "totp",
    "unlock_server",
    "verifier",
}


def test_the_relay_contract_names_every_module_that_opens_anything() -> None:
    modules = {path.stem for path in (ROOT / "src/cloister/account").glob("*.py")} - {"__init__"}
    named = {
        name.removeprefix("cloister.account.")
        for name in CONTRACTS["relay-cannot-read"]["forbidden_modules"]
        if name.startswith("cloister.account.")
    }
    assert modules - named <= VERIFIER_SIDE
    assert not named & VERIFIER_SIDE


def test_the_core_contract_covers_the_core() -> None:
    assert set(CONTRACTS["core-no-io"]["source_modules"]) == {
        "cloister.protocol",
        "cloister.sphere",
        "cloister.account",
        "cloister.grid",
    }
    assert {"socket", "os", "time", "random", "sqlalchemy", "asyncio"} <= set(
        CONTRACTS["core-no-io"]["forbidden_modules"]
    )
