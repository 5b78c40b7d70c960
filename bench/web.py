"""The budgets of the browser application, measured in Chromium against a real relay, and the core beside Python's.

- sizes: gzipped bytes that page and worker fetch until a visitor can sign in, is signed in, has a sphere open
- start: a stranger from navigation to the welcome page; a locked device to an answering lock screen, and from the
  password to the first messages; the page's processor four times slower, 1.6 Mbit/s, 150 ms. Chromium slows the page's
  thread only: the derivation of keys, in the worker, has the machine's own speed, and is taken off by the steps that
  the worker tells
- scroll: all messages of one sphere by the wheel, to the oldest and back
- scroll-slow: the same with the slower processor
- tasks: the longest task of the page's thread while signing in and at the first sync; keys; own rows. Slower processor
- core: ``bench/web_core.py``

Figures without a goal are there to be read. Needs what ``make app`` and ``make test`` need. Parts may be measured one
at a time: with --save each one's figures replace those it had, and figures of another machine, browser or number of
messages go. With --stage the relay's folder is filled once and copied for every run.

    PYTHONPATH=src:. python -m bench.web [--part NAME]... [--n 10000] [--stage FOLDER] [--save] [--note TEXT]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect

from bench import results, web_core
from bench.web_stage import CPU, NAME, TITLE, View, chromium, fill, served
from tests.browser.acts import button, composer, field, password_of, say, unlock

Rows = list[dict[str, Any]]
ROW = "document.querySelector('main [role=listitem][data-key]')"
LIST = "main [role=list]"
PASSWORD = "document.querySelector('input[type=password]')"
WELCOME = "document.querySelector('main h1:not(.unseen)')"
SIZES = """
() => performance.getEntriesByType("resource").map((one) => [new URL(one.name).pathname, one.encodedBodySize])
"""
TURN = 400  # pixels a turn of the wheel, many a second
NOTHING = 50  # a task shorter than this is not told by the browser


def figure(what: str, value: float, unit: str, most: float | None = None, digits: int = 1) -> dict[str, Any]:
    """One line of the result; ``most`` is the goal."""
    made: dict[str, Any] = {"what": what, "value": round(value, digits), "unit": unit}
    if most is not None:
        made |= {"goal": f"at most {most:g}", "ok": value <= most}
    return made


def text_of(selector: str) -> str:
    """An expression that costs the page little: it is asked at every frame, on the thread that is measured."""
    return f"(document.querySelector('{selector}')?.textContent ?? '')"


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


# --- acts ---------------------------------------------------------------------------------------------------------


def to_sign_in(view: View) -> None:
    view.page.goto(view.server + "/#/signin")
    expect(field(view.page, "field.password")).to_be_visible(timeout=120_000)


def sign_in(view: View) -> None:
    """From the filled form to the inbox."""
    field(view.page, "field.name").fill(NAME)
    field(view.page, "field.password").fill(password_of(NAME))
    button(view.page, "signin.do").click()
    heading = view.page.get_by_role("heading", name=say("place.inbox"), level=1)
    expect(heading).to_be_visible(timeout=300_000)


def open_sphere(view: View, sph: str, count: int) -> None:
    """Until the newest message is drawn."""
    view.page.evaluate("(sph) => { location.hash = `#/s/${sph}` }", sph)
    newest = view.page.get_by_role("listitem").filter(has_text=f"Message {count - 1}.").first
    expect(newest).to_be_visible(timeout=300_000)


# --- parts --------------------------------------------------------------------------------------------------------


def sizes(browser: Browser, server: str, sph: str, count: int) -> Rows:
    view = View(browser, server)
    to_sign_in(view)

    def fetched() -> dict[str, float]:
        everything = dict(view.page.evaluate(SIZES))
        inside: dict[str, float] = {}
        for worker in view.page.workers:
            inside |= {name: size for name, size in worker.evaluate(SIZES) if name.endswith((".js", ".wasm"))}
        own = {name: size for name, size in everything.items() if "/assets/worker-" in name} | inside
        page = {name: size for name, size in everything.items() if name.endswith(".js") and name not in own}
        styles = [size for name, size in everything.items() if name.endswith(".css")]
        begins = [size for name, size in own.items() if "/assets/worker-" in name or "/assets/argon2-" in name]
        kinds = {"js": page.values(), "css": styles, "worker": begins, "own": own.values()}
        return {kind: sum(found) / 1000 for kind, found in kinds.items()}

    view.page.wait_for_load_state("networkidle")
    door = fetched()
    sign_in(view)
    view.page.wait_for_load_state("networkidle")
    inbox = fetched()
    open_sphere(view, sph, count)
    view.page.wait_for_load_state("networkidle")
    sphere = fetched()
    view.close()
    return [
        figure("JavaScript until a visitor can sign in, gzipped", door["js"], "kB", 70),
        figure("JavaScript until signed in, the inbox shown, gzipped", inbox["js"], "kB", 150),
        figure("JavaScript until a sphere is open, gzipped", sphere["js"], "kB", 150),
        figure("CSS until a sphere is open, gzipped", sphere["css"], "kB", 20),
        figure("worker with Argon2id's WASM, gzipped", sphere["worker"], "kB", 120),
        figure("all that the worker fetched until a sphere was open on a new device, gzipped", sphere["own"], "kB"),
    ]


def derivation(view: View) -> float:
    """Milliseconds of the last unlocking that were spent on the password."""
    told = [(at, step) for at, work, step in view.probe("progress") if work == "unlock"]
    starts = [at for at, step in told if step == "keys"]
    if not starts:
        return float("nan")
    return float(next((at for at, step in told if at > starts[-1] and step != "keys"), starts[-1]) - starts[-1])


def welcome(browser: Browser, server: str) -> float:
    """Milliseconds until a stranger sees the welcome page; nothing is kept from before."""
    taken = []
    for _ in range(5):
        view = View(browser, server, service_workers="block")
        view.slow()
        view.context.add_init_script(f"self.probe.when('seen', () => {WELCOME});")
        view.page.goto(f"{server}/")
        taken.append(view.mark("seen"))
        view.close()
    return statistics.median(taken)


def start(browser: Browser, server: str, sph: str, count: int) -> Rows:
    found: Rows = [figure("a stranger sees the welcome page, median of 5", welcome(browser, server), "ms", 1000, 0)]
    for kept, way in (("block", "files from the server"), ("allow", "files kept by the service worker")):
        view = View(browser, server, service_workers=kept)
        to_sign_in(view)
        sign_in(view)
        open_sphere(view, sph, count)
        if kept == "allow":
            view.page.evaluate("() => navigator.serviceWorker.ready.then(() => undefined)")
        view.page.keyboard.press("Control+Shift+L")
        expect(button(view.page, "lock.unlock")).to_be_visible()
        view.page.goto("about:blank")
        view.slow()
        view.cdp.send("Network.setCacheDisabled", {"cacheDisabled": kept == "block"})
        # What a page is to note before it exists is put into it beforehand.
        view.context.add_init_script(f"self.probe.when('door', () => {PASSWORD});")
        interactive, first, derived = [], [], []
        for _ in range(5):
            view.page.goto(f"{server}/#/s/{sph}")
            interactive.append(view.mark("door"))
            expect(button(view.page, "lock.unlock")).to_be_enabled()
            view.page.evaluate(
                "() => addEventListener('submit', () => { probe.marks.asked = performance.now() }, true)"
            )
            view.when("first", ROW)
            unlock(view.page, NAME)
            took = view.mark("first") - float(view.probe("marks.asked"))
            derived.append(derivation(view))
            first.append(took - derived[-1])
            view.page.keyboard.press("Control+Shift+L")
            expect(button(view.page, "lock.unlock")).to_be_visible()
            view.page.goto("about:blank")
        view.close()
        found += [
            figure(
                f"lock screen answers, {way}, median of {len(first)}", statistics.median(interactive), "ms", 1500, 0
            ),
            figure(f"password to first messages, {way}, derivation off", statistics.median(first), "ms", 1500, 0),
            figure(f"derivation, {way}", statistics.median(derived), "ms", None, 0),
        ]
    return found


def _slowly(view: View) -> None:
    """Turns of the wheel after which some row is always still there, over many loads of older rows, from the newest."""
    view.page.mouse.move(195, 400)
    for _ in range(80):
        for _ in range(6):
            view.page.mouse.wheel(0, -TURN / 2)
        view.page.wait_for_timeout(150)


def _to_the_end(view: View, by: int) -> None:
    """Turn the wheel until nothing more comes; a pause now and then, as people make them."""
    page, still, last = view.page, 0, ""
    page.mouse.move(195, 400)
    while still < 4:
        for _ in range(25):
            page.mouse.wheel(0, by)
        page.wait_for_timeout(150)
        seen = page.evaluate(f"() => {{ const row = {ROW}; return row ? row.dataset.key + row.style.top : '' }}")
        still, last = (still + 1, last) if seen == last else (0, seen)


def _scrolled(browser: Browser, server: str, sph: str, count: int, cpu: int, way: str) -> Rows:
    # A device of its own, so that this page has read nothing yet.
    view = View(browser, server)
    to_sign_in(view)
    sign_in(view)
    open_sphere(view, sph, count)
    view.slow(cpu, line=False)
    heap = view.heap()
    view.page.evaluate("() => { probe.counting = true }")
    _slowly(view)
    jump, loads = view.probe("jump"), view.probe("loads")
    _to_the_end(view, TURN)
    view.page.evaluate("() => { probe.reset(); probe.counting = true }")
    _to_the_end(view, -TURN)
    oldest = view.page.get_by_role("listitem").filter(has_text="Message 0.").count()
    assert oldest == 1, "the oldest message was not reached"
    _to_the_end(view, TURN)
    view.page.evaluate("() => { probe.counting = false }")
    frames = view.probe("frames")
    late = sum(one > 20 for one in frames) / len(frames) * 100
    found = [
        figure(f"{count:,} messages up and down, frames over 20 ms, {way}", late, "%", 1, 2),
        figure(f"longest frame, {way}", max(frames), "ms", None, 0),
        figure(f"most rows in the page, {way}", view.probe("most"), "rows", 80, 0),
        figure(f"jump when older rows were loaded ({loads} loads), {way}", jump, "px", 1, 2),
        figure(f"growth of the page's heap, {way}", view.heap() - heap, "MB", 60),
    ]
    view.close()
    return found


def scroll(browser: Browser, server: str, sph: str, count: int) -> Rows:
    return _scrolled(browser, server, sph, count, 1, "full speed")


def scroll_slow(browser: Browser, server: str, sph: str, count: int) -> Rows:
    return _scrolled(browser, server, sph, count, CPU, "processor four times slower")


def _longest(view: View, since: float, until: float) -> float:
    """The longest task of the page's thread in that time; 0 when none reached what the browser tells."""
    tasks = view.probe("tasks")
    return max((took for at, took in tasks if at + took >= since and at <= until), default=0.0)


def tasks(browser: Browser, server: str, sph: str, count: int) -> Rows:
    view = View(browser, server)
    view.slow(line=False)
    to_sign_in(view)
    field(view.page, "field.name").fill(NAME)
    field(view.page, "field.password").fill(password_of(NAME))
    view.page.evaluate("() => addEventListener('submit', () => { probe.marks.asked = performance.now() }, true)")
    # The inbox, and what says that the sphere is there; nobody looks at the page between.
    view.when("inside", f"location.hash.includes('inbox') || {text_of('nav .list')}.includes('{TITLE}')")
    button(view.page, "signin.do").press("Enter")
    inside = view.mark("inside")
    asked = float(view.probe("marks.asked"))
    view.when("shown", f"{text_of(LIST)}.includes('Message {count - 1}.')")
    view.page.evaluate("(sph) => { location.hash = `#/s/${sph}` }", sph)
    shown = view.mark("shown")
    view.page.wait_for_timeout(2000)
    entering, syncing = _longest(view, asked, inside), _longest(view, asked, shown)
    view.page.evaluate("() => probe.reset()")
    box = composer(view.page)
    box.click()
    view.page.keyboard.type("The harbour light is out again, has anybody told the master? " * 3, delay=40)
    keys = view.probe("keys")
    box.fill("")
    rows: list[float] = []
    for number in range(20):
        words = f"Own row {number:02d}."
        box.fill(words)
        view.page.evaluate(
            "() => addEventListener('keydown', (event) => { probe.marks.sent = event.timeStamp },"
            " { capture: true, once: true })"
        )
        view.when(f"own-{number}", f"{text_of(LIST)}.includes('{words}')")
        # One event: a modifier pressed on its own would be the first key.
        view.cdp.send("Input.dispatchKeyEvent", {
            "type": "rawKeyDown", "modifiers": 2, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13,
        })  # fmt: skip
        rows.append(view.mark(f"own-{number}") - float(view.probe("marks.sent")))
    view.close()
    return [
        figure(f"longest task while signing in (0: none reached {NOTHING} ms)", entering, "ms", NOTHING, 0),
        figure(f"longest task at the first sync of {count:,} messages", syncing, "ms", NOTHING, 0),
        figure("key to paint, 95 of 100 keys at most", percentile(keys, 0.95), "ms", 100, 0),
        figure("own row after sending, 95 of 100 at most", percentile(rows, 0.95), "ms", 50, 0),
    ]


PARTS: dict[str, Callable[[Browser, str, str, int], Rows]] = {
    "sizes": sizes,
    "start": start,
    "scroll": scroll,
    "scroll-slow": scroll_slow,
    "tasks": tasks,
}


def staged(kept: Path | None, folder: Path, count: int) -> str:
    """Have ``folder`` hold a filled relay, from ``kept`` if that has one; answers the sphere's name."""
    if kept is None or not (kept / "sphere").exists():
        # A loop of its own, in a thread of its own: the browser's is in this one.
        with ThreadPoolExecutor(1) as apart:
            sph = apart.submit(asyncio.run, fill(folder, count)).result()
        (folder / "sphere").write_text(f"{count} {sph}")
        if kept is not None:
            shutil.copytree(folder, kept, dirs_exist_ok=True)
    else:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
    held, sph = (folder / "sphere").read_text().split()
    assert int(held) == count, f"{kept} holds {held} messages"
    return sph


def save(result: dict[str, Any]) -> None:
    """Write bench/results/web.json: these parts, and those of before that were measured under the same conditions."""
    path = results.FOLDER / "web.json"
    before: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    same = all(before.get(name) == result[name] for name in ("machine", "chromium", "messages"))
    results.save("web", {**(before if same else {}), **result})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=[*PARTS, "core"], action="append", help="all of them unless told")
    parser.add_argument("--n", type=int, default=10_000, help="messages in the sphere")
    parser.add_argument("--messages", type=int, default=100_000, help="messages of the core's cold sync")
    parser.add_argument("--members", type=int, default=1000, help="devices of the core's rotation")
    parser.add_argument("--stage", type=Path, help="where the filled relay is kept between runs")
    parser.add_argument("--save", action="store_true", help="write bench/results/web.json, part by part")
    parser.add_argument("--note", help="what must be known about this run before it is believed")
    args = parser.parse_args()
    wanted = args.part or [*PARTS, "core"]
    with tempfile.TemporaryDirectory(prefix="bench-web-") as name, chromium() as browser:
        folder = Path(name)
        about = {"machine": results.machine(), "chromium": browser.version, "messages": args.n}
        about |= {"note": args.note} if args.note else {}

        def told(part: str, rows: Rows) -> None:
            print(part, json.dumps(rows, indent=1), flush=True)
            if args.save:
                save({**about, part: rows})

        if "core" in wanted:
            told("core", web_core.measure(browser, args.messages, args.members))
        pages = [part for part in PARTS if part in wanted]
        if pages:
            sph = staged(args.stage, folder, args.n)
            with served(folder) as server:
                for part in pages:
                    told(part, PARTS[part](browser, server, sph, args.n))


if __name__ == "__main__":
    main()
