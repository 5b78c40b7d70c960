/**
 * About how many guesses come before a password (PPF-003): the estimator of the Python side, loaded when a password is
 * chosen and never else, because its word lists are larger than the rest of the program.
 *
 * Made equal on both sides: characters beyond 16 bits count as one, and the year that dates are near to does not move.
 */

import { part } from "../errors.ts";

/** The estimator is quadratic; longer input is judged by its beginning. */
const LONGEST = 64;
/** The year both estimators count dates from. */
const YEAR = 2017;
/** Stand-ins for characters beyond 16 bits. */
const PRIVATE = { first: 0xe000, count: 6400 };

interface Estimator {
  default: (text: string, known: string[]) => { guesses: number };
}

async function load(): Promise<Estimator["default"]> {
  const [estimator, { default: scoring }] = await part(Promise.all([import("zxcvbn"), import("zxcvbn/lib/scoring.js")]));
  scoring.REFERENCE_YEAR = YEAR;
  return estimator.default;
}

let loaded: Promise<Estimator["default"]> | undefined;

function narrow(character: string): string {
  if (character.length === 1) return character;
  return String.fromCharCode(PRIVATE.first + (character.codePointAt(0)! % PRIVATE.count));
}

/** Estimated guesses of a lower-case text. Throws Unreachable when the word lists cannot be loaded. */
export async function guesses(text: string, login: string): Promise<number> {
  loaded ??= load();
  try {
    const shown = [...text].slice(0, LONGEST).map(narrow).join("");
    return (await loaded)(shown, [login, "cloister"]).guesses;
  } catch (error) {
    loaded = undefined;
    throw error;
  }
}
