/** Where adapters were loaded while requests waited, every form of the report says so; elsewhere none does. */
import { describe, expect, it } from 'vitest';
import { cellsTable } from '../../src/report/cells-table.ts';
import { percentileGroups } from '../../src/report/charts/percentiles.ts';
import { cellsCsv } from '../../src/report/csv.ts';
import { panelsOf } from '../../src/report/panels.ts';
import { summaryTable } from '../../src/report/terminal.ts';
import { resultFixture } from './fixture.ts';
import { readCsv } from './read-csv.ts';

const OPTIONS = { adapters: [0, 8], concurrency: [1, 4], requests: 24 };
const warm = resultFixture({ ...OPTIONS, coldEvery: 1000 });
const cold = resultFixture({ ...OPTIONS, coldEvery: 3 });
const silent = resultFixture(OPTIONS);

const titles = (result: typeof cold) => cellsTable(result).groups.map(({ title }) => title);
const charts = (result: typeof cold) => percentileGroups(panelsOf(result)[0]!).map(({ title }) => title);

describe('cold starts', () => {
  it('have columns in the table of cells, with reasons where a figure is missing', () => {
    expect(titles(cold)).toEqual([
      'TTFT',
      'ITL',
      'TPOT',
      'TTFT cold',
      'TTFT warm',
      'adapter load',
      'throughput',
      'cost',
    ]);
    const { rows, groups } = cellsTable(cold);
    for (const row of rows) expect(row.figures).toHaveLength(groups.length);
    const load = (row: (typeof rows)[number]) => row.figures[titles(cold).indexOf('adapter load')]![0]!;
    expect(rows.filter(({ cell }) => cell.at.adapters === 8).map((row) => load(row).text)).toEqual(['50.0', '50.0']);
    const base = rows.find(({ cell }) => cell.at.adapters === 0)!;
    expect(load(base).title).toContain('no request had an adapter to wait for');
  });

  it('have charts', () => {
    expect(charts(cold).join()).toContain('cold adapter (TTFT cold)');
    expect(charts(cold).join()).toContain('Wait for a cold adapter');
  });

  it('have columns in the summary and in cells.csv', () => {
    const text = summaryTable(cold, { width: 160, color: false });
    expect(text).toMatch(/cold p50 +load p50/);
    expect(text).toContain('their wait for it.');
    const rows = readCsv(cellsCsv(cold));
    const loads = rows.filter((row) => row['at.adapters'] === '8').map((row) => row['adapter_load_p50_ms']);
    expect(loads).toEqual(['50', '50']);
    expect(rows[0]).toMatchObject({ adapter_load_missing: 'no request had an adapter to wait for' });
  });

  it.each([
    ['all are warm', warm],
    ['the server says nothing', silent],
  ])('are not mentioned where %s', (_, result) => {
    expect(titles(result)).toEqual(['TTFT', 'ITL', 'TPOT', 'throughput', 'cost']);
    expect(charts(result).join()).not.toContain('adapter');
    expect(summaryTable(result, { width: 160, color: false })).not.toContain('cold');
  });
});
