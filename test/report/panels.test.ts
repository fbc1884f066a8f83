import { describe, expect, test } from 'vitest';
import { baseCellOf, costIntervalText, costOf, costShown, costText, showsNoCost } from '../../src/report/costs.ts';
import { panelsOf } from '../../src/report/panels.ts';
import { figureWithUnit } from '../../src/report/values.ts';
import type { Distribution, Result } from '../../src/result/schema.ts';
import { resultFixture } from './fixture.ts';

const setP50 = (result: Result, cell: number, run: number, p50: Distribution['p50']): void => {
  (result.cells[cell]!.runs[run]!.metrics['tpot'] as Distribution).p50 = p50;
};

describe('panels', () => {
  test('one for a sweep of counts and loads', () => {
    const [panel, ...others] = panelsOf(resultFixture());
    expect(others).toEqual([]);
    expect(panel).toMatchObject({ label: '', loadKind: 'concurrency', loads: [1, 4] });
    expect(panel!.series.map(({ label, color }) => [label, color])).toEqual([
      ['base', 0],
      ['1 adapter', 1],
      ['8 adapters', 2],
      ['32 adapters', 3],
    ]);
  });

  test('ranks stand apart, each with the base model beside it', () => {
    const panels = panelsOf(resultFixture({ ranks: [8, 64] }));
    expect(panels.map(({ label }) => label)).toEqual(['rank 8', 'rank 64']);
    for (const { series } of panels) expect(series.map(({ adapters }) => adapters)).toEqual([0, 1, 8, 32]);
  });

  test('a model is never put beside another, and a base model alone is a panel', () => {
    const result = resultFixture({ adapters: [0, 8] });
    const other = resultFixture({ adapters: [0], model: 'other', concurrency: [2] });
    const panels = panelsOf({
      ...result,
      cells: [...result.cells, ...other.cells.map((cell) => ({ ...cell, id: 'x' }))],
    });
    expect(panels.map(({ label, loads }) => [label, loads])).toEqual([
      ['llama-3-8b@1/8', [1, 4]],
      ['other', [2]],
    ]);
  });

  test('an adapter in the weights, which is an engine of its own, has the base of the same model beside it', () => {
    const result = resultFixture({ adapters: [0, 1] });
    const merged = result.cells
      .filter(({ at }) => at.adapters === 1)
      .map((cell) => ({ ...cell, target: 'engine-2', at: { ...cell.at, mode: 'merged' as const, residency: null } }));
    const targets = [...result.targets, { ...result.targets[0]!, id: 'engine-2' }];
    const panels = panelsOf({ ...result, targets, cells: [...result.cells, ...merged] });
    expect(panels.map(({ label }) => label)).toEqual(['dynamic · warm', 'merged · in the weights']);
    for (const { series } of panels) expect(series.map(({ adapters }) => adapters)).toEqual([0, 1]);
    const second = panels[1]!;
    expect(costOf(second, second.series[1]!.cells[0]!, 'tpot', 'p50').ratio).toBeGreaterThan(0);
  });

  test('another endpoint is another server', () => {
    const result = resultFixture({ adapters: [0, 1], concurrency: [1] });
    const endpoints = ['a', 'b'].map((id) => ({ ...result.targets[0]!, id, kind: 'endpoint' as const }));
    const cells = ['a', 'b'].flatMap((target) => result.cells.map((cell) => ({ ...cell, target })));
    expect(panelsOf({ ...result, targets: endpoints, cells }).map(({ label }) => label)).toEqual([
      'target a',
      'target b',
    ]);
  });

  test('open loops have rates', () => {
    expect(panelsOf(resultFixture({ rates: [2, 0.5], requests: 4 }))[0]).toMatchObject({
      loadKind: 'rate',
      loads: [0.5, 2],
    });
  });
});

describe('cost', () => {
  const sweep = (repeats: number): Result =>
    structuredClone(resultFixture({ adapters: [0, 8], concurrency: [1], repeats }));

  test('is the ratio to the base model at the same load', () => {
    const result = sweep(1);
    setP50(result, 0, 0, 40);
    setP50(result, 1, 0, 50);
    const panel = panelsOf(result)[0]!;
    const cost = costOf(panel, panel.series[1]!.cells[0]!, 'tpot', 'p50');
    expect(cost).toMatchObject({
      ratio: expect.closeTo(1.25, 12),
      above: false,
      pairs: 1,
      doubtful: false,
      reason: null,
    });
    expect(costText(cost)).toBe('1.25×');
    expect(baseCellOf(panel, panel.series[1]!.cells[0]!)?.id).toBe('c1');
  });

  test('pairs runs of the same seed: the geometric mean of their ratios, in a Student interval', () => {
    const result = sweep(2);
    setP50(result, 0, 0, 40);
    setP50(result, 0, 1, 60);
    setP50(result, 1, 0, 44);
    setP50(result, 1, 1, 72);
    result.cells[1]!.runs.reverse();
    const panel = panelsOf(result)[0]!;
    const cost = costOf(panel, panel.series[1]!.cells[0]!, 'tpot', 'p50');
    // ln 1.1 and ln 1.2: half their distance is the standard error, times t(0.975, 1) = 12.7062.
    const margin = (12.706204736 * Math.log(1.2 / 1.1)) / 2;
    expect(cost.ratio).toBeCloseTo(Math.sqrt(1.1 * 1.2), 12);
    expect(cost.interval![0]).toBeCloseTo(Math.sqrt(1.1 * 1.2) * Math.exp(-margin), 6);
    expect(cost.interval![1]).toBeCloseTo(Math.sqrt(1.1 * 1.2) * Math.exp(margin), 6);
    expect(cost.pairs).toBe(2);
    expect(showsNoCost(cost)).toBe(true);
    expect(costIntervalText(cost)).toBe('0.66 to 2.00×');
    expect(figureWithUnit(costShown(cost))).toBe('1.15× base (95 % interval 0.661 to 2.00)');
  });

  test('of one run each lies in what their own intervals allow, and nowhere known without them', () => {
    const result = sweep(1);
    const set = (cell: number, p50: number, ends: [number, number] | null) => {
      const tpot = result.cells[cell]!.runs[0]!.metrics['tpot'] as Distribution;
      Object.assign(tpot, { p50, intervals: { ...tpot.intervals, p50: ends } });
    };
    set(0, 40, [38, 42]);
    set(1, 50, [49, 52]);
    const panel = panelsOf(result)[0]!;
    const [base, cell] = [panel.series[0]!.cells[0]!, panel.series[1]!.cells[0]!];
    const cost = costOf(panel, cell, 'tpot', 'p50');
    expect(cost).toMatchObject({ ratio: expect.closeTo(1.25, 12), pairs: 1 });
    expect(cost.interval).toEqual([expect.closeTo(49 / 42, 12), expect.closeTo(52 / 38, 12)]);
    expect(showsNoCost(cost)).toBe(false);
    expect(costOf(panel, base, 'tpot', 'p50')).toMatchObject({ ratio: 1, interval: null });
    set(0, 40, null);
    expect(costOf(panel, cell, 'tpot', 'p50')).toMatchObject({ ratio: expect.closeTo(1.25, 12), interval: null });
  });

  test('is doubtful where a run behind it is', () => {
    const result = sweep(1);
    result.cells[0]!.runs[0]!.validity.valid = false;
    const panel = panelsOf(result)[0]!;
    const cost = costOf(panel, panel.series[1]!.cells[0]!, 'tpot', 'p50');
    expect(cost.doubtful).toBe(true);
    expect(costText(cost)).toMatch(/×\?$/);
    result.cells[0]!.runs[0]!.validity.valid = true;
    const limited = { ttft: null, tpot: null, limited: ['tpot.p50'] };
    result.cells[1]!.runs[0]!.validity.clientError = limited;
    const again = panelsOf(result)[0]!;
    expect(costOf(again, again.series[1]!.cells[0]!, 'tpot', 'p50').doubtful).toBe(true);
    expect(costOf(again, again.series[1]!.cells[0]!, 'ttft', 'p50').doubtful).toBe(false);
  });

  test('is a lower bound over a known base, and nothing over an unknown one', () => {
    const result = sweep(1);
    setP50(result, 0, 0, 40);
    setP50(result, 1, 0, { gt: 80 });
    const panel = panelsOf(result)[0]!;
    const cell = panel.series[1]!.cells[0]!;
    expect(costText(costOf(panel, cell, 'tpot', 'p50'))).toBe('> 2.00×');
    setP50(result, 0, 0, { gt: 40 });
    expect(costOf(panel, cell, 'tpot', 'p50')).toMatchObject({
      ratio: null,
      reason: expect.stringContaining('lower bound'),
    });
    setP50(result, 0, 0, 0);
    expect(costOf(panel, cell, 'tpot', 'p50').ratio).toBeNull();
    result.cells[0]!.runs[0]!.state = 'failed';
    expect(costOf(panel, cell, 'tpot', 'p50').ratio).toBeNull();
  });

  test('needs a base model', () => {
    const panel = panelsOf(resultFixture({ adapters: [8], concurrency: [1] }))[0]!;
    expect(costOf(panel, panel.series[0]!.cells[0]!, 'tpot', 'p50')).toMatchObject({
      ratio: null,
      reason: 'no cell with 0 adapters at this load',
    });
  });
});
