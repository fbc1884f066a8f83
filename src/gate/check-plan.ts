/**
 * Thresholds x the cells of a plan, checked before anything runs: each names cells that exist, metrics that they can have, and
 * percentiles that their requests can support. In: thresholds, plan, how will be judged. Out: what the judge is given, and
 * warnings; or one error that names every fault where it is written.
 *
 * What cannot be judged is refused here, since finding out takes the whole run. A threshold that only some of its cells can
 * have is of those alone, which is said. Every cell gets one more, on the candidate's own faults.
 */
import type { Cell, Plan } from '../plan/plan.ts';
import { type Problem, scenarioError } from '../scenario/problems.ts';
import { isPercentile } from './aggregation.ts';
import { whyImpossible } from './impossible.ts';
import type { CheckedThreshold, GateMode } from './judgement.ts';
import { requestsNeeded, requestsPlanned } from './requests-needed.ts';
import { selects, whyNone } from './selector.ts';
import { FAULTS, type Threshold } from './threshold.ts';

/** Over more cells, one threshold is so many that might fail by chance, and Holm makes each of them harder to fail. */
const MOST_CELLS = 6;

export interface CheckedPlan {
  thresholds: CheckedThreshold[];
  warnings: string[];
}

export interface CheckOptions {
  mode: GateMode;
  /** The scenario's file, for the error. */
  file: string | null;
}

/** @throws BenchError PLAN_INVALID */
export function checkPlan(thresholds: readonly Threshold[], plan: Plan, { mode, file }: CheckOptions): CheckedPlan {
  const problems: Problem[] = [];
  const warnings: string[] = [];
  const checked = thresholds.flatMap((threshold, i): CheckedThreshold[] => {
    const report = (part: string, text: string) => problems.push(problemOf(threshold, i, part, text));
    const cells = cellsOf(threshold, plan, report, (text) => warnings.push(`${threshold.text}: ${text}`));
    for (const text of [whyNoReference(threshold, mode), ...tooFew(threshold, cells, plan, mode)]) {
      if (text !== null) report('', text);
    }
    const gating = threshold.severity === 'fail';
    warnings.push(...manyCells(threshold, cells));
    return cells.map(({ id }) => ({ id: `t${i + 1}@${id}`, threshold, cell: id, gating }));
  });
  if (plan.cells.length === 0)
    problems.push(atFile(file, 'gate: the plan has no cell, so that nothing would be judged'));
  if (thresholds.length === 0)
    problems.push(atFile(file, 'gate: there is no threshold; expected gate: {thresholds: [..]}'));
  if (problems.length > 0) throw scenarioError(file ?? 'scenario', problems, 'PLAN_INVALID');
  const faults = plan.cells.map(({ id }) => ({ id: `faults@${id}`, threshold: FAULTS, cell: id, gating: true }));
  return { thresholds: [...checked, ...faults], warnings };
}

type Report = (part: string, text: string) => void;

function problemOf({ place, parts }: Threshold, i: number, part: string, text: string): Problem {
  const path = `gate.thresholds[${i}]${part === '' ? '' : `.${part}`}`;
  return { place: parts[part] ?? place ?? { label: 'scenario', order: 0 }, text: `${path}: ${text}` };
}

const atFile = (file: string | null, text: string): Problem => ({
  place: { label: file ?? 'scenario', order: 0 },
  text,
});

/** The cells it is of, without those that can't have its metric. */
function cellsOf(threshold: Threshold, plan: Plan, report: Report, warn: (text: string) => void): Cell[] {
  const none = whyNone(threshold.at, plan.cells);
  if (none !== null && plan.cells.length > 0) {
    report(none.name === '' ? 'at' : `at.${none.name}`, none.text);
    return [];
  }
  const named = plan.cells.filter((cell) => selects(threshold.at, cell));
  const reasons = named.map((cell) => whyImpossible(threshold.metric, cell, plan));
  const possible = named.filter((_, i) => reasons[i] === null);
  const [reason] = reasons.filter((text) => text !== null);
  if (reason === undefined) return possible;
  const without = named.filter((_, i) => reasons[i] !== null).map(({ id }) => id);
  if (possible.length === 0) report('', `there is no ${threshold.metric} in ${without.join(', ')}: ${reason}`);
  else warn(`not judged in ${without.join(', ')}: ${reason}`);
  return possible;
}

function whyNoReference({ rule }: Threshold, mode: GateMode): string | null {
  if (mode !== 'absolute' || (rule.kind !== 'relative' && rule.kind !== 'exact')) return null;
  return 'it compares with a reference, and there is none; give one: --against URL|FILE, or --baseline FILE';
}

/** Runs or requests that are too few for it, and what would be enough. */
function tooFew(threshold: Threshold, cells: readonly Cell[], plan: Plan, mode: GateMode): string[] {
  const alone = cells.filter(({ id }) => mode === 'absolute' && plan.runs.filter(({ cell }) => cell === id).length < 2);
  const { metric, aggregation, rule } = threshold;
  if (alone.length > 0 && rule.kind === 'absolute' && !isPercentile(aggregation) && metric !== 'error_rate') {
    return ['one run does not show how much runs differ; set measure.repeats to 3 or more'];
  }
  const short = cells.flatMap((cell) => {
    const needed = requestsNeeded(threshold, cell, alone.includes(cell));
    const planned = requestsPlanned(cell);
    return needed === null || planned === null || planned >= needed.requests ? [] : [{ id: cell.id, needed, planned }];
  });
  if (short.length === 0) return [];
  const most = short.reduce((worst, one) => (one.needed.requests > worst.needed.requests ? one : worst));
  const where = short.map(({ id }) => id).join(', ');
  return [
    `${most.planned} requests a run are too few in ${where}: ${most.needed.why} takes ${most.needed.requests}; set measure.requests`,
  ];
}

function manyCells({ text, rule, at, severity }: Threshold, cells: readonly Cell[]): string[] {
  if (rule.kind !== 'relative' || severity !== 'fail' || Object.keys(at).length > 0 || cells.length <= MOST_CELLS)
    return [];
  return [
    `${text} is of ${cells.length} cells, and the more there are the less each can detect; name those that matter, such as ` +
      'at: {adapters: 32}, or show the others with severity: report',
  ];
}
