import { expect, test } from 'vitest';
import { cellsCsv } from '../../src/report/csv.ts';
import type { Distribution, Scalar } from '../../src/result/schema.ts';
import { resultFixture } from './fixture.ts';
import { readCsv } from './read-csv.ts';

test('one row a cell and run, with unrounded figures', () => {
  const result = resultFixture({ adapters: [0, 8], concurrency: [1], repeats: 2 });
  const rows = readCsv(cellsCsv(result));
  expect(rows.map((row) => [row['cell'], row['run'], row['at.adapters'], row['at.rank'], row['served_ranks']])).toEqual(
    [
      ['c1', '0', '0', '', ''],
      ['c1', '1', '0', '', ''],
      ['c2', '0', '8', '16', '2'],
      ['c2', '1', '8', '16', '2'],
    ],
  );
  const run = result.cells[1]!.runs[1]!;
  const ttft = run.metrics['ttft'] as Distribution;
  expect(Number(rows[3]!['ttft_p99_ms'])).toBe(ttft.p99);
  expect(Number(rows[3]!['ttft_mean_ms'])).toBe(ttft.mean);
  expect(Number(rows[3]!['ttft_count'])).toBe(ttft.count);
  expect(Number(rows[3]!['output_tokens_per_second_tokens_per_s'])).toBe(
    (run.metrics['output_tokens_per_second'] as Scalar).value,
  );
  expect(Number(rows[3]!['issued'])).toBe(run.counts.issued);
  expect(rows[3]!['state']).toBe('done');
  expect(rows[3]!['valid']).toBe('true');
});

test('columns are distinct, and the same whatever the data', () => {
  const headerOf = (text: string): string[] => text.slice(0, text.indexOf('\n')).split(',');
  const full = headerOf(cellsCsv(resultFixture({ requests: 4 })));
  expect(new Set(full).size).toBe(full.length);
  const dead = resultFixture({ requests: 4 });
  for (const { runs } of dead.cells) {
    for (const run of runs) {
      for (const [name, metric] of Object.entries(run.metrics)) {
        if (metric.unit === 'ms') run.metrics[name] = { unit: 'ms', count: 0, reason: 'every request failed' };
      }
    }
  }
  expect(headerOf(cellsCsv(dead))).toEqual(full);
  expect(readCsv(cellsCsv(dead))[0]).toMatchObject({
    ttft_p50_ms: '',
    ttft_missing: 'every request failed',
    ttft_count: '0',
  });
});

test('a lower bound is no number, and a name is no formula', () => {
  const result = resultFixture({ adapters: [0], concurrency: [1], requests: 4, model: '=HYPERLINK("http://x","a,b")' });
  (result.cells[0]!.runs[0]!.metrics['ttft'] as Distribution).p99 = { gt: 12.5 };
  (result.cells[0]!.runs[0]!.metrics['ttft'] as Distribution).min = -1.5;
  const [row] = readCsv(cellsCsv(result));
  expect(row!['ttft_p99_ms']).toBe('>12.5');
  expect(row!['at.model']).toBe('\'=HYPERLINK("http://x","a,b")');
  expect(row!['ttft_min_ms']).toBe('-1.5');
});
