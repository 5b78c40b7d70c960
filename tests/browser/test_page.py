"""The first page: what is loaded, from where, and what may not be (WEB-001, WEB-004)."""

from __future__ import annotations

from tests.browser.window import Windows


def test_the_page_comes_up_and_asks_nobody_else(window: Windows) -> None:
    one = window("ada")
    page = one.open()
    page.get_by_role("main").wait_for()
    assert one.asked  # and every one of them at home: the fixture checks


def test_injected_script_does_not_run(window: Windows) -> None:
    one = window("eve")
    page = one.open()
    page.get_by_role("main").wait_for()
    ran = page.evaluate(
        """() => {
          const tag = document.createElement("script");
          try { tag.text = "window.ran = true"; document.head.append(tag); } catch { return "refused"; }
          return window.ran ?? "not run";
        }"""
    )
    assert ran == "refused"  # WEB-004
    assert one.complaints  # the policy said so
    one.complaints.clear()


def test_html_from_strings_is_refused(window: Windows) -> None:
    one = window("eve")
    page = one.open()
    page.get_by_role("main").wait_for()
    refused = page.evaluate(
        "() => { try { document.body.innerHTML = '<b>x</b>'; return false; } catch { return true; } }"
    )
    assert refused  # WEB-004
    one.complaints.clear()
