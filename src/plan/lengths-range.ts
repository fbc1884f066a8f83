/** The mean and the largest value of a token count that may be drawn; for limits and estimates. */
import type { Lengths } from '../scenario/scenario.ts';

export const mostTokens = (lengths: Lengths): number => (lengths.kind === 'fixed' ? lengths.tokens : lengths.max);

/** Clamping shifts a normal's mean a little; an estimate can do without. */
export function meanTokens(lengths: Lengths): number {
  if (lengths.kind === 'fixed') return lengths.tokens;
  return lengths.kind === 'normal' ? lengths.mean : (lengths.min + lengths.max) / 2;
}
