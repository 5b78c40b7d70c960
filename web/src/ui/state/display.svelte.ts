/**
 * How things are shown on this browser: kept beside the page because it is needed before anything is unlocked.
 *
 * No secret and no name is in it. What follows the person to other devices is a synced setting (`Api.setSetting`).
 */

export interface Display {
  theme: "" | "light" | "dark";
  density: "" | "compact";
  /** Single letters act as commands. */
  letters: boolean;
  /** Enter sends; with it off, Ctrl Enter does. */
  enterSends: boolean;
  /** Cover everything when the window loses the focus. */
  shield: boolean;
  /** Cover each message until it is held. */
  hold: boolean;
  /** Minutes without use until it locks; 0: only by hand. */
  lockAfter: number;
}

const KEY = "cloister.display";
export const STANDARD: Display = {
  theme: "", density: "", letters: true, enterSends: true, shield: false, hold: false, lockAfter: 10,
};

export const display = $state<Display>({ ...STANDARD });

function stored(): Partial<Display> {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return typeof found === "object" && found !== null ? found : {};
  } catch {
    return {};
  }
}

/** Takes over what was chosen here before, where its type fits. */
export function remember(): void {
  const found: Record<string, unknown> = { ...stored() };
  const target = display as unknown as Record<string, unknown>;
  for (const [key, value] of Object.entries(STANDARD)) {
    if (typeof found[key] === typeof value) target[key] = found[key];
  }
  show();
}

export function choose<K extends keyof Display>(key: K, value: Display[K]): void {
  display[key] = value;
  try {
    localStorage.setItem(KEY, JSON.stringify(display));
  } catch {
    // A browser that keeps nothing still shows it this way until the page goes.
  }
  show();
}

function show(): void {
  const { dataset } = document.documentElement;
  dataset["theme"] = display.theme;
  dataset["density"] = display.density;
}
