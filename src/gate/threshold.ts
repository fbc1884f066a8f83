/**
 * What must hold, parsed: "ttft.p99 < 400ms", or {metric: tpot.p50, max_increase: 5%, at: {adapters: 32}}.
 *
 * In: the thresholds of a scenario, each with its place. Out: Threshold, in units of its metric; or one error that names every
 * fault with file:line:column. Which metrics there are, of which shape and unit, metrics/registry.ts says.
 */
import type { MetricInfo } from '../metrics/metric.ts';
import { METRICS } from '../metrics/registry.ts';
import { EXACT_COUNTERS } from '../result/exact.ts';
import { didYouMean } from '../scenario/did-you-mean.ts';
import type { Place } from '../scenario/located.ts';
import { type Problem, scenarioError } from '../scenario/problems.ts';
import type { Scenario, ScenarioThreshold } from '../scenario/scenario.ts';
import { percentShare } from '../scenario/units.ts';
import { AGGREGATIONS, type Aggregation, isAggregation } from './aggregation.ts';
import { limitIn } from './limit.ts';
import { type Selector, selectorOf } from './selector.ts';

export type Operator = '<' | '<=' | '>' | '>=';

export type Rule =
  /** Every run's value against a limit, in the metric's unit. */
  | { kind: 'absolute'; operator: Operator; limit: number }
  /** The candidate against the reference; a tolerance of 0.05 is 5%. */
  | { kind: 'relative'; direction: 'increase' | 'decrease'; tolerance: number }
  /** A counter that has to be the same. */
  | { kind: 'exact' }
  /** The candidate's own faults: it dies, saturates, or more of its requests fail, where the reference's do not. */
  | { kind: 'faults' };

export interface Threshold {
  /** As a reader knows it: "ttft.p99 < 400ms", "tpot.p50 max_increase 5%". */
  text: string;
  metric: string;
  /** null for what is one number a run: scalars and counters. */
  aggregation: Aggregation | null;
  rule: Rule;
  /** Cells that it is of; empty: all. */
  at: Selector;
  severity: 'fail' | 'report';
  /** Where it is written, for annotations, and of a mapping where each value is; null for the one on faults. */
  place: Place | null;
  parts: Readonly<Record<string, Place>>;
}

/** What nobody writes and every cell has. */
export const FAULTS: Threshold = {
  text: 'no faults that the reference does not have',
  metric: 'error_rate',
  aggregation: null,
  rule: { kind: 'faults' },
  at: {},
  severity: 'fail',
  place: null,
  parts: {},
};

/** Those of a scenario; none where it has no gate. @throws BenchError SCENARIO_INVALID with every fault */
export function thresholdsOf({ gate, file }: Pick<Scenario, 'gate' | 'file'>): Threshold[] {
  const problems: Problem[] = [];
  const parsed = (gate?.thresholds ?? []).map((one, i) =>
    thresholdOf(one, (part, text) => {
      const path = `gate.thresholds[${i}]${part === '' ? '' : `.${part}`}`;
      problems.push({ place: one.parts[part] ?? one.place, text: `${path}: ${text}` });
    }),
  );
  if (problems.length > 0) throw scenarioError(file ?? 'scenario', problems);
  return parsed.filter((one) => one !== null);
}

type Report = (part: string, text: string) => void;

const COMPARISON = /^\s*([\w.]+)\s*(<=|>=|<|>)\s*(\S+)\s*$/;

/** null after a report. */
function thresholdOf({ value, place, parts }: ScenarioThreshold, report: Report): Threshold | null {
  const common = { place, parts };
  if (typeof value === 'string') {
    const [, name = '', operator = '', limit = ''] = COMPARISON.exec(value) ?? [];
    const metric = measuredOf(name, (text) => report('', text));
    const rule = metric && absolute(metric, operator as Operator, limit, (text) => report('', text));
    if (metric === null || rule === null) return null;
    const text = `${name} ${operator} ${limit}`;
    return {
      text,
      metric: metric.info.name,
      aggregation: metric.aggregation,
      rule,
      at: {},
      severity: 'fail',
      ...common,
    };
  }
  const named = { at: selectorOf(value.at), severity: value.severity ?? 'fail', ...common } as const;
  if ('exact' in value) {
    if (!isCounter(value.metric, (text) => report('metric', text))) return null;
    return {
      text: `${value.metric} exact`,
      metric: value.metric,
      aggregation: null,
      rule: { kind: 'exact' },
      ...named,
    };
  }
  const metric = measuredOf(value.metric, (text) => report('metric', text));
  if (metric === null) return null;
  const { rule, text } = ruleOf(value, metric, report);
  if (rule === null) return null;
  const { info, aggregation } = metric;
  return { text: `${value.metric} ${text}`, metric: info.name, aggregation, rule, ...named };
}

interface Measured {
  name: string;
  info: MetricInfo;
  aggregation: Aggregation | null;
}

type Limits = Exclude<ScenarioThreshold['value'], string | { exact: true }>;

function ruleOf(value: Limits, metric: Measured, report: Report): { rule: Rule | null; text: string } {
  if ('below' in value) {
    const rule = absolute(metric, '<', value.below, (text) => report('below', text));
    return { rule, text: `< ${value.below}` };
  }
  if ('above' in value) {
    const rule = absolute(metric, '>', value.above, (text) => report('above', text));
    return { rule, text: `> ${value.above}` };
  }
  const [key, direction, share] =
    'max_increase' in value
      ? (['max_increase', 'increase', value.max_increase] as const)
      : (['max_decrease', 'decrease', value.max_decrease] as const);
  const why = whyNotRelative(metric.info, direction);
  if (why !== null) report(key, why);
  const rule: Rule = { kind: 'relative', direction, tolerance: percentShare(share) ?? Number.NaN };
  return { rule: why === null ? rule : null, text: `${key} ${share}` };
}

function absolute({ name, info }: Measured, operator: Operator, text: string, report: (text: string) => void) {
  const { limit, expected } = limitIn(info.unit, text);
  if (limit !== null) return { kind: 'absolute', operator, limit } as const;
  report(`expected ${expected} for ${name}, found ${JSON.stringify(text)}`);
  return null;
}

function whyNotRelative({ name, better }: MetricInfo, direction: 'increase' | 'decrease'): string | null {
  if (name === 'error_rate') {
    return 'error_rate is mostly 0, of which nothing is a percentage; that it is no worse than the reference is always judged, and a limit is "error_rate <= 0.1%"';
  }
  if ((better === 'lower') === (direction === 'increase')) return null;
  const other = direction === 'increase' ? 'max_decrease' : 'max_increase';
  return `${name} is better ${better}; did you mean "${other}"?`;
}

const COUNTERS: readonly string[] = Object.keys(EXACT_COUNTERS);
const BY_NAME = new Map(METRICS.map((metric) => [metric.name, metric]));

/** "ttft.p99" as a metric and how its samples become one number. */
function measuredOf(name: string, report: (text: string) => void): Measured | null {
  const [base = '', ending, ...more] = name.split('.');
  const info = BY_NAME.get(base);
  if (info === undefined) {
    if (COUNTERS.includes(name)) report(`${name} is an exact counter; expected {metric: ${name}, exact: true}`);
    else report(unknown(base, [...BY_NAME.keys()], 'metric'));
    return null;
  }
  if (info.shape === 'scalar') {
    if (ending === undefined) return { name, info, aggregation: null };
    report(`${base} is one number a run, without ".${[ending, ...more].join('.')}"; expected ${base}`);
    return null;
  }
  if (ending !== undefined && isAggregation(ending) && more.length === 0) return { name, info, aggregation: ending };
  const accepted = AGGREGATIONS.map((one) => `${base}.${one}`);
  const near = ending === undefined ? null : didYouMean(name, accepted);
  const meant = near === null ? '' : ` did you mean "${near}"?`;
  const found = ending === undefined ? `${base} has many values a run` : `there is no ${name};`;
  report(`${found}${meant}${ending === undefined ? ';' : ''} accepted: ${accepted.join(', ')}`);
  return null;
}

function isCounter(name: string, report: (text: string) => void): boolean {
  if (COUNTERS.includes(name)) return true;
  if (BY_NAME.has(name.split('.')[0] ?? '')) {
    report(`${name} varies from run to run, and is never exactly the same; exact goes with ${COUNTERS.join(', ')}`);
  } else report(unknown(name, COUNTERS, 'exact counter'));
  return false;
}

function unknown(name: string, accepted: readonly string[], what: string): string {
  const near = didYouMean(name, accepted);
  const meant = near === null ? '.' : `; did you mean "${near}"?`;
  return `there is no ${what} "${name}"${meant} Accepted: ${accepted.join(', ')}`;
}
