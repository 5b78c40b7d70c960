"""Payload kinds and who may change whose words. Spec: MSG-009 to MSG-012, RUN-006."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloister.errors import FormatError, NotMember, Replay, VersionTooOld
from cloister.protocol.encoding import b64e
from cloister.sphere import payload
from cloister.sphere.payload import Payload

CID, MID = bytes(range(16)), bytes(range(1, 17))
EACH = [
    Payload("msg", CID, "hello"),
    Payload("comment", CID, "yes", MID),
    Payload("edit", CID, "hello there", MID),
    Payload("delete", CID, re=MID),
    Payload("react", CID, "👍", MID),
    Payload("react", CID, "👍", MID, on=False),
    Payload("sys", CID, "Ada L.", about="nick"),
    Payload("msg", CID, "in clear", pt=True),
]
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@pytest.mark.parametrize("one", EACH, ids=lambda p: p.kind)
def test_round_trip(one: Payload) -> None:
    assert payload.decode(payload.encode(one)) == one


@given(words)
def test_any_text(text: str) -> None:
    """MSG-009: the short way and the general way read the same."""
    one = Payload("msg", CID, text)
    data = payload.encode(one)
    assert payload.decode(data) == one == payload.decode(json.dumps(json.loads(data), separators=(",", ":")).encode())
    swapped = dict(reversed(json.loads(data).items()))
    assert payload.decode(json.dumps(swapped, separators=(",", ":"), ensure_ascii=False).encode()) == one


def test_the_short_way_takes_nothing_that_the_general_way_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    cid = b64e(CID)
    tries = [
        f'{{"k":"msg","cid":"{cid}","t":"a\\u0000"}}',
        f'{{"k":"msg","cid":"{cid}","t":"a\tb"}}',
        f'{{"k":"msg","cid":"{cid[:-1]}B","t":"a"}}',
        f'{{"k":"msg","cid":"{cid}","t":"a"}} ',
        f'{{"k":"msg","cid":"{cid}","t":"a","t":"b"}}',
        f'{{"k":"msg","cid":"{cid}","t":"\x7f"}}',
        f'{{"k":"msg","cid":"{cid}","t":"a"b"}}',
        f'{{"k":"msg","cid":"{cid}","t": "a"}}',
        f'{{"k":"msg","cid":"{cid}","t":"a" }}',
        f'{{"k":"msg","cid":"{cid}","t":""}}',
        f'{{"k":"msg","cid":"{cid}","t":"\ud800"}}',
        f'{{"k":"msg","cid":"{cid}","t":"{"a" * 65537}"}}',
    ]
    answers = []
    for pattern in (payload._PLAIN_MSG, payload.re.compile(b"(?!)")):
        monkeypatch.setattr(payload, "_PLAIN_MSG", pattern)
        row = []
        for one in tries:
            try:
                row.append(payload.decode(one.encode("utf-8", "surrogatepass")).text)
            except FormatError:
                row.append("refused")
        answers.append(row)
    assert answers[0] == answers[1]
    assert answers[0].count("refused") == 8


@pytest.mark.parametrize(
    "change",
    [
        {"k": None},
        {"k": 1},
        {"cid": None},
        {"cid": b64e(CID[:15])},
        {"t": None},
        {"t": 5},
        {"re": b64e(MID)},
        {"pt": False},
        {"pt": 1},
        {"extra": 1},
        {"t": "x" * 131073},
    ],
    ids=str,
)
def test_wrong_members(change: dict[str, object]) -> None:
    """MSG-009: closed lists."""
    value = {"k": "msg", "cid": b64e(CID), "t": "hello"} | change
    data = json.dumps({k: v for k, v in value.items() if v is not None}, separators=(",", ":")).encode()
    with pytest.raises(FormatError):
        payload.decode(data)


def test_unknown_kind_says_update() -> None:
    """MSG-010: a kind of a later version is no damage."""
    with pytest.raises(VersionTooOld):
        payload.decode(b'{"k":"file"}')
    with pytest.raises(FormatError):
        payload.encode(Payload("file", CID))


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b'{"k":"msg"', b"{}"])
def test_no_payload(data: bytes) -> None:
    with pytest.raises(FormatError):
        payload.decode(data)


@pytest.mark.parametrize(
    "one", [Payload("msg", CID[:15], "x"), Payload("comment", CID, "x"), Payload("react", CID, "x" * 65, MID)]
)
def test_encode_refuses_what_decode_would(one: Payload) -> None:
    with pytest.raises(FormatError):
        payload.encode(one)


def test_who_may_edit_and_delete() -> None:
    """MSG-012: an edit is its author's alone; a deletion also an owner's or admin's."""
    edit, delete, react = EACH[2], EACH[3], EACH[4]
    for role in ("guest", "member", "admin", "owner"):
        payload.check_change(edit, "ada", role, "ada")
        payload.check_change(delete, "ada", role, "ada")
        payload.check_change(react, "ada", role, "bo")
        with pytest.raises(NotMember):
            payload.check_change(edit, "ada", role, "bo")
        if role in ("admin", "owner"):
            payload.check_change(delete, "ada", role, "bo")
        else:
            with pytest.raises(NotMember):
                payload.check_change(delete, "ada", role, "bo")


def test_versions_share_their_cid() -> None:
    """RUN-006: re-sealed words keep their cid; two compositions at one place are a conflict of devices."""
    payload.check_version(EACH[0], EACH[0])
    with pytest.raises(Replay):
        payload.check_version(EACH[0], Payload("msg", MID, "hello"))


def test_changes_are_about_messages() -> None:
    """MSG-011: an edit of an edit names the original."""
    msg, comment, edit, delete, react = EACH[0], EACH[1], EACH[2], EACH[3], EACH[4]
    for change in (comment, edit, delete, react):
        payload.check_target(change, msg)
        payload.check_target(change, comment)
        for wrong in (edit, delete, react, EACH[6]):
            with pytest.raises(FormatError):
                payload.check_target(change, wrong)
    payload.check_target(msg, edit)
