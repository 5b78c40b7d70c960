"""Operations of vectors/log.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloister.errors import CloisterError
from cloister.protocol import entry, fork, machine, p2p
from cloister.protocol.encoding import b64d
from cloister.protocol.state import recipients_hash, state_hash
from tests.vectors._log import Given, attachments, history, states, summary


def _apply(given: Given) -> Any:
    one = entry.decode(given["next"])
    if not given["entries"]:
        return summary(machine.genesis(one))
    return summary(machine.apply(states(given)[-1], one, attachments(given)))


def _table(given: Given) -> Any:
    head, attached = states(given)[-1], attachments(given)
    verdicts = []
    for compact in given["tries"]:
        try:
            verdicts.append(state_hash(machine.apply(head, entry.decode(compact), attached)).hex())
        except CloisterError as error:
            verdicts.append(error.code)
    return verdicts


def _recipients(given: Given) -> Any:
    return recipients_hash(states(given)[-1].active_devices()).hex()


def _past(given: Given) -> Any:
    past = history(states(given))
    answers = []
    for name, *args in given["ask"]:
        answer = getattr(past, name)(*args)
        if name == "epoch_at":
            answer = answer.n if answer else 0
        elif name == "digest":
            answer = answer.hex()
        elif name == "tails":
            answer = [[tail.seq, tail.digest.hex(), tail.at, tail.end] for tail in answer]
        elif name == "policy_at":
            answer = answer.as_body()
        answers.append(answer)
    return answers


def _fork(given: Given) -> Any:
    found = states(given)
    common = found[given["common"]]
    return fork.prove(history(found), common, given["rival"], attachments(given)).seq


def _letter(given: Given) -> Any:
    letter = p2p.decode(given["letter"])
    state = states(given)[-1]
    p2p.check_pair(state, letter.kid, letter.to or given["to"])
    p2p.verify(letter, state.devices[letter.kid])
    return {"k": letter.k, "kid": letter.kid, "to": letter.to, "jti": letter.jti.hex()}


def _identity_message(given: Given) -> Any:
    digest = b64d(given["cert_digest"])
    return machine.identity_message(given["sph"], given["id"], given["old"], given["new"], digest).hex()


OPS: dict[str, Callable[[Given], Any]] = {
    "log-apply": _apply,
    "log-table": _table,
    "log-recipients": _recipients,
    "log-past": _past,
    "log-fork": _fork,
    "letter": _letter,
    "identity-message": _identity_message,
}
