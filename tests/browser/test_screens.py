"""Every screen of the gallery, by day and by night, on a desk, a phone and the smallest one (steps 26, 27).

Rules: WEB-020, WEB-060.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.acts import composer, like, rows, say
from tests.browser.conftest import windows
from tests.browser.gallery import gallery, screens, show
from tests.browser.layers import LAYERS, show_layer
from tests.browser.window import DESKTOP, PHONE, SMALL, Window, Windows

FITS = "() => document.documentElement.scrollWidth <= innerWidth"
HEIGHTS = "() => ['nav ul a', 'main button'].map((one) => document.querySelector(one).offsetHeight)"
COUNTING = """(log) => {
  log.said = 0;
  new MutationObserver((all) => { log.said += all.length; }).observe(log, { childList: true });
}"""
# How the element that has the focus looks, and how it looks without: itself and what stands around it.
RINGS = """() => {
  const looks = (element) => {
    const found = [];
    for (let one = element, n = 0; one instanceof Element && n < 4; one = one.parentElement, n += 1) {
      const { outlineStyle, outlineWidth, outlineColor, outlineOffset, boxShadow } = getComputedStyle(one);
      found.push(outlineStyle === "none" ? "" : `${outlineWidth} ${outlineColor} ${outlineOffset}`, boxShadow);
    }
    return found.join("|");
  };
  const element = document.activeElement;
  if (element === null || element === document.body) return undefined;
  const focused = looks(element);
  element.blur();
  const plain = looks(element);
  element.focus({ preventScroll: true });
  const name = element.getAttribute("aria-label") ?? element.textContent.trim().slice(0, 40);
  return { name: `${element.tagName} ${name}`, ring: focused !== plain };
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The gallery, served."""
    with gallery(tmp_path_factory.mktemp("gallery")) as found:
        yield found


@pytest.fixture
def view(chromium: Browser, address: str) -> Iterator[Windows]:
    """Windows at the gallery."""
    with windows(chromium, address) as opening:
        yield opening


def _wrong(one: Window, address: str, listed: list[tuple[str, str]]) -> list[str]:
    """What is wrong with these screens: by day on a desk, at night on a phone, and with their width."""
    page, found = one.page, []
    for state, place in listed:
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(DESKTOP)
        show(page, address, state, place)
        found += [f"{state} {place}, desk, day: {line}" for line in one.axe()]
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size(PHONE)
        found += [f"{state} {place}, phone, night: {line}" for line in one.axe()]
        page.set_viewport_size(SMALL)
        if not page.evaluate(FITS):
            found.append(f"{state} {place}: wider than the smallest screen")
    return found


@pytest.mark.parametrize("half", [0, 1])
def test_a_checker_finds_nothing_in_any_screen(view: Windows, address: str, half: int) -> None:
    assert _wrong(view(), address, screens()[half::2]) == []


def test_control_a_button_without_a_name_a_pale_word_and_a_wide_line_are_found(view: Windows, address: str) -> None:
    one = view()
    show(one.page, address, "open", "you")
    assert one.page.evaluate(FITS)
    one.page.evaluate(
        """() => {
          const main = document.querySelector("main");
          main.append(document.createElement("button"));
          const word = main.appendChild(document.createElement("p"));
          word.textContent = "pale";
          word.style.setProperty("color", "#cccccc");
          main.appendChild(document.createElement("div")).style.setProperty("width", "3000px");
          document.documentElement.style.setProperty("width", "3000px");
        }"""
    )
    found = " ".join(one.axe())
    assert "button-name" in found
    assert "color-contrast" in found
    assert {line.split(":")[0] for line in one.axe(colours=True)} == {"color-contrast"}
    assert not one.page.evaluate(FITS)


@pytest.mark.parametrize("half", [0, 1])
def test_a_checker_finds_nothing_in_any_layer(view: Windows, address: str, half: int) -> None:
    one, found = view(), []
    for name in list(LAYERS)[half::2]:
        one.page.emulate_media(color_scheme="light")
        show_layer(one.page, address, name)
        found += [f"{name}: {line}" for line in one.axe()]
        one.page.emulate_media(color_scheme="dark")
        found += [f"{name}, night: {line}" for line in one.axe(colours=True)]
    assert found == []


def _carriers(page: Page, address: str, place: str) -> dict[str, str]:
    """What tells an encrypted sphere from an open one, without any colour."""
    show(page, address, "open", place)
    head = page.get_by_role("heading", level=1).locator("xpath=ancestor::header")
    field = composer(page)
    glyph: Locator = head.get_by_role("img").first
    return {
        "word": say("word.encrypted") if say("word.encrypted") in head.inner_text() else say("word.open"),
        "glyph": (glyph.get_attribute("aria-label") or "") + (glyph.locator("path").get_attribute("d") or ""),
        "edge": field.evaluate("(one) => getComputedStyle(one.parentElement).borderTopStyle"),
        "says": field.get_attribute("placeholder") or "",
        "send": page.locator("form").get_by_role("button").last.inner_text(),
    }


def test_encrypted_and_open_differ_in_five_ways_without_colour(view: Windows, address: str) -> None:
    """In grey the words, drawings and edges are all there is; none of them may depend on how a screen is set."""
    settings: list[dict[str, Any]] = [
        {"color_scheme": "dark"}, {"forced_colors": "active"}, {"contrast": "more"},
        {"viewport": PHONE, "has_touch": True},
    ]  # fmt: skip
    for options in settings:
        page = view(**options).page
        closed, public = _carriers(page, address, "s/waiting"), _carriers(page, address, "s/canteen")
        assert not set(closed.items()) & set(public.items()), (options, closed, public)
        assert (closed["edge"], public["edge"]) == ("solid", "dashed")


def test_less_motion_is_none(view: Windows, address: str) -> None:
    page = view(reduced_motion="reduce").page
    show(page, address, "deep", "s/deep")
    moving = "() => document.getAnimations().filter((one) => one.effect.getComputedTiming().duration > 0).length"
    assert page.evaluate(moving) == 0
    assert page.evaluate("() => getComputedStyle(document.documentElement).getPropertyValue('--in')") == "0s"


def test_a_window_that_is_not_looked_at_is_covered(view: Windows, address: str) -> None:
    """Step 19: an opaque sheet over everything, put there as the event is heard; gone when somebody looks again."""
    page = view().page
    show(page, address, "open", "s/harbour", shield="1")
    covered = """() => {
      const all = [0.1, 0.5, 0.9].flatMap((x) => [0.1, 0.5, 0.9].map((y) => [x * innerWidth, y * innerHeight]));
      return all.every(([x, y]) => document.elementFromPoint(x, y)?.closest(".shield"));
    }"""
    expect(page.get_by_text("Which port do we use?").first).to_be_visible()
    page.wait_for_function(f"() => !({covered})()")
    assert page.evaluate(f"() => {{ dispatchEvent(new Event('blur')); return ({covered})() }}")
    sheet = "() => getComputedStyle(document.querySelector('.shield')).backgroundColor"
    assert re.fullmatch(r"rgb\(\d+, \d+, \d+\)", page.evaluate(sheet))
    page.evaluate("() => dispatchEvent(new Event('focus'))")
    page.wait_for_function(f"() => !({covered})()")


def test_a_full_disk_is_said_in_words(view: Windows, address: str) -> None:
    """Step 30."""
    page = view().page
    show(page, address, "sick", "admin/health")
    expect(page.get_by_text(say("health.disk-bad"))).to_be_visible()
    expect(page.get_by_text(like("health.wrong"))).to_be_visible()
    show(page, address, "open", "admin/health")
    expect(page.get_by_text(say("health.disk-ok"))).to_be_visible()
    expect(page.get_by_text(like("health.fine"))).to_be_visible()


def test_compact_rows_are_lower_and_still_large_enough(view: Windows, address: str) -> None:
    page = view().page
    heights = []
    for density in ("", "compact"):
        show(page, address, "open", "s/harbour/people", density=density)
        heights.append(page.evaluate(HEIGHTS))
    assert heights[1][0] < heights[0][0]
    assert min(heights[1]) >= 24


@pytest.mark.parametrize("forced", ["none", "active"])
def test_every_stop_of_tab_has_a_ring(view: Windows, address: str, forced: str) -> None:
    page = view(forced_colors=forced).page
    listed = [("open", place) for place in ("s/harbour", "s/board/people", "s/harbour/security", "settings/display")]
    if forced == "none":
        listed += [("new", ""), ("new", "signin"), ("pin", ""), ("open", "new"), ("open", "inbox"), ("open", "admin")]
    bare = []
    for state, place in listed:
        show(page, address, state, place)
        seen: list[str] = []
        for _ in range(40):
            page.keyboard.press("Tab")
            stop = page.evaluate(RINGS)
            if stop is None or (len(seen) > 3 and seen[:2] == [seen[-1], stop["name"]]):
                break
            if stop["name"].startswith("H1 "):
                continue  # the heading took the focus because its screen had only just come: no stop of Tab
            seen.append(stop["name"])
            if not stop["ring"]:
                bare.append(f"{state} {place}: {stop['name']}")
        assert len(seen) > 2, (state, place, seen)
    assert bare == []


def test_control_a_stop_without_a_ring_is_found(view: Windows, address: str) -> None:
    page = view().page
    show(page, address, "new", "signin")
    page.add_style_tag(content=":focus-visible, * { outline: none !important; box-shadow: none !important; }")
    page.keyboard.press("Tab")
    assert page.evaluate(RINGS)["ring"] is False


@pytest.mark.parametrize("size", [PHONE, SMALL], ids=["phone", "smallest"])
def test_letters_twice_as_large_leave_a_composer_to_write_with(
    view: Windows, address: str, size: dict[str, int]
) -> None:
    page = view(viewport=size, has_touch=True, is_mobile=True).page
    for place in ("s/waiting", "s/canteen"):
        show(page, address, "open", place)
        page.evaluate("() => { document.documentElement.style.setProperty('font-size', '200%') }")
        assert page.evaluate(FITS)
        field, send = composer(page), page.locator("form").get_by_role("button").last
        for one in (field, send):
            expect(one).to_be_in_viewport(ratio=1)
        box = field.bounding_box()
        assert box is not None and box["width"] > size["width"] / 2
        field.fill("Written with large letters, and more than one line of them")
        expect(send).to_be_in_viewport(ratio=1)
        send.click()
        expect(field).to_have_value("")


def test_going_back_through_many_rows_says_nothing_and_what_arrives_is_said(view: Windows, address: str) -> None:
    """WEB-060: only what is new is read out; everything on the way has a role and a name."""
    page = view().page
    show(page, address, "deep", "s/deep")
    log = page.get_by_role("log")
    expect(log).to_have_count(1)
    log.evaluate(COUNTING)
    page.evaluate(
        """() => {
          window.names = new Set();
          addEventListener("focusin", (event) => names.add(event.target.getAttribute("aria-label") ?? ""));
        }"""
    )
    rows(page).get_by_role("listitem").last.focus()
    while page.evaluate("() => names.size") < 500:
        for _ in range(50):
            page.keyboard.press("k")
    assert not page.evaluate("() => names.has('')")
    assert log.evaluate("(one) => one.said") == 0
    show(page, address, "live", "s/deep")
    expect(page.get_by_role("log").get_by_text(re.compile("from the pier")).first).to_be_attached()
    expect(page.get_by_role("log").get_by_text(like("stream.came"))).to_have_count(0)
