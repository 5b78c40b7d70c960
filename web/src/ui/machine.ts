/**
 * What this browser is, in words a person would use for it, and what it can do.
 */

export interface Agent { readonly userAgent: string }

/** What a browser calls itself, the particular before what it also claims to be. */
const BROWSERS: readonly (readonly [string, string])[] = [
  ["Edg/", "Edge"], ["OPR/", "Opera"], ["Firefox/", "Firefox"], ["Chrome/", "Chrome"], ["Safari/", "Safari"],
];
const SYSTEMS: typeof BROWSERS = [
  ["iPhone", "iPhone"], ["iPad", "iPad"], ["Android", "Android"], ["Windows", "Windows"], ["Mac OS", "Mac"], ["Linux", "Linux"],
];

/** "Firefox on Linux": the name a new device gets unless another is typed. */
export function deviceName({ userAgent }: Agent): string {
  const of = (table: typeof BROWSERS): string => table.find(([mark]) => userAgent.includes(mark))?.[1] ?? "";
  return [of(BROWSERS) || "Browser", of(SYSTEMS)].filter(Boolean).join(" on ");
}

export function apple({ userAgent }: Agent): boolean {
  return /Mac OS|iPhone|iPad/.test(userAgent);
}

/** Whether this address lets the browser keep keys at all (text 25). */
export function canKeepKeys(scope: { readonly isSecureContext: boolean }): boolean {
  return scope.isSecureContext;
}
