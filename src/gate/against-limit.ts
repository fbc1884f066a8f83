/**
 * An absolute threshold: the candidate's runs against a limit. In: its runs of a cell. Out: their mean with bounds, each of
 * which is judged: all of the interval must be on the right side to pass, and on the wrong one to fail.
 *
 * The runs' values are what varies, and Student's t bounds their mean. Of a single run a percentile has an interval of its own, from
 * order statistics (99%: each end is wrong in 0.5%); anything else of a single run has none. A percentile that is only known to
 * be above a value can break a limit, not keep it.
 *
 * error_rate is a count: failures among all requests of all runs. What was seen must keep to the limit to pass (a hundred
 * requests without a failure can't show more, and asking for three thousand would help nobody), and chance alone must not
 * explain it to fail.
 */
import { isDistribution, type RunResult } from '../result/schema.ts';
import { LEAST_PAIRS } from '../scenario/gate-schema.ts';
import { meanAboveP, meanBounds } from '../stats/one-sided.ts';
import { CONFIDENCE } from '../stats/percentile-interval.ts';
import { atLeastP, shareBounds } from '../stats/proportion.ts';
import { isPercentile } from './aggregation.ts';
import { countedValue, isLeftOut, type Known, type LeftOut, tooLittle } from './counted.ts';
import { type Case, type Evidence, NO_FIGURES, withheld } from './evidence.ts';
import type { Operator, Rule } from './threshold.ts';
import { failuresWords, limitWords } from './words.ts';

export type AbsoluteRule = Extract<Rule, { kind: 'absolute' }>;

export function againstLimit(one: Case, rule: AbsoluteRule): Evidence {
  const runs = one.pairs.flatMap(({ b }) => (b === null || b.state === 'interrupted' ? [] : [b]));
  if (one.checked.threshold.metric === 'error_rate') return failures(runs, one, rule);
  const known: { run: RunResult; value: Known }[] = [];
  const leftOut: LeftOut[] = [];
  for (const run of runs) {
    const value = countedValue(run, 'candidate', one);
    if (isLeftOut(value)) leftOut.push(value);
    else known.push({ run, value });
  }
  const least = one.input.mode === 'interleaved' ? LEAST_PAIRS : 1;
  const lacking = tooLittle(known.length, leftOut, least, 'runs');
  if (lacking !== null) return lacking;
  const [only] = known;
  if (known.length === 1 && only !== undefined) return singleRun(only.run, one, rule);
  return weighed(
    known.map(({ value }) => value),
    leftOut.length,
    one,
    rule,
  );
}

/** `x` on the right side of the limit; both with the sign by which more is worse. */
const keeps = (operator: Operator, x: number, limit: number): boolean =>
  operator === '<' || operator === '>' ? x < limit : x <= limit;

const signOf = (operator: Operator): 1 | -1 => (operator.startsWith('<') ? 1 : -1);

function weighed(values: readonly Known[], leftOut: number, { checked, level }: Case, rule: AbsoluteRule): Evidence {
  const { operator } = rule;
  const sign = signOf(operator);
  const limit = sign * rule.limit;
  const xs = values.map(({ value }) => sign * value);
  const { mean, lower, upper } = meanBounds(xs, level);
  const unsure = values.some(({ kind }) => kind === 'at least');
  // "At least" leaves the worse end open where more is worse, and the better end where less is.
  const [low, high] = [unsure && sign < 0 ? null : lower, unsure && sign > 0 ? null : upper];
  const interval: [number | null, number | null] =
    sign > 0 ? [low, high] : [high === null ? null : -high, low === null ? null : -low];
  const figures = { ...NO_FIGURES, b: sign * mean, interval, pairs: xs.length, leftOut };
  const certain = lower === upper && !keeps(operator, mean, limit);
  return {
    kind: 'tested',
    p: low === null ? 1 : certain ? 0 : meanAboveP(xs, limit),
    passes: high !== null && keeps(operator, high, limit),
    beyond: [],
    figures,
    words: limitWords(checked.threshold, figures),
  };
}

const ENDS = (1 - CONFIDENCE) / 2;

function singleRun(run: RunResult, { checked, level }: Case, rule: AbsoluteRule): Evidence {
  const { metric: name, aggregation } = checked.threshold;
  const metric = run.metrics[name];
  const interval =
    isDistribution(metric) && isPercentile(aggregation)
      ? (metric.intervals?.[aggregation] ?? (aggregation === 'p99' ? metric.ci99 : null))
      : null;
  if (interval === null || !isDistribution(metric) || !isPercentile(aggregation)) {
    const why = isPercentile(aggregation)
      ? `its samples are too few, or depend too much on one another, for an interval of the ${aggregation}`
      : 'one run does not show how much runs differ';
    return withheld('no-data', `${why}; measure.repeats: 3 or more gives one`, { pairs: 1 });
  }
  const sign = signOf(rule.operator);
  const [lower, upper] = sign > 0 ? interval : [-interval[1], -interval[0]];
  const limit = sign * rule.limit;
  const b = metric[aggregation];
  const figures = { ...NO_FIGURES, b: typeof b === 'number' ? b : b.gt, interval, pairs: 1 };
  return {
    kind: 'tested',
    p: lower > limit ? ENDS : 1,
    passes: ENDS <= level && keeps(rule.operator, upper, limit),
    beyond: [],
    figures,
    words: limitWords(checked.threshold, figures),
  };
}

function failures(runs: readonly RunResult[], { level }: Case, { operator, limit }: AbsoluteRule): Evidence {
  const fit = runs.filter(({ errors }) => (errors['client_limit'] ?? 0) === 0);
  const issued = fit.reduce((sum, { counts }) => sum + counts.issued, 0);
  const failed = fit.reduce((sum, { counts }) => sum + counts.failed, 0);
  if (!(issued > 0)) return withheld('no-data', 'no request was issued', { leftOut: runs.length - fit.length });
  if (!Number.isInteger(failed) || failed < 0 || failed > issued) {
    return withheld('invalid', `${failed} of ${issued} requests failed, which can't be`);
  }
  const { lower, upper } = shareBounds(failed, issued, level);
  const share = failed / issued;
  const figures = { ...NO_FIGURES, b: share, interval: [lower, upper] as [number, number], pairs: fit.length };
  return {
    kind: 'tested',
    p: atLeastP(failed, issued, limit),
    passes: keeps(operator, share, limit),
    bySeen: true,
    beyond: [],
    figures: { ...figures, leftOut: runs.length - fit.length },
    words: failuresWords(failed, issued, upper),
  };
}
