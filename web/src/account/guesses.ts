/**
 * A small estimator: about how many guesses come before a password (PPF-003).
 *
 * A text is cut into pieces in the cheapest way: words everybody tries, the login, runs along the alphabet or the
 * keyboard, repetitions, digits that look like a date, and single characters at ten guesses each.
 */

const WORDS = (
  "password passwort welcome letmein iloveyou dragon monkey football baseball basketball princess sunshine superman " +
  "batman master shadow michael jordan charlie daniel jessica ashley nicole thomas robert hunter killer pepper ginger " +
  "summer winter spring autumn orange banana cookie computer internet samsung google facebook whatever freedom forever " +
  "trustno qwerty qwertz azerty asdfgh zxcvbn qazwsx admin administrator login secret access changeme default test " +
  "guest root user hello love money happy lucky flower purple silver golden diamond angel babygirl starwars pokemon " +
  "naruto mustang ferrari porsche mercedes harley yankees chelsea liverpool arsenal barcelona london berlin paris " +
  "america january february march april june july august september october november december monday tuesday wednesday " +
  "thursday friday saturday sunday alexander andrew anthony matthew joshua jennifer amanda maria pass word " +
  "cloister correct horse battery staple"
).split(" ");
const RUNS = ["abcdefghijklmnopqrstuvwxyz", "0123456789", "1234567890", "qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl",
  "yxcvbnm", "zxcvbnm", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik", "1q2w3e4r5t6y7u8i9o0p", "1a2b3c4d5e6f7g8h9i"];
const LEET: Record<string, string> = { "0": "o", "1": "l", "3": "e", "4": "a", "@": "a", "5": "s", "$": "s", "7": "t", "!": "i" };
const LONGEST = 64;

function isRun(piece: string): boolean {
  const back = [...piece].reverse().join("");
  return RUNS.some((run) => run.includes(piece) || run.includes(back));
}

/** Guesses for one piece as a whole; infinite when it is of no known kind. */
function known(piece: string, words: ReadonlyMap<string, number>): number {
  const plain = words.get(piece);
  if (plain !== undefined) return plain;
  const leet = words.get([...piece].map((one) => LEET[one] ?? one).join(""));
  if (leet !== undefined) return leet * 4;
  if (piece.length >= 3 && new Set(piece).size === 1) return 10 * piece.length;
  if (piece.length >= 3 && isRun(piece)) return 8 * piece.length;
  if (/^(19|20)[0-9]{2}$/.test(piece)) return 120;
  if (/^[0-3][0-9][01][0-9](19|20)?[0-9]{2}$/.test(piece)) return 36_500;
  return Infinity;
}

/** Estimated guesses of a lower-case text; longer input is judged by its beginning. */
export function guesses(text: string, login: string): number {
  const name = login.toLowerCase();
  const words = new Map(WORDS.map((word, rank) => [word, rank + 2]));
  if (name.length >= 3) words.set(name, 2);
  const least = [1];
  const shown = text.slice(0, LONGEST);
  for (let end = 1; end <= shown.length; end += 1) {
    let best = least[end - 1]! * 10;
    for (let from = 0; from < end - 1; from += 1) {
      best = Math.min(best, least[from]! * known(shown.slice(from, end), words));
    }
    for (let unit = 1; unit * 2 <= end; unit += 1) {
      // the same piece again costs next to nothing
      if (shown.slice(end - 2 * unit, end - unit) === shown.slice(end - unit, end)) best = Math.min(best, least[end - unit]! * 2);
    }
    least.push(best);
  }
  return least[shown.length]!;
}
