"""Key shares. Spec: SHR-001 to SHR-006."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from cloister import crypto
from cloister.errors import (
    CommitmentMismatch,
    DecryptFailed,
    FormatError,
    KeyUnknown,
    LogInvalid,
    NotMember,
    SignatureInvalid,
)
from cloister.protocol import certificate, jws
from cloister.protocol.encoding import b64d, b64e, lp
from cloister.protocol.history import History
from cloister.protocol.state import Policy
from cloister.sphere import compose, share
from cloister.sphere import epoch as epochs
from cloister.sphere.epoch import EpochKey
from cloister.sphere.share import Party
from vectors.generate._sphere import NOW, Dev, Person, Sphere, seeded

Three = tuple[Sphere, Person, Person, Person]


@pytest.fixture
def three() -> Three:
    ada, bo, cy = Person("ada"), Person("bo"), Person("cy")
    sphere = Sphere(ada)
    sphere.add(ada, bo)
    sphere.add(ada, cy)
    sphere.do(ada, compose.Rotate())
    return sphere, ada, bo, cy


def party(person: Person, dev: Dev | None = None) -> Party:
    return Party(person.handle, (dev or person.dev).dv)


def give(sphere: Sphere, sender: Person, to: Person, n: int = 0, **over: Any) -> str:
    n = n or sphere.state.ep
    args: dict[str, Any] = {"iat": NOW, "rng": sphere.rng} | over
    key: EpochKey = args.pop("key", sphere.keys.get(n))
    epoch = args.pop("epoch", None) or sphere.history.epoch(n)
    device = args.pop("device", sphere.state.devices[to.dev.dv])
    return share.seal(key, epoch, party(sender), sender.dev.signer, device, **args)


def take(sphere: Sphere, who: Person, compact: str, **over: Any) -> EpochKey:
    args: dict[str, Any] = {
        **{"log": sphere.history, "me": party(who), "kem": who.dev.kem, "secrets": [who.dev.de_seed]},
        "sph": sphere.state.sph,
        **over,
    }
    return share.open(compact, **args)


def resign(compact: str, who: Person, **changes: Any) -> str:
    """The same letter with other members, signed by ``who``."""
    body = {**jws.decode(compact, share.TYP).body, **changes}
    return jws.sign(share.TYP, {"kid": who.dev.dv}, body, who.dev.signer)


def test_round_trip_and_what_it_is_bound_to(three: Three) -> None:
    """SHR-001, SHR-002."""
    sphere, ada, bo, _ = three
    compact = give(sphere, ada, bo)
    assert take(sphere, bo, compact) == sphere.keys[2]
    body = jws.decode(compact, share.TYP).body
    assert (body["k"], body["n"], body["idR"], body["dvR"], body["kem"]) == ("share", 2, bo.handle, bo.dev.dv, "xwing")
    epoch = sphere.history.epoch(2)
    info = lp(
        *("sph/1 keyshare", sphere.state.sph, 2, ada.handle, ada.dev.dv, bo.handle, bo.dev.dv, "xwing", epoch.digest)
    )
    assert info == share.info(epoch, sphere.state.sph, party(ada), party(bo), "xwing")
    assert crypto.hpke_open("xwing", bo.dev.de_seed, info, b64d(body["ct"])) == sphere.keys[2].secret


def test_classical_devices_get_theirs_too() -> None:
    """SHR-001: the second suite."""
    ada, bo = Person("ada"), Person("bo", kem="p384")
    dev = bo.dev
    sphere = Sphere(ada, policy=Policy(kem_min="p384"))
    wraps = sphere.add(ada, bo).commit.wraps
    assert take(sphere, bo, wraps[0].jws) == sphere.keys[1]
    with pytest.raises(DecryptFailed):
        take(sphere, bo, wraps[0].jws, kem="xwing", secrets=[bytes(32)])
    assert dev.kem == "p384"


def _rsa_person(name: str) -> tuple[Person, bytes]:
    """Somebody whose one device has an RSA receiving key, and that key's private half."""
    person, private = Person(name), rsa.generate_private_key(65537, 4096)
    modulus = private.public_key().public_numbers().n.to_bytes(512, "big")
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    (old,) = person.devs
    dk = crypto.ed25519_public(old.seed)
    cert = certificate.issue(person.scalar, person.handle, old.signer, dk, "rsa4096", modulus, NOW, NOW + 3600)
    person.devs = [Dev(old.seed, der, "rsa4096", cert, old.dv)]
    return person, der


def test_a_sphere_with_rsa_devices_works_on_every_path() -> None:
    """SHR-007, ROLE-007: where ``kem_min`` allows it such a device is added, gets every new epoch beside the others, is
    handed older ones, makes epochs for others itself; elsewhere it is refused when it comes in, not at a rotation."""
    ada, bo = Person("ada"), Person("bo")
    rosa, der = _rsa_person("rosa")
    strict = Sphere(ada)
    with pytest.raises(LogInvalid):
        strict.add(ada, rosa)
    sphere = Sphere(ada, policy=Policy(kem_min="rsa4096", history="all"))
    (wrap,) = sphere.add(ada, rosa).commit.wraps
    assert take(sphere, rosa, wrap.jws, kem="rsa4096", secrets=[der]) == sphere.keys[sphere.state.ep]
    sphere.add(ada, bo)
    wraps = {wrap.dv: wrap.jws for wrap in sphere.do(ada, compose.Rotate()).commit.wraps}
    key = sphere.keys[sphere.state.ep]
    assert take(sphere, rosa, wraps[rosa.dev.dv], kem="rsa4096", secrets=[der]) == key
    assert take(sphere, bo, wraps[bo.dev.dv]) == key
    older = give(sphere, ada, rosa, 1)
    assert take(sphere, rosa, older, kem="rsa4096", secrets=[der]) == sphere.keys[1]
    by_rosa = {wrap.dv: wrap.jws for wrap in sphere.do(rosa, compose.Rotate()).commit.wraps}
    assert take(sphere, bo, by_rosa[bo.dev.dv]) == sphere.keys[sphere.state.ep]
    with pytest.raises(LogInvalid):
        sphere.draft(ada, compose.SetPolicy(Policy(kem_min="p384", history="all")))
    wraps = {wrap.dv: wrap.jws for wrap in sphere.do(ada, compose.Remove(bo.handle)).commit.wraps}
    assert set(wraps) == {rosa.dev.dv}
    sphere.do(ada, compose.Remove(rosa.handle))
    sphere.do(ada, compose.SetPolicy(Policy(history="all")))
    with pytest.raises(LogInvalid):
        sphere.add(ada, _rsa_person("rolf")[0])


def test_rsa_devices_get_theirs_where_the_policy_allows_them(three: Three) -> None:
    """SHR-007: the same binding and the same checks; a rotation does not fail because of one."""
    sphere, ada, bo, _ = three
    private = rsa.generate_private_key(65537, 4096)
    modulus = private.public_key().public_numbers().n.to_bytes(512, "big")
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    device = replace(sphere.state.devices[bo.dev.dv], kem="rsa4096", de=modulus)
    compact = give(sphere, ada, bo, device=device)
    assert take(sphere, bo, compact, kem="rsa4096", secrets=[der]) == sphere.keys[2]
    body = jws.decode(compact, share.TYP).body
    ct = b64d(body["ct"])
    assert len(ct) == 512 + 48
    other = sphere.history.epoch(1)
    for at in (0, 511, 512, 543, 559):
        with pytest.raises(DecryptFailed):
            take(
                sphere,
                bo,
                resign(compact, ada, ct=b64e(ct[:at] + bytes([ct[at] ^ 1]) + ct[at + 1 :])),
                kem="rsa4096",
                secrets=[der],
            )
    with pytest.raises(DecryptFailed):
        take(sphere, bo, resign(compact, ada, n=other.n), kem="rsa4096", secrets=[der])
    for wrong in (
        b"",
        bo.dev.de_seed,
        ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
    ):
        with pytest.raises(DecryptFailed):
            take(sphere, bo, compact, kem="rsa4096", secrets=[wrong])
    with pytest.raises(FormatError):
        give(sphere, ada, bo, device=replace(device, de=b"\0" * 512))


def test_moved_to_another_recipient_sphere_epoch_or_sender(three: Three) -> None:
    """SHR-004: C_DECRYPT, as it is and signed anew by a member."""
    sphere, ada, bo, cy = three
    compact = give(sphere, ada, bo)
    other = Sphere(Person("ada"), label="other")
    other.do(other.owner, compose.Rotate())
    with pytest.raises(DecryptFailed):
        take(sphere, cy, compact)
    with pytest.raises(DecryptFailed):
        take(sphere, cy, resign(compact, ada, idR=cy.handle, dvR=cy.dev.dv))
    with pytest.raises(DecryptFailed):
        take(sphere, bo, compact, me=Party(cy.handle, bo.dev.dv))
    with pytest.raises(DecryptFailed):
        take(sphere, bo, compact, sph=other.state.sph, log=other.history)
    with pytest.raises(DecryptFailed):
        take(sphere, bo, resign(compact, ada, sph=other.state.sph), sph=other.state.sph, log=other.history)
    with pytest.raises(DecryptFailed):
        take(sphere, bo, resign(compact, ada, n=1))
    with pytest.raises(DecryptFailed):
        take(sphere, bo, resign(compact, cy))
    with pytest.raises(DecryptFailed):
        take(sphere, bo, compact, secrets=[bytes(32), cy.dev.de_seed])
    assert take(sphere, bo, compact, secrets=[bytes(32), bo.dev.de_seed]) == sphere.keys[2]


def test_control_without_the_info_a_moved_share_opens(three: Three, monkeypatch: pytest.MonkeyPatch) -> None:
    """What SHR-001 is for: without it a member passes another's share on as his own."""
    sphere, ada, bo, cy = three
    seal, open_ = crypto.hpke_seal, crypto.hpke_open
    monkeypatch.setattr(crypto, "hpke_seal", lambda kem, de, info, data: seal(kem, de, b"", data))
    monkeypatch.setattr(crypto, "hpke_open", lambda kem, de, info, data: open_(kem, de, b"", data))
    assert take(sphere, bo, resign(give(sphere, ada, bo), cy)) == sphere.keys[2]


def test_every_byte_counts(three: Three) -> None:
    """SHR-004: a flip in what is sealed is C_DECRYPT, a flip in the envelope C_SIG or C_FORMAT."""
    sphere, ada, bo, _ = three
    compact = give(sphere, ada, bo)
    ct = b64d(jws.decode(compact, share.TYP).body["ct"])
    for at in range(0, len(ct), 11):
        with pytest.raises(DecryptFailed):
            take(sphere, bo, resign(compact, ada, ct=b64e(ct[:at] + bytes([ct[at] ^ 1]) + ct[at + 1 :])))
    for wrong in (ct[:-1], ct + b"\0", ct[:64]):
        with pytest.raises(DecryptFailed):
            take(sphere, bo, resign(compact, ada, ct=b64e(wrong)))
    header, payload, signature = compact.split(".")
    raw = b64d(payload)
    for at in range(0, len(raw), 13):
        with pytest.raises(SignatureInvalid):
            take(sphere, bo, f"{header}.{b64e(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])}.{signature}")
    for at in range(64):
        bad = b64d(signature)
        with pytest.raises(SignatureInvalid):
            take(sphere, bo, f"{header}.{payload}.{b64e(bad[:at] + bytes([bad[at] ^ 1]) + bad[at + 1 :])}")


def test_from_whom_a_share_is_taken(three: Three) -> None:
    """SHR-005: any active device, any epoch of the log; a stranger never."""
    sphere, ada, bo, cy = three
    eve = Person("eve")
    assert take(sphere, bo, give(sphere, cy, bo, 1)) == sphere.keys[1]
    with pytest.raises(KeyUnknown):
        take(sphere, bo, give(sphere, eve, bo))
    ghost = sphere.draft(ada, compose.Rotate())
    assert ghost.key is not None
    assert ghost.state.epoch is not None
    with pytest.raises(KeyUnknown):
        take(sphere, bo, give(sphere, ada, bo, 3, key=ghost.key, epoch=ghost.state.epoch))


def test_a_removed_author_still_delivers_its_own_epoch(three: Three) -> None:
    """SHR-005: what a returning member needs; a removed member shares nothing else."""
    sphere, ada, bo, cy = three
    own = sphere.do(cy, compose.Rotate())
    mine = next(wrap.jws for wrap in own.commit.wraps if wrap.dv == bo.dev.dv)
    older = give(sphere, cy, bo, 2)
    assert take(sphere, bo, mine) == sphere.keys[3]
    sphere.do(ada, compose.Remove(cy.handle))
    assert take(sphere, bo, mine) == sphere.keys[3]
    for sent in (older, give(sphere, cy, bo, 4), resign(mine, cy, n=77)):
        with pytest.raises(NotMember):
            take(sphere, bo, sent)


def test_control_without_the_sender_rule_a_removed_member_is_heard(
    three: Three, monkeypatch: pytest.MonkeyPatch
) -> None:
    sphere, ada, bo, cy = three
    older = give(sphere, cy, bo, 1)
    sphere.do(ada, compose.Remove(cy.handle))
    monkeypatch.setattr(share, "_check_author", lambda envelope, log, dv: None)
    assert take(sphere, bo, older) == sphere.keys[1]


def test_a_member_cannot_make_another_key_stick(three: Three) -> None:
    """EPO-003: sealed and signed well, but not what the log committed to."""
    sphere, ada, bo, _ = three
    with pytest.raises(CommitmentMismatch):
        give(sphere, ada, bo, key=replace(sphere.keys[2], secret=bytes(32)))
    epoch = sphere.history.epoch(2)
    info = share.info(epoch, sphere.state.sph, party(ada), party(bo), "xwing")
    ct = crypto.hpke_seal("xwing", sphere.state.devices[bo.dev.dv].de, info, bytes(32))
    with pytest.raises(CommitmentMismatch):
        take(sphere, bo, resign(give(sphere, ada, bo), ada, ct=b64e(ct)))


def test_control_without_the_commitment_it_would_stick(three: Three, monkeypatch: pytest.MonkeyPatch) -> None:
    sphere, ada, bo, _ = three
    monkeypatch.setattr(epochs, "check", lambda secret, entry, sph: replace(sphere.keys[2], secret=secret))
    lie = give(sphere, ada, bo, key=replace(sphere.keys[2], secret=bytes(32)))
    assert take(sphere, bo, lie).secret == bytes(32)


def test_other_letters_are_no_shares(three: Three) -> None:
    sphere, ada, bo, _ = three
    ask = {"k": "ask", "sph": sphere.state.sph, "ns": [2], "iat": NOW, "jti": b64e(bytes(16))}
    with pytest.raises(FormatError):
        take(sphere, bo, jws.sign(share.TYP, {"kid": ada.dev.dv}, ask, ada.dev.signer))
    with pytest.raises(FormatError):
        take(sphere, bo, "x")


# --- who may be sent what without asking ---------------------------------------------------------------------------


def grown(policy: str) -> tuple[Sphere, Person, Person, list[int]]:
    """Epochs 1 and 2 old, then ``bo`` joins, then two more; positions of time a day apart."""
    ada, bo = Person("ada"), Person("bo")
    sphere = Sphere(ada, policy=Policy(history=policy))
    day = 86400
    sphere.do(ada, compose.Rotate(), now=NOW + 10 * day)
    sphere.do(ada, compose.Rotate(), now=NOW + 20 * day)
    request = sphere.request(bo, iat=NOW + 21 * day, exp=NOW + 22 * day)
    sphere.do(ada, compose.Add(bo.handle, request), now=NOW + 21 * day)
    sphere.do(ada, compose.Rotate(), now=NOW + 30 * day)
    return sphere, ada, bo, list(range(1, sphere.state.ep + 1))


@pytest.mark.parametrize(
    ("policy", "granted"),
    [
        ("all", [1, 2, 3, 4]),
        ("since-join", [4, 5]),
        ("none", [4, 5]),
        ("days:1", [2, 3, 4, 5]),
        ("days:10", [2, 3, 4, 5]),
        ("days:11", [1, 2, 3, 4, 5]),
    ],
)
def test_history_policies(policy: str, granted: list[int]) -> None:
    """SHR-006: ``all`` needs no rotation at the join; the others begin a new epoch there."""
    sphere, ada, bo, every = grown(policy)
    assert share.granted(sphere.history, bo.handle, bo.dev.dv) == granted
    assert share.granted(sphere.history, ada.handle, ada.dev.dv) == every
    late = bo.device()
    sphere.do(bo, compose.DeviceAdd(late.cert), dev=late)
    expected = [] if policy == "none" else granted
    assert share.granted(sphere.history, bo.handle, late.dv) == expected


def test_nothing_for_strangers_and_the_removed() -> None:
    sphere, ada, bo, _ = grown("all")
    assert share.granted(sphere.history, bo.handle, ada.dev.dv) == []
    assert share.granted(sphere.history, "id-", "dv-") == []
    sphere.do(ada, compose.Remove(bo.handle))
    assert share.granted(sphere.history, bo.handle, bo.dev.dv) == []


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_share_from_another_history_does_not_open(data: st.DataObject) -> None:
    """SHR-001, EPO-001: two members whose logs differ at the epoch cannot exchange its key, whatever r was."""
    ada, bo = Person("ada"), Person("bo")
    label = data.draw(st.text("xyz", max_size=5))
    mine, theirs = Sphere(ada, label="one"), Sphere(ada, label="one")
    for sphere in (mine, theirs):
        sphere.add(ada, bo)
    theirs.do(ada, compose.SetRole(bo.handle, "guest"))
    for sphere in (mine, theirs):
        sphere.rng = seeded(label)
        sphere.do(ada, compose.Rotate())
    assert mine.state.sph == theirs.state.sph
    assert mine.keys[2].secret != theirs.keys[2].secret
    with pytest.raises(DecryptFailed):
        take(mine, bo, give(theirs, ada, bo))
    assert History.load(mine.history.dump(), mine.history.digests).epoch(2) == mine.history.epoch(2)
