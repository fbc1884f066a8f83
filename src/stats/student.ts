/**
 * Student's t: one tail of it, and the value that a tail begins at. In: a value or a probability, degrees of freedom (which
 * need not be whole). Out: the other one.
 */
import { studentTwoSided } from './distributions.ts';

/** P(T >= t), accurate in the far tail too. */
export function studentUpper(t: number, freedom: number): number {
  const both = studentTwoSided(t, freedom);
  return t >= 0 ? both / 2 : 1 - both / 2;
}

const cached = new Map<string, number>();

/**
 * The t with P(T >= t) = `tail`, 0 < tail <= 0.5: by bisection, since the tail falls from any t to the next. The same few are asked
 * for again and again, so they are kept. @throws RangeError for another tail, or no degree of freedom
 */
export function studentQuantile(tail: number, freedom: number): number {
  if (!(tail > 0 && tail <= 0.5 && freedom > 0)) throw new RangeError(`no t of tail ${tail}, freedom ${freedom}`);
  const key = `${tail} ${freedom}`;
  const known = cached.get(key);
  if (known !== undefined) return known;
  let high = 1;
  while (studentUpper(high, freedom) > tail) high *= 2;
  let low = 0;
  for (let width = high; width > 1e-15 * high; width /= 2) {
    const middle = (low + high) / 2;
    if (studentUpper(middle, freedom) > tail) low = middle;
    else high = middle;
  }
  const t = (low + high) / 2;
  cached.set(key, t);
  return t;
}
