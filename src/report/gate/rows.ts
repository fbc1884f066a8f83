/**
 * A gate's verdicts as they are read: one row each, in words. In: verdict.json's content. Out: texts; terminal, Markdown, HTML, JUnit
 * and annotations all show these.
 */

import { detectsText, twiceToleranceText } from '../../gate/capability.ts';
import { byGravity, type VerdictFile, type VerdictLine } from '../../gate/verdict-file.ts';
import { changeText, intervalText, valueText } from '../../gate/words.ts';

export interface VerdictRow {
  line: VerdictLine;
  outcome: string;
  threshold: string;
  /** "8 adapters of rank 16, concurrency 4". */
  where: string;
  reference: string;
  candidate: string;
  /** "+3.1% (+1.0% to +5.2%)"; of an absolute threshold the interval of its value; empty where nothing was compared. */
  change: string;
  pairs: string;
  reason: string;
}

export const OUTCOME_WORDS: Readonly<Record<VerdictLine['outcome'], string>> = {
  fail: 'FAIL',
  invalid: 'INVALID',
  'no-data': 'NO DATA',
  inconclusive: 'INCONCLUSIVE',
  pass: 'pass',
  'report-only': 'shown',
};

export const verdictRows = (file: VerdictFile): VerdictRow[] =>
  byGravity(file.verdicts).map((line) => rowOf(line, file.cells));

function rowOf(line: VerdictLine, cells: VerdictFile['cells']): VerdictRow {
  const { outcome, a, b, rule } = line;
  const value = (of: number | null) => (of === null || rule === 'faults' ? '–' : valueText(of, line));
  return {
    line,
    outcome: OUTCOME_WORDS[outcome],
    threshold: line.threshold,
    where: cells.find(({ id }) => id === line.cell)?.label ?? line.cell,
    reference: value(a),
    candidate: value(b),
    change: changeOf(line),
    pairs: line.leftOut === 0 ? `${line.pairs}` : `${line.pairs} of ${line.pairs + line.leftOut}`,
    reason: line.reason,
  };
}

function changeOf(line: VerdictLine): string {
  const { rule, change, interval } = line;
  if (rule === 'absolute') return interval === null ? '' : intervalText(interval, (end) => valueText(end, line));
  if (rule === 'faults' || change === null) return '';
  return interval === null ? changeText(change) : `${changeText(change)} (${intervalText(interval, changeText)})`;
}

/** "passed: all 4 thresholds hold", "failed: 1 of 4 thresholds". */
export function headline({ outcome, verdicts }: VerdictFile): string {
  const gating = verdicts.filter(({ gating }) => gating);
  const count = (of: VerdictLine['outcome']) => gating.filter((line) => line.outcome === of).length;
  const all = gating.length;
  switch (outcome) {
    case 'passed': {
      const open = count('inconclusive');
      return open === 0
        ? `passed: all ${all} thresholds hold`
        : `passed with a warning: ${open} of ${all} thresholds could not be decided`;
    }
    case 'failed':
      return `failed: ${count('fail')} of ${all} thresholds`;
    case 'inconclusive':
      return `inconclusive: ${count('inconclusive') + count('no-data')} of ${all} thresholds could not be decided`;
    case 'invalid':
      return `invalid: ${count('invalid')} of ${all} thresholds could not be judged by these measurements`;
    case 'target down':
      return 'not judged: a server is down';
    case 'interrupted':
      return 'interrupted: not judged';
  }
}

/** "over 12 pairs against http://..", "against 9 kept sessions", "by limits alone". */
export function basis({ mode, pairs, reference, candidate }: VerdictFile): string {
  const against = reference === null ? 'by its limits' : `against ${reference}`;
  const count =
    mode === 'interleaved'
      ? `${pairs} ${pairs === 1 ? 'pair' : 'pairs'} of runs`
      : `${pairs} ${pairs === 1 ? 'run' : 'runs'}`;
  return `${candidate} ${against}, ${count} a cell`;
}

/** What it could have detected, a sentence a threshold; empty where that is not known. */
export function capabilityLines({ capability, verdicts }: VerdictFile): string[] {
  if (capability === null) return [];
  return capability.thresholds.flatMap((one) => {
    const line = verdicts.find(({ id }) => id === one.id);
    if (line === undefined) return [];
    const least = `a change of ${detectsText(one)} in four of five gates`;
    const more =
      one.pairsNeeded === null
        ? ''
        : `; twice its tolerance (${twiceToleranceText(one)}) would take ${one.pairsNeeded} pairs`;
    return [`${line.threshold} in ${line.cell} detects ${least}${more}`];
  });
}
