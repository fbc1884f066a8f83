/**
 * A model and adapters from files, whole forwards against transformers and peft (test/golden/peft-adapters.py): every kind
 * and format, alone and in one mixed batch, and folded into the weights.
 *
 * The model's weights are exact in f16, so three things are rounded: an adapter's values (A, B, g - 1, bias) and the keys
 * and values of the cache, to f16; and merged weights, to f16. The script measured what exactly these roundings do to the
 * logits of each adapter, and the engine may be off by twice the largest and one and a half times the rms of that. An
 * adapter moves a logit by 20 times its rounding or more (median), so leaving anything out fails. All logits of all
 * positions count. With BENCH_GOLDEN_REPORT=1 the errors are printed.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { ADAPTER_KINDS } from '../../../engine/adapter-files/adapter.ts';
import type { Model } from '../../../engine/transformer/model.ts';
import {
  adapterFolder,
  type GoldenAdapter,
  type Rounding,
  readGolden,
  TINY_LLAMA,
  TINY_LLAMA_SHARDED,
} from '../../support/golden-adapters.ts';
import { type Asked, distance, generate, makeModel } from './generate.ts';
import { loadFile } from './load-file.ts';

const golden = readGolden();
const starts = golden.prompts.map((_, i) => golden.prompts.slice(0, i).reduce((sum, { length }) => sum + length, 0));

/** Every prompt, teacher-forced after its first `given` ids: logits of all positions from there on. */
const asksFor = (adapter: string | null, given: number): Asked[] =>
  golden.prompts.map((ids) => ({ adapter, prompt: ids.slice(0, given), forced: ids.slice(given) }));

/** The golden's logits for what `asksFor` gives. */
const expectedFrom = (logits: Float32Array[], given: number): Float32Array[] =>
  golden.prompts.flatMap((ids, i) => {
    const start = starts[i] as number;
    return logits.slice(start + given - 1, start + ids.length);
  });

function errors(got: Float32Array[], expected: Float32Array[]): Rounding {
  expect(got).toHaveLength(expected.length);
  let max = 0;
  let squares = 0;
  let count = 0;
  got.forEach((row, i) => {
    max = Math.max(max, distance(row, expected[i] as Float32Array));
    row.forEach((value, id) => {
      squares += (value - ((expected[i] as Float32Array)[id] as number)) ** 2;
      count++;
    });
  });
  return { max, rms: Math.sqrt(squares / count) };
}

function expectWithinRounding(name: string, got: Float32Array[], expected: Float32Array[], rounding: Rounding): void {
  const { max, rms } = errors(got, expected);
  if (process.env['BENCH_GOLDEN_REPORT']) {
    const share = (value: number, of: number) => `${value.toExponential(2)} (${(value / of).toFixed(2)} of rounding)`;
    console.log(`${name.padEnd(24)} max ${share(max, rounding.max)}  rms ${share(rms, rounding.rms)}`);
  }
  expect(max).toBeLessThan(2 * rounding.max);
  expect(rms).toBeLessThan(1.5 * rounding.rms);
}

describe('the base model', () => {
  test('bf16 in one file, and the same values in f32 in several: the same bits out', async () => {
    const results: Float32Array[][] = [];
    for (const model of [TINY_LLAMA, TINY_LLAMA_SHARDED]) {
      const made = await makeModel({ model, maxGpuLoras: 0 });
      results.push((await generate(made, asksFor(null, 1))).flatMap(({ logits }) => logits));
    }
    const [one, sharded] = results as [Float32Array[], Float32Array[]];
    expectWithinRounding('base', one, expectedFrom(golden.base.logits, 1), golden.base.rounding);
    expect(one.every((row, i) => distance(row, sharded[i] as Float32Array) === 0)).toBe(true);
  });
});

describe('adapters from files', () => {
  let model: Model;
  const everything = [{ name: null, ...golden.base }, ...golden.adapters];

  beforeAll(async () => {
    model = await makeModel({
      model: TINY_LLAMA,
      maxGpuLoras: golden.adapters.length,
      maxNumSeqs: 64,
      maxLoraRank: 16,
    });
    for (const { name } of golden.adapters) await loadFile(model, name, adapterFolder(name));
  });

  test('every adapter moves its logits by far more than the bound', () => {
    for (const { medianChange, rounding } of golden.adapters) expect(medianChange).toBeGreaterThan(20 * rounding.max);
  });

  // Prompts of one id, so that every position is a decode step of its own.
  test.each(golden.adapters.map((adapter) => ({ name: adapter.name, adapter })))(
    '$name alone',
    async ({ name, adapter }) => {
      const got = (await generate(model, asksFor(name, 1))).flatMap(({ logits }) => logits);
      expectWithinRounding(name, got, expectedFrom(adapter.logits, 1), adapter.rounding);
    },
  );

  test('all of them and the base in one batch, prompts and single tokens in the same steps', async () => {
    const given = 5;
    // 40 rows a step: prompts are cut in the middle, and early sequences decode while later ones are still read.
    const asked = everything.flatMap(({ name }) => asksFor(name, given));
    const got = await generate(model, asked, { maxNumBatchedTokens: 40 });
    everything.forEach(({ name, logits, rounding }, i) => {
      const own = got.slice(i * golden.prompts.length, (i + 1) * golden.prompts.length).flatMap((one) => one.logits);
      expectWithinRounding(`${name ?? 'base'}, mixed`, own, expectedFrom(logits, given), rounding);
    });
  });
});

describe('merged', () => {
  const mergeable = golden.adapters.filter(
    (adapter): adapter is GoldenAdapter & { merged: Rounding } => adapter.merged !== null,
  );

  test('of every kind', () => {
    expect(new Set(mergeable.map(({ kind }) => kind))).toEqual(new Set(ADAPTER_KINDS));
  });

  test.each(mergeable.map((adapter) => ({ name: adapter.name, adapter })))('$name', async ({ name, adapter }) => {
    const merge = { name, path: adapterFolder(name) };
    const model = await makeModel({ model: TINY_LLAMA, maxGpuLoras: 0, merge });
    const got = (await generate(model, asksFor(null, 1))).flatMap(({ logits }) => logits);
    expectWithinRounding(`${name}, merged`, got, expectedFrom(adapter.logits, 1), adapter.merged);
  });
});
