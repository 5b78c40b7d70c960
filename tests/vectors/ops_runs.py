"""Operations of vectors/runs.json."""

from __future__ import annotations

from typing import Any

from cloister.errors import all_subclasses
from cloister.protocol.encoding import b64e
from cloister.sphere import chains, run
from cloister.sphere.chains import ChainState
from cloister.sphere.epoch import EpochKey
from tests.vectors._log import Given, history, states


def judge_pages(given: Given) -> Any:
    """Feed pages in order, keeping what a reader keeps: the chains and H of every authentic message."""
    found = states(given)
    held: dict[str, ChainState] = {}
    known: dict[tuple[str, int], bytes] = {}
    grow = [step["upto"] for step in given.get("grow", [])]
    judged, ahead = [], []
    page = None
    for at, frames in enumerate(given["pages"]):
        log = history(found[: grow[at] + 1] if at < len(grow) else found)
        page = run.verify_page(frames, log, held, given["sph"], known)
        held = page.chains
        judged.append([[verdict.status, verdict.code] for verdict in page.verdicts])
        ahead.append(page.ahead)
        for verdict in page.verdicts:
            if verdict.status == "authentic" and verdict.message:
                known[verdict.message.head.kid, verdict.message.head.seq] = verdict.message.digest
    assert page is not None
    policy = found[-1].policy
    return {
        "pages": judged,
        "ahead": ahead,
        "named": [[dv, seq, b64e(digest)] for dv, seq, digest in page.named],
        "runs": {dv: [[r.first, r.last, r.link] for r in chain.runs] for dv, chain in sorted(held.items())},
        "gaps": {
            dv: [list(gap) for gap in chains.gaps(chain, policy, given["now"])] for dv, chain in sorted(held.items())
        },
    }


def judge_walks(given: Given) -> Any:
    """Many walks over one log and one pool of messages; the verdicts as words, and what runs are left."""
    shared = {name: given[name] for name in ("entries", "attach", "sph", "now")}
    outcome = []
    for walk in given["walks"]:
        feed = [[given["messages"][index] for index in page] for page in walk["pages"]]
        value = judge_pages({**shared, "pages": feed, "grow": [{"upto": upto} for upto in walk["grow"]]})
        words = [[f"{status} {code}".strip() for status, code in page] for page in value["pages"]]
        runs = {
            dv: [[first, last, link[:8]] for first, last, link in runs] for dv, runs in value["runs"].items() if runs
        }
        outcome.append({"verdicts": words, "ahead": value["ahead"], "runs": runs})
    return outcome


def judge_one(given: Given) -> Any:
    """One message on an empty chain: what it says, or the code of why it is not shown."""
    log = history(states(given))
    page = run.verify_page([given["message"]], log, {}, given["sph"])
    (verdict,) = page.verdicts
    if verdict.status != "authentic":
        raise all_subclasses()[verdict.code](verdict.detail)
    keys = {int(n): EpochKey(given["sph"], int(n), bytes.fromhex(s), b"", b"") for n, s in given["keys"].items()}
    (opened,) = run.open_page(page.verdicts, keys, log)
    if opened.payload is None:
        raise all_subclasses()[opened.code]
    return {"text": opened.payload.text, "author": opened.author, "role": opened.role}


OPS = {"run-pages": judge_pages, "run-walks": judge_walks, "run-one": judge_one}
