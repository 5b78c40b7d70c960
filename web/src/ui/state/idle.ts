/**
 * Locks when nobody has used any tab for a while. Tabs tell each other through one number kept beside the page.
 */

const SEEN = "cloister.used";
const STEP = 10_000;

/** `minutes` 0: never by time. Returns what ends the watch. */
export function watch(minutes: () => number, now: () => number, lock: () => void): () => void {
  let told = 0;
  const used = (): void => {
    if (now() - told < 5) return;
    told = now();
    keep(told);
  };
  const look = (): void => {
    const after = minutes() * 60;
    if (after > 0 && now() - Math.max(told, kept()) >= after) lock();
  };
  const kinds = ["pointerdown", "keydown", "wheel", "touchstart"] as const;
  used();
  for (const kind of kinds) addEventListener(kind, used, { passive: true, capture: true });
  document.addEventListener("visibilitychange", look);
  const timer = setInterval(look, STEP);
  return () => {
    for (const kind of kinds) removeEventListener(kind, used, { capture: true });
    document.removeEventListener("visibilitychange", look);
    clearInterval(timer);
  };
}

/** Whether no tab was used for as long as locks: asked before a session that was left open is taken up again. */
export function stale(minutes: number, now: number): boolean {
  const last = kept();
  return minutes > 0 && last > 0 && now - last >= minutes * 60;
}

function keep(at: number): void {
  try {
    localStorage.setItem(SEEN, String(at));
  } catch {
    // Without it each tab counts for itself.
  }
}

function kept(): number {
  try {
    return Number(localStorage.getItem(SEEN) ?? 0) || 0;
  } catch {
    return 0;
  }
}
