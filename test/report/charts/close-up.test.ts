import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { adapterRows } from '../../../src/report/charts/adapters.ts';
import { closeUpOf } from '../../../src/report/charts/close-up.ts';
import { thinnedSteps } from '../../../src/report/charts/timeline.ts';
import { partsOf } from '../../../src/report/charts/waterfall.ts';
import type { Distribution, SlowRequest } from '../../../src/result/schema.ts';
import { resultFixture } from '../fixture.ts';

const slow = (part: Partial<SlowRequest>): SlowRequest => ({
  i: 1,
  adapter: 'a',
  outcome: 'ok',
  error: null,
  at: 0,
  sent: 0,
  firstByte: null,
  first: null,
  last: null,
  end: 0,
  promptTokens: 1,
  outputTokens: 1,
  longestGap: null,
  timings: null,
  ...part,
});
const timings = (queue_ms: number, adapter_ms: number, prefill_ms: number): SlowRequest['timings'] => ({
  queue_ms,
  adapter_ms,
  adapter_tier: 'disk',
  prefill_ms,
  decode_ms: 0,
  ttft_ms: 0,
  stream_ms: 0,
});

describe('a bar of the waterfall', () => {
  test('is split by what the server says of its time', () => {
    expect(partsOf(slow({ sent: 5, first: 65, last: 100, end: 101, timings: timings(10, 20, 25) }))).toEqual([
      { part: 'sent late', from: 0, to: 5 },
      { part: 'queue', from: 5, to: 15 },
      { part: 'wait for the adapter', from: 15, to: 35 },
      { part: 'prefill', from: 35, to: 60 },
      { part: 'to the first token', from: 60, to: 65 },
      { part: 'decode', from: 65, to: 100 },
      { part: 'until it ended', from: 100, to: 101 },
    ]);
  });

  test('has parts without a hole that are never negative, whatever a server claims', () => {
    const ms = fc.double({ min: -50, max: 500, noNaN: true });
    const any = fc.record({
      sent: ms,
      first: fc.option(ms),
      last: fc.option(ms),
      end: ms,
      queue: ms,
      adapter: ms,
      prefill: ms,
    });
    fc.assert(
      fc.property(any, ({ queue, adapter, prefill, ...times }) => {
        const parts = partsOf(slow({ ...times, timings: timings(queue, adapter, prefill) }));
        let at = 0;
        for (const { from, to } of parts) {
          expect(from).toBe(at);
          expect(to).toBeGreaterThan(from);
          at = to;
        }
        expect(at).toBe(Math.max(0, times.end));
      }),
    );
  });
});

test('thinning a timeline keeps its sum, and means of what is known', () => {
  expect(thinnedSteps([1, 2, null, 4, 5], 2, 'sum')).toEqual([3, 4, 5]);
  expect(thinnedSteps([1, 2, null, null, 5], 2, 'mean')).toEqual([1.5, null, 5]);
});

test('adapters stand in the order of their median, and a bound is marked', () => {
  const run = structuredClone(resultFixture({ adapters: [4], concurrency: [4], requests: 40 }).cells[0]!.runs[0]!);
  const names = Object.keys(run.perAdapter);
  for (const [i, name] of names.entries()) (run.perAdapter[name]!.ttft as Distribution).p50 = 100 - i;
  (run.perAdapter[names[0]!]!.ttft as Distribution).p99 = { gt: 500 };
  const rows = adapterRows(run, 'ttft');
  expect(rows.map(({ name }) => name)).toEqual([...names].reverse());
  expect(rows.at(-1)).toMatchObject({ p50: 100, p99: 500, above: 'yes' });
  expect(adapterRows({ perAdapter: {} }, 'ttft')).toEqual([]);
});

test('the run that is shown at first has the most adapters at the highest load, and every run its rows', () => {
  const result = resultFixture({ repeats: 2 });
  const closeUp = closeUpOf(result)!;
  expect(closeUp.data.shown).toEqual({ cell: 'c8', run: 0 });
  for (const { runs } of closeUp.data.cells) {
    expect(runs).toHaveLength(2);
    for (const { rows, labels } of runs) {
      for (const key of ['tokens', 'flight', 'ended', 'waterfall']) {
        expect(rows[key]!.length).toBeGreaterThan(0);
        expect(labels[key]!.length).toBeGreaterThan(20);
      }
    }
  }
  const old = structuredClone(result);
  for (const { runs } of old.cells) for (const run of runs) delete run.slowest;
  expect(closeUpOf(old)!.data.cells[0]!.runs[0]!.rows['waterfall']).toEqual([]);
  expect(closeUpOf({ ...result, cells: [] })).toBeNull();
});
