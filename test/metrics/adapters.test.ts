/** The worst adapter beside the median one, and fairness between adapters: worked by hand. */
import { describe, expect, it } from 'vitest';
import { adapterFairness } from '../../src/metrics/adapter-fairness.ts';
import { tpotWorstAdapter } from '../../src/metrics/tpot-worst-adapter.ts';
import { ttftWorstAdapter } from '../../src/metrics/ttft-worst-adapter.ts';
import type { RequestRecord } from '../../src/result/schema.ts';
import { failed, input, record } from './records.ts';

/** `count` requests of 5 tokens: the first after `first` ms, then one every `gap`. */
const served = (adapter: string | null, first: number, gap: number, count = 20): RequestRecord[] =>
  Array.from({ length: count }, (_, i) =>
    record({
      adapter,
      // The median is the 10th of 20: half a millisecond about it changes nothing.
      chunks: Array.from({ length: 5 }, (__, k) => [first + (i - (count / 2 - 1)) * 0.05 + k * gap, 1]),
    }),
  );

const THREE = [...served('a', 10, 4), ...served('b', 20, 5), ...served('c', 50, 15)];

describe('the worst adapter', () => {
  it('is its median over the median of the medians', () => {
    expect(ttftWorstAdapter.compute(input(THREE))).toEqual({ unit: '×', count: 3, value: 2.5 });
    expect(tpotWorstAdapter.compute(input(THREE))).toMatchObject({ unit: '×', count: 3, value: expect.closeTo(3, 6) });
  });

  it('is among those with 20 requests, and the base model is none', () => {
    const more = [...THREE, ...served('d', 900, 90, 19), ...served(null, 900, 90)];
    expect(ttftWorstAdapter.compute(input(more))).toEqual({ unit: '×', count: 3, value: 2.5 });
    expect(tpotWorstAdapter.compute(input(more))).toMatchObject({ count: 3 });
  });

  it('is of steady requests only', () => {
    const steady = THREE.filter(({ adapter }) => adapter !== 'c');
    // Of two the median is the smaller one.
    expect(ttftWorstAdapter.compute(input(THREE, { steady }))).toEqual({ unit: '×', count: 2, value: 2 });
  });

  it('is not computed from survivors', () => {
    const failing = [
      ...served('a', 10, 4),
      ...served('b', 1, 1, 9),
      ...Array.from({ length: 11 }, () => failed({ adapter: 'b' })),
    ];
    expect(ttftWorstAdapter.compute(input(failing))).toEqual({
      unit: '×',
      count: 0,
      reason: 'an adapter’s median falls among requests that failed',
    });
  });

  it('needs two to compare, and tokens', () => {
    expect(ttftWorstAdapter.compute(input(served('a', 1, 1)))).toMatchObject({
      reason: 'there are not two adapters to compare',
    });
    const few = [...served('a', 1, 1), ...served('b', 1, 1, 10)];
    expect(ttftWorstAdapter.compute(input(few))).toMatchObject({ reason: 'fewer than two adapters have 20 requests' });
    const unknown = THREE.map((one) => ({
      ...one,
      usage: null,
      chunks: one.chunks.map(([at]): [number, null] => [at, null]),
    }));
    expect(tpotWorstAdapter.compute(input(unknown))).toMatchObject({
      count: 0,
      reason: expect.stringContaining('unknown'),
    });
  });
});

describe('adapter_fairness', () => {
  /** `count` requests of 10 tokens in `ms` each. */
  const at = (adapter: string | null, ms: number, count = 20) =>
    Array.from({ length: count }, () => record({ adapter, chunks: [[1, 10]], endMs: ms }));

  it('is 1 where all are served alike, however often each is asked for', () => {
    const got = adapterFairness.compute(input([...at('a', 10), ...at('b', 10, 60), ...at('c', 10, 100)]));
    expect(got).toEqual({ unit: 'ratio', count: 3, value: expect.closeTo(1, 12) });
  });

  it("is Jain's index of their speeds", () => {
    // Tokens per ms: 1, 1, 2: (1 + 1 + 2)² / (3 (1 + 1 + 4)).
    const got = adapterFairness.compute(input([...at('a', 10), ...at('b', 10), ...at('c', 5), ...at(null, 1)]));
    expect(got).toMatchObject({ count: 3, value: expect.closeTo(16 / 18, 12) });
  });

  it('counts the time of requests that failed, but none of their tokens', () => {
    const starved = Array.from({ length: 20 }, () => failed({ adapter: 'b', endMs: 10, chunks: [[1, 10]] }));
    expect(adapterFairness.compute(input([...at('a', 10), ...starved]))).toMatchObject({ count: 2, value: 0.5 });
    expect(
      adapterFairness.compute(input([...starved, ...starved.map((one) => ({ ...one, adapter: 'c' }))])),
    ).toMatchObject({
      count: 0,
      reason: 'no request for an adapter succeeded',
    });
  });

  it('needs two with 20 requests each', () => {
    expect(adapterFairness.compute(input(at('a', 10)))).toMatchObject({
      reason: 'there are not two adapters to compare',
    });
    expect(adapterFairness.compute(input([...at('a', 10), ...at('b', 10, 19)]))).toMatchObject({
      reason: 'fewer than two adapters have 20 requests',
    });
  });
});
