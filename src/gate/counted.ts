/**
 * Which runs count. In: those of one cell, and what each is as a number. Out: the numbers, and what was left out and why; or
 * that too little is left to judge by.
 *
 * A run that the harness spoilt, or that has no figure, is left out with its pair: whose run it was says nothing of who is
 * slower. Up to a fifth may be; beyond, what is left is a choice, and nothing is said. A figure that is no number spoils all.
 */

import type { RunResult } from '../result/schema.ts';
import { type Case, type Evidence, withheld } from './evidence.ts';
import { harnessFault, serverFault } from './run-faults.ts';
import { type RunValue, runValue } from './run-value.ts';

const MOST_LEFT_OUT = 0.2;

export interface LeftOut {
  whose: 'harness' | 'server' | 'figure' | 'broken';
  why: string;
}

export type Known = Exclude<RunValue, { kind: 'none' | 'broken' }>;

/** A run as a number, or why it does not count. */
export function countedValue(run: RunResult, who: string, { checked, trends }: Case): Known | LeftOut {
  const server = serverFault(run);
  if (server !== null) return { whose: 'server', why: `${who}: ${server}` };
  const harness = harnessFault(run, checked.threshold, trends);
  if (harness !== null) return { whose: 'harness', why: `${who}: ${harness}` };
  const value = runValue(run, checked.threshold);
  if (value.kind === 'none') return { whose: 'figure', why: `${who}: ${value.why}` };
  if (value.kind === 'broken') return { whose: 'broken', why: `${who}: ${value.why}` };
  return value;
}

export const isLeftOut = (one: Known | LeftOut): one is LeftOut => 'whose' in one;

/** Why nothing can be said by those that count; null where something can. `what` they are: "pairs of runs". */
export function tooLittle(counted: number, leftOut: readonly LeftOut[], least: number, what: string): Evidence | null {
  const figures = { pairs: counted, leftOut: leftOut.length };
  const broken = leftOut.find(({ whose }) => whose === 'broken');
  if (broken !== undefined) return withheld('invalid', broken.why, figures);
  const harness = leftOut.filter(({ whose }) => whose === 'harness').length;
  const outcome = harness * 2 > leftOut.length ? 'invalid' : 'no-data';
  const total = counted + leftOut.length;
  if (leftOut.length > MOST_LEFT_OUT * total) {
    return withheld(
      outcome,
      `${leftOut.length} of ${total} ${what} can't be judged by (${mainReasons(leftOut)})`,
      figures,
    );
  }
  if (counted >= least) return null;
  const without = leftOut.length === 0 ? '' : `; ${leftOut.length} more can't be judged by (${mainReasons(leftOut)})`;
  return withheld(outcome, `${counted} ${what} are too few, ${least} are needed${without}`, figures);
}

/** The two most frequent, with how often each was met. */
function mainReasons(leftOut: readonly LeftOut[]): string {
  const times = new Map<string, number>();
  for (const { why } of leftOut) times.set(why, (times.get(why) ?? 0) + 1);
  const ordered = [...times].sort((a, b) => b[1] - a[1]);
  const shown = ordered.slice(0, 2).map(([why, count]) => (count === 1 ? why : `${why}, ${count} times`));
  return [...shown, ...(ordered.length > 2 ? ['..'] : [])].join('; ');
}
