/**
 * The administrator's answers as the relay gives them, read from plain objects with nothing taken on trust.
 */

import { api } from "../../state/app.svelte.ts";

export interface Check { readonly name: string; readonly ok: boolean; readonly says: string }
export interface Health {
  readonly now: number;
  readonly version: string;
  readonly checks: readonly Check[];
  readonly counts: Readonly<Record<string, number>>;
}
export interface User {
  readonly id: string;
  readonly login: string;
  readonly admin: boolean;
  readonly suspended: boolean;
  readonly created: number;
  readonly devices: number;
}
export interface Signup { readonly signup: "open" | "invite" | "closed"; readonly by_sphere: boolean }
export interface Ticket { readonly n: string; readonly uses: number; readonly exp: number; readonly code?: string }

/** A path segment made of what somebody else chose. */
const part = encodeURIComponent;

export async function health(): Promise<Health> {
  return (await api().admin("GET", "health")) as unknown as Health;
}

export async function users(): Promise<readonly User[]> {
  return ((await api().admin("GET", "users")) as { users: readonly User[] }).users;
}

export async function suspend(id: string, suspended: boolean): Promise<void> {
  await api().admin("PUT", `users/${part(id)}`, { suspended });
}

export async function signup(): Promise<Signup> {
  return (await api().admin("GET", "signup")) as unknown as Signup;
}

export async function setSignup(next: Signup): Promise<Signup> {
  return (await api().admin("PUT", "signup", { ...next })) as unknown as Signup;
}

export async function tickets(): Promise<readonly Ticket[]> {
  return ((await api().admin("GET", "tickets")) as { tickets: readonly Ticket[] }).tickets;
}

export async function newTicket(uses: number, seconds: number): Promise<Ticket> {
  return (await api().admin("POST", "tickets", { uses, seconds })) as unknown as Ticket;
}

export async function endTicket(n: string): Promise<void> {
  await api().admin("DELETE", `tickets/${part(n)}`);
}
