/**
 * The exact sign-flip (permutation) test of paired differences. In: differences. Out: the share of all 2^k ways to give them
 * signs whose sum is at least the one seen: how probable so high a sum is where either side of a pair might as well have been
 * the other (Fisher 1935, "The Design of Experiments", 21). It takes no normal distribution, and cannot be below 2^-k.
 *
 * All ways are counted, by halves: the sums of each half, in order, and for each of one half how many of the other suffice
 * (Pagano & Tritchler 1983 for counting rather than drawing). Memory and time grow with 2^(k/2).
 */

/** With more pairs the halves become too long to sort in passing. */
export const MOST_PAIRS = 40;

/** null for more than MOST_PAIRS. @throws RangeError without a difference, or with one that is no number */
export function signFlipP(differences: readonly number[]): number | null {
  if (differences.length === 0 || !differences.every(Number.isFinite)) throw new RangeError('no differences to flip');
  if (differences.length > MOST_PAIRS) return null;
  const middle = differences.length >>> 1;
  const [first, second] = [signedSums(differences.slice(0, middle)), signedSums(differences.slice(middle))];
  const seen = differences.reduce((sum, d) => sum + d, 0);
  // Sums that are equal in exact arithmetic must count as such, in whatever order they were added.
  const slack = 1e-12 * differences.reduce((sum, d) => sum + Math.abs(d), 0);
  let enough = 0;
  let place = second.length;
  for (const sum of first) {
    while (place > 0 && sum + (second[place - 1] as number) >= seen - slack) place--;
    enough += second.length - place;
  }
  return enough / (first.length * second.length);
}

/** The sums of all 2^k choices of signs, ascending. */
function signedSums(values: readonly number[]): Float64Array {
  const sums = new Float64Array(2 ** values.length);
  values.forEach((value, i) => {
    const half = 2 ** i;
    for (let j = 0; j < half; j++) {
      const sum = sums[j] as number;
      sums[j] = sum - value;
      sums[j + half] = sum + value;
    }
  });
  return sums.sort();
}
