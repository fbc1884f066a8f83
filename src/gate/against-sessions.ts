/**
 * A relative threshold, by kept sessions of an unchanged server. In: the candidate's runs of a cell, and those of each session.
 * Out: by how much the candidate's session differs from what the others lead one to expect, with bounds.
 *
 * A session is one value, the mean of its runs' logarithms: what is between sessions (the day, a restart, the neighbours) is
 * the candidate's too, so its one session is held against a prediction interval, not against their mean. That takes many:
 * with a spread of 5% between sessions, 3 of them leave a bound of 17%, and 8 of 11%.
 */
import type { RunResult } from '../result/schema.ts';
import { excessAboveP, excessBounds } from '../stats/one-sided.ts';
import { changeInterval, changeOf, limitOf, type RelativeRule } from './compare.ts';
import { countedValue, isLeftOut, type LeftOut, tooLittle } from './counted.ts';
import { type Case, type Evidence, withheld } from './evidence.ts';
import type { BaselineSession, JudgeInput } from './judgement.ts';
import { relativeWords } from './words.ts';

export const LEAST_SESSIONS = 8;

export function againstSessions(one: Case, rule: RelativeRule): Evidence {
  const { input, checked, level } = one;
  const fit = comparableSessions(input);
  if (typeof fit === 'string') return withheld('invalid', fit);
  const own = logsOf(
    one.pairs.flatMap(({ b }) => b ?? []),
    'candidate',
    one,
  );
  const lacking = tooLittle(own.logs.length, own.leftOut, 1, 'runs');
  if (lacking !== null) return lacking;
  const before = fit.flatMap(({ runs, session }) => {
    const { logs, bounds } = logsOf(runs[checked.cell] ?? [], session, one);
    return logs.length === 0 || bounds ? [] : [meanOf(logs)];
  });
  if (before.length < LEAST_SESSIONS) {
    const words = `${before.length} of ${fit.length} kept sessions have a figure to compare with, ${LEAST_SESSIONS} are needed`;
    return withheld('no-data', words);
  }
  const sign = rule.direction === 'increase' ? 1 : -1;
  const [value, others] = [sign * meanOf(own.logs), before.map((log) => sign * log)];
  const { mean, lower, upper } = excessBounds(value, others, level);
  const figures = {
    a: Math.exp(meanOf(before)),
    b: Math.exp(meanOf(own.logs)),
    change: changeOf(mean, rule),
    interval: changeInterval({ lower, upper: own.bounds ? null : upper }, rule),
    pairs: before.length,
    leftOut: own.leftOut.length,
  };
  return {
    kind: 'tested',
    p: excessAboveP(value, others, limitOf(rule)),
    passes: !own.bounds && upper < limitOf(rule),
    beyond: [],
    figures,
    words: relativeWords(checked.threshold, rule, figures, 'kept sessions'),
  };
}

/** Those of this plan and machine; else why they can't be judged by. */
export function comparableSessions({ baseline = [], arms }: JudgeInput): readonly BaselineSession[] | string {
  const others = (of: (facts: BaselineSession) => boolean) => baseline.filter((session) => !of(session)).length;
  const plans = others(({ planHash }) => planHash === arms.B.planHash);
  const machines = others(({ fingerprint }) => fingerprint === arms.B.fingerprint);
  if (plans > 0) return `${plans} of ${baseline.length} kept sessions are of another plan: the load is not the same`;
  if (machines > 0) {
    return `${machines} of ${baseline.length} kept sessions were measured on another machine or device than this one`;
  }
  if (baseline.length >= LEAST_SESSIONS) return baseline;
  return `${baseline.length} sessions are kept, ${LEAST_SESSIONS} are needed (bench baseline add)`;
}

/** `bounds`: one of them is only known to be at least so high. */
function logsOf(runs: readonly RunResult[], who: string, one: Case) {
  const logs: number[] = [];
  const leftOut: LeftOut[] = [];
  let bounds = false;
  for (const run of runs) {
    if (run.state === 'interrupted') continue;
    const value = countedValue(run, who, one);
    if (isLeftOut(value)) leftOut.push(value);
    else if (!(value.value > 0))
      leftOut.push({ whose: 'figure', why: `${who}: it is ${value.value}, and has no ratio` });
    else {
      logs.push(Math.log(value.value));
      bounds ||= value.kind === 'at least';
    }
  }
  return { logs, leftOut, bounds };
}

const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
