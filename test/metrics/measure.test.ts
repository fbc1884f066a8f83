/** A whole run measured: known answers for a small one, and what must hold for any. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { measure } from '../../src/metrics/measure.ts';
import { HdrHistogram } from '../../src/recorder/histogram.ts';
import { isDistribution, isUnavailable, REQUEST_ERRORS } from '../../src/result/schema.ts';
import { cell, failed, ms, OPEN, record } from './records.ts';

const closed = (concurrency: number) => cell({ kind: 'closed', concurrency });

describe('a small closed-loop run', () => {
  const chunks: [number, number][] = [
    [100, 1],
    [500, 3],
  ];
  const records = [
    record({ phase: 'warmup', sentMs: 0, chunks, adapter: 'a' }),
    record({ sentMs: 1000, chunks, adapter: 'a' }),
    record({ sentMs: 1200, chunks, adapter: null }),
    record({ sentMs: 1500, chunks, adapter: 'a' }),
    failed({ sentMs: 1700, endMs: 1900, error: 'http_503', adapter: 'b' }),
  ];
  const context = { cell: closed(2), slo: null, runStart: ms(1000), lastIssue: ms(1700), runEnd: ms(2100) };
  const got = measure(records, context);

  it('excludes warm-up and adds up', () => {
    expect(got.counts).toEqual({ issued: 4, ok: 3, failed: 1, cancelled: 0, inputTokens: 21, outputTokens: 12 });
    expect(got.errors).toEqual({ http_503: 1 });
  });

  it('is steady from when the asked concurrency is in flight to the last issue', () => {
    expect(got.window).toEqual({ from: ms(1200), to: ms(1700) });
    // Within it: 3 tokens at 1500 ms, one at 1300, one at 1600, and 3 at the very end, 1700.
    expect(got.metrics['output_tokens_per_second']).toMatchObject({ count: 8, value: 16 });
  });

  it('tells adapters apart, and the base', () => {
    expect(Object.keys(got.perAdapter)).toEqual(['(base)', 'a', 'b']);
    expect(got.perAdapter['a']).toMatchObject({ count: 2, ttft: { p50: 100 }, tpot: { count: 2 } });
    expect(got.perAdapter['b']).toMatchObject({ count: 1, ttft: { count: 0 } });
  });

  it('has a second-by-second timeline', () => {
    const { timeline } = got;
    expect(timeline).toMatchObject({ stepMs: 1000, completed: [2, 1], failed: [1, 0], outputTokens: [9, 3] });
    // 1000-1500 and 1200-1700 and 1500-2000 and 1700-1900 within the first second.
    expect(timeline.inFlight[0]).toBeCloseTo(1.7, 9);
    expect(timeline.inFlight[1]).toBe(0);
  });
});

it('a concurrency that is never reached leaves the window empty', () => {
  const got = measure([record({ sentMs: 5 })], {
    cell: closed(4),
    slo: null,
    runStart: 0,
    lastIssue: ms(5),
    runEnd: ms(20),
  });
  expect(got.window).toEqual({ from: ms(5), to: ms(5) });
  expect(isUnavailable(got.metrics['output_tokens_per_second'])).toBe(true);
  expect(isDistribution(got.metrics['ttft'])).toBe(true);
});

it('an open loop is steady from its first send', () => {
  const records = [record({ sentMs: 7 }), record({ sentMs: 30 })];
  const got = measure(records, { cell: cell(OPEN), slo: null, runStart: 0, lastIssue: ms(30), runEnd: ms(50) });
  expect(got.window).toEqual({ from: ms(7), to: ms(30) });
});

it('a run without requests has no numbers, and says so', () => {
  const got = measure([], { cell: closed(1), slo: null, runStart: 0, lastIssue: 0, runEnd: 0 });
  expect(got.counts.issued).toBe(0);
  expect(Object.values(got.metrics).every(isUnavailable)).toBe(true);
});

describe('any run', () => {
  const gap = fc.integer({ min: 0, max: 3_000_000_000 });
  const sketch = fc.record({
    sent: fc.integer({ min: 0, max: 4_000_000_000 }),
    gaps: fc.array(fc.tuple(gap, fc.integer({ min: 0, max: 4 })), { minLength: 1, maxLength: 6 }),
    outcome: fc.constantFrom('ok', 'ok', 'failed', 'cancelled'),
    phase: fc.constantFrom('measure', 'measure', 'warmup'),
    adapter: fc.constantFrom(null, 'a', 'b'),
    error: fc.constantFrom(...REQUEST_ERRORS),
  });
  const records = fc.array(sketch, { maxLength: 30 }).map((sketches) =>
    sketches.map(({ sent, gaps, outcome, phase, adapter, error }, i) => {
      let at = 0;
      const chunks = gaps.map(([after, tokens]): [number, number] => {
        at += after;
        return [at, tokens];
      });
      const base = record({ phase, adapter, outcome });
      const usage = { prompt_tokens: 3, completion_tokens: chunks.reduce((sum, [, n]) => sum + n, 0) };
      return {
        ...base,
        i,
        intended: sent,
        sent,
        chunks,
        end: sent + at,
        usage,
        error: outcome === 'failed' ? error : null,
      };
    }),
  );

  it('accounts for every request and every token, once', () => {
    fc.assert(
      fc.property(records, fc.integer({ min: 1, max: 6 }), (all, concurrency) => {
        const lastIssue = Math.max(0, ...all.map(({ sent }) => sent));
        const runEnd = Math.max(lastIssue, ...all.map(({ end }) => end));
        const got = measure(all, { cell: closed(concurrency), slo: { ttftMs: 900 }, runStart: 0, lastIssue, runEnd });
        const mine = all.filter(({ phase }) => phase === 'measure');
        const { issued, ok, failed, cancelled } = got.counts;
        expect(issued).toBe(mine.length);
        expect(ok + failed + cancelled).toBe(issued);
        expect(Object.values(got.errors).reduce((a, b) => a + b, 0)).toBe(failed);
        expect(Object.values(got.perAdapter).reduce((sum, { count }) => sum + count, 0)).toBe(issued);

        const sum = (series: number[]) => series.reduce((a, b) => a + b, 0);
        expect(sum(got.timeline.completed)).toBe(ok);
        expect(sum(got.timeline.failed)).toBe(failed);
        expect(sum(got.timeline.outputTokens)).toBe(
          sum(mine.flatMap(({ chunks }) => chunks.map(([, n]) => n as number))),
        );

        for (const [name, metric] of Object.entries(got.metrics)) {
          if (!isDistribution(metric)) continue;
          expect(HdrHistogram.decode(metric.hdr).count, name).toBe(metric.count - metric.censored);
          expect(Number.isFinite(metric.mean), name).toBe(true);
        }
        const { ttft } = got.metrics;
        if (isDistribution(ttft)) expect([ttft.count, ttft.censored]).toEqual([issued, failed + cancelled]);
        expect(JSON.parse(JSON.stringify(got.metrics))).toEqual(got.metrics);
      }),
    );
  });

  it('does not depend on the order of its records', () => {
    fc.assert(
      fc.property(records, (all) => {
        const context = { cell: closed(2), slo: null, runStart: 0, lastIssue: 3e9, runEnd: 9e9 };
        const { input: _, ...forwards } = measure(all, context);
        const { input: __, ...backwards } = measure(all.toReversed(), context);
        expect(backwards).toEqual(forwards);
      }),
      { numRuns: 30 },
    );
  });
});
