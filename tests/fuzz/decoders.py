"""Every decoder of the project in one table: what it may raise, what it starts from, how many cases it gets.

A decoder is a function of bytes that came from somebody else (a peer, the relay, a file). Anything but the listed
exceptions is a fault, an assertion here included: several decoders also check what they promise about inputs they
accept. ``cases`` are sized so that all of them together take a minute of one core.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import msgspec

from cloister import errors as e
from cloister.account import credentials, signup_check, slots, srp, srp_server, state_slot, unlock, vault, verifier
from cloister.account.box import seal_box
from cloister.account.login import login_name, origin
from cloister.client import relay as client_relay
from cloister.client.profile import Profile
from cloister.client.transports.base import Answer
from cloister.protocol import (
    api,
    certificate,
    chain,
    commit,
    dauth,
    entry,
    history,
    join,
    jws,
    keylog,
    machine,
    p2p,
    shape,
    state,
)
from cloister.protocol.encoding import b64d, b64e, json_emit, json_parse
from cloister.protocol.ids import Jwk, raw, thumbprint
from cloister.server import settings
from cloister.sphere import chains, epoch, export, invitation, live, message, meta, padding, payload, run, share
from cloister.sphere.share import Party
from tests.fuzz import grid
from tests.fuzz import world as worlds
from tests.fuzz.seeds import (
    TOML,
    chain_row,
    commits,
    enc,
    history_row,
    live_messages,
    live_world,
    payloads,
    seeds_of,
    shares,
    signup_body,
    state_compact,
    vector_texts,
    w,
)
from vectors.generate._sphere import NOW, drawn, seeded

F = e.FormatError


@dataclass(frozen=True)
class Decoder:
    """One row. ``seeds`` gives good inputs (they must be accepted unless ``picky``)."""

    name: str
    run: Callable[[bytes], object]
    allowed: tuple[type[Exception], ...]
    seeds: Callable[[], list[bytes]]
    cases: int
    picky: bool = False


def text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _json_parse(data: bytes) -> None:
    value = json_parse(data)
    assert json.loads(data) == value
    assert json_parse(json_emit(value)) == value


def _b64d(data: bytes) -> None:
    assert b64e(b64d(text(data))) == text(data)


def _jws(typ: str) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        envelope = jws.decode(data, typ)
        parts = [envelope.header_part, b64e(envelope.payload).encode(), b64e(envelope.signature).encode()]
        assert b".".join(parts) == data
        if typ != "sph-msg+1":
            _ = envelope.body

    return run


def _entry(data: bytes) -> None:
    found = entry.decode(text(data))
    if found.seq == 0:
        machine.genesis(found)


@cache
def _attachments() -> dict[bytes, str]:
    return {jws.decode(one, "sph-join+1").digest: one for one in worlds.world().requests}


@cache
def _states() -> list[state.SphereState]:
    w = worlds.world()
    found = [machine.genesis(entry.decode(w.sphere.entries[0]))]
    for one in w.sphere.entries[1:]:
        found.append(machine.apply(found[-1], entry.decode(one), _attachments() | _drafted()))
    return found


@cache
def _drafted() -> dict[bytes, str]:
    return {digest: one for draft in worlds.world().sphere.drafts for digest, one in draft.commit.attach.items()}


def _apply(data: bytes) -> None:
    one = entry.decode(text(data))
    states = _states()
    before = states[min(max(one.seq, 1), len(states)) - 1]
    after = machine.apply(before, one, _attachments() | _drafted())
    assert after.seq == before.seq + 1
    assert state.load(state.dump(after)).digest == after.digest


def _ik() -> Jwk:
    return worlds.world().ada.ik


def _klog_apply(data: bytes) -> None:
    envelope = jws.decode(text(data), "sph-klog+1")
    log = (
        keylog.verify_chain(worlds.world().klog[: min(max(envelope.body["seq"], 0), 3)])
        if envelope.body["seq"]
        else None
    )
    keylog.apply(log, text(data))


def _join(data: bytes) -> None:
    w = worlds.world()
    invite = w.sphere.state.invites[w.link.jti]
    for one in (invite, None):
        try:
            join.verify(text(data), w.sphere.state.sph, one, NOW)
        except (e.LogInvalid, e.SignatureInvalid):
            continue


def _commit(data: bytes) -> None:
    w = worlds.world()
    one = commit.Commit.from_json(json_parse(data))
    assert len(one.digest()) == 32
    first = entry.decode(one.entries[0])
    states = _states()
    before = states[first.seq - 1] if 0 < first.seq <= len(states) else None
    heads = {dv: talker.head for dv, talker in w.sphere.talkers.items() if talker.head}
    try:
        commit.steps(before, one, heads)
    except (e.CheckFailed, e.RelayError) as error:
        refusal = commit.as_relay_error(error)
    else:
        return
    assert refusal.as_wire()["code"].startswith("E_")


def _commit_body(data: bytes) -> None:
    body = msgspec.json.decode(data, type=api.CommitBody)
    msgspec.json.encode(body)


def _admit(data: bytes) -> None:
    w = worlds.world()
    envelope = jws.decode(data, "sph-msg+1")
    chain.admit(w.sphere.state, w.sphere.history, envelope, None)


def _letter(data: bytes) -> None:
    w = worlds.world()
    letter = p2p.decode(text(data))
    sender = w.sphere.state.devices.get(letter.kid)
    if sender is not None:
        p2p.verify(letter, sender)
        p2p.check_pair(w.sphere.state, letter.kid, letter.to or w.bo.dev.dv)


def _dauth(data: bytes) -> None:
    w = worlds.world()
    dv, nonce = dauth.read(text(data))
    assert raw(dv)
    assert len(nonce) == 32
    dauth.verify(text(data), w.device.dk, dv=w.device.dv, origins=[worlds.ORIGIN], nonce=bytes(32), now=NOW)


def _message(data: bytes) -> None:
    w = worlds.world()
    one = message.decode(text(data))
    strict = jws.decode(data, "sph-msg+1")  # the fast reader accepts nothing the strict one refuses
    assert strict.digest == one.digest
    key = w.sphere.keys.get(one.head.ep)
    message.open(one, key)


def _page(data: bytes) -> None:
    """Frames joined by newlines, judged as a page: never raises, whatever is in it."""
    w = worlds.world()
    frames = text(data).split("\n")
    page = run.verify_page(frames, w.sphere.history, {}, w.sphere.state.sph)
    assert len(page.verdicts) == len(frames)
    run.open_page(page.verdicts, w.sphere.keys, w.sphere.history)
    again = run.verify_page(frames, w.sphere.history, page.chains, w.sphere.state.sph)
    assert not [one for one in again.verdicts if one.status == "authentic"]


def _payload(data: bytes) -> None:
    one = payload.decode(data)
    assert payload.decode(payload.encode(one)) == one


def _unpad(data: bytes) -> None:
    assert padding.unpad(padding.pad(padding.unpad(data))) == padding.unpad(data)


@cache
def _metas() -> list[tuple[meta.Slot, bytes]]:
    found = []
    for compact in worlds.world().sphere.entries:
        one = entry.decode(compact)
        body = one.envelope.body
        if body["op"] == "meta":
            found += [(meta.Slot(one.kid, one.sph, one.seq, one.prev, one.ep), json_emit(body["body"]))]
    return found


def _meta(data: bytes) -> None:
    slot, _ = _metas()[-1]
    body = json_parse(data)
    if "ct" in body:
        shape.shape({"n16": "bytes:16", "n": "bytes:12", "cm": "bytes:32", "mh": "bytes:32", "ct": "bytes:16-65536"})(
            body
        )
    meta.open(body, slot, worlds.world().sphere.keys[slot.ep])


def _share(data: bytes) -> None:
    w = worlds.world()
    for who in (w.bo, w.cy):
        me = Party(who.handle, who.dev.dv)
        try:
            share.open(text(data), w.sphere.history, me, who.dev.kem, [who.dev.de_seed], w.sphere.state.sph)
        except e.DecryptFailed:
            continue


def _link_blob(data: bytes) -> None:
    w = worlds.world()
    newest = max(w.sphere.keys)
    epoch.link_open(data, w.sphere.keys[newest], w.sphere.history.epoch(newest - 1))


def _invite_link(data: bytes) -> None:
    link = invitation.parse(text(data))
    assert invitation.parse(invitation.emit(link)) == link


def _saved_keys(data: bytes) -> None:
    said = export.parse(text(data))
    assert len(said.eps) == len(said.kcs) == (len(said.ct) - 16) // 32


def _saved_code(data: bytes) -> None:
    secret = export.read_code(text(data))
    assert export.read_code(export.show_code(secret.data)) == secret


def _saved_words(data: bytes) -> None:
    secret = export.read_words(text(data))
    assert export.read_words(secret.data.decode()) == secret


def _slot_ik(data: bytes) -> None:
    w = worlds.world()
    slots.open_ik(w.roots.rk, w.ada.handle, w.ada.ik, data)


def _slot_epoch(data: bytes) -> None:
    w = worlds.world()
    slots.open_epoch(w.roots.mk, w.ada.handle, w.sphere.state.sph, 1, data)


def _slot_master(data: bytes) -> None:
    w = worlds.world()
    slots.open_masters(w.ada.handle, w.roots.mk, 2, {1: data})


def _state_slot(data: bytes) -> None:
    """The damage is inside the box: a relay cannot get there, an own device gone wrong can."""
    w = worlds.world()
    key = slots.slot_key(w.roots.mk, w.ada.handle, "state")
    aad = slots.slot_aad(w.ada.handle, "state", b"", 1)
    box = seal_box(key, data, aad, seeded("fuzz"))
    state_slot.open_state(w.roots.mk, w.ada.handle, 1, box, {w.device.dv: w.device.dk}, None)


def _vault(data: bytes) -> None:
    found = vault.decode(data)
    assert vault.decode(vault.encode(found)) == found
    if found.pin is not None:
        unlock.local_record(found)
    for opener in (
        lambda: vault.open_with_password(found, drawn("kek", 32)),
        lambda: vault.open_with_key(found, "pin", bytes(32)),
    ):
        try:
            opener()
        except (e.VaultError, e.NotFound):
            continue


def _vault_record(data: bytes) -> None:
    w = worlds.world()
    vault.open_record(w.vk, w.vault, "device", data)


def _mk_share(data: bytes) -> None:
    w = worlds.world()
    old = type(w.roots)(w.roots.mk, w.roots.rk, 1)
    credentials.open_mk_share(w.ada.handle, "dv-" + b64e(bytes(32)), w.device, 2, data, old)


def _challenge(data: bytes) -> None:
    reply = json.loads(data)
    if isinstance(reply, dict):
        srp.read_challenge(reply)


@cache
def _server_keys() -> verifier.ServerKeys:
    return verifier.server_keys(bytes(32))


def _srp_start(data: bytes) -> None:
    keys = _server_keys()
    srp_server.start(keys, verifier.candidate(keys, "nobody", None, seeded("srp")), data, NOW, seeded("srp2"))


def _signup(data: bytes) -> None:
    body = msgspec.json.decode(data, type=api.NewAccount)
    signup_check.check(msgspec.to_builtins(body), NOW)


def _api(kind: type[Any]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        value = msgspec.json.decode(data, type=kind)
        assert msgspec.json.decode(msgspec.json.encode(value), type=kind) == value

    return run


def _refusal(data: bytes) -> None:
    found = client_relay._refusal(Answer(409, data, {}))
    assert isinstance(found, e.CloisterError)
    json.dumps(found.as_json())


def _settings(data: bytes) -> None:
    folder = Path(_folder())
    path = folder / "relay.toml"
    path.write_bytes(data)
    settings.load({"data": str(folder)}, {}, path)


@cache
def _folder() -> str:
    return mkdtemp(prefix="fuzz-")


def _profile(data: bytes) -> None:
    profile = Profile(_folder())
    (profile.folder / "vault.json").write_bytes(data)
    profile.read("vault.json")


def _store_state(data: bytes) -> None:
    state.load(json.loads(data))


def _store_history(data: bytes) -> None:
    row = json.loads(data)
    history.History.load(row["h"], b64d(row["d"]))


def _store_chain(data: bytes) -> None:
    chains.ChainState.load(json.loads(data))


CHECKS = (F, e.SignatureInvalid, e.KeyUnknown, e.LogInvalid, e.Expired, e.NotMember)
LOG = (*CHECKS, e.StaleHead, e.LogFork, e.VersionTooOld, e.Downgrade, e.Forbidden)
RELAY = (e.Forbidden, e.BadFormat, e.StaleHead, e.StaleEpoch, e.Conflict)
# Rows of the client's own store come out of an authenticated database; a wrong one must only not be believed.
STORED = (LookupError, TypeError, ValueError, AttributeError, e.CheckFailed)
MSGSPEC = (msgspec.DecodeError, UnicodeDecodeError)


DECODERS: tuple[Decoder, ...] = (
    Decoder(
        "json_parse", _json_parse, (F,), lambda: [x for x in vector_texts("json-parse") if x[:1] == b"{"], 40000, True
    ),
    Decoder("b64d", _b64d, (F,), lambda: vector_texts("b64d", "b64e"), 60000, True),
    *(
        Decoder(f"envelope-{typ[4:-2]}", _jws(typ), (F,), lambda typ=typ: seeds_of(typ), 6000)  # type: ignore[misc]
        for typ in jws.TYPS
    ),
    Decoder("entry", _entry, (*CHECKS, e.VersionTooOld), lambda: enc(*w().sphere.entries), 5000),
    Decoder("log", _apply, LOG, lambda: enc(*w().sphere.entries[1:]), 2500),
    Decoder("certificate", lambda d: certificate.verify(text(d), _ik()), CHECKS, lambda: enc(w().ada.dev.cert), 1200),
    Decoder("keylog", _klog_apply, CHECKS, lambda: enc(*w().klog), 1000),
    Decoder("join", _join, CHECKS, lambda: enc(*w().requests), 1200),
    Decoder("commit", _commit, LOG, commits, 800),
    Decoder("commit-body", _commit_body, MSGSPEC, commits, 3000),
    Decoder("admit", _admit, (F, *RELAY), lambda: enc(*w().messages[-2:]), 5000, True),
    Decoder(
        "live",
        lambda d: live.read(text(d), live_world().history),
        (*CHECKS, e.Replay),
        lambda: enc(*live_messages()),
        2000,
    ),
    Decoder("letter", _letter, CHECKS, lambda: enc(*w().letters), 5000),
    Decoder("dauth", _dauth, (*CHECKS, e.AuthFailed), lambda: enc(w().dauth), 5000),
    Decoder("message", _message, (F, e.DecryptFailed, e.KeyUnknown, e.VersionTooOld), lambda: enc(*w().messages), 6000),
    Decoder("page", _page, (), lambda: [b"\n".join(enc(*w().messages[i : i + 6])) for i in (0, 6, 12)], 1500),
    Decoder(
        "payload",
        _payload,
        (F, e.VersionTooOld),
        lambda: [payload.encode(p) for p in payloads()],
        15000,
    ),
    Decoder("padding", _unpad, (F,), lambda: [padding.pad(b"abc"), padding.pad(bytes(5000))], 20000),
    Decoder(
        "meta", _meta, (F, e.DecryptFailed), lambda: [_metas()[-1][1], b'{"title":"a","topic":"","icon":""}'], 8000
    ),
    Decoder("share", _share, (*CHECKS, e.DecryptFailed, e.CommitmentMismatch), lambda: enc(*shares()), 1500),
    Decoder("link-blob", _link_blob, (F, e.DecryptFailed, e.CommitmentMismatch), lambda: [worlds.link_blob()], 8000),
    Decoder("invite-link", _invite_link, (F,), lambda: enc(invitation.emit(w().link)), 15000),
    Decoder("saved-keys", _saved_keys, (F, e.Downgrade), lambda: vector_texts("export-parse"), 3000),
    Decoder("saved-code", _saved_code, (F,), lambda: enc(export.show_code(bytes(range(16)))), 3000),
    Decoder("saved-words", _saved_words, (e.WeakPassword,), lambda: enc("lantern orbit mussel cobalt thistle"), 3000),
    Decoder(
        "slot-ik",
        _slot_ik,
        (e.VaultError,),
        lambda: [slots.seal_ik(w().roots.rk, w().ada.handle, w().ada.scalar, seeded("ik"))],
        3000,
    ),
    Decoder(
        "slot-epoch",
        _slot_epoch,
        (e.VaultError,),
        lambda: [slots.seal_epoch(w().roots.mk, w().ada.handle, w().sphere.state.sph, 1, bytes(32), seeded("e"))],
        8000,
    ),
    Decoder("slot-master", _slot_master, (e.VaultError,), lambda: [worlds.master_slot()], 8000),
    Decoder("slot-state", _state_slot, (e.VaultError,), lambda: [state_compact()], 5000),
    Decoder("vault", _vault, (F, e.VaultError, e.NotFound), lambda: [vault.encode(w().vault)], 6000),
    Decoder(
        "vault-record",
        _vault_record,
        (e.VaultError,),
        lambda: [vault.seal_record(w().vk, w().vault, "device", b"{}", seeded("r"))],
        8000,
    ),
    Decoder("key-file", vault.read_key_file, (F,), lambda: [vault.key_file(bytes(32))], 15000),
    Decoder("mk-share", _mk_share, (e.VaultError, e.Downgrade), lambda: [worlds.mk_share()], 3000),
    Decoder(
        "srp-challenge",
        _challenge,
        (F, e.Downgrade, ValueError, RecursionError),
        lambda: [
            json.dumps({"sid": b64e(bytes(16)), "salt": b64e(bytes(16)), "B": b64e(bytes(511) + b"\x05")}).encode()
        ],
        6000,
    ),
    Decoder("srp-start", _srp_start, (e.AuthFailed,), lambda: [bytes(511) + b"\x05"], 60),
    Decoder("sign-up", _signup, (*MSGSPEC, e.BadFormat), signup_body, 1000),
    *(
        Decoder(f"api-{kind.__name__}", _api(kind), MSGSPEC, lambda one=one: [one], 4000)  # type: ignore[misc]
        for kind, one in (
            (api.AuthStart, b'{"login":"ada","A":"AAAA"}'),
            (api.Items, b'{"items":[{"pos":1,"k":"msg","jws":"e30.e30.e30"},{"pos":2,"k":"gone"}],"head":2}'),
            (api.Inbox, b'{"items":[{"pos":1,"k":"p2p","sph":"sp-' + b"A" * 43 + b'","jws":"e30.e30.e30"}],"head":2}'),
            (api.Slots, b'{"slots":[{"name":"state","mkv":1,"bytes":"AAAA","ctr":1}],"more":false}'),
        )
    ),
    Decoder("refusal", _refusal, (), lambda: [b'{"code":"E_STALE_HEAD","seq":3,"h":"AAAA","retry_after":2}'], 8000),
    Decoder("login", lambda d: login_name(text(d)), (F, e.UsageError), lambda: enc("ada", "b.o-1"), 15000),
    Decoder(
        "origin",
        lambda d: origin(text(d)),
        (F, e.UsageError),
        lambda: enc("https://relay.example:8420/", "http://[::1]:80"),
        15000,
    ),
    Decoder("jwk", lambda d: thumbprint(_jwk(d)), (F,), lambda: [json_emit(dict(_ik()))], 4000),
    *(Decoder(*row) for row in grid.ROWS),
    Decoder("settings", _settings, (e.UsageError,), lambda: [TOML], 1200),
    Decoder("profile-file", _profile, (e.DiskTrouble,), lambda: [vault.encode(w().vault)], 1000),
    Decoder("store-state", _store_state, STORED, lambda: [json.dumps(state.dump(w().sphere.state)).encode()], 600),
    Decoder("store-history", _store_history, STORED, lambda: [history_row()], 1200),
    Decoder("store-chain", _store_chain, STORED, lambda: [json.dumps(chain_row()).encode()], 6000),
)


def _jwk(data: bytes) -> Jwk:
    value = json_parse(data)
    shape.kind("jwk")(value)
    return value
