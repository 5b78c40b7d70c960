/** What is used of the estimator. */

declare module "zxcvbn" {
  const estimate: (text: string, known: string[]) => { guesses: number };
  export default estimate;
}

declare module "zxcvbn/lib/scoring.js" {
  const scoring: { REFERENCE_YEAR: number };
  export default scoring;
}
