/** Runs, pairs and thresholds to judge, with nothing wrong in them but what a test puts there. */

import { judge } from '../../src/gate/judge.ts';
import type { ArmFacts, CheckedThreshold, JudgeInput, PairedRuns, Verdict } from '../../src/gate/judgement.ts';
import { FAULTS, type Threshold, thresholdsOf } from '../../src/gate/threshold.ts';
import type { Distribution, MetricValue, RunResult } from '../../src/result/schema.ts';
import { scenarioWith } from '../plan/scenario-text.ts';
import { normal, randomOf } from '../stats/series.ts';

/** As scenario files have them: "ttft.p99 < 400ms", or a mapping. */
export const thresholds = (...written: (string | object)[]): Threshold[] =>
  thresholdsOf(scenarioWith({ gate: { thresholds: written } }));

/** Those, and the one on faults, in each cell. */
export function checked(written: (string | object)[], cells: readonly string[] = ['c1']): CheckedThreshold[] {
  const parsed = thresholds(...written);
  return cells.flatMap((cell) => [
    ...parsed.map((threshold, i) => ({
      id: `t${i + 1}@${cell}`,
      threshold,
      cell,
      gating: threshold.severity === 'fail',
    })),
    { id: `faults@${cell}`, threshold: FAULTS, cell, gating: true },
  ]);
}

export const distribution = (value: number, more: Partial<Distribution> = {}): Distribution => ({
  unit: 'ms',
  count: 1000,
  nEff: 1000,
  mean: value,
  std: 0,
  min: value,
  max: value,
  p50: value,
  p90: value,
  p95: value,
  p99: value,
  p999: value,
  ci99: null,
  censored: 0,
  hdr: '',
  ...more,
});

export const scalar = (value: number, unit = 'tokens/s'): MetricValue => ({ unit, count: 1, value });

export function run(metrics: Record<string, MetricValue>, more: Partial<RunResult> = {}): RunResult {
  return {
    seed: 1,
    nonce: 'n',
    order: 0,
    pair: null,
    arm: null,
    attempt: 1,
    state: 'done',
    startedAt: '2026-01-01T00:00:00Z',
    window: { from: 0, to: 1e9 },
    counts: { issued: 500, ok: 500, failed: 0, cancelled: 0, inputTokens: 5000, outputTokens: 5000 },
    errors: {},
    validity: {
      valid: true,
      reasons: [],
      warnings: [],
      sendLagP99: null,
      clientError: null,
      inFlight: { mean: 4, asked: 4 },
      steady: 'steady',
    },
    metrics,
    exact: {},
    perAdapter: {},
    timeline: { stepMs: 1000, outputTokens: [], completed: [], failed: [], inFlight: [] },
    ...more,
  };
}

/** With so many failed requests of 500. */
export const failing = (failed: number, cancelled = 0): Partial<RunResult> => ({
  counts: { issued: 500, ok: 500 - failed - cancelled, failed, cancelled, inputTokens: 5000, outputTokens: 5000 },
  errors: failed === 0 ? {} : { http_500: failed },
});

/** Latencies of 20 ms that spread by `sd` on the log scale, B's changed. */
export function ttftPairs(
  count: number,
  { sd = 0.02, change = 0, seed = 1, cell = 'c1' }: { sd?: number; change?: number; seed?: number; cell?: string } = {},
): PairedRuns[] {
  const random = randomOf(seed);
  const ttft = (factor: number) =>
    run({ ttft: distribution(20 * factor * Math.exp((sd / Math.SQRT2) * normal(random))) });
  return Array.from({ length: count }, (_, pair) => ({ cell, pair, a: ttft(1), b: ttft(1 + change) }));
}

/** The same pairs with something changed in the candidate's runs, or in the reference's. */
export const withB = (pairs: readonly PairedRuns[], change: (b: RunResult, pair: number) => RunResult | null) =>
  pairs.map((one) => ({ ...one, b: one.b && change(one.b, one.pair) }));
export const withA = (pairs: readonly PairedRuns[], change: (a: RunResult, pair: number) => RunResult | null) =>
  pairs.map((one) => ({ ...one, a: one.a && change(one.a, one.pair) }));

export const FACTS: ArmFacts = { planHash: 'plan', fingerprint: 'machine' };

export const input = (more: Partial<JudgeInput> & Pick<JudgeInput, 'thresholds' | 'pairs'>): JudgeInput => ({
  mode: 'interleaved',
  down: { A: null, B: null },
  arms: { A: FACTS, B: FACTS },
  look: 0,
  looks: [6],
  alpha: 0.05,
  final: true,
  onInconclusive: 'fail',
  ...more,
});

/** The judgement, and the verdict of the first threshold in the first cell. */
export function judged(
  more: Parameters<typeof input>[0],
): ReturnType<typeof judge> & { first: Verdict; faults: Verdict } {
  const judgement = judge(input(more));
  const faults = judgement.verdicts.find(({ id }) => id.startsWith('faults@'))!;
  return { ...judgement, first: judgement.verdicts[0]!, faults };
}
