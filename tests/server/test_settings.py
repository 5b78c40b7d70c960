"""Settings: where they come from, what is refused, and that the documentation says the same (API-060 to API-062)."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from cloister.errors import UsageError
from cloister.server import settings
from cloister.server.settings import BY_NAME, TABLE, Settings, load

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_and_the_settings_are_the_same() -> None:
    assert {one.name for one in TABLE} == {one.name for one in fields(Settings)}  # API-060
    for one in TABLE:
        if one.name != "data":
            assert one.parse(settings.as_text(settings.default_of(one.name))) == settings.default_of(one.name)


def test_flag_then_environment_then_file_then_default(tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_text('listen = "localhost:1"\nsignup = "open"\nrate_account = 7\nmetrics = true\n')
    environ = {"CLOISTER_LISTEN": "localhost:2", "CLOISTER_SIGNUP": "closed", "CLOISTER_HOME": "not mine"}
    found = load({"data": str(tmp_path), "listen": "localhost:3"}, environ)
    assert (found.port, found.signup, found.rate_account, found.metrics) == (3, "closed", 7, True)
    assert found.tls == "off"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("listen", "8420"),
        ("listen", "localhost:http"),
        ("listen", "::1:8420"),
        ("tls", "yes"),
        ("signup", "everyone"),
        ("max_body", "12"),
        ("max_body", "many"),
        ("metrics", "perhaps"),
        ("origins", "example.org"),
        ("origins", "https://Example.org"),
        ("origins", "https://example.org/path"),
        ("trusted_proxies", "proxy.local"),
        ("database", "mysql://x"),
        ("session_hours", "0"),
        ("log_level", "loud"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(UsageError) as refused:
        load({"data": str(tmp_path), name: value}, {})
    said = str(refused.value)
    assert BY_NAME[name].flag in said  # API-061: where it came from
    assert name in said
    assert BY_NAME[name].allowed in said
    with pytest.raises(UsageError, match=BY_NAME[name].env):
        load({"data": str(tmp_path)}, {BY_NAME[name].env: value})


def test_unknown_names_and_broken_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="colour"):
        load({"data": str(tmp_path), "colour": "red"}, {})
    file = tmp_path / "relay.toml"
    for text, said in (("colour = 'red'", "colour"), ("listen = ", "not TOML"), ("signup = 3", "signup")):
        file.write_text(text)
        with pytest.raises(UsageError, match=said):
            load({"data": str(tmp_path)}, {})
    with pytest.raises(UsageError, match="cannot be read"):
        load({"data": str(tmp_path)}, {}, tmp_path / "absent.toml")


def test_settings_that_do_not_go_together(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="tls_cert and tls_key"):
        load({"data": str(tmp_path), "tls": "files"}, {})
    with pytest.raises(UsageError, match="tls_cert"):
        load({"data": str(tmp_path), "tls": "own", "tls_cert": "x.pem"}, {})


def test_addresses(tmp_path: Path) -> None:
    found = load({"data": str(tmp_path), "listen": "[::1]:9000", "database": "postgres://u@h/db"}, {})
    assert (found.host, found.port, found.public_origin) == ("::1", 9000, "http://[::1]:9000")
    assert found.database_url == "postgresql+psycopg://u@h/db"
    public = load({"data": str(tmp_path), "origins": "https://a.example,https://b.example"}, {})
    assert public.public_origin == "https://a.example"
    assert Settings(tmp_path).database_url.startswith("sqlite:///")


def test_the_documentation_holds_the_table() -> None:
    text = (ROOT / "docs" / "settings.md").read_text("utf-8")
    assert settings.describe() in text  # API-062
