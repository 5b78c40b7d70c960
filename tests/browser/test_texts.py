"""What others write and call themselves is shown as text: it runs nothing, draws nothing, turns no line but its own.

A member who keeps to no rule puts a corpus through every text she controls; nothing of it may be markup, a script, a
request or a policy violation, and names that look alike are told apart. Rules: WEB-004, WEB-021, WEB-025.
"""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page, expect

from cloister.client import Sphere
from cloister.sphere.payload import Payload
from tests.browser.acts import button, composer, field, goto, message, say, write
from tests.browser.liar import Liar
from tests.browser.test_lies import let_in
from tests.browser.window import Windows

# Texts that stand there letter for letter.
LITERAL = [
    "<script>window.ran = 1</script>",
    "<img src=x onerror='window.ran = 1'>",
    "<svg onload='window.ran = 1'><animate onbegin='window.ran = 1' attributeName=x dur=1s></svg>",
    "\"><iframe srcdoc='<script>parent.ran = 1</script>'></iframe>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--><img src=1 onerror=window.ran=1>'></math>",
    "{{constructor.constructor('window.ran = 1')()}} ${window.ran = 1} {@html '<b>x</b>'} #{7} <%= 7 %>",
    "javascript:window.ran = 1",
    "data:text/html,<script>opener.ran = 1</script>",
    "&lt;b&gt; &#60;b&#62; \\u003cb\\u003e",
    "'; DROP TABLE message; --",
    "%0d%0aSet-Cookie: x=1 %00 ../../etc/passwd",
]
# Texts that are drawn as something, or of which signs are taken away.
OTHER = [
    "[a](javascript:window.ran=1) [b](data:text/html,x) <a href='javascript:window.ran=1'>c</a>",
    "![d](https://evil.example/p.png) [https://bank.example](https://evil.example/) https://bank.example@evil.example/",
    "https://xn--bnk-ela.example/ [x](//evil.example) [y](https://evil.example/\u202egnp.exe)",
    "safe \u202egnp.exe\u202c and \u2067turned\u2069 \u200f.\u061c",
    "\u202e\u2066\u2067\u2068 never closed",
    "а\u200bd\u00ada\u2060\ufeff\u180e",
    "\u200b\u2060\ufeff",
    "Z" + "\u0335\u0321\u0489\u0315\u034f" * 60,
    "\U0001f469\u200d" * 200 + "\U0001f469",
    "\x00\x01\x07\x1b[31mred\x7f\x9b",
    "W" * 2000,
    "*" * 300 + "_" * 300 + "`" * 301 + "[" * 300 + ">" * 300,
    "שלום <b>עולם</b> \u202d123",
]
# What may not be in a page, whatever was said in it.
SCAN = """() => {
  const TURNS = /[\\u200f\\u202a-\\u202e\\u2066-\\u2069\\u0590-\\u06ff]/;
  const ISOLATED = /\\u2068[^\\u2066-\\u2069\\u202a-\\u202e]*\\u2069/g;
  const wrong = [];
  if ("ran" in window) wrong.push("something ran");
  const media = "img, iframe, object, embed, video, audio, base, meta[http-equiv], math, [action], animate";
  for (const one of document.querySelectorAll(media)) wrong.push(one.outerHTML.slice(0, 80));
  for (const one of document.querySelectorAll("script")) {
    if (!one.src.startsWith(location.origin)) wrong.push("a script");
  }
  for (const one of document.querySelectorAll("*")) {
    for (const { name } of one.attributes) if (/^on|^srcdoc$/.test(name)) wrong.push(`${one.tagName} ${name}`);
  }
  for (const one of document.querySelectorAll("a[href]")) {
    const url = new URL(one.href);
    if (url.origin === location.origin) continue;
    if (!["http:", "https:"].includes(url.protocol)) wrong.push(`link ${url.protocol}`);
    if (!one.textContent.includes(url.host)) wrong.push(`a link hides ${url.host}`);
    if (!one.rel.includes("noopener") || !one.rel.includes("noreferrer")) wrong.push("a link that tells");
  }
  // A text with signs that turn a line stands alone in its block, or is isolated.
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const { data, parentElement } = walk.currentNode;
    if (!TURNS.test(data.replace(ISOLATED, ""))) continue;
    for (let one = parentElement; ; one = one.parentElement) {
      const { display, unicodeBidi } = getComputedStyle(one);
      const inside = display === "inline" || display === "contents";
      if (inside && /isolate|plaintext/.test(unicodeBidi)) break;
      if (inside) continue;
      if (one.textContent.trim() !== data.trim()) wrong.push(`turns its line: ${one.tagName} ${one.className}`);
      break;
    }
  }
  if (document.documentElement.scrollWidth > innerWidth) wrong.push("wider than the window");
  for (const one of document.querySelectorAll(".author")) {
    if (one.getBoundingClientRect().width < 4) wrong.push("nobody's name");
  }
  return [...new Set(wrong)];
}"""


def _sphere(liar: Liar) -> Sphere:
    """Ada's only sphere, whatever it is called."""
    ada = liar.hw.clients["ada"]
    return ada.sphere(ada.spheres()[0].sph)


async def _say(liar: Liar, text: str, n: int) -> None:
    """``text`` as title, topic, icon, name, message, answer and reaction; then a message by which it is seen."""
    sphere = _sphere(liar)
    short = text.encode()[:200].decode("utf-8", "ignore")
    await sphere._say(Payload("sys", sphere._cid(), short, about="nick"))
    await sphere.set_meta(title=short, topic=short, icon=short)
    said: Any = await sphere.send(text)
    await sphere.send(text, said)
    await sphere._say(Payload("react", sphere._cid(), text.encode()[:64].decode("utf-8", "ignore"), sphere._mid(said)))
    await sphere.send(f"mark {n}")


def _quiet(page: Page, where: str) -> list[str]:
    return [f"{where}: {one}" for one in page.evaluate(SCAN)]


def test_nothing_that_others_write_is_more_than_text(open_window: Windows, liar: Liar) -> None:
    one = open_window("bo")
    asked: list[str] = []
    one.page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    page = let_in(liar, one.page)
    # One tab stays with the messages, the other goes where else names and titles are shown.
    other = one.tab()
    other.goto(page.url)
    expect(composer(other)).to_be_visible()
    found: list[str] = []
    for n, text in enumerate([*LITERAL, *OTHER]):
        liar.do(_say(liar, text, n))
        expect(message(page, f"mark {n}")).to_be_visible()
        found += _quiet(page, f"sphere, {n}")
        if text in LITERAL:
            expect(message(page, text).first).to_be_visible()
        for place in ("people", "security"):
            goto(other, place)
            expect(other.get_by_role("heading", level=1)).to_have_text(say(f"{place}.title"))
            expect(other.locator(".skeleton")).to_have_count(0)
            found += _quiet(other, f"{place}, {n}")
    page = other
    # Texts of one's own, and what is searched, are drawn by the same means elsewhere.
    goto(page, "people")
    hers = page.get_by_role("listitem").filter(has=page.get_by_role("button", name=say("act.confirm"), exact=True))
    hers.get_by_role("button").last.click()
    page.get_by_role("menuitem", name=say("people.petname")).click()
    field(page.get_by_role("dialog"), "field.name").fill(LITERAL[1])
    button(page.get_by_role("dialog"), "act.save").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("main").get_by_text(LITERAL[1])).to_be_visible()
    found += _quiet(page, "petname")
    for place in ("inbox", "spheres"):
        page.evaluate("(place) => { location.hash = `#/${place}` }", place)
        expect(page.get_by_role("heading", level=1)).to_have_text(say(f"place.{place}"))
        found += _quiet(page, place)
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("window.ran")
    expect(page.get_by_role("dialog").get_by_role("link").first).to_be_visible()
    found += _quiet(page, "palette")
    assert sorted(set(found)) == []
    assert asked == []
    assert not one.complaints


def test_names_that_look_alike_show_who_is_meant(open_window: Windows, liar: Liar) -> None:
    page = let_in(liar, open_window("bo").page)

    async def call_yourself(name: str) -> None:
        sphere = _sphere(liar)
        await sphere._say(Payload("sys", sphere._cid(), name, about="nick"))

    goto(page, "people")
    marks = page.get_by_role("main").locator("li .id")
    expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(2)
    expect(marks).to_have_count(0)
    for twin in ("bо", "BO", "b\u200bo", "b0", "ｂｏ"):
        liar.do(call_yourself(twin))
        expect(marks).to_have_count(2)
        assert all(re.fullmatch(r"id-.{9}", text) for text in marks.all_inner_texts())
        liar.do(call_yourself("ada"))
        expect(marks).to_have_count(0)


def test_control_each_kind_of_wrong_is_found(open_window: Windows, liar: Liar) -> None:
    one = open_window("bo")
    page = one.open()
    page.get_by_role("main").wait_for()
    assert _quiet(page, "") == []
    page.evaluate(
        """() => {
          window.ran = 1;
          const main = document.querySelector("main");
          const made = (tag, changes) => Object.assign(document.createElement(tag), changes);
          const put = (tag, changes) => main.appendChild(made(tag, changes));
          put("img", {});
          put("a", { href: "javascript:0" });
          put("a", { href: "https://evil.example", textContent: "bank" });
          put("p", { textContent: "x" }).append(made("span", { textContent: "\\u202eab" }));
          put("p", { className: "author" }).style.setProperty("display", "inline");
        }"""
    )
    found = " ".join(_quiet(page, ""))
    for wrong in ("something ran", "<img", "javascript:", "hides evil.example", "turns its line", "nobody's name"):
        assert wrong in found
    one.complaints.clear()


def test_what_one_writes_oneself_is_no_more_than_text_either(open_window: Windows, liar: Liar) -> None:
    page = let_in(liar, open_window("bo").page)
    for text in LITERAL[:3]:
        write(page, text)
    composer(page).fill("@<img src=x onerror='window.ran = 1'>")
    assert _quiet(page, "composer") == []
