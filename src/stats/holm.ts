/**
 * p-values made good for being several. In: p-values of tests that are judged together. Out: each as it may be compared
 * with the level of all of them: rejecting those below α is wrong anywhere with probability α at most, however the tests
 * depend on one another.
 *
 * Holm (1979), "A Simple Sequentially Rejective Multiple Test Procedure": the i-th smallest of m counts m - i + 1 times,
 * and none for less than the one before it.
 */
export function holm(pValues: readonly number[]): number[] {
  const order = pValues.map((_, i) => i).sort((a, b) => (pValues[a] as number) - (pValues[b] as number));
  const adjusted = new Array<number>(pValues.length);
  let largest = 0;
  order.forEach((place, i) => {
    largest = Math.max(largest, Math.min(1, (pValues.length - i) * (pValues[place] as number)));
    adjusted[place] = largest;
  });
  return adjusted;
}
