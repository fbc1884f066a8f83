/**
 * What a gate can promise: how often it fails an unchanged candidate, how often a changed one, and the least change that it
 * fails in four of five. In: how much figures spread, tolerances, looks. Out: shares, and changes; found by running the real
 * judge() on drawn runs (simulated.ts), since a formula leaves out looks and Holm and promises too much.
 *
 * Whether a threshold fails depends only on by how many standard deviations its true change lies beyond its tolerance, and on how
 * many other thresholds there are. So one search (detectable) serves every threshold of a family.
 */
import { EXIT } from '../errors.ts';
import { studentQuantile } from '../stats/student.ts';
import { rngOf } from '../workload/rng.ts';
import { limitOf } from './compare.ts';
import type { CheckedThreshold } from './judgement.ts';
import { type GateRules, idOf, playGate, type SimulatedThreshold } from './simulated.ts';

/** How many thresholds x cells Holm corrects for, as long as no request fails: the `family` of what follows. */
export const familySize = (thresholds: readonly CheckedThreshold[]): number =>
  thresholds.filter(
    ({ gating, threshold: { rule } }) => gating && (rule.kind === 'relative' || rule.kind === 'absolute'),
  ).length;

/** The share of gates that a detectable change must fail. */
export const POWER = 0.8;
const SEED = 1;

export interface Shares {
  /** Of all gates. */
  fail: number;
  pass: number;
  inconclusive: number;
  /** Of all gates, those that failed for this threshold. */
  failedBy: number[];
  /** Pairs that a gate took, on average. */
  pairs: number;
}

/** What becomes of so many gates with these thresholds and changes. */
export function sharesOf(
  thresholds: readonly SimulatedThreshold[],
  rules: GateRules,
  { times = 1000, seed = SEED } = {},
): Shares {
  const ends = { fail: 0, pass: 0, inconclusive: 0, pairs: 0 };
  const failedBy = thresholds.map(() => 0);
  for (let i = 0; i < times; i++) {
    const { verdicts, exitCode } = playGate(thresholds, rules, rngOf(seed, 'gate', i));
    if (exitCode === EXIT.gateFailed) ends.fail++;
    else if (exitCode === EXIT.done) ends.pass++;
    else ends.inconclusive++;
    ends.pairs += Math.max(...verdicts.map(({ pairs }) => pairs));
    verdicts.forEach(({ outcome }, t) => {
      if (outcome === 'fail') failedBy[t]! += 1;
    });
  }
  const share = (count: number) => count / times;
  return {
    fail: share(ends.fail),
    pass: share(ends.pass),
    inconclusive: share(ends.inconclusive),
    failedBy: failedBy.map(share),
    pairs: share(ends.pairs),
  };
}

/** How probable it is that a gate of `family` such thresholds fails a candidate in which nothing has changed. */
export function falseAlarms(
  { sd, tolerance }: Omit<SimulatedThreshold, 'effect'>,
  family: number,
  rules: GateRules,
  options: { times?: number; seed?: number } = {},
): number {
  return sharesOf(
    Array.from({ length: family }, () => ({ sd, tolerance, effect: 0 })),
    rules,
    options,
  ).fail;
}

/** At each look: after so many pairs, the excess over the tolerance that is failed by then, in standard deviations of d. */
export interface Detectable {
  pairs: number;
  deviations: number;
}

const TIMES = 500;
/** So far within its tolerance that chance does not fail it: another threshold in which nothing has changed. */
const UNCHANGED: SimulatedThreshold = { sd: 0.05, tolerance: 1, effect: 0 };

/**
 * One changed threshold among `family` of which the others have not changed. Two trials a look: where a formula without looks
 * and Holm's later steps expects it, and where the power found there says that it is; between them (or a little
 * beyond) the logit of the power is taken for straight.
 */
export function detectable(family: number, rules: GateRules, { times = TIMES, seed = SEED } = {}): Detectable[] {
  const others = Array.from({ length: family - 1 }, () => UNCHANGED);
  const level = rules.alpha / rules.looks.length;
  return rules.looks.map((pairs, look) => {
    const powerAt = (deviations: number): number => {
      // Its tolerance is next to nothing, so that its change is all excess.
      const changed = { sd: UNCHANGED.sd, tolerance: 1e-12, effect: Math.expm1(deviations * UNCHANGED.sd) };
      let failed = 0;
      for (let i = 0; i < times; i++) {
        const { verdicts } = playGate([changed, ...others], { ...rules, until: look }, rngOf(seed, 'gate', i));
        if (verdicts.find(({ id }) => id === idOf(0))?.outcome === 'fail') failed++;
      }
      return failed / times;
    };
    const expected = expectedDeviations(pairs, level / family, rules.sessions);
    return { pairs, deviations: whereLogit(powerAt, POWER, expected) };
  });
}

/** By the formula for one threshold and one look: the t of its level and that of the power, times the standard error. */
function expectedDeviations(pairs: number, level: number, sessions: number | undefined): number {
  const [count, error] =
    sessions === undefined ? [pairs, Math.sqrt(1 / pairs)] : [sessions, Math.sqrt(1 + 1 / sessions)];
  return (studentQuantile(level, count - 1) + studentQuantile(1 - POWER, count - 1)) * error;
}

/** A share of none or all of so few trials is no share of none or all. */
const logit = (share: number): number => {
  const clamped = Math.min(0.98, Math.max(0.02, share));
  return Math.log(clamped / (1 - clamped));
};

function whereLogit(shareAt: (x: number) => number, wanted: number, expected: number): number {
  const first = logit(shareAt(expected));
  // At the formula's own steepness: from half the power to all but none of it in about the expected excess.
  const steepness = logit(0.98) / (0.7 * expected);
  const next = Math.max(expected / 2, expected + (logit(wanted) - first) / steepness);
  if (Math.abs(next - expected) < 0.01 * expected) return expected;
  const second = logit(shareAt(next));
  if (!((second - first) * (next - expected) > 0)) return Math.max(expected, next);
  return expected + ((logit(wanted) - first) * (next - expected)) / (second - first);
}

type Spread = Pick<SimulatedThreshold, 'sd' | 'tolerance'> & { direction?: 'increase' | 'decrease' };

/** The limit of d, by compare.ts. */
const limitFor = ({ tolerance, direction = 'increase' }: Spread): number =>
  limitOf({ kind: 'relative', direction, tolerance });

/** The least change of this threshold that is failed in four gates of five: 0.12 is 12% more, or less where that is worse. */
export function detectableChange(of: Spread, { deviations }: Pick<Detectable, 'deviations'>): number {
  const d = limitFor(of) + deviations * of.sd;
  return of.direction === 'decrease' ? -Math.expm1(-d) : Math.expm1(d);
}

/** Whether twice the tolerance (of d) is failed in four gates of five. With a wider spread, the tolerance promises too much. */
export const canShow = (of: Spread, { deviations }: Pick<Detectable, 'deviations'>): boolean =>
  deviations * of.sd <= limitFor(of);

/** The least tolerance of which that is so. */
export const leastTolerance = (
  { sd, direction = 'increase' }: Omit<Spread, 'tolerance'>,
  { deviations }: Pick<Detectable, 'deviations'>,
): number => (direction === 'increase' ? Math.expm1(deviations * sd) : -Math.expm1(-deviations * sd));

/** About how many pairs that would take: errors fall with their root. A little too many, since t falls as well. */
export const pairsToShow = (of: Spread, { pairs, deviations }: Detectable): number =>
  Math.ceil(pairs * Math.max(1, (deviations * of.sd) / limitFor(of)) ** 2);
