/**
 * A gate that never ran: runs whose figures are drawn, judged by the real judge() look by look. In: for each threshold by how
 * much the logarithm of a pair's ratio spreads, its tolerance, and the true change. Out: the last judgement.
 *
 * Figures are normal on the log scale, thresholds independent of each other, and no run is invalid. Thresholds that depend on
 * one another fail together, so that fewer gates have one that fails than this says.
 */
import type { RunResult } from '../result/schema.ts';
import { standardNormal } from '../workload/normal.ts';
import type { Rng } from '../workload/rng.ts';
import { judge } from './judge.ts';
import type { ArmFacts, BaselineSession, CheckedThreshold, JudgeInput, Judgement, PairedRuns } from './judgement.ts';

export interface SimulatedThreshold {
  /** Standard deviation of ln(B/A) between pairs; of the logarithm between sessions where kept ones are judged by. */
  sd: number;
  /** 0.05 is 5%. */
  tolerance: number;
  /** True change of the candidate: 0.1 is 10% worse. */
  effect: number;
}

export interface GateRules {
  looks: readonly number[];
  alpha: number;
  /** So many kept sessions instead of a reference; there is then one look. */
  sessions?: number;
  /** The look after which it ends, whatever comes of it: 0-based; absent: the last. */
  until?: number;
}

const CELL = 'c1';
const FACTS: ArmFacts = { planHash: '', fingerprint: '' };

/** Draws runs and looks at them until all is decided, as a gate does. */
export function playGate(thresholds: readonly SimulatedThreshold[], rules: GateRules, rng: Rng): Judgement {
  const base: Omit<JudgeInput, 'pairs'> = {
    mode: 'interleaved',
    thresholds: thresholds.map(checkedOf),
    down: { A: null, B: null },
    arms: { A: FACTS, B: FACTS },
    look: 0,
    looks: rules.looks,
    alpha: rules.alpha,
    final: true,
    onInconclusive: 'fail',
    crossCheck: false,
  };
  const candidate = () => runOf(thresholds.map((one) => Math.log1p(one.effect) + one.sd * standardNormal(rng)));
  if (rules.sessions !== undefined) {
    const baseline = Array.from({ length: rules.sessions }, (_, i) => sessionOf(i, thresholds, rng));
    return judge({ ...base, mode: 'baseline', baseline, pairs: [{ cell: CELL, pair: 0, a: null, b: candidate() }] });
  }
  // All of a pair's spread is put into B: only the ratio counts.
  const reference = runOf(thresholds.map(() => 0));
  const pairs: PairedRuns[] = [];
  return lookByLook(base, rules.until ?? rules.looks.length - 1, (count) => {
    while (pairs.length < count) pairs.push({ cell: CELL, pair: pairs.length, a: reference, b: candidate() });
    return pairs;
  });
}

/** The judgements of a gate one after the other; the last of them. `pairsUntil` is asked for the pairs of each look. */
export function lookByLook(
  base: Omit<JudgeInput, 'pairs' | 'earlier'>,
  until: number,
  pairsUntil: (pairs: number) => readonly PairedRuns[],
): Judgement {
  const { looks } = base;
  let last: Judgement | null = null;
  for (const [look, pairs] of looks.slice(0, until + 1).entries()) {
    const final = look === until;
    const earlier = last?.verdicts ?? [];
    last = judge({ ...base, look, final, earlier, pairs: pairsUntil(pairs) });
    if (last.decided) break;
  }
  if (last === null) throw new RangeError('a gate looks at least once');
  return last;
}

const checkedOf = ({ tolerance }: SimulatedThreshold, i: number): CheckedThreshold => ({
  id: idOf(i),
  cell: CELL,
  gating: true,
  threshold: {
    text: `drawn ${i}`,
    metric: `drawn_${i}`,
    aggregation: null,
    rule: { kind: 'relative', direction: 'increase', tolerance },
    at: {},
    severity: 'fail',
    place: null,
    parts: {},
  },
});

/** Of the i-th threshold, among the verdicts. */
export const idOf = (i: number): string => `t${i + 1}@${CELL}`;

function sessionOf(i: number, thresholds: readonly SimulatedThreshold[], rng: Rng): BaselineSession {
  const run = runOf(thresholds.map(({ sd }) => sd * standardNormal(rng)));
  return { ...FACTS, session: `s${i}`, runs: { [CELL]: [run] } };
}

/** A run with these figures, as logarithms, and nothing to complain of. */
function runOf(logs: readonly number[]): RunResult {
  const metrics = Object.fromEntries(
    logs.map((log, i) => [`drawn_${i}`, { unit: '', count: 1, value: Math.exp(log) }]),
  );
  return { ...FLAWLESS, metrics };
}

const FLAWLESS: RunResult = {
  seed: 0,
  nonce: '',
  order: 0,
  pair: null,
  arm: null,
  attempt: 1,
  state: 'done',
  startedAt: '',
  window: { from: 0, to: 0 },
  counts: { issued: 1, ok: 1, failed: 0, cancelled: 0, inputTokens: 1, outputTokens: 1 },
  errors: {},
  validity: {
    valid: true,
    reasons: [],
    warnings: [],
    sendLagP99: null,
    clientError: null,
    inFlight: { mean: 1, asked: 1 },
    steady: 'steady',
  },
  metrics: {},
  exact: {},
  perAdapter: {},
  timeline: { stepMs: 0, outputTokens: [], completed: [], failed: [], inFlight: [] },
};
