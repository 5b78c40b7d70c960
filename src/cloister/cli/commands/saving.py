"""export, import: a sphere's keys on paper or in a file, and back.

The code is shown once and stands in no file. Saving asks for the password or PIN even when the profile is open: what
is written opens the sphere without either.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cloister.cli.commands.accounts import new_file
from cloister.cli.faults import LOCKED, NOT_FOUND, STOPPED, USAGE, Refused
from cloister.cli.output import ranges, say
from cloister.cli.shell import Shell, opened, profile, synced, unlock
from cloister.errors import (
    CommitmentMismatch,
    DecryptFailed,
    Downgrade,
    FormatError,
    NotFound,
    VaultError,
    WeakPassword,
)

if TYPE_CHECKING:
    from cloister.client import Client, Sphere
    from cloister.client.records import SavedKeys

MAX_FILE: Final = 1 << 20
# What a picture of the largest size holds.
MAX_PICTURE: Final = 2900


async def save(shell: Shell, name: str, file: str, qr: bool, passphrase: bool, check: str) -> None:
    """Save a sphere's keys, or look whether a saved file holds them."""
    if check and (file or qr or passphrase):
        raise Refused("saved-check-alone", USAGE)
    path = new_file(file) if file and file != "-" else None
    if not (shell.flags.profile_path / "vault.json").exists():
        raise Refused("no-account", LOCKED)
    if check:
        async with opened(shell) as client:
            await synced(shell, client)
            await _check(shell, client.sphere(name), _read(check), check)
        return
    async with profile(shell) as client:
        await unlock(shell, client, ask=True)
        await synced(shell, client)
        sphere = client.sphere(name)
        info = sphere.info
        if shell.would("would.save-keys", title=info.title, n=info.epoch):
            return
        words = _new_words(shell) if passphrase else ""
        try:
            with shell.out.step(say("step.saving-keys")):
                kept = await sphere.save_keys(words)
        except WeakPassword:
            raise Refused("weak-words", USAGE, code="L_PASSWORD") from None
        shell.out.close_line()
        if qr and len(kept.text) > MAX_PICTURE:
            raise Refused("saved-too-long", USAGE)
        if path is None:
            _print(shell, kept, info.title, qr)
        else:
            await _write(shell, sphere, kept, words, path)
            if qr:
                _qr(shell, kept.text)


def _new_words(shell: Shell) -> str:
    """A passphrase, asked twice when it is typed."""
    while True:
        words = shell.secrets.get("passphrase", "ask.new-passphrase")
        if shell.secrets.given("passphrase") is not None:
            return words
        if shell.secrets.ask("ask.passphrase-again", hidden=True) == words:
            return words
        shell.out.note(say("note.other-passphrase"))


def _print(shell: Shell, kept: SavedKeys, title: str, qr: bool) -> None:
    row = {"sphere": kept.sph, "keys": list(kept.keys), "text": kept.text, "code": kept.code}
    if qr:
        _qr(shell, kept.text)
    shell.out.result(row, *([] if qr else [kept.text]), *_code(kept))
    shell.out.note(say("note.saved-unchecked", title=title))


async def _write(shell: Shell, sphere: Sphere, kept: SavedKeys, words: str, path: Path) -> None:
    """Write the file, read it back from the disk, and only then call the sphere saved."""
    from cloister.client.profile import write_private

    write_private(path, kept.text.encode("ascii") + b"\n")
    with shell.out.step(say("step.reading-back")):
        await sphere.check_saved(_read(str(path)), words or kept.code)
    shell.out.close_line()
    row = {"sphere": kept.sph, "keys": list(kept.keys), "file": str(path), "code": kept.code, "checked": True}
    done = say("done.keys-saved", file=str(path), n=len(kept.keys), keys_raw=ranges(kept.keys))
    shell.out.result(row, done, *_code(kept))
    known = sphere.keys()
    absent = sum(not here for _, here in known)
    if absent:
        shell.out.note(say("note.saved-partly", n=absent))
    shell.out.note(say("note.saved-code" if kept.code else "note.saved-words"))


def _code(kept: SavedKeys) -> list[str]:
    """The code as a result, so that no flag hides the only time it is shown."""
    return [say("saved.code", code_raw=kept.code)] if kept.code else []


def _qr(shell: Shell, text: str) -> None:
    shell.out.picture(text)
    shell.out.note(say("note.saved-qr"))


def _read(file: str) -> str:
    """The text of a saved file, or standard input for "-". Raises Refused."""
    try:
        if file == "-":
            data = sys.stdin.buffer.read(MAX_FILE + 1)
        else:
            with Path(file).expanduser().open("rb") as source:
                data = source.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise Refused("saved-form", USAGE, code="C_FORMAT", file=file)
        return data.decode("ascii")
    except OSError as error:
        raise Refused("file", NOT_FOUND, file=file, reason=error.strerror or "") from None
    except UnicodeDecodeError:
        raise Refused("saved-form", USAGE, code="C_FORMAT", file=file) from None


def _typed(shell: Shell, client: Client, text: str, file: str) -> str:
    """The code or passphrase of a text, whose form is looked at first. Raises Refused."""
    try:
        said = client.read_saved(text)
    except Downgrade:
        raise Refused("saved-costs", STOPPED, code="C_DOWNGRADE", file=file) from None
    except FormatError:
        raise Refused("saved-form", USAGE, code="C_FORMAT", file=file) from None
    return shell.secrets.get("passphrase", "ask.saved-code" if said.by == "code" else "ask.saved-words")


async def _check(shell: Shell, sphere: Sphere, text: str, file: str) -> None:
    typed = _typed(shell, sphere.client, text, file)
    try:
        with shell.out.step(say("step.opening-saved")):
            upto = await sphere.check_saved(text, typed)
    except (VaultError, FormatError, WeakPassword):
        raise Refused("saved-code", LOCKED, code="C_VAULT") from None
    except DecryptFailed:
        raise Refused("saved-changed", STOPPED, code="C_DECRYPT", file=file) from None
    except CommitmentMismatch:
        raise Refused("saved-other", STOPPED, code="C_KC_MISMATCH", file=file, title=sphere.info.title) from None
    shell.out.close_line()
    shell.out.result({"sphere": sphere.sph, "saved": upto}, say("done.saved-checked", file=file, last=upto))


async def take(shell: Shell, file: str) -> None:
    """Take the keys of a saved file back, as far as the sphere's own history knows them."""
    text = _read(file)
    async with opened(shell) as client:
        await synced(shell, client)
        typed = _typed(shell, client, text, file)
        if shell.would("would.import-keys", file=file):
            return
        try:
            with shell.out.step(say("step.opening-saved")):
                got = await client.import_keys(text, typed)
        except (VaultError, FormatError, WeakPassword):
            raise Refused("saved-code", LOCKED, code="C_VAULT") from None
        except DecryptFailed:
            raise Refused("saved-changed", STOPPED, code="C_DECRYPT", file=file) from None
        except NotFound:
            raise Refused("saved-no-sphere", NOT_FOUND, file=file) from None
        except CommitmentMismatch:
            raise Refused("saved-foreign", STOPPED, code="C_KC_MISMATCH", file=file) from None
        shell.out.close_line()
        await synced(shell, client)
        title = client.sphere(got.sph).info.title
        lines = [
            say("done.imported", n=len(got.new), title=title) if got.new else say("done.imported-none", title=title)
        ]
        if got.had:
            lines.append(say("import.had", n=len(got.had)))
        if got.waiting:
            lines.append(say("import.waiting", n=len(got.waiting)))
        if got.let_go:
            lines.append(say("import.let-go", n=len(got.let_go)))
        if got.refused:
            lines.append(say("import.refused", keys=", ".join(map(str, got.refused))))
            shell.exit_code = STOPPED
        names = ("new", "had", "waiting", "refused", "let_go")
        shell.out.result({"sphere": got.sph, **{name: list(getattr(got, name)) for name in names}}, *lines)
