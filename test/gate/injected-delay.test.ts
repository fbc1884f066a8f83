/**
 * The whole way from a server's tokens to a verdict, on a simulated clock: a server that batches, what --inject-delay does to its
 * tokens (engine/inject-delay.ts itself), the metrics of each run, the judge look by look. A delay of a known size fails as often
 * as power.ts computes it, and no delay as seldom.
 */
import { describe, expect, test } from 'vitest';
import { DueTimes, type InjectDelay, parseInjectDelay } from '../../engine/inject-delay.ts';
import type { PairedRuns } from '../../src/gate/judgement.ts';
import { sharesOf } from '../../src/gate/power.ts';
import { lookByLook } from '../../src/gate/simulated.ts';
import { spreadOf } from '../../src/gate/spread.ts';
import type { MetricInput } from '../../src/metrics/metric.ts';
import { tpot } from '../../src/metrics/tpot.ts';
import { ttft } from '../../src/metrics/ttft.ts';
import type { RequestRecord, RunResult } from '../../src/result/schema.ts';
import { simulatedRun } from '../metrics/simulated-run.ts';
import { normal, randomOf } from '../stats/series.ts';
import { checked, input, run } from './runs.ts';

const RULES = { looks: [6, 12, 20], alpha: 0.05 };
/** Of a run's own speed, so that a pair's ratio spreads by 5%. */
const RUNS_DIFFER = 0.05 / Math.SQRT2;
const GATES = 200;

const judgedBy = (tolerance: string) =>
  checked([
    { metric: 'tpot.mean', max_increase: tolerance },
    { metric: 'ttft.mean', max_increase: tolerance },
  ]);
const thresholds = judgedBy('5%');
const cell = {} as MetricInput['cell'];

/** One run of the server: how fast it is this time, is drawn. */
function served(seed: number, delays: InjectDelay | null): RunResult {
  const speed = Math.exp(RUNS_DIFFER * normal(randomOf(seed)));
  const records = simulatedRun({ requests: 12, concurrency: 4, seed: seed + 0.5, tokens: 6, slower: () => speed });
  const steady = delays === null ? records : records.map((record) => delayed(record, delays));
  const of = { steady, records: steady, cell } as unknown as MetricInput;
  return run({ tpot: tpot.compute(of), ttft: ttft.compute(of) });
}

function delayed(record: RequestRecord, delays: InjectDelay): RequestRecord {
  const due = new DueTimes(delays, 0);
  return { ...record, chunks: record.chunks.map(([at, tokens]) => [Math.round(due.next(at, tokens ?? 1)), tokens]) };
}

const pairOf = (gate: number, pair: number, delays: InjectDelay | null): PairedRuns => {
  const seed = 1000 * gate + 2 * pair;
  return { cell: 'c1', pair, a: served(seed, null), b: served(seed + 1, delays) };
};

/** The share of gates that fail, and by which threshold. */
function failing(injected: string | null, tolerance = '5%') {
  const delays = injected === null ? null : (parseInjectDelay([injected]) as InjectDelay);
  const shares = { fail: 0, tpot: 0, ttft: 0 };
  for (let gate = 0; gate < GATES; gate++) {
    const pairs: PairedRuns[] = [];
    const base = { ...input({ thresholds: judgedBy(tolerance), pairs, ...RULES }), crossCheck: false };
    const { verdicts, exitCode } = lookByLook(base, RULES.looks.length - 1, (count) => {
      while (pairs.length < count) pairs.push(pairOf(gate, pairs.length, delays));
      return pairs;
    });
    const failed = (i: number) => Number(verdicts[i]?.outcome === 'fail') / GATES;
    shares.fail += Number(exitCode === 1) / GATES;
    shares.tpot += failed(0);
    shares.ttft += failed(1);
  }
  return shares;
}

describe('a server with --inject-delay beside one without', () => {
  const unchanged = Array.from({ length: 200 }, (_, pair) => pairOf(9_999, pair, null));
  const spread = spreadOf(thresholds, unchanged);
  const sd = (i: number) => spread.get(thresholds[i]!.id)!;
  /** As often as the judge fails drawn figures of that spread and change, computed. */
  const computed = (tpotBy: number, ttftBy: number) =>
    sharesOf(
      [
        { sd: sd(0), tolerance: 0.05, effect: tpotBy },
        { sd: sd(1), tolerance: 0.05, effect: ttftBy },
      ],
      RULES,
      { times: 1000, seed: 5 },
    ).failedBy;
  /** 4 standard errors of the difference. */
  const slack = (share: number) => 4 * Math.sqrt(share * (1 - share) * (1 / GATES + 1 / 1000));

  test('pairs of it differ by what was drawn', () => {
    expect(sd(0)).toBeGreaterThan(0.04);
    expect(sd(0)).toBeLessThan(0.08);
  });

  test.each([['itl=10%', 0.1, 0] as const, ['ttft=12%', 0, 0.12] as const])(
    '%s fails as often as computed, by that figure alone',
    (injected, tpotBy, ttftBy) => {
      const found = failing(injected);
      const [byTpot, byTtft] = computed(tpotBy, ttftBy);
      expect(Math.abs(found.tpot - byTpot!)).toBeLessThanOrEqual(slack(byTpot!));
      expect(Math.abs(found.ttft - byTtft!)).toBeLessThanOrEqual(slack(byTtft!));
    },
  );

  test('without a delay never fails by 5% of tolerance, and by next to none in 5% of gates at most', () => {
    expect(failing(null).fail).toBe(0);
    const { fail } = failing(null, '0.001%');
    expect(fail).toBeLessThan(0.05 + 4 * Math.sqrt((0.05 * 0.95) / GATES));
    expect(fail).toBeGreaterThan(0);
  });
});
