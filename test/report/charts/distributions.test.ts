import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HdrHistogram, RUN_DIGITS } from '../../../src/recorder/histogram.ts';
import {
  DISTRIBUTION_METRICS,
  distributionGroup,
  distributionsOf,
  quantilesOf,
  SHARES,
  stepsOf,
} from '../../../src/report/charts/distributions.ts';
import { mergedCounts } from '../../../src/report/charts/histogram-bins.ts';
import { panelsOf } from '../../../src/report/panels.ts';
import type { CellResult, Distribution, RunResult } from '../../../src/result/schema.ts';
import { resultFixture } from '../fixture.ts';

describe('quantiles', () => {
  test('of a histogram are those of its samples, as nearly as its digits tell', () => {
    const samples = fc.array(fc.integer({ min: 1_000, max: 60_000_000_000 }), { minLength: 1, maxLength: 400 });
    fc.assert(
      fc.property(samples, fc.nat({ max: 40 }), (values, censored) => {
        const histogram = HdrHistogram.empty(RUN_DIGITS);
        for (const value of values) histogram.record(value);
        const sorted = [...values].sort((a, b) => a - b);
        const quantiles = quantilesOf(mergedCounts([histogram.encode()]), censored, SHARES);
        for (const [i, share] of SHARES.entries()) {
          const rank = Math.max(1, Math.ceil(share * (values.length + censored) - 1e-9));
          const exact = sorted[rank - 1];
          if (exact === undefined) expect(quantiles[i]).toBeNull();
          else expect(Math.abs(quantiles[i]! - exact) / exact).toBeLessThan(0.001);
        }
      }),
      { numRuns: 150 },
    );
  });

  test('never reach all of the requests where some failed', () => {
    const steps = stepsOf(quantilesOf([[10, 90]], 10, SHARES), 'a');
    expect(steps.at(-1)).toMatchObject({ x: 10, y: 0.9 });
    expect(stepsOf(quantilesOf([[10, 90]], 0, SHARES), 'a').map(({ x, y }) => [x, y])).toEqual([
      [10, 0],
      [10, 1],
    ]);
  });
});

describe('distributions of a result', () => {
  const result = resultFixture({ ranks: [8, 64], adapters: [0, 8], repeats: 2, failing: 0.2, requests: 30 });
  const data = distributionsOf(result, panelsOf(result))!;

  test('hold every cell once, and every metric that has samples', () => {
    expect(data.cells.map(({ key }) => key).sort()).toEqual(result.cells.map(({ id }) => id).sort());
    expect(data.metrics.map(({ key }) => key)).toEqual(DISTRIBUTION_METRICS.map(({ key }) => key));
  });

  test('have bins that hold every request that was seen, and say how many were not', () => {
    for (const cell of data.cells) {
      const { bins, seen, censored } = cell.lines['ttft']!;
      const runs = result.cells.find(({ id }) => id === cell.key)!.runs;
      const of = (field: 'count' | 'censored') =>
        runs.reduce((sum, { metrics }) => sum + (metrics['ttft'] as Distribution)[field], 0);
      expect(censored).toBe(of('censored'));
      expect(seen + censored).toBe(of('count'));
      expect(bins.reduce((sum, share) => sum + share, 0)).toBeCloseTo(seen / (seen + censored), 2);
    }
  });

  test('are drawn at the busiest load, and in words', () => {
    const [panel] = panelsOf(result);
    const group = distributionGroup(panel!)!;
    expect(group.title).toBe('At concurrency 4, the busiest');
    expect(group.charts.map(({ title }) => title)).toEqual(['TTFT', 'ITL', 'TPOT', 'E2E', 'Throughput']);
    for (const { rows } of group.charts) {
      for (const label of ['base', '8 adapters']) {
        const shares = rows.filter(({ series }) => series === label).map(({ y }) => Number(y));
        expect(shares).toEqual([...shares].sort((a, b) => a - b));
      }
    }
    expect(group.charts[0]!.label).toMatch(
      /base: p50 [\d> ]+, p99 [^;]*, \d+ of \d+ requests failed and lie beyond; 8 adapters/,
    );
    expect(group.charts[0]!.unit).toMatch(/failed$/);
  });

  test('tell two targets apart', () => {
    const one = resultFixture({ adapters: [0], concurrency: [1], requests: 6 });
    const of = (cell: CellResult, arm: 'A' | 'B'): CellResult => ({
      ...cell,
      target: arm,
      runs: cell.runs.map((run): RunResult => ({ ...run, arm, pair: 0 })),
    });
    const info = (arm: 'A' | 'B') => ({ ...one.targets[0]!, id: arm, arm });
    const both = {
      ...one,
      targets: [info('A'), info('B')],
      cells: one.cells.flatMap((cell) => [of(cell, 'A'), of(cell, 'B')]),
    };
    expect(distributionsOf(both, panelsOf(both))!.cells.map(({ key, name, isB }) => [key, name, isB])).toEqual([
      ['A.c1', 'A: base, concurrency 1', false],
      ['B.c1', 'B: base, concurrency 1', true],
    ]);
  });
});
