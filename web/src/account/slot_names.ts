/** Names of slots: `ik`, `state`, `e.<sph>.<n>`, `mk.<n>`. Spec: SLOT-006, SLOT-007. */

import { FormatError } from "../errors.ts";
import { raw } from "../protocol/ids.ts";

const FORM = /^(?:(ik|state)|(e)\.(sp-[A-Za-z0-9_-]{43})\.([1-9][0-9]{0,9})|(mk)\.([1-9][0-9]{0,9}))$/;

export interface SlotName {
  kind: "ik" | "state" | "e" | "mk";
  sph: string;
  n: number;
  createOnly: boolean;
  passwordOnly: boolean;
}

/** Throws FormatError. */
export function parse(name: string): SlotName {
  const found = FORM.exec(name);
  if (found === null) throw new FormatError("SLOT-006");
  const kind = (found[1] ?? found[2] ?? found[5]) as SlotName["kind"];
  const sph = found[3] ?? "";
  if (sph !== "") raw(sph);
  const n = Number(found[4] ?? found[6] ?? 0);
  if (n > 0xffff_ffff) throw new FormatError("SLOT-006");
  return { kind, sph, n, createOnly: kind === "e" || kind === "mk", passwordOnly: kind === "ik" || kind === "mk" };
}

function checked(name: string): string {
  parse(name);
  return name;
}

export const epoch = (sph: string, n: number): string => checked(`e.${sph}.${n}`);
export const master = (mkv: number): string => checked(`mk.${mkv}`);
