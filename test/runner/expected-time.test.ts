import { describe, expect, it } from 'vitest';
import type { RequestRecord } from '../../src/result/schema.ts';
import { ExpectedTime, PairTime } from '../../src/runner/expected-time.ts';
import { planFor } from './plan-for.ts';

const MS = 1e6;

/** A request whose first token took `first` ms and the others `each`. */
const record = (first: number, each: number, tokens: number, over: Partial<RequestRecord> = {}): RequestRecord => ({
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
  ...over,
});

/** One of a run, not of a warm-up. */
const measured = (first: number, each: number, promptTokens = 8): RequestRecord =>
  record(first, each, 4, { phase: 'measure', asked: { promptTokens, outputTokens: 4 } });

const cellWith = (...set: string[]) => planFor('http://127.0.0.1:1/v1', set).cells[0]!;

describe('ExpectedTime', () => {
  it('knows nothing at first', () => {
    expect(new ExpectedTime().of(cellWith())).toBe(0);
  });

  it('reaches from a warm-up of 2 tokens to answers of 100', () => {
    const expected = new ExpectedTime();
    expected.learn(cellWith(), [record(50, 10, 2), record(52, 10, 2), record(900, 80, 2)]);
    expect(expected.of(cellWith('output.tokens=100'))).toBe((52 + 99 * 10) * MS);
    expect(expected.of(cellWith('output.tokens={uniform: {min: 50, max: 150}}'))).toBe((52 + 99 * 10) * MS);
  });

  it('takes the latest, and keeps what it knows when nothing succeeded', () => {
    const expected = new ExpectedTime();
    expected.learn(cellWith(), [record(50, 10, 2)]);
    expected.learn(cellWith(), [record(20, 5, 4)]);
    expected.learn(cellWith(), [{ ...record(1, 1, 2), outcome: 'failed' }]);
    expect(expected.of(cellWith('output.tokens=3'))).toBe((20 + 2 * 5) * MS);
  });

  it('never takes more than half of a run that ends by time, or half a minute', () => {
    const expected = new ExpectedTime();
    expected.learn(cellWith(), [record(5_000, 1_000, 2)]);
    expect(expected.of(cellWith('output.tokens=100', 'measure.requests=10s'))).toBe(5_000 * MS);
    expect(expected.of(cellWith('output.tokens=100'))).toBe(30_000 * MS);
  });

  it('reaches from a warm-up of 8 tokens to long prompts: what is not a decode step grows with them', () => {
    const expected = new ExpectedTime();
    expected.learn(cellWith(), [record(50, 10, 2)]);
    expect(expected.of(cellWith('prompt.tokens=80', 'output.tokens=1'))).toBeCloseTo((10 + 10 * 40) * MS);
  });

  it('keeps what real requests taught, whatever a later warm-up says', () => {
    const expected = new ExpectedTime();
    const cell = cellWith('prompt.tokens=200', 'output.tokens=11');
    expected.learn(cell, [record(5, 1, 2)]);
    expected.learn(cell, [measured(300, 20, 200)]);
    expected.learn(cell, [record(5, 1, 2)]);
    expect(expected.of(cell)).toBeCloseTo((300 + 10 * 20) * MS);
  });

  it('prefers the same cell, then the most similar one', () => {
    const expected = new ExpectedTime();
    const sweep = planFor('http://127.0.0.1:1/v1', ['load.concurrency=[1,16,32]', 'output.tokens=2']).cells;
    const [one, sixteen, thirtyTwo] = sweep;
    expected.learn(sixteen!, [measured(160, 16)]);
    expected.learn(one!, [measured(10, 1)]);
    expect(expected.of(one!)).toBeCloseTo(11 * MS);
    expect(expected.of(sixteen!)).toBeCloseTo(176 * MS);
    expect(expected.of(thirtyTwo!)).toBeCloseTo(176 * MS);
  });
});

describe('PairTime', () => {
  it('has the second run of a pair go by what the first went by, and the next pair by all that was learnt', () => {
    const expected = new ExpectedTime();
    const cell = cellWith('output.tokens=2');
    const pair = new PairTime(expected);
    pair.learn(cell, [record(50, 10, 2)]);
    expect(pair.of(cell)).toBeCloseTo(60 * MS);
    pair.learn(cell, [measured(500, 100)]);
    pair.hold();
    expect(pair.of(cell)).toBeCloseTo(60 * MS);
    expect(new PairTime(expected).of(cell)).toBeCloseTo(600 * MS);
  });

  it('is not held by a first run that knew nothing', () => {
    const expected = new ExpectedTime();
    const cell = cellWith('output.tokens=2');
    const pair = new PairTime(expected);
    expect(pair.of(cell)).toBe(0);
    pair.hold();
    pair.learn(cell, [record(50, 10, 2)]);
    expect(pair.of(cell)).toBeCloseTo(60 * MS);
  });
});
