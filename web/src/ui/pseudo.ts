/**
 * A language that does not exist: accented letters and two fifths more of them, to see what a longer one would break.
 *
 * Only tests and the gallery load it.
 */

import type { Locale } from "./words.ts";

const ACCENTS: Readonly<Record<string, string>> = {
  a: "á", e: "é", i: "í", o: "ö", u: "ü", n: "ñ", c: "ç", s: "š",
  A: "Á", E: "É", I: "Í", O: "Ö", U: "Ü", N: "Ñ",
};

export const PSEUDO: Locale = {
  many: (n) => (n === 1 ? "one" : "other"),
  change: (text) => {
    const letters = [...text].map((one) => ACCENTS[one] ?? one).join("");
    const words = text.trim();
    return words === "" ? letters : `${letters}${"·".repeat(Math.ceil(words.length * 0.4))}`;
  },
};
