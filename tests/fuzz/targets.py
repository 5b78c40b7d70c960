"""Every decoder, with seeds grown from a real sphere, and the errors it may raise.

Where a signature would stop the fuzzer at the door, the target signs the edited bytes itself: then the reader behind
the signature meets them, as it would meet those of a hostile member. Two readers of the same thing are compared.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from cloister import crypto, errors
from cloister.account import login, signup_check, slot_names, vault
from cloister.errors import CheckFailed, FormatError, RelayError, UsageError, VersionTooOld
from cloister.protocol import certificate, chain, commit, entry, ids, join, jws, keylog, machine, p2p
from cloister.protocol.encoding import b64d, b64e, json_emit, json_parse
from cloister.sphere import compose, invitation, message, padding, payload, run
from tests.fuzz.engine import Target
from vectors.generate import ROOT
from vectors.generate import _sphere as world

FORMAT = (FormatError,)
CHECKS = (CheckFailed, VersionTooOld)
COMMITS = (CheckFailed, RelayError)


@cache
def sphere() -> world.Sphere:
    """Ada's sphere with Bo in it, an open invitation, a few messages, and a removal."""
    ada, bo, cy = (world.Person(name) for name in ("ada", "bo", "cy"))
    made = world.Sphere(ada)
    made.add(ada, bo)
    made.add(ada, cy)
    for words in ("Hello", "from the pier", "\u00e9\U0001f511"):
        made.talker(ada).say(words)
    made.do(ada, compose.Remove(cy.handle))
    made.talker(ada).say("Only us now")
    return made


def _vectors(typ: str) -> list[bytes]:
    """Every envelope of ``typ`` that stands in a vector, good or bad."""
    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for one in value.values():
                walk(one)
        elif isinstance(value, list):
            for one in value:
                walk(one)
        elif isinstance(value, str) and value.count(".") == 2 and len(value) < 20_000:
            try:
                if json_parse(b64d(value.split(".")[0])).get("typ") == typ:
                    found.add(value)
            except FormatError:
                return

    for path in sorted(ROOT.glob("*.json")):
        walk(json.loads(path.read_text("utf-8"))["cases"])
    return [text.encode() for text in sorted(found)[:200]]


def _text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: read(data.decode("utf-8", "surrogateescape"))


def _envelopes() -> list[Target]:
    def reader(typ: str) -> Callable[[bytes], object]:
        def run_one(data: bytes) -> None:
            envelope = jws.decode(data, typ)
            assert envelope.digest == crypto.sha256(data.rpartition(b".")[0])
            if jws.TYPS[typ].payload is not None:
                json_emit(envelope.body)

        return run_one

    return [Target(f"envelope-{typ}", reader(typ), tuple(_vectors(typ)) or (b"..",), FORMAT) for typ in jws.TYPS]


def _resigned(typ: str, signer: Callable[[bytes], bytes], then: Callable[[str], object]) -> Callable[[bytes], object]:
    """Input: header and payload in base64url with a dot between, signed here."""

    def run_one(data: bytes) -> object:
        return then(f"{data.decode('latin-1')}.{b64e(signer(data))}")

    return run_one


def _unsigned(*compacts: str) -> tuple[bytes, ...]:
    return tuple(text.rpartition(".")[0].encode() for text in compacts)


def _log() -> list[Target]:
    made = sphere()
    ada, state = made.owner, made.state
    states = {one.seq: one for draft in made.drafts for one in draft.states}
    attached = {digest: text for draft in made.drafts for digest, text in draft.commit.attach.items()}
    commits = tuple(json_emit(draft.commit.as_json()) for draft in made.drafts)
    joins = [text for draft in made.drafts for text in draft.commit.attach.values()]
    wraps = [wrap.jws for draft in made.drafts for wrap in draft.commit.wraps]

    def apply(compact: str) -> object:
        one = entry.decode(compact)
        if one.seq == 0:
            return machine.genesis(one)
        return machine.apply(states.get(one.seq - 1, state), one, attached)

    def whole(data: bytes) -> object:
        one = commit.Commit.from_json(json_parse(data))
        one.digest()
        before = states.get(one.base[0]) if one.base else None
        return commit.apply_commit(before, one, {})

    return [
        Target("log-entry", _resigned("sph-log+1", ada.dev.signer, apply), _unsigned(*made.entries), CHECKS),
        Target("commit", whole, commits, COMMITS),
        Target(
            "join-request",
            lambda data: join.verify(data.decode("latin-1"), state.sph, None, world.NOW),
            tuple(text.encode() for text in joins),
            CHECKS,
        ),
        Target("letter", lambda data: p2p.decode(data.decode("latin-1")), tuple(w.encode() for w in wraps), FORMAT),
    ]


def _identity() -> list[Target]:
    ada = world.Person("ada")
    signer = jws.identity_signer(ada.scalar)
    start = keylog.start(ada.scalar, world.NOW)
    log = keylog.verify_chain([start])
    add = keylog.add_device(ada.scalar, log, ada.dev.cert, world.NOW)
    return [
        Target(
            "certificate",
            _resigned("sph-dev+1", signer, lambda text: certificate.verify(text, ada.ik)),
            _unsigned(ada.dev.cert),
            CHECKS,
        ),
        Target(
            "key-log",
            _resigned("sph-klog+1", signer, lambda text: keylog.apply(log, text)),
            _unsigned(start, add),
            CHECKS,
        ),
    ]


def _messages() -> list[Target]:
    made = sphere()
    talker = made.talker(made.owner)
    said = [talker.make(text) for text in ("one", "x" * 400)]
    typ = "sph-msg+1"

    def two_readers(data: bytes) -> None:
        """The quick reader takes exactly what the general one takes, and reads the same."""
        text = data.decode("latin-1")
        try:
            quick: Any = message.decode(text).head
        except FormatError:
            quick = None
        try:
            slow: Any = message._general(jws.decode(text, typ).header)
        except FormatError:
            assert quick is None
            return
        fine = slow.seq > 0 and (slow.seq == 1) == (slow.ph == "")
        fine = fine and (slow.enc == "A256GCM") == (slow.n != "") and (slow.n == "") == (slow.cm == "")
        assert quick == (slow if fine else None)

    def judged(compact: str) -> None:
        page = run.verify_page([compact], made.history, {}, made.state.sph)
        assert len(page.verdicts) == 1
        run.open_page(page.verdicts, made.keys, made.history)

    def admitted(compact: str) -> object:
        return chain.admit(made.state, made.history, jws.decode(compact, typ), talker.head)

    clear = [payload.encode(world.text(text)) for text in ("Hello", '"quoted"', "\u00e9\n")]
    clear.append(b'{"k":"react","cid":"AAAAAAAAAAAAAAAAAAAAAA","re":"AAAAAAAAAAAAAAAAAAAAAA","e":"+"}')

    def two_payload_readers(data: bytes) -> None:
        try:
            read = payload.decode(data)
        except VersionTooOld:
            return
        assert payload.decode(payload.encode(read)) == read
        assert json_parse(data)["k"] == read[0]

    return [
        Target("message", two_readers, tuple(one.encode() for one in said), FORMAT),
        Target("message-page", _resigned(typ, talker.dev.signer, judged), _unsigned(*said), ()),
        Target("message-admission", _resigned(typ, talker.dev.signer, admitted), _unsigned(*said), COMMITS),
        Target("payload", two_payload_readers, tuple(clear), FORMAT),
        Target("padding", padding.unpad, (padding.pad(b"x"), padding.pad(b"y" * 300), b"\x80"), CHECKS),
    ]


def _small() -> list[Target]:
    made = sphere()
    handle, dv, sph = made.owner.handle, made.owner.dev.dv, made.state.sph
    places = ("http://localhost:8420", "https://[::1]:443", "https://host.example", "http://192.168.1.9:80")
    words = {name: b64e(bytes(16)) for name in ("jti",)}
    link = f"https://host/j#{sph}~{words['jti']}~{b64e(bytes(32))}~3~{words['jti']}"
    account = {
        **{"v": 1, "origin": places[0], "realm": b64e(bytes(16)), "account": handle, "login": "ada", "dv": dv},
        **{"salt": b64e(bytes(32)), "ver": 1, "mkv": 1, "pending": False},
        "openers": {"pw": {"salt": b64e(bytes(32)), "box": b64e(bytes(60))}},
    }
    body = {
        **{"klog": [], "cert": made.owner.dev.cert, "login": "ada", "ver": 1, "state": b64e(bytes(80))},
        **{"v": b64e(bytes(512)), "wMK": b64e(bytes(60)), "wRK": b64e(bytes(60)), "ik": b64e(bytes(76))},
    }
    start = keylog.start(made.owner.scalar, world.NOW)
    body["klog"] = [start]

    def sign_up(data: bytes) -> object:
        value = json_parse(data)
        kinds: dict[str, type] = {name: type(one) for name, one in body.items()}
        if any(type(value.get(name)) is not kind for name, kind in kinds.items()):
            raise FormatError("the request types keep this out")
        if not all(type(one) is str for one in value["klog"]):
            raise FormatError("the request types keep this out")
        return signup_check.check(value, world.NOW)

    def relay_answer(data: bytes) -> None:
        errors.relay_error(json_parse(data)).as_wire()

    return [
        Target("json", lambda data: json_emit(json_parse(data)), (b'{"a":[1,true,{"b":"\\u00e9"}]}', b"{}"), FORMAT),
        Target("base64url", lambda data: b64d(data), (b"AAAA", b"Zm9", b"-_8"), FORMAT),
        Target("name", _text(ids.raw), (handle.encode(), dv.encode(), sph.encode()), FORMAT),
        Target("link", _text(invitation.parse), (link.encode(), f"https://h/j#{sph}".encode()), FORMAT),
        Target("origin", _text(login.origin), tuple(place.encode() for place in places), (UsageError,)),
        Target("login", _text(login.login_name), (b"ada", b"a.b_c-9"), (UsageError,)),
        Target("slot-name", _text(slot_names.parse), (f"e.{sph}.1".encode(), b"mk.3", b"ik", b"state"), FORMAT),
        Target("vault", lambda data: vault.decode(data), (json_emit(account),), FORMAT),
        Target("key-file", vault.read_key_file, (vault.key_file(bytes(32)),), FORMAT),
        Target("sign-up", sign_up, (json_emit(body),), COMMITS),
        Target("relay-answer", relay_answer, (b'{"code":"E_RATE","retry_after":3,"head":{"seq":1}}',), FORMAT),
    ]


@cache
def targets() -> dict[str, Target]:
    """Every target by name."""
    every = _small() + _envelopes() + _log() + _identity() + _messages()
    return {target.name: target for target in every}


NAMES = (
    *("json", "base64url", "name", "link", "origin", "login", "slot-name", "vault", "key-file", "sign-up"),
    *("relay-answer", *(f"envelope-{typ}" for typ in jws.TYPS), "log-entry", "commit", "join-request", "letter"),
    *("certificate", "key-log", "message", "message-page", "message-admission", "payload", "padding"),
)
