/** The first figures that a reader sees: each card by what it must say. */
import { describe, expect, test } from 'vitest';
import { answerOf, type Card } from '../../src/report/answer.ts';
import { panelsOf } from '../../src/report/panels.ts';
import type { CellResult, Distribution, Result, RunResult, Scalar } from '../../src/result/schema.ts';
import { type FixtureOptions, resultFixture } from './fixture.ts';

const cardsFor = (result: Result): Card[] => answerOf(result, panelsOf(result));
const titled = (cards: Card[], title: RegExp): Card => cards.find((card) => title.test(card.title))!;
const make = (options: FixtureOptions = {}): Result => structuredClone(resultFixture({ requests: 8, ...options }));

/** Sets one figure of every run of a cell, run by run. */
function set(cell: CellResult, metric: string, stat: 'p50' | 'value', values: number[]): void {
  cell.runs.forEach((run, i) => {
    const value = run.metrics[metric] as Distribution & Scalar;
    value[stat] = values[i % values.length]!;
  });
}

describe('the answer of one sweep', () => {
  test('is the cost at the busiest load with the most adapters, in its interval', () => {
    const result = make({ repeats: 3, adapters: [0, 4, 8] });
    set(result.cells[1]!, 'tpot', 'p50', [40, 41, 42]);
    set(result.cells[5]!, 'tpot', 'p50', [50, 51.4, 52.2]);
    const card = titled(cardsFor(result), /^TPOT/);
    expect(card).toMatchObject({ title: 'TPOT with 8 adapters', headline: '1.25×' });
    expect(card.interval).toBe('1.24 to 1.26×: 95 % interval, 3 pairs of runs');
    expect(card.caption).toMatch(/^the base model’s p50 at concurrency 4 \(\+25 %\); p99 /);
  });

  test('claims no difference that the runs do not show', () => {
    const result = make({ repeats: 2, adapters: [0, 8], concurrency: [4] });
    set(result.cells[0]!, 'tpot', 'p50', [40, 41]);
    set(result.cells[1]!, 'tpot', 'p50', [48, 42]);
    const { caption } = titled(cardsFor(result), /^TPOT/);
    expect(caption).toContain('no difference that these runs could show');
    expect(caption).not.toMatch(/\+\d/);
  });

  test('is the highest load within the SLO, from the lowest on, for each count', () => {
    const result = make({ adapters: [0, 8], concurrency: [1, 2, 4], slo: { ttftMs: 1e9 } });
    const share = (i: number, value: number) => set(result.cells[i]!, 'goodput_fraction', 'value', [value]);
    for (const [i, value] of [1, 0.96, 0.95, 1, 0.94, 1].entries()) share(i, value);
    const card = titled(cardsFor(result), /^Highest load/);
    expect(card).toMatchObject({ title: 'Highest load within the SLO, 8 adapters', headline: '1' });
    expect(card.caption).toBe('requests at a time: at least 95 % of requests met every limit; the base model: ≥ 4');
    expect(card.rows.map((row) => row.slice(0, 3))).toEqual([
      ['base', '≥ 4', '95 %'],
      ['8 adapters', '1', '100 %'],
    ]);
    share(3, 0.5);
    expect(titled(cardsFor(result), /^Highest load/)).toMatchObject({ headline: 'none' });
  });

  test('is what a cold adapter waits, where one did', () => {
    const card = titled(cardsFor(make({ adapters: [0, 8], coldEvery: 3, requests: 30 })), /^Cold start/);
    expect(card.headline).toBe('50.0');
    expect(card.caption).toMatch(
      /^ms, p50 of the wait .*8 adapters at concurrency 4; TTFT p50 \d+ ms cold, \d+ ms warm$/,
    );
    expect(cardsFor(make()).some(({ title }) => title.startsWith('Cold'))).toBe(false);
  });

  test('is never more than four figures', () => {
    for (const options of [
      {},
      { slo: { ttftMs: 300 }, coldEvery: 3 },
      { adapters: [0] },
      { adapters: [8] },
      { ranks: [8, 64] },
    ]) {
      const cards = cardsFor(make(options));
      expect(cards.length).toBeGreaterThan(1);
      expect(cards.length).toBeLessThanOrEqual(4);
    }
  });
});

test('several panels are set beside each other by what sets them apart', () => {
  const result = make({ ranks: [8, 64], adapters: [0, 8], concurrency: [4], repeats: 2 });
  const [base, low, high] = result.cells as [CellResult, CellResult, CellResult];
  set(base, 'tpot', 'p50', [40, 40]);
  set(low, 'tpot', 'p50', [42, 42.4]);
  set(high, 'tpot', 'p50', [52, 52.4]);
  const card = titled(cardsFor(result), /^TPOT p50/);
  expect(card).toMatchObject({ title: 'TPOT p50, highest cost', headline: '1.30×' });
  expect(card.caption).toBe('rank 64, 8 adapters at concurrency 4, over the base model (+30 %)');
  expect(card.rows.map(([panel, cost]) => [panel, cost])).toEqual([
    ['rank 8', '1.05×'],
    ['rank 64', '1.30×'],
  ]);
});

test('of several panels some of which were cold, the last card is what a cold adapter waits', () => {
  const cards = cardsFor(make({ ranks: [8, 64], adapters: [0, 8], coldEvery: 3, requests: 30 }));
  expect(cards.map(({ title }) => title).at(-1)).toBe('Cold start of an adapter');
  expect(cards).toHaveLength(4);
});

describe('two targets', () => {
  const both = (slower: number): Result => {
    const a = make({ adapters: [0, 8], concurrency: [1, 4], repeats: 4, standIn: null });
    const of = (cell: CellResult, arm: 'A' | 'B'): CellResult => {
      const copy = structuredClone(cell);
      if (arm === 'B')
        for (const run of copy.runs)
          (run.metrics['tpot'] as Distribution).p50 = (run.metrics['tpot'] as { p50: number }).p50 * slower;
      return {
        ...copy,
        target: arm,
        runs: copy.runs.map((run, pair): RunResult => ({ ...run, arm, pair, replicate: pair })),
      };
    };
    const info = (arm: 'A' | 'B') => ({ ...a.targets[0]!, id: arm, arm });
    return { ...a, targets: [info('A'), info('B')], cells: a.cells.flatMap((cell) => [of(cell, 'A'), of(cell, 'B')]) };
  };

  test('are B against A, and what adapters cost on either', () => {
    const cards = cardsFor(both(1.2));
    expect(cards.map(({ title }) => title)).toEqual([
      'TPOT p50, B against A',
      'TTFT p50, B against A',
      'Output tokens per second, B against A',
      'Cost of adapters on A and on B',
    ]);
    expect(cards[0]).toMatchObject({ headline: '1.20×', interval: '1.20 to 1.20×: 95 % interval, 4 pairs of runs' });
    expect(cards[0]!.caption).toMatch(/^B is 20 % slower at 8 adapters, concurrency 4; p99 1\.00×$/);
    expect(cards[1]!.caption).toMatch(/^no difference that these runs could show, at 8 adapters/);
    const [onA, onB] = cards[3]!.headline.split(' / ');
    expect(onA).toBe(onB);
  });

  test('say faster where it is', () => {
    expect(cardsFor(both(0.8))[0]!.caption).toMatch(/^B is 20 % faster at/);
  });
});
