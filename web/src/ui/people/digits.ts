/**
 * Digits that two people compare: sixty in four rows of three groups. Pure. Spec: DIG-002.
 */

const GROUP = 5;
const GROUPS = 3;

/** "41982 77310 …" or "4198277310…" → rows of groups. */
export function rows(digits: string): string[][] {
  const groups = digits.replace(/\D/g, "").match(new RegExp(`.{1,${GROUP}}`, "g")) ?? [];
  const found: string[][] = [];
  for (let at = 0; at < groups.length; at += GROUPS) found.push(groups.slice(at, at + GROUPS));
  return found;
}

/** What a scanned code holds, if it is the digits of this comparison. */
export function same(scanned: string, digits: string): boolean {
  const clean = (text: string): string => text.replace(/\D/g, "");
  return clean(digits).length > 0 && clean(scanned) === clean(digits);
}
