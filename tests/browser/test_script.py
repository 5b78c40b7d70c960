"""A script that got into the page: it may ask what the page may ask, and reaches no key (WEB-003).

It has the page's worker, the channel between tabs, every object, database, file and cache of the origin. What it can do
is use the application as the person could; what it finds is searched for keys that another device of the account knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.acts import write, written
from tests.browser.liar import Liar
from tests.browser.test_disk import device_keys
from tests.browser.test_lies import let_in
from tests.browser.window import ROOT, Window

# What is asked after everything else, since little works afterwards.
LAST = ("leave", "forget", "lock", "signOut")
# Names that are no method of the page, among them what the client has inside.
NOT_METHODS = ("context", "door", "options", "profile", "relay", "store", "keys.mk", "begin", "listen", "touch",
               "close", "constructor", "__proto__", "toString", "hasOwnProperty", "vault", "")  # fmt: skip
THIEF = """() => {
  const heard = [];
  let worker, last = 5_000_000;
  const asked = new Map();
  const real = Worker.prototype.postMessage;
  Worker.prototype.postMessage = function (...values) {
    if (worker === undefined) {
      worker = this;
      this.addEventListener("message", ({ data }) => { heard.push(data); asked.get(data.n)?.(data); });
    }
    return real.apply(this, values);
  };
  const channel = new BroadcastChannel("cloister");
  channel.onmessage = ({ data }) => {
    heard.push(data);
    if (data.k === "reply") asked.get(data.reply.n)?.(data.reply);
  };
  const ask = (post) => (method, values) => new Promise((done) => {
    last += 1;
    asked.set(last, done);
    post({ n: last, method, values });
  });
  window.thief = {
    heard,
    ready: () => worker !== undefined,
    byWorker: ask((call) => worker.postMessage(call)),
    byChannel: ask((call) => channel.postMessage({ k: "call", tab: "thief", call })),
  };
}"""
ASK = """async ([how, methods, sets]) => {
  const replies = await Promise.all(methods.flatMap((method) => sets.map((values) => thief[how](method, values))));
  return { answered: replies.filter((one) => "value" in one).length, of: replies.length };
}"""
# Everything that can be reached, searched for bytes; what cannot be exported is said.
SEARCH = """async (secrets) => {
  const found = new Set(), seen = new Set();
  let objects = 0, exported = 0, keys = 0;
  const hex = (bytes) => Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");
  const wanted = secrets.map(([name, bytes]) => {
    const text = btoa(String.fromCharCode(...bytes)).split("=")[0];  // no expression: RegExp.input would be found
    return { name, bytes: hex(bytes), texts: [text, text.replaceAll("+", "-").replaceAll("/", "_"), hex(bytes)] };
  });
  const bytesSeen = (bytes) => {
    const text = hex(bytes);
    for (const one of wanted) if (text.includes(one.bytes)) found.add(one.name);
    textSeen(new TextDecoder().decode(bytes));
  };
  const textSeen = (text) => {
    for (const { name, texts } of wanted) if (texts.some((one) => text.includes(one))) found.add(name);
  };
  const cryptoKey = async (key) => {
    keys += 1;
    for (const format of ["raw", "jwk", "pkcs8"]) {
      await crypto.subtle.exportKey(format, key).then(() => { exported += 1; }, () => undefined);
    }
  };
  const walk = async (start) => {
    const todo = [start];
    while (todo.length > 0) {
      const value = todo.pop();
      if (typeof value === "string") { if (value.length >= 32) textSeen(value); continue; }
      if ((typeof value !== "object" && typeof value !== "function") || value === null || seen.has(value)) continue;
      seen.add(value);
      objects += 1;
      if (value instanceof CryptoKey) await cryptoKey(value);
      else if (value instanceof ArrayBuffer) bytesSeen(new Uint8Array(value));
      else if (ArrayBuffer.isView(value)) bytesSeen(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
      else {
        if (value instanceof Map || value instanceof Set) todo.push(...[...value].flat());
        let names = [];
        try { names = Reflect.ownKeys(value); todo.push(Object.getPrototypeOf(value)); } catch { continue; }
        for (const name of names) {
          try {
            todo.push(value[name]);
          } catch { /* a getter that wants another object */ }
        }
      }
    }
  };
  const answered = (request) => new Promise((done) => { request.onsuccess = () => done(request.result); });
  for (const { name } of await indexedDB.databases()) {
    const db = await answered(indexedDB.open(name));
    for (const table of db.objectStoreNames) {
      await walk(await answered(db.transaction(table).objectStore(table).getAll()));
    }
    db.close();
  }
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const one of await cache.keys()) bytesSeen(new Uint8Array(await (await cache.match(one)).arrayBuffer()));
  }
  for await (const [, file] of (await navigator.storage.getDirectory()).entries()) {
    bytesSeen(new Uint8Array(await (await file.getFile()).arrayBuffer()));
  }
  await walk([{ ...localStorage }, { ...sessionStorage }, document.cookie, document.documentElement.outerHTML]);
  await walk(thief.heard);
  await walk(window);
  return { found: [...found], objects, keys, exported };
}"""


@pytest.fixture
def window(chromium: Browser, liar: Liar) -> Iterator[Window]:
    """Bo's."""
    made = Window(chromium, liar.server, "bo")
    yield made
    # A getter that is asked on the wrong object refuses, some of them a little later.
    complaints = [line for line in made.complaints if "Illegal invocation" not in line]
    made.close()
    assert not complaints


def _methods() -> list[str]:
    """Every name the worker answers to."""
    text = (ROOT / "web/src/client/border.ts").read_text("utf-8")
    table = text[text.index("METHODS") : text.index("};")]
    return re.findall(r'(\w+): "(?:question|act)"', table)


def _search(page: Page, secrets: dict[str, bytes]) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(SEARCH, [[name, list(one)] for name, one in secrets.items()])
    return found


def test_a_script_in_the_page_reaches_no_key(window: Window, liar: Liar) -> None:
    page = let_in(liar, window.page)
    page.evaluate(THIEF)
    write(page, "What the page itself may show")
    written(page, "What the page itself may show")
    page.wait_for_function("() => thief.ready()")
    secrets = liar.do(device_keys(liar))
    sph = page.url.split("/s/")[1].split("/")[0]
    who = page.evaluate("async () => (await thief.byWorker('account', [])).value.id")
    mid = page.evaluate("async (sph) => (await thief.byWorker('rows', [sph, {limit: 9}])).value.rows.at(-1).key", sph)
    methods = _methods()
    assert {"account", "saveKeys", "signOut"} <= set(methods)
    sets = [[], [sph], [sph, mid], [sph, who, True], [sph, "wrong-password-0815", "words"]]
    early = [one for one in methods if one not in LAST]
    told = page.evaluate(ASK, ["byWorker", early, sets])
    assert told["answered"] > 40
    # No other name reaches the client, by neither way.
    for how in ("byWorker", "byChannel"):
        assert page.evaluate(ASK, [how, list(NOT_METHODS), sets])["answered"] == 0
    assert page.evaluate(ASK, ["byChannel", ["account", "keys", "people"], [[sph]]])["answered"] == 3
    searched = _search(page, secrets)
    assert searched["found"] == []
    assert searched["exported"] == 0
    assert searched["keys"] > 0
    assert searched["objects"] > 5000
    page.evaluate(ASK, ["byWorker", ["lock", "signOut"], [[False]]])
    assert _search(page, secrets)["found"] == []


def test_control_a_key_that_is_there_is_found(window: Window, liar: Liar) -> None:
    page = let_in(liar, window.page)
    page.evaluate(THIEF)
    write(page, "So that there is something to be sent")
    written(page, "So that there is something to be sent")
    page.wait_for_function("() => thief.ready()")
    secrets = liar.do(device_keys(liar))
    first, second, *_ = secrets
    page.evaluate(
        """async ([first, second]) => {
          window.planted = { deep: [new Map([["key", new Uint8Array([1, ...first, 2])]])] };
          const key = await crypto.subtle.importKey("raw", new Uint8Array(32), "AES-GCM", true, ["encrypt"]);
          window.planted.held = key;
          thief.heard.push({ n: 0, value: btoa(String.fromCharCode(...second)) });
        }""",
        [list(secrets[first]), list(secrets[second])],
    )
    searched = _search(page, secrets)
    assert sorted(searched["found"]) == sorted([first, second])
    assert searched["exported"] > 0
