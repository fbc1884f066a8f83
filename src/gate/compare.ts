/**
 * A relative threshold, by pairs of runs. In: the pairs of a cell. Out: by how much the candidate differs, with bounds.
 *
 * The run is the unit: each pair gives one d = ln(B/A), or ln(A/B) where less is worse, and Student's t bounds their mean. What
 * both runs of a pair share (seed, minute, machine) is in neither. The limit is ln(1 + T), or -ln(1 - T): the ratio itself
 * within T. A candidate's percentile that is only known to be above a value gives a lower bound of d: enough to
 * fail by, never to pass. A rate of zero counts as a thousandth of the reference's, likewise.
 */

import type { RunResult } from '../result/schema.ts';
import { LEAST_PAIRS } from '../scenario/gate-schema.ts';
import { meanAboveP, meanBounds } from '../stats/one-sided.ts';
import { countedValue, isLeftOut, type LeftOut, tooLittle } from './counted.ts';
import { type Case, type Evidence, withheld } from './evidence.ts';
import type { Rule } from './threshold.ts';
import { relativeWords } from './words.ts';

export type RelativeRule = Extract<Rule, { kind: 'relative' }>;

interface Difference {
  a: number;
  b: number;
  d: number;
  /** d is at least this. */
  bound: boolean;
}

export function compare(one: Case, rule: RelativeRule): Evidence {
  const { A, B } = one.input.arms;
  if (A === null) return withheld('invalid', 'there is no reference to compare with');
  if (A.planHash !== B.planHash) return withheld('invalid', 'the reference ran another plan: the load is not the same');
  const differences: Difference[] = [];
  const leftOut: LeftOut[] = [];
  const lengths: number[] = [];
  for (const { a, b } of one.pairs) {
    if (a === null || b === null || a.state === 'interrupted' || b.state === 'interrupted') continue;
    const difference = differenceOf(a, b, one, rule);
    if ('whose' in difference) leftOut.push(difference);
    else {
      differences.push(difference);
      lengths.push(Math.log(answerLength(b) / answerLength(a)));
    }
  }
  const lacking =
    tooLittle(differences.length, leftOut, LEAST_PAIRS, 'pairs of runs') ?? otherAnswers(one, rule, lengths);
  if (lacking !== null) return lacking;
  return weighed(differences, leftOut.length, one, rule);
}

function differenceOf(a: RunResult, b: RunResult, one: Case, { direction }: RelativeRule): Difference | LeftOut {
  const [va, vb] = [countedValue(a, 'reference', one), countedValue(b, 'candidate', one)];
  if (isLeftOut(va)) return va;
  if (isLeftOut(vb)) return vb;
  if (va.kind === 'at least') return { whose: 'figure', why: 'reference: it falls among requests that failed' };
  if (!(va.value > 0)) return { whose: 'figure', why: `reference: it is ${va.value}, and nothing has a ratio to that` };
  return ratioOf(va.value, vb.value, vb.kind === 'at least', direction);
}

/** The least a rate that fell to nothing can be said to have fallen by. */
const THOUSANDTH = 1e-3;

/** @param bound `b` is at least this */
export function ratioOf(
  a: number,
  b: number,
  bound: boolean,
  direction: RelativeRule['direction'],
): Difference | LeftOut {
  if (b > 0) return { a, b, d: direction === 'increase' ? Math.log(b / a) : Math.log(a / b), bound };
  if (direction === 'decrease') return { a, b: THOUSANDTH * a, d: -Math.log(THOUSANDTH), bound: true };
  return { whose: 'figure', why: `candidate: it is ${b}, and has no ratio` };
}

export const limitOf = ({ direction, tolerance }: RelativeRule): number =>
  direction === 'increase' ? Math.log1p(tolerance) : -Math.log1p(-tolerance);

/** What an interval of d is as a change of the candidate's figure; an end that is not known is null. */
export function changeInterval(
  { lower, upper }: { lower: number; upper: number | null },
  { direction }: RelativeRule,
): [number | null, number | null] {
  if (direction === 'increase') return [Math.expm1(lower), upper === null ? null : Math.expm1(upper)];
  return [upper === null ? null : Math.expm1(-upper), Math.expm1(-lower)];
}

export const changeOf = (d: number, { direction }: RelativeRule): number =>
  Math.expm1(direction === 'increase' ? d : -d);

function weighed(differences: Difference[], leftOut: number, { checked, level }: Case, rule: RelativeRule): Evidence {
  const limit = limitOf(rule);
  const ds = differences.map(({ d }) => d);
  const { mean, lower, upper } = meanBounds(ds, level);
  const bounded = differences.some(({ bound }) => bound);
  const figures = {
    a: geometricMean(differences.map(({ a }) => a)),
    b: geometricMean(differences.map(({ b }) => b)),
    change: changeOf(mean, rule),
    interval: changeInterval({ lower, upper: bounded ? null : upper }, rule),
    pairs: ds.length,
    leftOut,
  };
  return {
    kind: 'tested',
    p: meanAboveP(ds, limit),
    passes: !bounded && upper < limit,
    beyond: ds.map((d) => d - limit),
    figures,
    words: relativeWords(checked.threshold, rule, figures),
  };
}

export const geometricMean = (values: readonly number[]): number =>
  Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

/** Figures that longer answers raise or lower by themselves. */
const OF_LENGTH = /^(e2e|output_tokens_per_second.*|requests_per_second|goodput.*)$/;

/** Under `control: cap` answers end by themselves: of other lengths they are other work. */
function otherAnswers({ checked }: Case, rule: RelativeRule, lengths: readonly number[]): Evidence | null {
  if (!OF_LENGTH.test(checked.threshold.metric)) return null;
  const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
  if (!(Math.abs(mean) > rule.tolerance / 2)) return null;
  const by = `${(100 * Math.abs(Math.expm1(mean))).toFixed(1)}% ${mean > 0 ? 'longer' : 'shorter'}`;
  return withheld(
    'invalid',
    `the candidate's answers are ${by} than the reference's, so that ${checked.threshold.metric} is of other work`,
  );
}

const answerLength = ({ counts }: RunResult): number => counts.outputTokens / counts.ok;
