"""What the command line looks like from outside: documentation, examples, speed of the first line, secrets, escapes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloister.cli import complete, guide, secrets
from cloister.cli.escape import escape, isolated
from cloister.cli.faults import Refused
from cloister.cli.flags import REFUSED_ENVIRONMENT, TABLE, split
from cloister.cli.tree import root

ROOT = Path(__file__).resolve().parents[2]


def _commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    for name, one in command.commands.items():
        if one.hidden:
            continue
        yield f"{path} {name}", one
        if hasattr(one, "commands"):
            yield from _commands(f"{path} {name}", one)


COMMANDS = dict(_commands("cloister", root()))


# --- documentation and help ---------------------------------------------------------------------------------------


def test_the_printed_manual_is_current() -> None:
    """docs/terminal.md: regenerate with `python -m cloister.cli.guide > docs/terminal.md`."""
    assert (ROOT / "docs/terminal.md").read_text("utf-8") == guide.manual(root())


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_every_command_leads_with_examples(path: str) -> None:
    assert path in guide.EXAMPLES
    assert (COMMANDS[path].help or "").strip().endswith(".")
    for param in COMMANDS[path].params:
        if param.name != "help" and not getattr(param, "hidden", False) and path != "cloister serve":
            assert getattr(param, "help", None), (path, param.name)


def test_examples_are_of_commands_that_exist() -> None:
    assert set(guide.EXAMPLES) <= {"cloister", *COMMANDS}
    for path, lines in guide.EXAMPLES.items():
        for line in lines:
            assert "cloister" in line, (path, line)


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_a_flag_means_one_thing_everywhere(path: str) -> None:
    """No command has a flag of its own by the name of a common one."""
    own = {opt for param in COMMANDS[path].params for opt in param.opts if opt.startswith("-")}
    assert not own & {*TABLE, "-q", "-v"}


def test_no_command_takes_a_secret_as_an_argument() -> None:
    for path, command in COMMANDS.items():
        for param in command.params:
            assert not re.search(r"password|passphrase|secret|pin$|code", param.name or ""), (path, param.name)


# --- the first line comes soon ------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["version"], ["--help"], [], ["sphere", "new", "--help"], ["completion", "bash"]])
def test_help_and_version_load_neither_client_nor_server(words: list[str]) -> None:
    program = (
        "import sys; from cloister.cli.start import run; code = run(sys.argv[1:]);"
        "heavy = {'cloister.client', 'cloister.server', 'cloister.crypto', 'cryptography', 'asyncio', 'rich'};"
        "sys.stderr.write(repr(sorted(heavy & set(sys.modules)))); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        timeout=60,
    )
    assert done.returncode == 0
    assert done.stderr == "[]"
    assert done.stdout


# --- flags --------------------------------------------------------------------------------------------------------


def test_common_flags_stand_before_or_after() -> None:
    for line in (["--json", "sphere", "ls", "-q"], ["sphere", "ls", "-q", "--json"]):
        flags, rest = split(line, {})
        assert (flags.json, flags.quiet, rest) == (True, True, ["sphere", "ls"])
    flags, rest = split(["send", "harbour", "--", "--json"], {})
    assert (flags.json, rest) == (False, ["send", "harbour", "--", "--json"])


def test_yes_with_a_name_is_also_a_yes() -> None:
    flags, _ = split(["--yes=Harbour plan"], {})
    assert (flags.yes, flags.yes_name) == (True, "Harbour plan")


@pytest.mark.parametrize("name", REFUSED_ENVIRONMENT)
def test_secrets_in_the_environment_are_refused(name: str) -> None:
    with pytest.raises(Refused) as caught:
        split(["version"], {name: "x" * 20})
    assert name in caught.value.why
    assert "x" * 20 not in caught.value.why + caught.value.next + caught.value.you


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", ".hidden", "a\0b"])
def test_a_profile_stays_in_its_folder(name: str) -> None:
    with pytest.raises(Refused):
        split([f"--profile={name}"], {})


# --- untrusted text -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Zoë – 東京 🚢", "Zoë – 東京 🚢"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\rb", "a\\x0db"),
        ("a\nb\tc", "a\\x0ab\\x09c"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("\u2066a\u2069", "\\u2066a\\u2069"),
        ("a\u200bb", "a\\u200bb"),
        ("\u2028", "\\u2028"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("\ue000", "\\ue000"),
        ("👨\u200d👩", "👨\u200d👩"),
    ],
)
def test_control_and_bidi_characters_become_visible(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_lines_and_tabs_stay_in_a_message() -> None:
    assert escape("a\n\tb\r\x1b", lines=True) == "a\n    b\\x0d\\x1b"


def test_right_to_left_names_are_isolated() -> None:
    assert isolated("bo") == "bo"
    assert isolated("שלום") == "\u2068שלום\u2069"


@pytest.mark.parametrize(
    "code", [*range(0x20), 0x7F, *range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)
def test_no_control_character_survives(code: int) -> None:
    assert escape(f"a{chr(code)}b").isprintable()


# --- secrets ------------------------------------------------------------------------------------------------------


def test_made_passwords_are_long_and_differ() -> None:
    from cloister.account.password import check_new

    made = {secrets.made_password() for _ in range(50)}
    assert len(made) == 50
    for one in made:
        assert re.fullmatch(r"([0-9a-hjkmnp-tv-z]{4}-){4}[0-9a-hjkmnp-tv-z]{4}", one)
        check_new(one, "ada")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o700, 0o666])
def test_a_secrets_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "s.toml"
    path.write_text('password = "x"\n')
    path.chmod(mode)
    with pytest.raises(Refused):
        secrets.read_file(str(path))
    path.chmod(0o600)
    assert secrets.read_file(str(path)) == {"password": "x"}


def test_a_secrets_file_is_a_regular_file_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.toml"
    path.write_text('password = "x"\n')
    path.chmod(0o600)
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(tmp_path / "fifo", 0o600)
    for name in ("link", "fifo", ".", "missing"):
        with pytest.raises(Refused):
            secrets.read_file(str(tmp_path / name))
    uid = os.geteuid()
    monkeypatch.setattr(secrets.os, "geteuid", lambda: uid + 1)
    with pytest.raises(Refused):
        secrets.read_file(str(path))


@pytest.mark.parametrize("data", [b"", b"\n", b"\xff\xfe\n", b"a" * 9000])
def test_what_is_no_secret_is_refused_from_a_descriptor(data: bytes) -> None:
    read, write = os.pipe()
    os.write(write, data)
    os.close(write)
    with pytest.raises(Refused):
        secrets.read_fd(read)
    os.close(read)


def test_two_secrets_may_come_by_one_descriptor() -> None:
    read, write = os.pipe()
    os.write(write, b"first\r\nsecond\n")
    os.close(write)
    assert [secrets.read_fd(read), secrets.read_fd(read)] == ["first", "second"]
    os.close(read)


# --- completion ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_ask_the_program(shell: str) -> None:
    assert "cloister __complete" in complete.SCRIPTS[shell]


def test_the_bash_script_is_bash(tmp_path: Path) -> None:
    script = tmp_path / "c.bash"
    script.write_text(
        'cloister() { [ "$1" = __complete ] && shift && printf "%s\\n" "$#" "${@: -1}" harbour; }\n'
        + complete.BASH
        + 'COMP_WORDS=(cloister read har); COMP_CWORD=2; _cloister; echo "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(["bash", str(script)], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["har", "harbour"]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["sph"], ["sphere"]),
        (["sphere", "s"], ["show", "seen"]),
        (["account", "devices", ""], ["ls", "rm"]),
        (["read", "--un"], ["--unread"]),
        (["--json", "outbox", "d"], ["drop"]),
        (["completion", "z"], ["zsh"]),
        (["version", ""], []),
    ],
)
def test_words_offered(typed: list[str], offered: list[str]) -> None:
    assert complete.candidates(None, root(), typed) == offered  # type: ignore[arg-type]
