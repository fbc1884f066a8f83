/** Series to try statistics on: first-order autoregressions, seeded, and the known answers that scipy gave for others. */
import { readFileSync } from 'node:fs';

/** mulberry32 by Tommy Ettinger (public domain): 32 bits of state are plenty for a simulation. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Box and Muller (1958). */
export const normal = (random: () => number): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

/** Variance 1, correlation `rho` with the value before. */
export function firstOrder(n: number, rho: number, random: () => number): number[] {
  let last = normal(random);
  return Array.from({ length: n }, (_, i) => {
    if (i > 0) last = rho * last + Math.sqrt(1 - rho * rho) * normal(random);
    return last;
  });
}

/** Share of `times` tries that come out true. */
export function share(times: number, attempt: () => boolean): number {
  let hits = 0;
  for (let i = 0; i < times; i++) if (attempt()) hits++;
  return hits / times;
}

interface Golden {
  gamma: { x: number; value: number }[];
  beta: { a: number; b: number; x: number; value: number }[];
  student: { t: number; freedom: number; p: number }[];
  binomial: { k: number; n: number; p: number; value: number }[];
  ranks: { p: number; n: number; ranks: [number, number] | null }[];
  ranks95: { p: number; n: number; ranks: [number, number] | null }[];
  spearman: { values: number[]; rho: number; p: number; slope: number }[];
  times: { series: number[]; time: number; lags: number }[];
  clusters: { above: number[]; sizes: number[]; effective: number }[];
  cuts: { name: string; series: number[]; cut: number }[];
  quantiles: { tail: number; freedom: number; t: number }[];
  means: { values: number[]; level: number; mean: number; lower: number; upper: number; p: number }[];
  excesses: { value: number; others: number[]; level: number; lower: number; upper: number; p: number }[];
  flips: { values: number[]; p: number }[];
  shares: { k: number; n: number; level: number; lower: number; upper: number; p: number }[];
  paired: { differences: number[]; lower: number; upper: number }[];
  two: { xs: number[]; ys: number[]; freedom: number; lower: number; upper: number }[];
}

export const golden = JSON.parse(readFileSync(new URL('../golden/statistics.json', import.meta.url), 'utf8')) as Golden;
