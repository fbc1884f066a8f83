import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PlannedAdapter, Popularity } from '../../src/plan/plan.ts';
import { planOf } from '../../src/plan/plan-of.ts';
import { expectedTouched, popularityShares } from '../../src/plan/shares.ts';
import { popularityOf } from '../../src/workload/popularity.ts';
import { rngOf } from '../../src/workload/rng.ts';
import { scenarioWith } from '../plan/scenario-text.ts';

const adaptersOf = (n: number): PlannedAdapter[] =>
  Array.from({ length: n }, (_, i) => ({ name: `a${i + 1}`, rank: 8, servedRank: 8, kind: 'lora', seed: i }));

function drawn(popularity: Popularity, n: number, requests: number, baseShare = 0, seed = 1): (string | null)[] {
  const streams = { adapter: rngOf(seed, 'adapters'), base: rngOf(seed, 'base share') };
  const next = popularityOf({ adapters: adaptersOf(n), popularity, baseShare }, streams);
  return Array.from({ length: requests }, next);
}

const frequencies = (names: (string | null)[], n: number) =>
  adaptersOf(n).map(({ name }) => names.filter((one) => one === name).length / names.length);

test('zipf: the k-th adapter is asked for in proportion to 1/k^s', () => {
  const requests = 40_000;
  const popularity: Popularity = { kind: 'zipf', s: 1.5 };
  const total = [1, 2, 3, 4, 5, 6].reduce((sum, k) => sum + k ** -1.5, 0);
  const found = frequencies(drawn(popularity, 6, requests), 6);
  found.forEach((share, i) => {
    const expected = (i + 1) ** -1.5 / total;
    expect(popularityShares(popularity, adaptersOf(6))[i]).toBeCloseTo(expected, 12);
    expect(Math.abs(share - expected)).toBeLessThan(4 * Math.sqrt((expected * (1 - expected)) / requests));
  });
});

test('uniform and weights have their shares; an adapter without weight gets nothing', () => {
  const requests = 20_000;
  for (const share of frequencies(drawn({ kind: 'uniform' }, 4, requests), 4)) expect(share).toBeCloseTo(0.25, 1);
  const weights = frequencies(drawn({ kind: 'weights', weights: { a3: 1, a1: 3 } }, 4, requests), 4);
  expect(weights[0]).toBeCloseTo(0.75, 1);
  expect(weights[2]).toBeCloseTo(0.25, 1);
  expect([weights[1], weights[3]]).toEqual([0, 0]);
});

test('round_robin goes in order, identical stays with the first', () => {
  expect(drawn({ kind: 'round_robin' }, 3, 7)).toEqual(['a1', 'a2', 'a3', 'a1', 'a2', 'a3', 'a1']);
  expect(drawn({ kind: 'identical' }, 3, 3)).toEqual(['a1', 'a1', 'a1']);
});

test('distinct: every round holds each adapter once, in an order of its own', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), fc.nat(), (n, seed) => {
      const names = drawn({ kind: 'distinct' }, n, 5 * n, 0, seed);
      for (let round = 0; round < 5; round++) {
        expect(new Set(names.slice(round * n, (round + 1) * n)).size).toBe(n);
      }
    }),
  );
  const names = drawn({ kind: 'distinct' }, 8, 16);
  expect(names.slice(0, 8)).not.toEqual(names.slice(8));
});

describe('the base', () => {
  test('gets its share', () => {
    const requests = 20_000;
    const base = drawn({ kind: 'uniform' }, 4, requests, 0.3).filter((name) => name === null).length / requests;
    expect(Math.abs(base - 0.3)).toBeLessThan(4 * Math.sqrt((0.3 * 0.7) / requests));
  });

  test('never disturbs the order of the adapters', () => {
    const shared = drawn({ kind: 'distinct' }, 4, 200, 0.4).filter((name) => name !== null);
    expect(shared).toEqual(drawn({ kind: 'distinct' }, 4, shared.length));
  });

  test('gets everything where there are no adapters, or all of the share', () => {
    expect(drawn({ kind: 'uniform' }, 0, 3)).toEqual([null, null, null]);
    expect(drawn({ kind: 'uniform' }, 2, 50, 1)).toEqual(Array(50).fill(null));
    expect(drawn({ kind: 'uniform' }, 2, 50, 0)).not.toContain(null);
  });
});

test('thousands of adapters: every draw has a share, also at the edges of rounding', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 3000 }),
      fc.double({ min: 0.1, max: 4, noNaN: true }),
      fc.nat(),
      (n, s, seed) => {
        const names = drawn({ kind: 'zipf', s }, n, 20, 0, seed);
        expect(names.every((name) => typeof name === 'string')).toBe(true);
      },
    ),
    { numRuns: 30 },
  );
});

test('the number of adapters a run is expected to touch is what runs touch', () => {
  const adapters = { rank: 8, count: 12, popularity: ['uniform', 'zipf(1)'], base_share: 0.2 };
  const scenario = scenarioWith({ adapters, measure: { requests: 20 } });
  for (const cell of planOf(scenario, { kind: 'engine', software: false, deviceName: 'x' }).cells) {
    const runs = Array.from({ length: 500 }, (_, seed) => {
      const streams = { adapter: rngOf(seed, 'adapters'), base: rngOf(seed, 'base share') };
      const next = popularityOf(cell, streams);
      return new Set(Array.from({ length: 20 }, next).filter((name) => name !== null)).size;
    });
    const mean = runs.reduce((sum, touched) => sum + touched, 0) / runs.length;
    expect(Math.abs(mean - expectedTouched(cell, 20))).toBeLessThan(0.3);
  }
});
