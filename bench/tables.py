"""Write docs/benchmarks.md from the committed results: no figure in it is typed by hand.

python -m bench.tables [--check]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bench.results import FOLDER

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
INTRO = """# Benchmarks

Made by `make bench`; this page is written by `python -m bench.tables` from `bench/results/*.json`. Only ratios within
one run mean anything: figures of different machines, or of one machine on different days, do not compare. The goals are
those the project set itself before measuring.
"""


def _load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def table(head: list[str], rows: list[list[Any]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def machine(found: dict[str, Any]) -> str:
    libraries = ", ".join(f"{name} {number}" for name, number in found["libraries"].items() if number != "-")
    prosody = f", Prosody {found['prosody']}" if found["prosody"] != "-" else ""
    return (
        f"{found['processor']}, {found['cores']} cores, {found['system']}, Python {found['python']}, "
        f"SQLite {found['sqlite']}{prosody}; {libraries}."
    )


def note(found: dict[str, Any]) -> str:
    """What must be known about a run before it is believed."""
    return f"\n\n**{found['note']}**" if "note" in found else ""


def goals(found: dict[str, Any]) -> str:
    rows = [[name, one["ratio"], one["goal"], "yes" if met(one) else "**no**"] for name, one in found.items()]
    return table(["what", "ratio", "goal", "met"], rows)


def met(goal: dict[str, Any]) -> bool:
    """Whether a ratio satisfies its goal, written as "at least X", "at most X" or a number."""
    if goal["ratio"] is None:
        return False
    number = float(goal["goal"].split()[-1])
    if goal["goal"].startswith("at least"):
        return bool(goal["ratio"] >= number)
    return bool(goal["ratio"] <= number)


NAMES = {
    "cloister": "Cloister",
    "bare": "bare relay, one frame per message and member",
    "bare-coalesced": "bare relay, coalesced frames",
    "prosody": "Prosody MUC + MAM",
}


def relay() -> str:
    found = _load("relay")
    rows = [
        [
            NAMES[one["target"]],
            one["n"],
            one["load"],
            f"{one['sends_per_s']:,.0f} ({one['sends_min']:,.0f} to {one['sends_max']:,.0f})",
            one["p50_ms"],
            one["p99_ms"],
            one["cpu_ms_per_send"],
            one["server_cores"],
            one["driver_cores"],
            one["memory_mib"],
            one["lost"],
            one["runs"],
        ]
        for one in found["rows"]
    ]
    head = ["relay", "n", "load", "sends/s (min to max)", "p50 ms", "p99 ms", "server CPU ms / send", "server cores"]
    head += ["driver cores", "MiB", "lost", "runs"]
    return f"""## A room of n members

n members in one room, 1,024 bytes of content a message (as an encrypted envelope about twice that), every member
receives every message. Server pinned to one core, driver to the other, runs interleaved, medians shown. *closed*: each
member has one message in flight; *20/s*: the members take turns. Everybody commits before acknowledging (SQLite, WAL;
ours and the bare relay with synchronous FULL and group commit). The bare relay checks nothing at all: no account, no
right, no signature, no cursor. Source: `bench/relay.py`.

{machine(found["machine"])}{note(found)}

{goals(found["goals"])}

{table(head, rows)}
"""


def sdk() -> str:
    found = _load("sdk")
    reading = found["reading"]
    micro = reading["us_per_message"]
    rows = [
        ["one message at a time, verified and opened", micro["live"]],
        [f"{reading['messages']:,} messages in pages of one sender (one signature a page)", micro["sync"]],
        ["vodozemac Megolm, decrypt", micro["megolm"]],
    ]
    ours = {
        "verify and open, messages a second beside Megolm": {
            "ratio": reading["live_rate_over_megolm"],
            "goal": "at least 0.5",
        },
        "cold sync, messages a second beside Megolm": {
            "ratio": reading["sync_rate_over_megolm"],
            "goal": "at least 1",
        },
    }
    return f"""## Reading

Messages of 1 kB, from frames in memory to opened payloads; storing and indexing not included. Source:
`bench/bench_sdk.py`.

{machine(found["machine"])}{note(found)}

{goals(ours)}

{table(["reading", "µs a message"], rows)}
"""


def rotation() -> str:
    found = _load("rotation")
    rows = [
        [
            f"{one['members']:,}",
            one["ms"]["compose"],
            one["ms"]["bare_seals"],
            one["ratio"],
            one["ms"]["judge"],
            f"{one['bytes']:,}",
            f"{one['bytes'] / one['members']:,.0f}",
        ]
        for one in found["rows"]
    ]
    most = max(found["rows"], key=lambda one: one["members"])
    ours = {
        f"rotation for {most['members']:,} members beside bare HPKE seals": {
            "ratio": most["ratio"],
            "goal": "at most 1.5",
        }
    }
    head = ["members", "compose ms", "bare seals ms", "ratio", "relay judges ms", "bytes", "bytes a member"]
    return f"""## A new key

The whole signed commit with one share per device, as the request that is sent, beside a bare loop of the same HPKE
seals (X-Wing); what the relay does before it stores it; processor time. A small sphere's commit is mostly the entry
itself. Source: `bench/rotation.py`.

{machine(found["machine"])}{note(found)}

{goals(ours)}

{table(head, rows)}
"""


def catchup() -> str:
    found = _load("catchup")
    rows = [[one["sync_s"], one["unlock_s"]] for one in found["runs"]]
    ours = {
        f"seconds until {found['messages']:,} messages of {found['epochs']} epochs are here, slowest run": {
            "ratio": max(one["sync_s"] for one in found["runs"]),
            "goal": "at most 10",
        }
    }
    return f"""## Coming back after {found["days"]} days

A member was away while another made {found["epochs"]} new keys and said {found["messages"]:,} messages; a relay process
on the same machine, the client in Python with its encrypted store, until every message is verified, opened and stored.
Source: `bench/catchup.py`.

{machine(found["machine"])}{note(found)}

{goals(ours)}

{table(["synchronise, s", "unlock before, s"], rows)}
"""


def srp() -> str:
    found = _load("srp")
    ours = {
        f"processor time of a sign-in beside the bare exponentiations, {name} login": {
            "ratio": found["ratio"][name],
            "goal": "at most 1.5",
        }
        for name in ("known", "unknown")
    }
    rows = [[name, ms] for name, ms in found["ms"].items()]
    return f"""## Signing in

What a password sign-in (SRP-6a, 4096 bit) costs the relay beside the modular exponentiations it cannot avoid, constant
time ones included. Source: `bench/bench_srp.py`.

{machine(found["machine"])}{note(found)}

{goals(ours)}

{table(["work", "ms"], rows)}
"""


def restart() -> str:
    found = _load("restart")
    rows = [[one["what"], one["ms"], one["min"], one["max"], one["runs"]] for one in found["rows"]]
    return f"""## Starting

From `cloister serve` to the first answer of `/readyz`, cold process, warm page cache. Source: `bench/restart.py`.

{machine(found["machine"])}{note(found)}

{table(["what", "median ms", "min", "max", "runs"], rows)}
"""


def oracle() -> str:
    found = _load("oracle")
    rows = [[one["what"], one["n"], one["mean_us_a"], one["mean_us_b"], one["t"]] for one in found["rows"]]
    return f"""## What refusals tell by their time

Two kinds of request that must not be told apart, interleaved at random; Welch's t over all samples (beyond 4.5 would be
a sign). Source: `bench/oracle.py`.

{machine(found["machine"])}{note(found)}

{table(["kinds", "samples each", "mean µs, first", "mean µs, second", "t"], rows)}
"""


def web() -> str:
    found = _load("web")
    parts = [part for part in ("sizes", "start", "scroll", "scroll-slow", "tasks") if part in found]
    rows = []
    for one in (one for part in parts for one in found[part]):
        answer = {True: "yes", False: "**no**", None: ""}[one.get("ok")]
        rows.append([one["what"], f"{one['value']:,}", one["unit"], one.get("goal", ""), answer])
    core = ""
    if "core" in found:
        head = ["the core, one run", "n", "unit", "Python", "TypeScript in Chromium", "ratio"]
        lines = [
            [one["what"], f"{one['n']:,}", one["unit"], one["python"], one["chromium"], one["ratio"]]
            for one in found["core"]
        ]
        core = f"\n{table(head, lines)}\n"
    return f"""## The application in the browser

Chromium {found["chromium"]} without a screen, a window of 390 by 844, a relay process on the same machine, a sphere of
{found["messages"]:,} messages. Start, tasks, keys and the second run of scrolling with the page's processor four times
slower; start also with 1.6 Mbit/s and 150 ms. Chromium slows the page's thread only, not the worker that holds the
keys. kB are 1,000 bytes. Core: from frames in memory to opened payloads, wall time. Source: `bench/web.py`.

{machine(found["machine"])}{note(found)}

{table(["what", "value", "unit", "goal", "met"], rows)}
{core}"""


SECTIONS = {
    "relay": relay,
    "sdk": sdk,
    "rotation": rotation,
    "catchup": catchup,
    "srp": srp,
    "restart": restart,
    "oracle": oracle,
    "web": web,
}


def page() -> str:
    """The whole page; a section without results is left out."""
    parts = [INTRO, *(make() for name, make in SECTIONS.items() if (FOLDER / f"{name}.json").exists())]
    return "\n".join(parts)


def main() -> None:
    if "--check" in sys.argv:
        sys.exit(PAGE.read_text() != page())
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
