/**
 * verdict.json, format bench-verdict/1: what a gate decided and on what ground, for machines; every other output of a gate is made
 * from it alone, so that none can say anything else. In: the judgement and what was judged. Out: plain data.
 */
import { EXIT, type ExitCode } from '../errors.ts';
import type { Cell } from '../plan/plan.ts';
import type { Capability } from './capability.ts';
import type { GateMode, Judgement, Outcome, Verdict } from './judgement.ts';
import type { Rule } from './threshold.ts';

export const VERDICT_FORMAT = 'bench-verdict/1';

export interface VerdictLine {
  id: string;
  /** As its reader wrote it: "tpot.p50 max_increase 5%". */
  threshold: string;
  metric: string;
  rule: Rule['kind'];
  cell: string;
  gating: boolean;
  outcome: Outcome;
  unit: string;
  a: number | null;
  b: number | null;
  change: number | null;
  interval: [number | null, number | null] | null;
  p: number | null;
  pAdjusted: number | null;
  signFlip: number | null;
  pairs: number;
  leftOut: number;
  tolerance: number | null;
  reason: string;
  decidedAtLook: number | null;
  /** Where the threshold is written; null for the one on faults, and for what --set said. */
  line: { file: string; line: number; column: number } | null;
}

export interface VerdictFile {
  format: typeof VERDICT_FORMAT;
  tool: { name: string; version: string };
  scenario: { name: string; file: string | null };
  session: string;
  createdAt: string;
  mode: GateMode;
  /** What the candidate and what it is judged against are, in words; `a` is null where limits alone judge. */
  candidate: string;
  reference: string | null;
  /** The folder of the result, as it was given. */
  result: string;
  planHash: string;
  alpha: number;
  looks: number[];
  /** Pairs (of mode absolute: runs) that were measured in the cell that has the most. */
  pairs: number;
  onInconclusive: 'fail' | 'warn';
  exitCode: ExitCode;
  outcome: 'passed' | 'failed' | 'inconclusive' | 'invalid' | 'target down' | 'interrupted';
  reasons: string[];
  warnings: string[];
  cells: { id: string; label: string }[];
  /** What this gate could have detected, as far as a calibration or the runs themselves tell. */
  capability: Capability | null;
  verdicts: VerdictLine[];
}

const OUTCOMES: Partial<Record<ExitCode, VerdictFile['outcome']>> = {
  [EXIT.done]: 'passed',
  [EXIT.gateFailed]: 'failed',
  [EXIT.inconclusive]: 'inconclusive',
  [EXIT.invalid]: 'invalid',
  [EXIT.targetDied]: 'target down',
  [EXIT.interrupted]: 'interrupted',
};

export interface Judged
  extends Omit<VerdictFile, 'format' | 'exitCode' | 'outcome' | 'reasons' | 'cells' | 'verdicts' | 'pairs'> {
  judgement: Judgement;
  /** Of the whole command, where it is another than the judgement's: interrupted. */
  exitCode?: ExitCode;
  plannedCells: readonly Cell[];
}

export function verdictFile({ judgement, plannedCells, exitCode = judgement.exitCode, ...rest }: Judged): VerdictFile {
  return {
    format: VERDICT_FORMAT,
    ...rest,
    pairs: Math.max(0, ...judgement.verdicts.map(({ pairs, leftOut }) => pairs + leftOut)),
    exitCode,
    outcome: OUTCOMES[exitCode] ?? 'invalid',
    reasons: judgement.reasons,
    cells: plannedCells.map((cell) => ({ id: cell.id, label: cellLabel(cell) })),
    verdicts: judgement.verdicts.map(lineOf),
  };
}

function lineOf({ threshold, ...verdict }: Verdict): VerdictLine {
  const { text, metric, rule, place } = threshold;
  return { ...verdict, threshold: text, metric, rule: rule.kind, line: place && written(place.label) };
}

/** "scenarios/gate.yaml:12:5" */
function written(label: string): VerdictLine['line'] {
  const [, file = '', line = '', column = ''] = /^(.+):(\d+):(\d+)$/.exec(label) ?? [];
  return file === '' ? null : { file, line: Number(line), column: Number(column) };
}

/** "base, concurrency 4", "8 adapters, 2.5 requests/s, 512 tokens in". */
export function cellLabel({ at }: Cell): string {
  const adapters = at.adapters === 0 ? 'base' : `${at.adapters} ${at.adapters === 1 ? 'adapter' : 'adapters'}`;
  const rank = at.rank === null ? '' : ` of rank ${at.rank}`;
  const load = at.concurrency === null ? `${at.rate} requests/s` : `concurrency ${at.concurrency}`;
  return `${adapters}${rank}, ${load}`;
}

/** Fails first, then what kept the gate from passing, then the rest: the order in which a reader wants them. */
export const byGravity = (verdicts: readonly VerdictLine[]): VerdictLine[] => {
  const order: Outcome[] = ['fail', 'invalid', 'no-data', 'inconclusive', 'pass', 'report-only'];
  return [...verdicts].sort((x, y) => order.indexOf(x.outcome) - order.indexOf(y.outcome));
};

/** Gating verdicts that keep the gate from passing. */
export const verdictsThatBlock = ({ verdicts, onInconclusive }: VerdictFile): VerdictLine[] =>
  byGravity(verdicts).filter(
    ({ gating, outcome }) =>
      gating &&
      (outcome === 'fail' ||
        outcome === 'invalid' ||
        outcome === 'no-data' ||
        (outcome === 'inconclusive' && onInconclusive !== 'warn')),
  );
