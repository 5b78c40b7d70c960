"""Operations of vectors/account.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloister.account.login import login_name, origin
from cloister.account.password import check_new, stretch
from cloister.account.session import token_hash
from cloister.errors import WeakPassword


def _ppf(given: dict[str, Any]) -> dict[str, str]:
    made = stretch(
        given["password"],
        login=given["login"],
        realm=bytes.fromhex(given["realm"]),
        salt16=bytes.fromhex(given["salt"]),
        account_key=bytes.fromhex(given["account_key"]) if "account_key" in given else None,
        version=given["ver"],
        pinned=given.get("pinned"),
    )
    return {"auth": made.auth.hex(), "kek": made.kek.hex()}


def _new_password(given: dict[str, Any]) -> bool:
    check_new(given["password"], given["login"])
    return True


def _enough(password: str, login: str) -> bool:
    try:
        check_new(password, login)
    except WeakPassword:
        return False
    return True


OPS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "ppf": _ppf,
    "new-password": _new_password,
    "new-passwords": lambda given: [_enough(one, given["login"]) for one in given["passwords"]],
    "login-name": lambda given: login_name(given["text"]),
    "origin": lambda given: origin(given["url"]),
    "session-hash": lambda given: token_hash(given["token"]).hex(),
}
