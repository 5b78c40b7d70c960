"""Epoch keys, their commitments and link blobs. Spec: EPO-001 to EPO-006."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloister.errors import CommitmentMismatch, DecryptFailed, FormatError
from cloister.protocol.encoding import kdf, lp
from cloister.sphere import epoch
from cloister.sphere.epoch import EpochKey
from vectors.generate._sphere import seeded

SPH = "sp-FQ9ju9t-zF4d_Z8YBWMA7-5qtjk_FdpREckEdcMuJ1I"
PREV = bytes.fromhex("9a5cf3bf31c72860a0a269a9caacb1186f6eaf29beed6e01f49ae399febc7c7a")
R = bytes.fromhex("d7b81ca5f405ac3f1a9c3433af0ffb0dc9f222d32aef7772fafc9db0086b04a7")
bytes32 = st.binary(min_size=32, max_size=32)


def test_known_answer() -> None:
    """EPO-001, EPO-002: a value that two other programs computed too."""
    key = epoch.derive(R, PREV, SPH, 7)
    assert key.secret.hex() == "d792d6a6bd1cd2ddb418247da364aea2e0ae3acbc49707b8a409f4fa09097fc7"
    assert key.kc.hex() == "f9605d5602b51062048ac61aab4090c312dfe74335dd6b276ac9e1b07a1e0000"


@given(r=bytes32, one=bytes32, other=bytes32)
def test_members_with_different_histories_derive_different_keys(r: bytes, one: bytes, other: bytes) -> None:
    """EPO-001: the same random value on two logs gives two secrets and two commitments."""
    mine, theirs = epoch.derive(r, one, SPH, 3), epoch.derive(r, other, SPH, 3)
    assert (mine.secret == theirs.secret) == (one == other)
    assert (mine.kc == theirs.kc) == (one == other)


def test_control_without_the_history_the_keys_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epoch, "kdf", lambda ikm, salt, label, ctx, n: kdf(ikm, b"", label, ctx, n))
    assert epoch.derive(R, PREV, SPH, 3).secret == epoch.derive(R, bytes(32), SPH, 3).secret


@given(n=st.integers(1, 2**32 - 1), other=st.integers(1, 2**32 - 1))
def test_number_and_sphere_are_bound(n: int, other: int) -> None:
    """EPO-001: another number or another sphere is another key."""
    assert (epoch.derive(R, PREV, SPH, n).secret == epoch.derive(R, PREV, SPH, other).secret) == (n == other)
    assert epoch.derive(R, PREV, SPH, n).secret != epoch.derive(R, PREV, SPH[:-1] + "M", n).secret


@pytest.mark.parametrize(("r", "prev", "n"), [(R[:31], PREV, 1), (R, PREV[:31], 1), (R, PREV, 0), (R, PREV, 2**32)])
def test_inputs_out_of_range(r: bytes, prev: bytes, n: int) -> None:
    with pytest.raises(FormatError):
        epoch.derive(r, prev, SPH, n)


def test_check_takes_the_secret_and_nothing_else() -> None:
    """EPO-003: whatever way it came, the commitment in the log decides."""
    key = epoch.derive(R, PREV, SPH, 7)
    assert epoch.check(key.secret, key, SPH) == key
    for wrong in (bytes(32), key.secret[:31], key.secret + b"\0", b""):
        with pytest.raises(CommitmentMismatch):
            epoch.check(wrong, key, SPH)
    for entry in (replace(key, n=8), replace(key, prev=bytes(32)), replace(key, kc=bytes(32))):
        with pytest.raises(CommitmentMismatch):
            epoch.check(key.secret, entry, SPH)
    with pytest.raises(CommitmentMismatch):
        epoch.check(key.secret, key, SPH[:-1] + "M")


def test_an_organisations_spheres_differ_and_commit() -> None:
    """EPO-004: derived from the organisation's secret, recognised like any other."""
    org = epoch.derive(R, PREV, SPH, 2)
    sphere = SPH[:-1] + "M"
    key = epoch.derive_org(org, PREV, sphere, 1)
    assert key.secret == kdf(org.secret, b"", "org-sphere", lp(sphere, 1, 2), 32)
    assert epoch.check(key.secret, key, sphere) == key
    assert epoch.derive_org(org, PREV, sphere, 2).secret != key.secret
    assert epoch.derive_org(replace(org, n=3), PREV, sphere, 1).secret != key.secret


# --- link blobs --------------------------------------------------------------------------------------------------


def pair() -> tuple[EpochKey, EpochKey]:
    return epoch.derive(R, PREV, SPH, 8), epoch.derive(PREV, R, SPH, 7)


def test_a_link_blob_leads_back_one_epoch() -> None:
    """EPO-005: 60 bytes, opened by the newer key, recognised by the older entry."""
    newer, older = pair()
    blob = epoch.link_seal(newer, older, seeded("link"))
    assert len(blob) == epoch.LINK_LENGTH == 60
    assert epoch.link_open(blob, newer, older) == older


def test_every_byte_of_a_link_blob_counts() -> None:
    """EPO-005: one class for every fault."""
    newer, older = pair()
    blob = epoch.link_seal(newer, older, seeded("link"))
    for at in range(len(blob)):
        with pytest.raises(DecryptFailed):
            epoch.link_open(blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :], newer, older)
    for wrong in (b"", blob[:-1], blob + b"\0"):
        with pytest.raises(DecryptFailed):
            epoch.link_open(wrong, newer, older)


def test_a_link_blob_belongs_to_its_epoch_and_sphere() -> None:
    newer, older = pair()
    blob = epoch.link_seal(newer, older, seeded("link"))
    for moved in (replace(newer, secret=bytes(32)), replace(newer, prev=bytes(32)), replace(newer, sph=SPH[:-1] + "M")):
        with pytest.raises(DecryptFailed):
            epoch.link_open(blob, moved, older)
    with pytest.raises(DecryptFailed):
        epoch.link_open(blob, newer, replace(older, n=6))
    with pytest.raises(FormatError):
        epoch.link_seal(newer, replace(older, n=6), seeded("link"))


def test_a_lying_link_blob_is_recognised() -> None:
    """EPO-003: sealed by a member, but not the secret the log committed to."""
    newer, older = pair()
    blob = epoch.link_seal(newer, replace(older, secret=bytes(32)), seeded("link"))
    with pytest.raises(CommitmentMismatch):
        epoch.link_open(blob, newer, older)


@settings(max_examples=30)
@given(length=st.integers(2, 40))
def test_a_chain_of_blobs_leads_to_the_first_epoch(length: int) -> None:
    """EPO-006: whoever holds the newest key needs nothing else."""
    rng = seeded("chain")
    keys = [epoch.derive(rng(32), rng(32), SPH, n) for n in range(1, length + 1)]
    blobs = {keys[i].n: epoch.link_seal(keys[i], keys[i - 1], rng) for i in range(1, length)}
    held = keys[-1]
    while held.n > 1:
        held = epoch.link_open(blobs[held.n], held, keys[held.n - 2])
    assert held == keys[0]


def test_soft_marks() -> None:
    """EPO-010: by time, by count, by neither."""
    day = 86400
    assert not epoch.is_old(0, 7 * day, 7 * day, 1000)
    assert epoch.is_old(0, 7 * day + 1, 7 * day, 0)
    assert epoch.is_old(0, 0, 7 * day, 1001)
    assert not epoch.is_old(0, 10**9, 0, 0)
