"""Operations of vectors/vault.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from cloister.account import unlock, unlock_server, vault
from cloister.errors import AuthFailed
from cloister.protocol.encoding import json_emit

_b = bytes.fromhex


def _vault(given: dict[str, Any]) -> vault.Vault:
    return vault.decode(json_emit(given["vault"]))


def _attempt(given: dict[str, Any]) -> dict[str, str]:
    made = unlock.attempt(_vault(given), given["pin"], _b(given["nonce"]))
    return {"tag": made.tag.hex(), "sig": made.sig.hex(), "a": made.a.hex()}


def _relay(given: dict[str, Any]) -> list[Any]:
    row = unlock_server.enrolled(given["dev"], _b(given["uk"]), _b(given["tag"]), _b(given["pep"]))
    outcome: list[Any] = []
    for one in given["tries"]:
        try:
            unlock_server.admit(row, _b(given["realm"]), _b(one["nonce"]), _b(one["tag"]), _b(one["sig"]))
            row = unlock_server.spend(row)
            judged = unlock_server.judge(row, _b(one["tag"]))
            row = judged.row
            outcome.append(judged.release().hex())
        except AuthFailed as fault:
            outcome.append(fault.data.get("left", "refused"))
    return outcome


OPS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "vault-header": lambda g: json.loads(vault.encode(vault.decode(g["text"].encode()))),
    "vault-password": lambda g: vault.open_with_password(_vault(g), _b(g["kek"])).hex(),
    "vault-key": lambda g: vault.open_with_key(_vault(g), g["kind"], _b(g["key"])).hex(),
    "vault-record": lambda g: vault.open_record(_b(g["vk"]), _vault(g), g["name"], _b(g["box"])).hex(),
    "vault-store-key": lambda g: vault.store_key(_b(g["vk"]), _vault(g)).hex(),
    "key-file": lambda g: vault.read_key_file(g["text"].encode()).hex(),
    "pin": lambda g: unlock.check_pin(g["pin"]).decode(),
    "unlock-attempt": _attempt,
    "unlock-finish": lambda g: unlock.finish(_vault(g), unlock.Attempt(b"", b"", _b(g["a"])), _b(g["pep"])).hex(),
    "unlock-relay": _relay,
}
