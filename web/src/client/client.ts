/**
 * The client: one profile, one account, one device, one relay. Implements what the page may ask for (`api.ts`).
 *
 * The account's side stands in `household.ts`; here every question about spheres is handed to the module that answers it.
 * Reading is local and works offline. As `src/cloister/client/client.py`. Spec: CLT-001 to CLT-035, WEB-003.
 */

import { guesses } from "../account/guesses.ts";
import { checkNew } from "../account/password.ts";
import { part } from "../errors.ts";
import type { Api, LinkInfo } from "./api.ts";
import { replica } from "./context.ts";
import { freshPassword } from "./fresh.ts";
import { Household, type Options } from "./household.ts";
import * as links from "./links.ts";
import * as memory from "./memory.ts";
import * as overview from "./overview.ts";
import { Profile } from "./profile.ts";
import type {
  Finding, InviteInfo, InviteLink, Message, OutboxItem, Pending, Person, Request, Row, Rows, SeenRow, SphereInfo,
  SyncReport,
} from "./records.ts";
import * as search from "./search.ts";
import * as speaking from "./speaking.ts";
import * as syncing from "./syncing.ts";
import * as timeline from "./timeline.ts";

export type { Options } from "./household.ts";

/** Open the profile that lies at a place. Throws DiskTrouble, FormatError, UsageError (it is another relay's). */
export async function openClient(options: Options): Promise<Client> {
  const profile = new Profile(options.place, options.rng);
  const client = new Client(profile, options);
  await client.begin();
  return client;
}

/** Loaded when somebody uses it: what is done in a sphere beyond reading and writing, invitations, keys given live. */
const inside = (): Promise<typeof import("./sphere.ts")> => part(import("./sphere.ts"));
const invited = (): Promise<typeof import("./invited.ts")> => part(import("./invited.ts"));
const handover = (): Promise<typeof import("./live_transfer.ts")> => part(import("./live_transfer.ts"));

export class Client extends Household implements Api {
  async guesses(login: string, password: string): Promise<{ readonly bits: number; readonly enough: boolean }> {
    const bits = Math.log2(await guesses(password.normalize("NFC").toLowerCase(), login));
    try {
      await checkNew(password, login);
      return { bits, enough: true };
    } catch {
      return { bits, enough: false };
    }
  }

  async makePassword(): Promise<string> {
    return freshPassword(this.options.rng);
  }

  endSession = async (n: string): Promise<void> => this.context.relay.endSession(n);
  setting = async (key: string): Promise<unknown> => memory.setting(this.context, key);
  setSetting = async (key: string, value: unknown): Promise<void> => memory.setSetting(this.context, key, value);
  draft = async (sph: string, thread: string): Promise<string> => speaking.draft(this.context, sph, thread);
  setDraft: Api["setDraft"] = async (sph, thread, text) => speaking.setDraft(this.context, sph, thread, text);

  // spheres -------------------------------------------------------------------------------------------------------------
  spheres = async (past?: boolean): Promise<readonly SphereInfo[]> => overview.spheres(this.context, past);
  sphere = async (sph: string): Promise<SphereInfo> => overview.sphere(this.context, sph);
  createSphere: Api["createSphere"] = async (title, options) => (await inside()).createSphere(this.context, title, options);
  setMeta: Api["setMeta"] = async (sph, changes) => (await inside()).setMeta(this.context, sph, changes);
  policy: Api["policy"] = async (sph) => overview.policy(this.context, sph);
  setMode: Api["setMode"] = async (sph, mode, title, seen) => (await inside()).setMode(this.context, sph, mode, title, seen);
  readPublic: Api["readPublic"] = async (link, limit) => {
    const { read } = await part(import("./public.ts"));
    const { transport, clock, rng } = this.options;
    return read(transport, clock, rng, link, limit);
  };
  publicLink: Api["publicLink"] = async (sph) => (await inside()).publicLink(this.context, sph);
  acceptMode: Api["acceptMode"] = async (sph, mode) => (await inside()).acceptMode(this.context, sph, mode);
  setPolicy: Api["setPolicy"] = async (sph, changes) => (await inside()).setPolicy(this.context, sph, changes);
  leave: Api["leave"] = async (sph) => (await inside()).leave(this.context, sph);
  forget: Api["forget"] = async (sph) => (await inside()).forget(this.context, sph);

  // reading -------------------------------------------------------------------------------------------------------------
  rows: Api["rows"] = async (sph, options): Promise<Rows> => timeline.rows(this.context, sph, options);
  row: Api["row"] = async (sph, key): Promise<Row | undefined> => timeline.row(this.context, sph, key);
  inbox: Api["inbox"] = async (limit) => overview.inboxList(this.context, limit);
  markRead: Api["markRead"] = async (sph, pos) => speaking.markRead(this.context, sph, pos);
  search: Api["search"] = async (words, limit): Promise<{ found: Message[]; searched: number; whole: boolean }> =>
    search.find(this.context, words, limit);

  // writing -------------------------------------------------------------------------------------------------------------
  send: Api["send"] = async (sph, text, options): Promise<OutboxItem> => speaking.send(this.context, sph, text, options);
  edit: Api["edit"] = async (sph, mid, text): Promise<OutboxItem> => speaking.edit(this.context, sph, mid, text);
  remove: Api["remove"] = async (sph, mid): Promise<OutboxItem> => speaking.remove(this.context, sph, mid);
  react: Api["react"] = async (sph, mid, emoji, on): Promise<OutboxItem> => speaking.react(this.context, sph, mid, emoji, on);
  outbox: Api["outbox"] = async () => speaking.outbox(this.context);
  retry: Api["retry"] = async (id, anyway) => speaking.retry(this.context, id, anyway);
  drop: Api["drop"] = async (id) => speaking.drop(this.context, id);

  // people --------------------------------------------------------------------------------------------------------------
  people: Api["people"] = async (sph, past): Promise<readonly Person[]> => overview.people(this.context, sph, past);
  setRole: Api["setRole"] = async (sph, id, role) => (await inside()).setRole(this.context, sph, id, role);
  removePerson: Api["removePerson"] = async (sph, id, ban) => (await inside()).removePerson(this.context, sph, id, ban);
  setNickname: Api["setNickname"] = async (sph, nickname) => (await inside()).setNickname(this.context, sph, nickname);
  setPetname: Api["setPetname"] = async (sph, id, petname) => (await inside()).setPetname(this.context, sph, id, petname);
  safetyNumber: Api["safetyNumber"] = async (sph, id) => (await inside()).safetyNumber(this.context, sph, id);
  confirm: Api["confirm"] = async (sph, id, confirmed) => (await inside()).confirm(this.context, sph, id, confirmed);
  invite: Api["invite"] = async (sph, options): Promise<InviteLink> => (await inside()).invite(this.context, sph, options);
  candidates: Api["candidates"] = async (sph) => (await invited()).candidates(this.context, sph);
  invitations: Api["invitations"] = async () => overview.invitations(this.context);
  acceptInvitation: Api["acceptInvitation"] = async (id) => (await inside()).acceptInvitation(this.context, id);
  declineInvitation: Api["declineInvitation"] = async (id) => (await invited()).decline(this.context, id);
  missing: Api["missing"] = async (sph) => (await inside()).missing(this.context, sph);
  askMessages: Api["askMessages"] = async (sph) => (await inside()).askMessages(this.context, sph);
  invites: Api["invites"] = async (sph): Promise<readonly InviteInfo[]> => (await inside()).invites(this.context, sph);
  link: Api["link"] = async (sph, jti) => (await inside()).link(this.context, sph, jti);
  withdraw: Api["withdraw"] = async (sph, jti) => (await inside()).withdraw(this.context, sph, jti);
  readLink = async (link: string): Promise<LinkInfo> => links.readLink(this.relay.origin, link);
  join: Api["join"] = async (link): Promise<Pending> => (await inside()).join(this.context, link);
  pending: Api["pending"] = async () => overview.pending(this.context);
  cancelJoin: Api["cancelJoin"] = async (hash) => (await inside()).cancelJoin(this.context, hash);
  requests: Api["requests"] = async (sph): Promise<readonly Request[]> => overview.requests(this.context, sph);
  admit: Api["admit"] = async (sph, hash, options): Promise<Person> => (await inside()).admit(this.context, sph, hash, options);
  decline: Api["decline"] = async (sph, hash) => (await inside()).decline(this.context, sph, hash);
  showCard: Api["showCard"] = async (sph, hash) => (await inside()).showCard(this.context, sph, hash);

  // security ------------------------------------------------------------------------------------------------------------
  rotate: Api["rotate"] = async (sph, why) => (await inside()).rotate(this.context, sph, why);
  keys: Api["keys"] = async (sph) => (await inside()).keys(this.context, sph);
  askKeys: Api["askKeys"] = async (sph) => (await inside()).askKeys(this.context, sph);
  olderKeys: Api["olderKeys"] = async (sph) => (await inside()).olderKeys(this.context, sph);
  askOlder: Api["askOlder"] = async (sph) => (await inside()).askOlder(this.context, sph);
  wishes: Api["wishes"] = async (sph) => overview.wishes(this.context, sph);
  shareOlder: Api["shareOlder"] = async (sph, id, ns) => (await inside()).shareOlder(this.context, sph, id, ns);
  declineOlder: Api["declineOlder"] = async (sph, id) => (await inside()).declineOlder(this.context, sph, id);
  askLive: Api["askLive"] = async (sph) => (await handover()).ask(this.context, await replica(this.context, sph));
  transfers: Api["transfers"] = async (sph) => (await handover()).waiting(this.context, await replica(this.context, sph));
  giveLive: Api["giveLive"] = async (sph, name) => (await handover()).give(this.context, await replica(this.context, sph), name);
  endLive: Api["endLive"] = async (_, name, why) => (await handover()).end(this.context, name, why);
  provides: Api["provides"] = async (sph) => (await handover()).provides(await replica(this.context, sph));
  setProvides: Api["setProvides"] = async (sph, on) =>
    (await handover()).setProvides(this.context, await replica(this.context, sph), on);
  setCustody: Api["setCustody"] = async (sph, custody) => (await inside()).setCustody(this.context, sph, custody);
  keepOnlyHere: Api["keepOnlyHere"] = async (sph, only) => (await inside()).keepOnlyHere(this.context, sph, only);
  saveKeys: Api["saveKeys"] = async (sph, unlock, passphrase) => {
    await this.door.requireOpener(unlock);
    return (await inside()).saveKeys(this.context, sph, passphrase);
  };
  checkSaved: Api["checkSaved"] = async (sph, text, code) => (await inside()).checkSaved(this.context, sph, text, code);
  readSaved: Api["readSaved"] = async (text) => (await inside()).readSaved(this.context, text);
  importKeys: Api["importKeys"] = async (text, code) => (await inside()).importKeys(this.context, text, code);
  log: Api["log"] = async (sph, start, limit) => (await inside()).log(this.context, sph, start, limit);
  headCode: Api["headCode"] = async (sph) => (await inside()).headCode(this.context, sph);
  checkpoint: Api["checkpoint"] = async (sph) => (await inside()).checkpoint(this.context, sph);
  seen: Api["seen"] = async (sph, mid): Promise<SeenRow> => (await inside()).seen(this.context, sph, mid);
  evidence: Api["evidence"] = async (sph) => (await inside()).evidence(this.context, sph);
  acknowledge: Api["acknowledge"] = async (sph, code) => (await inside()).acknowledge(this.context, sph, code);
  doctor: Api["doctor"] = async (sph): Promise<readonly Finding[]> =>
    (await part(import("./doctor.ts"))).examine(this.context, this.door.needVault(), sph);

  // the relay -----------------------------------------------------------------------------------------------------------
  sync = async (): Promise<SyncReport> => {
    const { ctx, closed } = this.door;
    const report = await syncing.once(ctx);
    // A relay that had refused this device takes it again.
    if (!report.offline && !report.faults.includes("E_AUTH")) this.listen(ctx, closed);
    return report;
  };

  admin: Api["admin"] = async (method, path, body) => {
    const { value } = await this.context.relay.raw(method, `/admin/${path}`, body);
    return value as Record<string, unknown>;
  };
}
