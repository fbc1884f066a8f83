/**
 * The kinds of single values that scenario files hold (whole numbers, durations, names from a list, ..), as zod schemas,
 * and the list that makes an axis of any of them. `schema.ts` composes the format from these.
 */
import { z } from 'zod';
import {
  DURATION_EXPECTED,
  DURATION_PATTERN,
  RATE_EXPECTED,
  RATE_PATTERN,
  SIZE_EXPECTED,
  SIZE_PATTERN,
} from './units.ts';

export const whole = (min: number) => {
  const expected = min === 0 ? 'a whole number, 0 or more' : `a whole number of at least ${min}`;
  return z.int(expected).min(min, expected);
};
export const text = (expected = 'text') => z.string(expected).min(1, expected);
export const oneOf = <const T extends readonly [string, ...string[]]>(values: T) =>
  z.enum(values, `one of ${values.join(', ')}`);
export const positive = z.number('a number above 0').positive('a number above 0');
export const duration = z.string(DURATION_EXPECTED).regex(DURATION_PATTERN, DURATION_EXPECTED);
/** A duration of nothing makes no sense as a limit; a pattern rather than a refinement, so that editors check it too. */
export const limit = z
  .string(DURATION_EXPECTED)
  .regex(DURATION_PATTERN, DURATION_EXPECTED)
  .regex(/[1-9]/, 'a duration, above 0');
export const rate = z.string(RATE_EXPECTED).regex(RATE_PATTERN, RATE_EXPECTED).regex(/[1-9]/, 'a rate, above 0');
export const size = z.string(SIZE_EXPECTED).regex(SIZE_PATTERN, SIZE_EXPECTED);
export const rankKey = z.string().regex(/^[1-9]\d*$/, 'a rank (whole number) as key');

/** One value, or a list of values that is swept. */
export const axis = <T extends z.ZodType>(value: T, expected: string) =>
  z.union([value, z.array(value, `${expected}, or a list of such`).min(1, 'a list with at least one entry')], {
    error: `${expected}, or a list of such`,
  });
