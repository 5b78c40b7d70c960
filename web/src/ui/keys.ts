/**
 * The keyboard map as a table, and the one function that finds what a key press means.
 *
 * Single letters act only outside fields and can be switched off. What a command does is registered elsewhere.
 */

export type CommandId =
  | "palette" | "search" | "next-unread" | "next" | "previous" | "open" | "comment" | "react" | "done" | "unread" | "attach"
  | "invite" | "send" | "edit-last" | "sphere-next" | "sphere-previous" | "lock" | "reveal" | "help" | "back";

export interface Shortcut {
  readonly id: CommandId;
  /** `mod` is Ctrl, on Apple's machines ⌘. */
  readonly key: string;
  readonly mod?: boolean;
  readonly shift?: boolean;
  readonly alt?: boolean;
  /** Works while a field has the focus. */
  readonly infield?: boolean;
}

export const SHORTCUTS: readonly Shortcut[] = [
  { id: "palette", key: "k", mod: true, infield: true },
  { id: "search", key: "/" },
  { id: "next-unread", key: "n" },
  { id: "next", key: "j" },
  { id: "previous", key: "k" },
  { id: "open", key: "Enter" },
  { id: "comment", key: "c" },
  { id: "react", key: "r" },
  { id: "done", key: "e" },
  { id: "unread", key: "u" },
  { id: "attach", key: "a" },
  { id: "invite", key: "i" },
  { id: "send", key: "Enter", mod: true, infield: true },
  { id: "edit-last", key: "ArrowUp", infield: true },
  { id: "sphere-next", key: "ArrowDown", alt: true, infield: true },
  { id: "sphere-previous", key: "ArrowUp", alt: true, infield: true },
  { id: "lock", key: "l", mod: true, shift: true, infield: true },
  { id: "reveal", key: " " },
  { id: "help", key: "?" },
  { id: "back", key: "Escape", infield: true },
];

export interface Press {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly shiftKey: boolean;
  readonly altKey: boolean;
}

/** Commands that a field, a list or a button handles itself when it has the focus; the page's dispatcher leaves them alone. */
const LOCAL: readonly CommandId[] = ["send", "edit-last", "open", "reveal"];

/** The command of a key press, if it has one. `single`: whether single letters are switched on. */
export function commandOf(press: Press, infield: boolean, single: boolean): CommandId | undefined {
  const mod = press.ctrlKey || press.metaKey;
  const key = press.key.length === 1 ? press.key.toLowerCase() : press.key;
  const found = SHORTCUTS.find(
    (one) =>
      one.key === key && !LOCAL.includes(one.id) && (one.mod ?? false) === mod && (one.alt ?? false) === press.altKey
      && (one.key === "?" || one.key === "/" || (one.shift ?? false) === press.shiftKey),
  );
  if (found === undefined || (infield && found.infield !== true)) return undefined;
  const letter = found.key.length === 1 && !mod && !press.altKey;
  return letter && !single ? undefined : found.id;
}

/** Whether the key press goes to a field. */
export function infield(target: EventTarget | null): boolean {
  if (typeof HTMLElement === "undefined" || !(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && !["button", "checkbox", "radio", "submit", "range"].includes(target.type);
}

/** How a shortcut is written: Ctrl Shift L, or ⌘ ⇧ L. */
export function written(one: Shortcut, apple: boolean): string {
  const names: Record<string, string> = { ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc", " ": "Space" };
  const parts = [one.mod && (apple ? "⌘" : "Ctrl"), one.alt && (apple ? "⌥" : "Alt"), one.shift && (apple ? "⇧" : "Shift")];
  return [...parts.filter(Boolean), names[one.key] ?? (one.key.length === 1 ? one.key.toUpperCase() : one.key)].join(" ");
}
