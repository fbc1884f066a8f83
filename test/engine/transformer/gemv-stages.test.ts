/**
 * A whole model whose projections are done by the kernels for few rows, against the portable one: base and adapters side by
 * side, in steps of one row to eight. Both compute in f32 and round keys and values to f16, so they are held to what
 * golden.test.ts holds either to: a quarter of that rounding's own effect on the logits.
 */
import { readFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import type { Model } from '../../../engine/transformer/model.ts';
import type { KernelChoice } from '../../../engine/transformer/variants.ts';
import { distance, generate, load, makeModel, type NamedAdapter } from './generate.ts';

const ALLOWED = 1 / 4;

interface Golden {
  geometry: { name: string };
  seed: number;
  adapters: NamedAdapter[];
  kvRounding: { max: number };
  watched: number[];
  sequences: { adapter: string | null; prompt: number[]; forced: number[]; after: { logits: number[] }[] }[];
}
const [golden] = JSON.parse(readFileSync(new URL('../../golden/llama-forward.json', import.meta.url), 'utf8')) as [
  Golden,
];

let portable: Model;
let few: Model;
beforeAll(async () => {
  const make = async (kernels: KernelChoice) => {
    const model = await makeModel({ model: golden.geometry.name, seed: golden.seed, maxNumBatchedTokens: 64, kernels });
    for (const adapter of golden.adapters) load(model, adapter);
    return model;
  };
  portable = await make('portable');
  few = await make(['gemv']);
  expect(few.variants).toEqual(['portable', 'gemv']);
});

/** The golden's sequences, each cut to so many of its prompt's tokens: prompts in chunks of 8 rows, then decodes side by side. */
const asked = (tokens: number) =>
  golden.sequences.map(({ adapter, prompt, forced }) => ({ adapter, prompt: prompt.slice(0, tokens), forced }));

test('steps of one row to eight, base and adapters side by side, as the portable model', async () => {
  expect(new Set(golden.sequences.map(({ adapter }) => adapter)).size).toBeGreaterThan(3);
  const [want, got] = [await generate(portable, asked(4)), await generate(few, asked(4), { maxNumBatchedTokens: 8 })];
  const apart = got.flatMap(({ logits }, i) => logits.map((one, at) => distance(one, want[i]?.logits[at] ?? [])));
  expect(apart.length).toBe(golden.sequences.reduce((sum, { forced }) => sum + forced.length + 1, 0));
  for (const one of apart) expect(one).toBeLessThan(ALLOWED * golden.kvRounding.max);
  // They are different kernels: to the last bit they would not agree.
  expect(Math.max(...apart)).toBeGreaterThan(0);
});

test('two whole prompts, the base and an adapter of rank 16, as the golden', async () => {
  const shortest = golden.sequences.filter(({ prompt }) => prompt.length <= 24);
  expect(shortest.map(({ adapter }) => adapter)).toEqual([null, 'rank-16']);
  const got = await generate(few, shortest, { maxNumBatchedTokens: 44 });
  const errors = shortest.flatMap(({ after }, i) =>
    after.flatMap(({ logits }, token) =>
      golden.watched.map((id, at) => Math.abs((got[i]?.logits[token]?.[id] as number) - (logits[at] as number))),
    ),
  );
  for (const error of errors) expect(error).toBeLessThan(ALLOWED * golden.kvRounding.max);
});
