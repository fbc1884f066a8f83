/** A result of two targets: every cell is there twice, and nobody who reads it takes one for the other. */
import { describe, expect, it } from 'vitest';
import { cellsTable } from '../../src/report/cells-table.ts';
import { costOf } from '../../src/report/costs.ts';
import { panelsOf } from '../../src/report/panels.ts';
import { summaryTable } from '../../src/report/terminal.ts';
import { trustOf } from '../../src/report/trust.ts';
import { aiperfFiles } from '../../src/result/aiperf-files.ts';
import { pairsOf, runName } from '../../src/result/arms.ts';
import type { CellResult, Distribution, Result, RunResult } from '../../src/result/schema.ts';
import { resultFixture } from './fixture.ts';

/** The fixture's result as A, and again as B, cell beside cell; B's model has another name. */
function compared(): Result {
  const a = resultFixture({ adapters: [0, 8], concurrency: [1, 4], requests: 8, repeats: 2, standIn: null });
  const b = structuredClone(a);
  const of = (cell: CellResult, arm: 'A' | 'B'): CellResult => ({
    ...cell,
    target: arm,
    at: { ...cell.at, model: arm === 'A' ? 'base' : 'org/base' },
    runs: cell.runs.map((run, pair): RunResult => ({ ...run, arm, pair, replicate: pair })),
  });
  const info = (arm: 'A' | 'B') => ({
    ...a.targets[0]!,
    kind: 'endpoint' as const,
    id: arm,
    arm,
    url: `http://${arm}/v1`,
  });
  return {
    ...a,
    targets: [info('A'), info('B')],
    cells: a.cells.flatMap((cell, i) => [of(cell, 'A'), of(b.cells[i]!, 'B')]),
  };
}

describe('two targets in one result', () => {
  it('are one table at the end of a run, each cell right below itself', () => {
    const result = compared();
    for (const { target, runs } of result.cells) {
      for (const run of runs) (run.metrics['tpot'] as Distribution).p50 = target === 'A' ? 40 : 50;
    }
    const text = summaryTable(result, { width: 140, color: false });
    const rows = text.split('\n').flatMap((line) => {
      const words = line.trim().split(/\s{2,}/);
      return words[0] === 'A' || words[0] === 'B' ? [[words[0], words[2], words[3], words[8]]] : [];
    });
    expect(rows).toEqual([
      ['A', 'base', '× 1', '40.0'],
      ['B', 'base', '× 1', '50.0'],
      ['A', '8', '× 1', '40.0'],
      ['B', '8', '× 1', '50.0'],
      ['A', 'base', '× 4', '40.0'],
      ['B', 'base', '× 4', '50.0'],
      ['A', '8', '× 4', '40.0'],
      ['B', '8', '× 4', '50.0'],
    ]);
    expect(text.match(/adapters +load/g)).toHaveLength(1);
    expect(text).toContain('A: http://A/v1');
    expect(text).toContain('B: http://B/v1');
  });

  it('lie over each other in one chart, each line with whose it is, and cost what they cost beside their own base', () => {
    const result = compared();
    for (const { target, at, runs } of result.cells) {
      const p50 = at.adapters === 0 ? 40 : target === 'A' ? 44 : 60;
      for (const run of runs) (run.metrics['tpot'] as Distribution).p50 = p50 + (target === 'A' ? 0 : 20);
    }
    const [panel, ...others] = panelsOf(result);
    expect(others).toEqual([]);
    expect(panel!.label).toBe('');
    expect(panel!.series.map(({ label, color, cells }) => [label, color, cells.map(({ target }) => target)])).toEqual([
      ['A: base', 0, ['A', 'A']],
      ['B: base', 0, ['B', 'B']],
      ['A: 8 adapters', 1, ['A', 'A']],
      ['B: 8 adapters', 1, ['B', 'B']],
    ]);
    const costs = panel!.series.map(({ cells }) => costOf(panel!, cells[0]!, 'tpot', 'p50').ratio);
    expect(costs).toEqual([1, 1, expect.closeTo(1.1, 12), expect.closeTo(80 / 60, 12)]);
  });

  it('are one more panel where a cell was only reached on B, and every cell says whose it is', () => {
    const result = compared();
    result.cells = result.cells.filter(({ id, target }) => !(target === 'A' && (id === 'c3' || id === 'c4')));
    expect(panelsOf(result).map(({ label, series }) => [label, series.map((one) => one.label)])).toEqual([
      ['', ['A: base', 'B: base']],
      ['only on B', ['B: 8 adapters']],
    ]);
  });

  it('are told apart in the table of cells', () => {
    const result = compared();
    const { coordinates, rows } = cellsTable(result);
    expect(coordinates[0]).toBe('target');
    expect(rows.slice(0, 2).map(({ cell, coordinates }) => [cell.id, coordinates[0]])).toEqual([
      ['c1', 'A'],
      ['c1', 'B'],
    ]);
  });

  it('are told apart in every doubt', () => {
    const result = compared();
    const failing = result.cells.find(({ id, target }) => id === 'c2' && target === 'B')!;
    failing.runs[0] = { ...failing.runs[0]!, state: 'failed' };
    const { reasons } = trustOf(result);
    expect(reasons[0]).toMatch(/^c2 on B \(.*\): the run failed/);
  });

  it('are files of their own in AIPerf’s form', () => {
    const paths = aiperfFiles(compared()).map(({ path }) => path);
    expect(new Set(paths).size).toBe(paths.length);
    expect(paths.filter((path) => path.includes('profile_runs')).map((path) => path.split('/')[1])).toEqual(
      ['c1-A', 'c1-B', 'c2-A', 'c2-B', 'c3-A', 'c3-B', 'c4-A', 'c4-B'].flatMap((folder) => [folder, folder]),
    );
  });

  it('are pairs again, half ones included', () => {
    const result = compared();
    result.cells[1] = { ...result.cells[1]!, runs: result.cells[1]!.runs.slice(1) };
    const pairs = pairsOf(result.cells);
    expect(pairs).toHaveLength(8);
    expect(pairs[0]).toMatchObject({ cell: 'c1', pair: 0, a: { arm: 'A' }, b: null });
    expect(pairs[1]).toMatchObject({ cell: 'c1', pair: 1, a: { arm: 'A', pair: 1 }, b: { arm: 'B', pair: 1 } });
    expect(pairsOf(resultFixture().cells)).toEqual([]);
    expect([runName('c3', 0), runName('c3', 0, 'B')]).toEqual(['c3.0', 'c3.0.B']);
  });
});
