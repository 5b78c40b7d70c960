"""Whole commits from intents. Spec: EPO-004, EPO-006 to EPO-012, META-004, SHR-003."""

from __future__ import annotations

import json

import pytest

from cloister.errors import DecryptFailed, FormatError, IncompleteWraps, KeyUnknown, LogInvalid, StaleHead
from cloister.protocol import commit as commits
from cloister.protocol import entry, jws
from cloister.protocol.commit import Commit
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.history import History
from cloister.protocol.state import Policy, state_hash
from cloister.sphere import compose, epoch, invitation, message, meta, run, share
from cloister.sphere.compose import Draft, Words
from cloister.sphere.epoch import EpochKey
from cloister.sphere.share import Party
from vectors.generate._sphere import NOW, Person, Sphere, author, seeded, text

Three = tuple[Sphere, Person, Person, Person]


@pytest.fixture
def three() -> Three:
    ada, bo, cy = Person("ada"), Person("bo"), Person("cy")
    sphere = Sphere(ada)
    sphere.add(ada, bo)
    sphere.add(ada, cy)
    return sphere, ada, bo, cy


def ops(draft: Draft) -> list[str]:
    return [state.change.op for state in draft.states]


def to(draft: Draft) -> list[str]:
    return [wrap.dv for wrap in draft.commit.wraps]


def test_a_new_sphere() -> None:
    """EPO-008: create, the first epoch, the title; nobody needs a share."""
    sphere = Sphere(Person("ada"))
    draft = sphere.drafts[0]
    assert (ops(draft), to(draft), draft.commit.base) == (["create", "epoch", "meta"], [], None)
    assert draft.key == sphere.keys[1]
    assert draft.commit.link is None
    assert Commit.from_json(json.loads(json.dumps(draft.commit.as_json()))) == draft.commit


def test_open_and_organised_spheres() -> None:
    """EPO-004, EPO-009: no epoch in the open; under an organisation's secret no shares."""
    ada, bo = Person("ada"), Person("bo")
    open_ = Sphere(ada, mode="open")
    assert ops(open_.drafts[0]) == ["create", "meta"]
    assert to(open_.add(ada, bo)) == []
    org = Sphere(Person("ada"), label="org")
    create = compose.Create("ada", ada.ik, ada.dev.cert, org=org.state.sph)
    with pytest.raises(KeyUnknown):
        compose.compose(None, None, author(ada), [create], now=NOW, rng=seeded("o"))
    draft = compose.compose(None, None, author(ada), [create], now=NOW, rng=seeded("o"), org_key=org.keys[1])
    assert draft.key is not None
    assert draft.key == epoch.derive_org(org.keys[1], draft.states[0].digest, draft.state.sph, 1)
    assert entry.decode(draft.commit.entries[1]).body["m"] == 1
    commits.steps(None, draft.commit)


def test_live_delivery_stores_no_shares() -> None:
    sphere = Sphere(Person("ada"), over={"delivery": "live", "custody": "device"})
    draft = sphere.add(sphere.owner, Person("bo"))
    assert to(draft) == []
    assert to(sphere.do(sphere.owner, compose.Rotate())) == []
    assert sphere.drafts[-1].commit.link is None


def test_who_gets_a_share(three: Three) -> None:
    """EPO-009, SHR-003: an epoch for every active device but the author's, an add for the newcomers alone."""
    sphere, ada, bo, cy = three
    assert to(sphere.drafts[1]) == [bo.dev.dv]
    assert to(sphere.drafts[2]) == [cy.dev.dv]
    second = bo.device()
    draft = sphere.do(bo, compose.DeviceAdd(second.cert), dev=second)
    assert to(draft) == []
    every = sorted([ada.dev.dv, bo.dev.dv, second.dv, cy.dev.dv])
    assert to(sphere.do(ada, compose.Rotate())) == [dv for dv in every if dv != ada.dev.dv]
    assert to(sphere.do(ada, compose.Rotate(), own_wrap=True)) == every
    for wrap in sphere.drafts[-1].commit.wraps:
        person, dev = next((p, d) for p in (ada, bo, cy) for d in p.devs if d.dv == wrap.dv)
        me = Party(person.handle, dev.dv)
        got = share.open(wrap.jws, sphere.history, me, dev.kem, [dev.de_seed], sphere.state.sph)
        assert got == sphere.keys[sphere.state.ep]


def test_remove_then_speak_in_one_commit(three: Three) -> None:
    """EPO-008: membership, epoch, title, shares, and the message at the last entry, under the new key."""
    sphere, ada, bo, cy = three
    cy_talks = sphere.talker(cy)
    cy_talks.say("hi")
    draft = sphere.do(ada, compose.Remove(cy.handle), words=Words(text("he is gone"), None))
    assert ops(draft) == ["remove", "epoch", "meta"]
    assert to(draft) == [bo.dev.dv]
    assert draft.commit.msg is not None
    got = message.decode(draft.commit.msg)
    assert (got.head.ls, b64d(got.head.lh), got.head.ep) == (draft.state.seq, draft.state.digest, 2)
    page = run.verify_page([draft.commit.msg], sphere.history, {}, sphere.state.sph)
    (one,) = run.open_page(page.verdicts, sphere.keys, sphere.history)
    assert one.payload is not None
    assert one.payload.text == "he is gone"
    assert draft.chain is not None
    assert (draft.chain.seq, draft.chain.digest) == (1, got.digest)
    assert entry.decode(draft.commit.entries[0]).body["tails"] == [[cy.dev.dv, 1, b64e(cy_talks.digest)]]
    me = Party(cy.handle, cy.dev.dv)
    for wrap in draft.commit.wraps:
        with pytest.raises(DecryptFailed):
            share.open(wrap.jws, sphere.history, me, "xwing", [cy.dev.de_seed], sphere.state.sph)


def test_leave_mark_and_the_next_speaker(three: Three) -> None:
    """EPO-007: after a leave or a mark, words bring the epoch with them."""
    sphere, ada, bo, cy = three
    draft = sphere.do(cy, compose.Leave())
    assert (ops(draft), draft.key) == (["leave"], None)
    assert sphere.state.hard
    draft = sphere.do(bo, words=Words(text("new key first"), None))
    assert ops(draft) == ["epoch", "meta"]
    assert not sphere.state.hard
    assert ops(sphere.do(ada, compose.Mark())) == ["mark"]
    assert ops(sphere.do(ada, compose.Rotate())) == ["epoch", "meta"]
    with pytest.raises(FormatError):
        sphere.draft(ada)
    with pytest.raises(FormatError):
        sphere.draft(ada, words=Words(text("needs no commit"), None))


def test_every_other_intent(three: Three) -> None:
    """EPO-007: one class per operation; the machine has the last word."""
    sphere, ada, bo, cy = three
    jti, seed = bytes(16), bytes(32)
    _, ipk = invitation.key_pair(seed, sphere.state.sph, jti)
    assert ops(sphere.do(ada, compose.Invite(jti, ipk, NOW + 99, uses=3))) == ["invite"]
    assert ops(sphere.do(ada, compose.RevokeInvite(jti))) == ["revoke-invite"]
    assert ops(sphere.do(ada, compose.SetRole(bo.handle, "admin"))) == ["role"]
    assert ops(sphere.do(ada, compose.SetRole(bo.handle, "member"))) == ["role"]
    second = bo.device()
    assert ops(sphere.do(bo, compose.DeviceAdd(second.cert), dev=second)) == ["device add"]
    renewed = Person("renew").device("xwing")
    public = b64d(jws.decode(renewed.cert, "sph-dev+1").body["de"])
    assert ops(sphere.do(bo, compose.DeviceRenew("xwing", public), dev=second)) == ["device renew"]
    draft = sphere.do(bo, compose.DeviceRevoke(second.dv), compose.Rotate())
    assert ops(draft) == ["device revoke", "epoch", "meta"]
    assert ops(sphere.do(ada, compose.SetMeta(meta.Text("Cellar")))) == ["meta"]
    assert sphere.meta is not None
    assert sphere.meta.text.title == "Cellar"
    before = state_hash(sphere.state)
    draft = sphere.do(ada, compose.Checkpoint(((bo.dev.dv, 1, bytes(32)),)))
    assert b64d(entry.decode(draft.commit.entries[0]).body["sh"]) == before
    assert ops(sphere.do(ada, compose.Checkpoint())) == ["checkpoint"]
    assert ops(sphere.do(ada, compose.SetCustody("device"), compose.SetDelivery("live"))) == ["custody", "delivery"]
    assert ops(sphere.do(ada, compose.SetPolicy(Policy(T=60)))) == ["policy"]
    assert ops(sphere.do(ada, compose.SetMode("open"))) == ["mode"]
    assert ops(sphere.do(ada, compose.SetMeta(meta.Text("in clear")))) == ["meta"]
    assert ops(sphere.do(ada, compose.SetMode("e2ee"))) == ["mode", "epoch", "meta"]
    assert ops(sphere.do(ada, compose.Remove(cy.handle, ban=True))) == ["remove", "epoch", "meta"]
    assert sphere.state.members[cy.handle].role == "banned"


def test_what_may_not_be(three: Three) -> None:
    sphere, ada, bo, cy = three
    gus = Person("gus")
    sphere.add(ada, gus, "guest")
    for who, intent in (
        (bo, compose.Remove(cy.handle)),
        (bo, compose.SetMode("open")),
        (gus, compose.Rotate()),
        (ada, compose.Remove(ada.handle)),
        (ada, compose.Leave()),
    ):
        with pytest.raises(LogInvalid):
            sphere.draft(who, intent)
    with pytest.raises(KeyUnknown):
        sphere.draft(ada, compose.Add(Person("di").handle, sphere.request(Person("di"))), keys={})
    with pytest.raises(FormatError):
        sphere.draft(ada, compose.Create("ada", ada.ik, ada.dev.cert))
    with pytest.raises(FormatError):
        compose.compose(None, None, author(ada), [compose.Mark()], now=NOW, rng=sphere.rng)


def test_history_policies_rotate_at_a_join() -> None:
    """EPO-007: unless newcomers may read all, an add brings its epoch, and no link leads back."""
    sphere = Sphere(Person("ada"), policy=Policy(history="since-join"))
    draft = sphere.add(sphere.owner, Person("bo"))
    assert ops(draft) == ["add", "epoch", "meta"]
    assert draft.commit.link is None


def test_links_lead_back_while_history_is_open(three: Three) -> None:
    """EPO-006: and stop when the policy leaves ``all``, for good up to there."""
    sphere, ada, _, _ = three
    one = sphere.do(ada, compose.Rotate())
    assert one.commit.link is not None
    assert epoch.link_open(one.commit.link, sphere.keys[2], sphere.history.epoch(1)) == sphere.keys[1]
    assert sphere.draft(ada, compose.Rotate(), keys={}).commit.link is None
    closed = sphere.do(ada, compose.SetPolicy(Policy(history="none")), compose.Rotate())
    assert closed.commit.link is None
    again = sphere.do(ada, compose.SetPolicy(Policy()), compose.Rotate())
    assert again.commit.link is None
    assert sphere.do(ada, compose.Rotate()).commit.link is not None


def test_words_need_the_running_key(three: Three) -> None:
    sphere, ada, _, _ = three
    with pytest.raises(KeyUnknown):
        sphere.draft(ada, compose.SetRole(three[2].handle, "admin"), words=Words(text("x"), None), keys={})
    meant = Words(text("x")._replace(pt=True), None)
    sphere.do(ada, compose.SetPolicy(Policy(plaintext=True)))
    assert sphere.draft(ada, compose.Checkpoint(), words=meant, keys={}).commit.msg is not None


# --- lost answers, lost races ----------------------------------------------------------------------------------------


def test_a_draft_survives_on_disk(three: Three) -> None:
    """EPO-011: what was stored before sending is all that is needed after a crash."""
    sphere, ada, _, cy = three
    base = sphere.state
    draft = sphere.draft(ada, compose.Remove(cy.handle), words=Words(text("bye"), None))
    stored = json.dumps(draft.dump())
    again = Draft.load(json.loads(stored), base)
    assert (again.commit, again.key, again.meta, again.chain) == (draft.commit, draft.key, draft.meta, draft.chain)
    assert again.states == draft.states
    assert repr(draft.key.secret) not in repr(draft) if draft.key else False
    small = sphere.draft(ada, compose.SetRole(cy.handle, "guest"))
    assert Draft.load(json.loads(json.dumps(small.dump())), base).commit == small.commit


def test_a_race_has_one_winner_and_the_loser_tries_again(three: Three) -> None:
    """EPO-012: an own entry in the log means won, though the answer was lost; otherwise again, with a fresh secret."""
    sphere, ada, bo, _ = three
    mine = sphere.draft(bo, compose.Rotate())
    assert compose.outcome(mine, sphere.history) == "open"
    base = sphere.state
    theirs = sphere.do(ada, compose.Rotate())
    assert compose.outcome(theirs, sphere.history) == "won"
    assert compose.outcome(mine, sphere.history) == "lost"
    with pytest.raises(StaleHead):
        commits.steps(sphere.state, mine.commit)
    second = sphere.do(bo, compose.Rotate())
    assert mine.key is not None
    assert second.key is not None
    assert second.key.n == mine.key.n + 1
    assert second.key.secret != mine.key.secret
    assert commits.steps(base, mine.commit)


def test_composing_twice_never_repeats_a_secret(three: Three) -> None:
    """EPO-001: each attempt has its own r, nonce and jti."""
    sphere, ada, _, _ = three
    one, two = sphere.draft(ada, compose.Rotate()), sphere.draft(ada, compose.Rotate())
    assert one.key is not None
    assert two.key is not None
    assert one.key.secret != two.key.secret
    assert one.commit.idem != two.commit.idem


def test_time_never_runs_backwards(three: Three) -> None:
    sphere, ada, bo, _ = three
    sphere.do(ada, compose.Rotate(), now=NOW + 500)
    assert sphere.do(bo, compose.Rotate(), now=NOW).state.iat == NOW + 500


def test_a_missing_share_is_refused(three: Three) -> None:
    """EPO-009: the relay and every member count."""
    sphere, ada, bo, _ = three
    draft = sphere.draft(ada, compose.Rotate())
    short = Commit(**{**vars_of(draft.commit), "wraps": draft.commit.wraps[1:]})
    with pytest.raises(IncompleteWraps):
        commits.steps(sphere.state, short)
    assert bo.dev.dv in to(draft)


def vars_of(commit: Commit) -> dict[str, object]:
    return {name: getattr(commit, name) for name in Commit.__dataclass_fields__}


def test_the_state_given_is_untouched(three: Three) -> None:
    """Composing is pure: the base state and the history stay as they were."""
    sphere, ada, _, cy = three
    before = (sphere.state, json.dumps(sphere.history.dump()), state_hash(sphere.state))
    keys: dict[int, EpochKey] = dict(sphere.keys)
    sphere.draft(ada, compose.Remove(cy.handle))
    assert (sphere.state, json.dumps(sphere.history.dump()), state_hash(sphere.state)) == before
    assert sphere.keys == keys
    assert isinstance(sphere.history, History)
