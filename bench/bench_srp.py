"""What a password sign-in costs the relay beside the bare modular exponentiations it cannot avoid.

Both sides of the ratio are processor time of one process, best of several rounds, interleaved: the bare side makes
exactly the exponentiations of the protocol (g^b and the final power in constant time, v^u not), the full side is
``candidate`` + ``start`` + ``finish`` for a known and for an unknown login. JSON on stdout.

    PYTHONPATH=src:. python bench/bench_srp.py [--rounds 15] [--logins 20] [--save]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable

import gmpy2

from bench import results
from cloister.account import srp, srp_group, srp_server, verifier
from cloister.account.password import Stretched
from cloister.account.srp_group import GROUP, K
from cloister.errors import AuthFailed

REALM, ORIGIN, LOGIN = bytes(16), "https://relay.example", "ada"


def bare(a_public: int, v: int, count: int) -> None:
    """The three exponentiations of one sign-in, ``count`` times."""
    for _ in range(count):
        b = srp_group.exponent(os.urandom(32))
        u = int.from_bytes(os.urandom(32), "big")
        b_public = (K * v + int(gmpy2.powmod_sec(GROUP.g, b, GROUP.n))) % GROUP.n
        base = a_public * gmpy2.powmod(v, u, GROUP.n) % GROUP.n
        assert b_public
        assert gmpy2.powmod_sec(base, b, GROUP.n)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--logins", type=int, default=20)
    options.add_argument("--save", action="store_true", help="write bench/results/srp.json")
    args = options.parse_args()
    keys = verifier.server_keys(os.urandom(32))
    salt16 = verifier.salt_of(keys, LOGIN)
    stretched = Stretched(os.urandom(32), os.urandom(32))
    v = srp.verifier(LOGIN, salt16, stretched.auth)
    stored = verifier.seal_verifier(keys, LOGIN, salt16, 1, v, os.urandom)
    ephemeral = srp.start(os.urandom)

    def relay(record: verifier.Record | None, count: int) -> None:
        for _ in range(count):
            candidate = verifier.candidate(keys, LOGIN, record, os.urandom)
            pending = srp_server.start(keys, candidate, ephemeral.public, 0, os.urandom)
            try:
                srp_server.finish(pending, bytes(32), realm=REALM, origins=[ORIGIN], now=0)
            except AuthFailed:
                continue

    # One honest sign-in first: what is measured works.
    pending = srp_server.start(
        keys, verifier.candidate(keys, LOGIN, stored, os.urandom), ephemeral.public, 0, os.urandom
    )
    proof = srp.prove(
        ephemeral, srp.Challenge(salt16, "s", pending.public), stretched, login=LOGIN, realm=REALM, origin=ORIGIN
    )
    srp.check_reply(proof, srp_server.finish(pending, proof.m1, realm=REALM, origins=[ORIGIN], now=0))

    best = {"bare": float("inf"), "known": float("inf"), "unknown": float("inf")}
    a_public, v_int = int.from_bytes(ephemeral.public, "big"), int.from_bytes(v, "big")
    work: dict[str, Callable[[], None]] = {
        "bare": lambda: bare(a_public, v_int, args.logins),
        "known": lambda: relay(stored, args.logins),
        "unknown": lambda: relay(None, args.logins),
    }
    for _ in range(args.rounds):
        for name, run in work.items():
            before = time.process_time()
            run()
            best[name] = min(best[name], (time.process_time() - before) / args.logins)
    result = {
        "machine": results.machine(),
        "unit": "ms of processor time per sign-in, best round",
        "ms": {name: round(1000 * seconds, 3) for name, seconds in best.items()},
        "ratio": {name: round(best[name] / best["bare"], 3) for name in ("known", "unknown")},
    }
    if args.save:
        results.save("srp", result)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
