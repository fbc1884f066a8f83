import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BenchError } from '../../src/errors.ts';
import type { TargetFacts } from '../../src/plan/facts.ts';
import { planOf } from '../../src/plan/plan-of.ts';
import { scenarioWith } from './scenario-text.ts';

const SOFTWARE: TargetFacts = { kind: 'engine', software: true, deviceName: 'SwiftShader' };
const GPU: TargetFacts = { kind: 'engine', software: false, deviceName: 'H100' };
const endpoint = (adapters: string[], allowFewer = false): TargetFacts => ({
  kind: 'endpoint',
  models: [{ name: 'meta-8b', adapters }],
  allowFewer,
});

function failure(make: () => unknown): BenchError {
  try {
    make();
  } catch (error) {
    if (error instanceof BenchError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('the sweep', () => {
  test('is the product of the axes; count 0 is there once, without the other adapter axes', () => {
    const scenario = scenarioWith({
      models: ['llama-3-8b@1/8', 'llama-3.2-1b@1/8'],
      adapters: { rank: [8, 16], count: [0, 2, 4], popularity: ['uniform', 'zipf(1)'], base_share: [0, 0.5] },
      prompt: { tokens: [8, 16] },
      output: { tokens: 4, control: ['exact', 'cap'] },
      load: { concurrency: [1, 2, 4] },
    });
    const { cells, estimate } = planOf(scenario, SOFTWARE);
    const perModel = (1 + 2 * 2 * 2 * 2) * 2 * 2 * 3;
    expect(cells).toHaveLength(2 * perModel);
    expect(estimate.cells).toBe(2 * perModel);
    expect(cells.map((cell) => cell.id)).toEqual(cells.map((_, i) => `c${i + 1}`));
    expect(new Set(cells.map((cell) => JSON.stringify(cell.at))).size).toBe(cells.length);
    const base = cells.filter((cell) => cell.at.adapters === 0);
    expect(base).toHaveLength(2 * 2 * 2 * 3);
    for (const { at, adapters, baseShare } of base) {
      expect(at).toMatchObject({ rank: null, popularity: null, kind: null, mode: null, base_share: 1 });
      expect(adapters).toEqual([]);
      expect(baseShare).toBe(1);
    }
    expect(cells.findIndex(({ at }) => at.model === 'llama-3.2-1b@1/8')).toBe(perModel);
  });

  test('has as many cells as the axes multiply to, whatever they are', () => {
    const axis = (values: unknown[]) => fc.uniqueArray(fc.constantFrom(...values), { minLength: 1 });
    fc.assert(
      fc.property(axis([1, 2, 4]), axis([0, 1, 3]), axis([8, 16]), axis([4, 5]), (loads, counts, ranks, outputs) => {
        const scenario = scenarioWith({
          adapters: { rank: ranks, count: counts },
          output: { tokens: outputs },
          load: { concurrency: loads },
        });
        const points = counts.filter((count) => count !== 0).length * ranks.length + (counts.includes(0) ? 1 : 0);
        expect(planOf(scenario, GPU).cells).toHaveLength(points * loads.length * outputs.length);
      }),
      { numRuns: 40 },
    );
  });

  test('coordinates stay as declared; lengths that are drawn and mixed ranks get labels', () => {
    const scenario = scenarioWith({
      adapters: { rank: { mix: { 64: 1, 8: 1 } }, count: 2, popularity: 'zipf(1.5)', base_share: 0.25 },
      prompt: { tokens: { mean: 200, stddev: 20 } },
      output: { tokens: { uniform: { min: 10, max: 20 } } },
      load: { rate: '4/s', arrivals: 'constant' },
      measure: { requests: 5 },
    });
    const [cell] = planOf(scenario, GPU).cells;
    expect(cell!.at).toEqual({
      model: 'llama-3-8b@1/8',
      weights: 'f16',
      rank: 'mix(8:1,64:1)',
      adapters: 2,
      popularity: 'zipf(1.5)',
      base_share: 0.25,
      kind: 'lora',
      mode: 'dynamic',
      residency: 'warm',
      modules: 'all',
      control: 'exact',
      promptTokens: 'normal(200,20)',
      outputTokens: 'uniform(10,20)',
      concurrency: null,
      rate: 4,
      arrivals: 'constant',
    });
    expect(cell!.load).toEqual({ kind: 'open', rate: 4, arrivals: 'constant' });
  });

  test('workload pairs are one axis', () => {
    const workload = [
      { prompt: 20, output: 100 },
      { prompt: 100, output: 10 },
    ];
    const { cells } = planOf(scenarioWith({ prompt: undefined, output: undefined, workload }), GPU);
    expect(cells.map(({ at }) => [at.promptTokens, at.outputTokens])).toEqual([
      [20, 100],
      [100, 10],
    ]);
  });
});

describe('how long a run is', () => {
  const measures = (measure: unknown, load: unknown) =>
    planOf(scenarioWith({ measure, load }), GPU).cells.map((cell) => cell.measure);

  test('per_concurrency multiplies, at_least bounds below', () => {
    const loads = { concurrency: [1, 8, 32] };
    expect(measures(undefined, loads)).toEqual([{ requests: 50 }, { requests: 80 }, { requests: 320 }]);
    const nim = measures({ requests: { per_concurrency: 3 } }, loads);
    expect(nim).toEqual([{ requests: 3 }, { requests: 24 }, { requests: 96 }]);
  });

  test('a number or a duration holds for every cell; an open loop takes at_least', () => {
    expect(measures({ requests: 7 }, { concurrency: [1, 8] })).toEqual([{ requests: 7 }, { requests: 7 }]);
    expect(measures({ requests: '3s' }, { concurrency: 8 })).toEqual([{ durationMs: 3000 }]);
    expect(measures(undefined, { rate: '4/s' })).toEqual([{ requests: 50 }]);
  });
});

describe('adapters of the engine', () => {
  test('are named by rank and number, the same in every cell, with scaled ranks and their own seeds', () => {
    const { cells } = planOf(scenarioWith({ adapters: { rank: [16, 4], count: [1, 3] } }), GPU);
    const names = cells.map((cell) => cell.adapters.map((adapter) => adapter.name));
    expect(names).toEqual([['r16-a1'], ['r16-a1', 'r16-a2', 'r16-a3'], ['r4-a1'], ['r4-a1', 'r4-a2', 'r4-a3']]);
    expect(cells[1]!.adapters[0]).toEqual(cells[0]!.adapters[0]);
    expect(cells[1]!.adapters.map(({ rank, servedRank }) => [rank, servedRank])).toEqual(Array(3).fill([16, 2]));
    expect(cells[3]!.adapters.map(({ servedRank }) => servedRank)).toEqual([1, 1, 1]); // 4/8, at least 1
    const all = cells.flatMap((cell) => cell.adapters);
    expect(new Set(all.map(({ seed }) => seed)).size).toBe(new Set(all.map(({ name }) => name)).size);
  });

  test('a mix deals its ranks by share, and a smaller count is a prefix', () => {
    const mix = { mix: { 8: 2, 64: 1 } };
    const { cells } = planOf(scenarioWith({ adapters: { rank: mix, count: [3, 6] } }), GPU);
    const names = cells.map((cell) => cell.adapters.map(({ name }) => name));
    expect(names[1]!.slice(0, 3)).toEqual(names[0]);
    expect(cells[1]!.adapters.filter(({ rank }) => rank === 8)).toHaveLength(4);
    expect(cells[1]!.adapters.filter(({ rank }) => rank === 64).map(({ name }) => name)).toEqual(['r64-a1', 'r64-a2']);
  });

  test.each([
    [
      { adapters: { rank: 8, count: [1, 5], residency: 'cold_host' }, engine: { max_cpu_loras: 4 } },
      'cold_host keeps 5 adapters in host memory, and engine.max_cpu_loras 4 is too few; accepted: at least 5',
    ],
    [{ adapters: { rank: 64, count: 1 }, engine: { max_lora_rank: 4 } }, 'rank 8 is above engine.max_lora_rank 4'],
    [
      { prompt: { tokens: 8000 }, output: { tokens: 193 } },
      'reach 8193 tokens, but llama-3-8b@1/8 has positions for 8192',
    ],
    [{ engine: { max_model_len: 40 } }, 'reach 48 tokens, but engine.max_model_len is 40'],
    [{ adapters: { rank: 8, count: 2, popularity: { 'r8-b1': 1 } } }, 'no adapter "r8-b1"; did you mean "r8-a1"?'],
    [
      { adapters: { rank: 8, count: [1, 2], popularity: { 'r8-a2': 1 } } },
      "none of cell c1's adapters has a weight: r8-a1",
    ],
  ])('what the engine cannot hold is refused: %j', (changes, text) => {
    const error = failure(() => planOf(scenarioWith(changes), GPU));
    expect(error.code).toBe('PLAN_INVALID');
    expect(error.message).toContain(text);
  });

  test('what just fits is not', () => {
    const fits = {
      adapters: { rank: 32, count: 4, residency: 'cold_host' },
      engine: { max_gpu_loras: 2, max_cpu_loras: 4, max_lora_rank: 4, max_model_len: 48 },
    };
    expect(planOf(scenarioWith(fits), GPU).cells).toHaveLength(1);
  });
});

describe('adapters of an endpoint', () => {
  const namesOf = (adapters: unknown, facts: TargetFacts) =>
    planOf(scenarioWith({ adapters }, true), facts).cells.map((cell) =>
      cell.adapters.map(({ name, rank }) => [name, rank]),
    );

  test('are a prefix of what the server shows, with the declared rank or none', () => {
    expect(namesOf({ count: [0, 1, 2] }, endpoint(['x', 'y', 'z']))).toEqual([
      [],
      [['x', null]],
      [
        ['x', null],
        ['y', null],
      ],
    ]);
    expect(namesOf({ rank: 16, count: 1 }, endpoint(['x']))).toEqual([[['x', 16]]]);
  });

  test("come from the scenario's names first, by rank where these are so", () => {
    expect(namesOf({ count: 1, names: ['a', 'b'] }, endpoint(['x']))).toEqual([[['a', null]]]);
    const names = { 8: ['a', 'b'], 64: ['c'] };
    expect(namesOf({ rank: [8, 64], count: 1, names }, endpoint([]))).toEqual([[['a', 8]], [['c', 64]]]);
    const mixed = namesOf({ rank: { mix: { 8: 1, 64: 1 } }, count: 2, names }, endpoint([]));
    expect(mixed).toEqual([
      [
        ['a', 8],
        ['c', 64],
      ],
    ]);
  });

  test("the model is the server's, weights are unknown, nothing is a stand-in, time is unknown", () => {
    const plan = planOf(scenarioWith({ adapters: { count: 1 } }, true), endpoint(['x']));
    expect(plan.cells[0]!.at).toMatchObject({ model: 'meta-8b', weights: null, rank: null, adapters: 1 });
    expect(plan.cells[0]!.adapters[0]).toMatchObject({ rank: null, servedRank: null });
    expect(plan.standIn).toBe(null);
    expect(plan.estimate.seconds).toBe(null);
  });

  test('too few are a plan error with the commands that help', () => {
    const scenario = scenarioWith({ adapters: { rank: 16, count: [0, 2, 32, 8] } }, true);
    const error = failure(() => planOf(scenario, endpoint(['x', 'y'])));
    expect(error.code).toBe('PLAN_INVALID');
    expect(error.message).toBe(
      'too few adapters at the endpoint: 32 adapters of rank 16 are needed, only 2 known: x, y',
    );
    expect(error.hint).toContain('bench adapters make --base PRESET_OR_DIR --rank 16 --count 32');
    expect(error.hint).toContain('vllm serve meta-8b --enable-lora --max-loras 32 --max-lora-rank 16');
    expect(error.hint).toContain('--allow-fewer');
  });

  test('with allowFewer those cells are left out, and that is said', () => {
    const scenario = scenarioWith({ adapters: { rank: 16, count: [0, 2, 32] } }, true);
    const plan = planOf(scenario, endpoint(['x', 'y'], true));
    expect(plan.cells.map(({ at }) => at.adapters)).toEqual([0, 2]);
    expect(plan.warnings).toContain('cells left out: 32 adapters of rank 16 are needed, only 2 known: x, y');
    const none = scenarioWith({ adapters: { rank: 16, count: 32 } }, true);
    expect(failure(() => planOf(none, endpoint(['x', 'y'], true))).code).toBe('PLAN_INVALID');
  });

  test('several ranks without names by rank are refused: which adapter has which is unknown', () => {
    for (const rank of [[8, 16], { mix: { 8: 1, 64: 1 } }]) {
      const scenario = scenarioWith({ adapters: { rank, count: 1 } }, true);
      const error = failure(() => planOf(scenario, endpoint(['x', 'y'], true)));
      expect(error.message).toContain('nothing says which adapter has which');
    }
  });
});

describe('order, seeds and hash', () => {
  const swept = (changes: Record<string, unknown> = {}) =>
    planOf(scenarioWith({ adapters: { rank: 8, count: [0, 2] }, load: { concurrency: [1, 2] }, ...changes }), GPU);

  test('runs go model by model, and replicate by replicate within one; each is a block with every cell once', () => {
    const plan = swept({ models: ['llama-3-8b@1/8', 'llama-3.2-1b@1/8'], measure: { repeats: 2 } });
    const blocks = [0, 4, 8, 12].map((from) => plan.runs.slice(from, from + 4));
    expect(blocks.map((block) => block.map(({ cell }) => cell).sort())).toEqual(
      ['c1 c2 c3 c4', 'c1 c2 c3 c4', 'c5 c6 c7 c8', 'c5 c6 c7 c8'].map((ids) => ids.split(' ')),
    );
    expect(blocks.map((block) => [...new Set(block.map(({ replicate }) => replicate))])).toEqual([[0], [1], [0], [1]]);
    expect(plan.runs.map((run) => run.order)).toEqual(plan.runs.map((_, i) => i));
    expect(plan.estimate.runs).toBe(16);
    expect(plan.cells.map(({ id }) => id)).toEqual(plan.cells.map((_, i) => `c${i + 1}`));
  });

  test('every block has a random order of its own, which the seed fixes', () => {
    const load = { concurrency: [1, 2, 3, 4, 5, 6] };
    const blocksOf = (seed: number) => {
      const { runs } = planOf(scenarioWith({ load, measure: { repeats: 200, seed } }), GPU);
      return Array.from({ length: 200 }, (_, r) => runs.slice(6 * r, 6 * r + 6).map(({ cell }) => Number(cell[1])));
    };
    const blocks = blocksOf(1);
    expect(blocksOf(1)).toEqual(blocks);
    expect(blocksOf(2)).not.toEqual(blocks);
    expect(new Set(blocks.map(String)).size).toBeGreaterThan(150); // of 720 orders
    // Any cell in any place equally often: chi-square over 36 counts of 33.3, 25 degrees of freedom, 0.1% point 52.6.
    const expected = 200 / 6;
    let chiSquare = 0;
    for (let cell = 1; cell <= 6; cell++) {
      for (let place = 0; place < 6; place++) {
        const count = blocks.filter((block) => block[place] === cell).length;
        chiSquare += (count - expected) ** 2 / expected;
      }
    }
    expect(chiSquare).toBeLessThan(52.6);
  });

  test('the hash covers the order, and a cell more leaves that of the others', () => {
    const ids = (concurrency: number[]) =>
      planOf(scenarioWith({ load: { concurrency } }), GPU).runs.map(({ cell }) => cell);
    const [four, five] = [ids([1, 2, 3, 4]), ids([1, 2, 3, 4, 5])];
    expect(five.filter((id) => id !== 'c5')).toEqual(four);
  });

  test('the same scenario gives the same plan; cells that differ in adapters alone share seeds, others do not', () => {
    const plan = swept({ measure: { repeats: 2 } });
    expect(swept({ measure: { repeats: 2 } })).toEqual(plan);
    const seeds = Object.fromEntries(plan.runs.map((run) => [`${run.cell}.${run.replicate}`, run.seed]));
    expect(seeds['c1.0']).toBe(seeds['c3.0']); // concurrency 1: base, and 2 adapters
    expect(new Set([seeds['c1.0'], seeds['c1.1'], seeds['c2.0'], seeds['c2.1']]).size).toBe(4);
    expect(swept({ measure: { seed: 2 } }).runs[0]!.seed).not.toBe(plan.runs[0]!.seed);
    for (const { seed } of plan.runs)
      expect(seed).toSatisfy((s: number) => Number.isInteger(s) && s >= 0 && s < 2 ** 31);
  });

  test('the hash follows the load, not names', () => {
    const { hash } = swept();
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(swept({ name: 'other', description: 'x' }).hash).toBe(hash);
    expect(swept({ load: { concurrency: [1, 3] } }).hash).not.toBe(hash);
    expect(swept({ measure: { seed: 2 } }).hash).not.toBe(hash);
    expect(swept({ request: { temperature: 1 } }).hash).not.toBe(hash);
    const at = (adapters: string[]) =>
      planOf(scenarioWith({ adapters: { rank: 8, count: 2 } }, true), endpoint(adapters));
    expect(at(['a', 'b']).hash).toBe(at(['c', 'd', 'e']).hash);
  });
});

describe('stand-ins and estimates', () => {
  test('a stand-in is named with its reason', () => {
    const standIn = (facts: TargetFacts) => planOf(scenarioWith({}), facts).standIn;
    expect(standIn(SOFTWARE)).toMatchObject({ for: 'llama-3-8b', scale: '1/8' });
    expect(standIn(SOFTWARE)!.why).toContain('SwiftShader');
    expect(standIn(GPU)!.why).toBe('the scenario asks for it');
    expect(planOf(scenarioWith({ models: 'llama-3-8b' }), GPU).standIn).toBe(null);
  });

  test('requests count what is measured; seconds are known for software devices only', () => {
    const plan = planOf(
      scenarioWith({ measure: { requests: 16, repeats: 2 }, load: { concurrency: [1, 4] } }),
      SOFTWARE,
    );
    expect(plan.estimate).toMatchObject({ cells: 2, runs: 4, requests: 64 });
    expect(planOf(scenarioWith({}), GPU).estimate.seconds).toBe(null);
  });

  test('seconds follow from the arithmetic: operations over the stated rates', () => {
    const seconds = (changes: Record<string, unknown>) =>
      planOf(scenarioWith({ measure: { requests: 10, warmup: { per_adapter: 0 } }, ...changes }), SOFTWARE).estimate
        .seconds!;
    // llama-3-8b@1/8: hidden 512, inner 1792, 4 layers of 4 heads, 1 KV head of 128, 16,032 ids, head and embedding apart.
    const layer = 512 * (512 + 2 * 128) + 512 * 512 + 3 * 512 * 1792 + 2 * 512;
    const layers = 4 * layer + 512;
    const head = 16032 * 512;
    const one = (2 * (32 * layers + head)) / 2.5e9 + (2 * 15 * (layers + head)) / 1.5e9;
    const start = seconds({ measure: { requests: 1, warmup: { per_adapter: 0 } }, load: { concurrency: 1 } }) - one;
    expect(start).toBeGreaterThan(0);
    expect(seconds({ load: { concurrency: 1 } })).toBeCloseTo(start + 10 * one, 6);
    expect(seconds({ load: { concurrency: 4 } })).toBeLessThan(seconds({ load: { concurrency: 1 } }));
  });

  test('an open loop takes at least its arrivals; runs by time take their time', () => {
    const slow = scenarioWith({ load: { rate: '0.1/s' }, measure: { requests: 10 } });
    expect(planOf(slow, SOFTWARE).estimate.seconds).toBeGreaterThan(100);
    const timed = planOf(scenarioWith({ load: { rate: '2/s' }, measure: { requests: '60s' } }), SOFTWARE).estimate;
    expect(timed.requests).toBe(120);
    expect(timed.seconds).toBeGreaterThan(60);
  });
});

describe('warnings', () => {
  const warnings = (adapters: unknown, rest: Record<string, unknown> = {}) =>
    planOf(scenarioWith({ adapters, ...rest }), GPU).warnings;

  test('requests or load that cannot touch all adapters', () => {
    const found = warnings(
      { rank: 8, count: [0, 2, 32] },
      { load: { concurrency: [2, 32] }, measure: { requests: 16 } },
    );
    expect(found).toEqual(
      [
        expect.stringMatching(/^c5: fewer requests are in flight than there are adapters/),
        expect.stringMatching(/^c5, c6: 16 requests reach about 13 of 32 adapters/),
      ].reverse(),
    );
  });

  test('round robin reaches one a request; the base takes its share', () => {
    const few = { measure: { requests: 8 }, load: { concurrency: 8 } };
    expect(warnings({ rank: 8, count: 8, popularity: 'round_robin' }, few)).toEqual([]);
    const shared = warnings({ rank: 8, count: 8, popularity: 'round_robin', base_share: 0.5 }, few);
    expect(shared).toEqual(['c1: 8 requests reach about 4 of 8 adapters']);
  });

  test('adapters that get nothing by design, and mixes without all their ranks', () => {
    const busy = { load: { concurrency: 8 } };
    const identical = warnings({ rank: 8, count: 4, popularity: 'identical' }, busy);
    expect(identical).toEqual(['c1: identical sends every request to the first of 4 adapters']);
    const weighted = warnings({ rank: 8, count: 2, popularity: { 'r8-a1': 1 } }, busy);
    expect(weighted).toContain('c1: no weight, so no requests, for r8-a2');
    const unmixed = warnings({ rank: { mix: { 8: 1, 64: 1 } }, count: 1 }, busy);
    expect(unmixed).toEqual(['adapters.count 1 holds 1 of the 2 ranks of mix(8:1,64:1)']);
  });

  test('none where all is well', () => {
    expect(warnings({ rank: 8, count: [0, 1, 4] }, { load: { concurrency: 8 } })).toEqual([]);
  });
});

describe('several models at an endpoint', () => {
  const facts = (allowFewer: boolean): TargetFacts => ({
    kind: 'endpoint',
    models: [
      { name: 'big', adapters: ['b1', 'b2'] },
      { name: 'small', adapters: ['s1'] },
    ],
    allowFewer,
  });

  test('each has its own adapters', () => {
    const { cells } = planOf(scenarioWith({ adapters: { count: [0, 1] } }, true), facts(false));
    expect(cells.map(({ at, adapters }) => [at.model, adapters.map(({ name }) => name)])).toEqual([
      ['big', []],
      ['big', ['b1']],
      ['small', []],
      ['small', ['s1']],
    ]);
  });

  test('which of them has too few is said', () => {
    const scenario = scenarioWith({ adapters: { count: 2 } }, true);
    const error = failure(() => planOf(scenario, facts(false)));
    expect(error.message).toBe('too few adapters at the endpoint: 2 adapters for small are needed, only 1 known: s1');
    expect(error.hint).toContain('vllm serve small');
    expect(planOf(scenario, facts(true)).cells.map(({ at }) => at.model)).toEqual(['big']);
  });
});
