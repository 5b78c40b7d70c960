/**
 * A mark beside the page that an account was kept here, to tell a browser that cleared its store from one that is new.
 *
 * It holds no name.
 */

const KEPT = "cloister.kept";

/** It is being deleted on purpose. */
let leaving = false;

/** Whether the store is gone although this browser kept one. `status` is what the worker found. */
export function evicted(status: string | undefined): boolean {
  if (leaving && status !== "open") return false;
  leaving = false;
  try {
    if (status === "new") return marked();
    if (status !== undefined) localStorage.setItem(KEPT, "1");
  } catch {
    // A browser that keeps nothing has nothing to clear.
  }
  return false;
}

/** Whether an account was kept here. Throws where the browser lets nothing be looked at. */
export function marked(): boolean {
  return localStorage.getItem(KEPT) !== null;
}

/** The person deleted it, or begins anew. */
export function forgetMark(): void {
  leaving = true;
  try {
    localStorage.removeItem(KEPT);
  } catch {
    // As above.
  }
}
