/**
 * When rows that arrive are read out one by one, and when only their number is said. Pure. Spec: WEB-060.
 */

const MANY = 3;
const WITHIN = 5000;

/** More than three within five seconds are a number. `recent`: when the last ones came, in milliseconds. */
export function batched(
  recent: readonly number[],
  texts: readonly string[],
  at: number,
): { readonly say: readonly string[] | number; readonly recent: readonly number[] } {
  const next = [...recent.filter((one) => at - one < WITHIN), ...texts.map(() => at)];
  return { say: next.length > MANY ? texts.length : texts, recent: next };
}
