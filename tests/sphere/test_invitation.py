"""Invitation key pairs and links. Spec: INV-001 to INV-006."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloister import crypto
from cloister.errors import CheckFailed, FormatError, LogFork, LogInvalid, SignatureInvalid
from cloister.protocol import join, jws
from cloister.protocol.encoding import b64e, kdf, lp
from cloister.sphere import compose, invitation
from cloister.sphere.invitation import Link
from vectors.generate._sphere import NOW, Person, Sphere

SPH = "sp-FQ9ju9t-zF4d_Z8YBWMA7-5qtjk_FdpREckEdcMuJ1I"
SEED, JTI, PIN = bytes(range(32)), bytes(range(16)), bytes(range(16, 32))
FULL = Link("invite", "https://chat.example", SPH, JTI, SEED, 12, PIN, "Küche & Bad")


def test_key_pair() -> None:
    """INV-001: both ends unfold the same pair from the link's secret."""
    ivk, ipk = invitation.key_pair(SEED, SPH, JTI)
    assert ivk == kdf(SEED, b"", "invite", lp(SPH, JTI), 32)
    assert ipk == crypto.ed25519_public(ivk)
    assert invitation.key_pair(SEED, SPH, PIN) != (ivk, ipk)
    for seed, jti in ((SEED[:31], JTI), (SEED, JTI[:15])):
        with pytest.raises(FormatError):
            invitation.key_pair(seed, SPH, jti)


@pytest.mark.parametrize(
    "link",
    [
        FULL,
        Link("invite", "http://localhost:8080", SPH, JTI, SEED, 0, PIN),
        Link("invite", "https://[::1]:8443", SPH, JTI, SEED, 7, PIN),
        Link("ask", "https://chat.example", SPH),
        Link("public", "https://chat.example", SPH, seq=3, pin=PIN),
    ],
    ids=lambda link: link.kind,
)
def test_round_trip(link: Link) -> None:
    """INV-003, INV-004."""
    assert invitation.parse(invitation.emit(link)) == link


def test_the_secret_is_in_the_fragment_only() -> None:
    """INV-002: what a browser sends to a server has neither the secret nor the sphere."""
    sent, _, fragment = invitation.emit(FULL).partition("#")
    assert sent == "https://chat.example/j"
    assert b64e(SEED) in fragment
    assert b64e(SEED) not in repr(FULL)
    assert repr(SEED) not in repr(FULL)


GOOD = invitation.emit(FULL)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://chat.example/j",
        GOOD.replace("#", "?"),
        GOOD.replace("/j#", "/x#"),
        GOOD.replace("/j#", "/j/#"),
        GOOD.replace("https", "ftp"),
        GOOD.replace("chat.example", "chat.example/evil"),
        GOOD.replace("chat.example", "user@chat.example"),
        GOOD.replace("~12~", "~012~"),
        GOOD.replace("~12~", "~-1~"),
        GOOD.replace("~12~", "~9007199254740992~"),
        GOOD.replace("~12~", "~~"),
        GOOD.replace(b64e(SEED), b64e(SEED[:31])),
        GOOD.replace(b64e(JTI), b64e(JTI + b"x")),
        GOOD.replace(b64e(PIN), b64e(PIN)[:-1]),
        GOOD.replace(b64e(PIN), b64e(PIN)[:-1] + "9"),
        GOOD + "~x",
        GOOD.rpartition("~")[0] + "~",
        GOOD.rpartition("~")[0] + "~" + b64e(b"\xff"),
        GOOD.rpartition("~")[0] + "~" + b64e(b"a\nb"),
        GOOD.rpartition("~")[0] + "~" + b64e(b"x" * 65),
        GOOD.replace(SPH, SPH[:-1]),
        GOOD.replace(SPH, SPH[:-1] + "J"),
        f"https://chat.example/p#{SPH}~1",
        f"https://chat.example/p#{SPH}",
        "https://chat.example/j#" + "x" * 1100,
    ],
)
def test_damaged_links(text: str) -> None:
    """INV-003: strict, and the fault never repeats a part of the link."""
    with pytest.raises(FormatError) as caught:
        invitation.parse(text)
    assert b64e(SEED)[:10] not in caught.value.detail


@given(st.text(max_size=200))
def test_any_text_is_refused_or_read(text: str) -> None:
    try:
        link = invitation.parse("https://chat.example/j#" + text)
    except FormatError:
        return
    assert invitation.emit(link).endswith(text.strip())


def test_emit_refuses_what_parse_would() -> None:
    for link in (Link("invite", "https://x", SPH, JTI, SEED, 1, PIN, "a" * 65), Link("ask", "https://x", "sp-1")):
        with pytest.raises(FormatError):
            invitation.emit(link)


def invited(label: str = "world") -> tuple[Sphere, Link]:
    sphere = Sphere(Person("ada"), label=label)
    jti, seed = sphere.rng(16), sphere.rng(32)
    _, ipk = invitation.key_pair(seed, sphere.state.sph, jti)
    sphere.do(sphere.owner, compose.Invite(jti, ipk, NOW + 86400))
    pin = sphere.state.digest[:16]
    return sphere, Link("invite", "https://chat.example", sphere.state.sph, jti, seed, sphere.state.seq, pin)


def test_the_pin_tells_another_log() -> None:
    """INV-005: the log shown must hold the very entry the link was made in."""
    sphere, link = invited()
    invitation.check_pin(link, sphere.history)
    invitation.check_pin(Link("ask", link.origin, link.sph), sphere.history)
    with pytest.raises(LogFork):
        invitation.check_pin(link, invited("other")[0].history)


def test_only_the_link_holder_asks_by_link() -> None:
    """INV-006: a request is tied to the joiner's device by the link's key; nobody puts another key in its place."""
    sphere, link = invited()
    bo, eve = Person("bo"), Person("eve")
    invite = sphere.state.invites[link.jti]
    request = sphere.request(bo, link)
    assert join.verify(request, link.sph, invite, NOW).by_link
    guessed = Link("invite", link.origin, link.sph, link.jti, bytes(32), link.seq, link.pin)
    with pytest.raises(SignatureInvalid):
        join.verify(sphere.request(eve, guessed), link.sph, invite, NOW)
    ivs = jws.decode(request, "sph-join+1").body["ivs"]
    own = jws.decode(sphere.request(eve, guessed), "sph-join+1")
    stolen = jws.sign("sph-join+1", {"kid": eve.dev.dv}, {**own.body, "ivs": ivs}, eve.dev.signer)
    with pytest.raises(SignatureInvalid):
        join.verify(stolen, link.sph, invite, NOW)
    with pytest.raises(LogInvalid):
        sphere.do(sphere.owner, compose.Add(eve.handle, stolen, "member", link.jti))
    sphere.do(sphere.owner, compose.Add(bo.handle, request, "member", link.jti))
    assert sphere.state.members[bo.handle].role == "member"


def test_control_without_the_link_signature_the_swap_would_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    sphere, link = invited()
    eve = Person("eve")
    guessed = Link("invite", link.origin, link.sph, link.jti, bytes(32), link.seq, link.pin)
    request = sphere.request(eve, guessed)
    real = crypto.ed25519_verify
    ipk = sphere.state.invites[link.jti].ipk

    def weak(public: bytes, signature: bytes, message: bytes) -> None:
        if public != ipk:
            real(public, signature, message)

    with pytest.raises(CheckFailed):
        sphere.draft(sphere.owner, compose.Add(eve.handle, request, "member", link.jti))
    monkeypatch.setattr(crypto, "ed25519_verify", weak)
    sphere.do(sphere.owner, compose.Add(eve.handle, request, "member", link.jti))
    assert eve.handle in sphere.state.members
