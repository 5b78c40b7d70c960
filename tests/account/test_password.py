"""PPF-001 to PPF-008: rules for passwords, and password processing that nobody can weaken from outside."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest

from cloister.account import password
from cloister.account.password import V0, V1, Stretched, check_new, prepare, stretch
from cloister.errors import Downgrade, FormatError, WeakPassword
from tests.account.conftest import LOGIN, PASSWORD, REALM, SALT


def test_nfc_and_nothing_else() -> None:
    """PPF-001: composed and decomposed input are one password; blanks and compatibility letters stay."""
    composed = "  éﬁ①  passwörd 漢字 "
    assert prepare(unicodedata.normalize("NFD", composed)) == prepare(composed) == composed.encode()
    assert prepare("ﬁﬁﬁﬁﬁﬁﬁﬁﬁﬁﬁﬁ") != prepare("fifififififififififififi")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x" * 11, "short"),
        ("e\u0301" * 11, "short"),
        ("x" * 1025, "long"),
        ("lone surrogate \ud800", "form"),
        ("", "short"),
    ],
)
def test_form_refused(text: str, reason: str) -> None:
    """PPF-001: 12 to 1024 code points after composition."""
    with pytest.raises(WeakPassword) as caught:
        prepare(text)
    assert caught.value.data == {"reason": reason}


@pytest.mark.parametrize("text", ["漢" * 6 + "字漢語文学生", "herons at dusk " * 68, PASSWORD, "lowercase herons only"])
def test_no_composition_rules(text: str) -> None:
    """PPF-002: any kind of character, or only one kind."""
    assert check_new(text, LOGIN) is None


@pytest.mark.parametrize(
    "text",
    [
        "123456654321",
        "1Q2w3e4R5t6Y",
        "aaaaaaaaaaaaaaaa",
        "abababababababab",
        "ada1ada1ada1ada1",
        "password1234",
        "passwordpassword",
        "Qwertyuiop12",
        "cloisterada1",
        "123456789012",
    ],
)
def test_common_refused(text: str) -> None:
    """PPF-003."""
    with pytest.raises(WeakPassword) as caught:
        check_new(text, LOGIN)
    assert caught.value.data == {"reason": "common"}


def test_common_applies_to_new_passwords_only() -> None:
    """PPF-003: an old password that became common still signs in."""
    assert prepare("123456654321")


def test_two_keys(stretched: Stretched) -> None:
    """PPF-004, PPF-006: auth and kek differ, and depend on every input."""
    same: dict[str, Any] = {"login": LOGIN, "realm": REALM, "salt16": SALT}
    found = {stretched.auth, stretched.kek}
    for changed in (
        {"login": "ade"},
        {"realm": bytes(16)},
        {"salt16": bytes(16)},
        {"account_key": bytes(16)},
        {"account_key": b"\1" * 16},
    ):
        other = stretch(PASSWORD, **{**same, **changed})
        found |= {other.auth, other.kek}
    other = stretch(PASSWORD, **same, version=V0)
    assert other.version == V0
    found |= {other.auth, other.kek}
    assert len(found) == 14
    assert "auth" not in repr(stretched)


def test_costs_are_constants(calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    """PPF-004, PPF-007: what reaches the costly functions is fixed in this module."""
    seen: list[dict[str, int]] = []
    monkeypatch.setattr(password.crypto, "argon2id", lambda secret, salt, **cost: seen.append(cost) or bytes(32))
    monkeypatch.setattr(password.crypto, "pbkdf2_sha256", lambda secret, salt, **cost: seen.append(cost) or bytes(32))
    stretch(PASSWORD, login=LOGIN, realm=REALM, salt16=SALT)
    stretch(PASSWORD, login=LOGIN, realm=REALM, salt16=SALT, version=V0)
    assert seen == [{"memory_kib": 65536, "passes": 3, "lanes": 1}, {"iterations": 600_000}]


@pytest.mark.parametrize(("version", "pinned"), [(V0, V1), (2, None), (-1, None), (V0, 2), (V1, 2)])
def test_downgrade_refused_before_the_password_is_used(
    calls: list[tuple[Any, ...]], version: int, pinned: int | None
) -> None:
    """PPF-008: a device that has used version 1 refuses version 0."""
    with pytest.raises(Downgrade):
        stretch(PASSWORD, login=LOGIN, realm=REALM, salt16=SALT, version=version, pinned=pinned)
    assert calls == []


def test_control_without_the_pin_version_0_is_reachable() -> None:
    """Control for PPF-008: forget the pin and the weaker processing runs."""
    assert stretch(PASSWORD, login=LOGIN, realm=REALM, salt16=SALT, version=V0, pinned=None).version == V0


@pytest.mark.parametrize("changed", [{"realm": b""}, {"salt16": bytes(8)}, {"account_key": b""}])
def test_lengths(changed: dict[str, bytes]) -> None:
    """PPF-004: an empty account key is not the absence of one."""
    inputs: dict[str, Any] = {"login": LOGIN, "realm": REALM, "salt16": SALT, **changed}
    with pytest.raises(FormatError):
        stretch(PASSWORD, **inputs)
