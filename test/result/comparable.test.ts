/** One side of a comparison: which figures, of which runs, from which files. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readComparable } from '../../src/result/comparable.ts';
import type { MetricValue, Result, RunResult } from '../../src/result/schema.ts';
import { distribution, run, scalar } from '../gate/runs.ts';
import { resultFixture } from '../report/fixture.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'comparable-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const base = resultFixture({ requests: 2, adapters: [0], concurrency: [1], standIn: null });
const resultOf = (runs: RunResult[], more: Partial<Result> = {}): Result => ({
  ...base,
  cells: [{ ...base.cells[0]!, runs }],
  ...more,
});
let files = 0;
function kept(result: Result): string {
  const path = join(folder, `${++files}.json`);
  writeFileSync(path, JSON.stringify(result));
  return path;
}
const figuresOf = (metrics: Record<string, MetricValue>) =>
  readComparable([kept(resultOf([run(metrics)]))]).cells[0]!.runs[0]!.figures;

describe('a figure', () => {
  it('is a bound where it fell among requests that failed, and so is the mean of what is left', () => {
    const figures = figuresOf({ ttft: distribution(20, { p99: { gt: 400 }, p999: { gt: 500 }, censored: 3 }) });
    expect(figures.get('ttft p50')).toMatchObject({ value: 20, atLeast: false });
    expect(figures.get('ttft p99')).toMatchObject({ value: 400, atLeast: true });
    expect(figures.get('ttft mean')).toMatchObject({ value: 20, atLeast: true });
  });

  it('has the interval of its own percentile; a p99 of earlier versions ci99', () => {
    const none = { p50: null, p90: null, p95: null, p99: null, p999: null };
    const of = (more: object) => figuresOf({ ttft: distribution(20, more) });
    const known = of({ ci99: [18, 23], intervals: { ...none, p50: [19, 21], p99: [18, 23] } });
    expect(['p50', 'p99', 'p999', 'mean'].map((stat) => known.get(`ttft ${stat}`)?.within)).toEqual([
      [19, 21],
      [18, 23],
      null,
      null,
    ]);
    expect(of({ ci99: [18, 23] }).get('ttft p99')?.within).toEqual([18, 23]);
  });

  it('is not there where the metric is not', () => {
    const figures = figuresOf({ itl: { unit: 'ms', count: 0, reason: 'none' }, goodput: scalar(0, '/s') });
    expect([...figures]).toEqual([['goodput value', { value: 0, atLeast: false, within: null }]]);
  });
});

describe('a side', () => {
  it('has the runs that finished, and says of the others and of its doubts', () => {
    const doubtful = run({}, { validity: { ...run({}).validity, valid: false, reasons: ['in flight 1 of 4'] } });
    const limited = { ttft: null, tpot: null, limited: ['ttft.p50', 'ttft.p99'] };
    const client = run({}, { validity: { ...run({}).validity, clientError: limited } });
    const runs = [doubtful, client, run({}, { state: 'failed' }), run({}, { state: 'interrupted' })];
    const [cell] = readComparable([kept(resultOf(runs))]).cells;
    expect(cell).toMatchObject({ unfinished: 2 });
    expect(cell?.runs.map(({ doubts }) => doubts)).toEqual([
      ['in flight 1 of 4'],
      ['client limited in ttft.p50', 'client limited in ttft.p99'],
    ]);
    expect(cell?.runs[0]).toMatchObject({ issued: 500, lost: 0, pair: null });
  });

  it('of several sessions has the runs of all, each with its session', () => {
    const paths = ['s1', 's2', 's3'].map((session) => kept(resultOf([run({})], { session })));
    const side = readComparable(paths);
    expect(side.from).toBe(`${paths[0]} and 2 more`);
    expect(side.sessions).toEqual(['s1', 's2', 's3']);
    expect(side.cells[0]?.runs.map(({ session }) => session)).toEqual(['s1', 's2', 's3']);
  });

  it.each([
    ['plan', { planHash: 'other' }, /of different plans/],
    ['model', { cells: [{ ...base.cells[0]!, at: { ...base.cells[0]!.at, model: 'other' } }] }, /the other of other/],
    ['stand-in', { standIn: { for: 'llama-3-8b', scale: '1/8', why: 'no GPU' } }, /stand-in/],
    ['session', { session: base.session }, /count twice/],
  ])('takes no result of another %s', (_, more, why) => {
    const [one, other] = [
      kept(resultOf([run({})])),
      kept({ ...resultOf([run({})], { session: 'x' }), ...(more as Partial<Result>) }),
    ];
    expect(() => readComparable([one, other])).toThrow(
      expect.objectContaining({ message: expect.stringMatching(why) }),
    );
  });
});
