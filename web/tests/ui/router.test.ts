/**
 * Addresses: every route survives being written and read, nothing else is understood, an invitation leaves the address.
 * Rules: WEB-022, WEB-023.
 */

import { describe, expect, test } from "vitest";

import { arrival, href, isLink, outside, parse, publicLink } from "../../src/ui/router.ts";
import type { Route } from "../../src/ui/router.ts";

const ROUTES: readonly Route[] = [
  { name: "home" }, { name: "welcome" }, { name: "setup" }, { name: "signin" }, { name: "join" }, { name: "inbox" }, { name: "spheres" },
  { name: "you" }, { name: "new" }, { name: "sphere", sph: "sp-4kT", thread: "", mid: "" }, { name: "sphere", sph: "sp-4kT", thread: "m1", mid: "" },
  { name: "sphere", sph: "sp-4kT", thread: "", mid: "m1" }, { name: "people", sph: "sp-4kT" }, { name: "invite", sph: "sp-4kT" },
  { name: "security", sph: "sp-4kT", mid: "" }, { name: "security", sph: "sp-4kT", mid: "m1" }, { name: "settings", page: "" },
  { name: "public", at: "sp-4kT~12~x9fQ" }, { name: "settings", page: "devices" }, { name: "admin", page: "" }, { name: "admin", page: "people" },
];

describe("routes", () => {
  test.each(ROUTES.map((route) => [href(route), route] as const))("%s", (fragment, route) => {
    expect(parse(fragment)).toEqual(route);
  });

  test.each([
    "#/s", "#/s/", "#/s/a b", "#/s/a/x", "#/s/a/t", "#/s/a/t/", "#/s/a/t/b/c", "#/s/a/people/x", "#/s/a/security/x", "#/s/a/security/seen/",
    "#/s/a/security/seen/../x", "#/s/<script>", "#/settings/x", "#/settings/devices/x", "#/admin/x", "#/inbox/x", "#/nothing",
    "#javascript:alert(1)", "#/s/%61", "#/__proto__", "#/constructor", "#/settings/constructor",
    "#/p", "#/p/", "#/p/sp-4kT", "#/p/sp-4kT~12", "#/p/sp-4kT~12~x/y", "#/p/sp-4kT~x~y", "#/p/sp-4kT~12~x~seed~label",
  ])("%s is not found", (fragment) => {
    const route = parse(fragment);
    expect(route.name === "missing" || (route.name === "security" && route.mid === "")).toBe(true);
  });

  test("an empty fragment is the beginning", () => {
    for (const fragment of ["", "#", "#/"]) expect(parse(fragment)).toEqual({ name: "home" });
  });

  test("doors are for people without an account here", () => {
    expect(ROUTES.filter(outside).map((one) => one.name)).toEqual(["welcome", "setup", "signin", "join"]);
  });
});

describe("an invitation", () => {
  const at = (pathname: string, hash: string): ReturnType<typeof arrival> => arrival({ pathname, hash, href: `https://h.example${pathname}${hash}` });

  test("is taken whole and leaves the address", () => {
    for (const path of ["/j", "/j/", "/p"]) {
      const { link, instead } = at(path, "#sp-4kT~9fQ~id-x~y");
      expect(link).toBe(`https://h.example${path}#sp-4kT~9fQ~id-x~y`);
      expect(instead).toBe("/#/join");
      expect(instead).not.toContain("9fQ");
    }
  });

  test("for reading only is a place of the page: it holds no secret, and reading it again needs it", () => {
    expect(at("/p", "#sp-4kT~12~x9fQ")).toEqual({ link: "", instead: "/#/p/sp-4kT~12~x9fQ" });
    expect(publicLink("https://h.example", "sp-4kT~12~x9fQ")).toBe("https://h.example/p#sp-4kT~12~x9fQ");
    expect(at("/j", "#sp-4kT~12~x9fQ").link).not.toBe("");
  });

  test("is nothing else", () => {
    expect(isLink("/", "#sp-4kT~9fQ")).toBe(false);
    expect(isLink("/j", "")).toBe(false);
    expect(isLink("/j", "#/inbox")).toBe(false);
    expect(isLink("/jj", "#sp")).toBe(false);
    expect(at("/", "#/inbox")).toEqual({ link: "" });
    expect(at("/j", "#/inbox")).toEqual({ link: "", instead: "/#/inbox" });
  });
});
