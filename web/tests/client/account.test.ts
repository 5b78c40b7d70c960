/**
 * Accounts against a real relay: made here and opened by the Python client, made there and opened here; a new password, a
 * device taken away, answers that never came (CLT-003, CLT-005 to CLT-007, CLT-028).
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";

import { unpackDevice } from "../../src/account/keys.ts";
import { stretch } from "../../src/account/password.ts";
import { type Vault, openWithPassword, storeKey } from "../../src/account/vault.ts";
import * as acts from "../../src/client/acts.ts";
import { memoryPlace } from "../../src/client/backend_memory.ts";
import { type Act, type Context, type Step, session } from "../../src/client/context.ts";
import * as enrol from "../../src/client/enrol.ts";
import * as memory from "../../src/client/memory.ts";
import { Profile } from "../../src/client/profile.ts";
import { Relay } from "../../src/client/relay.ts";
import * as signing from "../../src/client/signing.ts";
import { meta, secret, setMeta } from "../../src/client/store.ts";
import type { Transport } from "../../src/client/transports/base.ts";
import { httpTransport } from "../../src/client/transports/http.ts";
import { none as transfers } from "../../src/client/transfers.ts";
import { type Bytes, randomBytes } from "../../src/crypto.ts";
import { CloisterError, Unreachable } from "../../src/errors.ts";
import { b64d } from "../../src/protocol/encoding.ts";
import { full } from "../cheap.ts";
import { type TestRelay, python, startRelay } from "../relay.ts";

vi.mock("../../src/crypto/argon2.ts", async (real) => (await import("../cheap.ts")).cheap(real));

const PASSWORD = "kettle-orchid-93-lantern";
const OTHER = "thimble-quarry-58-walnut";
const clock = (): number => Date.now() / 1000;

let relay: TestRelay;
let folder: string;
let open: Context[] = [];

/** Each group has a relay of its own, because one takes few sign-ups at once from an address. */
function withRelay(): void {
  beforeAll(async () => {
    relay = await startRelay();
    folder = mkdtempSync(join(tmpdir(), "cloister-account-"));
    await account("root", siteOf(), relay.code);
  });
  afterAll(async () => {
    for (const ctx of open) await ctx.store.close();
    open = [];
    await relay.stop();
    rmSync(folder, { recursive: true, force: true });
  });
}

function siteOf(transport: Transport = httpTransport(relay.origin), act?: Act): enrol.Site {
  return { profile: new Profile(memoryPlace(), randomBytes), relay: new Relay(transport), rng: randomBytes, now: () => Math.floor(clock()), act };
}

/** The profile, opened: what unlocking makes. */
async function enter(site: enrol.Site, vault: Vault, vk: Bytes): Promise<Context> {
  const store = await site.profile.openStore(storeKey(vk, vault));
  const keys = await unpackDevice((await secret(store, "device"))!, vault.dv);
  const ctx: Context = {
    profile: site.profile, store, relay: site.relay, clock, rng: randomBytes, pause: () => Promise.resolve(),
    id: vault.account, login: vault.login, dv: vault.dv, keys, mk: (await secret(store, "mk"))!, mkv: await meta(store, "mkv", 1),
    offset: 0, replicas: new Map(), transfers: transfers(), act: undefined, line: undefined,
  };
  site.relay.renew = () => session(ctx);
  open.push(ctx);
  return ctx;
}

interface Here {
  ctx: Context;
  vault: Vault;
  vk: Bytes;
}

async function account(login: string, site = siteOf(), ticket?: string): Promise<Here> {
  const wanted = { login, password: PASSWORD, ticket, content: (dev: { dv: string }) => memory.firstContent(dev.dv, "first") };
  const { vault, vk } = await enrol.signUp(site, wanted);
  return { ctx: await enter(site, vault, vk), vault, vk };
}

async function further(login: string, password = PASSWORD): Promise<Here> {
  const site = siteOf();
  const { vault, vk, finish } = await enrol.addDevice(site, { login, password });
  const ctx = await enter(site, vault, vk);
  await finish();
  await round(ctx);
  return { ctx, vault, vk };
}

/** Key log and state slot, as each sync begins. */
async function round(ctx: Context): Promise<void> {
  await memory.exchange(ctx, await memory.refreshKlog(ctx));
}

async function rename(ctx: Context, name: string): Promise<void> {
  await ctx.store.step(async (tx) => {
    setMeta(tx, "deviceNames", { ...(await meta<object>(tx, "deviceNames", {})), [ctx.dv]: name });
    setMeta(tx, "stateDirty", true);
  });
  await round(ctx);
}

async function vkBy(vault: Vault, password: string): Promise<Bytes> {
  const who = { login: vault.login, realm: b64d(vault.realm), salt16: b64d(vault.salt), version: vault.ver };
  return openWithPassword(vault, (await stretch(password, who)).kek);
}

const code = (work: Promise<unknown>): Promise<string> =>
  work.then(() => "", (error: unknown) => (error instanceof CloisterError ? error.code : String(error)));

/** Run the Python client on its own profile; `body` is the inside of an async function that knows `c`. */
function other<T>(profile: string, body: string): T {
  const script = `
import asyncio, json, sys
from cloister.client.client import Client
async def main():
    async with Client.open(sys.argv[1], server=sys.argv[2]) as c:
${body.trim().split("\n").map((line) => `        ${line}`).join("\n")}
print(json.dumps(asyncio.run(main())))
`;
  return python<T>(script, [join(folder, profile), relay.origin]);
}

describe("a new account", () => {
  withRelay();

  test("is made, pinned, and has a first state of its own", async () => {
    const said: Step[] = [];
    const act: Act = { say: (step) => void said.push(step), signal: new AbortController().signal };
    const { ctx, vault } = await account("ada", siteOf(undefined, act));
    expect(said).toEqual(["keys", "account", "account"]);
    expect(vault).toMatchObject({ login: "ada", pending: false, mkv: 1, origin: relay.origin });
    expect(await secret(ctx.store, "signup")).toBeUndefined();
    await round(ctx);
    expect((await memory.devices(ctx)).map((one) => [one.dv, one.active, one.here])).toEqual([[ctx.dv, true, true]]);
    expect((await enrol.readVault(ctx.profile))?.pending).toBe(false);
  });

  test("a name that is taken leaves nothing behind", async () => {
    const site = siteOf();
    expect(await code(account("ada", site))).toBe("E_CONFLICT");
    expect(await enrol.readVault(site.profile)).toBeUndefined();
  });

  test("it can be stopped before anything is stored, and not after", async () => {
    const stop = new AbortController();
    const site = siteOf(undefined, { say: (step) => step === "account" && stop.abort(), signal: stop.signal });
    await expect(account("stopped", site)).rejects.toThrow("aborted");
    expect(await enrol.readVault(site.profile)).toBeUndefined();
  });

  test("an answer that never came is settled by the password (CLT-003)", async () => {
    const site = siteOf(losing("/v1/accounts"));
    expect(await code(account("lost", site))).toBe("L_UNREACHABLE");
    const vault = (await enrol.readVault(site.profile))!;
    expect(vault.pending).toBe(true);
    const ctx = await enter(site, vault, await vkBy(vault, PASSWORD));
    expect(await enrol.resumeSignUp(site, vault, ctx.store, PASSWORD)).toMatchObject({ pending: false });
    await round(ctx);
  });

  test("a request that never arrived is sent again as it was (CLT-003)", async () => {
    const site = siteOf(losing("/v1/accounts", true));
    expect(await code(account("again", site))).toBe("L_UNREACHABLE");
    const vault = (await enrol.readVault(site.profile))!;
    const ctx = await enter(site, vault, await vkBy(vault, PASSWORD));
    expect(await enrol.resumeSignUp(site, vault, ctx.store, PASSWORD)).toMatchObject({ pending: false });
    expect(await secret(ctx.store, "signup")).toBeUndefined();
    await round(ctx);
  });
});

/** A network that loses the first answer (or, with `request`, the first request) to a path. */
function losing(path: string, request = false): Transport {
  const real = httpTransport(relay.origin);
  let left = 1;
  return {
    origin: real.origin,
    connect: (to) => real.connect(to),
    close: () => real.close(),
    async request(sent) {
      if (!sent.path.startsWith(path) || sent.method === "GET" || left === 0) return real.request(sent);
      left -= 1;
      if (!request) await real.request(sent);
      throw new Unreachable("lost");
    },
  };
}

describe("devices", () => {
  withRelay();

  test("a second device signs in, sees the first, and both write one state", async () => {
    const first = await account("duo");
    await rename(first.ctx, "laptop");
    await memory.setSetting(first.ctx, "density", { rows: "close", extra: [1.5, null, -2] });
    await round(first.ctx);
    const second = await further("duo");
    expect(await memory.setting(second.ctx, "density")).toEqual({ rows: "close", extra: [1.5, null, -2] });
    await rename(second.ctx, "phone");
    await round(first.ctx);
    const names = async ({ ctx }: Here): Promise<string[]> => (await memory.devices(ctx)).map((one) => one.name).sort();
    expect([await names(first), await names(second)]).toEqual([["laptop", "phone"], ["laptop", "phone"]]);
    expect(second.ctx.mk).toEqual(first.ctx.mk);
  });

  test("a setting made at once on two devices becomes the same on both, and both survive Python (CLT-029)", async () => {
    full(true);
    onTestFinished(() => full(false));
    const [one, two] = [await account("settings"), await further("settings")];
    await memory.setSetting(one.ctx, "theme", "dark");
    await memory.setSetting(two.ctx, "theme", "light");
    await memory.setSetting(two.ctx, "letters", true);
    await round(one.ctx);
    other("settings", `await c.sign_in("settings", "${PASSWORD}", "terminal")\nawait c.sync()\nreturn True`);
    await round(two.ctx);
    await round(one.ctx);
    for (const { ctx } of [one, two]) {
      expect([await memory.setting(ctx, "theme"), await memory.setting(ctx, "letters")]).toEqual(["light", true]);
    }
    await memory.setSetting(one.ctx, "theme", undefined);
    await round(one.ctx);
    await round(two.ctx);
    expect(await memory.setting(two.ctx, "theme")).toBeUndefined();
  });

  test("a wrong password, another realm, a server of another name are refused (CLT-028)", async () => {
    await account("guarded");
    expect(await code(further("guarded", OTHER))).toBe("E_AUTH");
    expect(await code(signing.server(new Relay(httpTransport(relay.origin)), "AAAAAAAAAAAAAAAAAAAAAA"))).toBe("C_DOWNGRADE");
    const real = httpTransport(relay.origin);
    const foreign: Transport = { ...real, origin: "https://elsewhere.example", request: (sent) => real.request(sent) };
    expect(await code(enrol.addDevice(siteOf(foreign), { login: "guarded", password: PASSWORD }))).toBe("L_USAGE");
  });

  test("one is taken away: it hears so, and a new master key follows (CLT-007)", async () => {
    const [one, two, three] = [await account("trio"), await further("trio"), await further("trio")];
    await round(one.ctx);
    expect(await code(acts.revokeDevice(one.ctx, one.vault, one.vk, one.ctx.dv, PASSWORD))).toBe("L_USAGE");
    expect(await code(acts.revokeDevice(one.ctx, one.vault, one.vk, two.ctx.dv, OTHER))).toBe("E_AUTH");
    const before = one.ctx.mk;
    await acts.revokeDevice(one.ctx, one.vault, one.vk, two.ctx.dv, PASSWORD);
    expect([one.ctx.mkv, one.ctx.mk === before, await memory.unanswered(one.ctx)]).toEqual([2, false, new Set()]);
    await expect(round(two.ctx)).rejects.toBeInstanceOf(CloisterError);
    await round(three.ctx);
    expect(await meta(three.ctx.store, "mkDue")).toBe(2);
    expect(await acts.refreshMaster(three.ctx, three.vault, PASSWORD)).toBe(true);
    expect(three.ctx.mk).toEqual(one.ctx.mk);
    await rename(three.ctx, "third");
    await round(one.ctx);
    expect((await memory.devices(one.ctx)).find((dev) => dev.dv === three.ctx.dv)?.name).toBe("third");
    expect(await code(acts.revokeDevice(one.ctx, one.vault, one.vk, two.ctx.dv, PASSWORD))).toBe("L_NOT_FOUND");
  });

  test("taken away with a new password, and the answer lost: calling again goes on (SLOT-027)", async () => {
    const site = siteOf(losing("/v1/account/roots"));
    const [one, two] = [await account("redo", site), await further("redo")];
    await round(one.ctx);
    const revoke = (): Promise<Vault> => acts.revokeDevice(one.ctx, one.vault, one.vk, two.ctx.dv, PASSWORD, OTHER);
    expect(await code(revoke())).toBe("L_UNREACHABLE");
    const vault = await revoke();
    expect(await vkBy(vault, OTHER)).toEqual(one.vk);
    expect(await code(further("redo"))).toBe("E_AUTH");
    expect((await further("redo", OTHER)).ctx.mk).toEqual(one.ctx.mk);
  });
});

describe("a new password", () => {
  withRelay();

  test("opens this device and signs in others; the old one does neither", async () => {
    const { ctx, vault, vk } = await account("fresh");
    expect(await code(acts.changePassword(ctx, vault, vk, OTHER, "quite-another-word-here-77"))).toBe("E_AUTH");
    expect(await code(acts.changePassword(ctx, vault, vk, PASSWORD, "passwordpassword"))).toBe("L_PASSWORD");
    const after = await acts.changePassword(ctx, vault, vk, PASSWORD, OTHER);
    expect(await vkBy(after, OTHER)).toEqual(vk);
    expect(await code(vkBy(after, PASSWORD))).toBe("C_VAULT");
    expect(await acts.readNext(ctx.profile)).toBeUndefined();
    expect(await code(further("fresh"))).toBe("E_AUTH");
    expect((await further("fresh", OTHER)).ctx.mk).toEqual(ctx.mk);
  });

  test.each([["answer", false, OTHER], ["request", true, PASSWORD]] as const)("the %s lost: signing in tells which holds (CLT-006)", async (what, request, holds) => {
    const login = `loses-${what}`;
    const { ctx, vault, vk } = await account(login, siteOf(losing("/v1/account/roots", request)));
    const after = await acts.changePassword(ctx, vault, vk, PASSWORD, OTHER);
    expect(await vkBy(after, holds)).toEqual(vk);
    expect(await acts.readNext(ctx.profile)).toBeUndefined();
    await further(login, holds);
  });
});

describe("the terminal", () => {
  withRelay();
  beforeAll(() => full(true));

  test("signs in to an account made here", async () => {
    const { ctx } = await account("webfirst");
    await rename(ctx, "browser");
    const seen = other<string[][]>("webfirst", `
await c.sign_in("webfirst", "${PASSWORD}", "terminal")
await c.sync()
return sorted([d.name, str(d.active)] for d in await c.devices())`);
    expect(seen).toEqual([["browser", "True"], ["terminal", "True"]]);
    await round(ctx);
    expect((await memory.devices(ctx)).map((one) => one.name).sort()).toEqual(["browser", "terminal"]);
  });

  test("made an account: it opens here, and each changes what the other needs", async () => {
    other("pyfirst", `
await c.create_account("pyfirst", "${PASSWORD}", device_name="terminal")
await c.sync()
return True`);
    const here = await further("pyfirst");
    await rename(here.ctx, "browser");
    expect(other<string[]>("pyfirst", `
await c.unlock("${PASSWORD}")
await c.sync()
await c.change_password("${PASSWORD}", "${OTHER}")
return sorted(d.name for d in await c.devices())`)).toEqual(["browser", "terminal"]);
    expect(await code(further("pyfirst"))).toBe("E_AUTH");
    const terminal = (await memory.devices(here.ctx)).find((one) => one.name === "terminal")!;
    const vk = here.vk;
    await acts.revokeDevice(here.ctx, here.vault, vk, terminal.dv, OTHER, PASSWORD);
    expect(here.ctx.mkv).toBe(2);
    expect(other<string>("pyagain", `
await c.sign_in("pyfirst", "${PASSWORD}", "second terminal")
await c.sync()
return [d.name for d in await c.devices() if not d.active][0]`)).toBe("terminal");
  });
});
