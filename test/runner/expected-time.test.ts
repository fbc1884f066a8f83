import { describe, expect, it } from 'vitest';
import type { RequestRecord } from '../../src/result/schema.ts';
import { ExpectedTime } from '../../src/runner/expected-time.ts';
import { planFor } from './plan-for.ts';

const MS = 1e6;

/** A request whose first token took `first` ms and the others `each`. */
const record = (first: number, each: number, tokens: number): RequestRecord => ({
  run: 'c1.0',
  attempt: 1,
  i: 0,
  phase: 'warmup',
  model: 'base',
  adapter: null,
  intended: 0,
  sent: 0,
  firstByte: 0,
  chunks: Array.from({ length: tokens }, (_, i) => [(first + i * each) * MS, 1]),
  firstOutput: null,
  end: 0,
  outcome: 'ok',
  error: null,
  usage: { prompt_tokens: 8, completion_tokens: tokens },
  asked: { promptTokens: 8, outputTokens: tokens },
  finish: 'length',
  tokenSource: 'continuous_usage',
  timings: null,
});

const cellWith = (...set: string[]) => planFor('http://127.0.0.1:1/v1', set).cells[0]!;

describe('ExpectedTime', () => {
  it('knows nothing at first', () => {
    expect(new ExpectedTime().of(cellWith())).toBe(0);
  });

  it('reaches from a warm-up of 2 tokens to answers of 100', () => {
    const expected = new ExpectedTime();
    expected.learn([record(50, 10, 2), record(52, 10, 2), record(900, 80, 2)]);
    expect(expected.of(cellWith('output.tokens=100'))).toBe((52 + 99 * 10) * MS);
    expect(expected.of(cellWith('output.tokens={uniform: {min: 50, max: 150}}'))).toBe((52 + 99 * 10) * MS);
  });

  it('takes the latest, and keeps what it knows when nothing succeeded', () => {
    const expected = new ExpectedTime();
    expected.learn([record(50, 10, 2)]);
    expected.learn([record(20, 5, 4)]);
    expected.learn([{ ...record(1, 1, 2), outcome: 'failed' }]);
    expect(expected.of(cellWith('output.tokens=3'))).toBe((20 + 2 * 5) * MS);
  });

  it('never takes more than half of a run that ends by time, or half a minute', () => {
    const expected = new ExpectedTime();
    expected.learn([record(5_000, 1_000, 2)]);
    expect(expected.of(cellWith('output.tokens=100', 'measure.requests=10s'))).toBe(5_000 * MS);
    expect(expected.of(cellWith('output.tokens=100'))).toBe(30_000 * MS);
  });
});
