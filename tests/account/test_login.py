"""PPF-005, SRP-006: names have one spelling."""

import pytest

from cloister.account.login import login_name, origin
from cloister.errors import UsageError


@pytest.mark.parametrize(
    ("text", "name"), [("ada", "ada"), ("Ada.L-1_x", "ada.l-1_x"), ("0", "0"), ("a" * 63, "a" * 63)]
)
def test_login(text: str, name: str) -> None:
    assert login_name(text) == name


@pytest.mark.parametrize(
    "text", ["", "-a", ".a", "_a", "a b", "ä", "a" * 64, "\u212a", "\u0130", "a\n", " a", "a/b", "a@b"]
)
def test_login_refused(text: str) -> None:
    """PPF-005: a letter whose lower case is ASCII (the kelvin sign) is not ASCII."""
    with pytest.raises(UsageError):
        login_name(text)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://Relay.Example", "https://relay.example"),
        ("HTTPS://relay.example:443/v1/", "https://relay.example"),
        ("http://localhost:8080/", "http://localhost:8080"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("https://relay.example:80", "https://relay.example:80"),
        ("http://[0:0:0:0:0:0:0:1]:8080", "http://[::1]:8080"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://relay.example:08443", "https://relay.example:8443"),
    ],
)
def test_origin(url: str, shown: str) -> None:
    assert origin(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "relay.example",
        "ftp://relay.example",
        "https://",
        "https://bücher.example",
        "https://a@relay.example",
        "https://relay.example?x",
        "https://relay.example#x",
        "https://relay.example:0",
        "https://relay.example:65536",
        "https://relay.example:",
        "https://relay example",
        "https://relay.example\n",
        "https://-a.example",
        "https://a..example",
        "https://[::1",
        "https://[1.2.3]",
        "https:\\\\relay.example",
        "null",
    ],
)
def test_origin_refused(url: str) -> None:
    with pytest.raises(UsageError):
        origin(url)
