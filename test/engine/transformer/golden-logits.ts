/**
 * What test/golden/llama-forward.py says of whole forwards, and how near a model must come to it.
 *
 * The bound is stated in what the one rounding to f16 does (keys and values, as the cache stores them): the script measured
 * how far that rounding moves the logits, at most 0.010 and 0.023, rms 0.0011 and 0.0024, of logits that have a spread of 1.
 * The script rounds likewise, so what is left is f32 arithmetic, and the values so near the middle between two f16 numbers
 * that it takes them to the other one. A quarter of the rounding's own effect is allowed; cutting instead of rounding would
 * be 2.4 times it. Measured with SwiftShader: a thirteenth of the largest, a seventh of the rms.
 */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { Geometry } from '../../../engine/models/geometry.ts';
import type { WeightFormat } from '../../../engine/models/weight-formats.ts';
import type { Model } from '../../../engine/transformer/model.ts';
import { generate, type NamedAdapter } from './generate.ts';

const SHARE_ALLOWED = 1 / 4;

interface After {
  argmax: number;
  top5: [id: number, logit: number][];
  logSumExp: number;
  /** Of the ids in `watched`. */
  logits: number[];
}

export interface Golden {
  geometry: Omit<Geometry, 'maxPosition' | 'eosIds' | 'standIn'>;
  weights: WeightFormat;
  seed: number;
  scale: number;
  adapters: NamedAdapter[];
  /** First two and last two of a tensor. */
  bits: Record<'q' | 'down' | 'embed' | 'rank7DownA' | 'rank7DownB', string[]>;
  /** Two groups of 32 as the weights' format has them: the last layer's row 1. */
  down: number[];
  kvRounding: { max: number; rms: number };
  watched: number[];
  sequences: { adapter: string | null; prompt: number[]; forced: number[]; after: After[] }[];
}

const all = JSON.parse(readFileSync(new URL('../../golden/llama-forward.json', import.meta.url), 'utf8')) as Golden[];

export const goldens = all.filter(({ weights }) => weights === 'f16');
export const quantisedGoldens = all.filter(({ weights }) => weights !== 'f16');

/** Distances of all that the golden holds of these positions, and of the log of the sum of all exponentials. */
function errorsOf(golden: Golden, pairs: { got: Float32Array | undefined; after: After | undefined }[]) {
  const errors: number[] = [];
  let logSumExp = 0;
  for (const { got, after } of pairs) {
    if (!got || !after) throw new Error('a position has no logits');
    golden.watched.forEach((id, i) => {
      errors.push(Math.abs((got[id] as number) - (after.logits[i] as number)));
    });
    for (const [id, logit] of after.top5) errors.push(Math.abs((got[id] as number) - logit));
    const largest = got.reduce((a, b) => Math.max(a, b));
    const sum = got.reduce((total, logit) => total + Math.exp(logit - largest), 0);
    logSumExp = Math.max(logSumExp, Math.abs(largest + Math.log(sum) - after.logSumExp));
  }
  const max = errors.reduce((a, b) => Math.max(a, b));
  const rms = Math.sqrt(errors.reduce((sum, e) => sum + e * e, 0) / errors.length);
  return { max, rms, logSumExp };
}

function expectWithinRounding(golden: Golden, pairs: Parameters<typeof errorsOf>[1]): void {
  const { max, rms, logSumExp } = errorsOf(golden, pairs);
  const { kvRounding } = golden;
  expect(max).toBeLessThan(SHARE_ALLOWED * kvRounding.max);
  expect(rms).toBeLessThan(SHARE_ALLOWED * kvRounding.rms);
  // A mean over the vocabulary, so every logit counts and errors of either sign cancel: held to the rms.
  expect(logSumExp).toBeLessThan(SHARE_ALLOWED * kvRounding.rms);
  // The same best id, wherever the golden's lead over the second is more than both may have moved.
  for (const { got, after } of pairs) {
    const [first, second] = (after as After).top5 as [[number, number], [number, number]];
    if (first[1] - second[1] > 2 * max) expect(argmax(got as Float32Array)).toBe(first[0]);
  }
}

const argmax = (logits: Float32Array): number =>
  logits.reduce((best, logit, i) => (logit > (logits[best] as number) ? i : best), 0);

/** All sequences in one batch, forced tokens as part of the prompts. */
export async function expectGoldenPrefill(model: Model, { sequences, ...golden }: Golden): Promise<void> {
  const asked = sequences.map(({ adapter, prompt, forced }) => ({ adapter, prompt: [...prompt, ...forced] }));
  expect(asked.reduce((rows, { prompt }) => rows + prompt.length, 0)).toBeLessThanOrEqual(512); // one step
  const got = await generate(model, asked);
  expectWithinRounding(
    { sequences, ...golden },
    sequences.map(({ after }, i) => ({ got: got[i]?.logits[0], after: after.at(-1) })),
  );
}

/** Prompts in chunks that cut through sequences, forced tokens by decode steps. */
export async function expectGoldenDecode(model: Model, golden: Golden): Promise<void> {
  const got = await generate(model, golden.sequences, { maxNumBatchedTokens: 45 });
  const pairs = golden.sequences.flatMap(({ after }, i) =>
    after.map((expected, token) => ({ got: got[i]?.logits[token], after: expected })),
  );
  expectWithinRounding(golden, pairs);
}
