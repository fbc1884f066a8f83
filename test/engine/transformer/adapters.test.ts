/**
 * Adapters at the level of a whole model: what makes their output differ, and what must not. The model is batch-invariant,
 * so "the same" means the same bits of every logit.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Model } from '../../../engine/transformer/model.ts';
import { type Asked, distance, type Generated, generate, load, makeModel, someIds } from './generate.ts';

const OPTIONS = { batchInvariant: true, maxGpuLoras: 4 };
const prompt = (model: Model): number[] => someIds(model, 1, 19);

async function outputOf(model: Model, adapter: string | null, rest: Partial<Asked> = {}): Promise<Generated> {
  const [result] = await generate(model, [{ prompt: prompt(model), adapter, maxTokens: 5, ...rest }]);
  return result as Generated;
}

function expectSame(got: Generated, expected: Generated): void {
  expect(got.ids).toEqual(expected.ids);
  expect(got.logits.map((logits, i) => distance(logits, expected.logits[i] as Float32Array))).toEqual(
    expected.ids.map(() => 0),
  );
}

let model: Model;
beforeAll(async () => {
  model = await makeModel(OPTIONS);
});

describe('what an adapter is', () => {
  beforeAll(() => {
    load(model, { name: 'one', rank: 16, seed: 1 });
    load(model, { name: 'two', rank: 16, seed: 2 });
    load(model, { name: 'one again', rank: 16, seed: 1 });
    load(model, { name: 'one, smaller', rank: 8, seed: 1 });
  });

  test('seeds and ranks give different text, and each differs from the base', async () => {
    const texts = new Set<string>();
    for (const name of [null, 'one', 'two', 'one, smaller']) texts.add((await outputOf(model, name)).ids.join());
    expect(texts.size).toBe(4);
  });

  test('the slot an adapter lies in does not show', async () => {
    expectSame(await outputOf(model, 'one again'), await outputOf(model, 'one'));
  });

  test('an adapter moves logits by about as much as they spread, and not by more', async () => {
    const [base] = (await outputOf(model, null, { maxTokens: 1 })).logits as [Float32Array];
    const [one] = (await outputOf(model, 'one', { maxTokens: 1 })).logits as [Float32Array];
    const moved = Math.sqrt(base.reduce((sum, logit, i) => sum + (logit - (one[i] as number)) ** 2, 0) / base.length);
    expect(moved).toBeGreaterThan(0.2);
    expect(moved).toBeLessThan(1.5);
  });
});

describe('loading and unloading', () => {
  let fresh: Model;
  beforeAll(async () => {
    for (const { name } of model.slots.list()) await model.slots.remove(name);
    fresh = await makeModel(OPTIONS);
  });

  test('base output is the same with and without adapters, and with no slots at all', async () => {
    const before = await outputOf(fresh, null);
    for (const [i, rank] of [64, 16, 7].entries()) load(model, { name: `rank ${rank}`, rank, seed: 10 + i });
    expectSame(await outputOf(model, null), before);
    expectSame(await outputOf(await makeModel({ ...OPTIONS, maxGpuLoras: 0 }), null), before);
  });

  test('pages that a large adapter left hold a small one of an odd rank without a trace', async () => {
    const kept = await outputOf(model, 'rank 16');
    const left = model.slots.get('rank 64')?.pages as readonly number[];
    expect(await model.slots.remove('rank 64')).toBe(true);
    load(model, { name: 'rank 3', rank: 3, seed: 77 });
    load(model, { name: 'rank 13', rank: 13, seed: 78 });
    for (const name of ['rank 3', 'rank 13']) {
      for (const page of model.slots.get(name)?.pages ?? []) expect(left).toContain(page);
    }
    load(fresh, { name: 'rank 13', rank: 13, seed: 78 });
    load(fresh, { name: 'rank 3', rank: 3, seed: 77 });
    expectSame(await outputOf(model, 'rank 3'), await outputOf(fresh, 'rank 3'));
    expectSame(await outputOf(model, 'rank 13'), await outputOf(fresh, 'rank 13'));
    expectSame(await outputOf(model, 'rank 16'), kept);
  });

  test('an adapter in pages that do not lie together equals one in pages that do', async () => {
    for (const name of ['rank 16', 'rank 3']) await model.slots.remove(name);
    load(model, { name: 'rank 61', rank: 61, seed: 79 });
    load(fresh, { name: 'rank 61', rank: 61, seed: 79 });
    const gaps = (m: Model) =>
      new Set(
        m.slots
          .get('rank 61')
          ?.pages.slice(1)
          .map((page, i, pages) => page - (pages[i - 1] ?? page)),
      );
    expect(gaps(model)).not.toEqual(gaps(fresh));
    expectSame(await outputOf(model, 'rank 61'), await outputOf(fresh, 'rank 61'));
  });
});
