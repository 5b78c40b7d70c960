"""Builders for the account tests: one signed-up person, and a recorder of costly calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from cloister import crypto
from cloister.account import signup, srp_group
from cloister.account.password import Stretched, stretch
from cloister.account.signup import First, NewKeys, Signup
from vectors.generate import rng

REALM = bytes(range(16))
SALT = bytes(range(16, 32))
LOGIN = "ada"
ORIGIN = "https://relay.example"
NOW = 1_800_000_000
PASSWORD = "seventeen quiet herons"


@dataclass(frozen=True)
class Person:
    keys: NewKeys
    first: First
    stretched: Stretched
    signup: Signup


@pytest.fixture(scope="session")
def stretched() -> Stretched:
    return stretch(PASSWORD, login=LOGIN, realm=REALM, salt16=SALT)


@pytest.fixture(scope="session")
def ada(stretched: Stretched) -> Person:
    draw = rng("ada")
    new = signup.new_keys(draw)
    first = signup.first_device(new, NOW)
    made = signup.build(
        new,
        first,
        stretched,
        login=LOGIN,
        origin=ORIGIN,
        realm=REALM,
        salt16=SALT,
        content={"spheres": {}},
        rng=draw,
        ticket="set-up code",
    )
    return Person(new, first, stretched, made)


COSTLY = (
    "argon2id",
    "pbkdf2_sha256",
    "hmac_sha256",
    "hkdf_sha256",
    "sha256",
    "aead_seal",
    "aead_open",
    "require_equal",
)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Every cryptographic call with the sizes of what goes in; the calls themselves still happen."""
    seen: list[tuple[Any, ...]] = []

    def watch(owner: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(owner, name)

        def call(*args: Any, **more: Any) -> Any:
            seen.append((name, *(len(a) for a in args if isinstance(a, bytes))))
            return real(*args, **more)

        monkeypatch.setattr(owner, name, call)

    for name in COSTLY:
        watch(crypto, name)
    watch(srp_group, "powmod")
    watch(srp_group, "powmod_sec")
    return seen


def damaged(data: bytes) -> list[bytes]:
    """Every byte changed (two ways), every truncation, an extension, and emptiness."""
    flips = [data[:i] + bytes([data[i] ^ bit]) + data[i + 1 :] for i in range(len(data)) for bit in (1, 0x80)]
    return [*flips, *(data[:i] for i in range(len(data))), data + b"\0", b"\0" + data]
