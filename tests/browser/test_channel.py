"""Keys that go from browser to browser over a data channel: what the relay sees of it, and that nothing depends on it.

Rules: LIVE-015, LIVE-016, LIVE-017.
"""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from cloister.protocol import jws
from cloister.protocol.encoding import b64d
from tests.browser.acts import button, field, say, sign_in, signed_up
from tests.browser.liar import Liar
from tests.browser.window import Windows

TITLE = "Harbour plan"
WITHOUT = "delete globalThis.RTCPeerConnection"
# What the page's own connection is made of, as the page sees it: an address must not have been asked of it.
WATCH = """
const Own = RTCPeerConnection;
globalThis.written = [];
globalThis.RTCPeerConnection = class extends Own {
  constructor(...given) { super(...given); globalThis.written.push({ given, peer: this }); }
};
"""


def passed(liar: Liar) -> list[dict[str, Any]]:
    """The live messages the relay was given, in order."""
    found = [json.loads(call.body)["jws"] for call in liar.hw.liar.calls if call.path == "/v1/live"]
    return [jws.decode(one, "sph-live+1").body for one in found]


def kinds(liar: Liar) -> list[str]:
    return [one["k"] for one in passed(liar)]


def two_machines(liar: Liar, opening: Windows, script: str) -> tuple[Page, Page]:
    """One person at two machines; a new sphere of live delivery on the first, so that the second asks for its key."""
    first, second = opening("desk"), opening("laptop")
    for one in (first, second):
        one.context.add_init_script(script)
    desk = signed_up(first, "ada", liar.hw.setup_code)
    laptop = sign_in(second, "ada")
    expect(laptop.get_by_role("heading", name=say("place.inbox"), level=1)).to_be_visible()
    desk.evaluate("() => { location.hash = '#/new' }")
    dialog = desk.get_by_role("dialog")
    field(dialog, "new.name").fill(TITLE)
    dialog.get_by_text(say("new.more")).click()
    dialog.get_by_role("switch", name=say("new.live")).check()
    button(dialog, "new.make").click()
    return desk, laptop


def handed_over(desk: Page, laptop: Page) -> None:
    """The digits are compared, the key is sent, and both sides say that it came."""
    giving = desk.get_by_role("dialog", name=say("handover.giving", title=TITLE))
    receiving = laptop.get_by_role("dialog")
    expect(giving).to_be_visible()
    expect(receiving).to_be_visible()
    assert giving.locator(".digits").inner_text() == receiving.locator(".digits").inner_text()
    button(giving, "handover.same").click()
    expect(receiving.get_by_role("status")).to_have_text(say("handover.received", n=1, name="ada"))
    expect(giving.get_by_role("status")).to_have_text(say("handover.given", name="ada"))


def test_the_give_goes_from_browser_to_browser(open_window: Windows, liar: Liar) -> None:
    """LIVE-016, LIVE-017: the relay passes the ways on and never sees the give; it learns no address from them."""
    desk, laptop = two_machines(liar, open_window, WATCH)
    handed_over(desk, laptop)
    assert kinds(liar) == ["ask", "offer", "way", "open", "way"]
    for way in (one for one in passed(liar) if one["k"] == "way"):
        assert all(len(b64d(place)) == 18 for place in way["at"])
        assert not addresses(json.dumps(way))
    for page in (desk, laptop):
        (made,) = page.evaluate("() => written.map(({ given }) => given)")
        assert made == [{"iceServers": []}]
        # Nothing of it is left when it is done.
        page.wait_for_function("() => written.every(({ peer }) => peer.connectionState === 'closed')")


def addresses(text: str) -> list[str]:
    """IP addresses that stand in a text."""
    found = []
    for word in "".join(c if c.isalnum() or c in ".:" else " " for c in text).split():
        try:
            found.append(str(ipaddress.ip_address(word)))
        except ValueError:
            continue
    return found


def test_control_an_address_would_be_seen() -> None:
    """What looks for addresses finds them where a description stands as browsers write it."""
    assert addresses("a=candidate:1 1 udp 1 192.168.1.17 50000 typ host") == ["192.168.1.17"]
    assert addresses('{"at":["fe80::1"]}') == ["fe80::1"]


@pytest.mark.parametrize("lost", [1, 2])
def test_without_the_channel_the_relay_carries_on(open_window: Windows, liar: Liar, lost: int) -> None:
    """LIVE-017: the way of the side that asks is lost, or that of the side that gives: the key comes all the same."""
    told: list[str] = []

    def cut(frame: Any) -> Any:
        return [one for one in frame if not of_way(one)] if isinstance(frame, list) else frame

    def of_way(record: dict[str, Any]) -> bool:
        if record.get("t") != "pass" or jws.decode(record["jws"], "sph-live+1").body["k"] != "way":
            return False
        told.append(record["jws"])
        return len(told) == lost

    liar.hw.liar.lie_live(cut)
    desk, laptop = two_machines(liar, open_window, "")
    handed_over(desk, laptop)
    answered = ["way"] if lost == 2 else []
    assert kinds(liar) == ["ask", "offer", "way", "open", *answered, "give", "done"]


def test_a_browser_that_cannot_connect_says_nothing_of_it(open_window: Windows, liar: Liar) -> None:
    """LIVE-017: where there are no connections between browsers, no way is sent and the relay carries everything."""
    desk, laptop = two_machines(liar, open_window, WITHOUT)
    handed_over(desk, laptop)
    assert kinds(liar) == ["ask", "offer", "open", "give", "done"]


# A side whose program says more over the channel than the transfer: before the give, which then goes to the relay too.
LIAR = """
const Own = RTCPeerConnection;
globalThis.RTCPeerConnection = class extends Own {
  createDataChannel(...given) {
    const channel = super.createDataChannel(...given), send = channel.send.bind(channel);
    channel.send = (text) => { %s; send(text); };
    return channel;
  }
  // However little the other side takes in.
  setRemoteDescription({ type, sdp }) {
    return super.setRemoteDescription({ type, sdp: sdp.replace("max-message-size:16384", "max-message-size:65536") });
  }
};
"""
MANY = "for (let n = 0; n < 5; n += 1) send('words')"
LARGE = "send('x'.repeat(16385))"
RAW = "send(new Uint8Array(8))"
FEW = "for (let n = 0; n < 3; n += 1) send('words')"


@pytest.mark.parametrize(("more", "ends"), [(MANY, True), (LARGE, True), (RAW, True), (FEW, False)])
def test_who_says_more_than_the_transfer_ends_the_channel(
    open_window: Windows, liar: Liar, more: str, ends: bool
) -> None:
    """LIVE-018: too many texts, too large a one, or what is no text ends it; the relay carries on. A few do nothing."""
    desk, laptop = two_machines(liar, open_window, LIAR % more)
    handed_over(desk, laptop)
    assert (kinds(liar)[5:][:1] == ["give"]) is ends
