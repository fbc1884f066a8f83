import { expect, test } from 'vitest';
import { enginePlan } from '../../src/plan/engine-plan.ts';
import { planOf } from '../../src/plan/plan-of.ts';
import { scenarioWith } from './scenario-text.ts';

const GPU = { kind: 'engine', software: false, deviceName: 'H100' } as const;

test('one entry a model, with the most that any of its cells needs', () => {
  const scenario = scenarioWith({
    models: ['llama-3-8b', 'llama-3-8b@1/8'],
    adapters: { rank: [8, 64], count: [0, 1, 4] },
    prompt: { tokens: [10, { mean: 100, stddev: 10 }] },
    output: { tokens: { uniform: { min: 1, max: 50 } } },
    load: { concurrency: [1, 16] },
  });
  const [full, scaled, ...others] = enginePlan(planOf(scenario, GPU));
  expect(others).toEqual([]);
  expect(full).toMatchObject({
    model: 'llama-3-8b',
    weights: 'f16',
    maxAdapters: 4,
    maxServedRank: 64,
    maxTokens: 140 + 50,
    maxConcurrency: 16,
  });
  expect(full!.cells).toHaveLength(5 * 2 * 2);
  expect(full!.adapters.map(({ name }) => name)).toEqual(
    [8, 64].flatMap((r) => [1, 2, 3, 4].map((n) => `r${r}-a${n}`)),
  );
  expect(scaled).toMatchObject({ model: 'llama-3-8b@1/8', maxServedRank: 8 });
});

test('the base alone needs no slots; an open loop sets no bound on what is in flight', () => {
  const [needs] = enginePlan(planOf(scenarioWith({ load: { rate: '4/s' } }), GPU));
  expect(needs).toMatchObject({ adapters: [], maxAdapters: 0, maxServedRank: 0, maxConcurrency: null });
});
