/** MSER's cuts against an implementation from its definition, and what is promised of warm-ups that are known. */
import { describe, expect, it } from 'vitest';
import { batchesOf } from '../../src/stats/batch-means.ts';
import { mserCut, warmUpOf } from '../../src/stats/warm-up.ts';
import { firstOrder, golden, randomOf } from './series.ts';

describe('mserCut', () => {
  it.each(golden.cuts)('agrees with numpy: $name', ({ series, cut }) => {
    expect(mserCut(batchesOf(series, 5))).toBe(cut);
  });

  it('cuts nothing where nothing varies, and at most half', () => {
    expect(mserCut([3, 3, 3, 3, 3, 3])).toBe(0);
    expect(mserCut([])).toBe(0);
    const falling = Array.from({ length: 10 }, (_, i) => 10 - i + (i > 6 ? 100 : 0));
    expect(mserCut(falling)).toBeLessThanOrEqual(5);
  });
});

/** 2,000 logarithms of latencies that spread by 0.3, the first `warm` of them twice as long. */
const stepped = (warm: number, rho: number, random: () => number): number[] =>
  firstOrder(2000, rho, random).map((z, i) => 0.3 * z + (i < warm ? Math.log(2) : 0));

const quantile = (values: number[], p: number): number =>
  values.sort((a, b) => a - b)[Math.ceil(p * values.length) - 1] as number;

describe('warmUpOf', () => {
  it.each([0, 0.5, 0.9])('finds a step of 200 in 2,000 at correlation %d', (rho) => {
    const random = randomOf(21);
    const cuts = Array.from({ length: 60 }, () => warmUpOf(stepped(200, rho, random)).cut);
    expect(quantile(cuts, 0.5)).toBe(200);
    expect(quantile(cuts, 0.1)).toBeGreaterThanOrEqual(150);
    expect(quantile(cuts, 0.9)).toBeLessThanOrEqual(270);
  });

  it.each([0, 0.5, 0.9])('cuts nothing where there is no warm-up at correlation %d', (rho) => {
    const random = randomOf(22);
    const cuts = Array.from({ length: 100 }, () => warmUpOf(stepped(0, rho, random)).cut);
    expect(cuts.filter((cut) => cut === 0).length).toBeGreaterThanOrEqual(96);
  });

  it('finds the part of a decay that matters', () => {
    const random = randomOf(23);
    const cuts = Array.from({ length: 60 }, () => {
      const logs = firstOrder(2000, 0.5, random).map((z, i) => 0.3 * z + 1.5 * Math.exp(-i / 100));
      return warmUpOf(logs).cut;
    });
    expect(quantile(cuts, 0.5)).toBeGreaterThan(150);
    expect(quantile(cuts, 0.5)).toBeLessThan(320);
  });

  it('does not see a drift over the whole run: that is for the trend test', () => {
    const random = randomOf(24);
    const cuts = Array.from({ length: 60 }, () => {
      const logs = firstOrder(2000, 0.5, random).map((z, i) => 0.5 * z + Math.log(1 + (0.3 * i) / 2000));
      return warmUpOf(logs).cut;
    });
    expect(quantile(cuts, 0.5)).toBe(0);
  });

  it('cuts nothing of fewer than 100, nor a difference of under a tenth', () => {
    const random = randomOf(25);
    expect(warmUpOf(stepped(20, 0, random).slice(0, 99))).toEqual({ cut: 0, atLimit: false });
    const small = (factor: number) =>
      firstOrder(500, 0, random).map((z, i) => 0.01 * z + (i < 50 ? Math.log(factor) : 0));
    for (let i = 0; i < 20; i++) {
      expect(warmUpOf(small(1.08)).cut).toBe(0);
      expect(warmUpOf(small(1.3)).cut).toBeGreaterThanOrEqual(50);
    }
  });

  it('says where it would have cut more', () => {
    const logs = Array.from({ length: 200 }, (_, i) => (i < 100 ? 1 + 0.5 * (i % 2) : 0.001 * (i % 7)));
    expect(warmUpOf(logs)).toEqual({ cut: 100, atLimit: true });
    const earlier = logs.map((value, i) => (i < 95 ? value : 0.001 * (i % 7)));
    expect(warmUpOf(earlier)).toEqual({ cut: 95, atLimit: false });
  });
});

it('takes a series as long as an hour of short requests gives', () => {
  // Its batch means are more than a call takes arguments.
  const logs = Float64Array.from({ length: 1_000_000 }, (_, i) => 3 + 0.2 * Math.sin(i * 1.7) + (i < 100_000 ? 1 : 0));
  expect(warmUpOf(logs).cut).toBe(100_000);
});
