/** What makes a run invalid, and each doubt that its reader is told of. */
import { describe, expect, it } from 'vitest';
import type { RequestRecord } from '../../src/result/schema.ts';
import { measureRun } from '../../src/validity/measure-run.ts';
import { cell, failed, ms, OPEN, record, type Sketch } from '../metrics/records.ts';

const FULL = 1000;

/** `count` requests one after another, 10 ms each. */
const series = (count: number, over: Sketch = {}): RequestRecord[] =>
  Array.from({ length: count }, (_, i) =>
    record({
      sentMs: 10 * i,
      chunks: [
        [4, 1],
        [10, 3],
      ],
      ...over,
    }),
  );

function judge(records: RequestRecord[], given = cell()) {
  const lastIssue = Math.max(0, ...records.map(({ sent }) => sent));
  const runEnd = Math.max(0, ...records.map(({ end }) => end));
  return measureRun(records, { cell: given, slo: null, runStart: 0, lastIssue, runEnd }).validity;
}

describe('a run without doubts', () => {
  it('is valid and says nothing', () => {
    expect(judge(series(FULL))).toEqual({
      valid: true,
      reasons: [],
      warnings: [],
      sendLagP99: null,
      clientError: null,
      inFlight: { mean: 1, asked: 1 },
      steady: 'steady',
      steadyDetail: { cutRequests: 0, metric: 'ttft', pTrend: 1, drift: 0, why: null },
    });
  });
});

describe('an invalid run', () => {
  it('has no requests, or none that succeeded', () => {
    expect(judge([])).toMatchObject({ valid: false, reasons: ['no request was issued'], warnings: [] });
    const validity = judge([failed(), failed({ error: 'connect_refused' }), failed()]);
    expect(validity).toMatchObject({
      valid: false,
      reasons: ['none of 3 requests succeeded: http_500 x 2, connect_refused x 1'],
    });
  });
});

describe('a warning', () => {
  it('counts errors and names them', () => {
    const { valid, warnings } = judge([
      ...series(FULL - 3),
      failed({ sentMs: 9970 }),
      failed({ sentMs: 9980 }),
      failed({ sentMs: 9990, error: 'http_503' }),
    ]);
    expect(valid).toBe(true);
    expect(warnings.join()).toContain('3 of 1000 requests failed (0.3%): http_500 x 2, http_503 x 1');
  });

  it('counts cancelled requests', () => {
    expect(judge([...series(FULL), record({ sentMs: 9_990, outcome: 'cancelled' })]).warnings.join()).toContain(
      '1 of 1001 requests were cancelled',
    );
  });

  it('says how late an open loop was, above 10 ms', () => {
    const late = (lag: number) =>
      judge(
        series(FULL).map((r) => ({ ...r, intended: r.sent - ms(lag) })),
        cell(OPEN),
      );
    expect(late(9)).toMatchObject({ sendLagP99: 9, warnings: [], inFlight: { asked: null } });
    const { sendLagP99, warnings } = late(11);
    expect(sendLagP99).toBe(11);
    expect(warnings).toEqual([expect.stringContaining('send lag p99 is 11.0 ms')]);
  });

  it('says where fewer requests were in flight than asked, on average or ever', () => {
    const pairs = series(FULL).flatMap((r, i) => (i < 300 ? [r, { ...r, i: FULL + i }] : [r]));
    const { warnings, inFlight } = judge(pairs, cell({ kind: 'closed', concurrency: 2 }));
    expect(inFlight.mean).toBeCloseTo(1.3, 1);
    expect(warnings).toEqual([expect.stringMatching(/1\.3 requests were in flight where 2 were asked for/)]);
    expect(judge(series(FULL), cell({ kind: 'closed', concurrency: 9 })).warnings).toEqual([
      expect.stringContaining('never steady'),
    ]);
  });

  it('says which percentiles are just the largest sample', () => {
    const of = (count: number) =>
      judge(series(count))
        .warnings.filter((w) => w.includes('too few'))
        .join();
    expect(of(5)).toContain('p90, p95, p99, p99.9');
    expect(of(20)).toContain('for p99, p99.9');
    expect(of(99)).toContain('for p99, p99.9');
    expect(of(100)).toBe('');
  });

  it('says where tokens come from a tokenizer or are unknown, and where lengths went unchecked', () => {
    const tokenized = series(FULL, { tokenSource: 'tokenizer', usage: null });
    expect(judge(tokenized).warnings).toEqual([
      expect.stringMatching(/1000 requests come from a tokenizer.* of 1000 it reports no sum.* is the model's/),
      expect.stringContaining('output length of 1000 requests could not be checked'),
    ]);
    const checked = judge(series(FULL, { tokenSource: 'tokenizer' })).warnings;
    expect(checked).toEqual([
      expect.stringMatching(/come from a tokenizer.*; its sums are those that the server reports/),
    ]);
    const unknown = judge(
      series(FULL, {
        chunks: [
          [4, null],
          [10, null],
        ],
      }),
      cell(undefined, { output: { lengths: { kind: 'fixed', tokens: 4 }, control: 'cap' } }),
    );
    expect(unknown.warnings).toEqual([expect.stringContaining('unknown in 1000 requests')]);
  });
});
