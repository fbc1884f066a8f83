import { expect, test } from 'vitest';
import { cellsCsv } from '../../src/report/csv.ts';
import { htmlReport } from '../../src/report/html/page.ts';
import { figure } from '../../src/report/numbers.ts';
import { summaryTable } from '../../src/report/terminal.ts';
import { resultFixture } from './fixture.ts';
import { readPage, tablesOf } from './html/read-page.ts';
import { readCsv } from './read-csv.ts';

const written = (value: string): string =>
  value === '' ? '–' : value.startsWith('>') ? `> ${figure(Number(value.slice(1)))}` : figure(Number(value));

test.each([
  ['as it comes', resultFixture()],
  ['with failures', resultFixture({ failing: 0.2, concurrency: [1, 4, 8] })],
  ['with goodput', resultFixture({ slo: { ttftMs: 150, itlMs: 45 }, rates: [1, 4] })],
])('HTML, CSV and terminal show the same figures %s', async (_, result) => {
  const csv = readCsv(cellsCsv(result));
  const cells = tablesOf(readPage(await htmlReport(result)).body)
    .get('Figures of every cell')!
    .slice(2);
  const terminal = summaryTable(result, { width: 200, color: false }).split('\n');
  const withGoodput = csv[0]!['goodput_requests_per_s'] !== '';
  expect(cells).toHaveLength(result.cells.length);

  for (const [i, row] of csv.entries()) {
    const latencies = ['ttft', 'itl', 'tpot'].map((metric) =>
      ['p50', 'p90', 'p99'].map((stat) => written(row[`${metric}_${stat}_ms`]!)),
    );
    const throughput = written(row['output_tokens_per_second_tokens_per_s']!);
    const figures = [
      ...latencies.flat(),
      throughput,
      ...(withGoodput ? [written(row['goodput_requests_per_s']!)] : []),
    ];
    expect(cells[i]![0]).toBe(row['cell']);
    expect(cells[i]!.slice(-figures.length - 1, -1)).toEqual(figures);

    const load = row['at.concurrency'] === '' ? `${row['at.rate']} requests/s` : `× ${row['at.concurrency']}`;
    const adapters = row['at.adapters'] === '0' ? 'base' : row['at.adapters']!;
    const shown = [
      latencies[0]![0]!,
      latencies[0]![2]!,
      latencies[1]![0]!,
      latencies[1]![2]!,
      latencies[2]![0]!,
      throughput,
    ];
    const line = terminal.find((candidate) => {
      const words = candidate.split(/\s{2,}/).filter(Boolean);
      return words[1] === adapters && words[2] === load;
    })!;
    expect(
      line
        .split(/\s{2,}/)
        .filter(Boolean)
        .slice(3, 9),
    ).toEqual(shown);
  }
});
