"""Conversations with the real WhisperGrid 1.1.0 client, both ways; backups loaded by the other side. Spec: GRID-020.

``tools/services.sh`` installs the client beside this file (``whispergrid/package.json`` names the one version).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloister import crypto
from cloister.errors import NotMember, SignatureInvalid
from cloister.grid import places, v1, v1_backup, v1_jws
from cloister.grid.keys import Identity, new_identity
from cloister.grid.v1_thread import Thread
from cloister.protocol.encoding import b64d, json_parse

HERE = Path(__file__).parent / "whispergrid"
NOW = 1_795_300_000
RNG = crypto.random_bytes


class Theirs:
    """Their client in a process of its own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            ["node", str(HERE / "client.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, act: str, **given: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"act": act, **given}) + "\n")
        self.process.stdin.flush()
        said = json.loads(self.process.stdout.readline())
        if "error" in said:
            raise AssertionError(said["error"])
        return said.get("value")

    def refuses(self, act: str, **given: Any) -> str:
        with pytest.raises(AssertionError) as caught:
            self(act, **given)
        return str(caught.value)


@pytest.fixture(scope="module")
def theirs() -> Iterator[Theirs]:
    client = Theirs()
    yield client
    assert client.process.stdin is not None
    client.process.stdin.close()
    assert client.process.wait() == 0


@pytest.fixture
def me() -> Identity:
    return new_identity(RNG)


def _they_read(theirs: Theirs, who: str, thread: str) -> list[str]:
    return [one["message"] for one in theirs("read", who=who, thread=thread) if one["type"] == "message"]


def _talk(theirs: Theirs, me: Identity, who: str, thread: Thread) -> tuple[Thread, list[str]]:
    """Six messages each way."""
    tokens = []
    for turn in range(6):
        thread, token = v1.write(thread, me, f"ours {turn}, ünïcode ✓", now=NOW, rng=RNG)
        assert theirs("take", who=who, token=token)["message"]["message"] == f"ours {turn}, ünïcode ✓"
        reply = theirs("write", who=who, thread=thread.th, text=f"theirs {turn} \u2713")["reply"]
        thread, shown = v1.read(thread, reply)
        assert (shown.text, shown.status) == (f"theirs {turn} \u2713", "new")
        tokens += [token, reply]
    assert thread.missing == ()
    return thread, tokens


def test_they_invite_and_we_answer(theirs: Theirs, me: Identity) -> None:
    """GRID-027, GRID-028, GRID-031, GRID-032."""
    name = theirs("new", who="Noor", password="noor")
    compact = theirs("invite", who="Noor", note="first contact")
    found = v1.read_invite(compact)
    assert (found.sender, found.nickname, found.note) == (name, "Noor", "first contact")
    thread, token = v1.answer(me, compact, "Ours", "Hello", now=NOW, rng=RNG)
    assert theirs("take", who="Noor", token=token)["threadId"] == thread.th
    thread, _ = _talk(theirs, me, "Noor", thread)
    assert len(_they_read(theirs, "Noor", thread.th)) == 13


def test_we_invite_and_they_answer(theirs: Theirs, me: Identity) -> None:
    """GRID-027, GRID-029, GRID-031, GRID-032."""
    name = theirs("new", who="Pim", password="pim")
    held = v1.invite(me, "Ours", note="come in", now=NOW, rng=RNG)
    assert theirs("verify", token=held.compact)
    said = theirs("answer", who="Pim", invite=held.compact, text="Thank you")
    thread, shown = v1.accept(me, [held], said["reply"])
    assert (shown.text, shown.sender, shown.nickname, thread.th) == ("Thank you", name, "Pim", said["threadId"])
    _talk(theirs, me, "Pim", thread)


def test_what_overtakes_arrives_and_heals(theirs: Theirs, me: Identity) -> None:
    """GRID-010, GRID-030: the order in which their own client would lose a message for ever."""
    theirs("new", who="Rae", password="rae")
    thread, token = v1.answer(me, theirs("invite", who="Rae"), "Ours", "Hello", now=NOW, rng=RNG)
    theirs("take", who="Rae", token=token)
    sent = [theirs("write", who="Rae", thread=thread.th, text=str(n))["reply"] for n in range(8)]
    for index, missing in ((3, ((1, 3),)), (2, ((1, 2),)), (1, ((1, 1),)), (7, ((1, 1), (5, 7))), (0, ((5, 7),))):
        thread, shown = v1.read(thread, sent[index])
        assert shown.text == str(index)
        assert thread.missing == missing
    for index in (6, 4, 5):
        thread, shown = v1.read(thread, sent[index])
        assert shown.status == "late"
    assert thread.missing == ()
    assert v1.read(thread, sent[4])[1].status == "repeated"


def test_their_backup_goes_on_here(theirs: Theirs) -> None:
    """GRID-036, GRID-037, GRID-039."""
    theirs("new", who="Sol", password="sol")
    theirs("new", who="Tay", password="tay")
    invite = theirs("invite", who="Sol")
    said = theirs("answer", who="Tay", invite=invite, text="one")
    theirs("take", who="Sol", token=said["reply"])
    spare = theirs("invite", who="Sol", note="another")
    restored = v1_backup.read(theirs("backup", who="Sol", password="secret"), "secret")
    assert restored.refused == ()
    assert {held.compact for held in restored.invitations} == {invite, spare}
    (thread,) = restored.threads
    assert restored.tokens[thread.th] == (invite, said["reply"])
    _talk(theirs, restored.identity, "Tay", thread)


def test_our_backup_goes_on_there(theirs: Theirs, me: Identity) -> None:
    """GRID-036 to GRID-038: every part of it is used by their client afterwards."""
    theirs("new", who="Uma", password="uma")
    held = v1.invite(me, "Ours", now=NOW, rng=RNG)
    opening = theirs("answer", who="Uma", invite=held.compact, text="hello")["reply"]
    thread, _ = v1.accept(me, [held], opening)
    thread, tokens = _talk(theirs, me, "Uma", thread)
    everything = [held.compact, opening, *tokens]
    compact = v1_backup.write(me, "passwörd", [held], [(thread, everything)], now=NOW, rng=RNG)
    assert theirs("load", who="Ours", backup=compact, password="passwörd") == me.id1
    assert "operation" in theirs.refuses("load", who="Nobody", backup=compact, password="other")
    assert theirs("threads", who="Ours") == [thread.th]
    assert len(_they_read(theirs, "Ours", thread.th)) == 13
    token = theirs("write", who="Ours", thread=thread.th, text="from the other program")["reply"]
    assert theirs("take", who="Uma", token=token)["message"]["message"] == "from the other program"
    late = theirs("answer", who="Uma", invite=held.compact, text="again")["reply"]
    assert theirs("take", who="Ours", token=late)["message"]["message"] == "again"
    back = v1_backup.read(theirs("backup", who="Ours", password="new"), "new")
    assert back.refused == ()
    assert places.last(next(one for one in back.threads if one.th == thread.th).mine.runs) == 7  # type: ignore[union-attr]


def test_login_proofs_pass_both_ways(theirs: Theirs, me: Identity) -> None:
    """GRID-035."""
    name = theirs("new", who="Vic", password="vic")
    challenge = f"{NOW}:{'5e' * 32}"
    proof = theirs("prove", who="Vic", challenge=challenge, sub="login")
    made = json_parse(b64d(proof.split(".")[0]))["iat"]
    assert v1.read_login_proof(proof, challenge, now=made) == name
    assert theirs("verify", token=v1.login_proof(me, challenge, now=NOW))


def _signed_for(me: Identity, thread: Thread, sender: str) -> str:
    """The next message of ``thread``, signed by ``me``, that names ``sender``."""
    assert thread.mine is not None
    number = f"{thread.mine.number(places.last(thread.mine.runs) + 1):x}"
    nonce, payload = v1_jws.seal(thread.key, {"messageId": number, "message": "trust me", "minAck": "1"}, RNG)
    header = {"iat": NOW, "alg": "ES384", "sub": "grid-reply", "re": thread.th, "iv": nonce, "from": sender}
    return v1_jws.sign(header, payload, me.signer)


def test_a_forged_sender_passes_there_and_not_here(theirs: Theirs, me: Identity) -> None:
    """GRID-032. Their client is the control: it shows the same token, of the same hand, under another name."""
    theirs("new", who="Wen", password="wen")
    other = theirs("new", who="Xan", password="xan")
    thread, token = v1.answer(me, theirs("invite", who="Wen"), "Ours", "hi", now=NOW, rng=RNG)
    theirs("take", who="Wen", token=token)
    taken = theirs("take", who="Wen", token=_signed_for(me, thread, other))
    assert taken["message"]["fromThumbprint"] == other
    host = new_identity(RNG)
    held = v1.invite(host, "Host", now=NOW, rng=RNG)
    mine, opening = v1.answer(me, held.compact, "Ours", "hi", now=NOW, rng=RNG)
    yours, _ = v1.accept(host, [held], opening)
    with pytest.raises(NotMember):
        v1.read(yours, _signed_for(me, mine, other))
    with pytest.raises(SignatureInvalid):
        v1.read(yours, _signed_for(me, mine, host.id1))
    assert v1.read(yours, _signed_for(me, mine, me.id1))[1].text == "trust me"
