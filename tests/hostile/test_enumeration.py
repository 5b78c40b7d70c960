"""T-B4: nothing tells an asker which accounts, invitations, requests and spheres exist.

Equal status, equal length of the answer, equal headers but for the time, and the same sequence of costly operations.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from cloister.account import srp_group, srp_server, verifier
from cloister.errors import Conflict
from cloister.protocol.encoding import b64e
from tests.hostile.world import HostileWorld, mallory
from tests.scenarios.world import PASSWORD

UNKNOWN = ["nobody", "somebody", "zz"]


def _costs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of costly operations in the order they are made."""
    made: list[str] = []

    def count(module: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(module, name)

        def counted(*args: Any, **named: Any) -> Any:
            made.append(name)
            return real(*args, **named)

        monkeypatch.setattr(module, name, counted)

    for name in ("server_public", "server_secret"):
        count(srp_group, name)
    for name in ("seal_verifier", "open_verifier"):
        count(verifier, name)
    return made


async def _answer(hw: HostileWorld, method: str, path: str, body: Any = None, token: str | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    answer = await hw.network("ada").request(method, path, data, token=token)
    headers = {k: v for k, v in answer.headers.items() if k != "date"}
    return answer.status, len(answer.body), headers


async def _sign_in(hw: HostileWorld, login: str) -> list[Any]:
    """A whole attempt with a wrong password."""
    salt = await _answer(hw, "POST", "/v1/auth/start", {"login": login})
    a_public = srp_group.pad(srp_group.GROUP, pow(5, int.from_bytes(os.urandom(32), "big"), srp_group.GROUP.n))
    started = await hw.network("ada").request(
        "POST", "/v1/auth/start", json.dumps({"login": login, "A": b64e(a_public)}).encode()
    )
    sid = json.loads(started.body)["sid"]
    finish = await _answer(hw, "POST", "/v1/auth/finish", {"sid": sid, "M1": b64e(os.urandom(32))})
    return [salt, (started.status, len(started.body)), finish]


async def test_a_name_without_account_answers_alike(hw: HostileWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """SRP-009, SRP-013: same answers, same work, and a salt that never changes."""
    await hw.first("ada")
    made = _costs(monkeypatch)
    known = await _sign_in(hw, "ada")
    work, made[:] = list(made), []
    for login in UNKNOWN:
        assert await _sign_in(hw, login) == known
        assert made == work
        made.clear()
    first, second = [await hw.network("ada").request("POST", "/v1/auth/start", b'{"login":"zz"}') for _ in range(2)]
    assert first.body == second.body
    assert work.count("server_public") == work.count("server_secret") == 1


async def test_control_a_shortcut_for_unknown_names_is_seen(hw: HostileWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relay that opens no verifier for a name it does not know does other work, and the count shows it."""
    await hw.first("ada")
    real = verifier.open_verifier

    def shortcut(keys: Any, record: Any) -> bytes:
        return real(keys, record) if record.login == "ada" else os.urandom(512)

    made = _costs(monkeypatch)
    counted = verifier.open_verifier
    monkeypatch.setattr(srp_server, "open_verifier", lambda k, r: counted(k, r) if r.login == "ada" else shortcut(k, r))
    await _sign_in(hw, "ada")
    work, made[:] = list(made), []
    await _sign_in(hw, "zz")
    assert made != work


async def test_spheres_invitations_and_requests_answer_alike(hw: HostileWorld) -> None:
    """API-004: a sphere one is not in, one that does not exist, a used or made-up invitation: the same bytes."""
    ada = await hw.first("ada")
    sphere = await ada.create_sphere("Harbour plan")
    link = await sphere.invite()
    bo = await hw.join("bo", link)
    token = bo._ctx.relay.token  # type: ignore[union-attr]
    ghost = "sp-" + b64e(os.urandom(32))
    paths = ["log?from=0", "items?after=0", "heads", "links?to=1", "seen/1", "joins", f"attach/{b64e(bytes(32))}"]
    for path in paths:
        there = await _answer(hw, "GET", f"/v1/spheres/{sphere.sph}/{path}", token=token)
        absent = await _answer(hw, "GET", f"/v1/spheres/{ghost}/{path}", token=token)
        assert there == absent, path
        assert there[0] == 403
    await sphere.withdraw(link.jti)
    gone = await _answer(hw, "GET", f"/v1/invites/{sphere.sph}/{link.jti}")
    assert gone == await _answer(hw, "GET", f"/v1/invites/{sphere.sph}/{b64e(os.urandom(16))}")
    assert gone == await _answer(hw, "GET", f"/v1/invites/{ghost}/{link.jti}")
    other = mallory(int(hw.clock()))
    answers = [
        await _answer(hw, "POST", "/v1/joins", {"jws": other.request(sph, int(hw.clock()))}, token)
        for sph in (sphere.sph, ghost)
    ]
    assert answers[0] == answers[1]
    assert answers[0][0] == 202


async def test_a_sphere_one_is_in_does_answer(hw: HostileWorld) -> None:
    """The control of the above: the member gets another answer at the same address."""
    ada = await hw.first("ada")
    sphere = await ada.create_sphere("Harbour plan")
    token = ada._ctx.relay.token  # type: ignore[union-attr]
    status, _, _ = await _answer(hw, "GET", f"/v1/spheres/{sphere.sph}/log?from=0", token=token)
    assert status == 200


async def test_sign_up_tells_nothing_without_a_ticket(hw: HostileWorld) -> None:
    """SLOT-021: a taken and a free name are refused alike before a valid ticket was shown."""
    await hw.first("ada")
    answers = []
    for login in ("ada", "eve"):
        client = await hw.open(f"x{login}")
        with pytest.raises(Exception) as refused:
            await client.create_account(login, PASSWORD.format(login), "AAAA-BBBB")
        answers.append((type(refused.value).__name__, getattr(refused.value, "data", None)))
    assert answers[0] == answers[1]


async def test_control_with_a_ticket_a_taken_name_is_seen(hw: HostileWorld) -> None:
    """The same question with a ticket that admits: the answers differ, so the comparison above can fail."""
    ada = await hw.first("ada")
    ticket = (await ada.admin("POST", "tickets", {"uses": 1, "seconds": 600}))["code"]
    client = await hw.open("xada")
    with pytest.raises(Conflict):
        await client.create_account("ada", PASSWORD.format("ada"), ticket)
    client = await hw.open("xeve")
    await client.create_account("eve", PASSWORD.format("eve"), ticket)
