import { beforeAll, describe, expect, test } from 'vitest';
import { loadTokenizer, type Tokenizer } from '../../engine/models/tokenizer.ts';
import type { Cell } from '../../src/plan/plan.ts';
import { planOf } from '../../src/plan/plan-of.ts';
import type { RequestSpec } from '../../src/workload/request.ts';
import { workloadOf } from '../../src/workload/workload.ts';
import { scenarioWith } from '../plan/scenario-text.ts';

let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await loadTokenizer('llama-3');
});

const cellWith = (changes: Record<string, unknown>): Cell =>
  planOf(scenarioWith(changes), { kind: 'engine', software: false, deviceName: 'x' }).cells[0]!;

const ADAPTERS = { adapters: { rank: 8, count: 3, base_share: 0.3 } };

function measured(cell: Cell, n: number, options: { seed?: number; nonce?: string } = {}): RequestSpec[] {
  const workload = workloadOf(cell, { seed: 1, nonce: 'n', tokenizer, ...options });
  const requests = workload.measured();
  return Array.from({ length: n }, () => requests.next().value as RequestSpec);
}

describe('warm-up', () => {
  test('the base and every adapter in turn, 8 tokens in and 2 out', () => {
    const cell = cellWith({
      ...ADAPTERS,
      measure: { warmup: { per_adapter: 2 } },
      output: { tokens: 4, control: 'cap' },
    });
    const warmup = workloadOf(cell, { seed: 1, nonce: 'n', tokenizer }).warmup();
    const round = [null, 'r8-a1', 'r8-a2', 'r8-a3'];
    expect(warmup.map((request) => request.adapter)).toEqual([...round, ...round]);
    expect(warmup.map((request) => request.i)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    for (const request of warmup) {
      expect(request).toMatchObject({
        phase: 'warmup',
        promptTokens: 8,
        outputTokens: 2,
        control: 'cap',
        intendedOffset: null,
      });
      expect(tokenizer.encode(request.prompt)).toHaveLength(8);
    }
    expect(new Set(warmup.map((request) => request.prompt)).size).toBe(8);
  });

  test('none at all for 0; the base alone without adapters', () => {
    const none = cellWith({ ...ADAPTERS, measure: { warmup: { per_adapter: 0 } } });
    expect(workloadOf(none, { seed: 1, nonce: 'n', tokenizer }).warmup()).toEqual([]);
    expect(
      workloadOf(cellWith({}), { seed: 1, nonce: 'n', tokenizer })
        .warmup()
        .map((r) => r.adapter),
    ).toEqual([null]);
  });
});

describe('measured requests', () => {
  const drawn = {
    ...ADAPTERS,
    prompt: { tokens: { mean: 40, stddev: 10 } },
    output: { tokens: { uniform: { min: 3, max: 9 } } },
    load: { rate: '5/s' },
  };

  test('are the same for the same seed and nonce, from the start at each call', () => {
    const cell = cellWith(drawn);
    expect(measured(cell, 40)).toEqual(measured(cell, 40));
    const workload = workloadOf(cell, { seed: 1, nonce: 'n', tokenizer });
    const first = workload.measured().next().value;
    expect(workload.measured().next().value).toEqual(first);
  });

  test('another nonce changes the prompts and nothing else', () => {
    const cell = cellWith(drawn);
    const a = measured(cell, 60);
    const b = measured(cell, 60, { nonce: 'other' });
    expect(b.map((request) => ({ ...request, prompt: '' }))).toEqual(a.map((request) => ({ ...request, prompt: '' })));
    expect(b.filter((request, i) => request.prompt === a[i]!.prompt)).toEqual([]);
  });

  test('another seed changes lengths, adapters and arrivals', () => {
    const cell = cellWith(drawn);
    const [a, b] = [measured(cell, 60), measured(cell, 60, { seed: 2 })];
    for (const key of ['promptTokens', 'outputTokens', 'adapter', 'intendedOffset'] as const) {
      expect(b.map((request) => request[key])).not.toEqual(a.map((request) => request[key]));
    }
  });

  test('reused prompts do not depend on the nonce', () => {
    const cell = cellWith({ prompt: { tokens: 20, reuse: true } });
    expect(measured(cell, 10)).toEqual(measured(cell, 10, { nonce: 'other' }));
  });

  test('reused prompts are those of every run, load and output: only their lengths and the scenario decide', () => {
    const tokens = { uniform: { min: 5, max: 20 } };
    const load = { concurrency: [2, 8] };
    const plan = planOf(
      scenarioWith({ prompt: { tokens, reuse: true }, output: { tokens: [4, 9] }, load, measure: { repeats: 2 } }),
      { kind: 'engine', software: false, deviceName: 'x' },
    );
    expect(plan.runs).toHaveLength(8);
    expect(new Set(plan.runs.map(({ seed }) => seed)).size).toBe(8);
    const sent = plan.runs.map(({ cell: id, seed, order }) => {
      const cell = plan.cells.find((other) => other.id === id)!;
      return measured(cell, 12, { seed, nonce: `n${order}` }).map(({ prompt, promptTokens }) => [prompt, promptTokens]);
    });
    for (const prompts of sent) expect(prompts).toEqual(sent[0]);
    const other = cellWith({ prompt: { tokens, reuse: true }, measure: { seed: 2 } });
    expect(measured(other, 1)[0]!.prompt).not.toBe(sent[0]![0]![0]);
    expect(cellWith({}).prompt).toEqual({ lengths: { kind: 'fixed', tokens: 32 }, reuse: false });
  });

  test('each prompt has the tokens its request says, as drawn', () => {
    const requests = measured(cellWith(drawn), 200);
    for (const { prompt, promptTokens } of requests) expect(tokenizer.encode(prompt)).toHaveLength(promptTokens);
    expect(new Set(requests.map((request) => request.promptTokens)).size).toBeGreaterThan(15);
    expect(new Set(requests.map((request) => request.outputTokens))).toEqual(new Set([3, 4, 5, 6, 7, 8, 9]));
    expect(new Set(requests.map((request) => request.adapter))).toEqual(new Set([null, 'r8-a1', 'r8-a2', 'r8-a3']));
  });

  test('arrivals depend on the seed alone: other lengths or adapters leave them as they are', () => {
    const offsets = (changes: Record<string, unknown>) =>
      measured(cellWith({ ...drawn, ...changes }), 50).map((request) => request.intendedOffset);
    expect(offsets({ prompt: { tokens: 3 }, adapters: undefined })).toEqual(offsets({}));
  });

  test('an open loop has its times, a closed one none', () => {
    const constant = measured(cellWith({ load: { rate: '4/s', arrivals: 'constant' } }), 3);
    expect(constant.map((request) => request.intendedOffset)).toEqual([0, 250_000_000, 500_000_000]);
    const poisson = measured(cellWith({ load: { rate: '4/s' } }), 400).map((request) => request.intendedOffset!);
    expect(poisson.at(-1)! / 1e9).toBeGreaterThan(80); // 100 s expected, deviation 5 s
    expect(poisson.at(-1)! / 1e9).toBeLessThan(120);
    expect(measured(cellWith({}), 1)[0]!.intendedOffset).toBe(null);
    expect(measured(cellWith({}), 3).map((request) => request.i)).toEqual([0, 1, 2]);
  });
});
