import { describe, expect, test } from 'vitest';
import {
  cellCounts,
  cellFigure,
  failuresText,
  figureText,
  figureWithUnit,
  runFigure,
} from '../../src/report/values.ts';
import type { CellResult, Distribution } from '../../src/result/schema.ts';
import { resultFixture } from './fixture.ts';

const cellWith = (...p99s: Distribution['p99'][]): CellResult => {
  const cell = structuredClone(resultFixture({ adapters: [0], concurrency: [1], repeats: p99s.length }).cells[0]!);
  cell.runs.forEach((run, i) => {
    (run.metrics['ttft'] as Distribution).p99 = p99s[i]!;
  });
  return cell;
};

describe('a cell’s figure', () => {
  test('is the mean of its runs, with their range', () => {
    const shown = cellFigure(cellWith(100, 130, 160), 'ttft', 'p99');
    expect(shown).toMatchObject({
      value: 130,
      spread: { low: 100, high: 160, of: 'runs' },
      runs: 3,
      above: false,
      partial: false,
      unit: 'ms',
    });
    expect(figureText(shown)).toBe('130');
    expect(figureWithUnit(shown)).toBe('130 ms (100 to 160 over 3 runs)');
  });

  test('is only a lower bound when any run’s is', () => {
    const shown = cellFigure(cellWith(100, { gt: 200 }), 'ttft', 'p99');
    expect(shown).toMatchObject({ value: 150, above: true });
    expect(figureText(shown)).toBe('> 150');
  });

  test('leaves out runs that did not finish, unless there is no other, and then says so', () => {
    const cell = cellWith(100, 300);
    cell.runs[1]!.state = 'failed';
    expect(cellFigure(cell, 'ttft', 'p99')).toMatchObject({
      value: 100,
      spread: null,
      runs: 1,
      partial: false,
    });
    cell.runs[0]!.state = 'interrupted';
    const shown = cellFigure(cell, 'ttft', 'p99');
    expect(shown).toMatchObject({ value: 200, partial: true });
    expect(figureText(shown)).toBe('200†');
  });

  test('that is missing says why', () => {
    const cell = cellWith(100);
    const shown = cellFigure(cell, 'goodput', 'value');
    expect(shown.value).toBeNull();
    expect(shown.reason).not.toBe('');
    expect(figureText(shown)).toBe('–');
    expect(figureWithUnit(shown)).toBe(`– (${shown.reason})`);
    expect(cellFigure(cell, 'no_such_metric', 'p50')).toMatchObject({ value: null });
    expect(cellFigure({ ...cell, runs: [] }, 'ttft', 'p50')).toMatchObject({
      value: null,
      reason: 'no run was started',
    });
  });

  test('that is not finite is missing, not a number', () => {
    expect(cellFigure(cellWith(Number.NaN), 'ttft', 'p99').value).toBeNull();
    expect(cellFigure(cellWith({ gt: Number.POSITIVE_INFINITY }), 'ttft', 'p99').value).toBeNull();
  });

  test('asks a rate for its value only', () => {
    const run = cellWith(100).runs[0]!;
    expect(runFigure(run, 'output_tokens_per_second', 'value').value).toBeGreaterThan(0);
    expect(runFigure(run, 'output_tokens_per_second', 'p99').value).toBeNull();
    expect(runFigure(run, 'ttft', 'value').value).toBe((run.metrics['ttft'] as Distribution).mean);
  });
});

test('failures are counted over every run, finished or not', () => {
  const cell = cellWith(100, 100);
  Object.assign(cell.runs[0]!.counts, { issued: 10, ok: 8, failed: 2 });
  Object.assign(cell.runs[1]!.counts, { issued: 6, ok: 5, failed: 1 });
  cell.runs[0]!.errors = { http_500: 2 };
  cell.runs[1]!.errors = { http_500: 1 };
  cell.runs[1]!.state = 'failed';
  const counts = cellCounts(cell);
  expect(counts).toMatchObject({ issued: 16, ok: 13, failed: 3, errors: { http_500: 3 } });
  expect(failuresText(counts)).toBe('3 of 16 (18.8 %)');
});
