/** How sure percentiles are: known answers, what is not promised, and whether what is promised holds. */
import { describe, expect, it } from 'vitest';
import { distributionOf } from '../../src/metrics/distribution.ts';
import { type Samples, samplesOf } from '../../src/metrics/samples.ts';
import { ADAPTER_DIGITS } from '../../src/recorder/histogram.ts';
import type { Distribution } from '../../src/result/schema.ts';
import { firstOrder, normal, randomOf } from '../stats/series.ts';
import { samplesFrom } from './records.ts';

const of = (samples: Samples): Distribution => distributionOf(samples, { unit: 'tokens', per: 1 }) as Distribution;
/** 1 to n in van der Corput's order (bits backwards), in which no two neighbours are on one side of anything for long. */
function shuffled(n: number): number[] {
  const backwards = (i: number) => Number.parseInt(i.toString(2).padStart(16, '0').split('').reverse().join(''), 2);
  const order = Array.from({ length: n }, (_, i) => i).sort((a, b) => backwards(a) - backwards(b));
  const values = new Array<number>(n);
  for (const [rank, i] of order.entries()) values[i] = rank + 1;
  return values;
}

describe('intervals', () => {
  it('are order statistics of independent samples', () => {
    const d = of(samplesFrom(shuffled(2000)));
    expect(d.nEff).toBe(2000);
    // The ranks that scipy's binomial gives for 2,000 (test/golden/statistics.json); the values are their own ranks.
    expect(d.intervals).toMatchObject({ p95: [1874, 1925], p99: [1968, 1991], p999: null });
    expect(d.ci99).toEqual([1968, 1991]);
  });

  it('come in the unit of the percentile', () => {
    const ns = shuffled(1000).map((value) => value * 1e6);
    expect(distributionOf(samplesFrom(ns), { unit: 'ms', per: 1e6 })).toMatchObject({
      p50: 500,
      intervals: { p50: [459, 542] },
    });
  });

  it('are of the p99 alone for an adapter, of which there may be hundreds', () => {
    const d = distributionOf(samplesFrom(shuffled(2000)), { unit: 'tokens', per: 1, digits: ADAPTER_DIGITS });
    expect(d).toMatchObject({ ci99: [1968, 1991] });
    expect(d).not.toHaveProperty('intervals');
  });

  it('are wider where neighbours are alike, or none', () => {
    const z = firstOrder(2000, 0.9, randomOf(51)).map((value) => Math.round(1000 * Math.exp(0.3 * value)));
    const alike = of(samplesFrom(z));
    const mixed = of(samplesFrom(shuffled(2000).map((i) => z[i - 1] as number)));
    expect(alike.p50).toBe(mixed.p50);
    expect(alike.nEff).toBeLessThan(mixed.nEff / 2);
    const width = ({ intervals }: Distribution) => intervals!.p50![1] - intervals!.p50![0];
    expect(width(alike)).toBeGreaterThan(2 * width(mixed));
  });

  it('are null with too few samples, or fewer than 50 requests', () => {
    expect(of(samplesFrom(shuffled(527))).ci99).toBeNull();
    expect(of(samplesFrom(shuffled(600))).ci99).toEqual([expect.any(Number), 600]);
    expect(of(samplesFrom(shuffled(49))).intervals).toEqual({ p50: null, p90: null, p95: null, p99: null, p999: null });
    expect(of(samplesFrom(shuffled(50))).intervals!.p50).toEqual([16, 35]);
    const tokens = samplesOf(shuffled(49), (i, into) => {
      for (let k = 0; k < 100; k++) into.see(i * 100 + k);
    });
    expect(of(tokens)).toMatchObject({ count: 4900, intervals: { p50: null } });
  });

  it('are null where an end is only a lower bound', () => {
    // 2,000 samples, of which 1% and 5% were never seen: the p99 lies among them, or its upper end does.
    const censored = (unseen: number) =>
      of(samplesOf(shuffled(2000), (i, into) => (i <= 2000 - unseen ? into.see(i) : into.censor(0))));
    expect(censored(9).ci99).toEqual([1968, 1991]);
    expect(censored(10).ci99).toBeNull();
    expect(censored(10).p99).toBe(1980);
    expect(censored(100)).toMatchObject({
      ci99: null,
      p99: { gt: expect.any(Number) },
      intervals: { p90: [1765, 1835] },
    });
  });

  it('count samples of one request as that request where they are alike', () => {
    const requests = shuffled(400);
    const alike = of(
      samplesOf(requests, (i, into) => {
        for (let k = 0; k < 50; k++) into.see(i);
      }),
    );
    expect(alike.count).toBe(20_000);
    expect(alike.nEff).toBeLessThanOrEqual(401);
    const random = randomOf(52);
    const mixed = of(
      samplesOf(requests, (_, into) => {
        for (let k = 0; k < 50; k++) into.see(random());
      }),
    );
    expect(mixed.nEff).toBeGreaterThan(15_000);
  });

  it('say nothing where nothing lies above', () => {
    expect(of(samplesFrom(new Array<number>(1000).fill(5)))).toMatchObject({ nEff: 1000, ci99: null });
  });
});

describe('over many runs of one server', () => {
  const RUNS = 120;
  const P99 = 2.3263478740408408;

  /** Of the runs: how many have an interval of the p99, and how many of these do not hold it. */
  function misses(make: (random: () => number) => Samples, truth: number): { exist: number; wrong: number } {
    const random = randomOf(53);
    let [exist, wrong] = [0, 0];
    for (let run = 0; run < RUNS; run++) {
      const { ci99 } = of(make(random));
      if (ci99 === null) continue;
      exist++;
      if (ci99[0] > truth || truth > ci99[1]) wrong++;
    }
    return { exist, wrong };
  }

  const scaled = (z: number) => Math.round(1e6 * Math.exp(0.5 * z));

  it.each([
    [0, 2000, 1],
    [0.5, 2000, 0.9],
    [0.9, 8000, 0.9],
  ])('the interval holds the p99: correlation %d, %i requests', (rho, n, share) => {
    const { exist, wrong } = misses((random) => samplesFrom(firstOrder(n, rho, random).map(scaled)), scaled(P99));
    expect(exist).toBeGreaterThanOrEqual(share * RUNS);
    expect(wrong).toBeLessThanOrEqual(0.04 * RUNS);
  });

  it('also that of tokens, whose requests differ', () => {
    const spread = Math.sqrt(0.5);
    const tokens = (random: () => number) =>
      samplesOf(
        Array.from({ length: 400 }, () => normal(random)),
        (request, into) => {
          for (let k = 0; k < 30; k++) into.see(scaled(spread * request + spread * normal(random)));
        },
      );
    const { exist, wrong } = misses(tokens, scaled(P99));
    expect(exist).toBeGreaterThan(0.9 * RUNS);
    expect(wrong).toBeLessThanOrEqual(0.04 * RUNS);
  });
});
