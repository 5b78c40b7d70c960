/**
 * The account's side of the client: coming in, going out, password, PIN, devices.
 *
 * Keeps what every step needs in the order of `src/cloister/client/client.py`: what has to survive a crash is stored before
 * the relay hears of it. Spec: CLT-003 to CLT-007, CLT-028, VLT-009, WEB-013.
 */

import type { Bytes } from "../crypto.ts";
import { AuthFailed, CloisterError, RelayError, Unreachable, UsageError, VaultError, part } from "../errors.ts";
import { jsonEmit, jsonParse } from "../protocol/encoding.ts";
import type { Api, Openers, PageEvent, Progress } from "./api.ts";
import { type Act, type Context, setClock } from "./context.ts";
import { Door, type Given } from "./door.ts";
import * as enrol from "./enrol.ts";
import * as joining from "./joining.ts";
import * as links from "./links.ts";
import { Listening } from "./listening.ts";
import { writer } from "./locks.ts";
import * as memory from "./memory.ts";
import { Profile } from "./profile.ts";
import type { AccountInfo, DeviceInfo, Pending, ServerInfo, SessionInfo } from "./records.ts";
import { Relay } from "./relay.ts";
import * as signing from "./signing.ts";
import { meta, putSecret, setMeta } from "./store.ts";
import * as syncing from "./syncing.ts";

export interface Options extends Omit<Given, "publish"> {
  readonly publish: (events: readonly PageEvent[]) => void;
  /** Keep the live connection while the profile is open. */
  readonly live: boolean;
}

/** What the profile remembers beside the vault: nothing secret. */
interface Settings {
  readonly v: 1;
  readonly server: string;
  readonly deviceName: string;
}

type Work = Progress["work"];

/** Changes of the account, which come later than everything else or never. */
const acts = (): Promise<typeof import("./acts.ts")> => part(import("./acts.ts"));

export class Household {
  protected readonly door: Door;
  protected readonly relay: Relay;
  protected readonly options: Options;
  readonly #profile: Profile;
  #settings: Settings;
  #running: AbortController | undefined = undefined;
  readonly #listening = new Listening(() => this.lock());

  constructor(profile: Profile, options: Options) {
    this.options = options;
    this.#profile = profile;
    this.relay = new Relay(options.transport);
    this.door = new Door(profile, options);
    this.#settings = { v: 1, server: this.relay.origin, deviceName: "" };
  }

  async begin(): Promise<void> {
    const kept = await this.#profile.read("profile");
    if (kept !== undefined) this.#settings = jsonParse(kept) as unknown as Settings;
    if (this.#settings.server !== this.relay.origin) throw new UsageError("this profile belongs to another server");
    await this.door.readVault();
  }

  /** Close connection and store, forget keys; a session stays for the next page. */
  close(): Promise<void> {
    return this.door.close();
  }

  // inner parts ---------------------------------------------------------------------------------------------------------
  /** The open profile. Throws Locked. */
  get context(): Context {
    return this.door.ctx;
  }

  #site(act: Act): enrol.Site {
    const { rng, clock } = this.options;
    const now = (): number => Math.floor(clock());
    return { profile: this.#profile, relay: this.relay, rng, now, act };
  }

  /** Long work that tells where it is and may be stopped; one at a time. */
  async #act<T>(work: Work, run: (act: Act) => Promise<T>): Promise<T> {
    if (this.#running !== undefined) throw new UsageError("another such act is running");
    const running = new AbortController();
    this.#running = running;
    const say: Act["say"] = (step, done = 0, of = 0) =>
      this.options.publish([{ event: "Progress", sph: "", work, step, done, of }]);
    try {
      return await run({ say, signal: running.signal });
    } finally {
      this.#running = undefined;
      say("done");
    }
  }

  async #name(given: string): Promise<string> {
    const deviceName = given === "" ? this.#settings.deviceName : given;
    this.#settings = { ...this.#settings, deviceName };
    await this.#profile.write("profile", jsonEmit({ ...this.#settings }));
    return deviceName;
  }

  /** Open the store; the session is kept before anybody can see that it is open, so that a reload finds it (WEB-013). */
  async #enter(...given: Parameters<Door["enter"]>): Promise<Context> {
    const ctx = await this.door.enter(...given);
    await this.door.keepSession();
    return ctx;
  }

  /** The profile is open, its header in force: the relay is listened to. */
  async #opened(): Promise<void> {
    if (this.door.vault?.openers.session === undefined) await this.door.keepSession();
    const { ctx, closed } = this.door;
    this.listen(ctx, closed);
  }

  /** Keep the live connection, unless it is kept already. */
  protected listen(ctx: Context, closed: AbortSignal): void {
    if (this.options.live) this.#listening.begin(ctx, closed);
  }

  async #lookAtAccount(ctx: Context): Promise<void> {
    try {
      const { admin } = await ctx.relay.account();
      await ctx.store.step(async (tx) => setMeta(tx, "admin", admin));
    } catch (error) {
      if (!(error instanceof RelayError || error instanceof Unreachable)) throw error;
    }
  }

  // account -------------------------------------------------------------------------------------------------------------
  async account(): Promise<AccountInfo> {
    const { vault } = this.door;
    const { server, deviceName } = this.#settings;
    if (vault === undefined) return { status: "new", server, login: "", id: "", dv: "", deviceName, admin: false };
    const status = vault.pending ? "pending" : this.door.isOpen ? "open" : "locked";
    const admin = this.door.isOpen && (await meta(this.context.store, "admin", false));
    return { status, server, login: vault.login, id: vault.account, dv: vault.dv, deviceName, admin };
  }

  openers(): Promise<Openers> {
    return this.door.openers();
  }

  async serverInfo(): Promise<ServerInfo> {
    const info = await signing.server(this.relay, this.door.vault?.realm);
    if (this.door.isOpen) setClock(this.context, info.now);
    const { realm, signup, origins, setup } = info;
    const skew = Math.trunc(info.now - this.options.clock());
    return { url: this.relay.origin, realm, version: info.versions.at(-1) ?? "", signup, origins, skew, setup };
  }

  createAccount(login: string, password: string, options: Parameters<Api["createAccount"]>[2]): Promise<Pending | undefined> {
    return this.#act("signup", async (act) => {
      const { vault } = this.door;
      if (vault !== undefined && !vault.pending) throw new UsageError("this profile has an account already");
      if (vault?.pending) {
        await this.#unlock(password, act);
        return (await joining.pending(this.context))[0];
      }
      const { ticket, link: text } = options;
      const link = text === undefined ? undefined : links.parseLink(this.relay.origin, text);
      const name = await this.#name(options.deviceName ?? "");
      let made: enrol.Entered;
      try {
        const content: enrol.NewAccount["content"] = (device) => memory.firstContent(device.dv, name);
        made = await enrol.signUp(this.#site(act), { login, password, ticket, link, content });
      } finally {
        await this.door.readVault();
      }
      const ctx = await this.#enter(made.vault, made.vk);
      await this.#named(ctx, name);
      await this.#lookAtAccount(ctx);
      await this.#opened();
      return (await joining.pending(ctx))[0];
    });
  }

  #named(ctx: Context, name: string, kept?: enrol.Kept): Promise<void> {
    return ctx.store.step(async (tx) => {
      setMeta(tx, "deviceNames", { [ctx.dv]: name });
      setMeta(tx, "stateDirty", true);
      if (kept !== undefined) await enrol.restore(tx, kept);
    });
  }

  /**
   * Make this profile a new device of an existing account (CLT-005). A locked profile of the same account is merely
   * unlocked; a device that is of no more use is replaced, and what only it held is carried over.
   */
  signIn(login: string, password: string, deviceName: string): Promise<void> {
    return this.#act("signin", async (act) => {
      const old = this.door.vault;
      let kept: enrol.Kept | undefined;
      if (old !== undefined && !old.pending) {
        if (this.door.isOpen && !(await this.#mustRenew())) throw new UsageError("this profile is signed in already");
        kept = await this.#carry(password, act);
        if (kept !== undefined && !(await this.#mustRenew())) {
          if (login.trim().toLowerCase() === old.login) return this.#opened(); // as good as before: it is open now
          await this.door.close();
          throw new UsageError("this profile belongs to another account");
        }
      }
      await this.door.close();
      const name = await this.#name(deviceName);
      const retire = old !== undefined && !old.pending ? old.dv : undefined;
      const made = await enrol.addDevice(this.#site(act), { login, password, realm: old?.realm, retire });
      const ctx = await this.#enter(made.vault, made.vk);
      await this.#named(ctx, name, kept);
      await this.#lookAtAccount(ctx);
      await this.#firstRound(ctx, act);
      await made.finish();
      if (old !== undefined) await syncing.once(ctx);
      await this.#opened();
    });
  }

  async #firstRound(ctx: Context, act: Act): Promise<void> {
    act.say("spheres");
    ctx.act = act;
    try {
      await syncing.once(ctx);
    } finally {
      ctx.act = undefined;
    }
  }

  /** Whether the open device is of no more use: copied, revoked, or its enrolment was never finished. */
  async #mustRenew(): Promise<boolean> {
    const { store, dv } = this.context;
    const [klog, retired] = [await meta(store, "klog"), await meta(store, "retired")];
    return klog === undefined || retired !== undefined || (await memory.revoked(store)).has(dv);
  }

  async #carry(password: string, act: Act): Promise<enrol.Kept | undefined> {
    try {
      if (!this.door.isOpen) {
        const vault = this.door.needVault();
        await this.door.enter(vault, await this.door.keyByPassword(vault, password, act));
      }
    } catch (error) {
      if (error instanceof CloisterError && !act.signal.aborted) return undefined;
      throw error;
    }
    return enrol.takeAlong(this.context.store);
  }

  async cancel(): Promise<void> {
    this.#running?.abort(new UsageError("stopped", { data: { reason: "stopped" } }));
  }

  unlock(password: string): Promise<void> {
    return this.#act("unlock", (act) => this.#unlock(password, act));
  }

  /** Open by password; works offline. Settles a sign-up or password change whose answer was never seen (CLT-004). */
  async #unlock(password: string, act: Act): Promise<void> {
    const vault = this.door.needVault();
    const next = await this.#profile.next();
    const wrong = (): never => { throw new AuthFailed("the vault does not open"); };
    const opens = async (one: typeof vault): Promise<Bytes | undefined> => {
      try {
        return await this.door.keyByPassword(one, password, act);
      } catch (error) {
        if (error instanceof VaultError) return undefined;
        throw error;
      }
    };
    const byOld = await opens(vault);
    const byNext = byOld === undefined && next !== undefined ? await opens(next) : undefined;
    const ctx = await this.#enter(vault, byOld ?? byNext ?? wrong());
    if (vault.pending) await this.#resumeSignUp(ctx, password, act);
    else if (next !== undefined) {
      await this.#ifReached(async () => {
        this.door.vault = await (await acts()).settlePassword(ctx, this.door.needVault(), password, byNext !== undefined);
      });
    }
    if ((await meta(ctx.store, "mkDue")) !== undefined) {
      await this.#ifReached(async () => (await acts()).refreshMaster(ctx, this.door.needVault(), password));
    }
    await this.#opened();
  }

  /** What needs the relay and can be done another time. */
  async #ifReached(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Unreachable || error instanceof RelayError)) throw error;
    }
  }

  async #resumeSignUp(ctx: Context, password: string, act: Act): Promise<void> {
    const vault = this.door.needVault();
    try {
      this.door.vault = await enrol.resumeSignUp(this.#site(act), vault, ctx.store, password);
    } catch (error) {
      await this.door.close();
      await this.door.readVault();
      throw error;
    }
    await this.#named(ctx, this.#settings.deviceName);
    await this.#lookAtAccount(ctx);
  }

  unlockWithPin(pin: string): Promise<void> {
    return this.#act("unlock", async (act) => {
      const vk = await this.door.keyByPin(pin, act);
      await this.#enter(this.door.needVault(), vk);
      await this.#opened();
    });
  }

  async resume(): Promise<boolean> {
    if (this.door.isOpen) return true;
    const vk = await this.door.keyBySession();
    if (vk === undefined) return false;
    await this.#enter(this.door.needVault(), vk);
    await this.#opened();
    return true;
  }

  /** Somebody used the page: the session of this browser goes on from now (WEB-013). */
  touch(): Promise<void> {
    return this.door.touch();
  }

  async lock(): Promise<void> {
    await this.cancel();
    await this.door.close();
    await this.door.dropSession();
    this.options.publish([{ event: "LockedNow", sph: "" }]);
  }

  async signOut(wipe: boolean): Promise<void> {
    if (this.door.isOpen) {
      const { relay, store } = this.context;
      await this.#ifReached(async () => {
        const { sessions } = await relay.account();
        const here = sessions.find((one) => one.this);
        if (here !== undefined) await relay.endSession(here.n);
      });
      await store.step(async (tx) => putSecret(tx, "token", undefined));
    }
    await this.lock();
    if (!wipe) return;
    await this.#profile.place.wipe();
    this.#settings = { v: 1, server: this.relay.origin, deviceName: "" };
    await this.door.readVault();
  }

  changePassword(old: string, fresh: string): Promise<void> {
    const { ctx, vk } = this.door;
    return this.#act("password", (act) => this.#watched(ctx, act, () => writer(ctx, "account", async () => {
      this.door.vault = await (await acts()).changePassword(ctx, this.door.needVault(), vk, old, fresh);
    })));
  }

  async #watched<T>(ctx: Context, act: Act, work: () => Promise<T>): Promise<T> {
    ctx.act = act;
    try {
      return await work();
    } finally {
      ctx.act = undefined;
    }
  }

  setPin(password: string, pin: string): Promise<void> {
    return this.#act("password", (act) => this.door.setPin(password, pin, act));
  }

  removePin(password: string): Promise<void> {
    return this.#act("password", (act) => this.door.removePin(password, act));
  }

  async devices(): Promise<readonly DeviceInfo[]> {
    await this.#ifReached(() => memory.refreshKlog(this.context));
    return memory.devices(this.context);
  }

  async revokeDevice(dv: string, password: string, fresh?: string): Promise<void> {
    const { ctx, vk } = this.door;
    await this.#act("password", (act) => this.#watched(ctx, act, () => writer(ctx, "account", async () => {
      this.door.vault = await (await acts()).revokeDevice(ctx, this.door.needVault(), vk, dv, password, fresh);
    })));
    await syncing.once(ctx);
  }

  async sessions(): Promise<readonly SessionInfo[]> {
    const { sessions } = await this.context.relay.account();
    return sessions.map(({ n, dv, made, used, this: here }) => ({ n, dv: dv ?? "", since: made, seen: used, here }));
  }
}
