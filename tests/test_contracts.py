"""The import contracts name what they must: a module added tomorrow falls under them without being remembered."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

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
# What of `grid` it may know: tokens as anybody sees them, and whose they are.
PUBLIC_SIDE = {
    "envelope",
    "inspector",
    "keys",
    "places",
    "pouch",
    "public",
    "recognise",
    "timeline",
    "v1_jws",
}


@pytest.mark.parametrize(("package", "open_to_it"), [("account", VERIFIER_SIDE), ("grid", PUBLIC_SIDE)])
def test_the_relay_contract_names_every_module_that_opens_anything(package: str, open_to_it: set[str]) -> None:
    modules = {path.stem for path in (ROOT / "src/cloister" / package).glob("*.py")} - {"__init__"}
    named = {
        name.removeprefix(f"cloister.{package}.")
        for name in CONTRACTS["relay-cannot-read"]["forbidden_modules"]
        if name.startswith(f"cloister.{package}.")
    }
    assert modules - named <= open_to_it
    assert not named & open_to_it


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
