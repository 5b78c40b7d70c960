/**
 * What crosses between page and worker: calls of a closed list of methods, answers, faults, events.
 *
 * A call of any other name does not reach the client. A fault crosses as its code, detail and public data; what is no
 * fault of the catalogue crosses as its kind alone. Spec: WEB-003.
 */

import { CloisterError, UsageError, errorOf } from "../errors.ts";
import type { Api, Call, Fault, Method, Reply } from "./api.ts";

/**
 * Every method of the page, and whether asking it again changes nothing: such a question is repeated when the tab that was
 * to answer it is gone, an act is not.
 */
export const METHODS: Readonly<Record<Method, "question" | "act">> = {
  account: "question", openers: "question", serverInfo: "question", createAccount: "act", signIn: "act", cancel: "act",
  unlock: "act", unlockWithPin: "act", resume: "question", lock: "act", signOut: "act", changePassword: "act",
  setPin: "act", removePin: "act", guesses: "question", makePassword: "question", devices: "question", revokeDevice: "act",
  sessions: "question", endSession: "act", setting: "question", setSetting: "act", draft: "question", setDraft: "act",
  spheres: "question", sphere: "question", createSphere: "act", setMeta: "act", policy: "question", setPolicy: "act",
  setMode: "act", acceptMode: "act", leave: "act", forget: "act", rows: "question", row: "question", inbox: "question",
  markRead: "act", search: "question", send: "act", edit: "act", remove: "act", react: "act", outbox: "question",
  retry: "act", drop: "act", people: "question", setRole: "act", removePerson: "act", setNickname: "act",
  setPetname: "act", safetyNumber: "question", confirm: "act", invite: "act", candidates: "question",
  invitations: "question", acceptInvitation: "act", declineInvitation: "act", missing: "question", askMessages: "act",
  invites: "question", link: "question", withdraw: "act", readLink: "question", join: "act", pending: "question",
  cancelJoin: "act", requests: "question", admit: "act", decline: "act", showCard: "act", rotate: "act", keys: "question",
  askKeys: "act", olderKeys: "question", askOlder: "act", wishes: "question", shareOlder: "act", declineOlder: "act",
  askLive: "act", transfers: "question", giveLive: "act", endLive: "act", provides: "question", setProvides: "act",
  setCustody: "act", keepOnlyHere: "act", saveKeys: "act", checkSaved: "act", readSaved: "question", importKeys: "act",
  publicLink: "question", readPublic: "question", log: "question", headCode: "question", checkpoint: "act",
  seen: "question", evidence: "question", acknowledge: "act", doctor: "question", sync: "act", admin: "act",
};

export function isMethod(name: unknown): name is Method {
  return typeof name === "string" && Object.hasOwn(METHODS, name);
}

/** Ask the client, and put what comes of it into a reply. */
export async function answer(api: Api, { n, method, values }: Call): Promise<Reply> {
  try {
    if (!isMethod(method) || !Array.isArray(values)) throw new UsageError("no such method");
    const value = await (api[method] as (...given: unknown[]) => Promise<unknown>).apply(api, [...(values as unknown[])]);
    return { n, value };
  } catch (error) {
    return { n, fault: faultOf(error) };
  }
}

export function faultOf(error: unknown): Fault {
  if (error instanceof CloisterError) {
    const { code, detail, retryAfter, data } = error;
    return { code, detail, retryAfter, data };
  }
  return { code: "L_INTERNAL", detail: error instanceof Error ? error.name : "", retryAfter: undefined, data: {} };
}

export function thrownOf({ code, detail, retryAfter, data }: Fault): CloisterError {
  return errorOf(code, detail, retryAfter === undefined ? { data } : { retryAfter, data });
}
