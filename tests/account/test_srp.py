"""SRP-001 to SRP-011: RFC 5054's vectors, every check, what M1 binds, and a relay that treats all logins alike."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from cloister.account import srp, srp_group, srp_proof, srp_server, verifier
from cloister.account.password import Stretched
from cloister.account.srp_group import GROUP, Group
from cloister.errors import AuthFailed, Downgrade, FormatError, SignatureInvalid
from cloister.protocol.encoding import b64e
from tests.account.conftest import LOGIN, ORIGIN, REALM
from vectors.generate import rng
from vectors.generate.srp import RFC5054

KEYS = verifier.server_keys(b"server key" + bytes(22))
SALT = verifier.salt_of(KEYS, LOGIN)
GOOD = Stretched(b"a" * 32, b"k" * 32)
DRAW = rng("srp")
V = srp.verifier(LOGIN, SALT, GOOD.auth)
STORED = verifier.seal_verifier(KEYS, LOGIN, SALT, 1, V, DRAW)
NOW = 1000


def begin(client_public: bytes, login: str = LOGIN, stored: verifier.Record | None = STORED) -> srp_server.Pending:
    return srp_server.start(KEYS, verifier.candidate(KEYS, login, stored, DRAW), client_public, NOW, DRAW)


def answer(pending: srp_server.Pending) -> dict[str, Any]:
    return {"sid": b64e(bytes(16)), "salt": b64e(pending.salt16), "B": b64e(pending.public)}


def sign_in(**changes: Any) -> bytes:
    """One sign-in of a client that may err about one thing."""
    given: dict[str, Any] = {"login": LOGIN, "realm": REALM, "origin": ORIGIN, "stretched": GOOD, **changes}
    ephemeral = srp.start(DRAW)
    pending = begin(ephemeral.public)
    challenge = srp.read_challenge(answer(pending))
    stretched = given.pop("stretched")
    proof = srp.prove(ephemeral, challenge, stretched, **given)
    m2 = srp_server.finish(pending, proof.m1, realm=REALM, origins=["http://localhost", ORIGIN], now=NOW + 59)
    srp.check_reply(proof, m2)
    return m2


def test_sign_in() -> None:
    """SRP-001, SRP-005, SRP-008: both sides are convinced, and never by the same bytes twice."""
    assert sign_in() != sign_in()


@pytest.mark.parametrize(
    "change",
    [
        {"login": "ade"},
        {"realm": bytes(16)},
        {"origin": "https://relay.example.evil"},
        {"origin": "http://relay.example"},
        {"stretched": Stretched(b"b" * 32, b"k" * 32)},
        {"stretched": replace(GOOD, version=0)},
    ],
    ids=str,
)
def test_m1_binds(change: dict[str, Any]) -> None:
    """SRP-005, SRP-010: wrong password, origin, realm, login or version: one refusal with the same bytes."""
    with pytest.raises(AuthFailed) as caught:
        sign_in(**change)
    assert caught.value.as_wire() == {"code": "E_AUTH"}


def test_control_unbound_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control for SRP-005: leave the origin out of M1 and a relayed sign-in succeeds."""
    real = srp_proof.m1
    monkeypatch.setattr(srp_proof, "m1", lambda key, origin, *rest: real(key, "", *rest))
    assert sign_in(origin="https://relay.example.evil")


def test_realm_and_salt_belong_to_m1() -> None:
    key, binding = bytes(32), srp_proof.Binding(REALM, LOGIN, SALT, 1)
    seen = {
        srp_proof.m1(key, ORIGIN, one, b"A", b"B")
        for one in (binding, replace(binding, realm=bytes(16)), replace(binding, salt16=bytes(16)))
    }
    assert len(seen) == 3


def test_rfc5054_appendix_b() -> None:
    """SRP-001, SRP-004: the published vector through the functions the account uses."""
    known = {name: int(text, 16) for name, text in RFC5054.items() if name not in "IPs"}
    group = Group(known["n"], 2, lambda data: hashlib.sha1(data, usedforsecurity=False).digest())
    salt = bytes.fromhex(RFC5054["s"])
    k = srp_group.multiplier(group)
    x = srp_group.private_key(group, salt, RFC5054["I"], RFC5054["P"])
    v = srp_group.power(group, x)
    a_public = srp_group.power(group, known["a"])
    b_public = srp_group.server_public(group, k, v, known["b"])
    u = srp_group.scrambler(group, a_public, b_public)
    assert (k, x, v, a_public, b_public, u) == tuple(known[name] for name in "kxvABu")
    assert srp_group.client_secret(group, k, x, known["a"], u, b_public) == known["S"]
    assert srp_group.server_secret(group, v, known["b"], u, a_public) == known["S"]
    assert len(srp_group.session_key(group, known["S"])) == 20
    assert srp_group.element(group, srp_group.pad(group, a_public)) == a_public


def test_the_group_is_the_published_one() -> None:
    """SRP-001: a safe prime, 4096 bit, with the form of RFC 3526 group 16; 5 generates all of it."""
    from gmpy2 import is_prime, legendre

    n = GROUP.n
    assert (GROUP.g, GROUP.length, n.bit_length()) == (5, 512, 4096)
    assert is_prime(n)
    assert is_prime((n - 1) // 2)
    assert legendre(5, n) == -1
    ends = f"{n:x}"
    assert ends.startswith("f" * 16 + "c90fdaa22168c234") and ends.endswith("f" * 16)


def test_exponents() -> None:
    """SRP-002: 256 bits, fresh for each attempt."""
    assert srp_group.exponent(bytes(32)) == 1 << 255
    with pytest.raises(ValueError):
        srp_group.exponent(bytes(16))
    publics = [srp.start(DRAW).public for _ in range(3)]
    assert len(set(publics)) == 3


DEGENERATE = {
    "0": bytes(512),
    "N": GROUP.n.to_bytes(512, "big"),
    "2N": (2 * GROUP.n).to_bytes(513, "big"),
    "N+1": (GROUP.n + 1).to_bytes(512, "big"),
    "1024 bit": b"\5" * 128,
    "short": b"\5" * 511,
    "long": b"\0" + b"\5" * 512,
    "empty": b"",
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_relay_refuses_a(name: str, calls: list[tuple[Any, ...]]) -> None:
    """SRP-003: before anything costly, and with the refusal of a wrong password."""
    candidate = verifier.candidate(KEYS, LOGIN, STORED, DRAW)
    calls.clear()
    with pytest.raises(AuthFailed) as caught:
        srp_server.start(KEYS, candidate, DEGENERATE[name], NOW, DRAW)
    assert caught.value.as_wire() == {"code": "E_AUTH"}
    assert calls == []


@pytest.mark.parametrize("name", DEGENERATE)
def test_client_refuses_b(name: str, calls: list[tuple[Any, ...]]) -> None:
    """SRP-003, SRP-007: when the reply is read and again when it is used; before auth is touched."""
    ephemeral = srp.start(DRAW)
    calls.clear()
    with pytest.raises(Downgrade):
        srp.read_challenge({"sid": "s", "salt": b64e(SALT), "B": b64e(DEGENERATE[name])})
    with pytest.raises(Downgrade):
        srp.prove(ephemeral, srp.Challenge(SALT, "s", DEGENERATE[name]), GOOD, login=LOGIN, realm=REALM, origin=ORIGIN)
    assert calls == []


@pytest.mark.parametrize("public", [bytes(512), GROUP.n.to_bytes(512, "big")], ids=["0", "N"])
def test_control_a_without_the_check_signs_in_without_a_password(
    public: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control for SRP-003: with the check gone, A = 0 or N makes S = 0 and anybody signs in."""
    monkeypatch.setattr(srp_group, "element", lambda group, data: int.from_bytes(data, "big"))
    pending = begin(public)
    key = srp_group.session_key(GROUP, 0)
    forged = srp_proof.m1(key, ORIGIN, srp_proof.Binding(REALM, LOGIN, SALT, 1), public, pending.public)
    assert srp_server.finish(pending, forged, realm=REALM, origins=[ORIGIN], now=NOW)


def test_u_zero_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """SRP-003: on both sides, shown with a hash that gives 0; the control is the honest hash."""
    zero = replace(GROUP, hash=lambda data: bytes(32))
    with pytest.raises(Downgrade):
        srp_group.scrambler(zero, 5, 25)
    ephemeral = srp.start(DRAW)
    pending = begin(ephemeral.public)
    challenge = srp.read_challenge(answer(pending))
    monkeypatch.setattr(srp, "GROUP", zero)
    monkeypatch.setattr(srp_server, "GROUP", zero)
    with pytest.raises(Downgrade):
        srp.prove(ephemeral, challenge, GOOD, login=LOGIN, realm=REALM, origin=ORIGIN)
    with pytest.raises(AuthFailed):
        srp_server.finish(pending, bytes(32), realm=REALM, origins=[ORIGIN], now=NOW)


@pytest.mark.parametrize(
    "extra",
    [{"ver": 0}, {"kdf": "pbkdf2"}, {"t": 1}, {"m": 8}, {"iterations": 1}, {"N": "Bw"}, {"g": "Ag"}, {"group": 1024}],
    ids=str,
)
def test_a_relay_that_names_parameters_is_refused(extra: dict[str, Any], calls: list[tuple[Any, ...]]) -> None:
    """SRP-007: whatever it names, before the password is used."""
    reply = answer(begin(srp.start(DRAW).public))
    calls.clear()
    with pytest.raises(Downgrade):
        srp.read_challenge({**reply, **extra})
    assert calls == []
    assert srp.read_challenge(reply).sid


def test_salt_is_pinned() -> None:
    """SRP-007: the salt of an account never changes; a short one is never taken."""
    reply = answer(begin(srp.start(DRAW).public))
    assert srp.read_challenge(reply, pinned_salt=SALT).salt16 == SALT
    assert srp.read_challenge({"salt": reply["salt"]}) == srp.Challenge(SALT)
    with pytest.raises(Downgrade):
        srp.read_challenge(reply, pinned_salt=bytes(16))
    with pytest.raises(Downgrade):
        srp.read_challenge({**reply, "salt": b64e(bytes(8))})


@pytest.mark.parametrize("reply", [{}, {"sid": "s"}, {"salt": 1}, {"salt": "***"}, {"sid": "s", "salt": b64e(SALT)}])
def test_malformed_challenge(reply: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        srp.read_challenge(reply)


def test_the_relay_must_prove_itself() -> None:
    """SRP-008: a relay without the verifier cannot make M2."""
    ephemeral = srp.start(DRAW)
    pending = begin(ephemeral.public, stored=None)
    proof = srp.prove(ephemeral, srp.read_challenge(answer(pending)), GOOD, login=LOGIN, realm=REALM, origin=ORIGIN)
    guess = srp_proof.m2(bytes(32), proof.m1)
    for wrong in (guess, b"", proof.m1, bytes(32)):
        with pytest.raises(SignatureInvalid):
            srp.check_reply(proof, wrong)


@pytest.mark.parametrize(("after", "works"), [(0, True), (59, True), (60, False), (3600, False)])
def test_b_expires(after: int, works: bool) -> None:
    """SRP-011."""
    ephemeral = srp.start(DRAW)
    pending = begin(ephemeral.public)
    proof = srp.prove(ephemeral, srp.read_challenge(answer(pending)), GOOD, login=LOGIN, realm=REALM, origin=ORIGIN)
    if works:
        assert srp_server.finish(pending, proof.m1, realm=REALM, origins=[ORIGIN], now=NOW + after)
    else:
        with pytest.raises(AuthFailed):
            srp_server.finish(pending, proof.m1, realm=REALM, origins=[ORIGIN], now=NOW + after)


def _whole(login: str, stored: verifier.Record | None, calls: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    """What an asker sees of a failed sign-in (sizes, code) and what the relay computes for it."""
    ephemeral = srp.start(DRAW)
    salt_only = verifier.salt_of(KEYS, login)
    calls.clear()
    pending = begin(ephemeral.public, login, stored)
    shown = answer(pending)
    with pytest.raises(AuthFailed) as caught:
        srp_server.finish(pending, bytes(32), realm=REALM, origins=[ORIGIN, "http://localhost"], now=NOW)
    work = list(calls)
    sizes = {name: len(text) for name, text in shown.items()}
    assert pending.salt16 == salt_only
    return work, sizes, caught.value.as_wire(), str(caught.value)


def test_unknown_logins_look_and_cost_the_same(calls: list[tuple[Any, ...]]) -> None:
    """SRP-009, SRP-013: same bytes, same sequence of costly operations, same refusal."""
    seen = [_whole("ada", STORED, calls), _whole("bob", None, calls), _whole("eve", None, calls)]
    assert all(one == two for one, two in pairwise(seen))
    work = [name for name, *_ in seen[0][0]]
    assert work.count("powmod_sec") == 2
    assert work.count("powmod") == 1


def test_control_a_shortcut_for_unknown_logins_shows(
    calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control for SRP-009: make the stand-in only when it is needed, and the comparison above fails."""
    real = verifier.candidate

    def lazy(keys: verifier.ServerKeys, login: str, stored: verifier.Record | None, draw: Any) -> verifier.Candidate:
        return verifier.Candidate(stored, known=True) if stored else real(keys, login, None, draw)

    monkeypatch.setattr(verifier, "candidate", lazy)
    assert _whole("ada", STORED, calls) != _whole("bob", None, calls)


def test_an_unknown_login_never_signs_in() -> None:
    """SRP-009: not even with the exponent of its stand-in's verifier, were it known."""
    ephemeral = srp.start(DRAW)
    pending = replace(begin(ephemeral.public), known=False)
    proof = srp.prove(ephemeral, srp.read_challenge(answer(pending)), GOOD, login=LOGIN, realm=REALM, origin=ORIGIN)
    with pytest.raises(AuthFailed):
        srp_server.finish(pending, proof.m1, realm=REALM, origins=[ORIGIN], now=NOW)
