/**
 * Every call to the relay, typed at both ends, and nothing believed.
 *
 * One method per endpoint of spec/08-relay.md. The types are made from the relay's own description of its API, and each
 * answer is checked against it before it is used: another form is a FormatError. What an answer claims is checked by
 * whoever uses it. Knows tokens, for one header; knows no key. As `src/cloister/client/relay.py`. Spec: CLT-025, CLT-027.
 */

import { FormatError, Locked, Unreachable, relayError } from "../errors.ts";
import { b64e } from "../protocol/encoding.ts";
import { type Api as Kinds, type Kind, isKind } from "./forms.ts";
import type { Answer, Socket, Transport } from "./transports/base.ts";

export type { Kind } from "./forms.ts";
/** The closed type of an answer or a request, by its name in `protocol/api.py`. */
export type Form<K extends keyof Kinds> = Kinds[K];

const V1 = "/v1";
const PAGE = 500;
const utf8 = new TextEncoder();

interface Extra {
  readonly token?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** Without a session, and without asking for one: signing in may be what waits for this answer. */
  readonly bare?: true;
}

/**
 * Typed calls over one transport.
 *
 * `token` is the session used where none is given; when the relay says it is over, `renew` gets another one and the call
 * is made once more. `reached`: whether the last request got an answer.
 */
export class Relay {
  token: string | undefined = undefined;
  renew: (() => Promise<string>) | undefined = undefined;
  reached = false;
  readonly transport: Transport;
  #over = false;
  #renewing: Promise<string> | undefined = undefined;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  get origin(): string {
    return this.transport.origin;
  }

  /** The profile is closed: no call goes out any more, whoever still holds this. */
  end(): void {
    this.#over = true;
    this.token = undefined;
    this.renew = undefined;
  }

  /** One request. Throws the RelayError the relay names, Unreachable, FormatError. */
  async call<K extends Kind>(kind: K, method: string, path: string, body?: unknown, extra: Extra = {}): Promise<Form<K>> {
    const { value, empty } = await this.raw(method, path, body, extra);
    const found = kind === "Done" && empty ? {} : value;
    if (!isKind(kind, found)) throw new FormatError(`the relay's answer to ${method} ${path.split("?")[0]!.slice(0, 40)}`);
    return found;
  }

  /** One request whose answer is anything JSON. */
  async raw(method: string, path: string, body?: unknown, extra: Extra = {}): Promise<{ value: unknown; empty: boolean }> {
    const data = body === undefined ? undefined : body instanceof Uint8Array ? body : utf8.encode(JSON.stringify(body));
    if (this.#over) throw new Locked("this profile is locked");
    const used = extra.bare === true ? undefined : (extra.token ?? this.token);
    const send = (token: string | undefined): Promise<Answer> =>
      this.transport.request({ method, path: V1 + path, body: data, token, headers: extra.headers });
    this.reached = false;
    let answer = await send(used);
    this.reached = true;
    const renews = extra.token === undefined && extra.bare !== true;
    if (answer.status === 401 && renews && this.renew !== undefined && !path.startsWith("/auth/")) {
      answer = await send(await this.#renewed(used));
      if (this.#over) throw new Locked("this profile is locked");
    }
    const parsed = json(answer);
    if (answer.status < 200 || answer.status >= 300) throw refusal(answer, parsed);
    return { value: parsed, empty: answer.body.length === 0 };
  }

  /** Another session than the one that is over; several calls that find it over get the same new one. */
  async #renewed(used: string | undefined): Promise<string> {
    if (this.token !== undefined && this.token !== used) return this.token;
    this.token = undefined;
    this.#renewing ??= this.renew!().finally(() => void (this.#renewing = undefined));
    this.token = await this.#renewing;
    return this.token;
  }

  /** The live connection, not yet authenticated. */
  socket(): Promise<Socket> {
    return this.transport.connect(`${V1}/socket`);
  }

  // the server and signing in -------------------------------------------------------------------------------------------
  server(): Promise<Form<"ServerInfo">> {
    return this.call("ServerInfo", "GET", "/server");
  }

  /** The raw answer: the caller refuses parameters nobody asked for (SRP-007). */
  async authStart(login: string, aPublic?: Uint8Array): Promise<Record<string, unknown>> {
    const { value } = await this.raw("POST", "/auth/start", aPublic === undefined ? { login } : { login, A: b64e(aPublic) });
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw new FormatError("the relay's answer");
    return value as Record<string, unknown>;
  }

  authFinish(sid: string, m1: Uint8Array): Promise<Form<"AuthProof">> {
    return this.call("AuthProof", "POST", "/auth/finish", { sid, M1: b64e(m1) });
  }

  authNonce(): Promise<Form<"Nonce">> {
    return this.call("Nonce", "GET", "/auth/nonce");
  }

  authDevice(jws: string): Promise<Form<"Token">> {
    return this.call("Token", "POST", "/auth/device", { jws });
  }

  /** `body`: the stored bytes of POST /accounts, sent again as they are after a crash (CLT-003). */
  signUp(body: Uint8Array): Promise<Form<"Token">> {
    return this.call("Token", "POST", "/accounts", body);
  }

  account(token?: string): Promise<Form<"Account">> {
    return this.call("Account", "GET", "/account", undefined, { token });
  }

  async endSession(n: string): Promise<void> {
    await this.call("Done", "DELETE", `/auth/session/${encodeURIComponent(n)}`);
  }

  roots(token: string): Promise<Form<"Roots">> {
    return this.call("Roots", "GET", "/account/roots", undefined, { token });
  }

  putRoots(body: Form<"NewRoots"> | Uint8Array, token: string): Promise<Form<"CredVer">> {
    return this.call("CredVer", "PUT", "/account/roots", body, { token });
  }

  async addDevice(cert: string, klog: string, token: string): Promise<void> {
    await this.raw("POST", "/devices", { cert, klog }, { token });
  }

  async revokeDevice(dv: string, klog: string, token: string): Promise<void> {
    await this.raw("POST", `/devices/${dv}/revoke`, { klog }, { token });
  }

  async klog(id: string, token?: string): Promise<string[]> {
    return (await this.call("KeyLogEntries", "GET", `/klog/${id}`, undefined, { token })).entries;
  }

  // PIN (VLT-009, VLT-010) ----------------------------------------------------------------------------------------------
  async vaultEnrol(body: Form<"VaultEnrol">): Promise<void> {
    await this.raw("POST", "/vault/enrol", body);
  }

  vaultNonce(dev: string): Promise<Form<"Nonce">> {
    return this.call("Nonce", "POST", "/vault/nonce", { dev });
  }

  vaultOpen(body: Form<"VaultOpen">): Promise<Form<"Pepper">> {
    return this.call("Pepper", "POST", "/vault/open", body);
  }

  // slots ---------------------------------------------------------------------------------------------------------------
  /** All slots after a name, page by page. */
  async slots(after = "", token?: string): Promise<Form<"Slot">[]> {
    const found: Form<"Slot">[] = [];
    for (let from = after; ; from = found.at(-1)!.name) {
      const page = await this.call("Slots", "GET", `/slots?after=${encodeURIComponent(from)}`, undefined, { token });
      found.push(...page.slots);
      const last = page.slots.at(-1);
      if (!page.more || last === undefined || last.name <= from) return found;
    }
  }

  slot(name: string, token?: string): Promise<Form<"Slot">> {
    return this.call("Slot", "GET", `/slots/${name}`, undefined, { token });
  }

  /** With `ctr` the slot `state`: written only over the one before (SLOT-016). */
  async putSlot(name: string, mkv: number, data: Uint8Array, ctr?: number): Promise<void> {
    const body = { mkv, bytes: b64e(data), ...(ctr === undefined ? {} : { ctr }) };
    await this.raw("PUT", `/slots/${name}`, body, ctr === undefined ? {} : { headers: { "if-match": String(ctr - 1) } });
  }

  // spheres -------------------------------------------------------------------------------------------------------------
  async spheres(): Promise<string[]> {
    return (await this.call("Spheres", "GET", "/spheres")).spheres;
  }

  /** Without `sph` creates. The bytes are the stored ones, the same at every try. */
  commit(sph: string | undefined, body: Uint8Array): Promise<Form<"Committed">> {
    return this.call("Committed", "POST", sph === undefined ? "/spheres" : `/spheres/${sph}/commits`, body);
  }

  async send(sph: string, jws: string): Promise<number> {
    return (await this.call("Position", "POST", `/spheres/${sph}/messages`, { jws })).pos;
  }

  log(sph: string, start: number, limit = PAGE): Promise<Form<"Log">> {
    return this.call("Log", "GET", `/spheres/${sph}/log?from=${start}&limit=${limit}`);
  }

  /** The log of a public sphere, without signing in (API-027). */
  publicLog(sph: string, start: number, limit = PAGE): Promise<Form<"Log">> {
    return this.call("Log", "GET", `/public/${sph}/log?from=${start}&limit=${limit}`, undefined, { bare: true });
  }

  async attachment(sph: string, digest: Uint8Array): Promise<string> {
    return (await this.call("Attachment", "GET", `/spheres/${sph}/attach/${b64e(digest)}`)).jws;
  }

  items(sph: string, after: number, limit = PAGE): Promise<Form<"Items">> {
    return this.call("Items", "GET", `/spheres/${sph}/items?after=${after}&limit=${limit}`);
  }

  async heads(sph: string, id?: string): Promise<Form<"Tail">[]> {
    return (await this.call("Heads", "GET", `/spheres/${sph}/heads${id === undefined ? "" : `?id=${id}`}`)).heads;
  }

  async links(sph: string, to: number): Promise<Form<"Link">[]> {
    return (await this.call("Links", "GET", `/spheres/${sph}/links?to=${to}`)).links;
  }

  seen(sph: string, pos: number): Promise<Form<"Seen">> {
    return this.call("Seen", "GET", `/spheres/${sph}/seen/${pos}`);
  }

  // joining -------------------------------------------------------------------------------------------------------------
  async inviteOpen(sph: string, jti: string): Promise<boolean> {
    return (await this.call("InviteOpen", "GET", `/invites/${sph}/${jti}`)).open;
  }

  async askToJoin(jws: string): Promise<string> {
    return (await this.call("JoinTaken", "POST", "/joins", { jws })).h;
  }

  joinState(h: string): Promise<Form<"JoinState">> {
    return this.call("JoinState", "GET", `/joins/${h}`);
  }

  async withdrawJoin(h: string): Promise<void> {
    await this.call("Done", "DELETE", `/joins/${h}`);
  }

  async joins(sph: string): Promise<Form<"JoinRow">[]> {
    return (await this.call("Joins", "GET", `/spheres/${sph}/joins`)).joins;
  }

  async declineJoin(sph: string, h: string): Promise<void> {
    await this.call("Done", "DELETE", `/spheres/${sph}/joins/${h}`);
  }

  async showCard(sph: string, h: string, card: Form<"Card">): Promise<void> {
    await this.call("Done", "POST", `/spheres/${sph}/joins/${h}/card`, card);
  }

  // inbox ---------------------------------------------------------------------------------------------------------------
  inbox(after: number, limit = PAGE): Promise<Form<"Inbox">> {
    return this.call("Inbox", "GET", `/inbox?after=${after}&limit=${limit}`);
  }

  async clearInbox(upto: number): Promise<void> {
    await this.call("Done", "DELETE", `/inbox?upto=${upto}`);
  }

  async post(to: readonly string[], jws: string): Promise<void> {
    await this.raw("POST", "/inbox", { to, jws });
  }

  /** Hand a live message to connected devices (LIVE-013); how many were there. */
  async passOn(to: readonly string[], jws: string): Promise<number> {
    return (await this.call("Reached", "POST", "/live", { to, jws })).reached;
  }
}

function json(answer: Answer): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(answer.body));
  } catch {
    return undefined;
  }
}

function refusal(answer: Answer, body: unknown): Error {
  if (typeof body !== "object" || body === null || !("code" in body)) {
    // Not a relay's words: something between us answered (a proxy, a captive portal).
    return new Unreachable(`status ${answer.status} without a code`);
  }
  return relayError(body as Record<string, unknown>);
}
