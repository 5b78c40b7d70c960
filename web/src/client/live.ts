/**
 * The live connection: everything that arrives is stored and answered while the profile is open.
 *
 * One round brings the profile up to date, then the socket is subscribed with the durable cursors. What arrives in order
 * is applied as received, a hole is fetched, a hint only says "look". When the connection breaks it comes back with
 * growing pauses. Whoever may make a new key does so shortly after a mark, so that a removed member is shut out even
 * before somebody speaks. As `src/cloister/client/live.py`. Spec: CLT-033.
 */

import {
  AuthFailed, CloisterError, DeviceRevoked, DiskTrouble, FormatError, Locked, RelayError, Unreachable, part,
} from "../errors.ts";
import { background } from "./background.ts";
import * as commits from "./commits.ts";
import { type Context, replica } from "./context.ts";
import * as delivery from "./delivery.ts";
import { isKind } from "./forms.ts";
import * as inbox from "./inbox.ts";
import * as joining from "./joining.ts";
import * as keys from "./keys.ts";
import * as lacking from "./lacking.ts";
import { Line, type Record_ } from "./line.ts";
import { writer } from "./locks.ts";
import * as memory from "./memory.ts";
import * as queue from "./queue.ts";
import { type EpochRow, known, statusOf, stopOf } from "./replica.ts";
import { cursor } from "./store.ts";
import * as syncing from "./syncing.ts";

const FIRST_PAUSE = 1;
const LONGEST_PAUSE = 60;
/** Seconds after which a round is made, whatever the connection shows: marks, joins, healing. */
const QUIET = 60;
/** A new key is made at a random moment within this many seconds after a mark, so that not everybody does. */
const JITTER = 5;
/** At most one eager key per sphere in this many seconds. */
const ROTATION_GAP = 10;

/** Stay connected until the profile is closed. Throws DeviceRevoked, AuthFailed (both after telling) and DiskTrouble. */
export async function run(ctx: Context, closed: AbortSignal): Promise<void> {
  let pause = FIRST_PAUSE;
  const rotated = new Map<string, number>();
  while (!closed.aborted) {
    const call = new Call(ctx, rotated);
    const hangUp = (): void => call.end();
    closed.addEventListener("abort", hangUp);
    try {
      await call.hold();
    } catch (error) {
      if (closed.aborted || error instanceof Locked) return;
      if (call.stood) pause = FIRST_PAUSE;
      const wait = pause * (1 - ctx.rng(1)[0]! / 510);
      told(ctx, error, wait);
      pause = Math.min(LONGEST_PAUSE, pause * 2);
      await soonOr(ctx, wait);
    } finally {
      closed.removeEventListener("abort", hangUp);
      call.end();
    }
  }
}

/** Say that the connection is gone; throw what trying again would not change. */
function told(ctx: Context, error: unknown, retryIn: number): void {
  if (error instanceof DeviceRevoked) {
    ctx.store.tell([{ event: "Revoked", sph: "", by: "" }]);
    throw error;
  }
  if (error instanceof AuthFailed) {
    // The relay takes this device no more and shows no entry for it: asking again every minute changes nothing.
    ctx.store.tell([{ event: "Disconnected", sph: "", retryIn: 0, code: error.code }]);
    throw error;
  }
  const passing = error instanceof Unreachable || error instanceof RelayError || error instanceof FormatError;
  if (!passing) throw error;
  ctx.store.tell([{ event: "Disconnected", sph: "", retryIn, code: error.code }]);
}

async function soonOr(ctx: Context, seconds: number): Promise<void> {
  try {
    await ctx.pause(seconds);
  } catch (error) {
    if (!(error instanceof Locked)) throw error;
  }
}

/** One connection, from its first frame to its last. */
class Call {
  stood = false;
  readonly #ctx: Context;
  readonly #subscribed = new Set<string>();
  readonly #rotating = new Set<string>();
  /** When this program made an eager key of each sphere last, over all connections. */
  readonly #rotated: Map<string, number>;
  #line: Line | undefined = undefined;
  #over = false;

  constructor(ctx: Context, rotated: Map<string, number>) {
    this.#ctx = ctx;
    this.#rotated = rotated;
  }

  /** Hang up; may be repeated. */
  end(): void {
    this.#over = true;
    if (this.#ctx.line === this.#line) this.#ctx.line = undefined;
    if (this.#line !== undefined) background(this.#line.close());
  }

  /** Catch up, subscribe, and serve until the connection ends (Unreachable). */
  async hold(): Promise<void> {
    const ctx = this.#ctx;
    if ((await syncing.once(ctx)).offline) throw new Unreachable("offline");
    await ctx.relay.account(); // renews the session if it is over
    const line = new Line(await ctx.relay.socket());
    this.#line = line;
    if (this.#over) throw new Unreachable("closed");
    const listening = line.listen();
    try {
      await line.say({ t: "auth", token: ctx.relay.token ?? "" });
      await this.#subscribe(line);
      ctx.line = line;
      ctx.store.tell([{ event: "Connected", sph: "" }]);
      this.stood = true;
      for (const sph of await syncing.active(ctx)) await this.#askSoon(sph);
      await this.#rotateMarked();
      for (let due = ctx.clock() + QUIET; ; ) {
        // A clock that was set back puts no round off.
        const records = await line.next(Math.min(QUIET, Math.max(0, due - ctx.clock())));
        if (records.length > 0) await this.#take(line, records);
        if (records.length === 0 || ctx.clock() >= due) {
          await syncing.once(ctx);
          await this.#rotateMarked();
          for (const sph of await syncing.active(ctx)) await this.#askSoon(sph);
          due = ctx.clock() + QUIET;
        }
        await this.#subscribe(line);
      }
    } finally {
      this.end();
      await listening;
    }
  }

  /** Subscribe to what is not yet, each stream from its durable cursor. */
  async #subscribe(line: Line): Promise<void> {
    const wanted = [inbox.STREAM, ...(await syncing.active(this.#ctx))].filter((one) => !this.#subscribed.has(one));
    if (wanted.length === 0) return;
    const streams: Record<string, number> = {};
    for (const stream of wanted) streams[stream] = await cursor(this.#ctx.store, stream);
    await line.say({ t: "sub", streams });
    for (const stream of wanted) this.#subscribed.add(stream);
  }

  async #take(line: Line, records: readonly Record_[]): Promise<void> {
    const items = records.filter((one) => one["t"] === "item");
    const letters = items.filter((one) => one["s"] === inbox.STREAM);
    await this.#letters(line, letters);
    const spheres = new Map<string, Record_[]>();
    for (const one of items) {
      if (one["s"] === inbox.STREAM) continue;
      const sph = String(one["s"]);
      spheres.set(sph, [...(spheres.get(sph) ?? []), one]);
    }
    for (const [sph, own] of spheres) await this.#items(sph, own);
    const touched = new Set([...spheres.keys(), ...letters.map((one) => String(one["sph"]))]);
    for (const record of records) {
      const stream = String(record["s"]);
      if (record["t"] === "hint") await this.#hint(String(record["k"]), stream);
      else if (record["t"] === "pass") await this.#pass(stream, String(record["jws"]));
      else if (record["t"] === "lost") touched.add(stream);
      if (record["t"] === "lost" || (record["t"] === "err" && record["s"] !== undefined)) this.#subscribed.delete(stream);
    }
    await this.#after(touched);
  }

  async #letters(line: Line, records: readonly Record_[]): Promise<void> {
    for (const { t: _, s: __, ...item } of records) {
      if (!isKind("InboxItem", item)) throw new FormatError("inbox record");
      if (item.pos > (await cursor(this.#ctx.store, inbox.STREAM)) + 1) await inbox.pull(this.#ctx);
      await inbox.take(this.#ctx, item);
    }
    if (records.length > 0) await line.say({ t: "ack", pos: await cursor(this.#ctx.store, inbox.STREAM) });
  }

  /** Stream items: applied when they continue the cursor, fetched when there is a hole. */
  async #items(sph: string, records: readonly Record_[]): Promise<void> {
    const ctx = this.#ctx;
    if ((await ctx.store.get("sphere", sph)) === undefined) return;
    const items = records.map(({ t: _, s: __, ...item }) => {
      if (!isKind("Item", item)) throw new FormatError("stream record");
      return item;
    });
    await writer(ctx, sph, async () => {
      const at = await cursor(ctx.store, sph);
      const rep = await replica(ctx, sph);
      const fresh = items.filter((one) => one.pos > at);
      if (rep.history === undefined || fresh.length === 0) return;
      try {
        if (fresh.every((one, i) => one.pos === at + 1 + i)) await commits.takeItems(ctx, rep, fresh);
        else await commits.fetchItems(ctx, rep);
      } catch (error) {
        // A stop is recorded; other spheres go on.
        if (error instanceof Unreachable || error instanceof DiskTrouble || !(error instanceof CloisterError)) throw error;
      }
    });
  }

  /** Look where a hint points; nothing in it is believed. */
  async #hint(kind: string, sph: string): Promise<void> {
    const ctx = this.#ctx;
    if (kind === "joined") {
      await joining.poll(ctx);
      await inbox.pull(ctx);
    } else if (kind === "spheres") await syncing.once(ctx);
    else if (kind === "state") {
      const known = (await ctx.store.list("sphere")).length;
      await syncing.account(ctx, syncing.tally());
      if ((await ctx.store.list("sphere")).length > known) await syncing.once(ctx);
      for (const own of await syncing.active(ctx)) await this.#askSoon(own);
    }
    else if ((await ctx.store.get("sphere", sph)) === undefined) return;
    else if (kind === "join") {
      await writer(ctx, sph, async () => {
        const rep = await replica(ctx, sph);
        if (statusOf(rep) !== "active" || rep.history === undefined) return;
        if ((await joining.fetchRequests(ctx, rep)).length > 0) await joining.autoAdmit(ctx, sph);
      });
    } else if (kind === "rotate") await this.#rotateSoon(sph, true);
  }

  /** What news in a sphere call for: keys, revocations, waiting texts, a new key. */
  async #after(touched: Iterable<string>): Promise<void> {
    const ctx = this.#ctx;
    for (const sph of touched) {
      if ((await ctx.store.get("sphere", sph)) === undefined) continue;
      const rep = await replica(ctx, sph);
      if (statusOf(rep) !== "active" && statusOf(rep) !== "entering") continue;
      const asks = rep.note["welcome"] !== undefined || rep.note["claims"] !== undefined;
      const busy = asks || (await keys.missing(ctx, rep)).length > 0 || lacking.due(ctx, rep);
      const waits = (await queue.rows(ctx.store, sph)).some((one) => one.state !== "failed");
      const revoked = (await memory.revoked(ctx.store)).size > 0;
      if (busy || statusOf(rep) === "entering" || revoked || !this.#subscribed.has(sph)) {
        await syncing.sphere(ctx, sph, syncing.tally());
        delivery.wake(ctx, sph);
      } else if (waits || (await this.#unkept(sph))) delivery.wake(ctx, sph);
      await this.#rotateSoon(sph, false);
      await this.#askSoon(sph);
    }
  }

  async #pass(sph: string, jws: string): Promise<void> {
    await (await part(import("./live_transfer.ts"))).take(this.#ctx, sph, jws);
  }

  /** Ask for missing keys of a sphere with live delivery, beside everything else (LIVE-014). */
  async #askSoon(sph: string): Promise<void> {
    const rep = await replica(this.#ctx, sph);
    if (rep.state?.delivery !== "live") return;
    const { askUnasked } = await part(import("./live_transfer.ts"));
    background(askUnasked(this.#ctx, rep));
  }

  /** Whether a key of this sphere is not in its slot yet. */
  async #unkept(sph: string): Promise<boolean> {
    const rows = await this.#ctx.store.list<EpochRow>("epochKey", { prefix: [sph], reverse: true, limit: 8 });
    return rows.some(([, { slot }]) => slot <= 0 && slot > -this.#ctx.mkv);
  }

  /** Marks that a round brought, not the connection: nobody has to speak of them (CLT-033). */
  async #rotateMarked(): Promise<void> {
    for (const sph of await syncing.active(this.#ctx)) await this.#rotateSoon(sph, false);
  }

  /** Make a new key in a marked sphere, unless somebody else does first (CLT-033). */
  async #rotateSoon(sph: string, byHint: boolean): Promise<void> {
    const ctx = this.#ctx;
    const rep = await replica(ctx, sph);
    const { state } = rep;
    if (state === undefined || !state.hard || state.mode !== "e2ee" || stopOf(rep) !== undefined) return;
    const role = state.members.get(ctx.id)?.role ?? "none";
    if (!(byHint ? ["owner", "admin", "member"] : ["owner", "admin"]).includes(role) || this.#rotating.has(sph)) return;
    this.#rotating.add(sph);
    // If it fails, the next speaker makes it.
    background(this.#rotate(sph).finally(() => void this.#rotating.delete(sph)));
  }

  async #rotate(sph: string): Promise<void> {
    const ctx = this.#ctx;
    const rest = (this.#rotated.get(sph) ?? -ROTATION_GAP) + ROTATION_GAP - ctx.clock();
    await ctx.pause(Math.max((JITTER * ctx.rng(1)[0]!) / 255, rest));
    if (this.#over) return;
    await writer(ctx, sph, async () => {
      const made = await commits.commit(ctx, await replica(ctx, sph), (held) => {
        const { state } = known(held);
        return state.hard && state.mode === "e2ee" ? [{ op: "epoch" }] : [];
      });
      if (made) this.#rotated.set(sph, ctx.clock());
    });
    delivery.wake(ctx, sph);
  }
}
