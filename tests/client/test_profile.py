"""The profile folder: permissions, atomic files, one writer."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from cloister.account.vault import key_file
from cloister.client import profile as profile_module
from cloister.client.profile import Profile, read_key_file, write_private
from cloister.errors import AlreadyRunning, DiskTrouble, UsageError


def test_files_are_private_and_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CLT-002."""
    profile = Profile(tmp_path / "p")
    profile.write("profile.json", {"v": 1})
    assert stat.S_IMODE((tmp_path / "p").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "p" / "profile.json").stat().st_mode) == 0o600

    def broken(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(profile_module.os, "write", broken)
    with pytest.raises(DiskTrouble):
        profile.write("profile.json", {"v": 2})
    assert profile.read("profile.json") == {"v": 1}
    assert sorted(p.name for p in (tmp_path / "p").iterdir()) == ["locks", "profile.json"]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    """CLT-002."""
    profile = Profile(tmp_path)
    (tmp_path / "vault.json").write_text("{")
    with pytest.raises(DiskTrouble, match=r"vault\.json"):
        profile.read("vault.json")
    assert profile.read("other.json") is None


async def test_one_writer_at_a_time(tmp_path: Path) -> None:
    """CLT-012: also between two holders that share nothing but the folder."""
    one, two = Profile(tmp_path, lock_wait=0.0), Profile(tmp_path, lock_wait=0.0)
    async with one.writer("sp-x"):
        with pytest.raises(AlreadyRunning):
            async with two.writer("sp-x"):
                pass
        async with two.writer("sp-y"):
            pass
    async with two.writer("sp-x"):
        pass


async def test_tasks_of_one_process_take_turns(tmp_path: Path) -> None:
    """CLT-012."""
    profile, order = Profile(tmp_path), []

    async def work(name: str) -> None:
        async with profile.writer("sp-x"):
            order.append(name)
            await asyncio.sleep(0)
            order.append(name)

    await asyncio.gather(work("a"), work("b"))
    assert order in (["a", "a", "b", "b"], ["b", "b", "a", "a"])


def test_key_file_has_to_be_private(tmp_path: Path) -> None:
    """CLT-004."""
    path = tmp_path / "bot.key"
    write_private(path, key_file(b"\xab" * 32))
    assert read_key_file(path) == b"\xab" * 32
    path.chmod(0o640)
    with pytest.raises(UsageError):
        read_key_file(path)
    path.chmod(0o600)
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(UsageError):
        read_key_file(link)
    write_private(path, b"short")
    with pytest.raises(UsageError):
        read_key_file(path)
    if os.geteuid() == 0:
        write_private(path, key_file(b"\xab" * 32))
        os.chown(path, 12345, -1)
        with pytest.raises(UsageError):
            read_key_file(path)
