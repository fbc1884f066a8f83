import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { slowestOf } from '../../src/metrics/slowest.ts';
import type { RequestRecord } from '../../src/result/schema.ts';

const MS = 1e6;

/** @param chunks ms since it was sent */
const record = (
  i: number,
  {
    intended = 0,
    sent,
    chunks,
    end,
    failed = false,
  }: { intended?: number; sent?: number; chunks: number[]; end: number; failed?: boolean },
): RequestRecord => ({
  run: 'c1.0',
  attempt: 1,
  i,
  phase: 'measure',
  model: 'm',
  adapter: null,
  intended: intended * MS,
  sent: (sent ?? intended) * MS,
  firstByte: null,
  chunks: chunks.map((at) => [at * MS, 1]),
  end: end * MS,
  outcome: failed ? 'failed' : 'ok',
  error: failed ? 'reset_mid_stream' : null,
  usage: null,
  asked: { promptTokens: 7, outputTokens: 3 },
  finish: null,
  tokenSource: 'one_per_chunk',
  timings: null,
});

describe('the slowest requests', () => {
  test('tell where their time went, from when they should have been sent', () => {
    const [slow] = slowestOf(
      [record(4, { intended: 1000, sent: 1010, chunks: [50, 60, 95, 99], end: 1112 })],
      400 * MS,
    );
    expect(slow).toEqual({
      i: 4,
      adapter: null,
      outcome: 'ok',
      error: null,
      at: 600,
      sent: 10,
      firstByte: null,
      first: 60,
      last: 109,
      end: 112,
      promptTokens: 7,
      outputTokens: 4,
      longestGap: { from: 70, ms: 35 },
      timings: null,
    });
  });

  test('are the six that ended latest, failed ones too, and the four whose first token came latest', () => {
    const one = fc.record({
      intended: fc.integer({ min: 0, max: 500 }),
      first: fc.option(fc.integer({ min: 1, max: 300 })),
      rest: fc.integer({ min: 0, max: 300 }),
      failed: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 40 }), (all) => {
        const records = all.map(({ intended, first, rest, failed }, i) =>
          record(i, { intended, chunks: first === null ? [] : [first], end: intended + (first ?? 0) + rest, failed }),
        );
        const took = ({ end, intended }: RequestRecord) => end - intended;
        const best = (of: (r: RequestRecord) => number, among: RequestRecord[], n: number) =>
          [...among].sort((a, b) => of(b) - of(a) || a.i - b.i).slice(0, n);
        const expected = new Set([
          ...best(took, records, 6),
          ...best(
            ({ chunks }) => chunks[0]![0],
            records.filter(({ chunks }) => chunks.length > 0),
            4,
          ),
        ]);
        const found = slowestOf(records, 0);
        expect(found.map(({ i }) => i).sort()).toEqual([...expected].map(({ i }) => i).sort());
        expect(found.map(({ end }) => end)).toEqual(found.map(({ end }) => end).sort((a, b) => b - a));
      }),
    );
  });
});
