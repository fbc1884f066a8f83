import { expect, test } from 'vitest';
import { cellsCsv } from '../../src/report/csv.ts';
import { htmlReport } from '../../src/report/html/page.ts';
import { figure, ratioText } from '../../src/report/numbers.ts';
import { summaryTable } from '../../src/report/terminal.ts';
import { resultFixture } from './fixture.ts';
import { readPage, tablesOf, unescapeHtml } from './html/read-page.ts';
import { readCsv } from './read-csv.ts';

const written = (value: string): string =>
  value === '' ? '–' : value.startsWith('>') ? `> ${figure(Number(value.slice(1)))}` : figure(Number(value));

const times = (value: string): string =>
  value.startsWith('>') ? `> ${ratioText(Number(value.slice(1)))}` : ratioText(Number(value));
const costIn = (row: Record<string, string>): string =>
  row['cell_cost_tpot_p50'] === '' ? '–' : times(row['cell_cost_tpot_p50']!);
const intervalIn = (row: Record<string, string>): string =>
  row['cell_cost_tpot_p50_low'] === ''
    ? '–'
    : `${times(row['cell_cost_tpot_p50_low']!)} to ${times(row['cell_cost_tpot_p50_high']!)}`.replaceAll('×', '');

test.each([
  ['as it comes', resultFixture()],
  ['with failures', resultFixture({ failing: 0.2, concurrency: [1, 4, 8] })],
  ['with goodput', resultFixture({ slo: { ttftMs: 150, itlMs: 45 }, rates: [1, 4] })],
])('HTML, CSV and terminal show the same figures %s', async (_, result) => {
  const csv = readCsv(cellsCsv(result));
  const page = readPage(await htmlReport(result)).body;
  const cells = tablesOf(page).get('Figures of every cell')!.slice(2);
  const terminal = summaryTable(result, { width: 200, color: false }).split('\n');
  const withGoodput = csv[0]!['goodput_requests_per_s'] !== '';
  expect(cells).toHaveLength(result.cells.length);
  const costs = new Map<string, string>();
  const titles = new Map(
    page.split('<tr>').flatMap((line): [string, string][] => {
      const id = /^<th scope="row"><a href="#cell-[^"]*">([^<]*)</.exec(line)?.[1];
      const title = /title="(TPOT p50 [^"]*× base[^"]*)"/.exec(line)?.[1];
      return id === undefined || title === undefined ? [] : [[id, unescapeHtml(title)]];
    }),
  );

  for (const [i, row] of csv.entries()) {
    const latencies = ['ttft', 'itl', 'tpot'].map((metric) =>
      ['p50', 'p90', 'p99'].map((stat) => written(row[`${metric}_${stat}_ms`]!)),
    );
    const throughput = written(row['output_tokens_per_second_tokens_per_s']!);
    const figures = [
      ...latencies.flat(),
      throughput,
      ...(withGoodput ? [written(row['goodput_requests_per_s']!)] : []),
      costIn(row),
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
    const words = line.split(/\s{2,}/).filter(Boolean);
    expect(words.slice(3, 9)).toEqual(shown);
    expect(words[9]).toBe(costIn(row));
    // Where no cost has an interval there is no column for it.
    if (terminal.some((text) => / interval /.test(text))) expect(words[10]).toBe(intervalIn(row));
    else expect(intervalIn(row)).toBe('–');
    if (row['at.adapters'] !== '0') {
      const load = Number(row['at.concurrency'] || row['at.rate']);
      costs.set(`${adapters} ${load}`, costIn(row));
      expect(titles.get(row['cell']!)).toContain(
        row['cell_cost_tpot_p50_low'] === ''
          ? `TPOT p50 ${costIn(row)}`
          : figure(Number(row['cell_cost_tpot_p50_low'])),
      );
    }
  }

  // The card of TPOT says the same for the largest count, load by load.
  const largest = Math.max(...result.cells.map(({ at }) => at.adapters));
  const card = /<article class="card"><h3>TPOT with[\s\S]*?<\/article>/.exec(page)![0];
  const lines = [...card.matchAll(/<tr><th scope="row">([^<]*)<\/th><td>([^<]*)<\/td>/g)];
  expect(lines.length).toBeGreaterThan(1);
  for (const [, load, cost] of lines) expect(cost!.replace('&gt;', '>')).toBe(costs.get(`${largest} ${load}`));
});

test('costs of several runs lie in the same interval everywhere', async () => {
  const result = resultFixture({ repeats: 3, concurrency: [4], adapters: [0, 8] });
  const row = readCsv(cellsCsv(result)).at(-1)!;
  const [ratio, interval] = [costIn(row), intervalIn(row)];
  const page = readPage(await htmlReport(result)).body;
  const terminal = summaryTable(result, { width: 200, color: false });
  expect(interval).toMatch(/^\d\.\d\d to \d\.\d\d$/);
  expect(terminal).toContain(`${ratio}  ${interval}`);
  expect(terminal).toContain('interval: 95 %, by 3 pairs of runs.');
  expect(page).toContain(
    `<p class="figure">${ratio}</p><p class="interval">${interval}×: 95 % interval, 3 pairs of runs</p>`,
  );
  // Runs of one cell have one cost: that of the cell.
  const rows = readCsv(cellsCsv(result)).filter((one) => one['at.adapters'] === '8');
  expect(rows).toHaveLength(3);
  for (const one of rows) expect(costIn(one)).toBe(ratio);
});
