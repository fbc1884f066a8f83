/** The mean and the largest value of a token count that may be drawn or is read from a file; for limits and estimates. */
import { DATASET_NONCE_TOKENS } from './dataset-nonce.ts';
import type { Cell, Lengths } from './plan.ts';

export const mostTokens = (lengths: Lengths): number => (lengths.kind === 'fixed' ? lengths.tokens : lengths.max);

/** Clamping shifts a normal's mean a little; an estimate can do without. */
export function meanTokens(lengths: Lengths): number {
  if (lengths.kind === 'fixed') return lengths.tokens;
  return lengths.kind === 'uniform' ? (lengths.min + lengths.max) / 2 : lengths.mean;
}

/**
 * The most tokens that prompt and answer of one request can have. Where both come from a file, the longest prompt rarely has
 * the longest answer.
 */
export function mostTogether({ prompt, output }: Pick<Cell, 'prompt' | 'output'>): number {
  const { file, reuse } = prompt;
  if (file === undefined || output.lengths.kind !== 'file')
    return mostTokens(prompt.lengths) + mostTokens(output.lengths);
  const most = file.entries.reduce(
    (longest, entry) => Math.max(longest, entry.promptTokens + (entry.outputTokens ?? 0)),
    0,
  );
  return most + nonceTokens(file, reuse);
}

/** Tokens that are added to each prompt of a file. */
export const nonceTokens = (file: NonNullable<Cell['prompt']['file']>, reuse: boolean): number =>
  file.kind === 'dataset' && !reuse ? DATASET_NONCE_TOKENS : 0;
