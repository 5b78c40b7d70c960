"""Title, topic and icon in one sealed entry. Spec: META-001 to META-005."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloister.errors import DecryptFailed, FormatError, KeyUnknown, LogInvalid
from cloister.protocol.encoding import b64d, b64e, kdf, lp
from cloister.protocol.entry import decode
from cloister.sphere import compose, epoch, meta
from cloister.sphere.meta import Slot, Text
from vectors.generate._sphere import Person, Sphere, seeded

SPH = "sp-FQ9ju9t-zF4d_Z8YBWMA7-5qtjk_FdpREckEdcMuJ1I"
KEY = epoch.derive(bytes(32), bytes(32), SPH, 2)
SLOT = Slot(Person("ada").dev.dv, SPH, 9, bytes(range(32)), 2)
TITLE = Text("Küche", "who cooks when", "🍲")


def sealed(text: Text = TITLE) -> dict[str, str]:
    rng = seeded("meta")
    return meta.seal(meta.prepare(text, rng), SLOT, KEY, rng)


def test_round_trip_and_formulas() -> None:
    """META-001, META-002: key, commitment and mh written out by hand."""
    body = sealed()
    got = meta.open(body, SLOT, KEY)
    assert got.text == TITLE
    assert b64d(body["cm"]) == kdf(KEY.secret, b64d(body["n16"]), "meta", lp(SPH, 9), 64)[32:]
    assert b64d(body["mh"]) == got.mh == meta.commitment(got.blind, got.content)
    assert meta.reopen(got.content, got.blind) == got


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), st.text("ab\n", max_size=500))
def test_any_text(title: str, topic: str) -> None:
    text = Text(title, topic)
    if len(title.encode()) > 256:
        with pytest.raises(FormatError):
            sealed(text)
    else:
        assert meta.open(sealed(text), SLOT, KEY).text == text


def test_lengths_are_hidden() -> None:
    assert len({len(sealed(Text("x" * n))["ct"]) for n in (0, 5, 150)}) == 1


@pytest.mark.parametrize("text", [Text("x" * 257), Text("", "x" * 2049), Text("", "", "x" * 16385)])
def test_too_long(text: Text) -> None:
    with pytest.raises(FormatError):
        sealed(text)


@pytest.mark.parametrize("member", ["n16", "n", "cm", "mh", "ct"])
def test_every_byte_counts(member: str) -> None:
    """META-003: one class for every fault."""
    body = sealed()
    raw = b64d(body[member])
    for at in range(len(raw)):
        with pytest.raises(DecryptFailed):
            meta.open({**body, member: b64e(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])}, SLOT, KEY)


@pytest.mark.parametrize(
    "moved",
    [replace(SLOT, kid=Person("bo").dev.dv), replace(SLOT, seq=10), replace(SLOT, prev=bytes(32))],
)
def test_a_text_belongs_to_its_entry(moved: Slot) -> None:
    """META-001: the header is bound."""
    with pytest.raises(DecryptFailed):
        meta.open(sealed(), moved, KEY)


def test_the_right_key_or_none() -> None:
    for key in (None, replace(KEY, n=3), replace(KEY, sph=SPH[:-1] + "M")):
        with pytest.raises(KeyUnknown):
            meta.open(sealed(), SLOT, key)
    with pytest.raises(DecryptFailed):
        meta.open(sealed(), SLOT, replace(KEY, secret=bytes(32)))
    with pytest.raises(FormatError):
        meta.seal(meta.prepare(TITLE, seeded("x")), SLOT, replace(KEY, n=3), seeded("y"))


def test_a_rewrap_keeps_the_text_or_is_refused() -> None:
    """META-004: a member who rotates seals the text again, unchanged; readers and the machine see a change."""
    ada, bo = Person("ada"), Person("bo")
    sphere = Sphere(ada)
    sphere.add(ada, bo)
    assert sphere.meta is not None
    before = sphere.meta.mh
    draft = sphere.do(bo, compose.Rotate())
    assert [s.change.op for s in draft.states] == ["epoch", "meta"]
    entry = decode(draft.commit.entries[1])
    got = meta.open(entry.body, Slot(entry.kid, entry.sph, entry.seq, entry.prev, entry.ep), sphere.keys[2])
    assert (got.text, got.mh) == (Text("Kitchen"), before)
    with pytest.raises(LogInvalid):
        sphere.draft(bo, compose.Rotate(), compose.SetMeta(Text("Bo's kitchen")))
    other = meta.prepare(Text("Bo's kitchen"), sphere.rng)
    assert [s.change.op for s in sphere.draft(bo, compose.Rotate(), meta_text=other).states] == ["epoch"]


def test_a_lying_rewrap_is_seen() -> None:
    """META-003: the old mh over another text."""
    rng = seeded("lie")
    honest = meta.prepare(TITLE, rng)
    body = meta.seal(replace(meta.prepare(Text("other"), rng), mh=honest.mh), SLOT, KEY, rng)
    with pytest.raises(DecryptFailed):
        meta.open(body, SLOT, KEY)


def test_clear_in_open_spheres() -> None:
    """META-005."""
    sphere = Sphere(Person("ada"), mode="open")
    entry = decode(sphere.entries[-1])
    slot = Slot(entry.kid, entry.sph, entry.seq, entry.prev, entry.ep)
    assert entry.body == meta.clear(Text("Kitchen"))
    assert meta.open(entry.body, slot, None).text == Text("Kitchen")
    draft = sphere.do(sphere.owner, compose.SetMode("e2ee"), meta_text=meta.open(entry.body, slot, None))
    assert [s.change.op for s in draft.states] == ["mode", "epoch", "meta"]
    assert sphere.meta is not None
    assert sphere.meta.text == Text("Kitchen")


def test_a_content_of_another_form_is_refused() -> None:
    rng = seeded("form")
    opened = replace(meta.prepare(TITLE, rng), content=b'{"title":"x"}')
    body = meta.seal(replace(opened, mh=meta.commitment(opened.blind, opened.content)), SLOT, KEY, rng)
    with pytest.raises(FormatError):
        meta.open(body, SLOT, KEY)
    with pytest.raises(FormatError):
        meta.reopen(b"[]", bytes(16))
