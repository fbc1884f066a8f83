/**
 * The one comparison of kernel tests: numbers of the device against float64 numbers of an oracle, each with its own bound.
 * Written so that NaN on either side fails, and so that the first difference is told with its place.
 */

/** Unit roundoff of f32: half the distance from 1 to the next number. */
export const U = 2 ** -24;

/** An oracle's numbers, and how far from each a right f32 computation may lie. */
export interface Expected {
  values: Float64Array;
  bounds: Float64Array;
}

export const expected = (length: number): Expected => ({
  values: new Float64Array(length),
  bounds: new Float64Array(length),
});

/** Numbers `from` to `to` of them. */
export const partOf = ({ values, bounds }: Expected, from: number, to: number): Expected => ({
  values: values.subarray(from, to),
  bounds: bounds.subarray(from, to),
});

/** @throws Error naming the place, unless every number lies within its bound and the lengths agree */
export function expectClose(
  got: ArrayLike<number>,
  want: Expected,
  what: string,
  place = (i: number): string => `[${i}]`,
): void {
  if (got.length !== want.values.length)
    throw new Error(`${what}: ${got.length} numbers where ${want.values.length} are right`);
  let wrong = 0;
  let first = -1;
  for (let i = 0; i < got.length; i++) {
    const within = Math.abs((got[i] as number) - (want.values[i] as number)) <= (want.bounds[i] as number);
    if (within) continue;
    wrong++;
    if (first < 0) first = i;
  }
  if (wrong === 0) return;
  const [value, bound] = [want.values[first], want.bounds[first]];
  throw new Error(
    `${what}: ${wrong} of ${got.length} wrong, first at ${place(first)}: ${got[first]} where ${value} ± ${bound} is right`,
  );
}
