/**
 * A whole forward against test/golden/llama-forward.py, an independent implementation in float64: base and adapters of
 * ranks 4, 7, 16 and 64 in one batch, for a model with scaled rotation and a tied head and for one without either.
 *
 * The bound is stated in what the one rounding to f16 does (keys and values, as the cache stores them): the script measured
 * how far that rounding moves the logits, at most 0.010 and 0.023, rms 0.0011 and 0.0024, of logits that have a spread of 1.
 * The script rounds likewise, so what is left is f32 arithmetic, and the values so near the middle between two f16 numbers
 * that it takes them to the other one. A quarter of the rounding's own effect is allowed; cutting instead of rounding would
 * be 2.4 times it. Measured with SwiftShader: a thirteenth of the largest, a seventh of the rms.
 */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { amplitudeOf, f16Bits, OUTSIDE_LAYERS, TENSOR, tensorKey } from '../../../engine/lora/random-f16.ts';
import { SYNTHETIC_SCALE } from '../../../engine/lora/synthetic.ts';
import { type Geometry, geometryOf } from '../../../engine/models/geometry.ts';
import type { Model } from '../../../engine/transformer/model.ts';
import { generate, load, makeModel, type NamedAdapter } from './generate.ts';

const SHARE_ALLOWED = 1 / 4;

interface After {
  argmax: number;
  top5: [id: number, logit: number][];
  logSumExp: number;
  /** Of the ids in `watched`. */
  logits: number[];
}

interface Golden {
  geometry: Omit<Geometry, 'maxPosition' | 'eosIds' | 'standIn'>;
  seed: number;
  scale: number;
  adapters: NamedAdapter[];
  /** First two and last two of a tensor. */
  bits: Record<'q' | 'down' | 'embed' | 'rank7DownA' | 'rank7DownB', string[]>;
  kvRounding: { max: number; rms: number };
  watched: number[];
  sequences: { adapter: string | null; prompt: number[]; forced: number[]; after: After[] }[];
}

const goldens = JSON.parse(
  readFileSync(new URL('../../golden/llama-forward.json', import.meta.url), 'utf8'),
) as Golden[];

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

describe.each(goldens.map((golden) => ({ name: golden.geometry.name, golden })))('$name', ({ name, golden }) => {
  const g = golden.geometry;
  let model: Model;

  beforeAll(async () => {
    // One model in each mode: the tiles, and so the kernels, differ.
    const batchInvariant = !g.tied;
    model = await makeModel({ model: name, seed: golden.seed, maxNumBatchedTokens: 512, batchInvariant });
    for (const adapter of golden.adapters) load(model, adapter);
  });

  test('the golden was made for this geometry and these bits', () => {
    expect(geometryOf(name)).toMatchObject(g);
    expect(golden.scale).toBe(SYNTHETIC_SCALE);
    const { rank, seed } = golden.adapters.find((adapter) => adapter.name === 'rank-7') as NamedAdapter;
    const bits = (key: number, fanIn: number, gain: number, size: number) =>
      [0, 1, size - 2, size - 1].map((i) => f16Bits(i, key, amplitudeOf(fanIn, gain)).toString(16).padStart(4, '0'));
    const base = (layer: number, tensor: number) => tensorKey(golden.seed, layer, tensor);
    expect({
      q: bits(base(0, TENSOR.q), g.hidden, 2, g.heads * g.headDim * g.hidden),
      down: bits(base(g.layers - 1, TENSOR.down), g.intermediate, 1, g.hidden * g.intermediate),
      embed: bits(base(OUTSIDE_LAYERS, TENSOR.embed), g.hidden, 1, g.vocab * g.hidden),
      rank7DownA: bits(tensorKey(seed, 1, TENSOR.loraA + TENSOR.down), g.intermediate, 1, rank * g.intermediate),
      rank7DownB: bits(tensorKey(seed, 1, TENSOR.loraB + TENSOR.down), rank, 1, g.hidden * rank),
    }).toEqual(golden.bits);
  });

  test('one mixed batch, forced tokens as part of the prompts', async () => {
    const asked = golden.sequences.map(({ adapter, prompt, forced }) => ({ adapter, prompt: [...prompt, ...forced] }));
    expect(asked.reduce((rows, { prompt }) => rows + prompt.length, 0)).toBeLessThanOrEqual(512); // one step
    const got = await generate(model, asked);
    expectWithinRounding(
      golden,
      golden.sequences.map(({ after }, i) => ({ got: got[i]?.logits[0], after: after.at(-1) })),
    );
  });

  test('prompts in chunks that cut through sequences, forced tokens by decode steps', async () => {
    const got = await generate(model, golden.sequences, { maxNumBatchedTokens: 45 });
    const pairs = golden.sequences.flatMap(({ after }, i) =>
      after.map((expected, token) => ({ got: got[i]?.logits[token], after: expected })),
    );
    expectWithinRounding(golden, pairs);
  });
});
